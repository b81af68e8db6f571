"""Search at 100,000 points: how long one box takes, from the text to the hits.

Owns a large project and the texts that people type: part of a room, an address, a name, one
character, and what is nowhere. Each is asked as the console asks it, over all four kinds.
"""

from time import perf_counter
from typing import Any

import numpy as np

from meterhouse.bench.site import monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import search
from meterhouse.flows.access import Reach, Verb

POINTS = 100_000
ROUNDS = 20
P95_MS_MAX = 50
TEXTS = (
    "r5", "r512", "r51234", "000000051234", "51234", "building 7", "household 81",
    "household 81234", "1", "r", "99999", "nowhere at all",
)  # fmt: skip


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Median and 95th percentile of a search, and the slowest text."""
    async with open_site(settings, "search", straight_links(POINTS), monday()) as site:
        reach = Reach(site.project_id, "Bench", "UTC", "CNY", 2, frozenset(Verb))
        spans: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            for text in TEXTS:
                begin = perf_counter()
                await search.find(site.db, [reach], text)
                spans.setdefault(text, []).append((perf_counter() - begin) * 1000)
    every = np.concatenate([np.array(one) for one in spans.values()])
    slowest = max(spans, key=lambda text: float(np.median(spans[text])))
    return [
        _figure("search.p50", float(np.median(every)), "ms", None),
        _figure("search.p95", float(np.percentile(every, 95)), "ms", P95_MS_MAX),
        _figure(f"search.slowest ({slowest})", float(np.median(spans[slowest])), "ms", None),
    ]


def _figure(name: str, measured: float, unit: str, most: int | None) -> dict[str, Any]:
    ratio = None if most is None else round(measured / most, 3)
    return {"name": name, "value": round(measured, 1), "unit": unit, "reference": most,
            "ratio": ratio}  # fmt: skip
