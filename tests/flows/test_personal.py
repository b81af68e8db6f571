"""Past the mask: one customer shown, one erased; a notice finds its recipient as it is sent."""

import pytest

from canary import columns_that_name
from meterhouse.errors import Conflict, NotFound, OutOfRange
from meterhouse.flows import outbox, personal, task
from meterhouse.flows.personal import Fact
from meterhouse.flows.task import FileGone, Progress
from meterhouse.ports import Notice
from meterhouse.store.tasks import NewTask
from premises import MORNING, Taker

FULL = ("张三", "13812345678", "anna@b.com", "310101199001011234")
ROWS = [dict(zip(("customer", "phone", "email", "id_number"), FULL, strict=True))]


@pytest.fixture
async def site(new_site):
    """A site whose first household is about to run out, everything known of it."""
    site = await new_site(email="tenant@example.org")
    await site.rows(
        "update personal set name = $1, phone = $2, email = $3, id_number = $4 where id = 1", *FULL
    )
    await site.pay(600)
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(600)
    return site


async def customer_of(site) -> int:
    row = await site.row("select min(id) as id from customer where personal_id = 1")
    return row["id"]


async def test_only_what_is_asked_for_is_shown_and_never_written_down(site):
    customer_id = await customer_of(site)
    done = await personal.show(site.db, site.project_id, customer_id, [Fact.PHONE, Fact.NAME])
    assert done.answer == {
        "name": "张三", "phone": "13812345678", "email": None, "id_number": None,
        "is_erased": False,
    }  # fmt: skip
    assert done.after == {"shown": ["name", "phone"]}
    assert (done.before, done.reason, done.is_kept) == (None, "", False)
    assert done.subject == f"customer:{customer_id}"


async def test_a_customer_of_another_project_is_neither_shown_nor_erased(site, new_site):
    other = await new_site(name="other")
    customer_id = await customer_of(site)
    with pytest.raises(NotFound):
        await personal.show(other.db, other.project_id, customer_id, list(Fact))
    with pytest.raises(NotFound):
        await personal.erase(other.db, other.project_id, customer_id, "why", MORNING)


async def notices(site):
    rows = await site.rows("select channel, state, why, subject, text from notice order by id")
    return [tuple(row.values()) for row in rows]


async def test_a_notice_reaches_whoever_the_customer_is_by_now(site):
    await site.rows("update personal set email = 'new@b.com' where id = 1")
    taker = Taker()
    await outbox.deliver(
        site.db, {"email": taker, "console": Taker()}, site.project_id, site.clock()
    )
    # That money came, and that it runs out.
    assert [type(one) for one in taker.taken] == [Notice, Notice]
    assert {one.recipient for one in taker.taken} == {"new@b.com"}
    assert not any("张三" in text for notice in await notices(site) for text in notice)


async def test_who_is_erased_gets_no_notice_and_none_is_left(site):
    customer_id = await customer_of(site)
    done = await personal.erase(site.db, site.project_id, customer_id, "asked", MORNING)
    assert (done.before, done.after) == ({"erased": False}, {"erased": True})
    assert done.reason == "asked"
    taker = Taker()
    assert await outbox.deliver(site.db, {"email": taker}, site.project_id, site.clock()) == 0
    assert taker.taken == []
    assert {notice[1:] for notice in await notices(site)} == {("failed", "erased", "", "")}
    with pytest.raises(Conflict):
        await personal.erase(site.db, site.project_id, customer_id, "asked", MORNING)
    shown = await personal.show(site.db, site.project_id, customer_id, list(Fact))
    assert set(shown.answer.values()) == {None, True}


async def test_without_an_address_a_notice_has_failed_at_once(site):
    await site.rows("update personal set email = null where id = 1")
    takers = {"email": Taker(), "console": Taker()}
    await outbox.deliver(site.db, takers, site.project_id, site.clock())
    assert {notice[:3] for notice in await notices(site)} == {
        ("console", "sent", ""), ("email", "failed", "no_recipient")
    }  # fmt: skip


async def test_no_text_of_the_database_but_the_one_table_says_who_somebody_is(site):
    """A canary: whatever is stored of a household's life never names it."""
    assert await columns_that_name(site.db, FULL) == []


async def import_them(db, claimed, tell):
    """An import reads what people brought, and may find that it cannot be used."""
    rows = await task.rows_of(db, claimed)
    assert rows == ROWS
    if claimed.input["fails"]:
        raise OutOfRange("rows", 1, 0, 0)
    return Progress(len(rows), len(rows))


@pytest.mark.parametrize("end", ["done", "failed", "cancelled"])
async def test_what_people_brought_to_a_task_is_gone_when_it_has_ended(site, end):
    await site.rows("update personal set name = null, phone = null, email = null, id_number = null")
    new = NewTask("import", "Import households", {"fails": end == "failed"}, rows=ROWS)
    number = await task.start(site.db, site.project_id, new, None, site.clock())
    assert await columns_that_name(site.db, FULL) == [("task_file", "content")]
    if end == "cancelled":
        await task.cancel(site.db, site.project_id, number, site.clock())
    else:
        works = {"import": import_them}
        assert await task.run_next(site.db, site.project_id, works, site.clock)
    assert (await task.get(site.db, site.project_id, number))["state"] == end
    assert await columns_that_name(site.db, FULL) == []


async def test_a_file_is_kept_for_a_week(site, clock):
    new = NewTask("import", "Export", {}, rows=[])

    async def export(db, claimed, tell):
        await task.put_file(db, claimed.project_id, claimed.id, "list.csv", "text/csv", b"Room")
        return Progress()

    ids = []
    for _ in range(2):
        ids.append(await task.start(site.db, site.project_id, new, None, clock()))
        assert await task.run_next(site.db, site.project_id, {"import": export}, clock)
        clock.at += task.FILE_LIFE / 2
    clock.step(seconds=1)
    await task.forget_files(site.db, site.project_id, clock())
    with pytest.raises(FileGone):
        await task.get_file(site.db, site.project_id, ids[0], clock())
    kept = await task.get_file(site.db, site.project_id, ids[1], clock())
    assert bytes(kept["content"]) == b"Room"
