"""The web application, put together: what is handed in, mounted, guarded and checked.

Owns the order of assembly. Must never know a page. `create_app` fails when any route names no
verb, so an unguarded address cannot be deployed.
"""

from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware

from meterhouse.store.db import Address, Database
from meterhouse.units import EPOCH
from meterhouse.web import health, problems
from meterhouse.web.access import Gate, check_routes
from meterhouse.web.acts import ACTS, FORMS, SHEETS
from meterhouse.web.acts.routes import add_forms, add_operations
from meterhouse.web.api import field, v1
from meterhouse.web.api import find as api_find
from meterhouse.web.api import site as site_api
from meterhouse.web.api import staff as api_staff
from meterhouse.web.api import tasks as api_tasks
from meterhouse.web.api.contract import contract
from meterhouse.web.assets import Assets
from meterhouse.web.console import (
    account,
    commissioning,
    frame,
    imports,
    lists,
    platform,
    room,
    rooms,
    scans,
    session,
    site,
    staff,
    tasks,
    welcome,
)
from meterhouse.web.exports import MEDIA_TYPES
from meterhouse.web.gate import FlowGate
from meterhouse.web.limits import Limits
from meterhouse.web.live import Boards
from meterhouse.web.observe import Observer
from meterhouse.web.pages import make_environment
from meterhouse.web.services import Services, WebSettings
from meterhouse.web.shield import BodyLimit, Shield

__all__ = ["Services", "WebSettings", "contract_alone", "create_app"]

VERSION: Final = "1"
BODY_MAX_BYTES: Final = 1_000_000
_GZIP_LEVEL: Final = 5


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
    settings = services.settings
    app.state.limits = Limits(
        settings.requests_a_minute, settings.changes_a_minute,
        settings.stranger_requests_a_minute, settings.sign_ins_a_minute,
    )  # fmt: skip
    app.state.gate = gate or FlowGate(services.database, services.clock, services.secret_key)
    app.state.assets = Assets()
    app.state.boards = Boards()
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
    _mount(app)
    problems.install(app)
    check_routes(app)
    return app


def _mount(app: FastAPI) -> None:
    """Pages first, then the API; within each, what is named before what is numbered."""
    forms, operations = APIRouter(), APIRouter(route_class=v1.NumberedRoute)
    add_forms(forms, FORMS, lists.chosen_ids)
    imports.add_pages(forms, SHEETS)
    add_operations(operations, ACTS)
    pages = (
        health.router,
        session.router,
        account.router,
        rooms.router,
        room.router,
        frame.router,
        commissioning.router,
        scans.router,
        staff.router,
        forms,
        tasks.router,
        lists.router,
        platform.router,
        site.router,
        welcome.router,
    )
    for router in pages:
        app.include_router(router, include_in_schema=False)
    app.include_router(v1.public)
    app.include_router(v1.router)
    app.include_router(api_tasks.router)
    app.include_router(api_find.router)
    app.include_router(site_api.router)
    app.include_router(field.router)
    app.include_router(api_staff.router, **v1.KEYED)
    app.include_router(operations, **v1.KEYED)


def contract_alone() -> dict[str, Any]:
    """What `/api/v1/openapi.json` answers, without a running platform; no database is opened."""
    return contract(create_app(Services(Database(Address()), lambda: EPOCH)))
