"""Samples on their way to the reading flow: bounded, batched, and kept until they are committed.

Owns the waiting room between thousands of buses and one database. Whoever brings a sample waits
when the room is full, so a slow database slows the buses and nothing is dropped. A batch that
could not be committed is tried again: the flow is replay-safe. Every project is fed on its own, so
that one which cannot be stored never keeps another waiting; a reading that the flow itself refuses
is found by halving and laid aside.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from meterhouse.errors import MeterhouseError
from meterhouse.flows.reading import CHUNK_MAX, Batch, Ingested
from meterhouse.logs import Log
from meterhouse.ports import Values
from meterhouse.store.db import DatabaseBusy, DatabaseUnreachable
from meterhouse.units import to_us

log = Log(__name__)

WAITING_MAX = 200_000
PROJECT_WAITING_MAX = 50_000
GATHER_S = 0.1
RETRY_S = 1.0
RETRY_MAX_S = 30.0
SOURCE_LIVE = 0

STOP_S = 10
# What is refused this often is refused for good.
REFUSED_MAX = 3

Ingest = Callable[[int, Batch], Awaitable[Ingested]]
Aside = Callable[[int, Batch], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one meter said at one instant."""

    meter_id: int
    read_at: datetime
    values: Values


def to_batch(samples: list[Sample]) -> Batch:
    """Samples as columns; what a meter did not say is −1."""
    rows = [
        (
            sample.meter_id,
            to_us(sample.read_at),
            int(sample.values.relay),
            -1 if sample.values.keep_power is None else int(sample.values.keep_power),
            -1 if sample.values.power_w is None else sample.values.power_w,
            -1 if sample.values.credit_minor is None else sample.values.credit_minor,
            -1 if sample.values.total_milli is None else sample.values.total_milli,
            *((*(sample.values.band_milli or ()), -1, -1, -1, -1)[:4]),
        )
        for sample in samples
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 11)
    source = np.full(len(rows), SOURCE_LIVE, dtype=np.int64)
    purses = [_purse(sample.values) for sample in samples]
    is_kept = any(count >= 0 for count, _, _ in purses)
    columns = [table[:, index].copy() for index in range(6)]
    return Batch(
        meter_id=columns[0], read_at_us=columns[1], milli=table[:, 6:11].copy(), relay=columns[2],
        keep_power=columns[3], power_w=columns[4], credit_minor=columns[5], source=source,
        purse=np.array(purses, dtype=np.int64) if is_kept else None,
    )  # fmt: skip


def _purse(said: Values) -> tuple[int, int, int]:
    """Counter, credit and overdraft where they were said together, else −1 each."""
    if said.purchase_count is None or said.credit_minor is None:
        return -1, -1, -1
    return said.purchase_count, said.credit_minor, said.overdraft_minor or 0


class Collector:
    """Gathers samples by project and feeds them to `ingest`.

    Args:
        ingest: the reading flow; commits, or raises and has changed nothing.
        told: hears what became of each batch.
        aside: keeps a reading that the flow refuses.
    """

    def __init__(self, ingest: Ingest, told: Callable[[int, Ingested], None], aside: Aside) -> None:
        self._ingest = ingest
        self._told = told
        self._aside = aside
        self._waiting: dict[int, list[Sample]] = {}
        self._feeding: dict[int, asyncio.Task[None]] = {}
        self._count = 0
        self._filled = asyncio.Event()
        self._moved = asyncio.Condition()

    @property
    def waiting(self) -> int:
        """How many samples are not committed yet."""
        return self._count

    async def put(self, project_id: int, sample: Sample) -> None:
        """Take a sample; waits while the room, or this project's share of it, is full."""
        if self._is_full(project_id):
            async with self._moved:
                await self._moved.wait_for(lambda: not self._is_full(project_id))
        self._waiting.setdefault(project_id, []).append(sample)
        self._count += 1
        self._filled.set()

    def _is_full(self, project_id: int) -> bool:
        mine = len(self._waiting.get(project_id, ()))
        return self._count >= WAITING_MAX or mine >= PROJECT_WAITING_MAX

    async def run(self) -> None:
        """Feed what waits, for ever; projects side by side, each in its own order."""
        try:
            while True:
                await self._filled.wait()
                await asyncio.sleep(GATHER_S)
                self._filled.clear()
                for project_id in list(self._waiting):
                    if project_id not in self._feeding:
                        self._feeding[project_id] = asyncio.create_task(self._feed(project_id))
        finally:
            feeding = list(self._feeding.values())
            for task in feeding:
                task.cancel()
            await asyncio.gather(*feeding, return_exceptions=True)

    async def flush(self, within_s: float = STOP_S) -> None:
        """Commit what waits now, as far as time allows; what is left stays waiting."""
        try:
            async with asyncio.timeout(within_s):
                await asyncio.gather(*(self._feed(one) for one in list(self._waiting)))
        except TimeoutError:
            log.error("readings_lost", count=self._count)

    async def _feed(self, project_id: int) -> None:
        """Commit one project's samples until none waits."""
        try:
            while samples := self._waiting.get(project_id):
                part = samples[:CHUNK_MAX]
                done = await self._commit(project_id, to_batch(part))
                del samples[: len(part)]
                self._count -= len(part)
                async with self._moved:
                    self._moved.notify_all()
                self._told(project_id, done)
            self._waiting.pop(project_id, None)
        finally:
            self._feeding.pop(project_id, None)

    async def _commit(self, project_id: int, batch: Batch) -> Ingested:
        """Try until it is committed; what the flow refuses for good is halved, then laid aside."""
        wait_s, refused = RETRY_S, 0
        while refused < REFUSED_MAX:
            try:
                return await self._ingest(project_id, batch)
            except (DatabaseUnreachable, DatabaseBusy, OSError) as error:
                log.warning("readings_wait", error=error, project_id=project_id)
            except Exception as error:
                log.error("readings_refused", error=error, project_id=project_id)
                refused += 1
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MAX_S)
        return await self._divide(project_id, batch)

    async def _divide(self, project_id: int, batch: Batch) -> Ingested:
        count = len(batch.meter_id)
        if count > 1:
            first = await self._commit(project_id, batch.take(slice(None, count // 2)))
            return first + await self._commit(project_id, batch.take(slice(count // 2, None)))
        wait_s = RETRY_S
        while True:
            try:
                await self._aside(project_id, batch)
                return Ingested(unplaced=1)
            except (MeterhouseError, OSError) as error:
                log.warning("readings_wait", error=error, project_id=project_id)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MAX_S)
