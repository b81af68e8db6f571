"""What every answer carries, what is noted of every request, and what machines are told."""

import logging
import re

import httpx
import pytest
from prometheus_client import REGISTRY as DEFAULT
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from meterhouse import metrics
from meterhouse.web.access import SESSION_COOKIE, check_routes
from meterhouse.web.app import BODY_MAX_BYTES, Services, WebSettings, create_app
from meterhouse.web.observe import NO_ROUTE, STATIC

CARRIED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
}
POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'",
    "img-src": "'self' data:", "font-src": "'self'", "connect-src": "'self'",
    "manifest-src": "'self'", "form-action": "'self'", "frame-ancestors": "'none'",
    "base-uri": "'none'",
}  # fmt: skip


@pytest.fixture
def unfit():
    """Why nothing should be sent here; a test may say so."""
    return []


@pytest.fixture
def secure_app(app, gate, unfit):
    """The application as it stands behind TLS."""
    clock = app.state.services.clock
    services = Services(None, clock, WebSettings(), unfit=lambda: unfit[0] if unfit else None)
    return create_app(services, gate)


@pytest.fixture
async def outsider(secure_app):
    """A program that has proved nothing."""
    transport = httpx.ASGITransport(app=secure_app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://house") as client:
        yield client


def carries_everything(answer):
    assert CARRIED.items() <= dict(answer.headers).items(), answer.request.url
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy == POLICY
    assert "camera=()" in answer.headers["permissions-policy"]
    assert re.fullmatch("[A-Za-z0-9_-]{8,64}", answer.headers["x-request-id"])
    return answer


def address_of(path):
    return re.sub(r"{[^}]+}", "1", path)


async def test_every_route_carries_every_header_and_is_named_by_its_template(
    secure_app, outsider, monkeypatch
):
    seen = []
    monkeypatch.setattr(metrics, "answered", lambda *one: seen.append(one[:2]))
    for method, path, _ in check_routes(secure_app):
        seen.clear()
        answer = carries_everything(await outsider.request(method, address_of(path)))
        assert answer.headers["cache-control"] == "private, no-store"
        assert seen == [(method, path)]


async def test_pages_errors_and_files_carry_every_header(secure_app, gate, outsider, browser):
    asset = secure_app.state.assets.url
    wanted = {
        ("GET", "/sign-in"): 200,
        ("GET", "/nowhere"): 404,
        ("GET", "/api/v1/nowhere"): 404,
        ("PUT", "/health/live"): 405,
        ("GET", asset("css/theme.css")): 200,
        ("GET", asset("none.css")): 404,
        ("POST", asset("css/theme.css")): 405,
        ("POST", "/sign-in"): 403,
    }
    for (method, path), status in wanted.items():
        answer = carries_everything(await outsider.request(method, path))
        assert answer.status_code == status, path
        kept = "css/theme" in path and status == 200
        cache = "public, max-age=31536000, immutable" if kept else "private, no-store"
        assert answer.headers["cache-control"] == cache

    async def broken(_):
        raise ValueError("secret")

    gate.caller_of_session = broken
    outsider.cookies.set(SESSION_COOKIE, "li-token")
    assert carries_everything(await outsider.get("/")).status_code == 500
    plain = await browser.get("/sign-in")
    assert "strict-transport-security" not in plain.headers


async def pieces(count):
    for _ in range(count):
        yield b"&" + b"x" * 99_999


@pytest.mark.parametrize(
    "content", [b"x" * (BODY_MAX_BYTES + 1), pieces(BODY_MAX_BYTES // 100_000 + 1)],
    ids=["declared", "in pieces"],
)  # fmt: skip
async def test_what_is_too_large_gets_a_whole_answer(outsider, content):
    form = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Language": "en"}
    answer = carries_everything(await outsider.post("/sign-in", content=content, headers=form))
    assert answer.status_code == 413
    assert "too large" in answer.text


@pytest.mark.parametrize("given", ["short", "with space", "x" * 65, "a;b=c,d\u00e9f", ""])
async def test_a_request_id_that_is_not_one_is_replaced(outsider, given):
    answer = await outsider.get("/health/live", headers={"X-Request-ID": given.encode()})
    assert answer.headers["x-request-id"] != given
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


async def test_the_request_id_is_in_header_problem_page_and_log(outsider, browser, caplog):
    caplog.set_level(logging.INFO)
    headers = {"X-Request-ID": "Proxy_id-0001", "Accept-Language": "en"}
    problem = await outsider.get("/api/v1/nowhere", headers=headers)
    assert problem.headers["x-request-id"] == problem.json()["request_id"] == "Proxy_id-0001"
    page = await browser.get("/nowhere", headers=headers)
    assert "Proxy_id-0001" in page.text
    ours = [one for one in caplog.records if one.name.startswith("meterhouse.")]
    assert [one.fields["request_id"] for one in ours] == ["Proxy_id-0001"] * 2


async def test_of_a_request_numbers_and_the_template_are_noted(outsider, gate, caplog):
    caplog.set_level(logging.INFO)
    outsider.cookies.set(SESSION_COOKIE, "li-token")
    await outsider.get("/projects/1/alarms?q=13900007788")
    await outsider.request("CANARY", "/nowhere")
    await outsider.get("/static/0/css/theme.css")
    await outsider.get("/health/live")  # worth no line
    said = [one.fields for one in caplog.records if one.msg == "request"]
    for one in said:
        assert one.pop("duration_ms") >= 0
        del one["request_id"]
    nobody = {"person_id": None, "project_id": None}
    assert said == [
        {
            "method": "GET", "route": "/projects/{project_id}/alarms", "status": 500,
            "person_id": 1, "project_id": 1,
        },  # there is no database behind this application
        {"method": "other", "route": NO_ROUTE, "status": 404, **nobody},
        {"method": "GET", "route": STATIC, "status": 200, **nobody},
    ]  # fmt: skip


def figures(text):
    """Every sample as {(name, labels)}: figure."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_requests_are_counted_by_template_and_class_of_status(outsider):
    name = "meterhouse_requests_total"
    key = (name, (("method", "GET"), ("route", NO_ROUTE), ("status", "4xx")))
    before = figures(generate_latest(metrics.REGISTRY).decode()).get(key, 0)
    for number in range(3):
        await outsider.get(f"/nowhere/{number}")
    after = figures(generate_latest(metrics.REGISTRY).decode())
    assert after[key] == before + 3
    assert after["meterhouse_requests_in_flight", ()] == 0
    assert not any("nowhere" in str(labels) for _, labels in after)
    assert "meterhouse" not in generate_latest(DEFAULT).decode()


async def test_health_is_open_to_all_and_says_one_word(outsider, unfit):
    assert (await outsider.get("/health/ready")).json() == {"status": "ready"}
    unfit.append("database")
    answer = await outsider.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "failed": "database"}
    live = await outsider.get("/health/live")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
