"""A fee is charged once, out of what may pay for it, and reversed whole; the books hold."""

from dataclasses import replace

import pytest

from meterhouse.errors import Conflict
from meterhouse.flows import access, books, day, fee, orders, project, receipt, refund, sale, shift
from meterhouse.flows import move as moves
from meterhouse.flows.orders import FROM_PURSE, Direction
from meterhouse.flows.refund import Slip
from meterhouse.flows.sale import Wish
from meterhouse.store import proofs, receipts
from meterhouse.store.lists import Wanted
from meterhouse.units import Minor


async def sell(site, amount_minor=5_000, key="k-1", channel="cash"):
    given = Wish(Minor(amount_minor), None, channel, None, key)
    await sale.sell(site.db, site.project_id, site.points[0], given, None, site.clock())


async def share(site, amount_minor, part="common", key="m-1"):
    """Move money that was paid in for electricity to where a fee may be taken from."""
    mine = site.rooms[0].agreement_id
    await moves.move(
        site.db, site.project_id, mine, "electricity", mine, part, Minor(amount_minor), key,
        "for fees", None, site.clock(),
    )  # fmt: skip


def slip(site, channel="cash", key="f-1", reason="new card", **more):
    return replace(Slip(channel, key, reason, None, site.clock()), **more)


async def charge(site, amount_minor, channel="cash", **more):
    return await fee.charge(
        site.db, site.project_id, site.points[0], Minor(amount_minor), slip(site, channel, **more)
    )


async def undo(site, payment_id, **more):
    given = slip(site, **{"key": "u-1", "reason": "wrong room"} | more)
    return await fee.reverse(site.db, site.project_id, payment_id, given)


async def sides(site, payment_id):
    return await site.row(
        """select d.kind as debit, c.kind as credit, t.kind, t.amount_minor, t.reason
           from transfer t join account d on d.id = t.debit_account_id
           join account c on c.id = t.credit_account_id where t.payment_id = $1""",
        payment_id,
    )


async def proven(site):
    return [one.says for one in await proofs.prove(site.db.address) if not one.holds]


async def totals(site):
    found = await orders.sums(site.db, site.project_id, Wanted())
    return {way: found.of(way) for way in Direction}


async def test_a_fee_over_the_counter_is_money_in_with_a_receipt(site):
    done = await charge(site, 2_000)
    again = await charge(site, 2_000)
    assert (again.payment_id, again.is_new, done.available_minor) == (done.payment_id, False, 0)
    assert await sides(site, done.payment_id) == {
        "debit": "cash", "credit": "fee", "kind": "fee", "amount_minor": 2_000,
        "reason": "new card",
    }  # fmt: skip
    paper = await site.row("select id from receipt where payment_id = $1", done.payment_id)
    told = (await receipt.look(site.db, site.project_id, paper["id"])).facts
    assert (told.kind, told.purpose, told.amount_minor) == ("fee", "new card", 2_000)
    assert await totals(site) == {Direction.IN: 2_000, Direction.OUT: 0, Direction.WITHIN: 0}
    assert await proven(site) == []


async def test_a_fee_out_of_the_purse_stays_within_the_books(site):
    await sell(site)
    with pytest.raises(fee.FeeBeyondPurse):
        await charge(site, 2_000, FROM_PURSE)
    await share(site, 2_500)
    done = await charge(site, 2_000, FROM_PURSE)
    assert done.available_minor == 3_000
    assert (await sides(site, done.payment_id))["debit"] == "purse"
    assert await totals(site) == {Direction.IN: 5_000, Direction.OUT: 0, Direction.WITHIN: 4_500}
    with pytest.raises(receipt.ReceiptUnfit):
        await receipt.issue_later(site.db, site.project_id, done.payment_id, None, site.clock())
    told = await books.statement(
        site.db, site.project_id, site.rooms[0].agreement_id, site.clock.step(minutes=-1),
        site.clock.step(hours=1),
    )  # fmt: skip
    moved = told.parts[0].movements[-1]
    assert (moved.amount_minor, moved.reason, moved.payment_kind) == (-2_000, "new card", "fee")
    assert (await books.trial(site.db, site.project_id, site.clock())).holds
    assert await proven(site) == []


async def test_no_overdraft_is_lent_for_a_fee(site, clock):
    await sell(site, 1_000)
    await share(site, 1_000)
    await site.say(0)
    clock.step(minutes=30)
    await site.say(1_001)
    with pytest.raises(fee.FeeBeyondPurse) as caught:
        await charge(site, 940, FROM_PURSE)
    assert caught.value.facts == {"available": "9.39", "missing": "0.01"}
    assert (await charge(site, 939, FROM_PURSE)).available_minor == 0


async def fee_purse(site, fee_minor, common_minor):
    """A purse for fees beside the common one, with so much in each."""
    agreement_id = site.rooms[0].agreement_id
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute(
            """insert into account (project_id, kind, unit, agreement_id, compartment, floor_minor)
               values ($1, 'purse', 'CNY', $2, 'fee', 0)""",
            site.project_id, agreement_id,
        )  # fmt: skip
    await share(site, fee_minor, "fee")
    await share(site, common_minor, key="m-2")


async def paid_out_of(site):
    """Which purses paid fees and got them back, in order, and how much."""
    rows = await site.rows(
        """select y.kind, a.compartment, y.amount_minor, y.of_payment_id is not null as names
           from payment y join account a on a.id = y.account_id
           where y.kind in ('fee', 'reversal') order by y.id"""
    )
    return [tuple(row.values()) for row in rows]


async def test_the_first_purse_that_holds_all_of_a_fee_pays_it(site):
    await sell(site)
    await fee_purse(site, 1_000, 1_000)
    for amount_minor, key in ((600, "f-1"), (600, "f-2")):
        await charge(site, amount_minor, FROM_PURSE, key=key)
    assert await paid_out_of(site) == [
        ("fee", "fee", 600, False), ("fee", "common", 600, False),
    ]  # fmt: skip
    assert await proven(site) == []


async def test_a_fee_larger_than_any_purse_comes_out_of_each_in_order_and_goes_back(site, clock):
    await sell(site)
    await fee_purse(site, 1_000, 700)
    with pytest.raises(fee.FeeBeyondPurse) as caught:
        await charge(site, 1_701, FROM_PURSE)
    assert caught.value.facts == {"available": "17.00", "missing": "0.01"}
    done = await charge(site, 1_500, FROM_PURSE)
    again = await charge(site, 1_500, FROM_PURSE)
    assert (again.payment_id, again.is_new) == (done.payment_id, False)
    assert (done.amount_minor, again.amount_minor) == (1_500, 1_500)
    with pytest.raises(Conflict):
        await charge(site, 1_400, FROM_PURSE)
    taken = [("fee", "fee", 1_000, False), ("fee", "common", 500, True)]
    assert await paid_out_of(site) == taken
    first, second = await site.rows("select id from payment where kind = 'fee' order by id")
    related = (await orders.order(site.db, site.project_id, first["id"])).related
    assert [one["id"] for one in related] == [second["id"]]
    # Whichever of its orders is named, the fee is undone whole, and once.
    back = await undo(site, second["id"])
    assert (back.amount_minor, back.available_minor) == (1_500, 3_300 + 700)
    assert await paid_out_of(site) == [
        *taken, ("reversal", "fee", 1_000, True), ("reversal", "common", 500, True),
    ]  # fmt: skip
    with pytest.raises(refund.ReversedAlready):
        await undo(site, first["id"], key="u-2")
    assert await proven(site) == []


async def test_who_owes_or_is_drained_pays_no_fee(site, clock):
    await sell(site, 100)
    await share(site, 100)
    await site.say(0)
    clock.step(minutes=30)
    await site.say(2_000)
    with pytest.raises(fee.FeeBeyondPurse) as caught:
        await charge(site, 1, FROM_PURSE, at=clock())
    assert caught.value.facts == {"available": "0.00", "missing": "0.01"}


async def test_money_of_one_payee_does_not_pay_anothers_fee(site):
    await sell(site)
    await share(site, 1_000)
    payee = project.Payee("electricity", "Power works", "", "", "")
    await project.add_payee(site.db, site.project_id, payee)
    with pytest.raises(fee.FeeBeyondPurse) as caught:
        await charge(site, 100, FROM_PURSE)
    assert caught.value.facts == {"available": "0.00", "missing": "1.00"}


async def test_a_fee_over_the_counter_lies_in_the_cash_of_who_receives_fees(site):
    payee = project.Payee("fee", "Caretakers", "", "", "")
    await project.add_payee(site.db, site.project_id, payee)
    done = await charge(site, 100)
    row = await site.row(
        """select e.name, a.debit_minor from payment y join payee e on e.id = y.payee_id
           join account a on a.kind = 'cash' and a.payee_id = e.id where y.id = $1""",
        done.payment_id,
    )
    assert row == {"name": "Caretakers", "debit_minor": 100}


@pytest.mark.parametrize("channel", ["cash", FROM_PURSE])
async def test_a_wrong_fee_is_reversed_once(site, clock, channel):
    await sell(site)
    await share(site, 3_000)
    done = await charge(site, 2_000, channel)
    back = await undo(site, done.payment_id)
    assert back.available_minor == 5_000
    one = await sides(site, back.payment_id)
    assert (one["debit"], one["credit"]) == ("fee", "cash" if channel == "cash" else "purse")
    with pytest.raises(refund.ReversedAlready):
        await undo(site, done.payment_id, key="u-2")
    out_minor = 2_000 if channel == "cash" else 0
    assert (await totals(site))[Direction.OUT] == out_minor
    kept = await site.row(
        "select count(*) as n from receipt where payment_id = $1 and voided_at is null",
        done.payment_id,
    )
    assert kept == {"n": 0}
    assert await proven(site) == []


@pytest.mark.parametrize(("channel", "alone_today"), [("cash", False), (FROM_PURSE, True)])
async def test_a_fee_of_another_day_is_undone_by_two_above_the_limit(
    site, clock, channel, alone_today
):
    ben, fay = [
        await access.add_person(
            site.db, login, login, "a-long-enough-password", "cashier", "project",
            site.project_id, clock(),
        )
        for login in ("ben", "fay")
    ]  # fmt: skip
    await sell(site)
    await share(site, 3_000)
    await site.rows("""update project set policy = '{"refund_second_minor": 500}' returning 1""")
    large = await charge(site, 501, channel, actor_id=ben)
    small = await charge(site, 500, channel, key="f-2", actor_id=ben)
    number = (await site.row("select max(number) as n from receipt"))["n"]
    now = await fee.undoing(site.db, site.project_id, large.payment_id, clock())
    assert (now.amount_minor, now.needs_second) == (501, not alone_today)
    clock.step(days=3)
    assert (await undo(site, small.payment_id, actor_id=ben)).is_new
    for second in (None, ben):
        with pytest.raises(refund.PayoutNeedsSecond):
            await undo(site, large.payment_id, key="u-2", actor_id=ben, second_id=second)
    assert (await undo(site, large.payment_id, key="u-3", actor_id=ben, second_id=fay)).is_new
    voided = await site.rows("select number from receipt where voided_at is not null")
    papers = [] if alone_today else [{"number": number - 1}, {"number": number}]
    assert sorted(voided, key=lambda one: one["number"]) == papers
    assert await proven(site) == []


async def test_a_fee_over_the_counter_stands_on_the_statement_and_moves_no_balance(site, clock):
    await sell(site)
    since = clock()
    early = await charge(site, 900)
    clock.step(days=1)
    done = await charge(site, 2_000, "card", key="f-2")
    await undo(site, done.payment_id)
    until = clock.step(hours=1)
    agreement_id = site.rooms[0].agreement_id

    async def told(first, last):
        now = await books.statement(site.db, site.project_id, agreement_id, first, last)
        return {part.section: part for part in now.parts}

    parts = await told(since, until)
    counter = parts[books.Section.COUNTER]
    assert [(one.kind, one.amount_minor, one.balance_minor) for one in counter.movements] == [
        ("fee", -900, -900), ("paid", 900, 0), ("fee", -2_000, -2_000), ("paid", 2_000, 0),
        ("reversal", 2_000, 2_000), ("paid_back", -2_000, 0),
    ]  # fmt: skip
    assert (counter.opening_minor, counter.closing_minor) == (0, 0)
    assert counter.moved(1) == counter.moved(-1) == 4_900
    assert parts[books.Section.PURSE].closing_minor == 5_000
    today = await told(clock.step(hours=-2), until)
    assert today[books.Section.COUNTER].movements[0].payment_id == done.payment_id
    assert books.Section.COUNTER not in await told(until, until + (until - since))
    assert early.payment_id in {one.payment_id for one in counter.movements}


async def test_a_fee_counts_neither_as_paid_in_nor_its_reversal_as_paid_back(site):
    await sell(site)
    done = await charge(site, 2_000)
    await undo(site, done.payment_id)
    whole = slip(site, key="r-1")
    back = await refund.refund(site.db, site.project_id, site.points[0], Minor(5_000), whole)
    assert back.available_minor == 0
    with pytest.raises(refund.NotReversible):
        await refund.reverse(site.db, site.project_id, done.payment_id, slip(site, key="r-2"))
    with pytest.raises(refund.NotReversible):
        await undo(site, back.payment_id, key="u-2")


async def test_a_day_tells_fees_by_the_way_they_went(site, clock):
    await sell(site)
    await share(site, 1_000)
    await charge(site, 2_000)
    await charge(site, 300, FROM_PURSE, key="f-2")
    await charge(site, 500, "card", key="f-3")
    today = clock().date()
    await day.close_days(site.db, site.project_id, today, None, clock.step(hours=1))
    closed = await day.closed_day(site.db, site.project_id, today)
    assert (closed.totals["in_minor"], closed.totals["out_minor"]) == (7_500, 0)
    assert {one["commodity"] for one in closed.totals["money"] if one["kind"] == "fee"} == {None}
    assert closed.is_proved


async def test_a_cash_fee_lies_in_the_drawer_of_who_took_it(site):
    person = await access.add_person(
        site.db, "li", "Li", "a-long-enough-password", "cashier", "project", site.project_id,
        site.clock(),
    )  # fmt: skip
    shift_id = await shift.open_one(site.db, site.project_id, person, 10_000, site.clock())
    await charge(site, 2_000, actor_id=person)
    await charge(site, 700, "card", key="f-2", actor_id=person)
    now = await shift.look(site.db, site.project_id, shift_id)
    assert now.expected_minor == 12_000
    assert [(one.channel, one.in_minor) for one in now.channels] == [
        ("cash", 2_000), ("card", 700),
    ]  # fmt: skip


async def test_a_fee_says_what_for_and_nothing_is_sold_out_of_the_purse(site):
    with pytest.raises(fee.PurposeMissing):
        await charge(site, 100, reason=" ")
    with pytest.raises(sale.ChannelUnusable):
        await sell(site, channel=FROM_PURSE)


async def test_an_order_over_a_quiet_channel_brings_no_receipt_by_itself(site):
    async with site.db.transaction([site.project_id]) as connection:
        now = await receipts.settings(connection, site.project_id)
        await receipts.change_settings(
            connection, site.project_id, now._replace(quiet_channels=["card"])
        )
    for channel, key in (("card", "f-1"), ("cash", "f-2")):
        await charge(site, 100, channel, key=key)
    rows = await site.rows(
        """select y.channel from receipt r join payment y on y.id = r.payment_id"""
    )
    assert rows == [{"channel": "cash"}]
    row = await site.row("select id from payment where channel = 'card'")
    assert await receipt.issue_later(site.db, site.project_id, row["id"], None, site.clock())
