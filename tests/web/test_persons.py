"""How many live there: said at the opening, by sheet, and changed from the account's page."""

from datetime import timedelta

import pytest

from desk import fresh_key, send
from meterhouse.flows import close, device, onboard, reading
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Keeper
from premises import batch_of
from small_site import FLAT, NOW, small_site

API = "/api/v1"
BY_PERSONS = FLAT | {
    "name": "by persons",
    "versions": [
        FLAT["versions"][0]
        | {"blocks": {"period": "month", "limits_milli": [10_000],
                      "persons": [{"persons": 3, "add_milli": [6_000]}]},
           "prices_micro": {"all": [500_000, 1_000_000]}}
    ],
}  # fmt: skip


@pytest.fixture
async def site(template):
    """A site of its own: these tests change who lives there."""
    async with small_site(template) as made:
        yield made


def account_of(site, room="A101"):
    return f"/projects/{site.project_id}/agreements/{site.rooms[room].agreement_id}"


async def persons_of(erp, site, address):
    return (await erp.get(f"{API}{address}")).json()["persons"]


async def test_a_program_counts_a_household_anew_and_the_account_says_so(erp, site):
    address = account_of(site)
    assert await persons_of(erp, site, address) == 1
    said = {"persons": 4, "reason": "a family of four"}
    key = fresh_key()
    for _ in range(2):
        answer = await erp.post(f"{API}{address}/persons", json=said, headers=key)
        assert answer.status_code == 201
    assert await persons_of(erp, site, address) == 4
    for persons in (0, 101, "many"):
        wrong = await erp.post(
            f"{API}{address}/persons", json=said | {"persons": persons}, headers=fresh_key()
        )
        assert wrong.status_code == 422
    silent = await erp.post(f"{API}{address}/persons", json={"persons": 2}, headers=fresh_key())
    assert silent.status_code == 422
    assert await persons_of(erp, site, address) == 4


async def test_the_form_holds_the_present_number_and_the_page_the_next(manager, site):
    address = account_of(site, "A102")
    await send(manager, f"{address}/persons", persons="3", reason="a child was born")
    form = await manager.get(f"{address}/persons")
    assert 'name="persons"' in form.text
    assert 'value="3"' in form.text
    page = await manager.get(address)
    assert "Change persons" in page.text
    entry = await manager.get(f"/projects/{site.project_id}/audit")
    assert "a child was born" in entry.text


async def test_an_account_opens_with_its_persons_and_closes_with_them(erp, site):
    place_id = site.rooms["A104"].place_id
    places = f"{API}/projects/{site.project_id}/places/{place_id}"
    named = {"name": "Guest", "persons": 5}
    made = await erp.post(f"{places}/accounts", json=named, headers=fresh_key())
    address = f"/projects/{site.project_id}/agreements/{made.json()['id']}"
    assert await persons_of(erp, site, address) == 5


async def test_a_sheet_says_how_many_there_are(erp, site):
    row = {"building": "A栋", "floor": "1F", "room": "A104", "customer": "Guest", "persons": 6}
    address = f"{API}/projects/{site.project_id}/customers/import"
    answer = await erp.post(address, json={"rows": [row]}, headers=fresh_key())
    assert answer.status_code == 201, answer.text
    page = await erp.get(f"{API}/projects/{site.project_id}/agreements?sort=-since&limit=1")
    newest = page.json()["items"][0]["id"]
    assert await persons_of(erp, site, f"/projects/{site.project_id}/agreements/{newest}") == 6


async def test_an_explanation_names_the_persons_and_their_limits(manager, site):
    db, project_id, room = site.db, site.project_id, site.rooms["A103"]
    tariff_id = await onboard.publish_tariff(db, project_id, BY_PERSONS, None, NOW)
    row = await device.point(db, project_id, room.point_id)
    await device.edit_point(
        db, project_id, room.point_id, row["version"], tariff_id, Keeper.PLATFORM, NOW
    )
    await send(manager, f"{account_of(site, 'A103')}/persons", persons="4", reason="they told us")
    later = NOW + timedelta(hours=1)
    for at, total_milli in ((later, 113_000), (later + timedelta(hours=1), 115_000)):
        said = batch_of([(room.meter_id, at, total_milli)])
        await reading.ingest(db, Tariffs(), project_id, said, at)
    await close.book_day(db, project_id, later + timedelta(hours=2))
    async with db.transaction([project_id]) as connection:
        transfer_id = await connection.fetchval(
            "select max(id) from transfer where point_id = $1", room.point_id
        )
    address = f"/projects/{project_id}/transfers/{transfer_id}/explain"
    page = await manager.get(address)
    assert "Limits for a household of 4: 16.000 kWh" in page.text
    manager.headers["Authorization"] = f"Bearer {site.key}"
    told = (await manager.get(f"{API}{address}")).json()
    held = told["booking"]["intervals"][-1]["held"]
    assert [(one["persons"], one["limits"][0]["amount"]) for one in held] == [(4, "16.000")]
