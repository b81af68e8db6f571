"""Search and what surrounds every page: nobody finds what they may not see."""

import re
from datetime import timedelta
from functools import partial

import pytest

from desk import signed_in
from meterhouse.flows import access, onboard, recharge, search
from meterhouse.flows.access import ROLES, Reach, Verb
from meterhouse.flows.onboard import NewRoom
from meterhouse.flows.search import HitKind
from small_site import FLAT, NOW, PASSWORD

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


@pytest.fixture(scope="module")
async def street(site):
    """Nine buildings that each have a room 101 with a meter and a household; answers their ids."""
    ids, new = [], []
    tariff_id = await onboard.publish_tariff(
        site.db, site.other_id, FLAT, None, NOW - timedelta(days=9)
    )
    gateway_id = await onboard.add_gateway(site.db, site.other_id, "GW-9", "A100F9")
    for sort in range(9):
        place = partial(onboard.add_place, site.db, site.other_id)
        ids.append(await place(None, "building", f"Tower {sort + 1}", sort))
        floor_id = await place(ids[-1], "floor", "1F", 0)
        new.append(
            NewRoom(
                floor_id=floor_id, name="101", sort=sort, area_dm2=None, tariff_id=tariff_id,
                model="DDSY1352-NK", address=f"{770_000_000_000 + sort}", gateway_id=gateway_id,
                opened_at=NOW - timedelta(days=9), customer_name="吴雅丽",
                phone=f"1390000778{sort}",
            )
        )  # fmt: skip
    rooms = await onboard.add_rooms(site.db, site.other_id, new)
    for sort, room in enumerate(rooms):
        await recharge.add_credit(
            site.db, site.other_id, room.point_id, 100, "cash", f"tower-{sort}", "", None, NOW
        )
    return ids


@pytest.mark.parametrize("place", [0, 8])
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1", HitKind.ROOM),
        ("101", HitKind.ROOM),
        ("7700", HitKind.METER),
        ("吴雅丽", HitKind.PERSON),
        ("tower-{place}", HitKind.PAYMENT),
    ],
)
async def test_what_lies_elsewhere_takes_no_place_among_the_few_shown(
    site, street, text, kind, place
):
    mine = reach(site, site.other_id, limits=dict.fromkeys(Verb, frozenset({street[place]})))
    hits = await search.find(site.db, [mine], text.format(place=place))
    rooms = [
        hit.room or hit.said for hit in hits if hit.kind is kind and not hit.said.startswith("T")
    ]
    assert rooms == ["101"]
    assert {hit.building_id for hit in hits} == {street[place]}


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("13900007784", True),
        ("7784", True),
        ("1390000", True),
        ("139000", False),
        ("0000778", False),
        ("784", False),
        ("吴雅丽", True),
        ("吴", True),
        ("雅丽", False),
    ],
)
async def test_a_piece_of_a_phone_or_name_does_not_tell_what_the_mask_hides(
    site, street, text, is_found
):
    mine = reach(site, site.other_id, limits=dict.fromkeys(Verb, frozenset({street[4]})))
    hits = await search.find(site.db, [mine], text)
    assert [hit.said for hit in hits if hit.kind is HitKind.PERSON] == ["吴**"] * is_found


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("Anna", True),
        ("anna maria", True),
        ("SMITH", True),
        ("Anna Maria Smith", True),
        ("Ann", False),
        ("mit", False),
        ("Maria S", False),
    ],
)
async def test_a_name_in_latin_letters_is_known_by_whole_words(site, text, is_found):
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute(
            "update personal set name = 'Anna Maria Smith' where name = '赵磊'"
        )
    hits = await search.find(site.db, [reach(site)], text)
    assert [hit.said for hit in hits if hit.kind is HitKind.PERSON] == ["A*** M*** S***"] * is_found


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
    offline = f'<a href="/projects/{site.project_id}/rooms?state=offline">'
    assert f'{offline}<span class="state off">1</span></a>' in page.text
    menu = await client.get(f"/projects/{site.project_id}/switch?page=meters")
    assert f'href="/projects/{site.other_id}/meters"' in menu.text
    menu = await client.get(f"/projects/{site.project_id}/switch?page=nowhere")
    assert f'href="/projects/{site.other_id}/rooms"' in menu.text


async def test_the_bell_tells_open_alarms(manager, site):
    part = await manager.get(f"/projects/{site.project_id}/bell")
    assert "Meter offline" in part.text
    assert "B102" in part.text
