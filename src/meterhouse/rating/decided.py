"""What a person decided about a reading that the judgement of readings could not.

Owns the words and their arrays. Must never know who decided, or why: a decision is a fact about one
instant of a chain, and `delta` judges by it as it judges by registers.
"""

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from meterhouse.rating.arrays import Ints


class Decided(IntEnum):
    """What a person decided about one reading; the numbers are stored."""

    NOTHING = 0
    ACCEPT = 1
    """The register is right: what was used since the last good one is billed, however much."""
    BEGIN = 2
    """Another track begins here; between the tracks what the person says was used, or nothing."""
    CORRECT = 3
    """The registers should read otherwise; they are accepted as corrected."""
    DISCARD = 4


class Decisions(NamedTuple):
    """What people decided about m readings, each at its own instant.

    A decision never bills less than nothing and never past one interval's bound: an accepted
    register that fell, or a corrected one, stays doubtful until somebody decides otherwise.

    Attributes:
        decided: int64[m], a `Decided`.
        used_milli: int64[m], ≥ 0, multiplied: what was used between two tracks, where one begins.
    """

    decided: Ints
    used_milli: Ints

    @classmethod
    def none(cls, count: int) -> "Decisions":
        """Nobody decided anything."""
        return cls(np.zeros(count, np.int64), np.zeros(count, np.int64))
