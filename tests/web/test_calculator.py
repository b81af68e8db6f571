"""The calculator as a page and as an operation: both answer what `meterhouse rate` prints."""

import json

import pytest

from desk import token_in
from meterhouse.cli.rate import rate_files
from meterhouse.rating.bill import Household
from meterhouse.web.access import LANGUAGE_COOKIE

API = "/api/v1"
SCHEME = {
    "name": "Dormitory", "commodity": "electricity", "currency": "CNY",
    "billing": {"anchor_day": 1, "anchor_hour": 0, "proration": "whole"},
    "versions": [{
        "effective_from": "2026-01-01T00:00:00+08:00",
        "bands": ["peak", "valley"],
        "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
        "blocks": {"period": "month", "limits_milli": [200000, 400000]},
        "prices_micro": {"peak": [600000, 660000, 900000], "valley": 300000},
        "surcharges": [{"name": "funds", "price_micro": 20000}],
        "standing": {"per": "period", "amount_micro": 5000000},
        "allowance": {"grant": "period", "energy_milli": 30000, "per_person": True},
        "demand": {"by": "capacity", "price_micro": 1000000},
        "tax": {"rate_micro": 130000, "included": True},
    }],
}  # fmt: skip
ROWS = [("2026-02-05T21:30", 160000), ("2026-02-05T22:30", 150000), ("2026-03-01T00:00", 7)]
CSV = "start,energy_wh\n" + "".join(f"{start},{energy}\n" for start, energy in ROWS)


def printed(tmp_path, scheme=SCHEME, *, explain=False):
    """What the command line prints for the same."""
    paths = tmp_path / "scheme.json", tmp_path / "load.csv"
    name = scheme
    if isinstance(scheme, dict):
        paths[0].write_text(json.dumps(scheme))
        name = str(paths[0])
    paths[1].write_text(CSV)
    household = Household(2, 3_500)
    said = rate_files(name, paths[1], "Asia/Shanghai", household, 2, explain=explain)
    return json.loads(json.dumps(said))


def asked(**more):
    rows = [{"start": start, "energy_wh": energy} for start, energy in ROWS]
    return {"rows": rows, "persons": 2, "capacity_w": 3_500, **more}


async def calculate(erp, site, **more):
    return await erp.post(
        f"{API}/projects/{site.project_id}/calculate", json=asked(**more),
        headers={"Idempotency-Key": "not-needed-here"},
    )  # fmt: skip


@pytest.mark.parametrize("explain", [False, True])
async def test_the_operation_answers_what_the_command_line_prints(erp, site, tmp_path, explain):
    answer = await calculate(erp, site, scheme=SCHEME, explain=explain)
    assert answer.status_code == 200, answer.text
    assert answer.json() == printed(tmp_path, explain=explain)


async def test_a_published_scheme_and_a_tariff_are_named(erp, site, tmp_path):
    name = "zhejiang-residential-tou"
    answer = await calculate(erp, site, published=name)
    assert answer.json() == printed(tmp_path, name)
    own = await calculate(erp, site, tariff_id=1)
    assert own.json()["total"] == "155.00"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "scheme_unchosen"),
        ({"tariff_id": 1, "published": "zhejiang-residential-tou"}, "scheme_unchosen"),
        ({"published": "nowhere"}, "not_found"),
        ({"tariff_id": 999_999}, "not_found"),
        ({"scheme": {**SCHEME, "currency": "yuan"}}, "fields_invalid"),
        ({"scheme": {**SCHEME, "versions": [{**SCHEME["versions"][0], "weekend": [6, 6]}]}},
         "tariff_invalid"),
        ({"scheme": SCHEME, "rows": [{"start": "2026-02-05T21:30", "energy_wh": 1}]},
         "load_too_short"),
        ({"scheme": SCHEME, "rows": [{"start": "1990-01-01T00:00", "energy_wh": 1},
                                     {"start": "2026-01-01T00:00", "energy_wh": 1}]},
         "load_span_too_long"),
        ({"scheme": SCHEME, "rows": [{"start": "2026-02-05T21:30", "energy_wh": 1},
                                     {"start": "2026-02-05T22:30", "end": "2026-02-05T23:30",
                                      "energy_wh": 1}]}, "load_time"),
        ({"scheme": SCHEME, "rows": [{"start": "2026-02-05T21:30", "energy_wh": 1}] * 50_001},
         "fields_invalid"),
    ],
)  # fmt: skip
async def test_what_cannot_be_calculated_is_refused(erp, site, more, code):
    answer = await calculate(erp, site, **more)
    assert (answer.status_code, answer.json()["code"]) == (
        404 if code == "not_found" else 422, code
    )  # fmt: skip


async def sent(manager, site, part="", files=(), **fields):
    address = f"/projects/{site.project_id}/calculator"
    page = await manager.get(address)
    fields = {"csrf": token_in(page), "persons": "2", "capacity": "3.5"} | fields
    return await manager.post(f"{address}{part}", data=fields, files=dict(files))


FILES = (("scheme_file", ("scheme.json", json.dumps(SCHEME), "application/json")),
         ("load_file", ("load.csv", CSV, "text/csv")))  # fmt: skip


async def test_the_page_shows_bills_totals_and_days_by_band(manager, site, tmp_path):
    page = await sent(manager, site, files=FILES)
    wanted = printed(tmp_path)
    assert f"¥{wanted['total']}" in page.text
    for bill in wanted["bills"]:
        assert f"¥{bill['total']}" in page.text
    assert "data-chart=" in page.text
    assert "Valley band" in page.text


async def test_every_interval_is_a_file(manager, site, tmp_path):
    file = await sent(manager, site, "/explain", files=FILES)
    assert file.json() == printed(tmp_path, explain=True)


async def test_without_a_file_a_month_is_calculated(manager, site):
    page = await sent(manager, site, scheme="library:zhejiang-residential-tou",
                      try_month="2026-02", try_energy="300", try_profile="night")  # fmt: skip
    # 65.520 × 0.568 + 234.480 × 0.288 = 37.22 + 67.53; see the weights of the night.
    assert "¥104.75" in page.text


async def test_what_is_wrong_is_said_and_what_was_chosen_stays(manager, site):
    page = await sent(manager, site, scheme="", try_energy="123")
    assert page.status_code == 422
    assert "Name one scheme" in page.text
    assert 'value="123"' in page.text
    files = (("load_file", ("load.csv", "a,b\n1,2\n", "text/csv")),)
    page = await sent(manager, site, scheme="library:zhejiang-residential-tou", files=files)
    assert "Row 1 of the load" in page.text
    page = await sent(manager, site, scheme="library:zhejiang-residential-tou", persons="none")
    assert "Enter persons" in page.text


async def test_a_calculation_leaves_no_trace(erp, site):
    async with site.db.transaction([site.project_id]) as connection:
        before = await connection.fetchval("select count(*) from audit_entry")
    await calculate(erp, site, scheme=SCHEME)
    async with site.db.transaction([site.project_id]) as connection:
        assert await connection.fetchval("select count(*) from audit_entry") == before


async def test_the_library_says_where_a_scheme_is_from(manager, site):
    page = await manager.get(f"/projects/{site.project_id}/library")
    assert "浙江省居民生活用电" in page.text
    one = await manager.get(f"/projects/{site.project_id}/library?scheme=zhejiang-residential-tou")
    assert "浙江省物价局" in one.text
    assert "0.568" in one.text
    manager.cookies.set(LANGUAGE_COOKIE, "zh-Hans")
    one = await manager.get(f"/projects/{site.project_id}/library?scheme=beijing-residential")
    for text in ("新华社，据国家发展和改革委员会", "收费前请与发布机构的现行价表核对"):
        assert text in one.text
    gone = await manager.get(f"/projects/{site.project_id}/library?scheme=nowhere")
    assert gone.status_code == 404
