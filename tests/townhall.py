"""A simulated town, its books and a real head end between them, over sockets on loopback.

Owns nothing but convenience. Time stands still until a test moves it, for the town and the
platform alike, so a round happens when the test says so and every reading has an exact register
to be compared with. Nobody sleeps: tests wait for a condition, and fail after a deadline.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

from meterhouse import meter_models
from meterhouse.flows import command, onboard
from meterhouse.headend.service import HeadEnd, HeadEndSettings
from meterhouse.model import CommandKind, Keeper, Relay
from meterhouse.sim.faults import Faults
from meterhouse.sim.gateway import LinkHabits
from meterhouse.sim.meter import SimMeter
from meterhouse.sim.plan import plan_town
from meterhouse.sim.spec import TownSpec
from meterhouse.sim.town import Town
from meterhouse.store.db import Database
from premises import FLAT, HASTY, Clock, Site

HOST = "127.0.0.1"
INTERVAL = timedelta(minutes=30)
DEADLINE_S = 20
# A pump that rests looks at the clock again after an interval divided by this: 50 ms.
SPEED = 36_000
HABITS = LinkHabits(heartbeat_s=0.05, backoff_s=0.02, backoff_max_s=0.1)
REGISTERS = ("total_milli", *(f"band_{n}_milli" for n in range(1, 5)))


async def eventually(
    condition: Callable[[], Any | Awaitable[Any]], what: str = "", deadline_s: float = DEADLINE_S
) -> Any:
    """Wait until a condition gives something true, and answer it; fail after the deadline."""
    try:
        async with asyncio.timeout(deadline_s):
            while True:
                found = condition()
                if inspect.isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited in vain for {what or inspect.getsource(condition)}") from None


@cache
def hasty_model(name: str) -> meter_models.MeterModel:
    """A meter model whose answers are waited for as long as loopback needs them."""
    model = meter_models.load(name)
    return replace(
        model, timeout_ms=dict.fromkeys(model.timeout_ms, 250), settle_ms=20, write_settle_ms=20
    )


@dataclass(slots=True)
class Hall:
    """The town on one side, the books on the other, and who reads whom."""

    town: Town
    site: Site
    head: HeadEnd
    gateways: Mapping[str, int]

    @property
    def addresses(self) -> list[str]:
        """The meters' addresses, in the order of the site's rooms."""
        return list(self.town.meters)

    def meter(self, room: int = 0) -> SimMeter:
        """A room's simulated meter, at the present."""
        return self.town.meter(self.addresses[room])

    def faults(self, room: int = 0) -> Faults:
        """The faults of a room's bus and gateway."""
        address = self.addresses[room]
        spec = next(one for one in self.town.spec.gateways if address in one.meters)
        return self.town.gateways[spec.registration].bus.faults

    def shown(self, room: int = 0) -> tuple[int, ...]:
        """What a meter's display shows now: total and bands in Wh, in steps of 10."""
        return tuple(wh // 10 * 10 for wh in self.meter(room).registers_wh()[:5])

    async def stored(self, room: int = 0) -> list[dict[str, Any]]:
        """A room's readings in the books, oldest first."""
        return await self.site.rows(
            "select * from reading where meter_id = $1 order by read_at", self.site.meters[room]
        )

    async def read_at_present(self, room: int = 0) -> tuple[int, ...]:
        """What the books hold of this very instant; waits for it."""

        async def latest() -> dict[str, Any] | None:
            found = await self.stored(room)
            return found[-1] if found and found[-1]["read_at"] == self.site.clock() else None

        row = await eventually(latest, f"a reading of room {room} at {self.site.clock()}")
        return tuple(row[name] for name in REGISTERS)

    async def round(self, *rooms: int) -> None:
        """Half an hour later: wait until these rooms' meters have been read again."""
        self.site.clock.at += INTERVAL
        for room in rooms:
            await self.read_at_present(room)

    async def order(self, kind: CommandKind, room: int = 0) -> dict[str, Any]:
        """A person's command; answers its row once it has ended."""
        (number,) = await command.request(
            self.site.db, self.site.project_id, [self.site.meters[room]], kind, "test", None,
            self.site.clock(),
        )  # fmt: skip
        return await self.ended(number)

    async def ended(self, number: int) -> dict[str, Any]:
        """A command's row once it has ended."""
        return await eventually(lambda: self._ended(number), f"the end of command {number}")

    async def _ended(self, number: int) -> dict[str, Any] | None:
        row = await self.site.row("select * from command where id = $1", number)
        return row if row["ended_at"] is not None else None

    async def relay(self, room: int = 0) -> Relay:
        """What the books say of a room's relay."""
        return Relay((await self.site.state(room))["relay"])


async def found(
    db: Database, clock: Clock, spec: TownSpec, *, ports: Mapping[str, int] | None = None,
    tariff: Mapping[str, Any] = FLAT, policy: Mapping[str, Any] = HASTY, known: int = 100,
    email: str | None = None,
) -> tuple[Site, dict[str, int]]:  # fmt: skip
    """The books of a town: every meter in a room of its own with a household.

    `ports` are those of gateways that listen; `known` how many gateways are in the books.
    """
    opened_at = clock() - timedelta(days=1)
    group_id = await onboard.open_group(db, "town")
    new = onboard.NewProject("Town", group_id, policy=policy)
    project_id = await onboard.open_project(db, new, opened_at)
    tariff_id = await onboard.publish_tariff(db, project_id, tariff, None, opened_at)
    building_id = await onboard.add_place(db, project_id, None, "building", "A")
    floor_id = await onboard.add_place(db, project_id, building_id, "floor", "1")
    meters = {one.address: one for one in spec.meters}
    gateways: dict[str, int] = {}
    rooms: list[onboard.NewRoom] = []
    for gateway in spec.gateways[:known]:
        gateways[gateway.registration] = await add_gateway(db, project_id, gateway, ports)
        rooms += [
            onboard.NewRoom(
                floor_id=floor_id, name=f"room {address}", sort=0, area_dm2=None,
                tariff_id=tariff_id, model=meters[address].model, address=address,
                gateway_id=gateways[gateway.registration], opened_at=opened_at,
                customer_name="Somebody", email=email,
                keeper=Keeper.METER if meters[address].keeps_purse else Keeper.PLATFORM,
            )
            for address in gateway.meters
        ]  # fmt: skip
    made = await onboard.add_rooms(db, project_id, rooms)
    first = next(iter(gateways.values()), 0)
    return Site(db, clock, project_id, tariff_id, first, floor_id, made), gateways


async def add_gateway(
    db: Database, project_id: int, spec: Any, ports: Mapping[str, int] | None = None
) -> int:
    """A gateway of the town in the books, dialling in unless it has a port."""
    if ports is None:
        return await onboard.add_gateway(db, project_id, spec.registration, spec.registration)
    return await onboard.add_gateway(
        db, project_id, spec.registration, spec.registration, "dial_out",
        f"{HOST}:{ports[spec.registration]}",
    )  # fmt: skip


@asynccontextmanager
async def open_hall(
    db: Database, clock: Clock, *, meters: int = 3, gateways: int = 1, dial_out: bool = False,
    credit_minor: int = 100_000, seed: int = 11, **books: Any,
) -> AsyncIterator[Hall]:  # fmt: skip
    """A town of so many meters and gateways, connected and at work; all stopped at the end."""
    spec = plan_town(seed, meters, gateways)
    town = Town(spec, clock, habits=HABITS)
    if dial_out:
        async with town.listening(HOST) as ports:
            site, numbers = await found(db, clock, spec, ports=ports, **books)
            async with _working(town, site, numbers, credit_minor) as hall:
                yield hall
        return
    site, numbers = await found(db, clock, spec, **books)
    async with _working(town, site, numbers, credit_minor) as hall:
        dialling = asyncio.create_task(town.dial(HOST, hall.head.port))
        yield hall
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)


@asynccontextmanager
async def _working(
    town: Town, site: Site, gateways: Mapping[str, int], credit_minor: int
) -> AsyncIterator[Hall]:
    for room in range(len(site.rooms)):
        await site.pay(credit_minor, room)
    settings = HeadEndSettings(HOST, 0, SPEED, "rs485")
    head = HeadEnd(site.db, site.clock, settings)
    await head.start()
    try:
        yield Hall(town, site, head, gateways)
    finally:
        await head.stop()
