"""What a simulated town costs: memory, and frames answered over TCP on one core.

Owns one measurement. A fresh process lives the town and dials; this one plays a blunt head end
that keeps every bus busy with the round's two reads. What counts is the town's own processor time,
so the figure does not depend on how fast the head end asks.
"""

import asyncio
import multiprocessing
import resource
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, cast

import uvloop

from meterhouse.sim.plan import plan_town
from meterhouse.sim.town import Town
from meterhouse.wire.dlt645 import DLT645_2007, FROM_METER, Decoder, Frame, encode

METERS = 10_000
GATEWAYS = 200
ROUNDS = 4
RSS_MIB_MAX = 1024
FRAMES_PER_S_WANTED = 10_000
"""Two frames make a reading, and 5,000 readings a second are wanted."""

_SEED = 1
_HOST = "127.0.0.1"
_READS = (DLT645_2007.identifier(0x0001FF00), DLT645_2007.identifier(0x04000503))


def figures() -> list[dict[str, Any]]:
    """Memory of a town of 10,000 meters behind 200 gateways, and its rate of answers."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        head_end = runner.run(_HeadEnd.open())
        town = context.Process(target=_live, args=(there, head_end.port))
        town.start()
        started_s = time.perf_counter()
        runner.run(head_end.ask_all())
        wall_s = time.perf_counter() - started_s
        here.send("end")
        cpu_s, rss_mib = here.recv()
        town.join()
    frames = METERS * len(_READS) * ROUNDS
    return [
        _figure("town memory", rss_mib, "MiB", RSS_MIB_MAX),
        _figure("town frames answered", round(frames / cpu_s), "1/s CPU", FRAMES_PER_S_WANTED),
        _figure("town frames over TCP", round(frames / wall_s), "1/s", FRAMES_PER_S_WANTED),
    ]


def _figure(name: str, measured: int, unit: str, reference: int) -> dict[str, Any]:
    return {
        "name": name,
        "value": measured,
        "unit": unit,
        "reference": reference,
        "ratio": round(measured / reference, 3),
    }


def _live(pipe: Connection, port: int) -> None:
    """The town's process: dial, answer, and at the end tell what it took."""
    uvloop.install()
    asyncio.run(_answer_until_told(pipe, port))


async def _answer_until_told(pipe: Connection, port: int) -> None:
    town = Town(plan_town(_SEED, METERS, GATEWAYS), lambda: datetime.now(UTC))
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(pipe.fileno(), told.set)
    born_s = time.process_time()
    dialling = asyncio.create_task(town.dial(_HOST, port))
    await told.wait()
    loop.remove_reader(pipe.fileno())
    cpu_s = time.process_time() - born_s
    pipe.send((cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024))
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)


class _HeadEnd:
    """Accepts every gateway and, when all are there, asks each of its meters in turn."""

    def __init__(self) -> None:
        spec = plan_town(_SEED, METERS, GATEWAYS)
        self.addresses = {each.registration: each.meters for each in spec.gateways}
        self.port = 0
        self.lines: list[_AskLine] = []
        self.complete = asyncio.Event()

    @classmethod
    async def open(cls) -> "_HeadEnd":
        head_end = cls()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _AskLine(head_end), _HOST, 0)
        head_end.port = server.sockets[0].getsockname()[1]
        return head_end

    def arrived(self, line: "_AskLine") -> None:
        self.lines.append(line)
        if len(self.lines) == GATEWAYS:
            self.complete.set()

    async def ask_all(self) -> None:
        await self.complete.wait()
        for line in self.lines:
            line.next()
        await asyncio.gather(*(line.finished for line in self.lines))


class _AskLine(asyncio.Protocol):
    """One gateway's line: one request out, one answer in, until every meter was asked."""

    def __init__(self, head_end: _HeadEnd) -> None:
        self._head_end = head_end
        self._decoder = Decoder()
        self._requests: Sequence[bytes] = ()
        self._asked = 0
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not descend from asyncio's, so only the checker is told.
        self._wire = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._requests:
            registration = data.split(b"\r\n")[0].decode("ascii")
            self._requests = [
                encode(Frame(address, DLT645_2007.read, head))
                for _ in range(ROUNDS)
                for address in self._head_end.addresses[registration]
                for head in _READS
            ]
            self._head_end.arrived(self)
            return
        for found in self._decoder.feed(data):
            if isinstance(found, Frame) and found.control == DLT645_2007.read | FROM_METER:
                self.next()

    def next(self) -> None:
        if self._asked == len(self._requests):
            if not self.finished.done():
                self.finished.set_result(None)
            return
        self._wire.write(self._requests[self._asked])
        self._asked += 1
