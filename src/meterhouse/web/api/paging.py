"""Lists by cursor: which rows a program wants next, and what its cursor may say.

Owns the parameters every list takes, the cursor's text and the answer's frame. Must never know a
list's rows. A cursor says where the last page ended, in which order, and under which filters (as a
digest): with another order or filter it would silently skip rows, so it is refused. It is opaque to
programs and holds nothing they may not see; whatever it says is checked again.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.dependencies.models import Dependant
from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from meterhouse.errors import BadInput
from meterhouse.flows import monitor
from meterhouse.flows.monitor import LISTS, Following, Position, Wanted
from meterhouse.units import from_us, to_us
from meterhouse.web.access import database_of

LIMIT_MAX: Final = 200
LIMIT_DEFAULT: Final = 50
CURSOR_MAX_CHARS: Final = 1_000
_VERSION: Final = 1
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class CursorInvalid(BadInput):
    """This cursor is not one of ours; begin at the first page."""

    code = "cursor_invalid"


class CursorMismatch(BadInput):
    """This cursor belongs to another list, sort or filter; begin at the first page."""

    code = "cursor_mismatch"


class QueryUnknown(BadInput):
    """There is no parameter {name}; this operation takes {known}."""

    code = "query_unknown"

    def __init__(self, name: str, known: str) -> None:
        super().__init__(name=name, known=known)


class SortOf:
    """The orders a list offers, as the words `sort` may be: `room`, `-room`, …"""

    def __init__(self, name: str) -> None:
        self.words = [way + key for key in LISTS[name].orders for way in ("", "-")]

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """One of the words, and nothing else."""
        return core_schema.literal_schema(self.words)


def _instant(text: Any) -> Any:
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise PydanticCustomError("datetime_from_date_parsing", "not RFC 3339 with an offset")
    return text


def _within(at: datetime) -> datetime:
    """The nearest instant that every clock here can show; nothing was read before or after."""
    try:
        return min(max(at.astimezone(UTC), _FIRST), _LAST)
    except OverflowError:
        return _FIRST if at.year < _FIRST.year else _LAST


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    AfterValidator(_within),
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-21T00:00:00+08:00"]}
    ),
]
"""An instant in a question: RFC 3339 with an offset."""


@dataclass(frozen=True, slots=True)
class Paging:
    """Which rows of a list, and whether to count them all."""

    limit: int
    cursor: str
    is_counted: bool


def paging(
    limit: Annotated[
        int, Query(ge=1, le=LIMIT_MAX, description="Rows a page.", examples=[50])
    ] = LIMIT_DEFAULT,
    cursor: Annotated[
        str,
        Query(
            max_length=CURSOR_MAX_CHARS,
            pattern=r"^[A-Za-z0-9_-]*$",
            description="`next_cursor` of the page before, with the same sort and filters; "
            "empty for the first page.",
            examples=[""],
        ),
    ] = "",
    count: Annotated[
        bool, Query(description="Whether to count all rows that match.", examples=[False])
    ] = False,
) -> Paging:
    """The parameters that every list takes."""
    return Paging(limit, cursor, count)


async def page(
    request: Request, project_id: int, name: str, asked: Paging, sort: str,
    shape: Callable[[Any], Any], **filters: Any,
) -> dict[str, Any]:  # fmt: skip
    """A page of one of the flow's lists, as `Page` has it.

    Raises:
        CursorInvalid: the cursor is no cursor.
        CursorMismatch: it belongs to another list, sort or filter.
    """
    wanted = wanted_of(asked, sort, filters)
    after, seal = opened(asked, project_id, name, sort, filters)
    found = await monitor.following(
        database_of(request), project_id, name, wanted, after,
        counted=asked.is_counted,
    )  # fmt: skip
    return framed(found, seal, shape)


def wanted_of(asked: Paging, sort: str, filters: Mapping[str, Any]) -> Wanted:
    """Which rows a program asks for, as flows take it."""
    return Wanted(filters, sort.removeprefix("-"), sort.startswith("-"), asked.limit)


def opened(
    asked: Paging, project_id: int, name: str, sort: str, filters: Mapping[str, Any]
) -> tuple[Position | None, str]:
    """Where the page before ended, None before the first page; and the seal of the next cursor.

    Raises:
        CursorInvalid: the cursor is no cursor.
        CursorMismatch: it belongs to another list, sort or filter.
    """
    seal = _seal(project_id, name, sort, filters)
    return (_opened(asked.cursor, seal) if asked.cursor else None), seal


def framed(found: Following, seal: str, shape: Callable[[Any], Any]) -> dict[str, Any]:
    """Rows as `Page` has them."""
    return {
        "items": [shape(row) for row in found.rows],
        "next_cursor": None if found.end is None else _closed(found.end, seal),
        "total": None if found.row_count is None else min(found.row_count, monitor.COUNT_MAX_ROWS),
        "total_is_more": (found.row_count or 0) > monitor.COUNT_MAX_ROWS,
    }


async def refuse_unknown(request: Request) -> None:
    """Refuse a parameter the operation does not take: misspelled, it would filter nothing.

    Raises:
        QueryUnknown: there is one.
    """
    known = set(_query_names(request.scope["route"].dependant))
    for name in request.query_params:
        if name not in known:
            raise QueryUnknown(name[:40], ", ".join(sorted(known)) or "-")


def _query_names(dependant: Dependant) -> Iterable[str]:
    yield from (str(field.alias) for field in dependant.query_params)
    for child in dependant.dependencies:
        yield from _query_names(child)


def _seal(project_id: int, name: str, sort: str, filters: Mapping[str, Any]) -> str:
    said = {key: str(given) for key, given in filters.items() if given is not None}
    text = json.dumps([_VERSION, project_id, name, sort, said], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _closed(position: Position, seal: str) -> str:
    told = [{"at": to_us(one)} if isinstance(one, datetime) else one for one in position]
    text = json.dumps([_VERSION, seal, told], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _opened(cursor: str, seal: str) -> Position:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        version, sealed, told = json.loads(text)
        position = [from_us(one["at"]) if isinstance(one, dict) else one for one in told]
    except (binascii.Error, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise CursorInvalid from None
    if version != _VERSION or not all(
        isinstance(one, int | str | datetime | None) for one in position
    ):
        raise CursorInvalid
    if sealed != seal:
        raise CursorMismatch
    return position
