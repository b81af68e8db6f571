"""What the console can do, the API can do: both are made from the same declarations."""

import re

import pytest

from meterhouse.web.access import check_routes
from meterhouse.web.acts import ACTS, SHEETS
from meterhouse.web.acts.frame import NoFields
from meterhouse.web.api import v1
from meterhouse.web.views import LISTS

# What belongs to a person at a browser alone: their session, their language, their own secrets.
OF_THE_BROWSER = {
    "/welcome/{token}",
    "/sign-in", "/sign-in/code", "/sign-out", "/set-password", "/language", "/account/language",
    "/account/password", "/account/authenticator", "/account/authenticator/confirm",
    "/account/authenticator/off", "/account/recovery", "/account/sessions/end-others",
    "/account/sessions/{session_id}/end", "/account/email", "/sign-in/forgotten",
}  # fmt: skip


def plain(path):
    return re.sub(r":\w+}", "}", path)


def changing(app, *, api):
    return {
        (method, plain(path))
        for method, path, _ in check_routes(app)
        if method not in ("GET", "HEAD") and path.startswith(v1.PREFIX) is api
    }


def test_every_change_is_a_declared_act(app):
    acts = (*ACTS, *(sheet.act for sheet in SHEETS))
    pages = {("POST", plain(act.page)) for act in acts}
    assert changing(app, api=False) == pages | {("POST", path) for path in OF_THE_BROWSER}
    assert changing(app, api=True) == {(act.method, v1.PREFIX + act.address) for act in acts}


def test_every_list_of_the_console_is_in_the_api(app):
    there = {plain(path) for method, path, _ in check_routes(app) if method == "GET"}
    for name in LISTS:
        assert f"{v1.PREFIX}/projects/{{project_id}}/{name}" in there, name


def test_names_and_addresses_are_each_acts_own():
    assert len({act.name for act in ACTS}) == len(ACTS)
    assert len({act.page for act in ACTS}) == len(ACTS)
    assert len({(act.method, act.address) for act in ACTS}) == len(ACTS)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_an_act_says_what_it_does_and_asks(act):
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", act.name)
    assert act.tag
    assert act.run.__doc__
    assert len(act.run.__doc__.splitlines()[0]) <= 120
    if act.danger:
        assert act.consequence
    if act.form is not NoFields:
        for name, (info, ask) in act.asks.items():
            assert info.description, name
            assert ask.title, name
