"""Replays and corrections at the console and in the API: looked at first, then agreed to by two."""

import io
import json
from datetime import datetime, timedelta

import httpx
import openpyxl
import pytest

from desk import another, latest, send, work
from editing import fields_in, post, with_
from meterhouse.flows import correct, onboard, tariff, task
from meterhouse.web.app import Services, WebSettings
from small_site import NOW, small_site

API = "/api/v1"
SINCE = (NOW - timedelta(days=2)).isoformat()


@pytest.fixture
async def site(template):
    """A site of its own: these tests change what its households owe."""
    async with small_site(template) as made:
        yield made


@pytest.fixture
def services(site):
    return Services(site.db, lambda: NOW, WebSettings(secure_cookies=False))


async def tariff_of(site):
    async with site.db.transaction([site.project_id]) as connection:
        return await connection.fetchval("select id from tariff order by id limit 1")


async def dearer(site, price_micro=600_000):
    body = await correct.present(site.db, site.project_id, await tariff_of(site))
    body["versions"][0]["prices_micro"] = {"all": [price_micro]}
    return json.dumps(body)


async def editor_of(site):
    return f"/projects/{site.project_id}/tariffs/{await tariff_of(site)}/correction"


def csrf_of(fields):
    return next(one for one in fields if one[0] == "csrf")


async def published(site, part):
    """A version that began in the past, as if it had been published then."""
    tariff_id = await tariff_of(site)
    begins = datetime.fromisoformat(part["effective_from"])
    await tariff.publish_version(site.db, site.project_id, tariff_id, part, None, begins)


async def shown(site, services, who, price_micro=600_000):
    """A correction looked at; answers its replay's number and page."""
    page = await who.get(await editor_of(site))
    fields = with_(fields_in(page), since=SINCE, bands__0__prices__0=f"{price_micro / 1e6}")
    begun = await post(who, await editor_of(site), [*fields])
    assert begun.status_code == 303, begun.text
    await work(services, site)
    row = await latest(site)
    assert (row["kind"], row["state"]) == ("replay", "done"), row
    return row["id"], f"/projects/{site.project_id}/replays/{row['id']}"


async def rated(site):
    async with site.db.transaction([site.project_id]) as connection:
        return await connection.fetchval("select sum(rated_nano)::int8 from point_state")


async def test_a_trial_shows_who_pays_more_and_its_file(manager, site, services):
    before = await rated(site)
    start = f"/projects/{site.project_id}/replays/start"
    begun = await send(manager, start, since=SINCE, scheme=await dearer(site, 1_000_000))
    assert begun.status_code == 303, begun.text
    await work(services, site)
    row = await latest(site)
    page = await manager.get(f"/projects/{site.project_id}/replays/{row['id']}")
    assert page.status_code == 200
    assert "Trial" in page.text
    assert "Make this correction" not in page.text
    assert (await manager.get(f"/projects/{site.project_id}/replays")).status_code == 200
    file = await manager.get(f"/projects/{site.project_id}/replays/{row['id']}/export?kind=xlsx")
    book = openpyxl.load_workbook(io.BytesIO(file.content), read_only=True)
    assert len(list(book.active.rows)) > 2
    assert await rated(site) == before
    task_page = await manager.get(f"/projects/{site.project_id}/tasks/{row['id']}")
    assert f"/projects/{site.project_id}/replays/{row['id']}" in task_page.text


async def test_what_is_no_scheme_is_said_beside_its_field(manager, site):
    start = f"/projects/{site.project_id}/replays/start"
    for given, said in (
        ({"scheme": "{"}, "Give a scheme as JSON"),
        ({"scheme": "{}"}, "The tariff is not usable"),
        ({"scheme": await dearer(site), "until": "2020-01-01"}, "A span ends after it begins"),
    ):
        answer = await send(manager, start, since=SINCE, **given)
        assert answer.status_code == 422, answer.text
        assert said in answer.text


async def test_a_correction_waits_for_a_second_person_and_is_then_swept(
    app, manager, site, services
):
    before = await rated(site)
    replay_id, page = await shown(site, services, manager)
    assert "Correction not made" in (await manager.get(page)).text
    assert (await send(manager, f"{page}/correct", reason=" ")).status_code == 422
    asked = await send(manager, f"{page}/correct", reason="a wrong digit")
    assert asked.status_code == 303, asked.text
    waits = await latest(site)
    assert waits["state"] == "waiting"
    approve = f"/projects/{site.project_id}/tasks/{waits['id']}/approve"
    assert (await send(manager, approve)).status_code == 409
    assert await rated(site) == before
    async with another(app, site, "wang", "finance") as second:
        told = await second.get(f"/projects/{site.project_id}/tasks/{waits['id']}")
        for text in ("a wrong digit", "Pay more", str(replay_id)):
            assert text in told.text
        assert (await send(second, approve)).status_code == 303
    await work(services, site)
    found = await task.get(site.db, site.project_id, waits["id"])
    assert [one["outcome"] for one in found["result"]["rows"]] == ["done"], found["result"]
    sweep = await latest(site)
    assert sweep["kind"] == "correction"
    cancel = f"/projects/{site.project_id}/tasks/{sweep['id']}/cancel"
    assert (await send(manager, cancel)).status_code == 409
    await work(services, site)
    assert (await latest(site))["state"] == "done"
    made = (await manager.get(page)).text
    assert "Correction made" in made
    tariff_page = f"/projects/{site.project_id}/tariffs/{await tariff_of(site)}"
    assert "a wrong digit" in (await manager.get(tariff_page)).text
    after = await rated(site)
    assert after > before
    again = await send(manager, f"{tariff_page}/resweep")
    assert again.status_code == 303, again.text
    await work(services, site)
    assert await rated(site) == after


async def test_a_correction_is_typed_version_by_version(manager, site, services):
    """The versions in force fill the editor; each stretch says what changes there."""
    tariff_id, editor = await tariff_of(site), await editor_of(site)
    later = (NOW - timedelta(days=1)).isoformat()
    await published(site, {"effective_from": later, "prices_micro": {"all": [450_000]}})
    fields = with_(fields_in(await manager.get(editor)), since="2026-11-19 12:00")
    assert dict(fields)["bands.0.prices.0"] == "0.45"
    untouched = await post(manager, f"{editor}/preview", fields)
    assert "Nothing is changed yet" in untouched.text
    fields = with_(fields, bands__0__prices__0="0.48", shown="0")
    part = await post(manager, f"{editor}/fields", [*fields, ("do", "versions.show")])
    first = [*fields_in(httpx.Response(200, text=f'id="scheme"{part.text}')), csrf_of(fields)]
    assert dict(first)["bands.0.prices.0"] == "0.50"
    first = with_(first, bands__0__prices__0="0.55")
    looks = (await post(manager, f"{editor}/preview", first)).text
    assert "Ready to replay" in looks
    looks = looks.partition("What is corrected")[2]
    told = [looks.index(text) for text in
            ("2026-11-19 12:00:00 – 2026-11-20 12:00:00", "0.50", "0.55",
             "from 2026-11-20 12:00:00 on", "0.45", "0.48")]  # fmt: skip
    assert told == sorted(told)
    begun = await post(manager, editor, [*first, ("key", "a1" * 8)])
    assert begun.status_code == 303, begun.text
    task_page = begun.headers["location"]
    await work(services, site)
    replay_id = (await latest(site))["id"]
    ended = await manager.get(f"{task_page}/progress?on=page")
    there = f"/projects/{site.project_id}/replays/{replay_id}"
    assert ended.headers["hx-redirect"] == there
    shown = (await manager.get(there)).text
    assert "0.48" in shown
    again = await manager.get(f"{editor}?replay={replay_id}")
    assert f"tariffs/{tariff_id}/correction?replay={replay_id}" in shown
    assert dict(fields_in(again))["bands.0.prices.0"] == "0.55"
    assert dict(fields_in(again))["since"] == "2026-11-19 12:00"


async def test_what_cannot_be_corrected_is_said_beside_its_field(manager, site):
    editor = await editor_of(site)
    page = await manager.get(editor)
    fields = with_(fields_in(page), bands__0__prices__0="0.61")
    for changed, field, said in (
        ({"since": "2020-01-01"}, "since", "A correction begins in the past"),
        ({"since": "2027-01-01"}, "since", "A correction begins in the past"),
        ({"since": "last week"}, "since", "date"),
        ({"bands__0__prices__0": "dear"}, "bands.0.prices.0", "price"),
        ({"bands__0__prices__0": "0.50"}, "since", "nothing would cost otherwise"),
        ({"kept": "{}"}, "", "did not arrive"),
    ):
        sent = [*with_(fields, **changed)]
        refused = await post(manager, editor, sent)
        assert refused.status_code == 422, changed
        assert f'data-field="{field}"' in refused.text, changed
        assert said in refused.text, changed
    dear = [*with_(fields, bands__0__prices__0="dear"), ("do", "versions.show")]
    mend = await post(manager, f"{editor}/fields", dear)
    assert "Mend this version" in mend.text


async def test_a_scheme_file_is_one_way_to_correct(manager, site):
    editor = await editor_of(site)
    fields = dict(with_(fields_in(await manager.get(editor)), since="2026-11-19 12:00"))
    body = json.loads(await dearer(site, 620_000))
    for changed, said in (
        ({}, 'value="0.62"'), ({"commodity": "water"}, "stays as it was"),
        ({"currency": "EUR"}, "EUR"),
    ):  # fmt: skip
        upload = {"scheme_file": ("s.json", json.dumps(body | changed), "application/json")}
        part = await manager.post(f"{editor}/fields", data=fields, files=upload)
        assert said in part.text
        assert 'value="2026-11-19 12:00"' in part.text


async def test_a_cashier_neither_replays_nor_corrects(app, manager, site, services):
    replay_id, page = await shown(site, services, manager)
    async with another(app, site, "wang", "cashier") as cashier:
        assert (await cashier.get(page)).status_code == 403
        assert (await cashier.get(f"{page}/correct")).status_code == 403
        tasks = await cashier.get(f"/projects/{site.project_id}/tasks/{replay_id}")
        assert tasks.status_code == 200


async def test_the_api_tells_the_same(erp, manager, site, services):
    replay_id, _ = await shown(site, services, manager)
    project = f"{API}/projects/{site.project_id}"
    rows = (await erp.get(f"{project}/replays")).json()["items"]
    assert [row["id"] for row in rows] == [replay_id]
    told = (await erp.get(f"{project}/replays/{replay_id}")).json()
    assert told["is_correction"] is True
    assert (
        told["loser_count"] + told["winner_count"] + told["unchanged_count"]
        == told["household_count"]
    )
    homes = (await erp.get(f"{project}/replays/{replay_id}/households")).json()["items"]
    assert len(homes) == told["household_count"]
    more = await erp.get(f"{project}/replays/{replay_id}/households", params={"change": "less"})
    assert more.json()["items"] == []
    corrections = await erp.get(f"{project}/tariffs/{await tariff_of(site)}/corrections")
    assert corrections.json() == []


async def test_a_tariff_is_given_since_the_past_by_two_people(app, erp, manager, site, services):
    before, project = await rated(site), f"/projects/{site.project_id}"
    body = await correct.present(site.db, site.project_id, await tariff_of(site))
    body["name"] = "Cheap"
    body["versions"][0]["prices_micro"] = {"all": [100_000]}
    cheap = await onboard.publish_tariff(site.db, site.project_id, body, None, NOW)
    tariff_page = f"{project}/tariffs/{cheap}"
    assert "Assign since a past instant" in (await manager.get(tariff_page)).text
    refused = await send(manager, f"{tariff_page}/assignment", since=SINCE, rooms="nowhere")
    assert refused.status_code == 422
    assert "nowhere is no room" in refused.text
    begun = await send(manager, f"{tariff_page}/assignment", since=SINCE)
    assert begun.status_code == 303, begun.text
    await work(services, site)
    replay_id = (await latest(site))["id"]
    page = f"{project}/replays/{replay_id}"
    shown = (await manager.get(page)).text
    for text in ("Correction not made", "whatever its point had", "Given to points"):
        assert text in shown
    assert "Change it" not in shown
    assert "Of a tariff given since the past" in (await manager.get(f"{project}/replays")).text
    assert await rated(site) == before
    asked = await send(manager, f"{page}/correct", reason="billed as a shop")
    assert asked.status_code == 303, asked.text
    waits = await latest(site)
    assert (waits["state"], await rated(site)) == ("waiting", before)
    async with another(app, site, "wang", "finance") as second:
        told = (await second.get(f"{project}/tasks/{waits['id']}")).text
        for text in ("billed as a shop", "Tariff given", "Cheap"):
            assert text in told
        assert (await send(second, f"{project}/tasks/{waits['id']}/approve")).status_code == 303
    await work(services, site)
    await work(services, site)
    row = await latest(site)
    assert (row["kind"], row["state"]) == ("correction", "done"), row
    after = await rated(site)
    assert after < before
    made = (await manager.get(tariff_page)).text
    for text in ("billed as a shop", "Given to points: "):
        assert text in made
    corrections = (await erp.get(f"{API}{tariff_page}/corrections")).json()
    assert [(one["replay_id"], one["reason"]) for one in corrections] == [
        (replay_id, "billed as a shop")
    ]
    assert corrections[0]["point_count"] > 0
    again = await send(manager, f"{tariff_page}/resweep")
    assert again.status_code == 303, again.text
    await work(services, site)
    assert await rated(site) == after
