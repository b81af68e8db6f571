"""A meter is given for another: energy, money and block position go on as if nothing had been."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meterhouse.flows import device, exchange, lastread, monitor, onboard
from meterhouse.flows.exchange import Exchange
from meterhouse.model import Keeper
from meterhouse.store import proofs
from premises import HOMES, MODEL, build_site

SITES = count(1)


def by(site, closing_milli=None, **changes):
    """An exchange of the first room's meter; closing registers by hand where they are given."""
    hand = {} if closing_milli is None else {"1": (closing_milli, -1, -1, -1, -1)}
    new = Exchange(
        MODEL, "900", site.gateway_id, 1, (500, -1, -1, -1, -1), "the display is broken", hand
    )
    return replace(new, **changes)


async def swap(site, new, room=0):
    return await exchange.exchange(
        site.db, site.project_id, site.meters[room], new, None, site.clock()
    )


async def holds(site):
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


async def test_reports_go_on_over_the_exchange_and_old_frames_are_laid_aside(new_site):
    site = await new_site(rooms=1)
    await site.say(1_000)
    site.clock.step(minutes=30)
    await site.say(3_000)
    site.clock.step(minutes=5)
    done = await swap(site, by(site, 3_500))
    assert (done.closing.source, done.closing.milli[0]) == ("hand", 3_500)
    late = await site.read((site.meters[0], site.clock.step(minutes=5), 9_000))
    assert (late.fresh, late.unplaced) == (0, 1)
    site.clock.step(minutes=30)
    await site.read((done.meter_id, site.clock(), 2_500))
    days = await monitor.room(
        site.db, site.project_id, site.rooms[0].place_id, "Asia/Shanghai", site.clock()
    )
    energy = await site.row("select sum(energy_milli)::int8 as milli from charge")
    assert energy["milli"] == 2_500 + 2_000
    assert days.points[0].meter_id == done.meter_id
    kept = await site.row("select * from exchange")
    assert (kept["closing_milli"][0], kept["opening_milli"][0]) == (3_500, 500)
    assert kept["reason"] == "the display is broken"
    await holds(site)


async def test_a_reading_by_wire_of_a_moment_ago_closes_the_old_meter(new_site):
    site = await new_site(rooms=1)
    await site.say(1_000)
    site.clock.step(minutes=30)
    await site.say(3_000)
    site.clock.step(minutes=16)
    with pytest.raises(lastread.LastReadingMissing):
        await swap(site, by(site))
    await site.say(4_000)
    done = await swap(site, by(site))
    assert (done.closing.source, done.closing.milli[0]) == ("wire", 4_000)


async def test_another_multiplier_counts_from_the_new_meter_on(new_site):
    site = await new_site(rooms=1, multiplier=10)
    await site.say(1_000)
    site.clock.step(minutes=30)
    await site.say(2_000)
    done = await swap(site, by(site, multiplier=40))
    site.clock.step(minutes=30)
    await site.read((done.meter_id, site.clock(), 1_500))
    rows = await site.rows("select energy_milli from charge order by ended_at")
    assert [row["energy_milli"] for row in rows] == [10_000, 40_000]
    await holds(site)


async def test_a_meter_that_waits_on_the_line_is_taken(new_site):
    site = await new_site(rooms=1)
    (waiting,) = await onboard.add_meters(
        site.db, site.project_id, site.gateway_id, [("900", MODEL)], site.clock()
    )
    await site.say(1_000)
    done = await swap(site, by(site))
    assert done.meter_id == waiting
    old = await device.meter(site.db, site.project_id, site.meters[0])
    assert old["removed_at"] == site.clock()
    with pytest.raises(exchange.MeterNotHung):
        await swap(site, by(site, address="901"))


async def test_no_meter_leaves_while_money_is_on_its_way_into_it(new_site):
    site = await new_site(rooms=1, keeper=Keeper.METER)
    await site.say(1_000)
    await site.rows(
        """with y as (insert into payment (project_id, agreement_id, account_id, channel,
               amount_minor, key, created_at)
               select p.project_id, a.agreement_id, a.id, 'cash', 100, 'k', now() from point p
               join account a on a.id = p.account_id returning *)
           insert into recharge (project_id, payment_id, point_id, meter_id, wallet_epoch, number,
               order_number, amount_minor, state, created_at)
           select y.project_id, y.id, $1, $2, 1, 1, '1', 100, 'unknown', now() from y
           returning id""",
        site.points[0], site.meters[0],
    )  # fmt: skip
    with pytest.raises(exchange.RechargeUnderWay):
        await swap(site, by(site))


async def test_money_in_the_old_meter_comes_back_and_what_it_ate_is_earned(new_site):
    site = await new_site(rooms=1, keeper=Keeper.METER)
    await site.say(1_000)
    await site.rows(
        """with o as (insert into account (project_id, kind, unit, agreement_id, compartment,
               floor_minor, credit_minor) select project_id, 'on_meter', 'CNY', agreement_id,
               'electricity', null, 5000 from account where id = (select account_id from point)
               returning *),
           t as (insert into transfer (project_id, debit_account_id, credit_account_id,
               amount_minor, state, kind, created_at) select o.project_id, c.id, o.id, 5000,
               'posted', 'apply', now() from o join account c on c.kind = 'cash' returning *)
           update account c set debit_minor = debit_minor + 5000 from t
           where c.id = t.debit_account_id returning c.id"""
    )
    with pytest.raises(exchange.CreditUnsaid):
        await swap(site, by(site))
    with pytest.raises(exchange.CreditBeyond):
        await swap(site, by(site, credit_minor=5_001))
    done = await swap(site, by(site, credit_minor=4_200))
    assert done.moved_minor == 4_200
    sums = await site.rows(
        "select kind, (credit_minor - debit_minor)::int8 as minor from account"
        " where kind in ('on_meter', 'revenue', 'purse') and credit_minor > 0 order by kind"
    )
    assert [(row["kind"], row["minor"]) for row in sums] == [
        ("on_meter", 0),
        ("purse", 4_200),
        ("revenue", 800),
    ]
    await holds(site)


STEPS = st.lists(st.integers(0, 9_000), min_size=1, max_size=3)


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.generate],
)
@given(before=STEPS, after=STEPS, first=st.integers(0, 10**8), opens=st.integers(0, 10**8))
async def test_an_exchanged_meter_costs_what_an_unbroken_one_costs(
    db, clock, before, after, first, opens
):
    """Two rooms use alike through time bands and blocks; one of them changes its meter midway."""
    site = await build_site(db, clock, rooms=2, tariff=HOMES, name=f"site {next(SITES)}")
    steady, total = first, first
    await site.say(total, 0)
    await site.say(steady, 1)
    meter_id = site.meters[0]
    for part, steps in enumerate((before, after)):
        if part:
            site.clock.step(minutes=1)
            await site.say(steady, 1)
            new = by(site, total, opening_milli=(opens, -1, -1, -1, -1), credit_minor=None)
            meter_id, total = (await swap(site, new)).meter_id, opens
        for used in steps:
            site.clock.step(minutes=30)
            total, steady = total + used, steady + used
            at = site.clock()
            await site.read((meter_id, at, total), (site.meters[1], at, steady))
    states = [await site.state(0), await site.state(1)]
    for name in ("rated_nano", "accrued_nano", "block_milli", "block_period_at"):
        assert states[0][name] == states[1][name], name
    rows = await site.rows(
        """select point_id, sum(energy_milli)::int8 as milli, min(energy_milli) as least
           from charge where project_id = $1 group by 1 order by 1""",
        site.project_id,
    )
    used_milli = sum(before) + sum(after)
    assert [row["milli"] for row in rows] == [used_milli, used_milli]
    assert all(row["least"] >= 0 for row in rows)
    await holds(site)
