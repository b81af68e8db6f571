"""Samples to committed money: one round of a large site through the whole reading flow.

Owns the rounds and two stopwatches: one on `flows.reading.ingest` (stored, judged, rated, accrued,
decided, committed), one on a bare COPY of the very same rows into an equal table. The ratio of
the two means the same on every machine. Readings of a round are spread over its half hour, as
gateways read one meter after the other, so intervals straddle the edges of bands.
"""

import gc
import resource
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np

from meterhouse.bench.site import Site, monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import reading
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Relay
from meterhouse.store import bulk, proofs, readings
from meterhouse.units import to_us

METERS = 100_000
WARM_ROUNDS, ROUNDS = 2, 5
WANTED_PER_S = 60_000
ROUND = timedelta(minutes=30)
ROUND_US = 1_800_000_000
# Half an hour of a household: up to 600 Wh, on a display of 10 Wh.
STEP_WH, STEPS = 10, 61


@dataclass(frozen=True, slots=True)
class Span:
    """One chunk: how many readings, seconds of the flow, of its processor, and of the bare COPY."""

    readings: int
    flow_s: float
    cpu_s: float
    copy_s: float


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Readings a second with 100,000 points, against a bare COPY; and our processor's share."""
    count = WARM_ROUNDS + ROUNDS
    spans = [span async for span in rounds(settings, "ingest", METERS, count, proven=True)]
    spans = spans[WARM_ROUNDS:]
    per_s = round(median(span.readings / span.flow_s for span in spans))
    copy_per_s = round(median(span.readings / span.copy_s for span in spans))
    ratio = median(span.copy_s / span.flow_s for span in spans)
    cpu_us = median(span.cpu_s / span.readings for span in spans) * 1e6
    return [
        {"name": "ingest", "value": per_s, "unit": "readings/s", "reference": copy_per_s,
         "ratio": round(ratio, 3)},
        {"name": "ingest.wanted", "value": per_s, "unit": "readings/s", "reference": WANTED_PER_S,
         "ratio": round(per_s / WANTED_PER_S, 2)},
        {"name": "ingest.cpu", "value": round(cpu_us, 2), "unit": "µs of our CPU a reading",
         "reference": None, "ratio": None},
    ]  # fmt: skip


async def rounds(
    settings: Settings, name: str, meters: int, count: int, *, proven: bool
) -> AsyncIterator[Span]:
    """Live through rounds of a site, a chunk at a time; its books may be proven at the end."""
    async with (
        open_site(settings, name, straight_links(meters), monday()) as site,
        bulk.superuser(site.address) as yardstick,
    ):
        bare = await bulk.BareTable.make(yardstick)
        town = Town(site, meters)
        tariffs = Tariffs()
        for number in range(1, count + 1):
            town.live()
            for start in range(0, meters, reading.CHUNK_MAX):
                batch = town.batch(start, number)
                yield await _chunk(site, tariffs, bare, batch, town.at(number))
        for proof in await proofs.prove(site.address) if proven else ():
            assert proof.holds, proof.says


async def _chunk(
    site: Site, tariffs: Tariffs, bare: bulk.BareTable, batch: reading.Batch, at: datetime
) -> Span:
    epochs = {"register_epoch": np.ones_like(batch.meter_id)}
    rows = reading.reading_rows(site.project_id, epochs, batch, np.arange(len(batch.meter_id)), at)
    blocks = await bulk.packed(rows)
    async with site.db.transaction([site.project_id]) as connection:
        week = await readings.ready_partition(connection, to_us(at))
    await bare.ready(week)
    gc.collect()
    begin = perf_counter()
    await bare.copy(week, blocks)
    copy_s = perf_counter() - begin
    begin, begin_cpu = perf_counter(), process_time()
    done = await reading.ingest(site.db, tariffs, site.project_id, batch, at)
    flow_s, cpu_s = perf_counter() - begin, process_time() - begin_cpu
    assert (done.fresh, done.doubtful) == (len(batch.meter_id), 0), done
    return Span(done.fresh, flow_s, cpu_s, copy_s)


class Town:
    """Registers that move on a little each round; total and the peak band together."""

    def __init__(self, site: Site, meters: int) -> None:
        self._random = np.random.default_rng(1)
        self._meter_id = np.array(site.meter_ids, np.int64)
        self._milli = self._random.integers(0, 10**6, (meters, 5)) * STEP_WH
        self._milli[:, 0] = self._milli[:, 1:].sum(axis=1)
        self._late_us = self._random.integers(0, ROUND_US, meters)

    def live(self) -> None:
        """Half an hour passes."""
        used = self._random.integers(0, STEPS, len(self._meter_id)) * STEP_WH
        self._milli[:, 0] += used
        self._milli[:, 2] += used

    def at(self, number: int) -> datetime:
        """When a round ends."""
        return monday() + number * ROUND

    def batch(self, start: int, number: int) -> reading.Batch:
        """What a chunk of meters says in a round."""
        mine = slice(start, start + reading.CHUNK_MAX)
        meter_id = self._meter_id[mine]
        nothing = np.full(len(meter_id), -1, np.int64)
        return reading.Batch(
            meter_id=meter_id,
            read_at_us=to_us(self.at(number)) - self._late_us[mine],
            milli=self._milli[mine].copy(),
            relay=np.full(len(meter_id), Relay.CLOSED, np.int64),
            keep_power=np.zeros_like(meter_id),
            power_w=np.full(len(meter_id), 600, np.int64),
            credit_minor=nothing,
            source=np.zeros_like(meter_id),
        )


def rss_mib() -> int:
    """The most memory this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
