"""A database of its own and a site of any size in it, for the measurements that need one.

Owns the folder `bench` beneath the data folder: an embedded server that no installation uses, and
in it one database a measurement, made anew each time. Must never open a configured database.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from meterhouse import meter_models
from meterhouse.bench.rate import SCHEME
from meterhouse.config import Settings
from meterhouse.flows import onboard
from meterhouse.flows.upkeep import ready_partitions
from meterhouse.rating.warm import warm
from meterhouse.store import bulk
from meterhouse.store.db import Address, Database
from meterhouse.store.migrate import drop_database, migrate
from meterhouse.store.server import EmbeddedServer

ROOMS_A_FLOOR = 20
FLOORS_A_BUILDING = 25
CREDITS_MINOR = (2_000, 62_000)
# A household may be cut off at once, at any hour, however many there are; none has an e-mail
# address, so that no delivery has to be waited for.
POLICY = {
    "quiet_start_minute": 0, "quiet_end_minute": 0, "quiet_weekdays": [], "notice_age_s": 0,
    "disconnect_without_channel": True, "sweep_count_max": 100_000, "sweep_percent_max": 100,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Site:
    """A project with its rooms; `meter_ids` in the order in which the meters were given."""

    address: Address
    db: Database
    project_id: int
    meter_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Link:
    """A gateway of the site and the meters on its bus: (address, model)."""

    registration: str
    meters: Sequence[tuple[str, str]]


@asynccontextmanager
async def open_site(
    settings: Settings, name: str, links: Sequence[Link], at: datetime,
    credits_minor: Sequence[int] | None = None, interval_s: int = 1800,
) -> AsyncIterator[Site]:  # fmt: skip
    """A fresh database with one project, its gateways, and a household for every meter.

    Args:
        settings: whose data folder is used.
        name: of the database.
        links: the gateways.
        at: the instant everything opens.
        credits_minor: dealt out to the households in turn; without it a spread of a few days'
            to some months' worth, so that each round a few cross a warning.
        interval_s: seconds between two rounds.
    """
    folder = settings.data / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    async with EmbeddedServer(folder) as server:
        address = Address(
            host=str(server.socket_folder), port=server.port, database=f"bench_{name}",
            superuser=server.superuser, login_roles=True,
        )  # fmt: skip
        await drop_database(address)
        await migrate(address)
        db = Database(address)
        await db.open()
        try:
            await ready_partitions(db, [at, at + timedelta(days=7)])
            warm()
            if credits_minor is None:
                random = np.random.default_rng(7)
                credits_minor = random.integers(*CREDITS_MINOR, 10_007).tolist()
            project_id, meter_ids = await _found(db, address, links, at, credits_minor, interval_s)
            yield Site(address, db, project_id, meter_ids)
        finally:
            await db.close()
            await drop_database(address)


async def _found(
    db: Database, address: Address, links: Sequence[Link], at: datetime,
    credits_minor: Sequence[int], interval_s: int,
) -> tuple[int, list[int]]:  # fmt: skip
    group_id = await onboard.open_group(db, "Bench")
    new = onboard.NewProject("Bench", group_id, reading_interval_s=interval_s, policy=POLICY)
    project_id = await onboard.open_project(db, new, at)
    tariff_id = await onboard.publish_tariff(db, project_id, SCHEME, None, at)
    gateway_ids = await bulk.hang_gateways(
        address, project_id, [link.registration for link in links]
    )
    meters = [
        _meter(gateway_id, *one)
        for gateway_id, link in zip(gateway_ids, links, strict=True) for one in link.meters
    ]  # fmt: skip
    floors = -(-len(meters) // ROOMS_A_FLOOR)
    floor_ids = await bulk.raise_floors(address, project_id, floors, FLOORS_A_BUILDING)
    site = bulk.BulkSite(project_id, tariff_id, floor_ids, ROOMS_A_FLOOR, meters, credits_minor)
    return project_id, await bulk.fill(address, site, at)


def _meter(gateway_id: int, address: str, model: str) -> bulk.BulkMeter:
    known = meter_models.load(model)
    return bulk.BulkMeter(gateway_id, model, address, known.modulus_milli, known.max_power_w)


def straight_links(meters: int, a_gateway: int = 200, model: str = "DDSY1352-NK") -> list[Link]:
    """Gateways with `a_gateway` meters each, for measurements that never open a line."""
    addresses = [(f"{number:012d}", model) for number in range(1, meters + 1)]
    return [
        Link(f"BENCH{start:08d}", addresses[start : start + a_gateway])
        for start in range(0, meters, a_gateway)
    ]


def monday() -> datetime:
    """Where measurements without a clock begin: a Monday, so that no week ends within them."""
    return datetime(2026, 3, 2, tzinfo=UTC)
