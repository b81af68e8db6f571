"""Energy to exact money: intervals through bands and blocks, in integers, for arrays of any length.

Owns the arithmetic of rating and nothing else: it sees prices, limits and pieces of time as arrays
and must never know a calendar, a scheme's words, or whose money it is. Nothing is rounded: `Milli ×
Micro = Nano`, and every split of energy adds up to what was split.

The rules, which an independent oracle in the tests follows too:

1. *In time.* Of an interval [s, e) with energy E, the energy before an instant t is
   ⌊E·(t − s) / (e − s)⌋; what lies between two edges is the difference of the two. So cost is
   monotone in use, but for the one Milli that rounding may move across each edge inside.
2. *Meter's bands.* Where the meter decides the band, rule 1 splits each band register's energy at
   version and period edges; the energy of an interval is then the sum of its band registers.
3. *Blocks.* They begin empty at the start of each period and fill in order. Energy that follows the
   order of time (chronological) fills them piece by piece, within a piece of meter's bands in the
   registers' order.
4. *Pro rata.* All the interval's energy within one version, its season's limits and period fills
   the blocks at once; then band after band takes of each block in proportion to what the block has
   left, R₀..Rₖ: of a band's energy B the blocks up to k get ⌊B·(R₀+…+Rₖ) / ΣR⌋. Both margins come
   out exact.
5. A change of version or limits keeps the block position when the period's start stays the same
   instant, and begins empty otherwise.
6. Where no tariff is in force (a piece whose period begins below zero), energy costs nothing, and
   blocks stay as they are.
7. *Standing charges* fall due at instants; what falls due within [s, e) is added to the interval,
   whatever its energy.

Why int64 cannot overflow: one interval has at most 10⁹ Milli and one price at most 10⁹ Micro, so
its parts add up to at most 10¹⁸ Nano < 9.2·10¹⁸; rule 4 multiplies two energies of at most 10⁹;
rule 1 divides in three steps of ten bits (`share`). The doors assert these bounds.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from meterhouse.errors import OutOfRange
from meterhouse.rating.arrays import AT_US_MAX, Codes, Ints, ints, jit
from meterhouse.rating.blocks import BLOCKS_MAX
from meterhouse.rating.tariff import BANDS_MAX
from meterhouse.rating.timeline import Packed
from meterhouse.units import INTERVAL_MILLI_MAX, REGISTER_MILLI_MAX

METER_BANDS = 4

_LINE_COLUMNS = 7


class RatingOutcome(IntEnum):
    """Whether an interval got a price; if not, its amount is 0 and its row's blocks stand still."""

    RATED = 0
    UNPRICED = 1
    """No version of the scheme was in force at some instant of the interval."""
    NO_BANDS = 2
    """The scheme bills by the meter's bands and the interval's are unknown."""


_RATED = int(RatingOutcome.RATED)
_UNPRICED = int(RatingOutcome.UNPRICED)
_NO_BANDS = int(RatingOutcome.NO_BANDS)


class Rated(NamedTuple):
    """What m intervals cost, and where the blocks of n rows stand after them.

    Attributes:
        amount_nano: int64[m].
        outcome: int8[m], a `RatingOutcome`.
        before_milli: int64[m], what the row had used when the interval began ...
        before_period_us: int64[m], ... and in which period; with these it can be explained.
        block_milli: int64[n], energy used in the current period.
        block_period_us: int64[n], when that period began; 0 where it never begins again.
    """

    amount_nano: Ints
    outcome: Codes
    before_milli: Ints
    before_period_us: Ints
    block_milli: Ints
    block_period_us: Ints


class Intervals(NamedTuple):
    """m intervals to rate, those of one row in the order of time.

    Attributes:
        row: int64[m], whose blocks they fill, 0..n−1.
        scheme: int64[m], place of the scheme among the packed timelines.
        start_us, end_us: int64[m], µs of UTC. Where they are equal nothing is rated.
        energy_milli: int64[m], 0..10⁹, multiplied.
        band_energy_milli: int64[m, 4], 尖峰平谷, −1 when unknown; together at most 10⁹.
    """

    row: Ints
    scheme: Ints
    start_us: Ints
    end_us: Ints
    energy_milli: Ints
    band_energy_milli: Ints


def rate_intervals(
    packed: Packed, intervals: Intervals, block_milli: Ints, block_period_us: Ints
) -> Rated:
    """Rate m intervals of n rows; every interval by what was in force at each of its instants.

    Args:
        packed: the timelines of the schemes, covering every interval.
        intervals: what to rate.
        block_milli: int64[n], energy used in each row's current period; not changed.
        block_period_us: int64[n], when that period began; zeros for rows never rated.

    Raises:
        OutOfRange: an element is beyond its bound, or an interval reaches outside its timeline.
        ArraysDisagree: shapes do not fit.
    """
    checked, rated = _opened(packed, intervals, block_milli, block_period_us)
    _rate_all(packed, checked, rated)
    # Where nothing is to be rated as well: so `warm` compiles it.
    if len(packed.due_us) or not len(checked.row):
        _add_standing(packed, checked, rated)
    return rated


def rate_lines(
    packed: Packed, intervals: Intervals, block_milli: Ints, block_period_us: Ints
) -> tuple[Rated, Ints]:
    """As `rate_intervals` but for standing charges, and every line of what energy costs, for bills.

    Returns:
        What the intervals cost, and int64[k, 8] by column: place of the interval, place of the
        section (`Timeline.sections`, counted across schemes), band, block, energy_milli,
        price_micro, from_us, to_us. An interval's lines add up to it exactly.

    Raises:
        OutOfRange, ArraysDisagree: as `rate_intervals`.
    """
    checked, rated = _opened(packed, intervals, block_milli, block_period_us)
    return rated, _rate_all_lines(packed, checked, rated)


def _opened(
    packed: Packed, intervals: Intervals, block_milli: Ints, block_period_us: Ints
) -> tuple[Intervals, Rated]:
    """Everything checked, and room for what the kernel will write."""
    rows = len(block_milli)
    used = ints("block_milli", block_milli, (rows,), 0, REGISTER_MILLI_MAX).copy()
    period = ints("block_period_us", block_period_us, (rows,), 0, AT_US_MAX).copy()
    checked = _checked(packed, intervals, rows)
    count = len(checked.row)
    amount_nano, before_milli, before_period_us = np.zeros((3, count), np.int64)
    outcome = np.zeros(count, np.int8)
    rated = Rated(amount_nano, outcome, before_milli, before_period_us, used, period)
    return checked, rated


def _checked(packed: Packed, intervals: Intervals, rows: int) -> Intervals:
    """The intervals, every element within its bound."""
    count = len(intervals.row)
    checked = Intervals(
        ints("row", intervals.row, (count,), 0, max(rows - 1, 0)),
        ints("scheme", intervals.scheme, (count,), 0, max(len(packed.from_us) - 1, 0)),
        ints("start_us", intervals.start_us, (count,), 1, AT_US_MAX),
        ints("end_us", intervals.end_us, (count,), 1, AT_US_MAX),
        ints("energy_milli", intervals.energy_milli, (count,), 0, INTERVAL_MILLI_MAX),
        ints(
            "band_energy_milli",
            intervals.band_energy_milli,
            (count, METER_BANDS),
            -1,
            INTERVAL_MILLI_MAX,
        ),
    )
    ints("band_energy_milli", checked.band_energy_milli.sum(1), (count,), -4, INTERVAL_MILLI_MAX)
    empty = checked.start_us == checked.end_us
    ints("energy of an empty interval", checked.energy_milli[empty], (int(empty.sum()),), 0, 0)
    for name, outside, at_us in (
        ("end_us", checked.end_us < checked.start_us, checked.end_us),
        (
            "start_us",
            ~empty & (checked.start_us < packed.from_us[checked.scheme]),
            checked.start_us,
        ),
        ("end_us", ~empty & (checked.end_us > packed.to_us[checked.scheme]), checked.end_us),
    ):
        if outside.any():
            place = int(outside.argmax())
            scheme = int(checked.scheme[place])
            low, high = int(packed.from_us[scheme]), int(packed.to_us[scheme])
            raise OutOfRange(f"{name} at place {place}", int(at_us[place]), low, high)
    return checked


@jit
def share(energy_milli: int, part_us: int, whole_us: int) -> int:
    """⌊energy × part / whole⌋ for energy ≤ 10⁹ < 2³⁰ and 0 ≤ part ≤ whole < 2⁵².

    Long division, ten bits of the energy at a time: the rest before a step is below 2⁵², so
    rest·2¹⁰ + digit·part stays below 2⁶³. Short spans need one step: 2³⁰ · 2³³ = 2⁶³.
    """
    if whole_us <= 1 << 33:
        return energy_milli * part_us // whole_us
    quotient, rest = 0, 0
    for shift in (20, 10, 0):
        rest = (rest << 10) + ((energy_milli >> shift) & 1023) * part_us
        quotient = (quotient << 10) + rest // whole_us
        rest %= whole_us
    return quotient


@jit
def _between(energy_milli: int, from_us: int, to_us: int, start_us: int, end_us: int) -> int:
    """The energy of [start, end) that falls into [from, to), by rule 1."""
    whole_us = end_us - start_us
    return share(energy_milli, to_us - start_us, whole_us) - share(
        energy_milli, from_us - start_us, whole_us
    )


@jit
def _note(
    lines: Ints, count: int, version: int, band: int, block: int, energy_milli: int,
    price_micro: int, from_us: int, to_us: int,
) -> int:  # fmt: skip
    """Write a line where lines are wanted; how many there are then."""
    if energy_milli == 0 or count >= len(lines):
        return count
    lines[count, 0] = version
    lines[count, 1] = band
    lines[count, 2] = block
    lines[count, 3] = energy_milli
    lines[count, 4] = price_micro
    lines[count, 5] = from_us
    lines[count, 6] = to_us
    return count + 1


@jit
def _fill_in_order(
    packed: Packed, version: int, load_milli: Ints, used_milli: int, from_us: int, to_us: int,
    lines: Ints, count: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Fill the blocks band after band (rule 3): amount, used energy, count of lines."""
    amount_nano, block = 0, 0
    last = packed.block_count[version] - 1
    for band in range(BANDS_MAX):
        rest_milli = load_milli[band]
        while rest_milli > 0:
            while block < last and used_milli >= packed.limit_milli[version, block]:
                block += 1
            part_milli = rest_milli
            if block < last:
                part_milli = min(rest_milli, packed.limit_milli[version, block] - used_milli)
            price_micro = packed.price_micro[version, band, block]
            amount_nano += part_milli * price_micro
            used_milli += part_milli
            rest_milli -= part_milli
            count = _note(
                lines, count, version, band, block, part_milli, price_micro, from_us, to_us
            )
    return amount_nano, used_milli, count


@jit
def _fill_pro_rata(
    packed: Packed, version: int, load_milli: Ints, used_milli: int, from_us: int, to_us: int,
    lines: Ints, count: int,
) -> tuple[int, int, int]:  # fmt: skip
    """Fill the blocks with all bands at once (rule 4): amount, used energy, count of lines."""
    left_milli = load_milli.sum()
    after_milli = used_milli + left_milli
    last = packed.block_count[version] - 1
    room_milli = np.zeros(BLOCKS_MAX, np.int64)
    low_milli = used_milli
    for block in range(last + 1):
        high_milli = after_milli
        if block < last:
            high_milli = min(after_milli, max(low_milli, packed.limit_milli[version, block]))
        room_milli[block] = high_milli - low_milli
        low_milli = high_milli
    amount_nano = 0
    for band in range(BANDS_MAX):
        if load_milli[band] == 0:
            continue
        below_milli, given_milli = 0, 0
        for block in range(last + 1):
            below_milli += room_milli[block]
            upto_milli = load_milli[band] * below_milli // left_milli
            part_milli = upto_milli - given_milli
            given_milli = upto_milli
            room_milli[block] -= part_milli
            price_micro = packed.price_micro[version, band, block]
            amount_nano += part_milli * price_micro
            count = _note(
                lines, count, version, band, block, part_milli, price_micro, from_us, to_us
            )
        left_milli -= load_milli[band]
    return amount_nano, after_milli, count


@jit
def _first_piece(packed: Packed, intervals: Intervals, place: int) -> int:
    """The piece in which an interval begins, or −1 when no version is in force there."""
    scheme = intervals.scheme[place]
    first, after = packed.first_piece[scheme], packed.first_piece[scheme + 1]
    starts_us = packed.start_us[first:after]
    found = np.searchsorted(starts_us, intervals.start_us[place], side="right")
    return first + found - 1 if found > 0 else -1


@jit
def _load(
    packed: Packed, intervals: Intervals, place: int, piece: int, after: int, load_milli: Ints
) -> None:
    """The interval's energy by band over the pieces piece .. after−1 (rules 1 and 2)."""
    start_us, end_us = intervals.start_us[place], intervals.end_us[place]
    load_milli[:] = 0
    for each in range(piece, after):
        from_us = max(start_us, packed.start_us[each])
        to_us = min(end_us, packed.end_us[each])
        if packed.by_meter[packed.version[each]]:
            for band in range(METER_BANDS):
                energy_milli = intervals.band_energy_milli[place, band]
                load_milli[band] += _between(energy_milli, from_us, to_us, start_us, end_us)
        else:
            energy_milli = intervals.energy_milli[place]
            load_milli[packed.band[each]] += _between(
                energy_milli, from_us, to_us, start_us, end_us
            )


@jit
def _rate_one(
    packed: Packed, intervals: Intervals, place: int, used_milli: int, period_us: int, lines: Ints
) -> tuple[int, int, int, int, int]:
    """Rate one interval: outcome, amount, used energy, period start, count of lines."""
    start_us, end_us = intervals.start_us[place], intervals.end_us[place]
    if start_us == end_us:
        return _RATED, 0, used_milli, period_us, 0
    piece = _first_piece(packed, intervals, place)
    if piece < 0:
        return _UNPRICED, 0, used_milli, period_us, 0
    end, last = piece + 1, packed.first_piece[intervals.scheme[place] + 1]
    while end < last and packed.start_us[end] < end_us:
        end += 1
    if intervals.band_energy_milli[place].min() < 0:
        for each in range(piece, end):
            if packed.by_meter[packed.version[each]]:
                return _NO_BANDS, 0, used_milli, period_us, 0
    load_milli = np.zeros(BANDS_MAX, np.int64)
    amount_nano, count = 0, 0
    while piece < end:
        version, opened_us = packed.version[piece], packed.period_start_us[piece]
        after = piece + 1
        while (
            packed.pro_rata[version]
            and after < end
            and packed.version[after] == version
            and packed.period_start_us[after] == opened_us
        ):
            after += 1
        _load(packed, intervals, place, piece, after, load_milli)
        from_us = max(start_us, packed.start_us[piece])
        to_us = min(end_us, packed.end_us[after - 1])
        if opened_us < 0:
            count = _note(lines, count, version, 0, 0, load_milli[0], 0, from_us, to_us)
            piece = after
            continue
        if opened_us != period_us:
            used_milli, period_us = 0, opened_us
        if packed.pro_rata[version]:
            part_nano, used_milli, count = _fill_pro_rata(
                packed, version, load_milli, used_milli, from_us, to_us, lines, count
            )
        else:
            part_nano, used_milli, count = _fill_in_order(
                packed, version, load_milli, used_milli, from_us, to_us, lines, count
            )
        amount_nano += part_nano
        piece = after
    return _RATED, amount_nano, used_milli, period_us, count


@jit
def _rate_all(packed: Packed, intervals: Intervals, rated: Rated) -> None:
    """Rate interval after interval, each from where the one before left its row's blocks."""
    no_lines = np.zeros((0, _LINE_COLUMNS), np.int64)
    for place in range(len(intervals.row)):
        row = intervals.row[place]
        outcome, amount_nano, used_milli, period_us, _ = _rate_one(
            packed, intervals, place, rated.block_milli[row], rated.block_period_us[row], no_lines
        )
        rated.before_milli[place] = rated.block_milli[row]
        rated.before_period_us[place] = rated.block_period_us[row]
        rated.outcome[place] = outcome
        rated.amount_nano[place] = amount_nano
        rated.block_milli[row] = used_milli
        rated.block_period_us[row] = period_us


@jit
def _add_standing(packed: Packed, intervals: Intervals, rated: Rated) -> None:
    """Add to each interval that was rated what of standing charges falls due within it (rule 7)."""
    for place in range(len(intervals.row)):
        scheme = intervals.scheme[place]
        first, after = packed.first_due[scheme], packed.first_due[scheme + 1]
        if first == after or rated.outcome[place] != _RATED:
            continue
        due_us = packed.due_us[first:after]
        low = first + scheme + np.searchsorted(due_us, intervals.start_us[place])
        high = first + scheme + np.searchsorted(due_us, intervals.end_us[place])
        rated.amount_nano[place] += packed.due_nano[high] - packed.due_nano[low]


@jit
def _most_pieces(packed: Packed, intervals: Intervals) -> int:
    """How many pieces the interval that reaches over most of them has."""
    most = 0
    for place in range(len(intervals.row)):
        piece = max(_first_piece(packed, intervals, place), 0)
        end, last = piece, packed.first_piece[intervals.scheme[place] + 1]
        while end < last and packed.start_us[end] < intervals.end_us[place]:
            end += 1
        most = max(most, end - piece)
    return most


@jit
def _rate_all_lines(packed: Packed, intervals: Intervals, rated: Rated) -> Ints:
    """As `_rate_all`, and the lines; the place of the interval stands before each."""
    most = _most_pieces(packed, intervals) * BANDS_MAX * BLOCKS_MAX
    scratch = np.zeros((most, _LINE_COLUMNS), np.int64)
    lines = np.zeros((2 * len(intervals.row), _LINE_COLUMNS + 1), np.int64)
    filled = 0
    for place in range(len(intervals.row)):
        row = intervals.row[place]
        outcome, amount_nano, used_milli, period_us, count = _rate_one(
            packed, intervals, place, rated.block_milli[row], rated.block_period_us[row], scratch
        )
        if filled + count > len(lines):
            longer = np.zeros((2 * len(lines) + most, _LINE_COLUMNS + 1), np.int64)
            longer[:filled] = lines[:filled]
            lines = longer
        lines[filled : filled + count, 0] = place
        lines[filled : filled + count, 1:] = scratch[:count]
        filled += count
        rated.before_milli[place] = rated.block_milli[row]
        rated.before_period_us[place] = rated.block_period_us[row]
        rated.outcome[place] = outcome
        rated.amount_nano[place] = amount_nano
        rated.block_milli[row] = used_milli
        rated.block_period_us[row] = period_us
    return lines[:filled].copy()
