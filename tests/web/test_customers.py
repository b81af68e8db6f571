"""Who looks after one building knows who pays there, and nobody else."""

from datetime import timedelta

import pytest

from meterhouse.flows import access, customer
from meterhouse.flows.customer import Terms
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
    terms = Terms()
    made = await customer.add(site.db, site.project_id, Facts("Ouyang Xiu", "13912345678"), "en")
    await customer.open_account(
        site.db, site.project_id, site.rooms["A104"].place_id, made, terms, NOW
    )
    base = f"{API}/projects/{site.project_id}"
    address = f"{base}/customers/{made}"
    assert (await client.get(address, headers=warden)).status_code == 404
    found = await client.get(f"{API}/search?q=ouyang", headers=warden)
    assert found.json() == []
    # They take over a room in the building that is looked after here.
    await customer.move_out(site.db, site.project_id, site.rooms["B102"].place_id, NOW)
    await customer.open_account(
        site.db,
        site.project_id,
        site.rooms["B102"].place_id,
        made,
        terms,
        NOW + timedelta(minutes=1),
    )
    told = (await client.get(address, headers=warden)).json()
    assert [one["places"] for one in told["agreements"]] == ["B栋 B102"]
    (hit,) = (await client.get(f"{API}/search?q=ouyang", headers=warden)).json()
    assert (hit["building"], hit["room"]) == ("B栋", "B102")
    (row,) = [
        one for one in (await client.get(f"{base}/customers", headers=warden)).json()["items"]
        if one["id"] == made
    ]  # fmt: skip
    assert row["room_count"] == 1
