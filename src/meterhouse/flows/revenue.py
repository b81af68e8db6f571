"""Revenue (收入概况): what was taken, what was sold; by day, month or year, by every part.

Owns two notions that are never mixed: *taken* (实收) is money that orders brought over the counter
less what they gave back; *booked* (销售收入) is what used energy brought to revenue. Prepaid money
is taken before it is booked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.books import SpanUnusable
from meterhouse.flows.orders import Direction, direction_of
from meterhouse.store import days, revenue
from meterhouse.store.days import Mark
from meterhouse.store.db import Connection, Database
from meterhouse.units import EPOCH

DAYS_MAX: Final = 3_700
PERIODS_MAX: Final = 400
YEARS: Final = (1990, 2099)


class By(StrEnum):
    """How long a period of the table is."""

    DAY = "day"
    MONTH = "month"
    YEAR = "year"


@dataclass(slots=True)
class Sums:
    """What orders and bookings add up to.

    `in_minor` and `out_minor` are never negative; `used_milli` is by commodity and known of closed
    days alone.
    """

    in_minor: int = 0
    out_minor: int = 0
    order_count: int = 0
    booked_minor: int = 0
    used_milli: dict[str, int] = field(default_factory=dict)

    @property
    def taken_minor(self) -> int:
        """What stayed: in less out."""
        return self.in_minor - self.out_minor

    def pay(self, row: Mapping[str, Any]) -> None:
        """Add orders."""
        direction = direction_of(row["kind"], row["channel"])
        self.order_count += row["count"]
        if direction is Direction.IN:
            self.in_minor += row["amount_minor"]
        elif direction is Direction.OUT:
            self.out_minor += row["amount_minor"]

    def sell(self, row: Mapping[str, Any]) -> None:
        """Add what was booked and used."""
        self.booked_minor += row["amount_minor"]
        used_milli = row.get("energy_milli") or 0
        if used_milli and row["commodity"]:
            self.used_milli[row["commodity"]] = (
                self.used_milli.get(row["commodity"], 0) + used_milli
            )


@dataclass(frozen=True, slots=True)
class Revenue:
    """Revenue over whole local days, both ends in.

    Attributes:
        first, last: the days.
        whole: all of it; `before`: all of the span of the same length just before.
        periods: (first day of the period, sums), without gaps.
        channels, cashiers, commodities: the same by a part; None is what has none. Cashiers are
            named.
    """

    first: date
    last: date
    whole: Sums
    before: Sums
    periods: Sequence[tuple[date, Sums]]
    channels: Mapping[str, Sums]
    cashiers: Mapping[str, Sums]
    commodities: Mapping[str, Sums]


@dataclass(frozen=True, slots=True)
class _Rows:
    money: Sequence[Mapping[str, Any]]
    sales: Sequence[Mapping[str, Any]]

    def within(self, first: date, last: date) -> "_Rows":
        return _Rows(
            *([one for one in rows if first <= one["day"] <= last]
              for rows in (self.money, self.sales))
        )  # fmt: skip

    def sums(self) -> Sums:
        whole = Sums()
        for row in self.money:
            whole.pay(row)
        for row in self.sales:
            whole.sell(row)
        return whole


async def look(
    db: Database, project_id: int, timezone: str, first: date, last: date, by: By, at: datetime
) -> Revenue:
    """Revenue of a project from a day to a day.

    Raises:
        SpanUnusable: the span is backwards, or has too many periods.
    """
    length = _length(first, last)
    if len(_starts(first, last, by)) > PERIODS_MAX:
        raise SpanUnusable
    before = first - timedelta(days=length)
    async with db.transaction([project_id]) as connection:
        rows = await _rows(connection, project_id, timezone, before, last, at)
        ids = {one["cashier_id"] for one in rows.money if one["cashier_id"] is not None}
        names = await revenue.names(connection, sorted(ids))
    now = rows.within(first, last)
    return Revenue(
        first, last, now.sums(), rows.within(before, first - timedelta(days=1)).sums(),
        _periods(now, first, last, by),
        _grouped(now.money, lambda row: row["channel"]),
        _grouped(now.money, lambda row: names.get(row["cashier_id"], "")),
        _by_commodity(now),
    )  # fmt: skip


async def of_projects(
    db: Database, reaches: Sequence[Reach], first: date, last: date, at: datetime
) -> list[tuple[Reach, Sums, Sums]]:
    """Each project that may be read, with its sums and those of the span before.

    Raises:
        SpanUnusable: the span is backwards or too long.
    """
    length = _length(first, last)
    before = first - timedelta(days=length)
    found = []
    for reach in reaches:
        if Verb.BOOKS_READ not in reach.verbs:
            continue
        async with db.transaction([reach.project_id]) as connection:
            rows = await _rows(connection, reach.project_id, reach.timezone, before, last, at)
        earlier = rows.within(before, first - timedelta(days=1))
        found.append((reach, rows.within(first, last).sums(), earlier.sums()))
    return found


def _length(first: date, last: date) -> int:
    """How many days a span has. Raises `SpanUnusable`."""
    length = (last - first).days + 1
    if not 1 <= length <= DAYS_MAX or not YEARS[0] <= first.year <= last.year <= YEARS[1]:
        raise SpanUnusable
    return length


async def _rows(
    connection: Connection, project_id: int, timezone: str, first: date, last: date, at: datetime
) -> _Rows:
    """Closed days from their totals, and the open ones from what was written since."""
    closed = await days.last_day(connection, project_id)
    mark = Mark(closed["last_transfer_id"], closed["until_at"]) if closed else Mark(0, EPOCH)
    today = at.astimezone(ZoneInfo(timezone)).date()
    first_open = closed["day"] + timedelta(days=1) if closed else EPOCH.date()
    money = [dict(one) for one in await revenue.closed_money(connection, project_id, first, last)]
    sales = [dict(one) for one in await revenue.closed_sales(connection, project_id, first, last)]
    if last >= min(first_open, today):
        since = (connection, project_id, mark, timezone, first_open)
        money += [dict(one) for one in await revenue.open_money(*since)]
        sales += [dict(one) for one in await revenue.open_sales(*since)]
    return _Rows(money, sales)


def _grouped(
    rows: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str]
) -> dict[str, Sums]:
    """Orders by a part, those that brought most first."""
    found: dict[str, Sums] = {}
    for row in rows:
        found.setdefault(key(row), Sums()).pay(row)
    return dict(sorted(found.items(), key=lambda item: -item[1].taken_minor))


def _by_commodity(rows: _Rows) -> dict[str, Sums]:
    found = _grouped(rows.money, lambda row: row["commodity"] or "")
    for row in rows.sales:
        found.setdefault(row["commodity"] or "", Sums()).sell(row)
    return found


def start_of(day: date, by: By) -> date:
    """The first day of the period that holds a day."""
    if by is By.YEAR:
        return day.replace(month=1, day=1)
    return day.replace(day=1) if by is By.MONTH else day


def _starts(first: date, last: date, by: By) -> list[date]:
    return sorted({start_of(first + timedelta(days=n), by)
                   for n in range((last - first).days + 1)})  # fmt: skip


def _periods(rows: _Rows, first: date, last: date, by: By) -> list[tuple[date, Sums]]:
    found = {start: Sums() for start in _starts(first, last, by)}
    for row in rows.money:
        found[start_of(row["day"], by)].pay(row)
    for row in rows.sales:
        found[start_of(row["day"], by)].sell(row)
    return list(found.items())
