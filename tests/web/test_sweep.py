"""A stopped sweep: who may release it, and who may not though they close alarms and switch meters.

Releasing one cuts off all that it would have cut off; a warden, a field engineer and a cashier of a
whole project cannot, neither one by one nor among many alarms.
"""

import httpx
import pytest

from meterhouse.flows import access, alarm, task
from meterhouse.flows.access import ROLES, Verb
from meterhouse.model import AlarmKind
from meterhouse.store import queue
from meterhouse.web.acts.alarm import CLOSE, RELEASE
from meterhouse.web.works import works
from small_site import NOW, small_site

API = "/api/v1"
MANAGING = {"platform_administrator", "group_head_office", "project_manager"}


@pytest.fixture
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture
async def sweep(site):
    """The number of a stopped sweep's alarm."""
    subject = f"project:{site.project_id}"
    async with site.db.transaction([site.project_id]) as connection:
        new = queue.NewAlarm(AlarmKind.SWEEP_STOPPED, subject)
        await queue.open_alarms(connection, site.project_id, [new], NOW)
        return await connection.fetchval(
            "select max(id) from alarm where kind = $1", AlarmKind.SWEEP_STOPPED
        )


def test_to_release_takes_the_right_to_set_the_rules_and_nobody_else_has_it():
    assert RELEASE.verb is Verb.PROJECT_EDIT
    assert {name for name, verbs in ROLES.items() if RELEASE.verb in verbs} == MANAGING
    assert {name for name, verbs in ROLES.items() if CLOSE.verb in verbs} > MANAGING
    assert RELEASE.verb not in access.IN_BUILDINGS
    assert RELEASE.bulk is None
    assert AlarmKind.SWEEP_STOPPED not in alarm.BY_HAND


async def is_stopped(site):
    async with site.db.transaction([site.project_id]) as connection:
        return await queue.is_open(
            connection, site.project_id, AlarmKind.SWEEP_STOPPED, f"project:{site.project_id}"
        )


@pytest.mark.parametrize("role", sorted(set(ROLES) - MANAGING))
async def test_who_only_switches_and_closes_alarms_cannot_release(app, site, sweep, role):
    _, key = await access.add_client(
        site.db, f"porter-{role}", "Porter", role, "project", site.project_id, NOW
    )
    transport = httpx.ASGITransport(app=app)
    alarms = f"{API}/projects/{site.project_id}/alarms"
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "release-1"}
    why = {"reason": "all is well"}
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as porter:
        said = await porter.post(f"{alarms}/{sweep}/release", json=why, headers=headers)
        assert (said.status_code, said.json()["code"]) == (403, "not_allowed")
        closes = Verb.ALARM_CLOSE in ROLES[role]
        headers["Idempotency-Key"] = "close-one"
        said = await porter.post(f"{alarms}/{sweep}/close", headers=headers)
        assert said.status_code == (409 if closes else 403)
        headers["Idempotency-Key"] = "close-many"
        said = await porter.post(f"{alarms}/close", json=why | {"ids": [sweep]}, headers=headers)
        assert said.status_code == (201 if closes else 403)
    if closes:
        await task.run_next(site.db, site.project_id, works(app.state.services), lambda: NOW)
        done = await task.get(site.db, site.project_id, said.json()["id"])
        (row,) = done["result"]["rows"]
        assert (row["outcome"], row["why"]) == ("refused", "conflict")
    assert await is_stopped(site)


async def test_a_manager_releases_it_once_with_a_reason(erp, site, sweep):
    alarms = f"{API}/projects/{site.project_id}/alarms"
    said = await erp.post(
        f"{alarms}/{sweep}/release", json={"reason": "prices are right"},
        headers={"Idempotency-Key": "release-1"},
    )  # fmt: skip
    assert said.status_code == 204, said.text
    assert not await is_stopped(site)
    again = await erp.post(
        f"{alarms}/{sweep}/release", json={"reason": "prices are right"},
        headers={"Idempotency-Key": "release-2"},
    )  # fmt: skip
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    found = (await erp.get(f"{API}/projects/{site.project_id}/audit?act=sweep.release")).json()
    assert [one["reason"] for one in found["items"]] == ["prices are right"]


async def test_no_other_alarm_is_released(erp, site):
    async with site.db.transaction([site.project_id]) as connection:
        other = await connection.fetchval(
            "select id from alarm where kind <> $1", AlarmKind.SWEEP_STOPPED
        )
    said = await erp.post(
        f"{API}/projects/{site.project_id}/alarms/{other}/release", json={"reason": "why not"},
        headers={"Idempotency-Key": "release-3"},
    )  # fmt: skip
    assert said.status_code == 409
