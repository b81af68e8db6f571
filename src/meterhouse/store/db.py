"""Connections, roles and scope: how the rest of the store reaches PostgreSQL.

Owns the pool and the three roles. Must never know a table. The application's role owns nothing
and stands under forced row-level security: a transaction names the projects it may see, and a
query that forgets to ask for them sees nothing. The maintenance role looks past the policy; only
`verify`, partitions and data migrations use it, and no request path can reach it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from meterhouse.errors import BadInput, MeterhouseError

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
    RawConnection: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take their record type for the checker alone
    Connection = Pool = RawConnection = Any

APP = "meterhouse_app"
OWNER = "meterhouse_owner"
MAINTENANCE = "meterhouse_maintenance"
SCHEMA = "meterhouse"

PLATFORM = 0
"""The project id of what belongs to no project: the platform's audit, who staff and clients are."""

# How asyncpg says that the server, or the way to it, is gone; an internal error is what it raises
# when it would reset a session whose server died in the middle of an answer (seen under kills).
LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)
# How the server says "not now": a deadlock, a lock or statement that took too long, no room left,
# or a standby. Nothing was changed, and trying again is right.
BUSY = (
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
)
STATEMENT_TIMEOUT_MS = 120_000
LOCK_TIMEOUT_MS = 30_000
CONNECT_TIMEOUT_S = 10
# Parts lie within parts, so each has a name of its own.
_PARTS = count()


class DatabaseUnreachable(MeterhouseError):
    """The database does not answer: {why}. Check that it runs and that database_url is right."""

    code = "database_unreachable"
    http_status = 503


class DatabaseBusy(MeterhouseError):
    """The database cannot do this now: {why}. Nothing was changed; try again."""

    code = "database_busy"
    http_status = 503


class Unstorable(BadInput):
    """A text holds a character that cannot be kept."""

    code = "unstorable"


class ScopeWidened(MeterhouseError):
    """A part of a transaction asked for projects {asked}, which the whole may not see."""

    code = "scope_widened"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the database is: a URL, or a socket folder with a port and a name.

    `login_roles`: the three roles may log in by themselves (the embedded server lets them, behind
    a folder only we can enter). Otherwise the URL's user logs in and steps down to the role.
    """

    url: str = ""
    host: str = ""
    port: int = 5432
    database: str = "meterhouse"
    superuser: str = "postgres"
    login_roles: bool = False

    def masked(self) -> str:
        """The address for people: the password is left out."""
        if not self.url:
            return f"embedded, socket folder {self.host}"
        parts = urlsplit(self.url)
        user = f"{parts.username}@" if parts.username else ""
        port = f":{parts.port}" if parts.port else ""
        return urlunsplit((parts.scheme, f"{user}{parts.hostname or ''}{port}", parts.path, "", ""))

    def arguments(self, role: str | None) -> dict[str, Any]:
        """What asyncpg needs to connect as `role`; None connects as whoever may create roles."""
        settings = {
            "search_path": SCHEMA,
            "timezone": "UTC",
            "application_name": "meterhouse",
            "statement_timeout": str(STATEMENT_TIMEOUT_MS),
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            # A list and what it names; beyond it tables are joined in the order written.
            "join_collapse_limit": "12",
        }
        if role is not None and not self.login_roles:
            settings["role"] = role
        where: dict[str, Any] = {"dsn": self.url}
        if not self.url:
            user = role if role is not None and self.login_roles else self.superuser
            where = {"host": self.host, "port": self.port, "user": user, "database": self.database}
        return where | {"server_settings": settings, "timeout": CONNECT_TIMEOUT_S}


class Database:
    """A pool as the application's role; each transaction names its scope.

    `building_ids`: None, or the only buildings whose rows are seen; see `within`.
    """

    def __init__(self, address: Address, size: int = 10) -> None:
        self.address = address
        self.building_ids: frozenset[int] | None = None
        self._size = size
        self._pool: Pool | None = None

    async def open(self) -> None:
        """Connect. Raises `DatabaseUnreachable`."""
        try:
            self._pool = await asyncpg.create_pool(
                min_size=1, max_size=self._size, reset=_as_it_is, **self.address.arguments(APP)
            )
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise DatabaseUnreachable(why=str(error)) from error

    async def close(self) -> None:
        """Give every connection back, waiting for those in use."""
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    def within(self, building_ids: frozenset[int] | None) -> "Database":
        """The same database, seen through these buildings alone; through all for None."""
        narrowed = copy(self)
        narrowed.building_ids = building_ids
        return narrowed

    @property
    def connections(self) -> tuple[int, int, int]:
        """How many connections are in use, are open and idle, and may be open at most."""
        if self._pool is None:
            return 0, 0, self._size
        idle = self._pool.get_idle_size()
        return self._pool.get_size() - idle, idle, self._size

    @asynccontextmanager
    async def transaction(
        self, project_ids: Sequence[int], first: str = ""
    ) -> AsyncIterator[Connection]:
        """One transaction that sees these projects and nothing else.

        Args:
            project_ids: the projects.
            first: a statement that the transaction begins with, a lock as the store names it; it
                goes out with the beginning, in one round trip.

        Raises:
            DatabaseUnreachable: the connection was lost on the way. Whether a commit under way
                took place is then unknown; flows are made so that trying again is harmless.
        """
        if self._pool is None:
            raise DatabaseUnreachable(why="the pool is not open")
        try:
            begin = f"begin; {_scope(project_ids, self.building_ids)}; {first}"
            async with (
                self._pool.acquire() as connection,
                _within(connection, begin, "commit", "rollback"),
            ):
                yield connection
        except LOST as error:
            if isinstance(error, ValueError):
                raise  # so asyncpg refuses an argument
            raise DatabaseUnreachable(why=str(error) or type(error).__name__) from error
        except asyncpg.CharacterNotInRepertoireError as error:
            raise Unstorable from error
        except BUSY as error:
            raise DatabaseBusy(why=str(error)) from error

    @asynccontextmanager
    async def listener(
        self, channel: str, heard: Callable[[str], None]
    ) -> AsyncIterator[asyncio.Event]:
        """LISTEN on a channel; `heard` gets each payload, the event is set when the line breaks."""

        async def hear(_connection: Any, _pid: int, _channel: str, payload: Any) -> None:
            heard(str(payload))

        lost = asyncio.Event()
        try:
            connection = await asyncpg.connect(**self.address.arguments(APP))
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            raise DatabaseUnreachable(why=str(error)) from error
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(channel, hear)
            yield lost
        finally:
            await connection.close(timeout=1)

    async def project_ids(self) -> list[int]:
        """Every project there is; for service processes, never for a request."""
        async with self.transaction(()) as connection:
            rows = await connection.fetch("select all_project_ids() as id")
        return [row["id"] for row in rows]


class Joined(Database):
    """A transaction already begun, offered to flows as if it were theirs to begin.

    What several flows do through it is committed together, or not at all. Not for two at once:
    it is one connection.
    """

    def __init__(self, outer: Database, connection: Connection, project_ids: Sequence[int]) -> None:
        super().__init__(outer.address)
        self.building_ids = outer.building_ids
        self._connection = connection
        self._project_ids = tuple(project_ids)

    @asynccontextmanager
    async def transaction(
        self, project_ids: Sequence[int], first: str = ""
    ) -> AsyncIterator[Connection]:
        """A part of the outer transaction that sees these of its projects and nothing else."""
        if not set(project_ids) <= set(self._project_ids):
            raise ScopeWidened(asked=sorted(set(project_ids) - set(self._project_ids)))
        inner, outer = (_scope(one, self.building_ids) for one in (project_ids, self._project_ids))
        async with savepoint(self._connection, f"{inner}; {first}", outer):
            yield self._connection


@asynccontextmanager
async def savepoint(connection: Connection, first: str = "", last: str = "") -> AsyncIterator[None]:
    """A part of a transaction that may fail without failing the whole.

    `first` goes out with its beginning, `last` with its end.
    """
    part = f"part_{next(_PARTS)}"
    undo = f"rollback to {part}; release {part}"
    async with _within(connection, f"savepoint {part}; {first}", f"release {part}; {last}", undo):
        yield


@asynccontextmanager
async def _within(connection: Connection, begin: str, end: str, undo: str) -> AsyncIterator[None]:
    """Between `begin` and `end`, or `undo` when it fails; each is one round trip."""
    try:
        await connection.execute(begin)
        yield
    except BaseException:
        # What is lost with its line has been undone by the server.
        with suppress(*LOST):
            await connection.execute(undo)
        raise
    await connection.execute(end)


async def _as_it_is(_session: RawConnection) -> None:
    """What asyncpg does with a session that comes back to the pool: nothing.

    It would take a round trip to undo what no session of the application's role does: settings and
    advisory locks end with their transaction, and who listens has a connection of their own.
    """


async def set_scope(
    connection: Connection, project_ids: Sequence[int], building_ids: Collection[int] | None = None
) -> None:
    """Name the projects, and within them the buildings, that this transaction may see.

    The policies know projects; buildings are a condition of each query (`seen_point` and kin).
    """
    await connection.execute(_scope(project_ids, building_ids))


def _scope(project_ids: Sequence[int], building_ids: Collection[int] | None) -> str:
    buildings = "" if building_ids is None else _listed(building_ids) or "0"
    return f"""set local meterhouse.scope = '{_listed(project_ids)}';
        set local meterhouse.buildings = '{buildings}'"""


def _listed(ids: Collection[int]) -> str:
    return ",".join(str(int(one)) for one in ids)


@asynccontextmanager
async def maintenance(address: Address) -> AsyncIterator[RawConnection]:
    """A connection that looks past the policies: for `verify`, upkeep and data migrations alone."""
    try:
        connection = await asyncpg.connect(**address.arguments(MAINTENANCE))
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise DatabaseUnreachable(why=str(error)) from error
    try:
        yield connection
    finally:
        await connection.close()
