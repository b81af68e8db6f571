"""What a silent point will have used: the same hours of the seven days before, or nothing."""

from itertools import pairwise

import numpy as np

from meterhouse.rating.estimate import (
    DAY_US,
    RULE,
    Used,
    bands_told,
    estimate,
    estimate_bands,
    told,
)

HOUR_US = 3_600_000_000
GOOD_US = 20 * DAY_US
PLENTY_W = 1_000_000


def used(*milli_of_days: int, hours: int = 24) -> Used:
    """Intervals of so many hours up to the silence, each day's spread evenly, oldest day first."""
    parts = 24 // hours
    count = len(milli_of_days) * parts
    end_us = GOOD_US - np.arange(count, dtype=np.int64)[::-1] * hours * HOUR_US
    milli = np.repeat(np.array(milli_of_days, dtype=np.int64) // parts, parts)
    return Used(end_us - hours * HOUR_US, end_us, milli)


def test_the_mean_of_the_same_hours_of_seven_days():
    # 1 to 7 kWh a day, a mean of 4; a quarter of a day is 1.
    week = used(*(n * 1_000 for n in range(1, 8)), hours=6)
    assert estimate(week, GOOD_US, GOOD_US, GOOD_US + 6 * HOUR_US, PLENTY_W) == 1_000


def test_the_hours_are_the_same_hours():
    # Each day 2 kWh in the first six hours after the hour of the silence, and nothing else.
    week = used(*[8_000] * 7, hours=6)
    week.energy_milli[1::4] = week.energy_milli[2::4] = week.energy_milli[3::4] = 0
    assert estimate(week, GOOD_US, GOOD_US, GOOD_US + 6 * HOUR_US, PLENTY_W) == 2_000
    assert estimate(week, GOOD_US, GOOD_US + 6 * HOUR_US, GOOD_US + 24 * HOUR_US, PLENTY_W) == 0


def test_a_silence_of_days_is_set_against_the_days_before_it():
    week = used(*[2_400] * 7)
    assert estimate(week, GOOD_US, GOOD_US, GOOD_US + 3 * DAY_US, PLENTY_W) == 7_200


def test_parts_add_up_to_the_whole():
    week = used(*[2_400] * 7)
    until_us = [GOOD_US + hours * HOUR_US for hours in (0, 5, 30, 60)]
    parts = [estimate(week, GOOD_US, a, b, PLENTY_W) for a, b in pairwise(until_us)]
    assert sum(parts) == estimate(week, GOOD_US, GOOD_US, until_us[-1], PLENTY_W) == 6_000


def test_a_day_that_is_not_known_does_not_count():
    two = used(1_000, 3_000)
    assert estimate(two, GOOD_US, GOOD_US, GOOD_US + DAY_US, PLENTY_W) == 2_000


def test_where_nothing_is_known_nothing_is_estimated():
    nothing = used()
    assert estimate(nothing, GOOD_US, GOOD_US, GOOD_US + DAY_US, PLENTY_W) is None
    half_a_day = Used(*(column[-1:] for column in used(1_000, hours=12)))
    assert estimate(half_a_day, GOOD_US, GOOD_US, GOOD_US + DAY_US, PLENTY_W) is None


def test_never_more_than_the_meter_can_carry():
    week = used(*[240_000] * 7)
    assert estimate(week, GOOD_US, GOOD_US, GOOD_US + 2 * HOUR_US, 1_000) == 2_000


def bands(*milli_of_bands: int) -> list[Used]:
    """A week in which each band takes the same every day, spread evenly."""
    return [used(*[milli] * 7) for milli in milli_of_bands]


def test_each_band_is_estimated_by_its_own_days():
    found = estimate_bands(bands(0, 2_400, 1_200, 240), GOOD_US, GOOD_US, GOOD_US + DAY_US, 1_000)
    assert found == (0, 2_400, 1_200, 240)


def test_the_bands_together_are_never_more_than_the_meter_can_carry():
    found = estimate_bands(bands(0, 2_000, 1_000, 0), GOOD_US, GOOD_US, GOOD_US + DAY_US, 100)
    # A day at 100 W are 2.4 kWh of the three.
    assert found == (0, 1_600, 800, 0)


def test_without_a_day_before_no_band_is_estimated():
    assert estimate_bands([used()] * 4, GOOD_US, GOOD_US, GOOD_US + DAY_US, 1_000) is None


def test_what_is_kept_of_an_estimate_tells_its_bands():
    assert told(None) == RULE
    assert bands_told(told(None)) == (-1, -1, -1, -1)
    assert bands_told(told((0, 1_600, 800, 0))) == (0, 1_600, 800, 0)
