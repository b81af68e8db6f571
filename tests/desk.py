"""A person at a desk: reads what a form hides, signs in, sends forms; and the worker behind it."""

import re
import secrets
from contextlib import asynccontextmanager

import httpx

from meterhouse.flows import access, task
from meterhouse.store import people
from meterhouse.store.db import PLATFORM
from meterhouse.web.access import LANGUAGE_COOKIE
from meterhouse.web.works import works
from small_site import NOW, PASSWORD


def token_in(page: httpx.Response) -> str:
    """The token that keeps other sites from posting a page's forms."""
    return re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)[1]


def key_in(page: httpx.Response) -> str:
    """The key that makes a form this one and no other."""
    return re.search(r'name="key" value="(\w+)"', page.text)[1]


def fresh_key() -> dict[str, str]:
    """The header by which a program names an act it asks for once."""
    return {"Idempotency-Key": secrets.token_hex(8)}


async def signed_in(client: httpx.AsyncClient, login: str) -> httpx.AsyncClient:
    """The same client with a session."""
    page = await client.get("/sign-in")
    form = {"csrf": token_in(page), "login": login, "password": PASSWORD}
    answer = await client.post("/sign-in", data=form)
    assert answer.status_code == 303
    return client


async def send(client, address, **fields):
    """Fill in a form and send it as a browser would."""
    form = await client.get(address)
    assert form.status_code == 200, form.text
    chosen = re.search(r'name="ids" value="([\d,]*)"', form.text)
    sent = {"csrf": token_in(form), "key": key_in(form)} | fields
    if chosen:
        sent["ids"] = chosen[1]
    return await client.post(address.partition("?")[0], data=sent)


@asynccontextmanager
async def another(app, site, login, role_name="project_manager", building_id=None, **more):
    """Somebody signed in with a role in the project or one building; `more` are roles in others."""
    number = site.project_id
    where = ("building", building_id) if building_id else ("project", number)
    person_id = await access.add_person(
        site.db, login, login, PASSWORD, role_name, *where, NOW, number if building_id else 0
    )
    async with site.db.transaction([PLATFORM]) as connection:
        for name, place_id in more.items():
            await people.grant(connection, person_id, name, "building", place_id, number, None, NOW)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        client.cookies.set(LANGUAGE_COOKIE, "en")
        yield await signed_in(client, login)


async def work(services, site):
    """What the worker does until nothing is left to do."""
    while await task.run_next(site.db, site.project_id, works(services), lambda: NOW):
        pass


async def latest(site):
    """The newest task."""
    return (await task.latest(site.db, site.project_id, count=1))[0]
