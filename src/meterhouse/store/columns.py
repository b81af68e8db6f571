"""Ids as sorted columns: which there are, and where each one stands.

Owns three small questions that a round asks of a hundred thousand ids, answered in a few passes
over memory. Must never know a table. NumPy's own `unique` and `searchsorted` answer the same
questions through a hash and a binary search, at ten times the cost for ids that lie close together.
"""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Ids lie "close together" when at least one in so many of their range is there.
CLOSE = 4


def distinct(ids: Ints) -> Ints:
    """Every id once, ascending; ids are never negative."""
    ordered: Ints = np.sort(ids)
    kept: Ints = ordered[np.diff(ordered, prepend=-1) != 0]
    return kept


def lie_close(ids: Ints) -> bool:
    """Whether most of the range of these ascending ids is taken by them."""
    return len(ids) > 0 and bool(ids[-1] - ids[0] < CLOSE * len(ids))


def find(known: Ints, wanted: Ints) -> tuple[Ints, Flags]:
    """The place of each wanted id among the known ones (ascending), and whether it is there."""
    if not len(known):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    if lie_close(known):
        first, last = known[0], known[-1]
        place_of = np.zeros(last - first + 1, dtype=np.int64)
        place_of[known - first] = np.arange(len(known))
        place = place_of[np.clip(wanted, first, last) - first]
    else:
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return place, known[place] == wanted
