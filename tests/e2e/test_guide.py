"""The guide to a first site, done line by line in a real browser against simulated meters.

Owns the reading of the guide's tables and what each of their words does. It knows no step of its
own: whatever stands in the guide is done, and what does not work there fails here. To draw the
guide's pictures anew, set METERHOUSE_GUIDE_IMAGES to the folder they lie in.
"""

import asyncio
import io
import os
import re
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import openpyxl
import pytest
import typer
from playwright.async_api import async_playwright

from browsing import awake
from meterhouse import cli
from meterhouse.app import Plan, run_house
from meterhouse.config import load
from meterhouse.sim.gateway import LinkHabits
from meterhouse.sim.plan import plan_town
from meterhouse.sim.town import Town
from premises import Clock
from tidy import ROOT

pytestmark = pytest.mark.browser

GUIDE = ROOT / "docs" / "guides" / "first_site.md"
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
HABITS = LinkHabits(heartbeat_s=0.2, backoff_s=0.05, backoff_max_s=0.2)
# A pump that rests looks at the clock again after an interval divided by this: a few milliseconds.
SPEED = 3_600
# A busy machine is given time: these bound what has failed, and cost nothing where it has not.
STEP_TIMEOUT_MS = 60_000
STEP_TRIES, TRY_S = 240, 0.25
# A page is loaded anew only now and then, and never while an answer is on its way into it.
RELOAD_EVERY = 8
UNDER_WAY = ".htmx-request, .htmx-swapping, .htmx-settling, dialog[open]"
VERBS = {"press", "type", "choose", "see", "see less", "upload", "wait"}
HEADS = {"do", "for every room"}


@dataclass
class Table:
    """A table of the guide: its headings and its rows."""

    head: list[str]
    rows: list[list[str]] = field(default_factory=list)

    @property
    def is_steps(self):
        return self.head[0] in HEADS


def blocks(text):
    """The guide's tables, commands and pictures, in the order they stand."""
    for part in re.split(r"\n\n+", text):
        lines = [line for line in part.splitlines() if line.strip()]
        if lines and lines[0].startswith("|"):
            rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
            yield Table(rows[0], rows[2:])
        elif lines and lines[0] == "```console":
            yield lines[1].removeprefix("$ ")
        elif found := re.match(r"!\[.*\]\(\.\./images/(.+)\)", part.strip()):
            yield Path(found[1])


BLOCKS = list(blocks(GUIDE.read_text(encoding="utf-8")))
SHEET = next(one for one in BLOCKS if isinstance(one, Table) and not one.is_steps)
ROOMS = [row[SHEET.head.index("Room")] for row in SHEET.rows]


def test_the_guide_uses_words_that_mean_something():
    steps = [one for one in BLOCKS if isinstance(one, Table) and one.is_steps]
    assert len(steps) > 8
    assert {row[0] for table in steps for row in table.rows} <= VERBS
    assert len(ROOMS) == 10


def asked(line):
    """A command of the guide as the command line itself understands it."""
    program, name, *arguments = line.split()
    assert program == "meterhouse"
    command = typer.main.get_command(cli.app).commands[name]
    return name, command.make_context(name, arguments).params


class Newcomer:
    """Somebody who does what the guide says, and nothing else."""

    def __init__(self, page, clock, pictures):
        self.page = page
        self.clock = clock
        self.pictures = pictures

    async def found(self, make, what):
        """The first visible thing of what is in front: the dialog while one is open, or the page.

        A dialog closes by itself a moment after its deed, so the front is looked up each time.
        """
        for _ in range(STEP_TRIES):
            is_open = await self.page.locator("dialog[open]").count()
            front = self.page.locator("dialog[open]" if is_open else "body")
            target = make(front).locator("visible=true")
            if await target.count():
                return target.first
            await asyncio.sleep(TRY_S)
        raise AssertionError(f"no {what} on {self.page.url}")

    async def do(self, verb, on, what):
        await getattr(self, verb.replace(" ", "_"))(on, what)
        await awake(self.page)

    async def press(self, name, _):
        begins = re.compile(rf"^{re.escape(name)}(?!\S)")

        def make(front):
            button = front.get_by_role("button", name=name, exact=True)
            return button.or_(front.get_by_role("link", name=begins))

        await (await self.found(make, f"button {name!r}")).click()

    async def type(self, label, text):
        await (await self.field(label)).fill(text)

    async def choose(self, label, option):
        await (await self.field(label)).select_option(label=option)

    async def field(self, label):
        said = re.compile(rf"^{re.escape(label)}( \(optional\))?$")
        return await self.found(lambda front: front.get_by_label(said), f"field {label!r}")

    async def see(self, text, times):
        found = self.page.locator("body").get_by_text(text).locator("visible=true")
        wanted = int(times.split()[0]) if times else 0

        async def is_seen():
            count = await found.count()
            return count == wanted if times else count > 0

        await self.until(is_seen, f"{text!r} {times}")

    async def see_less(self, room, amount):
        tile = self.page.locator(".tiles a", has=self.page.get_by_text(room, exact=True))

        async def is_less():
            said = (await tile.locator("u").text_content()).replace("¥", "").replace(",", "")
            return said[:1].isdigit() and float(said) < float(amount)

        await self.until(is_less, f"{room} below {amount}")

    async def until(self, condition, what):
        """Wait for what comes by itself; the page is loaded anew, as the reader would."""
        for tried in range(1, STEP_TRIES + 1):
            if await condition():
                return
            await asyncio.sleep(TRY_S)
            is_time = tried % RELOAD_EVERY == 0
            if is_time and not await self.page.locator(UNDER_WAY).count():
                await self.page.reload()
        raise AssertionError(f"waited in vain for {what} on {self.page.url}")

    async def upload(self, label, _):
        book = openpyxl.Workbook()
        for row in [SHEET.head, *SHEET.rows]:
            book.active.append(row)
        content = io.BytesIO()
        book.save(content)
        file = {"name": "rooms.xlsx", "mimeType": "application/zip", "buffer": content.getvalue()}
        await self.page.get_by_label(label).set_input_files(file)

    async def wait(self, minutes, _):
        for _ in range(int(minutes.split()[0])):
            self.clock.at += timedelta(minutes=1)
            await asyncio.sleep(0.05)

    async def look(self, picture):
        if self.pictures:
            await self.page.screenshot(path=Path(self.pictures) / picture)


@pytest.fixture
async def house(tmp_path, clock):
    """What `meterhouse serve` runs, with its clock in the test's hand."""
    settings = load({"data": tmp_path / "data", "port": 0, "headend_port": 0}, {})
    async with run_house(settings, Plan(clock=clock, speed=SPEED)) as running:
        yield running


@pytest.fixture
async def page():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "Chromium is missing; --no-browser leaves these tests out"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        context = await browser.new_context(
            locale="en-US", viewport={"width": 1280, "height": 800}, reduced_motion="reduce"
        )
        one = await context.new_page()
        one.set_default_timeout(STEP_TIMEOUT_MS)
        yield one
        await browser.close()


async def test_a_newcomer_sets_up_ten_rooms_by_the_guide_alone(house, page, clock: Clock):
    newcomer = Newcomer(page, clock, os.environ.get("METERHOUSE_GUIDE_IMAGES"))
    towns = []
    for block in BLOCKS:
        if isinstance(block, str):
            name, chosen = asked(block)
            if name == "serve":
                await page.goto(f"http://127.0.0.1:{house.web.port}/welcome/{house.welcome}")
            else:
                town = Town(
                    plan_town(chosen["seed"], chosen["meters"], chosen["gateways"]), clock,
                    habits=HABITS,
                )  # fmt: skip
                dialling = town.dial("127.0.0.1", house.headend.port)
                towns.append(asyncio.create_task(dialling))
        elif isinstance(block, Path):
            await newcomer.look(block)
        elif block.is_steps:
            for room in ROOMS if block.head[0] == "for every room" else [""]:
                for verb, on, what in block.rows:
                    await newcomer.do(verb, on.format(room=room), what.format(room=room))
    for town in towns:
        town.cancel()
    await asyncio.gather(*towns, return_exceptions=True)
