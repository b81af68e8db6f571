"""A small site to test on: one project with books, a tariff, gateways, rooms and readings.

Owns nothing but convenience: everything is made by the flows that make it in life.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from meterhouse.flows import onboard, outbox, reading, recharge
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Keeper, Relay
from meterhouse.ports import Notice
from meterhouse.store.db import Database
from meterhouse.units import Minor, to_us

# A Wednesday, ten in the morning in Shanghai: no quiet hour, no weekend.
MORNING = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
MODEL = "DTSY1352-NK"

FLAT: dict[str, Any] = {
    "name": "Flat",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {"effective_from": "2020-01-01T00:00:00+08:00", "prices_micro": {"flat": [600_000]}}
    ],
}
HOMES: dict[str, Any] = {
    "name": "Homes",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {
            "effective_from": "2020-01-01T00:00:00+08:00",
            "bands": ["peak", "valley"],
            "day_tables": {"every_day": {"00:00": "valley", "08:00": "peak", "22:00": "valley"}},
            "blocks": {"period": "month", "limits_milli": [20_000, 40_000]},
            "prices_micro": {
                "peak": [620_000, 670_000, 920_000],
                "valley": [320_000, 370_000, 620_000],
            },
        }
    ],
}
# Nobody waits: notices need not age, a household without e-mail may be cut off, and one person
# alone pays money out.
HASTY: dict[str, Any] = {
    "notice_age_s": 0, "disconnect_without_channel": True, "refund_second_minor": 0,
}  # fmt: skip


@dataclass(slots=True)
class Clock:
    """The present instant, moved by hand alone."""

    at: datetime = MORNING

    def __call__(self) -> datetime:
        return self.at

    def step(self, **much: int) -> datetime:
        """Move on by a `timedelta` of these words, and say what it is then."""
        self.at += timedelta(**much)
        return self.at


class Taker:
    """A channel that takes whatever it is given."""

    channel = "email"

    def __init__(self) -> None:
        self.taken: list[Notice] = []

    async def send(self, notice: Notice) -> None:
        self.taken.append(notice)


Said = tuple[Any, ...]
"""What a meter said: (meter_id, read_at, total_milli[, relay[, four bands]])."""


def batch_of(rows: Sequence[Said], source: int = 0) -> reading.Batch:
    """Readings as the flow takes them; relay closed and bands unknown unless the row says."""
    columns: dict[str, list[Any]] = {"meter": [], "at": [], "milli": [], "relay": []}
    for meter_id, read_at, total_milli, *more in rows:
        columns["meter"].append(meter_id)
        columns["at"].append(to_us(read_at))
        columns["relay"].append(int(more[0]) if more else int(Relay.CLOSED))
        columns["milli"].append([total_milli, *(more[1] if len(more) > 1 else (-1, -1, -1, -1))])
    unsaid = np.full(len(rows), -1, dtype=np.int64)
    return reading.Batch(
        meter_id=np.array(columns["meter"], dtype=np.int64),
        read_at_us=np.array(columns["at"], dtype=np.int64),
        milli=np.array(columns["milli"], dtype=np.int64).reshape(-1, 5),
        relay=np.array(columns["relay"], dtype=np.int64),
        keep_power=unsaid.copy(),
        power_w=unsaid.copy(),
        credit_minor=unsaid.copy(),
        source=np.full(len(rows), source, dtype=np.int64),
    )


@dataclass(slots=True)
class Site:
    """What was built, and short ways to let something happen there."""

    db: Database
    clock: Clock
    project_id: int
    tariff_id: int
    gateway_id: int
    floor_id: int
    rooms: list[onboard.Room]
    tariffs: Tariffs = field(default_factory=Tariffs)

    @property
    def meters(self) -> list[int]:
        """The meters of the rooms, in their order."""
        return [room.meter_id for room in self.rooms]

    @property
    def points(self) -> list[int]:
        """The points of the rooms, in their order."""
        return [room.point_id for room in self.rooms]

    async def read(self, *rows: Said, source: int = 0) -> reading.Ingested:
        """Readings arrive in one batch, now."""
        return await reading.ingest(
            self.db, self.tariffs, self.project_id, batch_of(rows, source), self.clock()
        )

    async def say(
        self, total_milli: int, room: int = 0, relay: Relay = Relay.CLOSED
    ) -> reading.Ingested:
        """One room's meter says its total at this very instant."""
        return await self.read((self.meters[room], self.clock(), total_milli, relay))

    async def pay(self, amount_minor: int, room: int = 0, key: str = "") -> recharge.Recharged:
        """One room's household pays at the desk."""
        key = key or f"key-{room}-{self.clock()}-{amount_minor}"
        return await recharge.add_credit(
            self.db, self.project_id, self.points[room], Minor(amount_minor), "cash", key,
            "at the desk", None, self.clock(),
        )  # fmt: skip

    async def deliver(self) -> int:
        """Every notice that is due reaches its recipient."""
        takers = {"email": Taker(), "console": Taker()}
        return await outbox.deliver(self.db, takers, self.project_id, self.clock())

    async def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """What a query finds within the project's scope."""
        async with self.db.transaction([self.project_id]) as connection:
            return [dict(row) for row in await connection.fetch(query, *arguments)]

    async def row(self, query: str, *arguments: Any) -> dict[str, Any]:
        """The one row a query finds."""
        (found,) = await self.rows(query, *arguments)
        return found

    async def state(self, room: int = 0) -> dict[str, Any]:
        """The state of one room's point."""
        return await self.row("select * from point_state where point_id = $1", self.points[room])

    async def commands(self) -> list[dict[str, Any]]:
        """Every command of the project, oldest first."""
        return await self.rows("select * from command order by id")

    async def alarms(self, *, is_open: bool = True) -> list[tuple[str, str]]:
        """(kind, subject) of the alarms that are open, or of those that have closed."""
        found = await self.rows(
            "select kind, subject from alarm where (closed_at is null) = $1 order by id", is_open
        )
        return [(row["kind"], row["subject"]) for row in found]


async def build_site(
    db: Database, clock: Clock, *, rooms: int = 3, tariff: Mapping[str, Any] = FLAT,
    policy: Mapping[str, Any] = HASTY, keeper: Keeper = Keeper.PLATFORM, multiplier: int = 1,
    floor_minor: int | None = 0, email: str | None = None, is_let: bool = True,
    timezone: str = "Asia/Shanghai", group_id: int | None = None, name: str = "site",
    model: str = MODEL,
) -> Site:  # fmt: skip
    """A project with one building, one floor and so many rooms, open since a day ago."""
    opened_at = clock() - timedelta(days=1)
    if group_id is None:
        group_id = await onboard.open_group(db, f"group of {name}")
    project_id = await onboard.open_project(
        db, onboard.NewProject(name, group_id, timezone=timezone, policy=policy), opened_at
    )
    tariff_id = await onboard.publish_tariff(db, project_id, tariff, None, opened_at)
    gateway_id = await onboard.add_gateway(db, project_id, "GW", f"{name}-{project_id}")
    building_id = await onboard.add_place(db, project_id, None, "building", "A")
    floor_id = await onboard.add_place(db, project_id, building_id, "floor", "1")
    new = [
        onboard.NewRoom(
            floor_id=floor_id, name=f"1{n:02}", sort=n, area_dm2=5000, tariff_id=tariff_id,
            model=model, address=f"{n:012}", gateway_id=gateway_id, opened_at=opened_at,
            customer_name=f"Household {n}" if is_let else None, email=email, keeper=keeper,
            multiplier=multiplier, floor_minor=floor_minor,
        )
        for n in range(1, rooms + 1)
    ]  # fmt: skip
    made = await onboard.add_rooms(db, project_id, new)
    return Site(db, clock, project_id, tariff_id, gateway_id, floor_id, made)
