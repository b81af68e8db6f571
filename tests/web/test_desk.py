"""The desk on the web: sold once, by rules, many at once and each once, two people for much."""

import base64
import io
import re
from datetime import timedelta

import openpyxl
import pytest

from desk import another, key_in, latest, send, token_in, work
from meterhouse.flows import access, customer, sale, settle, task
from meterhouse.flows.account import Terms
from meterhouse.flows.sale import Wish
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.store.personal import Facts
from meterhouse.units import Minor
from meterhouse.web.app import Services, WebSettings
from meterhouse.web.works import works
from small_site import NOW, small_site

API = "/api/v1"


@pytest.fixture
async def site(template):
    """A site of its own: these tests move its money."""
    async with small_site(template) as made:
        yield made


@pytest.fixture
def services(site):
    return Services(site.db, lambda: NOW, WebSettings(secure_cookies=False))


def point(site, room):
    return f"/projects/{site.project_id}/points/{site.rooms[room].point_id}"


async def paid_in(site):
    async with site.db.transaction([site.project_id]) as connection:
        rows = await connection.fetch(
            """select l.name, sum(y.amount_minor)::int8 as minor from payment y
               join point p on p.id = y.point_id join place l on l.id = p.place_id group by 1"""
        )
    return {row["name"]: row["minor"] for row in rows}


async def payments(site, kind="recharge"):
    async with site.db.transaction([site.project_id]) as connection:
        return await connection.fetchval("select count(*) from payment where kind = $1", kind)


async def test_a_household_is_found_and_its_form_opens_with_its_price(manager, site):
    desk = f"/projects/{site.project_id}/desk"
    found = await manager.get(f"{desk}/find?q=000000000003")
    assert f"{desk}/rooms/{site.rooms['A103'].place_id}" in found.text
    home = await manager.get(f"{desk}/rooms/{site.rooms['A101'].place_id}")
    assert "¥194.00" in home.text
    assert "¥0.50/kWh" in (await manager.get(f"{point(site, 'A101')}/credits/add")).text


async def test_a_vacant_room_is_opened_at_the_desk(manager, site):
    home = f"/projects/{site.project_id}/desk/rooms/{site.rooms['A104'].place_id}"
    opens = f"/projects/{site.project_id}/places/{site.rooms['A104'].place_id}/accounts/open"
    assert opens in (await manager.get(home)).text
    form = await manager.get(opens)
    sent = {"csrf": token_in(form), "key": key_in(form), "name": "Wu", "language": "en"}
    done = await manager.post(opens, data=sent, headers={"HX-Request-Type": "partial"})
    assert done.is_success, done.text
    at_home = await manager.get(home)
    assert opens not in at_home.text
    assert 'id="sale"' in at_home.text


async def test_the_form_says_what_a_sum_would_do(manager, site):
    address = f"{point(site, 'A101')}/credits/add/preview"
    told = (await manager.get(address, params={"amount": "10", "tender": "50"})).text
    for part in ("20.00 kWh", "¥40.00", "¥204.00"):
        assert part in told
    by_energy = (await manager.get(address, params={"energy": "7"})).text
    assert "¥3.50" in by_energy
    assert "handed over" in (
        await manager.get(address, params={"amount": "10", "tender": "5"})
    ).text  # fmt: skip


async def test_what_is_refused_stands_beside_its_field_and_takes_nothing(manager, site):
    before = await payments(site)
    for fields, part in (
        ({"amount": "10", "tender": "5", "channel": "cash"}, "Less was handed over"),
        ({"amount": "10", "energy": "5", "channel": "cash"}, "either money"),
        ({"channel": "cash"}, "Enter an amount"),
    ):
        form = await manager.get(f"{point(site, 'A101')}/credits/add")
        sent = {"csrf": token_in(form), "key": key_in(form)} | fields
        answer = await manager.post(f"{point(site, 'A101')}/credits/add", data=sent)
        assert answer.status_code == 422
        assert part in answer.text
    assert await payments(site) == before


async def test_a_selection_gets_the_same_amount_each_once_though_the_worker_dies(
    manager, site, services
):
    ids = [site.rooms[room].point_id for room in ("A101", "A102", "A103")]
    chosen = "&".join(f"id={one}" for one in ids)
    before = await paid_in(site)
    address = f"/projects/{site.project_id}/points/credits/add?{chosen}"
    assert "A栋 A102" in (await manager.get(address)).text
    await send(manager, address, amount="10.00", channel="transfer")
    first = await task.claim(site.db, site.project_id, ["bulk"], None, NOW)

    async def die(_progress):
        raise ConnectionError

    await works(services)["bulk"](site.db, first, die)
    later = NOW + timedelta(minutes=5)
    await task.run_next(site.db, site.project_id, works(services), lambda: later)
    after = await paid_in(site)
    assert {room: after[room] - before[room] for room in before if after[room] != before[room]} == {
        "A101": 1_000, "A102": 1_000, "A103": 1_000,
    }  # fmt: skip
    assert (await latest(site))["state"] == "done"


def sheet(rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return {"file": ("recharges.xlsx", file.getvalue())}


async def upload(client, address, rows):
    page = await client.get(address)
    return await client.post(address, data={"csrf": token_in(page)}, files=sheet(rows))


async def test_a_sheet_names_every_fault_and_its_total_then_pays_each_row_once(
    manager, site, services
):
    address = f"/projects/{site.project_id}/supplies/import"
    head = ("building", "room", "address", "amount", "channel")
    bad = await upload(manager, address, [
        head, ("A栋", "A101", None, "x", "cash"), ("A栋", "A999", None, "5", "cash"),
        ("A栋", "A104", None, "5", "cash"), (None, None, "000000000002", "5", "cash"),
    ])  # fmt: skip
    assert bad.status_code == 422
    for part in ("3 faults", "Enter an amount", "A栋 A999", "Nobody has an account here"):
        assert part in bad.text
    good = await upload(manager, address, [
        head, ("A栋", "A101", None, "12.50", "cash"), (None, None, "000000000002", "5", "card"),
        ("A栋", "A101", None, "12.50", "cash"),
    ])  # fmt: skip
    assert "¥30.00" in good.text
    before = await paid_in(site)
    fields = {name: re.search(rf'name="{name}" value="([^"]*)"', good.text)[1]
              for name in ("csrf", "key", "rows")}  # fmt: skip
    assert base64.b64decode(fields["rows"])
    for _ in range(2):
        begun = await manager.post(address, data=fields)
        assert re.search(r"/tasks/\d+$", begun.headers["location"])
    await work(services, site)
    after = await paid_in(site)
    assert (after["A101"] - before["A101"], after["A102"] - before["A102"]) == (2_500, 500)
    page = await manager.get(begun.headers["location"])
    assert page.text.count("A栋 A101") == 2


async def test_a_refund_above_the_limit_waits_for_somebody_else(app, manager, site, services):
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute("""update project set policy = '{"refund_second_minor": 1000}'""")
    address = f"{point(site, 'A101')}/refunds/refund"
    small = await send(manager, address, amount="10.00", channel="cash", reason="moved out")
    assert "/desk/sales/" in small.headers["location"]
    large = await send(manager, address, amount="10.01", channel="cash", reason="moved out")
    assert large.headers["location"].endswith("/progress")
    await work(services, site)
    row = await latest(site)
    assert (row["state"], await payments(site, "refund")) == ("waiting", 1)
    approve = f"/projects/{site.project_id}/tasks/{row['id']}/approve"
    assert (await send(manager, approve)).status_code == 409
    async with another(app, site, "wang") as second:
        assert (await send(second, approve)).status_code == 303
    await work(services, site)
    found = await task.get(site.db, site.project_id, row["id"])
    assert [one["outcome"] for one in found["result"]["rows"]] == ["done"]
    assert await payments(site, "refund") == 2


async def by_hand(site, room):
    """A room's last registers as a person reads them from the display."""
    (shown,) = await rows_of(
        site, "select m.address, s.good_0_milli from point_state s join meter m on m.id ="
        " s.meter_id where s.point_id = $1", site.rooms[room].point_id,
    )  # fmt: skip
    return f"{shown['address']} {shown['good_0_milli'] / 1000}"


@pytest.mark.parametrize(("deed", "room"), [("close", "A101"), ("hand-over", "B101")])
async def test_much_is_paid_out_at_the_end_of_an_account_once_a_second_person_agrees(
    app, manager, site, services, deed, room
):
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute("""update project set policy = '{"refund_second_minor": 1000}'""")
    agreement_id = site.rooms[room].agreement_id
    address = f"/projects/{site.project_id}/agreements/{agreement_id}/{deed}"
    sent = {"registers": await by_hand(site, room), "reason": "moved out", "channel": "cash"}
    if deed == "hand-over":
        sent |= {"name": "Ruth Newcome", "phone": "13812345678", "email": "ruth@example.org"}
    begun = await send(manager, address, **sent)
    row = await latest(site)
    assert begun.headers["location"].endswith(f"/tasks/{row['id']}")
    asked = await task.get(site.db, site.project_id, row["id"])
    assert not any(text in str(asked["input"]) for text in ("Ruth", "1381234", "ruth@"))
    await work(services, site)
    assert await payments(site, "settlement") == 0
    async with another(app, site, "wang") as second:
        approve = f"/projects/{site.project_id}/tasks/{row['id']}/approve"
        assert (await send(second, approve)).status_code == 303
    await work(services, site)
    assert await outcome(site) == [("done", "")]
    assert await payments(site, "settlement") == 1
    names = await rows_of(site, "select name from personal where name like 'Ruth%' or name = '-'")
    assert [one["name"] for one in names] == ["Ruth Newcome"] * (deed == "hand-over")


async def moved_out(site, room):
    """Another household moves in, and pays 500.00."""
    guest = await customer.add(site.db, site.project_id, Facts("Next"), "en")
    (shown,) = await rows_of(
        site, "select m.address, s.* from point_state s join meter m on m.id = s.meter_id"
        " where s.point_id = $1", site.rooms[room].point_id,
    )  # fmt: skip
    registers = tuple(shown[f"good_{part}_milli"] for part in range(5))
    leaving = Leaving("moved", {shown["address"]: registers})
    await settle.move_tenants(
        site.db, site.project_id, site.rooms[room].agreement_id, guest, Terms(),
        Balance.PAY_OUT, leaving, None, NOW,
        second_id=await access.id_of_login(site.db, "li"),
    )  # fmt: skip
    wish = Wish(Minor(50_000), None, "cash", None, "next pays")
    await sale.sell(site.db, site.project_id, site.rooms[room].point_id, wish, None, NOW)


async def rows_of(site, query, *arguments):
    async with site.db.transaction([site.project_id, 0]) as connection:
        return await connection.fetch(query, *arguments)


async def outcome(site):
    row = await latest(site)
    found = await task.get(site.db, site.project_id, row["id"])
    return [(one["outcome"], one["why"]) for one in found["result"]["rows"]]


async def test_what_waits_is_never_taken_from_who_moved_in_meanwhile(app, manager, site, services):
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute("""update project set policy = '{"refund_second_minor": 1000}'""")
    here, project = point(site, "A101"), f"/projects/{site.project_id}"
    sale_form = await manager.get(f"{here}/credits/add")
    held = re.search(r'name="agreement_id" value="(\d+)"', sale_form.text)[1]
    assert int(held) == site.rooms["A101"].agreement_id
    await send(manager, f"{here}/refunds/refund", amount="15", channel="cash", reason="moved out")
    many = f"{project}/points/credits/add?id={site.rooms['A101'].point_id}"
    await send(manager, many, amount="5", channel="cash")
    waits = await latest(site)
    await moved_out(site, "A101")
    await work(services, site)
    assert await outcome(site) == [("refused", "household_changed")]
    late = {"csrf": token_in(sale_form), "key": key_in(sale_form), "agreement_id": held}
    sold = await manager.post(f"{here}/credits/add", data=late | {"amount": "5", "channel": "cash"})
    assert (sold.status_code, "Another household pays here now" in sold.text) == (409, True)
    async with another(app, site, "wang") as second:
        await send(second, f"{project}/tasks/{waits['id'] - 1}/approve")
    await work(services, site)
    found = await task.get(site.db, site.project_id, waits["id"] - 1)
    assert [one["why"] for one in found["result"]["rows"]] == ["household_changed"]
    assert await payments(site, "refund") == 0


async def test_a_shift_is_opened_seen_and_closed_at_the_desk(manager, site):
    project = f"/projects/{site.project_id}"
    opened = await send(manager, f"{project}/shifts/open", drawer="200")
    page = opened.headers["location"]
    await send(manager, f"{point(site, 'A101')}/credits/add", amount="50", channel="cash")
    assert "¥250.00" in (await manager.get(page)).text
    assert "Your shift is open" in (await manager.get(f"{project}/desk")).text
    await send(manager, f"{page}/close", counted="249", note="one short")
    assert "−¥1.00" in (await manager.get(page)).text


async def test_much_money_is_handed_over_once_the_colleague_agrees(app, manager, site, services):
    project = f"/projects/{site.project_id}"
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute("""update project set policy = '{"refund_second_minor": 10000}'""")
    opened = await send(manager, f"{project}/shifts/open", drawer="200")
    page = opened.headers["location"]
    async with another(app, site, "wang") as second:
        asked = {"counted": "200", "to": "wang", "note": "lunch"}
        waits = await send(manager, f"{page}/hand-over", **asked)
        assert re.search(r"/tasks/\d+$", waits.headers["location"])
        assert "Your shift is open" in (await manager.get(f"{project}/desk")).text
        # What is sold meanwhile was not counted, so this hand-over is over and another begins.
        await send(manager, f"{point(site, 'A101')}/credits/add", amount="50", channel="cash")
        approve = f"{waits.headers['location']}/approve"
        assert (await send(second, approve)).status_code == 303
        await work(services, site)
        found = await task.get(site.db, site.project_id, (await latest(site))["id"])
        assert [one["why"] for one in found["result"]["rows"]] == ["shift_moved"]
        waits = await send(manager, f"{page}/hand-over", **(asked | {"counted": "250"}))
        assert (await send(second, f"{waits.headers['location']}/approve")).status_code == 303
        await work(services, site)
        assert "Your shift is open" not in (await manager.get(f"{project}/desk")).text
        assert "Your shift is open" in (await second.get(f"{project}/desk")).text


async def test_the_api_tells_the_same(erp, site):
    project = f"{API}/projects/{site.project_id}"
    found = (await erp.get(f"{project}/households", params={"q": "A102"})).json()
    assert [one["room"] for one in found] == ["A102"]
    home = (await erp.get(f"{project}/rooms/{found[0]['room_id']}/household")).json()
    assert home["supplies"][0]["is_sold_here"]
    sold = await erp.post(
        f"{API}{point(site, 'A102')}/credits", json={"energy": "10", "channel": "app"},
        headers={"Idempotency-Key": "order-0001"},
    )  # fmt: skip
    payment = (await erp.get(f"{project}/payments/{sold.json()['payment_id']}")).json()
    assert (payment["amount"]["amount"], payment["energy"]["amount"]) == ("5.00", "10.000")
    undone = await erp.post(
        f"{project}/payments/{payment['id']}/reverse", json={"reason": "wrong room"},
        headers={"Idempotency-Key": "order-0002"},
    )  # fmt: skip
    assert (undone.status_code, undone.json()["task_id"]) == (201, None)
    again = await erp.post(
        f"{project}/payments/{payment['id']}/reverse", json={"reason": "wrong room"},
        headers={"Idempotency-Key": "order-0003"},
    )  # fmt: skip
    assert again.json()["code"] == "reversed_already"
    rows = (await erp.get(f"{project}/supplies", params={"level": "4"})).json()["items"]
    assert [one["room"] for one in rows] == ["A103"]
