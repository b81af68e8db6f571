"""The published schemes that ship as files: each has its source and bills as its table says.

Each expectation is the arithmetic of the published table, done beside it without the program.
"""

from datetime import datetime, timedelta

import numpy as np
import pytest

from meterhouse.cli.rate import read_scheme
from meterhouse.flows.library import names as published
from meterhouse.rating.bill import Household, bill
from meterhouse.rating.load import Load
from meterhouse.rating.source import said_in
from meterhouse.units import to_us
from meterhouse.words import LANGUAGES

HOUR = timedelta(hours=1)


def use(*stretches):
    """Energy in Wh, each in the hour that begins at a local time of China."""
    starts = [datetime.fromisoformat(f"{text}+08:00") for text, _ in stretches]
    return Load(
        np.array([to_us(start) for start in starts]),
        np.array([to_us(start + HOUR) for start in starts]),
        np.array([energy_wh for _, energy_wh in stretches], np.int64),
    )


@pytest.mark.parametrize("name", published())
def test_each_says_where_it_comes_from(name):
    scheme = read_scheme(name)
    assert scheme.source is not None
    assert scheme.versions[0].effective_from.date() <= scheme.source.as_of
    assert scheme.currency == "CNY"
    for language in LANGUAGES:
        assert said_in(scheme.source.note, language).language == language


def test_there_are_schemes_to_begin_with():
    assert len(published()) >= 6


@pytest.mark.parametrize(
    ("name", "persons", "load", "yuan_cents"),
    [
        # 240 × 0.4883 + 160 × 0.5383 + 100 × 0.7883 = 117.192 + 86.128 + 78.83, each to the fen.
        ("beijing-residential", 1, use(("2026-03-05T12:00", 500_000)), 117_19 + 86_13 + 78_83),
        # 180 × 0.5224 + 100 × 0.6224 + 20 × 0.8224 = 94.032 + 62.24 + 16.448.
        ("sichuan-residential", 1, use(("2026-03-05T12:00", 300_000)), 94_03 + 62_24 + 16_45),
        # A household of 800 kWh, as its supplier's explanation reckons:
        # 210 × 0.5469 + 190 × 0.5969 + 400 × 0.8469 = 114.849 + 113.411 + 338.76.
        ("shandong-residential", 1, use(("2026-03-05T12:00", 800_000)), 114_85 + 113_41 + 338_76),
        # In April 200 × 0.5802 + 100 × 0.6302, in May 260 and 40; funds 300 × 0.008669 = 2.6007.
        # With the exact 0.58886875 and 0.63886875 the sums are 181.661 and 178.661.
        ("guangzhou-residential", 1, use(("2026-04-05T12:00", 300_000)), 116_04 + 63_02 + 2_60),
        ("guangzhou-residential", 1, use(("2026-05-05T12:00", 300_000)), 150_85 + 25_21 + 2_60),
        # 100 × 0.220476 at five, 100 × 0.98634 at ten; at noon 60 × 0.5802, then 40 × 0.6302.
        ("guangzhou-residential-tou", 1,
         use(*((f"2026-05-05T{hour}:00", 100_000) for hour in ("05", "10", "12"))),
         22_05 + 98_63 + 34_81 + 25_21 + 2_60),
        # A year's blocks: 2760 × 0.5283 + 40 × 0.5783 = 1458.108 + 23.132.
        ("jiangsu-residential", 1, use(("2026-03-05T12:00", 2_800_000)), 1458_11 + 23_13),
        # 80 × 0.5583 in the last hour of the peak, 20 × 0.3583 in the first of the valley.
        ("jiangsu-residential-tou", 1,
         use(("2026-03-05T20:00", 80_000), ("2026-03-05T21:00", 20_000)), 44_66 + 7_17),
        # 2760 × 0.538 + 40 × 0.588 = 1484.88 + 23.52.
        ("zhejiang-residential", 1, use(("2026-03-05T12:00", 2_800_000)), 1484_88 + 23_52),
        # 100 × 0.568 at 21:00 and 100 × 0.288 at 22:00.
        ("zhejiang-residential-tou", 1,
         use(("2026-03-05T21:00", 100_000), ("2026-03-05T22:00", 100_000)), 56_80 + 28_80),
        # 3120 kWh at noon fill the first block; at night 100 × 0.337 follow in the second.
        ("shanghai-residential-tou", 4,
         use(("2026-03-05T12:00", 3_120_000), ("2026-03-05T22:00", 100_000)), 1925_04 + 33_70),
        # Five persons have 1200 kWh more: all of it in the first block, 100 × 0.307 at night.
        ("shanghai-residential-tou", 5,
         use(("2026-03-05T12:00", 3_120_000), ("2026-03-05T22:00", 100_000)), 1925_04 + 30_70),
    ],
)  # fmt: skip
def test_its_table_comes_out(name, persons, load, yuan_cents):
    (one,) = bill(read_scheme(name), "Asia/Shanghai", load, Household(persons)).bills
    assert one.total_minor == yuan_cents


def test_a_year_of_blocks_is_one_year_over_twelve_bills():
    name = "zhejiang-residential"
    load = use(*((f"2026-{month:02}-10T12:00", 300_000) for month in range(1, 13)))
    bills = bill(read_scheme(name), "Asia/Shanghai", load).bills
    # 2760 kWh are used up in October: 60 × 0.538 + 240 × 0.588; then 300 × 0.588.
    assert [one.total_minor for one in bills] == [161_40] * 9 + [32_28 + 141_12, 176_40, 176_40]
