"""Editing what somebody else may edit too: the version seen must be the version changed.

Owns the two headers, `ETag` and `If-Match`, and what they say about a row's `version`. Must never
know what is edited. Who reads a thing is told its version; who changes it says which version they
saw, and the act's flow refuses when somebody changed it meanwhile.
"""

import re
from typing import Final

from meterhouse.errors import BadInput, MeterhouseError

_TAG: Final = re.compile(r'"(\d{1,18})"')
IF_MATCH_PATTERN: Final = r'^"\d{1,18}"$'


class VersionMissing(MeterhouseError):
    """Say in If-Match which version you saw; the ETag of what you read names it."""

    code = "version_missing"
    http_status = 428


class VersionUnreadable(BadInput):
    """If-Match takes one ETag as it was answered, in its quotes."""

    code = "version_unreadable"


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
