"""A site for whoever looks at it, with readings, money and an alarm, in a database of its own.

Two projects, so that a test can ask for what is another's. Project one has two buildings: rooms
A101 (plenty of credit), A102 (low), A103 (owing), A104 (vacant), B101 (relay open, its last
register doubtful), B102 (offline, never read).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from databases import copy_database, drop_copy, keep_plans
from meterhouse.flows import access, day, onboard, reading, receipt, recharge
from meterhouse.flows.onboard import NewProject, NewRoom, Room
from meterhouse.flows.prices import Tariffs
from meterhouse.model import AlarmKind
from meterhouse.paper.sheet import Paper
from meterhouse.store import queue, readings
from meterhouse.store.db import Address, Database, maintenance
from meterhouse.units import to_us

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
PASSWORD = "a-long-enough-password"
FLAT = {
    "name": "flat",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {"effective_from": "2020-01-01T00:00:00+08:00", "prices_micro": {"all": [500_000]}}
    ],
}
# Room, customer, opening credit, energy used a day, relay; A104 is vacant, B102 never answered.
ROOMS = (
    ("A101", "王静", 20_000, 4_000, 1),
    ("A102", "李芳", 1_500, 4_000, 1),
    ("A103", "张伟", 100, 4_000, 1),
    ("A104", None, 0, 0, 1),
    ("B101", "陈敏", 9_000, 0, 2),
    ("B102", "赵磊", 5_000, 0, 0),
)


@dataclass
class Site:
    """Where everything is."""

    db: Database
    project_id: int
    other_id: int
    rooms: dict[str, Room]
    manager: str
    reader: str
    key: str
    other_key: str


@asynccontextmanager
async def small_site(template: Address) -> AsyncIterator[Site]:
    """The site, made in a copy of a migrated database."""
    address = await copy_database(template)
    await keep_plans(address)
    db = Database(address)
    await db.open()
    try:
        yield await _make(db)
    finally:
        await db.close()
        await drop_copy(address)


async def _make(db: Database) -> Site:
    begun = NOW - timedelta(days=10)
    group_id = await onboard.open_group(db, "group")
    project_id = await onboard.open_project(db, NewProject("安瑞公寓", group_id), begun)
    other_id = await onboard.open_project(db, NewProject("滨江广场", group_id), begun)
    rooms = await _rooms(db, project_id, begun)
    await _readings(db, project_id, rooms)
    await _alarms(db, project_id, rooms)
    await day.close_days(db, project_id, None, None, NOW - timedelta(hours=11))
    await access.add_person(
        db, "li", "李娜", PASSWORD, "project_manager", "project", project_id, begun
    )
    await access.add_person(db, "chen", "陈工", PASSWORD, "read_only", "project", other_id, begun)
    _, key = await access.add_client(
        db, "erp", "ERP", "project_manager", "project", project_id, begun
    )
    _, other_key = await access.add_client(db, "bi", "BI", "read_only", "project", other_id, begun)
    return Site(db, project_id, other_id, rooms, "li", "chen", key, other_key)


async def let_meter_keep(site: Site, room: str) -> None:
    """From now on the meter of a room keeps its household's money."""
    async with maintenance(site.db.address) as connection:
        await connection.execute(
            "update point set keeper = 'meter' where id = $1", site.rooms[room].point_id
        )
        await connection.execute(
            "update meter set model = 'DLT645-2007-ORDER' where id = $1", site.rooms[room].meter_id
        )


async def _rooms(db: Database, project_id: int, begun: datetime) -> dict[str, Room]:
    tariff_id = await onboard.publish_tariff(db, project_id, FLAT, None, begun)
    gateway_id = await onboard.add_gateway(db, project_id, "GW-1", "A100F7")
    floors = {}
    for sort, name in enumerate(("A栋", "B栋")):
        building_id = await onboard.add_place(db, project_id, None, "building", name, sort)
        floors[name[0]] = await onboard.add_place(db, project_id, building_id, "floor", "1F", 0)
    new = [
        NewRoom(
            floor_id=floors[name[0]], name=name, sort=index, area_dm2=3000, tariff_id=tariff_id,
            model="DDSY1352-NK", address=f"{index + 1:012d}", gateway_id=gateway_id,
            opened_at=begun, customer_name=customer,
        )
        for index, (name, customer, *_) in enumerate(ROOMS)
    ]  # fmt: skip
    made = await onboard.add_rooms(db, project_id, new)
    payments = [
        await recharge.add_credit(
            db, project_id, room.point_id, credit_minor, "cash", f"first-{name}", "", None, begun
        )
        for (name, customer, credit_minor, *_), room in zip(ROOMS, made, strict=True)
        if customer
    ]
    receipt_id = await receipt.issue_later(db, project_id, payments[0].payment_id, None, begun)
    await receipt.count_print(db, project_id, receipt_id, Paper.A5, "zh-Hans", False, None, begun)
    return {name: room for (name, *_), room in zip(ROOMS, made, strict=True)}


async def _readings(db: Database, project_id: int, rooms: dict[str, Room]) -> None:
    tariffs = Tariffs()
    read = [row for row in ROOMS if row[0] != "B102"]
    for n in range(4):
        read_at = NOW - timedelta(days=3 - n, minutes=5)
        count = len(read)
        milli = np.full((count, 5), -1, dtype=np.int64)
        milli[:, 0] = [100_000 + n * used_milli for *_, used_milli, _ in read]
        batch = reading.Batch(
            meter_id=np.array([rooms[name].meter_id for name, *_ in read]),
            read_at_us=np.full(count, to_us(read_at)),
            milli=milli,
            relay=np.array([relay for *_, relay in read]),
            keep_power=np.full(count, -1),
            power_w=np.full(count, 420),
            credit_minor=np.full(count, -1),
            source=np.zeros(count, dtype=np.int64),
        )
        await reading.ingest(db, tariffs, project_id, batch, read_at + timedelta(seconds=2))
    fallen = batch.take(batch.meter_id == rooms["B101"].meter_id)
    fallen.milli[:, 0], fallen.read_at_us[:] = 0, fallen.read_at_us + 60_000_000
    await reading.ingest(db, tariffs, project_id, fallen, NOW - timedelta(minutes=3))


async def _alarms(db: Database, project_id: int, rooms: dict[str, Room]) -> None:
    silent = rooms["B102"]
    alarm = queue.NewAlarm(
        AlarmKind.METER_OFFLINE, f"meter:{silent.meter_id}", point_id=silent.point_id,
        meter_id=silent.meter_id,
    )  # fmt: skip
    async with db.transaction([project_id]) as connection:
        await queue.open_alarms(connection, project_id, [alarm], NOW - timedelta(hours=2))
        await readings.bump(connection, project_id)
