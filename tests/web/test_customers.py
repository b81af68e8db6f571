"""Who looks after one building knows who pays there, and nobody else."""

from datetime import timedelta

import pytest

from meterhouse.flows import access, account, customer, device, place
from meterhouse.flows.account import Terms
from meterhouse.model import Commodity, Keeper
from meterhouse.store.personal import Facts
from small_site import NOW, small_site

API = "/api/v1"


@pytest.fixture(scope="module")
async def site(template):
    """A site of this file alone: people move here."""
    async with small_site(template) as made:
        yield made


@pytest.fixture(scope="module")
async def customers(site):
    """Ids of the customers by the room they pay for."""
    async with site.db.transaction([site.project_id]) as connection:
        rows = await connection.fetch(
            """select r.name, g.customer_id from agreement g
               join agreement_point a on a.agreement_id = g.id join point p on p.id = a.point_id
               join place r on r.id = p.place_id where g.kind = 'tenant'"""
        )
    return {row["name"]: row["customer_id"] for row in rows}


@pytest.fixture(scope="module")
async def warden(site):
    """A program that may what a warden may, in building B alone; answers its headers."""
    async with site.db.transaction([site.project_id]) as connection:
        building_id = await connection.fetchval("select id from place where name = 'B栋'")
    _, key = await access.add_client(
        site.db, "warden-b", "Warden", "warden", "building", building_id, NOW, site.project_id
    )
    return {"Authorization": f"Bearer {key}"}


async def test_the_customers_of_a_building_and_no_others(client, site, customers, warden):
    base = f"{API}/projects/{site.project_id}"
    listed = (await client.get(f"{base}/customers?count=true", headers=warden)).json()
    theirs = {customers["B101"], customers["B102"]}
    assert {one["id"] for one in listed["items"]} == theirs
    assert listed["total"] == 2
    for room, customer_id in customers.items():
        wanted = 200 if customer_id in theirs else 404
        one = await client.get(f"{base}/customers/{customer_id}", headers=warden)
        shown = await client.post(f"{base}/customers/{customer_id}/personal/show", headers=warden,
                                  json={"facts": ["name"]})  # fmt: skip
        assert one.status_code == wanted, room
        assert (shown.status_code < 300) is (wanted == 200), room
        if wanted == 404:
            absent = await client.get(f"{base}/customers/999999999", headers=warden)
            assert one.json()["code"] == absent.json()["code"]
    async with site.db.transaction([site.project_id]) as connection:
        seen = await connection.fetch(
            "select object from audit_entry where act = 'personal.show' and actor_id in"
            " (select id from person where login = 'warden-b')"
        )
    assert {row["object"] for row in seen} == {f"customer:{one}" for one in theirs}


async def test_of_somebody_with_rooms_elsewhere_only_those_in_sight(client, site, warden):
    made = await customer.add(site.db, site.project_id, Facts("Ouyang Xiu", "13912345678"), "en")

    async def move_in(place_id):
        await account.open_account(site.db, site.project_id, place_id, made, Terms(), None, NOW)

    await move_in(site.rooms["A104"].place_id)
    base = f"{API}/projects/{site.project_id}"
    address = f"{base}/customers/{made}"
    assert (await client.get(address, headers=warden)).status_code == 404
    found = await client.get(f"{API}/search?q=ouyang", headers=warden)
    assert found.json() == []
    # They rent a shed in the building that is looked after here.
    async with site.db.transaction([site.project_id]) as connection:
        building_id = await connection.fetchval("select id from place where name = 'B栋'")
    shed = await place.add(site.db, site.project_id, building_id, "area", "Shed", None)
    await device.add_point(
        site.db,
        site.project_id,
        shed,
        Commodity.ELECTRICITY,
        None,
        Keeper.PLATFORM,
        NOW - timedelta(hours=1),
    )
    await move_in(shed)
    told = (await client.get(address, headers=warden)).json()
    assert [one["places"] for one in told["agreements"]] == ["B栋 Shed"]
    (hit,) = (await client.get(f"{API}/search?q=ouyang", headers=warden)).json()
    assert (hit["building"], hit["room"]) == ("B栋", "Shed")
    (row,) = [
        one for one in (await client.get(f"{base}/customers", headers=warden)).json()["items"]
        if one["id"] == made
    ]  # fmt: skip
    assert row["room_count"] == 1
