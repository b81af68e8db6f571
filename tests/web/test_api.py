"""What holds for every operation of the API: cursors, strictness, limits, versions."""

import base64
import json

import httpx
import pytest

from meterhouse.flows import access
from meterhouse.flows.monitor import LISTS
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW

API = "/api/v1"
NAMES = ["rooms", "meters", "gateways", "alarms", "notices", "commands"]


@pytest.fixture
def settings():
    return WebSettings(secure_cookies=False)


@pytest.fixture
async def erp(site, settings):
    app = create_app(Services(site.db, lambda: NOW, settings))
    headers = {"Accept-Language": "en", "Authorization": f"Bearer {site.key}"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url=f"http://desk{API}", headers=headers
    ) as one:
        yield one


async def walked(erp, address, **params):
    items, cursor = [], ""
    while cursor is not None:
        answer = await erp.get(address, params={**params, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        cursor = page["next_cursor"]
    return items


@pytest.mark.parametrize("name", NAMES)
async def test_cursors_lead_through_the_whole_list(erp, site, name):
    address = f"/projects/{site.project_id}/{name}"
    for sort in (*LISTS[name].orders, *(f"-{key}" for key in LISTS[name].orders)):
        whole = await walked(erp, address, sort=sort, limit=200)
        assert await walked(erp, address, sort=sort, limit=1) == whole
    counted = (await erp.get(address, params={"count": True, "limit": 1})).json()
    assert (counted["total"], counted["total_is_more"]) == (len(whole), False)
    assert (await erp.get(address)).json()["total"] is None


async def test_readings_page_too(erp, site):
    address = f"/projects/{site.project_id}/meters/{site.rooms['A101'].meter_id}/readings"
    whole = await walked(erp, address, limit=200)
    assert len(whole) == 4
    assert await walked(erp, address, limit=1) == whole
    assert await walked(erp, address, limit=3, sort="read_at") == whole[::-1]


async def test_a_cursor_is_good_for_its_own_list_sort_and_filter_alone(erp, site):
    meters = f"/projects/{site.project_id}/meters"
    first = {"limit": 1, "sort": "address", "text": "A"}
    cursor = (await erp.get(meters, params=first)).json()["next_cursor"]
    assert (await erp.get(meters, params=first | {"limit": 5, "cursor": cursor})).is_success
    for changed in ({"sort": "-address"}, {"text": "A1"}, {"online": True}):
        answer = await erp.get(meters, params=first | changed | {"cursor": cursor})
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_mismatch"), changed
    elsewhere = await erp.get(f"/projects/{site.project_id}/gateways", params={"cursor": cursor})
    assert elsewhere.json()["code"] == "cursor_mismatch"


def forged(cursor, change):
    told = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    change(told)
    return base64.urlsafe_b64encode(json.dumps(told).encode()).rstrip(b"=").decode()


async def test_a_cursor_of_somebody_elses_making_is_refused(erp, site):
    meters = f"/projects/{site.project_id}/meters"
    cursor = (await erp.get(meters, params={"limit": 1})).json()["next_cursor"]
    made = [
        "x", "AAAA", base64.urlsafe_b64encode(b"[]").decode().rstrip("="),
        forged(cursor, lambda told: told.__setitem__(0, 2)),
        forged(cursor, lambda told: told.__setitem__(2, [])),
        forged(cursor, lambda told: told.__setitem__(2, [1, "A"])),
        forged(cursor, lambda told: told.__setitem__(2, ["A101", 2**80])),
        forged(cursor, lambda told: told.__setitem__(2, ["A\x00", 1])),
        forged(cursor, lambda told: told.__setitem__(2, [{"at": 10**30}, 1])),
        forged(cursor, lambda told: told.__setitem__(2, [[1], 1])),
        forged(cursor, lambda told: told.__setitem__(2, 7)),
    ]  # fmt: skip
    for one in made:
        answer = await erp.get(meters, params={"limit": 1, "cursor": one})
        assert answer.status_code == 422, one
        assert answer.json()["code"] in {"cursor_invalid", "position_unfit", "unstorable"}, one


@pytest.mark.parametrize(
    ("query", "code", "pointer", "word"),
    [
        ("sort=secret", "fields_invalid", "/sort", "not_a_choice"),
        ("limit=0", "fields_invalid", "/limit", "too_small"),
        ("limit=201", "fields_invalid", "/limit", "too_large"),
        ("limit=many", "fields_invalid", "/limit", "not_a_whole_number"),
        ("online=perhaps", "fields_invalid", "/online", "not_a_truth"),
        ("page=2", "query_unknown", None, None),
        ("Limit=2", "query_unknown", None, None),
    ],
)
async def test_what_cannot_be_meant_is_refused(erp, site, query, code, pointer, word):
    answer = await erp.get(f"/projects/{site.project_id}/meters?{query}")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    if pointer:
        (error,) = problem["errors"]
        assert (error["where"], error["pointer"], error["code"]) == ("query", pointer, word)
        assert error["message"]
    else:
        assert "cursor" in problem["detail"]


@pytest.mark.parametrize(
    "instant",
    ["2026-11-20", "1700000000", "2026-11-20T00:00:00", "yesterday", "2026-13-01T00:00:00Z"],
)
async def test_instants_are_rfc_3339_with_an_offset(erp, site, instant):
    answer = await erp.get(f"/projects/{site.project_id}/alarms", params={"opened_from": instant})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == ("/opened_from", "not_an_instant")


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_instants_beyond_every_clock_are_no_failure(erp, site, instant):
    answer = await erp.get(f"/projects/{site.project_id}/alarms", params={"opened_to": instant})
    assert answer.status_code == 200


async def test_problems_speak_the_language_asked_for(erp, site):
    answer = await erp.get(
        f"/projects/{site.project_id}/meters?limit=0", headers={"Accept-Language": "zh-CN"}
    )
    assert answer.json()["errors"][0]["message"] == "不得小于 1。"


class TestLimits:
    @pytest.fixture
    def settings(self):
        return WebSettings(
            secure_cookies=False, requests_a_minute=3, changes_a_minute=1,
            stranger_requests_a_minute=2,
        )  # fmt: skip

    async def test_a_client_sees_what_is_left_and_is_then_refused(self, erp):
        for left in (2, 1, 0):
            answer = await erp.get("/projects")
            assert answer.status_code == 200
            assert answer.headers["RateLimit-Limit"] == "3"
            assert answer.headers["RateLimit-Remaining"] == str(left)
        refused = await erp.get("/projects")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
        assert refused.headers["Retry-After"] == "20"

    async def test_changes_have_a_stricter_bucket_of_their_own(self, erp, site):
        address = f"/projects/{site.project_id}/meters/{site.rooms['A101'].meter_id}/read"
        statuses = [
            (await erp.post(address, headers={"Idempotency-Key": f"limits-{n}-aaaa"})).status_code
            for n in range(2)
        ]
        assert statuses[1] == 429 != statuses[0]
        assert (await erp.get("/projects")).status_code == 200

    async def test_dead_keys_are_counted_by_address(self, erp, site):
        dead = {"Authorization": "Bearer guess"}
        statuses = [(await erp.get("/projects", headers=dead)).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]
        assert (await erp.get("/projects")).status_code == 200


async def test_another_client_has_a_bucket_of_its_own(erp, site):
    first = (await erp.get("/projects")).headers["RateLimit-Remaining"]
    other = {"Authorization": f"Bearer {site.other_key}"}
    assert (await erp.get("/projects", headers=other)).headers["RateLimit-Remaining"] == first


async def test_projects_page_by_cursor(site, settings):
    chief = await access.add_client(site.db, "pager", "Pager", "read_only", "platform", 0, NOW)
    app = create_app(Services(site.db, lambda: NOW, settings))
    headers = {"Authorization": f"Bearer {chief[1]}"}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(
        transport=transport, base_url=f"http://desk{API}", headers=headers
    ) as one:
        whole = await walked(one, "/projects")
        assert {item["id"] for item in whole} >= {site.project_id, site.other_id}
        for sort in ("id", "-id", "name", "-name"):
            key = sort.removeprefix("-")
            found = await walked(one, "/projects", sort=sort, limit=1)
            in_order = sorted((item[key] for item in whole), reverse=sort[0] == "-")
            assert [item[key] for item in found] == in_order
        cursor = (await one.get("/projects", params={"limit": 1})).json()["next_cursor"]
        wrong = forged(cursor, lambda told: told.__setitem__(2, ["x"]))
        assert (await one.get("/projects", params={"cursor": wrong})).status_code == 422


async def test_rooms_in_one_state_page_by_cursor(erp, site):
    address = f"/projects/{site.project_id}/rooms"
    whole = await walked(erp, address)
    states = {room["state"] for room in whole}
    assert len(states) >= 4
    for state in states:
        wanted = [room for room in whole if room["state"] == state]
        for limit in (1, 2, 200):
            assert await walked(erp, address, state=state, limit=limit) == wanted
        counted = await erp.get(address, params={"state": state, "limit": 1, "count": True})
        assert counted.json()["total"] == len(wanted)
    first = (await erp.get(address, params={"limit": 1})).json()
    changes = await erp.get(f"{address}/changes", params={"since": first["version"]})
    assert changes.json()["items"] == []
