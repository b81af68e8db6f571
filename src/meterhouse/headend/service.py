"""The head end: listens, dials, and gives every gateway its pump.

Owns who is connected. A gateway that connects twice keeps its newest line and raises an alarm; an
unknown one is written down and refused; one that floods is hung up on. Nothing here waits for one
gateway: each has its own task, and everything shared is bounded.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from meterhouse import metrics
from meterhouse.drivers import driver_for
from meterhouse.errors import MeterhouseError
from meterhouse.flows import gateway as gateways
from meterhouse.flows import reading
from meterhouse.flows.command import Claimed
from meterhouse.flows.gateway import RosterGateway
from meterhouse.flows.prices import Tariffs
from meterhouse.headend.collector import Collector
from meterhouse.headend.line import Line, LineEvents
from meterhouse.headend.pump import Bench, Pump
from meterhouse.logs import Log
from meterhouse.model import AlarmKind
from meterhouse.ports import Clock, SecurityModule
from meterhouse.store.db import Database
from meterhouse.store.queue import ROSTER_CHANGED, WAKE_CHANNEL

log = Log(__name__)

LINES_MAX = 10_000
# More than the backlog, or a fleet that returns in one instant would be refused.
NAMELESS_MAX = 5_000
BACKLOG = 4_096
# A pump a line, and a few short notes to the books beside them.
TASKS_MAX = 2 * LINES_MAX
ROSTER_S = 30
SEEN_S = 20
RETRY_S = 1
DIAL_FIRST_S = 1
DIAL_MAX_S = 60
STRANGERS_PER_ROSTER = 100


@dataclass(frozen=True, slots=True)
class HeadEndSettings:
    """Where to listen, how fast the platform's clock runs, how patient drivers are.

    `transport` is `rs485`, `tcp` or `lora`: meter models state a reply time for each.
    """

    host: str = "127.0.0.1"
    port: int = 7645
    speed: int = 1
    transport: str = "tcp"


class HeadEnd:
    """All lines of one process."""

    def __init__(
        self, db: Database, clock: Clock, settings: HeadEndSettings,
        sent: Callable[[Claimed], None] = lambda _: None, security: SecurityModule | None = None,
    ) -> None:  # fmt: skip
        self.settings = settings
        self._security = security
        self.collector = Collector(self._ingest, self._told, self._set_aside)
        self._db = db
        self._clock = clock
        self._tariffs = Tariffs()
        self._bench = Bench(db, clock, settings.speed, self.collector, sent)
        self._by_name: dict[str, RosterGateway] = {}
        self._by_id: dict[int, RosterGateway] = {}
        self._gateway_of: dict[int, int] = {}
        # Every open line, with its pump once it is named.
        self._lines: dict[Line, Pump | None] = {}
        self._pumps: dict[int, Pump] = {}
        self._dialling: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._serving: set[asyncio.Task[Any]] = set()
        self._is_ending = False
        self._strangers_left = STRANGERS_PER_ROSTER
        self._server: asyncio.Server | None = None
        # Gateways that came or went, and the books do not know yet.
        self._moved: set[int] = set()
        self._has_moved = asyncio.Event()
        self._roster_changed = asyncio.Event()
        self._events = LineEvents(self._opened, self._named, self._lost, self._floods)

    @property
    def port(self) -> int:
        """The port that is really listened on."""
        assert self._server is not None, "the head end has not been started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def online(self) -> int:
        """How many gateways have a line."""
        return len(self._pumps)

    @property
    def readings(self) -> int:
        """How many readings the present lines have brought."""
        return sum(pump.readings for pump in self._pumps.values())

    async def start(self) -> None:
        """Load the roster, listen, and begin to dial."""
        await gateways.clear_lines(self._db, self._clock())
        await self.reload()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Line(self._events, self._by_name.__contains__),
            self.settings.host, self.settings.port, backlog=BACKLOG,
        )  # fmt: skip
        for endless in (
            self.collector.run,
            self._tend_roster,
            self._listen,
            self._tell_moved,
            self._tell_seen,
        ):
            self._spawn(self._forever(endless))

    async def stop(self, within_s: float = 0) -> None:
        """Hang up, and commit what has been read.

        Conversations under way are finished first, as far as `within_s` allows: a command that
        was sent is then known to have been obeyed, and need not be looked at again.
        """
        self._is_ending = True
        if self._server is not None:
            self._server.close()
        dialling = list(self._dialling.values())
        for task in dialling:
            task.cancel()
        for pump in self._pumps.values():
            pump.end()
        if within_s and self._serving:
            await asyncio.wait(self._serving, timeout=within_s)
        for line in list(self._lines):
            line.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, *dialling, return_exceptions=True)
        await self.collector.flush()
        with contextlib.suppress(MeterhouseError):
            await gateways.clear_lines(self._db, self._clock())

    async def reload(self) -> None:
        """Take the roster as it is now; pumps go on with their new list of meters."""
        roster = await gateways.load_roster(self._db)
        self._by_name = {one.registration: one for one in roster if one.direction == "dial_in"}
        self._by_id = {one.id: one for one in roster}
        self._gateway_of = {meter.meter_id: one.id for one in roster for meter in one.meters}
        for gateway_id, pump in self._pumps.items():
            known = self._by_id.get(gateway_id)
            if known is None:
                pump.line.close()
            else:
                pump.renew(known)
        for one in roster:
            dialling = self._dialling.get(one.id)
            if one.direction == "dial_out" and (dialling is None or dialling.done()):
                self._dialling[one.id] = asyncio.create_task(self._dial(one.id))

    async def _ingest(self, project_id: int, batch: reading.Batch) -> reading.Ingested:
        return await reading.ingest(self._db, self._tariffs, project_id, batch, self._clock())

    async def _set_aside(self, project_id: int, batch: reading.Batch) -> None:
        await reading.set_aside(self._db, project_id, batch, "refused", self._clock())

    # what the collector calls, whoever listens
    def _told(self, project_id: int, done: reading.Ingested) -> None:  # noqa: ARG002
        for outcome in ("fresh", "late", "repeated", "conflicting", "unplaced"):
            metrics.ingested(outcome, getattr(done, outcome))
        for meter_id in done.soon:
            pump = self._pumps.get(self._gateway_of.get(meter_id, 0))
            if pump is not None:
                pump.read_soon(meter_id)

    def _opened(self, line: Line) -> None:
        nameless = len(self._lines) - len(self._pumps)
        self._lines[line] = None
        if self._is_ending:
            line.close()
        elif len(self._lines) > LINES_MAX or nameless >= NAMELESS_MAX:
            log.warning("lines_too_many", count=len(self._lines))
            line.close()

    def _named(self, line: Line, name: str) -> None:
        if self._is_ending:
            line.close()
            return
        gateway = self._by_name.get(name)
        if gateway is None:
            self._refuse(line, name)
            return
        self._attach(line, gateway)

    def _attach(self, line: Line, gateway: RosterGateway) -> None:
        before = self._pumps.pop(gateway.id, None)
        if before is not None and before.line.is_open:
            self._alarm(gateway, AlarmKind.GATEWAY_TWICE, {"peer": line.peer})
            before.line.close()
        driver = driver_for(gateway.protocol, self.settings.transport, self._security)
        line.name_it(gateway.registration, driver.decoder())
        pump = Pump(gateway, line, driver, self._bench)
        self._pumps[gateway.id] = self._lines[line] = pump
        self._note_move(gateway.id)
        task = self._spawn(self._serve(pump))
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, pump: Pump) -> None:
        try:
            await pump.run()
        finally:
            pump.line.close()

    def _refuse(self, line: Line, name: str) -> None:
        log.warning("gateway_unknown")
        if self._strangers_left > 0:
            self._strangers_left -= 1
            self._spawn(gateways.meet_stranger(self._db, name, line.peer, self._clock()))
        line.close()

    def _lost(self, line: Line) -> None:
        pump = self._lines.pop(line, None)
        if pump is None:
            return
        pump.wake()
        if self._pumps.get(pump.gateway.id) is pump:
            del self._pumps[pump.gateway.id]
            self._note_move(pump.gateway.id)

    def _floods(self, line: Line) -> None:
        pump = self._lines.get(line)
        if pump is not None:
            self._alarm(pump.gateway, AlarmKind.GATEWAY_FLOOD, {"bytes_in": line.bytes_in})

    def _alarm(self, gateway: RosterGateway, kind: AlarmKind, facts: dict[str, object]) -> None:
        self._spawn(
            gateways.alarm(self._db, gateway.project_id, gateway.id, kind, facts, self._clock())
        )

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        if len(self._tasks) >= TASKS_MAX:
            log.error("tasks_too_many", work=getattr(work, "__name__", ""))
            work.close()
            return None
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _forever(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run what must never end, and begin it again should it fail all the same."""
        while True:
            try:
                await work()
            except Exception as error:
                log.error("task_begins_again", error=error, work=getattr(work, "__name__", ""))
            await asyncio.sleep(RETRY_S)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("task_failed", error=task.exception())

    async def _dial(self, gateway_id: int) -> None:
        """Keep a line to a gateway that listens; whom we dial need not say who it is."""
        loop = asyncio.get_running_loop()
        events = replace(self._events, named=lambda _line, _name: None)
        wait_s = DIAL_FIRST_S
        while (gateway := self._by_id.get(gateway_id)) is not None and gateway.address:
            host, _, port = gateway.address.rpartition(":")
            tried = loop.time()
            with contextlib.suppress(OSError, ValueError, OverflowError):
                _, line = await loop.create_connection(
                    lambda: Line(events, lambda _name: False), host, int(port)
                )
                if line.is_open:
                    self._attach(line, gateway)
                    await line.closed.wait()
            if loop.time() - tried > wait_s:
                wait_s = DIAL_FIRST_S
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, DIAL_MAX_S)

    async def _tend_roster(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._roster_changed.wait(), ROSTER_S)
            self._roster_changed.clear()
            self._strangers_left = STRANGERS_PER_ROSTER
            with contextlib.suppress(MeterhouseError, OSError):
                await self.reload()

    def _note_move(self, gateway_id: int) -> None:
        self._moved.add(gateway_id)
        self._has_moved.set()

    async def _tell_moved(self) -> None:
        """Write down who has a line now. One writer, so that coming and going keep their order."""
        while True:
            await self._has_moved.wait()
            self._has_moved.clear()
            for gateway_id in list(self._moved):
                self._moved.discard(gateway_id)
                try:
                    await self._tell_line(gateway_id)
                except (MeterhouseError, OSError) as error:
                    log.warning("line_told_later", error=error, gateway_id=gateway_id)
                    self._note_move(gateway_id)
                    await asyncio.sleep(RETRY_S)

    async def _tell_line(self, gateway_id: int) -> None:
        pump, gateway = self._pumps.get(gateway_id), self._by_id.get(gateway_id)
        if pump is not None:
            project_id, peer = pump.gateway.project_id, pump.line.peer
            seals = self._security is not None
            await gateways.come(self._db, project_id, gateway_id, peer, self._clock(), seals=seals)
        elif gateway is not None:
            await gateways.go(self._db, gateway.project_id, gateway_id, self._clock())

    async def _tell_seen(self) -> None:
        """Write down, now and then, which lines have brought bytes."""
        heard: dict[Line, int] = {}
        while True:
            await asyncio.sleep(SEEN_S)
            pumps = list(self._pumps.values())
            online = [(pump.gateway.project_id, pump.gateway.id) for pump in pumps]
            said = [one.gateway.id for one in pumps if heard.get(one.line) != one.line.bytes_in]
            heard = {pump.line: pump.line.bytes_in for pump in pumps}
            if online:
                with contextlib.suppress(MeterhouseError, OSError):
                    await gateways.see(self._db, online, said, self._clock())
            for _, gateway_id in online:
                if gateway_id not in self._pumps:
                    # It went meanwhile, and may just have been written down as still there.
                    self._note_move(gateway_id)

    async def _listen(self) -> None:
        """Hear of new commands the moment they are committed.

        Whoever begins to listen has missed what came before, so every pump looks then.
        """
        while True:
            try:
                async with self._db.listener(WAKE_CHANNEL, self._heard) as lost:
                    for pump in self._pumps.values():
                        pump.wake()
                    await lost.wait()
            except Exception as error:
                log.warning("commands_unheard", error=error)
            await asyncio.sleep(RETRY_S)

    def _heard(self, payload: str) -> None:
        if payload == ROSTER_CHANGED:
            self._roster_changed.set()
            return
        pump = self._pumps.get(int(payload.rpartition(":")[2]))
        if pump is not None:
            pump.wake()
