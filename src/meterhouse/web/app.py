"""The web application, put together: what is handed in, mounted, guarded and checked.

Owns the order of assembly. Must never know a page. `create_app` fails when any route names no
verb, so an unguarded address cannot be deployed.
"""

from functools import cache
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.routing import BaseRoute

from meterhouse.flows.prices import Tariffs
from meterhouse.store.db import Address, Database
from meterhouse.units import EPOCH
from meterhouse.web import health, problems, switchboard
from meterhouse.web.access import Gate, check_routes
from meterhouse.web.acts import ACTS, FORMS, SHEETS
from meterhouse.web.acts.routes import add_forms, add_operations
from meterhouse.web.api import bills as api_bills
from meterhouse.web.api import books as api_books
from meterhouse.web.api import days as api_days
from meterhouse.web.api import desk as api_desk
from meterhouse.web.api import doubts as api_doubts
from meterhouse.web.api import drift as api_drift
from meterhouse.web.api import explain as api_explain
from meterhouse.web.api import field, v1
from meterhouse.web.api import find as api_find
from meterhouse.web.api import life as api_life
from meterhouse.web.api import parameters as api_parameters
from meterhouse.web.api import receipts as api_receipts
from meterhouse.web.api import recharges as api_recharges
from meterhouse.web.api import replays as api_replays
from meterhouse.web.api import revenue as api_revenue
from meterhouse.web.api import site as site_api
from meterhouse.web.api import staff as api_staff
from meterhouse.web.api import tasks as api_tasks
from meterhouse.web.api.contract import contract
from meterhouse.web.assets import Assets
from meterhouse.web.console import (
    account,
    bills,
    books,
    calculator,
    commissioning,
    desk,
    doubts,
    explain,
    explained,
    frame,
    imports,
    life,
    lists,
    platform,
    receipts,
    recharge,
    replays,
    revenue,
    room,
    rooms,
    scans,
    schemes,
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
from meterhouse.web.schemes import operation
from meterhouse.web.services import Services, WebSettings
from meterhouse.web.shield import BodyLimit, Shield

__all__ = ["Services", "WebSettings", "contract_alone", "create_app"]

VERSION: Final = "1"
# As many rows as an import takes, each as long as it may be.
BODY_MAX_BYTES: Final = 5_000_000
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
    app.state.tariffs = Tariffs()
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
    app.router.routes += _routes()
    switchboard.install(app.router)
    problems.install(app)
    check_routes(app)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """Pages first, then the API; within each, what is named before what is numbered.

    They become the application's own: a router within a router would be asked anew for every
    request, and keeps the switchboard from its routes. Made once for all applications, because
    reading so many signatures is most of what making one takes.
    """
    forms = APIRouter()
    operations = APIRouter(**v1.KEYED, route_class=v1.NumberedRoute)
    add_forms(forms, FORMS, lists.chosen_ids)
    imports.add_pages(forms, SHEETS)
    add_operations(operations, ACTS)
    pages = (
        health.router,
        session.router,
        explained.router,
        account.router,
        rooms.router,
        room.router,
        frame.router,
        desk.router,
        commissioning.router,
        scans.router,
        staff.router,
        receipts.router,
        schemes.router,
        calculator.router,
        forms,
        tasks.router,
        recharge.router,
        doubts.router,
        lists.router,
        books.router,
        explain.router,
        revenue.router,
        replays.router,
        bills.router,
        platform.router,
        site.router,
        life.router,
        welcome.router,
    )
    api = (
        v1.public,
        v1.router,
        api_tasks.router,
        api_recharges.router,
        api_parameters.router,
        api_find.router,
        api_desk.router,
        api_receipts.router,
        site_api.router,
        api_life.router,
        field.router,
        api_books.router,
        api_days.router,
        api_explain.router,
        api_drift.router,
        api_doubts.router,
        api_revenue.router,
        api_replays.router,
        api_bills.router,
        api_staff.router,
        operation.router,
        operations,
    )
    for router in (*pages, *api):
        for route in router.routes:
            assert isinstance(route, APIRoute)
            route.include_in_schema = router in api and route.include_in_schema
            route.unique_id = route.name
    return tuple(route for router in (*pages, *api) for route in router.routes)


def contract_alone() -> dict[str, Any]:
    """What `/api/v1/openapi.json` answers, without a running platform; no database is opened."""
    return contract(create_app(Services(Database(Address()), lambda: EPOCH)))
