"""How fast readings are judged and intervals rated, in memory, on one core.

Owns two loads: a month of half hours for many meters (replay), and one round of 100,000 meters
(what arrives). Must never touch a database.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from meterhouse.rating.delta import REGISTERS, ChainState, Limits, judge
from meterhouse.rating.kernel import Intervals, rate_intervals
from meterhouse.rating.matrix import rate_matrix
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import compile_timeline, pack

MATRIX_METERS = 10_000
MATRIX_SLOTS = 31 * 48
ROUND_METERS = 100_000
ROUND_US = 1_800_000_000
# 2026-03-05 11:45 in Shanghai: the interval of the round straddles the edge of 11:30.
ROUND_END_US = 1_772_682_300_000_000
REPEATS = 5

SCHEME = {
    "name": "Four bands by three blocks",
    "commodity": "electricity",
    "currency": "CNY",
    "versions": [
        {
            "effective_from": "2026-01-01T00:00:00+08:00",
            "bands": ["sharp", "peak", "flat", "valley"],
            "day_tables": {
                "day": {
                    "00:00": "valley", "08:30": "peak", "11:30": "flat", "17:30": "peak",
                    "19:00": "sharp", "21:00": "peak", "22:30": "valley",
                }
            },
            "blocks": {"period": "month", "limits_milli": [200_000, 400_000]},
            "prices_micro": {
                "sharp": 1_200_000, "peak": 900_000, "flat": 600_000, "valley": 300_000,
            },
            "adders_micro": [0, 50_000, 300_000],
        }
    ],
}  # fmt: skip


def figures() -> list[dict[str, Any]]:
    """The figures of rating; `reference` is NumPy adding the same matrix up, or None."""
    return [*_matrix_figures(), *_round_figures()]


def _best_s(work: Callable[[], object]) -> Any:
    """Seconds of the quickest of a few runs, after one that compiles and warms."""
    work()
    spans = []
    for _ in range(REPEATS):
        begin = perf_counter()
        work()
        spans.append(perf_counter() - begin)
    return min(spans)


def _figure(name: str, rate: Any, unit: str, reference: Any = None) -> dict[str, Any]:
    return {
        "name": name,
        "value": int(rate),
        "unit": unit,
        "reference": None if reference is None else int(reference),
        "ratio": None if reference is None else round(rate / reference, 3),
    }


def _matrix_figures() -> list[dict[str, Any]]:
    """A month of half hours, four bands by three blocks; most meters cross both limits."""
    random = np.random.default_rng(1)
    energy_milli = random.integers(0, 800, (MATRIX_METERS, MATRIX_SLOTS))
    band_of_slot = np.arange(MATRIX_SLOTS) % 48 // 12
    price_micro = random.integers(300_000, 1_500_000, (4, 3))
    limit_milli, block_milli = np.array([200_000, 400_000]), np.zeros(MATRIX_METERS, np.int64)
    intervals = energy_milli.size
    dense_s = _best_s(
        lambda: rate_matrix(energy_milli, band_of_slot, price_micro, limit_milli, block_milli)
    )
    sum_s = _best_s(lambda: energy_milli.sum(1))
    return [_figure("rate.matrix", intervals / dense_s, "intervals/s", intervals / sum_s)]


def _round_figures() -> list[dict[str, Any]]:
    """One round: a reading per meter after a good one half an hour before, straddling an edge."""
    random = np.random.default_rng(1)
    row = np.arange(ROUND_METERS)
    state = ChainState.empty(ROUND_METERS)
    state.seen_at_us[:] = state.good_at_us[:] = ROUND_END_US - ROUND_US
    state.good_milli[:] = random.integers(0, 10**7, (ROUND_METERS, REGISTERS))
    milli = state.good_milli.copy()
    used_milli = random.integers(0, 3_000, ROUND_METERS)
    milli[:, 0] += used_milli
    milli[:, 2] += used_milli
    limits = Limits(
        modulus_milli=np.full(ROUND_METERS, 10**8),
        max_power_w=np.full(ROUND_METERS, 13_200),
        multiplier=np.ones(ROUND_METERS, np.int64),
        bands_until_us=np.zeros(ROUND_METERS, np.int64),
        gap_us=2 * ROUND_US,
    )
    read_at_us = np.full(ROUND_METERS, ROUND_END_US)
    scheme = parse(SCHEME)
    packed = pack(
        [compile_timeline(scheme, "Asia/Shanghai", ROUND_END_US - ROUND_US, ROUND_END_US)]
    )
    block_milli = random.integers(0, 500_000, ROUND_METERS)
    period_us = np.full(ROUND_METERS, packed.period_start_us[0])
    judged = judge(state, limits, row, read_at_us, milli)
    intervals = Intervals(
        row, np.zeros_like(row), judged.start_us, judged.end_us,
        judged.energy_milli, judged.band_energy_milli,
    )  # fmt: skip
    judge_s = _best_s(lambda: judge(state, limits, row, read_at_us, milli))
    rate_s = _best_s(lambda: rate_intervals(packed, intervals, block_milli, period_us))
    return [
        _figure("rate.judge", ROUND_METERS / judge_s, "readings/s"),
        _figure("rate.intervals", ROUND_METERS / rate_s, "intervals/s"),
        _figure("rate.round", ROUND_METERS / (judge_s + rate_s), "readings/s"),
    ]
