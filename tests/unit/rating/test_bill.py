"""Bills worked by hand: each expectation's arithmetic stands beside it."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from meterhouse.errors import OutOfRange
from meterhouse.rating.arrays import OutOfOrder
from meterhouse.rating.bill import BandsUncounted, Household, Kind, Position, bill
from meterhouse.rating.load import Load
from meterhouse.rating.served import SchemeNotInForce
from meterhouse.rating.tariff import parse
from meterhouse.units import to_us

SHANGHAI = "Asia/Shanghai"
BEGIN = {"effective_from": "2020-01-01T00:00:00+08:00"}
FLAT = {"prices_micro": {"flat": 600_000}}
BLOCKS = {
    "blocks": {"period": "month", "limits_milli": [200_000, 400_000]},
    "prices_micro": {"flat": [600_000, 660_000, 900_000]},
}


def scheme(*versions, **header):
    return parse(
        {"name": "worked", "commodity": "electricity", "currency": "CNY",
         "versions": [{**BEGIN, **version} for version in versions], **header}
    )  # fmt: skip


def every(hours, start, end, energy_milli):
    """The same energy in every stretch of so many hours."""
    begin, after = datetime.fromisoformat(start), datetime.fromisoformat(end)
    count = int((after - begin) / timedelta(hours=hours))
    edges = np.array([to_us(begin + timedelta(hours=hours * place)) for place in range(count + 1)])
    return Load(edges[:-1], edges[1:], np.full(count, energy_milli, np.int64))


def month_of_days(energy_milli, month=1, days=31):
    start = f"2026-{month:02}-01T00:00:00+08:00"
    end = (datetime.fromisoformat(start) + timedelta(days=days)).isoformat()
    return every(24, start, end, energy_milli)


def amounts(one, kind):
    return [line.amount_minor for line in one.lines if line.kind == kind]


def test_a_month_of_blocks():
    billed = bill(scheme(BLOCKS), SHANGHAI, month_of_days(10_000, days=59))
    # January: 310 kWh, 200 × 0.60 + 110 × 0.66; February, 280 kWh, from the first block again.
    assert [amounts(one, Kind.ENERGY) for one in billed.bills] == [
        [120_00, 72_60], [120_00, 52_80],
    ]  # fmt: skip
    assert [one.total_minor for one in billed.bills] == [192_60, 172_80]
    assert billed.after.block_milli == 280_000


@pytest.mark.parametrize(
    ("start_kwh", "yuan_cents"),
    # 40 × 0.66 + 10 × 0.90; 150 × 0.66 + 10 × 0.90.
    [(360, 35_40), (250, 108_00)],
)
def test_an_increment_that_crosses_blocks(start_kwh, yuan_cents):
    load = every(1, "2026-03-05T10:00:00+08:00", "2026-03-05T11:00:00+08:00", 0)
    load.energy_milli[:] = 410_000 - start_kwh * 1_000
    began_us = to_us(datetime.fromisoformat("2026-03-01T00:00:00+08:00"))
    billed = bill(
        scheme(BLOCKS), SHANGHAI, load, opening=Position(start_kwh * 1_000, began_us, 0)
    )  # fmt: skip
    assert billed.bills[0].total_minor == yuan_cents
    assert billed.after.block_milli == 410_000


@pytest.mark.parametrize("zone", [SHANGHAI, "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize(
    ("period", "midnight"), [("month", "2026-03-01T00:00"), ("year", "2027-01-01T00:00")]
)
def test_blocks_begin_again_at_midnight_of_the_zone(zone, period, midnight):
    plan = scheme({**BLOCKS, "blocks": {**BLOCKS["blocks"], "period": period}})
    edge = datetime.fromisoformat(midnight).replace(tzinfo=ZoneInfo(zone))
    start, end = (edge + timedelta(minutes=minutes) for minutes in (-60, 60))
    load = every(2, start.isoformat(), end.isoformat(), 500_000)
    before, after = bill(plan, zone, load).bills
    # 250 kWh on each side: 200 in the first block and 50 in the second, twice.
    assert energy_of(before) == energy_of(after) == [(0, 200_000), (1, 50_000)]


@pytest.mark.parametrize("edge", ["08:30", "11:30", "17:30", "22:30"])
def test_half_hours_at_an_edge_lie_wholly_on_their_side(edge):
    table = {
        "00:00": "valley", "08:30": "peak", "11:30": "flat", "17:30": "peak", "22:30": "valley",
    }  # fmt: skip
    plan = scheme({
        "bands": ["peak", "flat", "valley"], "day_tables": {"day": table},
        "prices_micro": {"peak": 1_200_000, "flat": 700_000, "valley": 300_000},
    })  # fmt: skip
    middle = datetime.fromisoformat(f"2026-03-05T{edge}:00+08:00")
    span = [(middle + timedelta(minutes=minutes)).isoformat() for minutes in (-30, 30)]
    (one,) = bill(plan, SHANGHAI, every(0.5, *span, 1_000)).bills
    before = table[max(clock for clock in table if clock < edge)]
    assert {line.name: line.quantity_milli for line in one.lines} == {
        before: 1_000, table[edge]: 1_000,
    }  # fmt: skip


def test_months_begin_at_the_anchor_and_blocks_with_them():
    anchored = scheme(BLOCKS, billing={"anchor_day": 5, "anchor_hour": 9})
    load = every(1, "2026-03-05T08:00:00+08:00", "2026-03-05T10:00:00+08:00", 1_000)
    before, after = bill(
        anchored, SHANGHAI, load,
        opening=Position(399_000, to_us(datetime.fromisoformat("2026-02-05T09:00+08:00")), 0),
    ).bills  # fmt: skip
    assert energy_of(before) == [(1, 1_000)]
    assert energy_of(after) == [(0, 1_000)]
    assert after.period_from_us == to_us(datetime.fromisoformat("2026-03-05T09:00+08:00"))


def energy_of(one):
    return [(line.block, line.quantity_milli) for line in one.lines if line.kind is Kind.ENERGY]


@pytest.mark.parametrize(
    ("zone", "start", "end", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 23),
        ("Europe/Berlin", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 25),
        ("America/New_York", "2026-03-08T00:00:00-05:00", "2026-03-09T00:00:00-04:00", 23),
        ("Asia/Shanghai", "2026-03-29T00:00:00+08:00", "2026-03-30T00:00:00+08:00", 24),
    ],
)
def test_a_day_on_which_clocks_change_is_one_day(zone, start, end, hours):
    daily = scheme({**FLAT, "standing": {"per": "day", "amount_micro": 500_000}})
    billed = bill(daily, zone, every(1, start, end, 100))
    assert len(billed.day_milli) == 1
    assert billed.day_milli[0] == hours * 100
    assert amounts(billed.bills[0], Kind.STANDING) == [50]


def test_what_straddles_midnight_belongs_to_both_days_and_both_bills():
    load = every(6, "2026-01-31T21:00:00+08:00", "2026-02-01T03:00:00+08:00", 1_001)
    billed = bill(scheme(FLAT), SHANGHAI, load)
    # ⌊1001 / 2⌋ Wh before midnight and the rest after it; 0.3003 and 0.3006 yuan are 30 fen each.
    assert billed.day_milli.tolist() == [500, 501]
    assert [one.total_minor for one in billed.bills] == [30, 30]
    assert billed.interval_nano.tolist() == [600_600_000]
    assert [one.rounding_nano for one in billed.bills] == [0, -600_000]


@pytest.mark.parametrize(
    ("proration", "charged"), [("days", [3_55]), ("whole", [11_00]), ("full_only", [])]
)
def test_a_part_of_a_month_by_the_named_rule(proration, charged):
    monthly = scheme(
        {**FLAT, "standing": {"per": "period", "amount_micro": 11_000_000}},
        billing={"proration": proration},
    )
    # From noon of the 21st: that day began before, so ten days of 31 are owed, 3.548… yuan.
    load = every(12, "2026-01-21T12:00:00+08:00", "2026-02-01T00:00:00+08:00", 0)
    (one,) = bill(monthly, SHANGHAI, load).bills
    assert amounts(one, Kind.STANDING) == charged


@pytest.mark.parametrize(
    ("proration", "charged"), [("days", [10, 21]), ("whole", [31]), ("full_only", [31])]
)
def test_a_change_of_scheme_within_a_month(proration, charged):
    fee = {"standing": {"per": "period", "amount_micro": 310_000}}
    monthly = scheme(
        {**FLAT, **fee},
        {"effective_from": "2026-01-10T12:00:00+08:00", **FLAT, **fee},
        billing={"proration": proration},
    )
    (one,) = bill(monthly, SHANGHAI, month_of_days(0)).bills
    assert amounts(one, Kind.STANDING) == charged


def test_two_tenants_owe_together_what_one_would():
    monthly = scheme({**FLAT, "standing": {"per": "period", "amount_micro": 31_000_000}})
    change = "2026-01-21T10:00:00+08:00"
    first = bill(monthly, SHANGHAI, every(10, "2026-01-01T00:00:00+08:00", change, 0)).bills
    second = bill(monthly, SHANGHAI, every(1, change, "2026-02-01T00:00:00+08:00", 0)).bills
    assert [amounts(one[0], Kind.STANDING) for one in (first, second)] == [[21_00], [10_00]]


def test_a_price_change_in_the_middle_of_an_interval():
    changed = scheme(
        FLAT, {"effective_from": "2026-01-10T10:15:00+08:00", "prices_micro": {"flat": 900_000}}
    )
    load = every(1, "2026-01-10T10:00:00+08:00", "2026-01-10T12:00:00+08:00", 1_000)
    (one,) = bill(changed, SHANGHAI, load).bills
    # 0.25 × 0.60, then 1.75 × 0.90.
    assert [(line.version, line.quantity_milli) for line in one.lines] == [(0, 250), (1, 1_750)]
    assert amounts(one, Kind.ENERGY) == [15, 1_58]


def test_free_energy_comes_first_fills_no_block_and_bears_no_surcharge():
    plan = scheme({
        **BLOCKS, "surcharges": [{"name": "funds", "price_micro": 20_000}],
        "allowance": {"grant": "period", "energy_milli": 10_000, "per_person": True},
    })  # fmt: skip
    (one,) = bill(plan, SHANGHAI, month_of_days(8_000), Household(persons=4)).bills
    # 248 kWh, of which four persons have 40 free: 200 × 0.60, 8 × 0.66, 208 × 0.02.
    assert amounts(one, Kind.ENERGY) == [120_00, 5_28]
    assert [line.quantity_milli for line in one.lines if line.kind is Kind.FREE] == [40_000]
    assert amounts(one, Kind.SURCHARGE) == [4_16]
    assert one.energy_milli == 248_000


@pytest.mark.parametrize(
    ("allowance", "free", "kept_milli"),
    [
        ({"grant": "period"}, [100_000, 31_000], 0),
        ({"grant": "period", "carries": True}, [100_000, 31_000], 69_000),
        ({"grant": "once"}, [100_000], 0),
    ],
)
def test_free_energy_lapses_or_is_carried_over(allowance, free, kept_milli):
    plan = scheme({**FLAT, "allowance": {"energy_milli": 100_000, **allowance}})
    much, little = month_of_days(10_000), month_of_days(1_000, month=3)
    one = bill(plan, SHANGHAI, much)
    other = bill(plan, SHANGHAI, little, opening=one.after)
    found = [
        line.quantity_milli
        for each in (*one.bills, *other.bills)
        for line in each.lines
        if line.kind is Kind.FREE
    ]
    assert found == free
    assert other.after.kept_milli == kept_milli


@pytest.mark.parametrize(
    ("demand", "charged"),
    [({"by": "capacity", "price_micro": 30_000_000}, 315 * 30_00),
     ({"by": "maximum", "price_micro": 40_000_000}, 2 * 40_00)],
)  # fmt: skip
def test_two_part_price(demand, charged):
    load = month_of_days(0)
    load.energy_milli[3] = 48_000
    (one,) = bill(
        scheme({**FLAT, "demand": demand}), SHANGHAI, load, Household(capacity_w=315_000)
    ).bills
    assert amounts(one, Kind.DEMAND) == [charged]


def test_losses_follow_the_month_and_lose_nothing():
    plan = scheme({**FLAT, "loss_micro": 35_000, "multiplier": 40})
    billed = bill(plan, SHANGHAI, every(1, "2026-01-01T00:00+08:00", "2026-02-01T00:00+08:00", 1))
    # 744 × 40 = 29,760 Wh and 3.5 % of it, 1,041.6, although no interval's own reaches 2.
    assert billed.bills[0].energy_milli == 29_760 + 1_041


def test_the_minimum_is_reached_to_the_coin():
    plan = scheme({**FLAT, "minimum_micro": 5_000_000})
    (one,) = bill(plan, SHANGHAI, month_of_days(101)).bills
    # 3.131 kWh cost 1.8786, that is 1.88; 3.12 are missing.
    assert amounts(one, Kind.MINIMUM) == [3_12]
    assert one.total_minor == 5_00
    (enough,) = bill(plan, SHANGHAI, month_of_days(1_000)).bills
    assert amounts(enough, Kind.MINIMUM) == []


@pytest.mark.parametrize(
    ("included", "net", "tax", "total"),
    # 18.60: of it 13/113 are 2.1398…; on top of it 13 % are 2.418.
    [(True, 16_46, 2_14, 18_60), (False, 18_60, 2_42, 21_02)],
)
def test_tax_is_contained_or_added(included, net, tax, total):
    plan = scheme({**FLAT, "tax": {"rate_micro": 130_000, "included": included}})
    (one,) = bill(plan, SHANGHAI, month_of_days(1_000)).bills
    assert (one.net_minor, one.tax_minor, one.total_minor) == (net, tax, total)


def test_seasons_have_limits_of_their_own_and_large_households_more():
    plan = scheme({
        "seasons": [
            {"name": "summer", "first": "05-01", "last": "10-31", "tables": {"workday": "day"}},
            {"name": "winter", "first": "11-01", "last": "04-30", "tables": {"workday": "day"}},
        ],
        "day_tables": {"day": {"00:00": "flat"}},
        "blocks": {
            "period": "month", "limits_milli": [200_000], "seasonal": {"summer": [260_000]},
            "persons": [{"persons": 5, "add_milli": [100_000]}],
        },
        "prices_micro": {"flat": [500_000, 600_000]},
    })  # fmt: skip
    for month, persons, first in ((1, 4, 200_000), (5, 4, 260_000), (5, 5, 360_000)):
        load = month_of_days(20_000, month=month)
        (one,) = bill(plan, SHANGHAI, load, Household(persons)).bills
        assert [energy for _, energy in energy_of(one)] == [first, 620_000 - first]


def test_seasonal_blocks_begin_again_with_the_season():
    seasons = [
        {"name": "wet", "first": "06-01", "last": "10-31", "tables": {"workday": "day"}},
        {"name": "dry", "first": "11-01", "last": "05-31", "tables": {"workday": "day"}},
    ]
    plan = scheme({
        "seasons": seasons, "day_tables": {"day": {"00:00": "flat"}},
        "blocks": {"period": "season", "limits_milli": [100_000]},
        "prices_micro": {"flat": [500_000, 600_000]},
    })  # fmt: skip
    load = every(24, "2026-05-01T00:00:00+08:00", "2026-07-01T00:00:00+08:00", 10_000)
    may, june = bill(plan, SHANGHAI, load).bills
    assert [energy for _, energy in energy_of(may)] == [100_000, 210_000]
    assert [energy for _, energy in energy_of(june)] == [100_000, 200_000]


@pytest.mark.parametrize("edges", [[(5, 5)], [(5, 4)], [(5, 6), (4, 5)]])
def test_intervals_that_run_backwards_are_refused(edges):
    starts, ends = (np.array(column, np.int64) for column in zip(*edges, strict=True))
    with pytest.raises(OutOfOrder):
        bill(scheme(FLAT), SHANGHAI, Load(starts, ends, np.zeros(len(edges), np.int64)))


def test_a_load_of_several_meters_of_one_household_fills_blocks_together():
    one = every(24, "2026-01-01T00:00:00+08:00", "2026-01-02T00:00:00+08:00", 150_000)
    both = Load(*(np.repeat(column, 2) for column in one))
    (sum_of_both,) = bill(scheme(BLOCKS), SHANGHAI, both).bills
    assert energy_of(sum_of_both) == [(0, 200_000), (1, 100_000)]


def test_what_cannot_be_billed_is_refused():
    none = np.zeros(0, np.int64)
    with pytest.raises(OutOfRange):
        bill(scheme(FLAT), SHANGHAI, Load(none, none, none))
    load = month_of_days(1_000)
    late = scheme({"effective_from": "2026-01-05T00:00:00+08:00", **FLAT})
    with pytest.raises(SchemeNotInForce, match="2025-12-31T16:00"):
        bill(late, SHANGHAI, load)
    by_meter = scheme({
        "band_source": "meter", "bands": ["sharp", "peak", "flat", "valley"],
        "prices_micro": {"sharp": 4, "peak": 3, "flat": 2, "valley": 1},
    })  # fmt: skip
    with pytest.raises(BandsUncounted):
        bill(by_meter, SHANGHAI, load)
    with pytest.raises(OutOfRange):
        bill(scheme({**FLAT, "multiplier": 10**6}), SHANGHAI, month_of_days(10_000))
    with pytest.raises(OutOfRange):
        bill(scheme({"prices_micro": {"flat": 10**9}}), SHANGHAI, month_of_days(10**9))
