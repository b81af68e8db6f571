"""Money on its way into meters: every way it can go, with the real driver and simulated meters."""

from datetime import timedelta

import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import recharge, transit
from meterhouse.flows.transit import Verdict
from meterhouse.model import RechargeState
from meterhouse.store import proofs
from meterhouse.store.recharges import RechargeLive
from meterhouse.units import Minor
from street import ESAM, ORDER, Mishap, build_street


@pytest.fixture
async def street(db, clock):
    return await build_street(db, clock, credit_minor=1_000, purchase_count=6)


async def state_of(street, recharge_id):
    row = await street.recharge(recharge_id)
    return row["state"], row["why"]


def holds(street, room=0):
    meter = street.faces[room].meter
    return meter.purchase_count, meter.credit_minor


@pytest.mark.parametrize("model", [ORDER, ESAM])
async def test_money_reaches_the_meter_and_the_next_round_verifies_it(db, clock, model):
    street = await build_street(db, clock, model=model, credit_minor=1_000, purchase_count=6,
                                price_micro=1_000_000)  # fmt: skip
    if model == ESAM:
        street.faces[0].purse.customer = f"{street.site.points[0]:012d}"
    await street.read()
    assert await street.balances() == {"on_meter": 1_000, "opening": -1_000}
    made = await street.pay(500)
    assert await state_of(street, made) == ("reserved", "")
    assert (await street.balances())["in_flight"] == 500
    assert await street.run()
    assert await state_of(street, made) == ("applied", "")
    assert holds(street) == (7, 1_500)
    clock.step(minutes=30)
    await street.read()
    assert await state_of(street, made) == ("verified", "")
    left = holds(street)[1]
    assert left < 1_500
    assert await street.balances() == {
        "on_meter": left, "revenue": 1_500 - left, "opening": -1_000, "cash": -500,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mishap", "sends"),
    [
        (Mishap.REPLY_LOST, 1), (Mishap.LYING_REFUSAL, 1), (Mishap.DELAYED, 1),
        (Mishap.COPIED, 1), (Mishap.REPLY_LATE, 1), (Mishap.LOST, 2), (Mishap.REFUSED, 2),
    ],
)  # fmt: skip
async def test_whatever_befalls_an_order_it_is_taken_once(street, mishap, sends):
    made = await street.pay(500)
    street.way.mishap = mishap
    assert await street.run()
    await street.wait(minutes=25)
    row = await street.recharge(made)
    assert (row["state"], row["send_count"]) == ("applied", sends)
    assert holds(street) == (7, 1_500)
    assert (await street.balances())["on_meter"] == 1_500


@pytest.mark.parametrize("mishap", [Mishap.POWER_CUT, Mishap.HALF_APPLIED])
async def test_money_without_its_number_halts_and_a_person_decides(street, mishap):
    made = await street.pay(500)
    street.way.mishap = mishap
    await street.run()
    await street.wait(minutes=25)
    assert await state_of(street, made) == ("halted", "balance")
    assert holds(street) == (6, 1_500)
    assert (await street.balances())["in_flight"] == 500
    assert await street.site.alarms() == [("recharge_halted", f"recharge:{made}")]
    site = street.site
    await transit.decide(
        site.db, site.project_id, made, Verdict.APPLIED, "seen", None, site.clock()
    )
    assert await street.balances() == {"on_meter": 1_500, "opening": -1_000, "cash": -500}
    assert await street.site.alarms() == []
    # The counter never moved, so the purse begins a new life, in which the next number is free.
    site.clock.step(minutes=30)
    await street.read()
    again = await street.pay(300)
    await street.run()
    assert await state_of(street, again) == ("applied", "")
    assert (await street.recharge(again))["wallet_epoch"] == 2
    assert holds(street) == (7, 1_800)


async def test_an_order_dies_with_its_sender_and_is_looked_at_again(street):
    for steps in range(5):
        made = await street.pay(100)
        await street.run(steps)
        await street.wait(minutes=40)
        assert await state_of(street, made) == ("applied", ""), steps
    assert holds(street) == (11, 1_500)


async def test_a_refusal_for_good_comes_back_behind_the_fence(street):
    street.faces[0].meter.parameters = {0x04001004: bytes.fromhex("00120000")}  # 12.00
    made = await street.pay(500)
    await street.run()
    assert (await street.recharge(made))["refusal"] == "hoarding_refused"
    await street.wait(minutes=10)
    assert (await street.recharge(made))["state"] == "unknown"
    await street.wait(minutes=2)
    assert await state_of(street, made) == ("returned", "hoarding_refused")
    row = await street.recharge(made)
    assert row["proved_at"] - row["fenced_at"] >= timedelta(seconds=60)
    assert row["fenced_at"] >= row["dead_at"]
    assert (await street.balances())["purse"] == 500
    # The number is free again, and what is known of the limit now is asked beforehand.
    with pytest.raises(recharge.HoardingExceeded):
        await street.pay(500)
    made = await street.pay(150)
    await street.run()
    assert holds(street) == (7, 1_150)


async def test_a_copy_that_comes_before_the_fence_is_up_is_not_returned(street):
    made = await street.pay(500)
    street.way.mishap = Mishap.DELAYED
    street.way.copy_after = timedelta(minutes=10, seconds=30)
    await street.run()
    site = street.site
    await transit.cancel(site.db, site.project_id, made, "sold by mistake", None, site.clock())
    await street.wait(minutes=25)
    assert await state_of(street, made) == ("applied", "")
    assert (await street.balances())["on_meter"] == 1_500


async def test_one_recharge_at_a_time(street):
    await street.pay(100)
    with pytest.raises(RechargeLive):
        await street.pay(200)
    assert (await street.balances())["cash"] == -100


async def test_cancelled_before_it_was_sent_returns_at_once(street):
    made = await street.pay(500)
    site = street.site
    await transit.cancel(site.db, site.project_id, made, "mistake", None, site.clock())
    assert await state_of(street, made) == ("returned", "person")
    assert await street.balances() == {"purse": 500, "cash": -500}
    with pytest.raises(transit.NotOnItsWay):
        await transit.cancel(site.db, site.project_id, made, "again", None, site.clock())
    with pytest.raises(NotFound):
        await transit.cancel(site.db, site.project_id, 10**9, "nothing", None, site.clock())
    assert await street.balances() == {"purse": 500, "cash": -500}


async def test_foreign_credit_halts_before_anything_is_sent(street):
    await street.read()
    street.faces[0].meter.buy(700, 7)
    made = await street.pay(500)
    await street.run()
    assert await state_of(street, made) == ("halted", "foreign_credit")
    site = street.site
    with pytest.raises(transit.NeverSent):
        await transit.decide(
            site.db, site.project_id, made, Verdict.APPLIED, "", None, site.clock()
        )
    done = await transit.decide(
        site.db, site.project_id, made, Verdict.RETURNED, "a test card", None, site.clock()
    )
    assert done is RechargeState.RETURNED
    assert (await street.balances())["purse"] == 500


async def test_a_meter_that_is_gone_halts_and_is_decided_after_the_lifetime(street):
    made = await street.pay(500)
    street.way.mishap = Mishap.LOST
    await street.run()
    site = street.site
    await site.rows("update meter set removed_at = $1 returning id", site.clock())
    assert await transit.tend(site.db, site.project_id, site.clock()) == 1
    assert await state_of(street, made) == ("halted", "epoch")
    with pytest.raises(transit.MayArrive):
        await transit.decide(
            site.db, site.project_id, made, Verdict.RETURNED, "", None, site.clock()
        )
    site.clock.step(minutes=11)
    await transit.decide(
        site.db, site.project_id, made, Verdict.RETURNED, "display read", None, site.clock()
    )
    assert (await street.balances())["purse"] == 500


async def test_a_silent_meter_is_waited_for_and_said_aloud(street):
    made = await street.pay(5_000)
    street.way.is_up = False
    await street.wait(minutes=45)
    site = street.site
    await transit.tend(site.db, site.project_id, site.clock())
    assert await site.alarms() == [("recharge_late", f"recharge:{made}")]
    street.way.is_up = True
    await transit.resume(site.db, site.project_id, site.gateway_id, site.clock())
    await street.run()
    assert await state_of(street, made) == ("applied", "")
    assert await site.alarms() == []


async def test_money_is_taken_back_only_when_the_meter_has_deducted_it(street):
    await street.read()
    site = street.site
    made = await recharge.take_back(
        site.db, site.project_id, site.points[0], Minor(400), None, site.clock()
    )
    assert (await street.balances())["on_meter"] == 1_000
    street.way.mishap = Mishap.REPLY_LOST
    await street.run()
    assert (await street.balances())["on_meter"] == 1_000
    await street.wait(minutes=1)
    assert await state_of(street, made) == ("applied", "")
    assert await street.balances() == {"on_meter": 600, "purse": 400, "opening": -1_000}
    with pytest.raises(recharge.PurseTooSmall):
        await recharge.take_back(
            site.db, site.project_id, site.points[0], Minor(601), None, site.clock()
        )


async def test_reports_are_accounted_once_in_their_order_and_never_against_a_live_order(db, clock):
    street = await build_street(db, clock, credit_minor=1_000, price_micro=1_000_000)
    await street.read()
    old = street.sample(0)
    read_at = clock()
    clock.step(minutes=30)
    await street.read()
    once = await street.balances()
    await street.hear(old, read_at)
    await street.hear(street.sample(0), clock())
    assert await street.balances() == once
    await street.pay(500)
    street.way.mishap = Mishap.REPLY_LOST
    await street.run()
    clock.step(seconds=1)
    await street.read()
    assert (await street.balances())["on_meter"] == once["on_meter"]
    await street.wait(minutes=1)
    await street.read()
    assert (await street.balances())["on_meter"] == holds(street)[1]


async def test_a_report_that_cannot_be_is_said_aloud_and_accounted_to_nobody(street):
    await street.read()
    before = await street.balances()
    street.faces[0].meter.add_money(50)
    street.site.clock.step(minutes=1)
    await street.read()
    assert await street.balances() == before
    # What it was known to hold before is little enough to warn of; what it says now is not told.
    assert [kind for kind, _ in await street.site.alarms()] == ["credit_low", "wallet_contradicts"]
    assert (await street.site.state())["warning_level"] == 2


async def test_the_proofs_hold_over_all_of_it(street, address):
    made = await street.pay(500)
    street.way.mishap = Mishap.LOST
    await street.run()
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []
    await street.wait(minutes=25)
    assert await state_of(street, made) == ("applied", "")
    assert [one.says for one in await proofs.prove(address) if not one.holds] == []
