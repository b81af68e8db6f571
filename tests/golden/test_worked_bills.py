"""Bills worked by hand: each expectation's arithmetic stands beside it, done without the kernel."""

from datetime import datetime

import numpy as np
import pytest

from meterhouse.rating.explained import explain_interval
from meterhouse.rating.kernel import Intervals, RatingOutcome, rate_intervals
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import compile_timeline, pack
from meterhouse.units import to_us

YUAN = 10**9
SHANGHAI = "Asia/Shanghai"

# 0–200 kWh ×1, to 400 ×1.1, above ×1.5, at 0.60 yuan.
BLOCKS = {"limits_milli": [200_000, 400_000]}
BLOCK_PRICES = {"flat": [600_000, 660_000, 900_000]}
# A commercial day whose every edge lies on a half hour.
HALF_HOURS = {
    "00:00": "valley", "08:30": "peak", "11:30": "flat", "17:30": "peak", "22:30": "valley",
}  # fmt: skip
DAY_PRICES = {"peak": 1_200_000, "flat": 700_000, "valley": 300_000}


def at(text):
    return to_us(datetime.fromisoformat(text))


def scheme(*versions):
    each = [{"effective_from": "2020-01-01T00:00:00+08:00", **version} for version in versions]
    return parse(
        {"name": "worked", "commodity": "electricity", "currency": "CNY", "versions": each}
    )


def bill(plan, zone, readings, used_milli=0, bands=None):
    """Amounts in Nano of the intervals between readings `(instant, kWh so far)`, in one chain."""
    edges = [at(text) for text, _ in readings]
    energy = np.diff([round(kwh * 1000) for _, kwh in readings])
    timeline = compile_timeline(plan, zone, edges[0], edges[-1])
    zeros = np.zeros(len(energy), np.int64)
    rated = rate_intervals(
        pack([timeline]),
        Intervals(
            zeros, zeros, np.array(edges[:-1]), np.array(edges[1:]), energy,
            np.array(bands) if bands else np.full((len(energy), 4), -1),
        ),
        np.array([used_milli]), timeline.period_start_us[:1].copy(),
    )  # fmt: skip
    assert (rated.outcome == RatingOutcome.RATED).all()
    return rated.amount_nano.tolist(), int(rated.block_milli[0])


@pytest.mark.parametrize(
    ("start_kwh", "yuan_cents"),
    [
        # 40 × 0.66 + 10 × 0.90 = 26.40 + 9.00
        (360, 35_40),
        # 150 × 0.66 + 10 × 0.90 = 99.00 + 9.00
        (250, 108_00),
        # 200 × 0.60 + 200 × 0.66 + 10 × 0.90 = 120.00 + 132.00 + 9.00
        (0, 261_00),
    ],
)
def test_an_increment_that_crosses_blocks_is_marginal(start_kwh, yuan_cents):
    plan = scheme({"blocks": {**BLOCKS, "period": "month"}, "prices_micro": BLOCK_PRICES})
    readings = [("2026-03-05T10:00:00+08:00", start_kwh), ("2026-03-05T10:30:00+08:00", 410)]
    amounts, used_milli = bill(plan, SHANGHAI, readings, used_milli=start_kwh * 1000)
    assert amounts == [yuan_cents * YUAN // 100]
    assert used_milli == 410_000


@pytest.mark.parametrize(
    ("edge", "before", "after"),
    [
        ("08:30", "valley", "peak"),
        ("11:30", "peak", "flat"),
        ("17:30", "flat", "peak"),
        ("22:30", "peak", "valley"),
    ],
)
def test_half_hour_edges_split_what_straddles_them_and_nothing_else(edge, before, after):
    plan = scheme(
        {"bands": ["peak", "flat", "valley"], "day_tables": {"day": HALF_HOURS},
         "prices_micro": DAY_PRICES}
    )  # fmt: skip
    middle = f"2026-03-05T{edge}:00+08:00"
    half_us = 15 * 60 * 1_000_000
    span = (at(middle) - half_us, at(middle) + half_us)
    timeline = compile_timeline(plan, SHANGHAI, *span)
    lines = explain_interval(timeline, *span, 1_001)
    # The first half of 1001 Wh is ⌊500.5⌋ Wh.
    assert [(line.band, line.energy_milli) for line in lines] == [(before, 500), (after, 501)]
    (up_to,) = explain_interval(timeline, span[0], at(middle), 1_001)
    (from_on,) = explain_interval(timeline, at(middle), span[1], 1_001)
    assert (up_to.band, from_on.band) == (before, after)
    assert up_to.amount_nano == 1_001 * DAY_PRICES[before]


@pytest.mark.parametrize(
    ("period", "midnight"),
    [("month", "2026-02-01T00:00:00+08:00"), ("year", "2027-01-01T00:00:00+08:00")],
)
def test_blocks_begin_again_at_local_midnight(period, midnight):
    plan = scheme({"blocks": {**BLOCKS, "period": period}, "prices_micro": BLOCK_PRICES})
    half_us = 15 * 60 * 1_000_000
    span = (at(midnight) - half_us, at(midnight) + half_us)
    timeline = compile_timeline(plan, SHANGHAI, *span)
    lines = explain_interval(
        timeline,
        *span,
        2_000,
        block_milli=399_500,
        block_period_us=int(timeline.period_start_us[0]),
    )
    # 0.5 kWh fills the second block, 0.5 the third; after midnight the first one again.
    assert [(line.block, line.energy_milli) for line in lines] == [(1, 500), (2, 500), (0, 1_000)]
    assert lines[2].from_us == at(midnight)


def test_the_year_holds_its_blocks_over_the_end_of_a_month():
    plan = scheme({"blocks": {**BLOCKS, "period": "year"}, "prices_micro": BLOCK_PRICES})
    readings = [
        ("2026-01-31T23:30:00+08:00", 0), ("2026-02-01T00:00:00+08:00", 200),
        ("2026-02-01T00:30:00+08:00", 210),
    ]  # fmt: skip
    assert bill(plan, SHANGHAI, readings)[0] == [120 * YUAN, 6_600_000_000]


@pytest.mark.parametrize(
    ("day", "next_day", "night_hours", "hours"),
    [
        ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 5, 23),
        ("2026-06-01T00:00:00+02:00", "2026-06-02T00:00:00+02:00", 6, 24),
        ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 7, 25),
    ],
)
def test_a_day_of_23_or_25_hours_bills_each_instant_once(day, next_day, night_hours, hours):
    plan = scheme(
        {"bands": ["peak", "valley"], "day_tables": {"day": {"00:00": "valley", "06:00": "peak"}},
         "prices_micro": {"peak": 400_000, "valley": 100_000}}
    )  # fmt: skip
    span = (at(day), at(next_day))
    timeline = compile_timeline(plan, "Europe/Berlin", *span)
    lines = explain_interval(timeline, *span, hours * 1_000)
    energy = dict.fromkeys(("valley", "peak"), 0)
    for line in lines:
        energy[line.band] += line.energy_milli
    assert energy == {"valley": night_hours * 1_000, "peak": 18_000}


def test_a_price_change_inside_an_interval_splits_it_and_keeps_the_block():
    old = {"blocks": {**BLOCKS, "period": "month"}, "prices_micro": BLOCK_PRICES}
    new = {
        **old,
        "effective_from": "2026-03-05T10:10:00+08:00",
        "prices_micro": {"flat": [1_000_000, 2_000_000, 3_000_000]},
    }
    readings = [("2026-03-05T10:00:00+08:00", 0), ("2026-03-05T10:30:00+08:00", 300)]
    amounts, used_milli = bill(scheme(old, new), SHANGHAI, readings)
    # 100 × 0.60; then 100 × 1.00 to the limit of 200 and 100 × 2.00 above it.
    assert amounts == [(60 + 100 + 200) * YUAN]
    assert used_milli == 300_000


def test_a_meters_own_bands_are_billed_as_it_counted_them():
    plan = scheme(
        {"band_source": "meter", "bands": ["sharp", "peak", "flat", "valley"],
         "prices_micro": {"sharp": 1_500_000, "peak": 1_200_000, "flat": 700_000,
                          "valley": 300_000}}
    )  # fmt: skip
    readings = [("2026-03-05T00:00:00+08:00", 0), ("2026-03-06T00:00:00+08:00", 10)]
    amounts, _ = bill(plan, SHANGHAI, readings, bands=[[1_000, 2_000, 3_000, 4_000]])
    # 1 × 1.50 + 2 × 1.20 + 3 × 0.70 + 4 × 0.30
    assert amounts == [7_200_000_000]


def test_pro_rata_and_chronological_differ_where_a_blocks_uplift_varies_by_band():
    version = {
        "bands": ["peak", "valley"],
        "day_tables": {"day": {"00:00": "peak", "12:00": "valley"}},
        "prices_micro": {"peak": [1_000_000, 2_000_000], "valley": [500_000, 600_000]},
    }
    readings = [("2026-03-05T00:00:00+08:00", 0), ("2026-03-06T00:00:00+08:00", 20)]
    limits = {"limits_milli": [10_000]}
    in_time = scheme({**version, "blocks": {**limits, "fill": "chronological"}})
    in_proportion = scheme({**version, "blocks": {**limits, "fill": "pro_rata"}})
    # 10 peak in the first block, then 10 valley in the second: 10 × 1.00 + 10 × 0.60
    assert bill(in_time, SHANGHAI, readings)[0] == [16 * YUAN]
    # 5 of each band in each block: 5 × 1.00 + 5 × 2.00 + 5 × 0.50 + 5 × 0.60
    assert bill(in_proportion, SHANGHAI, readings)[0] == [20_500_000_000]


def test_seasons_special_days_and_day_types_choose_the_day_table():
    plan = scheme(
        {
            "bands": ["peak", "flat", "valley", "deep_valley"],
            "day_tables": {
                name: {"00:00": band}
                for name, band in [
                    ("work", "peak"), ("rest", "flat"), ("warm", "valley"), ("feast", "deep_valley")
                ]
            },
            "seasons": [
                {"name": "summer", "first": "07-01", "last": "08-31",
                 "tables": {"workday": "warm"}},
                {"name": "other", "first": "09-01", "last": "06-30",
                 "tables": {"workday": "work", "weekend": "rest", "holiday": "feast"}},
            ],
            "special_days": {"2026-10-01": "holiday", "2026-10-10": "makeup_workday"},
            "prices_micro": {"peak": 4, "flat": 3, "valley": 2, "deep_valley": 1},
        }
    )  # fmt: skip
    expected = {
        "2026-03-05": "peak",  # an ordinary Thursday
        "2026-03-07": "flat",  # a Saturday
        "2026-07-01": "valley",  # summer's first day
        "2026-08-29": "valley",  # a Saturday in summer, which names workdays alone
        "2026-10-01": "deep_valley",  # National Day
        "2026-10-10": "peak",  # a Saturday worked in exchange
    }
    for day, band in expected.items():
        span = (at(f"{day}T00:00:00+08:00"), at(f"{day}T23:59:59+08:00"))
        (line,) = explain_interval(compile_timeline(plan, SHANGHAI, *span), *span, 100)
        assert line.band == band
