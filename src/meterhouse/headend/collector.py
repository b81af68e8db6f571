"""Samples on their way to the reading flow: bounded, batched, and kept until they are committed.

Owns the waiting room between thousands of buses and one database. Whoever brings a sample waits
when the room is full, so a slow database slows the buses and nothing is dropped. A batch that
could not be committed is tried again: the flow is replay-safe.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from meterhouse.errors import MeterhouseError
from meterhouse.flows.reading import CHUNK_MAX, Batch, Ingested
from meterhouse.ports import Values
from meterhouse.units import to_us

log = logging.getLogger(__name__)

WAITING_MAX = 200_000
GATHER_S = 0.1
RETRY_S = 1.0
RETRY_MAX_S = 30.0
SOURCE_LIVE = 0

Ingest = Callable[[int, Batch], Awaitable[Ingested]]


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
    columns = [table[:, index].copy() for index in range(6)]
    return Batch(
        meter_id=columns[0], read_at_us=columns[1], milli=table[:, 6:11].copy(), relay=columns[2],
        keep_power=columns[3], power_w=columns[4], credit_minor=columns[5], source=source,
    )  # fmt: skip


class Collector:
    """Gathers samples by project and feeds them to `ingest`, one project at a time."""

    def __init__(self, ingest: Ingest, told: Callable[[int, Ingested], None]) -> None:
        self._ingest = ingest
        self._told = told
        self._waiting: dict[int, list[Sample]] = {}
        self._count = 0
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def waiting(self) -> int:
        """How many samples are not committed yet."""
        return self._count

    async def put(self, project_id: int, sample: Sample) -> None:
        """Take a sample; waits while the room is full."""
        while self._count >= WAITING_MAX:
            self._room.clear()
            await self._room.wait()
        self._waiting.setdefault(project_id, []).append(sample)
        self._count += 1
        self._filled.set()

    async def run(self) -> None:
        """Feed what waits, for ever."""
        while True:
            await self._filled.wait()
            await asyncio.sleep(GATHER_S)
            await self.flush()

    async def flush(self) -> None:
        """Commit everything that waits now; what is not committed yet when cancelled waits on."""
        self._filled.clear()
        for project_id, samples in list(self._waiting.items()):
            for _ in range(0, len(samples), CHUNK_MAX):
                part = samples[:CHUNK_MAX]
                done = await self._commit(project_id, to_batch(part))
                del samples[: len(part)]
                self._count -= len(part)
                if self._count < WAITING_MAX:
                    self._room.set()
                self._told(project_id, done)

    async def _commit(self, project_id: int, batch: Batch) -> Ingested:
        wait_s = RETRY_S
        while True:
            try:
                return await self._ingest(project_id, batch)
            except (MeterhouseError, OSError) as error:
                log.warning("readings of project %d wait: %s", project_id, error)
            except Exception:
                log.exception("readings of project %d wait", project_id)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, RETRY_MAX_S)
