"""The embedded PostgreSQL: made, started, watched and stopped as a child of this process.

Owns one folder (the cluster, its log, a lock) and one short private socket folder. Must never know
a table or a role: it hands out where to connect, and keeps that place answering.

What the real world does, and what is done about it here:

- `kill -9` of the postmaster leaves its children dying and a stale `postmaster.pid`: a watcher
  reaps it, clears what is left and starts it again at the same address.
- `kill -9` of meterhouse: the kernel then asks the postmaster to stop (parent-death signal), and
  the next start waits until the last of its processes is gone.
- A process number in a stale lock file may belong to somebody else after a reboot or in a new
  container. Our processes carry the cluster's name in their command line, so nobody is mistaken.
- PostgreSQL refuses to run as root: a spare user runs it then, and the folder's parents may be
  closed to that user. The data folder is therefore entered before the user is changed, and the
  server knows it as its working directory; no folder outside ours changes its mode.
- A socket's path holds 107 bytes: it lives in a folder of its own under the temporary directory.
- Two meterhouse processes on one folder: the second is refused by a lock that dies with the first.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TextIO

import asyncpg

from meterhouse.errors import MeterhouseError
from meterhouse.logs import Log
from meterhouse.store.binaries import binaries_for, find_binaries, major_version, require_programs

log = Log(__name__)

SPARE_USER = "nobody"
PORT = 5432
SOCKET_PATH_BYTES_MAX = 107
START_TIMEOUT_S = 120
STOP_TIMEOUT_S = 30
LEFTOVER_GRACE_S = 3
POLL_S = 0.03
RETRY_MAX_S = 2.0
LOG_BYTES_MAX = 8_000_000
LOG_TAIL_BYTES = 2_000
WORKING_DIRECTORY = Path("/proc/self/cwd")
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

# Two cores and a few gigabytes; a person who has more runs a server and gives its address.
SETTINGS = """\
# Written by meterhouse at every start. To change a setting, use ALTER SYSTEM.
listen_addresses = ''
unix_socket_directories = '"{socket_folder}"'
unix_socket_permissions = 0700
port = {port}
max_connections = 60
shared_buffers = 512MB
effective_cache_size = 1GB
work_mem = 16MB
maintenance_work_mem = 128MB
max_worker_processes = 8
max_parallel_workers_per_gather = 0
synchronous_commit = on
wal_buffers = 32MB
min_wal_size = 256MB
max_wal_size = 2GB
checkpoint_timeout = 15min
random_page_cost = 1.1
jit = off
autovacuum_naptime = 20s
timezone = 'UTC'
log_timezone = 'UTC'
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
"""


class PostgresFailed(MeterhouseError):
    """PostgreSQL did not start: {why}. The end of {log_path}: {tail}"""

    code = "postgres_failed"

    def __init__(self, why: str, log_path: Path, tail: str) -> None:
        super().__init__(why=why, log_path=log_path, tail=tail)


class DataInUse(MeterhouseError):
    """{folder} is in use by process {holder}: stop that one first, or give another --data."""

    code = "data_in_use"
    http_status = 409

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(folder=folder, holder=holder)


class DataNotOurs(MeterhouseError):
    """{path} belongs to another user ({owner}): {mend}."""

    code = "data_not_ours"
    http_status = 409

    def __init__(self, path: Path, owner: str, mend: str) -> None:
        super().__init__(path=path, owner=owner, mend=mend)


class EmbeddedServer:
    """One PostgreSQL cluster in `folder`, run as our child.

    Use it as an async context manager, or `start()` and `stop()` it. Once started, connect with
    `asyncpg.connect(host=str(server.socket_folder), port=server.port, user=server.superuser)`;
    the address stays the same while the watcher brings a killed server back.

    Args:
        folder: where the cluster, its log and its lock live; made when missing.
        version: major version of the wheel's programs, 18 or 16.
        superuser: the role that `initdb` creates.
        binaries: a `bin` folder of another PostgreSQL, instead of the wheel's.
    """

    def __init__(
        self,
        folder: Path,
        version: int = 18,
        superuser: str = "postgres",
        binaries: Path | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.superuser = superuser
        self.port = PORT
        self.log_path = self.folder / "postgres.log"
        self._version = version
        self._binaries = binaries
        self._programs = Path()
        self._user: pwd.struct_passwd | None = None
        self._socket_folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._lock: TextIO | None = None
        name = hashlib.sha256(os.fsencode(self.folder.resolve())).hexdigest()[:16]
        self._cluster_name = f"meterhouse-{name}"

    @property
    def socket_folder(self) -> Path:
        """The folder to give a driver as host; known once `start()` has returned."""
        assert self._socket_folder is not None, "the server has not been started"
        return self._socket_folder

    @property
    def cluster(self) -> Path:
        """The cluster's own folder; one for each major version, which cannot read each other's."""
        return self.folder / f"cluster-{self._version}"

    @property
    def alive(self) -> bool:
        """Whether the postmaster runs; reaps it when it has died."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The postmaster's process number while it runs."""
        return self._process.pid if self.alive and self._process else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make the cluster if there is none, start it, and return once it answers.

        Raises:
            DataInUse: another meterhouse runs on this folder.
            DataNotOurs: the folder belongs to another user.
            PostgresMissing: there is nothing to start.
            PostgresFailed: it does not start; the error carries the end of its log.
        """
        self._take_lock()
        _adopt_orphans()
        try:
            await self._clear_leftovers(LEFTOVER_GRACE_S)
            await asyncio.to_thread(self._prepare)
            await self._launch()
        except OSError as error:
            await self.stop()
            raise self._failed(str(error)) from error
        except BaseException:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self.watch(), name="watch embedded postgres")

    async def stop(self) -> None:
        """Fast shutdown: sessions end, everything is written, no process stays. Safe to repeat."""
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        for way in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._process is None or not self.alive:
                break
            self._process.send_signal(way)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    while self.alive:  # noqa: ASYNC110  # a process has no event to wait for
                        await asyncio.sleep(POLL_S)
        self._process = None
        if self._lock is not None:
            await self._clear_leftovers(0)
            if self._socket_folder is not None:
                shutil.rmtree(self._socket_folder, ignore_errors=True)
            self._lock.close()
            self._lock = None

    async def watch(self) -> None:
        """Bring the server back whenever it has died, for ever; `start()` runs this."""
        wait_s = POLL_S
        while True:
            await asyncio.sleep(wait_s)
            if self.alive:
                self._trim_log()
                wait_s = POLL_S
                continue
            log.warning("postgres_died")
            try:
                await self._launch()
            except Exception as error:  # giving up would leave the house without its books
                wait_s = min(2 * wait_s, RETRY_MAX_S)
                log.error("postgres_stays_away", error=error)

    def join(self) -> Path:
        """The socket folder of the server that another meterhouse runs on this folder.

        Raises:
            PostgresFailed: it has not got so far yet.
        """
        memory = self.folder / "socket"
        if not memory.exists():
            raise PostgresFailed("the other meterhouse is still starting", self.log_path, "")
        return Path(memory.read_text(encoding="utf-8").strip())

    def _take_lock(self) -> None:
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("a+", encoding="ascii")
        except PermissionError as error:
            raise self._not_ours() from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read(32).strip() or "unknown"
            lock.close()
            raise DataInUse(self.folder, holder) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _not_ours(self) -> DataNotOurs:
        """The error for a folder we may not use, naming its owner and the line that mends it."""
        there = next(p for p in [self.folder, *self.folder.parents] if p.exists())
        mend = f"as root, run `chown -R {os.geteuid()} '{there}'`, or give another --data"
        return DataNotOurs(there, f"uid {there.stat().st_uid}", mend)

    def _prepare(self) -> None:
        """Programs, user, cluster, socket folder, settings. Blocking; runs in a thread."""
        if self._binaries is not None:
            require_programs(self._binaries)
            self._version = major_version(self._binaries)
        self._user = self._spare_user()
        found = self._binaries or find_binaries(self._version)
        self._programs = binaries_for(found, self._user) if self._user else found
        if not (self.cluster / "PG_VERSION").exists():
            self._make_cluster()
        elif self._user is not None:
            self._give(self.cluster)
        elif self.cluster.stat().st_uid != os.geteuid():
            raise self._not_ours()
        self._socket_folder = self._private_socket_folder()
        settings = SETTINGS.format(socket_folder=self._socket_folder, port=self.port)
        (self.cluster / "meterhouse.conf").write_text(settings, encoding="utf-8")

    def _spare_user(self) -> pwd.struct_passwd | None:
        """Whom to run as when we are root: the cluster's owner, else the spare user."""
        if os.geteuid() != 0:
            return None
        if self.cluster.exists() and (owner := self.cluster.stat().st_uid) != 0:
            with contextlib.suppress(KeyError):
                return pwd.getpwuid(owner)
        return pwd.getpwnam(SPARE_USER)

    def _give(self, folder: Path) -> None:
        """Hand a folder of ours and all in it to the user that PostgreSQL runs as."""
        if self._user is None:
            return
        for path in [folder, *folder.rglob("*")]:
            if path.lstat().st_uid != self._user.pw_uid:
                os.chown(path, self._user.pw_uid, self._user.pw_gid, follow_symlinks=False)

    def _make_cluster(self) -> None:
        """Run `initdb` beside the final place and move it there whole, so none is half made."""
        for unfinished in self.folder.glob("making-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        making = Path(tempfile.mkdtemp(prefix="making-", dir=self.folder))
        self._give(making)
        said = ""
        for locale in ("C.UTF-8", "C"):
            done = subprocess.run(  # noqa: S603  # our own programs
                [
                    str(self._programs / "initdb"),
                    *("-D", self._known_as(making), "-U", self.superuser, f"--locale={locale}"),
                    *("--auth=trust", "--encoding=UTF8", "--data-checksums"),
                ],
                **self._as_child(making),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            said += done.stdout
            if done.returncode == 0:
                with (making / "postgresql.conf").open("a", encoding="utf-8") as conf:
                    conf.write("\ninclude 'meterhouse.conf'\n")
                making.rename(self.cluster)
                return
        shutil.rmtree(making, ignore_errors=True)
        raise PostgresFailed("initdb failed", self.log_path, said[-LOG_TAIL_BYTES:])

    def _private_socket_folder(self) -> Path:
        """The socket folder remembered from the last run if it is still ours alone, or a new one.

        The folder above it is open to everybody, so a remembered name is believed only when it is
        a real folder of our user's with mode 0700.
        """
        memory = self.folder / "socket"
        uid = self._user.pw_uid if self._user else os.geteuid()
        if memory.exists():
            remembered = Path(memory.read_text(encoding="utf-8").strip())
            with contextlib.suppress(OSError):
                found = remembered.lstat()
                if found.st_uid == uid and found.st_mode == stat.S_IFDIR | 0o700:
                    return remembered
        above = Path(tempfile.gettempdir())
        longest = above / f"meterhouse-12345678/.s.PGSQL.{self.port}.lock"
        if len(os.fsencode(longest)) > SOCKET_PATH_BYTES_MAX or '"' in str(above):
            above = Path("/tmp")  # noqa: S108  # the folder made in it is private
        folder = Path(tempfile.mkdtemp(prefix="meterhouse-", dir=above))
        self._give(folder)
        memory.write_text(f"{folder}\n", encoding="utf-8")
        return folder

    def _known_as(self, cluster: Path) -> str:
        """How the server, standing in its cluster, calls it: needs no right on any parent.

        Before version 16 a program leaves its working directory to find itself and cannot return
        through a closed parent, so those get the plain path.
        """
        standing = self._version >= 16 and WORKING_DIRECTORY.exists()
        return str(WORKING_DIRECTORY if standing else cluster)

    def _as_child(self, cluster: Path) -> dict[str, Any]:
        """What every child process gets: its folder, its user, a clean environment, no umask."""
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        child: dict[str, Any] = {"cwd": cluster, "env": kept, "umask": 0o077}
        if self._user is not None:
            child |= {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return child

    async def _launch(self) -> None:
        """Clear what an earlier life left, start the postmaster, wait until it answers."""
        await self._clear_leftovers(0)
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        command = [str(self._programs / "postgres"), "-D", self._known_as(self.cluster)]
        command += ["-c", f"cluster_name={self._cluster_name}"]
        with self.log_path.open("ab") as output:
            # A session of its own: Ctrl-C at a terminal reaches us alone, and we stop it in order.
            # Started by this thread, which outlives it: the parent-death signal is per thread.
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603  # a fork, milliseconds
                command,
                **self._as_child(self.cluster),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509  # two system calls, no lock
            )
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                await self._answering()
        except TimeoutError:
            raise self._failed(f"no answer within {START_TIMEOUT_S} s") from None

    async def _answering(self) -> None:
        """Return once a session has been opened and closed.

        Raises:
            PostgresFailed: the server ended instead.
        """
        while True:
            try:
                connection = await asyncpg.connect(
                    host=str(self.socket_folder),
                    port=self.port,
                    user=self.superuser,
                    database="postgres",
                )
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                if not self.alive:
                    raise self._failed("it ended at once") from None
                await asyncio.sleep(POLL_S)
            else:
                await connection.close()
                return

    def _failed(self, why: str) -> PostgresFailed:
        tail = ""
        if self.log_path.exists():
            tail = self.log_path.read_bytes()[-LOG_TAIL_BYTES:].decode("utf-8", "replace")
        return PostgresFailed(why, self.log_path, tail)

    async def _clear_leftovers(self, grace_s: float) -> None:
        """Wait for processes of an earlier life to end; after the grace, end them.

        To kill them is safe: the write-ahead log holds whatever they had committed.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._leftovers():  # noqa: ASYNC110  # nor have these, they are not ours
                    await asyncio.sleep(POLL_S)
                return
        while leftovers := self._leftovers():
            for pid in leftovers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(POLL_S)

    def _leftovers(self) -> list[int]:
        """Processes of this cluster that nobody's postmaster owns any more; reaps the dead ones.

        One that is about to be a zombie has no command line left; it is ours when it is our child.
        """
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                _, _, rest = (folder / "stat").read_text().partition("(")
                name, _, fields = rest.rpartition(")")
                state, parent = fields.split()[:2]
                words = (folder / "cmdline").read_bytes()
                orphan = not words and int(parent) == os.getpid()
                if name != "postgres" or not (orphan or self._cluster_name.encode() in words):
                    continue
                found.append(int(folder.name))
                if state == "Z" and orphan:
                    os.waitpid(int(folder.name), os.WNOHANG)
        return found

    def _trim_log(self) -> None:
        """Keep the log bounded. It is opened for appending, so cutting it is harmless."""
        with contextlib.suppress(FileNotFoundError):
            if self.log_path.stat().st_size > LOG_BYTES_MAX:
                os.truncate(self.log_path, 0)


def _adopt_orphans() -> None:
    """Make us the one who inherits a dead postmaster's children, so that we can reap them.

    Else they go to process 1, which in many containers reaps nobody.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)


def _die_with(parent_pid: int) -> Callable[[], None] | None:
    """What a child calls before it becomes PostgreSQL, so that it does not outlive us (Linux)."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask_for_signal() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent_pid:
            os._exit(1)

    return ask_for_signal
