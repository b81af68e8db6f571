"""`meterhouse serve` as a whole process is killed with its gateways on the line, and comes back."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from conftest import address_of
from meterhouse.flows import command
from meterhouse.flows.command import SENT_LIFE
from meterhouse.model import CommandKind, Relay
from meterhouse.sim.faults import Fault
from meterhouse.sim.plan import plan_town
from meterhouse.sim.town import Town
from meterhouse.store.db import Database
from meterhouse.store.migrate import migrate
from meterhouse.store.proofs import prove
from meterhouse.store.server import EmbeddedServer
from townhall import HABITS, HOST, eventually, found

METERS = 3
START_S = 60


def present():
    return datetime.now(UTC)


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


async def serve(data, port):
    """The process, once its head end listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "meterhouse", "serve", "--data", str(data), "--port", "0",
        "--headend-port", str(port), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    async with asyncio.timeout(START_S):
        while b"Gateways dial in" not in (line := await process.stdout.readline()):
            assert line, (await process.stderr.read()).decode()
    return process


async def end(process, way):
    """End the process with a signal; answers what it died of."""
    process.send_signal(way)
    await process.communicate()
    return process.returncode


async def ask(address, query, *arguments):
    """Rows from a server that may just be going or coming back; nothing then."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection = await asyncpg.connect(**address.arguments(None))
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close(timeout=5)
    return []


async def test_a_killed_house_comes_back_and_looks_again_at_what_it_had_sent():
    town = Town(plan_town(11, METERS, 1), present, habits=HABITS)
    (faults,) = (gateway.bus.faults for gateway in town.gateways.values())
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="meterhouse-serve-") as name:
        data = Path(name)
        data.chmod(0o755)
        async with EmbeddedServer(data / "postgres") as server:
            address = address_of(server, "meterhouse")
            await migrate(address)
            db = Database(address, size=1)
            await db.open()
            site, _ = await found(db, present, town.spec)
            await db.close()
        dialling = asyncio.create_task(town.dial(HOST, port))
        started_at = present()
        process = await serve(data, port)
        try:
            # A server that was stopped in order gets another socket folder; a killed one keeps it.
            host = (data / "postgres" / "socket").read_text().strip()
            address = replace(address, host=host)
            await read_since(address, started_at)
            for life in range(METERS):
                process = await one_life(process, town, faults, site, address, life, data, port)
            contradicted = [proof.says for proof in await prove(address) if not proof.holds]
            assert contradicted == []
            assert await end(process, signal.SIGTERM) == 0
        finally:
            dialling.cancel()
            await asyncio.gather(dialling, return_exceptions=True)
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def one_life(process, town, faults, site, address, life, data, port):
    """Order a disconnect that gets no answer, be killed, come back, read, and see to it."""
    meter_id, relay_of = site.meters[life], town.meters[list(town.meters)[life]]
    faults.switch_on(Fault.GATEWAY_SILENT)
    db = Database(address, size=1)
    await db.open()
    (number,) = await command.request(
        db, site.project_id, [meter_id], CommandKind.DISCONNECT, "test", None, present()
    )
    await db.close()
    state = "select state, why from command where id = $1"
    await eventually(lambda: _is(ask(address, state, number), "sent", ""))
    assert await end(process, signal.SIGKILL) == -signal.SIGKILL
    assert faults.counts[Fault.GATEWAY_SILENT] > life
    faults.all_off()
    assert relay_of.relay is Relay.CLOSED
    started_at = present()
    process = await serve(data, port)
    assert [tuple(row) for row in await ask(address, state, number)] == [("sent", "")]
    await read_since(address, started_at)
    # Instead of waiting until it counts as abandoned, it was sent that long ago.
    await ask(
        address, "update command set sent_at = sent_at - $2::interval where id = $1", number,
        SENT_LIFE + timedelta(seconds=1),
    )  # fmt: skip
    await eventually(lambda: _is(ask(address, state, number), "unknown", "interrupted"))
    again = """select state, why from command where meter_id = $1 and kind = $2 and id > $3
        and state = 'confirmed'"""
    for kind in (CommandKind.READ, CommandKind.DISCONNECT):
        await eventually(lambda: ask(address, again, meter_id, kind, number))  # noqa: B023
    assert relay_of.relay is Relay.OPEN
    return process


async def read_since(address, at):
    """Wait until every meter has been read since an instant."""
    read = "select distinct meter_id from reading where received_at >= $1"
    await eventually(lambda: _count(ask(address, read, at), METERS), deadline_s=START_S)


async def _count(rows, wanted):
    return len(await rows) == wanted


async def _is(rows, *wanted):
    return [tuple(row) for row in await rows] == [wanted]
