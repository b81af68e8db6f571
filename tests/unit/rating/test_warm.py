"""What is warmed is what a round calls: one compiled variety of each kernel."""

import numpy as np

from meterhouse.rating import delta, kernel
from meterhouse.rating.explained import explain_interval
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import compile_timeline, pack
from meterhouse.rating.warm import warm


def test_a_round_after_warming_compiles_nothing():
    warm()
    kernels = (
        delta._judge_all, kernel._rate_all, kernel._add_standing, kernel._rate_all_lines,
    )  # fmt: skip
    varieties = [len(one.signatures) for one in kernels]
    limits = delta.Limits(
        np.array([100, 100])[:1], np.array([5]), np.array([1]), np.array([0, 7, 0, 8])[::2], 9
    )
    frozen = np.zeros((2, 5), np.int64)
    frozen.flags.writeable = False
    at_us = np.arange(1, 5)[::2]
    delta.judge(delta.ChainState.empty(1), limits, np.zeros(2, np.int64), at_us, frozen)
    plan = parse({
        "name": "x", "commodity": "water", "currency": "CNY", "versions": [{
            "effective_from": "2026-01-01T00:00:00Z", "prices_micro": {"flat": 1},
            "standing": {"per": "day", "amount_micro": 1},
        }],
    })  # fmt: skip
    day_us = 86_400_000_000
    begin_us = 20_500 * day_us
    timeline = compile_timeline(plan, "UTC", begin_us, begin_us + 2 * day_us)
    kernel.rate_intervals(
        pack([timeline]),
        kernel.Intervals(
            np.zeros(2, np.int64), np.zeros(4, np.int64)[::2], begin_us + np.array([0, day_us]),
            begin_us + np.array([day_us, 2 * day_us]), np.ones(2, np.int64),
            np.full((2, 4), -1, np.int64),
        ),
        np.zeros(1, np.int64), np.zeros(1, np.int64),
    )  # fmt: skip
    explain_interval(timeline, begin_us, begin_us + day_us, 5)
    assert [len(one.signatures) for one in kernels] == varieties
    assert varieties == [1] * len(kernels)
