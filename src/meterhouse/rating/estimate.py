"""What a silent point will have used: the mean of the same hours of the seven days before.

Owns the rule. Must never know a price, nor what becomes of an estimate: it is no reading, and
nothing is judged by it. Where too little is known of the days before nothing is estimated.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from meterhouse.rating.arrays import Ints

RULE: Final = "same_hours_7_days"
"""The rule's name, kept with every estimate."""
DAYS: Final = 7
DAY_US: Final = 86_400_000_000
_HOUR_US: Final = 3_600_000_000


class Used(NamedTuple):
    """What a point used, interval by interval, in the order of time and without overlaps.

    Attributes:
        start_us: int64[n].
        end_us: int64[n].
        energy_milli: int64[n], multiplied.
    """

    start_us: Ints
    end_us: Ints
    energy_milli: Ints


def estimate(used: Used, good_at_us: int, from_us: int, to_us: int, max_power_w: int) -> int | None:
    """The energy a point will have used in a span of silence, in thousandths.

    Each part of the span is set against the same hours of the seven days before the silence began;
    a day of which less than all of these hours is known does not count.

    Args:
        used: of the point, the silence excluded.
        good_at_us: the last good reading, where the silence began.
        from_us: the beginning of the span, not before `good_at_us`.
        to_us: its end.
        max_power_w: the most the meter can carry, multiplied; an estimate is never more.

    Returns:
        None where no day before is known.
    """
    whole_milli = 0
    begin_us = from_us
    while begin_us < to_us:
        day = (begin_us - good_at_us) // DAY_US + 1
        end_us = min(good_at_us + day * DAY_US, to_us)
        known = [
            milli
            for back in range(day, day + DAYS)
            if (milli := _within(used, begin_us - back * DAY_US, end_us - back * DAY_US))
            is not None
        ]
        if not known:
            return None
        whole_milli += sum(known) // len(known)
        begin_us = end_us
    return min(whole_milli, max_power_w * (to_us - from_us) // _HOUR_US)


def estimate_bands(
    used: Sequence[Used], good_at_us: int, from_us: int, to_us: int, max_power_w: int
) -> tuple[int, ...] | None:
    """The energy of each of a meter's own bands in a span of silence, in thousandths.

    Each band is estimated by the same hours of its own days before. Together they are never more
    than the meter can carry; what is beyond is taken off each by its share.

    Args:
        used: of the point, band by band, over the same intervals.
        good_at_us, from_us, to_us, max_power_w: as for `estimate`.

    Returns:
        None where no day before is known.
    """
    bands = [estimate(one, good_at_us, from_us, to_us, max_power_w) for one in used]
    if any(milli is None for milli in bands):
        return None
    known = [milli for milli in bands if milli is not None]
    most, whole = max_power_w * (to_us - from_us) // _HOUR_US, sum(known)
    if whole <= most:
        return tuple(known)
    return tuple(milli * most // whole for milli in known)


def told(band_milli: Sequence[int] | None) -> str:
    """What is kept of an estimate: the rule's name, and what it found of each band if it was asked.

    The bands stand nowhere else: no meter has said them, and the charge must be explained.
    """
    return RULE if band_milli is None else " ".join([RULE, *map(str, band_milli)])


def bands_told(kept: str) -> tuple[int, int, int, int]:
    """The energy of each band of an estimate, from what was kept; −1 where only a total was."""
    _, *bands = kept.split()
    first, second, third, fourth = map(int, bands or ("-1",) * 4)
    return first, second, third, fourth


def _within(used: Used, from_us: int, to_us: int) -> int | None:
    """What was used in a span, shared by time; None where part of it is unknown."""
    milli = covered_us = 0
    first = int(used.end_us.searchsorted(from_us, side="right"))
    for place in range(first, len(used.end_us)):
        start_us, end_us = int(used.start_us[place]), int(used.end_us[place])
        if start_us >= to_us:
            break
        part_us = min(end_us, to_us) - max(start_us, from_us)
        milli += int(used.energy_milli[place]) * part_us // (end_us - start_us)
        covered_us += part_us
    return milli if covered_us == to_us - from_us else None
