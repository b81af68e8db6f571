"""A site in one sheet: rooms, meters, prices and households, checked row by row, then made in sets.

Owns what a row means, and every fault a row can have beside what stands already. Must never know a
file or a column's heading. All rows are taken over in the caller's one transaction, or none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from meterhouse.control import policy as policies
from meterhouse.control.policy import Policy
from meterhouse.errors import BadInput, MeterhouseError, RowFault, RowsRefused
from meterhouse.flows import account, opening
from meterhouse.flows.account import OpeningNeedsSecond, Start, Terms
from meterhouse.flows.opening import Opening
from meterhouse.model import Commodity, Keeper
from meterhouse.store import catalog, devices, exchanges, monitor, places, queue, readings
from meterhouse.store.db import Connection, Database
from meterhouse.store.devices import NewMeter, NewPoint
from meterhouse.store.personal import Facts
from meterhouse.store.places import NewPlace

Path = tuple[str, ...]
"""The names from the building down to a place."""


class Unknown(BadInput):
    """There is none of this name; add it first."""

    code = "name_unknown"


class OtherCommodity(BadInput):
    """This tariff is of another commodity."""

    code = "other_commodity"
    field = "tariff_id"


class TwiceInSheet(BadInput):
    """The sheet says this twice; row {row} has it too."""

    code = "twice_in_sheet"


class ThereAlready(MeterhouseError):
    """There is one already."""

    code = "there_already"
    http_status = 409


class Needed(BadInput):
    """This is needed with what else the row says."""

    code = "needed"


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One row: a room, and as far as said its point, its meter and its household."""

    building: str
    room: str
    floor: str = ""
    area_dm2: int | None = None
    commodity: Commodity = Commodity.ELECTRICITY
    tariff: str = ""
    gateway: str = ""
    model: str = ""
    address: str = ""
    multiplier: int = 1
    customer: str = ""
    phone: str = ""
    email: str = ""
    language: str = "zh-Hans"
    terms: Terms = field(default_factory=Terms)

    @property
    def path(self) -> Path:
        """Where the room is."""
        return tuple(name for name in (self.building, self.floor, self.room) if name)

    @property
    def has_point(self) -> bool:
        """Whether the row speaks of more than a room."""
        return bool(self.tariff or self.address or self.customer)


@dataclass(frozen=True, slots=True)
class Taken:
    """What was made of the rows."""

    rooms: int
    points: int
    meters: int
    households: int


@dataclass(slots=True)
class _Known:
    """What stands already, by the names a row uses."""

    currency: str
    house_id: int
    policy: Policy
    places: dict[Path, int] = field(default_factory=dict)
    sorts: dict[int | None, int] = field(default_factory=dict)
    tariffs: dict[str, Any] = field(default_factory=dict)
    gateways: dict[str, int] = field(default_factory=dict)
    points: dict[tuple[int, str], Any] = field(default_factory=dict)
    lines: set[tuple[int | None, str]] = field(default_factory=set)


@dataclass(slots=True)
class _Checking:
    """The rows so far: their faults, their meters, and who said what first."""

    known: _Known
    faults: list[RowFault] = field(default_factory=list)
    meters: dict[int, NewMeter] = field(default_factory=dict)
    points: dict[tuple[Path, str], int] = field(default_factory=dict)
    lines: dict[tuple[int | None, str], int] = field(default_factory=dict)
    customers: dict[Path, int] = field(default_factory=dict)

    def fault(self, number: int, column: str, error: MeterhouseError) -> None:
        """Note what is wrong with a row."""
        self.faults.append(RowFault(number, column, error))


async def take(
    db: Database, project_id: int, rows: Sequence[SiteRow], actor_id: int | None, at: datetime
) -> Taken:
    """Take all rows over, or none.

    Raises:
        RowsRefused: with every fault of every row.
    """
    async with db.transaction([project_id]) as connection:
        # Households of the rows bring money, and no money moves while a day is closed.
        await monitor.lock_project(connection, project_id)
        await places.lock_tree(connection, project_id)
        known = await _load(connection, project_id)
        checking = _Checking(known)
        for number, row in enumerate(rows):
            _check(checking, number, row, rows)
        if checking.faults:
            raise RowsRefused(checking.faults)
        taken = await _make(connection, project_id, checking, rows, actor_id, at)
        await queue.wake_roster(connection)
        await readings.bump(connection, project_id)
        return taken


async def _load(connection: Connection, project_id: int) -> _Known:
    project = await catalog.get_project(connection, project_id)
    house_id = await catalog.house_agreement(connection, project_id)
    known = _Known(project["currency"], house_id, policies.read(project["policy"]))
    paths: dict[int, Path] = {}
    for row in await places.all_places(connection, project_id):
        path = (*paths.get(row["parent_id"], ()), row["name"])
        paths[row["id"]] = path
        known.places.setdefault(path, row["id"])
        parent_id = row["parent_id"]
        known.sorts[parent_id] = max(known.sorts.get(parent_id, -1), row["sort"])
    for row in await catalog.tariff_names(connection, project_id, None):
        known.tariffs.setdefault(row["name"], row)
    for row in await devices.gateway_names(connection, project_id):
        known.gateways.setdefault(row["registration"], row["id"])
        known.gateways.setdefault(row["name"], row["id"])
    for row in await devices.point_holders(connection, project_id):
        known.points.setdefault((row["place_id"], row["commodity"]), row)
    known.lines = {
        (row["gateway_id"], row["address"])
        for row in await devices.line_addresses(connection, project_id)
    }
    return known


def _check(checking: _Checking, number: int, row: SiteRow, rows: Sequence[SiteRow]) -> None:
    """Everything that is wrong with a row, beside what stands and beside the rows before it."""
    known = checking.known
    tariff = known.tariffs.get(row.tariff)
    if row.tariff and tariff is None:
        checking.fault(number, "tariff", Unknown())
    elif tariff is not None and tariff["commodity"] != row.commodity:
        checking.fault(number, "tariff", OtherCommodity())
    if row.gateway and row.gateway not in known.gateways:
        checking.fault(number, "gateway", Unknown())
    if row.has_point:
        _check_once(checking, checking.points, (row.path, row.commodity), number, "room")
    point = known.points.get((known.places.get(row.path, 0), row.commodity))
    if row.address:
        _check_meter(checking, number, row, point)
    if row.customer:
        for column, error in row.terms.faults(() if point is None else (point,)):
            checking.fault(number, column, error)
        if row.terms.needs_second(known.policy):
            checking.fault(number, row.terms.brought, OpeningNeedsSecond())
        if point is not None and point["agreement_kind"] == "tenant":
            checking.fault(number, "customer", ThereAlready())
        first = checking.customers.setdefault(row.path, number)
        if rows[first].customer != row.customer:
            checking.fault(number, "customer", TwiceInSheet(row=first + 1))


def _check_meter(checking: _Checking, number: int, row: SiteRow, point: Any) -> None:
    known = checking.known
    for column in ("gateway", "model"):
        if not getattr(row, column):
            checking.fault(number, column, Needed())
    if not row.model:
        return
    gateway_id = known.gateways.get(row.gateway)
    try:
        meter = opening.meter_of(row.model, row.address, gateway_id, row.multiplier)
    except MeterhouseError as error:
        is_model = error.code == "not_found"
        checking.fault(number, "model" if is_model else "address", error)
        return
    if point is not None and point["meter_id"] is not None:
        checking.fault(number, "address", ThereAlready())
    line = (gateway_id, meter.address)
    if line in known.lines:
        checking.fault(number, "address", ThereAlready())
    _check_once(checking, checking.lines, line, number, "address")
    checking.meters[number] = meter


def _check_once(
    checking: _Checking, said: dict[Any, int], key: Any, number: int, column: str
) -> None:
    first = said.setdefault(key, number)
    if first != number:
        checking.fault(number, column, TwiceInSheet(row=first + 1))


async def _make(
    connection: Connection, project_id: int, checking: _Checking, rows: Sequence[SiteRow],
    actor_id: int | None, at: datetime,
) -> Taken:  # fmt: skip
    known = checking.known
    room_count = await _make_places(connection, project_id, known, rows)
    numbers = [number for number, row in enumerate(rows) if row.has_point]
    point_ids, new = await _make_points(connection, project_id, known, rows, numbers, at)
    hung = [number for number in numbers if number in checking.meters]
    meters = [replace(checking.meters[one], point_id=point_ids[one]) for one in hung]
    made = await devices.insert_meters(connection, project_id, meters, [at] * len(meters))
    await exchanges.follow(connection, project_id, made, at)
    households = [rows[number] for number in checking.customers.values()]
    paths = {row.path for row in households}
    openings = [
        Opening(point_ids[number], rows[number].commodity, known.house_id, at, None)
        for number in numbers
        if number in new and rows[number].path not in paths
    ]
    await opening.attach(connection, project_id, known.currency, openings)
    points: dict[Path, list[Any]] = {}
    for number in numbers:
        # Those of their meters that are new have said nothing yet to decide upon.
        path, commodity = rows[number].path, rows[number].commodity
        there = known.points.get((known.places[path], commodity))
        facts = {
            "id": point_ids[number], "commodity": commodity, "meter_id": None,
            "keeper": Keeper.PLATFORM if there is None else there["keeper"],
        }  # fmt: skip
        points.setdefault(path, []).append(facts)
    await admit(connection, project_id, households, points, actor_id, at)
    return Taken(room_count, len(new), len(meters), len(households))


async def admit(
    connection: Connection, project_id: int, rows: Sequence[Any],
    points: Mapping[Path, Sequence[Any]], actor_id: int | None, at: datetime,
) -> None:  # fmt: skip
    """New customers of rows, one a place, and their accounts for the points there."""
    customer_ids = await opening.enrol(
        connection, project_id, [Facts(one.customer, one.phone or None, one.email or None)
                                 for one in rows], [one.language for one in rows],
    )  # fmt: skip
    starts = [
        Start(customer_id, points[one.path], one.terms)
        for customer_id, one in zip(customer_ids, rows, strict=True)
    ]
    if starts:
        await account.begin(connection, project_id, starts, actor_id, at)


async def _make_places(
    connection: Connection, project_id: int, known: _Known, rows: Sequence[SiteRow]
) -> int:
    """Buildings, floors and rooms that are not there yet, level by level; answers the new rooms."""
    areas = {row.path: row.area_dm2 for row in rows if row.area_dm2 is not None}
    room_count = 0
    for level in (1, 2, 3):
        wanted: dict[Path, str] = {}
        for row in rows:
            if len(row.path) >= level and row.path[:level] not in known.places:
                ends = len(row.path) == level
                kind = "room" if ends else "building" if level == 1 else "floor"
                wanted.setdefault(row.path[:level], kind)
        new = []
        for path, kind in wanted.items():
            parent_id = known.places[path[:-1]] if level > 1 else None
            known.sorts[parent_id] = known.sorts.get(parent_id, -1) + 1
            new.append(NewPlace(parent_id, kind, path[-1], known.sorts[parent_id], areas.get(path)))
        made = await places.insert_places(connection, project_id, new)
        known.places |= dict(zip(wanted, made, strict=True))
        room_count += sum(kind == "room" for kind in wanted.values())
    measured = {known.places[path]: area_dm2 for path, area_dm2 in areas.items()}
    await places.measure(connection, project_id, measured)
    return room_count


async def _make_points(
    connection: Connection, project_id: int, known: _Known, rows: Sequence[SiteRow],
    numbers: Sequence[int], at: datetime,
) -> tuple[dict[int, int], set[int]]:  # fmt: skip
    """The point of each row, made where there is none; which rows' are new."""
    found: dict[int, int] = {}
    new: dict[int, NewPoint] = {}
    priced: dict[int, int] = {}
    for number in numbers:
        row = rows[number]
        tariff = known.tariffs.get(row.tariff)
        place_id = known.places[row.path]
        point = known.points.get((place_id, row.commodity))
        if point is None:
            tariff_id = None if tariff is None else tariff["id"]
            new[number] = NewPoint(place_id, row.commodity, tariff_id, Keeper.PLATFORM)
            continue
        found[number] = point["id"]
        if tariff is not None:
            priced[point["id"]] = tariff["id"]
    made = await devices.insert_points(connection, project_id, list(new.values()))
    await devices.price_points(connection, project_id, priced, at)
    return found | dict(zip(new, made, strict=True)), set(new)
