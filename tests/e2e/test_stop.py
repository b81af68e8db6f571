"""SIGTERM to a whole process: it says so first, ends what is under way, and leaves nothing open.

An export waits for a lock that the test holds and a relay's answer waits in a gate, so both are
certainly under way when the signal comes, and end only once the process has said that it stops.
"""

import asyncio
import contextlib
import csv
import io
import os
import re
import signal
import socket
import sys
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg
import httpx

from conftest import address_of
from meterhouse.config import KEY_FILE_NAME
from meterhouse.flows import access, command, outbox
from meterhouse.model import CommandKind, Relay
from meterhouse.sim.faults import Fault
from meterhouse.sim.plan import plan_town
from meterhouse.sim.town import Town
from meterhouse.store.db import Database
from meterhouse.store.migrate import migrate
from meterhouse.store.server import EmbeddedServer
from meterhouse.worker import Worker
from townhall import HABITS, HOST, eventually, found, open_hall

PASSWORD = "a-long-enough-password"
START_S = 60


def present():
    return datetime.now(UTC)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Gate:
    """Between gateways and the head end: what gateways say can be held back."""

    def __init__(self, port):
        self._port = port
        self.is_open = asyncio.Event()
        self.is_open.set()
        self._pumps = set()

    async def take(self, reader, writer):
        try:
            there, here = await asyncio.open_connection(HOST, self._port)
        except OSError:
            writer.close()
            return
        for pump in (self._pass(reader, here, self.is_open), self._pass(there, writer, None)):
            task = asyncio.create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pass(self, reader, writer, gate):
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                if gate is not None:
                    await gate.wait()
                writer.write(data)
        writer.close()


async def prepare(data, town):
    """A migrated data folder with the town's books and somebody who may look at everything."""
    async with EmbeddedServer(data / "postgres") as server:
        address = address_of(server, "meterhouse")
        await migrate(address)
        db = Database(address, size=1)
        await db.open()
        site, _ = await found(db, present, town.spec)
        await access.add_person(
            db, "li", "Li", PASSWORD, "platform_administrator", "platform", 0, present()
        )
        await db.close()
    return site, address


@contextlib.asynccontextmanager
async def serving(data, headend_port, metrics_port):
    """The process once its console and head end listen, with the console's address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "meterhouse", "serve", "--data", str(data), "--port", "0",
        "--headend-port", str(headend_port),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {
            "PYTHONPATH": os.pathsep.join(sys.path), "METERHOUSE_LOG_FORMAT": "json",
            "METERHOUSE_METRICS_PORT": str(metrics_port),
        },
    )  # fmt: skip
    said = b""
    try:
        async with asyncio.timeout(START_S):
            while b"Ctrl-C" not in said:
                line = await process.stdout.readline()
                assert line, (await process.stderr.read()).decode()
                said += line
        yield process, re.search(r"http://\S+:\d+", said.decode())[0]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def sign_in(console):
    page = await console.get("/sign-in")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)[1]
    form = {"csrf": token, "login": "li", "password": PASSWORD}
    assert (await console.post("/sign-in", data=form)).status_code == 303


async def test_what_is_under_way_ends_well_and_the_process_with_it(server_folder):
    data = server_folder / "stop"
    data.mkdir(mode=0o755)
    town = Town(plan_town(11, 3, 1), present, habits=HABITS)
    site, address = await prepare(data, town)
    headend_port, metrics_port = free_port(), free_port()
    gate = Gate(headend_port)
    between = await asyncio.start_server(gate.take, HOST, 0)
    async with contextlib.AsyncExitStack() as stack:
        process, url = await stack.enter_async_context(serving(data, headend_port, metrics_port))
        dialling = asyncio.create_task(town.dial(HOST, between.sockets[0].getsockname()[1]))
        stack.callback(dialling.cancel)
        metrics = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{HOST}:{metrics_port}")
        )
        console = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=START_S))
        host = (data / "postgres" / "socket").read_text().strip()
        books = await asyncpg.connect(**address.arguments(None) | {"host": host})
        number = await _disconnect_in_the_gate(site, address, host, books, gate)
        export, locked = await _export_behind_a_lock(console, site, books)
        assert (await metrics.get("/health/ready")).status_code == 200
        process.send_signal(signal.SIGTERM)
        answer = await eventually(lambda: _unready(metrics))
        assert answer.json() == {"status": "not ready", "failed": "stopping"}
        await eventually(lambda: _refuses(url))
        assert not export.done()
        assert process.returncode is None
        gate.is_open.set()
        await eventually(lambda: _is_confirmed(books, number))
        await locked.rollback()
        await books.close()
        _is_whole(await export)
        _, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (0, "")
    between.close()
    assert next(iter(town.meters.values())).relay is Relay.OPEN
    assert (data / KEY_FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert not (data / "postgres" / "cluster-18" / "postmaster.pid").exists()


async def _disconnect_in_the_gate(site, address, host, books, gate):
    """Order a disconnect once all meters have been read, and hold back what the meter says."""
    read = "select 1 from reading having count(distinct meter_id) = 3"
    await eventually(lambda: books.fetch(read), deadline_s=START_S)
    gate.is_open.clear()
    db = Database(replace(address, host=host), size=1)
    await db.open()
    (number,) = await command.request(
        db, site.project_id, site.meters[:1], CommandKind.DISCONNECT, "test", None, present()
    )
    await db.close()
    state = "select 1 from command where id = $1 and state = 'sent'"
    await eventually(lambda: books.fetch(state, number))
    return number


async def _export_behind_a_lock(console, site, books):
    """Ask for a file of a table that is locked; answers the request under way and the lock."""
    await sign_in(console)
    locked = books.transaction()
    await locked.start()
    await books.execute("lock table notice in access exclusive mode")
    export = asyncio.create_task(
        console.get(f"/projects/{site.project_id}/notices/export?kind=csv")
    )
    # The export waits there, and so does the worker's outbox.
    waiting = """select 1 from pg_locks where not granted and relation = 'notice'::regclass
        having count(*) = 2"""
    await eventually(lambda: books.fetch(waiting))
    return export, locked


async def _unready(metrics):
    answer = await metrics.get("/health/ready")
    return answer if answer.status_code == 503 else None


async def _refuses(url):
    try:
        async with httpx.AsyncClient() as stranger:
            await stranger.get(f"{url}/health/live")
    except httpx.TransportError:
        return True
    return False


async def _is_confirmed(books, number):
    return await books.fetch("select 1 from command where id = $1 and state = 'confirmed'", number)


def _is_whole(answer):
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["content-length"])
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) >= 1
    assert {len(row) for row in rows} == {len(rows[0])}


async def test_a_conversation_that_does_not_end_is_left_when_the_time_is_over(db, clock):
    async with open_hall(db, clock) as hall:
        await hall.round(0, 1, 2)
        (gateway,) = hall.town.gateways.values()
        gateway.bus.faults.switch_on(Fault.GATEWAY_SILENT)
        (number,) = await command.request(
            db, hall.site.project_id, hall.site.meters[:1], CommandKind.READ, "test", None, clock()
        )
        sent = "select 1 from command where id = $1 and state = 'sent'"
        await eventually(lambda: hall.site.rows(sent, number))
        await hall.head.stop(0.05)
        assert hall.head.online == 0
        assert await hall.site.rows(sent, number)


async def test_the_worker_ends_after_the_project_it_is_at(db, new_site, clock, monkeypatch):
    await new_site()
    await new_site(name="other")
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), []

    async def slow(_db, _channels, project_id, _at):
        begun.set()
        await may_end.wait()
        ended.append(project_id)

    monkeypatch.setattr(outbox, "deliver", slow)
    worker = Worker(db, clock, 1, {})
    worker.start()
    await begun.wait()
    stopping = asyncio.create_task(worker.stop(START_S))
    may_end.set()
    await stopping
    assert len(ended) == 1
