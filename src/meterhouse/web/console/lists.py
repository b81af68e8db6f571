"""Pages and files of the lists in `views`: two routes each, made from the declaration.

Owns what surrounds the rows: saved filters, remembered columns, what can be done to one row and
to many. Must never know a particular list.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import QueryParams
from starlette.responses import Response

from meterhouse.errors import BadInput
from meterhouse.flows import filters, monitor
from meterhouse.flows.access import Verb
from meterhouse.store.db import PLATFORM
from meterhouse.web.access import Permission, cookie, database_of
from meterhouse.web.acts import BY_NAME
from meterhouse.web.acts.bulk import ROWS_MAX, many_name, row_name
from meterhouse.web.exports import MEDIA_TYPES, Sheet, export
from meterhouse.web.formats import Formats
from meterhouse.web.listview import ListView
from meterhouse.web.menu import verb_of
from meterhouse.web.pages import formats_of, render, words_of
from meterhouse.web.selection import wanted
from meterhouse.web.tables import (
    PAGE_SIZES,
    Kind,
    ListPage,
    ListState,
    Table,
    cells_of,
    list_state,
)
from meterhouse.web.views import LISTS

router = APIRouter()

_LOOK_KEYS: Final = ("columns", "hide", "show", "size")
_YEAR_S: Final = 365 * 86_400
_COOKIE_MAX_CHARS: Final = 1_000


class ListTooLong(BadInput):
    """The list has more than {rows} rows; let a task write the file, or filter further."""

    code = "list_too_long"

    def __init__(self) -> None:
        super().__init__(rows=monitor.EXPORT_NOW_MAX_ROWS)


class TooManyChosen(BadInput):
    """More than {rows} rows match; filter further, so that you can see whom it concerns."""

    code = "too_many_chosen"

    def __init__(self) -> None:
        super().__init__(rows=ROWS_MAX)


@dataclass(frozen=True, slots=True)
class Deeds:
    """What this reader may do to the rows of a list.

    Attributes:
        single: for each row, (title, address, is dangerous) of its forms, in the reader's words.
        many: (title, address, is dangerous) of the forms for the rows chosen.
    """

    single: Mapping[int, Sequence[tuple[str, str, bool]]]
    many: Sequence[tuple[str, str, bool]]


def list_facts(
    page: ListPage, fmt: Formats, address: str, granted: Collection[str], unit: str = ""
) -> dict[str, Any]:
    """What the list macros need; `unit` is that of the list's energy where all rows share one."""
    headings = titles(page.state.table, fmt, unit)

    def opens(path: str) -> bool:
        """Whether a link leads further than to a refusal."""
        verb = verb_of(path)
        return verb is None or verb in granted

    return {
        "page": page,
        "address": address,
        "page_sizes": PAGE_SIZES,
        "titles": headings,
        "cells_of": lambda row: cells_of(page.state.columns, headings, row, fmt, opens),
        "deeds": Deeds({}, ()),
        "saved": None,
        "makes_task": False,
        "totals": (),
    }


def titles(table: Table, fmt: Formats, unit: str) -> dict[str, str]:
    """Headings by column; money names its currency and energy its unit."""
    units = {Kind.MONEY: fmt.currency_symbol, Kind.ENERGY: unit}
    return {
        column.key: f"{fmt.words(column.title)} ({units[column.kind]})"
        if units.get(column.kind) else fmt.words(column.title)
        for column in table.columns
    }  # fmt: skip


async def export_list(
    request: Request, project_id: int, view: ListView, fmt: Formats, **fixed: Any
) -> Response:
    """The file of a list as its address filters, sorts and shows it.

    Raises:
        ListTooLong: it has more rows than a person should wait for; a task can write it.
    """
    database = database_of(request)
    state = list_state(view.table, request.query_params)
    asked = wanted(state, fmt, **fixed)
    if project_id != PLATFORM and not fixed:
        listing = await monitor.listing(database, project_id, view.table.name, asked)
        if listing.row_count > monitor.EXPORT_NOW_MAX_ROWS:
            raise ListTooLong
    kind = request.query_params.get("kind", "xlsx")
    chunks: AsyncIterator[Sequence[Any]] = monitor.stream(
        database, project_id, view.table.name, asked
    )
    sheet = Sheet(fmt.words(view.heading), state.columns, fmt)
    return await export(sheet, kind if kind in MEDIA_TYPES else "xlsx", chunks, view.table.name)


async def load_page(
    request: Request, project_id: int, view: ListView, fmt: Formats, **fixed: Any
) -> ListPage:
    """The page of rows an address asks for, with the columns last chosen."""
    state = list_state(view.table, _with_look(request, view))
    listing = await monitor.listing(
        database_of(request), project_id, view.table.name,
        wanted(state, fmt, **fixed),
    )  # fmt: skip
    return ListPage(state, listing.rows, listing.row_count, listing.is_more)


async def chosen_ids(request: Request) -> Sequence[int]:
    """The rows a page chose: those ticked, or all that match the filter of the list it names.

    Raises:
        TooManyChosen: more match than one task may touch.
    """
    query = request.query_params
    view = LISTS.get(query.get("list", ""))
    if "all" not in query or view is None or view.verb not in request.state.scope.verbs:
        return [int(one) for one in query.getlist("id") if one.isdecimal() and len(one) < 19]
    state = list_state(view.table, query)
    chunks = monitor.stream(
        database_of(request), request.state.scope.project_id, view.table.name,
        wanted(state, formats_of(request)), ROWS_MAX + 1,
    )  # fmt: skip
    found = [row["id"] async for rows in chunks for row in rows if _is_bulk(view, row)]
    if len(found) > ROWS_MAX:
        raise TooManyChosen
    return found


def remember_look(request: Request, response: Response, view: ListView, state: ListState) -> None:
    """Keep the columns and the page size that were chosen, for this person in this browser."""
    if "columns" in request.query_params or "size" in request.query_params:
        look = [(key, text) for key, text in QueryParams(state.query()[1:]).multi_items()
                if key in _LOOK_KEYS]  # fmt: skip
        text = urlencode(look)[:_COOKIE_MAX_CHARS]
        kept = cookie(request, _cookie(request, view), text, _YEAR_S)
        response.headers.append("set-cookie", kept)


def deeds_of(request: Request, view: ListView, rows: Sequence[Any]) -> Deeds:
    """What may be done to these rows, and to many of them at once."""
    scope = request.state.scope
    spoken, ids = words_of(request), {"project_id": scope.project_id}
    acts = [(one, BY_NAME[one.name]) for one in view.row_acts]
    acts = [(one, act) for one, act in acts if act.verb in scope.verbs]
    named = [(one, act, spoken(act.title), row_name(act)) for one, act in acts]
    single = {
        row["id"]: [
            (title, act.page.format(**ids, **{number: row["id"]}), act.danger)
            for one, act, title, number in named if one.when(row)
        ]
        for row in rows
    }  # fmt: skip
    if not any(single.values()):
        return Deeds({}, ())
    bulk = [BY_NAME[many_name(act)] for _, act in acts if act.bulk]
    return Deeds(single, [(spoken(act.title), act.page.format(**ids), act.danger) for act in bulk])


def _is_bulk(view: ListView, row: Any) -> bool:
    return any(one.when(row) for one in view.row_acts)


def _cookie(request: Request, view: ListView) -> str:
    return f"meterhouse_{view.table.name}_{request.state.caller.person_id}"


def _with_look(request: Request, view: ListView) -> QueryParams:
    """The address, and where it says nothing of columns what was chosen last."""
    query = request.query_params
    if any(key in query for key in _LOOK_KEYS):
        return query
    kept = QueryParams(request.cookies.get(_cookie(request, view), "")[:_COOKIE_MAX_CHARS])
    look = [(key, text) for key, text in kept.multi_items() if key in _LOOK_KEYS]
    return QueryParams([*query.multi_items(), *look])


def _add(view: ListView) -> None:
    path = f"/projects/{{project_id}}/{view.table.name}"
    may = [Depends(Permission(view.verb))]

    async def page(request: Request, project_id: int) -> Response:
        fmt, database = formats_of(request), database_of(request)
        rows = await load_page(request, project_id, view, fmt)
        person_id = request.state.caller.person_id
        facts: Mapping[str, Any] = {
            "heading": fmt.words(view.heading),
            "strangers": await _strangers(request, view),
            **offered(request, view, project_id),
            "links": view.links,
            **list_facts(rows, fmt, view.table.name, request.state.scope.verbs),
            "totals": await _totals(request, project_id, view, rows.state, fmt),
            "makes_task": rows.row_count > monitor.EXPORT_NOW_MAX_ROWS,
            "deeds": deeds_of(request, view, rows.rows),
            "saved": await filters.of_person(database, project_id, person_id, view.table.name),
        }
        response = render(request, "list.html", dict(facts))
        remember_look(request, response, view, rows.state)
        return response

    async def file(request: Request, project_id: int) -> Response:
        return await export_list(request, project_id, view, formats_of(request))

    router.add_api_route(path, page, methods=["GET"], dependencies=may, name=view.table.name)
    router.add_api_route(
        f"{path}/export", file, methods=["GET"], dependencies=may, name=f"{view.table.name}_file"
    )


def offered(request: Request, view: ListView, project_id: int) -> dict[str, Any]:
    """What can be done from a list by this reader, as (title, address), in dialogs and pages."""
    granted = request.state.scope.verbs
    return {
        name: [
            (act.title, act.page.format(project_id=project_id))
            for act in acts if act.verb in granted
        ]
        for name, acts in (("acts", view.acts), ("act_pages", view.pages))
    }  # fmt: skip


async def _totals(
    request: Request, project_id: int, view: ListView, state: ListState, fmt: Formats
) -> Sequence[tuple[str, str]]:
    """What all rows that match add up to, where the list says how."""
    if view.totals is None:
        return ()
    return await view.totals(database_of(request), project_id, wanted(state, fmt), fmt)


async def _strangers(request: Request, view: ListView) -> Sequence[Any]:
    """Refused gateways, above the list of gateways, for those who look after the platform."""
    granted = request.state.scope.verbs
    if view.table.name != "gateways" or Verb.STRANGER_READ not in granted:
        return ()
    services = request.app.state.services
    return await monitor.strangers(database_of(request), services.clock())


for _view in LISTS.values():
    _add(_view)
