"""From register values to charges: judge, lay out the tariffs, rate.

Shared by readings that come in order and those that come late. Owns the way columns of the store
become arguments of the rating kernels and back, and a small cache of laid-out tariffs, because a
published version never changes.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from meterhouse.rating.delta import ChainState, Judged, Limits, judge
from meterhouse.rating.kernel import Intervals, Rated, RatingOutcome, rate_intervals
from meterhouse.rating.live import live
from meterhouse.rating.tariff import BandSource, Scheme, parse
from meterhouse.rating.timeline import Packed, Timeline, compile_timeline, pack
from meterhouse.store import catalog
from meterhouse.store.db import Connection
from meterhouse.store.points import REGISTERS, SUSPECTS

Ints = NDArray[np.int64]
DAY_US = 86_400_000_000
CACHE_MAX = 256
# An interval longer than this many rounds is energy measured but its split interpolated.
GAP_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Chain:
    """What judging and rating a set of readings gave; m readings of n rows.

    `block_milli` and `block_period_at` are n rows' blocks after the last interval; `unpriced`
    marks the readings whose interval no tariff has a price for; `edition` is of the tariff that
    rated each.
    """

    judged: Judged
    rated: Rated
    unpriced: NDArray[np.bool_]
    edition: Ints


class Laid(NamedTuple):
    """A tariff's scheme, the text that tells it from others, and how often it was corrected."""

    text: str
    scheme: Scheme
    edition: int


class Tariffs:
    """Laid-out tariffs by project, kept while their versions stay the same."""

    def __init__(self) -> None:
        self._schemes: OrderedDict[str, Scheme] = OrderedDict()
        self._timelines: OrderedDict[tuple[str, str, int, int], Timeline] = OrderedDict()

    async def load(
        self, connection: Connection, project_id: int, tariff_ids: Sequence[int]
    ) -> dict[int, Laid]:
        """The schemes in force of tariffs, by id."""
        published = await catalog.editions(connection, project_id, tariff_ids)
        return {
            tariff_id: self.laid(bodies, edition)
            for tariff_id, (edition, bodies) in published.items()
        }

    async def load_edition(
        self, connection: Connection, project_id: int, tariff_id: int, edition: int
    ) -> Laid:
        """A tariff's scheme as it was before any correction later than `edition`."""
        found = await catalog.editions(connection, project_id, [tariff_id], edition)
        return self.laid(found[tariff_id][1], edition)

    def laid(self, bodies: Sequence[Mapping[str, Any]], edition: int) -> Laid:
        """One scheme of its versions' bodies."""
        whole = {**bodies[0], "versions": [one["versions"][0] for one in bodies]}
        text = json.dumps(whole, sort_keys=True)
        scheme = self._schemes.get(text)
        if scheme is None:
            scheme = self._schemes[text] = live(parse(whole))
            _trim(self._schemes)
        return Laid(text, scheme, edition)

    def timeline(self, laid: Laid, timezone: str, from_us: int, to_us: int) -> Timeline:
        """The scheme over whole days around a span."""
        first, last = from_us // DAY_US * DAY_US, (to_us // DAY_US + 1) * DAY_US
        key = (laid.text, timezone, first, last)
        timeline = self._timelines.get(key)
        if timeline is None:
            timeline = compile_timeline(laid.scheme, timezone, max(first, 1), last)
            self._timelines[key] = timeline
            _trim(self._timelines)
        return timeline


def _trim(cache: OrderedDict[Any, Any]) -> None:
    while len(cache) > CACHE_MAX:
        cache.popitem(last=False)


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
    """
    row, read_at_us, milli = readings
    used = np.unique(columns["tariff_id"])
    ids = [one for one in used.tolist() if one]
    schemes = await tariffs.load(connection, project["id"], ids)
    limits = Limits(
        columns["modulus_milli"],
        columns["max_power_w"],
        columns["multiplier"],
        _needs_bands(columns["tariff_id"], schemes),
        GAP_ROUNDS * project["reading_interval_s"] * 1_000_000,
    )
    # The kernels let go of the interpreter: meanwhile other connections are served.
    judged = await asyncio.to_thread(judge, state, limits, row, read_at_us, milli)
    packed, place = _lay_out(tariffs, schemes, project["timezone"], judged)
    scheme, edition = np.zeros((2, len(row)), dtype=np.int64)
    priced = np.zeros(len(row), dtype=np.bool_)
    tariff_of = columns["tariff_id"][row]
    for tariff_id, index in place.items():
        mine = tariff_of == tariff_id
        scheme[mine], edition[mine] = index, schemes[tariff_id].edition
        priced |= mine
    bills = judged.billable & priced
    intervals = Intervals(
        row,
        scheme,
        np.where(bills, judged.start_us, judged.end_us),
        judged.end_us,
        np.where(bills, judged.energy_milli, 0),
        np.where(bills[:, None], judged.band_energy_milli, -1),
    )
    rated = _nothing(row, blocks)
    if place:
        rated = await asyncio.to_thread(rate_intervals, packed, intervals, *blocks)
    unpriced = judged.billable & (~priced | (rated.outcome != RatingOutcome.RATED))
    return Chain(judged, rated, unpriced, edition)


def _nothing(row: Ints, blocks: tuple[Ints, Ints]) -> Rated:
    """What rating gives where nothing bills: no amounts, and the blocks as they stood."""
    zero = np.zeros(len(row), dtype=np.int64)
    outcome = np.zeros(len(row), dtype=np.int8)
    return Rated(zero, outcome, blocks[0][row], blocks[1][row], *blocks)


def _needs_bands(tariff_of: Ints, schemes: Mapping[int, Laid]) -> NDArray[np.bool_]:
    by_meter = [
        tariff_id
        for tariff_id, laid in schemes.items()
        if any(version.band_source is BandSource.METER for version in laid.scheme.versions)
    ]
    return np.isin(tariff_of, by_meter)


def _lay_out(
    tariffs: Tariffs, schemes: Mapping[int, Laid], timezone: str, judged: Judged
) -> tuple[Packed, dict[int, int]]:
    bills = judged.billable
    if not schemes or not bills.any():
        return pack([]), {}
    from_us, to_us = int(judged.start_us[bills].min()), int(judged.end_us[bills].max())
    timelines = [tariffs.timeline(laid, timezone, from_us, to_us) for laid in schemes.values()]
    return pack(timelines), {tariff_id: index for index, tariff_id in enumerate(schemes)}


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
        "tariff_id": columns["tariff_id"][mine],
        "energy_milli": judged.energy_milli[which],
        "block_milli": rated.before_milli[which],
        "block_period_at": rated.before_period_us[which],
        "amount_nano": rated.amount_nano[which],
        "verdict": judged.verdict[which],
        "quality": judged.quality[which],
        "booking": columns["booking"][mine],
        "edition": chain.edition[which],
    }
