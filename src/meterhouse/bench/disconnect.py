"""From the reading that shows a household owing to the disconnect on the wire, under load.

Owns the latency. It begins when the head end has heard the reading that the decision was taken on,
and ends when the command is handed to the line: waiting for the batch, the flow, the commit, the
wake-up, the guards looked at again and the bus becoming free all lie between.
"""

import asyncio
from datetime import datetime
from time import perf_counter
from typing import Any

from meterhouse.bench.fleet import Plan, living
from meterhouse.config import Settings
from meterhouse.flows.command import Claimed
from meterhouse.model import CommandKind
from meterhouse.store import bulk

WANTED_P99_MS = 2_000
WARM_S, MEASURE_S = 6, 40
# 1,000 meters every two real seconds are 500 readings a second, and a few households run out in
# each second, not all on one bus. A bus carries one conversation, and that of a disconnect lasts
# as long as the relay takes to settle: what waits behind another on the same bus is counted too.
PLAN = Plan(
    "disconnect", meters=1_000, gateways=100, speed=60, interval_s=120,
    credits_minor=[1 + 241 * n % 600 for n in range(600)],
)  # fmt: skip


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Median and 99th percentile in ms, and under which load."""
    sent_at: dict[int, datetime] = {}

    def sent(claimed: Claimed, at: datetime) -> None:
        if claimed.kind is CommandKind.DISCONNECT:
            sent_at[claimed.id] = at

    async with living(settings, PLAN, sent) as fleet:
        # At first every household is warned at once; that is another story.
        await asyncio.sleep(WARM_S)
        sent_at.clear()
        before, begin = fleet.committed, perf_counter()
        await asyncio.sleep(MEASURE_S)
        per_s = (fleet.committed - before) / (perf_counter() - begin)
        await fleet.end()
        heard_at = await bulk.decided_on(fleet.site.address)
    late_ms = sorted(
        (at - heard_at[one]).total_seconds() * 1000 / PLAN.speed for one, at in sent_at.items()
    )
    p50_ms, p99_ms = (round(late_ms[len(late_ms) * part // 100]) for part in (50, 99))
    return [
        {"name": "disconnect.p99", "value": p99_ms, "unit": "ms", "reference": WANTED_P99_MS,
         "ratio": round(p99_ms / WANTED_P99_MS, 3)},
        {"name": "disconnect.p50", "value": p50_ms, "unit": "ms", "reference": None,
         "ratio": None},
        {"name": "disconnect.load", "value": round(per_s), "unit": "readings/s",
         "reference": None, "ratio": None},
        {"name": "disconnect.count", "value": len(late_ms), "unit": "disconnects",
         "reference": None, "ratio": None},
    ]  # fmt: skip
