"""Search and what surrounds every page: nobody finds what they may not see."""

import re

import pytest

from desk import signed_in
from meterhouse.flows import access, search
from meterhouse.flows.access import ROLES, Reach, Verb
from meterhouse.flows.search import HitKind
from small_site import NOW, PASSWORD

API = "/api/v1"


def reach(site, project_id=None, verbs=frozenset(Verb), **more):
    chosen = project_id or site.project_id
    return Reach(chosen, "house", "Asia/Shanghai", "CNY", 2, verbs, **more)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("a101", HitKind.ROOM, ["A101"]),
        ("A10", HitKind.ROOM, ["A101", "A102", "A103", "A104"]),
        ("栋", HitKind.ROOM, ["A栋", "B栋"]),
        ("000000000003", HitKind.METER, ["000000000003"]),
        ("0006", HitKind.METER, ["000000000006"]),
        ("王静", HitKind.PERSON, ["王**"]),
        ("nobody", HitKind.ROOM, []),
        ("%", HitKind.ROOM, []),
        ("  ", HitKind.ROOM, []),
    ],
)
async def test_what_is_called_so_is_found(site, text, kind, said):
    hits = await search.find(site.db, [reach(site)], text)
    assert [hit.said for hit in hits if hit.kind is kind] == said


async def test_a_payment_is_found_by_its_number_and_its_order(site):
    async with site.db.transaction([site.project_id]) as connection:
        row = await connection.fetchrow("select id, key from payment where key = 'first-A102'")
    for text in (str(row["id"]), row["key"]):
        hits = [hit for hit in await search.find(site.db, [reach(site)], text)
                if hit.kind is HitKind.PAYMENT]  # fmt: skip
        assert [(hit.id, hit.room, hit.amount_minor) for hit in hits] == [
            (row["id"], "A102", 1_500)
        ]


async def test_a_kind_is_found_only_with_its_verb_and_in_its_building(site):
    warden = ROLES["warden"]
    kinds = {hit.kind for hit in await search.find(site.db, [reach(site, verbs=warden)], "1")}
    assert HitKind.PAYMENT not in kinds
    blind = [reach(site, verbs=frozenset({Verb.SESSION_OWN}))]
    assert await search.find(site.db, blind, "A101") == []
    building = (await search.find(site.db, [reach(site)], "B栋"))[0]
    limits = dict.fromkeys(Verb, frozenset({building.building_id}))
    narrow = [reach(site, limits=limits)]
    assert await search.find(site.db, narrow, "A101") == []
    assert [hit.said for hit in await search.find(site.db, narrow, "B101")] == ["B101"]


async def test_another_project_is_not_searched(client, site):
    assert await search.find(site.db, [reach(site, site.other_id)], "A101") == []
    await signed_in(client, site.reader)
    assert (await client.get(f"/projects/{site.project_id}/search?q=A101")).status_code == 404
    page = await client.get(f"/projects/{site.other_id}/search?q=A101&all=1")
    assert "A101</a>" not in page.text


async def test_the_page_and_the_api_find_the_same(manager, site):
    page = await manager.get(f"/projects/{site.project_id}/search?q=A101")
    assert re.search(r'<a href="/projects/\d+/rooms/\d+">A101</a>', page.text)
    headers = {"Authorization": f"Bearer {site.key}"}
    for path in (f"{API}/projects/{site.project_id}/search", f"{API}/search"):
        found = (await manager.get(path, params={"q": "A101"}, headers=headers)).json()
        assert [(one["kind"], one["name"]) for one in found] == [("room", "A101")]


async def test_head_office_sees_all_projects_and_switches_on_the_same_page(client, site):
    await access.add_person(
        site.db, "office", "Office", PASSWORD, "platform_administrator", "platform", 0, NOW
    )
    await signed_in(client, "office")
    assert (await client.get("/")).headers["location"] == "/overview"
    page = await client.get("/overview")
    assert "安瑞公寓" in page.text
    assert "滨江广场" in page.text
    assert f'href="/projects/{site.project_id}/rooms?state=offline">1<' in page.text
    menu = await client.get(f"/projects/{site.project_id}/switch?page=meters")
    assert f'href="/projects/{site.other_id}/meters"' in menu.text
    menu = await client.get(f"/projects/{site.project_id}/switch?page=nowhere")
    assert f'href="/projects/{site.other_id}/rooms"' in menu.text


async def test_the_bell_tells_open_alarms(manager, site):
    part = await manager.get(f"/projects/{site.project_id}/bell")
    assert "Meter offline" in part.text
    assert "B102" in part.text
