"""Receipts: numbers without gaps whatever fails, facts that stay, originals that leave once."""

import asyncio
from datetime import timedelta

import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import personal, receipt
from meterhouse.flows import project as projects
from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.flows.receipt import PrintOver, ReceiptThere, ReceiptUnfit, ReceiptVoid
from meterhouse.model import AccountKind, PaymentKind
from meterhouse.paper.sheet import Paper
from meterhouse.store import catalog, ledger, people, proofs
from meterhouse.store.ledger import NewPayment, NewTransfer
from meterhouse.store.projects import Payee
from meterhouse.store.receipts import SeriesTaken, Settings
from meterhouse.units import Minor
from premises import MORNING

GAPLESS = "the receipts of every series are numbered from 1 without a gap"


async def someone(site, login="ann"):
    async with site.db.transaction([0]) as connection:
        return await people.insert_person(
            connection, "staff", login, "Ann Lee", None, None, MORNING
        )


async def given(site, amount_minor=5_000, room=0, key=""):
    return (await site.pay(amount_minor, room, key)).payment_id


async def issued(site, payment_id, actor_id=None):
    made = await receipt.issue_later(site.db, site.project_id, payment_id, actor_id, site.clock())
    return await receipt.look(site.db, site.project_id, made)


async def numbers(site):
    found = await site.rows("select payee_id, number from receipt order by payee_id, number")
    return [(row["payee_id"], row["number"]) for row in found]


async def proof(site):
    return {one.says: one for one in await proofs.prove(site.db.address)}[GAPLESS]


async def test_a_receipt_keeps_what_was_true_when_money_changed_hands(site):
    await site.say(10_000)
    made = await issued(site, await given(site))
    assert made.row["label"] == "00000001"
    facts = made.facts
    assert (facts.kind, facts.channel, facts.amount_minor) == ("recharge", "cash", 5_000)
    assert (facts.building, facts.room, facts.meter) == ("A", "101", "000000000001")
    assert (facts.currency, facts.timezone) == ("CNY", "Asia/Shanghai")
    assert facts.balance_minor == 5_000
    await given(site, 700)
    await site.rows("update place set name = 'renamed' where name = '101' returning id")
    assert (await receipt.look(site.db, site.project_id, made.row["id"])).facts == facts


async def test_facts_hold_no_name(site):
    made = await issued(site, await given(site))
    (kept,) = await site.rows("select facts::text as facts from receipt")
    assert "Household" not in kept["facts"]
    assert made.facts.customer_id is not None
    assert made.row["customer"] != "Household 1"
    assert made.row["customer"].startswith("H")


async def test_a_payment_has_one_receipt_until_that_is_void(site):
    payment_id = await given(site)
    first = await issued(site, payment_id)
    with pytest.raises(ReceiptThere):
        await issued(site, payment_id)
    await receipt.void(site.db, site.project_id, first.row["id"], "torn", None, site.clock())
    again = await issued(site, payment_id)
    assert (first.row["number"], again.row["number"]) == (1, 2)
    assert (await proof(site)).holds


async def test_a_void_receipt_keeps_its_number_and_says_why(site):
    made = await issued(site, await given(site))
    where = (site.db, site.project_id, made.row["id"])
    assert await receipt.void(*where, "wrong amount", None, site.clock()) == "00000001"
    now = (await receipt.look(*where)).row
    assert (now["number"], now["is_void"], now["void_reason"]) == (1, True, "wrong amount")
    with pytest.raises(ReceiptVoid):
        await receipt.void(*where, "again", None, site.clock())


async def pay_and_issue(site, key, fails=False, payee_id=None, kind=PaymentKind.RECHARGE, room=0):
    """A sale as it will be: payment, transfer and receipt in one transaction."""
    async with site.db.transaction([site.project_id]) as connection:
        project = await catalog.get_project(connection, site.project_id)
        purse = await ledger.read_purse(connection, site.project_id, site.points[room])
        agreement_id = await connection.fetchval(
            "select agreement_id from account where id = $1", purse.account_ids[0]
        )
        new = NewPayment(agreement_id, purse.account_ids[0], "cash", Minor(100), key, kind,
                         point_id=site.points[room], payee_id=payee_id)  # fmt: skip
        payment_id, _ = await ledger.insert_payment(
            connection, site.project_id, new, None, site.clock()
        )
        cash_id = await ledger.house_account(connection, site.project_id, AccountKind.CASH)
        transfer = NewTransfer(cash_id, purse.account_ids[0], Minor(100), "recharge",
                               site.points[room], payment_id)  # fmt: skip
        await ledger.post(connection, site.project_id, [transfer], None, site.clock())
        made = await receipt.issue(connection, project, payment_id, None, site.clock())
        if fails:
            raise RuntimeError("the power went")
        return made


async def test_sales_at_once_of_which_some_fail_leave_no_gap(new_site):
    site = await new_site(rooms=24)
    done = await asyncio.gather(
        *(pay_and_issue(site, f"k{n}", fails=n % 3 == 0, room=n) for n in range(24)),
        return_exceptions=True,
    )
    made = [one for one in done if isinstance(one, int)]
    assert len(made) == 16
    assert sum(isinstance(one, RuntimeError) for one in done) == 8
    assert await numbers(site) == [(0, n) for n in range(1, 17)]
    assert len(await site.rows("select id from payment")) == 16
    assert (await proof(site)).holds


async def test_two_who_want_the_receipt_of_one_payment_get_one(site):
    payment_id = await given(site)
    done = await asyncio.gather(
        *(issued(site, payment_id) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(one, ReceiptThere) for one in done) == 3
    assert await numbers(site) == [(0, 1)]
    assert (await proof(site)).holds


async def test_each_payee_has_a_series_of_its_own(site):
    payees = [
        await projects.add_payee(site.db, site.project_id, Payee(kind, name, "", "91310", series))
        for kind, name, series in (("electricity", "Power Ltd", "E-"), ("water", "Water Ltd", ""))
    ]
    for n, payee_id in enumerate((payees[0], payees[1], payees[0])):
        made = await receipt.look(
            site.db, site.project_id, await pay_and_issue(site, f"k{n}", payee_id=payee_id)
        )
    assert await numbers(site) == [(payees[0], 1), (payees[0], 2), (payees[1], 1)]
    assert made.row["label"] == "E-00000002"
    assert (made.facts.payee, made.facts.tax_id) == ("Power Ltd", "91310")
    labels = await site.rows("select label from receipt where payee_id = $1", payees[1])
    assert [row["label"] for row in labels] == [f"{payees[1]}-00000001"]


async def test_a_number_that_is_missing_is_found(site):
    for n in range(3):
        await issued(site, await given(site, 100, key=f"k{n}"))
    assert (await proof(site)).holds
    await site.rows("update receipt set number = 9 where number = 2 returning id")
    assert (await proof(site)).contradicting == 1
    await site.rows("update receipt set number = 2 where number = 9 returning id")
    await site.rows("update receipt_series set next_number = 9 returning payee_id")
    assert (await proof(site)).contradicting == 1


async def test_what_only_moves_in_the_books_has_no_receipt(site):
    with pytest.raises(ReceiptUnfit):
        await pay_and_issue(site, "k", kind=PaymentKind.OPENING)
    assert await numbers(site) == []


async def test_there_is_none_of_a_payment_that_is_not_ours(site, new_site):
    other = await new_site(name="other")
    payment_id = await given(other)
    with pytest.raises(NotFound):
        await issued(site, payment_id)
    made = await issued(other, payment_id)
    with pytest.raises(NotFound):
        await receipt.look(site.db, site.project_id, made.row["id"])


async def printing(site, made, actor_id, is_named=False):
    return await receipt.count_print(
        site.db, site.project_id, made.row["id"], Paper.A5, "zh-Hans", is_named, actor_id,
        site.clock(),
    )  # fmt: skip


async def test_prints_are_counted_and_their_files_leave_for_a_while(site):
    ann, bob = await someone(site), await someone(site, "bob")
    made = await issued(site, await given(site), ann)
    assert [await printing(site, made, ann) for _ in range(2)] == [1, 2]
    where = (site.db, site.project_id, made.row["id"])
    first = await receipt.printed(*where, 1, ann, site.clock())
    assert (first.copy, first.paper, first.language) == (1, Paper.A5, "zh-Hans")
    assert first.receipt.row["print_count"] == 2
    with pytest.raises(PrintOver):
        await receipt.printed(*where, 1, bob, site.clock())
    with pytest.raises(NotFound):
        await receipt.printed(*where, 3, ann, site.clock())
    later = site.clock() + receipt.FILE_LIFE
    assert await receipt.printed(*where, 2, ann, later)
    with pytest.raises(PrintOver):
        await receipt.printed(*where, 2, ann, later + timedelta(seconds=1))


async def test_prints_at_once_are_an_original_and_copies(site):
    ann = await someone(site)
    made = await issued(site, await given(site))
    done = await asyncio.gather(*(printing(site, made, ann) for _ in range(6)))
    assert sorted(done) == [1, 2, 3, 4, 5, 6]


async def test_a_name_is_printed_only_where_it_was_asked_for_and_never_after_erasure(site):

    ann = await someone(site)
    made = await issued(site, await given(site))
    where = (site.db, site.project_id, made.row["id"])
    masked, named = await printing(site, made, ann), await printing(site, made, ann, True)
    assert (await receipt.printed(*where, named, ann, site.clock())).payer == "Household 1"
    shown = (await receipt.printed(*where, masked, ann, site.clock())).payer
    assert shown == made.row["customer"] != "Household 1"
    await personal.erase(
        site.db, site.project_id, made.facts.customer_id, "asked for it", site.clock()
    )
    for copy in (masked, named):
        assert (await receipt.printed(*where, copy, ann, site.clock())).payer == ""


async def test_what_a_project_chose_is_changed_by_one_at_a_time(site):
    was = await receipt.settings(site.db, site.project_id)
    assert was == Settings("", "a5", "", (), 1)
    new = Settings("R-", "roll", "Thank you", ["transfer"], was.version)
    await receipt.change_settings(site.db, site.project_id, new)
    with pytest.raises(ChangedMeanwhile):
        await receipt.change_settings(site.db, site.project_id, new)
    made = await issued(site, await given(site))
    assert made.row["label"] == "R-00000001"
    assert (made.settings.paper, made.settings.footer) == ("roll", "Thank you")
    assert not receipt.is_wanted(made.settings.quiet_channels, "transfer")
    assert receipt.is_wanted(made.settings.quiet_channels, "cash")


async def test_no_two_series_ever_print_the_same_number(site):
    db, number = site.db, site.project_id

    async def begin(prefix):
        now = await receipt.settings(db, number)
        await receipt.change_settings(db, number, now._replace(prefix=prefix))

    power = await projects.add_payee(db, number, Payee("electricity", "Power", "", "1", "E-"))
    with pytest.raises(SeriesTaken) as caught:
        await projects.add_payee(db, number, Payee("water", "Water", "", "2", "E-"))
    assert caught.value.field == "series"
    with pytest.raises(SeriesTaken) as caught:
        await begin("E-")
    assert caught.value.field == "prefix"
    # What was printed once is taken for ever, whatever its series begins with now.
    await begin("R-")
    assert (await issued(site, await given(site))).row["label"] == "R-00000001"
    await begin("")
    with pytest.raises(SeriesTaken):
        await projects.edit_payee(db, number, power, 1, Payee("electricity", "P", "", "1", "R-"))
