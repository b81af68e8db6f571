"""What every test of the store and the flows stands on: a server, a fresh database, a clock.

One PostgreSQL for each worker process lives as long as the tests do. One database in it is
migrated once; every test gets a copy of that, which takes some ten milliseconds.
"""

import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

# Numba reads this at import and fails on a folder that it cannot write.
KERNELS = Path(__file__).parent.parent / ".pytest_cache" / "numba"
os.environ.setdefault("NUMBA_CACHE_DIR", str(KERNELS))

import pytest  # noqa: E402

from databases import address_of, copy_database, drop_copy, hasten, quick_place  # noqa: E402
from meterhouse.store.db import Address, Database  # noqa: E402
from meterhouse.store.migrate import migrate  # noqa: E402
from meterhouse.store.server import EmbeddedServer  # noqa: E402
from premises import Clock, Site, build_site  # noqa: E402

TEMPLATE = "meterhouse_template"
TESTS = Path(__file__).parent
# What takes longest, longest first. A file goes to one worker whole, so one that began last would
# be waited for alone; all others are short and come after, those of many tests first.
LONG = (
    "e2e/test_every_page.py",
    "web/test_matrix.py",
    "e2e/test_contract_fuzz.py",
    "e2e/test_journeys.py",
    "e2e/test_console.py",
    "store/test_lists.py",
    "e2e/test_serve_killed.py",
    "e2e/test_guide.py",
    "e2e/test_second_river.py",
    "stateful/test_books.py",
    "flows/test_sheet.py",
    "e2e/test_scheme_editor.py",
    "e2e/test_kill_selling.py",
    "e2e/test_crash.py",
    "property/test_any_order.py",
    "e2e/test_stop.py",
    "property/test_bills.py",
    "sdk/test_build.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the order below: xdist would put files of a single test last, and those are long."""
    assert all((TESTS / name).is_file() for name in LONG)
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files in the order in which they are begun; within a file nothing is moved."""
    places = {TESTS / name: place for place, name in enumerate(LONG)}
    counts = Counter(item.path for item in items)
    items.sort(key=lambda item: (places.get(item.path, len(LONG)), -counts[item.path]))


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that every user may enter, for a server that a spare user runs."""
    with tempfile.TemporaryDirectory(prefix="meterhouse-test-", dir=quick_place()) as folder:
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
