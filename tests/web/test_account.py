"""One's own account at the console, the second step, and proving oneself before a weighty act."""

import re

import httpx
import pyotp
import pytest

from desk import key_in, signed_in, token_in
from meterhouse.flows import access, staff
from meterhouse.flows.access import ScopeKind
from meterhouse.store import audit
from meterhouse.store.db import DatabaseBusy
from meterhouse.web.access import LANGUAGE_COOKIE, SESSION_COOKIE
from meterhouse.web.app import Services, WebSettings, create_app
from premises import Clock
from small_site import NOW, PASSWORD

ANOTHER = "quite-another-long-one"


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def app(site, clock):
    settings = WebSettings(secure_cookies=False)
    return create_app(Services(site.db, clock, settings, secret_key=b"k" * 32))


@pytest.fixture
def desk(app):
    def open_browser():
        transport = httpx.ASGITransport(app=app)
        headers = {"Accept-Language": "en", "User-Agent": "Firefox/140 (Windows)"}
        client = httpx.AsyncClient(transport=transport, base_url="http://desk", headers=headers)
        client.cookies.set(LANGUAGE_COOKIE, "en")
        return client

    return open_browser


@pytest.fixture
async def chief(site):
    """A manager of this test alone; answers the login."""
    login = f"chief{await _next(site)}"
    await access.add_person(
        site.db, login, "Chief", PASSWORD, "project_manager", "project", site.project_id, NOW
    )
    return login


async def _next(site):
    async with site.db.transaction([0]) as connection:
        return await connection.fetchval("select count(*) from person")


async def post(client, page, address, **fields):
    return await client.post(address, data={"csrf": token_in(page), **fields})


async def test_an_authenticator_is_set_up_used_and_taken_off(desk, chief, clock):
    here = await signed_in(desk(), chief)
    page = await here.get("/account")
    shown = await post(here, page, "/account/authenticator")
    assert "<svg" in shown.text
    secret = re.search(r"<details>.*?<code>([A-Z2-7 ]+)</code>", shown.text, re.S)[1]
    codes = pyotp.TOTP(secret.replace(" ", ""))
    wrong = await post(here, shown, "/account/authenticator/confirm", code="000000")
    assert (wrong.status_code, secret in wrong.text) == (422, True)
    done = await post(here, wrong, "/account/authenticator/confirm", code=codes.at(clock()))
    recovery = re.findall(r"<code>(\w{5}-\w{5})</code>", done.text)
    assert len(recovery) == 10

    there, at = desk(), clock.step(minutes=1)
    form = await there.get("/sign-in?next=/roles")
    waiting = await post(there, form, "/sign-in", login=chief, password=PASSWORD, next="/roles")
    assert waiting.headers["location"] == "/sign-in/code?next=%2Froles"
    assert (await there.get("/roles")).headers["location"].startswith("/sign-in")
    second = await there.get(waiting.headers["location"])
    assert (await post(there, second, "/sign-in/code", code="123456")).status_code == 422
    opened = await post(there, second, "/sign-in/code", code=codes.at(at), next="/roles")
    assert opened.headers["location"] == "/roles"
    assert (await there.get("/roles")).status_code == 200

    page = await there.get("/account")
    assert "Recovery codes left: 10" in page.text
    await post(there, page, "/account/authenticator/off")
    assert "Recovery codes left" not in (await there.get("/account")).text


async def test_a_weighty_act_asks_for_proof_and_goes_on_with_what_was_typed(
    desk, chief, site, clock
):
    here = await signed_in(desk(), chief)
    base = f"/projects/{site.project_id}/staff"
    form = await here.get(f"{base}/invite")
    clock.step(minutes=11)
    typed = {"key": key_in(form), "name": "Wang", "login": f"w{clock.at:%M%S}{chief}",
             "role": "cashier", "place": f"project:{site.project_id}"}  # fmt: skip
    asked = await post(here, form, f"{base}/invite", **typed)
    assert asked.status_code == 403
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked.text))
    assert hidden.items() >= typed.items()
    wrong = await post(here, asked, f"{base}/invite", **typed, proof="wrong")
    assert (wrong.status_code, "That is not it" in wrong.text) == (403, True)
    before = here.cookies[SESSION_COOKIE]
    done = await post(here, asked, f"{base}/invite", **typed, proof=PASSWORD)
    link = re.search(r"http://desk(/set-password\?token=[\w-]+)", done.text)[1]
    assert here.cookies[SESSION_COOKIE] != before
    # The token of a page opened before the proof still seals its forms.
    again = await post(here, form, f"{base}/invite", **typed)
    assert (again.status_code, link in again.text) == (200, False)
    assert "It was shown once" in again.text

    there = desk()
    page = await there.get(link)
    token = link.partition("=")[2]
    plain = await post(there, page, "/set-password", token=token, new="aaaaaaaaaaaa",
                       again="aaaaaaaaaaaa")  # fmt: skip
    assert plain.status_code == 422
    good = "several unrelated words"
    chosen = await post(there, page, "/set-password", token=token, new=good, again=good)
    assert chosen.headers["location"] == "/sign-in?done=password"
    assert (await there.get(link)).status_code == 404


async def test_keys_are_shown_once_and_never_kept(desk, chief, site):
    here = await signed_in(desk(), chief)
    base = f"/projects/{site.project_id}/clients"
    form = await here.get(f"{base}/add")
    typed = {"key": key_in(form), "name": "Robot", "role": "read_only",
             "place": f"project:{site.project_id}", "days": "30"}  # fmt: skip
    done = await post(here, form, f"{base}/add", **typed)
    key = re.search(r"mh_[\w-]{40,}", done.text)[0]
    assert (await access.known_by_key(site.db, key, NOW)).name == "Robot"
    assert key not in (await post(here, form, f"{base}/add", **typed)).text
    async with site.db.transaction([0, site.project_id]) as connection:
        for table in ("answer", "audit_entry", "client_key"):
            rows = await connection.fetch(f"select t::text as line from {table} t")
            assert not any(key in row["line"] for row in rows)


async def test_sessions_are_seen_and_ended(desk, chief):
    here, there = await signed_in(desk(), chief), await signed_in(desk(), chief)
    page = await here.get("/account")
    assert page.text.count("Firefox on Windows</td>") == 2
    number = re.search(r"/account/sessions/(\d+)/end", page.text)[1]
    await post(here, page, f"/account/sessions/{number}/end")
    assert (await there.get("/account")).status_code == 303
    assert (await here.get("/account")).status_code == 200


async def test_a_password_is_changed_by_who_knows_it(desk, chief):
    here, there = await signed_in(desk(), chief), await signed_in(desk(), chief)
    page, new = await here.get("/account"), "several unrelated words"
    for fields, said in (
        ({"old": "wrong", "new": new, "again": new}, "present password is wrong"),
        ({"old": PASSWORD, "new": new, "again": "else"}, "not the same"),
        ({"old": PASSWORD, "new": "123456789012", "again": "123456789012"}, "soon guessed"),
    ):
        answer = await post(here, page, "/account/password", **fields)
        assert (answer.status_code, said in answer.text) == (422, True)
    done = await post(here, page, "/account/password", old=PASSWORD, new=new, again=new)
    assert done.status_code == 303
    assert (await there.get("/account")).status_code == 303


async def test_a_disabled_person_and_an_unknown_link_learn_nothing(desk, site, chief):
    async with site.db.transaction([0]) as connection:
        row = await access.people.person_of_login(connection, chief)
    admin = await access.add_person(
        site.db, f"admin-{chief}", "Boss", PASSWORD, "platform_administrator", "platform", 0, NOW
    )
    await staff.set_disabled(site.db, admin, ScopeKind.PLATFORM, 0, row["id"], True, NOW)
    texts = set()
    for login in (chief, "nobody-at-all"):
        here = desk()
        answer = await post(
            here, await here.get("/sign-in"), "/sign-in", login=login, password=PASSWORD
        )
        texts.add(re.sub(r"[0-9a-f]{16,}", "#", answer.text).replace(login, "?"))
    assert len(texts) == 1
    assert (await desk().get("/set-password?token=none")).status_code == 404


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("password", {"old": PASSWORD, "new": ANOTHER, "again": ANOTHER}),
        ("email", {"email": "chief@example.org"}),
        ("sessions/end-others", {}),
        ("authenticator/off", {}),
        ("recovery", {}),
    ],
)  # fmt: skip
async def test_what_cannot_be_written_down_is_not_done(
    app, desk, chief, site, clock, monkeypatch, path, fields
):
    await signed_in(desk(), chief)
    here = await signed_in(desk(), chief)
    await enrolled(here, clock)
    page = await here.get("/account")

    async def full(*_):
        raise DatabaseBusy(why="no room")

    before = await all_of(site, chief)
    with monkeypatch.context() as broken:
        broken.setattr(audit, "write", full)
        refused = await post(here, page, f"/account/{path}", **fields)
        assert refused.status_code == 503
    assert await all_of(site, chief) == before
    done = await post(here, page, f"/account/{path}", **fields)
    assert done.status_code in (200, 303)
    after = await all_of(site, chief)
    assert after.pop("entries") == before.pop("entries") + 1
    assert after != before


async def enrolled(client, clock):
    """An authenticator in use, as it is set up at the console."""
    shown = await post(client, await client.get("/account"), "/account/authenticator")
    secret = re.search(r"<details>.*?<code>([A-Z2-7 ]+)</code>", shown.text, re.S)[1]
    code = pyotp.TOTP(secret.replace(" ", "")).at(clock())
    assert (
        await post(client, shown, "/account/authenticator/confirm", code=code)
    ).status_code == 200


async def all_of(site, login):
    """Whatever an act under /account may change, and how many entries tell of the person."""
    async with site.db.transaction([0]) as connection:
        row = await connection.fetchrow(
            """select p.password_hash, p.totp_from, h.email,
                   (select count(*) from session s where s.person_id = p.id) as sessions,
                   (select array_agg(c.code_hash order by c.code_hash) from recovery_code c
                    where c.person_id = p.id) as codes,
                   (select count(*) from audit_entry e where e.project_id = 0
                    and e.object = 'person:' || p.id) as entries
               from person p join personal h on (h.project_id, h.id) = (0, p.personal_id)
               where p.login = $1""",
            login,
        )  # fmt: skip
    return dict(row)
