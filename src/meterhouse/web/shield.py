"""What every answer carries: a request id, and headers that tell the browser what it may do.

Owns the content security policy and its companions, and how much may be sent to us. Must never
know a route. The policy allows
no inline script and no inline style, so pages hand data over in `data-` attributes.
"""

import re
import secrets
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meterhouse.logs import bind

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_STRICT_TRANSPORT: Final = "max-age=31536000; includeSubDomains"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")


class Shield:
    """ASGI middleware around the whole application; `on_error` answers what nobody caught."""

    def __init__(
        self, app: ASGIApp, *, secure: bool, on_error: Callable[[Request, Exception], Response]
    ) -> None:
        self.app = app
        self.secure = secure
        self.on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give the request its id, and the answer its headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        with bind(request_id=request_id):
            await self._answer(scope, receive, send, request_id)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, text in _HEADERS.items():
                    headers.setdefault(name, text)
                headers["X-Request-ID"] = request_id
                for set_cookie in scope["state"].get("set_cookies", ()):
                    headers.append("Set-Cookie", set_cookie)
                if (allowance := scope["state"].get("allowance")) is not None:
                    headers.update(allowance.headers())
                # Pages and answers belong to one person; only static files may be shared.
                headers.setdefault("Cache-Control", "private, no-store")
                if self.secure:
                    headers.setdefault("Strict-Transport-Security", _STRICT_TRANSPORT)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            # An answer that has begun cannot be taken back; the server closes the connection.
            if started:
                raise
            answer = self.on_error(Request(scope, receive), error)
            await answer(scope, receive, send_with_headers)


class BodyLimit:
    """ASGI middleware that stops reading what is too large.

    Starlette's own would answer outside of ours: in plain text, and without a single header.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self.app = app
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the body through as far as it may go; whoever reads on gets status 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        is_declared_too_large = declared.isdecimal() and int(declared) > self.most_bytes
        read_bytes = 0

        async def receive_so_much() -> Message:
            nonlocal read_bytes
            if is_declared_too_large:
                raise HTTPException(413)
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > self.most_bytes:
                raise HTTPException(413)
            return message

        await self.app(scope, receive_so_much, send)
