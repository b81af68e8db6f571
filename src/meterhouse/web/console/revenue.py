"""The pages of revenue: one project over a span, and head office's view over all its projects.

Owns what stands on them. Money taken and sales booked stand side by side and are never added.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import revenue
from meterhouse.flows.access import Verb
from meterhouse.flows.revenue import By, Revenue, Sums
from meterhouse.units import to_decimal
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.charts import Chart, Draw, Series
from meterhouse.web.formats import ABSENT, Formats
from meterhouse.web.pages import formats_of, render
from meterhouse.web.paperwords import WAYS
from meterhouse.web.reports import Report, days_of
from meterhouse.web.tables import Column, Kind
from meterhouse.words import N_

router = APIRouter()

_REVENUE: Final = "/projects/{project_id}/revenue"
_MAY: Final = [Depends(Permission(Verb.BOOKS_READ))]
BY: Final = {By.DAY: N_("Day"), By.MONTH: N_("Month"), By.YEAR: N_("Year")}
_TAKEN: Final = (
    Column("in", N_("Money in"), lambda row: row[1].in_minor, Kind.MONEY),
    Column("out", N_("Money out"), lambda row: row[1].out_minor, Kind.MONEY),
    Column("taken", N_("Net taken"), lambda row: row[1].taken_minor, Kind.MONEY),
    Column("orders", N_("Orders"), lambda row: row[1].order_count, Kind.COUNT),
)
_BOOKED: Final = Column("booked", N_("Sales booked"), lambda row: row[1].booked_minor, Kind.MONEY)


@router.get(_REVENUE, dependencies=_MAY)
async def revenue_page(request: Request, project_id: int) -> Response:
    """Revenue over a span, this month by day unless asked otherwise."""
    now, by = await _look(request, project_id)
    fmt = formats_of(request)
    facts = {
        "now": now, "by": by, "bys": BY, "first": now.first, "last": now.last,
        "figures": _figures(now, fmt),
        "used": [(key, milli) for key, milli in sorted(now.whole.used_milli.items())],
        "chart": _chart(now, by, fmt),
        "reports": [(part, _report(part, now, by)) for part in _PARTS],
    }  # fmt: skip
    return render(request, "revenue.html", facts)


@router.get(f"{_REVENUE}/export", dependencies=_MAY)
async def revenue_file(request: Request, project_id: int) -> Response:
    """One of its tables as a file."""
    now, by = await _look(request, project_id)
    part = request.query_params.get("part", "")
    report = _report(part if part in _PARTS else "periods", now, by)
    return await report.file(request, formats_of(request))


async def _look(request: Request, project_id: int) -> tuple[Revenue, By]:
    scope, at = request.state.scope, request.app.state.services.clock()
    today = at.astimezone(formats_of(request).timezone).date()
    days = days_of(request, today.replace(day=1), today)
    wanted = request.query_params.get("by", "")
    by = By(wanted) if wanted in set(By) else By.DAY
    now = await revenue.look(database_of(request), project_id, scope.timezone, *days, by, at)
    return now, by


def period_text(start: date, by: By) -> str:
    """A period by its date: a day, a month, a year."""
    return start.isoformat()[: {By.DAY: 10, By.MONTH: 7, By.YEAR: 4}[by]]


def _figures(now: Revenue, fmt: Formats) -> list[tuple[str, str, str]]:
    """(title, amount, how the span before stood) of what a reader looks for first."""
    pairs = (
        (N_("Net taken"), now.whole.taken_minor, now.before.taken_minor),
        (N_("Money in"), now.whole.in_minor, now.before.in_minor),
        (N_("Money out"), now.whole.out_minor, now.before.out_minor),
        (N_("Sales booked"), now.whole.booked_minor, now.before.booked_minor),
    )
    return [
        (title, fmt.money(amount), fmt.words(
            N_("before: {amount} ({change})"), amount=fmt.money(earlier),
            change=change_text(amount, earlier)))
        for title, amount, earlier in pairs
    ]  # fmt: skip


def change_text(now_minor: int, before_minor: int) -> str:
    """How much more or less, in whole hundredths rounded toward zero; a dash from nothing."""
    if before_minor <= 0:
        return ABSENT
    change = (now_minor - before_minor) * 100
    percent = abs(change) // before_minor
    return f"{'−' if change < 0 else '+'}{percent} %"


def _chart(now: Revenue, by: By, fmt: Formats) -> Chart:
    labels_shown = [period_text(start, by) for start, _ in now.periods]
    taken = [sums.taken_minor for _, sums in now.periods]
    booked = [sums.booked_minor for _, sums in now.periods]
    decimals = fmt.currency_exponent
    return Chart(
        N_("Taken and booked"), BY[by], labels_shown, [fmt.currency_symbol],
        [
            Series(title, [to_decimal(one, decimals) for one in points], draw,
                   texts=[fmt.amount(one) for one in points])
            for title, points, draw in (
                (N_("Net taken"), taken, Draw.BAR), (N_("Sales booked"), booked, Draw.LINE),
            )
        ],
    )  # fmt: skip


# What each table is headed, and what its first column holds.
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "periods": (N_("By period"), ""),
    "commodities": (N_("By commodity"), N_("Commodity")),
    "channels": (N_("By way of payment"), N_("Paid by")),
    "cashiers": (N_("By cashier"), N_("Cashier")),
}


def _report(part: str, now: Revenue, by: By) -> Report:
    """One table of the page."""
    heading, title = _PARTS[part]
    name = Column("name", title, lambda row: row[0], Kind.WORD)
    rows: Sequence[tuple[str, Sums]]
    match part:
        case "periods":
            rows = [(period_text(start, by), sums) for start, sums in now.periods]
            columns = [Column("name", BY[by], lambda row: row[0]), *_TAKEN, _BOOKED]
        case "commodities":
            rows = [(labels.CHARGE_CLASS.get(key, N_("Not for one commodity")), sums)
                    for key, sums in now.commodities.items()]  # fmt: skip
            columns = [name, *_TAKEN, _BOOKED]
        case "channels":
            rows = [(WAYS.get(key, key), sums) for key, sums in now.channels.items()]
            columns = [name, *_TAKEN]
        case _:
            rows = [(key or N_("By no person"), sums) for key, sums in now.cashiers.items()]
            columns = [name, *_TAKEN]
    return Report(f"revenue-{part}", heading, columns, rows)


def _project_columns(of_one_currency: bool) -> list[Column]:
    """Columns of head office's table; where currencies differ, amounts are plain decimals."""

    def amount(key: str, title: str, read: Callable[[Sums], int]) -> Column:
        if of_one_currency:
            return Column(key, title, lambda row: read(row[1]), Kind.MONEY)
        return Column(
            key, title, lambda row: to_decimal(read(row[1]), row[0].currency_exponent), Kind.FIGURE
        )

    return [
        Column("name", N_("Project"), lambda row: row[0].name,
               link=lambda row: f"/projects/{row[0].project_id}/revenue"),
        Column("currency", N_("Currency"), lambda row: row[0].currency),
        amount("in", N_("Money in"), lambda sums: sums.in_minor),
        amount("out", N_("Money out"), lambda sums: sums.out_minor),
        amount("taken", N_("Net taken"), lambda sums: sums.taken_minor),
        amount("booked", N_("Sales booked"), lambda sums: sums.booked_minor),
        Column("orders", N_("Orders"), lambda row: row[1].order_count, Kind.COUNT),
        Column("change", N_("Taken, against before"),
               lambda row: change_text(row[1].taken_minor, row[2].taken_minor), Kind.FIGURE),
    ]  # fmt: skip


@router.get("/overview/revenue", dependencies=[Depends(Permission(Verb.SESSION_OWN))])
async def group_page(request: Request) -> Response:
    """Revenue of every project whose books the reader may read (扎口)."""
    report, days = await _projects(request)
    return render(request, "revenue_all.html",
                  {"report": report, "first": days[0], "last": days[1]})  # fmt: skip


@router.get("/overview/revenue/export", dependencies=[Depends(Permission(Verb.SESSION_OWN))])
async def group_file(request: Request) -> Response:
    """The same as a file."""
    report, _ = await _projects(request)
    return await report.file(request, formats_of(request))


async def _projects(request: Request) -> tuple[Report, tuple[date, date]]:
    at = request.app.state.services.clock()
    today = at.astimezone(formats_of(request).timezone).date()
    days = days_of(request, today.replace(day=1), today)
    reaches = sorted(request.state.caller.scopes.values(), key=lambda one: one.name)
    found = await revenue.of_projects(database_of(request), reaches, *days, at)
    kept = {(reach.currency, reach.currency_exponent) for reach, *_ in found}
    fmt = formats_of(request)
    columns = _project_columns(kept <= {(fmt.currency, fmt.currency_exponent)})
    return Report("revenue-projects", N_("Revenue of all projects"), columns, found), days
