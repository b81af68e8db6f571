"""Nothing that anybody typed, sent or stored reaches the log: every way in carries a canary.

Both forms of the log are kept at once while a person, a program, a gateway, a mail server and the
database each say something that must not be repeated.
"""

import asyncio
import io
import json
import logging
import re

import httpx
import pytest

from meterhouse import logs
from meterhouse.flows import access, monitor, outbox
from meterhouse.headend.service import HeadEnd, HeadEndSettings
from meterhouse.notifiers import EmailNotifier
from meterhouse.store import queue
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.observe import Observer
from meterhouse.worker import Worker
from townhall import HOST, eventually

NAME = "Canary-Zhang"
PHONE = "13900007788"
SECRET = "canary-s3cret-passphrase"
KEY = "mh_canarykey0123456789"
ADDRESS = "canary@mail.example"
REGISTRATION = "CANARY-BOX-77"
CANARIES = (NAME, PHONE, SECRET, KEY, ADDRESS, REGISTRATION, "张三金丝雀")


@pytest.fixture
def heard():
    """What both forms of the log have written, libraries and all."""
    root, kept = logging.getLogger(), io.StringIO()
    level = root.level
    handlers = [logging.StreamHandler(kept), logging.StreamHandler(kept)]
    for handler, form in zip(handlers, (logs.JsonForm(), logs.TextForm()), strict=True):
        handler.setFormatter(form)
        root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield kept
    for handler in handlers:
        root.removeHandler(handler)
    root.setLevel(level)


def lines(kept):
    """What was written as JSON."""
    return [json.loads(one) for one in kept.getvalue().splitlines() if one.startswith("{")]


def events(kept):
    return {one["event"] for one in lines(kept)}


async def broken_statement(db, project_id):
    """A statement whose error quotes what was in it."""
    async with db.transaction([project_id]) as connection:
        await connection.execute(f"select '{NAME} {PHONE} 张三金丝雀'::int")


async def test_no_canary_of_people_and_programs_sings(db, new_site, clock, heard, monkeypatch):
    site = await new_site()
    await access.add_person(
        db, NAME.lower(), NAME, SECRET, "platform_administrator", "platform", 0, clock()
    )
    made = await access.add_client(db, "erp", NAME, "read_only", "platform", 0, clock())
    app = create_app(Services(db, clock, WebSettings(secure_cookies=False)))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    rooms = f"/projects/{site.project_id}/rooms"
    async with httpx.AsyncClient(transport=transport, base_url="http://desk") as browser:
        page = await browser.get("/sign-in", headers={"User-Agent": NAME})
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)[1]
        form = {"csrf": token, "login": PHONE, "password": SECRET, "next": f"/{NAME}"}
        assert (await browser.post("/sign-in", data=form)).status_code == 422
        form["login"] = NAME.lower()
        assert (await browser.post("/sign-in", data=form)).status_code == 303
        session = browser.cookies["meterhouse_session"]
        page = await browser.get(f"{rooms}?q={PHONE}")
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)[1]
        assert (await browser.get(f"/{NAME}/{PHONE}?key={KEY}")).status_code == 404
        where = f"/projects/{site.project_id}/points/{site.points[0]}/credits/add"
        form = {"csrf": token, "amount": NAME, "note": PHONE, "key": KEY}
        assert (await browser.post(where, data=form)).status_code == 422
        for key in (KEY, made[1]):
            headers = {"Authorization": f"Bearer {key}"}
            await browser.get(f"/api/v1{rooms}?q={NAME}", headers=headers)
        monkeypatch.setattr(monitor, "buildings", broken_statement)
        answer = await browser.get(rooms, headers={"X-Request-ID": "request-of-a-canary"})
        assert answer.status_code == 500
        assert "request-of-a-canary" in answer.text
        assert "invalid input" not in answer.text
    (failed,) = [one for one in lines(heard) if one["event"] == "request_failed"]
    assert failed["request_id"] == "request-of-a-canary"
    assert failed["error"]["sqlstate"] == "22P02"
    assert any("console/rooms.py" in frame for frame in failed["error"]["frames"])
    assert {"request", "request_failed"} <= events(heard)
    silent(heard, session, made[1])


async def test_no_canary_of_machines_sings(db, new_site, clock, heard, monkeypatch):
    site = await new_site(email=ADDRESS)
    await _strange_gateway(db, clock)
    monkeypatch.setattr(outbox, "BATCH", 1)
    await _refusing_mail_server(db, site, clock)
    monkeypatch.setattr(outbox, "deliver", lambda d, _n, project_id, _at: broken_statement(
        d, project_id
    ))  # fmt: skip
    worker = Worker(db, clock, 60, {})
    worker.start()
    await eventually(lambda: "work_failed" in events(heard))
    await worker.stop()
    asyncio.get_running_loop().call_exception_handler(
        {"message": f"{NAME} was never retrieved", "exception": ValueError(PHONE)}
    )
    logging.getLogger("uvicorn.error").error("bad request of %s", NAME)
    wanted = {"gateway_unknown", "driver_failed", "notice_not_taken", "work_failed", "library"}
    assert wanted <= events(heard)
    silent(heard)


async def _strange_gateway(db, clock):
    """An unknown box names itself oddly; a known line's driver quotes what it heard."""
    head = HeadEnd(db, clock, HeadEndSettings(port=0))
    await head.start()
    try:
        reader, writer = await asyncio.open_connection(HOST, head.port)
        writer.write(f"{REGISTRATION} {PHONE} 张三金丝雀\n".encode())
        assert await reader.read() == b""
        writer.close()
        reader, writer = await asyncio.open_connection(HOST, head.port)
        line = await eventually(lambda: next(iter(head._lines), None))
        await line.talk(_quoting_driver())
        writer.close()
    finally:
        await head.stop()


def _quoting_driver():
    raise ValueError(f"{NAME} said {KEY}")
    yield


async def _refusing_mail_server(db, site, clock):
    """A mail server turns us away, naming the recipient."""

    async def refuse(_, writer):
        writer.write(f"554 no mail for {ADDRESS} of {NAME}\r\n".encode())
        writer.close()

    server = await asyncio.start_server(refuse, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    customer = await site.row("select min(customer_id) as id from agreement")
    notice = queue.NewNotice("email", customer["id"], NAME, f"{NAME}, call {PHONE}", "canary")
    async with db.transaction([site.project_id]) as connection:
        await queue.insert_notices(connection, site.project_id, [notice], clock())
    channels = {"email": EmailNotifier(f"smtp://{NAME}:{SECRET}@{HOST}:{port}", "us@house.example")}
    assert await outbox.deliver(db, channels, site.project_id, clock()) == 0
    server.close()
    await server.wait_closed()


def silent(kept, *secrets):
    """No canary in either form, and both forms were heard."""
    said = kept.getvalue()
    assert lines(kept)
    assert any(not one.startswith("{") for one in said.splitlines())
    for canary in (*CANARIES, *secrets):
        assert canary.lower() not in said.lower(), canary
        assert json.dumps(canary)[1:-1].lower() not in said.lower(), canary


async def test_the_embedded_servers_own_log_quotes_nothing(db, new_site, postgres):
    site = await new_site()
    with pytest.raises(Exception, match=NAME):
        await broken_statement(db, site.project_id)
    assert NAME not in postgres.log_path.read_text()


async def test_an_answer_broken_off_counts_as_a_failure(heard):
    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError(NAME)

    async def send(_):
        pass

    scope = {"type": "http", "method": "GET", "path": f"/{NAME}"}
    with pytest.raises(ValueError, match=NAME):
        await Observer(half)(scope, None, send)
    (line,) = lines(heard)
    assert (line["route"], line["status"]) == ("none", 500)
    silent(heard)
