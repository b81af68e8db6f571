"""At a closing each payee pays back what it took, point by point; much that is lost takes two."""

from dataclasses import replace

import pytest

from meterhouse.flows import access, account, customer, device, project, refund, sale, settle
from meterhouse.flows import close as closing
from meterhouse.flows.account import Terms
from meterhouse.flows.sale import Wish
from meterhouse.flows.settle import Debt, Leaving
from meterhouse.model import Commodity, Keeper
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from meterhouse.store.projects import Payee
from meterhouse.units import Minor
from premises import HASTY

LEAVING = Leaving("the lease has ended")


@pytest.mark.parametrize(
    ("amount_minor", "left", "present", "expected"),
    [
        (100, {}, None, [(None, 100)]),
        (100, {}, 7, [(7, 100)]),
        (100, {7: 100}, None, [(7, 100)]),
        (100, {7: 300, 8: 100}, 8, [(8, 100)]),
        (100, {7: 300, 8: 99}, 8, [(7, 100)]),
        (100, {7: 60, 8: 50}, 8, [(8, 50), (7, 50)]),
        (100, {7: 60, None: 30}, None, [(None, 40), (7, 60)]),
        (100, {7: 60, 8: 30}, None, [(None, 10), (7, 60), (8, 30)]),
    ],
)
def test_what_is_left_is_shared_among_who_took_it(amount_minor, left, present, expected):
    found = settle.shares(amount_minor, left, present)
    assert found == expected
    assert sum(much for _, much in found) == amount_minor


async def sell(site, point_id, amount_minor, key):
    wish = Wish(Minor(amount_minor), None, "cash", None, key)
    await sale.sell(site.db, site.project_id, point_id, wish, None, site.clock())


async def add_payee(site, part):
    payee = Payee(part, f"{part} works", "", "", f"{part[0].upper()}-")
    return await project.add_payee(site.db, site.project_id, payee)


async def holds(site):
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


async def close(site, agreement_id, leaving=LEAVING, **choices):
    site.clock.step(minutes=1)
    return await settle.close(
        site.db, site.project_id, agreement_id, leaving, None, site.clock(), **choices
    )


async def cash(site):
    """What each payee's cash holds, None for the house's."""
    rows = await site.rows(
        "select payee_id, debit_minor - credit_minor as minor from account where kind = 'cash'"
    )
    return {row["payee_id"]: row["minor"] for row in rows}


@pytest.fixture
async def two_payees(new_site):
    """A household with electricity and water, of which different payees receive the money."""
    site = await new_site(rooms=1, is_let=False)
    payees = {part: await add_payee(site, part) for part in ("electricity", "water")}
    water_id = await device.add_point(
        site.db, site.project_id, site.rooms[0].place_id, Commodity.WATER, None, Keeper.PLATFORM,
        site.clock(),
    )  # fmt: skip
    guest = await customer.add(site.db, site.project_id, Facts("Guest"), "en")
    site.clock.step(minutes=1)
    made = await account.open_account(
        site.db, site.project_id, site.rooms[0].place_id, guest, Terms(), None, site.clock()
    )
    return site, made, payees, water_id


async def test_each_payee_pays_back_out_of_its_own_cash_with_its_own_receipt(two_payees):
    site, made, payees, water_id = two_payees
    await sell(site, site.points[0], 3_000, "k-1")
    await sell(site, water_id, 2_000, "k-2")
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(10_000)
    done = await close(site, made)
    told = [
        (one.kind, one.compartment, one.amount_minor, one.payee_id, one.payee, one.point_id)
        for one in done.paid
    ]
    assert told == [
        ("settlement", "electricity", 2_400, payees["electricity"], "electricity works",
         site.points[0]),
        ("settlement", "water", 2_000, payees["water"], "water works", water_id),
    ]  # fmt: skip
    held = await cash(site)
    assert (held[payees["electricity"]], held[payees["water"]], held[None]) == (600, 0, 0)
    rows = await site.rows(
        """select p.point_id, r.label, t.amount_minor from payment p
           join receipt r on r.payment_id = p.id join transfer t on t.payment_id = p.id
           where p.kind = 'settlement' order by p.id"""
    )
    assert [(row["point_id"], row["label"][:2], row["amount_minor"]) for row in rows] == [
        (site.points[0], "E-", 2_400), (water_id, "W-", 2_000),
    ]  # fmt: skip
    await holds(site)


async def test_who_took_it_before_the_payee_changed_pays_its_part_back(new_site):
    site = await new_site(rooms=1)
    await sell(site, site.points[0], 500, "k-1")
    payee_id = await add_payee(site, "electricity")
    await sell(site, site.points[0], 700, "k-2")
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(1_000)
    done = await close(site, site.rooms[0].agreement_id)
    assert [(one.payee_id, one.amount_minor) for one in done.paid] == [
        (payee_id, 700), (None, 440),
    ]  # fmt: skip
    assert await cash(site) == {None: 60, payee_id: 0}
    await holds(site)


async def test_a_debt_that_is_paid_goes_to_who_is_paid_now(new_site):
    site = await new_site(rooms=1)
    await sell(site, site.points[0], 100, "k-1")
    payee_id = await add_payee(site, "electricity")
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(3_000)
    paid = replace(LEAVING, debt=Debt.PAID)
    done = await close(site, site.rooms[0].agreement_id, paid)
    assert [(one.kind, one.amount_minor, one.payee_id, one.point_id) for one in done.paid] == [
        ("recharge", 80, payee_id, site.points[0])
    ]
    assert (await cash(site))[payee_id] == 80
    await holds(site)


async def owing(new_site, limit_minor):
    """A household that owes six yuan."""
    site = await new_site(rooms=1, policy=HASTY | {"refund_second_minor": limit_minor})
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(10_000)
    return site, site.rooms[0].agreement_id


async def test_much_that_is_written_off_takes_a_second_person(new_site):
    site, made = await owing(new_site, 599)
    wiped = replace(LEAVING, debt=Debt.WRITE_OFF)
    with pytest.raises(refund.PayoutNeedsSecond):
        await close(site, made, wiped)
    assert not await site.rows("select from settlement")
    second_id = await access.add_person(
        site.db, "two", "Two", "a-long-enough-password", "finance", "platform", 0, site.clock()
    )
    done = await close(site, made, wiped, second_id=second_id)
    (lost,) = done.paid
    assert (lost.kind, lost.amount_minor, lost.point_id) == ("write_off", 600, site.points[0])
    kept = await site.row("select point_id, amount_minor from transfer where kind = 'write_off'")
    assert kept == {"point_id": site.points[0], "amount_minor": 600}
    await holds(site)


async def test_little_is_written_off_by_one_and_a_paid_debt_needs_nobody(new_site):
    site, made = await owing(new_site, 600)
    await close(site, made, replace(LEAVING, debt=Debt.WRITE_OFF))
    site, made = await owing(new_site, 1)
    await close(site, made, replace(LEAVING, debt=Debt.PAID))
    await holds(site)


async def test_a_debt_beyond_the_limit_is_told_before_many_are_closed(new_site):
    site, made = await owing(new_site, 599)
    await closing.book_day(site.db, site.project_id, site.clock())
    assert await settle.needs_second(site.db, site.project_id, [made])
