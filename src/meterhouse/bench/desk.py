"""The desk's search at 1,000,000 accounts: from the text to the households, as a cashier types.

Owns a project of a million rooms and the texts: part of a room, a meter's number, a name, a phone
that is nowhere; and how long the chosen household takes to be shown.
"""

from time import perf_counter
from typing import Any

import numpy as np

from meterhouse.bench.site import monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import desk
from meterhouse.flows.access import Reach, Verb

POINTS = 1_000_000
ROUNDS = 20
P95_MS_MAX = 50
TEXTS = (
    "r5", "r512", "r512345", "000000512345", "512345", "household 81", "household 812345",
    "r99999", "13800000000", "nowhere at all",
)  # fmt: skip


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Median and 95th percentile of a search, the slowest text, and a household opened."""
    async with open_site(settings, "desk", straight_links(POINTS), monday()) as site:
        reach = Reach(site.project_id, "Bench", "UTC", "CNY", 2, frozenset(Verb))
        spans: dict[str, list[float]] = {}
        opened = []
        for _ in range(ROUNDS):
            for text in TEXTS:
                begin = perf_counter()
                found = await desk.find(site.db, reach, text)
                spans.setdefault(text, []).append((perf_counter() - begin) * 1000)
                if found:
                    begin = perf_counter()
                    room_id = found[0].room_id
                    await desk.household(site.db, site.project_id, room_id, 2, monday())
                    opened.append((perf_counter() - begin) * 1000)
    every = np.concatenate([np.array(one) for one in spans.values()])
    slowest = max(spans, key=lambda text: float(np.median(spans[text])))
    return [
        _figure("desk.p50", float(np.median(every)), None),
        _figure("desk.p95", float(np.percentile(every, 95)), P95_MS_MAX),
        _figure(f"desk.slowest ({slowest})", float(np.median(spans[slowest])), None),
        _figure("desk.household", float(np.percentile(opened, 95)), P95_MS_MAX),
    ]


def _figure(name: str, measured: float, most: int | None) -> dict[str, Any]:
    ratio = None if most is None else round(measured / most, 3)
    return {"name": name, "value": round(measured, 1), "unit": "ms", "reference": most,
            "ratio": ratio}  # fmt: skip
