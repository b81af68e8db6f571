"""A whole web application with a gate that knows two people and one key; no database."""

from datetime import UTC, datetime

import httpx
import pytest

from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.signin import SignedIn
from meterhouse.web.access import Caller
from meterhouse.web.app import Services, WebSettings, create_app

NOW = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)
ALL = frozenset(Verb)


def scope(project_id=1, verbs=ALL, **changes):
    facts = {
        "name": "安瑞公寓",
        "timezone": "Asia/Shanghai",
        "currency": "CNY",
        "currency_exponent": 2,
    }
    return Reach(project_id=project_id, verbs=verbs, **{**facts, **changes})


class Gate:
    """Knows `li` (everything in project 1) and `chen` (may only look, in project 2)."""

    def __init__(self):
        self.sessions = {
            "li-token": Caller(1, "Li Na", "zh-Hans", {1: scope()}),
            "chen-token": Caller(2, "Chen Wei", "en", {2: scope(2, frozenset({Verb.ROOM_READ}))}),
        }
        self.keys = {"key-1": Caller(3, "ERP", "en", {1: scope()})}

    async def caller_of_session(self, token):
        return self.sessions.get(token)

    async def caller_of_key(self, key):
        return self.keys.get(key)

    async def sign_in(self, login, password, agent, peer):
        return SignedIn("li-token") if (login, password) == ("li", "right") else None

    async def prove(self, caller, token, proof):
        return token if proof == "right" else None

    async def sign_out(self, token):
        self.sessions.pop(token, None)


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def app(gate):
    return create_app(Services(None, lambda: NOW, WebSettings(secure_cookies=False)), gate)


@pytest.fixture
async def browser(app):
    """A browser that has signed in as nobody yet."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
        yield client
