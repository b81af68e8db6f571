"""What households bring from an older system: credit, debt, deposits; in the books, and by two."""

from dataclasses import replace

import pytest

from meterhouse.errors import RowsRefused
from meterhouse.flows import (
    access,
    account,
    books,
    customer,
    explain,
    households,
    onboard,
    refund,
    settle,
)
from meterhouse.flows.account import OpeningNeedsSecond, Terms
from meterhouse.flows.households import HouseholdRow
from meterhouse.flows.refund import Slip
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.flows.sheet import SiteRow
from meterhouse.store import proofs
from meterhouse.store.personal import Facts
from street import build_street

OWES = Terms(debt_minor=30_000, held_minor=20_000)
"""As much together as one may enter alone."""


@pytest.fixture
async def site(new_site):
    """Three vacant rooms, and a customer (`guest`)."""
    made = await new_site(rooms=3, is_let=False)
    made.clock.step(minutes=1)
    await made.rows(
        """update project set policy = '{"refund_second_minor": 50000}' where id = $1
           returning id""", made.project_id,
    )  # fmt: skip
    return made


@pytest.fixture
async def guest(site):
    return await customer.add(site.db, site.project_id, Facts("Guest"), "en")


@pytest.fixture
async def pair(site):
    """Two people of the house."""
    return [
        await access.add_person(
            site.db, login, login, "a-long-enough-password", "project_manager", "project",
            site.project_id, site.clock(),
        )
        for login in ("ben", "fay")
    ]  # fmt: skip


async def opened(site, guest, terms, room=0, actor_id=None):
    return await account.open_account(
        site.db, site.project_id, site.rooms[room].place_id, guest, terms, actor_id, site.clock()
    )


async def held(site, agreement_id):
    rows = await site.rows(
        """select kind, sum(credit_minor - debit_minor)::int8 as minor from account
           where agreement_id = $1 group by kind""", agreement_id,
    )  # fmt: skip
    return {row["kind"]: row["minor"] for row in rows if row["minor"]}


async def trial(site):
    now = await books.trial(site.db, site.project_id, site.clock.step(seconds=1))
    assert now.holds
    return {one.kind: one.balance_minor for one in now.standings if one.balance_minor}


async def holds(site):
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


def slip(site, key, **more):
    return replace(Slip("cash", key, "mistyped", None, site.clock()), **more)


async def order(site, kind):
    return (
        await site.row("select id from payment where kind = $1 and of_payment_id is null", kind)
    )["id"]


async def test_a_debt_and_a_deposit_from_before_stand_against_the_opening_balances(site, guest):
    made = await opened(site, guest, OWES)
    assert await held(site, made) == {"purse": -30_000, "deposit": 20_000}
    # What the house was owed, less what it held; no cash moved, and nothing was earned.
    assert await trial(site) == {"purse": -30_000, "deposit": 20_000, "opening": -10_000}
    rows = await site.rows(
        """select t.kind, d.kind as debit, c.kind as credit, t.id from transfer t
           join account d on d.id = t.debit_account_id
           join account c on c.id = t.credit_account_id order by t.id"""
    )
    assert [tuple(row.values())[:3] for row in rows] == [
        ("opening_debt", "purse", "opening"), ("opening_deposit", "opening", "deposit"),
    ]  # fmt: skip
    for row in rows:
        told = await explain.explain_transfer(site.db, site.tariffs, site.project_id, row["id"])
        assert told.basis is explain.Basis.ORDER
    since = site.clock.step(days=-1)
    now = await books.statement(site.db, site.project_id, made, since, site.clock.step(days=2))
    assert [(one.section, one.closing_minor) for one in now.parts] == [
        ("purse", -30_000), ("deposit", 20_000),
    ]  # fmt: skip
    assert await site.rows("select from receipt") == []
    await holds(site)


async def test_a_debt_is_paid_off_and_a_deposit_from_before_is_paid_out_in_cash(site, guest):
    made = await opened(site, guest, OWES)
    await site.pay(30_000)
    assert await held(site, made) == {"deposit": 20_000}
    given = slip(site, "d-1", channel="transfer")
    done = await refund.return_deposit(
        site.db, site.project_id, await order(site, "opening_deposit"), given
    )
    assert done.amount_minor == 20_000
    assert await trial(site) == {"cash": 10_000, "opening": -10_000}
    row = await site.row("select channel from payment where kind = 'deposit_refund'")
    assert row["channel"] == "transfer"
    with pytest.raises(refund.ReversedAlready):
        await refund.reverse(
            site.db, site.project_id, await order(site, "opening_deposit"), slip(site, "d-2")
        )
    await holds(site)


async def test_what_was_mistyped_of_before_is_taken_back_once(site, guest):
    made = await opened(site, guest, OWES)
    for number, kind in enumerate(("opening_debt", "opening_deposit")):
        payment_id = await order(site, kind)
        done = await refund.reverse(
            site.db, site.project_id, payment_id, slip(site, f"u-{number}")
        )  # fmt: skip
        assert done.is_new
        with pytest.raises(refund.ReversedAlready):
            await refund.reverse(
                site.db, site.project_id, payment_id, slip(site, f"again-{number}")
            )
        with pytest.raises(refund.NotReversible):
            await refund.reverse(
                site.db, site.project_id, done.payment_id, slip(site, f"back-{number}")
            )
    assert await held(site, made) == {}
    assert await trial(site) == {}
    with pytest.raises(refund.ReversedAlready):
        await refund.return_deposit(
            site.db, site.project_id, await order(site, "opening_deposit"), slip(site, "d-1")
        )
    await holds(site)


async def test_so_much_from_before_is_prepared_by_one_and_opened_by_another(site, guest, pair):
    ben, fay = pair
    much = replace(OWES, held_minor=20_001)
    with pytest.raises(OpeningNeedsSecond):
        await opened(site, guest, much, actor_id=ben)
    key = (site.db, site.project_id)
    waiting = await account.prepare(*key, site.rooms[0].place_id, guest, much, ben, site.clock())
    with pytest.raises(OpeningNeedsSecond):
        await account.open_prepared(*key, waiting, ben, site.clock())
    made = await account.open_prepared(*key, waiting, fay, site.clock())
    assert await held(site, made) == {"purse": -30_000, "deposit": 20_001}
    people = await site.rows("select distinct actor_id, second_id from payment")
    assert people == [{"actor_id": fay, "second_id": ben}]
    # Credit counts as well, and what one may enter alone names nobody else.
    with pytest.raises(OpeningNeedsSecond):
        await opened(site, guest, Terms(credit_minor=50_001), 1, ben)
    await opened(site, guest, Terms(credit_minor=50_000), 1, ben)
    alone = await site.row("select second_id from payment where kind = 'opening'")
    assert alone["second_id"] is None
    await holds(site)


async def test_a_change_of_tenants_that_brings_so_much_takes_two(site, guest, pair):
    ben, fay = pair
    first = await opened(site, guest, Terms())
    await site.say(0)
    much = Terms(debt_minor=50_001)

    async def handed(second_id):
        return await settle.move_tenants(
            site.db, site.project_id, first, guest, much, Balance.PAY_OUT, Leaving("moved"), ben,
            site.clock.step(seconds=1), second_id,
        )  # fmt: skip

    with pytest.raises(OpeningNeedsSecond):
        await handed(None)
    done = await handed(fay)
    assert await held(site, done.next_id) == {"purse": -50_001}
    await holds(site)


async def test_a_debt_in_a_meters_own_purse_is_not_entered_by_hand(db, clock):
    street = await build_street(db, clock, is_let=False)
    site = street.site
    clock.step(minutes=1)
    guest = await customer.add(db, site.project_id, Facts("Guest"), "en")
    with pytest.raises(account.DebtInMeter):
        await opened(site, guest, Terms(debt_minor=1))
    made = await opened(site, guest, Terms(held_minor=5_000))
    assert await held(site, made) == {"deposit": 5_000}


async def test_a_sheet_names_what_is_wrong_with_money_from_before_by_row_and_column(site):
    both = Terms(credit_minor=1, debt_minor=1)
    much = Terms(held_minor=50_001)
    wrong = [
        (0, "opening_debt", "credit_and_debt"),
        (1, "opening_deposit", "opening_needs_second"),
    ]
    rows = [
        HouseholdRow("A", f"10{number}", "Guest", "1", terms=terms)
        for number, terms in ((1, both), (2, much), (3, OWES))
    ]
    with pytest.raises(RowsRefused) as refused:
        await households.take(site.db, site.project_id, rows, None, site.clock())
    assert [(one.row, one.field, one.error.code) for one in refused.value.faults] == wrong
    sheet = [
        SiteRow("A", one.room, one.floor, customer=one.customer, terms=one.terms) for one in rows
    ]
    with pytest.raises(RowsRefused) as refused:
        await onboard.import_rows(site.db, site.project_id, sheet, None, site.clock())
    assert [(one.row, one.field, one.error.code) for one in refused.value.faults] == wrong
    # Prepared, so much waits for whoever opens it.
    taken = await households.take(
        site.db, site.project_id, rows[1:], None, site.clock(), is_prepared=True
    )
    assert taken == 2
    await onboard.import_rows(site.db, site.project_id, sheet[2:], None, site.clock())
    assert await trial(site) == {"purse": -30_000, "deposit": 20_000, "opening": -10_000}
    await holds(site)
