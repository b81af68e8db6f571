"""Prices and warnings sent to meters, at the console and in the API: said before, shown after."""

import pytest

from desk import send
from meterhouse.flows import command, tariff
from meterhouse.ports import Effect, Outcome, Values
from meterhouse.web.access import LANGUAGE_COOKIE
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


def meter(site, room="A101"):
    return f"/projects/{site.project_id}/meters/{site.rooms[room].meter_id}"


async def order(erp, site, deed, key, room="A101", **body):
    return await erp.post(
        f"{API}{meter(site, room)}/{deed}",
        json=body,
        headers={"Idempotency-Key": f"order-no-{key}"},
    )


async def answer(site, wrong=""):
    """The meter answers the command that waits: it holds what it was sent, or something else."""
    async with site.db.transaction([site.project_id]) as connection:
        gateway_id = await connection.fetchval("select min(id) from gateway")
    claimed = await command.claim(site.db, site.project_id, gateway_id, NOW)
    said = dict(claimed.asked["items"])
    if wrong:
        said[wrong] = "9.9999"
    effect = Effect.NOT_DONE if wrong else Effect.DONE
    outcome = Outcome(effect, Values(parameters=said), "value_unchanged" if wrong else "")
    await command.finish(site.db, claimed, outcome, NOW)


async def test_prices_are_shown_beforehand_sent_and_shown_as_read_back(manager, erp, site):
    address = f"{meter(site)}/send-prices"
    before = await manager.get(f"{address}/preview", params={"takes_effect": "2026-11-23 08:00"})
    assert "0.5000" in before.text
    assert "2026-11-23 08:00:00" in before.text
    page = (await manager.get(meter(site))).text
    assert "It charges by what was set in it" in page
    begun = await send(manager, address, takes_effect="2026-11-23 08:00", reason="new year")
    assert "/commands/" in begun.headers["location"]
    await answer(site)
    told = (await erp.get(f"{API}{meter(site)}/settings")).json()["items"]
    (sent,) = (one for one in told if one["kind"] == "tariff")
    assert (sent["state"], sent["version"], sent["takes_effect_at"]) == (
        "confirmed", 1, "2026-11-23T00:00:00Z",
    )  # fmt: skip
    assert {one["name"]: one["said"] for one in sent["settings"]}["standby_price_1"] == "0.5000"
    page = (await manager.get(meter(site))).text
    assert "Confirmed" in page
    assert "differs" not in page


async def test_all_that_a_meter_cannot_hold_is_shown_beforehand_in_the_readers_language(
    manager, site
):
    async with site.db.transaction([site.project_id]) as connection:
        tariff_id = await connection.fetchval("select min(id) from tariff")
    part = {
        "effective_from": "2026-11-22T12:00:00+08:00",
        "bands": ["deep_valley", "peak"], "day_tables": {"day": {"00:00": "peak"}},
        "prices_micro": {"deep_valley": 100_050, "peak": 300_000},
    }  # fmt: skip
    await tariff.publish_version(site.db, site.project_id, tariff_id, part, None, NOW)
    address = f"{meter(site)}/send-prices/preview"
    for language, said in (
        ("en", ["The meter has no tariff for the band deep_valley.", "0.100050 has more than"]),
        ("zh-Hans", ["费率：该表不能执行", "电表没有与时段", "价格：该表不能执行", "0.100050"]),
    ):
        manager.cookies.set(LANGUAGE_COOKIE, language)
        shown = await manager.get(address)
        assert shown.status_code == 200
        for text in said:
            assert text in shown.text, (language, text)


async def test_what_a_meter_holds_otherwise_is_marked(manager, erp, site):
    made = await order(erp, site, "send-prices", 1, reason="new prices")
    assert made.status_code == 201, made.text
    again = await order(erp, site, "send-prices", 1, reason="new prices")
    assert again.json()["id"] == made.json()["id"]
    await answer(site, wrong="standby_price_1")
    page = (await manager.get(meter(site))).text
    assert "9.9999" in page
    assert "differs" in page
    assert "The meter did not keep what was written" in page
    found = (await erp.get(f"{API}/projects/{site.project_id}/alarms?open=true")).json()["items"]
    assert "parameters_differ" in {one["kind"] for one in found}


@pytest.mark.parametrize(
    ("deed", "body", "code"),
    [
        ("send-prices", {"takes_effect": "2020-01-01 00:00", "reason": "old"},
         "switch_time_unusable"),
        ("send-prices", {"takes_effect": "tomorrow", "reason": "soon"}, "instant_unusable"),
        ("check-prices", None, "nothing_sent"),
    ],
)  # fmt: skip
async def test_what_cannot_be_sent_says_so(erp, site, deed, body, code):
    answered = await erp.post(
        f"{API}{meter(site)}/{deed}", json=body, headers={"Idempotency-Key": "order-x1"}
    )
    assert answered.json()["code"] == code


async def test_a_meter_whose_money_the_platform_keeps_takes_none(erp, manager, site):
    answered = await order(erp, site, "send-prices", 2, "A102", reason="new prices")
    assert (answered.status_code, answered.json()["code"]) == (409, "meter_keeps_no_price")
    assert "What the meter holds" not in (await manager.get(meter(site, "A102"))).text


async def test_many_meters_are_sent_their_warnings_at_once(erp, site):
    ids = [site.rooms[name].meter_id for name in ("A101", "A102")]
    begun = await erp.post(
        f"{API}/projects/{site.project_id}/meters/send-warnings",
        json={"ids": ids, "reason": "new levels"}, headers={"Idempotency-Key": "order-many"},
    )  # fmt: skip
    assert (begun.status_code, begun.json()["total_count"]) == (201, 2)
