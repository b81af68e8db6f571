"""The desk in a real browser, by keyboard alone, in both languages: sold, printed, undone."""

import pytest
from playwright.async_api import expect

from browsing import DESKTOP, PHONE, awake, chromium, entered, serving
from meterhouse.store import proofs
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.words import words
from small_site import NOW, PASSWORD, small_site

pytestmark = pytest.mark.browser


@pytest.fixture
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture
async def open_desk(site):
    """Makes pages at the desk of a console that runs in this process."""
    app = create_app(Services(site.db, lambda: NOW, WebSettings("meterhouse", False)))
    async with serving(app) as address, chromium() as browser:

        async def make(language, viewport):
            context = await browser.new_context(
                base_url=address, viewport=viewport, reduced_motion="reduce"
            )
            cookie = {"name": "meterhouse_language", "value": language, "url": address}
            await context.add_cookies([cookie])
            page = await context.new_page()
            await page.goto("/sign-in")
            await page.fill("#login", "li")
            await page.fill("#password", PASSWORD)
            await page.click("main .btn-primary")
            await entered(page)
            await page.goto(f"/projects/{site.project_id}/desk")
            await awake(page)
            return page

        yield make


async def sold(site):
    async with site.db.transaction([site.project_id]) as connection:
        rows = await connection.fetch(
            """select kind, amount_minor, tender_minor from payment where created_at = $1
               order by id""",
            NOW,
        )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(("language", "viewport"), [("en", DESKTOP), ("zh-Hans", PHONE)])
async def test_selling_with_the_keyboard_then_undoing_it(site, open_desk, language, viewport):
    page, say = await open_desk(language, viewport), words(language)
    box = page.get_by_role("combobox", name=say("Room, name, phone or meter"))
    await expect(box).to_be_focused()
    # Enter may come before the answer does; the first household found is then opened.
    await page.keyboard.type("a102")
    await page.keyboard.press("Enter")
    await expect(page.locator("#sale-amount")).to_be_focused()
    await expect(page.locator(".desk-who")).to_contain_text("A102")
    await page.keyboard.type("66.60")
    await page.keyboard.press("Enter")
    await expect(page.locator("#sale-tender")).to_be_focused()
    await page.keyboard.type("50")
    await page.keyboard.press("Enter")
    await expect(page.locator("#sale-tender.is-invalid")).to_be_focused()
    await expect(page.locator("#sale-tender-error")).to_have_text(
        say("Less was handed over than is to be paid.")
    )
    await page.keyboard.type("100")
    await expect(page.locator(".preview")).to_contain_text("¥33.40")
    # A nervous finger sells once.
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.locator("#sold .change")).to_contain_text("¥33.40")
    assert await sold(site) == [("recharge", 6_660, 10_000)]
    paper = page.get_by_role("button", name=say("Print receipt"))
    await expect(paper).to_be_focused()
    async with page.context.expect_page() as opened:
        await page.keyboard.press("Enter")
    await expect((await opened.value).locator("main")).to_contain_text("¥66.60")
    await page.bring_to_front()
    await expect(page.get_by_role("button", name=say("Next customer"))).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(box).to_be_focused()
    await page.get_by_role("main").get_by_role("button", name=say("Reverse")).first.click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label(say("Reason")).fill("wrong room")
    await dialog.get_by_role("button", name=say("Reverse"), exact=True).click()
    await expect(dialog.locator("#sold")).to_contain_text("¥66.60")
    await page.keyboard.press("Escape")
    await expect(page.get_by_text(say("Reversed"), exact=True)).to_be_visible()
    assert [kind for kind, *_ in await sold(site)] == ["recharge", "reversal"]
    assert [one.says for one in await proofs.prove(site.db.address) if not one.holds] == []
