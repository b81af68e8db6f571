"""`meterhouse demo`: a living town, its past included, on a clock that runs fast.

Owns the story: three buildings, some households nearly out of credit, a few meters silent, one
tenant who pays as soon as the power is off, a floor that moved in this morning whose meters keep
their money themselves. Everything goes through the real flows, the real head end and real frames
over TCP; only the meters are simulated, and the clock is ours.
"""

import asyncio
import random
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import typer

from meterhouse.app import House, Plan, run_house
from meterhouse.cli import announce
from meterhouse.config import Settings
from meterhouse.flows import close, gateway, monitor, onboard, reading, recharge
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Keeper, Relay
from meterhouse.sim.faults import Fault
from meterhouse.sim.gateway import LinkHabits
from meterhouse.sim.meter import SimMeter
from meterhouse.sim.plan import plan_town
from meterhouse.sim.spec import FloorSpec, RoomSpec, TownSpec
from meterhouse.sim.town import Town
from meterhouse.units import Minor, to_decimal, to_us

METERS, GATEWAYS = 203, 8
BOOKS = Path(__file__).with_name("demo_town.toml")
ZONE = ZoneInfo("Asia/Shanghai")
MORNING = time(9, 0)
HISTORY = timedelta(days=13)
STEP = timedelta(hours=1)
RECHECK_S = 1.0
TENANT_WAITS_S = 10
PAST_CHUNK = 5000
SHORT_ROOMS, SILENT_METERS, VACANT_EVERY = 6, 3, 17
SILENT_SINCE = timedelta(hours=5)
TENANT_PAYS_MINOR = Minor(5000)
# The floor whose meters keep their money: what its rooms pay on their first day, one after the
# other (the second has little), and the price the third meter was delivered with and still has.
PURSE_MODEL = "DLT645-2007-ORDER"
PURSE_BUILDING, PURSE_FLOOR = 0, -2
FIRST_PURCHASES_MINOR = (Minor(10_000), Minor(30), Minor(5_000), Minor(20_000))
OLD_PRICE_MICRO = 550_000
# About what a kilowatt hour costs by each tariff; exactly so by the flat one.
PRICE_MICRO = {"flat": 600_000, "flats": 560_000, "shops": 830_000}
# Residential night quiet; the demo town may be cut off at weekends, and has no mail server.
POLICY = {
    "quiet_weekdays": [],
    "disconnect_without_channel": True,
    "quiet_start_minute": 23 * 60,
    "quiet_end_minute": 6 * 60,
}


@dataclass(slots=True)
class Present:
    """A clock that is set by hand while the past is written, and runs by itself afterwards."""

    at: datetime
    speed: int = 0
    _since: datetime | None = None

    def now(self) -> datetime:
        """The town's instant."""
        if self._since is None:
            return self.at
        return self.at + (datetime.now(UTC) - self._since) * self.speed

    def run(self, speed: int) -> None:
        """Let it run from here."""
        self.speed, self._since = speed, datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Home:
    """A room of the town in the books, with the name of its tariff."""

    room: onboard.Room
    spec: RoomSpec
    tariff: str


async def live(settings: Settings, speed: int, seed: int, stop: asyncio.Event) -> None:
    """Write the town's past, then let it live until asked to stop."""
    today = datetime.now(ZONE).date()
    start_at = datetime.combine(today, MORNING, ZONE).astimezone(UTC)
    present = Present(start_at - HISTORY)
    spec = with_purses(plan_town(seed, METERS, GATEWAYS))
    story = Story(present, spec, start_at)
    plan = Plan(clock=present.now, speed=speed, database="demo", fresh=True, administrator=True)
    typer.echo("Starting the database …")

    async def before(house: House) -> None:
        await story.write_past(house)
        present.run(speed)

    async with run_house(settings, plan, before) as house:
        assert house.headend is not None
        dialling = asyncio.create_task(story.town.dial("127.0.0.1", house.headend.port))
        announce(house)
        watching = asyncio.create_task(story.watch(house))
        await stop.wait()
        for task in (watching, dialling):
            task.cancel()
        await asyncio.gather(watching, dialling, return_exceptions=True)
    typer.echo("The town has stopped.")


class Story:
    """The town, its books, and what happens in it."""

    def __init__(self, present: Present, spec: TownSpec, start_at: datetime) -> None:
        self._present = present
        self._spec = spec
        self._start_at = start_at
        self.town = Town(spec, present.now, habits=LinkHabits(heartbeat_s=20))
        self._books = Books()
        self._homes: list[Home] = []
        self._silent: set[str] = set()
        self._paid = False

    async def write_past(self, house: House) -> None:
        """Open the books at the start of the past, and let the town live up to the present."""
        typer.echo(f"Writing the last {HISTORY.days} days of {METERS} rooms …")
        self._books, self._homes = await found(house, self._spec, self._present.now())
        let = [home for home in self._homes if home.room.agreement_id is not None]
        self._silent = {home.spec.meter for home in let[7 :: len(let) // SILENT_METERS]}
        for home, credit_minor in self._opening_credits(let):
            await recharge.add_credit(
                house.db, self._project_id, home.room.point_id, credit_minor, "cash",
                f"opening-{home.room.point_id}", "opening credit", None, self._present.now(),
            )  # fmt: skip
        await self._live_through(house)
        await self._move_in(house)
        known = await gateway.load_roster(house.db)
        online = [(one.project_id, one.id) for one in known]
        await gateway.see(house.db, online, [one.id for one in known], self._present.now())
        for box in self.town.gateways.values():
            for address in self._silent:
                box.bus.faults.switch_on(Fault.SILENCE, where=address)

    async def _move_in(self, house: House) -> None:
        """A floor opens this morning; its money sets out for the meters that will keep it."""
        floor = purse_floor(self._spec)
        homes = await open_floor(house, self._books, floor, 0, self._present.now(), Keeper.METER)
        for number, home in enumerate(home for home in homes if home.room.agreement_id is not None):
            paid_minor = FIRST_PURCHASES_MINOR[number % len(FIRST_PURCHASES_MINOR)]
            await recharge.add_credit(
                house.db, self._project_id, home.room.point_id, paid_minor, "cash",
                f"first-{home.room.point_id}", "first purchase", None, self._present.now(),
            )  # fmt: skip

    @property
    def _project_id(self) -> int:
        return self._books.project_id

    def _opening_credits(self, let: list[Home]) -> Iterator[tuple[Home, Minor]]:
        """What each household pays at first: its past and a little or a lot more.

        A second town of the same seed is lived through beforehand, so that a few households are
        known to run out within the first minutes.
        """
        clock = Present(self._present.at)
        ahead = Town(self._spec, clock.now)
        dice = random.Random(self._spec.seed)  # noqa: S311  # a story, not a secret
        shorts = [
            home for home in let if home.tariff == "flat" and home.spec.meter not in self._silent
        ]
        shorts = shorts[:: max(len(shorts) // SHORT_ROOMS, 1)][:SHORT_ROOMS]
        first = {home.spec.meter: total_wh(ahead.meter(home.spec.meter)) for home in let}
        clock.at = self._start_at
        past = {home.spec.meter: total_wh(ahead.meter(home.spec.meter)) for home in let}
        for home in let:
            address = home.spec.meter
            if home in shorts:
                clock.at = self._start_at + timedelta(minutes=25 + 40 * shorts.index(home))
                used_wh = total_wh(ahead.meter(address)) - first[address]
                yield home, Minor(max(used_wh * PRICE_MICRO["flat"] // 10_000_000, 1))
                continue
            used_minor = (past[address] - first[address]) * PRICE_MICRO[home.tariff] // 10_000_000
            days_left = dice.choice((1, 3, 6, 9, 12, 15, 20, 30))
            more_minor = max(used_minor * days_left // HISTORY.days, 300 * days_left)
            yield home, Minor((used_minor + more_minor) // 100 * 100 + 100)

    async def _live_through(self, house: House) -> None:
        """Readings every half hour, a few hours a batch; a booking at each midnight."""
        tariffs = Tariffs()
        meters = {home.spec.meter: home.room.meter_id for home in self._homes}
        rows: list[tuple[int, ...]] = []
        day = self._present.at.astimezone(ZONE).date()
        while self._present.at <= self._start_at:
            at = self._present.at
            for address, meter_id in meters.items():
                if address in self._silent and at > self._start_at - SILENT_SINCE:
                    continue
                rows.append(past_row(self.town.meter(address), meter_id, at))
            if len(rows) >= PAST_CHUNK or at == self._start_at:
                batch = past_batch(rows)
                await reading.ingest(house.db, tariffs, self._project_id, batch, at)
                rows = []
            if at.astimezone(ZONE).date() != day:
                day = at.astimezone(ZONE).date()
                await close.book_day(house.db, self._project_id, at)
            self._present.at += STEP
        self._present.at = self._start_at

    async def watch(self, house: House) -> None:
        """Tell the terminal what relays do, and let one household pay once its power is off."""
        before: dict[int, Relay] = {}
        while True:
            board = await monitor.board(house.db, self._project_id)
            for point in board.points:
                was = before.get(point.point_id, point.relay)
                before[point.point_id] = point.relay
                if was is not point.relay and Relay.UNKNOWN not in (was, point.relay):
                    clock = self._present.now().astimezone(ZONE)
                    typer.echo(
                        f"{clock:%m-%d %H:%M}  {point.building} {point.room}  "
                        f"relay {point.relay.name.lower()}  balance {shown(point)}"
                    )
                    if point.relay is Relay.OPEN and not self._paid:
                        self._paid = True
                        await asyncio.sleep(TENANT_WAITS_S)
                        await self._pay(house, point.point_id)
            await asyncio.sleep(RECHECK_S)

    async def _pay(self, house: House, point_id: int) -> None:
        await recharge.add_credit(
            house.db, self._project_id, point_id, TENANT_PAYS_MINOR, "cash",
            f"demo-{point_id}", "the demo's tenant pays", None, self._present.now(),
        )  # fmt: skip
        typer.echo("             a tenant has paid 50.00")


def shown(point: monitor.PointNow) -> str:
    """What a household can still spend, in yuan."""
    return "-" if point.available_minor is None else to_decimal(point.available_minor, 2)


def total_wh(meter: SimMeter) -> int:
    """A meter's total as its display shows it: in steps of 10 Wh."""
    return meter.registers_wh()[0] // 10 * 10


def past_row(meter: SimMeter, meter_id: int, at: datetime) -> tuple[int, ...]:
    """What a reading of this meter would have brought at this instant."""
    registers = [wh // 10 * 10 for wh in meter.registers_wh()[:5]]
    return (meter_id, to_us(at), int(meter.relay), sum(meter.live().power_mw) // 1000, *registers)


def past_batch(rows: list[tuple[int, ...]]) -> reading.Batch:
    """Such rows as a batch of readings."""
    table = np.array(rows, dtype=np.int64)
    nothing = np.full(len(rows), -1, dtype=np.int64)
    return reading.Batch(
        meter_id=table[:, 0].copy(), read_at_us=table[:, 1].copy(), milli=table[:, 4:].copy(),
        relay=table[:, 2].copy(), keep_power=np.zeros(len(rows), dtype=np.int64),
        power_w=table[:, 3].copy(), credit_minor=nothing, source=np.zeros_like(nothing),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Books:
    """Ids that the town's rooms need: its tariffs by name, gateways by meter, floors."""

    project_id: int = 0
    tariffs: Mapping[str, int] = field(default_factory=dict)
    gateways: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    floors: Mapping[FloorSpec, tuple[str, int]] = field(default_factory=dict)


async def found(house: House, spec: TownSpec, at: datetime) -> tuple[Books, list[Home]]:
    """Group, project, tariffs, gateways and rooms of the town, opened at the start of its past.

    The floor whose meters keep their money is still empty.
    """
    db = house.db
    told = tomllib.loads(BOOKS.read_text(encoding="utf-8"))
    group_id = await onboard.open_group(db, told["group"])
    new = onboard.NewProject(told["project"], group_id, policy=POLICY)
    project_id = await onboard.open_project(db, new, at)
    tariffs = {
        name: await onboard.publish_tariff(db, project_id, body, None, at)
        for name, body in told["tariffs"].items()
    }
    gateways: dict[str, int] = {}
    for number, one in enumerate(spec.gateways, start=1):
        gateway_id = await onboard.add_gateway(db, project_id, f"GW-{number:02}", one.registration)
        gateways |= dict.fromkeys(one.meters, gateway_id)
    models = {one.address: one.model for one in spec.meters}
    floors: dict[FloorSpec, tuple[str, int]] = {}
    for order, building in enumerate(spec.buildings):
        building_id = await onboard.add_place(
            db, project_id, None, "building", building.name, order
        )
        for level, floor in enumerate(building.floors):
            floor_id = await onboard.add_place(
                db, project_id, building_id, "floor", floor.name, level
            )
            floors[floor] = building.kind, floor_id
    books = Books(project_id, tariffs, gateways, models, floors)
    homes: list[Home] = []
    for floor in floors:
        if floor != purse_floor(spec):
            homes += await open_floor(house, books, floor, len(homes), at)
    return books, homes


async def open_floor(
    house: House, books: Books, floor: FloorSpec, before: int, at: datetime,
    keeper: Keeper = Keeper.PLATFORM,
) -> list[Home]:  # fmt: skip
    """The rooms of a floor with meters and households; `before` rooms of the town stand already."""
    kind, floor_id = books.floors[floor]
    of_meter = keeper is Keeper.METER
    kinds = [
        "flat" if of_meter else tariff_of(kind, room, sort) for sort, room in enumerate(floor.rooms)
    ]
    made = await onboard.add_rooms(
        house.db, books.project_id,
        [
            onboard.NewRoom(
                floor_id=floor_id, name=room.name, sort=sort, area_dm2=room.area_dm2,
                tariff_id=books.tariffs[kind], model=books.models[room.meter], address=room.meter,
                gateway_id=books.gateways[room.meter], opened_at=at, keeper=keeper,
                customer_name=None if is_vacant(room, before + sort) else room.customer,
            )
            for sort, (room, kind) in enumerate(zip(floor.rooms, kinds, strict=True))
        ],
    )  # fmt: skip
    return [Home(one, room, kind) for one, room, kind in zip(made, floor.rooms, kinds, strict=True)]


def purse_floor(spec: TownSpec) -> FloorSpec:
    """The floor whose meters keep their money."""
    return spec.buildings[PURSE_BUILDING].floors[PURSE_FLOOR]


def with_purses(spec: TownSpec) -> TownSpec:
    """The town with such meters on that floor, empty as they were delivered."""
    mine = [room.meter for room in purse_floor(spec).rooms]
    price_micro = {
        address: OLD_PRICE_MICRO if place == 2 else PRICE_MICRO["flat"]
        for place, address in enumerate(mine)
    }
    return replace(spec, meters=tuple(
        replace(
            one, model=PURSE_MODEL, keeps_purse=True, price_micro=(price_micro[one.address],) * 4,
        ) if one.address in price_micro else one
        for one in spec.meters
    ))  # fmt: skip


def tariff_of(building_kind: str, room: RoomSpec, sort: int) -> str:
    """Which of the demo's tariffs a room has; every third flat pays one price all day."""
    if building_kind != "flats":
        return "shops"
    return "flat" if sort % 3 == 0 and room.kind == "room" else "flats"


def is_vacant(room: RoomSpec, number: int) -> bool:
    """Public areas, and a few rooms here and there."""
    return room.kind != "room" or not room.customer or number % VACANT_EVERY == VACANT_EVERY - 1
