"""Columns added up by runs of rows with equal keys.

Owns one pass over arrays that telling of the past needs. Must never know whose the rows are: keys
are numbers.
"""

from collections.abc import Sequence

import numpy as np

from meterhouse.rating.arrays import Ints


def sums(keys: Sequence[Ints], columns: Sequence[Ints]) -> tuple[list[Ints], list[Ints]]:
    """Columns added up over runs of rows whose keys are all the same.

    Returns:
        The keys and the sums, a row a run, in order.
    """
    count = len(keys[0])
    if not count:
        return [key[:0] for key in keys], [column[:0] for column in columns]
    changes = np.zeros(count, np.bool_)
    changes[0] = True
    for key in keys:
        changes[1:] |= np.diff(key) != 0
    starts = np.flatnonzero(changes)
    return [key[starts] for key in keys], [np.add.reduceat(column, starts) for column in columns]
