"""What surrounds every page: search, the project switcher, the bell; and all projects at a glance.

Owns these parts, each fetched when it is wanted, so that no page waits for them. Must never know
what a page shows.
"""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import overview, search
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.search import Hit, HitKind
from meterhouse.model import AlarmKind
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.formats import Formats
from meterhouse.web.labels import TaskState
from meterhouse.web.menu import MENU
from meterhouse.web.pages import formats_of, is_fragment, render, words_of

router = APIRouter(dependencies=[Depends(Permission(Verb.SESSION_OWN))])

START: Final = "rooms"


@router.get("/overview")
async def overview_page(request: Request) -> Response:
    """All projects the reader reaches, with what needs looking at."""
    reaches = list(request.state.caller.scopes.values())
    database = database_of(request)
    names = await overview.group_names(database, reaches)
    facts = {
        "groups": _by_group(reaches, names),
        "counts": await overview.counts(database, reaches),
        "start": {reach.project_id: _page_there(reach, START) for reach in reaches},
    }
    return render(request, "overview.html", facts)


@router.get("/projects/{project_id}/switch")
async def switcher(request: Request, project_id: int) -> Response:
    """The projects to switch to, each on the page that is open now where it has that page."""
    reaches = list(request.state.caller.scopes.values())
    names = await overview.group_names(database_of(request), reaches)
    page = request.query_params.get("page", START)
    facts = {
        "groups": _by_group(reaches, names),
        "there": {reach.project_id: _page_there(reach, page) for reach in reaches},
        "here": project_id,
    }
    return render(request, "switch.html", facts)


@router.get("/projects/{project_id}/bell")
async def bell(request: Request) -> Response:
    """Open alarms, and the reader's own tasks."""
    scope = request.state.scope
    news = await overview.news(database_of(request), scope, request.state.caller.person_id)
    fmt = formats_of(request)
    facts = {
        "news": news,
        "alarms": [(labels.label(fmt.words, AlarmKind(row["kind"])), row["room"] or "",
                    fmt.instant(row["opened_at"])) for row in news.alarms],
        "tasks": [(row, TaskState(row["state"])) for row in news.tasks],
    }  # fmt: skip
    return render(request, "bell.html", facts)


@router.get("/projects/{project_id}/search")
async def search_page(request: Request, project_id: int) -> Response:
    """What is called so: beneath the box while one types, or as a page of its own."""
    text = request.query_params.get("q", "")
    caller, wide = request.state.caller, "all" in request.query_params
    here = [caller.scope(project_id)]
    reaches = list(caller.scopes.values()) if wide else here
    hits = await search.find(database_of(request), reaches, text)
    facts = {
        "text": text,
        "wide": wide,
        "has_more": len(caller.scopes) > 1,
        "groups": [(kind, [_shown(hit, caller.scopes[hit.project_id], request) for hit in hits
                           if hit.kind is kind]) for kind in HitKind],
        "hit_count": len(hits),
    }  # fmt: skip
    return render(request, "found.html" if is_fragment(request) else "search.html", facts)


def _by_group(reaches: Sequence[Reach], names: dict[int, str]) -> list[tuple[str, list[Reach]]]:
    groups: dict[int, list[Reach]] = {}
    for reach in sorted(reaches, key=lambda one: one.name):
        groups.setdefault(reach.group_id, []).append(reach)
    found = [(names.get(group_id, ""), mine) for group_id, mine in groups.items()]
    return sorted(found, key=lambda one: one[0])


def _page_there(reach: Reach, page: str) -> str:
    """The same page in another project, else the first that its roles open there."""
    may = [entry.path for entry in MENU
           if entry.verb in reach.verbs and not entry.path.startswith("/")]  # fmt: skip
    there = page if page in may else (may[0] if may else "")
    return f"/projects/{reach.project_id}/{there}"


def _shown(hit: Hit, reach: Reach, request: Request) -> dict[str, Any]:
    """A hit as the reader sees it: a name, where it is, and the page that shows it."""
    project = f"/projects/{hit.project_id}"
    where = [hit.building, hit.room if hit.kind is not HitKind.ROOM else ""]
    if hit.kind is HitKind.PERSON:
        where.insert(0, hit.phone)
    if hit.amount_minor is not None:
        exponent = reach.currency_exponent
        zone = formats_of(request).timezone
        fmt = Formats(words_of(request), zone, reach.currency, exponent)
        where.insert(0, fmt.money(hit.amount_minor))
    if len(request.state.caller.scopes) > 1:
        where.append(reach.name)
    there = f"{project}/rooms?building={hit.building_id}"
    if hit.room_id is not None:
        there = f"{project}/rooms/{hit.room_id}"
    elif hit.kind is not HitKind.ROOM:
        there = f"{project}/rooms"
    return {"said": hit.said, "where": " · ".join(filter(None, where)), "there": there}
