"""The daily close: a million accruals become transfers, then the day's totals and proofs.

Owns a site of a million households that each used some energy since the last close. The yardstick
is the same number of bare rows in a table like `transfer`, with its indexes and keys.
"""

from datetime import timedelta
from time import perf_counter
from typing import Any, Final

from meterhouse.bench.site import monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import close
from meterhouse.store import bulk

POINTS: Final = 1_000_000


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Seconds to book all accruals, and to do so again when there is nothing to book."""
    async with open_site(settings, "close", straight_links(POINTS), monday()) as site:
        await bulk.accrue(site.address, site.project_id)
        at = monday() + timedelta(days=1)
        begin = perf_counter()
        written = await close.book_day(site.db, site.project_id, at)
        booking_s = perf_counter() - begin
        assert written == POINTS, written
    return [
        _figure("close.booked", round(booking_s, 1), "s for 1,000,000 accruals", 20.0),
        _figure("close.booked_per_s", round(POINTS / booking_s), "accruals/s", None),
    ]


def _figure(name: str, measured: Any, unit: str, reference: Any) -> dict[str, Any]:
    ratio = None if reference is None else round(measured / reference, 2)
    return {
        "name": name, "value": measured, "unit": unit, "reference": reference, "ratio": ratio,
    }  # fmt: skip
