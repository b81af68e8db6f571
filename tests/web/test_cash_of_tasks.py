"""Cash that a task takes lies in the drawer of who asked for it, as it is when each row is done."""

import pytest

from desk import latest, send, work
from meterhouse.flows import access, shift, task
from meterhouse.units import Minor
from meterhouse.web import works as room
from meterhouse.web.app import Services, WebSettings
from small_site import NOW, small_site

ROOMS = ("A101", "A102", "A103")


@pytest.fixture
async def site(template):
    """A site of its own: these tests move its money."""
    async with small_site(template) as made:
        yield made


@pytest.fixture
def services(site):
    return Services(site.db, lambda: NOW, WebSettings(secure_cookies=False))


@pytest.fixture
async def li(manager, site):
    """Who is signed in as the manager."""
    return await access.id_of_login(site.db, "li")


async def ask(manager, site, channel="cash"):
    """Ask for ¥10.00 for each of three households; nothing is taken before the worker comes."""
    chosen = "&".join(f"id={site.rooms[one].point_id}" for one in ROOMS)
    address = f"/projects/{site.project_id}/points/credits/add?{chosen}"
    return await send(manager, address, amount="10.00", channel=channel)


async def open_shift(site, person_id):
    return await shift.open_one(site.db, site.project_id, person_id, 5_000, NOW)


async def demand(site):
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute("""update project set policy = '{"desk_needs_shift": true}'""")


async def shifts_of_new(site):
    """The shift of each payment that a task made, in order."""
    async with site.db.transaction([site.project_id]) as connection:
        rows = await connection.fetch(
            "select shift_id from payment where key like '%:task:%' order by id"
        )
    return [row["shift_id"] for row in rows]


async def outcomes(site):
    row = await latest(site)
    found = await task.get(site.db, site.project_id, row["id"])
    return [(one["outcome"], one["why"]) for one in found["result"]["rows"]]


def close_after_first(monkeypatch, site, shift_id, person_id):
    """Close the shift when the first row of a task is done."""
    one_row = room._one
    counted = []

    async def one(*given):
        row = await one_row(*given)
        if not counted:
            counted.append(6_000)
            await shift.close(site.db, site.project_id, shift_id, person_id, Minor(6_000), "", NOW)
        return row

    monkeypatch.setattr(room, "_one", one)


async def test_cash_lies_in_the_shift_that_is_open_when_a_row_is_done(manager, site, services, li):
    await demand(site)
    await ask(manager, site)
    shift_id = await open_shift(site, li)
    await work(services, site)
    assert await outcomes(site) == [("done", "")] * 3
    assert await shifts_of_new(site) == [shift_id] * 3
    now = await shift.look(site.db, site.project_id, shift_id)
    assert now.expected_minor == 8_000


async def test_somebody_elses_open_shift_takes_nothing(manager, site, services):
    other = await access.add_person(
        site.db, "wang", "Wang", "a-long-enough-password", "cashier", "project", site.project_id,
        NOW,
    )  # fmt: skip
    shift_id = await open_shift(site, other)
    await ask(manager, site)
    await work(services, site)
    assert await shifts_of_new(site) == [None] * 3
    now = await shift.look(site.db, site.project_id, shift_id)
    assert now.expected_minor == 5_000


async def test_without_a_shift_that_is_demanded_each_row_is_refused_and_says_so(
    manager, site, services
):
    await demand(site)
    begun = await ask(manager, site)
    await work(services, site)
    assert await outcomes(site) == [("refused", "shift_needed")] * 3
    assert await shifts_of_new(site) == []
    page = await manager.get(begun.headers["location"].removesuffix("/progress"))
    assert page.text.count("Open your shift before you take cash.") == 3
    await ask(manager, site, channel="transfer")
    await work(services, site)
    assert await outcomes(site) == [("done", "")] * 3


@pytest.mark.parametrize("is_demanded", [True, False])
async def test_a_shift_that_closes_meanwhile_takes_no_more(
    manager, site, services, li, monkeypatch, is_demanded
):
    if is_demanded:
        await demand(site)
    shift_id = await open_shift(site, li)
    await ask(manager, site)
    close_after_first(monkeypatch, site, shift_id, li)
    await work(services, site)
    rest = ("refused", "shift_needed") if is_demanded else ("done", "")
    assert await outcomes(site) == [("done", ""), rest, rest]
    assert await shifts_of_new(site) == [shift_id, *([] if is_demanded else [None, None])]
    now = await shift.look(site.db, site.project_id, shift_id)
    assert (now.expected_minor, now.row["expected_minor"], now.row["difference_minor"]) == (
        6_000, 6_000, 0,
    )  # fmt: skip
