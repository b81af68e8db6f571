"""What every test of the store and the flows stands on: a server, a fresh database, a clock.

One PostgreSQL for each worker process lives as long as the tests do. One database in it is
migrated once; every test gets a copy of that, which takes some ten milliseconds.
"""

import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

# Numba reads this at import and fails on a folder that it cannot write.
KERNELS = Path(__file__).parent.parent / ".pytest_cache" / "numba"
os.environ.setdefault("NUMBA_CACHE_DIR", str(KERNELS))

import pytest  # noqa: E402

from databases import address_of, copy_database, drop_copy, hasten  # noqa: E402
from meterhouse.store.db import Address, Database  # noqa: E402
from meterhouse.store.migrate import migrate  # noqa: E402
from meterhouse.store.server import EmbeddedServer  # noqa: E402
from premises import Clock, Site, build_site  # noqa: E402

TEMPLATE = "meterhouse_template"


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that every user may enter, for a server that a spare user runs."""
    with tempfile.TemporaryDirectory(prefix="meterhouse-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
async def postgres(server_folder: Path) -> AsyncIterator[EmbeddedServer]:
    """The embedded PostgreSQL 18 of this worker; its rows need not outlive a power cut."""
    async with EmbeddedServer(server_folder / "18") as server:
        await hasten(server)
        yield server


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedServer) -> Address:
    """The migrated database that every other one is copied from; nobody stays connected to it."""
    address = address_of(postgres, TEMPLATE)
    await migrate(address)
    return address


@pytest.fixture
async def address(template: Address) -> AsyncIterator[Address]:
    """A fresh, migrated database, gone after the test."""
    fresh = await copy_database(template)
    yield fresh
    await drop_copy(fresh)


@pytest.fixture
async def db(address: Address) -> AsyncIterator[Database]:
    """The fresh database, open as the application opens it."""
    database = Database(address, size=4)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until the test moves it."""
    return Clock()


@pytest.fixture
def new_site(db: Database, clock: Clock) -> Callable[..., Awaitable[Site]]:
    """Builds sites in the fresh database: `await new_site(rooms=3, …)`, see `build_site`."""

    async def build(**choices: object) -> Site:
        return await build_site(db, clock, **choices)

    return build


@pytest.fixture
async def site(new_site: Callable[..., Awaitable[Site]]) -> Site:
    """A project of three rooms with a household each, on a flat tariff."""
    return await new_site()
