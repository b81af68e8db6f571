"""The web application, put together: what is handed in, mounted, guarded and checked.

Owns the order of assembly. Must never know a page. `create_app` fails when any route names no
verb, so an unguarded address cannot be deployed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fastapi import FastAPI
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from meterhouse.ports import Clock
from meterhouse.store.db import Database
from meterhouse.web import health, problems
from meterhouse.web.access import Gate, check_routes
from meterhouse.web.api import v1
from meterhouse.web.assets import Assets
from meterhouse.web.console import alarms, lists, room, rooms, session
from meterhouse.web.exports import MEDIA_TYPES
from meterhouse.web.gate import FlowGate
from meterhouse.web.live import Boards
from meterhouse.web.observe import Observer
from meterhouse.web.pages import make_environment
from meterhouse.web.shield import BodyLimit, Shield

VERSION: Final = "1"
BODY_MAX_BYTES: Final = 1_000_000
_GZIP_LEVEL: Final = 5


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What differs between installations. `secure_cookies` is off only for plain HTTP on a desk.

    `public_url` is how people reach the console, `https://host`, for links that leave it (empty:
    nobody has said); it ends without a slash.
    """

    title: str = "meterhouse"
    secure_cookies: bool = True
    public_url: str = ""


def _nothing() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """What the composition root hands in; the clock is that of the town where time runs faster.

    `secret_key`: the installation's 32 bytes, with which secrets in the database are sealed;
    empty where there are none. `unfit` says in a word why nothing should be sent here, or None.
    """

    database: Database
    clock: Clock
    settings: WebSettings = field(default_factory=WebSettings)
    secret_key: bytes = field(default=b"", repr=False)
    unfit: Callable[[], str | None] = _nothing


def create_app(services: Services, gate: Gate | None = None) -> FastAPI:
    """The console and the API as one ASGI application; `gate` stands in for the flows' own.

    Raises:
        RouteWithoutVerb: a route declares neither a verb nor that it is public.
    """
    app = FastAPI(
        title=services.settings.title,
        version=VERSION,
        summary="Rooms, meters, commands and money of a prepaid utility platform",
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.services = services
    app.state.gate = gate or FlowGate(services.database, services.clock)
    app.state.assets = Assets()
    app.state.boards = Boards(services.database)
    app.state.environment = make_environment()
    app.add_middleware(BodyLimit, most_bytes=BODY_MAX_BYTES)
    app.add_middleware(
        GZipMiddleware,
        minimum_size=1024,
        compresslevel=_GZIP_LEVEL,
        exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, MEDIA_TYPES["xlsx"]),
    )
    app.add_middleware(Observer)
    app.add_middleware(
        Shield, secure=services.settings.secure_cookies, on_error=problems.on_unexpected
    )
    app.mount("/static", app.state.assets)
    for page in (health, session, rooms, room, alarms, lists):
        app.include_router(page.router, include_in_schema=False)
    app.include_router(v1.public)
    app.include_router(v1.router)
    problems.install(app)
    check_routes(app)
    return app
