"""Stretches (账期段): what one payer used under one tariff in one billing period, cut exactly.

Owns how charged intervals are cut where a billing period or a tariff ends, so that each part is
billed where it belongs and its charge counts there: energy is divided by time as the kernel divides
it, an amount by the lines that made it. Nothing is lost or counted twice, whatever the cut. Must
never know a database, nor what a bill makes of a stretch.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from meterhouse import units
from meterhouse.rating.arrays import AT_US_MAX, Ints
from meterhouse.rating.explained import Line
from meterhouse.rating.live import is_billed
from meterhouse.rating.load import Load
from meterhouse.rating.periods import Billing, month_starts, zone_of
from meterhouse.rating.tariff import Scheme, Version

WINDOW_US = 900_000_000
"""Demand is the highest mean power of a quarter of an hour (需量周期)."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a billing period in which one tariff was in force.

    Attributes:
        from_us, to_us: the part.
        tariff_id: 0 where there was none, or one that is not billed by the period.
        period_from_us, period_to_us: the whole billing period; the part where there is none.
    """

    from_us: int
    to_us: int
    tariff_id: int
    period_from_us: int
    period_to_us: int


@dataclass(frozen=True, slots=True, eq=False)
class Charged:
    """m charged intervals of one point, none overlapping, by time. Arrays of int64[m].

    `payer_us` says since when whoever paid for each did: it tells one time of a payer from another.
    """

    start_us: Ints
    end_us: Ints
    energy_milli: Ints
    amount_nano: Ints
    account_id: Ints
    payer_us: Ints
    block_milli: Ints
    block_period_us: Ints

    def take(self, which: Ints) -> "Charged":
        """Those of a mask or an index."""
        return Charged(*(getattr(self, name)[which] for name in self.__dataclass_fields__))


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """What one payer used in a span.

    Attributes:
        span: where it lies.
        account_id, payer_us: whose, and since when they paid.
        load: its intervals, cut at the span's ends.
        charged_nano: what was charged for them while energy flowed.
        block_milli, block_period_us: where the blocks stood when it began.
    """

    span: Span
    account_id: int
    payer_us: int
    load: Load
    charged_nano: int
    block_milli: int
    block_period_us: int

    @property
    def from_us(self) -> int:
        """When its first interval begins."""
        return int(self.load.start_us[0])

    @property
    def to_us(self) -> int:
        """When its last interval ends."""
        return int(self.load.end_us[-1])


LinesOf = Callable[[int], Sequence[Line]]
"""The lines of the charge at a place, as the kernel tells them; none where they cannot be told."""


def spans(
    history: Sequence[tuple[int, int | None]], billed: Mapping[int, Scheme], timezone: str,
    from_us: int, to_us: int,
) -> list[Span]:  # fmt: skip
    """The spans of a time, without a gap, by the tariffs that a point had one after the other.

    Args:
        history: since when (µs) which tariff; the first one first.
        billed: the schemes that are billed by the period.
        timezone: of the project.
        from_us, to_us: the time.
    """
    ends = [*(since for since, _ in history[1:]), to_us]
    found = [Span(from_us, min(max(history[0][0], from_us), to_us), 0, 0, 0)]
    for (since_us, tariff_id), until_us in zip(history, ends, strict=True):
        first_us, last_us = max(since_us, from_us), min(until_us, to_us)
        if first_us >= last_us:
            continue
        scheme = billed.get(tariff_id or 0)
        if scheme is None or tariff_id is None:
            found.append(Span(first_us, last_us, 0, first_us, last_us))
            continue
        billing = scheme.billing or Billing()
        starts = month_starts(billing, zone_of(timezone), first_us, last_us)
        for begin_us, after_us in pairwise(starts):
            part = (max(begin_us, first_us), min(after_us, last_us))
            is_mine = tariff_id if is_billed(scheme, *part) else 0
            if part[0] < part[1]:
                found.append(Span(*part, is_mine, begin_us, after_us))
    return [span for span in found if span.from_us < span.to_us]


def for_persons(scheme: Scheme, counts: Sequence[tuple[int, int]]) -> Scheme:
    """The scheme for a household whose number of persons has changed: each number is a version.

    So what is charged by the period follows a change of persons as it follows one of prices.

    Args:
        scheme: with limits or free energy by persons, or without.
        counts: since when (µs) how many; the first one holds before it, too.
    """
    versions: list[Version] = []
    ends = [*(units.to_us(one.effective_from) for one in scheme.versions[1:]), AT_US_MAX]
    for version, end_us in zip(scheme.versions, ends, strict=True):
        begin_us = units.to_us(version.effective_from)
        free = version.charges.allowance
        if not version.blocks.persons and not (free and free.per_person):
            versions.append(version)
            continue
        spans_us = [0, *(since_us for since_us, _ in counts[1:]), AT_US_MAX]
        for (first_us, last_us), (_, persons) in zip(pairwise(spans_us), counts, strict=True):
            since_us = max(first_us, begin_us)
            if since_us < min(last_us, end_us):
                versions.append(_of(version, since_us, persons))
    return replace(scheme, versions=tuple(versions))


def _of(version: Version, since_us: int, persons: int) -> Version:
    """A version for so many persons, from an instant on."""
    charges, free = version.charges, version.charges.allowance
    if free and free.per_person:
        given = replace(free, energy_milli=free.energy_milli * persons, per_person=False)
        charges = replace(charges, allowance=given)
    blocks = version.blocks.of_household(persons)
    since = units.from_us(since_us)
    return replace(version, effective_from=since, blocks=blocks, charges=charges)


def stretches(charged: Charged, spans: Sequence[Span], lines_of: LinesOf) -> list[Stretch]:
    """What each payer used in each span that is billed, by time.

    Args:
        charged: all that was charged within the spans, and what reaches over their ends.
        spans: without a gap, as `spans` gives them.
        lines_of: asked for what lies in several spans alone.
    """
    begins = np.array([span.from_us for span in spans], np.int64)
    first = np.searchsorted(begins, charged.start_us, side="right") - 1
    last = np.searchsorted(begins, charged.end_us - 1, side="right") - 1
    whole = np.flatnonzero(first == last)
    parts = [(first[whole], charged.take(whole))]
    for place in np.flatnonzero(first != last).tolist():
        one = charged.take(np.array([place]))
        parts.append(_cut(one, lines_of(place), spans, int(first[place]), int(last[place])))
    where = np.concatenate([place for place, _ in parts])
    every = Charged(
        *(np.concatenate([getattr(part, name) for _, part in parts])
          for name in Charged.__dataclass_fields__)
    )  # fmt: skip
    order = np.lexsort((every.start_us, where))
    return list(_grouped(where[order], every.take(order), spans))


def _cut(
    one: Charged, lines: Sequence[Line], spans: Sequence[Span], first: int, last: int
) -> tuple[Ints, Charged]:
    """One interval cut at the ends of spans; what no line tells of its amount stays in the first.

    `first` is −1 where it begins before all spans; that part is left out.
    """
    start_us, end_us = int(one.start_us[0]), int(one.end_us[0])
    inner = [spans[place].from_us for place in range(first + 1, last + 1)]
    edges = [start_us, *inner, end_us]
    energy, amount = int(one.energy_milli[0]), int(one.amount_nano[0])
    upto = [energy * (edge - start_us) // (end_us - start_us) for edge in edges]
    nano = [0] * (len(edges) - 1)
    for line in lines:
        for place, part_nano in _line_parts(line, edges):
            nano[place] += part_nano
    nano[0] += amount - sum(nano)
    used = [before for before, _ in pairwise(upto)]
    count = len(nano)
    parts = Charged(
        start_us=np.array(edges[:-1], np.int64),
        end_us=np.array(edges[1:], np.int64),
        energy_milli=np.array([after - before for before, after in pairwise(upto)], np.int64),
        amount_nano=np.array(nano, np.int64),
        account_id=np.repeat(one.account_id, count),
        payer_us=np.repeat(one.payer_us, count),
        block_milli=one.block_milli + np.array(used, np.int64),
        block_period_us=np.repeat(one.block_period_us, count),
    )
    where = np.arange(first, last + 1, dtype=np.int64)
    inside = where >= 0
    return where[inside], parts.take(np.flatnonzero(inside))


def _line_parts(line: Line, edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(part, Nano) of a line; what is charged at an instant lies where that instant does."""
    if line.is_standing or line.from_us == line.to_us:
        place = int(np.searchsorted(np.array(edges), line.from_us, side="right")) - 1
        yield min(place, len(edges) - 2), line.amount_nano
        return
    length = line.to_us - line.from_us
    for place, (low, high) in enumerate(pairwise(edges)):
        span = [min(max(edge - line.from_us, 0), length) for edge in (low, high)]
        before, after = (line.energy_milli * each // length for each in span)
        if after > before:
            yield place, (after - before) * line.price_micro


def _grouped(where: Ints, charged: Charged, spans: Sequence[Span]) -> Iterator[Stretch]:
    changes = (np.diff(where, prepend=-1) != 0) | (np.diff(charged.payer_us, prepend=-1) != 0)
    begins = [*np.flatnonzero(changes).tolist(), len(where)]
    for low, high in pairwise(begins):
        span = spans[int(where[low])]
        if not span.tariff_id:
            continue
        mine = charged.take(np.arange(low, high))
        yield Stretch(
            span=span,
            account_id=int(mine.account_id[0]),
            payer_us=int(mine.payer_us[0]),
            load=Load(mine.start_us, mine.end_us, mine.energy_milli),
            charged_nano=int(mine.amount_nano.sum()),
            block_milli=int(mine.block_milli[0]),
            block_period_us=int(mine.block_period_us[0]),
        )


def highest_w(load: Load) -> int:
    """The highest mean power of a quarter of an hour, down to a whole W.

    Within an interval power is taken as even; so it does not matter how often a meter is read in
    between, and an interval of seconds makes no peak.
    """
    start_us, end_us = int(load.start_us[0]), int(load.end_us[-1])
    edges = np.arange(start_us // WINDOW_US, -(-end_us // WINDOW_US) + 1, dtype=np.int64)
    edges *= WINDOW_US
    place = np.clip(np.searchsorted(load.start_us, edges, side="right") - 1, 0, None)
    before = np.concatenate([[0], np.cumsum(load.energy_milli)[:-1]]).astype(np.int64)
    length = load.end_us - load.start_us
    into = np.clip(edges - load.start_us[place], 0, length[place])
    # Milli times µs of an interval of a month would pass 63 bits: milliseconds are fine enough.
    into_ms, length_ms = into // 1_000, np.maximum(length[place] // 1_000, 1)
    upto = before[place] + load.energy_milli[place] * into_ms // length_ms
    return int(np.diff(upto).max(initial=0)) * 3_600_000_000 // WINDOW_US
