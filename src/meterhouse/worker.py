"""The worker: what happens by the clock.

Owns seven loops: commands and recharges that nobody looks after, silence, the outbox, the daily
close, estimates for silent points and bills of ended periods, the long tasks that need no gateway,
and the seals of the audit. Each loop goes over all projects, one transaction each; a failure of one
project is logged and does not stop the others. Several workers may run: rows are claimed, days are
closed by whoever comes first.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from meterhouse.errors import MeterhouseError
from meterhouse.flows import (
    audit,
    bills,
    checklist,
    command,
    day,
    estimate,
    gateway,
    outbox,
    task,
    transit,
    upkeep,
)
from meterhouse.flows.prices import Tariffs
from meterhouse.logs import Log
from meterhouse.ports import Clock, Notifier
from meterhouse.store.db import PLATFORM, Database

log = Log(__name__)

TEND_S = 5
SILENCE_S = 30
OUTBOX_S = 2
DAY_S = 30
ESTIMATE_S = 600
SEAL_S = 2
TASK_S = 2
WORKS: Mapping[str, task.Work] = MappingProxyType({})
"""Which flow carries out a task of which kind; those of a gateway are the head end's."""
STEP_MIN_S = 0.5


class Worker:
    """All clockwork of one process.

    Args:
        db: the database.
        clock: the platform's clock.
        speed: seconds of that clock per real second.
        notifiers: channels by name.
        works: kinds of long tasks.
    """

    def __init__(
        self, db: Database, clock: Clock, speed: int, notifiers: Mapping[str, Notifier],
        works: Mapping[str, task.Work] = WORKS,
    ) -> None:  # fmt: skip
        self._db = db
        self._clock = clock
        self._speed = speed
        self._notifiers = notifiers
        self._works = works
        self._tariffs = Tariffs()
        self._booked: dict[int, date] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._ending = asyncio.Event()
        # When each loop last came round, by the event loop's clock.
        self._rounds: dict[str, float] = {}

    def start(self) -> None:
        """Begin all loops."""
        loops = (
            (TEND_S, self._tend),
            (SILENCE_S, self._silence),
            (OUTBOX_S, self._outbox),
            (DAY_S, self._day),
            (ESTIMATE_S, self._estimate),
            (TASK_S, self._long_tasks),
            # The audit is sealed in real time, however fast the platform's clock runs.
            (SEAL_S * self._speed, self._seal),
        )
        for _, work in loops:
            self._came_round(work)
        self._tasks = [
            asyncio.create_task(self._every(period_s, work), name=_name(work))
            for period_s, work in loops
        ]

    def ages_s(self) -> dict[str, float]:
        """Seconds since each loop last came round; one that grows is stuck, or at a long task."""
        now = asyncio.get_running_loop().time()
        return {name: now - at for name, at in self._rounds.items()}

    async def stop(self, within_s: float = 0) -> None:
        """End all loops, each after the project it is at; what takes longer is rolled back.

        A long task is handed back at once: another worker goes on from what was last told.
        """
        self._ending.set()
        for loop in self._tasks:
            if loop.get_name() == _name(self._long_tasks):
                loop.cancel()
        if within_s and self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for loop in self._tasks:
            loop.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _every(
        self, period_s: int, work: Callable[[int, datetime], Awaitable[object]]
    ) -> None:
        pause_s = max(period_s / self._speed, STEP_MIN_S)
        while not self._ending.is_set():
            for project_id in await self._projects(work):
                if self._ending.is_set():
                    return
                try:
                    await work(project_id, self._clock())
                except (MeterhouseError, OSError) as error:
                    name = _name(work)
                    log.warning("work_waits", error=error, work=name, project_id=project_id)
                except Exception as error:
                    name = _name(work)
                    log.error("work_failed", error=error, work=name, project_id=project_id)
            self._came_round(work)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause_s)

    def _came_round(self, work: Callable[[int, datetime], Awaitable[object]]) -> None:
        self._rounds[_name(work)] = asyncio.get_running_loop().time()

    async def _projects(self, work: Callable[[int, datetime], Awaitable[object]]) -> list[int]:
        """Every project, and for the audit the platform itself."""
        try:
            projects = await self._db.project_ids()
            return [PLATFORM, *projects] if work == self._seal else projects
        except Exception as error:
            log.warning("work_waits", error=error)
            return []

    async def _tend(self, project_id: int, at: datetime) -> None:
        await command.tend(self._db, project_id, at, command.SENT_LIFE * self._speed)
        await checklist.tend(self._db, project_id, at)
        await transit.tend(self._db, project_id, at)

    async def _silence(self, project_id: int, at: datetime) -> None:
        await gateway.watch_silence(self._db, project_id, at)

    async def _outbox(self, project_id: int, at: datetime) -> None:
        await outbox.deliver(self._db, self._notifiers, project_id, at)

    async def _long_tasks(self, project_id: int, at: datetime) -> None:  # noqa: ARG002
        orphan = task.ORPHAN * self._speed
        while await task.run_next(self._db, project_id, self._works, self._clock, orphan):
            pass

    async def _day(self, project_id: int, at: datetime) -> None:
        """Once a local day: drop old files, close yesterday, keep next week's partitions ready."""
        timezone = await upkeep.timezone_of(self._db, project_id)
        today = at.astimezone(ZoneInfo(timezone)).date()
        if self._booked.get(project_id) == today:
            return
        await task.forget_files(self._db, project_id, at)
        await day.close_days(self._db, project_id, None, None, at)
        await upkeep.ready_partitions(self._db, [at, at + timedelta(days=7)])
        self._booked[project_id] = today

    async def _estimate(self, project_id: int, at: datetime) -> None:
        await estimate.tend(self._db, self._tariffs, project_id, at)
        await bills.tend(self._db, self._tariffs, project_id, at)

    async def _seal(self, project_id: int, at: datetime) -> None:
        """Seal the audit; where there are new answers, old ones are let go."""
        if await audit.seal(self._db, project_id, at):
            await audit.forget_answers(self._db, project_id, at)


def _name(work: Callable[[int, datetime], Awaitable[object]]) -> str:
    name: str = getattr(work, "__name__", "work")
    return name.lstrip("_")
