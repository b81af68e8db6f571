"""Charges rated anew, each by the tariff it was rated by, from a past instant on.

Owns how stored charges become arguments of the kernel again. A price says nothing of what was used:
energies and the readings between them stay as they were judged. So no chain is judged again here,
and meters and tariffs that a point had before come out right as well. Must never post.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from meterhouse.flows.rate import Laid, Tariffs
from meterhouse.rating.delta import REGISTERS, ChainState, Limits, judge
from meterhouse.rating.kernel import METER_BANDS, Intervals, Rated, RatingOutcome, rate_intervals
from meterhouse.rating.tariff import BandSource
from meterhouse.rating.timeline import Packed, pack
from meterhouse.store import meterings, replays
from meterhouse.store.columns import find
from meterhouse.store.db import Connection
from meterhouse.store.points import Columns, Ints

_DAY_US: Final = 86_400_000_000
END_US: Final = 4_102_444_800_000_000


@dataclass(frozen=True, slots=True)
class Anew:
    """m charges of n points, and what they would cost.

    Attributes:
        charges: the columns of `replays.CHARGE`, by point and time.
        row: int64[m], place of each charge's point.
        rated: what the kernel says; a charge that cannot be priced keeps what it costs.
        edition: int64[m], of the tariff that rated it now.
    """

    charges: Columns
    row: Ints
    rated: Rated
    edition: Ints


async def rate_anew(
    connection: Connection, tariffs: Tariffs, project: Any, point_ids: Ints, since_us: int,
    schemes: Mapping[int, Laid],
) -> Anew:  # fmt: skip
    """Rate all charges of points anew that end after an instant.

    Args:
        connection: the caller's transaction.
        tariffs: the cache of this process.
        project: the project's row.
        point_ids: ascending.
        since_us: µs; a charge that reaches over it is rated as a whole.
        schemes: those that are not as they stand; the rest is looked up.
    """
    charges = await replays.charges(
        connection, project["id"], replays.CHARGE, point_ids, since_us, END_US
    )
    used = np.unique(charges["tariff_id"])
    known = await tariffs.load(connection, project["id"], [one for one in used.tolist() if one])
    known |= {one: laid for one, laid in schemes.items() if one in known}
    packed, place = _lay_out(tariffs, known, project["timezone"], charges)
    row, _ = find(point_ids, charges["point_id"])
    scheme, edition = np.zeros((2, len(row)), dtype=np.int64)
    priced = np.zeros(len(row), dtype=np.bool_)
    for tariff_id, index in place.items():
        mine = charges["tariff_id"] == tariff_id
        scheme[mine], edition[mine], priced[mine] = index, known[tariff_id].edition, True
    bands = await band_energy(connection, project["id"], charges, by_meter(charges, known))
    intervals = Intervals(
        row, scheme, np.where(priced, charges["started_at"], charges["ended_at"]),
        charges["ended_at"], np.where(priced, charges["energy_milli"], 0),
        np.where(priced[:, None], bands, -1),
    )  # fmt: skip
    blocks = np.zeros((2, len(point_ids)), dtype=np.int64)
    first = np.flatnonzero(np.diff(row, prepend=-1))
    blocks[0, row[first]] = charges["block_milli"][first]
    blocks[1, row[first]] = charges["block_period_at"][first]
    if not place:
        return Anew(charges, row, _as_it_was(charges, blocks), charges["edition"])
    rated = await asyncio.to_thread(rate_intervals, packed, intervals, blocks[0], blocks[1])
    # Without its meter's bands a price by them cannot be told: what was charged stays.
    unsaid = rated.outcome == RatingOutcome.NO_BANDS
    rated.amount_nano[unsaid] = charges["amount_nano"][unsaid]
    return Anew(charges, row, rated, edition)


def _as_it_was(charges: Columns, blocks: Ints) -> Rated:
    outcome = np.zeros(len(charges["point_id"]), dtype=np.int8)
    return Rated(
        charges["amount_nano"], outcome, charges["block_milli"], charges["block_period_at"],
        blocks[0], blocks[1],
    )  # fmt: skip


def _lay_out(
    tariffs: Tariffs, schemes: Mapping[int, Laid], timezone: str, charges: Columns
) -> tuple[Packed, dict[int, int]]:
    if not schemes or not len(charges["point_id"]):
        return pack([]), {}
    from_us, to_us = int(charges["started_at"].min()), int(charges["ended_at"].max())
    timelines = [tariffs.timeline(laid, timezone, from_us, to_us) for laid in schemes.values()]
    return pack(timelines), {tariff_id: index for index, tariff_id in enumerate(schemes)}


def is_by_meter(laid: Laid) -> bool:
    """Whether the meter decides the band in any version."""
    return any(version.band_source is BandSource.METER for version in laid.scheme.versions)


def by_meter(charges: Columns, schemes: Mapping[int, Laid]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which charges are by the meter's own bands."""
    metered = [tariff_id for tariff_id, laid in schemes.items() if is_by_meter(laid)]
    return np.isin(charges["tariff_id"], metered)


async def band_energy(
    connection: Connection, project_id: int, charges: Columns,
    wanted: np.ndarray[Any, np.dtype[np.bool_]],
) -> Ints:  # fmt: skip
    """int64[m, 4]: the energy by the meter's bands of the charges in `wanted`; −1 elsewhere.

    Between the readings that a charge lies between, as the judge of readings finds it.
    """
    count = len(wanted)
    bands = np.full((count, METER_BANDS), -1, dtype=np.int64)
    mine = np.flatnonzero(wanted)
    if not len(mine):
        return bands
    few = {name: column[mine] for name, column in charges.items()}
    milli, there = await meterings.registers(connection, project_id, few)
    mine, milli = mine[there], milli[:, there]
    few = {name: column[there] for name, column in few.items()}
    kind = await meterings.meters(connection, project_id, few["meter_id"])
    limits = Limits(
        kind["modulus_milli"], kind["max_power_w"], kind["multiplier"],
        np.ones(len(mine), dtype=np.bool_), _DAY_US,
    )  # fmt: skip
    empty = ChainState.empty(len(mine))
    state = ChainState(
        few["started_at"], few["started_at"].copy(), milli[0].reshape(-1, REGISTERS),
        empty.suspect_at_us, empty.suspect_milli, empty.suspect_count,
    )  # fmt: skip
    judged = await asyncio.to_thread(
        judge, state, limits, np.arange(len(mine)), few["ended_at"], milli[1]
    )
    sound = judged.billable & (judged.energy_milli == few["energy_milli"])
    bands[mine[sound]] = judged.band_energy_milli[sound]
    return bands
