"""An act happens once: the change, its entry and its answer together, or none of them."""

import asyncio

import pytest

from meterhouse.errors import Conflict
from meterhouse.flows import act, alarm, recharge
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Answered, Doer, Done, KeyReused, Via
from meterhouse.store.db import PLATFORM, ScopeWidened
from meterhouse.units import Minor
from premises import MORNING

KEY = "key-of-this-act"


def doer(key: str = KEY, actor_id: int | None = 5) -> Doer:
    return Doer(actor_id, Via.API, MORNING, "request-1", key)


def paying(site, key: str = KEY, amount_minor: int = 500):
    """The flow of a payment at the first room."""

    async def work(db):
        paid = await recharge.add_credit(
            db, site.project_id, site.points[0], Minor(amount_minor), "cash", f"desk:{key}", "",
            None, MORNING,
        )  # fmt: skip
        return Done(
            f"point:{site.points[0]}",
            {"payment_id": paid.payment_id},
            after={"amount_minor": amount_minor},
            reason="at the desk",
        )

    return work


async def perform(site, work, by: Doer, asked=None):
    return await act.perform(
        site.db, by, [site.project_id], "credit.add", Verb.CREDIT_ADD, asked or {"amount": "5"},
        work, 201,
    )  # fmt: skip


async def written(site):
    """How many payments, entries and answers there are."""
    row = await site.row(
        """select (select count(*) from payment) as payments,
               (select count(*) from audit_entry) as entries,
               (select count(*) from answer) as answers"""
    )
    return tuple(row.values())


async def test_an_act_leaves_its_change_its_entry_and_its_answer(site):
    answered = await perform(site, paying(site), doer())
    assert answered == Answered({"payment_id": 1})
    assert await written(site) == (1, 1, 1)
    entry = await site.row("select * from audit_entry")
    assert entry == {
        "project_id": site.project_id, "id": 1, "at": MORNING, "actor_id": 5, "via": "api",
        "act": "credit.add", "verb": "credit.add", "object": f"point:{site.points[0]}",
        "before": None, "after": '{"amount_minor": 500}', "reason": "at the desk",
        "request_id": "request-1",
    }  # fmt: skip
    kept = await site.row("select * from answer")
    assert (kept["status"], kept["body"], kept["actor_id"]) == (201, '{"payment_id": 1}', 5)


async def test_the_same_request_again_is_answered_and_not_done(site):
    first = await perform(site, paying(site), doer())
    again = await perform(site, paying(site), doer())
    assert again == Answered(first.answer, is_new=False)
    assert await written(site) == (1, 1, 1)


async def test_the_same_request_at_once_is_done_once_and_answered_to_all(site):
    answers = await asyncio.gather(*(perform(site, paying(site), doer()) for _ in range(3)))
    assert [one.is_new for one in answers].count(True) == 1
    assert {str(one.answer) for one in answers} == {"{'payment_id': 1}"}
    assert await written(site) == (1, 1, 1)


async def test_a_key_stands_for_one_request_only(site):
    await perform(site, paying(site), doer())
    with pytest.raises(KeyReused):
        await perform(site, paying(site, "other"), doer(), {"amount": "6"})
    with pytest.raises(KeyReused):
        await act.perform(
            site.db, doer(), [site.project_id], "alarm.close", Verb.ALARM_CLOSE, {"amount": "5"},
            paying(site, "other"),
        )  # fmt: skip
    assert await written(site) == (1, 1, 1)


async def test_two_callers_may_choose_the_same_key(site):
    await perform(site, paying(site), doer())
    assert (await perform(site, paying(site, "b"), doer(actor_id=6))).is_new
    assert await written(site) == (2, 2, 2)


@pytest.mark.parametrize("by", [doer(""), doer(actor_id=None)])
async def test_without_a_key_or_a_caller_nothing_is_kept(site, by):
    await perform(site, paying(site, "a"), by)
    await perform(site, paying(site, "b"), by)
    assert await written(site) == (2, 2, 0)


async def test_an_answer_that_says_who_somebody_is_is_never_kept(site):
    async def show(_):
        return Done("customer:1", {"name": "张三"}, is_kept=False)

    for _ in range(2):
        assert (await perform(site, show, doer())).is_new
    assert await written(site) == (0, 2, 0)


async def test_an_act_that_fails_leaves_nothing_and_its_key_free(site):
    async def fails(db):
        await paying(site)(db)
        await alarm.close(db, site.project_id, 10**9, MORNING)

    with pytest.raises(Conflict):
        await perform(site, fails, doer())
    assert await written(site) == (0, 0, 0)
    assert (await perform(site, paying(site), doer())).is_new
    assert await written(site) == (1, 1, 1)


class Crash(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("step", ["write", "keep_answer"])
async def test_a_crash_between_the_steps_leaves_nothing(site, monkeypatch, step):
    async def dies(*_):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(act.audit, step, dies)
        with pytest.raises(Crash):
            await perform(site, paying(site), doer())
    assert await written(site) == (0, 0, 0)


async def test_an_answer_that_is_no_json_undoes_the_act(site):
    async def work(db):
        done = await paying(site)(db)
        return Done(done.subject, object())

    with pytest.raises(TypeError):
        await perform(site, work, doer())
    assert await written(site) == (0, 0, 0)


async def test_an_act_on_no_project_belongs_to_the_platform(site):
    async def work(_):
        return Done("group:1")

    await act.perform(site.db, doer(), [], "group.add", Verb.GROUP_EDIT, {}, work)
    assert await written(site) == (0, 0, 0)
    async with site.db.transaction([PLATFORM]) as connection:
        assert await connection.fetchval("select object from audit_entry") == "group:1"


async def test_a_flow_cannot_reach_beyond_its_act(new_site):
    ours, theirs = await new_site(name="ours"), await new_site(name="theirs")
    with pytest.raises(ScopeWidened):
        await perform(ours, paying(theirs), doer())
    assert await written(ours) == (0, 0, 0)
