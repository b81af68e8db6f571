"""Looking: the room monitor, a room, and every list. Looking only computes; it never writes.

Owns what a point's row means to a reader: what is available, which warning that is, which colour
the room has. Must never know how it is shown. The same functions serve the console and the API.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from meterhouse.control.decide import NO_FLOOR_MINOR, warning_level
from meterhouse.errors import NotFound
from meterhouse.ledger.book import available_minor
from meterhouse.model import (
    Commodity,
    Keeper,
    Override,
    Relay,
    RoomState,
)
from meterhouse.store import (
    agreements,
    audit,
    bills,
    books,
    commissionings,
    customers,
    days,
    desk,
    doubts,
    drift,
    estimates,
    exchanges,
    journeys,
    lists,
    openings,
    orders,
    receipts,
    replays,
    reports,
    shifts,
)
from meterhouse.store.db import Database
from meterhouse.store.lists import COUNT_MAX_ROWS, Listing, ListQuery, Position, Wanted, contains
from meterhouse.units import EPOCH
from meterhouse.words import N_

DAYS_SHOWN: Final = 14
STRANGER_AGE_MAX: Final = timedelta(days=7)
EXPORT_MAX_ROWS: Final = 500_000
EXPORT_NOW_MAX_ROWS: Final = 20_000
"""A longer file is made by a task, so that nobody waits before an empty page."""

LISTS: Final[Mapping[str, ListQuery]] = {
    "rooms": reports.ROOMS,
    "alarms": reports.ALARMS,
    "meters": reports.METERS,
    "gateways": reports.GATEWAYS,
    "notices": reports.NOTICES,
    "commands": reports.COMMANDS,
    "recharges": journeys.LIST,
    "readings": reports.READINGS,
    "tasks": reports.TASKS,
    "tariffs": reports.TARIFFS,
    "customers": customers.CUSTOMERS,
    "commissioning": commissionings.LIST,
    "receipts": receipts.LIST,
    "agreements": agreements.LIST,
    "openings": openings.LIST,
    "exchanges": exchanges.LIST,
    "audit": audit.ENTRIES,
    "orders": orders.ORDERS,
    "journal": books.JOURNAL,
    "days": days.DAYS,
    "shifts": shifts.LIST,
    "supplies": desk.SUPPLIES,
    "drift": drift.DRIFT,
    "bills": bills.LIST,
    "replays": replays.REPLAYS,
    "replay_rows": replays.ROWS,
    "doubts": doubts.DOUBTS,
    "estimates": estimates.LIST,
}
_BY_LEVEL: Final = (
    RoomState.OPEN,
    RoomState.WARNING_1,
    RoomState.WARNING_2,
    RoomState.WARNING_3,
    RoomState.OWING,
)

__all__ = [
    "COUNT_MAX_ROWS", "LISTS", "Board", "Day", "Following", "Listing", "PointNow", "Position",
    "RoomNow", "Wanted", "contains",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PointNow:
    """One point as it is now.

    `available_minor` is what may still be spent, None where nobody keeps money here; `read_at` is
    None before the first reading. `customer` is masked; None while the point is vacant, and when
    who it was has been erased (`is_erased`). Registers are total, then 尖峰平谷 (−1: not reported),
    already as the meter shows them; `power_w` is None where the meter did not say.
    """

    point_id: int
    room_id: int
    room: str
    floor: str
    building_id: int
    building: str
    area_dm2: int | None
    commodity: Commodity
    keeper: Keeper
    override: Override
    tariff: str | None
    customer: str | None
    customer_id: int | None
    is_erased: bool
    agreement_id: int | None
    floor_minor: int | None
    meter_id: int | None
    address: str | None
    model: str | None
    multiplier: int | None
    gateway_id: int | None
    gateway: str | None
    read_at: datetime | None
    registers_milli: tuple[int, ...]
    relay: Relay
    keep_power: bool | None
    power_w: int | None
    available_minor: int | None
    state: RoomState


@dataclass(frozen=True, slots=True)
class Board:
    """All points of a project or building in order, and the pulse they were read at."""

    seq: int
    points: Sequence[PointNow]


@dataclass(frozen=True, slots=True)
class Day:
    """What a point used on one local day; `estimated_milli` of it nobody has measured yet."""

    day: date
    energy_milli: int
    amount_nano: int
    estimated_milli: int = 0


@dataclass(frozen=True, slots=True)
class Following:
    """Rows of a list, where they end (None: the list ends there), and a count if asked for."""

    rows: Sequence[Any]
    end: Position | None
    row_count: int | None


@dataclass(frozen=True, slots=True)
class RoomNow:
    """A room: its points, the last days of each (today last), and its latest commands."""

    points: Sequence[PointNow]
    days: Mapping[int, Sequence[Day]]
    commands: Sequence[Any]


async def pulse(db: Database, project_id: int) -> int:
    """The number that grows with every change of a project."""
    async with db.transaction([project_id]) as connection:
        return await reports.pulse(connection, project_id)


async def buildings(db: Database, project_id: int) -> list[tuple[int, str]]:
    """Id and name of every building, in order."""
    async with db.transaction([project_id]) as connection:
        rows = await reports.buildings(connection, project_id)
    return [(row["id"], row["name"]) for row in rows]


async def board(db: Database, project_id: int, building_id: int | None = None) -> Board:
    """The room monitor's points, of the whole project or of one building."""
    async with db.transaction([project_id]) as connection:
        # The pulse is read first: a change in between is then seen again, never missed.
        seq = await reports.pulse(connection, project_id)
        rows = await reports.points(connection, project_id, building_id)
    return Board(seq, points_now(rows))


async def room(db: Database, project_id: int, room_id: int, timezone: str, at: datetime) -> RoomNow:
    """A room with its last days; today is always there, with nothing used if nothing was.

    Raises:
        NotFound: there is no such room in this project.
    """
    zone = ZoneInfo(timezone)
    today = at.astimezone(zone).date()
    first = today - timedelta(days=DAYS_SHOWN - 1)
    since = datetime.combine(first, datetime.min.time(), zone)
    async with db.transaction([project_id]) as connection:
        points = points_now(await reports.room_points(connection, project_id, room_id))
        if not points:
            raise NotFound("Room", room_id)
        days = {}
        for point in points:
            rows = await reports.days(connection, project_id, point.point_id, timezone, since)
            days[point.point_id] = _every_day(rows, first, today)
        meter_ids = [point.meter_id for point in points if point.meter_id is not None]
        commands = await reports.last_commands(connection, project_id, meter_ids)
    return RoomNow(points, days, commands)


async def point(
    db: Database, project_id: int, *, point_id: int | None = None, meter_id: int | None = None
) -> PointNow:
    """One point, by its id or by that of its meter.

    Raises:
        NotFound: there is none in this project.
    """
    async with db.transaction([project_id]) as connection:
        row = await reports.one_point(connection, project_id, point_id, meter_id)
    if row is None:
        raise NotFound(*(("Point", point_id) if point_id else ("Meter", meter_id)))
    return points_now([row])[0]


async def command(db: Database, project_id: int, command_id: int) -> Any:
    """One command's row with its room. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await reports.get_command(connection, project_id, command_id)
    if row is None:
        raise NotFound("Command", command_id)
    return row


async def recharge(db: Database, project_id: int, recharge_id: int) -> tuple[Any, list[Any]]:
    """One recharge's row with its room, and its steps, oldest first. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await journeys.journey(connection, project_id, recharge_id)
        if row is None:
            raise NotFound(N_("Recharge"), recharge_id)
        return row, await journeys.steps(connection, project_id, recharge_id)


async def command_states(
    db: Database, project_id: int, command_ids: Sequence[int]
) -> dict[int, tuple[str, str]]:
    """State and why of these commands, by id."""
    async with db.transaction([project_id]) as connection:
        rows = await reports.command_states(connection, project_id, command_ids)
    return {row["id"]: (row["state"], row["why"]) for row in rows}


async def meter_names(db: Database, project_id: int, meter_ids: Sequence[int]) -> list[str]:
    """Building, room and address of these meters, in the order asked for.

    Raises:
        NotFound: one of them is not in service in this project.
    """
    async with db.transaction([project_id]) as connection:
        rows = await reports.meter_names(connection, project_id, meter_ids)
    by_id = {row["id"]: row for row in rows}
    if missing := [one for one in meter_ids if one not in by_id]:
        raise NotFound(N_("Meter"), missing[0])
    found = [by_id[one] for one in meter_ids]
    return [" ".join(filter(None, (r["building"], r["room"], r["address"]))) for r in found]


async def alarm_names(
    db: Database, project_id: int, alarm_ids: Sequence[int]
) -> list[tuple[str, tuple[str, ...]]]:
    """Kind of each of these alarms and where it is, in the order asked for. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        rows = await reports.alarm_names(connection, project_id, alarm_ids)
    by_id = {row["id"]: row for row in rows}
    if missing := [one for one in alarm_ids if one not in by_id]:
        raise NotFound(N_("Alarm"), missing[0])
    found = [by_id[one] for one in alarm_ids]
    return [(r["kind"], tuple(filter(None, (r["building"], r["room"])))) for r in found]


async def listing(db: Database, project_id: int, name: str, wanted: Wanted) -> Listing:
    """One page of one of `LISTS`."""
    async with db.transaction([project_id]) as connection:
        return await lists.fetch_list(
            connection, LISTS[name].within(db.building_ids), project_id, wanted
        )


async def following(
    db: Database, project_id: int, name: str, wanted: Wanted, after: Position | None,
    *, counted: bool,
) -> Following:  # fmt: skip
    """The rows of one of `LISTS` after a position, and where the next ones begin.

    Raises:
        PositionUnfit: the position is none of this list in this order.
    """
    query = LISTS[name].within(db.building_ids)
    one_more = replace(wanted, limit=wanted.limit + 1)
    async with db.transaction([project_id]) as connection:
        rows = await lists.fetch_after(connection, query, project_id, one_more, after)
        row_count = (
            await lists.count_list(connection, query, project_id, wanted) if counted else None
        )
    is_last = len(rows) <= wanted.limit
    rows = rows[: wanted.limit]
    end = None if is_last else lists.position(query, wanted, rows[-1])
    return Following(rows, end, row_count)


async def stream(
    db: Database, project_id: int, name: str, wanted: Wanted, row_max: int = EXPORT_MAX_ROWS
) -> AsyncIterator[list[Any]]:
    """The whole of one of `LISTS` in chunks, for a file; one snapshot, at most `row_max` rows."""
    async with db.transaction([project_id]) as connection:
        chunks = lists.stream_list(
            connection, LISTS[name].within(db.building_ids), project_id, wanted, row_max
        )
        async for rows in chunks:
            yield rows


async def strangers(db: Database, at: datetime) -> list[Any]:
    """Gateways that were refused lately because nobody knows them; for platform staff."""
    async with db.transaction(()) as connection:
        return list(await reports.strangers(connection, at - STRANGER_AGE_MAX))


def points_now(rows: Sequence[Any]) -> list[PointNow]:
    """What rows of points mean: available credit, warning level and state of each."""
    spendable = [_spendable(row) for row in rows]
    floors = [NO_FLOOR_MINOR if r["floor_minor"] is None else r["floor_minor"] for r in rows]
    first, second, third = (
        np.array([row[f"warning_{n}_minor"] for row in rows], dtype=np.int64) for n in (1, 2, 3)
    )
    known = np.array([0 if amount is None else amount for amount in spendable], dtype=np.int64)
    levels = warning_level(known, (first, second, third), np.array(floors, dtype=np.int64))
    return [
        _point_now(row, amount_minor, int(level))
        for row, amount_minor, level in zip(rows, spendable, levels, strict=True)
    ]


def _spendable(row: Any) -> int | None:
    """What may still be spent here; the meter's own word where the meter keeps the money.

    The house pays for all vacant rooms from one account, which says nothing about one of them.
    """
    if row["agreement_kind"] != "tenant" or row["keeper"] in (Keeper.NONE, Keeper.EXTERNAL):
        return None
    if row["keeper"] == Keeper.METER:
        reported: int | None = row["reported_credit_minor"]
        return None if reported is None or reported < 0 else reported
    spendable: int = available_minor(
        row["balance_minor"], row["pending_minor"], row["accrued_nano"], row["currency_exponent"]
    )
    return spendable


def _point_now(row: Any, amount_minor: int | None, level: int) -> PointNow:
    was_read = row["read_at"] is not None and row["read_at"] > EPOCH
    if row["meter_id"] is not None and (row["is_offline"] or not was_read):
        state = RoomState.OFFLINE
    elif row["keeper"] == Keeper.NONE:
        # A corridor or a main meter is watched, never opened.
        state = RoomState.OPEN
    elif row["meter_id"] is None or row["agreement_kind"] != "tenant":
        state = RoomState.NOT_OPEN
    else:
        # Who pays later, or keeps no money here, is not warned.
        is_watched = amount_minor is not None and row["floor_minor"] is not None
        state = _BY_LEVEL[level] if is_watched else RoomState.OPEN
    keep_power, power_w = row["keep_power"], row["power_w"]
    return PointNow(
        point_id=row["point_id"], room_id=row["room_id"], room=row["room"], floor=row["floor"],
        building_id=row["building_id"], building=row["building"], area_dm2=row["area_dm2"],
        commodity=Commodity(row["commodity"]), keeper=Keeper(row["keeper"]),
        override=Override(row["override"]), tariff=row["tariff"], customer=row["customer"],
        customer_id=row["customer_id"],
        is_erased=row["is_erased"],
        agreement_id=row["agreement_id"], floor_minor=row["floor_minor"],
        meter_id=row["meter_id"], address=row["address"], model=row["model"],
        multiplier=row["multiplier"], gateway_id=row["gateway_id"], gateway=row["gateway"],
        read_at=row["read_at"] if was_read else None,
        registers_milli=tuple(row[f"good_{n}_milli"] or 0 for n in range(5)) if was_read else (),
        relay=Relay(row["relay"] or 0),
        keep_power=None if keep_power is None or keep_power < 0 else bool(keep_power),
        power_w=None if power_w is None or power_w < 0 else power_w,
        available_minor=amount_minor, state=state,
    )  # fmt: skip


def _every_day(rows: Sequence[Any], first: date, last: date) -> list[Day]:
    """A row for every day, also for those on which nothing was used."""
    used = {row["day"]: row for row in rows}
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [
        Day(day, *(used[day][name] for name in ("energy_milli", "amount_nano", "estimated_milli")))
        if day in used else Day(day, 0, 0)
        for day in days
    ]  # fmt: skip
