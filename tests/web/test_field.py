"""Putting meters into service, by page and by program: searches, checklists, reports."""

import re

import pytest

from desk import fresh_key, key_in, token_in
from meterhouse.flows import command, scan, task
from meterhouse.flows.task import Progress
from meterhouse.model import Relay
from meterhouse.ports import Effect, Outcome, Values
from small_site import NOW

API = "/api/v1"
SILENCE = Outcome(Effect.UNKNOWN, why="silence")
KEY = {"Idempotency-Key": "a-key-of-its-own"}
DEVICE = {
    "why": "", "total_milli": 1_234_560, "band_milli": [], "relay": 1, "phases": 1,
    "voltage_dv": [2210], "texts": {"type": "DDSY1352"}, "clock_local": "2026-11-21T12:00:09",
    "clock_off_s": 9,
    "candidates": [
        {"model": "DDSY1352-NK", "confidence": "likely"},
        {"model": "DLT645-2007", "confidence": "generic"},
    ],
}  # fmt: skip


async def gateway_of(site):
    async with site.db.transaction([site.project_id]) as connection:
        return await connection.fetchval("select id from gateway order by id limit 1")


async def work(site, devices, left=("07",)):
    """A head end has claimed the search and told what it found."""
    gateway_id = await gateway_of(site)
    claimed = await task.claim(site.db, site.project_id, (scan.KIND,), gateway_id, NOW)
    search = {"left": list(left), "addresses": list(devices), "clashes": [], "asks": 41}
    result = {"search": search, "devices": devices}
    await task.tell(site.db, claimed, Progress(370_000, 1_000_000, result), NOW)
    return claimed


async def answer(site, meter_id, outcome):
    """The meter's next command ends like this; what others were asked stays unanswered."""
    while True:
        claimed = await command.claim(site.db, site.project_id, await gateway_of(site), NOW)
        is_ours = claimed.meter_id == meter_id
        await command.finish(site.db, claimed, outcome if is_ours else SILENCE, NOW)
        if is_ours:
            return


async def post(client, address, fields=(), form=None):
    """Load an act's form and send it."""
    page = form or await client.get(address)
    sent = {"csrf": token_in(page), "key": key_in(page), **dict(fields)}
    return await client.post(address, data=sent)


async def test_a_search_is_begun_watched_stopped_and_gone_on_with(manager, site):
    base = f"/projects/{site.project_id}"
    gateway_id = await gateway_of(site)
    listed = await manager.get(f"{base}/gateways/{gateway_id}/scans")
    assert "This bus has not been searched yet." in listed.text
    address = f"{base}/gateways/{gateway_id}/scans/start"
    wrong = await post(manager, address, {"ending": "5", "patience_ms": "5", "tries": "2"})
    assert wrong.status_code == 422
    begun = await post(manager, address, {"patience_ms": "2000", "tries": "2"})
    here = begun.headers["location"]
    assert "Queued" in (await manager.get(here)).text
    known = next(iter(site.rooms.values()))
    await work(site, {"000000000001": DEVICE, "000000990000": DEVICE | {"candidates": []}})
    page = await manager.get(here)
    for text in (
        "37 % of the line is settled",
        "2 meters found",
        "1 ending left",
        "Known here",
        "New",
        "DDSY1352-NK",
        "(likely)",
        "Unknown device",
        "9 s fast",
    ):
        assert text in page.text
    assert f"commissioning/{known.meter_id}" in page.text
    mark = re.search(r"since=([\w-]+)", page.text)[1]
    assert (await manager.get(f"{here}/now?since={mark}")).status_code == 204
    assert (await manager.get(f"{here}/now?since=older")).status_code == 200
    second = await post(manager, address, {"patience_ms": "2000", "tries": "2"})
    assert "This is being done already" in second.text
    await post(manager, f"{here}/cancel")
    assert "Cancelled" in (await manager.get(here)).text
    again = await post(manager, f"{here}/go-on")
    assert again.headers["location"] != here
    number = int(again.headers["location"].rpartition("/")[2])
    row = await task.get(site.db, site.project_id, number)
    assert row["input"]["resume"]["search"]["left"] == ["07"]
    assert await task.cancel(site.db, site.project_id, number, NOW)
    assert "Cancelled" in (await manager.get(f"{base}/gateways/{gateway_id}/scans")).text


async def test_a_program_searches_a_bus(erp, site):
    base = f"{API}/projects/{site.project_id}"
    gateway_id = await gateway_of(site)
    begun = await erp.post(
        f"{base}/gateways/{gateway_id}/scans", json={"ending": "05"}, headers=fresh_key()
    )
    assert (begun.status_code, begun.json()["state"]) == (201, "queued")
    number = begun.json()["id"]
    claimed = await work(site, {"000000000105": DEVICE})
    told = (await erp.get(f"{base}/scans/{number}")).json()
    assert (told["state"], told["left_count"], told["ending"]) == ("running", 1, "05")
    (device,) = told["devices"]
    assert device["total"] == {"amount": "1234.560", "unit": "kWh"}
    assert (device["known"], device["meter_id"]) == ("new", None)
    assert device["candidates"][0] == {"model": "DDSY1352-NK", "confidence": "likely"}
    assert (await erp.post(f"{base}/scans/{number}/cancel", headers=fresh_key())).status_code == 204
    with pytest.raises(task.TaskStopped):
        await task.tell(site.db, claimed, Progress(), NOW)
    listed = (await erp.get(f"{base}/gateways/{gateway_id}/scans")).json()
    assert (listed[0]["id"], listed[0]["state"]) == (number, "cancelled")
    assert (await erp.get(f"{base}/scans/{number + 99}")).status_code == 404
    refused = await erp.post(
        f"{base}/gateways/{gateway_id}/scans", json={"ending": "5"}, headers=fresh_key()
    )
    assert refused.status_code == 422


async def test_a_checklist_is_filled_and_signed_page_by_page(manager, site):
    base = f"/projects/{site.project_id}"
    room = site.rooms["A102"]
    page_address = f"{base}/commissioning/{room.meter_id}"
    page = await manager.get(page_address)
    assert "This meter has no checklist yet." in page.text
    start = f"{base}/meters/{room.meter_id}/commissionings/start"
    wrong = await post(manager, start, {"expected": "much"})
    assert wrong.status_code == 422
    begun = await post(manager, start, {"expected": "100.00"})
    assert begun.headers["location"] == page_address
    page = await manager.get(page_address)
    assert page.text.count("Waiting") == 3
    seq = re.search(r"since=(\d+)", page.text)[1]
    assert (await manager.get(f"{page_address}/now?since={seq}")).status_code == 204
    values = Values(total_milli=500_000, relay=Relay.CLOSED, clock_local=None)
    await answer(site, room.meter_id, Outcome(Effect.NOT_DONE, values, "no_such_data"))
    part = await manager.get(f"{page_address}/now?since={seq}")
    for text in (
        "The meter did not say it",
        "The register is not the one written down",
        "On the display 100.00 kWh · first 500.00 kWh",
        "Read again",
    ):
        assert text in part.text
    deeds = re.search(rf"{base}/commissionings/\d+", part.text)[0]
    assert f"{deeds}/sign" not in part.text
    unsafe = await post(manager, f"{deeds}/try-relay")
    assert (unsafe.status_code, "say so" in unsafe.text) == (422, True)
    await post(manager, f"{deeds}/try-relay", {"is_safe": "on"})
    await answer(site, room.meter_id, Outcome(Effect.DONE, Values(relay=Relay.OPEN)))
    await answer(site, room.meter_id, Outcome(Effect.DONE, Values(relay=Relay.CLOSED)))
    page = await manager.get(page_address)
    assert "Before: Power on · Disconnect: Power off · Connect: Power on" in page.text
    await post(manager, f"{deeds}/say-state", {"seen": "open"})
    page = await manager.get(page_address)
    assert "Shown: Power on · Seen: Power off" in page.text
    for item in ("state", "clock"):
        await post(manager, f"{deeds}/leave-out", {"item": item, "reason": "no display"})
    unexplained = await post(manager, f"{deeds}/sign")
    assert (unexplained.status_code, "field-note-error" in unexplained.text) == (422, True)
    await post(manager, f"{deeds}/sign", {"note": "The opening figure was misread."})
    page = await manager.get(page_address)
    assert "The opening figure was misread." in page.text
    assert "try-relay" not in page.text
    listed = await manager.get(f"{base}/commissioning?state=signed_with_faults")
    assert "A102" in listed.text
    assert "A103" not in listed.text


async def test_the_report_of_a_building_has_a_sheet_a_meter_with_lines_to_sign_on(manager, site):
    base = f"/projects/{site.project_id}"
    room = site.rooms["B101"]
    await post(manager, f"{base}/meters/{room.meter_id}/commissionings/start")
    chooser = await manager.get(f"{base}/commissioning/report")
    assert "Choose a building." in chooser.text
    building = re.search(r'<option value="(\d+)">B栋', chooser.text)[1]
    report = await manager.get(f"{base}/commissioning/report?building={building}")
    assert report.text.count('<article class="card sheet">') == 1
    for text in ("B101", "000000000005", "For the property", "Not signed"):
        assert text in report.text
    one = await manager.get(f"{base}/commissioning/report?meter={room.meter_id}&meter=x")
    assert one.text.count('<article class="card sheet">') == 1
    none = await manager.get(f"{base}/commissioning/report?meter=999999")
    assert "No checklist here yet." in none.text


async def test_a_program_fills_and_signs_a_checklist(erp, site):
    base = f"{API}/projects/{site.project_id}"
    room = site.rooms["A104"]
    address = f"{base}/meters/{room.meter_id}/commissionings"
    begun = await erp.post(address, json={}, headers=KEY)
    assert begun.status_code == 201
    again = await erp.post(address, json={}, headers=KEY)
    assert (again.json(), again.headers["idempotent-replayed"]) == (begun.json(), "true")
    number = begun.json()["id"]
    assert begun.json()["items"][0] | {"at": None} == {
        "item": "answers", "state": "waiting", "why": "", "at": None, "facts": {},
    }  # fmt: skip
    other = await erp.post(address, json={}, headers={"Idempotency-Key": "another-key"})
    assert (other.status_code, other.json()["code"]) == (409, "checklist_open")
    deeds = f"{base}/commissionings/{number}"
    early = await erp.post(f"{deeds}/sign", json={}, headers={"Idempotency-Key": "sign-early"})
    assert (early.status_code, early.json()["code"]) == (409, "checklist_unsettled")
    for item in ("answers", "clock", "register", "relay", "state"):
        left = await erp.post(
            f"{deeds}/leave-out", json={"item": item, "reason": "vacant"},
            headers={"Idempotency-Key": f"leave-{item}"},
        )  # fmt: skip
        assert left.status_code == 201
    signed = await erp.post(f"{deeds}/sign", json={}, headers={"Idempotency-Key": "sign-late"})
    assert signed.json()["signed_at"] == "2026-11-21T04:00:00Z"
    assert (await erp.get(deeds)).json() == signed.json()
    listed = (await erp.get(f"{base}/commissioning?state=signed")).json()
    assert [row["room"] for row in listed["items"]] == ["A104"]
    async with site.db.transaction([site.project_id]) as connection:
        deeds_kept = await connection.fetch(
            "select act from audit_entry where object = $1 order by id", f"meter:{room.meter_id}"
        )
    assert [row["act"] for row in deeds_kept] == [
        "commissioning.start", *["commissioning.leave_out"] * 5, "commissioning.sign",
    ]  # fmt: skip


async def test_another_projects_meters_gateways_and_searches_do_not_exist(erp, site):
    base = f"{API}/projects/{site.project_id}"
    other = f"{API}/projects/{site.other_id}"
    gateway_id = await gateway_of(site)
    for address in (f"{other}/commissioning", f"{other}/gateways/{gateway_id}/scans"):
        assert (await erp.get(address)).status_code == 404
    assert (
        await erp.post(f"{base}/gateways/999999/scans", json={}, headers=fresh_key())
    ).status_code == 404
    assert (await erp.get(f"{base}/commissionings/999999")).status_code == 404
