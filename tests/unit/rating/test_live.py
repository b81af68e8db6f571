"""What can be charged while energy flows, and what is refused; both by the bill's own figures."""

from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from meterhouse.rating.bill import Household, Kind, bill
from meterhouse.rating.explained import explain_interval
from meterhouse.rating.kernel import Intervals, rate_intervals
from meterhouse.rating.live import live
from meterhouse.rating.load import Load
from meterhouse.rating.periods import day_starts, zone_of
from meterhouse.rating.tariff import TariffInvalid, parse
from meterhouse.rating.timeline import compile_timeline, pack
from meterhouse.units import to_us

ZONE = "Asia/Shanghai"
FLAT = {"effective_from": "2026-01-01T00:00:00+08:00", "prices_micro": {"flat": 500_000}}
BANDED = {
    "bands": ["peak", "valley"],
    "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
    "prices_micro": {"peak": [600_000, 900_000], "valley": [300_000, 400_000]},
}
MONTHLY = {"blocks": {"period": "month", "limits_milli": [40_000]}}
SEASONAL = {
    "blocks": {"period": "month", "limits_milli": [40_000], "seasonal": {"warm": [60_000]}},
    "seasons": [
        {"name": "warm", "first": "02-10", "last": "09-30", "tables": {"workday": "day"}},
        {"name": "cold", "first": "10-01", "last": "02-09", "tables": {"workday": "day"}},
    ],
}
TWO = {"flat": [500_000, 700_000]}
FREE = {"grant": "period", "energy_milli": 30_000}
BESIDE = {"allowance", "surcharges"}
WHOLE = {"proration": "whole", "anchor_day": 5, "anchor_hour": 9}
LIVE = {
    "surcharges": {"surcharges": [{"name": "funds", "price_micro": 20_000}]},
    "a rebate within blocks": {
        **MONTHLY, "prices_micro": TWO, "surcharges": [{"name": "rebate", "price_micro": -10_000}],
    },
    "free each month": {"allowance": FREE},
    "free each month before blocks": {**MONTHLY, "prices_micro": TWO, "allowance": FREE},
    "free each month, by bands, seasons and with surcharges": {
        **BANDED, **SEASONAL, "allowance": FREE,
        "surcharges": [{"name": "funds", "price_micro": 20_000}],
    },
    "free once": {"allowance": {"grant": "once", "energy_milli": 70_000}},
    "free once before blocks that never end": {
        "blocks": {"limits_milli": [90_000]}, "prices_micro": TWO,
        "allowance": {"grant": "once", "energy_milli": 70_000},
    },
    "tax contained": {"tax": {"rate_micro": 130_000, "included": True}},
}  # fmt: skip

STEPS = [{"persons": 5, "add_milli": [10_000]}, {"persons": 7, "add_milli": [25_000]}]
BY_PERSONS = {
    "steps": {"blocks": {**MONTHLY["blocks"], "persons": STEPS}, "prices_micro": TWO},
    "free for each": {"allowance": {**FREE, "energy_milli": 9_000, "per_person": True}},
    "steps before which the room has something free": {
        "blocks": {**MONTHLY["blocks"], "persons": STEPS}, "prices_micro": TWO, "allowance": FREE,
    },
    "steps and free for each, by bands and seasons": {
        **BANDED, **SEASONAL, "blocks": {**SEASONAL["blocks"], "persons": STEPS},
        "day_tables": {"day": {"00:00": "valley", "08:00": "peak", "22:00": "valley"}},
        "allowance": {**FREE, "energy_milli": 5_000, "per_person": True},
        "surcharges": [{"name": "funds", "price_micro": 20_000}],
    },
}  # fmt: skip


def scheme(version, **header):
    said = {"name": "x", "commodity": "electricity", "currency": "CNY", "billing": WHOLE, **header}
    return parse({**said, "versions": [{**FLAT, **version}]})


def load(hours: int = 24 * 60) -> Load:
    """Two months of hours, from 20 January on, the same every time."""
    first_us = to_us(parse({"name": "x", "commodity": "water", "currency": "CNY", "versions": [
        {**FLAT, "effective_from": "2026-01-20T00:00:00+08:00"}
    ]}).versions[0].effective_from)  # fmt: skip
    edges = first_us + np.arange(hours + 1, dtype=np.int64) * 3_600_000_000
    random = Random(5)
    energy = np.array([random.randrange(400) for _ in range(hours)], np.int64)
    return Load(edges[:-1], edges[1:], energy)


def running(plan, used, persons=1):
    """The load as it runs along with the readings of a household."""
    span = int(used.start_us[0]), int(used.end_us[-1])
    zeros = np.zeros(len(used.start_us), np.int64)
    return rate_intervals(
        pack([compile_timeline(live(plan).of_household(persons), ZONE, *span)]),
        Intervals(
            zeros, zeros, used.start_us, used.end_us, used.energy_milli,
            np.full((len(zeros), 4), -1, np.int64),
        ),
        np.zeros(1, np.int64), np.zeros(1, np.int64),
    )  # fmt: skip


@pytest.mark.parametrize("version", LIVE.values(), ids=LIVE)
def test_what_runs_along_costs_interval_by_interval_what_the_bill_says(version):
    plan, used = scheme(version), load()
    billed = bill(plan, ZONE, used)
    rated = running(plan, used)
    assert rated.amount_nano.tolist() == billed.interval_nano.tolist()
    # Without what is charged beside energy it costs something else, where anything is.
    plain = {name: what for name, what in version.items() if name not in BESIDE}
    assert (plain == version) == (
        bill(scheme(plain), ZONE, used).interval_nano.sum() == rated.amount_nano.sum()
    )


@pytest.mark.parametrize("version", BY_PERSONS.values(), ids=BY_PERSONS)
def test_a_household_runs_along_by_its_persons_as_its_bill_says(version):
    plan, used = scheme(version), load()
    sums = []
    for persons in (1, 2, 4, 5, 7, 100):
        rated = running(plan, used, persons)
        billed = bill(plan, ZONE, used, Household(persons))
        assert rated.amount_nano.tolist() == billed.interval_nano.tolist()
        alike = live(plan).alike(persons)
        assert alike <= persons
        assert live(plan).of_household(alike) == live(plan).of_household(persons)
        sums.append(int(rated.amount_nano.sum()))
    # More persons pay less for the same, and some of them truly do.
    assert sums == sorted(sums, reverse=True)
    assert sums[0] > sums[-1]


def test_a_scheme_that_counts_no_persons_is_the_same_for_all():
    plan = live(scheme({**MONTHLY, "prices_micro": TWO, "allowance": FREE}))
    assert not plan.counts_persons
    assert plan.alike(100) == 1
    assert live(scheme(BY_PERSONS["steps"])).counts_persons


@pytest.mark.parametrize("anchor", [{}, {"anchor_day": 5, "anchor_hour": 9}])
@pytest.mark.parametrize("per", ["day", "period"])
def test_a_standing_charge_runs_along_and_adds_up_to_the_bill(per, anchor):
    # A tenth of a coin, so that no day's part is a whole Nano; the price changes within a period.
    versions = [
        {**FLAT, "standing": {"per": per, "amount_micro": 7_000_001}},
        {**FLAT, "effective_from": "2026-02-11T15:00:00+08:00",
         "standing": {"per": per, "amount_micro": 9_000_004}},
    ]  # fmt: skip
    plan = parse({
        "name": "x", "commodity": "electricity", "currency": "CNY",
        "billing": {"proration": "days", **anchor}, "versions": versions,
    })  # fmt: skip
    used = load()
    billed = bill(plan, ZONE, used)
    lines = [line for each in billed.bills for line in each.lines if line.kind is Kind.STANDING]
    standing_nano = sum(line.amount_nano for line in lines)
    assert len({line.version for line in lines}) == 2
    rated = running(plan, used)
    assert rated.amount_nano.sum() == billed.interval_nano.sum() + standing_nano
    added = rated.amount_nano - billed.interval_nano
    days = day_starts(plan.billing, zone_of(ZONE), int(used.start_us[0]), int(used.end_us[-1]))
    begins = np.isin(used.start_us, days)
    assert (added > 0).tolist() == begins.tolist()


def test_an_interval_pays_for_the_days_that_begin_in_it_and_says_so():
    plan = live(scheme({"standing": {"per": "day", "amount_micro": 250_000}}, billing={}))
    span = to_us(datetime(2026, 3, 1, 4, tzinfo=UTC)), to_us(datetime(2026, 3, 4, 4, tzinfo=UTC))
    timeline = compile_timeline(plan, ZONE, *span)
    lines = explain_interval(timeline, *span, 2_000)
    assert [(line.block, line.energy_milli, line.amount_nano) for line in lines] == [
        (0, 2_000, 1_000_000_000), *[(-1, 0, 250_000_000)] * 3
    ]  # fmt: skip
    # Whoever has the meter when a day begins pays for it; no day is paid twice, none is left out.
    edges = [span[0], timeline.due_us[1], timeline.due_us[1] + 1, span[1]]
    parts = [
        sum(line.amount_nano for line in explain_interval(timeline, int(low), int(high), 0))
        for low, high in pairwise(edges)
    ]
    assert parts == [250_000_000, 250_000_000, 250_000_000]


def test_a_charge_by_the_period_runs_along_by_days_alone():
    monthly = {"standing": {"per": "period", "amount_micro": 5}}
    assert live(scheme(monthly, billing={"proration": "days"})).versions[0].charges.standing
    with pytest.raises(TariffInvalid) as caught:
        live(scheme(monthly))
    assert caught.value.facts["path"] == "$.billing.proration"


def test_a_scheme_of_bands_and_blocks_runs_as_it_is():
    plan = scheme({**BANDED, **MONTHLY})
    assert live(plan) == plan


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ({"standing": {"per": "day", "amount_micro": 10**11 + 1}}, "standing.amount_micro"),
        ({"minimum_micro": 1}, "minimum_micro"),
        ({"demand": {"by": "maximum", "price_micro": 1}}, "demand"),
        ({"multiplier": 2}, "multiplier"),
        ({"loss_micro": 1}, "loss_micro"),
        ({"tax": {"rate_micro": 1, "included": False}}, "tax.included"),
        ({"surcharges": [{"name": "rebate", "price_micro": -500_001}]}, "surcharges"),
        ({"blocks": {"counted": "household"}}, "blocks.counted"),
        ({"allowance": {"grant": "once", "energy_milli": 1, "per_person": True}},
         "allowance.per_person"),
        ({"allowance": {**FREE, "carries": True}}, "allowance.carries"),
        ({"allowance": {"grant": "once", "energy_milli": 1}, **MONTHLY, "prices_micro": TWO},
         "allowance.grant"),
        ({"allowance": FREE, "prices_micro": TWO,
          "blocks": {"period": "year", "limits_milli": [9]}}, "allowance"),
        ({"allowance": FREE, **BANDED, "prices_micro": {"peak": 2, "valley": 1},
          "blocks": {"fill": "pro_rata"}}, "allowance"),
        ({"allowance": FREE, "prices_micro": {"flat": list(range(8))},
          "blocks": {"period": "month", "limits_milli": list(range(1, 8))}}, "allowance"),
    ],
)  # fmt: skip
def test_what_cannot_run_along_is_refused_by_its_path(version, path):
    with pytest.raises(TariffInvalid) as caught:
        live(scheme(version))
    assert caught.value.facts["path"] == f"$.versions[0].{path}"


def test_free_energy_of_a_part_of_a_period_is_refused():
    with pytest.raises(TariffInvalid) as caught:
        live(scheme({"allowance": FREE}, billing={"proration": "days"}))
    assert caught.value.facts["path"] == "$.billing.proration"
