"""A town in a process of its own that dials the head end of this one, both on one fast clock.

Owns the second process and the head end that serves it. The clock runs from the machine's
monotonic seconds, which two processes share, so an instant said in one means the same in the other.
"""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection

import uvloop

from meterhouse.bench.site import Link, Site, open_site
from meterhouse.config import Settings
from meterhouse.flows.command import Claimed
from meterhouse.headend.service import HeadEnd, HeadEndSettings
from meterhouse.ports import Clock
from meterhouse.sim.plan import plan_town
from meterhouse.sim.spec import TownSpec
from meterhouse.sim.town import Town

SEED = 1
HOST = "127.0.0.1"
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class FastClock:
    """An instant that runs `speed` times as fast since a reading of the monotonic clock."""

    started_at: datetime
    started_s: float
    speed: int

    def __call__(self) -> datetime:
        """The present instant of the town and of the platform."""
        passed_s = (time.monotonic() - self.started_s) * self.speed
        return self.started_at + timedelta(seconds=passed_s)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many meters behind how many gateways, how fast time runs, how often a round begins."""

    name: str
    meters: int
    gateways: int
    speed: int
    interval_s: int
    credits_minor: Sequence[int] | None = None


@dataclass(slots=True)
class Fleet:
    """A head end with every gateway on its line."""

    site: Site
    head: HeadEnd
    clock: Clock
    _pipe: Connection
    town_cpu_s: float = 0.0

    @property
    def committed(self) -> int:
        """How many readings are in the books."""
        return self.head.readings - self.head.collector.waiting

    async def end(self) -> None:
        """Stop the town; it tells the processor seconds it took."""
        if not self._pipe.closed:
            self._pipe.send("end")
            self.town_cpu_s = await asyncio.to_thread(self._pipe.recv)
            self._pipe.close()


@asynccontextmanager
async def living(
    settings: Settings, plan: Plan, sent: Callable[[Claimed, datetime], None]
) -> AsyncIterator[Fleet]:
    """A site, its head end, and the town that has dialled it; `sent` hears of every command."""
    clock = FastClock(datetime.now(UTC), time.monotonic(), plan.speed)
    spec = plan_town(SEED, plan.meters, plan.gateways)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    async with open_site(
        settings, plan.name, _links(spec), clock(), plan.credits_minor, plan.interval_s
    ) as site:
        head = HeadEnd(
            site.db, clock, HeadEndSettings(HOST, 0, plan.speed, "tcp"),
            lambda claimed: sent(claimed, clock()),
        )  # fmt: skip
        await head.start()
        town = context.Process(target=_live, args=(there, plan, clock, head.port))
        town.start()
        fleet = Fleet(site, head, clock, here)
        try:
            async with asyncio.timeout(60):
                while head.online < plan.gateways:  # noqa: ASYNC110  # lines come by themselves
                    await asyncio.sleep(LOOK_S)
            yield fleet
        finally:
            await fleet.end()
            await head.stop()
            await asyncio.to_thread(town.join)


def _links(spec: TownSpec) -> list[Link]:
    models = {one.address: one.model for one in spec.meters}
    return [
        Link(one.registration, [(address, models[address]) for address in one.meters])
        for one in spec.gateways
    ]


def _live(pipe: Connection, plan: Plan, clock: FastClock, port: int) -> None:
    """The town's process."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_answer_until_told(pipe, plan, clock, port))


async def _answer_until_told(pipe: Connection, plan: Plan, clock: FastClock, port: int) -> None:
    town = Town(plan_town(SEED, plan.meters, plan.gateways), clock)
    born_s = time.process_time()
    dialling = asyncio.create_task(town.dial(HOST, port))
    await asyncio.to_thread(pipe.recv)
    pipe.send(time.process_time() - born_s)
    dialling.cancel()
    with suppress(asyncio.CancelledError):
        await dialling
