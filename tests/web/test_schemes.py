"""The scheme editor's pages and the acts behind them: what is typed is what is published."""

import json
from datetime import date

import httpx
import pytest

from desk import fresh_key, key_in, token_in
from editing import fields_in, post, with_
from meterhouse.flows import library, project
from meterhouse.rating.tariff import parse
from meterhouse.web.access import LANGUAGE_COOKIE

API = "/api/v1"
BODY = {
    "name": "By the hour", "commodity": "electricity", "currency": "CNY",
    "billing": {"anchor_day": 5, "anchor_hour": 8, "proration": "whole"},
    "versions": [{
        "effective_from": "2026-12-01T00:00:00+08:00",
        "bands": ["peak", "valley"],
        "day_tables": {"summer": {"00:00": "valley", "10:00": "peak", "17:00": "valley"},
                       "winter": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
        "seasons": [
            {"name": "summer", "first": "07-01", "last": "09-30", "tables": {"workday": "summer"}},
            {"name": "rest", "first": "10-01", "last": "06-30",
             "tables": {"workday": "winter", "weekend": "summer"}},
        ],
        "weekend": [7],
        "special_days": {"2026-10-01": "holiday", "2026-10-02": "holiday",
                         "2026-10-03": "holiday", "2026-10-10": "makeup_workday"},
        "blocks": {"period": "month", "fill": "chronological", "limits_milli": [200000, 400000],
                   "seasonal": {"summer": [260000, 600000]}},
        "prices_micro": {"peak": [600000, 660000, 900000], "valley": [300000, 330000, 450000]},
        "adders_micro": [0, 10000, 20000],
        "surcharges": [{"name": "funds", "price_micro": -12345}],
        "allowance": {"grant": "period", "energy_milli": 10500},
        "tax": {"rate_micro": 130000},
    }],
}  # fmt: skip


def editor(site, tariff_id=None):
    there = f"/projects/{site.project_id}/tariffs"
    if tariff_id is None:
        return f"{there}/scheme/add-scheme"
    return f"{there}/{tariff_id}/versions/scheme/publish-scheme"


@pytest.fixture
async def made(manager, site, app):
    """A tariff of every field that can run, published by a program."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://erp") as erp:
        erp.headers["Authorization"] = f"Bearer {site.key}"
        answer = await erp.post(
            f"{API}/projects/{site.project_id}/tariffs/scheme", json=BODY, headers=fresh_key()
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]


async def test_a_tariff_is_published_whole_and_saved_as_the_same_file(manager, site, made):
    file = await manager.get(f"/projects/{site.project_id}/tariffs/{made}/file")
    assert file.headers["content-type"] == "application/json"
    assert json.loads(file.text) == BODY


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
async def test_what_the_editor_shows_it_publishes_unchanged(manager, site, made, language):
    manager.cookies.set(LANGUAGE_COOKIE, language)
    page = await manager.get(f"{editor(site)}?tariff={made}")
    assert page.status_code == 200, page.text
    saved = await post(manager, f"{editor(site)}/file", with_(
        fields_in(page), name="Again", effective_from="2026-12-01 00:00"))  # fmt: skip
    assert parse(json.loads(saved.text)) == parse(BODY | {"name": "Again"})


@pytest.mark.parametrize("name", library.names())
async def test_every_published_scheme_goes_through_the_editor(manager, site, name):
    page = await manager.get(f"{editor(site)}?library={name}")
    saved = await post(manager, f"{editor(site)}/file", fields_in(page))
    was, now = library.body(name), json.loads(saved.text)
    was["versions"][-1]["effective_from"] = now["versions"][-1]["effective_from"]
    assert parse(now) == parse(was)


async def test_what_cannot_be_published_is_said_beside_its_field(manager, site):
    page = await manager.get(editor(site))
    wrong = with_(fields_in(page), name="New", effective_from="soon", bands__0__prices__0="dear")
    answer = await post(manager, f"{editor(site)}/preview", wrong)
    assert 'data-field="effective_from"' in answer.text
    assert 'data-field="bands.0.prices.0"' in answer.text
    refused = await post(manager, editor(site), wrong)
    assert refused.status_code == 422
    assert 'value="dear"' in refused.text
    assert "data-tried" in refused.text


async def test_what_cannot_run_is_refused_before_it_is_published(manager, site):
    page = await manager.get(editor(site))
    fields = with_(fields_in(page), name="New", bands__0__prices__0="0.6", multiplier="5")
    answer = await post(manager, f"{editor(site)}/preview", fields)
    assert 'data-field="multiplier"' in answer.text
    assert "give the meter its multiplier" in answer.text
    manager.cookies.set(LANGUAGE_COOKIE, "zh-Hans")
    answer = await post(manager, f"{editor(site)}/preview", fields)
    assert 'data-field="multiplier"' in answer.text
    assert "give the meter" not in answer.text


async def test_what_a_periods_bill_charges_is_said_before_it_is_published(manager, site):
    page = await manager.get(editor(site))
    fields = with_(
        fields_in(page), name="With a minimum", bands__0__prices__0="0.6", minimum="5", loss="2"
    )
    looks = (await post(manager, f"{editor(site)}/preview", fields)).text
    assert "Ready to publish" in looks
    assert "Charged when the billing period has ended, by its bill: Minimum, Losses." in looks
    made = await post(manager, editor(site), fields)
    there = await manager.get(made.headers["location"])
    assert "Billed when a billing period has ended" in there.text
    plain = with_(fields_in(page), name="New", bands__0__prices__0="0.6")
    assert "by its bill" not in (await post(manager, f"{editor(site)}/preview", plain)).text


async def test_steps_add_and_remove_rows_and_keep_what_was_typed(manager, site):
    page = await manager.get(editor(site))
    fields = with_(fields_in(page), name="New", bands__0__prices__0="0.6")
    for step in ("bands.add", "blocks.add", "bands.four", "bands.remove.0", "surcharges.add"):
        part = await post(manager, f"{editor(site)}/fields", [*fields, ("do", step)])
        assert part.status_code == 200
        fields = fields_in(httpx.Response(200, text=f'id="scheme"{part.text}'))
        fields += [("csrf", token_in(page))]
    said = dict(fields)
    assert (said["name"], said["bands.1.prices.0"]) == ("New", "0.6")
    assert "bands.3.name" not in said
    assert said["surcharges.0.name"] == "Government funds"


async def test_a_file_fills_the_fields(manager, site, made):
    page = await manager.get(editor(site))
    upload = {"scheme_file": ("s.json", json.dumps(BODY), "application/json")}
    part = await manager.post(f"{editor(site)}/fields", data={"csrf": token_in(page)}, files=upload)
    assert 'value="-0.012345"' in part.text
    for content, said in (("{", "no scheme file"), (json.dumps(BODY | {"currency": "EUR"}), "EUR"),
                          (json.dumps({"name": "x"}), "required")):  # fmt: skip
        upload = {"scheme_file": ("s.json", content, "application/json")}
        part = await manager.post(
            f"{editor(site)}/fields", data={"csrf": token_in(page)}, files=upload
        )
        assert said in part.text


async def test_a_further_version_is_published_and_its_changes_said_before(manager, site, made):
    page = await manager.get(editor(site, made))
    fields = with_(fields_in(page), effective_from="2027-01-01 00:00", bands__0__prices__0="0.61")
    looks = await post(manager, f"{editor(site, made)}/preview", fields)
    assert "What changes" in looks.text
    assert "0.61 / 0.67 / 0.92" in looks.text
    asked = await post(manager, editor(site, made), [*fields, ("key", key_in(page))])
    assert asked.status_code == 303, asked.text
    there = await manager.get(asked.headers["location"])
    assert "Version 2" in there.text


async def test_a_version_in_force_too_early_is_refused_beside_its_instant(manager, site, made):
    page = await manager.get(editor(site, made))
    early = with_(fields_in(page), effective_from="2026-12-01 00:00", bands__0__prices__0="0.61")
    looks = await post(manager, f"{editor(site, made)}/preview", early)
    refused = await post(manager, editor(site, made), early)
    assert refused.status_code == 422
    for answer in (looks, refused):
        assert 'data-field="effective_from"' in answer.text
        assert "A further version begins after the one before it" in answer.text
    assert 'value="0.61"' in refused.text
    # At once is not too early, however late the request is looked at.
    now = with_(fields_in(page), effective_from="", bands__0__prices__0="0.61")
    looks = await post(manager, f"{editor(site, made)}/preview", now)
    assert 'data-field="effective_from"' in looks.text
    new = with_(fields_in(await manager.get(editor(site))), effective_from="", name="At once",
                bands__0__prices__0="0.5")  # fmt: skip
    looks = await post(manager, f"{editor(site)}/preview", new)
    assert "Ready to publish" in looks.text


async def test_the_projects_special_days_are_taken_by_one_press(manager, site, made):
    page = await manager.get(editor(site, made))
    fields = with_(fields_in(page), effective_from="2027-01-01 00:00",
                   special_days="2027-01-01 workday\nsome day")  # fmt: skip
    step = ("do", "days.take")
    none = await post(manager, f"{editor(site, made)}/fields", [*fields, step])
    assert "no holidays from then on" in none.text
    days = [(date(2026, 10, 1), "holiday", "before it begins"), (date(2027, 1, 1), "holiday", ""),
            (date(2027, 1, 2), "holiday", ""), (date(2027, 1, 3), "holiday", ""),
            (date(2027, 2, 6), "workday", "for the spring festival"),
            (date(2027, 5, 4), "special", "quiet")]  # fmt: skip
    await project.put_days(site.db, site.project_id, days)
    part = await post(manager, f"{editor(site, made)}/fields", [*fields, step])
    taken = dict(fields_in(httpx.Response(200, text=f'id="scheme"{part.text}')))["special_days"]
    for one in days:
        await project.remove_day(site.db, site.project_id, one[0])
    assert taken.splitlines() == [
        "2027-01-01 – 2027-01-03 Holiday", "2027-02-06 Make-up workday", "some day"
    ]  # fmt: skip


async def test_another_currency_is_refused(erp, site):
    answer = await erp.post(
        f"{API}/projects/{site.project_id}/tariffs/scheme",
        json=BODY | {"currency": "EUR"}, headers=fresh_key(),
    )  # fmt: skip
    assert answer.status_code == 422
    assert "CNY" in answer.json()["detail"]
