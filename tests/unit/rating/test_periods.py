"""Where days, months and years begin, also where the clocks change."""

from datetime import date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from meterhouse.errors import Unreadable
from meterhouse.rating.periods import (
    Billing,
    day_starts,
    month_starts,
    starts_of,
    year_starts,
    zone_of,
)
from meterhouse.units import from_us, to_us

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")


def at(text):
    return to_us(datetime.fromisoformat(text))


def shown(starts, zone):
    return [from_us(us).astimezone(zone).isoformat()[:16] for us in starts]


def test_months_go_from_the_last_start_before_to_the_first_after():
    billing = Billing(anchor_day=25, anchor_hour=9)
    found = month_starts(
        billing, SHANGHAI, at("2026-01-25T08:59+08:00"), at("2026-02-25T09:00+08:00")
    )
    assert shown(found, SHANGHAI) == [
        "2025-12-25T09:00", "2026-01-25T09:00", "2026-02-25T09:00", "2026-03-25T09:00",
    ]  # fmt: skip


def test_a_start_is_the_first_of_what_is_given():
    start_us = at("2026-01-01T00:00+08:00")
    assert month_starts(Billing(), SHANGHAI, start_us, start_us + 1)[0] == start_us
    assert year_starts(Billing(), SHANGHAI, start_us, start_us + 1)[0] == start_us


@pytest.mark.parametrize(
    ("day", "starts"),
    [
        # 02:00 does not exist; the day begins when the clocks are put forward, 01:00 UTC.
        ("2026-03-29", "2026-03-29T01:00"),
        # 02:00 is shown twice; the day begins the first time, still in summer time.
        ("2026-10-25", "2026-10-25T00:00"),
    ],
)
def test_days_with_an_anchor_that_is_skipped_or_shown_twice(day, starts):
    noon_us = at(f"{day}T12:00+00:00")
    first = day_starts(Billing(anchor_hour=2), BERLIN, noon_us, noon_us)[0]
    assert from_us(first).isoformat()[:16] == starts


def test_days_have_23_24_or_25_hours():
    starts = day_starts(Billing(), BERLIN, at("2026-10-24T12:00Z"), at("2026-10-26T12:00Z"))
    lengths = [(after - start) // 3_600_000_000 for start, after in pairwise(starts)]
    assert lengths == [24, 25, 24]


def test_the_leap_day_is_the_first_of_march_elsewhere():
    found = starts_of([(2, 29)], 0, SHANGHAI, at("2027-06-01T00:00Z"), at("2028-06-01T00:00Z"))
    assert [from_us(us).astimezone(SHANGHAI).date() for us in found[:2]] == [
        date(2027, 3, 1), date(2028, 2, 29),
    ]  # fmt: skip


def test_nothing_begins_before_1970_and_zones_have_names():
    assert month_starts(Billing(), SHANGHAI, 1, 2)[0] == 0
    with pytest.raises(Unreadable):
        zone_of("Mars/Olympus")
