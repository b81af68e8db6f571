"""Money comes in exactly once per key, and what it brings back is decided in the same breath."""

import asyncio

import pytest

from meterhouse.errors import Conflict, NotFound, OutOfRange
from meterhouse.flows import close, recharge
from meterhouse.model import Keeper, Relay
from meterhouse.store import ledger
from meterhouse.units import Minor
from premises import MORNING


async def transfers(site):
    return await site.rows("select kind, amount_minor, payment_id from transfer order by id")


async def test_a_payment_becomes_a_transfer_from_cash_to_the_purse(site):
    done = await site.pay(5_000)
    assert (done.is_new, done.available_minor, done.commands) == (True, 5_000, 0)
    moved = await site.row(
        """select d.kind as debit, c.kind as credit, c.compartment, t.amount_minor, t.reason
           from transfer t join account d on d.id = t.debit_account_id
           join account c on c.id = t.credit_account_id"""
    )
    assert moved == {
        "debit": "cash", "credit": "purse", "compartment": "electricity", "amount_minor": 5_000,
        "reason": "at the desk",
    }  # fmt: skip


async def test_the_same_key_pays_once_however_often_it_comes(site):
    first = await site.pay(5_000, key="k")
    again = await site.pay(5_000, key="k")
    assert (again.is_new, again.payment_id) == (False, first.payment_id)
    assert again.available_minor == first.available_minor == 5_000
    assert len(await transfers(site)) == 1


async def test_two_desks_with_one_key_at_once_pay_once(site):
    done = await asyncio.gather(*(site.pay(5_000, key="k") for _ in range(4)))
    assert sorted(one.is_new for one in done) == [False, False, False, True]
    assert len({one.payment_id for one in done}) == 1
    assert len(await transfers(site)) == 1


@pytest.mark.parametrize(("minor", "room"), [(5_001, 0), (5_000, 1)], ids=["amount", "account"])
async def test_a_used_key_with_another_body_is_refused_and_changes_nothing(site, minor, room):
    await site.pay(5_000, key="k")
    with pytest.raises(Conflict):
        await site.pay(minor, room, key="k")
    assert len(await transfers(site)) == 1
    assert len(await site.rows("select * from payment")) == 1


async def test_a_key_belongs_to_its_project(site, new_site):
    await site.pay(5_000, key="k")
    other = await new_site(name="other")
    assert (await other.pay(7_000, key="k")).is_new


async def test_what_has_accrued_is_booked_before_the_payer_is_told(site, clock):
    await site.say(0)
    clock.step(minutes=30)
    await site.say(1_001)
    done = await site.pay(1_000)
    # 0.6006 accrued: 60 coins booked, the rest of 0.06 of a coin eats the next one.
    assert [one["amount_minor"] for one in await transfers(site)] == [1_000, 60]
    assert done.available_minor == 939
    assert (await site.state())["accrued_nano"] == 600_000


async def test_enough_money_brings_the_power_back(site, clock):
    await site.say(0)
    clock.step(minutes=30)
    await site.say(10_000, relay=Relay.OPEN)
    assert (await site.pay(600)).commands == 0
    done = await site.pay(1)
    assert (done.available_minor, done.commands) == (1, 1)
    (one,) = await site.commands()
    assert (one["kind"], one["reason"], one["state"]) == ("connect", "credit", "queued")
    assert (await site.pay(500)).commands == 0


async def test_a_project_may_let_a_person_press_the_button(new_site):
    site = await new_site(policy={"close_direct": False})
    await site.say(0, relay=Relay.OPEN)
    await site.pay(500)
    assert [one["kind"] for one in await site.commands()] == ["allow_connect"]


async def test_money_withdraws_a_disconnect_that_has_not_been_sent(site, clock):
    await site.say(0)
    clock.step(minutes=30)
    await site.say(1_000, relay=Relay.CLOSED)
    assert [one["kind"] for one in await site.commands()] == ["disconnect"]
    await site.say(1_000, relay=Relay.OPEN)
    clock.step(minutes=1)
    await site.say(1_000, relay=Relay.OPEN)
    await site.pay(500)
    kinds = [(one["kind"], one["state"], one["why"]) for one in await site.commands()]
    assert kinds == [("disconnect", "withdrawn", "superseded"), ("connect", "queued", "")]


@pytest.mark.parametrize("minor", [0, -5, recharge.PAYMENT_MINOR_MAX + 1])
async def test_amounts_have_bounds(site, minor):
    with pytest.raises(OutOfRange):
        await site.pay(minor)


@pytest.mark.parametrize("key", ["", "k" * 101])
async def test_keys_have_bounds(site, key):
    with pytest.raises(OutOfRange):
        await recharge.add_credit(
            site.db, site.project_id, site.points[0], Minor(1), "cash", key, "", None, MORNING
        )


async def test_a_point_of_nobody_or_of_another_keeper_takes_no_money(site, new_site):
    with pytest.raises(NotFound):
        await recharge.add_credit(
            site.db, site.project_id, 10**9, Minor(1), "cash", "k", "", None, MORNING
        )
    other = await new_site(keeper=Keeper.EXTERNAL, name="other")
    with pytest.raises(Conflict):
        await other.pay(100)
    with pytest.raises(NotFound):
        await recharge.add_credit(
            site.db, site.project_id, other.points[0], Minor(1), "cash", "k", "", None, MORNING
        )


async def test_money_left_by_two_bookings_is_exact_to_the_last_nano(site, clock):
    await site.pay(10_000)
    await site.say(0)
    total_milli = 0
    for used_milli in (1, 16, 17, 333, 0, 9_999, 1):
        clock.step(minutes=30)
        total_milli += used_milli
        await site.say(total_milli)
        await close.book_day(site.db, site.project_id, clock())
        state = await site.state()
        booked = sum(one["amount_minor"] for one in await transfers(site)) - 10_000
        assert state["rated_nano"] == total_milli * 600_000
        assert booked * 10**7 + state["accrued_nano"] == state["rated_nano"]
        assert 0 <= state["accrued_nano"] < 10**7


async def test_a_booking_draws_the_commoditys_compartment_first_then_the_common_one(site, clock):
    purses = await site.rows(
        """select p.account_id, p.common_account_id from point p where id = $1""", site.points[0]
    )
    cash = await site.row("select id from account where kind = 'cash'")
    async with site.db.transaction([site.project_id]) as connection:
        await ledger.post(
            connection, site.project_id,
            [
                ledger.NewTransfer(cash["id"], purses[0]["account_id"], Minor(100), "gift"),
                ledger.NewTransfer(cash["id"], purses[0]["common_account_id"], Minor(50), "gift"),
            ],
            None, clock(),
        )  # fmt: skip
    await site.say(0)
    clock.step(minutes=30)
    await site.say(3_000)
    assert await close.book_day(site.db, site.project_id, clock()) == 2
    left = await site.rows(
        "select compartment, credit_minor - debit_minor as minor from account where agreement_id"
        " = (select agreement_id from account where id = $1) order by id",
        purses[0]["account_id"],
    )
    assert [(one["compartment"], one["minor"]) for one in left] == [
        ("electricity", -30), ("common", 0),
    ]  # fmt: skip


async def test_a_booking_without_a_whole_coin_writes_nothing(site, clock):
    await site.say(0)
    clock.step(minutes=30)
    await site.say(16)
    assert await close.book_day(site.db, site.project_id, clock()) == 0
    assert await transfers(site) == []
