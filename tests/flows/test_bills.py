"""What is known only when a billing period has ended is charged then, in whatever order it came."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from meterhouse.flows import (
    bills,
    correct,
    customer,
    device,
    estimate,
    exchange,
    onboard,
    replay,
    settle,
)
from meterhouse.flows import tariff as tariffs
from meterhouse.flows.account import Terms
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.model import Keeper
from meterhouse.rating.bill import bill
from meterhouse.rating.load import Load
from meterhouse.rating.tariff import parse
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from meterhouse.units import to_us
from premises import FLAT, HASTY, MODEL
from replayed import made_replay, silent

SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).astimezone(UTC)


def tariff(_billing=None, **more):
    billing = {"billing": _billing} if _billing else {}
    return FLAT | {"versions": [FLAT["versions"][0] | more]} | billing


async def read(site, *said):
    rows = [(site.meters[0], at(text), round(kwh * 1_000)) for text, kwh in said]
    site.clock.at = max(site.clock.at, *(row[1] for row in rows))
    await site.read(*rows)


async def tend(site):
    return await bills.tend(site.db, Tariffs(), site.project_id, site.clock())


async def billed(site):
    """(beginning, what the bill says, what was charged before in coins, version) of each bill."""
    return [
        (
            f"{row['from_at'].astimezone(SHANGHAI):%m-%d %H}",
            row["total_minor"],
            row["charged_nano"] / 1e7,
            row["version"],
        )
        for row in await site.rows(
            "select distinct on (from_at) * from bill order by from_at, version desc"
        )
        if row["from_at"] < row["to_at"]
    ]


@pytest.fixture
async def site_of(new_site, address):
    async def make(**more):
        site = await new_site(
            rooms=1, tariff=tariff(**more), policy=HASTY | {"estimate_after_h": 1}
        )
        site.clock.at = at("2026-03-01T00:00")
        await site.pay(100_000)
        return site

    yield make
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []


async def shares(site):
    """(kind of household, yuan) of all that anybody was ever charged, bills included."""
    rows = await site.rows(
        """select g.kind, sum(c.amount_nano)::float8 / 1e9 as yuan from (
               select account_id, amount_nano from (select distinct on (ended_at) * from charge
                   order by ended_at, version desc) c
               union all select account_id, amount_nano from (select distinct on (from_at) * from
                   bill order by from_at, version desc) b) c
           join account a on a.id = c.account_id join agreement g on g.id = a.agreement_id
           group by g.id, g.kind order by g.id"""
    )
    return [(row["kind"], round(row["yuan"], 9)) for row in rows]


async def spent(site):
    """What left the purse or will, in yuan."""
    state = await site.state()
    (row,) = await site.rows(
        """select (a.credit_minor - a.debit_minor)::int8 as left_minor from account a
           join point p on p.account_id = a.id where p.id = $1""", site.points[0],
    )  # fmt: skip
    return 1_000 - row["left_minor"] / 100 + state["accrued_nano"] / 1e9


async def test_the_minimum_is_charged_when_the_period_has_ended(site_of):
    site = await site_of(minimum_micro=30_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-03-20T12:00", 10))
    await tend(site)
    assert await billed(site) == []
    await read(site, ("2026-04-01T00:00", 20))
    await tend(site)
    # 20 kWh at 0.60 are 12.00.
    assert await billed(site) == [("03-01 00", 3000, 1200.0, 1)]
    assert await spent(site) == 30.0
    # Nothing waits to be looked at again.
    assert await tend(site) == 0


async def test_a_reading_over_the_end_is_divided_where_the_period_ends(site_of):
    site = await site_of(minimum_micro=30_000_000)
    # Of 20 kWh in 40 days, 31 days lie in March: 15.5 kWh.
    await read(site, ("2026-03-01T00:00", 0), ("2026-04-10T00:00", 20))
    await tend(site)
    assert await billed(site) == [("03-01 00", 3000, 930.0, 1)]
    await read(site, ("2026-05-01T00:00", 60))
    await tend(site)
    assert await billed(site) == [("03-01 00", 3000, 930.0, 1), ("04-01 00", 3000, 2670.0, 1)]
    assert await spent(site) == 60.0


async def test_losses_and_tax_run_along_and_the_bill_makes_them_exact(site_of):
    more = {"loss_micro": 33_333, "tax": {"rate_micro": 60_000, "included": False}}
    site = await site_of(**more)
    await read(site, ("2026-03-01T00:00", 0), ("2026-04-01T00:00", 1_000))
    # 0.60 × 1.033333 × 1.06 is 0.657200; billed are 1,033.333 kWh: 620.00, and 37.20 of tax.
    assert (await site.state())["rated_nano"] == 657_200_000_000
    await tend(site)
    assert await billed(site) == [("03-01 00", 65_720, 65_720.0, 1)]


async def test_demand_is_of_a_quarter_of_an_hour_however_often_one_reads(site_of):
    demand = {"by": "maximum", "price_micro": 10_000_000}
    site = await site_of(demand=demand)
    # 2 kW for an hour, and 1.6 kWh at once: within their quarter 1.1 + 0.9/4 … as energy divides.
    await read(
        site, ("2026-03-01T00:00", 0), ("2026-03-02T00:00", 0), ("2026-03-02T01:00", 2),
        ("2026-03-02T01:00:20", 2.02), ("2026-03-31T00:00", 2.02), ("2026-04-01T00:00", 2.02),
    )  # fmt: skip
    await tend(site)
    # 2.02 kWh at 0.60 are 1.21; 2 kW at 10.00 are 20.00; the 20 seconds at 3.6 kW are no peak.
    assert [one[1] for one in await billed(site)] == [121 + 2_000]


async def test_free_energy_is_carried_on_by_the_bill(site_of):
    free = {"grant": "period", "energy_milli": 10_000, "carries": True}
    site = await site_of(allowance=free, _billing={"proration": "whole"})
    await read(site, ("2026-03-01T00:00", 0), ("2026-05-01T00:00", 24))
    await tend(site)
    # 24 kWh in 61 days: 12.196 in March, all but 2.196 of it free, and nothing is left for April.
    assert await billed(site) == [("03-01 00", 132, 131.76, 1), ("04-01 00", 108, 108.24, 1)]
    # A late reading says that it was 4 in March: 6 are left, so of 20 kWh in April 4 cost 2.40.
    await read(site, ("2026-04-01T00:00", 4))
    await tend(site)
    assert await billed(site) == [("03-01 00", 0, 0.0, 2), ("04-01 00", 240, 600.0, 2)]
    assert await spent(site) == 2.4


FULL = {
    "bands": ["peak", "valley"],
    "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
    "blocks": {"period": "year", "limits_milli": [90_000, 200_000]},
    "prices_micro": {"peak": [600_001, 700_003, 900_007], "valley": [300_001, 400_003, 500_007]},
    "surcharges": [{"name": "funds", "price_micro": 20_001}],
    "standing": {"per": "period", "amount_micro": 7_000_003},
    "minimum_micro": 90_000_000, "loss_micro": 27_182,
    "demand": {"by": "maximum", "price_micro": 3_000_000},
    "tax": {"rate_micro": 60_000, "included": False},
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
async def test_bills_are_what_the_calculator_says_of_the_same_load(site_of, seed):
    billing = {"anchor_day": 5, "anchor_hour": 9, "proration": "days"}
    site = await site_of(_billing=billing, **FULL)
    draw = Random(seed)
    begin, hours = at("2026-03-02T09:00"), 3
    totals, milli = [0], 0
    for _ in range(70 * 24 // hours):
        milli += draw.choice([0, 100, 900, 3_000])
        totals.append(milli)
    told = [(begin + timedelta(hours=hours * place), total) for place, total in enumerate(totals)]
    site.clock.at = told[-1][0]
    draw.shuffle(late := told[1::3])
    await site.read(*((site.meters[0], *one) for one in told if one not in late))
    await tend(site)
    await site.read(*((site.meters[0], *one) for one in late))
    await tend(site)
    edges = np.array([to_us(when) for when, _ in told])
    load = Load(edges[:-1], edges[1:], np.diff(np.array(totals)))
    # Three even hours have no quarter with a higher mean power than they have.
    said = bill(parse(tariff(billing, **FULL)), "Asia/Shanghai", load)
    kept = [(one[0], one[1]) for one in await billed(site)]
    assert [one[1] for one in kept] == [one.total_minor for one in said.bills[:-1]]
    ended = sum(one.total_minor for one in said.bills[:-1])
    assert ended > 3 * 9_000
    assert len(kept) == 3


async def test_who_leaves_has_their_part_and_who_comes_theirs(site_of):
    site = await site_of(minimum_micro=31_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-03-11T00:00", 10))
    guest = await customer.add(site.db, site.project_id, Facts("Next"), "zh-Hans")
    await settle.move_tenants(
        site.db, site.project_id, site.rooms[0].agreement_id, guest, Terms(), Balance.PAY_OUT,
        Leaving("moved away"), None, site.clock(),
    )  # fmt: skip
    # Ten of 31 days of 31.00; the newcomer the other 21.
    assert await shares(site) == [("tenant", 10.0)]
    await read(site, ("2026-04-01T00:00", 10))
    await tend(site)
    assert await shares(site) == [("tenant", 10.0), ("tenant", 21.0)]
    # What comes late of the first one's time is the first one's.
    await site.read((site.meters[0], at("2026-03-05T00:00"), 2_000))
    await tend(site)
    assert await shares(site) == [("tenant", 10.0), ("tenant", 21.0)]


async def test_an_estimate_is_never_billed(site_of):
    site = await site_of(minimum_micro=30_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-03-31T12:00", 40))
    site.clock.at = at("2026-04-02T00:00")
    await estimate.tend(site.db, Tariffs(), site.project_id, site.clock())
    await tend(site)
    assert await billed(site) == []
    await read(site, ("2026-04-02T12:00", 44))
    await tend(site)
    # 41 kWh of March at 0.60 are 24.60.
    assert await billed(site) == [("03-01 00", 3000, 2460.0, 1)]


async def test_any_order_of_a_few_readings_ends_in_the_same_bills(site_of):
    told = [("2026-03-01T00:00", 0), ("2026-03-30T00:00", 5), ("2026-04-03T00:00", 17),
            ("2026-05-02T00:00", 30)]  # fmt: skip
    ends = set()
    for order in permutations(told):
        site = await site_of(minimum_micro=9_000_000, loss_micro=10_000)
        for one in order:
            await read(site, one)
            await tend(site)
        ends.add((*((row[0], row[1], row[2]) for row in await billed(site)), await spent(site)))
    assert len(ends) == 1


async def test_a_tariff_given_in_the_middle_ends_the_bill_there(site_of):
    site = await site_of(minimum_micro=31_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-03-10T12:00", 4))
    site.clock.at = at("2026-03-11T00:00")
    other = await onboard.publish_tariff(site.db, site.project_id, FLAT, None, site.clock())
    row = await device.point(site.db, site.project_id, site.points[0])
    await device.edit_point(
        site.db, site.project_id, site.points[0], row["version"], other, Keeper.PLATFORM,
        site.clock(),
    )  # fmt: skip
    await tend(site)
    assert await billed(site) == []
    await read(site, ("2026-03-11T12:00", 6))
    await tend(site)
    # Ten of 31 days of 31.00, 5 kWh of them at 0.60; the other tariff has no minimum.
    assert await billed(site) == [("03-01 00", 1000, 300.0, 1)]
    await read(site, ("2026-05-01T00:00", 10))
    await tend(site)
    assert await billed(site) == [("03-01 00", 1000, 300.0, 1)]
    assert await spent(site) == pytest.approx(10.0 + 5 * 0.6)


async def test_an_exchanged_meter_ends_no_bill(site_of):
    site = await site_of(minimum_micro=9_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-03-11T00:00", 10))
    new = exchange.Exchange(MODEL, "000000009999", None, 1, (5_000, -1, -1, -1, -1), "worn out")
    done = await exchange.exchange(
        site.db, site.project_id, site.meters[0], new, None, site.clock()
    )
    site.clock.at = at("2026-04-01T00:00")
    await site.read((done.meter_id, site.clock(), 15_000))
    await tend(site)
    assert await billed(site) == [("03-01 00", 1200, 1200.0, 1)]


async def test_a_corrected_minimum_is_billed_anew(site_of):
    site = await site_of(minimum_micro=30_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-04-01T00:00", 20))
    await tend(site)
    since = at("2026-02-20T00:00")
    site.clock.at = at("2026-04-02T00:00")
    body = tariff(minimum_micro=40_000_000)
    body["versions"][0]["effective_from"] = since.isoformat()
    asked, _ = await replay.asked_of_correction(
        site.db, Tariffs(), site.project_id, site.tariff_id, since, body, site.clock()
    )
    replay_id = await made_replay(site.db, site.project_id, asked, site.clock())
    key = site.db, Tariffs(), site.project_id
    swept = await correct.begin(*key, replay_id, "a digit was wrong", None, None, site.clock())
    await correct.sweep(*key, swept, None, site.clock, silent)
    await tend(site)
    assert await billed(site) == [("03-01 00", 4000, 1200.0, 2)]
    assert await spent(site) == 40.0


async def test_a_version_published_later_is_billed_from_its_month_on(site_of):
    site = await site_of()
    await read(site, ("2026-03-01T00:00", 0), ("2026-04-01T00:00", 10))
    assert await tend(site) == 0
    part = {"effective_from": "2026-04-10T00:00:00+08:00", "prices_micro": {"flat": 600_000},
            "minimum_micro": 30_000_000}  # fmt: skip
    await tariffs.publish_version(
        site.db, site.project_id, site.tariff_id, part, None, site.clock()
    )
    await tend(site)
    await read(site, ("2026-05-01T00:00", 20))
    await tend(site)
    # 21 of April's 30 days; 6.00 were used.
    assert await billed(site) == [("04-01 00", 2100, 600.0, 1)]


async def test_what_comes_late_of_one_who_left_is_billed_to_them(site_of):
    site = await site_of(minimum_micro=31_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-03-10T00:00", 9))
    site.clock.at = at("2026-03-11T00:00")
    guest = await customer.add(site.db, site.project_id, Facts("Next"), "zh-Hans")
    told = {"000000000001": (100_000, -1, -1, -1, -1)}
    await settle.move_tenants(
        site.db, site.project_id, site.rooms[0].agreement_id, guest, Terms(), Balance.PAY_OUT,
        Leaving("moved away", told), None, site.clock(),
    )  # fmt: skip
    # Ten days of the minimum are 10.00; 100 kWh cost 60.00.
    assert await shares(site) == [("tenant", 60.0)]
    await tend(site)
    assert await billed(site) == [("03-01 00", 6000, 6000.0, 1)]


async def test_a_reading_after_another_keeper_came_is_billed_to_the_time_before(site_of):
    site = await site_of(minimum_micro=31_000_000)
    await read(site, ("2026-03-01T00:00", 0), ("2026-03-10T12:00", 9))
    site.clock.at = at("2026-03-11T12:00")
    row = await device.point(site.db, site.project_id, site.points[0])
    key = site.db, site.project_id, site.points[0], row["version"], row["tariff_id"]
    await device.edit_point(*key, Keeper.EXTERNAL, site.clock())
    # Nine and a half days: ten began.
    assert await billed(site) == [("03-01 00", 1000, 540.0, 1)]
    await read(site, ("2026-03-12T12:00", 12))
    await tend(site)
    # The interval began while the platform kept the money; two more days did, too.
    assert await billed(site) == [("03-01 00", 1200, 720.0, 2)]
    await read(site, ("2026-05-01T00:00", 40))
    await tend(site)
    assert await billed(site) == [("03-01 00", 1200, 720.0, 2)]
