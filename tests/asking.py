"""One question to an application of this process, without a client between them.

Owns the few lines of ASGI that a request is. Walking over every operation in everybody's name
asks some forty thousand questions; a client would cost as much again as the answers do.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from starlette.types import ASGIApp, Message


@dataclass
class Answer:
    """What came back."""

    status_code: int
    body: bytes

    @cached_property
    def text(self) -> str:
        """The body, read as far as it is text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body, understood."""
        return json.loads(self.body)


async def ask(
    app: ASGIApp, method: str, address: str, *, headers: Mapping[str, str],
    cookies: Mapping[str, str], query: Mapping[str, Any] | None = None, body: bytes = b"",
) -> Answer:  # fmt: skip
    """Send one request; one that is broken off counts as the 500 that is sent for it."""
    place = urlsplit(address)
    asked = "&".join(part for part in (place.query, urlencode(query or {}, doseq=True)) if part)
    said = {"host": "desk", **{name.lower(): text for name, text in headers.items()}}
    if cookies:
        said["cookie"] = "; ".join(f"{name}={text}" for name, text in cookies.items())
    if body:
        said["content-length"] = str(len(body))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
        "scheme": "http", "path": unquote(place.path), "raw_path": place.path.encode(),
        "root_path": "", "query_string": asked.encode(), "client": ("127.0.0.1", 123),
        "server": ("desk", None),
        "headers": [(name.encode(), text.encode()) for name, text in said.items()],
    }  # fmt: skip
    coming = [{"type": "http.disconnect"}, {"type": "http.request", "body": body}]
    sent: list[Message] = []

    async def receive() -> Message:
        return coming.pop() if len(coming) > 1 else coming[0]

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except Exception:
        # The framework raises it again after it has answered, for a server to write down.
        if not sent:
            raise
    bodies = (one["body"] for one in sent if one["type"] == "http.response.body")
    return Answer(sent[0]["status"], b"".join(bodies))
