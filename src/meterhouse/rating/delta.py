"""Validation before money (VEE): register values become billable intervals, or wait for a person.

Owns the verdict on every reading and the state a chain of readings carries forward. A chain is one
meter's registers in one register epoch; a meter exchange begins another. Must never know prices,
accounts or SQL, and never invents or loses energy: over any chain,

    billed = (last good − first good + modulus × rollovers) × multiplier.

A reading that does not follow from the last good one is *doubtful*: it is not billed, and it
becomes the *suspect*. One odd reading between good ones is forgotten by the next good one, which
bills the whole span. Two or more that follow from each other are a confirmed other track (a reset
meter, a swapped address), and what follows them waits until a person decides: as time passes it
would become plausible from the old track too, and guessing between two tracks invents energy.

The outcome depends on the set of readings sorted by time, never on their arrival. What arrives
before an instant already judged is `LATE`, what contradicts that instant is `CONFLICT`; both tell
the caller to judge the chain again from its stored readings.

What a person decided belongs to its reading's instant (`Decisions`), so that every later judgement
of the chain finds it there again and comes to the same energy. Decided energy keeps the sum above,
but for what a new track leaves unbilled, or is said to have used, between the two.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from meterhouse.model import Quality
from meterhouse.rating.arrays import (
    AT_US_MAX,
    Codes,
    Flags,
    Ints,
    OutOfOrder,
    ints,
    jit,
)
from meterhouse.rating.decided import Decided, Decisions
from meterhouse.units import INTERVAL_MILLI_MAX, REGISTER_MILLI_MAX

REGISTERS = 5
BANDS = REGISTERS - 1
MAX_POWER_W_MAX = 1_000_000_000
MULTIPLIER_MAX = 1_000_000

# A register shows hundredths of a unit, so a difference is known to one such step.
DISPLAY_MILLI = 10
# Total and four bands are truncated apart; their differences can disagree by a step each.
BAND_TOLERANCE_MILLI = DISPLAY_MILLI * REGISTERS
# Meter accuracy, voltage above nominal and reading delay together: one part in fifty.
POWER_TOLERANCE_PARTS = 50


class Verdict(IntEnum):
    """What became of a reading; the numbers are stored.

    Only GOOD, ROLLOVER and BAND_MISMATCH can bill, and `Judged.billable` says whether they do.
    """

    FIRST = 0
    """The chain begins here; there is nothing to bill yet."""
    GOOD = 1
    ROLLOVER = 2
    """The total passed its modulus once, and the wrapped energy is physically possible."""
    DUPLICATE = 3
    CONFLICT = 4
    """The same instant with other registers: neither bills; judge the chain again if one did."""
    LATE = 5
    """Before an instant already judged; the chain is to be judged again from stored readings."""
    ZERO = 6
    """The total fell to zero: a spurious zero, or a reset."""
    DECREASE = 7
    """The total fell and did not roll over: a reset is suspected."""
    JUMP = 8
    """More than the meter can carry in this time, or than one interval can hold."""
    BAND_MISMATCH = 9
    """The bands do not add up to the total: bills by the total, never by the meter's bands."""
    OTHER_TRACK = 10
    """Follows a confirmed suspect; waits for a person however long."""
    UNUSABLE = 11
    """No total, a total above the modulus, or a band missing that the tariff bills by."""
    BEGUN = 12
    """A person said that another track begins here: bills what they said, or nothing."""
    DISCARDED = 13
    """A person said that it is to be passed over as if it had never been read."""


# The compiled loop sees plain integers.
_ACCEPT = int(Decided.ACCEPT)
_BEGIN = int(Decided.BEGIN)
_CORRECT = int(Decided.CORRECT)
_DISCARD = int(Decided.DISCARD)
_BEGUN = int(Verdict.BEGUN)
_DISCARDED = int(Verdict.DISCARDED)
_FIRST = int(Verdict.FIRST)
_GOOD = int(Verdict.GOOD)
_ROLLOVER = int(Verdict.ROLLOVER)
_DUPLICATE = int(Verdict.DUPLICATE)
_CONFLICT = int(Verdict.CONFLICT)
_LATE = int(Verdict.LATE)
_ZERO = int(Verdict.ZERO)
_DECREASE = int(Verdict.DECREASE)
_JUMP = int(Verdict.JUMP)
_BAND_MISMATCH = int(Verdict.BAND_MISMATCH)
_OTHER_TRACK = int(Verdict.OTHER_TRACK)
_UNUSABLE = int(Verdict.UNUSABLE)
_FOLLOWS = -1
_QUALITY_APPORTIONED = int(Quality.APPORTIONED)
_QUALITY_DOUBTFUL = int(Quality.DOUBTFUL)
_QUALITY_EDITED = int(Quality.EDITED)


class ChainState(NamedTuple):
    """Where n chains stand: instants in µs of UTC, 0 is "none"; registers before the multiplier.

    Attributes:
        seen_at_us: int64[n], the last instant judged, whatever the verdict.
        good_at_us: int64[n], the last good reading, the start of the next interval.
        good_milli: int64[n, 5], its registers: total, then 尖峰平谷; −1 is "not reported".
        suspect_at_us: int64[n], the last doubtful reading since, 0 when there is none.
        suspect_milli: int64[n, 5], its registers.
        suspect_count: int64[n], how many suspects in a row followed from each other.
    """

    seen_at_us: Ints
    good_at_us: Ints
    good_milli: Ints
    suspect_at_us: Ints
    suspect_milli: Ints
    suspect_count: Ints

    @classmethod
    def empty(cls, chains: int) -> "ChainState":
        """The state of chains nobody has read yet."""
        registers = np.full((chains, REGISTERS), -1, np.int64)
        zero = np.zeros(chains, np.int64)
        return cls(zero, zero.copy(), registers, zero.copy(), registers.copy(), zero.copy())


class Limits(NamedTuple):
    """What n meters can physically do, and what m readings must say.

    Attributes:
        modulus_milli: int64[n], where the registers wrap to zero (100,000 kWh is 10⁸).
        max_power_w: int64[n], the most the meter itself can carry, before the multiplier. For
            other commodities: Milli per hour (litres per hour of a water meter).
        multiplier: int64[n], CT × PT.
        bands_until_us: int64[m], up to when, at the reading's instant at the latest, a tariff bills
            by the meter's own band registers; 0: never. Who bills a span that reaches back beyond
            it needs the bands of both its ends.
        gap_us: an interval longer than this is *apportioned* rather than *good*.
    """

    modulus_milli: Ints
    max_power_w: Ints
    multiplier: Ints
    bands_until_us: Ints
    gap_us: int


class Judged(NamedTuple):
    """The verdict on m readings, in their order, and the state after them.

    Attributes:
        verdict: int8[m], a `Verdict`.
        billable: bool[m], whether the interval is to be rated.
        start_us: int64[m], start of the interval; equals `end_us` when nothing bills.
        end_us: int64[m], the reading's own instant.
        energy_milli: int64[m], multiplied, ≥ 0; 0 when nothing bills.
        band_energy_milli: int64[m, 4], multiplied 尖峰平谷, all −1 when unknown. By truncation
            in the registers their sum may differ from the total by `BAND_TOLERANCE_MILLI`.
        quality: int8[m], a `Quality`; DOUBTFUL is what waits for a person.
        state: the chains after these readings.
    """

    verdict: Codes
    billable: Flags
    start_us: Ints
    end_us: Ints
    energy_milli: Ints
    band_energy_milli: Ints
    quality: Codes
    state: ChainState


def in_order(row: Ints, read_at_us: Ints) -> Ints:
    """The permutation that puts readings in the order `judge` wants: by chain, then by time."""
    return np.lexsort((read_at_us, row)).astype(np.int64)


def judge(
    state: ChainState, limits: Limits, row: Ints, read_at_us: Ints, milli: Ints,
    decisions: Decisions | None = None,
) -> Judged:  # fmt: skip
    """Judge m readings of n chains, several per chain allowed.

    Args:
        state: where the n chains stand; it is not changed.
        limits: of the n meters.
        row: int64[m], the chain of each reading, 0..n−1, ascending.
        read_at_us: int64[m], > 0, ascending within a chain.
        milli: int64[m, 5], registers as the meter shows them, or as a person corrected them; −1 is
            "not reported".
        decisions: what people decided about them; None: nothing.

    Raises:
        OutOfOrder: the readings are not sorted by (row, read_at_us).
        OutOfRange: an element is beyond its bound.
        ArraysDisagree: shapes do not fit.
    """
    chains, count = len(state.good_at_us), len(row)
    row = ints("row", row, (count,), 0, max(chains - 1, 0))
    read_at_us = ints("read_at_us", read_at_us, (count,), 1, AT_US_MAX)
    milli = ints("milli", milli, (count, REGISTERS), -1, REGISTER_MILLI_MAX)
    backwards = (np.diff(row) < 0) | ((np.diff(row) == 0) & (np.diff(read_at_us) < 0))
    if backwards.any():
        raise OutOfOrder("readings sorted by (row, read_at_us)", int(backwards.argmax()) + 1)
    given = Decisions.none(count) if decisions is None else decisions
    given = Decisions(
        ints("decided", given.decided, (count,), 0, max(Decided)),
        ints("used_milli", given.used_milli, (count,), 0, INTERVAL_MILLI_MAX),
    )
    judged = Judged(
        verdict=np.zeros(count, np.int8),
        billable=np.zeros(count, np.bool_),
        start_us=read_at_us.copy(),
        end_us=read_at_us.copy(),
        energy_milli=np.zeros(count, np.int64),
        band_energy_milli=np.full((count, BANDS), -1, np.int64),
        quality=np.zeros(count, np.int8),
        state=_owned(state),
    )
    _judge_all(row, read_at_us, milli, given, _checked(limits, chains, count), judged.state, judged)
    return judged


def _owned(state: ChainState) -> ChainState:
    """A copy of the state, every element within its bound."""
    chains = len(state.good_at_us)
    at = [
        ints(name, getattr(state, name), (chains,), 0, AT_US_MAX).copy()
        for name in ("seen_at_us", "good_at_us", "suspect_at_us", "suspect_count")
    ]
    shape = (chains, REGISTERS)
    good_milli = ints("good_milli", state.good_milli, shape, -1, REGISTER_MILLI_MAX)
    suspect_milli = ints("suspect_milli", state.suspect_milli, shape, -1, REGISTER_MILLI_MAX)
    return ChainState(at[0], at[1], good_milli.copy(), at[2], suspect_milli.copy(), at[3])


def _checked(limits: Limits, chains: int, count: int) -> Limits:
    """The limits, every element within its bound."""
    return Limits(
        ints("modulus_milli", limits.modulus_milli, (chains,), 1, REGISTER_MILLI_MAX),
        ints("max_power_w", limits.max_power_w, (chains,), 0, MAX_POWER_W_MAX),
        ints("multiplier", limits.multiplier, (chains,), 1, MULTIPLIER_MAX),
        ints("bands_until_us", limits.bands_until_us, (count,), 0, AT_US_MAX),
        int(limits.gap_us),
    )


@jit
def _forward(before_milli: int, after_milli: int, modulus_milli: int) -> int:
    """How far a register moved forward, through its modulus if it fell."""
    moved = after_milli - before_milli
    return moved if moved >= 0 else moved + modulus_milli


@jit
def _most_milli(max_power_w: int, span_us: int) -> int:
    """The most a meter can have counted in a span, tolerance included.

    Seconds rounded up keep the product inside 63 bits: 10⁹ W × 4.2·10⁹ s < 9.2·10¹⁸.
    """
    most = max_power_w * ((span_us + 999_999) // 1_000_000) // 3_600
    return most + most // POWER_TOLERANCE_PARTS + DISPLAY_MILLI


@jit
def _bands_fit(before: Ints, after: Ints, modulus_milli: int) -> int:
    """1 when the four bands moved by what the total moved, 0 when not, −1 when one is not known."""
    moved = 0
    for register in range(1, REGISTERS):
        for milli in (before[register], after[register]):
            if milli < 0 or milli >= modulus_milli:
                return -1
        moved += _forward(before[register], after[register], modulus_milli)
    apart = moved - _forward(before[0], after[0], modulus_milli)
    return 1 if -BAND_TOLERANCE_MILLI <= apart <= BAND_TOLERANCE_MILLI else 0


@jit
def _held_milli(limits: Limits, chain: int) -> int:
    """The most that one interval can hold, before the multiplier."""
    most: int = INTERVAL_MILLI_MAX // limits.multiplier[chain] - BAND_TOLERANCE_MILLI
    return most


@jit
def _acceptable(
    before: Ints, after: Ints, from_us: int, limits: Limits, chain: int, place: int
) -> bool:
    """Whether a person may say that `after` follows: it did not fall, and can be billed."""
    if after[0] < before[0] or after[0] - before[0] > _held_milli(limits, chain):
        return False
    fits = _bands_fit(before, after, limits.modulus_milli[chain]) == 1
    return fits or limits.bands_until_us[place] <= from_us


@jit
def _doubt(
    before: Ints, after: Ints, from_us: int, at_us: int, limits: Limits, chain: int, place: int
) -> int:
    """Why `after` does not follow from `before`, or −1 when it does."""
    modulus_milli = limits.modulus_milli[chain]
    most = _most_milli(limits.max_power_w[chain], at_us - from_us)
    if _forward(before[0], after[0], modulus_milli) > min(most, _held_milli(limits, chain)):
        if after[0] >= before[0]:
            return _JUMP
        return _ZERO if after[0] == 0 else _DECREASE
    needs_bands = limits.bands_until_us[place] > from_us
    if needs_bands and _bands_fit(before, after, modulus_milli) != 1:
        return _BAND_MISMATCH
    return _FOLLOWS


@jit
def _unusable(
    registers: Ints, good_at_us: int, at_us: int, limits: Limits, chain: int, place: int
) -> bool:
    """Whether a reading lacks a register that the chain is judged or billed by.

    `good_at_us` is where the span before it begins, 0 where nothing before it counts.
    """
    until_us = limits.bands_until_us[place]
    by_bands = until_us == at_us or 0 < good_at_us < until_us
    needed = REGISTERS if by_bands else 1
    for register in range(needed):
        if registers[register] < 0 or registers[register] >= limits.modulus_milli[chain]:
            return True
    return False


@jit
def _equal(left: Ints, right: Ints) -> bool:
    """Whether two readings show the same registers."""
    return bool((left == right).all())


@jit
def _measure(before: Ints, place: int, registers: Ints, limits: Limits, chain: int,
             judged: Judged) -> int:  # fmt: skip
    """Write the interval from `before` to `registers` and say what it is called."""
    modulus_milli = limits.modulus_milli[chain]
    multiplier = limits.multiplier[chain]
    judged.billable[place] = True
    judged.energy_milli[place] = _forward(before[0], registers[0], modulus_milli) * multiplier
    fit = _bands_fit(before, registers, modulus_milli)
    if fit == 1:
        for band in range(BANDS):
            moved = _forward(before[band + 1], registers[band + 1], modulus_milli)
            judged.band_energy_milli[place, band] = moved * multiplier
    if registers[0] < before[0]:
        return _ROLLOVER
    return _BAND_MISMATCH if fit == 0 else _GOOD


@jit
def _judge_one(
    place: int, at_us: int, registers: Ints, chain: int, decided: int, used_milli: int,
    limits: Limits, state: ChainState, judged: Judged,
) -> int:  # fmt: skip
    """Judge one usable reading later than everything its chain has seen; the rules in order."""
    good_at_us = state.good_at_us[chain]
    doubt = _FOLLOWS
    on_suspect = False
    edited = decided == _CORRECT
    if good_at_us > 0 and decided != _BEGIN:
        good = state.good_milli[chain]
        doubt = _doubt(good, registers, good_at_us, at_us, limits, chain, place)
        accepted = decided in (_ACCEPT, _CORRECT) and (
            doubt == _FOLLOWS or _acceptable(good, registers, good_at_us, limits, chain, place)
        )
        if accepted:
            edited = edited or doubt != _FOLLOWS
            doubt = _FOLLOWS
        elif state.suspect_count[chain] > 0:
            suspect, from_us = state.suspect_milli[chain], state.suspect_at_us[chain]
            why = _doubt(suspect, registers, from_us, at_us, limits, chain, place)
            on_suspect = why == _FOLLOWS
            if on_suspect and state.suspect_count[chain] >= 2:
                doubt = _OTHER_TRACK
    if doubt != _FOLLOWS:
        judged.quality[place] = _QUALITY_DOUBTFUL
        state.suspect_at_us[chain] = at_us
        state.suspect_milli[chain] = registers
        state.suspect_count[chain] = state.suspect_count[chain] + 1 if on_suspect else 1
        return doubt
    verdict = _FIRST
    if good_at_us > 0:
        judged.start_us[place] = good_at_us
        if decided == _BEGIN:
            verdict = _begin(place, used_milli, judged)
            edited = True
        else:
            verdict = _measure(state.good_milli[chain], place, registers, limits, chain, judged)
        if at_us - good_at_us > limits.gap_us:
            judged.quality[place] = _QUALITY_APPORTIONED
    if edited:
        judged.quality[place] = _QUALITY_EDITED
    state.good_at_us[chain] = at_us
    state.good_milli[chain] = registers
    state.suspect_at_us[chain] = 0
    state.suspect_milli[chain] = -1
    state.suspect_count[chain] = 0
    return verdict


@jit
def _begin(place: int, used_milli: int, judged: Judged) -> int:
    """Write the interval between two tracks: what somebody says was used, in no band."""
    judged.billable[place] = True
    judged.energy_milli[place] = used_milli
    if used_milli == 0:
        judged.band_energy_milli[place] = 0
    return _BEGUN


@jit
def _again(at_us: int, registers: Ints, chain: int, state: ChainState) -> int:
    """The verdict on a reading of the very instant its chain has seen last."""
    if state.good_at_us[chain] == at_us and _equal(state.good_milli[chain], registers):
        return _DUPLICATE
    if state.suspect_at_us[chain] == at_us and _equal(state.suspect_milli[chain], registers):
        return _DUPLICATE
    return _CONFLICT


@jit
def _judge_all(
    row: Ints, read_at_us: Ints, milli: Ints, decisions: Decisions, limits: Limits,
    state: ChainState, judged: Judged,
) -> None:  # fmt: skip
    """Judge instant by instant; what is unusable is set aside before it can contradict anything."""
    place = 0
    while place < len(row):
        chain, at_us = row[place], read_at_us[place]
        after, first, agree = place, -1, True
        while after < len(row) and row[after] == chain and read_at_us[after] == at_us:
            decided = decisions.decided[after]
            good_at_us = state.good_at_us[chain] if decided != _BEGIN else 0
            if decided == _DISCARD:
                judged.verdict[after] = _DISCARDED
            elif _unusable(milli[after], good_at_us, at_us, limits, chain, after):
                judged.verdict[after] = _UNUSABLE
            elif first < 0:
                first = after
            else:
                agree = agree and _equal(milli[first], milli[after])
            after += 1
        fresh = at_us > state.seen_at_us[chain]
        for each in range(place, after):
            if judged.verdict[each] == _DISCARDED:
                judged.quality[each] = _QUALITY_EDITED
                continue
            if judged.verdict[each] == _UNUSABLE:
                judged.quality[each] = _QUALITY_DOUBTFUL
                continue
            if at_us < state.seen_at_us[chain]:
                judged.verdict[each] = _LATE
            elif not fresh:
                judged.verdict[each] = _again(at_us, milli[each], chain, state)
            elif not agree:
                judged.verdict[each] = _CONFLICT
            elif each == first:
                judged.verdict[each] = _judge_one(
                    each,
                    at_us,
                    milli[each],
                    chain,
                    decisions.decided[each],
                    decisions.used_milli[each],
                    limits,
                    state,
                    judged,
                )
            else:
                judged.verdict[each] = _DUPLICATE
            if judged.verdict[each] == _CONFLICT:
                judged.quality[each] = _QUALITY_DOUBTFUL
        if fresh and first >= 0:
            state.seen_at_us[chain] = at_us
        place = after
