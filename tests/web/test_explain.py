"""The page that explains a transfer, of whatever kind, and the same on paper for the tenant."""

import pytest

from desk import PASSWORD, signed_in
from meterhouse.flows import access
from premises import Clock
from small_site import small_site
from street import build_lived


@pytest.fixture(scope="module")
async def site(template):
    """A site of this file's own, and beside it a house whose meters keep the money."""
    async with small_site(template) as made:
        yield made


@pytest.fixture(scope="module")
async def street(site):
    made = await build_lived(site.db, Clock())
    await access.add_person(
        site.db, "wang", "王芳", PASSWORD, "project_manager", "project", made.site.project_id,
        made.site.clock(),
    )  # fmt: skip
    return made


async def of_kind(street, kind):
    """The address of the first transfer of a kind."""
    rows = await street.site.rows("select min(id) as id from transfer where kind = $1", kind)
    return f"/projects/{street.site.project_id}/transfers/{rows[0]['id']}/explain"


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("recharge", "The order behind it"),
        ("reserve", "The way into the meter"),
        ("apply", "In the meter once it has arrived"),
        ("return", "Called back"),
        ("take_back", "The way out of the meter"),
        ("adopted", "Known before: nobody had looked"),
        ("deducted", "Difference: what the meter deducted beyond that"),
        ("taken_over", "What meter 000000000001 held"),
    ],
)
@pytest.mark.parametrize("paper", ["", "/print"])
async def test_a_page_says_what_each_kind_rests_on(client, street, kind, says, paper):
    await signed_in(client, "wang")
    page = await client.get(await of_kind(street, kind) + paper)
    assert page.status_code == 200
    assert says.replace("'", "&#39;") in page.text
    assert "Balance before" in page.text
    assert "was not kept yet" not in page.text


async def test_the_tenants_sheet_has_no_frame_and_speaks_the_language_asked_for(client, street):
    await signed_in(client, "wang")
    address = await of_kind(street, "recharge")
    staff = (await client.get(address)).text
    assert f"{address.rpartition('/')[2]}/print?language=" in staff
    sheet = (await client.get(f"{address}/print?language=zh-Hans")).text
    assert '<html lang="zh-Hans">' in sheet
    assert "变动前余额" in sheet
    for frame in ("Sign out", "/journal", "王芳", "../../orders/", 'id="side"'):
        assert frame not in sheet, frame
    assert "Household 1" not in sheet
    assert '<html lang="en">' in (await client.get(f"{address}/print?language=xx")).text


async def test_neither_notes_nor_people_of_the_staff_are_on_it(client, street):
    await signed_in(client, "wang")
    row = await street.site.row("select id from transfer where kind = 'return'")
    address = f"/projects/{street.site.project_id}/transfers/{row['id']}/explain"
    for path in (address, f"{address}/print"):
        assert "mistake" not in (await client.get(path)).text


async def test_the_sheet_is_behind_the_same_right(client, street, site):
    address = await of_kind(street, "recharge")
    assert (await client.get(f"{address}/print")).status_code in (302, 303)
    await signed_in(client, site.manager)
    assert (await client.get(f"{address}/print")).status_code == 404


async def test_the_api_tells_the_same(client, street):
    _, key = await access.add_client(
        street.site.db, "till", "Till", "project_manager", "project", street.site.project_id,
        street.site.clock(),
    )  # fmt: skip
    client.headers["Authorization"] = f"Bearer {key}"
    told = (await client.get("/api/v1" + await of_kind(street, "deducted"))).json()
    assert (told["basis"], told["is_told"], told["order_id"]) == ("report", True, None)
    report = told["report"]
    known, said, used = (float(report[name]["amount"]) for name in ("known", "said", "used"))
    assert round(known - used, 2) == said
    assert used == float(told["amount"]["amount"])
    assert report["interval_count"] == len(report["intervals"]) == 1
    (standing,) = told["standings"]
    assert (standing["account"], standing["after"]["amount"]) == (
        "on_meter", report["said"]["amount"],
    )  # fmt: skip
    told = (await client.get("/api/v1" + await of_kind(street, "apply"))).json()
    assert (told["basis"], told["journey"]["added"]["amount"]) == ("recharge", "5.00")
    assert told["journey"]["steps"][-1]["deed"] == "post"
