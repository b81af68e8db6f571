"""Selling: recharges posted one by one through the flow, against bare durable commits.

Owns a site of 200 rooms and the yardstick, one row inserted and committed by one connection. The
two take turns, so that both meet the same disk. Each sale writes its order, its transfer, its
receipt and its notice. Households have money and have used nothing since they were last booked, so
no sale books, warns or switches; each has bought once before the clock runs, so that the database
has its plans and statistics. The ratio says as much of the disk as of a sale: where a flush costs
nothing, a bare commit costs a tenth of what a sale computes, so the processor's part of both is
told beside it.
"""

from datetime import timedelta
from time import perf_counter, process_time
from typing import Any

from meterhouse.bench.site import monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import sale
from meterhouse.flows.sale import Wish
from meterhouse.store import bulk
from meterhouse.units import Minor

ROOMS = 200
SALES, BLOCK = 10_000, 100
AMOUNT_MINOR = Minor(1_000)
RATIO_MIN = 0.5


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Sales a second, bare commits a second, and their ratio against what is wanted."""
    async with open_site(settings, "sell", straight_links(ROOMS), monday()) as site:
        spans = {"sale": 0.0, "bare": 0.0}
        worked = dict(spans)
        async with bulk.superuser(site.address) as bare:
            await bare.execute("create table yardstick (n bigint primary key)")
            for number in range(ROOMS):
                await _sell(site, SALES + number)
            await bulk.settle(site.address)
            for block in range(0, SALES, BLOCK):
                begin, idle = perf_counter(), process_time()
                for number in range(block, block + BLOCK):
                    async with bare.transaction():
                        await bare.execute("insert into yardstick values ($1)", number)
                spans["bare"] += perf_counter() - begin
                worked["bare"] += process_time() - idle
                begin, idle = perf_counter(), process_time()
                for number in range(block, block + BLOCK):
                    await _sell(site, number)
                spans["sale"] += perf_counter() - begin
                worked["sale"] += process_time() - idle
    sales_per_s, bare_per_s = (round(SALES / spans[name]) for name in ("sale", "bare"))
    ratio = round(spans["bare"] / spans["sale"], 3)
    sale_ms, bare_ms = (round(worked[name] * 1000 / SALES, 2) for name in ("sale", "bare"))
    return [
        {"name": "sell.sales", "value": sales_per_s, "unit": "recharges/s",
         "reference": bare_per_s, "ratio": ratio},
        {"name": "sell.wanted", "value": ratio, "unit": "× bare commits",
         "reference": RATIO_MIN, "ratio": round(ratio / RATIO_MIN, 2)},
        {"name": "sell.processor", "value": sale_ms, "unit": "ms of ours a sale",
         "reference": bare_ms, "ratio": round(sale_ms / bare_ms, 1)},
    ]  # fmt: skip


async def _sell(site: Any, number: int) -> None:
    wish = Wish(AMOUNT_MINOR, None, "cash", None, f"bench-{number}")
    point_id = site.meter_ids[number % ROOMS]
    at = monday() + timedelta(seconds=number)
    await sale.sell(site.db, site.project_id, point_id, wish, None, at)
