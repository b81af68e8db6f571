"""Finance at the console and in the API: what is shown adds up to what was done."""

import io

import openpyxl
import pytest

API = "/api/v1"


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
