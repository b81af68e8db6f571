"""A wrong price of the past, corrected in a real browser from end to end by two people.

Finance types the price as it should have been, looks at what that would do, and asks; a manager
approves; the worker's part is done here; the household's account then shows what it got, and why.
"""

import re
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, Page, expect

import browsing
from browsing import DESKTOP, awake, entered, overhear, serving
from meterhouse.flows import access, close, task
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.works import works
from premises import Clock
from small_site import NOW, PASSWORD, Site, small_site

pytestmark = pytest.mark.browser

REASON = "a digit was wrong"


@dataclass
class Console:
    """The site, what serves it, the one browser, and what its pages complained of."""

    site: Site
    clock: Clock
    services: Services
    address: str
    browser: Browser
    complaints: list[str]

    async def at(self, login: str, path: str) -> Page:
        """Somebody signs in and opens a page of the project."""
        context = await self.browser.new_context(
            base_url=self.address, viewport=DESKTOP, locale="en-US", reduced_motion="reduce"
        )
        page = await context.new_page()
        overhear(page, self.complaints)
        await page.goto("/sign-in")
        await page.fill("#login", login)
        await page.fill("#password", PASSWORD)
        await page.click("main .btn-primary")
        await entered(page)
        await page.goto(f"/projects/{self.site.project_id}/{path}")
        await awake(page)
        return page

    async def run_task(self) -> None:
        """Do what was asked last, as a worker would."""
        kinds = works(self.services)
        assert await task.run_next(self.site.db, self.site.project_id, kinds, self.clock)


@pytest.fixture
async def console(template):
    async with small_site(template) as site, browsing.chromium() as browser:
        await access.add_person(
            site.db, "wang", "王芳", PASSWORD, "finance", "project", site.project_id, NOW
        )
        clock, complaints = Clock(NOW), []
        services = Services(site.db, clock, WebSettings("meterhouse", False))
        async with serving(create_app(services)) as address:
            yield Console(site, clock, services, address, browser, complaints)
        assert complaints == []


async def test_a_price_of_the_past_is_corrected_by_two_people_and_explained(console):
    finance = await console.at("wang", "tariffs")
    await _typed(finance)
    await console.run_task()
    await _looked_at_and_asked_for(finance)
    await _approved(await console.at("li", "tasks"))
    # The act itself, then the sweep that it begins.
    await console.run_task()
    await console.run_task()
    await close.book_day(console.site.db, console.site.project_id, console.clock())
    room = console.site.rooms["A101"]
    await finance.goto(f"/projects/{console.site.project_id}/agreements/{room.agreement_id}")
    await _explained(finance)


async def _typed(page: Page) -> None:
    """The price since the day before yesterday, as it should have been; and the replay of it."""
    await page.get_by_role("link", name="flat", exact=True).click()
    await page.get_by_role("link", name="Correct a past price").click()
    await awake(page)
    preview = page.locator("#scheme-preview")
    await page.get_by_label("Wrong since").fill("2026-11-19 11:55")
    await page.locator('[id="f-bands.0.prices.0"]').fill("0.60")
    await expect(preview).to_contain_text("Ready to replay")
    await expect(preview).to_contain_text("0.60")
    await page.get_by_role("button", name="Replay this correction").click()
    await expect(page).to_have_url(re.compile(r"/tasks/\d+"))


async def _looked_at_and_asked_for(page: Page) -> None:
    """Who pays more, by how much in all; then the correction waits for somebody else."""
    await expect(page).to_have_url(re.compile(r"/replays/\d+$"))
    main = page.locator("main")
    await expect(main).to_contain_text("Correction not made")
    more = page.locator(".figures dl", has_text="Pay more")
    await expect(more).to_contain_text("3")
    await expect(page.locator(".figures dl", has_text="Difference")).to_contain_text("¥2.40")
    row = page.get_by_role("row").filter(has_text="A101")
    await expect(row.get_by_role("cell").last).to_have_text("0.80")
    await page.get_by_role("button", name="Make this correction").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("It waits until somebody else")
    await dialog.get_by_label("Reason").fill(REASON)
    await dialog.get_by_role("button", name="Make this correction").click()
    await expect(dialog).to_contain_text("until somebody else with the same right approves it")


async def _approved(page: Page) -> None:
    """The second person sees what was seen, and why, and agrees."""
    await page.get_by_role("link", name="Make this correction").first.click()
    main = page.locator("main")
    for text in (REASON, "Pay more", "¥2.40"):
        await expect(main).to_contain_text(text)
    await page.get_by_role("button", name="Approve").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("You agree as the second person")
    await dialog.get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("button", name="Approve")).to_have_count(0)


async def _explained(page: Page) -> None:
    """The household's newest booking is the difference; its page says what it replaced, and why."""
    main = page.locator("main")
    await expect(main).to_contain_text("0.80")
    booked = page.get_by_role("row").filter(has_text="0.80").first
    await booked.get_by_role("link").first.click()
    await expect(page).to_have_url(re.compile("/explain$"))
    await expect(main).to_contain_text(REASON)
    await expect(main).to_contain_text("The price was corrected from 2026-11-19 11:55:00 on")
    await expect(main).to_contain_text("4.000 kWh × 0.60 = 2.40")
