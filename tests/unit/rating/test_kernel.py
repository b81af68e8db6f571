"""What the kernel refuses, and the corners of its arithmetic."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterhouse.errors import OutOfRange
from meterhouse.rating.arrays import ArraysDisagree
from meterhouse.rating.explained import explain_interval
from meterhouse.rating.kernel import (
    Intervals,
    RatingOutcome,
    rate_intervals,
    share,
)
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import compile_timeline, pack
from meterhouse.units import to_us

HOUR_US = 3_600_000_000
BEGIN_US = to_us(datetime.fromisoformat("2026-01-01T00:00+00:00"))
METER = {
    "band_source": "meter",
    "bands": ["sharp", "peak", "flat", "valley"],
    "prices_micro": {"sharp": 4, "peak": 3, "flat": 2, "valley": 1},
}


def packed(hours=24, version=None):
    plan = parse(
        {"name": "x", "commodity": "electricity", "currency": "CNY",
         "versions": [{"effective_from": "2026-01-01T00:00:00Z",
                       **(version or {"prices_micro": {"flat": 10**9}})}]}
    )  # fmt: skip
    begin_us = BEGIN_US - 2 * HOUR_US
    return pack([compile_timeline(plan, "UTC", begin_us, BEGIN_US + hours * HOUR_US)])


def one(start_us, end_us, energy_milli, bands=(-1, -1, -1, -1)):
    zero = np.zeros(1, np.int64)
    edges = np.array([[start_us], [end_us], [energy_milli]])
    return Intervals(zero, zero, *edges, np.array([bands]))


def rate(plan, interval):
    return rate_intervals(plan, interval, np.zeros(1, np.int64), np.zeros(1, np.int64))


# The first call compiles it.
@settings(deadline=None)
@given(st.integers(0, 10**9), st.data())
def test_a_share_is_the_exact_floor(energy_milli, data):
    whole_us = data.draw(st.integers(1, 2**52 - 1))
    part_us = data.draw(st.integers(0, whole_us))
    assert share(energy_milli, part_us, whole_us) == energy_milli * part_us // whole_us


def test_the_largest_interval_at_the_largest_price_is_exact():
    rated = rate(packed(), one(BEGIN_US, BEGIN_US + HOUR_US, 10**9))
    assert rated.amount_nano.tolist() == [10**18]


def test_an_interval_no_version_covers_is_unpriced_and_moves_no_block():
    rated = rate(packed(), one(BEGIN_US - HOUR_US, BEGIN_US + HOUR_US, 500))
    assert rated.outcome.tolist() == [RatingOutcome.UNPRICED]
    assert rated.amount_nano.tolist() == rated.block_milli.tolist() == [0]


def test_a_scheme_by_the_meters_bands_needs_them():
    rated = rate(packed(version=METER), one(BEGIN_US, BEGIN_US + HOUR_US, 500))
    assert rated.outcome.tolist() == [RatingOutcome.NO_BANDS]


def test_one_interval_without_a_price_does_not_hold_up_the_next():
    zero = np.zeros(2, np.int64)
    edges = np.array([[BEGIN_US - HOUR_US, BEGIN_US], [BEGIN_US, BEGIN_US + HOUR_US], [5, 7]])
    both = Intervals(zero, zero, *edges, np.full((2, 4), -1))
    rated = rate(packed(), both)
    assert rated.outcome.tolist() == [RatingOutcome.UNPRICED, RatingOutcome.RATED]
    assert rated.amount_nano.tolist() == [0, 7 * 10**9]


def test_an_empty_interval_costs_nothing_and_may_hold_nothing():
    assert rate(packed(), one(5, 5, 0)).amount_nano.tolist() == [0]
    with pytest.raises(OutOfRange):
        rate(packed(), one(5, 5, 1))


@pytest.mark.parametrize(
    "interval",
    [
        one(BEGIN_US, BEGIN_US + HOUR_US, 10**9 + 1),
        one(BEGIN_US, BEGIN_US + HOUR_US, -1),
        one(BEGIN_US, BEGIN_US + HOUR_US, 1, (10**9, 1, 0, 0)),
        one(BEGIN_US + HOUR_US, BEGIN_US, 1),
        one(BEGIN_US - 3 * HOUR_US, BEGIN_US, 1),
        one(BEGIN_US, BEGIN_US + 25 * HOUR_US, 1),
    ],
)
def test_what_is_beyond_bounds_is_refused_at_the_door(interval):
    with pytest.raises(OutOfRange):
        rate(packed(), interval)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ArraysDisagree):
        rate(packed(), one(BEGIN_US, BEGIN_US + HOUR_US, 1)._replace(row=np.zeros(1)))


def test_an_explanation_of_nothing_has_no_lines():
    plan = parse(
        {"name": "x", "commodity": "water", "currency": "CNY",
         "versions": [{"effective_from": "2026-01-01T00:00:00Z", "prices_micro": {"flat": 1}}]}
    )  # fmt: skip
    timeline = compile_timeline(plan, "UTC", BEGIN_US, BEGIN_US + HOUR_US)
    assert explain_interval(timeline, BEGIN_US, BEGIN_US + HOUR_US, 0) == []
