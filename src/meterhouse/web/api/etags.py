"""Editing what somebody else may edit too: the version seen must be the version changed.

Owns the headers `ETag`, `If-Match` and `If-None-Match`, and what they say about a row's `version`.
Must never know what is edited. Who reads a thing is told its version; who changes it says which
version they saw, and the act's flow refuses when somebody changed it meanwhile.
"""

import re
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request
from starlette.responses import Response

from meterhouse.errors import BadInput, MeterhouseError

_TAG: Final = re.compile(r'"([1-9]\d{0,8})"')
IF_MATCH_PATTERN: Final = r'^"[1-9]\d{0,8}"$'


class VersionMissing(MeterhouseError):
    """Say in If-Match which version you saw; the ETag of what you read names it."""

    code = "version_missing"
    http_status = 428


class VersionUnreadable(BadInput):
    """If-Match takes one ETag as it was answered, in its quotes."""

    code = "version_unreadable"


async def _unless(
    if_none_match: Annotated[
        str | None,
        Header(
            max_length=200,
            description="`ETag`s you have; if the present one is among them, the answer is 304.",
            examples=['"3"'],
        ),
    ] = None,
) -> None:
    """Declares the header; `unchanged` reads it."""


VERSIONED: Final[dict[str, Any]] = {
    "dependencies": [Depends(_unless)],
    "responses": {
        200: {
            "headers": {
                "ETag": {
                    "description": "The version, as `If-Match` wants it in a change.",
                    "schema": {"type": "string", "pattern": IF_MATCH_PATTERN},
                    "example": '"3"',
                }
            }
        },
        304: {"description": "You have this version already."},
    },
}
"""How an operation is declared that answers one thing with its `ETag`."""


def unchanged(request: Request, response: Response) -> Response | None:
    """The short answer for whoever has this version already; None where the long one is due."""
    present = response.headers.get("ETag")
    known = request.headers.get("If-None-Match", "")
    tags = {one.strip().removeprefix("W/") for one in known.split(",")}
    if present is None or not tags & {present, "*"}:
        return None
    return Response(status_code=304, headers={"ETag": present})


def etag(version: int) -> dict[str, str]:
    """The header that tells a reader which version they see."""
    return {"ETag": f'"{version}"'}


def seen_version(if_match: str | None) -> int:
    """The version that whoever edits has seen.

    Raises:
        VersionMissing: they did not say.
        VersionUnreadable: it is not a tag of ours.
    """
    if if_match is None:
        raise VersionMissing
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise VersionUnreadable
    return int(found[1])
