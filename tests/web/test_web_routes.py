"""The console and the API over a real database: who may, what they see, what happens."""

import io
import re

import openpyxl
import pytest

from desk import key_in, token_in
from meterhouse.flows.access import Verb
from meterhouse.web.access import check_routes

API = "/api/v1"


async def test_board_shows_every_room_and_hides_what_the_filter_leaves_out(manager, site):
    page = await manager.get(f"/projects/{site.project_id}/rooms?state=offline")
    tiles = re.findall(r'<a href="rooms/\d+" class="(\w+)"( hidden)?><b>(\w+)</b>', page.text)
    assert len(tiles) == 6
    assert [room for _, hidden, room in tiles if not hidden] == ["B102"]


async def test_poll_answers_nothing_until_something_changes(manager, site):
    page = await manager.get(f"/projects/{site.project_id}/rooms")
    version = re.search(r'data-board="(\d+)"', page.text)[1]
    address = f"/projects/{site.project_id}/rooms/changes"
    assert (await manager.get(address, params={"since": version})).status_code == 204
    everything = (await manager.get(address, params={"since": "0"})).json()
    assert len(everything["rooms"]) == 6
    assert everything["counts"][""] == 6


@pytest.mark.parametrize("name", ["alarms", "meters", "gateways", "commands", "notices"])
async def test_every_list_has_a_page_and_both_files(manager, site, name):
    address = f"/projects/{site.project_id}/{name}"
    page = await manager.get(address)
    assert page.status_code == 200
    for kind, start in (("xlsx", b"PK"), ("csv", b"\xef\xbb\xbf")):
        file = await manager.get(f"{address}/export?kind={kind}")
        assert file.content.startswith(start)
        assert file.headers["content-disposition"].endswith(f'"{name}.{kind}"')


async def test_a_list_that_is_too_long_to_count_says_so(manager, site, monkeypatch):
    monkeypatch.setattr("meterhouse.store.lists.COUNT_MAX_ROWS", 3)
    page = await manager.get(f"/projects/{site.project_id}/meters?size=20")
    assert "more than 3 rows" in page.text
    assert "1–6 of more than 3" in page.text


async def test_file_holds_exactly_the_rows_and_columns_shown(manager, site):
    query = "?text=A10&columns=room&columns=energy&sort=-room"
    file = await manager.get(f"/projects/{site.project_id}/meters/export{query}&kind=xlsx")
    rows = list(openpyxl.load_workbook(io.BytesIO(file.content)).active.values)
    assert rows[0] == ("Room", "Total")
    assert [row[0] for row in rows[1:]] == ["A104", "A103", "A102", "A101"]
    assert rows[4][1] == 112


async def test_room_page_tells_today_and_offers_what_the_role_may(manager, site):
    room = site.rooms["A101"]
    page = await manager.get(f"/projects/{site.project_id}/rooms/{room.place_id}")
    assert "¥2.00" in page.text
    assert "Recharge" in page.text
    part = await manager.get(f"/projects/{site.project_id}/rooms/{room.place_id}/now")
    seq = re.search(r"since=(\d+)", part.text)[1]
    again = await manager.get(f"/projects/{site.project_id}/rooms/{room.place_id}/now?since={seq}")
    assert again.status_code == 204


async def test_disconnect_wants_a_reason_and_then_is_followed(manager, site):
    room = site.rooms["B101"]
    address = f"/projects/{site.project_id}/meters/{room.meter_id}/disconnect"
    form = await manager.get(address)
    assert "Power is cut off at once" in form.text
    fields = {"csrf": token_in(form), "key": key_in(form), "reason": " "}
    refused = await manager.post(address, data=fields)
    assert refused.status_code == 422
    assert "At least 2 characters are needed." in refused.text
    done = await manager.post(address, data=fields | {"reason": "repair"})
    assert done.status_code == 303
    part = await manager.get(done.headers["location"])
    assert "Queued" in part.text
    again = await manager.post(address, data=fields | {"reason": "repair"})
    assert again.headers["location"] == done.headers["location"]


async def test_credit_is_added_once_however_often_the_form_is_sent(manager, site):
    room = site.rooms["B101"]
    address = f"/projects/{site.project_id}/points/{room.point_id}/credits/add"
    form = await manager.get(address)
    fields = {"csrf": token_in(form), "key": key_in(form), "amount": "12.345", "channel": "card"}
    refused = await manager.post(address, data=fields)
    assert refused.status_code == 422
    assert "at most 2 decimals" in refused.text
    assert 'value="12.345"' in refused.text
    fields["amount"] = "12.34"
    first, second = [await manager.post(address, data=fields) for _ in range(2)]
    assert (first.status_code, second.status_code) == (303, 303)
    assert first.headers["location"] == second.headers["location"]
    told = await manager.get(first.headers["location"])
    assert "¥12.34" in told.text


async def test_a_form_without_its_key_does_nothing(manager, site):
    room = site.rooms["B101"]
    address = f"/projects/{site.project_id}/points/{room.point_id}/credits/add"
    form = await manager.get(address)
    answer = await manager.post(address, data={"csrf": token_in(form), "amount": "1"})
    assert answer.status_code == 422
    assert "load it again" in answer.text


async def test_without_its_token_no_form_does_anything(manager, site):
    room = site.rooms["A101"]
    project = f"/projects/{site.project_id}"
    meter = f"{project}/meters/{room.meter_id}"
    for address in (f"{project}/points/{room.point_id}/credits/add", f"{meter}/disconnect",
                    f"{meter}/read"):  # fmt: skip
        answer = await manager.post(address, data={"reason": "forged", "amount": "1"})
        assert answer.status_code == 403, address


async def test_api_refuses_strangers_and_cookies(manager, site):
    answer = await manager.get(f"{API}/projects")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    answer = await manager.get(f"{API}/projects", headers={"Authorization": "Bearer guess"})
    assert answer.json()["code"] == "not_signed_in"


async def test_api_tells_the_same_as_the_console(erp, site):
    projects = (await erp.get(f"{API}/projects")).json()
    assert [one["id"] for one in projects["items"]] == [site.project_id]
    rooms = (await erp.get(f"{API}/projects/{site.project_id}/rooms")).json()
    by_name = {room["name"]: room for room in rooms["items"]}
    assert by_name["A101"]["available"] == {"amount": "194.00", "currency": "CNY"}
    assert by_name["B102"]["state"] == "offline"
    room_id = by_name["A101"]["id"]
    room = (await erp.get(f"{API}/projects/{site.project_id}/rooms/{room_id}")).json()
    today = room["points"][0]["days"][-1]
    assert today["energy"] == {"amount": "4.000", "unit": "kWh"}
    assert today["cost"] == {"amount": "2.000000000", "currency": "CNY"}


async def test_api_readings_of_a_span(erp, site):
    meter_id = site.rooms["A101"].meter_id
    address = f"{API}/projects/{site.project_id}/meters/{meter_id}/readings"
    page = (await erp.get(address, params={"read_from": "2026-11-20T00:00:00Z"})).json()
    assert [row["total"]["amount"] for row in page["items"]] == ["112.000", "108.000"]
    assert page["items"][0]["bands"] == [None] * 4
    naive = await erp.get(address, params={"read_from": "2026-11-20T00:00:00"})
    assert naive.json()["code"] == "fields_invalid"


async def test_api_command_and_credit(erp, site):
    room = site.rooms["B102"]
    project = f"{API}/projects/{site.project_id}"
    switch = f"{project}/meters/{room.meter_id}/disconnect"
    key = {"Idempotency-Key": "switch-4711"}
    problem = (await erp.post(switch, json={"reason": "x"}, headers=key)).json()
    assert problem["errors"][0]["pointer"] == "/reason"
    keyless = (await erp.post(switch, json={"reason": "repair"})).json()
    assert keyless["errors"][0]["pointer"] == "/idempotency-key"
    made = await erp.post(switch, json={"reason": "repair"}, headers=key)
    assert made.status_code == 201
    found = await erp.get(f"{project}/commands/{made.json()['id']}")
    assert found.json() == made.json()
    assert found.json()["state"] == "queued"
    pay = f"{project}/points/{room.point_id}/credits"
    key = {"Idempotency-Key": "order-4711"}
    first = await erp.post(pay, json={"amount": "50.00"}, headers=key)
    second = await erp.post(pay, json={"amount": "50.00"}, headers=key)
    other = await erp.post(pay, json={"amount": "51.00"}, headers=key)
    assert first.status_code == 201
    assert "idempotent-replayed" not in first.headers
    assert second.json() == first.json()
    assert second.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")


async def test_api_has_an_operation_for_every_verb_of_the_console(app):
    verbs = {True: set(), False: set()}
    for _, path, verb in check_routes(app):
        verbs[path.startswith(API)].add(verb)
    assert verbs[False] - verbs[True] - {Verb.STRANGER_READ} == set()
