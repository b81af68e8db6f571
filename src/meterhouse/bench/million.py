"""A round of a site ten times as large: what a reading costs when a million points are present.

Owns the comparison with a site of 100,000 points, lived through before and after the large one
because a machine is not equally fast all the time; and what the process holds in memory.
"""

from statistics import median
from typing import Any

from meterhouse.bench import ingest
from meterhouse.config import Settings

METERS = 1_000_000
ROUNDS, WARM_CHUNKS = 1, 2
SMALL_ROUNDS = 4
COST_MAX, RSS_MIB_MAX = 1.5, 1024


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Cost of a reading against that of a site of 100,000 points, and the memory it took."""
    small = ("small", ingest.METERS, WARM_CHUNKS + SMALL_ROUNDS)
    before = [span async for span in ingest.rounds(settings, *small, proven=False)]
    large = [
        span async for span in ingest.rounds(settings, "million", METERS, 1 + ROUNDS, proven=False)
    ]
    after = [span async for span in ingest.rounds(settings, *small, proven=False)]
    small_us = _cost_us(before[WARM_CHUNKS:] + after[WARM_CHUNKS:])
    large_us = _cost_us(large[len(large) // 2 :])
    rss_mib = ingest.rss_mib()
    return [
        {"name": "million.cost", "value": round(large_us, 2), "unit": "µs a reading",
         "reference": round(small_us, 2), "ratio": round(large_us / small_us, 2)},
        {"name": "million.wanted", "value": round(large_us / small_us, 2), "unit": "× the cost",
         "reference": COST_MAX, "ratio": round(large_us / small_us / COST_MAX, 2)},
        {"name": "million.memory", "value": rss_mib, "unit": "MiB", "reference": RSS_MIB_MAX,
         "ratio": round(rss_mib / RSS_MIB_MAX, 2)},
    ]  # fmt: skip


def _cost_us(spans: list[ingest.Span]) -> float:
    return median(span.flow_s / span.readings for span in spans) * 1e6
