"""Finance at the console and in the API: what is shown adds up to what was done."""

import io
from datetime import timedelta

import openpyxl
import pytest

from meterhouse.flows import close, task
from meterhouse.web.works import works
from small_site import NOW, small_site

API = "/api/v1"


@pytest.fixture(scope="module")
async def site(template):
    """A site of this file's own: sums of a whole project hold only where nobody else pays."""
    async with small_site(template) as made:
        yield made


@pytest.fixture
def here(site):
    return f"/projects/{site.project_id}"


async def test_orders_are_listed_with_their_sums(manager, here):
    page = await manager.get(f"{here}/orders")
    assert page.status_code == 200
    assert page.text.count('<a href="orders/') == 5
    assert "¥356.00" in page.text  # 200 + 15 + 1 + 90 + 50


async def test_sums_follow_the_filter_and_not_the_page(erp, here):
    sums = (await erp.get(f"{API}{here}/orders/sums?text=A10")).json()
    assert sums["money_in"] == {"amount": "216.00", "currency": "CNY"}
    assert sums["kinds"] == [
        {"kind": "recharge", "direction": "in", "count": 3, "amount": sums["money_in"]}
    ]
    assert (await erp.get(f"{API}{here}/orders/sums?kind=refund")).json()["kinds"] == []


async def test_one_order_shows_all_it_moved(erp, manager, here):
    listed = (await erp.get(f"{API}{here}/orders?text=A101&limit=1")).json()["items"][0]
    order = (await erp.get(f"{API}{here}/orders/{listed['id']}")).json()
    assert {key: order[key] for key in listed} == listed
    assert [(one["debit"], one["credit"]) for one in order["transfers"]] == [("cash", "purse")]
    assert order["transfers"][0]["amount"] == order["amount"]
    page = await manager.get(f"{here}/orders/{listed['id']}")
    assert page.status_code == 200
    assert "¥200.00" in page.text
    assert "A101" in page.text


async def test_a_foreign_order_is_not_there(erp, site, here):
    assert (await erp.get(f"{API}{here}/orders/999999")).status_code == 404
    mine = (await erp.get(f"{API}{here}/orders?limit=1")).json()["items"][0]["id"]
    other = await erp.get(f"{API}/projects/{site.other_id}/orders/{mine}")
    assert other.status_code == 404


async def test_the_file_of_orders_holds_numbers(manager, here):
    file = await manager.get(f"{here}/orders/export?kind=xlsx&columns=amount&columns=kind")
    rows = list(openpyxl.load_workbook(io.BytesIO(file.content)).active.values)
    assert rows[0] == ("Kind", "Amount (CNY)")
    assert sum(row[1] for row in rows[1:]) == 356


async def booked(site):
    """Whatever was used is booked, once for all tests of this file."""
    await close.book_day(site.db, site.project_id, NOW)


async def test_the_journal_leads_to_why_an_amount(erp, manager, site, here):
    await booked(site)
    lines = (await erp.get(f"{API}{here}/journal?kind=booking")).json()["items"]
    assert {(one["debit"], one["credit"]) for one in lines} == {("purse", "revenue")}
    assert "transfers/" in (await manager.get(f"{here}/journal?account=revenue")).text
    why = (await erp.get(f"{API}{here}/transfers/{lines[0]['id']}/explain")).json()
    booking = why["booking"]
    assert booking["is_exact"]
    assert booking["added"]["amount"] == "6.000000000"
    assert [one["amount"]["amount"] for one in booking["intervals"]] == ["2.000000000"] * 3
    assert booking["intervals"][0]["lines"][0]["price"]["amount"] == "0.500000000"
    page = await manager.get(f"{here}/transfers/{lines[0]['id']}/explain")
    assert "Adds up exactly" in page.text
    assert "4.000 kWh × 0.50 = 2.00" in page.text


async def test_a_statement_goes_from_balance_to_balance(erp, manager, site, here):
    await booked(site)
    order = (await erp.get(f"{API}{here}/orders?text=A101&limit=1")).json()["items"][0]
    address = f"{here}/agreements/{order['agreement_id']}/statement"
    span = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}
    (purse,) = (await erp.get(f"{API}{address}", params=span)).json()["parts"]
    assert (purse["opening"]["amount"], purse["closing"]["amount"]) == ("0.00", "194.00")
    assert [(one["kind"], one["amount"]["amount"], one["balance"]["amount"])
            for one in purse["movements"]] == [
        ("recharge", "200.00", "200.00"), ("booking", "-6.00", "194.00"),
    ]  # fmt: skip
    after = {"since": "2026-11-12T00:00:00Z", "until": "2026-11-13T00:00:00Z"}
    (quiet,) = (await erp.get(f"{API}{address}", params=after)).json()["parts"]
    assert (quiet["opening"]["amount"], quiet["movements"]) == ("200.00", [])
    page = await manager.get(f"{address}?from=2026-11-01&to=2026-11-30")
    assert "Electricity used" in page.text
    assert "¥194.00" in page.text
    file = await manager.get(f"{address}/export?from=2026-11-01&to=2026-11-30")
    rows = list(openpyxl.load_workbook(io.BytesIO(file.content)).active.values)
    assert [row[5] for row in rows[1:]] == [0, 200, 194, 194]
    backwards = await erp.get(
        f"{API}{address}", params={"since": NOW.isoformat(), "until": NOW.isoformat()}
    )
    assert backwards.json()["code"] == "span_unusable"


async def test_the_trial_balance_holds_now_and_before(erp, manager, site, here):
    await booked(site)
    now = (await erp.get(f"{API}{here}/trial?at=2026-12-01T00:00:00Z")).json()
    kinds = {one["kind"]: one["balance"]["amount"] for one in now["accounts"]}
    assert now["holds"]
    assert kinds["cash"] == "356.00"
    assert kinds["purse"] == str(356 - float(kinds["revenue"])) + "0"
    before = (await erp.get(f"{API}{here}/trial?at=2026-11-01T00:00:00Z")).json()
    assert before["holds"]
    assert {one["debit"]["amount"] for one in before["accounts"]} == {"0.00"}
    page = await manager.get(f"{here}/trial")
    assert "Debits equal credits" in page.text
    file = await manager.get(f"{here}/trial/export?kind=xlsx")
    rows = list(openpyxl.load_workbook(io.BytesIO(file.content)).active.values)
    assert rows[-1][1] == rows[-1][2] > 0


async def test_closed_days_are_listed_and_each_has_a_page(erp, manager, here):
    days = (await erp.get(f"{API}{here}/days")).json()["items"]
    assert [one["day"] for one in days] == ["2026-11-20"]
    assert days[0]["is_proved"]
    detail = (await erp.get(f"{API}{here}/days/{days[0]['id']}")).json()
    assert detail["money_in"]["amount"] == "356.00"
    assert detail["sold"] == [{"commodity": "electricity", "amount": detail["booked"]}]
    assert set(detail["proofs"].values()) == {0}
    page = await manager.get(f"{here}/days/{days[0]['id']}")
    assert "All hold" in page.text
    assert "¥356.00" in page.text
    assert (await manager.get(f"{here}/days")).status_code == 200
    assert (await erp.get(f"{API}{here}/days/20261131")).status_code == 404


async def test_several_projects_are_closed_by_one_task(erp, app, site, here):
    answer = await erp.post(
        f"{API}{here}/days/close", headers={"Idempotency-Key": "close-all-1"},
        json={"projects": [site.project_id, site.other_id], "reason": "end of the month"},
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    todo = works(app.state.services)
    assert await task.run_next(
        site.db, site.project_id, todo, app.state.services.clock, timedelta(minutes=5)
    )
    done = (await erp.get(f"{API}{here}/tasks/{answer.json()['id']}")).json()
    # The key reaches one of them; the other is not its to close.
    assert [(one["id"], one["outcome"]) for one in done["rows"]] == [
        (site.project_id, "done"), (site.other_id, "refused"),
    ]  # fmt: skip
    proved = await erp.post(f"{API}{here}/days/prove", headers={"Idempotency-Key": "prove-all-1"})
    assert set(proved.json()["contradicting"].values()) == {0}


@pytest.mark.parametrize("day", ["2026-13-01", "2027-01-01"])
async def test_a_day_to_close_is_checked_beside_its_field(erp, here, day):
    answer = await erp.post(
        f"{API}{here}/days/close", headers={"Idempotency-Key": f"close-{day}"},
        json={"day": day, "reason": "a trial"},
    )  # fmt: skip
    assert answer.status_code == 422


async def test_revenue_keeps_taken_and_booked_apart(erp, manager, site, here):
    span = {"first": "2026-11-01", "last": "2026-11-21"}
    now = (await erp.get(f"{API}{here}/revenue", params=span)).json()
    assert now["whole"]["taken"]["amount"] == "356.00"
    booked_minor = sum(
        row["amount_minor"]
        for row in (await rows_of(site, "select * from transfer where kind = 'booking'"))
    )
    assert now["whole"]["booked"]["amount"] == f"{booked_minor / 100:.2f}"
    assert len(now["periods"]) == 21
    assert sum(float(one["taken"]["amount"]) for one in now["periods"]) == 356
    assert [one["name"] for one in now["channels"]] == ["cash"]
    assert [one["name"] for one in now["commodities"]] == ["electricity"]
    by_month = (await erp.get(f"{API}{here}/revenue", params=span | {"by": "month"})).json()
    assert [one["name"] for one in by_month["periods"]] == ["2026-11-01"]
    later = {"first": "2026-11-22", "last": "2026-12-12"}
    after = (await erp.get(f"{API}{here}/revenue", params=later)).json()
    assert (after["whole"]["order_count"], after["before"]["taken"]["amount"]) == (0, "356.00")
    page = await manager.get(f"{here}/revenue?from=2026-11-01&to=2026-11-21&by=day")
    assert "¥356.00" in page.text
    for part in ("periods", "channels", "cashiers", "commodities"):
        file = await manager.get(f"{here}/revenue/export?part={part}&from=2026-11-01&to=2026-11-30")
        rows = list(openpyxl.load_workbook(io.BytesIO(file.content)).active.values)
        assert sum(row[3] for row in rows[1:]) == 356


async def rows_of(site, query):
    async with site.db.transaction([site.project_id]) as connection:
        return await connection.fetch(query)


async def test_head_office_sees_all_its_projects(erp, manager, site):
    span = {"first": "2026-11-01", "last": "2026-11-30"}
    found = (await erp.get(f"{API}/revenue", params=span)).json()
    assert [(one["project_id"], one["taken"]["amount"]) for one in found] == [
        (site.project_id, "356.00")
    ]
    assert "356.00" in (await manager.get("/overview/revenue?from=2026-11-01&to=2026-11-30")).text
    wrong = await erp.get(f"{API}/revenue", params={"first": "2026-11-02", "last": "2026-11-01"})
    assert wrong.json()["code"] == "span_unusable"
