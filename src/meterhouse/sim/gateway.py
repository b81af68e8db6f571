"""Transparent gateways: a bus behind a TCP socket that dials in or listens.

Owns connecting, registering, heartbeats, reconnecting, and the faults of the link itself. Must
never know what the frames mean; the bus answers them. A transparent gateway puts what comes from
the network on its wires and what comes from the wires on the network, plus two texts of its own
that are no frames: the registration it opens with, and the heartbeat that keeps the path alive.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import cast

from meterhouse.sim.bus import Bus
from meterhouse.sim.dice import Dice
from meterhouse.sim.faults import FLOOD_BYTES, Fault
from meterhouse.wire.dlt645 import Decoder, Frame

QUEUE_MAX = 64
"""Requests a gateway holds while its wire is busy; what comes beyond is lost, as in the field."""


@dataclass(frozen=True, slots=True)
class LinkHabits:
    """How gateways speak of themselves and how they come back.

    Attributes:
        heartbeat: text sent at every interval; empty for none.
        heartbeat_s: seconds between heartbeats.
        backoff_s: pause before the first reconnection; it doubles with each failure.
        backoff_max_s: where the doubling ends.
    """

    heartbeat: bytes = b"HB\r\n"
    heartbeat_s: float = 60.0
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0


@dataclass(slots=True)
class Traffic:
    """What went through, summed over every gateway that shares the counter."""

    connections: int = 0
    requests: int = 0
    answers: int = 0
    dropped: int = 0


class SimGateway:
    """One gateway with its bus.

    Args:
        bus: the meters behind it.
        now_ms: gives the present town time.
        registration: what it says first, e.g. `b"MHGW00000001\\r\\n"`; empty for nothing.
        habits: heartbeat and reconnection.
        traffic: the counter to add to.
    """

    def __init__(
        self,
        bus: Bus,
        now_ms: Callable[[], int],
        *,
        registration: bytes = b"",
        habits: LinkHabits | None = None,
        traffic: Traffic | None = None,
        seed: int = 0,
    ) -> None:
        self.bus = bus
        self.now_ms = now_ms
        self.registration = registration
        self.habits = habits or LinkHabits()
        self.traffic = traffic or Traffic()
        self._dice = Dice(seed)
        self._twins: set[asyncio.Task[None]] = set()
        self._accepted_links: set[_Link] = set()

    async def dial(self, host: str, port: int) -> None:
        """Connect, and connect again whenever the link is lost, until cancelled."""
        loop = asyncio.get_running_loop()
        pause_s = self.habits.backoff_s
        try:
            while True:
                tried_s = loop.time()
                with suppress(OSError):
                    await self._serve_once(host, port)
                if loop.time() - tried_s > pause_s:
                    pause_s = self.habits.backoff_s
                # Half of the pause is chance, so that a fleet does not return in one instant.
                await asyncio.sleep(pause_s * (500 + self._dice.below(500)) / 1000)
                pause_s = min(pause_s * 2, self.habits.backoff_max_s)
        finally:
            for twin in self._twins:
                twin.cancel()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen for a head end that dials out; port 0 takes a free one. Gives the port.

        At the end of the block the listener and every connection it took are closed.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._accepted, host, port)
        try:
            taken_port: int = server.sockets[0].getsockname()[1]
            yield taken_port
        finally:
            server.close()
            for link in list(self._accepted_links):
                link.abort()
            await server.wait_closed()

    def _accepted(self) -> "_Link":
        link = _Link(self, None)
        self._accepted_links.add(link)
        link.closed.add_done_callback(lambda _: self._accepted_links.discard(link))
        return link

    def noise(self) -> bytes:
        """What a flood consists of."""
        return self._dice.noise(1024) * (FLOOD_BYTES // 1024)

    def double(self, host: str, port: int) -> None:
        """Open a second connection under the same registration."""
        twin = asyncio.create_task(self._serve_once(host, port))
        self._twins.add(twin)
        twin.add_done_callback(self._twin_done)

    def _twin_done(self, twin: asyncio.Task[None]) -> None:
        self._twins.discard(twin)
        if not twin.cancelled():
            # A refused twin is the head end's right; asking for the error marks it as seen.
            twin.exception()

    async def _serve_once(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        transport, link = await loop.create_connection(
            lambda: _Link(self, (host, port)), host, port
        )
        try:
            await link.closed
        finally:
            transport.abort()


class _Link(asyncio.Protocol):
    """One connection of a gateway."""

    __slots__ = ("_busy", "_decoder", "_gateway", "_peer", "_queue", "_timer", "_wire", "closed")

    def __init__(self, gateway: SimGateway, peer: tuple[str, int] | None) -> None:
        self._gateway = gateway
        self._peer = peer
        self._decoder = Decoder()
        self._queue: deque[Frame] = deque()
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not descend from asyncio's, so only the checker is told.
        self._wire = cast(asyncio.Transport, transport)
        self._gateway.traffic.connections += 1
        if self._gateway.registration:
            self._wire.write(self._gateway.registration)
        self._beat_later()

    def connection_lost(self, _error: Exception | None) -> None:
        self._gateway.traffic.connections -= 1
        if self._timer is not None:
            self._timer.cancel()
        self._queue.clear()
        if not self.closed.done():
            self.closed.set_result(None)

    def abort(self) -> None:
        """Drop the connection at once."""
        self._wire.abort()

    def pause_writing(self) -> None:
        self._wire.pause_reading()

    def resume_writing(self) -> None:
        self._wire.resume_reading()

    def data_received(self, data: bytes) -> None:
        gateway = self._gateway
        if gateway.bus.faults.any_on and gateway.bus.faults.strikes(Fault.GATEWAY_SILENT):
            return
        for found in self._decoder.feed(data):
            if isinstance(found, Frame) and not found.from_meter:
                gateway.traffic.requests += 1
                if len(self._queue) < QUEUE_MAX:
                    self._queue.append(found)
                else:
                    gateway.traffic.dropped += 1
        self._work()

    def _work(self) -> None:
        """Answer what waits, one request after the other, as a bus must."""
        gateway = self._gateway
        out = b""
        while self._queue and not self._busy:
            reply = gateway.bus.exchange(self._queue.popleft(), gateway.now_ms())
            if reply is None:
                continue
            gateway.traffic.answers += 1
            if reply.delay_ms == 0:
                out += reply.data
            else:
                self._busy = True
                loop = asyncio.get_running_loop()
                loop.call_later(reply.delay_ms / 1000, self._arrive, reply.data)
        if out:
            self._wire.write(out)

    def _arrive(self, data: bytes) -> None:
        self._busy = False
        if not self._wire.is_closing():
            self._wire.write(data)
            self._work()

    def _beat_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._gateway.habits.heartbeat_s, self._beat)

    def _beat(self) -> None:
        self._beat_later()
        gateway = self._gateway
        faults = gateway.bus.faults
        if faults.any_on:
            if faults.strikes(Fault.GATEWAY_SILENT):
                return
            if faults.strikes(Fault.GATEWAY_FLOOD):
                self._wire.write(gateway.noise())
            if self._peer is not None and faults.strikes(Fault.GATEWAY_TWICE):
                gateway.double(*self._peer)
        if gateway.habits.heartbeat:
            self._wire.write(gateway.habits.heartbeat)
