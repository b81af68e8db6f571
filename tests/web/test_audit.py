"""The audit as it is read: who, what, before and after; and who a customer is, one at a time."""

import io
import re

import openpyxl
import pytest

from desk import key_in, signed_in, token_in
from meterhouse.flows import access, act
from meterhouse.flows import audit as keeping
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Doer, Done, Via
from meterhouse.store.db import PLATFORM
from small_site import NOW, PASSWORD, ROOMS

API = "/api/v1"
NAMES = [customer for _, customer, *_ in ROOMS if customer]


async def note(site, *, subject="meter:1", reason="", before=None, after=None, project=True):
    """Somebody of the site does something that leaves this entry."""

    async def work(_):
        return Done(subject, before=before, after=after, reason=reason)

    async with site.db.transaction(()) as connection:
        person_id = await connection.fetchval("select id from person where login = 'li'")
    where = [site.project_id] if project else []
    doer = Doer(person_id, Via.API, NOW, "request-9")
    await act.perform(site.db, doer, where, "alarm.close", Verb.ALARM_CLOSE, {}, work)


def cells(page, column):
    """The texts of one column of the list on a page."""
    found = re.findall(rf'<td[^>]*data-title="{column}"[^>]*>(.*?)</td>', page.text, re.DOTALL)
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in found]


@pytest.fixture
async def root(client, site):
    """Somebody who looks after the platform as a whole."""
    async with site.db.transaction(()) as connection:
        there = await connection.fetchval("select true from person where login = 'root'")
    if not there:
        await access.add_person(
            site.db, "root", "Root", PASSWORD, "platform_administrator", "platform", 0, NOW
        )
    return await signed_in(client, "root")


async def test_what_is_done_at_the_desk_stands_in_the_audit(manager, site):
    room = site.rooms["B102"]
    address = f"/projects/{site.project_id}/meters/{room.meter_id}/read"
    form = await manager.get(address)
    fields = {"csrf": token_in(form), "key": key_in(form)}
    assert (await manager.post(address, data=fields)).status_code == 303
    page = await manager.get(f"/projects/{site.project_id}/audit?object=meter:{room.meter_id}")
    assert cells(page, "Who")[0] == "李娜"
    assert cells(page, "Act")[0] == "Read now"
    assert cells(page, "Through")[0] == "Web console"
    assert "Kind: Read" in cells(page, "Before → after")[0]
    assert cells(page, "Object")[0] == "Meter 000000000006"
    assert f'href="meters/{room.meter_id}"' in page.text


async def test_before_and_after_read_as_one_difference(manager, site):
    await note(site, subject="alarm:77", before={"open": True, "gone": 1}, after={"open": False})
    page = await manager.get(f"/projects/{site.project_id}/audit?object=alarm:77")
    assert cells(page, "Before → after") == ["gone: 1 → — · Still open: Yes → No"]


async def test_an_entry_says_whether_it_is_under_a_seal(manager, site):
    await note(site, subject="alarm:78")
    address = f"/projects/{site.project_id}/audit?object=alarm:78"
    assert cells(await manager.get(address), "Seal") == ["Not sealed yet"]
    await keeping.seal(site.db, site.project_id, NOW)
    assert cells(await manager.get(address), "Seal") == ["Sealed"]


async def test_the_list_is_filtered_by_person_act_object_and_time(manager, site):
    await note(site, subject="alarm:79", reason="looked after")
    address = f"/projects/{site.project_id}/audit"
    for query, count in (
        ("person=李", 1), ("person=陈", 0), ("act=alarm.close", 1), ("act=credit.add", 0),
        ("from=2000-01-01", 1), ("to=2000-01-01", 0), ("from=9999-12-31", 0),
    ):  # fmt: skip
        page = await manager.get(f"{address}?object=alarm:79&{query}")
        assert len(cells(page, "Object")) == count, query


@pytest.mark.parametrize("kind", ["xlsx", "csv"])
async def test_the_file_holds_what_the_page_shows(manager, site, kind):
    await note(site, subject=f"alarm:8{len(kind)}", reason="=1+1")
    address = f"/projects/{site.project_id}/audit/export?kind={kind}&object=alarm:8{len(kind)}"
    file = await manager.get(address)
    if kind == "csv":
        assert "'=1+1" in file.text
        return
    heading, row = openpyxl.load_workbook(io.BytesIO(file.content)).active.values
    assert dict(zip(heading, row, strict=True))["Object"] == "Alarm 84"


async def test_a_program_reads_the_same_list(erp, site):
    await note(site, subject="alarm:90", before={"open": True}, after={"open": False})
    found = (await erp.get(f"{API}/projects/{site.project_id}/audit?object_text=alarm:90")).json()
    (entry,) = found["items"]
    assert (entry["actor"], entry["via"], entry["act"]) == ("李娜", "api", "alarm.close")
    assert (entry["before"], entry["after"]) == ({"open": True}, {"open": False})
    assert entry["is_sealed"] is False


async def test_the_platforms_own_audit_is_for_those_who_look_after_it(root, site):
    await note(site, subject="group:5", project=False)
    page = await root.get("/platform/audit?object=group:5")
    assert cells(page, "Who") == ["李娜"]
    assert (await root.get("/platform/audit/export?kind=csv")).status_code == 200
    elsewhere = await root.get(f"/projects/{site.project_id}/audit?object=group:5")
    assert cells(elsewhere, "Object") == []


async def test_a_projects_manager_has_no_part_in_the_platforms_audit(manager, erp, site):
    assert (await manager.get("/platform/audit")).status_code == 403
    assert (await erp.get(f"{API}/platform/audit")).status_code == 403


async def test_no_page_list_or_file_says_who_a_customer_is(manager, erp, site):
    base = f"/projects/{site.project_id}"
    room = site.rooms["A101"]
    lists = ("alarms", "meters", "gateways", "commands", "notices", "audit")
    pages = [
        "rooms", "rooms/export?kind=csv", "rooms/changes?since=0", f"rooms/{room.place_id}",
        f"rooms/{room.place_id}/now", f"points/{room.point_id}/credits/add",
        f"meters/{room.meter_id}/disconnect",
        *(f"{name}{end}" for name in lists for end in ("", "/export?kind=csv")),
    ]  # fmt: skip
    answers = [await manager.get(f"{base}/{page}") for page in pages]
    answers += [
        await erp.get(f"{API}{base}/{page}") for page in ("rooms", f"rooms/{room.place_id}", *lists)
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.url
        assert not [name for name in NAMES if name in answer.text], answer.url
    assert "王**" in answers[0].text


async def customer_of(site, room):
    async with site.db.transaction([site.project_id]) as connection:
        return await connection.fetchval(
            "select customer_id from agreement where id = $1", site.rooms[room].agreement_id
        )


async def entries(site, customer_id):
    async with site.db.transaction([site.project_id]) as connection:
        rows = await connection.fetch(
            "select act, before::text, after::text, reason from audit_entry where object = $1",
            f"customer:{customer_id}",
        )
    return [tuple(row.values()) for row in rows]


async def test_one_customer_is_shown_to_somebody_the_audit_names(manager, site):
    customer_id = await customer_of(site, "A102")
    address = f"/projects/{site.project_id}/customers/{customer_id}/personal/show"
    room = await manager.get(f"/projects/{site.project_id}/rooms/{site.rooms['A102'].place_id}")
    assert f'hx-get="{address}"' in room.text
    form = await manager.get(address)
    assert "李芳" not in form.text
    fields = {"csrf": token_in(form), "key": key_in(form), "facts": ["name", "phone"]}
    told = await manager.post(address, data=fields)
    assert "李芳" in told.text
    assert await entries(site, customer_id) == [
        ("personal.show", None, '{"shown": ["name", "phone"]}', "")
    ]
    async with site.db.transaction([site.project_id]) as connection:
        assert await connection.fetchval("select count(*) from answer where body ? 'name'") == 0


async def test_a_program_is_shown_only_what_it_asks_for(erp, site):
    customer_id = await customer_of(site, "A103")
    address = f"{API}/projects/{site.project_id}/customers/{customer_id}/personal/show"
    shown = await erp.post(address, json={"facts": ["phone"]})
    assert shown.json() == {
        "name": None, "phone": None, "email": None, "id_number": None, "is_erased": False
    }  # fmt: skip
    assert (await erp.post(address, json={})).json()["name"] == "张伟"
    assert (await erp.post(address, json={"facts": ["height"]})).status_code == 422
    unknown = address.replace(f"customers/{customer_id}", "customers/999999")
    assert (await erp.post(unknown, json={})).status_code == 404
    assert [entry[2] for entry in await entries(site, customer_id)] == [
        '{"shown": ["phone"]}', '{"shown": ["name", "phone", "email", "id_number"]}'
    ]  # fmt: skip


async def test_who_is_erased_is_nobody_any_more(manager, site):
    customer_id = await customer_of(site, "B101")
    address = f"/projects/{site.project_id}/customers/{customer_id}/personal/erase"
    form = await manager.get(address)
    assert "Nobody can bring them back" in form.text
    fields = {"csrf": token_in(form), "key": key_in(form), "reason": "asked for it"}
    assert (await manager.post(address, data={**fields, "reason": ""})).status_code == 422
    assert "Erased" in (await manager.post(address, data=fields)).text
    room = await manager.get(f"/projects/{site.project_id}/rooms/{site.rooms['B101'].place_id}")
    assert "Erased" in room.text
    assert "personal/show" not in room.text
    assert await entries(site, customer_id) == [
        ("personal.erase", '{"erased": false}', '{"erased": true}', "asked for it")
    ]
    again = await manager.get(address)
    fields = {"csrf": token_in(again), "key": key_in(again), "reason": "asked for it"}
    assert (await manager.post(address, data=fields)).status_code == 409


async def test_the_platform_sees_no_customer_through_its_own_scope(site):
    async with site.db.transaction([PLATFORM]) as connection:
        rows = await connection.fetch("select name from personal")
    assert not {row["name"] for row in rows} & set(NAMES)


async def sessions_noted(site):
    async with site.db.transaction([PLATFORM]) as connection:
        rows = await connection.fetch(
            """select e.act, e.actor_id, p.login from audit_entry e
               join person p on e.object = 'person:' || p.id where e.verb = 'session.own'
               order by e.id desc limit 3"""
        )
    return [(row["act"], row["actor_id"] is not None, row["login"]) for row in rows]


async def test_signing_in_and_out_and_being_refused_are_kept_without_what_was_typed(client, site):
    page = await client.get("/sign-in")
    wrong = {"csrf": token_in(page), "login": "li", "password": "typed-by-mistake-0815"}
    assert (await client.post("/sign-in", data=wrong)).status_code == 422
    await signed_in(client, "li")
    page = await client.get(f"/projects/{site.project_id}/alarms")
    assert (await client.post("/sign-out", data={"csrf": token_in(page)})).status_code == 303
    assert await sessions_noted(site) == [
        ("session.end", True, "li"), ("session.begin", True, "li"), ("session.refuse", False, "li")
    ]  # fmt: skip
    stranger = {"csrf": token_in(await client.get("/sign-in")), "login": "13812345678"}
    await client.post("/sign-in", data={**stranger, "password": "whatever-it-is"})
    assert (await sessions_noted(site))[0][0] == "session.end"
