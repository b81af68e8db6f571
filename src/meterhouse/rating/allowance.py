"""From measured to priced energy: multiplier, losses and free allowance of a load.

Owns what happens to energy before it meets a price, and what is left of an allowance. Must never
know bands, blocks or money. All of it is integers whose parts add up:

1. *Multiplier and losses* follow the running sum C of the measured energy of one billing period and
   version, so that many small intervals lose nothing: what is billed of it is
   m·C + ⌊m·C·loss / 10⁶⌋.
2. *Free energy* is what is billed first from the moment it is given, until it is used up.
3. An interval belongs to the period and the version in which it begins.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from meterhouse.rating.arrays import Ints
from meterhouse.rating.charges import Allowance, Charges, Grant
from meterhouse.units import MICRO_PER_UNIT


class Part(NamedTuple):
    """A version's part of what is charged by the period: `days` of `of_days`, behind `first`."""

    version: int
    days: int
    of_days: int
    first: int = 0


def taken(whole: int, part: Part) -> int:
    """The whole as far as the part goes; rounded down."""
    return whole * part.days // part.of_days


def with_losses(multiplied: Ints, group: Ints, loss_micro: Ints) -> Ints:
    """What is billed of each interval, by rule 1.

    Args:
        multiplied: int64[m], Milli times the multiplier, at most 10⁹ each.
        group: int64[m], ascending; sums run within one group, a billing period and version.
        loss_micro: int64[m], of the interval's version.
    """
    if not loss_micro.any():
        return multiplied
    sums = np.cumsum(multiplied)
    firsts = np.flatnonzero(np.diff(group, prepend=-1))
    counts = np.diff([*firsts.tolist(), len(group)])
    before = np.repeat(sums[firsts] - multiplied[firsts], counts)
    upto = _share(sums - before, loss_micro)
    return multiplied + upto - _share(sums - before - multiplied, loss_micro)


def _share(total: Ints, share_micro: Ints) -> Ints:
    # In two steps, because a year's Milli times a million would pass 63 bits.
    units, rest = np.divmod(total, MICRO_PER_UNIT)
    return units * share_micro + rest * share_micro // MICRO_PER_UNIT


def free_of_period(
    billed: Ints, kept_milli: int, parts: Sequence[Part], persons: int, charges: Sequence[Charges]
) -> tuple[Ints, int]:
    """The free part of each interval of one billing period, and what is kept for the next.

    Of what there is, what would lapse at the period's end is used first.

    Args:
        billed: int64[m], Milli billed of each interval.
        kept_milli: what was kept from before.
        parts: the period's parts by version.
        persons: how often an allowance per person is given.
        charges: by version.
    """
    lapsing_milli = 0
    for part in parts:
        allowance = charges[part.version].allowance
        if allowance is None or allowance.grant is not Grant.PERIOD:
            continue
        given_milli = taken(whole_milli(allowance, persons), part)
        if allowance.carries:
            kept_milli += given_milli
        else:
            lapsing_milli += given_milli
    used = np.minimum(np.cumsum(billed), lapsing_milli + kept_milli)
    used_milli = int(used[-1]) if len(used) else 0
    free: Ints = np.diff(used, prepend=0)
    return free, kept_milli - max(used_milli - lapsing_milli, 0)


def once_milli(charges: Charges, persons: int) -> int:
    """What an account is given when it opens."""
    allowance = charges.allowance
    is_once = allowance is not None and allowance.grant is Grant.ONCE
    return whole_milli(allowance, persons) if allowance and is_once else 0


def whole_milli(allowance: Allowance, persons: int) -> int:
    """What a household is given at a time."""
    return allowance.energy_milli * (persons if allowance.per_person else 1)
