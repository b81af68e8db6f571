"""The second river in a real browser, in both languages: what the desk and the manager do.

A function a story. Pages are drawn into METERHOUSE_RIVER_IMAGES where it names a folder.
"""

import asyncio
import os
import shutil
import socket
from pathlib import Path

import pytest
import uvicorn
from playwright.async_api import async_playwright, expect

from meterhouse.store import proofs
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.words import words
from small_site import NOW, PASSWORD, small_site

pytestmark = pytest.mark.browser

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture
async def open_page(site):
    """Makes signed-in pages of a console that runs in this process."""
    app = create_app(Services(site.db, lambda: NOW, WebSettings("meterhouse", False)))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "Chromium is missing; --no-browser leaves these tests out"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)

        async def make(language, viewport=DESKTOP):
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
            return page

        yield make
        await browser.close()
    server.should_exit = True
    await task
    listener.close()


async def drawn(page, name):
    """Draw the page, where somebody wants to look at it."""
    if folder := os.environ.get("METERHOUSE_RIVER_IMAGES"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def press(page, name):
    """Open the dialog of an act."""
    await page.get_by_role("main").get_by_role("button", name=name, exact=True).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("heading")).to_have_text(name)
    return dialog


async def holds(site):
    for proof in await proofs.prove(site.db.address):
        assert proof.holds, proof.says


@pytest.mark.parametrize(("language", "viewport"), [("en", DESKTOP), ("zh-Hans", PHONE)])
async def test_a_meter_is_exchanged_and_the_account_closed(site, open_page, language, viewport):
    page, say, room = await open_page(language, viewport), words(language), site.rooms["A101"]
    await page.goto(f"/projects/{site.project_id}/meters/{room.meter_id}")
    dialog = await press(page, say("Exchange meter"))
    await dialog.get_by_label(say("Address"), exact=True).fill("88")
    await dialog.get_by_label(say("The new meter shows")).fill("12.5")
    await dialog.get_by_label(say("Reason")).fill("the display is dark")
    await drawn(page, f"exchange_{language}")
    await dialog.get_by_role("button", name=say("Exchange meter")).click()
    await expect(page.get_by_role("heading", name="000000000088").first).to_be_visible()
    await page.goto(f"/projects/{site.project_id}/agreements/{room.agreement_id}")
    await drawn(page, f"agreement_{language}")
    dialog = await press(page, say("Close account"))
    preview = dialog.locator(".preview")
    # 200.00 were paid; 12 kWh at 0.50 were used in four days.
    await expect(preview).to_contain_text("194.00")
    await expect(preview).to_contain_text("000000000088 · 12.50")
    await drawn(page, f"close_{language}")
    await dialog.get_by_label(say("Reason")).fill("the lease has ended")
    await dialog.get_by_role("button", name=say("Close account")).click()
    await expect(page.get_by_role("heading", name=say("Final settlement"))).to_be_visible()
    await expect(page.locator("main")).to_contain_text(say("Account closed"))
    await drawn(page, f"closed_{language}")
    await page.goto(f"/projects/{site.project_id}/places/{room.place_id}")
    await drawn(page, f"place_{language}")
    await holds(site)


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
async def test_an_account_is_prepared_and_opened_with_one_click(site, open_page, language):
    page, say, room = await open_page(language), words(language), site.rooms["A104"]
    place = f"/projects/{site.project_id}/places/{room.place_id}"
    await page.goto(place)
    dialog = await press(page, say("Prepare account"))
    await dialog.get_by_label(say("Name"), exact=True).fill("Wang Jing")
    await dialog.get_by_label(say("Opening credit")).fill("56.70")
    await drawn(page, f"prepare_{language}")
    await dialog.get_by_role("button", name=say("Prepare account")).click()
    dialog = await press(page, say("Open prepared account"))
    await dialog.get_by_role("button", name=say("Open prepared account")).click()
    await page.get_by_role("link", name=say("Account"), exact=True).click()
    await expect(page.locator("main")).to_contain_text("56.70")
    for name in ("openings", "agreements", "exchanges"):
        await page.goto(f"/projects/{site.project_id}/{name}")
        await drawn(page, f"{name}_{language}")
    await holds(site)
