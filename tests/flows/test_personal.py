"""Past the mask: one customer shown, one erased; a notice finds its recipient as it is sent."""

import pytest

from meterhouse.errors import Conflict, NotFound
from meterhouse.flows import outbox, personal
from meterhouse.flows.personal import Fact
from meterhouse.ports import Notice
from premises import MORNING, Taker

FULL = ("张三", "13812345678", "anna@b.com", "310101199001011234")


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
    assert [type(one) for one in taker.taken] == [Notice]
    assert taker.taken[0].recipient == "new@b.com"
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
    assert [notice[:3] for notice in await notices(site)] == [
        ("console", "sent", ""), ("email", "failed", "no_recipient")
    ]  # fmt: skip


async def test_no_text_of_the_database_but_the_one_table_says_who_somebody_is(site, address):
    """A canary: whatever is stored of a household's life never names it."""
    columns = await site.rows(
        """select table_name, column_name from information_schema.columns
           where table_schema = 'meterhouse' and data_type in ('text', 'jsonb', 'ARRAY')
           and table_name not in ('personal', 'personal_masked')"""
    )
    assert len(columns) > 50
    for column in columns:
        cells = await site.rows(
            f'select "{column["column_name"]}"::text as said from {column["table_name"]}'
            f' where "{column["column_name"]}"::text ~ any($1)',
            list(FULL),
        )
        assert cells == [], column
