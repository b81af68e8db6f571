"""Fees on the web: who may charge them how, what stands on the pages, and how one is undone."""

import re

import pytest

from desk import another, fresh_key, latest, send, work
from meterhouse.flows import move, task
from meterhouse.units import Minor
from meterhouse.web.app import Services, WebSettings
from small_site import NOW, small_site


@pytest.fixture
async def site(template):
    """A site of its own: these tests move its money."""
    async with small_site(template) as made:
        yield made


@pytest.fixture
def services(site):
    return Services(site.db, lambda: NOW, WebSettings(secure_cookies=False))


def form(site):
    return f"/projects/{site.project_id}/points/{site.rooms['A101'].point_id}/fees/charge"


async def share(site, amount_minor):
    """Move money of a household to its common purse, which may pay a fee."""
    mine = site.rooms["A101"].agreement_id
    await move.move(
        site.db, site.project_id, mine, "electricity", mine, "common", Minor(amount_minor), "m-1",
        "for fees", None, NOW,
    )  # fmt: skip


async def fees(site):
    async with site.db.transaction([site.project_id]) as connection:
        rows = await connection.fetch(
            "select id, kind, channel, amount_minor from payment where reason <> 'for fees'"
            " and (kind in ('fee', 'reversal')) order by id"
        )
    return [tuple(row) for row in rows]


async def test_a_cashier_takes_fees_at_the_counter_but_not_out_of_a_purse(app, manager, site):
    await share(site, 5_000)
    async with another(app, site, "zhou", "cashier") as cashier:
        page = await cashier.get(form(site))
        assert "Charge a fee" in page.text
        assert "From the purse" not in page.text
        refused = await send(cashier, form(site), amount="5", reason="new card", channel="purse")
        assert refused.status_code == 403
        unsaid = await send(cashier, form(site), amount="5", reason="", channel="cash")
        assert unsaid.status_code == 422
        done = await send(cashier, form(site), amount="5", reason="new card", channel="cash")
        sold = await cashier.get(done.headers["location"])
        for part in ("¥5.00", "new card", "Print receipt"):
            assert part in sold.text, part
    assert [one[1:] for one in await fees(site)] == [("fee", "cash", 500)]
    assert "From the purse" in (await manager.get(form(site))).text


async def test_a_fee_out_of_the_purse_is_told_everywhere_and_undone_at_once(manager, site):
    project = f"/projects/{site.project_id}"
    short = await send(manager, form(site), amount="20", reason="late payment", channel="purse")
    assert short.status_code == 409
    assert "There is 0.00 for a fee, 20.00 is missing" in short.text
    await share(site, 5_000)
    done = await send(manager, form(site), amount="20", reason="late payment", channel="purse")
    sold = await manager.get(done.headers["location"])
    assert "<dd>Purse</dd>" in sold.text
    assert "Print receipt" not in sold.text
    number = (await fees(site))[0][0]
    order = await manager.get(f"{project}/orders/{number}")
    for part in ("late payment", "<dd>Purse</dd>", "Fees earned"):
        assert part in order.text, part
    assert "Issue receipt" not in order.text
    listed = await manager.get(f"{project}/orders?channel=purse")
    assert "Between accounts" in listed.text
    assert "¥20.00" in listed.text
    transfer = re.search(r"transfers/(\d+)/explain", order.text)[1]
    explained = await manager.get(f"{project}/transfers/{transfer}/explain")
    for part in ("late payment", "Fees earned", "¥20.00"):
        assert part in explained.text, part
    agreement = site.rooms["A101"].agreement_id
    for page in (f"agreements/{agreement}", f"agreements/{agreement}/statement", "audit"):
        assert "late payment" in (await manager.get(f"{project}/{page}")).text, page
    await send(manager, f"{project}/payments/{number}/reverse", reason="wrong room")
    assert [one[1:] for one in await fees(site)] == [
        ("fee", "purse", 2_000), ("reversal", "purse", 2_000),
    ]  # fmt: skip


async def test_a_fee_that_is_paid_back_over_the_limit_waits_for_somebody_else(
    app, manager, site, services
):
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute("""update project set policy = '{"refund_second_minor": 1000}'""")
    await send(manager, form(site), amount="10.01", reason="new card", channel="cash")
    number = (await fees(site))[0][0]
    address = f"/projects/{site.project_id}/payments/{number}/reverse"
    begun = await send(manager, address, reason="wrong room")
    assert begun.headers["location"].endswith("/progress")
    row = await latest(site)
    assert len(await fees(site)) == 1
    approve = f"/projects/{site.project_id}/tasks/{row['id']}/approve"
    async with another(app, site, "wang") as second:
        assert (await send(second, approve)).status_code == 303
    await work(services, site)
    found = await task.get(site.db, site.project_id, row["id"])
    assert [one["outcome"] for one in found["result"]["rows"]] == ["done"]
    assert [one[1:] for one in await fees(site)][1] == ("reversal", "cash", 1_001)


async def test_a_program_charges_once_by_its_key(erp, site):
    address = f"/api/v1{form(site).removesuffix('/charge')}"
    wanted = {"amount": "7.50", "reason": "reconnection", "channel": "transfer"}
    key = fresh_key()
    first = await erp.post(address, json=wanted, headers=key)
    again = await erp.post(address, json=wanted, headers=key)
    assert (first.status_code, first.json()) == (201, again.json())
    assert first.json()["amount"]["amount"] == "7.50"
    assert len(await fees(site)) == 1
