"""The room monitor of 2,000 rooms: what a browser is sent, what a poll costs, when it is painted.

Owns a web server with a site behind it and two kinds of reader: one that counts bytes and our
processor's time, and Chromium where it is installed, which says when the page was on the screen.
"""

import asyncio
import contextlib
import gzip
import http.client
import multiprocessing
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from importlib import import_module
from statistics import median
from time import perf_counter, process_time
from typing import Any

import uvicorn

from meterhouse.bench.ingest import Town
from meterhouse.bench.site import Site, monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import access, passwords, reading, signin
from meterhouse.flows.prices import Tariffs
from meterhouse.web.access import SESSION_COOKIE
from meterhouse.web.app import Services, WebSettings, create_app
from meterhouse.web.port import open_port

ROOMS = 2_000
POLLS, PAGES, PAINTS = 200, 30, 7
PAGE_BYTES_MAX, PAINTED_MS_MAX, POLL_CPU_MS_MAX = 150_000, 1_000, 10
HOST = "127.0.0.1"


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Bytes and time of the page, CPU of a poll that finds nothing new, and the painted time."""
    async with (
        open_site(settings, "board", straight_links(ROOMS), monday()) as site,
        _serving(site) as port,
    ):
        town = Town(site, ROOMS)
        town.live()
        await reading.ingest(site.db, Tariffs(), site.project_id, town.batch(0, 1), town.at(1))
        password = passwords.new_password()
        await access.add_person(
            site.db, "bench", "Bench", password, "platform_administrator", "platform", 0, monday()
        )
        opened = await signin.sign_in(site.db, "bench", password, "bench", datetime.now(UTC))
        assert opened is not None
        path = f"/projects/{site.project_id}/rooms"
        asking = _Asking(port, opened.token)
        page, page_cpu_ms, page_ms = await asking.several(path, PAGES)
        version = page.partition(b'data-board="')[2].partition(b'"')[0].decode("ascii")
        nothing, poll_cpu_ms, _ = await asking.several(f"{path}/changes?since={version}", POLLS)
        assert not nothing, "a poll without a change brought something"
        painted_ms = await asyncio.to_thread(_paint, port, opened.token, path)
    sent = len(gzip.compress(page, 5))
    return [
        _figure("board.bytes", sent, "bytes, compressed", PAGE_BYTES_MAX),
        _figure("board.bytes_plain", len(page), "bytes", None),
        _figure("board.server_time", round(page_ms, 1), "ms", None),
        _figure("board.server_cpu", round(page_cpu_ms, 1), "ms of CPU a page", None),
        _figure("board.poll_cpu", round(poll_cpu_ms, 2), "ms of CPU a poll", POLL_CPU_MS_MAX),
        *([] if painted_ms is None else [
            _figure("board.painted", round(painted_ms), "ms", PAINTED_MS_MAX)
        ]),
    ]  # fmt: skip


def _figure(name: str, measured: Any, unit: str, most: Any) -> dict[str, Any]:
    ratio = None if most is None else round(measured / most, 3)
    return {"name": name, "value": measured, "unit": unit, "reference": most, "ratio": ratio}


class _Quiet(uvicorn.Server):
    """uvicorn without signal handlers of its own: the command line decides when it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(site: Site) -> AsyncIterator[int]:
    services = Services(site.db, lambda: datetime.now(UTC), WebSettings(secure_cookies=False))
    config = uvicorn.Config(
        create_app(services), host=HOST, port=0, log_config=None, access_log=False, lifespan="off"
    )
    listening = open_port(HOST, 0)
    server = _Quiet(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listening.close()


class _Asking:
    """A reader in a process of its own, so that its work is not counted as the server's."""

    def __init__(self, port: int, cookie: str) -> None:
        self._port = port
        self._cookie = cookie

    async def several(self, path: str, count: int) -> tuple[bytes, float, float]:
        """The body, and per request: CPU of this process, and time until the last byte, in ms."""
        here, there = multiprocessing.get_context("spawn").Pipe()
        reader = multiprocessing.get_context("spawn").Process(
            target=_read, args=(there, self._port, self._cookie, path, count)
        )
        reader.start()
        await asyncio.to_thread(here.recv)
        before = process_time()
        here.send("go")
        body, spans = await asyncio.to_thread(here.recv)
        cpu_ms = (process_time() - before) / count * 1000
        await asyncio.to_thread(reader.join)
        return body, cpu_ms, median(spans) * 1000


def _read(pipe: Any, port: int, cookie: str, path: str, count: int) -> None:
    connection = http.client.HTTPConnection(HOST, port)
    headers = {"Cookie": f"{SESSION_COOKIE}={cookie}", "Accept-Encoding": "gzip"}

    def ask() -> bytes:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status in (200, 204), answer.status
        return gzip.decompress(body) if answer.headers["Content-Encoding"] == "gzip" else body

    ask()
    pipe.send("ready")
    pipe.recv()
    body, spans = b"", []
    for _ in range(count):
        begin = perf_counter()
        body = ask()
        spans.append(perf_counter() - begin)
    pipe.send((body, spans))


def _paint(port: int, cookie: str, path: str) -> float | None:
    """Milliseconds from asking to the painted page, by Chromium's clock; None without it."""
    browser_path = shutil.which("chromium")
    try:
        sync_playwright = import_module("playwright.sync_api").sync_playwright
    except ImportError:
        return None
    if browser_path is None:
        return None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.add_cookies(
            [{"name": SESSION_COOKIE, "value": cookie, "domain": HOST, "path": "/"}]
        )
        page = context.new_page()
        answers: list[Any] = []
        # Playwright marks the function it is given, and a list's own method takes no mark.
        page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108
        spans = []
        for _ in range(PAINTS):
            page.goto(f"http://{HOST}:{port}{path}")
            spans.append(float(page.evaluate(_PAINTED)))
        # A page without its style sheet is painted sooner, and is not the page.
        assert all(each.ok for each in answers), [each.url for each in answers if not each.ok]
        browser.close()
    return median(spans)


# Two frames after loading, whatever was to be painted is on the screen.
_PAINTED = """() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(
    () => done(performance.now()))))"""
