"""From simulated gateways over TCP to money in the books, rounds back to back.

Owns one measurement: readings committed a second, each of them two questions and two answers on the
wire (the energy block and the status word), then judged, rated, accrued and decided.
"""

import asyncio
from time import perf_counter, process_time
from typing import Any

from meterhouse.bench.fleet import Plan, living
from meterhouse.config import Settings

WANTED_PER_S = 5_000
WARM_S, MEASURE_S = 4, 12
# Three rounds a second are more than can be carried: each begins when the one before has ended.
PLAN = Plan("wire", meters=10_000, gateways=200, speed=180, interval_s=60)


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Readings a second from wire to money, and what a reading costs each process."""
    async with living(settings, PLAN, lambda *_: None) as fleet:
        await asyncio.sleep(WARM_S)
        before, begin, begin_cpu = fleet.committed, perf_counter(), process_time()
        await asyncio.sleep(MEASURE_S)
        count, span_s = fleet.committed - before, perf_counter() - begin
        cpu_s = process_time() - begin_cpu
        everything = fleet.head.readings
        await fleet.end()
    per_s = round(count / span_s)
    return [
        {"name": "wire", "value": per_s, "unit": "readings/s", "reference": WANTED_PER_S,
         "ratio": round(per_s / WANTED_PER_S, 2)},
        {"name": "wire.headend_cpu", "value": round(cpu_s / count * 1e6), "unit": "µs a reading",
         "reference": None, "ratio": None},
        {"name": "wire.town_cpu", "value": round(fleet.town_cpu_s / everything * 1e6),
         "unit": "µs a reading", "reference": None, "ratio": None},
    ]  # fmt: skip
