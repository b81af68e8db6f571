"""Kill the work and its database at any moment: nothing acknowledged is lost, nothing done twice.

The kills are real (`SIGKILL`), at moments a seed chooses, and each is proven: the nursery that
forked the child reports the signal it died of, and a killed PostgreSQL has another process number
afterwards. After every kill the item acknowledged last is looked for in the database before anybody
may repeat it; at the end the books are compared with those of an uninterrupted run.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import asyncpg
import pytest

import crashing
from conftest import address_of
from meterhouse.store.db import Address, Database
from meterhouse.store.migrate import migrate
from meterhouse.store.proofs import prove
from meterhouse.store.server import EmbeddedServer
from premises import HOMES, Clock, build_site
from townhall import eventually

KILLS = 52
SEED = 20260304
REPEATED = 3
PAUSE_MAX_S = 0.2
# So low that nobody is cut off: a hundred commands a round would cost the time of many kills.
FLOOR_MINOR = -10_000_000
VICTIMS = ("child", "child", "postgres", "postgres", "both")

# What two databases must agree on: everything but when a row was written.
BOOKS = {
    "readings": """select meter_id, register_epoch, read_at, total_milli, relay, source
        from reading order by 1, 2, 3""",
    "payments": "select key, account_id, amount_minor from payment order by 1",
    "rated": """select point_id, rated_nano, accrued_nano, good_at, good_0_milli, block_milli,
        block_period_at from point_state order by 1""",
    "balances": """select id, kind, debit_minor, credit_minor, pending_debit_minor
        from account order by 1""",
    "charges": """select distinct on (point_id, ended_at) point_id, ended_at, started_at,
        energy_milli, amount_nano from charge order by 1, 2, version desc""",
}


@dataclass
class Nursery:
    """The process that forks the workers, and the worker that runs now."""

    process: asyncio.subprocess.Process
    pid: int = 0  # 0 while none runs

    async def start(self, first: int) -> None:
        self.process.stdin.write(b"%d\n" % first)
        self.pid = int(await self.process.stdout.readline())

    async def ended(self) -> int:
        status = int(await self.process.stdout.readline())
        self.pid = 0
        return status


@contextlib.asynccontextmanager
async def nursery(address: Address, folder: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "crashing", address.host, address.database,
        str(folder / "acknowledged"), str(folder / "until"),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert await process.stdout.readline() == b"ready\n"
    worker = Nursery(process)
    try:
        yield worker
        process.stdin.close()
        assert await process.wait() == 0
    finally:
        for pid in filter(None, (process.pid, worker.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
async def house():
    """A durable server with two equal sites of a hundred meters: to be killed, and in peace."""
    with tempfile.TemporaryDirectory(prefix="meterhouse-crash-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "acknowledged").touch()
        async with EmbeddedServer(folder / "postgres") as server:
            killed = address_of(server, "killed")
            await migrate(killed)
            db = Database(killed, size=2)
            await db.open()
            site = await build_site(
                db, Clock(), rooms=crashing.METERS, tariff=HOMES, floor_minor=FLOOR_MINOR
            )
            await db.close()
            assert (site.project_id, site.meters[0], site.points[-1]) == (1, 1, crashing.METERS)
            peaceful = replace(killed, database="peaceful")
            await execute(killed, "create database peaceful template killed", "postgres")
            yield SimpleNamespace(server=server, folder=folder, killed=killed, peaceful=peaceful)


async def execute(address: Address, statement: str, database: str) -> None:
    connection = await asyncpg.connect(**address.arguments(None) | {"database": database})
    await connection.execute(statement)
    await connection.close()


async def connected(address: Address) -> asyncpg.Connection:
    """A connection past the policies, as soon as the server answers again."""

    async def attempt():
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return await asyncpg.connect(**address.arguments(None))

    return await eventually(attempt, "the server to answer")


async def holds(address: Address, item: int) -> bool:
    """Whether everything of an item is in the database."""
    connection = await connected(address)
    try:
        if crashing.is_payment(item):
            return await connection.fetchval(
                "select count(*) = 1 from payment where key = $1", str(item)
            )
        rows = crashing.readings_of(item)
        found = await connection.fetchval(
            """select count(*) from reading r
               join unnest($1::int8[], $2::timestamptz[], $3::int8[]) as s (meter, at, total)
               on (r.meter_id, r.read_at, r.total_milli) = (s.meter, s.at, s.total)""",
            *([row[n] for row in rows] for n in range(3)),
        )
        return found == len(rows)
    finally:
        await connection.close()


async def books(address: Address) -> dict[str, list[tuple]]:
    connection = await connected(address)
    found = {name: await connection.fetch(query) for name, query in BOOKS.items()}
    await connection.close()
    return {name: [tuple(row) for row in rows] for name, rows in found.items()}


async def kill_postgres(server: EmbeddedServer) -> None:
    """Kill the postmaster and every backend; return once another postmaster has taken over."""
    before = server.pid
    victims = server._leftovers()
    assert before in victims
    for pid in [before, *victims]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await eventually(lambda: server.pid not in (None, before), "another postmaster")
    assert not Path(f"/proc/{before}/cmdline").exists() or before not in server._leftovers()


async def test_fifty_kills_lose_nothing_and_repeat_nothing(house):
    dice = random.Random(SEED)
    acknowledged, until = house.folder / "acknowledged", house.folder / "until"
    killed = Counter()
    async with nursery(house.killed, house.folder) as worker:
        await worker.start(0)
        for _ in range(KILLS):
            before = crashing.last_acknowledged(acknowledged)
            await eventually(lambda n=before: crashing.last_acknowledged(acknowledged) > n)
            await asyncio.sleep(dice.random() * PAUSE_MAX_S)  # the random moment, nothing else
            victim = dice.choice(VICTIMS)
            if victim in ("child", "both"):
                os.kill(worker.pid, signal.SIGKILL)
            if victim in ("postgres", "both"):
                await kill_postgres(house.server)
                killed["postgres"] += 1
            promised = crashing.last_acknowledged(acknowledged)
            if victim in ("child", "both"):
                assert await worker.ended() == -signal.SIGKILL
                killed["child"] += 1
            assert await holds(house.killed, promised), f"{promised} is lost after {victim}"
            if victim in ("child", "both"):
                await worker.start(max(promised + 1 - dice.randint(0, REPEATED), 0))
        end = -(-(crashing.last_acknowledged(acknowledged) + 5) // crashing.BOOKING_EVERY)
        end = end * crashing.BOOKING_EVERY + 1
        whole = until.with_suffix(".whole")
        whole.write_text(f"{end}\n")
        whole.rename(until)
        assert await worker.ended() == 0
    assert sum(killed.values()) >= KILLS
    assert min(killed["child"], killed["postgres"]) >= KILLS // 3
    await compare(house, end)


async def compare(house: SimpleNamespace, end: int) -> None:
    """The killed books prove themselves, and are those of an uninterrupted run."""
    promised = {int(line) for line in (house.folder / "acknowledged").read_text().split()}
    assert promised == set(range(end))
    contradicted = [proof.says for proof in await prove(house.killed) if not proof.holds]
    assert contradicted == []
    db = Database(house.peaceful, size=2)
    await db.open()
    tariffs = crashing.Tariffs()
    for item in range(end):
        await crashing.work_on(db, tariffs, item)
    await db.close()
    found, wanted = await books(house.killed), await books(house.peaceful)
    assert len(found["readings"]) == len(list(crashing.readings_before(end)))
    assert len(found["payments"]) == sum(map(crashing.is_payment, range(end)))
    assert sum(row[1] for row in found["rated"]) > 0
    for name in BOOKS:
        assert found[name] == wanted[name], name
