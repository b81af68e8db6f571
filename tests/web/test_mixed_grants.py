"""Roles of one person in several places do not add up to what none of them gives anywhere.

Whoever may look at households here and at money there sees nobody's money here; whoever may print
receipts everywhere and learn names in one building prints no names.
"""

import pytest

from desk import another, send
from meterhouse.flows import access, commission, role
from small_site import NOW, PASSWORD, small_site

API = "/api/v1"


@pytest.fixture(scope="module")
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture
async def homes(site):
    """The agreement of A101's household, and of B101's; the buildings they are in."""
    async with site.db.transaction([site.project_id]) as connection:
        found = []
        for room in ("A101", "B101"):
            found.append(await connection.fetchrow(
                """select p.agreement_id, r.building_id from payment p
                   join point o on (o.project_id, o.id) = (p.project_id, p.point_id)
                   join place r on (r.project_id, r.id) = (o.project_id, o.place_id)
                   where p.key = $1""", f"first-{room}",
            ))  # fmt: skip
    return found


async def test_money_is_seen_where_the_right_to_it_is(app, site, homes):
    here, there = homes
    page = f"/projects/{site.project_id}/agreements"
    async with another(app, site, "mixed", "read_only", here["building_id"]) as one:
        shown = await one.get(f"{page}/{here['agreement_id']}")
        assert (shown.status_code, "<h2>Orders</h2>" in shown.text) == (200, False)
        assert (await one.get(f"{page}/{there['agreement_id']}")).status_code == 404
    more = {"cashier": there["building_id"]}
    async with another(app, site, "mixed2", "read_only", here["building_id"], **more) as one:
        for home, has_money in ((here, False), (there, True)):
            shown = await one.get(f"{page}/{home['agreement_id']}")
            assert (shown.status_code, "<h2>Orders</h2>" in shown.text) == (200, has_money)


@pytest.fixture(scope="module")
async def bare_roles(site):
    """Roles of the house's own that give one right without its companion."""
    chief = await access.add_person(
        site.db, "chief_of_roles", "Chief", PASSWORD, "platform_administrator", "platform", 0, NOW
    )
    looks = ["session.own", "room.read", "money.read", "device.read"]
    await role.put(site.db, chief, "printer", "Printer", [*looks, "receipt.print"], NOW)
    tries = [*looks, "device.commission", "command.read", "meter.read"]
    await role.put(site.db, chief, "tester", "Tester", tries, NOW)


async def test_a_name_is_printed_where_names_may_be_learned_everywhere(
    app, site, homes, bare_roles
):
    async with site.db.transaction([site.project_id]) as connection:
        number = await connection.fetchval("select min(id) from receipt")
    form = f"/projects/{site.project_id}/receipts/{number}/prints/print"
    sent = {"paper": "ticket_58", "language": "en"}
    async with another(app, site, "prints", "printer", warden=homes[1]["building_id"]) as one:
        refused = await send(one, form, is_named="on", **sent)
        assert (refused.status_code, "Your roles do not include" in refused.text) == (403, True)
        assert (await send(one, form, **sent)).status_code in (200, 303)
    async with another(app, site, "names", "cashier") as one:
        assert (await send(one, form, is_named="on", **sent)).status_code in (200, 303)


async def test_a_relay_is_tried_where_relays_may_be_switched_everywhere(
    app, site, homes, bare_roles
):
    meter_id = site.rooms["A102"].meter_id
    number = await commission.start(site.db, site.project_id, meter_id, None, None, NOW)
    form = f"/projects/{site.project_id}/commissionings/{number}/try-relay"
    async with another(app, site, "tries", "tester", warden=homes[1]["building_id"]) as one:
        refused = await send(one, form, is_safe="on")
        assert (refused.status_code, "Your roles do not include" in refused.text) == (403, True)
