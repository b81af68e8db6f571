"""A year's bill from a load in memory: ours, exact, against PySAM's in floating point.

Owns one price said twice (four bands by three blocks whose uplift varies by band, and a standing
charge) and the stopwatch. A bill is twelve months with all their lines, day totals and the charge
of each hour; the reference answers twelve sums. Where PySAM is not installed there is no reference.
"""

from time import perf_counter
from typing import Any

import numpy as np

from meterhouse.bench import reference
from meterhouse.bench.reference import ALL_THE_REST, HOUR_US, HOURS, YEAR_US, Price, every_month
from meterhouse.rating.bill import bill
from meterhouse.rating.load import Load
from meterhouse.rating.tariff import parse

BILLS = 50
AGREED = 1e-9
SCHEME = {
    "name": "Said twice", "commodity": "electricity", "currency": "CNY",
    "billing": {"proration": "whole"},
    "versions": [
        {
            "effective_from": "2017-01-01T00:00:00+08:00",
            "bands": ["sharp", "peak", "flat", "valley"],
            "day_tables": {
                "day": {
                    "00:00": "valley", "08:00": "peak", "11:00": "sharp", "13:00": "flat",
                    "17:00": "peak", "22:00": "valley",
                }
            },
            "blocks": {"period": "month", "limits_milli": [200_000, 400_000]},
            "prices_micro": {
                "sharp": [1_200_000, 1_350_000, 1_900_000],
                "peak": [900_000, 930_000, 1_250_000],
                "flat": [600_000, 610_000, 1_000_000],
                "valley": [300_000, 450_000, 460_000],
            },
            "standing": {"per": "period", "amount_micro": 12_340_000},
        }
    ],
}  # fmt: skip
_DAY = every_month((0, 4), (8, 2), (11, 1), (13, 3), (17, 2), (22, 4))
PRICE = Price(
    [
        (1, 1, 200, 1.2), (1, 2, 400, 1.35), (1, 3, ALL_THE_REST, 1.9),
        (2, 1, 200, 0.9), (2, 2, 400, 0.93), (2, 3, ALL_THE_REST, 1.25),
        (3, 1, 200, 0.6), (3, 2, 400, 0.61), (3, 3, ALL_THE_REST, 1.0),
        (4, 1, 200, 0.3), (4, 2, 400, 0.45), (4, 3, ALL_THE_REST, 0.46),
    ],
    _DAY, _DAY, fixed=12.34,
)  # fmt: skip


def figures() -> list[dict[str, Any]]:
    """Milliseconds a year's bill of hours takes; the reference is PySAM's, of the same load."""
    random = np.random.default_rng(1)
    scheme = parse(SCHEME)
    ours_s, theirs_s = [], []
    for number in range(BILLS + 1):
        energy_wh = random.integers(0, 2_001, HOURS)
        begin = perf_counter()
        billed = bill(scheme, "Asia/Shanghai", Load(YEAR_US, YEAR_US + HOUR_US, energy_wh))
        taken_s = perf_counter() - begin
        exact = [sum(line.amount_nano for line in one.lines) / 1e9 for one in billed.bills]
        # The first bill compiles and warms.
        ours_s += [taken_s] if number else []
        if reference.is_there():
            months, taken_s = reference.monthly_bills(PRICE, energy_wh)
            np.testing.assert_allclose(months, exact, rtol=AGREED, atol=0)
            theirs_s += [taken_s] if number else []
    ours_ms, theirs_ms = (1e3 * min(spans) if spans else None for spans in (ours_s, theirs_s))
    assert ours_ms is not None
    return [
        {
            "name": "bill", "value": round(ours_ms, 2), "unit": "ms a year's bill of hours",
            "reference": theirs_ms and round(theirs_ms, 2),
            "ratio": theirs_ms and round(ours_ms / theirs_ms, 2),
        }
    ]  # fmt: skip
