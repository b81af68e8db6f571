"""What is known only when a billing period has ended is charged then, whatever came in what order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from meterhouse.flows import bills, customer, estimate, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from premises import FLAT, HASTY

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
    return [
        (row["from_at"].astimezone(SHANGHAI).strftime("%m-%d %H"), row["total_minor"],
         row["charged_nano"] / 1e7, row["version"])
        for row in await site.rows(
            "select distinct on (from_at) * from bill order by from_at, version desc")
        if row["from_at"] < row["to_at"]
    ]


@pytest.fixture
async def site_of(new_site, address):
    async def make(**more):
        site = await new_site(rooms=1, tariff=tariff(**more), policy=HASTY | {"estimate_after_h": 1})
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
    # What is looked at again changes nothing.
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
    await read(
        site, ("2026-03-01T00:00", 0), ("2026-04-01T00:00", 4), ("2026-05-01T00:00", 24)
    )  # fmt: skip
    await tend(site)
    # 6 kWh of March are left for April: of 20 kWh 16 are free, 4 cost 2.40; 6.00 were charged.
    assert await billed(site) == [("03-01 00", 0, 0.0, 1), ("04-01 00", 240, 600.0, 1)]
    # A late reading that says more was used in March takes them away again.
    await site.read((site.meters[0], at("2026-03-31T00:00"), 10_000))
    await site.read((site.meters[0], at("2026-03-15T00:00"), 9_000))
    await tend(site)
    print(await billed(site))


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
    site = await site_of(minimum_micro=9_000_000, loss_micro=10_000)
    told = [("2026-03-01T00:00", 0), ("2026-03-30T00:00", 5), ("2026-04-03T00:00", 17),
            ("2026-05-02T00:00", 30)]  # fmt: skip
    ends = set()
    for meter, order in enumerate(permutations(told)):
        del meter
        fresh = await site_of(minimum_micro=9_000_000, loss_micro=10_000)
        for one in order:
            await read(fresh, one)
            await tend(fresh)
        rows = await fresh.rows(
            "select distinct on (from_at) from_at, to_at, total_minor from bill b"
            " where project_id = $1 order by from_at, version desc", fresh.project_id)
        state = await fresh.state()
        ends.add((str([tuple(r.values()) for r in rows if r["from_at"] < r["to_at"]]), state["rated_nano"]))
    assert len(ends) == 1, ends
