"""What is noted of every request: one line in the log, one count, one duration.

Owns what is said of a request: its method, the template of its address, its status, how long it
took, and whose it was by number. Must never note an address, a query, a header or a body: they
carry names, amounts and keys.
"""

import asyncio
from http import HTTPStatus
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meterhouse import metrics
from meterhouse.logs import Log

log = Log(__name__)

STATIC: Final = "/static/{file}"
NO_ROUTE: Final = "none"
# Asked every few seconds, and worth a line only when something is wrong.
QUIET: Final = ("/health/live", "/health/ready")


class Observer:
    """ASGI middleware within `Shield`, around everything that takes time."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then note how it went; an answer that was broken off counts as a failure."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        now = asyncio.get_running_loop().time
        began, status = now(), int(HTTPStatus.INTERNAL_SERVER_ERROR)
        said = 0

        async def send_and_see(message: Message) -> None:
            nonlocal said, status
            if message["type"] == "http.response.start":
                said = message["status"]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                status = said

        with metrics.in_flight.track_inprogress():
            try:
                await self.app(scope, receive, send_and_see)
            finally:
                _note(scope, status, now() - began)


def _note(scope: Scope, status: int, duration_s: float) -> None:
    route = route_of(scope)
    metrics.answered(scope["method"], route, status, duration_s)
    if route in QUIET and status < HTTPStatus.BAD_REQUEST:
        return
    state = scope.get("state", {})
    caller, reach = state.get("caller"), state.get("scope")
    log.info(
        "request",
        method=metrics.method_word(scope["method"]),
        route=route,
        status=status,
        duration_ms=round(duration_s * 1000, 1),
        person_id=getattr(caller, "person_id", None),
        project_id=getattr(reach, "project_id", None),
    )


def route_of(scope: Scope) -> str:
    """The template of the address that answered, such as `/projects/{project_id}/rooms`."""
    route: Any = scope.get("route")
    if route is None:
        return STATIC if scope["path"].startswith("/static/") else NO_ROUTE
    return str(getattr(route, "path", NO_ROUTE))
