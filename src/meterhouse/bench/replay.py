"""A year of half hours of many accounts, rated again under another scheme, out of the database.

Owns the year: charges made by the kernel and brought in by COPY, a week at a time. The stopwatch
stands on `flows.replay.replay` alone, which reads, rates, compares and adds up; memory is the most
that this process has held meanwhile, the year's making left out.
"""

import os
import resource
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from meterhouse.bench.rate import SCHEME
from meterhouse.bench.site import Site, monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import replay
from meterhouse.flows.prices import Tariffs
from meterhouse.rating.kernel import Intervals, rate_intervals
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import compile_timeline, pack
from meterhouse.store import bulk, catalog, readings
from meterhouse.units import to_us

ACCOUNTS = int(os.environ.get("METERHOUSE_BENCH_ACCOUNTS", "1000"))
WEEKS = 53
WEEK_SLOTS = 7 * 48
YEAR_SLOTS = 365 * 48
STEP_US = 1_800_000_000
# A year by the wall clock of Shanghai.
BEGIN = datetime(2025, 12, 31, 16, tzinfo=UTC)
SECONDS_MAX, MIB_MAX = 30, 1024


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Seconds of a replay of 17.5 million intervals, and the memory it took."""
    links = straight_links(ACCOUNTS)
    async with open_site(settings, "replay", links, monday()) as site:
        charged_nano, tariff_id = await _live(site)
        await bulk.settle(site.address)
        _forget_peak()
        begin_mib = _peak_mib()
        tariffs, points = Tariffs(), np.array(site.meter_ids, np.int64)
        question = replay.Question(
            points, BEGIN, BEGIN + timedelta(days=365), replay.scheme_of(tariffs, _other())
        )
        begin = perf_counter()
        found = await replay.replay(site.db, tariffs, site.project_id, question, _silent)
        took_s = perf_counter() - begin
        households = replay.by_household(found)
        sums = replay.told(found, households, 2)
        assert sums["charged_nano"] == charged_nano, (sums["charged_nano"], charged_nano)
        assert (found.unrated_count, len(households["point_id"])) == (0, ACCOUNTS), tariff_id
    rows = ACCOUNTS * YEAR_SLOTS
    return [
        {"name": "replay", "value": round(took_s, 2), "unit": f"s for {rows:,} intervals",
         "reference": SECONDS_MAX, "ratio": round(took_s / SECONDS_MAX, 3)},
        {"name": "replay.rate", "value": round(rows / took_s), "unit": "intervals/s",
         "reference": None, "ratio": None},
        {"name": "replay.memory", "value": _peak_mib(), "unit": f"MiB at most ({begin_mib} before)",
         "reference": MIB_MAX, "ratio": round(_peak_mib() / MIB_MAX, 3)},
    ]  # fmt: skip


async def _silent(_done: int, _total: int) -> None:
    """Nobody watches."""


def _other() -> dict[str, Any]:
    """The bench's scheme with a dearer peak and a narrower first block."""
    other: dict[str, Any] = deepcopy(SCHEME)
    version = other["versions"][0]
    version["prices_micro"] |= {"peak": 950_000, "valley": 250_000}
    version["blocks"]["limits_milli"] = [180_000, 400_000]
    return other


async def _live(site: Site) -> tuple[int, int]:
    """Charge a year of every account; answers what it came to, in Nano, and the tariff's id."""
    random = np.random.default_rng(3)
    point_id = np.array(site.meter_ids, np.int64)
    account_id = bulk.FIRST_ID + 2 * np.arange(ACCOUNTS)
    begin_us = to_us(BEGIN)
    timeline = compile_timeline(
        parse(SCHEME), "Asia/Shanghai", begin_us, begin_us + (YEAR_SLOTS + 1) * STEP_US
    )
    packed, blocks = pack([timeline]), np.zeros((2, ACCOUNTS), np.int64)
    async with site.db.transaction([site.project_id]) as connection:
        (tariff,) = await catalog.tariff_names(connection, site.project_id, None)
    charged_nano = 0
    for week in range(WEEKS):
        slot = np.arange(week * WEEK_SLOTS, min((week + 1) * WEEK_SLOTS, YEAR_SLOTS))
        # Round after round, as readings come: all accounts of one half hour, then of the next.
        row = np.tile(np.arange(ACCOUNTS), len(slot))
        start_us = begin_us + np.repeat(slot, ACCOUNTS) * STEP_US
        energy_milli = random.integers(0, 800, len(row))
        bands = np.full((len(row), 4), -1)
        intervals = Intervals(
            row, np.zeros_like(row), start_us, start_us + STEP_US, energy_milli, bands
        )
        rated = rate_intervals(packed, intervals, *blocks)
        blocks = np.stack([rated.block_milli, rated.block_period_us])
        charged_nano += int(rated.amount_nano.sum())
        one = np.ones_like(row)
        async with site.db.transaction([site.project_id]) as connection:
            await readings.insert_fresh(
                connection, "charge", readings.CHARGE,
                {
                    "project_id": one * site.project_id, "point_id": point_id[row],
                    "ended_at": start_us + STEP_US, "version": one, "started_at": start_us,
                    "meter_id": point_id[row], "register_epoch": one,
                    "account_id": account_id[row], "tariff_id": one * tariff["id"],
                    "energy_milli": energy_milli, "block_milli": rated.before_milli,
                    "block_period_at": rated.before_period_us, "amount_nano": rated.amount_nano,
                    "verdict": one, "quality": one, "booking": one, "edition": 0 * one,
                },
            )  # fmt: skip
    return charged_nano, tariff["id"]


def _forget_peak() -> None:
    """Let the kernel count the most memory anew, where it can (Linux)."""
    told = Path("/proc/self/clear_refs")
    if told.exists():
        told.write_text("5", encoding="ascii")


def _peak_mib() -> int:
    """The most memory this process has held."""
    told = Path("/proc/self/status")
    if not told.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    line = next(one for one in told.read_text(encoding="ascii").splitlines() if "VmHWM" in one)
    return int(line.split()[1]) // 1024
