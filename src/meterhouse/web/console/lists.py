"""Pages and files of the lists in `views`: two routes each, made from the declaration.

Owns the way from an address to rows: filters become typed arguments of the flow's list. Must
never know a particular list.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import monitor
from meterhouse.flows.access import Verb
from meterhouse.flows.monitor import Wanted
from meterhouse.web.access import Permission, database_of
from meterhouse.web.exports import MEDIA_TYPES, Sheet, export
from meterhouse.web.formats import Formats
from meterhouse.web.pages import formats_of, render
from meterhouse.web.tables import (
    PAGE_SIZES,
    Kind,
    ListPage,
    ListState,
    Table,
    cell_text,
    list_state,
)
from meterhouse.web.views import LISTS, ListView

router = APIRouter()

_TRUTHS: Final = {"true": True, "false": False}


def wanted(state: ListState, fmt: Formats, **fixed: Any) -> Wanted:
    """A list's state as the flow's question: dates become instants, text becomes a pattern.

    `fixed` are filters the page itself sets; a reader cannot take them away.
    """
    typed: dict[str, Any] = {}
    for key, text in state.filters.items():
        match key:
            case "from":
                typed[key] = _midnight(text, fmt, 0)
            case "to":
                typed[key] = _midnight(text, fmt, 1)
            case "text" | "person" | "object":
                typed[key] = monitor.contains(text)
            case "open" | "online" | "let":
                typed[key] = _TRUTHS.get(text)
            case _:
                typed[key] = text or None
    return Wanted(typed | fixed, state.sort, state.descending, state.page_size, state.offset)


def _midnight(text: str, fmt: Formats, days_later: int) -> datetime | None:
    """The project's midnight that begins a day, or ends it; None for what is no day."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days_later)
    except (ValueError, OverflowError):
        return None
    return datetime.combine(day, datetime.min.time(), fmt.timezone)


def list_facts(page: ListPage, fmt: Formats, address: str, unit: str = "") -> dict[str, Any]:
    """What the list macros need; `unit` is that of the list's energy where all rows share one."""
    return {
        "page": page,
        "address": address,
        "page_sizes": PAGE_SIZES,
        "titles": titles(page.state.table, fmt, unit),
        "cell": lambda column, row: cell_text(column, row, fmt),
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
    """The file of a list as its address filters, sorts and shows it."""
    state = list_state(view.table, request.query_params)
    kind = request.query_params.get("kind", "xlsx")
    chunks: AsyncIterator[Sequence[Any]] = monitor.stream(
        database_of(request), project_id, view.table.name,
        wanted(state, fmt, **fixed),
    )  # fmt: skip
    sheet = Sheet(fmt.words(view.heading), state.columns, fmt)
    return await export(sheet, kind if kind in MEDIA_TYPES else "xlsx", chunks, view.table.name)


async def load_page(
    request: Request, project_id: int, view: ListView, fmt: Formats, **fixed: Any
) -> ListPage:
    """The page of rows an address asks for."""
    state = list_state(view.table, request.query_params)
    listing = await monitor.listing(
        database_of(request), project_id, view.table.name,
        wanted(state, fmt, **fixed),
    )  # fmt: skip
    return ListPage(state, listing.rows, listing.row_count, listing.is_more)


def _add(view: ListView) -> None:
    path = f"/projects/{{project_id}}/{view.table.name}"
    may = [Depends(Permission(view.verb))]

    async def page(request: Request, project_id: int) -> Response:
        fmt = formats_of(request)
        rows = await load_page(request, project_id, view, fmt)
        facts: Mapping[str, Any] = {
            "heading": fmt.words(view.heading),
            "strangers": await _strangers(request, view),
            **offered(request, view, project_id),
            "links": view.links,
            **list_facts(rows, fmt, view.table.name),
        }
        return render(request, "list.html", dict(facts))

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


async def _strangers(request: Request, view: ListView) -> Sequence[Any]:
    """Refused gateways, above the list of gateways, for those who look after the platform."""
    granted = request.state.scope.verbs
    if view.table.name != "gateways" or Verb.STRANGER_READ not in granted:
        return ()
    services = request.app.state.services
    return await monitor.strangers(database_of(request), services.clock())


for _view in LISTS.values():
    _add(_view)
