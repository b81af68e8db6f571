"""What the store needs of PostgreSQL, on every version and by every way in that it supports."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from databases import address_of, hasten
from meterhouse.flows import close, command
from meterhouse.model import CommandKind
from meterhouse.store import proofs, queue
from meterhouse.store.db import APP, MAINTENANCE, Address, Database, maintenance, savepoint
from meterhouse.store.migrate import RightsMissing, migrate, revision
from meterhouse.store.server import EmbeddedServer
from premises import HOMES, Clock, build_site

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
# Version 18 as the house runs it; 16 by URL, by somebody who may create roles and no more; 15, the
# distribution's own, by URL of its superuser.
ENGINES: dict[str, dict[str, Any]] = {"18 embedded": {"version": 18}, "16 by URL": {"version": 16}}
if DEBIAN_15.is_dir():
    ENGINES["15 by URL"] = {"binaries": DEBIAN_15}


@dataclass(frozen=True)
class Engine:
    """A running server and who migrates on it; None where the house does so itself."""

    server: EmbeddedServer
    user: str | None

    def address(self, database: str) -> Address:
        if self.user is None:
            return address_of(self.server, database)
        folder = quote(str(self.server.socket_folder), safe="")
        return Address(url=f"postgresql://{self.user}@{folder}:{self.server.port}/{database}")


@pytest.fixture(scope="session", params=ENGINES)
async def engine(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Engine]:
    name = request.param
    async with EmbeddedServer(server_folder / f"engine-{name[:2]}", **ENGINES[name]) as server:
        await hasten(server)
        user = {"16 by URL": "deployer", "15 by URL": "postgres"}.get(name)
        admin = await asyncpg.connect(**address_of(server, "postgres").arguments(None))
        if user == "deployer":
            await admin.execute("create role deployer login createrole bypassrls")
        if user is not None:
            await admin.execute(f"create database books owner {user}")
        await admin.close()
        yield Engine(server, user)


@pytest.fixture(scope="session")
async def engine_address(engine: Engine) -> Address:
    """A database migrated on this engine, shared by the tests: each brings a project of its own."""
    address = engine.address("books")
    await migrate(address)
    return address


@pytest.fixture
async def engine_db(engine_address: Address) -> AsyncIterator[Database]:
    database = Database(engine_address, size=2)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def home(engine_db):
    return await build_site(engine_db, Clock(), rooms=2, tariff=HOMES)


async def test_migrating_again_changes_nothing(engine_address):
    first = await revision(engine_address)
    assert await migrate(engine_address) == first


async def test_who_may_not_prepare_a_database_is_told_so(tmp_path):
    async with EmbeddedServer(tmp_path / "bare") as server:
        admin = await asyncpg.connect(**address_of(server, "postgres").arguments(None))
        await admin.execute("create role nobody_much login")
        await admin.close()
        folder = quote(str(server.socket_folder), safe="")
        url = f"postgresql://nobody_much@{folder}:{server.port}/postgres"
        with pytest.raises(RightsMissing, match="create role"):
            await migrate(Address(url=url))


async def test_every_connection_steps_down_to_its_role(engine_db, engine_address):
    async with engine_db.transaction(()) as connection:
        assert await connection.fetchval("select current_user") == APP
    async with maintenance(engine_address) as connection:
        assert await connection.fetchval("select current_user") == MAINTENANCE


async def test_the_roles_own_no_table_and_the_application_is_no_superuser(engine_address):
    async with maintenance(engine_address) as connection:
        owners = await connection.fetch(
            "select distinct tableowner from pg_tables where schemaname = 'meterhouse'"
        )
        assert [row["tableowner"] for row in owners] == ["meterhouse_owner"]
        rights = await connection.fetchrow(
            "select rolsuper, rolbypassrls, rolcreaterole from pg_roles where rolname = $1", APP
        )
        assert not any(rights.values())


async def test_readings_money_and_commands_flow_and_the_proofs_hold(home, engine_address):
    clock = home.clock
    await home.pay(700)
    for total_milli in (0, 9_000, 30_000):
        clock.step(minutes=30)
        await home.say(total_milli)
    await home.read((home.meters[0], clock() - timedelta(minutes=45), 4_000))
    await close.book_day(home.db, home.project_id, clock())
    assert [one["kind"] for one in await home.commands()] == ["disconnect"]
    assert await command.claim(home.db, home.project_id, home.gateway_id, clock()) is not None
    assert [one.says for one in await proofs.prove(engine_address) if not one.holds] == []


async def test_another_project_is_not_there(home, engine_db):
    await home.say(1)
    other = await build_site(engine_db, Clock(), name="other")
    for table in ("project", "point", "point_state", "reading", "account", "meter"):
        column = "id" if table == "project" else "project_id"
        found = await other.rows(f"select distinct {column} as project_id from {table}")
        assert [one["project_id"] for one in found] in ([other.project_id], []), table


async def test_a_partition_can_be_filled_and_never_read(home):
    await home.say(1)
    async with home.db.transaction([home.project_id]) as connection:
        part = await connection.fetchval("select tableoid::regclass::text from reading limit 1")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with savepoint(connection):
                await connection.fetch(f"select * from {part}")


async def test_a_queued_command_wakes_who_listens(home):
    heard = asyncio.Queue()
    async with home.db.listener(queue.WAKE_CHANNEL, heard.put_nowait):
        await command.request(
            home.db, home.project_id, home.meters[:1], CommandKind.READ, "", None, home.clock()
        )
        async with asyncio.timeout(10):
            assert await heard.get() == f"{home.project_id}:{home.gateway_id}"
