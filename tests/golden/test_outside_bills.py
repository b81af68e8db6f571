"""A year's bills by NREL's PySAM `Utilityrate5`: the same price told to both engines by hand.

Ten prices, each written twice and never translated by a program: as a scheme of ours, and as
periods, tiers and schedules of theirs. The load is a year of hours with whole Wh; months agree to
1e-9 of the bill, which is all that floating point promises. What the engine cannot be asked stands
in `bench/reference.py`.
"""

import sys

import numpy as np
import pytest

from meterhouse.bench.reference import (
    ALL_THE_REST,
    HOUR_US,
    HOURS,
    PRO_RATA,
    YEAR_US,
    Price,
    every_month,
    monthly_bills,
)
from meterhouse.rating.bill import bill
from meterhouse.rating.kernel import Intervals, rate_intervals
from meterhouse.rating.load import Load
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import compile_timeline, pack

if sys.version_info >= (3, 14):
    pytest.skip("PySAM has no wheel for this Python yet", allow_module_level=True)

ZONE = "Asia/Shanghai"
FLOAT_ERROR = 1e-9
NANO_DECIMALS = 9
DAYS_OF_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
MONTH_OF_HOUR = np.repeat(np.arange(12), np.array(DAYS_OF_MONTH) * 24)
MONTH_US = YEAR_US[np.searchsorted(MONTH_OF_HOUR, np.arange(12))]
YEAR_END_US = int(YEAR_US[-1]) + HOUR_US
REST = ALL_THE_REST
DAY = {
    "00:00": "valley", "08:00": "peak", "11:00": "sharp", "13:00": "flat", "17:00": "peak",
    "22:00": "valley",
}  # fmt: skip
DAY_BY_NUMBER = every_month((0, 4), (8, 2), (11, 1), (13, 3), (17, 2), (22, 4))
UPLIFTS = {
    "sharp": [1_200_000, 1_350_000, 1_900_000], "peak": [900_000, 930_000, 1_250_000],
    "flat": [600_000, 610_000, 1_000_000], "valley": [300_000, 450_000, 460_000],
}  # fmt: skip
UPLIFTS_BY_NUMBER = [
    (1, 1, 240, 1.2), (1, 2, 480, 1.35), (1, 3, REST, 1.9),
    (2, 1, 240, 0.9), (2, 2, 480, 0.93), (2, 3, REST, 1.25),
    (3, 1, 240, 0.6), (3, 2, 480, 0.61), (3, 3, REST, 1.0),
    (4, 1, 240, 0.3), (4, 2, 480, 0.45), (4, 3, REST, 0.46),
]  # fmt: skip
UPLIFTED_BLOCKS = {"period": "month", "limits_milli": [240_000, 480_000]}


def scheme(**version):
    """A scheme of one version, in force all year; a charge by the month is charged whole."""
    begins = {"effective_from": "2017-01-01T00:00:00+08:00"}
    return parse(
        {
            "name": "By hand", "commodity": "electricity", "currency": "CNY",
            "billing": {"proration": "whole"}, "versions": [begins | version],
        }
    )  # fmt: skip


def uneven(seed):
    """A year of hours between nothing and 2 kWh: about 720 kWh a month, over every limit here."""
    return np.random.default_rng(seed).integers(0, 2_001, HOURS)


def of_month(energy_wh):
    return np.bincount(MONTH_OF_HOUR, energy_wh).astype(np.int64)


def assert_same(ours, price, energy_wh):
    theirs, _ = monthly_bills(price, energy_wh)
    assert len(ours) == len(theirs) == 12
    assert all(cost > 0 for cost in ours)
    assert theirs == pytest.approx(ours, rel=FLOAT_ERROR, abs=0)


FLAT = (
    {"prices_micro": {"flat": 617_300}},
    Price([(1, 1, REST, 0.6173)], every_month((0, 1)), every_month((0, 1))),
)
FOUR_BANDS = (
    {
        "bands": ["sharp", "peak", "flat", "valley"],
        "day_tables": {"work": DAY, "rest": {"00:00": "valley", "09:00": "flat"}},
        "seasons": [{"name": "year", "first": "01-01", "last": "12-31",
                     "tables": {"workday": "work", "weekend": "rest"}}],
        "prices_micro": {"sharp": 1_204_500, "peak": 903_400, "flat": 602_300, "valley": 301_100},
    },
    Price(
        [(1, 1, REST, 1.2045), (2, 1, REST, 0.9034), (3, 1, REST, 0.6023), (4, 1, REST, 0.3011)],
        DAY_BY_NUMBER,
        every_month((0, 4), (9, 3)),
    ),
)  # fmt: skip
THREE_BLOCKS = (
    {
        "blocks": {"period": "month", "limits_milli": [200_000, 400_000]},
        "prices_micro": {"flat": [600_000, 660_000, 900_000]},
    },
    Price(
        [(1, 1, 200, 0.6), (1, 2, 400, 0.66), (1, 3, REST, 0.9)],
        every_month((0, 1)), every_month((0, 1)),
    ),
)  # fmt: skip
BANDS_BY_BLOCKS = (
    {
        "bands": list(UPLIFTS), "day_tables": {"day": DAY}, "blocks": UPLIFTED_BLOCKS,
        "prices_micro": UPLIFTS,
    },
    Price(UPLIFTS_BY_NUMBER, DAY_BY_NUMBER, DAY_BY_NUMBER),
)  # fmt: skip
STANDING_AND_SEASONS = (
    {
        "bands": ["day", "night", "summer_day"],
        "day_tables": {
            "winter": {"00:00": "night", "07:00": "day", "23:00": "night"},
            "summer": {"00:00": "night", "06:00": "summer_day", "21:00": "night"},
        },
        "seasons": [
            {"name": "summer", "first": "06-01", "last": "09-30", "tables": {"workday": "summer"}},
            {"name": "rest", "first": "10-01", "last": "05-31", "tables": {"workday": "winter"}},
        ],
        "prices_micro": {"day": 702_000, "night": 288_000, "summer_day": 951_000},
        "standing": {"per": "period", "amount_micro": 12_340_000},
    },
    Price(
        [(1, 1, REST, 0.702), (2, 1, REST, 0.288), (3, 1, REST, 0.951)],
        *2 * [[
            *every_month((0, 2), (7, 1), (23, 2))[:5],
            *every_month((0, 2), (6, 3), (21, 2))[5:9],
            *every_month((0, 2), (7, 1), (23, 2))[9:],
        ]],
        fixed=12.34,
    ),
)  # fmt: skip
SEASONAL_LIMITS = (
    {
        "seasons": [
            {"name": "summer", "first": "05-01", "last": "10-31",
             "tables": {"workday": "every_day"}},
            {"name": "rest", "first": "11-01", "last": "04-30", "tables": {"workday": "every_day"}},
        ],
        "day_tables": {"every_day": {"00:00": "flat"}},
        "blocks": {"period": "month", "limits_milli": [200_000, 400_000],
                   "seasonal": {"summer": [260_000, 600_000]}},
        "prices_micro": {"flat": [610_000, 660_000, 910_000]},
    },
    Price(
        [
            (1, 1, 200, 0.61), (1, 2, 400, 0.66), (1, 3, REST, 0.91),
            (2, 1, 260, 0.61), (2, 2, 600, 0.66), (2, 3, REST, 0.91),
        ],
        *2 * [[[1] * 24] * 4 + [[2] * 24] * 6 + [[1] * 24] * 2],
    ),
)  # fmt: skip
FREE_AND_SURCHARGED = (
    {
        "bands": ["peak", "valley"],
        "day_tables": {"day": {"00:00": "valley", "08:00": "peak", "22:00": "valley"}},
        "blocks": {"period": "month", "limits_milli": [150_000]},
        "prices_micro": {"peak": [568_000, 618_000], "valley": [288_000, 338_000]},
        "surcharges": [{"name": "funds", "price_micro": 29_000},
                       {"name": "rebate", "price_micro": -4_000}],
        "allowance": {"grant": "period", "energy_milli": 30_000},
    },
    # 30 kWh for nothing raise the limit to 180; the surcharges are 0.025 on all else.
    Price(
        [
            (1, 1, 30, 0), (1, 2, 180, 0.593), (1, 3, REST, 0.643),
            (2, 1, 30, 0), (2, 2, 180, 0.313), (2, 3, REST, 0.363),
        ],
        *2 * [every_month((0, 2), (8, 1), (22, 2))],
    ),
)  # fmt: skip
TWO_PART = (
    {
        "prices_micro": {"flat": 450_000}, "demand": {"by": "maximum", "price_micro": 38_400_000},
    },
    Price([(1, 1, REST, 0.45)], every_month((0, 1)), every_month((0, 1)), demand=38.4),
)  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        FLAT, FOUR_BANDS, THREE_BLOCKS, BANDS_BY_BLOCKS, STANDING_AND_SEASONS, SEASONAL_LIMITS,
        FREE_AND_SURCHARGED, TWO_PART,
    ],
    ids=[
        "flat", "four bands", "three blocks", "bands by blocks, in the order of time",
        "standing charge and seasons", "limits by season", "free energy and surcharges",
        "demand",
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_year_of_hours_costs_the_same_month_by_month(ours, theirs, seed):
    energy_wh = uneven(seed)
    billed = bill(
        scheme(**ours), ZONE, Load(YEAR_US, YEAR_US + HOUR_US, energy_wh),
        currency_exponent=NANO_DECIMALS,
    )  # fmt: skip
    months = [one.total_minor / 10**NANO_DECIMALS for one in billed.bills]
    assert_same(months, theirs, energy_wh)


def test_where_little_is_used_a_month_costs_its_minimum():
    energy_wh = uneven(4)
    energy_wh[of_month(energy_wh)[MONTH_OF_HOUR] < 740_000] //= 10
    billed = bill(
        scheme(prices_micro={"flat": 500_000}, minimum_micro=100_000_000), ZONE,
        Load(YEAR_US, YEAR_US + HOUR_US, energy_wh), currency_exponent=NANO_DECIMALS,
    )  # fmt: skip
    months = [one.total_minor / 10**NANO_DECIMALS for one in billed.bills]
    at_least = [cost == 100 for cost in months]
    assert any(at_least)
    assert not all(at_least)
    price = Price([(1, 1, REST, 0.5)], every_month((0, 1)), every_month((0, 1)), minimum=100)
    assert_same(months, price, energy_wh)


PRO_RATA_PRICE = Price(UPLIFTS_BY_NUMBER, DAY_BY_NUMBER, DAY_BY_NUMBER, fill=PRO_RATA)
PRO_RATA_VERSION = {
    "bands": list(UPLIFTS), "day_tables": {"day": DAY},
    "blocks": UPLIFTED_BLOCKS | {"fill": "pro_rata"}, "prices_micro": UPLIFTS,
}  # fmt: skip


def test_a_meter_read_once_a_month_fills_its_blocks_in_proportion():
    """Use is even within a month: the interval is divided among the bands by their hours.

    A band's hours are whole and 240 kWh divide by 24, so no share has a rest.
    """
    each_hour_wh = np.random.default_rng(5).integers(50, 2_000, 12)
    energy_wh = each_hour_wh[MONTH_OF_HOUR]
    ends_us = np.append(MONTH_US[1:], YEAR_END_US)
    billed = bill(
        scheme(**PRO_RATA_VERSION), ZONE, Load(MONTH_US, ends_us, of_month(energy_wh)),
        currency_exponent=NANO_DECIMALS,
    )  # fmt: skip
    months = [one.total_minor / 10**NANO_DECIMALS for one in billed.bills]
    assert_same(months, PRO_RATA_PRICE, energy_wh)


def test_four_registers_read_once_a_month_fill_their_blocks_in_proportion():
    """Use is uneven: 960 kWh a month in steps of 4 Wh, so that a quarter of each band is whole."""
    random = np.random.default_rng(6)
    energy_wh = np.concatenate(
        [4 * random.multinomial(240_000, np.full(24 * d, 1 / (24 * d))) for d in DAYS_OF_MONTH]
    )
    band = np.array(DAY_BY_NUMBER[0])[np.arange(HOURS) % 24] - 1
    registers = np.zeros((12, 4), np.int64)
    np.add.at(registers, (MONTH_OF_HOUR, band), energy_wh)
    ends_us = np.append(MONTH_US[1:], YEAR_END_US)
    zeros = np.zeros(12, np.int64)
    timeline = compile_timeline(
        scheme(**PRO_RATA_VERSION, band_source="meter"), ZONE, int(MONTH_US[0]), YEAR_END_US
    )
    rated = rate_intervals(
        pack([timeline]), Intervals(zeros, zeros, MONTH_US, ends_us, registers.sum(1), registers),
        zeros[:1], zeros[:1],
    )  # fmt: skip
    assert_same((rated.amount_nano / 1e9).tolist(), PRO_RATA_PRICE, energy_wh)


def test_the_two_ways_of_filling_blocks_differ():
    """Else the agreement above would say nothing about which of them is which."""
    energy_wh = uneven(7)
    in_order, _ = monthly_bills(BANDS_BY_BLOCKS[1], energy_wh)
    pro_rata, _ = monthly_bills(PRO_RATA_PRICE, energy_wh)
    assert all(abs(a - b) > 1e-3 for a, b in zip(in_order, pro_rata, strict=True))
