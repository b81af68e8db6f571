"""The PostgreSQL versions that the store must fit, each reached the way its users reach it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from databases import address_of, hasten
from meterhouse.store.db import Address, Database
from meterhouse.store.migrate import migrate
from meterhouse.store.server import EmbeddedServer

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
