"""The simulated gateway: it registers, beats, comes back, and fails as told."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import pytest

from meterhouse.sim.bus import Bus, LineTiming
from meterhouse.sim.faults import FLOOD_BYTES, Fault, Faults
from meterhouse.sim.gateway import QUEUE_MAX, LinkHabits, SimGateway
from meterhouse.sim.line import START_MS
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of
from meterhouse.wire.dlt645 import Decoder, Frame, encode

ADDRESS = "240000000001"
READ_BLOCK = Frame(ADDRESS, 0x11, bytes.fromhex("00ff0100"))
QUIET = LinkHabits(heartbeat=b"", heartbeat_s=3600, backoff_s=0.001, backoff_max_s=0.002)
BEATING = LinkHabits(heartbeat=b"PING", heartbeat_s=0.005, backoff_s=0.001, backoff_max_s=0.002)


def gateway(habits=QUIET, timing=None):
    face = face_of(MeterSpec(ADDRESS, "DDSY1352-NK"), START_MS, 0)
    return SimGateway(
        Bus([face], timing=timing),
        lambda: START_MS,
        registration=b"MHGW00000001\r\n",
        habits=habits,
    )


class HeadEnd:
    """Collects the connections gateways make."""

    def __init__(self):
        self.arrived = asyncio.Queue()
        self.writers = []

    async def take(self, reader, writer):
        self.writers.append(writer)
        await self.arrived.put((reader, writer))

    async def close(self, server):
        server.close()
        for writer in self.writers:
            writer.close()
        closing = [writer.wait_closed() for writer in self.writers]
        await asyncio.gather(*closing, return_exceptions=True)

    async def next(self):
        async with asyncio.timeout(5):
            return await self.arrived.get()


@asynccontextmanager
async def dialled(subject):
    head_end = HeadEnd()
    server = await asyncio.start_server(head_end.take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dialling = asyncio.create_task(subject.dial("127.0.0.1", port))
    try:
        yield head_end
    finally:
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
        await head_end.close(server)


async def frames_from(reader, wanted):
    decoder, found = Decoder(), []
    async with asyncio.timeout(5):
        while len(found) < wanted:
            data = await reader.read(4096)
            assert data
            found += [each for each in decoder.feed(data) if isinstance(each, Frame)]
    return found


async def test_registers_and_answers():
    subject = gateway()
    async with dialled(subject) as head_end:
        reader, writer = await head_end.next()
        assert await reader.readexactly(14) == b"MHGW00000001\r\n"
        writer.write(encode(READ_BLOCK)[:9])
        await writer.drain()
        writer.write(encode(READ_BLOCK)[9:] + encode(READ_BLOCK))
        first, second = await frames_from(reader, 2)
        assert first == second
        assert (first.address, first.control) == (ADDRESS, 0x91)
        assert subject.traffic.requests == subject.traffic.answers == 2
        assert subject.traffic.connections == 1
    assert subject.traffic.connections == 0


async def test_comes_back_when_the_link_is_lost():
    async with dialled(gateway()) as head_end:
        for _ in range(3):
            reader, writer = await head_end.next()
            assert await reader.readexactly(14) == b"MHGW00000001\r\n"
            writer.transport.abort()


async def test_keeps_trying_while_nobody_listens():
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    head_end = HeadEnd()
    dialling = asyncio.create_task(gateway().dial("127.0.0.1", port))
    # A refused connection of its own lets the gateway be refused at least once, too.
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    server = await asyncio.start_server(head_end.take, "127.0.0.1", port)
    await head_end.next()
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)
    await head_end.close(server)


async def test_heartbeats_follow_the_registration():
    async with dialled(gateway(BEATING)) as head_end:
        reader, _ = await head_end.next()
        assert await reader.readexactly(14 + 12) == b"MHGW00000001\r\n" + b"PING" * 3


async def test_one_request_after_the_other_on_a_slow_wire():
    subject = gateway(timing=LineTiming(baud=1_000_000, pause_ms=0))
    async with dialled(subject) as head_end:
        reader, writer = await head_end.next()
        await reader.readexactly(14)
        writer.write(encode(READ_BLOCK) * 4)
        assert len(await frames_from(reader, 4)) == 4
        writer.write(encode(READ_BLOCK) * (QUEUE_MAX + 40))
        await frames_from(reader, QUEUE_MAX)
        assert subject.traffic.dropped > 0


class TellingFaults(Faults):
    """Says when a fault has struck."""

    struck = None

    def strikes(self, fault, where=""):
        happens = super().strikes(fault, where)
        if happens:
            self.struck.set()
        return happens


async def test_a_silent_gateway_stays_connected():
    subject = gateway()
    faults = subject.bus.faults = TellingFaults()
    faults.struck = asyncio.Event()
    faults.switch_on(Fault.GATEWAY_SILENT, times=1)
    async with dialled(subject) as head_end:
        reader, writer = await head_end.next()
        await reader.readexactly(14)
        writer.write(encode(READ_BLOCK))
        async with asyncio.timeout(5):
            await faults.struck.wait()
        assert subject.traffic.requests == 0
        writer.write(encode(READ_BLOCK))
        assert len(await frames_from(reader, 1)) == 1
        assert faults.counts[Fault.GATEWAY_SILENT] == 1


async def test_a_gateway_that_connects_twice():
    subject = gateway(BEATING)
    subject.bus.faults.switch_on(Fault.GATEWAY_TWICE, times=1)
    async with dialled(subject) as head_end:
        for _ in range(2):
            reader, _ = await head_end.next()
            assert await reader.readexactly(14) == b"MHGW00000001\r\n"
        assert subject.traffic.connections == 2
        assert subject.bus.faults.counts[Fault.GATEWAY_TWICE] == 1
    assert subject.traffic.connections == 0


async def test_a_gateway_that_floods():
    subject = gateway(BEATING)
    subject.bus.faults.switch_on(Fault.GATEWAY_FLOOD, times=1)
    async with dialled(subject) as head_end:
        reader, _ = await head_end.next()
        received = 0
        async with asyncio.timeout(5):
            while received < FLOOD_BYTES:
                received += len(await reader.read(1 << 16))
        assert subject.bus.faults.counts[Fault.GATEWAY_FLOOD] == 1


async def test_listens_for_a_head_end_that_dials_out():
    subject = gateway()
    async with subject.listening("127.0.0.1", 0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readexactly(14) == b"MHGW00000001\r\n"
        writer.write(encode(READ_BLOCK))
        assert len(await frames_from(reader, 1)) == 1
    with suppress(ConnectionResetError):
        async with asyncio.timeout(5):
            assert await reader.read() == b""
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    assert subject.traffic.connections == 0
