"""Money on its way into meters, at the console and in the API: list, steps, call back, decide."""

import re

import pytest

from desk import key_in, token_in
from meterhouse.flows import transit
from meterhouse.store.db import maintenance
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW, let_meter_keep, small_site

API = "/api/v1"


@pytest.fixture
async def site(template):
    """A site of its own, in which one room's meter keeps its money."""
    async with small_site(template) as made:
        await let_meter_keep(made, "A101")
        yield made


@pytest.fixture
def app(site):
    return create_app(Services(site.db, lambda: NOW, WebSettings(secure_cookies=False)))


async def pay(erp, site, key="k1"):
    point_id = site.rooms["A101"].point_id
    return await erp.post(
        f"{API}/projects/{site.project_id}/points/{point_id}/credits",
        json={"amount": "50.00", "channel": "app"}, headers={"Idempotency-Key": f"order-{key}"},
    )  # fmt: skip


async def test_what_is_paid_for_a_meters_purse_sets_out_and_is_seen(erp, site):
    paid = await pay(erp, site)
    assert paid.status_code == 201, paid.text
    again = await pay(erp, site, "k2")
    assert (again.status_code, again.json()["code"]) == (409, "recharge_live")
    found = (await erp.get(f"{API}/projects/{site.project_id}/recharges")).json()
    (one,) = found["items"]
    assert (one["state"], one["amount"]["amount"], one["send_count"]) == ("reserved", "50.00", 0)
    detail = (await erp.get(f"{API}/projects/{site.project_id}/recharges/{one['id']}")).json()
    assert detail["steps"] == []


async def test_a_halted_recharge_is_shown_and_decided_at_the_console(manager, site):
    project = f"/projects/{site.project_id}"
    sale = f"{project}/points/{site.rooms['A101'].point_id}/credits/add"
    await send(manager, sale, amount="50", channel="card", reason="desk")
    page = await manager.get(f"{project}/recharges")
    (recharge_id,) = set(re.findall(r'href="[^"]*recharges/(\d+)"', page.text))
    where = f"{project}/recharges/{recharge_id}"
    assert "Reserved" in visible(await manager.get(where))
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute("update recharge set state = 'halted', why = 'foreign_credit'")
    shown = await manager.get(where)
    assert "Somebody else put money in" in visible(shown)
    assert f"{where}/decide" in shown.text
    state = await transit.decide(
        site.db, site.project_id, int(recharge_id), transit.Verdict.RETURNED, "seen", None, NOW
    )
    assert state == "returned"
    shown = visible(await manager.get(where))
    assert "Back in the purse" in shown
    assert "Decided: back to the purse" in shown


def visible(page):
    """The page's text without its markup."""
    assert page.status_code == 200, page.text
    return re.sub(r"<[^>]*>", "", page.text)


async def send(client, address, **fields):
    """Fill in a form and send it as a browser would."""
    form = await client.get(address)
    assert form.status_code == 200, form.text
    return await client.post(address, data={"csrf": token_in(form), "key": key_in(form)} | fields)


async def test_money_is_taken_back_from_a_meter_and_two_do_it_above_the_limit(erp, manager, site):
    room, project = site.rooms["A101"], f"/projects/{site.project_id}"
    async with maintenance(site.db.address) as connection:
        await connection.execute(
            "insert into wallet (project_id, meter_id, wallet_epoch, number, credit_minor, read_at)"
            " values ($1, $2, 1, 6, 9000, $3)",
            site.project_id, room.meter_id, NOW,
        )  # fmt: skip
        await connection.execute(
            """update project set policy = policy || '{"refund_second_minor": 5000}'"""
        )
    purse = (await erp.get(f"{API}{project}/meters/{room.meter_id}/purse")).json()
    assert (purse["held"]["amount"], purse["number"], purse["recharge_id"]) == ("90.00", 6, None)
    address = f"{API}{project}/points/{room.point_id}/take-back"
    waits = await erp.post(
        address, json={"reason": "moving out"}, headers={"Idempotency-Key": "take-all-1"}
    )
    assert waits.status_code == 201, waits.text
    assert waits.json()["recharge"] is None
    task = (await erp.get(f"{API}{project}/tasks/{waits.json()['task_id']}")).json()
    assert task["state"] == "waiting"
    done = await erp.post(
        address, json={"amount": "12.50", "reason": "wrong sale"},
        headers={"Idempotency-Key": "take-some-1"},
    )  # fmt: skip
    order = done.json()["recharge"]
    assert (order["kind"], order["amount"]["amount"], order["state"]) == (
        "take_back", "12.50", "reserved",
    )  # fmt: skip
    page = (await manager.get(f"{project}/meters/{room.meter_id}")).text
    assert "¥90.00" in page
    assert f"recharges/{order['id']}" in page
    listed = (await manager.get(f"{project}/recharges")).text
    assert "Taken back" in listed


async def test_a_meter_of_the_other_family_is_opened_instead(erp, site):
    room, project = site.rooms["A101"], f"/projects/{site.project_id}"
    point = f"{API}{project}/points/{room.point_id}"
    given = {"json": {"reason": "new meter"}, "headers": {"Idempotency-Key": "open-it-1"}}
    refused = await erp.post(f"{point}/open-meter", **given)
    assert (refused.status_code, refused.json()["code"]) == (409, "opening_not_needed")
    async with maintenance(site.db.address) as connection:
        await connection.execute(
            "update meter set model = 'DLT645-2007-ESAM' where id = $1", room.meter_id
        )
        await connection.execute("update gateway_state set seals = true")
    given["headers"] = {"Idempotency-Key": "open-it-2"}
    opened = (await erp.post(f"{point}/open-meter", **given)).json()["recharge"]
    assert (opened["kind"], opened["number"], opened["amount"]["amount"]) == ("open", 1, "0.00")
    refused = await erp.post(
        f"{point}/take-back", json={"reason": "all"}, headers={"Idempotency-Key": "take-it-3"}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "meter_gives_nothing_back")


async def test_a_meter_without_a_purse_has_none_to_show(erp, site):
    other = site.rooms["A102"].meter_id
    answer = await erp.get(f"{API}/projects/{site.project_id}/meters/{other}/purse")
    assert answer.status_code == 404


async def test_money_in_the_purse_is_sent_into_the_meter_from_its_page(erp, manager, site):
    room, project = site.rooms["A101"], f"/projects/{site.project_id}"
    async with maintenance(site.db.address) as connection:
        await connection.execute(
            """update account set credit_minor = credit_minor + 10000
               where id = (select account_id from point where id = $1)""",
            room.point_id,
        )
    page = (await manager.get(f"{project}/meters/{room.meter_id}")).text
    assert f"points/{room.point_id}/send-credit" in page
    sent = await erp.post(
        f"{API}{project}/points/{room.point_id}/send-credit",
        json={"amount": "12.50", "reason": "opening credit"},
        headers={"Idempotency-Key": "send-it-1"},
    )
    order = sent.json()["recharge"]
    assert (order["kind"], order["amount"]["amount"]) == ("recharge", "12.50")
    assert (await manager.get(f"{project}/recharges/{order['id']}")).status_code == 200
