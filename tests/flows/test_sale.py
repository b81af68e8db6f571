"""Selling at the desk: what is asked before money is taken, what is taken, and where it lies."""

import asyncio

import pytest

from meterhouse.errors import Conflict, NotFound
from meterhouse.flows import desk, onboard, project, sale
from meterhouse.flows.sale import Wish
from meterhouse.model import Keeper, Relay
from meterhouse.store.projects import Payee
from meterhouse.units import Milli, Minor
from premises import HOMES


def wish(amount_minor=5_000, key="k-1", **more):
    given = {"energy_milli": None, "channel": "cash", "tender_minor": None, "reason": ""} | more
    return Wish(None if amount_minor is None else Minor(amount_minor), key=key, **given)


async def sell(site, given, room=0, actor_id=None):
    return await sale.sell(
        site.db, site.project_id, site.points[room], given, actor_id, site.clock()
    )


async def counts(site):
    row = await site.row(
        """select (select count(*) from payment) as payments,
           (select count(*) from transfer) as transfers"""
    )
    return row["payments"], row["transfers"]


async def policy(site, **rules):
    now = await project.look(site.db, site.project_id)
    chosen = project.rules(now.policy) | rules
    await project.set_policy(site.db, site.project_id, now.row["version"], chosen)


async def test_cash_with_tender_gives_change_and_lies_in_the_houses_cash(site):
    done = await sell(site, wish(5_000, tender_minor=Minor(10_000)))
    assert (done.is_new, done.change_minor, done.available_minor) == (True, 5_000, 5_000)
    row = await site.row(
        """select y.amount_minor, y.tender_minor, y.point_id, d.kind, d.payee_id
           from payment y join transfer t on t.payment_id = y.id
           join account d on d.id = t.debit_account_id"""
    )
    assert row == {
        "amount_minor": 5_000, "tender_minor": 10_000, "point_id": site.points[0],
        "kind": "cash", "payee_id": None,
    }  # fmt: skip


async def test_the_same_key_sells_once_also_where_a_second_sale_would_be_refused(site):
    await policy(site, hoarding_max_minor=6_000)
    first = await sell(site, wish())
    again = await sell(site, wish())
    assert (again.is_new, again.payment_id) == (False, first.payment_id)
    assert await counts(site) == (1, 1)
    with pytest.raises(Conflict):
        await sell(site, wish(4_000))


async def test_two_presses_at_once_sell_once(site):
    done = await asyncio.gather(*(sell(site, wish()) for _ in range(3)))
    assert sorted(one.is_new for one in done) == [False, False, True]
    assert await counts(site) == (1, 1)


async def test_energy_at_one_price_is_exact_and_rounded_up_to_a_coin(site):
    done = await sell(site, wish(None, energy_milli=Milli(100_001)))
    assert (done.amount_minor, done.energy_milli) == (6_001, 100_001)
    row = await site.row("select energy_milli, price_micro from payment")
    assert row == {"energy_milli": 100_001, "price_micro": 600_000}


async def test_energy_is_not_sold_where_a_unit_has_many_prices(new_site):
    site = await new_site(tariff=HOMES)
    with pytest.raises(sale.PriceNotFlat):
        await sell(site, wish(None, energy_milli=Milli(1_000)))
    assert await counts(site) == (0, 0)


async def test_a_price_that_will_change_is_not_one_price_micro(site, clock):
    part = {
        "effective_from": clock.at.replace(year=2027).isoformat(),
        "prices_micro": {"flat": [700_000]},
    }
    header = {"name": "Two", "commodity": "electricity", "currency": "CNY"}
    versions = [{"effective_from": "2020-01-01T00:00:00+08:00",
                 "prices_micro": {"flat": [600_000]}}, part]  # fmt: skip
    tariff_id = await onboard.publish_tariff(
        site.db, site.project_id, header | {"versions": versions}, None, clock()
    )
    async with site.db.transaction([site.project_id]) as connection:
        assert await sale.flat_price_micro(connection, site.project_id, tariff_id, clock()) is None
        later = clock.at.replace(year=2028)
        assert await sale.flat_price_micro(connection, site.project_id, tariff_id, later) == 700_000


@pytest.mark.parametrize("both", [True, False])
async def test_either_money_or_energy(site, both):
    given = wish(100 if both else None, energy_milli=Milli(1_000) if both else None)
    with pytest.raises(sale.NothingToSell):
        await sell(site, given)


async def test_what_forbids_a_sale_is_said_before_money_is_taken(site, new_site):
    with pytest.raises(sale.TenderShort):
        await sell(site, wish(5_000, tender_minor=Minor(4_999)))
    await policy(site, hoarding_max_minor=4_999)
    with pytest.raises(sale.HoardingLimit) as caught:
        await sell(site, wish())
    assert caught.value.facts == {"most": "49.99", "have": "0.00"}
    await policy(site, hoarding_max_minor=10**9, desk_needs_shift=True)
    with pytest.raises(sale.ShiftNeeded):
        await sell(site, wish())
    assert (await sell(site, wish(channel="card"))).is_new
    await project.freeze(site.db, site.project_id, frozen=True)
    with pytest.raises(sale.ProjectFrozen):
        await sell(site, wish(key="k-2", channel="card"))
    assert await counts(site) == (1, 1)
    with pytest.raises(NotFound):
        await sale.sell(site.db, site.project_id, 10**9, wish(), None, site.clock())
    vacant = await new_site(name="vacant", is_let=False)
    with pytest.raises(sale.NoLiveAgreement):
        await sell(vacant, wish())
    other = await new_site(name="other", keeper=Keeper.EXTERNAL)
    with pytest.raises(sale.NotSoldHere):
        await sell(other, wish())


async def test_money_of_a_payee_lies_in_the_payees_own_cash(site):
    payee = Payee("electricity", "Power works", "", "", "")
    payee_id = await project.add_payee(site.db, site.project_id, payee)
    await sell(site, wish())
    await sell(site, wish(7_000, key="k-2"), room=1)
    rows = await site.rows(
        """select payee_id, debit_minor from account where kind = 'cash' order by id"""
    )
    assert rows == [
        {"payee_id": None, "debit_minor": 0}, {"payee_id": payee_id, "debit_minor": 12_000},
    ]  # fmt: skip
    assert {row["payee_id"] for row in await site.rows("select payee_id from payment")} == {
        payee_id
    }


async def test_enough_money_asks_for_the_power_back_and_the_desk_sees_it(site, clock):
    await site.say(0)
    clock.step(minutes=30)
    await site.say(10_000, relay=Relay.OPEN)
    done = await sell(site, wish(700))
    assert done.commands == 1
    told = await desk.sold(site.db, site.project_id, done.payment_id)
    assert (told.is_live, [state.value for state, _ in told.commands]) == (True, ["queued"])


async def test_a_quote_says_what_a_wish_would_do_and_does_nothing(new_site, clock):
    site = await new_site(tariff=HOMES)
    point_id = site.points[0]
    told = await sale.quote(site.db, site.project_id, point_id, wish(tender_minor=Minor(6_000)),
                            clock())  # fmt: skip
    assert (told.energy_milli, told.change_minor, told.after_minor) == (None, 1_000, 5_000)
    await site.say(0)
    clock.step(hours=5)
    await site.say(10_000)
    told = await sale.quote(site.db, site.project_id, point_id, wish(), clock())
    assert not told.is_exact
    # Ten units of the first peak block cost 6.20.
    assert told.energy_milli == 5_000 * 10_000 // 620
    assert await counts(site) == (0, 0)


async def test_days_left_follow_from_the_last_week_or_are_not_said(site, clock):
    room = site.rooms[0].place_id

    async def days():
        home = await desk.household(site.db, site.project_id, room, 2, clock())
        return home.supplies[0].days_left

    await sell(site, wish(6_000))
    assert await days() is None
    await site.say(0)
    clock.step(hours=12)
    await site.say(5_000)
    assert await days() is None
    clock.step(hours=36)
    await site.say(20_000)
    # Twelve of money in two days: 48 are left, which lasts eight days.
    assert await days() == 8
    clock.step(days=8)
    assert await days() is None
