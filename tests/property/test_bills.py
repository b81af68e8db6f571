"""Bills against the oracle: random schemes with everything a scheme can charge, random loads.

Each case is made from its number alone, so a failure is repeated by its number. The test command
runs the first 300; `METERHOUSE_SOAK=1` runs 100,000, or as many as `METERHOUSE_SOAK_CASES` says.
"""

import os
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random

import numpy as np

from meterhouse.rating.bill import Billed, Household, bill
from meterhouse.rating.load import Load
from meterhouse.rating.tariff import dump, parse
from meterhouse.units import to_us
from oracle.bill_oracle import BillOracle
from oracle.rating_oracle import Position

SOAK = os.environ.get("METERHOUSE_SOAK") == "1"
CASES = int(os.environ.get("METERHOUSE_SOAK_CASES", "100000")) if SOAK else 300
QUARTER_US = 15 * 60_000_000
MINUTE_US = 60_000_000
# Around these instants clocks change, months, years and seasons begin, or midnight is skipped.
MOMENTS = [
    ("Asia/Shanghai", "2026-01-31T16:00:00+00:00"),
    ("Asia/Shanghai", "2025-12-31T16:00:00+00:00"),
    ("Asia/Shanghai", "2026-09-30T16:00:00+00:00"),
    ("Europe/Berlin", "2026-03-29T01:00:00+00:00"),
    ("Europe/Berlin", "2026-10-25T01:00:00+00:00"),
    ("America/New_York", "2026-11-01T06:00:00+00:00"),
    ("America/New_York", "2026-03-08T07:00:00+00:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
    ("America/Asuncion", "2017-10-01T04:00:00+00:00"),
    ("America/St_Johns", "2009-11-01T02:31:00+00:00"),
    ("Asia/Kathmandu", "2026-02-28T18:15:00+00:00"),
]
BANDS = ["sharp", "peak", "flat", "valley", "deep_valley", "six", "seven", "eight"]


def some_day_table(random: Random, bands: list[str], is_coarse: bool) -> dict:
    minutes = {0, *random.sample([510, 690, 1050, 1350], random.randint(0, 4))}
    count = random.randint(0, 4)
    minutes |= set(random.sample(range(0, 1440, 15) if is_coarse else range(1440), count))
    return {f"{m // 60:02}:{m % 60:02}": random.choice(bands) for m in sorted(minutes)}


def some_limits(random: Random, count: int, energy: int) -> list[int]:
    return sorted(random.sample(range(1, max(energy, 20)), count))


def some_blocks(random: Random, energy: int) -> dict:
    count = random.choice([0, 1, 2, 2, 3, 7])
    blocks = {
        "period": random.choice(["none", "month", "month", "year", "season"]),
        "fill": random.choice(["chronological", "chronological", "pro_rata"]),
        "limits_milli": some_limits(random, count, energy),
    }
    if random.random() < 0.3:
        blocks["seasonal"] = {"warm": some_limits(random, count, energy)}
    if random.random() < 0.3:
        steps = sorted(random.sample(range(1, 9), random.randint(1, 3)))
        blocks["persons"] = [
            {"persons": step, "add_milli": [random.randint(0, 9_000)] * count} for step in steps
        ]
    if random.random() < 0.1:
        blocks["counted"] = "household"
    return blocks


def some_charges(random: Random, energy: int) -> dict:
    """Each of them with its own chance; together, alone, or none."""
    often = random.choice([0, 0.3, 0.6])
    said: dict = {
        "surcharges": [
            {"name": name, "price_micro": random.randint(-50_000, 90_000)}
            for name in random.sample(["funds", "renewables", "rebate"], random.randint(1, 3))
        ],
        "standing": {
            "per": random.choice(["day", "period"]),
            "amount_micro": random.randint(1, 30_000_000),
        },
        "minimum_micro": random.choice([1, 5_000_000, random.randint(1, 10**9)]),
        "allowance": {
            "grant": "once", "energy_milli": random.randint(1, energy + 1),
            "per_person": random.random() < 0.4,
        },
        "demand": {
            "by": random.choice(["capacity", "maximum"]),
            "price_micro": random.randint(1, 40_000_000),
        },
        "multiplier": random.choice([1, 2, 40]),
        "loss_micro": random.choice([1, 30_000, 1_000_000, random.randint(0, 999_999)]),
        "tax": {"rate_micro": random.choice([60_000, 130_000]), "included": random.random() < 0.5},
    }  # fmt: skip
    if random.random() < 0.6:
        said["allowance"] |= {"grant": "period", "carries": random.random() < 0.5}
    return {name: what for name, what in said.items() if random.random() < often}


def some_price(random: Random) -> int:
    return random.choice([0, random.randint(0, 3_000_000), random.randint(0, 10**8)])


def some_version(random: Random, begins: datetime, energy: int, is_coarse: bool) -> dict:
    bands = random.sample(BANDS, random.choice([1, 1, 2, 3, 4, 8]))
    blocks = some_blocks(random, energy)
    count = len(blocks["limits_milli"]) + 1
    first, last = random.choice([("04-01", "09-30"), ("10-01", "02-29"), ("11-01", "02-28")])
    after = {"09-30": "10-01", "02-29": "03-01", "02-28": "02-29"}[last]
    before = {"04-01": "03-31", "10-01": "09-30", "11-01": "10-31"}[first]
    return {
        "effective_from": begins.isoformat(),
        "bands": bands,
        "day_tables": {
            "one": some_day_table(random, bands, is_coarse),
            "two": some_day_table(random, bands, is_coarse),
        },
        "seasons": [
            {"name": "warm", "first": first, "last": last,
             "tables": {"workday": "one", "weekend": "two"}},
            {"name": "cold", "first": after, "last": before,
             "tables": {"workday": "two", "holiday": "one", "makeup_workday": "one"}},
        ],
        "weekend": random.choice([[6, 7], [7], []]),
        "special_days": {"2026-10-01": "holiday", "2026-02-01": "makeup_workday"},
        "blocks": blocks,
        "prices_micro": {
            band: some_price(random)
            if random.random() < 0.5
            else [some_price(random) for _ in range(count)]
            for band in bands
        },
        "adders_micro": [random.randint(0, 500_000) for _ in range(count)],
        **some_charges(random, energy),
    }  # fmt: skip


def some_edges(random: Random, moment_us: int, is_coarse: bool) -> list[int]:
    """Where intervals begin and end; some straddle days, some months, some nothing."""
    if is_coarse:
        span_us, step = random.choice([2, 8, 40]) * 96 * QUARTER_US, QUARTER_US
        lengths = random.choice([[4], [2], [96], [1, 4, 96, 700]])
    else:
        span_us, step = random.choice([1, 30]) * 60 * MINUTE_US, MINUTE_US
        lengths = random.choice([[30], [15, 30, 97, 555], [7]])
    most = random.choice([5, 40, 150])
    edges = [moment_us - random.randrange(0, span_us // step) * step]
    if not is_coarse:
        edges[0] += random.choice([0, random.randrange(MINUTE_US)])
    while edges[-1] < moment_us + span_us // 2 and len(edges) <= most:
        edges.append(edges[-1] + random.choice(lengths) * step)
    return edges if len(edges) > 1 else [edges[0], edges[0] + lengths[0] * step]


def some_case(number: int):
    """A scheme, a zone, a household, a load and coins."""
    random = Random(number)
    is_coarse = random.random() < 0.6
    zone, text = random.choice(MOMENTS)
    moment = datetime.fromisoformat(text)
    edges = some_edges(random, to_us(moment), is_coarse)
    most = random.choice([50, 5_000, 60_000])
    energies = [random.choice([0, random.randint(0, most), most]) for _ in edges[1:]]
    begins = [moment - timedelta(days=400)]
    if random.random() < 0.4:
        quarters = random.randint(-200, 200)
        begins.append(moment + timedelta(minutes=15 * quarters, seconds=random.choice([0, 0, 431])))
    versions = [some_version(random, at.astimezone(UTC), sum(energies), is_coarse) for at in begins]
    scheme = {"name": "random", "commodity": "electricity", "currency": "CNY",
              "versions": versions}  # fmt: skip
    if random.random() < 0.6:
        scheme["billing"] = {
            "anchor_day": random.choice([1, 1, 5, 25, 28]),
            "anchor_hour": random.choice([0, 0, 2, 9, 23]),
            "proration": random.choice(["days", "whole", "full_only"]),
        }
    household = Household(random.randint(1, 9), random.choice([0, 315_000]))
    step_us = QUARTER_US if is_coarse and zone != "America/St_Johns" else MINUTE_US
    return scheme, zone, edges, energies, household, random.choice([0, 2, 2, 3]), step_us


def lines_of(one) -> dict:
    """A bill's lines by their key; lines of one key added up."""
    found: dict = {}
    for line in one.lines:
        key = (line.kind.value, line.name, line.version, line.block)
        assert key not in found, key
        found[key] = (Fraction(line.amount_nano, 10**9), line.amount_minor)
    return {key: each for key, each in found.items() if each != (0, 0)}


def check(number: int) -> None:
    scheme, zone, edges, energies, household, exponent, step_us = some_case(number)
    load = Load(np.array(edges[:-1]), np.array(edges[1:]), np.array(energies, np.int64))
    plan = parse(scheme)
    assert parse(dump(plan)) == plan, number
    billed = bill(plan, zone, load, household, currency_exponent=exponent)
    oracle = BillOracle(
        scheme, zone, household.persons, household.capacity_w, exponent, step_us
    )  # fmt: skip
    position = Position()
    rows = list(zip(edges[:-1], edges[1:], energies, strict=True))
    bills, costs = oracle.bills(rows, position)
    assert len(bills) == len(billed.bills), number
    for expected, found in zip(bills, billed.bills, strict=True):
        wanted = {key: each for key, each in expected.lines.items() if each != (0, 0)}
        assert lines_of(found) == wanted, number
        assert (found.net_minor, found.tax_minor, found.total_minor) == (
            expected.net, expected.tax, expected.total,
        ), number  # fmt: skip
    assert billed.interval_nano.tolist() == [cost * 10**9 for cost in costs], number
    after = (position.used_milli, position.period_us, oracle.kept)
    told = billed.after
    assert (told.block_milli, told.block_period_us, told.kept_milli) == after, number
    adds_up(billed, number, exponent)


def adds_up(billed: Billed, number: int, exponent: int) -> None:
    """Interval charges, day totals and bill lines are the same money; so is the energy."""
    of_use = sum(
        line.amount_nano
        for one in billed.bills
        for line in one.lines
        if line.kind in ("energy", "surcharge")
    )
    assert int(billed.interval_nano.sum()) == int(billed.day_nano.sum()) == of_use, number
    energy = sum(one.energy_milli for one in billed.bills)
    assert energy == int(billed.billed_milli.sum()) == int(billed.day_milli.sum()), number
    for one in billed.bills:
        exact = sum(line.amount_nano for line in one.lines if line.kind != "tax")
        coins = sum(line.amount_minor for line in one.lines if line.kind != "tax")
        assert coins * 10 ** (9 - exponent) - exact == one.rounding_nano, number


def test_bills_agree_with_the_oracle_to_the_last_nano():
    for number in range(CASES):
        check(number)
