"""`meterhouse demo`: a living town, its past included, on a clock that runs fast.

Owns the story: three buildings, some households nearly out of credit, a few meters silent, one
tenant who pays as soon as the power is off. Everything goes through the real flows, the real head
end and real frames over TCP; only the meters are simulated, and the clock is ours.
"""

import asyncio
import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import typer

from meterhouse.app import House, Plan, fast_clock, run_house
from meterhouse.cli.tariffs import FLAT, HOMES, SHOPS
from meterhouse.config import Settings
from meterhouse.flows import monitor, onboard, reading, recharge
from meterhouse.flows.rate import Tariffs
from meterhouse.model import Relay
from meterhouse.sim.faults import Fault
from meterhouse.sim.gateway import LinkHabits
from meterhouse.sim.meter import SimMeter
from meterhouse.sim.plan import plan_town
from meterhouse.sim.spec import RoomSpec, TownSpec
from meterhouse.sim.town import Town
from meterhouse.units import Minor, to_us

METERS, GATEWAYS = 203, 8
ZONE = ZoneInfo("Asia/Shanghai")
MORNING = time(9, 0)
HISTORY = timedelta(days=4)
STEP = timedelta(minutes=30)
RECHECK_S = 1.0
SHORT_ROOMS, SILENT_METERS, VACANT_EVERY = 6, 3, 17
SILENT_SINCE = timedelta(hours=5)
TENANT_PAYS_MINOR = Minor(5000)
FLAT_MICRO = 600_000
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
    """A room of the town in the books."""

    room: onboard.Room
    spec: RoomSpec
    is_flat: bool


async def live(settings: Settings, speed: int, seed: int, stop: asyncio.Event) -> None:
    """Write the town's past, then let it live until asked to stop."""
    today = datetime.now(ZONE).date()
    start_at = datetime.combine(today, MORNING, ZONE).astimezone(UTC)
    present = Present(start_at - HISTORY)
    spec = plan_town(seed, METERS, GATEWAYS)
    typer.echo("Starting the database …")
    past = Plan(frozenset({"none"}), present.now, 1, "demo", fresh=True)
    async with run_house(settings, past) as house:
        typer.echo(f"Writing the last {HISTORY.days} days of {METERS} rooms …")
        project_id, homes = await found(house, spec, present.now())
        town = Town(spec, present.now, habits=LinkHabits(heartbeat_s=20))
        await write_past(house, project_id, homes, town, present, start_at)
        present.run(speed)
        await go_on(house, project_id, homes, town, speed, stop)
    typer.echo("The town has stopped.")


async def go_on(
    house: House, project_id: int, homes: list[Home], town: Town, speed: int, stop: asyncio.Event
) -> None:
    """Start the parts on the running clock and watch over the story."""
    raise NotImplementedError


async def found(
    house: House, spec: TownSpec, at: datetime
) -> tuple[int, list[Home]]:
    """Group, project, tariffs, gateways and rooms of the town, opened at the start of its past."""
    db = house.db
    group_id = await onboard.open_group(db, "Demo 示范集团")
    new = onboard.NewProject("安瑞公寓 Anrui Town", group_id, policy=POLICY)
    project_id = await onboard.open_project(db, new, at)
    tariffs = {
        name: await onboard.publish_tariff(db, project_id, body, None, at)
        for name, body in (("flats", HOMES), ("shops", SHOPS), ("offices", SHOPS), ("flat", FLAT))
    }
    gateways = {}
    for number, one in enumerate(spec.gateways, start=1):
        gateway_id = await onboard.add_gateway(
            db, project_id, f"GW-{number:02}", one.registration
        )
        gateways |= dict.fromkeys(one.meters, gateway_id)
    models = {one.address: one.model for one in spec.meters}
    homes: list[Home] = []
    count = 0
    for building in spec.buildings:
        building_id = await onboard.add_place(db, project_id, None, "building", building.name)
        for level, floor in enumerate(building.floors):
            floor_id = await onboard.add_place(
                db, project_id, building_id, "floor", floor.name, level
            )
            new_rooms = []
            flats = []
            for sort, room in enumerate(floor.rooms):
                count += 1
                is_flat = building.kind == "flats" and sort % 3 == 0 and room.kind == "room"
                vacant = room.kind != "room" or not room.customer or count % VACANT_EVERY == 0
                flats.append(is_flat and not vacant)
                new_rooms.append(
                    onboard.NewRoom(
                        floor_id=floor_id, name=room.name, sort=sort, area_dm2=room.area_dm2,
                        tariff_id=tariffs["flat" if is_flat else building.kind],
                        model=models[room.meter], address=room.meter,
                        gateway_id=gateways[room.meter], opened_at=at,
                        customer_name=None if vacant else room.customer,
                    )
                )  # fmt: skip
            made = await onboard.add_rooms(db, project_id, new_rooms)
            homes += [
                Home(one, room, is_flat)
                for one, room, is_flat in zip(made, floor.rooms, flats, strict=True)
            ]
    return project_id, homes
