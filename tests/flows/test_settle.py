"""Accounts end: the last reading, the last coin, every account of the household at zero."""

from dataclasses import replace

import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import access, account, customer, device, lastread, place, refund, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.opening import Purse
from meterhouse.flows.settle import Balance, Debt, Leaving
from meterhouse.model import Commodity, Keeper
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from premises import HASTY, MODEL

LEAVING = Leaving("the lease has ended")


async def let(new_site, paid_minor=10_000, used_milli=10_005, **choices):
    """One household that paid and used a little more than whole coins say."""
    site = await new_site(rooms=1, **choices)
    if paid_minor:
        await site.pay(paid_minor)
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(used_milli)
    site.clock.step(minutes=1)
    return site


async def close(site, leaving=LEAVING, **choices):
    agreement_id = site.rooms[0].agreement_id
    return await settle.close(
        site.db, site.project_id, agreement_id, leaving, None, site.clock(), **choices
    )


async def another(site):
    return await access.add_person(
        site.db, "two", "Two", "a-long-enough-password", "finance", "platform", 0, site.clock()
    )


async def everything_zero(site, agreement_id):
    rows = await site.rows(
        """select from account where agreement_id = $1
           and (debit_minor <> credit_minor or pending_debit_minor <> 0)""",
        agreement_id,
    )
    assert not rows
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


async def orders(site):
    rows = await site.rows("select kind, amount_minor from payment order by id")
    return [(row["kind"], row["amount_minor"]) for row in rows]


async def test_what_is_left_is_paid_out_and_the_house_pays_from_then_on(new_site):
    site = await let(new_site)  # 600.3 fen used: the rest below a coin rounds down
    done = await close(site)
    assert done.sum_minor("settlement") == 10_000 - 600
    assert [(one.source, one.milli[0]) for one in done.registers] == [("wire", 10_005)]
    assert await orders(site) == [("recharge", 10_000), ("settlement", 9_400)]
    await everything_zero(site, done.agreement_id)
    site.clock.step(minutes=30)
    await site.say(20_005)
    state = await site.state()
    assert state["accrued_nano"] == 10_000 * 600_000
    payer = await site.row(
        "select g.kind from agreement_point p join agreement g on g.id = p.agreement_id"
        " where p.valid_to is null"
    )
    assert payer["kind"] == "house"
    kept = await site.row("select * from settlement")
    assert (kept["refunded_minor"], kept["reason"]) == (9_400, "the lease has ended")
    with pytest.raises(account.AccountEnded):
        await close(site)


async def test_the_rest_of_a_coin_rounds_half_up_for_who_leaves_not_for_who_comes(new_site):
    site = await let(new_site, used_milli=10_009)  # 600.54 fen
    assert (await close(site)).sum_minor("settlement") == 10_000 - 601
    state = await site.state()
    assert (state["accrued_nano"], state["rounded_nano"]) == (0, 5_400_000)
    await everything_zero(site, site.rooms[0].agreement_id)


async def test_a_meter_that_fell_silent_is_read_by_hand_and_billed_to_the_last(new_site):
    site = await let(new_site)
    site.clock.step(hours=5)
    with pytest.raises(lastread.LastReadingMissing):
        await close(site)
    hand = {"000000000001": (15_005, -1, -1, -1, -1)}
    done = await close(site, replace(LEAVING, by_hand=hand))
    assert done.sum_minor("settlement") == 10_000 - 900
    assert done.registers[0].source == "hand"
    last = await site.row("select source, total_milli from reading order by read_at desc limit 1")
    assert (last["source"], last["total_milli"]) == (lastread.BY_HAND, 15_005)
    await everything_zero(site, done.agreement_id)


@pytest.mark.parametrize(
    ("typed", "milli", "wrong"),
    [
        ("000000000001", 9_000, lastread.LastReadingDoubtful),
        ("1", 900_000_000, lastread.LastReadingDoubtful),
        ("2", 10_000, lastread.MeterElsewhere),
    ],
)
async def test_a_figure_by_hand_that_cannot_be_settles_nothing(new_site, typed, milli, wrong):
    site = await let(new_site)
    with pytest.raises(wrong):
        await close(site, replace(LEAVING, by_hand={typed: (milli, -1, -1, -1, -1)}))
    assert await orders(site) == [("recharge", 10_000)]
    assert not await site.rows("select from agreement where valid_to is not null")


async def test_a_debt_is_paid_or_written_off_but_never_forgotten(new_site):
    site = await let(new_site, paid_minor=0)
    with pytest.raises(settle.DebtOpen) as told:
        await close(site)
    assert "6.00" in told.value.message()
    done = await close(site, replace(LEAVING, debt=Debt.WRITE_OFF))
    assert (done.sum_minor("write_off"), done.sum_minor("settlement")) == (600, 0)
    owed = await site.row("select debit_minor, agreement_id from account where kind = 'receivable'")
    assert (owed["debit_minor"], owed["agreement_id"]) == (600, None)
    await everything_zero(site, done.agreement_id)


async def test_a_debt_that_is_paid_at_the_desk_is_an_order(new_site):
    site = await let(new_site, paid_minor=0)
    done = await close(site, replace(LEAVING, debt=Debt.PAID))
    assert await orders(site) == [("recharge", 600)]
    await everything_zero(site, done.agreement_id)


async def with_deposit(new_site, policy=HASTY, purse=Purse.APART):
    site = await new_site(rooms=1, is_let=False, policy=policy)
    site.clock.step(minutes=1)
    guest = await customer.add(site.db, site.project_id, Facts("Guest"), "en")
    terms = Terms(credit_minor=5_000, deposit_minor=20_000, purse=purse)
    made = await account.open_account(
        site.db, site.project_id, site.rooms[0].place_id, guest, terms, None, site.clock()
    )
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(10_000)
    site.clock.step(minutes=1)
    return site, made, guest


async def test_the_deposit_is_paid_back_as_an_order_of_its_own(new_site):
    site, made, _ = await with_deposit(new_site)
    done = await settle.close(site.db, site.project_id, made, LEAVING, None, site.clock())
    assert (done.sum_minor("settlement"), done.sum_minor("deposit_refund")) == (4_400, 20_000)
    back = await site.row(
        "select d.kind from payment p join payment d on d.id = p.of_payment_id"
        " where p.kind = 'deposit_refund'"
    )
    assert back["kind"] == "deposit"
    await everything_zero(site, made)


async def test_much_money_is_paid_out_by_two(new_site):
    site, made, _ = await with_deposit(new_site, HASTY | {"refund_second_minor": 24_399})
    arguments = (site.db, site.project_id, made, LEAVING)
    with pytest.raises(refund.PayoutNeedsSecond):
        await settle.close(*arguments, None, site.clock())
    second_id = await another(site)
    await settle.close(*arguments, None, site.clock(), second_id=second_id)
    await everything_zero(site, made)


async def test_what_goes_on_to_the_next_household_is_not_paid_out(new_site):
    site, made, _ = await with_deposit(new_site, HASTY | {"refund_second_minor": 5_000})
    next_one = await customer.add(site.db, site.project_id, Facts("Next"), "en")
    done = await settle.move_tenants(
        site.db, site.project_id, made, next_one, Terms(), Balance.MOVE, LEAVING, None,
        site.clock(),
    )  # fmt: skip
    assert done.sum_minor("deposit_refund") == 20_000
    await everything_zero(site, made)


async def test_what_was_never_paid_in_is_paid_out_by_two_however_little_it_is(new_site):
    site, made, _ = await with_deposit(new_site, HASTY | {"refund_second_minor": 100_000})
    asked = (site.db, site.project_id, [made])
    assert await settle.needs_second(*asked)
    arguments = (site.db, site.project_id, made, LEAVING)
    with pytest.raises(refund.PayoutNeedsSecond):
        await settle.close(*arguments, None, site.clock())
    await site.pay(600)  # It has paid for what it used, and no more than that.
    with pytest.raises(refund.PayoutNeedsSecond):
        await settle.close(*arguments, None, site.clock())
    second_id = await another(site)
    await settle.close(*arguments, None, site.clock(), second_id=second_id)
    await everything_zero(site, made)


async def test_what_was_paid_in_is_paid_out_by_one(new_site):
    site = await let(new_site, policy=HASTY | {"refund_second_minor": 10_000})
    made = site.rooms[0].agreement_id
    assert not await settle.needs_second(site.db, site.project_id, [made])
    assert (await close(site)).sum_minor("settlement") == 9_400


async def test_a_vacated_room_is_switched_off_where_the_project_wants_it(new_site):
    site, made, guest = await with_deposit(new_site, HASTY | {"vacancy_off": True})
    await settle.close(site.db, site.project_id, made, LEAVING, None, site.clock())
    assert [one["kind"] for one in await site.commands()] == ["disconnect"]
    point = await site.row("select override from point")
    assert point["override"] == "off"
    await account.open_account(
        site.db, site.project_id, site.rooms[0].place_id, guest, Terms(), None,
        site.clock.step(minutes=1),
    )  # fmt: skip
    assert (await site.row("select override from point"))["override"] == "none"


@pytest.mark.parametrize("balance", Balance)
async def test_tenants_change_in_the_middle_of_a_month_at_one_register(new_site, balance):
    site, made, _ = await with_deposit(new_site, purse=Purse.TOGETHER)
    next_one = await customer.add(site.db, site.project_id, Facts("Next"), "en")
    done = await settle.move_tenants(
        site.db, site.project_id, made, next_one, Terms(-100, deposit_minor=500), balance,
        LEAVING, None, site.clock(),
    )  # fmt: skip
    await everything_zero(site, made)
    kept = await site.row(
        "select sum(credit_minor - debit_minor)::int8 as minor from account"
        " where agreement_id = $1 and kind = 'purse'",
        done.next_id,
    )
    assert kept["minor"] == (4_400 if balance is Balance.MOVE else 0)
    spans = await site.rows(
        "select valid_from, valid_to from agreement_point where agreement_id = any($1::int8[])"
        " order by valid_from",
        [made, done.next_id],
    )
    assert spans[0]["valid_to"] == spans[1]["valid_from"] == site.clock()
    site.clock.step(minutes=30)
    await site.say(20_000)
    assert (await site.state())["accrued_nano"] == 10_000 * 600_000


async def test_nothing_is_closed_while_money_is_in_the_meter(new_site):
    site = await let(new_site, paid_minor=0, keeper=Keeper.METER)
    agreement_id = site.rooms[0].agreement_id
    await site.rows(
        "insert into account (project_id, kind, unit, agreement_id, credit_minor)"
        " values ($1, 'on_meter', 'CNY', $2, 500) returning id",
        site.project_id, agreement_id,
    )  # fmt: skip
    with pytest.raises(settle.MoneyStaysInMeter) as fault:
        await close(site)
    assert fault.value.facts == {"amount": "5.00", "address": "000000000001"}


async def test_what_does_not_exist_is_not_closed(new_site):
    site = await new_site(rooms=1)
    with pytest.raises(NotFound):
        await settle.close(site.db, site.project_id, 999, LEAVING, None, site.clock())


async def test_two_meters_read_by_hand_are_each_billed_once(new_site):
    site, made, _ = await with_deposit(new_site)
    place_id = await place.add(site.db, site.project_id, site.floor_id, "room", "199", None)
    point_id = await device.add_point(
        site.db, site.project_id, place_id, Commodity.ELECTRICITY, site.tariff_id,
        Keeper.PLATFORM, site.clock(),
    )  # fmt: skip
    meter_id = await device.add_meter(
        site.db, site.project_id, site.gateway_id, point_id, MODEL, "77", 1, site.clock()
    )
    at = site.clock.step(minutes=1)
    await account.join(site.db, site.project_id, made, place_id, None, at)
    await site.read((meter_id, site.clock(), 1_000))
    site.clock.step(hours=2)
    hand = {"1": (15_000, -1, -1, -1, -1), "77": (4_000, -1, -1, -1, -1)}
    done = await settle.close(
        site.db, site.project_id, made, replace(LEAVING, by_hand=hand), None, site.clock()
    )
    assert done.sum_minor("settlement") == 5_000 - 900 - 180
    await everything_zero(site, made)
