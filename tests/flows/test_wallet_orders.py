"""Accounts opened in meters, money taken back from them, and a household whose money is there."""

import pytest

from meterhouse.flows import account, customer, recharge, settle, transit
from meterhouse.flows.recharge import (
    MeterGivesNothingBack,
    MeterNotOpened,
    NoSecurityModule,
    OpeningNotNeeded,
    PurseTooSmall,
)
from meterhouse.flows.settle import Leaving
from meterhouse.sim.purse import NOBODY
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from meterhouse.store.recharges import RechargeLive
from meterhouse.units import Minor
from street import ESAM, ORDER, Mishap, build_street

LEAVING = Leaving("the lease has ended")


@pytest.fixture
async def street(db, clock):
    return await build_street(db, clock, credit_minor=1_000, purchase_count=6)


@pytest.fixture
async def sealed(db, clock):
    """A meter with a security chip in which another household's account was opened."""
    made = await build_street(db, clock, model=ESAM, credit_minor=300, purchase_count=6)
    made.faces[0].purse.customer = "000000000999"
    return made


@pytest.fixture(autouse=True)
async def proven(address):
    yield
    assert [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


async def open_wallet(street):
    site = street.site
    return await recharge.open_wallet(site.db, site.project_id, site.points[0], None, site.clock())


async def take_back(street, amount_minor=None):
    site = street.site
    amount = None if amount_minor is None else Minor(amount_minor)
    return await recharge.take_back(
        site.db, site.project_id, site.points[0], amount, None, site.clock()
    )


async def state_of(street, recharge_id):
    row = await street.recharge(recharge_id)
    return row["state"], row["why"]


async def wallet_of(street):
    return await street.site.row(
        """select w.* from wallet w join meter m on (m.project_id, m.id, m.wallet_epoch)
           = (w.project_id, w.meter_id, w.wallet_epoch)"""
    )


def holds(street):
    face = street.faces[0]
    return face.purse.customer, face.meter.purchase_count, face.meter.credit_minor


async def close(street):
    site = street.site
    return await settle.close(
        site.db, site.project_id, site.rooms[0].agreement_id, LEAVING, None, site.clock()
    )


# ---- opening


async def test_a_meter_is_opened_for_its_point_and_then_takes_money(sealed):
    made = await open_wallet(sealed)
    ours = f"{sealed.site.points[0]:012d}"
    assert await sealed.run()
    assert await state_of(sealed, made) == ("applied", "")
    assert holds(sealed) == (ours, 1, 300)
    known = await wallet_of(sealed)
    assert (known["customer_number"], known["number"], known["credit_minor"]) == (ours, 1, 300)
    paid = await sealed.pay(500)
    assert await sealed.run()
    assert await state_of(sealed, paid) == ("applied", "")
    assert holds(sealed) == (ours, 2, 800)
    # What was found in it stands against opening credit; what was paid, against cash.
    assert await sealed.balances() == {"on_meter": 800, "opening": -300, "cash": -500}


async def test_opening_carries_over_what_was_known_to_be_in_it(sealed):
    await sealed.read()
    assert (await wallet_of(sealed))["credit_minor"] == 300
    await open_wallet(sealed)
    assert await sealed.run()
    known = await wallet_of(sealed)
    assert (known["wallet_epoch"], known["credit_minor"]) == (2, 300)
    assert await sealed.balances() == {"on_meter": 300, "opening": -300}


@pytest.mark.parametrize(
    ("mishap", "sends"),
    [(Mishap.REPLY_LOST, 1), (Mishap.LYING_REFUSAL, 1), (Mishap.LOST, 2), (Mishap.REFUSED, 2)],
)
async def test_an_opening_in_doubt_is_settled_by_reading(sealed, mishap, sends):
    made = await open_wallet(sealed)
    sealed.way.mishap = mishap
    await sealed.run()
    await sealed.wait(minutes=30)
    assert await state_of(sealed, made) == ("applied", "")
    assert (await sealed.recharge(made))["send_count"] == sends
    assert holds(sealed)[:2] == (f"{sealed.site.points[0]:012d}", 1)


async def test_a_meter_that_is_open_for_its_point_already_is_left_alone(sealed):
    sealed.faces[0].purse.customer = f"{sealed.site.points[0]:012d}"
    made = await open_wallet(sealed)
    assert await sealed.run()
    assert await state_of(sealed, made) == ("applied", "")
    assert (await sealed.recharge(made))["send_count"] == 0
    assert (holds(sealed)[1], (await wallet_of(sealed))["number"]) == (6, 6)


async def test_the_number_a_meter_was_opened_under_elsewhere_serves_as_well(sealed):
    made = await sealed.pay(500)
    assert await sealed.run()
    assert await state_of(sealed, made) == ("applied", "")
    assert holds(sealed) == ("000000000999", 7, 800)


async def test_money_is_not_taken_for_a_meter_nobody_opened(sealed):
    sealed.faces[0].purse.customer = NOBODY
    first = await sealed.pay(500)
    await sealed.run()
    await sealed.wait(minutes=30)
    assert await state_of(sealed, first) == ("returned", "not_opened")
    with pytest.raises(MeterNotOpened):
        await sealed.pay(400)
    await open_wallet(sealed)
    await sealed.wait(minutes=1)
    paid = await sealed.pay(400)
    await sealed.run()
    assert await state_of(sealed, paid) == ("applied", "")


async def test_an_opening_called_back_before_it_went_changes_nothing(sealed):
    made = await open_wallet(sealed)
    site = sealed.site
    await transit.cancel(site.db, site.project_id, made, "not now", None, site.clock())
    assert await state_of(sealed, made) == ("returned", "person")
    assert not await sealed.run()
    assert holds(sealed) == ("000000000999", 6, 300)


async def test_nothing_is_opened_beside_money_on_its_way_nor_where_no_account_is_kept(
    street, sealed
):
    await sealed.pay(500)
    with pytest.raises(RechargeLive):
        await open_wallet(sealed)
    with pytest.raises(OpeningNotNeeded):
        await open_wallet(street)


async def test_without_a_security_module_nothing_is_taken_or_opened(sealed):
    site = sealed.site
    await site.rows("update gateway_state set seals = false returning gateway_id")
    with pytest.raises(NoSecurityModule):
        await sealed.pay(500)
    with pytest.raises(NoSecurityModule):
        await open_wallet(sealed)
    assert await sealed.balances() == {}


async def test_a_head_end_that_lost_its_module_says_so_at_once(sealed):
    made = await sealed.pay(500)
    sealed.module = None
    await sealed.run()
    assert await state_of(sealed, made) == ("reserved", "")
    assert await sealed.site.alarms() == [("recharge_late", f"recharge:{made}")]


# ---- taking back


async def test_all_that_is_in_the_meter_comes_back_whatever_it_is_by_then(db, clock):
    street = await build_street(
        db, clock, model=ORDER, credit_minor=1_000, purchase_count=6, price_micro=1_000_000
    )
    await street.read()
    made = await take_back(street)
    clock.step(minutes=20)
    await street.run()
    row = await street.recharge(made)
    assert (row["state"], row["amount_minor"]) == ("applied", 983)
    assert street.faces[0].meter.credit_minor == 0
    assert await street.balances() == {"purse": 983, "revenue": 17, "opening": -1_000}


async def test_a_meter_that_was_emptied_meanwhile_gives_nothing_back(street):
    await street.read()
    made = await take_back(street)
    street.faces[0].meter.credit_nano = 0
    await street.run()
    assert await state_of(street, made) == ("returned", "nothing_held")


async def test_no_more_is_taken_back_than_there_is_nor_where_it_cannot_be(street, sealed):
    await street.read()
    with pytest.raises(PurseTooSmall):
        await take_back(street, 1_001)
    with pytest.raises(MeterGivesNothingBack):
        await take_back(sealed)


# ---- closing


async def test_a_household_that_owes_its_meter_recharges_it_and_is_closed(street):
    await street.read()
    meter_id, total, count, *_ = street.sample(0)
    street.site.clock.step(minutes=1)
    await street.hear((meter_id, total, count, 0, 250), street.site.clock())
    with pytest.raises(settle.MeterOverdrawn) as fault:
        await close(street)
    assert fault.value.facts == {"amount": "2.50", "address": "000000000001"}


async def test_a_household_whose_money_is_in_the_meter_takes_it_back_and_is_closed(street):
    await street.read()
    with pytest.raises(settle.MoneyInMeter) as fault:
        await close(street)
    assert fault.value.facts == {"amount": "10.00", "address": "000000000001"}
    await take_back(street)
    with pytest.raises(settle.MoneyOnItsWay):
        await close(street)
    await street.run()
    await street.read()
    done = await close(street)
    assert done.sum_minor("settlement") == 1_000
    assert await street.balances() == {"cash": 1_000, "opening": -1_000}


async def test_money_in_a_meter_that_gives_none_back_is_told_apart(sealed):
    await sealed.read()
    with pytest.raises(settle.MoneyStaysInMeter):
        await close(sealed)


# ---- money that lies in the purse


async def test_what_lies_in_the_purse_is_sent_into_the_meter(street):
    made = await street.pay(500)
    site = street.site
    await transit.cancel(site.db, site.project_id, made, "mistake", None, site.clock())
    assert await street.balances() == {"purse": 500, "cash": -500}

    async def send(amount_minor=None):
        amount = None if amount_minor is None else Minor(amount_minor)
        return await recharge.send(
            site.db, site.project_id, site.points[0], amount, None, site.clock()
        )

    known = await recharge.purse_of(site.db, site.project_id, site.meters[0])
    assert known["spare_minor"] == 500
    with pytest.raises(PurseTooSmall):
        await send(501)
    sent = await send(200)
    with pytest.raises(RechargeLive):
        await send()
    assert await street.run()
    assert await state_of(street, sent) == ("applied", "")
    assert holds(street)[2] == 1_200
    assert await street.run() is False
    sent = await send()
    assert (await street.recharge(sent))["amount_minor"] == 300
    await street.run()
    with pytest.raises(PurseTooSmall):
        await send()


@pytest.mark.parametrize("is_refused", [False, True])
async def test_opening_credit_sets_out_for_the_meter_or_waits_in_the_purse(db, clock, is_refused):
    model = ESAM if is_refused else ORDER
    street = await build_street(db, clock, model=model, is_let=False)
    site = street.site
    if is_refused:
        await site.rows("update gateway_state set seals = false returning gateway_id")
    customer_id = await customer.add(site.db, site.project_id, Facts("Wu"), "en")
    await account.open_account(
        site.db, site.project_id, site.rooms[0].place_id, customer_id,
        account.Terms(credit_minor=4_000), None, clock(),
    )  # fmt: skip
    where = "purse" if is_refused else "in_flight"
    assert await street.balances() == {where: 4_000, "opening": -4_000}
    if not is_refused:
        assert await street.run()
        assert await street.balances() == {"on_meter": 4_000, "opening": -4_000}
