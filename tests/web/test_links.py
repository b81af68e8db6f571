"""Links by e-mail, forgotten passwords, and roles that need an authenticator."""

import re

import httpx
import pyotp
import pytest

from desk import key_in, send, signed_in, token_in
from meterhouse.flows import access, links, role
from meterhouse.flows.access import ROLES
from meterhouse.store.db import PLATFORM
from meterhouse.web.access import LANGUAGE_COOKIE
from meterhouse.web.app import Services, WebSettings, create_app
from premises import Clock, Taker
from small_site import NOW, PASSWORD

PUBLIC = "https://meters.example"


class Refuser(Taker):
    """A mail server that is away."""

    async def send(self, notice):
        raise OSError("away")


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def mail():
    return Taker()


@pytest.fixture
def desk(site, clock, mail):
    def open_browser(mail=mail, public_url=PUBLIC, **more):
        settings = WebSettings(secure_cookies=False, public_url=public_url, **more)
        services = Services(site.db, clock, settings, b"k" * 32, mail=mail)
        transport = httpx.ASGITransport(app=create_app(services))
        headers = {"Accept-Language": "en"}
        client = httpx.AsyncClient(transport=transport, base_url="http://desk", headers=headers)
        client.cookies.set(LANGUAGE_COOKIE, "en")
        return client

    return open_browser


@pytest.fixture
async def person(site):
    """Somebody new with one role; answers login and id."""
    made = []

    async def make(name="platform_administrator", kind="platform", place=0):
        async with site.db.transaction([PLATFORM]) as connection:
            number = await connection.fetchval("select count(*) from person")
        login = f"person{number}"
        made.append(
            await access.add_person(site.db, login, "Wu Lan", PASSWORD, name, kind, place, NOW)
        )
        return login, made[-1]

    return make


async def post(client, page, address, **fields):
    return await client.post(address, data={"csrf": token_in(page), **fields})


async def invite(here, site, login, email):
    base = f"/projects/{site.project_id}/staff/invite"
    form = await here.get(base)
    typed = {"key": key_in(form), "name": "Wang", "login": login, "email": email,
             "role": "cashier", "place": f"project:{site.project_id}"}  # fmt: skip
    return form, typed, await post(here, form, base, **typed)


async def test_an_invitation_is_sent_and_not_shown(desk, site, mail, person):
    chief, _ = await person()
    here = await signed_in(desk(), chief)
    form, typed, done = await invite(here, site, f"by-{chief}", "wang@example.org")
    assert "set-password" not in done.text
    assert "w***@example.org" in done.text
    (letter,) = mail.taken
    assert letter.recipient == "wang@example.org"
    assert f"by-{chief}" in letter.text
    link = re.search(rf"{PUBLIC}(/set-password\?token=[\w-]+)", letter.text)[1]
    await post(here, form, f"/projects/{site.project_id}/staff/invite", **typed)
    assert len(mail.taken) == 1
    assert (await desk().get(link)).status_code == 200


@pytest.mark.parametrize(
    ("mail", "public_url", "email"),
    [
        (None, PUBLIC, "wang@example.org"),
        (Taker(), "", "wang@example.org"),
        (Taker(), PUBLIC, ""),
        (Refuser(), PUBLIC, "wang@example.org"),
    ],
    ids=["no server", "no address of ours", "no address of theirs", "server away"],
)
async def test_a_link_that_cannot_be_sent_is_shown_once(
    desk, site, person, mail, public_url, email
):
    chief, _ = await person()
    here = await signed_in(desk(mail, public_url), chief)
    _, _, done = await invite(here, site, f"by-{chief}", email)
    origin = public_url or "http://desk"
    assert re.search(rf"{origin}/set-password\?token=[\w-]+", done.text)
    assert mail is None or mail.taken == []


async def test_a_link_is_shown_on_request_and_the_one_that_went_astray_dies(
    desk, site, mail, person
):
    chief, _ = await person()
    here = await signed_in(desk(), chief)
    await invite(here, site, f"by-{chief}", "wrong@example.org")
    astray = re.search(rf"{PUBLIC}(/set-password\?token=[\w-]+)", mail.taken[0].text)[1]
    async with site.db.transaction([PLATFORM]) as connection:
        sql = "select id from person where login = $1"
        number = await connection.fetchval(sql, f"by-{chief}")
    address = f"/projects/{site.project_id}/staff/{number}/reset"
    done = await send(here, address, is_shown="true")
    fresh = re.search(rf"{PUBLIC}(/set-password\?token=[\w-]+)", done.text)[1]
    assert len(mail.taken) == 1
    assert (await desk().get(astray)).status_code == 404
    assert (await desk().get(fresh)).status_code == 200


async def test_a_forgotten_password_is_replaced_by_a_letter(desk, site, mail, person, clock):
    login, number = await person("read_only", "project", site.project_id)
    await links.set_email(site.db, number, "wu@example.org")
    here = desk()
    page = await here.get("/sign-in/forgotten")
    said = {
        re.sub(r"[0-9a-f]{16,}", "#", (await post(here, page, page.url.path, login=one)).text)
        for one in (login, "nobody-at-all", "", "li")
    }
    assert len(said) == 1
    assert [one.recipient for one in mail.taken] == ["wu@example.org"]
    # Nobody fills somebody else's letter box.
    await post(here, page, page.url.path, login=login)
    assert len(mail.taken) == 1
    clock.step(minutes=6)
    await post(here, page, page.url.path, login=login)
    old, new = (re.search(r"token=([\w-]+)", one.text)[1] for one in mail.taken)
    assert (await here.get(f"/set-password?token={old}")).status_code == 404
    form = await here.get(f"/set-password?token={new}")
    chosen = "several unrelated words"
    done = await post(here, form, "/set-password", token=new, new=chosen, again=chosen)
    assert done.status_code == 303


async def test_who_is_shut_out_or_no_staff_gets_no_letter(desk, site, mail, person):
    login, number = await person("read_only", "project", site.project_id)
    await links.set_email(site.db, number, "wu@example.org")
    async with site.db.transaction([PLATFORM]) as connection:
        await connection.execute("update person set disabled_at = $1 where id = $2", NOW, number)
    here = desk()
    page = await here.get("/sign-in/forgotten")
    for one in (login, "erp"):
        await post(here, page, page.url.path, login=one)
    assert mail.taken == []


async def test_without_e_mail_the_page_says_whom_to_ask(desk):
    for here in (desk(None), desk(Taker(), "")):
        page = await here.get("/sign-in/forgotten")
        assert "sends no e-mail" in page.text
        assert '<form method="post" action="/sign-in/forgotten"' not in page.text


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        ("/sign-in", {"login": "li", "password": "wrong"}),
        ("/sign-in/code", {"code": "000000"}),
        ("/sign-in/forgotten", {"login": "li"}),
        ("/set-password", {"token": "none", "new": "x", "again": "x"}),
    ],
)
async def test_every_door_counts_tries_by_address(desk, address, fields):
    here = desk(sign_ins_a_minute=3)
    page = await here.get("/sign-in")
    codes = [(await post(here, page, address, **fields)).status_code for _ in range(4)]
    assert codes[-1] == 429
    assert 429 not in codes[:3]


async def test_ones_own_e_mail_is_shown_masked_and_changed(desk, site, person):
    login, number = await person("read_only", "project", site.project_id)
    here = await signed_in(desk(), login)
    page = await here.get("/account")
    for wrong in ("no", "a@b,c@d"):
        assert (await post(here, page, "/account/email", email=wrong)).status_code == 422
    assert (await post(here, page, "/account/email", email="wu@example.org")).status_code == 303
    shown = await here.get("/account")
    assert "w***@example.org" in shown.text
    assert "wu@example.org" not in shown.text
    assert (await links.reader(site.db, number)).email == "wu@example.org"


async def test_a_rule_leads_whoever_has_no_authenticator_to_set_one_up(desk, site, person, clock):
    login, number = await person("finance", "project", site.project_id)
    chief, _ = await person()
    boss = await signed_in(desk(), chief)
    form = await boss.get("/platform/codes/set")
    version = re.search(r'name="version"[^>]* value="(\d+)"', form.text)[1]
    asked = {"csrf": token_in(form), "version": version, "roles": ["finance"]}
    done = await boss.post("/platform/codes/set", data={**asked, "key": key_in(form)})
    assert done.status_code == 303
    # Somebody who looked at it before that does not undo it unseen.
    late = await boss.post("/platform/codes/set", data={**asked, "key": "k" * 32, "roles": []})
    assert (late.status_code, "Somebody else changed this" in late.text) == (412, True)
    assert "Finance" in (await boss.get("/platform/staff")).text

    here = await signed_in(desk(), login)
    rooms = f"/projects/{site.project_id}/rooms"
    for address in ("/", rooms, "/roles"):
        led = await here.get(address)
        assert (led.status_code, led.headers["location"]) == (303, "/account/authenticator")
    part = await here.get(rooms, headers={"HX-Request-Type": "partial"})
    assert (part.status_code, part.headers["hx-redirect"]) == (204, "/account/authenticator")
    lead = await here.get("/account/authenticator")
    assert "Your role needs an authenticator" in lead.text
    shown = await post(here, lead, "/account/authenticator")
    secret = re.search(r"<details>.*?<code>([A-Z2-7 ]+)</code>", shown.text, re.S)[1]
    code = pyotp.TOTP(secret.replace(" ", "")).at(clock())
    done = await post(here, shown, "/account/authenticator/confirm", code=code)
    assert done.status_code == 200
    assert (await here.get(rooms)).status_code == 200
    assert (await here.get("/account/authenticator")).status_code == 303
    assert not (await access.known_by_id(site.db, number)).needs_code
    await role.set_code_rule(site.db, 0, ())


async def test_a_groups_rule_holds_in_its_projects_alone_and_not_for_programs(site, person):
    _, one = await person("cashier", "project", site.project_id)
    _, head = await person("group_head_office", "group", 1)
    async with site.db.transaction([PLATFORM]) as connection:
        erp = await connection.fetchval("select id from person where login = 'erp'")

    async def needing():
        known = [await access.known_by_id(site.db, number) for number in (one, head, erp)]
        return [who.needs_code for who in known]

    group_id = (await access.known_by_id(site.db, one)).reaches[0].group_id
    await role.set_code_rule(site.db, group_id, ["cashier", "project_manager"])
    assert await needing() == [True, False, False]
    await role.set_code_rule(site.db, group_id + 1, ["cashier"])
    await role.set_code_rule(site.db, group_id, [])
    assert await needing() == [False, False, False]
    await role.set_code_rule(site.db, group_id + 1, [])
    await role.set_code_rule(site.db, 0, sorted(ROLES))
    assert await needing() == [True, True, False]
    await role.set_code_rule(site.db, 0, ())
    with pytest.raises(role.RoleUnusable):
        await role.set_code_rule(site.db, 0, ["night_porter"])


async def test_an_own_role_may_need_one(site, person):
    _, chief = await person()
    name = f"porter{chief}"
    await role.put(site.db, chief, name, "Porter", ["room.read"], NOW, needs_code=True)
    _, number = await person(name, "project", site.project_id)
    assert (await access.known_by_id(site.db, number)).needs_code
    await role.put(site.db, chief, name, "Porter", ["room.read"], NOW)
    assert not (await access.known_by_id(site.db, number)).needs_code
