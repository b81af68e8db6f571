"""The composition root: settings in, a running house out.

Owns what is started in which order, and the platform's clock. Must never
decide anything itself. Everything is stopped in the reverse order, so that what has been read is
committed before the database goes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn

from meterhouse.config import EMBEDDED, Settings, secret_key_of
from meterhouse.errors import Conflict, MeterhouseError
from meterhouse.flows import access, passwords, welcome
from meterhouse.flows.health import Readiness
from meterhouse.flows.upkeep import ready_partitions
from meterhouse.headend.service import HeadEnd, HeadEndSettings
from meterhouse.logs import Log
from meterhouse.notifiers import ConsoleNotifier, EmailNotifier
from meterhouse.plugins import open_security
from meterhouse.ports import Clock, Notifier
from meterhouse.press import setter
from meterhouse.press.fonts import ChineseFontMissing
from meterhouse.rating.warm import warm
from meterhouse.store.db import Address, Database
from meterhouse.store.migrate import drop_database, head_revision, migrate, revision
from meterhouse.store.server import DataInUse, EmbeddedServer
from meterhouse.vitals import Signs, create_vitals
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.port import open_port
from meterhouse.web.works import works
from meterhouse.worker import Worker

log = Log(__name__)

PARTS = ("web", "headend", "worker")
CONNECTIONS = {"web": 10, "headend": 8, "worker": 4}
READINESS_S = 2


class SchemaOld(MeterhouseError):
    """The database is at {found}, this program needs {wanted}: run `meterhouse migrate`."""

    code = "schema_old"

    def __init__(self, found: str | None, wanted: str) -> None:
        super().__init__(found=found or "none", wanted=wanted)


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


class PortTaken(MeterhouseError):
    """{what} cannot listen on {host}:{port}: {why}. Stop what uses it, or choose another port."""

    code = "port_taken"

    def __init__(self, what: str, host: str, port: int, error: OSError) -> None:
        super().__init__(what=what, host=host, port=port, why=error.strerror or str(error))


@dataclass(frozen=True, slots=True)
class Plan:
    """What of the house is to run, on which clock.

    `speed` is seconds of the clock per real second; `database` the name within the embedded
    server; `fresh` drops that database first; `administrator` makes one on an empty installation
    instead of a way in.
    """

    parts: frozenset[str] = frozenset(PARTS)
    clock: Clock = utc_now
    speed: int = 1
    database: str = "meterhouse"
    fresh: bool = False
    administrator: bool = False


class _Quiet(uvicorn.Server):
    """uvicorn without signal handlers of its own: the house decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Listening:
    """One HTTP server on a socket of its own.

    Raises:
        PortTaken: it cannot listen there.
    """

    def __init__(self, app: Any, what: str, host: str, port: int) -> None:
        try:
            self._socket = open_port(host, port)
        except OSError as error:
            raise PortTaken(what, host, port, error) from error
        self.port: int = self._socket.getsockname()[1]
        self._server = _Quiet(
            uvicorn.Config(
                app, host=host, port=port, log_config=None, access_log=False, lifespan="off",
                server_header=False,
            )
        )  # fmt: skip
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self, within_s: int = 1) -> None:
        """Take no more requests, and let those under way end within so many seconds."""
        self._server.config.timeout_graceful_shutdown = within_s
        self._server.should_exit = True
        await self._task
        self._socket.close()


@dataclass(slots=True)
class House:
    """A running installation; use `run_house` to make one."""

    settings: Settings
    plan: Plan
    address: Address
    db: Database
    signs: Signs
    worker: Worker | None = None
    headend: HeadEnd | None = None
    web: Listening | None = None
    first_password: str | None = None
    welcome: str | None = None


@contextlib.asynccontextmanager
async def open_address(
    settings: Settings, plan: Plan, *, join: bool = False
) -> AsyncIterator[Address]:
    """The database's address; starts the embedded server and brings it up to date.

    With `join`, the server that a running meterhouse keeps on this folder will do as well.

    Raises:
        SchemaOld: a server given by URL has not been migrated.
        DataInUse: another meterhouse runs on this folder.
    """
    if settings.database_url != EMBEDDED:
        address = Address(url=settings.database_url)
        found = await revision(address)
        if found != head_revision():
            raise SchemaOld(found, head_revision())
        yield address
        return
    server = EmbeddedServer(settings.data / "postgres")
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(server)
            folder = server.socket_folder
        except DataInUse:
            if not join:
                raise
            folder = server.join()
        address = Address(
            host=str(folder), port=server.port, database=plan.database,
            superuser=server.superuser, login_roles=True,
        )  # fmt: skip
        if plan.fresh:
            await drop_database(address)
        await migrate(address)
        yield address


@contextlib.asynccontextmanager
async def open_database(settings: Settings, plan: Plan) -> AsyncIterator[Database]:
    """A database for a single job beside a house that may be running."""
    async with open_address(settings, plan, join=True) as address:
        db = Database(address, size=2)
        await db.open()
        try:
            yield db
        finally:
            await db.close()


@contextlib.asynccontextmanager
async def run_house(
    settings: Settings, plan: Plan, before: Callable[[House], Awaitable[None]] | None = None
) -> AsyncIterator[House]:
    """Start what the plan names; stop it in reverse order at the end of the block.

    `before` runs when the database is ready and nothing else has started.
    """
    settings.data.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        # Kernels compile on the other core while the database starts.
        warming = asyncio.create_task(asyncio.to_thread(_warm, plan))
        address = await stack.enter_async_context(open_address(settings, plan))
        db = await _database(stack, address, CONNECTIONS["web"])
        readiness = Readiness(db, head_revision())
        house = House(settings, plan, address, db, Signs(readiness, {"web": db}))
        now = plan.clock()
        await ready_partitions(db, [now, now + timedelta(days=7)])
        await warming
        if plan.administrator:
            house.first_password = await first_administrator(db, now)
        elif "web" in plan.parts:
            house.welcome = await welcome.issue(db, now)
        if before is not None:
            await before(house)
        await _start_vitals(stack, house)
        await start_parts(stack, house)
        yield house


def _warm(plan: Plan) -> None:
    """Compile the kernels; and where people are served, set a receipt before the first of them."""
    warm()
    if "web" in plan.parts:
        with contextlib.suppress(ChineseFontMissing):
            setter.warm()


async def start_parts(stack: AsyncExitStack, house: House) -> None:
    """Start head end, worker and web, as far as the plan names them.

    Each has connections of its own, so that a storm of gateways never keeps a person waiting.
    They end side by side, and their connections close after them.
    """
    settings, plan, pools = house.settings, house.plan, house.signs.pools
    for part in ("headend", "worker"):
        if part in plan.parts:
            pools[part] = await _database(stack, house.address, CONNECTIONS[part])
    stack.push_async_callback(_wind_down, house)
    if "worker" in plan.parts:
        db, clock = pools["worker"], plan.clock
        long_work = works(Services(db, clock))
        house.worker = Worker(db, clock, plan.speed, notifiers(settings), long_work)
        house.worker.start()
        house.signs.loop_ages_s = house.worker.ages_s
    if "headend" in plan.parts:
        chosen = HeadEndSettings(
            settings.headend_host, settings.headend_port, plan.speed, settings.transport
        )
        security = open_security(
            settings.security_module, settings.security_address, settings.security_secret
        )
        headend = house.headend = HeadEnd(pools["headend"], plan.clock, chosen, security=security)
        house.signs.headend = lambda: (headend.online, headend.collector.waiting)
        try:
            await headend.start()
        except OSError as error:
            raise PortTaken("head end", chosen.host, chosen.port, error) from error
    if "web" in plan.parts:
        _start_web(house)


async def _wind_down(house: House) -> None:
    """Say that nothing more should come, then let what is under way come to its end."""
    house.signs.readiness.stop()
    parts = (house.web, house.headend, house.worker)
    ending = [part.stop(house.settings.stop_timeout_s) for part in parts if part is not None]
    for error in await asyncio.gather(*ending, return_exceptions=True):
        if isinstance(error, BaseException):
            log.error("part_not_stopped", error=error)


async def _start_vitals(stack: AsyncExitStack, house: House) -> None:
    """Look at the house's fitness by the clock, and tell machines where a setting says so."""
    settings, readiness = house.settings, house.signs.readiness
    await readiness.look()

    async def look() -> None:
        while True:
            await asyncio.sleep(READINESS_S)
            await readiness.look()

    looking = asyncio.create_task(look())
    stack.callback(looking.cancel)
    if settings.metrics_port:
        vitals = create_vitals(house.db, house.signs)
        server = Listening(vitals, "metrics", settings.metrics_host, settings.metrics_port)
        stack.push_async_callback(server.stop)


async def _database(stack: AsyncExitStack, address: Address, connections: int) -> Database:
    db = Database(address, connections)
    await db.open()
    stack.push_async_callback(db.close)
    return db


async def first_administrator(db: Database, at: datetime) -> str | None:
    """On an empty installation: an administrator with a random password, to be shown once."""
    if await access.has_staff(db):
        return None
    password = passwords.new_password()
    try:
        await access.add_person(
            db, "admin", "Administrator", password, "platform_administrator", "platform", 0, at
        )
    except Conflict:
        return None  # another part of the house, started in the same moment, was first
    return password


def notifiers(settings: Settings) -> Mapping[str, Notifier]:
    """The channels this installation has, by name."""
    channels: dict[str, Notifier] = {"console": ConsoleNotifier()}
    if settings.smtp_url:
        channels["email"] = EmailNotifier(settings.smtp_url, settings.mail_from)
    return channels


def _start_web(house: House) -> None:
    settings, readiness = house.settings, house.signs.readiness
    services = Services(
        house.db, house.plan.clock,
        WebSettings(
            secure_cookies=settings.secure_cookies, public_url=settings.public_url,
            requests_a_minute=settings.requests_a_minute,
            changes_a_minute=settings.changes_a_minute,
            stranger_requests_a_minute=settings.stranger_requests_a_minute,
            sign_ins_a_minute=settings.sign_ins_a_minute,
        ),
        secret_key_of(settings), lambda: readiness.unfit, notifiers(settings).get("email"),
    )  # fmt: skip
    house.web = Listening(create_app(services), "console", settings.host, settings.port)
