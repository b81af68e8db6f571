"""One gateway's worker: what its bus does next.

Owns the order on one bus: money on its way into meters first, then commands, then meters about to
run out, then the round, and a search for strangers in what time is left. One
conversation at a time, because RS-485 carries no more. A meter that does not answer is asked less
often and last, so that it never slows its neighbours.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from meterhouse.errors import MeterhouseError
from meterhouse.flows import command as commands
from meterhouse.flows import parameter, task, transit
from meterhouse.flows import scan as scans
from meterhouse.flows.gateway import RosterGateway, RosterMeter
from meterhouse.headend.collector import Collector, Sample
from meterhouse.headend.line import Line
from meterhouse.headend.scan import Scan
from meterhouse.logs import Log
from meterhouse.model import CommandKind
from meterhouse.ports import (
    Action,
    Clock,
    Control,
    Driver,
    Effect,
    Intent,
    MeterRef,
    Outcome,
    ReadLive,
    ReadRound,
    ReadWallet,
    SendOrder,
)
from meterhouse.store.db import Database

log = Log(__name__)

SOON = timedelta(minutes=5)
# Without a wake-up (a lost notification) commands are looked for this often.
LOOK_S = 60
# When the database was away for a moment, the next look is so near.
RETRY_S = 5
SKIPPED_ROUNDS_MAX = 8
ACTIONS: dict[CommandKind, Action] = {
    CommandKind.DISCONNECT: Action.DISCONNECT,
    CommandKind.CONNECT: Action.CONNECT,
    CommandKind.ALLOW_CONNECT: Action.ALLOW_CONNECT,
    CommandKind.KEEP_POWER_ON: Action.KEEP_POWER_ON,
    CommandKind.KEEP_POWER_OFF: Action.KEEP_POWER_OFF,
}


@dataclass(frozen=True, slots=True)
class Bench:
    """What every pump works with. `speed`: seconds of the platform's clock per real second."""

    db: Database
    clock: Clock
    speed: int
    collector: Collector
    sent: Callable[[commands.Claimed], None]


class Pump:
    """Drives one line for as long as it is open."""

    def __init__(self, gateway: RosterGateway, line: Line, driver: Driver, bench: Bench) -> None:
        self.gateway = gateway
        self.line = line
        self._driver = driver
        self._bench = bench
        self._wake = asyncio.Event()
        self._has_commands = True
        self._has_tasks = True
        # Somebody may have left recharges half done: a sender before us, or we ourselves.
        self._resumes = True
        # When a command that has to wait may be sent.
        self._due_at: datetime | None = None
        self._scan: Scan | None = None
        self._soon: list[tuple[datetime, int]] = []
        self._round: deque[RosterMeter] = deque()
        self._next_round_at = bench.clock()
        self._failures: dict[int, int] = {}
        self.readings = 0
        self._is_ending = False

    def wake(self) -> None:
        """There may be a command, or a search to begin."""
        self._has_commands = self._has_tasks = True
        self._wake.set()

    def renew(self, gateway: RosterGateway) -> None:
        """The gateway has other meters, or is read at another interval; new meters are read now."""
        known = {meter.meter_id for meter in self.gateway.meters}
        new = [meter for meter in gateway.meters if meter.meter_id not in known]
        self.gateway = gateway
        interval = timedelta(seconds=gateway.reading_interval_s)
        self._next_round_at = min(self._next_round_at, self._bench.clock() + interval)
        if new:
            self._round.extend(new)
            self._wake.set()

    def end(self) -> None:
        """Finish the conversation under way and what follows from it, then begin no other."""
        self._is_ending = True
        self._wake.set()

    @property
    def _goes_on(self) -> bool:
        return self.line.is_open and not self._is_ending

    def read_soon(self, meter_id: int) -> None:
        """Read this meter again well before the next round."""
        due_at = self._bench.clock() + SOON
        if all(one != meter_id for _, one in self._soon):
            heapq.heappush(self._soon, (due_at, meter_id))
            self._wake.set()

    async def run(self) -> None:
        """Work until the line is lost, or until asked to end."""
        try:
            await self._work()
        finally:
            if self._scan is not None:
                await self._scan.release()

    async def _work(self) -> None:
        while self._goes_on:
            now = self._bench.clock()
            if self._has_commands or (self._due_at is not None and self._due_at <= now):
                await self._recharges()
                await self._commands()
            elif self._soon and self._soon[0][0] <= now:
                await self._read_id(heapq.heappop(self._soon)[1])
            elif self._round:
                await self._read(self._round.popleft())
            elif self._next_round_at <= now:
                self._begin_round(now)
            elif not await self._search():
                await self._rest(now)

    async def _search(self) -> bool:
        """One step of a search, if one is wanted; False when there is none."""
        bench = self._bench
        try:
            if self._scan is None and self._has_tasks:
                self._has_tasks = False
                claimed = await task.claim(
                    bench.db, self.gateway.project_id, (scans.KIND,), self.gateway.id,
                    bench.clock(), task.ORPHAN * bench.speed,
                )  # fmt: skip
                if claimed is not None:
                    self._scan = Scan(
                        claimed, self.gateway.protocol, self.gateway.timezone, bench.db,
                        bench.clock, bench.speed,
                    )  # fmt: skip
            if self._scan is None:
                return False
            if not await self._scan.step(self._talk):
                self._scan = None
                self._has_tasks = True
        except (MeterhouseError, OSError) as error:
            log.warning(
                "search_waits", error=error, project_id=self.gateway.project_id,
                gateway_id=self.gateway.id,
            )  # fmt: skip
            return False
        return True

    def _begin_round(self, now: datetime) -> None:
        self._has_commands = self._has_tasks = True
        interval = timedelta(seconds=self.gateway.reading_interval_s)
        while self._next_round_at <= now:
            self._next_round_at += interval
        for meter_id, failures in self._failures.items():
            self._failures[meter_id] = failures + 1
        due = [one for one in self.gateway.meters if self._is_due(one.meter_id)]
        due.sort(key=lambda one: self._failures.get(one.meter_id, 0))
        self._round.extend(due)

    def _is_due(self, meter_id: int) -> bool:
        """Answering meters always; silent ones in the 1st, 2nd, 4th, 8th, 16th … round."""
        failures = self._failures.get(meter_id, 0)
        return failures & (failures - 1) == 0 or failures % SKIPPED_ROUNDS_MAX == 0

    async def _rest(self, now: datetime) -> None:
        until = min([self._next_round_at, *(due_at for due_at, _ in self._soon[:1])])
        until = until if self._due_at is None else min(until, self._due_at)
        wait_s = min((until - now).total_seconds() / self._bench.speed, LOOK_S)
        self._wake.clear()
        if self._is_ending:
            return
        try:
            async with asyncio.timeout(max(wait_s, 0.001)):
                await self._wake.wait()
        except TimeoutError:
            self._has_commands |= wait_s >= LOOK_S
            self._has_tasks |= wait_s >= LOOK_S

    async def _read_id(self, meter_id: int) -> None:
        for meter in self.gateway.meters:
            if meter.meter_id == meter_id:
                await self._read(meter)

    async def _read(self, meter: RosterMeter) -> None:
        outcome = await self._talk(meter.address, meter.model, ReadRound())
        await self._take(meter.meter_id, outcome)

    async def _take(self, meter_id: int, outcome: Outcome) -> None:
        """A reading counts as soon as the total was said, whatever else was not."""
        if outcome.values.total_milli is None:
            self._failures.setdefault(meter_id, 1)
            return
        self._failures.pop(meter_id, None)
        self.readings += 1
        sample = Sample(meter_id, self._bench.clock(), outcome.values)
        await self._bench.collector.put(self.gateway.project_id, sample)

    async def _talk(self, address: str, model: str, intent: Intent) -> Outcome:
        return await self.line.talk(self._driver.converse(MeterRef(address, model), intent))

    async def _recharges(self) -> None:
        """Bring money to meters; what was left half done is looked at again, by whomever."""
        bench, project_id = self._bench, self.gateway.project_id
        try:
            if self._resumes:
                await transit.resume(bench.db, project_id, self.gateway.id, bench.clock())
                self._resumes = False
            while self._goes_on:
                due = await transit.claim(bench.db, project_id, self.gateway.id, bench.clock())
                if due is None:
                    return
                await self._bring(due)
        except (MeterhouseError, OSError) as error:
            # Nobody else looks at what we had claimed before our claim is over.
            self._resumes = True
            log.warning(
                "recharges_wait", error=error, project_id=project_id, gateway_id=self.gateway.id
            )

    async def _bring(self, due: transit.Due) -> None:
        """Read the purse, and if an order is to go out, send it once its bytes are committed."""
        db, clock = self._bench.db, self._bench.clock
        outcome = await self._talk(due.address, due.model, ReadWallet())
        order = await transit.look(db, due, outcome, clock())
        if order is None:
            return
        frame = order.frame
        if frame is None:
            made = await self._talk(due.address, due.model, order.intent)
            frame = made.values.frame
            if frame is None:
                await transit.unmade(db, due, made.why, clock())
                return
        if await transit.commit(db, due, order, frame, clock()):
            outcome = await self._talk(due.address, due.model, SendOrder(frame))
            await transit.note(db, due, outcome, clock())

    async def _commands(self) -> None:
        """Send what is due, one by one; each is claimed only when the bus is free for it."""
        self._has_commands, self._due_at = False, None
        bench = self._bench
        try:
            while self._goes_on:
                claimed = await commands.claim(
                    bench.db, self.gateway.project_id, self.gateway.id, bench.clock()
                )
                if claimed is None:
                    self._due_at = await self._next_due()
                    return
                outcome = await self._carry_out(claimed)
                await commands.finish(bench.db, claimed, outcome, bench.clock())
        except (MeterhouseError, OSError) as error:
            # What was sent and could not be noted stays *sent*, and is looked at again.
            self._look_again()
            log.warning(
                "commands_wait", error=error, project_id=self.gateway.project_id,
                gateway_id=self.gateway.id,
            )  # fmt: skip

    def _look_again(self) -> None:
        """Try again soon what the database could not do just now."""
        self._due_at = self._bench.clock() + timedelta(seconds=RETRY_S * self._bench.speed)

    async def _next_due(self) -> datetime | None:
        """When the next command may be sent, or a recharge is to be looked at."""
        db, project_id = self._bench.db, self.gateway.project_id
        waiting = (
            await commands.next_due(db, project_id, self.gateway.id),
            await transit.due_at(db, project_id, self.gateway.id),
        )
        return min((one for one in waiting if one is not None), default=None)

    async def _carry_out(self, claimed: commands.Claimed) -> Outcome:
        if claimed.kind is CommandKind.READ:
            outcome = await self._talk(claimed.address, claimed.model, ReadLive())
            await self._take(claimed.meter_id, outcome)
            return outcome
        if claimed.asked is not None:
            intent = parameter.intent_of(
                claimed.kind, claimed.asked, claimed.timezone, self._bench.clock()
            )
            return await self._talk(claimed.address, claimed.model, intent)
        until = claimed.expires_at.astimezone(ZoneInfo(claimed.timezone)).replace(tzinfo=None)
        self._bench.sent(claimed)
        outcome = await self._talk(
            claimed.address, claimed.model, Control(ACTIONS[claimed.kind], until)
        )
        if outcome.effect is not Effect.DONE:
            log.info(
                "command_not_done", project_id=claimed.project_id, command_id=claimed.id,
                meter_id=claimed.meter_id, state=outcome.effect, code=outcome.why,
            )  # fmt: skip
        return outcome
