"""What the console can do, the API can do: both are made from the same declarations."""

import re

import pytest

from addresses import COMPUTED_OPERATIONS, COMPUTED_PAGES
from meterhouse.flows.access import STEP_UP
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
    posted = {("POST", path) for path in OF_THE_BROWSER | COMPUTED_PAGES}
    assert changing(app, api=False) == pages | posted
    operations = {(act.method, v1.PREFIX + act.address) for act in acts}
    assert changing(app, api=True) == operations | {("POST", path) for path in COMPUTED_OPERATIONS}


def test_every_list_of_the_console_is_in_the_api(app):
    there = {plain(path) for method, path, _ in check_routes(app) if method == "GET"}
    for name in LISTS:
        assert f"{v1.PREFIX}/projects/{{project_id}}/{name}" in there, name


def test_names_and_addresses_are_each_acts_own():
    assert len({act.name for act in ACTS}) == len(ACTS)
    assert len({act.page for act in ACTS}) == len(ACTS)
    assert len({(act.method, act.address) for act in ACTS}) == len(ACTS)


# An approval has the reason of what it lets happen; trying a relay is a step of a checklist.
REASON_ELSEWHERE = {"task.approve", "commissioning.try_relay"}
# What takes money out, moves it, changes what many pay, or lets many be switched off.
PROVED = {
    "payment.refund", "payment.reverse", "deposit.give_back", "purse.take_back", "money.move",
    "account.close", "accounts.close", "account.hand_over", "policy.edit", "policy.apply",
    "project.thaw", "sweep.release", "meter.send_prices", "meters.send_prices",
    "meter.send_warnings", "meters.send_warnings", "task.approve", "tariff.publish_flat",
    "tariff.publish_bands", "tariff.publish_blocks", "tariff.publish_scheme", "tariff.assign",
    "tariff.correct", "tariff.resweep",
    "recharge.decide", "recharge.cancel", "doubt.accept", "doubts.accept", "doubt.begin",
    "doubt.correct", "doubt.discard", "doubts.discard", "reading.accept", "reading.begin",
    "reading.correct", "reading.discard",
}  # fmt: skip
KEPT_KEYLESS = {"session", "personal", "staff", "client", "group", "role", "filter"}


def test_weighty_acts_ask_who_it_is():
    proved = {act.name for act in ACTS if act.proves and act.verb not in STEP_UP}
    assert proved | {"recharge.decide", "recharge.cancel"} == PROVED


def test_whatever_is_posted_takes_a_key_unless_it_is_about_people_alone():
    keyless = {act.name for act in ACTS if act.method == "POST" and not act.needs_key}
    nouns = {name.partition(".")[0].removeprefix("group").removeprefix("platform") or "group"
             for name in keyless}  # fmt: skip
    assert nouns <= KEPT_KEYLESS, nouns - KEPT_KEYLESS
    assert not [act.name for act in ACTS if act.method == "DELETE"], "it could take no reason"


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_an_act_says_what_it_does_and_asks(act):
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", act.name)
    assert act.tag
    assert act.run.__doc__
    assert len(act.run.__doc__.splitlines()[0]) <= 120
    if act.danger:
        assert act.consequence
        assert "reason" in act.form.model_fields or act.name in REASON_ELSEWHERE
    if act.form is not NoFields:
        for name, (info, ask) in act.asks.items():
            assert info.description, name
            assert ask.title, name
