"""The worker: what happens by the clock.

Owns five loops: commands that expired or were orphaned, silence, the outbox, the daily
booking, and the long tasks that need no gateway. Each loop goes over all projects, one transaction
each; a failure of one project is logged and does not stop the others. Several workers may run:
rows are claimed, days are booked by whoever comes first.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from meterhouse.errors import MeterhouseError
from meterhouse.flows import close, command, gateway, outbox, task, upkeep
from meterhouse.ports import Clock, Notifier
from meterhouse.store.db import Database

log = logging.getLogger(__name__)

TEND_S = 5
SILENCE_S = 30
OUTBOX_S = 2
DAY_S = 30
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
        self._booked: dict[int, date] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin all loops."""
        loops = (
            (TEND_S, self._tend),
            (SILENCE_S, self._silence),
            (OUTBOX_S, self._outbox),
            (DAY_S, self._day),
            (TASK_S, self._long_tasks),
        )
        self._tasks = [asyncio.create_task(self._every(*one)) for one in loops]

    async def stop(self) -> None:
        """End all loops; a transaction under way is rolled back."""
        for loop in self._tasks:
            loop.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _every(
        self, period_s: int, work: Callable[[int, datetime], Awaitable[object]]
    ) -> None:
        pause_s = max(period_s / self._speed, STEP_MIN_S)
        while True:
            for project_id in await self._projects():
                try:
                    await work(project_id, self._clock())
                except (MeterhouseError, OSError) as error:
                    log.warning("%s of project %d waits: %s", work.__name__, project_id, error)
                except Exception:
                    log.exception("%s of project %d failed", work.__name__, project_id)
            await asyncio.sleep(pause_s)

    async def _projects(self) -> list[int]:
        try:
            return await self._db.project_ids()
        except Exception as error:
            log.warning("the worker waits: %s", error)
            return []

    async def _tend(self, project_id: int, at: datetime) -> None:
        await command.tend(self._db, project_id, at, command.SENT_LIFE * self._speed)

    async def _silence(self, project_id: int, at: datetime) -> None:
        await gateway.watch_silence(self._db, project_id, at)

    async def _outbox(self, project_id: int, at: datetime) -> None:
        await outbox.deliver(self._db, self._notifiers, project_id, at)

    async def _long_tasks(self, project_id: int, at: datetime) -> None:  # noqa: ARG002
        orphan = task.ORPHAN * self._speed
        while await task.run_next(self._db, project_id, self._works, self._clock, orphan):
            pass

    async def _day(self, project_id: int, at: datetime) -> None:
        """Book once a local day, and keep next week's partitions ready."""
        timezone = await upkeep.timezone_of(self._db, project_id)
        today = at.astimezone(ZoneInfo(timezone)).date()
        if self._booked.get(project_id) == today:
            return
        await close.book_day(self._db, project_id, at)
        await upkeep.ready_partitions(self._db, [at, at + timedelta(days=7)])
        self._booked[project_id] = today
