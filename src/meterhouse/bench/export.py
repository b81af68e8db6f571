"""A list of 100,000 rows as a file: how long it takes, and how much memory it adds.

Owns a large project and its list of meters, written as XLSX and as CSV the way the console writes
them: streamed from one snapshot to disk. Memory is looked at after each chunk of rows.
"""

import os
from pathlib import Path
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from meterhouse.bench.site import Site, monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import monitor
from meterhouse.flows.monitor import Wanted
from meterhouse.web.exports import Sheet, write_file
from meterhouse.web.formats import Formats
from meterhouse.web.views import METERS
from meterhouse.words import words

ROWS = 100_000
SPAN_S_MAX, GROWTH_MB_MAX = 15, 100


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Seconds and megabytes of growth, by format."""
    found = []
    async with open_site(settings, "export", straight_links(ROWS), monday()) as site:
        await _write(site, "csv", 1_000)
        for kind in ("csv", "xlsx"):
            before_mb = _held_mb()
            begin = perf_counter()
            most_mb = await _write(site, kind, ROWS)
            span_s = perf_counter() - begin
            growth_mb = most_mb - before_mb
            found += [
                _figure(f"export.{kind}", round(span_s, 1), "s", SPAN_S_MAX),
                _figure(f"export.{kind}_growth", round(growth_mb, 1), "MB", GROWTH_MB_MAX),
            ]
    return found


async def _write(site: Site, kind: str, row_max: int) -> float:
    """Write the list; answers the most megabytes this process held meanwhile."""
    held_mb = [0.0]

    async def look(_: int) -> None:
        held_mb.append(_held_mb())

    fmt = Formats(words("zh-Hans"), ZoneInfo("Asia/Shanghai"), "CNY", 2)
    rows = monitor.stream(site.db, site.project_id, "meters", Wanted(sort="room"), row_max)
    path = await write_file(Sheet("Meters", METERS.table.columns, fmt), kind, rows, look)
    path.unlink()
    return max(*held_mb, _held_mb())


def _held_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def _figure(name: str, measured: float, unit: str, most: int) -> dict[str, Any]:
    return {"name": name, "value": measured, "unit": unit, "reference": most,
            "ratio": round(measured / most, 3)}  # fmt: skip
