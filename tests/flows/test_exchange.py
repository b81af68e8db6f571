"""A meter is given for another: energy, money and block position go on as if nothing had been."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from meterhouse.flows import access, device, exchange, lastread, monitor, onboard
from meterhouse.flows.exchange import Exchange
from meterhouse.store import proofs
from meterhouse.store.recharges import RechargeLive
from premises import HOMES, MODEL, build_site
from street import ORDER, build_street

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


async def test_no_meter_leaves_while_money_is_on_its_way_into_it(db, clock):
    street = await build_street(db, clock, credit_minor=1_000, purchase_count=6)
    await street.read()
    await street.pay(500)
    with pytest.raises(RechargeLive):
        await swap(street.site, by(street.site, model=ORDER))
    await street.run()
    clock.step(minutes=1)
    await swap(street.site, by(street.site, model=ORDER, credit_minor=1_500))


async def test_money_in_the_old_meter_follows_into_the_new_one(db, clock):
    street = await build_street(db, clock, credit_minor=5_000, purchase_count=6)
    await street.read()
    clock.step(hours=2)
    closing_milli = (await street.site.state())["good_0_milli"]
    new = by(street.site, closing_milli, model=ORDER)
    with pytest.raises(exchange.CreditUnsaid):
        await swap(street.site, new)
    with pytest.raises(exchange.CreditBeyond):
        await swap(street.site, replace(new, credit_minor=5_001))
    done = await swap(street.site, replace(new, credit_minor=4_200))
    assert done.moved_minor == 4_200
    assert await street.balances() == {"in_flight": 4_200, "revenue": 800, "opening": -5_000}
    sent = await street.site.row("select meter_id, amount_minor, state from recharge")
    assert sent == {"meter_id": done.meter_id, "amount_minor": 4_200, "state": "reserved"}
    await holds(street.site)


async def test_what_the_display_of_a_meter_never_read_shows_is_taken_over(db, clock):
    street = await build_street(db, clock, credit_minor=5_000, purchase_count=6)
    new = by(street.site, 0, model=ORDER)
    with pytest.raises(exchange.CreditUnsaid):
        await swap(street.site, new)
    with pytest.raises(exchange.CreditBeyond):
        await swap(street.site, replace(new, credit_minor=10**9))
    done = await swap(street.site, replace(new, credit_minor=5_000))
    assert done.moved_minor == 5_000
    assert await street.balances() == {"in_flight": 5_000, "opening": -5_000}
    await holds(street.site)


@pytest.mark.parametrize(("said_minor", "needs"), [(0, True), (4_000, False), (4_900, True)])
async def test_a_second_person_agrees_to_what_is_far_from_what_was_rated(
    db, clock, said_minor, needs
):
    street = await build_street(db, clock, credit_minor=5_000, purchase_count=6)
    site = street.site
    await site.rows(
        """update project set policy = policy || '{"refund_second_minor": 500}'
           returning id"""
    )
    await street.read()
    clock.step(hours=2)
    # Sixteen kWh since, at 0.60: the platform expects 50.00 less 9.60.
    closing_milli = (await site.state())["good_0_milli"] + 16_000
    new = by(site, closing_milli, model=ORDER, credit_minor=said_minor)

    async def agreed(second_id):
        return await exchange.exchange(
            db, site.project_id, site.meters[0], new, None, clock(), second_id
        )

    if needs:
        with pytest.raises(exchange.CreditNeedsSecond, match=r"40\.40"):
            await agreed(None)
        second_id = await access.add_person(
            db, "two", "Two", "a-long-enough-password", "finance", "platform", 0, clock()
        )
    else:
        second_id = None
    assert (await agreed(second_id)).moved_minor == said_minor
    await holds(site)


async def test_money_stays_in_the_purse_where_the_new_meter_takes_none(db, clock):
    street = await build_street(db, clock, credit_minor=5_000, purchase_count=6)
    await street.read()
    done = await swap(street.site, by(street.site))
    assert done.moved_minor == 5_000
    assert (await street.balances())["purse"] == 5_000
    assert not await street.site.rows("select from recharge")
    await holds(street.site)


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
