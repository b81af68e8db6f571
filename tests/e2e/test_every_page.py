"""Every page there is, in a real browser: it answers, is accessible, and scrolls no way but down.

A route added tomorrow is visited without being named here. Pages are seen on a desktop in English
and on a phone in Chinese; those of acts, which one template makes, on one of them by turns.
"""

from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path

import pytest

import browsing
from browsing import DESKTOP, PHONE, TABLET, entered, overhear, serving
from meterhouse.web.acts import ACTS
from small_site import PASSWORD, small_site
from walking import ROOT, walk_of

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "vendor" / "axe.min.js"
VIOLATIONS = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"
# What is fetched into a page, or is no page at all.
PARTS = (
    "/now", "/progress", "/changes", "/bell", "/switch", "/export", "/file", "/template",
    "/template.csv", "/preview",
)  # fmt: skip
FORMS = {act.page for act in ACTS}
# Parts let the other tests be spread more evenly.
PART_COUNT = 12
# Looked at again and again within one call: a look that comes later would be a script made of text,
# which the page's policy refuses.
FITS = """() => new Promise(told => {
    const end = performance.now() + 20_000
    const look = () => {
        const fits = document.documentElement.scrollWidth <= innerWidth
        if (fits || performance.now() > end) told(fits)
        else setTimeout(look, 50)
    }
    look()
})"""
STICKS_OUT = """() => {
    const cut = one => one
        && (getComputedStyle(one).overflowX !== "visible" || cut(one.parentElement))
    const out = [...document.querySelectorAll("body *")].filter(one =>
        one.getBoundingClientRect().right > innerWidth + 1 && !cut(one.parentElement))
    return (out.at(-1) ?? document.body).outerHTML.slice(0, 160)
}"""


@pytest.fixture(scope="module")
async def walked(template):
    """All pages of a site where each has something to show, and a reader on either screen."""
    complaints = []
    async with small_site(template) as made:
        walk = await walk_of(made)
        async with (
            serving(walk.app) as address,
            browsing.chromium() as browser,
            reading(browser, address, "en", DESKTOP, complaints) as wide,
            reading(browser, address, "zh-Hans", PHONE, complaints) as narrow,
        ):
            pages = [(path, there) for path, there in walk.pages()
                     if not path.endswith(PARTS) and not path.startswith("/health")]  # fmt: skip
            yield pages, (wide, narrow)
    assert complaints == []


@asynccontextmanager
async def reading(browser, address, language, viewport, complaints):
    context = await browser.new_context(
        base_url=address, viewport=viewport, locale="en-US", reduced_motion="reduce"
    )
    cookie = {"name": "meterhouse_language", "value": language, "url": address}
    await context.add_cookies([cookie])
    # Handed to the browser once, not with every page.
    await context.add_init_script(path=AXE)
    page = await context.new_page()
    overhear(page, complaints)
    await page.goto("/sign-in")
    await page.fill("#login", ROOT)
    await page.fill("#password", PASSWORD)
    await page.click("main .btn-primary")
    await entered(page)
    yield page
    await context.close()


async def faults_of(page, there):
    """What is wrong with one page; None where the address is no page."""
    answer = await page.goto(there)
    if "text/html" not in answer.headers.get("content-type", ""):
        return None if answer.status == 200 else [str(answer.status)]
    faults = [] if answer.status == 200 else [str(answer.status)]
    found = await page.evaluate(VIOLATIONS)
    faults += [f"{one['id']} {one['nodes'][0]['html'][:120]}" for one in found]
    faults += await ragged(page)
    if page.viewport_size == DESKTOP and await page.locator("main table").count():
        # A page behind another is drawn no more, so its charts would not follow.
        await page.bring_to_front()
        await page.set_viewport_size(TABLET)
        faults += await ragged(page)
        await page.set_viewport_size(DESKTOP)
    return faults


async def ragged(page):
    """What sticks out at the right, once charts have followed the window's width."""
    if await page.evaluate(FITS):
        return []
    out = await page.evaluate(STICKS_OUT)
    return [f"scrolls sideways at {page.viewport_size['width']}: {out}"]


@pytest.mark.parametrize("part", range(PART_COUNT))
async def test_every_page_is_there_and_accessible_and_scrolls_no_way_but_down(walked, part):
    pages, both = walked
    faults, seen, turns = set(), 0, cycle((one,) for one in both)
    for path, there in pages[part::PART_COUNT]:
        for page in next(turns) if path in FORMS else both:
            found = await faults_of(page, there)
            seen += found is not None
            faults |= {f"{path}: {one}" for one in found or ()}
    assert seen > 250 / PART_COUNT
    assert sorted(faults) == [], "\n".join(sorted(faults))
