"""The frame: sign-in, forms, errors, headers, static files, and no route without a verb."""

import re

import pytest
from fastapi import Depends, FastAPI

from meterhouse.web.access import (
    LANGUAGE_COOKIE,
    PUBLIC,
    SESSION_COOKIE,
    Permission,
    RouteWithoutVerb,
    Verb,
    check_routes,
)
from meterhouse.web.app import BODY_MAX_BYTES


def token_in(page):
    return re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)[1]


def test_route_that_names_no_verb_stops_the_start():
    app = FastAPI(openapi_url=None)
    app.get("/open", dependencies=[Depends(PUBLIC)])(lambda: None)
    app.get("/forgotten")(lambda: None)
    with pytest.raises(RouteWithoutVerb, match="GET /forgotten"):
        check_routes(app)


def test_route_with_two_verbs_stops_the_start():
    app = FastAPI(openapi_url=None)
    both = [Depends(Permission(Verb.ROOM_READ)), Depends(PUBLIC)]
    app.get("/both", dependencies=both)(lambda: None)
    with pytest.raises(RouteWithoutVerb):
        check_routes(app)


def test_every_operation_is_known_with_its_verb(app):
    operations = {(method, path): verb for method, path, verb in check_routes(app)}
    assert operations["GET", "/sign-in"] is None
    assert operations["POST", "/sign-out"] is Verb.SESSION_OWN


async def test_sign_in_leads_back_and_sign_out_ends_the_session(browser, gate):
    page = await browser.get("/sign-in?next=/projects/1/rooms")
    form = {"csrf": token_in(page), "login": "li", "password": "right", "next": "/projects/1/rooms"}
    answer = await browser.post("/sign-in", data=form)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/projects/1/rooms"
    cookie = next(h for h in answer.headers.get_list("set-cookie") if SESSION_COOKIE in h)
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    start = await browser.get("/")
    assert start.headers["location"] == "/projects/1/rooms"
    refused = await browser.get("/projects/9/rooms")
    answer = await browser.post("/sign-out", data={"csrf": token_in(refused)})
    assert answer.headers["location"] == "/sign-in"
    assert "li-token" not in gate.sessions


async def test_wrong_password_keeps_the_name_and_says_no_more(browser):
    page = await browser.get("/sign-in")
    form = {"csrf": token_in(page), "login": "li", "password": "guess-7", "next": ""}
    answer = await browser.post("/sign-in", data=form)
    assert answer.status_code == 422
    assert 'value="li"' in answer.text
    assert "guess-7" not in answer.text
    assert SESSION_COOKIE not in answer.cookies


@pytest.mark.parametrize("outside", ["https://evil.example/", "//evil.example", "/\\evil.example"])
async def test_sign_in_never_leads_outside(browser, outside):
    page = await browser.get("/sign-in")
    form = {"csrf": token_in(page), "login": "li", "password": "right", "next": outside}
    answer = await browser.post("/sign-in", data=form)
    assert answer.headers["location"] == "/"


async def test_form_without_its_token_is_refused(browser):
    await browser.get("/sign-in")
    answer = await browser.post("/sign-in", data={"login": "li", "password": "right"})
    assert answer.status_code == 403


async def test_token_of_another_browser_is_refused(browser):
    page = await browser.get("/sign-in")
    browser.cookies.clear()
    await browser.get("/sign-in")
    answer = await browser.post("/sign-in", data={"csrf": token_in(page), "login": "li"})
    assert answer.status_code == 403


async def test_each_page_has_another_token(browser):
    first, second = await browser.get("/sign-in"), await browser.get("/sign-in")
    assert token_in(first) != token_in(second)


async def test_page_of_a_stranger_leads_to_sign_in_and_back(browser):
    browser.cookies.set(SESSION_COOKIE, "forged")
    answer = await browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/")


async def test_fragment_of_a_stranger_makes_the_browser_go_to_sign_in(browser):
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    answer = await browser.get("/", headers=headers)
    assert answer.headers["hx-redirect"] == "/sign-in"


async def test_unknown_page_and_unknown_api_address(browser):
    page = await browser.get("/nowhere", headers={"Accept-Language": "en"})
    assert page.status_code == 404
    assert "<html" in page.text
    problem = await browser.get("/api/v1/nowhere")
    assert problem.headers["content-type"] == "application/problem+json"
    body = problem.json()
    assert body["code"] == "page_not_found"
    assert body["status"] == 404
    assert body["request_id"] == problem.headers["x-request-id"]


async def test_unexpected_error_shows_a_request_id_and_nothing_else(browser, gate, caplog):
    async def broken(_):
        raise ValueError("secret detail")

    gate.caller_of_session = broken
    browser.cookies.set(SESSION_COOKIE, "li-token")
    answer = await browser.get("/", headers={"X-Request-ID": "abcdef0123456789"})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "abcdef0123456789" in answer.text
    assert [(r.msg, r.fields["request_id"]) for r in caplog.records if r.levelname == "ERROR"] == [
        ("request_failed", "abcdef0123456789")
    ]
    assert answer.headers["content-security-policy"]


async def test_headers_forbid_inline_script_and_framing(browser):
    page = await browser.get("/sign-in")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["cache-control"] == "private, no-store"
    assert not re.search(r"<script(?![^>]*src=)|<style| style=| on[a-z]+=", page.text)


async def test_static_files_are_kept_for_ever_under_their_hash(app, browser):
    asset = await browser.get(app.state.assets.url("css/theme.css"))
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-encoding"] == "gzip"
    stale = await browser.get("/static/000000000000/css/theme.css")
    assert stale.headers["cache-control"] == "no-cache"
    outside = await browser.get(app.state.assets.url("../app.py"))
    assert outside.status_code == 404


async def test_language_of_the_browser_then_of_the_cookie(browser):
    page = await browser.get("/sign-in", headers={"Accept-Language": "en-GB,en;q=0.9"})
    assert '<html lang="en">' in page.text
    form = {"csrf": token_in(page), "language": "zh-Hans", "next": "/sign-in"}
    answer = await browser.post("/language", data=form)
    assert answer.cookies[LANGUAGE_COOKIE] == "zh-Hans"
    page = await browser.get("/sign-in", headers={"Accept-Language": "en-GB,en;q=0.9"})
    assert '<html lang="zh-Hans">' in page.text


async def test_body_beyond_the_limit_is_refused(browser):
    await browser.get("/sign-in")
    answer = await browser.post("/sign-in", data={"login": "x" * (BODY_MAX_BYTES + 1)})
    assert answer.status_code == 413
