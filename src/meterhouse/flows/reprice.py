"""Charges rated anew, each by the tariff it was rated by, from a past instant on.

Owns how stored charges become arguments of the kernel again. A price says nothing of what was used:
energies and the readings between them stay as they were judged. So no chain is judged again here,
and meters and tariffs that a point had before come out right as well. Must never post.
"""

import asyncio
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meterhouse.flows.prices import (
    Given,
    History,
    Run,
    Schemes,
    Tariffs,
    as_given,
    is_by_meter,
    last_of,
    named,
    runs_of,
)
from meterhouse.model import Quality
from meterhouse.rating.decided import Decided, Decisions
from meterhouse.rating.delta import REGISTERS, ChainState, Limits, judge
from meterhouse.rating.kernel import METER_BANDS, Intervals, Rated, RatingOutcome, rate_intervals
from meterhouse.rating.timeline import Packed, pack
from meterhouse.store import catalog, meterings, replays
from meterhouse.store.columns import find
from meterhouse.store.db import Connection
from meterhouse.store.points import Columns, Ints

Flags = NDArray[np.bool_]
_DAY_US: Final = 86_400_000_000
END_US: Final = 4_102_444_800_000_000


@dataclass(frozen=True, slots=True)
class Anew:
    """m charges of n points, and what they would cost.

    Attributes:
        charges: the columns of `replays.CHARGE`, by point and time.
        row: int64[m], place of each charge's point.
        rated: what the kernel says; a charge that cannot be priced keeps what it costs.
        edition: how many corrections the project had seen.
        runs, run: the tariffs that price charges, one after the other, and whose place each
            charge has; -1 for none.
    """

    charges: Columns
    row: Ints
    rated: Rated
    edition: int
    runs: Sequence[Run]
    run: Ints

    def priced_by(self, tariff_id: int) -> Flags:
        """Which charges a tariff prices at any of their instants; they say the last one alone."""
        return _with_any(self.runs, self.run, {tariff_id})

    def tariff_of(self, mine: Ints) -> Ints:
        """The tariff that charges say, at these places: the last one that prices them."""
        last = np.array([*(last_of(one) for one in self.runs), 0], dtype=np.int64)
        return np.where(self.run[mine] < 0, self.charges["tariff_id"][mine], last[self.run[mine]])


async def rate_anew(
    connection: Connection, tariffs: Tariffs, project: Any, point_ids: Ints, since_us: int,
    schemes: Schemes, given: Given | None = None,
) -> Anew:  # fmt: skip
    """Rate all charges of points anew that end after an instant.

    Args:
        connection: the caller's transaction.
        tariffs: the cache of this process.
        project: the project's row.
        point_ids: ascending.
        since_us: µs; a charge that reaches over it is rated as a whole.
        schemes: those that are not as they stand; the rest is looked up.
        given: a tariff that all these points shall have had; None: what they had.
    """
    charges = await replays.charges(
        connection, project["id"], replays.CHARGE, point_ids, since_us, END_US
    )
    # An estimate is no charge of the chain: it is taken back, and made again at the new price.
    measured = charges["quality"] != Quality.ESTIMATED
    charges = {name: column[measured] for name, column in charges.items()}
    before: dict[int, History] = {
        **await catalog.tariffs_before(connection, project["id"], point_ids.tolist())
    }
    if given is not None:
        before = {one: as_given(before.get(one, ()), given) for one in point_ids.tolist()}
    used = {one for one in np.unique(charges["tariff_id"]).tolist() if one}
    known = await tariffs.load(connection, project["id"], sorted(used | named(before.values())))
    edition = await catalog.edition(connection, project["id"])
    known |= {one: laid for one, laid in schemes.items() if one in known}
    runs, run = runs_of(
        charges["point_id"], charges["started_at"], charges["ended_at"], charges["tariff_id"],
        before, known,
    )  # fmt: skip
    priced = run >= 0
    packed = _lay_out(tariffs, known, runs, project["timezone"], charges)
    row, _ = find(point_ids, charges["point_id"])
    by_bands = _with_any(runs, run, metered(known))
    bands, unsaid = await band_energy(connection, project["id"], charges, by_bands)
    intervals = Intervals(
        row, np.maximum(run, 0), np.where(priced, charges["started_at"], charges["ended_at"]),
        charges["ended_at"], np.where(priced, charges["energy_milli"], 0),
        np.where(priced[:, None], bands, -1),
    )  # fmt: skip
    blocks = np.zeros((2, len(point_ids)), dtype=np.int64)
    first = np.flatnonzero(np.diff(row, prepend=-1))
    blocks[0, row[first]] = charges["block_milli"][first]
    blocks[1, row[first]] = charges["block_period_at"][first]
    if not priced.any():
        return Anew(charges, row, _as_it_was(charges, blocks), edition, runs, run)
    rated = await asyncio.to_thread(rate_intervals, packed, intervals, blocks[0], blocks[1])
    # Without its meter's bands a price by them cannot be told: what was charged stays.
    unsaid &= priced
    rated.outcome[unsaid] = RatingOutcome.NO_BANDS
    rated.amount_nano[unsaid] = charges["amount_nano"][unsaid]
    return Anew(charges, row, rated, edition, runs, run)


def _with_any(runs: Sequence[Run], run: Ints, tariff_ids: Set[int]) -> Flags:
    """Which charges are priced by a run with any of these tariffs."""
    has = [any(tariff_id in tariff_ids for _, tariff_id, _ in one) for one in runs]
    return np.array([*has, False], dtype=np.bool_)[run]


def _as_it_was(charges: Columns, blocks: Ints) -> Rated:
    outcome = np.zeros(len(charges["point_id"]), dtype=np.int8)
    return Rated(
        charges["amount_nano"], outcome, charges["block_milli"], charges["block_period_at"],
        blocks[0], blocks[1],
    )  # fmt: skip


def _lay_out(
    tariffs: Tariffs, schemes: Schemes, runs: list[Run], timezone: str, charges: Columns
) -> Packed:
    if not runs:
        return pack([])
    from_us, to_us = int(charges["started_at"].min()), int(charges["ended_at"].max())
    return pack([tariffs.lay_out(schemes, run, timezone, from_us, to_us) for run in runs])


def metered(schemes: Schemes) -> set[int]:
    """The tariffs by which a meter's own bands are priced."""
    return {tariff_id for tariff_id, (_, scheme) in schemes.items() if is_by_meter(scheme)}


async def band_energy(
    connection: Connection, project_id: int, charges: Columns,
    wanted: Flags,
) -> tuple[Ints, Flags]:  # fmt: skip
    """int64[m, 4]: the energy by the meter's bands of the charges in `wanted`; −1 elsewhere.

    Between the readings that a charge lies between, as the judge of readings finds it. Also which
    of them lack it: their energy stands in one band, for which one moves no block.
    """
    count, lacking = len(wanted), wanted.copy()
    bands = np.full((count, METER_BANDS), -1, dtype=np.int64)
    mine = np.flatnonzero(wanted)
    if not len(mine):
        return bands, lacking
    bands[mine] = 0
    bands[mine, 0] = charges["energy_milli"][mine]
    few = {name: column[mine] for name, column in charges.items()}
    milli, there = await meterings.registers(connection, project_id, few)
    mine, milli = mine[there], milli[:, there]
    few = {name: column[there] for name, column in few.items()}
    kind = await meterings.meters(connection, project_id, few["meter_id"])
    limits = Limits(
        kind["modulus_milli"], kind["max_power_w"], kind["multiplier"],
        few["ended_at"], _DAY_US,
    )  # fmt: skip
    empty = ChainState.empty(len(mine))
    state = ChainState(
        few["started_at"], few["started_at"].copy(), milli[0].reshape(-1, REGISTERS),
        empty.suspect_at_us, empty.suspect_milli, empty.suspect_count,
    )  # fmt: skip
    # It was charged, whatever the judgement thought of it: a person may have said so.
    accepted = Decisions.none(len(mine))
    accepted.decided[:] = Decided.ACCEPT
    judged = await asyncio.to_thread(
        judge, state, limits, np.arange(len(mine)), few["ended_at"], milli[1], accepted
    )
    sound = judged.billable & (judged.energy_milli == few["energy_milli"])
    bands[mine[sound]] = judged.band_energy_milli[sound]
    lacking[mine[sound]] = False
    return bands, lacking
