"""The switchboard answers whatever the framework's own way would, by the same route."""

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


@pytest.fixture(scope="module")
def app():
    return create_app(Services(None, lambda: NOW, WebSettings(secure_cookies=False)))


class Bare(APIRouter):
    """A router that only says that it was asked."""

    async def app(self, scope, receive, send):
        scope["asked"] = True


async def sent_to(routes, path, method="GET"):
    router = Bare()
    router.routes += [Noting(route) for route in routes]
    scope = {"type": "http", "path": path, "method": method, "headers": []}
    await Switchboard(router)(scope, None, None)
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


async def test_every_operation_is_found_at_once(app):
    for method, path, _ in check_routes(app):
        address = path
        for name in names_in(path):
            word = "7" if name.endswith("_id") else "word"
            address = address.replace(f"{{{name}}}", word).replace(f"{{{name}:int}}", word)
        wanted = first_of(app.router.routes, address, method)
        assert wanted is not None, path
        if all(name.endswith("_id") for name in names_in(path)):
            assert await sent_to(app.router.routes, address, method) is wanted, path


words = st.sampled_from(
    ["projects", "7", "0", "meters", "api", "v1", "connect", "", "x", "²", "rooms"]
)


@given(st.lists(words, max_size=7), st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
async def test_no_address_goes_to_another_route_than_the_frameworks(app, parts, method):
    path = "/" + "/".join(parts)
    chosen = await sent_to(app.router.routes, path, method)
    assert chosen in (None, first_of(app.router.routes, path, method))
