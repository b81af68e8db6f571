"""A person at a desk: reads what a form hides, signs in."""

import re

import httpx

from small_site import PASSWORD


def token_in(page: httpx.Response) -> str:
    """The token that keeps other sites from posting a page's forms."""
    return re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)[1]


def key_in(page: httpx.Response) -> str:
    """The key that makes a form this one and no other."""
    return re.search(r'name="key" value="(\w+)"', page.text)[1]


async def signed_in(client: httpx.AsyncClient, login: str) -> httpx.AsyncClient:
    """The same client with a session."""
    page = await client.get("/sign-in")
    form = {"csrf": token_in(page), "login": login, "password": PASSWORD}
    answer = await client.post("/sign-in", data=form)
    assert answer.status_code == 303
    return client
