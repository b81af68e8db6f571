"""A late reading of a time when somebody else paid: never the present payer's money."""

import pytest

from meterhouse.flows import account, customer, doubt, settle
from meterhouse.flows.account import Terms
from meterhouse.flows.explain import explain_transfer
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.rating.decided import Decided
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from meterhouse.units import to_us
from premises import HOMES

LEAVING = Leaving("moved away")
# 8 kWh between nine in the evening and seven: an hour at the peak's price, nine at the valley's.
EVENING, USED_MILLI = 13, 8_000
BILLED_MINOR = 280


async def night(new_site):
    """A household that was silent for a night, in which the price changed at ten."""
    site = await new_site(rooms=1, tariff=HOMES)
    site.clock.at = site.clock.at.replace(hour=EVENING)
    await site.pay(10_000)
    await site.say(0)
    site.clock.step(hours=10)
    await site.say(USED_MILLI)
    site.clock.step(minutes=1)
    return site


async def let_on(site):
    """The next household takes over, with a purse of its own."""
    guest = await customer.add(site.db, site.project_id, Facts("李四"), "zh-Hans")
    done = await settle.move_tenants(
        site.db, site.project_id, site.rooms[0].agreement_id, guest, Terms(), Balance.PAY_OUT,
        LEAVING, None, site.clock(),
    )  # fmt: skip
    assert done.sum_minor("settlement") == 10_000 - BILLED_MINOR
    await site.pay(5_000)
    return done.next_id


async def late(site, at_ten_milli):
    """What the meter had stored at ten in the evening comes up at last."""
    ten = site.clock().replace(hour=14, minute=0)
    await site.read((site.meters[0], ten, at_ten_milli))


async def house(site, kind):
    """What stands on one of the house's accounts, credit above zero."""
    rows = await site.rows(
        """select credit_minor - debit_minor as balance_minor from account
           where kind = $1 and agreement_id is null""",
        kind,
    )
    return sum(row["balance_minor"] for row in rows)


async def whole(site):
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


@pytest.mark.parametrize(
    ("at_ten_milli", "difference_minor", "kind"),
    [
        (5_000, 126, "receivable"),  # 4.2 kWh more at 0.30 more
        (100, -21, "suspense"),  # 0.7 kWh less
    ],
)
async def test_what_comes_late_is_never_the_next_households(
    new_site, at_ten_milli, difference_minor, kind
):
    site = await night(new_site)
    left_id = site.rooms[0].agreement_id
    await let_on(site)
    before = await site.state()
    await late(site, at_ten_milli)
    after = await site.state()
    assert after["accrued_nano"] == before["accrued_nano"]
    assert after["rated_nano"] - before["rated_nano"] == difference_minor * 10_000_000
    assert await house(site, kind) == -difference_minor
    assert ("payer_left", f"agreement:{left_id}") in await site.alarms()
    await whole(site)


async def test_the_next_household_pays_what_it_uses_and_nothing_else(new_site):
    site = await night(new_site)
    next_id = await let_on(site)
    await late(site, 5_000)
    site.clock.step(minutes=30)
    await site.say(USED_MILLI + 1_000)
    state = await site.state()
    assert state["accrued_nano"] == 1_000 * 320_000
    purse = await site.row(
        """select sum(credit_minor - debit_minor)::int8 as balance_minor from account
           where agreement_id = $1 and kind = 'purse'""",
        next_id,
    )
    assert purse["balance_minor"] == 5_000
    await whole(site)


async def test_a_correction_of_the_past_is_explained(new_site):
    site = await night(new_site)
    await let_on(site)
    await late(site, 5_000)
    row = await site.row("select id from transfer where kind = 'booking' and booking < 0")
    told = await explain_transfer(site.db, site.tariffs, site.project_id, row["id"])
    assert told.booking is not None
    assert told.booking.is_exact
    assert (told.booking.carried_nano, told.booking.rest_nano) == (0, 0)
    assert [one.added_nano for one in told.booking.intervals] == [
        5_000 * 620_000, 3_000 * 320_000 - 280 * 10_000_000,
    ]  # fmt: skip
    assert [part.compartment for part in told.booking.parts] == [None]


async def test_vacancy_is_corrected_in_the_houses_own_purse(new_site):
    site = await night(new_site)
    await settle.close(
        site.db, site.project_id, site.rooms[0].agreement_id, LEAVING, None, site.clock()
    )
    site.clock.step(hours=14)  # nine in the evening again
    await site.say(USED_MILLI)
    site.clock.step(hours=10)
    await site.say(2 * USED_MILLI)
    guest = await customer.add(site.db, site.project_id, Facts("李四"), "zh-Hans")
    await account.open_account(
        site.db, site.project_id, site.rooms[0].place_id, guest, Terms(), None, site.clock()
    )
    before = await site.state()
    ten = site.clock().replace(hour=14, minute=0)
    await site.read((site.meters[0], ten, USED_MILLI + 5_000))
    assert (await site.state())["accrued_nano"] == before["accrued_nano"]
    moved = await site.row("select amount_minor from transfer where booking < 0")
    assert moved["amount_minor"] == 126
    assert (await house(site, "receivable"), await house(site, "suspense")) == (0, 0)
    assert [kind for kind, _ in await site.alarms()].count("payer_left") == 0
    await whole(site)


async def test_a_decision_says_who_pays_now_and_who_paid_then(new_site):
    site = await night(new_site)
    left_id, read_at = site.rooms[0].agreement_id, (await site.state())["good_at"]
    next_id = await let_on(site)
    site.clock.step(hours=1)
    await site.say(USED_MILLI + 1_000)
    before = await site.state()
    said = doubt.Decision(Decided.CORRECT, "a digit was misread", (USED_MILLI - 1_000, *[-1] * 4))
    which = doubt.OfMeter(site.meters[0], to_us(read_at))
    done = await doubt.decide(
        site.db, site.tariffs, site.project_id, which, said, None, site.clock()
    )
    now, then = done.weight.payers
    assert (now.agreement_id, now.is_present) == (next_id, True)
    assert (now.before_milli, now.after_milli) == (1_000, 2_000)
    assert (then.agreement_id, then.is_present) == (left_id, False)
    assert (then.before_milli, then.after_milli) == (USED_MILLI, USED_MILLI - 1_000)
    # Each difference goes to whom it is said of, and nowhere else.
    after = await site.state()
    assert after["accrued_nano"] - before["accrued_nano"] == now.after_nano - now.before_nano
    given_back_minor = round((then.before_nano - then.after_nano) / 10_000_000)
    assert await house(site, "suspense") == given_back_minor > 0
    await whole(site)
