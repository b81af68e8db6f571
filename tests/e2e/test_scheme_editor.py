"""The scheme editor in a real browser: a banded, blocked, seasonal scheme, made and published.

The application runs in this process on a free port; Chromium is the machine's own.
"""

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

import browsing
from browsing import DESKTOP, PHONE, awake, entered, overhear, serving
from meterhouse.web.app import Services, WebSettings, create_app
from small_site import NOW, PASSWORD, small_site

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"


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

    async def make(language="en", viewport=DESKTOP, path=""):
        context = await chromium.new_context(
            base_url=address, viewport=viewport, locale="en-US", reduced_motion="reduce"
        )
        contexts.append(context)
        cookie = {"name": "meterhouse_language", "value": language, "url": address}
        await context.add_cookies([cookie])
        page = await context.new_page()
        overhear(page, complaints)
        await page.goto("/sign-in")
        await page.fill("#login", "li")
        await page.fill("#password", PASSWORD)
        await page.click("main .btn-primary")
        await entered(page)
        await page.goto(path)
        await awake(page)
        return page

    yield make
    for context in contexts:
        await context.close()
    assert complaints == []


WORDS = {
    "en": {
        "bands": "Four bands", "block": "Add a block", "table": "Add a day table",
        "time": "Add a time", "season": "Add a season", "publish": "Publish",
        "ready": "Ready to publish", "summer": "Summer", "flat": "Flat band",
        "sharp": "Sharp band", "nothing": "Nothing but when it begins.",
    },
    "zh-Hans": {
        "bands": "尖峰平谷", "block": "增加一档", "table": "增加日时段表",
        "time": "增加时刻", "season": "增加季节", "publish": "发布",
        "ready": "可以发布", "summer": "夏季", "flat": "平段", "sharp": "尖段",
        "nothing": "除生效时间外没有变化。",
    },
}  # fmt: skip


async def fill(page, name, text):
    await page.locator(f'[id="f-{name}"]').fill(text)


async def choose(page, name, key):
    await page.locator(f'[id="f-{name}"]').select_option(key)


async def press(page, word, nth=0):
    """A step, and the fields that come back from it."""
    async with page.expect_response(re.compile("/fields$")):
        await page.get_by_role("button", name=word, exact=True).nth(nth).click()
    await expect(page.locator("#scheme-fields:not([inert])")).to_be_visible()


async def make_scheme(page, said):
    """Four bands, three blocks, two seasons of which summer has its own limits and day table."""
    await fill(page, "name", f"By the hour {said['flat']}")
    await press(page, said["bands"])
    await press(page, said["block"])
    await press(page, said["block"])
    await fill(page, "limits.0", "200")
    await fill(page, "limits.1", "400")
    for band, price in enumerate(("1.2", "0.9", "0.6", "0.3")):
        for block in range(3):
            await fill(page, f"bands.{band}.prices.{block}", f"{price}{block}")
    for at, (clock, band) in enumerate((("00:00", "3"), ("08:30", "1"), ("22:30", "3"))):
        if at:
            await press(page, said["time"])
        await fill(page, f"tables.0.rows.{at}.clock", clock)
        await choose(page, f"tables.0.rows.{at}.band", band)
    await press(page, said["table"])
    await fill(page, "tables.1.name", said["summer"])
    for at, (clock, band) in enumerate((("00:00", "3"), ("10:00", "0"), ("17:00", "2"))):
        if at:
            await press(page, said["time"], nth=1)
        await fill(page, f"tables.1.rows.{at}.clock", clock)
        await choose(page, f"tables.1.rows.{at}.band", band)
    await press(page, said["season"])
    await fill(page, "seasons.0.first", "10-01")
    await fill(page, "seasons.0.last", "06-30")
    await fill(page, "seasons.1.name", said["summer"])
    await fill(page, "seasons.1.first", "07-01")
    await fill(page, "seasons.1.last", "09-30")
    await choose(page, "seasons.1.workday", "1")
    await fill(page, "seasons.1.limits.0", "260")
    await fill(page, "seasons.1.limits.1", "600")
    await fill(page, "special_days", "2026-10-01 – 2026-10-07 节假日\n2026-10-10 Make-up workday")


async def assert_sound(page):
    """Accessible, and nothing sticks out at the right."""
    await page.evaluate(AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
async def test_a_banded_blocked_seasonal_scheme_is_made_looked_at_and_published(
    open_page, site, language
):
    said = WORDS[language]
    path = f"/projects/{site.project_id}/tariffs/scheme/add-scheme"
    page = await open_page(language, path=path)
    await make_scheme(page, said)
    await expect(page.locator("#scheme-preview")).to_contain_text(said["ready"])
    await expect(page.locator("#scheme-preview .strip")).to_have_count(2)
    await expect(page.locator("#scheme-preview .month td.special")).to_have_count(8)
    await assert_sound(page)
    await fill(page, "bands.0.prices.0", "dear")
    await expect(page.locator("#scheme-fields .placed")).to_have_count(1)
    await expect(page.locator('[id="f-bands.0.prices.0"]')).to_have_class(re.compile("is-invalid"))
    await fill(page, "bands.0.prices.0", "1.2")
    await expect(page.locator("#scheme-fields .placed")).to_have_count(0)
    await page.set_viewport_size(PHONE)
    await assert_sound(page)
    await page.get_by_role("button", name=said["publish"], exact=True).click()
    await expect(page).to_have_url(re.compile(r"/tariffs/\d+$"))
    await expect(page.locator("main")).to_contain_text(said["sharp"])
    await assert_sound(page)
    await page.goto(f"{page.url}/versions/scheme/publish-scheme")
    await expect(page.locator("#scheme-preview")).to_contain_text(said["nothing"])
    await assert_sound(page)


async def test_a_load_is_calculated_by_a_published_scheme(open_page, site):
    page = await open_page(path=f"/projects/{site.project_id}/library")
    await assert_sound(page)
    await page.get_by_role("link", name="浙江省居民生活用电（一户一表，峰谷，阶梯）").click()
    await assert_sound(page)
    await page.get_by_role("link", name="Calculate", exact=True).click()
    await assert_sound(page)
    await page.fill("#try-month", "2026-02")
    await page.get_by_role("button", name="Calculate", exact=True).click()
    await expect(page.locator("main")).to_contain_text("¥135.40")
    await expect(page.locator(".chart canvas")).to_be_visible()
    await assert_sound(page)
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Every interval as a file").click()
    assert (await download.value).suggested_filename.endswith(".json")
