"""The calculator's own figures: a month by a profile, and days by band, add up exactly."""

from datetime import date

import pytest

from meterhouse.flows import library
from meterhouse.flows.calculator import (
    Limits,
    LoadSpanTooLong,
    Profile,
    calculate,
    csv_of,
    days_by_band,
    example,
    month_load,
)
from meterhouse.rating.bill import Household
from meterhouse.rating.load import LoadTooLong
from meterhouse.rating.periods import Billing

ROWS = [
    {"start": "2026-02-05T21:30", "energy_wh": 3},
    {"start": "2026-02-06T21:30", "energy_wh": 1},
]


@pytest.mark.parametrize("profile", Profile)
def test_a_month_of_use_is_all_of_it(profile):
    load = month_load(Billing(5, 8), "Asia/Shanghai", date(2026, 2, 1), 300_001, profile)
    assert int(load.energy_milli.sum()) == 300_001
    assert len(load.start_us) == 28 * 24


def test_an_example_is_one_bill_though_the_scheme_begins_later():
    scheme = library.scheme("zhejiang-residential-tou")
    billed = example(
        scheme, "Asia/Shanghai", date(1999, 2, 1), 300_000, Profile.EVEN, Household(), 2
    )
    assert [one.total_minor for one in billed.bills] == [13_540]
    days_us, by_band = days_by_band(billed)
    assert len(days_us) == 28
    assert {name: sum(column) for name, column in by_band.items()} == {
        "peak": 175_000, "valley": 125_000,
    }  # fmt: skip


def test_what_is_rated_at_once_has_limits():
    scheme, more = library.scheme("sichuan-residential"), ("Asia/Shanghai", Household(), 2)
    with pytest.raises(LoadTooLong):
        calculate(scheme, csv_of(ROWS), *more, limits=Limits(rows=1))
    with pytest.raises(LoadSpanTooLong):
        calculate(scheme, csv_of(ROWS), *more, limits=Limits(span_days=1))
    assert calculate(scheme, csv_of(ROWS), *more).told["energy"] == "0.004"
