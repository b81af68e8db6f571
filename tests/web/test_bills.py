"""Bills of ended periods as people and programs see them: the list, one of them, in a booking."""

from decimal import Decimal

import pytest

from billed import plant_bill
from desk import PASSWORD, signed_in
from meterhouse.flows import access, close
from meterhouse.web.access import LANGUAGE_COOKIE
from small_site import NOW, small_site

API = "/api/v1"


@pytest.fixture(scope="module")
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture(scope="module")
async def bill_id(site):
    """A bill in its second version, 3.68 more than was charged, and booked."""
    made = await plant_bill(site, "A101")
    await close.book_day(site.db, site.project_id, NOW)
    return made


def of(site, rest=""):
    return f"/projects/{site.project_id}/bills{rest}"


async def test_the_list_shows_what_is_in_force_and_what_it_adds(manager, site, bill_id):
    page = (await manager.get(of(site))).text
    assert f'href="bills/{bill_id}"' in page
    assert f'href="bills/{bill_id - 1}"' not in page
    for text in ("A101", "王*", "12.00", "6.00", "9.68", "3.68"):
        assert text in page, text
    assert "王静" not in page
    agreement_id = site.rooms["A101"].agreement_id
    for query, is_there in (
        (f"agreement={agreement_id}", True), ("agreement=999", False), ("agreement=x", True),
        ("text=A101", True), ("text=B1", False), ("from=2026-10-01&to=2026-10-01", True),
        ("from=2026-10-02", False),
    ):  # fmt: skip
        found = (await manager.get(of(site, f"?{query}"))).text
        assert (f'href="bills/{bill_id}"' in found) == is_there, query
    file = await manager.get(of(site, "/export?kind=csv"))
    assert "9.68" in file.text


async def test_a_bill_has_its_lines_and_tells_of_its_other_versions(manager, site, bill_id):
    page = (await manager.get(of(site, f"/{bill_id}"))).text
    for text in ("Charged while energy flowed", "Filled up to the minimum", "What the bill adds",
                 "In force", "Versions of this bill", f'href="{bill_id - 1}"',
                 "What the bill is made of"):  # fmt: skip
        assert text in page, text
    assert "/explain" in page
    earlier = (await manager.get(of(site, f"/{bill_id - 1}"))).text
    assert "Replaced by a later version" in earlier
    manager.cookies.set(LANGUAGE_COOKIE, "zh-Hans")
    assert "账单补收" in (await manager.get(of(site, f"/{bill_id}"))).text


async def test_another_project_has_no_such_bill(client, site, bill_id):
    await access.add_person(
        site.db, "wu", "吴敏", PASSWORD, "project_manager", "project", site.other_id, NOW
    )
    await signed_in(client, "wu")
    assert (await client.get(of(site, f"/{bill_id}"))).status_code == 404
    there = f"/projects/{site.other_id}/bills"
    assert (await client.get(f"{there}/{bill_id}")).status_code == 404
    assert "A101" not in (await client.get(there)).text


async def test_a_booking_tells_its_bills(manager, site, bill_id):
    said = (await manager.get(of(site, f"/{bill_id}"))).text
    address = said.partition('href="../transfers/')[2].partition('"')[0]
    project = f"/projects/{site.project_id}/transfers"
    page = (await manager.get(f"{project}/{address}")).text
    for text in ("Bills of ended periods", "Adds up exactly", f'href="../../bills/{bill_id}"',
                 "Filled up to the minimum", "Charged while energy flowed"):  # fmt: skip
        assert text in page, text
    paper = (await manager.get(f"{project}/{address}/print?language=zh-Hans")).text
    assert "已结束账期的账单" in paper
    assert "bills/" not in paper


async def test_the_api_lists_and_tells_the_same(erp, site, bill_id):
    rows = (await erp.get(API + of(site))).json()["items"]
    (row,) = rows
    assert (row["id"], row["version"], row["room"]) == (bill_id, 2, "A101")
    assert adds_up(row)
    for query, count in (
        ({"point": site.rooms["A101"].point_id}, 1), ({"point": site.rooms["A102"].point_id}, 0),
        ({"agreement": site.rooms["A101"].agreement_id}, 1), ({"agreement": 999}, 0),
        ({"period_from": "2026-11-01T00:00:00+08:00"}, 0),
        ({"period_to": "2026-11-01T00:00:00+08:00"}, 1), ({"text": "B10"}, 0),
        ({"sort": "-difference"}, 1),
    ):  # fmt: skip
        found = (await erp.get(API + of(site), params=query)).json()["items"]
        assert len(found) == count, query
    told = (await erp.get(f"{API}{of(site)}/{bill_id}")).json()
    assert {name: told[name] for name in row} == row
    lines = [Decimal(line["amount"]) for line in told["bill"]["lines"]]
    assert sum(lines) == Decimal(told["bill"]["total"]) == Decimal(told["total"]["amount"])
    assert [(one["version"], one["is_taken_back"]) for one in told["versions"]] == [
        (1, False), (2, False),
    ]  # fmt: skip
    (transfer_id,) = told["transfer_ids"]
    explained = f"{API}/projects/{site.project_id}/transfers/{transfer_id}/explain"
    booking = (await erp.get(explained)).json()["booking"]
    carried, parts, bills, booked, rest = (
        Decimal(booking[name]["amount"])
        for name in ("carried", "by_intervals", "by_bills", "booked", "rest")
    )
    assert carried + parts + bills == booked + rest
    assert booking["bills"][0]["bill_id"] == bill_id
    assert bills == Decimal(row["difference"]["amount"])


def adds_up(row):
    charged, total, difference = (
        Decimal(row[name]["amount"]) for name in ("charged", "total", "difference")
    )
    return charged + difference == total
