"""Done to many: one form, one task, one result a row, a second person where it must be."""

import io
import re
from dataclasses import replace
from datetime import timedelta

import openpyxl
import pytest

from canary import columns_that_name
from desk import another, latest, send, token_in, work
from meterhouse.flows import monitor, task
from meterhouse.flows.monitor import Wanted
from meterhouse.store import people
from meterhouse.store.db import PLATFORM
from meterhouse.web.app import Services, WebSettings
from meterhouse.web.console import imports
from meterhouse.web.works import works
from small_site import NOW, small_site

API = "/api/v1"


@pytest.fixture
async def site(template):
    """A site of its own: these tests switch its meters."""
    async with small_site(template) as made:
        yield made


@pytest.fixture
def services(site):
    return Services(site.db, lambda: NOW, WebSettings(secure_cookies=False))


def meters_of(site, *rooms):
    return [site.rooms[room].meter_id for room in rooms]


def chosen(ids):
    return "&".join(f"id={one}" for one in ids)


async def test_the_form_says_how_many_and_who(manager, site):
    ids = meters_of(site, *site.rooms)
    form = await manager.get(f"/projects/{site.project_id}/meters/disconnect?{chosen(ids)}")
    assert "<dd>6</dd>" in form.text
    assert "A栋 A101 000000000001" in form.text
    assert "and 1 more" in form.text
    assert "B102" not in form.text
    nobody = await manager.get(f"/projects/{site.project_id}/meters/disconnect")
    assert nobody.status_code == 422


async def test_each_row_is_done_once_with_an_entry_of_its_own(manager, site, services):
    ids = meters_of(site, "A101", "A102")
    address = f"/projects/{site.project_id}/meters/disconnect?{chosen(ids)}"
    assert (await send(manager, address, reason=" ")).status_code == 422
    begun = await send(manager, address, reason="repair")
    assert begun.status_code == 303
    await work(services, site)
    row = await latest(site)
    assert (row["state"], row["done_count"], row["total_count"]) == ("done", 2, 2)
    found = await task.get(site.db, site.project_id, row["id"])
    assert [one["outcome"] for one in found["result"]["rows"]] == ["done", "done"]
    commands = await monitor.listing(site.db, site.project_id, "commands", Wanted())
    assert [one["note"] for one in commands.rows if one["kind"] == "disconnect"] == ["repair"] * 2
    page = await manager.get(f"/projects/{site.project_id}/tasks/{row['id']}")
    assert "A栋 A101" in page.text
    assert "Queued" in page.text
    async with site.db.transaction([site.project_id]) as connection:
        acts = await connection.fetch("select act from audit_entry order by id")
    assert [one["act"] for one in acts] == ["meters.disconnect"] + ["meter.disconnect"] * 2


async def test_all_that_match_is_what_the_filter_shows(manager, site):
    address = f"/projects/{site.project_id}/meters/read?list=meters&all=1&text=A10"
    form = await manager.get(address)
    assert "<dd>4</dd>" in form.text


async def test_a_worker_that_died_goes_on_and_repeats_nothing(manager, site, services):
    ids = meters_of(site, "A101", "A102", "A103")
    await send(manager, f"/projects/{site.project_id}/meters/read?{chosen(ids)}", reason="look")
    first = await task.claim(site.db, site.project_id, ["bulk"], None, NOW)
    run = works(services)["bulk"]

    async def die(_progress):
        raise ConnectionError

    await run(site.db, first, die)
    later = NOW + timedelta(minutes=5)
    await task.run_next(site.db, site.project_id, works(services), lambda: later)
    assert (await latest(site))["state"] == "done"
    commands = await monitor.listing(site.db, site.project_id, "commands", Wanted({"kind": "read"}))
    assert commands.row_count == 3


async def test_who_lost_the_right_does_nothing_more(manager, site, services):
    ids = meters_of(site, "A101")
    await send(manager, f"/projects/{site.project_id}/meters/read?{chosen(ids)}", reason="look")
    async with site.db.transaction([]) as connection:
        await connection.execute(
            "delete from role_grant where person_id = (select id from person where login = 'li')"
        )
    await work(services, site)
    row = await latest(site)
    assert (row["state"], row["why"]) == ("failed", "not_allowed")


async def small_sweeps(site):
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute("""update project set policy = '{"sweep_count_max": 1}'""")


async def test_many_disconnects_wait_for_a_second_person(app, manager, site, services):
    await small_sweeps(site)
    ids = meters_of(site, "A101", "A102", "A103")
    address = f"/projects/{site.project_id}/meters/disconnect?{chosen(ids)}"
    assert "Second person" in (await manager.get(address)).text
    await send(manager, address, reason="fire")
    await work(services, site)
    row = await latest(site)
    assert row["state"] == "waiting"
    approve = f"/projects/{site.project_id}/tasks/{row['id']}/approve"
    own = await send(manager, approve)
    assert own.status_code == 409
    assert "Somebody else must approve" in own.text
    async with another(app, site, "wang") as second:
        assert (await send(second, approve)).status_code == 303
        assert (await send(second, approve)).status_code == 409
    await work(services, site)
    found = await task.get(site.db, site.project_id, row["id"])
    assert [one["outcome"] for one in found["result"]["rows"]] == ["done"] * 3
    assert (found["state"], found["second_id"] != found["actor_id"]) == ("done", True)


async def test_a_program_is_no_second_person(app, manager, site):
    await small_sweeps(site)
    ids = meters_of(site, "A101", "A102")
    address = f"/projects/{site.project_id}/meters/disconnect?{chosen(ids)}"
    await send(manager, address, reason="fire")
    headers = {"Authorization": f"Bearer {site.key}", "Idempotency-Key": "second-4711"}
    approve = f"{API}/projects/{site.project_id}/tasks/{(await latest(site))['id']}/approve"
    answer = await manager.post(approve, headers=headers)
    assert answer.json()["code"] == "second_person_same"


async def test_without_approval_each_row_is_refused_by_its_own_guard(manager, site, services):
    ids = meters_of(site, "A101", "A102", "A103")
    address = f"/projects/{site.project_id}/meters/disconnect?{chosen(ids)}"
    await send(manager, address, reason="fire")
    await small_sweeps(site)
    await work(services, site)
    found = await task.get(site.db, site.project_id, (await latest(site))["id"])
    assert [one["outcome"] for one in found["result"]["rows"]] == ["done", "refused", "refused"]
    page = await manager.get(f"/projects/{site.project_id}/tasks/{found['id']}")
    assert "needs a second person" in page.text


async def buildings_of(site):
    return [building_id for building_id, _ in await monitor.buildings(site.db, site.project_id)]


async def test_a_warden_begins_and_watches_what_lies_in_their_building(app, site, services):
    first, second = await buildings_of(site)
    project, ids = f"/projects/{site.project_id}", meters_of(site, "A101", "A102")
    async with another(app, site, "wang", "warden", first) as warden:
        abroad = f"{project}/meters/read?{chosen(meters_of(site, 'A101', 'B101'))}"
        assert (await warden.get(abroad)).status_code == 404
        begun = await send(warden, f"{project}/meters/read?{chosen(ids)}", reason="look")
        assert begun.status_code == 303, begun.text
        row = await latest(site)
        watched = await warden.get(f"{project}/tasks/{row['id']}")
        assert (watched.status_code, "Stop task" in watched.text) == (200, True)
        assert f"tasks/{row['id']}" in (await warden.get(f"{project}/tasks")).text
    await work(services, site)
    found = await task.get(site.db, site.project_id, row["id"])
    assert [one["outcome"] for one in found["result"]["rows"]] == ["done", "done"]
    async with another(app, site, "zhao", "warden", second) as foreign:
        for address in (f"/{row['id']}", f"/{row['id']}/progress", f"/{row['id']}/cancel"):
            assert (await foreign.get(f"{project}/tasks{address}")).status_code == 404
        assert f"tasks/{row['id']}" not in (await foreign.get(f"{project}/tasks")).text


async def test_a_task_goes_no_further_than_its_asker_saw_then_and_sees_now(app, site, services):
    first, second = await buildings_of(site)
    project, ids = f"/projects/{site.project_id}", meters_of(site, "A101", "B101")
    async with another(app, site, "wang", "warden", first, field_engineer=second) as lost:
        await send(lost, f"{project}/meters/read?{chosen(ids)}", reason="look")
    async with another(app, site, "zhao", "warden", first) as won:
        await send(won, f"{project}/files/write", list="meters", query="", kind="csv")
    async with site.db.transaction([PLATFORM]) as connection:
        await connection.execute("delete from role_grant where role = 'field_engineer'")
        zhao = await people.person_of_login(connection, "zhao")
        await people.grant(
            connection, zhao["id"], "read_only", "project", site.project_id, 0, None, NOW
        )
    await work(services, site)
    exported, bulk = await task.latest(site.db, site.project_id, count=2)
    found = await task.get(site.db, site.project_id, bulk["id"])
    assert [(one["outcome"], one["why"]) for one in found["result"]["rows"]] == [
        ("done", ""), ("refused", "not_found"),
    ]  # fmt: skip
    assert (exported["state"], exported["done_count"]) == ("done", 4)


async def test_a_second_person_has_the_right_wherever_the_task_acts(app, manager, site, services):
    await small_sweeps(site)
    first, second = await buildings_of(site)
    address = f"/projects/{site.project_id}/meters/disconnect"
    ids = meters_of(site, "A101", "A102")
    async with another(app, site, "wang", "warden", first) as warden:
        await send(warden, f"{address}?{chosen(ids)}", reason="fire")
    row = await latest(site)
    approve = f"/projects/{site.project_id}/tasks/{row['id']}/approve"
    async with another(app, site, "zhao", "read_only", warden=second) as elsewhere:
        seen = await elsewhere.get(f"/projects/{site.project_id}/tasks/{row['id']}")
        assert (seen.status_code, "Approve" in seen.text) == (200, False)
        assert (await send(elsewhere, approve)).status_code == 403
    async with another(app, site, "qian", "read_only", warden=first) as here:
        assert (await send(here, approve)).status_code == 303


async def test_the_api_does_the_same(erp, site, services):
    project = f"{API}/projects/{site.project_id}"
    ids = meters_of(site, "A101", "B101")
    body = {"ids": ids, "reason": "round"}
    made = await erp.post(
        f"{project}/meters/read", json=body, headers={"Idempotency-Key": "bulk-4711"}
    )
    assert (made.status_code, made.json().get("state")) == (201, "queued"), made.text
    again = await erp.post(
        f"{project}/meters/read", json=body, headers={"Idempotency-Key": "bulk-4711"}
    )
    assert again.json()["id"] == made.json()["id"]
    await work(services, site)
    told = (await erp.get(f"{project}/tasks/{made.json()['id']}")).json()
    assert [(one["id"], one["outcome"]) for one in told["rows"]] == [(one, "done") for one in ids]
    assert all(one["command_id"] for one in told["rows"])
    tasks = (await erp.get(f"{project}/tasks", params={"state": "done"})).json()
    assert "items" in tasks, tasks
    assert [one["id"] for one in tasks["items"]] == [made.json()["id"]]
    foreign = {"ids": [10_000], "reason": "round"}
    wrong = await erp.post(
        f"{project}/meters/read", json=foreign, headers={"Idempotency-Key": "bulk-4712"}
    )
    assert wrong.json()["code"] == "not_found"


async def test_a_long_list_is_written_by_a_task(manager, site, services):
    project = f"/projects/{site.project_id}"
    fields = {"list": "meters", "query": "?text=A10&sort=-room", "kind": "xlsx"}
    begun = await send(manager, f"{project}/files/write", **fields)
    assert begun.status_code == 303
    await work(services, site)
    row = await latest(site)
    file = await manager.get(f"{project}/tasks/{row['id']}/file")
    rows = list(openpyxl.load_workbook(io.BytesIO(file.content)).active.values)
    assert len(rows) == 5
    assert "Fetch the file" in (await manager.get(f"{project}/tasks/{row['id']}")).text


async def test_after_a_week_the_page_says_that_the_file_is_gone(manager, site, services, app):
    project = f"/projects/{site.project_id}"
    await send(manager, f"{project}/files/write", list="meters", query="", kind="csv")
    await work(services, site)
    row, later = await latest(site), NOW + task.FILE_LIFE + timedelta(minutes=1)
    await task.forget_files(site.db, site.project_id, later)
    page = await manager.get(f"{project}/tasks/{row['id']}")
    assert "The file is gone: files are kept for 7 days." in page.text
    assert "Fetch the file" not in page.text
    erp = {"Authorization": f"Bearer {site.key}"}
    app.state.services = replace(services, clock=lambda: later)
    gone = await manager.get(f"{API}{project}/tasks/{row['id']}/file", headers=erp)
    assert (gone.status_code, gone.json()["code"]) == (410, "file_gone")


async def test_a_large_import_names_nobody_once_it_has_ended(manager, site, services, monkeypatch):
    monkeypatch.setattr(imports, "ROWS_AT_ONCE_MAX", 0)
    address = f"/projects/{site.project_id}/customers/import"
    brought = (
        "building,floor,room,customer,phone,email\nA栋,1F,A104,周永康康,13911112222,zhou@b.cn\n"
    )
    files = {"file": ("households.csv", brought.encode(), "text/csv")}
    token = token_in(await manager.get(address))
    good = await manager.post(address, data={"csrf": token}, files=files)
    fields = {name: re.search(rf'name="{name}" value="([^"]*)"', good.text)[1]
              for name in ("csrf", "key", "rows")}  # fmt: skip
    begun = await manager.post(address, data=fields)
    assert re.search(r"/tasks/\d+$", begun.headers["location"]), begun.text
    texts = ("周永康康", "13911112222", "zhou@b.cn")
    assert await columns_that_name(site.db, texts) == [("task_file", "content")]
    await work(services, site)
    row = await latest(site)
    assert (row["state"], row["why"], row["done_count"]) == ("done", "", 1)
    assert await columns_that_name(site.db, texts) == []


async def test_filters_are_ones_own(app, manager, site):
    project = f"/projects/{site.project_id}"
    fields = {"list": "meters", "query": "?online=false", "name": "Silent"}
    saved = await send(manager, f"{project}/filters/save?list=meters", **fields)
    assert saved.headers["location"] == f"{project}/meters?online=false"
    page = await manager.get(f"{project}/meters")
    assert 'href="meters?online=false">Silent<' in page.text
    number = re.search(r"filters/(\d+)/delete", page.text)[1]
    async with another(app, site, "wang") as other:
        assert "Silent" not in (await other.get(f"{project}/meters")).text
        assert (await send(other, f"{project}/filters/{number}/delete")).status_code == 404
    await send(manager, f"{project}/filters/{number}/rename", name="Dumb")
    assert ">Dumb<" in (await manager.get(f"{project}/meters")).text
    await send(manager, f"{project}/filters/{number}/delete")
    assert ">Dumb<" not in (await manager.get(f"{project}/meters")).text


async def test_columns_are_remembered(manager, site):
    address = f"/projects/{site.project_id}/meters"
    await manager.get(f"{address}?columns=room&columns=energy&size=20")
    page = await manager.get(address)
    heads = re.findall(r'<th scope="col"[^>]*>(?:<a[^>]*>)?([^<]*)', page.text)
    assert [head.strip(" ▲▼") for head in heads if head.strip()] == ["Room", "Total", "Actions"]
