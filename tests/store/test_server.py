"""The embedded server survives what machines and people do to it."""

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from meterhouse.store import binaries as binaries_module
from meterhouse.store.binaries import (
    PostgresMissing,
    binaries_for,
    find_binaries,
    major_version,
    reachable,
)
from meterhouse.store.server import DataInUse, DataNotOurs, EmbeddedServer, PostgresFailed

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
VERSIONS = {"18": {"version": 18}, "16": {"version": 16}}
if DEBIAN_15.is_dir():
    VERSIONS["15"] = {"binaries": DEBIAN_15}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, as PostgreSQL 15 needs it when a spare user runs it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


async def connect(server: EmbeddedServer) -> asyncpg.Connection:
    return await asyncpg.connect(
        host=str(server.socket_folder), port=server.port, user="postgres", database="postgres"
    )


async def connect_again(server: EmbeddedServer) -> asyncpg.Connection:
    """Try until the server is back; ten seconds are a hundred times what it needs."""
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return await connect(server)
            await asyncio.sleep(0.01)


def processes_of(server: EmbeddedServer) -> list[int]:
    """Living processes and zombies alike that belong to this cluster."""
    return server._leftovers()


def children_of(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(folder.name))
    return found


@pytest.mark.parametrize("version", VERSIONS)
async def test_comes_back_with_its_rows_after_every_process_is_killed(open_folder, version):
    async with EmbeddedServer(open_folder / "pg", **VERSIONS[version]) as server:
        connection = await connect(server)
        assert await connection.fetchval("SHOW jit") == "off"
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        await connection.execute("CREATE TABLE kept (number integer)")
        await connection.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
        first = server.pid
        for pid in [first, *children_of(first)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        connection.terminate()
        connection = await connect_again(server)
        assert await connection.fetchval("SELECT count(*) FROM kept") == 1000
        assert server.pid not in (None, first)
        await connection.close()
        folder = server.socket_folder
    assert processes_of(server) == []
    assert not folder.exists()
    assert not server.alive


async def test_comes_back_when_the_postmaster_alone_is_killed_again_and_again(tmp_path):
    async with EmbeddedServer(tmp_path / "pg") as server:
        for _ in range(3):
            os.kill(server.pid, signal.SIGKILL)
            connection = await connect_again(server)
            assert await connection.fetchval("SELECT 1") == 1
            await connection.close()
    assert processes_of(server) == []


async def test_long_paths_spaces_and_closed_parents_work(tmp_path):
    closed = tmp_path / "a closed folder"
    folder = closed / "with 'quotes' and spaces" / ("long" * 30) / "pg"
    folder.mkdir(parents=True)
    closed.chmod(0o700)
    async with EmbeddedServer(folder) as server:
        connection = await connect(server)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    assert closed.stat().st_mode & 0o777 == 0o700


async def test_a_second_process_is_refused_and_told_who_holds_the_folder(tmp_path):
    async with EmbeddedServer(tmp_path / "pg") as server:
        with pytest.raises(DataInUse) as refused:
            await EmbeddedServer(tmp_path / "pg").start()
        assert refused.value.code == "data_in_use"
        assert str(os.getpid()) in str(refused.value)
        connection = await connect(server)
        await connection.close()
    async with EmbeddedServer(tmp_path / "pg") as server:
        assert server.alive


async def test_a_killed_owner_takes_its_server_along_and_the_next_start_works(tmp_path):
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from meterhouse.store.server import EmbeddedServer\n"
        "async def main():\n"
        "    server = EmbeddedServer(Path(sys.argv[1]))\n"
        "    await server.start()\n"
        "    print(server.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "pg")], stdout=subprocess.PIPE
    ) as owner:
        orphan = int(owner.stdout.readline())
        owner.kill()
    async with EmbeddedServer(tmp_path / "pg") as server:
        assert server.pid != orphan
        assert orphan not in processes_of(server)
        connection = await connect(server)
        await connection.close()


async def test_a_stale_pid_file_that_names_a_living_stranger_does_not_stop_the_start(tmp_path):
    server = EmbeddedServer(tmp_path / "pg")
    async with server:
        written = (server.cluster / "postmaster.pid").read_text().splitlines()
    written[0] = str(os.getppid())
    (server.cluster / "postmaster.pid").write_text("\n".join(written) + "\n")
    async with server:
        assert server.alive


async def test_a_remembered_socket_folder_is_believed_only_while_it_is_private(tmp_path):
    server = EmbeddedServer(tmp_path / "pg")
    with tempfile.TemporaryDirectory() as strange:
        Path(strange).chmod(0o755)
        (tmp_path / "pg").mkdir()
        (tmp_path / "pg" / "socket").write_text(strange)
        async with server:
            assert server.socket_folder != Path(strange)
            assert server.socket_folder.stat().st_mode & 0o777 == 0o700


async def test_what_cannot_start_says_so_with_the_end_of_the_log(tmp_path):
    server = EmbeddedServer(tmp_path / "pg")
    async with server:
        pass
    with (server.cluster / "postgresql.conf").open("a") as conf:
        conf.write("no_such_setting = 7\n")
    with pytest.raises(PostgresFailed) as failed:
        await server.start()
    assert failed.value.code == "postgres_failed"
    assert "no_such_setting" in str(failed.value)
    assert processes_of(server) == []


async def test_the_log_stays_bounded_while_the_server_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("meterhouse.store.server.LOG_BYTES_MAX", 10_000)
    async with EmbeddedServer(tmp_path / "pg") as server:
        with server.log_path.open("ab") as log:
            log.write(b"x" * 20_000)
        async with asyncio.timeout(10):
            while server.log_path.stat().st_size > 10_000:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        connection = await connect(server)
        await connection.close()


async def test_a_folder_of_another_user_is_refused_with_the_line_that_mends_it(
    tmp_path, monkeypatch
):
    cluster = tmp_path / "pg" / "cluster-18"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("18\n")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(DataNotOurs) as refused:
        await EmbeddedServer(tmp_path / "pg").start()
    assert f"chown -R 12345 '{tmp_path / 'pg'}'" in str(refused.value)


async def test_missing_programs_say_what_to_install(tmp_path):
    for server in (
        EmbeddedServer(tmp_path / "a", version=17),
        EmbeddedServer(tmp_path / "b", binaries=tmp_path),
    ):
        with pytest.raises(PostgresMissing):
            await server.start()


def test_the_wheel_holds_both_versions():
    assert [major_version(find_binaries(version)) for version in (18, 16)] == [18, 16]


def test_programs_in_a_closed_folder_are_copied_to_where_the_spare_user_reaches(
    tmp_path, monkeypatch
):
    other = next(user for user in pwd.getpwall() if user.pw_uid not in (0, os.getuid()))
    tmp_path.chmod(0o700)
    closed = tmp_path / "pginstall18" / "bin"
    closed.mkdir(parents=True)
    for program in ("initdb", "postgres"):
        (closed / program).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.4'\n")
        (closed / program).chmod(0o755)
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o755)
        monkeypatch.setattr(binaries_module, "SHARED_COPY", Path(shared) / "meterhouse")
        copy = binaries_for(closed, other)
        assert copy != closed
        assert reachable(copy / "postgres", other)
        assert not reachable(closed, other)
        assert major_version(copy) == 18
        assert binaries_for(closed, other) == copy
        assert binaries_for(copy, other) == copy
