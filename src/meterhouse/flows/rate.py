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

from meterhouse.flows import payers
from meterhouse.flows.payers import Whose
from meterhouse.flows.prices import (
    History,
    Run,
    Schemes,
    Tariffs,
    bands_until,
    bands_until_of,
    is_by_meter,
    last_of,
    named,
    places_of,
    run_of,
)
from meterhouse.rating.decided import Decisions
from meterhouse.rating.delta import ChainState, Judged, Limits, judge
from meterhouse.rating.kernel import Intervals, Rated, RatingOutcome, rate_intervals
from meterhouse.rating.timeline import Packed, pack
from meterhouse.store import catalog
from meterhouse.store.db import Connection
from meterhouse.store.points import REGISTERS, SUSPECTS

Ints = NDArray[np.int64]
# An interval longer than this many rounds is energy measured but its split interpolated.
GAP_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Chain:
    """What judging and rating a set of readings gave; m readings of n rows.

    `tariff_id` is the last tariff that prices each reading's interval, 0 where there is none;
    `unpriced` marks the readings whose interval no tariff has a price for; `edition` counts the
    corrections of prices that the project had seen; `whose` says of each interval who pays.
    """

    judged: Judged
    rated: Rated
    tariff_id: Ints
    unpriced: NDArray[np.bool_]
    edition: int
    whose: Whose


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
    before = await _before(connection, project["id"], columns, state, row, read_at_us)
    ids = {one for one in np.unique(columns["tariff_id"]).tolist() if one} | named(before.values())
    schemes = await tariffs.load(connection, project["id"], sorted(ids))
    # A correction in between is seen by its sweep, which waits for these meters.
    edition = await catalog.edition(connection, project["id"])
    limits = Limits(
        columns["modulus_milli"],
        columns["max_power_w"],
        columns["multiplier"],
        _bands_until(columns, row, read_at_us, before, schemes),
        GAP_ROUNDS * project["reading_interval_s"] * 1_000_000,
    )
    # The kernels let go of the interpreter: meanwhile other connections are served.
    judged = await asyncio.to_thread(judge, state, limits, row, read_at_us, milli, decisions)
    runs, run = _runs(columns, row, judged, before, schemes)
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
    tariff_id = np.array([*(last_of(one) for one in runs), 0], np.int64)[run]
    key = connection, project["id"], columns, row
    whose = await payers.whose(*key, judged.start_us, judged.billable)
    return Chain(judged, rated, tariff_id, unpriced, edition, whose)


def _nothing(row: Ints, blocks: tuple[Ints, Ints]) -> Rated:
    """What rating gives where nothing bills: no amounts, and the blocks as they stood."""
    zero = np.zeros(len(row), dtype=np.int64)
    outcome = np.zeros(len(row), dtype=np.int8)
    return Rated(zero, outcome, blocks[0][row], blocks[1][row], *blocks)


async def _before(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], state: ChainState,
    row: Ints, read_at_us: Ints,
) -> Mapping[int, History]:  # fmt: skip
    """The tariffs and persons of the points that are charged as now since some of this began."""
    since_us, good_us = columns["tariff_at"][row], state.good_at_us[row]
    early = (read_at_us <= since_us) | ((good_us > 0) & (good_us < since_us))
    if not early.any():
        return {}
    point_ids = np.unique(columns["point_id"][row[early]]).tolist()
    return await catalog.tariffs_before(connection, project_id, point_ids)


def _bands_until(
    columns: Mapping[str, Ints], row: Ints, read_at_us: Ints, before: Mapping[int, History],
    schemes: Schemes,
) -> Ints:  # fmt: skip
    """Up to when, before each reading, a tariff billed by the meter's own bands; 0: never.

    What a point had before its present tariff is looked at only where something of it is judged.
    """
    until_us = np.zeros(len(row), dtype=np.int64)
    by_meter = {one for one, (_, scheme) in schemes.items() if is_by_meter(scheme)}
    tariff_of = columns["tariff_id"][row]
    for tariff_id in by_meter:
        mine = np.flatnonzero(tariff_of == tariff_id)
        until_us[mine] = bands_until(schemes[tariff_id][1], read_at_us[mine])
    if not by_meter or not before:
        return until_us
    for place in np.flatnonzero(np.isin(columns["point_id"][row], list(before))).tolist():
        history = before[int(columns["point_id"][row[place]])]
        until_us[place] = bands_until_of(history, schemes, int(read_at_us[place]))
    return until_us


def _runs(
    columns: Mapping[str, Ints], row: Ints, judged: Judged, before: Mapping[int, History],
    schemes: Schemes,
) -> tuple[list[Run], Ints]:  # fmt: skip
    """The runs of tariffs that price these readings, and whose place each has; −1 for none."""
    place_of: dict[Run, int] = {}
    run = places_of(columns["tariff_id"], columns["persons"], schemes, place_of)[row]
    early = judged.billable & (judged.start_us < columns["tariff_at"][row])
    for place in np.flatnonzero(early).tolist():
        history = before[int(columns["point_id"][row[place]])]
        found = run_of(history, schemes, int(judged.start_us[place]), int(judged.end_us[place]))
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
        "account_id": chain.whose.account_id[which],
        "tariff_id": chain.tariff_id[which],
        "energy_milli": judged.energy_milli[which],
        "block_milli": rated.before_milli[which],
        "block_period_at": rated.before_period_us[which],
        "amount_nano": rated.amount_nano[which],
        "verdict": judged.verdict[which],
        "quality": judged.quality[which],
        "booking": columns["booking"][mine],
        "edition": np.full(len(mine), chain.edition),
    }
