"""Lists of a site of 100,000 points while fifty people and programs look at them at once.

Owns the site with its past (200,000 commands, alarms and notices each) and the readers: half of
them open list pages of the console, half of them ask the API. Each asks, reads for two to five
seconds what came, and asks again. Time is the server's: from the request that enters the
application to the last byte that leaves it. All of it runs in one process and one event loop, so
the readers' own work weighs on it too.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from time import perf_counter
from typing import Any

import httpx
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meterhouse.bench.ingest import Town
from meterhouse.bench.site import Site, monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import access, passwords, reading, signin
from meterhouse.flows.monitor import LISTS
from meterhouse.flows.prices import Tariffs
from meterhouse.store import bulk
from meterhouse.web.access import SESSION_COOKIE
from meterhouse.web.app import Services, WebSettings, create_app

METERS, PAST_ROWS, READERS = 100_000, 200_000, 50
WARM_S, MEASURED_S = 10, 60
THINK_S = (2.0, 5.0)
P95_MS_MAX = 150
NAMES = ("meters", "alarms", "commands", "notices", "gateways")
FILTERS: dict[str, tuple[str, ...]] = {
    "meters": ("online=true", "online=false"),
    "alarms": ("open=true", "open=false", "kind=meter_offline"),
    "commands": ("state=unknown", "kind=disconnect"),
    "notices": ("state=sent", "state=queued"),
    "gateways": ("online=false",),
}
# Of a hundred requests: the first page as it comes, the next one, another order, a filter, a text.
HABITS = {"first": 55, "next": 20, "sort": 10, "filter": 10, "text": 5}


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """Median and p95 of the server's time, of console pages and API lists."""
    links = straight_links(METERS)
    async with open_site(settings, "lists", links, monday()) as site:
        town = Town(site, METERS)
        town.live()
        for start in range(0, METERS, reading.CHUNK_MAX):
            await reading.ingest(
                site.db, Tariffs(), site.project_id, town.batch(start, 1), town.at(1)
            )
        await bulk.fill_past(site.address, site.project_id, METERS, PAST_ROWS, monday())
        took_ms = await _looked_at(site)
    return [figure for kind in ("page", "api") for figure in _figures(kind, took_ms[kind])]


def _figures(kind: str, took_ms: list[float]) -> list[dict[str, Any]]:
    took_ms.sort()
    half, most = took_ms[len(took_ms) // 2], took_ms[len(took_ms) * 95 // 100]
    return [
        {"name": f"lists.{kind}.median", "value": round(half, 1), "unit": "ms of server time",
         "reference": None, "ratio": None},
        {"name": f"lists.{kind}.p95", "value": round(most, 1), "unit": "ms of server time",
         "reference": P95_MS_MAX, "ratio": round(most / P95_MS_MAX, 3)},
        {"name": f"lists.{kind}.requests", "value": len(took_ms), "unit": "requests",
         "reference": None, "ratio": None},
    ]  # fmt: skip


class _Stopwatch:
    """ASGI middleware: how long each answer took, by kind, once measuring has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.runs = False
        self.took_ms: dict[str, list[float]] = {"page": [], "api": []}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = perf_counter()

        async def timed(message: Message) -> None:
            await send(message)
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            if is_last and self.runs:
                kind = "api" if scope["path"].startswith("/api/") else "page"
                self.took_ms[kind].append((perf_counter() - begun) * 1000)

        await self._app(scope, receive, timed)


@dataclass(slots=True)
class _Reader:
    """Somebody who looks at one list after the other."""

    client: httpx.AsyncClient
    project: str
    is_api: bool
    dice: Random
    cursors: dict[str, str] = field(default_factory=dict)
    """Where the next page of a list begins, as long as it was neither sorted nor filtered."""

    async def look(self) -> None:
        """Ask, read, think, for ever."""
        while True:
            await asyncio.sleep(self.dice.uniform(*THINK_S))
            name = self.dice.choice(NAMES)
            question = self._question(name)
            answer = await self.client.get(f"{self.project}/{name}?{question}")
            assert answer.status_code == 200, (answer.url, answer.text[:300])
            is_plain = "=" not in question or question.startswith("cursor=")
            told = answer.json()["next_cursor"] if self.is_api and is_plain else None
            self.cursors[name] = told or ""

    def _question(self, name: str) -> str:
        habit = self.dice.choices(list(HABITS), list(HABITS.values()))[0]
        match habit:
            case "next" if self.cursors.get(name):
                return f"cursor={self.cursors[name]}"
            case "next" if not self.is_api:
                return f"page={self.dice.randrange(2, 20)}"
            case "sort":
                way = self.dice.choice(("", "-"))
                return f"sort={way}{self.dice.choice(list(LISTS[name].orders))}"
            case "filter":
                return self.dice.choice(FILTERS[name])
            case "text":
                return f"text=R{self.dice.randrange(100, 99_999)}"
        return ""


async def _looked_at(site: Site) -> dict[str, list[float]]:
    services = Services(site.db, lambda: datetime.now(UTC), WebSettings(secure_cookies=False))
    watch = _Stopwatch(create_app(services))
    password = passwords.new_password()
    role = ("platform_administrator", "platform", 0, monday())
    await access.add_person(site.db, "bench", "Bench", password, *role)
    opened = await signin.sign_in(site.db, "bench", password, "bench", datetime.now(UTC))
    assert opened is not None
    _, key = await access.add_client(site.db, "client", "Client", *role)
    transport = httpx.ASGITransport(app=watch)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bench", timeout=60,
        cookies={SESSION_COOKIE: opened.token}, headers={"Authorization": f"Bearer {key}"},
    ) as client, asyncio.TaskGroup() as group:  # fmt: skip
        project = f"/projects/{site.project_id}"
        people = [_Reader(client, project, False, Random(n)) for n in range(READERS // 2)]
        programs = [
            _Reader(client, f"/api/v1{project}", True, Random(-n))
            for n in range(1, READERS // 2 + 1)
        ]
        looking = [group.create_task(reader.look()) for reader in (*people, *programs)]
        await asyncio.sleep(WARM_S)
        watch.runs = True
        await asyncio.sleep(MEASURED_S)
        watch.runs = False
        for task in looking:
            task.cancel()
    return watch.took_ms
