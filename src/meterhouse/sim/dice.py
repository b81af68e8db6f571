"""Seeded chance that is the same on every machine and every Python.

Owns one mixing function and a small die over it. Must never know what it decides. The standard
library's generators promise a stable sequence for `random()` alone; a town that has to answer the
same bytes for ever needs the promise for every draw, so the mixing (SplitMix64, Steele, Lea and
Flood 2014) is written out in integers.
"""

from collections.abc import Sequence
from typing import TypeVar

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15

T = TypeVar("T")


def mix(seed: int, key: int) -> int:
    """A 64-bit number that depends on seed and key alone and looks like chance."""
    z = (seed + (key + 1) * _GOLDEN) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Dice:
    """A die with a memory of how often it was rolled; two with one seed roll alike."""

    __slots__ = ("_rolls", "_seed")

    def __init__(self, seed: int, *keys: int) -> None:
        for key in keys:
            seed = mix(seed, key)
        self._seed = seed
        self._rolls = 0

    def below(self, limit: int) -> int:
        """A number from 0 up to, without, `limit` (at most 2³²; the bias is below 2⁻³²)."""
        self._rolls += 1
        return mix(self._seed, self._rolls) * limit >> 64

    def between(self, low: int, high: int) -> int:
        """A number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[self.below(len(choices))]

    def chance(self, permille: int) -> bool:
        """True in `permille` of a thousand rolls."""
        return self.below(1000) < permille

    def noise(self, length: int) -> bytes:
        """This many bytes of noise."""
        return bytes(self.below(256) for _ in range(length))
