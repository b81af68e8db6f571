"""What is warmed is what a round calls: one compiled variety of each kernel."""

import numpy as np

from meterhouse.rating import delta, kernel
from meterhouse.rating.warm import warm


def test_a_round_after_warming_compiles_nothing():
    warm()
    varieties = (len(delta._judge_all.signatures), len(kernel._rate_all.signatures))
    limits = delta.Limits(
        np.array([100, 100])[:1], np.array([5]), np.array([1]), np.array([True, False, True])[1:], 9
    )
    frozen = np.zeros((2, 5), np.int64)
    frozen.flags.writeable = False
    at_us = np.arange(1, 5)[::2]
    delta.judge(delta.ChainState.empty(1), limits, np.zeros(2, np.int64), at_us, frozen)
    assert (len(delta._judge_all.signatures), len(kernel._rate_all.signatures)) == varieties
    assert varieties == (1, 1)
