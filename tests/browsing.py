"""A browser and a console for it to look at: Chromium is the machine's own, the port a free one."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright, expect

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
# Nothing is expected to be slow; the machine may be, with other work beside. This bounds what has
# failed, and costs nothing where it has not.
expect.set_options(timeout=60_000)
DESKTOP, TABLET, PHONE = (
    {"width": 1440, "height": 900},
    {"width": 1024, "height": 768},
    {"width": 390, "height": 844},
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """One browser; each reader gets a context of their own in it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "Chromium is missing; --no-browser leaves these tests out"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        await browser.close()


async def entered(page: Page) -> None:
    """Wait until somebody is signed in: a page that is asked for sooner would stop the answer."""
    await page.wait_for_url(lambda url: not url.partition("?")[0].endswith("/sign-in"))
    await awake(page)


async def awake(page: Page) -> None:
    """Wait until all scripts of a page listen, where a key or a form would come too early.

    A button needs no such waiting: what is pressed too early is done later.
    """
    await expect(page.locator("html[data-waking]")).to_have_count(0)


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The address at which an application of this process listens."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await task
    listener.close()


def overhear(page: Page, complaints: list[str]) -> None:
    """Collect what a page complains of: errors of its own, and what the policy refuses."""
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text)
            if "Content Security Policy" in said.text else None)  # fmt: skip
