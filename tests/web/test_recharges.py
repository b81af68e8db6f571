"""Money on its way into meters, at the console and in the API: list, steps, call back, decide."""

import re

import pytest

from desk import key_in, token_in
from meterhouse.flows import transit
from meterhouse.store.db import maintenance
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW, small_site

API = "/api/v1"


@pytest.fixture
async def site(template):
    """A site of its own, in which one room's meter keeps its money."""
    async with small_site(template) as made:
        room = made.rooms["A101"]
        async with maintenance(made.db.address) as connection:
            await connection.execute(
                "update point set keeper = 'meter' where id = $1", room.point_id
            )
            await connection.execute(
                "update meter set model = 'DLT645-2007-ORDER' where id = $1", room.meter_id
            )
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
