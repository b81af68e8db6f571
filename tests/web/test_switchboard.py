"""The switchboard answers whatever the framework's own way would, by the same route."""

import re

import pytest
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match

from addresses import names_in
from meterhouse.web.access import check_routes
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.switchboard import Switchboard
from small_site import NOW

NUMBER_IN_PATH = re.compile(r"{(\w+_id|\w+:int)}")


@pytest.fixture(scope="module")
def app():
    return create_app(Services(None, lambda: NOW, WebSettings(secure_cookies=False)))


class Bare(APIRouter):
    """A router that only says that it was asked."""

    async def app(self, scope, receive, send):
        scope["asked"] = True


@pytest.fixture(scope="module")
def board(app):
    router = Bare()
    router.routes += [Noting(route) for route in app.router.routes]
    return Switchboard(router)


async def sent_to(board, path, method="GET"):
    scope = {"type": "http", "path": path, "method": method, "headers": []}
    await board(scope, None, None)
    return scope.get("taken")


class Noting:
    """A route that notes that it was chosen instead of answering."""

    def __init__(self, route):
        self.route, self.path, self.methods = route, route.path, getattr(route, "methods", None)
        if self.methods is None:
            del self.methods

    def matches(self, scope):
        return self.route.matches(scope)

    async def handle(self, scope, receive, send):
        scope["taken"] = self.route


def first_of(routes, path, method):
    scope = {"type": "http", "path": path, "method": method, "headers": []}
    full = [route for route in routes if route.matches(dict(scope))[0] is Match.FULL]
    return full[0] if full else None


async def test_every_operation_is_found_at_once(app, board):
    for method, path, _ in check_routes(app):
        address = NUMBER_IN_PATH.sub("7", path)
        asks_words = bool(names_in(address))
        address = re.sub(r"{\w+}", "word", address)
        wanted = first_of(app.router.routes, address, method)
        assert wanted is not None, path
        if not asks_words:
            assert await sent_to(board, address, method) is wanted, path


words = st.sampled_from(
    ["projects", "7", "0", "meters", "api", "v1", "connect", "", "x", "²", "rooms"]
)


@given(st.lists(words, max_size=7), st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
async def test_no_address_goes_to_another_route_than_the_frameworks(app, board, parts, method):
    path = "/" + "/".join(parts)
    chosen = await sent_to(board, path, method)
    assert chosen in (None, first_of(app.router.routes, path, method))
