"""Standing charges (基本费) as they fall due, one billing day after the other.

Owns how a charge for being connected is spread over days, so that it can be taken while energy
flows: a day's part falls due when the day begins, by the version in force then, from whoever has
the meter then. A charge by the period falls due in parts, a day's each: on the k-th of n days
⌊A·k / n⌋ − ⌊A·(k − 1) / n⌋ of A, so that the parts of any run of days add up to what a bill says of
it, and those of a whole period to A. Must never know energy.
"""

from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from meterhouse.rating.charges import Per, Standing
from meterhouse.rating.periods import Billing, day_starts, month_starts
from meterhouse.units import MILLI_PER_UNIT

STANDING_MICRO_MAX: Final = 10**11
"""The most that runs along, of a day or a period: 130 years of it stay below 5·10¹⁸ Nano."""


def share_nano(whole_nano: int, first: int, days: int, of_days: int) -> int:
    """What `days` days of a period have of a charge by the period, those before them `first`."""
    return whole_nano * (first + days) // of_days - whole_nano * first // of_days


def falls_due(
    standing: Standing, billing: Billing, zone: ZoneInfo, from_us: int, to_us: int
) -> list[tuple[int, int]]:
    """(instant, Nano) of every day that begins in [from, to), in the order of time."""
    whole_nano = standing.amount_micro * MILLI_PER_UNIT
    if standing.per is Per.DAY:
        days = day_starts(billing, zone, from_us, to_us)
        return [(at_us, whole_nano) for at_us in days if from_us <= at_us < to_us]
    due: list[tuple[int, int]] = []
    for first_us, after_us in pairwise(month_starts(billing, zone, from_us, to_us)):
        days = [at for at in day_starts(billing, zone, first_us, after_us)
                if first_us <= at < after_us]  # fmt: skip
        due += [
            (at_us, share_nano(whole_nano, place, 1, len(days)))
            for place, at_us in enumerate(days)
            if from_us <= at_us < to_us
        ]
    return due
