"""Doubtful readings at the console and in the API: the queue, one with its registers, decisions."""

import re

import pytest

from desk import key_in, token_in
from meterhouse.store.db import maintenance
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW, small_site

API = "/api/v1"


@pytest.fixture
async def site(template):
    """A site of its own: what is decided stays decided."""
    async with small_site(template) as made:
        yield made


@pytest.fixture
def app(site):
    return create_app(Services(site.db, lambda: NOW, WebSettings(secure_cookies=False)))


def doubts(site):
    return f"{API}/projects/{site.project_id}/doubts"


async def decide(erp, site, doubt_id, deed, key="k", **fields):
    return await erp.post(
        f"{doubts(site)}/{doubt_id}/{deed}", json={"reason": "looked at the meter"} | fields,
        headers={"Idempotency-Key": f"decide-{key}"},
    )  # fmt: skip


async def test_the_queue_says_what_waits_and_why(erp, site):
    (one,) = (await erp.get(doubts(site))).json()["items"]
    assert (one["room"], one["why"]) == ("B101", "zero")
    assert (one["total"]["amount"], one["good"]["amount"]) == ("0.000", "100.000")
    assert (await erp.get(doubts(site), params={"why": "jump"})).json()["items"] == []
    detail = (await erp.get(f"{doubts(site)}/{one['id']}")).json()
    assert (detail["is_waiting"], detail["decisions"]) == (True, [])


async def test_a_program_decides_and_the_queue_is_empty(erp, site):
    (one,) = (await erp.get(doubts(site))).json()["items"]
    refused = await decide(erp, site, one["id"], "accept")
    assert (refused.status_code, refused.json()["code"]) == (409, "still_doubtful")
    done = await decide(erp, site, one["id"], "begin", key="2", used="12.5")
    assert done.status_code == 201, done.text
    # 12.5 kWh at 0.50.
    assert done.json()["difference"]["amount"] == "6.250000000"
    assert (await erp.get(doubts(site))).json()["items"] == []
    detail = (await erp.get(f"{doubts(site)}/{one['id']}")).json()
    assert detail["is_waiting"] is False
    assert [said["decided"] for said in detail["decisions"]] == ["begin"]
    alarms = (await erp.get(f"{API}/projects/{site.project_id}/alarms?open=true")).json()["items"]
    assert not [alarm for alarm in alarms if alarm["kind"] == "reading_doubtful"]


async def test_the_readings_of_a_meter_say_how_each_stands(erp, site):
    meter_id = site.rooms["B101"].meter_id
    readings = f"{API}/projects/{site.project_id}/meters/{meter_id}/readings"
    said = [one["quality"] for one in (await erp.get(readings)).json()["items"]]
    assert said[0] == "doubtful"
    (one,) = (await erp.get(doubts(site))).json()["items"]
    await decide(erp, site, one["id"], "discard")
    said = [one["quality"] for one in (await erp.get(readings)).json()["items"]]
    assert said == ["edited", "apportioned", "apportioned", "apportioned", "good"]


async def test_a_reader_sees_the_queue_and_decides_nothing(erp, site):
    async with maintenance(site.db.address) as connection:
        await connection.execute(
            """update role_grant set role = 'read_only'
               where person_id = (select id from person where login = 'erp')"""
        )
    (one,) = (await erp.get(doubts(site))).json()["items"]
    assert (await decide(erp, site, one["id"], "discard")).status_code == 403


async def test_somebody_decides_at_the_console(manager, site):
    project = f"/projects/{site.project_id}"
    page = await manager.get(f"{project}/doubts")
    assert "The register fell to zero" in page.text
    (doubt_id,) = set(re.findall(r'href="[^"]*doubts/(\d+)"', page.text))
    shown = await manager.get(f"{project}/doubts/{doubt_id}")
    assert "Waits for a decision" in shown.text
    assert "a new track begins here" in shown.text
    form = await manager.get(f"{project}/doubts/{doubt_id}/discard")
    sent = await manager.post(
        f"{project}/doubts/{doubt_id}/discard",
        data={"csrf": token_in(form), "key": key_in(form), "reason": "the display shows 100"},
    )
    assert sent.status_code in (200, 303), sent.text
    after = await manager.get(f"{project}/doubts/{doubt_id}")
    assert "Waits no more" in after.text
    assert "the display shows 100" in after.text
    assert "No reading waits for a decision." in (await manager.get(f"{project}/doubts")).text
    audit = await manager.get(f"{project}/audit")
    assert "Decision: Discarded" in audit.text


async def test_a_program_corrects_a_good_reading(erp, site):
    readings = f"{API}/projects/{site.project_id}/meters/{site.rooms['A101'].meter_id}/readings"
    listed = (await erp.get(readings)).json()["items"]
    last, before = listed[0], listed[1]
    assert last["quality"] != "edited"
    right = f"{float(before['total']['amount']) + 1:.3f}"
    done = await erp.post(
        f"{readings}/{last['id']}/correct",
        json={"registers": right, "reason": "the slip of the caretaker"},
        headers={"Idempotency-Key": "correct-1"},
    )  # fmt: skip
    assert done.status_code == 201, done.text
    said = done.json()
    # 4 kWh a day at 0.50 become 1 kWh.
    assert said["difference"]["amount"] == "-1.500000000"
    (payer,) = said["payers"]
    assert payer["is_present"]
    assert payer["energy_before"]["amount"] == "4.000"
    assert payer["energy_after"]["amount"] == "1.000"
    assert payer["amount_after"]["amount"] == "0.500000000"
    detail = (await erp.get(f"{readings}/{last['id']}")).json()
    assert (detail["quality"], detail["why"], detail["is_waiting"]) == ("edited", None, False)
    assert detail["total"] == last["total"]
    (told,) = detail["decisions"]
    assert (told["decided"], told["reason"]) == ("correct", "the slip of the caretaker")
    assert told["registers"][0]["amount"] == right
    assert told["by"]
    assert (await erp.get(f"{readings}/17")).status_code == 404


async def test_somebody_opens_a_reading_from_the_room_and_sees_what_a_decision_costs(manager, site):
    project, room = f"/projects/{site.project_id}", site.rooms["A101"]
    page = await manager.get(f"{project}/rooms/{room.place_id}")
    address = re.findall(r'href="\.\.(/meters/\d+/readings/\d+)"', page.text)[0]
    of_meter = await manager.get(f"{project}/meters/{room.meter_id}")
    assert f"..{address}" in of_meter.text
    assert (await manager.get(f"{project}/meters/{room.meter_id}/export?kind=csv")).text.count(
        "2026-11-"
    ) >= 4
    shown = await manager.get(f"{project}{address}")
    assert shown.status_code == 200
    for word in ("The register around it", "Charged since", "Discard", "Correct"):
        assert word in shown.text
    preview = await manager.get(f"{project}{address}/discard/preview")
    # What was used on the last day is given back, until the next reading.
    for word in ("Charged anew", "Pays now", "4.000 → 0.000 kWh", "2.00 → 0.00 CNY (−2.00)"):
        assert word in preview.text, preview.text
    form = await manager.get(f"{project}{address}/discard")
    sent = await manager.post(
        f"{project}{address}/discard",
        data={"csrf": token_in(form), "key": key_in(form), "reason": "the neighbour was read"},
    )
    assert sent.status_code in (200, 303), sent.text
    after = await manager.get(f"{project}{address}")
    assert "the neighbour was read" in after.text
    assert "Edited" in after.text
    audit = await manager.get(f"{project}/audit")
    assert "Reading of: 2026-11-2" in audit.text
    # What was rehearsed left no trace: this is the first decision.
    assert "Number: 1" in audit.text


async def test_a_preview_says_why_a_decision_is_not_possible(manager, site):
    project = f"/projects/{site.project_id}"
    page = await manager.get(f"{project}/doubts")
    (doubt_id,) = set(re.findall(r'href="[^"]*doubts/(\d+)"', page.text))
    told = await manager.get(f"{project}/doubts/{doubt_id}/accept/preview")
    assert "Not possible" in told.text
    told = await manager.get(f"{project}/doubts/{doubt_id}/begin/preview", params={"used": "12.5"})
    assert "0.000 → 12.500 kWh" in told.text


async def test_many_are_decided_by_one_task(erp, site):
    (one,) = (await erp.get(doubts(site))).json()["items"]
    asked = await erp.post(
        f"{doubts(site)}/discard", json={"ids": [one["id"]], "reason": "all spurious"},
        headers={"Idempotency-Key": "many-0001"},
    )  # fmt: skip
    assert asked.status_code == 201, asked.text
    task_id = asked.json()["id"]
    task = (await erp.get(f"{API}/projects/{site.project_id}/tasks/{task_id}")).json()
    assert (task["kind"], task["title"], task["total_count"]) == ("bulk", "Discard", 1)
