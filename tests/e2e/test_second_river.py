"""The second river in a real browser, in both languages: what the desk and the manager do.

A function a story. Pages are drawn into METERHOUSE_RIVER_IMAGES where it names a folder.
"""

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest
import typst
from playwright.async_api import expect

from browsing import DESKTOP, PHONE, awake, chromium, entered, serving
from meterhouse.flows import access, task
from meterhouse.store import proofs
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.works import works
from meterhouse.words import words
from small_site import NOW as BEGUN
from small_site import PASSWORD, small_site

pytestmark = pytest.mark.browser

# As fine as a clock tells it: what takes whole seconds alone would fail in a real house.
NOW = BEGUN + timedelta(milliseconds=250)
# A5 lying on its side, in points: what a sheet of it measures at one pixel a point.
A5_PT = (595, 420)


@pytest.fixture
async def site(template):
    async with small_site(template) as made:
        yield made


@pytest.fixture
def services(site):
    return Services(site.db, lambda: NOW, WebSettings("meterhouse", False))


@pytest.fixture
async def open_page(services):
    """Makes signed-in pages of a console that runs in this process."""
    async with serving(create_app(services)) as address, chromium() as browser:

        async def make(language, viewport=DESKTOP, login="li"):
            context = await browser.new_context(
                base_url=address, viewport=viewport, reduced_motion="reduce"
            )
            cookie = {"name": "meterhouse_language", "value": language, "url": address}
            await context.add_cookies([cookie])
            page = await context.new_page()
            await page.goto("/sign-in")
            await page.fill("#login", login)
            await page.fill("#password", PASSWORD)
            await page.click("main .btn-primary")
            await entered(page)
            return page

        yield make


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


def size_of(pdf, folder):
    """What a PDF's first page measures in points; opens it, and fails on one that is none."""
    (folder / "paper.pdf").write_bytes(pdf)
    (folder / "look.typ").write_text(
        '#set page(width: auto, height: auto, margin: 0pt)\n#image("paper.pdf")'
    )
    picture = typst.compile(folder / "look.typ", format="png", ppi=72)
    return tuple(int.from_bytes(picture[at : at + 4]) for at in (16, 20))


@pytest.mark.parametrize(("language", "viewport"), [("en", DESKTOP), ("zh-Hans", PHONE)])
async def test_money_is_taken_printed_and_paid_back_by_two(
    site, services, open_page, language, viewport, tmp_path
):
    page, say, desk = await open_page(language, viewport), words(language), "desk"
    project = f"/projects/{site.project_id}"
    # Payouts above 50.00 need a second person from now on.
    await page.goto(f"{project}/settings")
    dialog = await press(page, say("Edit rules"))
    await dialog.get_by_label(say("Second person for payouts above")).fill("50")
    await dialog.get_by_role("button", name=say("Edit rules")).click()
    await expect(page.locator("main")).to_contain_text("¥50.00")

    await page.goto(f"{project}/{desk}")
    await awake(page)
    await page.get_by_role("combobox", name=say("Room, name, phone or meter")).fill("a102")
    await page.keyboard.press("Enter")
    await page.locator("#sale-amount").fill("100")
    await page.locator("#sale-tender").fill("120")
    await page.locator("#sale .btn-primary").click()
    await expect(page.locator("#sold .change")).to_contain_text("¥20.00")
    await drawn(page, f"sold_{language}")

    async with page.context.expect_page() as opened:
        await page.get_by_role("button", name=say("Print receipt")).click()
    paper = await opened.value
    await expect(paper.locator("main")).to_contain_text("¥100.00")
    await drawn(paper, f"receipt_{language}")
    link = paper.get_by_role("link", name=say("Open the file"))
    # As "save link as" does; the browser would show it in a tab.
    await link.evaluate("one => { one.download = ''; one.removeAttribute('target'); }")
    async with paper.expect_download() as downloading:
        await link.click()
    pdf = Path(await (await downloading.value).path()).read_bytes()
    assert size_of(pdf, tmp_path) == A5_PT
    await paper.close()

    await page.goto(f"{project}/{desk}/rooms/{site.rooms['A102'].place_id}")
    dialog = await press(page, say("Refund"))
    await dialog.get_by_label(say("Amount")).fill("80")
    await dialog.get_by_label(say("Reason")).fill("the tenant moves out early")
    await dialog.get_by_role("button", name=say("Refund")).click()
    await expect(dialog).to_contain_text(say("Waits for a second person"))
    await dialog.get_by_role("link", name=say("To the task")).click()
    await expect(page.get_by_role("button", name=say("Stop task"), exact=True)).to_be_visible()
    approve = say("Approve")
    await expect(page.get_by_role("button", name=approve, exact=True)).to_have_count(0)

    await access.add_person(
        site.db, "wu", "吴敏", PASSWORD, "project_manager", "project", site.project_id, NOW
    )
    second = await open_page(language, viewport, "wu")
    await second.goto(page.url)
    # Whom, how much, why and who asks: it is not agreed to blindly.
    for told in ("A102", "80", "the tenant moves out early", "李娜"):
        await expect(second.locator("#task")).to_contain_text(told)
    await drawn(second, f"approve_{language}")
    dialog = await press(second, approve)
    await dialog.get_by_role("button", name=approve).click()
    await expect(dialog).to_be_hidden()
    assert await task.run_next(site.db, site.project_id, works(services), lambda: NOW)
    await expect(second.locator("#task")).to_contain_text(re.compile(r"1 (of|/) 1"))
    await second.goto(f"{project}/{desk}/rooms/{site.rooms['A102'].place_id}")
    paid = second.locator("#desk-now tbody tr").first
    await expect(paid).to_contain_text(say("Refund"))
    await expect(paid).to_contain_text("¥80.00")
    await holds(site)


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
