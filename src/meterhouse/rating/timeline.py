"""A scheme laid out in time: which version, band and period hold at each instant of a span.

Owns the walk from wall clock to UTC. Must never know energy or money. Every instant is looked up by
the wall clock of the project's time zone at that instant, so a day of 23 or 25 hours bills each
instant once: an hour that is repeated has its bands twice, an hour that is skipped has none.

The layout is a list of *pieces*, each a stretch of time in which nothing changes. Version changes,
band edges, period starts and clock changes are all only edges between pieces.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from meterhouse import units
from meterhouse.errors import OutOfRange
from meterhouse.rating.arrays import AT_US_MAX, Flags, Ints
from meterhouse.rating.blocks import BLOCKS_MAX, Blocks, Fill, Period
from meterhouse.rating.periods import Billing, month_starts, starts_of, year_starts, zone_of
from meterhouse.rating.standing import falls_due
from meterhouse.rating.tariff import (
    BANDS_MAX,
    MINUTES_PER_DAY,
    BandSource,
    Scheme,
    Version,
)
from meterhouse.units import EPOCH

_EPOCH_DAY = EPOCH.date()
_US = timedelta(microseconds=1)
_MINUTE_US = 60_000_000
_DAY_US = MINUTES_PER_DAY * _MINUTE_US
# No time zone changes its offset twice within half a day.
_PROBE_US = _DAY_US // 2
NOTHING: Ints = np.zeros(0, np.int64)
_NO_RATES = Version(EPOCH, BandSource.PLATFORM, ("",), (), (), (), (), Blocks(), ((0,),))
NO_PERIOD_US = -1
"""Where no tariff is in force the blocks neither begin again nor fill."""


@dataclass(frozen=True, slots=True)
class Section:
    """A version with one set of block limits: it has as many as its seasons' limits differ.

    Attributes:
        version: place in its scheme's `versions`.
        rates: that version.
        limits_milli: of the blocks, in this section.
    """

    version: int
    rates: Version
    limits_milli: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """One scheme, or several that follow each other, over one span; P pieces without a gap.

    Attributes:
        from_us, to_us: the span that was asked for.
        edge_us: int64[P + 1]; piece p is [edge_us[p], edge_us[p + 1]). The first edge is later
            than `from_us` when no version was in force yet.
        band: int64[P], place in the version's `bands`; 0 where the meter decides the band.
        section: int64[P], place in `sections`.
        period_start_us: int64[P], when the blocks began; 0 where they never begin again,
            `NO_PERIOD_US` where no tariff is in force.
        sections: what the kernel tells apart.
        due_us, due_nano: int64[D], when a day's standing charge falls due, ascending, and what.
    """

    from_us: int
    to_us: int
    edge_us: Ints
    band: Ints
    section: Ints
    period_start_us: Ints
    sections: tuple[Section, ...]
    due_us: Ints
    due_nano: Ints


class Packed(NamedTuple):
    """S timelines side by side for the kernel; P pieces and V sections in all.

    Attributes:
        first_piece: int64[S + 1], scheme s has the pieces first_piece[s] .. first_piece[s+1]−1.
        from_us, to_us: int64[S].
        start_us, end_us, band, version, period_start_us: int64[P]; `version` is the section and
            counts across schemes: to the kernel each set of limits is a version.
        block_count: int64[V], K.
        limit_milli: int64[V, 7], upper limits of the blocks but the last.
        price_micro: int64[V, 8, 8] by band and block.
        pro_rata, by_meter: bool[V].
        first_due: int64[S + 1], as `first_piece`; D standing charges in all.
        due_us: int64[D].
        due_nano: int64[D + S], before each scheme's first due 0, and the sums up to each.
    """

    first_piece: Ints
    from_us: Ints
    to_us: Ints
    start_us: Ints
    end_us: Ints
    band: Ints
    version: Ints
    period_start_us: Ints
    block_count: Ints
    limit_milli: Ints
    price_micro: Ints
    pro_rata: Flags
    by_meter: Flags
    first_due: Ints
    due_us: Ints
    due_nano: Ints


def compile_timeline(scheme: Scheme, timezone: str, from_us: int, to_us: int) -> Timeline:
    """Lay a scheme out over [from_us, to_us) by the wall clock of a time zone.

    A day takes about 0.1 ms, a year about 10 ms; worth keeping per (scheme, zone, day span).

    Raises:
        OutOfRange: the span is empty or outside 1970..2099.
        Unreadable: no such time zone.
    """
    if not 0 < from_us < to_us <= AT_US_MAX:
        raise OutOfRange("to_us", to_us, max(from_us, 0) + 1, AT_US_MAX)
    zone = zone_of(timezone)
    begins = [units.to_us(version.effective_from) for version in scheme.versions]
    billing = scheme.billing or Billing()
    sections: list[Section] = []
    pieces: list[tuple[int, int, int, int]] = []
    due: list[tuple[int, int]] = []
    for place, version in enumerate(scheme.versions):
        start_us = max(from_us, begins[place])
        end_us = min([to_us, *begins[place + 1 :]])
        own = {version.blocks.limits_of(season.name): 0 for season in version.seasons}
        number = {limits: len(sections) + which for which, limits in enumerate(own)}
        sections += [Section(place, version, limits) for limits in own]
        if start_us >= end_us:
            continue
        if version.charges.standing is not None:
            due += falls_due(version.charges.standing, billing, zone, start_us, end_us)
        starts = _block_starts(version, billing, zone, start_us, end_us)
        laid = _cut(_pieces(version, zone, start_us, end_us, number), starts, end_us)
        for at_us, band, section in laid:
            period_us = starts[max(bisect_right(starts, at_us) - 1, 0)]
            if not pieces or pieces[-1][1:] != (band, section, period_us):
                pieces.append((at_us, band, section, period_us))
    columns = np.array(pieces, np.int64).reshape(-1, 4).T
    edges = np.append(columns[0], to_us)
    due_us, due_nano = np.array(due, np.int64).reshape(-1, 2).T
    return Timeline(
        from_us, to_us, edges, columns[1], columns[2], columns[3], tuple(sections), due_us,
        due_nano,
    )  # fmt: skip


def without(from_us: int, to_us: int) -> Timeline:
    """A span in which no tariff is in force: energy costs nothing, and no block fills."""
    zero, edges = np.zeros(1, np.int64), np.array([from_us, to_us], np.int64)
    section = Section(0, _NO_RATES, ())
    return Timeline(
        from_us, to_us, edges, zero, zero, np.full(1, NO_PERIOD_US), (section,), NOTHING, NOTHING
    )


def follow(timelines: Sequence[Timeline], begins_us: Sequence[int]) -> Timeline:
    """Schemes that follow each other, each in force from its instant on until the next one's.

    What blocks do at such an edge is what they do between versions; where the same holds before and
    after, there is none.

    Args:
        timelines: laid out over one span.
        begins_us: ascending; the first one not after the span begins.
    """
    first = timelines[0]
    bounds = [first.from_us, *begins_us[1:], first.to_us]
    parts: list[Ints] = []
    due: list[Ints] = []
    sections: dict[Section, int] = {}
    for timeline, (from_us, to_us) in zip(timelines, pairwise(bounds), strict=True):
        edge_us = timeline.edge_us
        inside = (edge_us[1:] > from_us) & (edge_us[:-1] < to_us)
        number = [sections.setdefault(one, len(sections)) for one in timeline.sections]
        columns = np.stack([
            np.maximum(edge_us[:-1], from_us), timeline.band,
            np.array(number, np.int64)[timeline.section], timeline.period_start_us,
        ])  # fmt: skip
        parts.append(columns[:, inside])
        falls = (timeline.due_us >= from_us) & (timeline.due_us < to_us)
        due.append(np.stack([timeline.due_us, timeline.due_nano])[:, falls])
    columns = np.concatenate(parts, axis=1)
    begins = np.ones(columns.shape[1], np.bool_)
    begins[1:] = (np.diff(columns[1:]) != 0).any(axis=0)
    columns = columns[:, begins]
    edges = np.append(columns[0], first.to_us)
    due_us, due_nano = np.concatenate(due, axis=1)
    return Timeline(
        first.from_us, first.to_us, edges, columns[1], columns[2], columns[3], tuple(sections),
        due_us, due_nano,
    )  # fmt: skip


def pack(timelines: Sequence[Timeline]) -> Packed:
    """Put timelines side by side; a scheme's index is its place in the sequence."""
    sections = [section for timeline in timelines for section in timeline.sections]
    versions = [section.rates for section in sections]
    limit_milli = np.zeros((len(versions), BLOCKS_MAX - 1), np.int64)
    price_micro = np.zeros((len(versions), BANDS_MAX, BLOCKS_MAX), np.int64)
    for place, (version, section) in enumerate(zip(versions, sections, strict=True)):
        blocks = len(section.limits_milli)
        limit_milli[place, :blocks] = section.limits_milli
        price_micro[place, : len(version.bands), : blocks + 1] = version.prices_micro
    first_section = np.cumsum([0, *(len(each.sections) for each in timelines)])
    return Packed(
        first_piece=np.cumsum([0, *(len(each.band) for each in timelines)], dtype=np.int64),
        from_us=np.array([each.from_us for each in timelines], np.int64),
        to_us=np.array([each.to_us for each in timelines], np.int64),
        start_us=np.concatenate([NOTHING, *(each.edge_us[:-1] for each in timelines)]),
        end_us=np.concatenate([NOTHING, *(each.edge_us[1:] for each in timelines)]),
        band=np.concatenate([NOTHING, *(each.band for each in timelines)]),
        version=np.concatenate(
            [NOTHING, *(each.section + first_section[s] for s, each in enumerate(timelines))]
        ),
        period_start_us=np.concatenate([NOTHING, *(each.period_start_us for each in timelines)]),
        block_count=np.array([len(s.limits_milli) + 1 for s in sections], np.int64),
        limit_milli=limit_milli,
        price_micro=price_micro,
        pro_rata=np.array([v.blocks.fill is Fill.PRO_RATA for v in versions], np.bool_),
        by_meter=np.array([v.band_source is BandSource.METER for v in versions], np.bool_),
        first_due=np.cumsum([0, *(len(each.due_us) for each in timelines)], dtype=np.int64),
        due_us=np.concatenate([NOTHING, *(each.due_us for each in timelines)]),
        due_nano=np.concatenate(
            [NOTHING, *(np.cumsum([0, *each.due_nano.tolist()]) for each in timelines)]
        ),
    )


def _pieces(
    version: Version,
    zone: ZoneInfo,
    from_us: int,
    to_us: int,
    number: Mapping[tuple[int, ...], int],
) -> Iterator[tuple[int, int, int]]:
    """(start, band, section) of every piece of one version, in order; `number` counts sections."""
    tables = {table.name: table for table in version.day_tables}
    for start_us, end_us, offset_us in _stretches(zone, from_us, to_us):
        # Within a stretch the wall clock runs evenly: wall = UTC + offset.
        first_day, last_day = ((at + offset_us) // _DAY_US for at in (start_us, end_us - 1))
        for ordinal in range(first_day, last_day + 1):
            day = _EPOCH_DAY + timedelta(days=ordinal)
            season = version.season(day)
            section = number[version.blocks.limits_of(season.name)]
            midnight_us = ordinal * _DAY_US - offset_us
            table = tables[season.table(version.day_type(day))]
            ends = [*table.starts_minute[1:], MINUTES_PER_DAY]
            for minute, end, band in zip(table.starts_minute, ends, table.bands, strict=True):
                at_us = max(start_us, midnight_us + minute * _MINUTE_US)
                if at_us < min(end_us, midnight_us + end * _MINUTE_US):
                    by_meter = version.band_source is BandSource.METER
                    yield at_us, 0 if by_meter else band, section


def _block_starts(
    version: Version, billing: Billing, zone: ZoneInfo, from_us: int, to_us: int
) -> list[int]:
    """When the blocks of a version begin again, from the last time at or before `from_us` on."""
    match version.blocks.period:
        case Period.MONTH:
            return month_starts(billing, zone, from_us, to_us)
        case Period.YEAR:
            return year_starts(billing, zone, from_us, to_us)
        case Period.SEASON:
            firsts = [season.first for season in version.seasons]
            return starts_of(firsts, 0, zone, from_us, to_us)
        case _:
            return [0]


def _cut(
    pieces: Iterable[tuple[int, int, int]], starts: Sequence[int], end_us: int
) -> Iterator[tuple[int, int, int]]:
    """The pieces, cut where blocks begin again inside one."""
    for (at_us, band, section), (after_us, *_) in pairwise([*pieces, (end_us, 0, 0)]):
        yield at_us, band, section
        for start_us in starts[bisect_right(starts, at_us) : bisect_left(starts, after_us)]:
            yield start_us, band, section


def _offset_us(zone: ZoneInfo, at_us: int) -> int:
    """How far the wall clock of a zone is ahead of UTC at an instant."""
    offset = (EPOCH + at_us * _US).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // _US


def _stretches(zone: ZoneInfo, from_us: int, to_us: int) -> Iterator[tuple[int, int, int]]:
    """(start, end, offset) of the stretches of a span in which the offset stays the same."""
    start_us = from_us
    for low, high in pairwise([*range(from_us, to_us, _PROBE_US), to_us]):
        before = _offset_us(zone, low)
        if before == _offset_us(zone, high):
            continue
        changed, unchanged = high, low
        while changed - unchanged > 1:
            middle = (changed + unchanged) // 2
            if _offset_us(zone, middle) == before:
                unchanged = middle
            else:
                changed = middle
        yield start_us, changed, before
        start_us = changed
    if start_us < to_us:
        yield start_us, to_us, _offset_us(zone, start_us)
