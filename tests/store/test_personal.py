"""Who somebody is stands in one table: masked where it is shown, and erased for good."""

import asyncpg
import pytest

from databases import address_of
from meterhouse.flows import access, act
from meterhouse.flows.access import Verb
from meterhouse.store import migrate as migrating
from meterhouse.store import monitor, personal, reports
from meterhouse.store.db import PLATFORM, maintenance
from meterhouse.store.personal import Facts
from premises import MORNING

MASKS = {
    "name": {
        "张三": "张**", "欧阳修明": "欧**", "李": "李**", "John Smith": "J*** S***", "Li": "L***",
        "Иван Петров": "И*** П***", "": "", "上海某某有限公司": "上**", "张三 (店)": "张** (**",
    },
    "phone": {
        "13812345678": "138****5678", "+8613812345678": "+86****5678", "62345678": "****78",
        "1234": "****", "12": "**", "": "",
    },
    "email": {
        "anna@b.com": "a***@b.com", "a@b.com": "a***@b.com", "no-at-sign": "n***", "": "",
        'x"@"y@z.org': "x***@z.org",
    },
    "id_number": {
        "310101199001011234": "3****************4", "12": "**", "1": "*", "": "", "abc": "a*c",
    },
}  # fmt: skip


@pytest.fixture
async def site(new_site):
    """A site of this test's own: the folder's is shared."""
    return await new_site()


@pytest.fixture
async def households(site):
    """The site's customers with everything that can be known of them; answers their ids."""
    facts = Facts("张三", "13812345678", "anna@b.com", "310101199001011234")
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute(
            "update personal set name = $1, phone = $2, email = $3, id_number = $4",
            facts.name, facts.phone, facts.email, facts.id_number,
        )  # fmt: skip
        rows = await connection.fetch("select id from customer order by id")
    return [row["id"] for row in rows]


@pytest.mark.parametrize("kind", MASKS)
async def test_a_mask_keeps_enough_to_recognise_and_not_enough_to_know(db, kind):
    async with db.transaction(()) as connection:
        for clear, masked in MASKS[kind].items():
            assert await connection.fetchval(f"select mask_{kind}($1)", clear) == masked, clear
        assert await connection.fetchval(f"select mask_{kind}(null)") is None


async def test_what_is_shown_is_masked_by_the_database(site, households):
    assert len(households) == 3
    async with site.db.transaction([site.project_id]) as connection:
        rows = await reports.points(connection, site.project_id, None)
        who = await connection.fetch("select * from personal_masked where project_id > 0")
    assert {row["customer"] for row in rows} == {"张**"}
    assert {tuple(row.values())[2:6] for row in who} == {
        ("张**", "138****5678", "a***@b.com", "3****************4")
    }


async def test_the_view_shows_no_more_than_the_scope(new_site):
    ours, theirs = await new_site(name="ours"), await new_site(name="theirs")
    rows = await ours.rows("select distinct project_id from personal_masked")
    assert [row["project_id"] for row in rows] == [ours.project_id]
    async with theirs.db.transaction(()) as connection:
        assert await connection.fetchval("select count(*) from personal_masked") == 0


async def test_erasing_leaves_bookings_and_nobody_they_lead_to(site, households):
    await site.pay(5_000)
    first = households[0]
    async with site.db.transaction([site.project_id]) as connection:
        before = await connection.fetch("select * from transfer order by id")
        assert await personal.erase(connection, site.project_id, first, MORNING)
        assert not await personal.erase(connection, site.project_id, first, MORNING)
        left = await personal.of_customer(connection, site.project_id, first)
        assert await connection.fetch("select * from transfer order by id") == before
        rows = await reports.points(connection, site.project_id, None)
        grams = await connection.fetch("select cardinality(grams) from personal order by id")
    assert left is not None
    assert tuple(left.values()) == (None, None, None, None, MORNING, 2)
    assert [(row["customer"], row["is_erased"]) for row in rows] == [
        (None, True), ("张**", False), ("张**", False)
    ]  # fmt: skip
    assert [row[0] > 0 for row in grams] == [False, True, True]


async def test_what_was_erased_cannot_be_filled_again(site, households):
    async with site.db.transaction([site.project_id]) as connection:
        await personal.erase(connection, site.project_id, households[0], MORNING)
    with pytest.raises(asyncpg.CheckViolationError):
        await site.rows("update personal set name = 'back' where erased_at is not null")


async def test_people_are_found_by_any_run_of_name_or_phone(site, households):
    for words in ("张", "张三", "138", "678", "三"):
        token = f"{site.project_id}:{words}"
        rows = await site.rows("select id from personal where grams @> array[$1]", token)
        assert len(rows) == 3, words
    assert await site.rows("select id from personal where grams @> array['0:张']") == []


@pytest.fixture
async def staff(db):
    """Two people of staff, of whom the first will act."""
    return [
        await access.add_person(db, login, name, "a good long password", "read_only", "platform",
                                0, MORNING)
        for login, name in (("li", "Li Na"), ("chen", "Chen"))
    ]  # fmt: skip


async def names(site):
    rows = await site.rows(
        f"select {personal.STAFF_NAME} as name from person p {personal.staff('p.id')} order by p.id"
    )
    return [row["name"] for row in rows]


async def test_a_project_sees_the_names_of_those_who_acted_in_it_and_no_other(new_site, staff):
    ours, theirs = await new_site(name="ours"), await new_site(name="theirs")
    assert await names(ours) == ["", ""]
    doer = act.Doer(staff[0], act.Via.CONSOLE, MORNING)

    async def work(db):
        return act.Done("meter:1")

    await act.perform(ours.db, doer, [ours.project_id], "meter.read", Verb.METER_READ, {}, work)
    assert await names(ours) == ["Li Na", ""]
    assert await names(theirs) == ["", ""]
    async with theirs.db.transaction([PLATFORM]) as connection:
        assert await connection.fetchval("select count(*) from personal") == 2


async def test_a_project_cannot_change_who_its_staff_are(site, staff):
    doer = act.Doer(staff[0], act.Via.CONSOLE, MORNING)

    async def work(db):
        return act.Done("meter:1")

    await act.perform(site.db, doer, [site.project_id], "meter.read", Verb.METER_READ, {}, work)
    await site.rows("update personal set name = 'X'")
    assert await names(site) == ["Li Na", ""]


async def test_whom_a_notice_reaches_is_asked_for_when_it_is_sent(new_site):
    site = await new_site(email="tenant@example.org")
    async with site.db.transaction([site.project_id]) as connection:
        found = await monitor.contacts(connection, site.project_id, site.points)
    assert {row["has_email"] for row in found.values()} == {True}
    assert {row["language"] for row in found.values()} == {"zh-Hans"}


OLD = (
    "insert into project_group (name) values ('g')",
    "insert into project (id, group_id, name, created_at) values (1, 1, 'p', now())",
    """insert into person (kind, login, name, created_at)
        values ('staff', 'li', 'Li Na', now()), ('client', 'erp', 'ERP', now())""",
    """insert into customer (project_id, name, phone, email)
        values (1, '张三', '13812345678', 'a@b.com'), (1, '李四', null, null)""",
    """insert into agreement (project_id, kind, customer_id, valid_from)
        values (1, 'tenant', 2, 'epoch'), (1, 'tenant', 1, now())""",
    "insert into place (project_id, kind, name) values (1, 'room', 'A1')",
    "insert into point (project_id, place_id, commodity) values (1, 1, 'electricity')",
    """insert into agreement_point (project_id, point_id, valid_from, valid_to, agreement_id)
        values (1, 1, 'epoch', now(), 1), (1, 1, now(), null, 2)""",
    """insert into notice (project_id, channel, recipient, subject, text, point_id, key, next_at,
            created_at)
        values (1, 'email', 'a@b.com', 'low', '张三您好', 1, 'k', now(), now()),
            (1, 'console', '', 'low', '李四您好', 1, 'l', now(), now() - interval '1 day')""",
)  # fmt: skip


async def test_what_the_first_schema_knew_of_people_moves(postgres, monkeypatch):
    address = address_of(postgres, "older")
    upgrade = migrating.command.upgrade
    with monkeypatch.context() as patch:
        patch.setattr(migrating.command, "upgrade", lambda config, _: upgrade(config, "0001"))
        assert await migrating.migrate(address) == "0001"
    connection = await asyncpg.connect(**address.arguments(None))
    for statement in OLD:
        await connection.execute(statement)
    await connection.close()
    assert await migrating.migrate(address) > "0001"
    async with maintenance(address) as connection:
        people = await connection.fetch(
            """select p.login, h.name from person p
               join personal h on (h.project_id, h.id) = (0, p.personal_id) order by p.id"""
        )
        customers = await connection.fetch(
            """select h.name, h.phone, h.email from customer c join personal h
               on (h.project_id, h.id) = (c.project_id, c.personal_id) order by c.id"""
        )
        notices = await connection.fetch("select customer_id, text from notice order by id")
    await migrating.drop_database(address)
    assert [tuple(row.values()) for row in people] == [("li", "Li Na"), ("erp", "ERP")]
    assert [tuple(row.values()) for row in customers] == [
        ("张三", "13812345678", "a@b.com"), ("李四", None, None)
    ]  # fmt: skip
    assert [tuple(row.values()) for row in notices] == [
        (1, "***您好"), (2, "***您好")
    ]  # fmt: skip
