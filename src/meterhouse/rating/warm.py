"""Compiling the kernels before the first reading needs them.

Owns one call with nothing in it. Compilation takes seconds on a fresh machine and a fraction of one
from numba's cache; a process that must answer soon makes this call while it starts.
"""

import numpy as np

from meterhouse.rating.delta import BANDS, REGISTERS, ChainState, Limits, judge
from meterhouse.rating.kernel import Intervals, rate_intervals, rate_lines
from meterhouse.rating.timeline import pack


def warm() -> None:
    """Compile what a round of readings and its explanation call, or load it from the cache."""
    none = np.zeros(0, np.int64)
    limits = Limits(none, none, none, none, 0)
    judge(ChainState.empty(0), limits, none, none, np.zeros((0, REGISTERS), np.int64))
    no_bands = np.zeros((0, BANDS), np.int64)
    nothing = Intervals(none, none, none, none, none, no_bands)
    rate_intervals(pack([]), nothing, none, none)
    rate_lines(pack([]), nothing, none, none)
