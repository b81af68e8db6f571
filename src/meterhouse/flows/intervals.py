"""Charged intervals as they are explained: each with its readings, rated once more.

Owns how a charge becomes an interval that can be told, by the kernel that rated it, and says so
where the two disagree. Must never know which transfer an interval is told for.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import numpy as np

from meterhouse.flows.prices import NONE_YET, History, Run, Schemes, Tariffs, named, run_of
from meterhouse.model import Quality
from meterhouse.rating.decided import Decided, Decisions
from meterhouse.rating.delta import REGISTERS, ChainState, Limits, Verdict, judge
from meterhouse.rating.estimate import bands_told
from meterhouse.rating.explained import Line, explain_interval
from meterhouse.rating.tariff import BandSource, Version
from meterhouse.rating.timeline import Timeline
from meterhouse.store import catalog, corrections, explain
from meterhouse.store.db import Connection
from meterhouse.store.readings import BANDS
from meterhouse.units import to_us

_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Register:
    """One register reading: the total as the meter shows it, before the multiplier."""

    read_at: datetime
    received_at: datetime
    total_milli: int
    source: int


@dataclass(frozen=True, slots=True)
class Correction:
    """Why a price was another before: since when it is corrected, why, and when that was said.

    `is_given`: its point should have had another tariff; otherwise its tariff had a wrong price.
    """

    since: datetime
    reason: str
    published_at: datetime
    is_given: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody decided about one reading, and why; who did stays with the staff."""

    read_at: datetime
    decided: Decided
    reason: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """For how many persons the blocks' limits held that depend on it."""

    persons: int
    limits_milli: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """One charged interval as it went into a booking.

    Attributes:
        started_at, ended_at: equal where an earlier charge was taken back altogether.
        energy_milli: multiplied.
        amount_nano: what it costs.
        replaced_nano: what had been charged for it before a late or corrected reading; 0 at first.
        opening, closing: the readings it lies between; None where they are kept no more.
        lines: version, band, block and price of each part; empty where they cannot be told.
        block_milli: how much of the block period was used when it began.
        is_exact: whether the lines add up to the amount.
        decisions: what people decided about the readings in it, its end included.
        correction: where a corrected price alone made it another amount than before.
        held: the limits by persons, one after the other; empty where they do not depend on it.
    """

    started_at: datetime
    ended_at: datetime
    energy_milli: int
    amount_nano: int
    replaced_nano: int
    address: str
    multiplier: int
    is_rollover: bool
    quality: Quality
    tariff: str
    opening: Register | None
    closing: Register | None
    lines: Sequence[Line]
    has_blocks: bool
    block_milli: int
    is_exact: bool
    decisions: Sequence[Told] = ()
    correction: Correction | None = None
    held: Sequence[Held] = ()

    @property
    def added_nano(self) -> int:
        """What it added to the booking: its amount less what was charged for it before."""
        return self.amount_nano - self.replaced_nano


async def intervals_of(
    connection: Connection, tariffs: Tariffs, project: Any, charges: Sequence[Any]
) -> list[Interval]:
    """Each charge with the readings it lies between, rated once more."""
    keys = {
        (one["meter_id"], one["register_epoch"], one[at])
        for one in charges for at in ("started_at", "ended_at")
    }  # fmt: skip
    read = await explain.readings_at(connection, project["id"], sorted(keys))
    point_ids = sorted({one["point_id"] for one in charges})
    before, schemes = {}, {}
    for edition in {one["edition"] for one in charges}:
        had = await catalog.tariffs_before(connection, project["id"], point_ids, edition)
        before[edition] = had
        schemes[edition] = await tariffs.load(
            connection, project["id"], sorted(named(had.values())), edition
        )
    told = await _decisions(connection, project["id"], charges)
    corrected = await corrections.of_charges(connection, project["id"], charges)
    return [
        replace(
            _interval(tariffs, schemes[one["edition"]],
                      before[one["edition"]].get(one["point_id"], ()), project, one, read),
            decisions=said, correction=None if why is None else Correction(*why),
        )
        for one, said, why in zip(charges, told, corrected, strict=True)
    ]  # fmt: skip


async def _decisions(
    connection: Connection, project_id: int, charges: Sequence[Any]
) -> list[list[Told]]:
    """What was decided within each charge: after its beginning, up to its end."""
    chains: dict[tuple[int, int], tuple[datetime, datetime]] = {}
    for one in charges:
        key = (one["meter_id"], one["register_epoch"])
        since, until = chains.get(key, (one["started_at"], one["ended_at"]))
        chains[key] = min(since, one["started_at"]), max(until, one["ended_at"])
    spans = [(*key, *span) for key, span in chains.items()]
    rows = await explain.decided_in(connection, project_id, spans)
    told = defaultdict(list)
    for row in rows:
        said = Told(row["read_at"], Decided(row["decided"]), row["reason"], row["decided_at"])
        told[row["meter_id"], row["register_epoch"]].append(said)
    return [
        [
            said for said in told[one["meter_id"], one["register_epoch"]]
            if one["started_at"] < said.read_at < one["ended_at"]
            or said.read_at == one["ended_at"]
        ]
        for one in charges
    ]  # fmt: skip


def _interval(
    tariffs: Tariffs, schemes: Schemes, before: History, project: Any, row: Any, read: Any
) -> Interval:
    epoch = (row["meter_id"], row["register_epoch"])
    # An estimate may go on from an estimate, and ends with one; a measured interval never does.
    is_estimated = row["quality"] == Quality.ESTIMATED
    opening, closing = (
        read.get((*epoch, row[at], is_estimated)) or read.get((*epoch, row[at], False))
        for at in ("started_at", "ended_at")
    )
    lines: list[Line] = []
    held: list[Held] = []
    span_us = to_us(row["started_at"]), to_us(row["ended_at"])
    run = run_of(before, schemes, *span_us)
    if run is not None and opening is not None and closing is not None:
        timeline = tariffs.lay_out(schemes, run, project["timezone"], *span_us)
        lines = _lines(timeline, schemes, run, row, (opening, closing))
        held = _held(timeline, schemes, run, span_us)
    had = (one for _, one, _ in run or () if one != NONE_YET)
    rates = [schemes[tariff_id][1] for tariff_id, _ in groupby(had)]
    return Interval(
        started_at=row["started_at"], ended_at=row["ended_at"], energy_milli=row["energy_milli"],
        amount_nano=row["amount_nano"], replaced_nano=row["replaced_nano"],
        address=row["address"], multiplier=row["multiplier"],
        is_rollover=row["verdict"] == Verdict.ROLLOVER, quality=Quality(row["quality"]),
        tariff=" → ".join(one.name for one in rates) or row["tariff"],
        opening=_register(opening), closing=_register(closing), lines=lines,
        has_blocks=any(version.blocks.limits_milli for one in rates for version in one.versions),
        block_milli=row["block_milli"],
        is_exact=sum(line.amount_nano for line in lines) == row["amount_nano"], held=held,
    )  # fmt: skip


def _register(row: Any) -> Register | None:
    if row is None:
        return None
    return Register(row["read_at"], row["received_at"], row["total_milli"], row["source"])


def _held(
    timeline: Timeline, schemes: Schemes, run: Run, span_us: tuple[int, int]
) -> list[Held]:  # fmt: skip
    """The limits of a span that depend on persons, and how many there were."""
    found: dict[Held, None] = {}
    start_us, end_us = span_us
    places = np.flatnonzero((timeline.edge_us[1:] > start_us) & (timeline.edge_us[:-1] < end_us))
    for place in places.tolist():
        at_us = max(int(timeline.edge_us[place]), start_us)
        in_force = [entry for entry in run if entry[0] <= at_us]
        _, tariff_id, persons = in_force[-1]
        limits = timeline.sections[timeline.section[place]].limits_milli
        if limits and schemes[tariff_id][1].counts_persons:
            found.setdefault(Held(persons, limits))
    return list(found)


def _lines(
    timeline: Timeline, schemes: Schemes, run: Run, row: Any, pair: tuple[Any, Any]
) -> list[Line]:
    """The interval rated once more, from where its blocks stood when it began."""
    start_us, end_us = to_us(row["started_at"]), to_us(row["ended_at"])
    rates = [
        version for _, one, _ in run if one != NONE_YET for version in schemes[one][1].versions
    ]
    return explain_interval(
        timeline, start_us, end_us, row["energy_milli"], _bands(rates, row, pair),
        row["block_milli"], to_us(row["block_period_at"]),
    )  # fmt: skip


def _bands(rates: Sequence[Version], row: Any, pair: tuple[Any, Any]) -> tuple[int, int, int, int]:
    """The interval's energy by the meter's own bands, as the judge of readings finds it."""
    if all(version.band_source is not BandSource.METER for version in rates):
        return (-1, -1, -1, -1)
    if row["verdict"] == Verdict.BEGUN:
        return (0, 0, 0, 0)
    if pair[1]["rule"] is not None:
        return bands_told(pair[1]["rule"])
    (at_us, next_us), milli = zip(
        *((to_us(one["read_at"]), [one["total_milli"], *(one[name] for name in BANDS)])
          for one in pair), strict=True,
    )  # fmt: skip
    good = np.array([milli[0]], np.int64).reshape(1, REGISTERS)
    at = np.array([at_us], np.int64)
    empty = ChainState.empty(1)
    state = ChainState(
        at, at.copy(), good, empty.suspect_at_us, empty.suspect_milli, empty.suspect_count
    )
    one = [
        np.array([row[name]], np.int64) for name in ("modulus_milli", "max_power_w", "multiplier")
    ]
    limits = Limits(one[0], one[1], one[2], np.array([next_us]), _DAY_US)
    accepted = Decisions.none(1)
    accepted.decided[:] = Decided.ACCEPT
    judged = judge(
        state, limits, np.zeros(1, np.int64), np.array([next_us], np.int64),
        np.array([milli[1]], np.int64).reshape(1, REGISTERS), accepted,
    )  # fmt: skip
    first, second, third, fourth = judged.band_energy_milli[0].tolist()
    return first, second, third, fourth
