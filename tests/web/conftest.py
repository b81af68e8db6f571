"""One small site for all tests of this folder; a test that changes it changes its own room."""

import httpx
import pytest

from desk import signed_in
from meterhouse.web.access import LANGUAGE_COOKIE
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW, small_site


@pytest.fixture(scope="module")
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture
def app(site):
    return create_app(Services(site.db, lambda: NOW, WebSettings(secure_cookies=False)))


@pytest.fixture
async def client(app):
    transport = httpx.ASGITransport(app=app)
    headers = {"Accept-Language": "en"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://desk", headers=headers
    ) as one:
        one.cookies.set(LANGUAGE_COOKIE, "en")
        yield one


@pytest.fixture
async def manager(client, site):
    return await signed_in(client, site.manager)


@pytest.fixture
def erp(client, site):
    client.headers["Authorization"] = f"Bearer {site.key}"
    return client
