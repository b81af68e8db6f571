"""Lists of the real application, walked page by page through the SDK."""

import httpx
import pytest

import fresh_sdk  # noqa: F401  # before anything imports the SDK
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse_sdk import AsyncClient, errors
from small_site import NOW, small_site


@pytest.fixture(scope="module")
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture
async def client(site):
    app = create_app(Services(site.db, lambda: NOW, WebSettings(secure_cookies=False)))
    transport = httpx.ASGITransport(app=app)
    async with AsyncClient("http://desk", site.key, transport=transport) as one:
        yield one


async def test_every_row_comes_once_and_in_order(client, site):
    rows = client.meters.list(site.project_id, sort="-address", limit=2)
    addresses = [meter.address async for meter in rows]
    assert addresses == [f"{number:012d}" for number in range(6, 0, -1)]


async def test_one_page_says_where_the_next_begins(client, site):
    rows = client.meters.list(site.project_id, sort="address", limit=4, count=True)
    first = await rows.page()
    assert (len(first.items), first.total, first.total_is_more) == (4, 6, False)
    second = await rows.page(first.next_cursor)
    assert (len(second.items), second.next_cursor) == (2, None)


async def test_a_cursor_of_another_list_is_refused(client, site):
    first = await client.meters.list(site.project_id, limit=1).page()
    with pytest.raises(errors.BadInput) as caught:
        await client.meters.list(site.project_id, sort="-model", limit=1).page(first.next_cursor)
    assert caught.value.code == "cursor_mismatch"


async def test_fields_that_cannot_be_used_are_named(client, site):
    with pytest.raises(errors.FieldsInvalid) as caught:
        await client.meters.disconnect(site.project_id, 1, reason="x")
    (wrong,) = caught.value.errors
    assert (wrong.where, wrong.pointer) == ("body", "/reason")
