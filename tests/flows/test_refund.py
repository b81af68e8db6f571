"""Money back: never more than is there, than was paid, or than may still arrive on a meter."""

from dataclasses import replace
from datetime import timedelta

import pytest

from meterhouse.flows import access, project, refund, sale
from meterhouse.flows.refund import Slip
from meterhouse.flows.sale import Wish
from meterhouse.store import proofs
from meterhouse.units import Minor

PASSWORD = "a-long-enough-password"


async def sell(site, amount_minor=5_000, key="k-1", channel="cash"):
    given = Wish(Minor(amount_minor), None, channel, None, key)
    done = await sale.sell(site.db, site.project_id, site.points[0], given, None, site.clock())
    return done.payment_id


def slip(site, key="r-1", channel="cash", **more):
    return replace(Slip(channel, key, "moved out", None, site.clock()), **more)


async def back(site, amount_minor, **more):
    return await refund.refund(
        site.db, site.project_id, site.points[0], Minor(amount_minor), slip(site, **more)
    )


async def undo(site, payment_id, **more):
    return await refund.reverse(site.db, site.project_id, payment_id, slip(site, **more))


async def limit(site, amount_minor):
    now = await project.look(site.db, site.project_id)
    rules = project.rules(now.policy) | {"refund_second_minor": amount_minor}
    await project.set_policy(site.db, site.project_id, now.row["version"], rules)


async def proven(site):
    return [one.says for one in await proofs.prove(site.db.address) if not one.holds]


async def test_unused_credit_goes_back_once_and_the_books_hold(site):
    await sell(site)
    first = await back(site, 2_000)
    again = await back(site, 2_000)
    assert (first.available_minor, again.is_new, again.payment_id) == (
        3_000, False, first.payment_id,
    )  # fmt: skip
    row = await site.row(
        """select d.kind as debit, c.kind as credit, t.kind from transfer t
           join account d on d.id = t.debit_account_id join account c on c.id = t.credit_account_id
           where t.payment_id = $1""",
        first.payment_id,
    )
    assert row == {"debit": "purse", "credit": "cash", "kind": "refund"}
    assert await proven(site) == []


async def test_no_more_goes_back_than_is_left_after_what_has_accrued(site, clock):
    await sell(site)
    await site.say(0)
    clock.step(minutes=30)
    await site.say(1_001)
    with pytest.raises(refund.MoneyUsed) as caught:
        await back(site, 4_940)
    assert caught.value.facts == {"left": "49.39"}
    assert (await back(site, 4_939)).available_minor == 0


async def test_no_more_goes_back_than_came_in_over_a_channel(site):
    await sell(site, 3_000)
    await sell(site, 2_000, "k-2", "card")
    with pytest.raises(refund.BeyondPaid) as caught:
        await back(site, 3_001)
    assert caught.value.facts == {"left": "30.00"}
    await back(site, 3_000)
    with pytest.raises(refund.BeyondPaid):
        await back(site, 1, key="r-2")
    assert (await back(site, 2_000, key="r-3", channel="card")).available_minor == 0


async def test_a_wrong_sale_is_undone_once_on_its_day(site, clock):
    payment_id = await sell(site)
    done = await undo(site, payment_id)
    assert (done.available_minor, done.amount_minor) == (0, 5_000)
    with pytest.raises(refund.ReversedAlready):
        await undo(site, payment_id, key="r-2")
    with pytest.raises(refund.NotReversible):
        await undo(site, done.payment_id, key="r-3")
    other = await sell(site, key="k-2")
    clock.step(days=1)
    with pytest.raises(refund.DayOver):
        await undo(site, other, key="r-4")
    assert await proven(site) == []


async def test_the_paper_of_a_reversal_names_the_one_it_takes_back(site):
    payment_id = await sell(site)
    done = await undo(site, payment_id)
    row = await site.row(
        """select o.label, o.voided_at is not null as is_void, n.facts->>'of_label' as named
           from receipt o join receipt n on n.payment_id = $2 where o.payment_id = $1""",
        payment_id, done.payment_id,
    )  # fmt: skip
    assert (row["is_void"], row["named"]) == (True, row["label"])


async def test_the_day_is_the_projects_own(site, clock):
    clock.at = clock.at.replace(hour=15, minute=59)
    payment_id = await sell(site)
    clock.at += timedelta(minutes=2)
    with pytest.raises(refund.DayOver):
        await undo(site, payment_id)


async def test_a_sale_whose_money_is_used_is_not_undone(site, clock):
    payment_id = await sell(site, 100)
    await site.say(0)
    clock.step(minutes=30)
    await site.say(1_000)
    with pytest.raises(refund.MoneyUsed) as caught:
        await undo(site, payment_id)
    assert caught.value.facts == {"left": "0.40"}


async def test_nothing_goes_back_while_money_may_still_arrive(site):
    payment_id = await sell(site)
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute(
            """insert into recharge (project_id, payment_id, agreement_id, account_id, point_id,
                   meter_id, wallet_epoch, number, order_number, amount_minor, state, created_at)
               select $1, $2, $6, account_id, id, $4, 1, 1, 'o-1', 5000, 'unknown', $5
               from point where id = $3""",
            site.project_id, payment_id, site.points[0], site.meters[0], site.clock(),
            site.rooms[0].agreement_id,
        )  # fmt: skip
    for attempt in (back(site, 1), undo(site, payment_id)):
        with pytest.raises(refund.MoneyUnderWay):
            await attempt


async def test_above_the_limit_two_people_pay_out(site):
    await sell(site)
    await limit(site, 1_000)
    one, two = [
        await access.add_person(
            site.db, login, login, PASSWORD, "cashier", "project", site.project_id, site.clock()
        )
        for login in ("li", "wang")
    ]
    assert await refund.needs_second(site.db, site.project_id, 1_001)
    assert not await refund.needs_second(site.db, site.project_id, 1_000)
    for second in (None, one):
        with pytest.raises(refund.PayoutNeedsSecond):
            await back(site, 1_001, actor_id=one, second_id=second)
    done = await back(site, 1_001, actor_id=one, second_id=two)
    row = await site.row("select second_id from payment where id = $1", done.payment_id)
    assert row == {"second_id": two}


async def test_a_deposit_lies_apart_and_is_given_back_once_on_any_day(site, clock):
    point_id = site.points[0]
    taken = await refund.take_deposit(
        site.db, site.project_id, point_id, Minor(20_000), slip(site, key="d-1")
    )
    assert taken.available_minor == 0
    deposit = await site.row("select credit_minor from account where kind = 'deposit'")
    assert deposit == {"credit_minor": 20_000}
    clock.step(days=3)
    given = slip(site, key="d-2")
    await refund.return_deposit(site.db, site.project_id, taken.payment_id, given)
    with pytest.raises(refund.ReversedAlready):
        await refund.return_deposit(
            site.db, site.project_id, taken.payment_id, replace(given, key="d-3")
        )
    assert await proven(site) == []


async def test_money_goes_back_out_of_the_cash_it_came_into(site):
    payment_id = await sell(site)
    payee = project.Payee("electricity", "Power works", "", "", "")
    await project.add_payee(site.db, site.project_id, payee)
    await undo(site, payment_id)
    row = await site.row(
        "select debit_minor, credit_minor from account where kind = 'cash' and payee_id is null"
    )
    assert row == {"debit_minor": 5_000, "credit_minor": 5_000}
