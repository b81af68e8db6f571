"""A day of three people at the console: a manager, a cashier, a warden of one building.

Each goes through the pages of their own menu, does what the role is for, is refused what it is
not, and signs out; in both languages, at a desk and on a phone. What a person decides by is
compared word for word, so that no text of the other language or of the API slips through; the
rest is found by the catalogue.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.async_api import Browser, Locator, Page, expect

import browsing
from browsing import DESKTOP, PHONE, awake, overhear, serving
from meterhouse.flows import access, task
from meterhouse.model import AlarmKind
from meterhouse.store import queue
from meterhouse.store.db import maintenance
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.works import works
from meterhouse.words import LANGUAGES, words
from premises import Clock
from small_site import NOW, PASSWORD, Site, small_site

pytestmark = pytest.mark.browser

SIZES = (DESKTOP, PHONE)
# Every combination has a room of the warden's building to itself, for all share one site.
WAYS = [(language, size) for language in ("en", "zh-Hans") for size in SIZES]
ROOMS = ("A101", "A102", "A103", "A104")
NAMES = [f"{language}-{size['width']}" for language, size in WAYS]
# Signing in is limited by the minute; the next person comes a little later.
PAUSE = timedelta(minutes=5)

MENUS = {
    "li": {
        "en": "Room monitor|Desk|Alarms|Doubtful readings|Commands|Tasks|Meters|Gateways"
        "|Commissioning|Customers|Accounts|Prepared accounts|Notices|Balances|Orders"
        "|Meter recharges|Receipts|Shifts|Revenue|Journal|Trial balance|Closed days|Meter drift"
        "|Tariffs|Replays|Bills|Calculator|Set-up|Places|Staff|API clients|Audit",
        "zh-Hans": "房间监控|收费台|报警|可疑读数|操作记录|任务|表计|数据网关|调试验收|客户"
        "|住户账户|预开户|通知|余额一览|订单|表内充值|票据|班次|收入概况|流水账|试算平衡|日结"
        "|表台扣费核对|电价方案|电价重算记录|账单|电费测算|设置|楼栋房间|员工|API 客户端|审计",
    },
    "qian": {
        "en": "Room monitor|Desk|Alarms|Doubtful readings|Commands|Tasks|Meters|Gateways"
        "|Commissioning|Customers|Accounts|Prepared accounts|Notices|Balances|Orders"
        "|Meter recharges|Receipts|Shifts|Tariffs|Bills|Calculator|Set-up|Places",
        "zh-Hans": "房间监控|收费台|报警|可疑读数|操作记录|任务|表计|数据网关|调试验收|客户"
        "|住户账户|预开户|通知|余额一览|订单|表内充值|票据|班次|电价方案|账单|电费测算|设置"
        "|楼栋房间",
    },
    "zhou": {
        "en": "Room monitor|Alarms|Doubtful readings|Commands|Tasks|Meters|Gateways|Commissioning"
        "|Customers|Accounts|Prepared accounts|Places",
        "zh-Hans": "房间监控|报警|可疑读数|操作记录|任务|表计|数据网关|调试验收|客户"
        "|住户账户|预开户|楼栋房间",
    },
}  # fmt: skip


@dataclass
class Console:
    """The site, what serves it, and the one browser."""

    site: Site
    clock: Clock
    services: Services
    address: str
    browser: Browser

    async def run_task(self) -> None:
        """Do what was asked last, as a worker would."""
        kinds = works(self.services)
        assert await task.run_next(self.site.db, self.site.project_id, kinds, self.clock)


@pytest.fixture(scope="module")
async def console(template):
    clock = Clock(NOW)
    async with small_site(template) as site, browsing.chromium() as browser:
        await _people(site)
        await _alarms(site)
        services = Services(site.db, clock, WebSettings("meterhouse", False))
        async with serving(create_app(services)) as address:
            yield Console(site, clock, services, address, browser)


async def _people(site: Site) -> None:
    async with maintenance(site.db.address) as connection:
        building_id = await connection.fetchval("select id from place where name = 'A栋'")
    db, project_id = site.db, site.project_id
    await access.add_person(db, "qian", "钱红", PASSWORD, "cashier", "project", project_id, NOW)
    await access.add_person(
        db, "zhou", "周伟", PASSWORD, "warden", "building", building_id, NOW, project_id
    )


async def _alarms(site: Site) -> None:
    """A command failed in every room; a person must look at it and close it."""
    failed = [
        queue.NewAlarm(
            AlarmKind.COMMAND_FAILED, f"command:{room.meter_id}", point_id=room.point_id,
            meter_id=room.meter_id,
        )
        for room in site.rooms.values()
    ]  # fmt: skip
    async with site.db.transaction([site.project_id]) as connection:
        await queue.open_alarms(connection, site.project_id, failed, NOW - timedelta(hours=1))


class Reader:
    """Somebody at the console: one language, one screen, one browser context."""

    def __init__(self, page: Page, language: str, is_phone: bool, room: str) -> None:
        self.page = page
        self.language = language
        self.say = words(language)
        self.is_phone = is_phone
        self.room = room

    async def sign_in(self, login: str) -> None:
        """Find the page, choose the language, say who one is."""
        page = self.page
        await page.goto("/")
        await expect(page).to_have_url(re.compile("/sign-in"))
        other = next(name for tag, name in LANGUAGES.items() if tag != self.language)
        await page.get_by_role("button", name=other).click()
        await page.get_by_role("button", name=LANGUAGES[self.language]).click()
        await expect(page.locator("html")).to_have_attribute("lang", self.language)
        await page.get_by_label(self.say("User name")).fill(login)
        await page.get_by_label(self.say("Password")).fill(PASSWORD)
        await page.get_by_role("button", name=self.say("Sign in")).click()
        await self.is_at("Room monitor")
        await self._open_menu()
        entries = page.get_by_role("navigation", name=self.say("Pages")).get_by_role("link")
        await expect(entries).to_have_text(MENUS[login][self.language].split("|"))
        if self.is_phone:
            await page.locator("#side").get_by_role("button", name=self.say("Close")).click()
            await expect(page.locator("#side")).to_be_hidden()

    async def sign_out(self) -> None:
        """Leave; nobody gets back in by the browser's history."""
        left = self.page.url
        who = re.compile(self.say("Signed in as {name}").partition("{")[0])
        await self.page.get_by_role("banner").get_by_role("button", name=who).click()
        await self.page.get_by_role("button", name=self.say("Sign out"), exact=True).click()
        await expect(self.page).to_have_url(re.compile("/sign-in"))
        await self.page.goto(left)
        await expect(self.page).to_have_url(re.compile("/sign-in"))

    async def go(self, title: str) -> None:
        """To a page by the menu, which on a phone has to be opened."""
        await self._open_menu()
        menu = self.page.get_by_role("navigation", name=self.say("Pages"))
        await menu.get_by_role("link", name=self.say(title), exact=True).click()
        await self.is_at(title)

    async def is_at(self, title: str) -> None:
        """The page is headed so, and fits the screen."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(self.say(title))
        # Which it is not before its style has come.
        await awake(self.page)
        width = await self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= self.page.viewport_size["width"], self.page.url

    async def find(self, text: str, hit: str) -> None:
        """Open what the search box of a desk, or the search page of a phone, finds."""
        page = self.page
        what = self.say("Room, person, meter or order")
        if self.is_phone:
            await page.get_by_role("link", name=self.say("Find anything")).click()
            await self.is_at("Search")
            await page.get_by_role("searchbox", name=what).fill(text)
            await page.get_by_role("searchbox", name=what).press("Enter")
            await page.get_by_role("main").get_by_role("link", name=hit).first.click()
        else:
            await page.get_by_role("combobox", name=what).fill(text)
            await page.get_by_role("option", name=hit).first.click()

    async def choose(self, boxes: Locator) -> None:
        """Tick what is visible on this screen."""
        await boxes.locator("visible=true").check()

    async def is_refused(self, path: str, en: str, zh: str) -> None:
        """An address that is not this reader's says so in their words."""
        await self.page.goto(path)
        await expect(self.page.get_by_role("main")).to_contain_text(self.own(en, zh))

    def own(self, en: str, zh: str) -> str:
        """Which of two texts this reader sees."""
        return en if self.language == "en" else zh

    def button(self, title: str, within: Locator | None = None) -> Locator:
        """A button by its words."""
        return (within or self.page).get_by_role("button", name=self.say(title), exact=True)

    @property
    def dialog(self) -> Locator:
        """The open dialog."""
        return self.page.get_by_role("dialog")

    async def _open_menu(self) -> None:
        if self.is_phone:
            await awake(self.page)
            await self.page.get_by_role("button", name=self.say("Menu")).click()
            await expect(self.page.locator("#side")).to_be_visible()


@pytest.fixture(params=range(len(WAYS)), ids=NAMES)
async def reader(request, console):
    """A person whose browser speaks the other language; fails on any complaint of a page."""
    language, size = WAYS[request.param]
    console.clock.at += PAUSE
    context = await console.browser.new_context(
        base_url=console.address, viewport=size, reduced_motion="reduce",
        locale="zh-CN" if language == "en" else "en-GB",
    )  # fmt: skip
    page = await context.new_page()
    complaints: list[str] = []
    overhear(page, complaints)
    yield Reader(page, language, size is PHONE, ROOMS[request.param])
    await context.close()
    assert complaints == []


async def test_a_manager_finds_a_room_adds_a_gateway_and_reads_who_did_it(console, reader):
    page, project = reader.page, f"/projects/{console.site.project_id}"
    name = f"GW-{reader.language}-{reader.is_phone:d}"
    await reader.sign_in("li")
    await reader.find("A102", "A102")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("A102")

    await reader.go("Gateways")
    await reader.button("Add gateway").click()
    await reader.button("Add gateway", reader.dialog).click()
    missing = reader.own("Enter something here.", "请填写此项。")
    await expect(reader.dialog.locator(".invalid-feedback").first).to_have_text(missing)
    await reader.dialog.get_by_label(reader.say("Gateway name")).fill(name)
    await reader.dialog.get_by_label(reader.say("Registration")).fill(name.upper())
    await reader.button("Add gateway", reader.dialog).click()
    await expect(page.get_by_role("main")).to_contain_text(name)

    await reader.go("Audit")
    entry = page.locator("#list tbody tr", has_text=name)
    for said in ("李娜", reader.say("Add gateway"), reader.own("Web console", "控制台")):
        await expect(entry).to_contain_text(said)
    await reader.is_refused(
        "/platform/groups", "Your roles do not include this right: Make groups.",
        "您的角色没有此权限：管理集团。",
    )  # fmt: skip
    await reader.is_refused(f"/projects/{console.site.other_id}/rooms", "does not exist", "不存在")
    await page.goto(f"{project}/audit")
    await reader.sign_out()


async def test_a_cashier_finds_a_household_and_takes_its_money(console, reader):
    page, project = reader.page, f"/projects/{console.site.project_id}"
    room = console.site.rooms["A102"]
    await reader.sign_in("qian")
    await reader.find("李芳", "李**")
    available = page.locator("#now dl", has_text=reader.say("Available")).locator("dd").first
    before = _money(await available.inner_text())

    await reader.button("Recharge").click()
    await expect(reader.dialog).to_contain_text("李**")
    await reader.dialog.get_by_label(reader.say("Amount")).fill("50.005")
    await reader.button("Recharge", reader.dialog).click()
    wrong = reader.own("with at most 2 decimals", "最多 2 位小数")
    await expect(reader.dialog.locator(".invalid-feedback")).to_contain_text(wrong)
    await reader.dialog.get_by_label(reader.say("Amount")).fill("50")
    await reader.button("Recharge", reader.dialog).click()
    after = f"¥{(before + 5_000) // 100}.00"
    await expect(reader.dialog).to_contain_text(f"{reader.say('Available now')}{after}")
    await expect(reader.button("Print receipt", reader.dialog)).to_be_visible()
    await reader.button("Close", reader.dialog).click()
    await expect(available).to_have_text(after)

    await reader.go("Customers")
    await expect(page.locator("#list tbody tr", has_text="A102")).to_contain_text("李**")
    await reader.is_refused(
        f"{project}/meters/{room.meter_id}/disconnect",
        "Your roles do not include this right: Switch meters on and off.",
        "您的角色没有此权限：拉闸和合闸。",
    )  # fmt: skip
    await reader.is_refused(
        f"{project}/audit", "Your roles do not include this right: See who did what.",
        "您的角色没有此权限：查看操作日志。",
    )  # fmt: skip
    await reader.sign_out()


def _money(text: str) -> int:
    """What a page shows as whole coins."""
    return int(re.sub(r"[^\d]", "", text))


async def test_a_warden_looks_after_one_building_and_no_other(console, reader):
    page, project = reader.page, f"/projects/{console.site.project_id}"
    await reader.sign_in("zhou")
    await expect(page.locator(".tiles b")).to_have_text(list(ROOMS))

    await reader.go("Meters")
    rows = page.locator("#list tbody tr")
    await expect(rows).to_have_count(len(ROOMS))
    await reader.choose(page.locator("[data-choose-page]"))
    await _do_to_many(console, reader, "Read now", len(ROOMS))

    await reader.go("Meters")
    await rows.filter(has_text=reader.room).get_by_role("checkbox").check()
    await _do_to_many(console, reader, "Disconnect", 1)

    await reader.go("Tasks")
    await expect(rows.filter(has_text=reader.say("Disconnect")).first).to_contain_text("周伟")

    await reader.go("Alarms")
    failed = reader.own("Command failed", "命令失败")
    alarm = rows.filter(has_text=reader.room).filter(has_text=failed)
    await expect(alarm).to_have_count(1)
    await expect(page.locator("#list")).not_to_contain_text("B10")
    await reader.button("Close alarm", alarm).click()
    await reader.button("Close alarm", reader.dialog).click()
    await expect(reader.button("Close alarm", alarm)).to_have_count(0)

    outside = console.site.rooms["B101"]
    await reader.is_refused(f"{project}/rooms/{outside.place_id}", "does not exist", "不存在")
    await reader.is_refused(
        f"{project}/staff", "Your roles do not include this right: See staff and API clients.",
        "您的角色没有此权限：查看员工和 API 客户端。",
    )  # fmt: skip
    await reader.sign_out()


async def _do_to_many(console: Console, reader: Reader, act: str, count: int) -> None:
    """Do something to the rows ticked, and see on the task's page what came of each."""
    bar = reader.page.get_by_role("region", name=reader.say("Rows chosen"))
    await expect(bar).to_contain_text(reader.own(f"{count} chosen", f"{count} 项已选"))
    await reader.button(act, bar).click()
    reason = reader.dialog.get_by_label(reader.say("Reason"))
    await expect(reason).to_be_focused()
    await reason.fill("evening round")
    await reader.button(act, reader.dialog).click()
    await expect(reader.dialog).to_contain_text(reader.own(f"0 of {count}", f"0 / {count}"))
    await reader.dialog.get_by_role("link", name=reader.say("To the task")).click()
    await console.run_task()
    done = reader.own(f"{count} of {count}", f"{count} / {count}")
    await expect(reader.page.get_by_role("main")).to_contain_text(done)
    await expect(reader.page.get_by_role("main")).to_contain_text("evening round")
