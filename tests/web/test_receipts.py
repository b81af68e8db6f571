"""Receipts by page and by program: printed once as the original, void with a reason."""

import re
from contextlib import suppress

import pytest

from desk import fresh_key, key_in, token_in
from meterhouse.flows import commission, receipt
from meterhouse.press import fonts
from small_site import NOW

API = "/api/v1"


@pytest.fixture
async def made(site):
    """A receipt of a payment, never printed; void afterwards, so that the next test gets one."""
    async with site.db.transaction([site.project_id]) as connection:
        payment_id = await connection.fetchval(
            """select p.id from payment p where not exists (
                   select from receipt r where r.payment_id = p.id and voided_at is null)
               order by id limit 1"""
        )
    receipt_id = await receipt.issue_later(site.db, site.project_id, payment_id, None, NOW)
    yield receipt_id
    with suppress(receipt.ReceiptVoid):
        await receipt.void(site.db, site.project_id, receipt_id, "the test is over", None, NOW)


async def post(client, address, fields=()):
    """Load an act's form and send it."""
    page = await client.get(address)
    assert page.status_code == 200, page.text
    sent = {"csrf": token_in(page), "key": key_in(page), **dict(fields)}
    return await client.post(address, data=sent)


async def test_a_program_prints_an_original_and_a_copy(erp, site, made):
    base = f"{API}/projects/{site.project_id}/receipts"
    one = (await erp.get(f"{base}/{made}")).json()
    assert (one["print_count"], one["is_void"], one["prints"]) == (0, False, [])
    assert one["amount"]["currency"] == "CNY"
    first = await erp.post(
        f"{base}/{made}/prints", json={"paper": "roll", "language": "en"}, headers=fresh_key()
    )
    assert first.status_code == 201
    assert first.json()["copy_number"] == 1
    file = await erp.get(first.json()["file"])
    assert file.headers["content-type"] == "application/pdf"
    assert file.headers["content-disposition"].startswith("inline")
    assert file.content.startswith(b"%PDF-")
    second = (
        await erp.post(f"{base}/{made}/prints", json={"paper": "ticket_58"}, headers=fresh_key())
    ).json()
    ticket = await erp.get(second["file"])
    assert ticket.headers["content-disposition"].endswith('.escpos"')
    assert ticket.content.startswith(b"\x1b@\x1c&")
    assert b"Copy 1" in ticket.content
    prints = (await erp.get(f"{base}/{made}")).json()["prints"]
    assert [(one["copy_number"], one["paper"]) for one in prints] == [
        (1, "roll"), (2, "ticket_58"),
    ]  # fmt: skip


async def test_the_same_key_prints_once(erp, site, made):
    address = f"{API}/projects/{site.project_id}/receipts/{made}/prints"
    key = {"Idempotency-Key": f"print-{made}-once"}
    found = [(await erp.post(address, json={}, headers=key)).json() for _ in range(2)]
    assert found[0] == found[1]


async def test_a_void_receipt_says_so_on_paper_and_its_payment_gets_another(erp, site, made):
    base = f"{API}/projects/{site.project_id}"
    here = f"{base}/receipts/{made}"
    payment_id = (await erp.get(here)).json()["payment_id"]
    address = f"{base}/payments/{payment_id}/receipts"
    there = await erp.post(address, headers=fresh_key())
    assert (there.status_code, there.json()["code"]) == (409, "receipt_there")
    done = await erp.post(
        f"{here}/void", json={"reason": "torn in the printer"}, headers=fresh_key()
    )
    assert done.status_code == 204
    again = await erp.post(
        f"{here}/void", json={"reason": "torn in the printer"}, headers=fresh_key()
    )
    assert (again.status_code, again.json()["code"]) == (409, "receipt_void")
    sent = await erp.post(
        f"{here}/prints", json={"paper": "ticket_80", "language": "en"}, headers=fresh_key()
    )
    ticket = (await erp.get(sent.json()["file"])).content
    assert b"VOID" in ticket
    assert b"torn in the printer" in ticket
    other = await erp.post(address, headers=fresh_key())
    assert other.status_code == 201
    listed = await erp.get(f"{base}/receipts?payment={payment_id}&sort=number")
    found = [(one["id"], one["is_void"]) for one in listed.json()["items"]]
    assert found[-2:] == [(made, True), (other.json()["id"], False)]


async def test_a_cashier_sees_prints_and_voids_at_the_console(manager, site, made):
    base = f"/projects/{site.project_id}/receipts"
    assert "Receipts" in (await manager.get(base)).text
    page = await manager.get(f"{base}/{made}")
    assert "Not printed yet." in page.text
    picture = await manager.get(f"{base}/{made}/preview?paper=continuous")
    assert picture.headers["content-type"].startswith("image/svg")
    assert b"<svg" in picture.content
    done = await post(manager, f"{base}/{made}/prints/print", {"paper": "a5", "language": "en"})
    there = done.headers["location"]
    ready = await manager.get(there)
    assert "The original is ready." in ready.text
    (file,) = re.findall(r'href="(\d+/prints/\d+/file)"', ready.text)
    assert (await manager.get(f"{base}/{file}")).content.startswith(b"%PDF-")
    await post(manager, f"{base}/{made}/void", {"reason": "wrong amount"})
    page = await manager.get(f"{base}/{made}")
    assert "wrong amount" in page.text
    assert "Make another receipt" in page.text
    exported = await manager.get(f"{base}/export?kind=csv&void=true")
    assert "wrong amount" in (await manager.get(f"{base}/export?kind=csv&columns=reason")).text
    assert exported.status_code == 200


async def test_a_name_is_printed_where_it_may_be_and_stands_in_the_audit(erp, site, made):
    base = f"{API}/projects/{site.project_id}"
    asked = {"paper": "ticket_80", "language": "en"}
    for is_named, is_shown in ((False, False), (True, True)):
        sent = await erp.post(
            f"{base}/receipts/{made}/prints",
            json=asked | {"is_named": is_named},
            headers=fresh_key(),
        )
        ticket = (await erp.get(sent.json()["file"])).content.decode("gb18030")
        names = ("王静", "李芳", "张伟", "陈敏", "赵磊")
        assert any(name in ticket for name in names) is is_shown
    entries = (await erp.get(f"{base}/audit?object_text=receipt:{made}&act=receipt.print")).json()
    shown = [one["after"].get("shown") for one in entries["items"]]
    assert shown == [["name"], None]


async def test_how_receipts_look_is_changed_with_its_version(erp, site):
    address = f"{API}/projects/{site.project_id}/receipt-settings"
    now = await erp.get(address)
    new = {"prefix": "R-", "paper": "roll", "footer": "Thank you", "quiet_channels": ["transfer"]}
    assert (await erp.put(address, json=new)).status_code == 428
    seen = {"If-Match": now.headers["ETag"]}
    assert (await erp.put(address, json=new, headers=seen)).status_code == 200
    assert (await erp.put(address, json=new, headers=seen)).json()["code"] == "changed_meanwhile"
    found = (await erp.get(address)).json()
    assert found == new | {"version": found["version"]}


async def test_without_a_font_nothing_is_counted(erp, site, made, monkeypatch):
    monkeypatch.setattr(fonts, "FAMILIES", ())
    base = f"{API}/projects/{site.project_id}/receipts/{made}"
    refused = await erp.post(f"{base}/prints", json={"paper": "a5"}, headers=fresh_key())
    assert (refused.status_code, refused.json()["code"]) == (503, "chinese_font_missing")
    assert (await erp.get(base)).json()["print_count"] == 0
    ticket = await erp.post(f"{base}/prints", json={"paper": "ticket_58"}, headers=fresh_key())
    assert ticket.json()["copy_number"] == 1


async def test_a_checklist_is_a_page_of_pdf(manager, site):
    meter_id = site.rooms["A104"].meter_id
    await commission.start(site.db, site.project_id, meter_id, None, None, NOW)
    base = f"/projects/{site.project_id}/commissioning/report"
    page = await manager.get(f"{base}?meter={meter_id}")
    assert f'href="report/file?meter={meter_id}"' in page.text
    file = await manager.get(f"{base}/file?meter={meter_id}")
    assert file.headers["content-type"] == "application/pdf"
    assert file.content.startswith(b"%PDF-")
    nothing = await manager.get(f"{base}/file")
    assert (nothing.status_code, nothing.headers["location"]) == (303, "../report")


async def test_a_statement_is_pages_of_pdf(manager, site):
    async with site.db.transaction([site.project_id]) as connection:
        agreement_id = await connection.fetchval("select min(agreement_id) from payment")
    base = f"/projects/{site.project_id}/agreements/{agreement_id}/statement"
    assert "statement/file?from=" in (await manager.get(base)).text
    file = await manager.get(f"{base}/file?from=2026-11-01&to=2026-11-21")
    assert file.headers["content-type"] == "application/pdf"
    assert file.content.startswith(b"%PDF-")
