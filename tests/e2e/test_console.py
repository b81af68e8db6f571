"""The console in a real browser: what a manager sees and does, in both languages, on both screens.

The application runs in this process on a free port; Chromium is the machine's own.
"""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect

import browsing
from browsing import DESKTOP, PHONE, TABLET, entered, overhear, serving
from meterhouse.flows import command, recharge, task
from meterhouse.model import Relay
from meterhouse.ports import Effect, Outcome, Values
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.works import works
from small_site import NOW, PASSWORD, small_site

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
TARGET_PX_MIN = 44


@pytest.fixture(scope="module")
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture(scope="module")
async def address(site):
    """Where the console listens."""
    app = create_app(Services(site.db, lambda: NOW, WebSettings("meterhouse", False)))
    async with serving(app) as listening:
        yield listening


@pytest.fixture(scope="module")
async def chromium():
    async with browsing.chromium() as browser:
        yield browser


@pytest.fixture
async def open_page(chromium, address):
    """Makes signed-in pages; fails the test when a page reported an error of its own."""
    contexts, complaints = [], []

    async def make(language="en", viewport=DESKTOP, login="li", where=address):
        context = await chromium.new_context(
            base_url=where, viewport=viewport, locale="en-US", reduced_motion="reduce"
        )
        contexts.append(context)
        cookie = {"name": "meterhouse_language", "value": language, "url": where}
        await context.add_cookies([cookie])
        page = await context.new_page()
        overhear(page, complaints)
        await sign_in(page, login=login)
        await entered(page)
        return page

    yield make
    for context in contexts:
        await context.close()
    assert complaints == []


async def sign_in(page, password=PASSWORD, login="li"):
    await page.goto("/sign-in")
    await page.fill("#login", login)
    await page.fill("#password", password)
    await page.click("main .btn-primary")


def tile(page, room):
    return page.locator(".tiles a", has=page.get_by_text(room, exact=True))


async def test_wrong_password_is_told_beside_the_form_and_the_name_stays(chromium, address):
    context = await chromium.new_context(base_url=address, locale="zh-CN")
    page = await context.new_page()
    await sign_in(page, "not-the-password")
    await expect(page.get_by_role("alert")).to_contain_text("用户名或密码错误")
    await expect(page.locator("#login")).to_have_value("li")
    await context.close()


async def test_board_filters_at_once_and_the_address_remembers(open_page):
    page = await open_page()
    await expect(page).to_have_url(re.compile(r"/projects/\d+/rooms$"))
    await expect(page.locator(".tiles a:visible")).to_have_count(6)
    await page.get_by_role("button", name="Offline 1").click()
    await expect(page.locator(".tiles a:visible")).to_have_count(1)
    await expect(page).to_have_url(re.compile(r"\?state=offline$"))
    await page.reload()
    await expect(page.locator(".tiles a:visible")).to_have_count(1)
    await page.get_by_role("button", name=re.compile("^All")).click()
    await page.get_by_role("searchbox").fill("a101")
    await expect(page.locator(".tiles a:visible")).to_have_text([re.compile("A101")])
    await page.get_by_role("searchbox").fill("nobody")
    await expect(page.get_by_text("No room matches.")).to_be_visible()


async def test_what_is_pressed_while_it_moves_is_done_and_nothing_is_lost(open_page, site):
    """The preview comes between press and release, and moves the button from under the pointer."""
    page = await open_page()
    held, let_go = asyncio.Event(), asyncio.Event()

    async def hold(route):
        held.set()
        await let_go.wait()
        await route.continue_()

    await page.goto(f"/projects/{site.project_id}/rooms/{site.rooms['A102'].place_id}")
    await page.get_by_role("button", name="Recharge").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Amount")).to_be_focused()
    # The one that this amount brings, not the one that came with the form.
    await page.route("**/preview?*50.005*", hold)
    await dialog.get_by_label("Amount").fill("50.005")
    await held.wait()
    button = dialog.get_by_role("button", name="Recharge")
    stood = await button.bounding_box()
    await button.hover()
    await page.mouse.down()
    let_go.set()
    await expect(dialog.locator(".preview")).to_contain_text("with at most 2 decimals")
    moved = await button.bounding_box()
    assert moved["y"] > stood["y"] + stood["height"] / 2  # else it would be pressed anyway
    await page.mouse.up()
    await expect(dialog.locator(".invalid-feedback")).to_contain_text("with at most 2 decimals")

    # Who moves away before letting go has changed their mind, and keeps what was typed.
    await button.hover()
    await page.mouse.down()
    await page.mouse.move(10, 10)
    await page.mouse.up()
    await expect(dialog.get_by_label("Amount")).to_have_value("50.005")
    await page.mouse.click(10, 10)
    await expect(dialog).to_be_hidden()


async def test_what_is_pressed_or_typed_before_the_page_hears_is_done_once_it_does(open_page, site):
    """As on a slow line: the page is seen, and one of its scripts comes last."""
    page = await open_page()
    room = f"/projects/{site.project_id}/rooms/{site.rooms['A101'].place_id}"
    box = page.get_by_role("combobox", name="Room, person, meter or order")
    dialog = page.get_by_role("dialog")
    for script in ("htmx.min.js", "frame.js", "search.js"):
        asked = asyncio.Queue()
        await page.route(f"**/{script}", asked.put)
        await page.goto(room, wait_until="commit")
        late = await asked.get()
        await box.fill("B10")
        await page.get_by_role("button", name="Disconnect").click()
        await expect(dialog).to_be_hidden()
        await late.continue_()
        await expect(dialog.get_by_label("Reason")).to_be_focused()

        await page.goto(room, wait_until="commit")
        late = await asked.get()
        await box.fill("B101")
        await late.continue_()
        await expect(page.get_by_role("option").first).to_contain_text("B101")
        await page.unroute(f"**/{script}")


@pytest.mark.parametrize("script", ["frame.js", "htmx.min.js"])
async def test_a_page_whose_script_never_comes_is_plain_and_its_forms_work(open_page, site, script):
    """As where a proxy keeps it back: the form opens as a page, and is sent as one."""
    page = await open_page()
    await page.route(f"**/{script}", lambda route: route.abort())
    await page.goto(f"/projects/{site.project_id}/rooms/{site.rooms['B102'].place_id}")
    await page.get_by_role("button", name="Disconnect").click()
    await expect(page).to_have_url(re.compile("/disconnect$"))
    await page.get_by_role("button", name="Disconnect").click()
    await expect(page.locator("main .invalid-feedback")).to_be_visible()
    await page.get_by_label("Reason").fill("repair of the wiring")
    await page.get_by_role("button", name="Disconnect").click()
    await expect(page.locator("main")).to_contain_text("Queued")
    await page.get_by_role("link", name="Alarms").first.click()
    await expect(page).to_have_url(re.compile("/alarms$"))
    # Nothing is left for others to wait behind.
    at = NOW + timedelta(seconds=5)
    claimed = await command.claim(site.db, site.project_id, 1, at)
    await command.finish(site.db, claimed, Outcome(Effect.NOT_DONE, why="refused"), at)


async def test_board_follows_what_happens_without_being_loaded_again(open_page, site):
    page = await open_page()
    await expect(tile(page, "A103")).to_contain_text("Owing")
    await page.evaluate("window.stayed = true")
    room = site.rooms["A103"]
    await recharge.add_credit(
        site.db, site.project_id, room.point_id, 100_000, "cash", "live", "", None, NOW
    )
    await expect(tile(page, "A103")).to_contain_text("Normal")
    await expect(page.get_by_role("button", name="Owing 0")).to_be_visible()
    assert await page.evaluate("window.stayed")


async def test_disconnect_says_what_happens_asks_why_and_shows_the_proof(open_page, site):
    page = await open_page()
    room = site.rooms["A101"]
    await page.goto(f"/projects/{site.project_id}/rooms/{room.place_id}")
    await page.get_by_role("button", name="Disconnect").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("Power is cut off at once")
    await expect(dialog.get_by_label("Reason")).to_be_focused()
    await dialog.get_by_label("Reason").fill("repair of the wiring")
    await dialog.get_by_role("button", name="Disconnect").click()
    await expect(dialog).to_contain_text("Queued")
    at = NOW + timedelta(seconds=5)
    gateway_id = 1
    claimed = await command.claim(site.db, site.project_id, gateway_id, at)
    await expect(dialog).to_contain_text("Sent, waiting for proof")
    done = Outcome(Effect.DONE, Values(relay=Relay.OPEN))
    await command.finish(site.db, claimed, done, at)
    await expect(dialog).to_contain_text("Confirmed")
    await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#now")).to_contain_text("Power off")
    await expect(page.locator("#now")).to_contain_text("repair of the wiring")


async def test_credit_is_refused_beside_the_field_then_added(open_page, site):
    page = await open_page("zh-Hans")
    room = site.rooms["A102"]
    await page.goto(f"/projects/{site.project_id}/rooms/{room.place_id}")
    await page.get_by_role("button", name="充值").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("金额").fill("一百")
    await dialog.get_by_role("button", name="充值").click()
    await expect(dialog.locator(".invalid-feedback")).to_contain_text("最多 2 位小数")
    await expect(dialog.get_by_label("金额")).to_have_value("一百")
    await dialog.get_by_label("金额").fill("100")
    await dialog.get_by_label("金额").press("Enter")
    await expect(dialog.locator("#sold")).to_contain_text("¥100.00")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.locator("#now")).to_contain_text("¥109.00")


async def test_list_filters_without_losing_what_is_typed(open_page, site):
    page = await open_page()
    await page.goto(f"/projects/{site.project_id}/meters")
    await page.get_by_role("searchbox", name="Search").press_sequentially("B10")
    await expect(page.locator("#list tbody tr")).to_have_count(2)
    await expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    await expect(page).to_have_url(re.compile("text=B10"))
    async with page.expect_download() as download:
        await page.get_by_role("link", name="XLSX").click()
    assert (await download.value).suggested_filename == "meters.xlsx"


async def test_language_is_switched_on_the_page(open_page):
    page = await open_page()
    await page.get_by_role("button", name="English").click()
    await page.get_by_role("button", name="简体中文").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("房间监控")


def pages_of(site):
    project = f"/projects/{site.project_id}"
    names = ("rooms", "alarms", "meters", "gateways", "commands", "notices")
    room = f"{project}/rooms/{site.rooms['A101'].place_id}"
    return [*(f"{project}/{name}" for name in names), room, f"{project}/rooms/999999", "/sign-in"]


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
@pytest.mark.parametrize("viewport", [DESKTOP, TABLET, PHONE], ids=["1440", "1024", "390"])
async def test_no_page_scrolls_sideways(open_page, site, language, viewport):
    page = await open_page(language, viewport)
    for path in pages_of(site):
        await page.goto(path)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], path


@pytest.mark.parametrize(("language", "viewport"), [("en", DESKTOP), ("zh-Hans", PHONE)])
async def test_every_page_is_accessible(open_page, site, language, viewport):
    page = await open_page(language, viewport)
    for path in pages_of(site):
        await page.goto(path)
        await page.evaluate(AXE.read_text(encoding="utf-8"))
        found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], path


async def test_targets_on_a_phone_are_large_enough(open_page, site):
    page = await open_page("zh-Hans", PHONE)
    small = """() => [...document.querySelectorAll("a, button, input, select")]
        .filter((one) => one.offsetParent && !one.classList.contains("skip")
            && one.type !== "hidden")
        .map((one) => [one.outerHTML.slice(0, 80),
            (one.closest("label") ?? one).getBoundingClientRect().height])
        .filter(([, height]) => height < %d)"""
    for path in pages_of(site):
        await page.goto(path)
        assert await page.evaluate(small % TARGET_PX_MIN) == [], path


async def test_menu_opens_on_a_phone(open_page):
    page = await open_page("zh-Hans", PHONE)
    await page.get_by_role("button", name="菜单").click()
    await page.get_by_role("link", name="报警", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("报警")


async def test_many_are_disconnected_with_the_keyboard_and_watched(open_page, site):
    page = await open_page()
    await page.goto(f"/projects/{site.project_id}/meters?text=B10")
    await page.locator("th [data-choose-page]").focus()
    await page.keyboard.press("Space")
    bar = page.get_by_role("region", name="Rows chosen")
    await expect(bar).to_contain_text("2 chosen")
    button = bar.get_by_role("button", name="Read now")
    await button.focus()
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("B101")
    await page.keyboard.press("Escape")
    await expect(button).to_be_focused()
    await page.keyboard.press("Enter")
    # A key pressed before the dialog is there would still press the button beneath it.
    await expect(dialog.get_by_label("Reason")).to_be_focused()
    await page.keyboard.type("round by hand")
    await page.keyboard.press("Enter")
    await expect(dialog).to_contain_text("0 of 2")
    await dialog.get_by_role("link", name="To the task").click()
    services = Services(site.db, lambda: NOW, WebSettings("meterhouse", False))
    await task.run_next(site.db, site.project_id, works(services), lambda: NOW)
    # The bell says it too, once it has looked.
    progress = page.get_by_role("main").get_by_text("2 of 2")
    await expect(progress).to_be_visible()
    await expect(page.get_by_role("cell", name="B栋 B101 000000000005")).to_be_visible()


async def test_a_dialog_asked_for_twice_opens_once_and_keeps_what_was_typed(open_page, site):
    page = await open_page()
    room = site.rooms["A104"]
    await page.goto(f"/projects/{site.project_id}/rooms/{room.place_id}")
    asked = []
    page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/connect") else None)
    await page.get_by_role("button", name="Connect", exact=True).dblclick()
    reason = page.get_by_role("dialog").get_by_label("Reason")
    await expect(reason).to_be_focused()
    await reason.fill("tenant moves in")
    await page.evaluate("fetch('/health/live')")
    await expect(reason).to_have_value("tenant moves in")
    assert len(asked) == 1


async def test_a_field_that_was_resized_is_refused_without_a_word_of_the_policy(open_page, site):
    """The fixture fails on any complaint: htmx would copy the old field's style to the new one."""
    page = await open_page()
    room = site.rooms["A101"]
    await page.goto(f"/projects/{site.project_id}/rooms/{room.place_id}")
    await page.get_by_role("button", name="Disconnect").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("Reason")).to_be_focused()
    await dialog.get_by_label("Reason").evaluate("one => { one.style.height = '90px'; }")
    await dialog.get_by_role("button", name="Disconnect").click()
    await expect(dialog.locator(".invalid-feedback")).to_be_visible()


async def test_rows_ticked_before_the_page_could_hear_it_count_too(open_page, site):
    """As on a slow line, or on the way back: the module comes after the tick."""
    page = await open_page()
    await page.route("**/lists.*js", lambda route: held.append(route))
    held = []
    await page.goto(f"/projects/{site.project_id}/meters?text=B10")
    await page.locator("th [data-choose-page]").check()
    bar = page.get_by_role("region", name="Rows chosen")
    await expect(bar).to_be_hidden()
    for route in held:
        await route.continue_()
    await expect(bar).to_contain_text("2 chosen")


async def test_search_is_reached_and_used_with_the_keyboard(open_page, site):
    page = await open_page()
    await page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Room, person, meter or order")
    await expect(box).to_be_focused()
    await page.keyboard.type("A102")
    await expect(page.get_by_role("option", name=re.compile("A102"))).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("A102")


async def test_a_failure_keeps_what_was_there_and_says_so(open_page, site):
    page = await open_page()
    await page.goto(f"/projects/{site.project_id}/meters")
    await page.route("**/meters?*", lambda route: route.abort())
    await page.get_by_label("Search", exact=True).fill("A101")
    await expect(page.get_by_text("No connection to the server")).to_be_visible()
    await expect(page.get_by_role("cell", name="000000000006", exact=True)).to_be_visible()
