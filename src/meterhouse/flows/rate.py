"""From register values to charges: judge, lay out the tariffs, rate.

Shared by readings that come in order and those that come late. Owns the way columns of the store
become arguments of the rating kernels and back.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.flows.prices import Run, Schemes, Tariffs, alone, named, run_of
from meterhouse.rating.decided import Decisions
from meterhouse.rating.delta import ChainState, Judged, Limits, judge
from meterhouse.rating.kernel import Intervals, Rated, RatingOutcome, rate_intervals
from meterhouse.rating.tariff import BandSource, Scheme
from meterhouse.rating.timeline import Packed, pack
from meterhouse.store import catalog
from meterhouse.store.db import Connection
from meterhouse.store.points import REGISTERS, SUSPECTS
from meterhouse.units import to_us

Ints = NDArray[np.int64]
# An interval longer than this many rounds is energy measured but its split interpolated.
GAP_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Chain:
    """What judging and rating a set of readings gave; m readings of n rows.

    `tariff_id` is the tariff in force where each reading's interval ends, 0 where there is none;
    `unpriced` marks the readings whose interval no tariff has a price for.
    """

    judged: Judged
    rated: Rated
    tariff_id: Ints
    unpriced: NDArray[np.bool_]


def chain_state(columns: Mapping[str, Ints]) -> ChainState:
    """Where the chains of loaded points stand."""
    return ChainState(
        columns["read_at"],
        columns["good_at"],
        np.stack([columns[name] for name in REGISTERS], axis=1),
        columns["suspect_at"],
        np.stack([columns[name] for name in SUSPECTS], axis=1),
        columns["suspect_count"],
    )


async def rate_chain(
    connection: Connection,
    tariffs: Tariffs,
    project: Any,
    columns: Mapping[str, Ints],
    state: ChainState,
    blocks: tuple[Ints, Ints],
    readings: tuple[Ints, Ints, Ints],
    decisions: Decisions | None = None,
) -> Chain:
    """Judge readings and rate what they bill.

    Args:
        connection: to look tariffs up.
        tariffs: the cache of this process.
        project: the project's row.
        columns: of n points, as `store.points.load` gives them.
        state: of their chains before these readings.
        blocks: energy used in the blocks' period, and when it began, of n points.
        readings: row, read_at_us, milli of m readings, sorted by (row, read_at_us).
        decisions: what people decided about them; None: nothing.
    """
    row, read_at_us, milli = readings
    ids = [one for one in np.unique(columns["tariff_id"]).tolist() if one]
    schemes = await tariffs.load(connection, project["id"], ids)
    limits = Limits(
        columns["modulus_milli"],
        columns["max_power_w"],
        columns["multiplier"],
        _needs_bands(columns["tariff_id"], schemes),
        GAP_ROUNDS * project["reading_interval_s"] * 1_000_000,
    )
    # The kernels let go of the interpreter: meanwhile other connections are served.
    judged = await asyncio.to_thread(judge, state, limits, row, read_at_us, milli, decisions)
    runs, run = await _runs(connection, tariffs, project["id"], columns, row, judged, schemes)
    priced = run >= 0
    bills = judged.billable & priced
    packed = _lay_out(tariffs, schemes, runs, project["timezone"], judged, bills)
    intervals = Intervals(
        row,
        np.where(bills, run, 0),
        np.where(bills, judged.start_us, judged.end_us),
        judged.end_us,
        np.where(bills, judged.energy_milli, 0),
        np.where(bills[:, None], judged.band_energy_milli, -1),
    )
    rated = _nothing(row, blocks)
    if bills.any():
        rated = await asyncio.to_thread(rate_intervals, packed, intervals, *blocks)
    unpriced = judged.billable & (~priced | (rated.outcome != RatingOutcome.RATED))
    tariff_id = np.array([*(one[-1][1] for one in runs), 0], np.int64)[run]
    return Chain(judged, rated, tariff_id, unpriced)


async def blocks_after(
    connection: Connection, tariffs: Tariffs, project: Any, charge: Any
) -> tuple[Ints, Ints]:
    """Energy used in the blocks' period, and when it began, where a charge ended."""
    blocks = (
        np.array([charge["block_milli"]], dtype=np.int64),
        np.array([to_us(charge["block_period_at"])], dtype=np.int64),
    )
    point_id = charge["point_id"]
    before = await catalog.tariffs_before(connection, project["id"], [point_id])
    schemes = await tariffs.load(connection, project["id"], sorted(named(before.values())))
    start_us, end_us = to_us(charge["started_at"]), to_us(charge["ended_at"])
    run = run_of(before[point_id], schemes, start_us, end_us)
    if run is None:
        return blocks
    timeline = tariffs.lay_out(schemes, run, project["timezone"], start_us, end_us)
    # Which band it was used in moves no block.
    bands = np.zeros((1, 4), dtype=np.int64)
    bands[0, 0] = charge["energy_milli"]
    zero = np.zeros(1, dtype=np.int64)
    interval = Intervals(
        zero, zero, np.array([start_us]), np.array([end_us]), bands[:, 0].copy(), bands
    )
    rated = await asyncio.to_thread(rate_intervals, pack([timeline]), interval, *blocks)
    return rated.block_milli, rated.block_period_us


def _nothing(row: Ints, blocks: tuple[Ints, Ints]) -> Rated:
    """What rating gives where nothing bills: no amounts, and the blocks as they stood."""
    zero = np.zeros(len(row), dtype=np.int64)
    outcome = np.zeros(len(row), dtype=np.int8)
    return Rated(zero, outcome, blocks[0][row], blocks[1][row], *blocks)


def _needs_bands(tariff_of: Ints, schemes: Schemes) -> NDArray[np.bool_]:
    by_meter = [
        tariff_id
        for tariff_id, (_, scheme) in schemes.items()
        if any(version.band_source is BandSource.METER for version in scheme.versions)
    ]
    return np.isin(tariff_of, by_meter)


async def _runs(
    connection: Connection, tariffs: Tariffs, project_id: int, columns: Mapping[str, Ints],
    row: Ints, judged: Judged, schemes: dict[int, tuple[str, Scheme]],
) -> tuple[list[Run], Ints]:  # fmt: skip
    """The runs of tariffs that price these readings, and whose place each has; −1 for none.

    `schemes` grows by those of before, where an interval began before its point's present tariff.
    """
    place_of: dict[Run, int] = {}
    now = columns["tariff_id"][row]
    run = np.full(len(row), -1, dtype=np.int64)
    for tariff_id in np.unique(now[now > 0]).tolist():
        run[now == tariff_id] = place_of.setdefault(alone(tariff_id), len(place_of))
    early = np.flatnonzero(judged.billable & (judged.start_us < columns["tariff_at"][row]))
    if not len(early):
        return list(place_of), run
    points = columns["point_id"][row]
    before = await catalog.tariffs_before(connection, project_id, np.unique(points[early]).tolist())
    missing = sorted(named(before.values()) - schemes.keys())
    schemes |= await tariffs.load(connection, project_id, missing)
    for place in early.tolist():
        span = int(judged.start_us[place]), int(judged.end_us[place])
        found = run_of(before[int(points[place])], schemes, *span)
        run[place] = -1 if found is None else place_of.setdefault(found, len(place_of))
    return list(place_of), run


def _lay_out(
    tariffs: Tariffs, schemes: Schemes, runs: Sequence[Run], timezone: str, judged: Judged,
    bills: NDArray[np.bool_],
) -> Packed:  # fmt: skip
    if not bills.any():
        return pack([])
    from_us, to_us = int(judged.start_us[bills].min()), int(judged.end_us[bills].max())
    return pack([tariffs.lay_out(schemes, run, timezone, from_us, to_us) for run in runs])


def charge_rows(
    project_id: int, columns: Mapping[str, Ints], chain: Chain, row: Ints,
    which: NDArray[np.bool_], version: Ints,
) -> dict[str, Ints]:  # fmt: skip
    """The charges of the readings in `which`, as the store's columns."""
    mine, judged, rated = row[which], chain.judged, chain.rated
    return {
        "project_id": np.full(len(mine), project_id),
        "point_id": columns["point_id"][mine],
        "ended_at": judged.end_us[which],
        "version": version,
        "started_at": judged.start_us[which],
        "meter_id": columns["meter_id"][mine],
        "register_epoch": columns["register_epoch"][mine],
        "account_id": columns["account_id"][mine],
        "tariff_id": chain.tariff_id[which],
        "energy_milli": judged.energy_milli[which],
        "block_milli": rated.before_milli[which],
        "block_period_at": rated.before_period_us[which],
        "amount_nano": rated.amount_nano[which],
        "verdict": judged.verdict[which],
        "quality": judged.quality[which],
        "booking": columns["booking"][mine],
    }
