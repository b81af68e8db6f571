"""What `/api/v1` shows: each operation names its verb, calls one flow and answers a shape.

Owns addresses, parameters and the OpenAPI document. Must never know a page. Whatever the console
shows is here too, through the same flows; what it does are acts (`web.acts`).
"""

import re
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import JSONResponse, Response

from meterhouse.flows import monitor, rooms
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.monitor import Following
from meterhouse.model import AlarmKind, CommandKind, CommandState, RoomState
from meterhouse.store.db import PLATFORM
from meterhouse.web.access import PUBLIC, Permission, database_of
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.contract import contract
from meterhouse.web.api.etags import VERSIONED, unchanged
from meterhouse.web.api.paging import (
    CursorInvalid,
    Instant,
    Paging,
    SortOf,
    framed,
    opened,
    page,
    paging,
    refuse_unknown,
    wanted_of,
)
from meterhouse.web.api.schemas import ID_MAX
from meterhouse.web.labels import NoticeState
from meterhouse.web.problems import Problem

PREFIX: Final = "/api/v1"
_PLAIN: Final = r"^[^\x00]*$"
_IDS: Final = re.compile(r"{(\w+_id)}")
KEYED: Final[dict[str, Any]] = {
    "prefix": PREFIX,
    # Names the shape once; `contract` says which problems each operation may answer with.
    "responses": {422: {"model": Problem, "description": "It cannot be used."}},
    "dependencies": [
        Security(HTTPBearer(auto_error=False, description="The key of an API client.")),
        Depends(refuse_unknown),
    ],
}


class NumberedRoute(APIRoute):
    """A route whose ids are numbers already in its address, as `/meters/connect` holds none.

    What it answers with an `ETag` is not told again to whoever has it.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **how: Any) -> None:
        super().__init__(_IDS.sub(r"{\1:int}", path), endpoint, **how)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint, which says little to whoever has the version it tells."""
        handle = super().get_route_handler()

        async def handle_briefly(request: Request) -> Response:
            response = await handle(request)
            return unchanged(request, response) or response

        return handle_briefly


router = APIRouter(**KEYED, route_class=NumberedRoute)
public = APIRouter(prefix=PREFIX)

Text = Annotated[
    str,
    Query(
        description="Text that must occur in the name of the room or the meter's address.",
        max_length=100, pattern=_PLAIN, examples=["302"],
    ),
]  # fmt: skip
From = Annotated[Instant | None, Query(description="From this instant on (RFC 3339).")]
To = Annotated[Instant | None, Query(description="Before this instant (RFC 3339).")]
Pages = Annotated[Paging, Depends(paging)]


def path_id(what: str) -> Any:
    """An id in an address."""
    return Path(ge=1, le=ID_MAX, description=f"Id of the {what}.", examples=[12])


ProjectId = Annotated[int, path_id("project")]
RoomId = Annotated[int, path_id("room")]
MeterId = Annotated[int, path_id("meter")]
PointId = Annotated[int, path_id("point")]
AlarmId = Annotated[int, path_id("alarm")]
CommandId = Annotated[int, path_id("command")]


def id_filter(what: str) -> Any:
    """An id that a list is filtered by."""
    return Query(ge=1, le=ID_MAX, description=f"Only those of this {what}.", examples=[12])


def sort_of(name: str) -> Any:
    """How a list's `sort` is described."""
    first = monitor.LISTS[name].first
    return Query(
        description=f"What to sort by, a leading - for descending; {first} unless said otherwise.",
        examples=[first],
    )


def told_of(verb: Verb) -> dict[str, Any]:
    """How an operation is declared that answers one thing which two may edit."""
    return VERSIONED | {"dependencies": [*may(verb), *VERSIONED["dependencies"]]}


def may(verb: Verb) -> list[Any]:
    """The permission of an operation."""
    return [Depends(Permission(verb))]


@public.get("/openapi.json", dependencies=[Depends(PUBLIC)], include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """This contract."""
    return JSONResponse(contract(request.app))


@router.get("/projects", dependencies=may(Verb.SESSION_OWN), tags=["projects"])
async def list_projects(
    request: Request,
    pages: Pages,
    sort: Annotated[
        Literal["name", "-name", "id", "-id"], Query(description="What to sort by; id at first.")
    ] = "id",
) -> schemas.Page[schemas.Project]:
    """The projects the key reaches."""

    def place(scope: Reach) -> list[Any]:
        return [scope.name, scope.project_id] if "name" in sort else [scope.project_id]

    after, seal = opened(pages, PLATFORM, "projects", sort, {})
    is_down = sort.startswith("-")
    whole = sorted(request.state.caller.scopes.values(), key=place, reverse=is_down)
    rest = whole
    if after is not None:
        try:
            rest = [one for one in whole if (place(one) < list(after)) is is_down
                    and place(one) != list(after)]  # fmt: skip
        except TypeError as error:
            raise CursorInvalid from error
    shown = rest[: pages.limit]
    end = place(shown[-1]) if len(rest) > len(shown) else None
    found = Following(shown, end, len(whole) if pages.is_counted else None)
    return schemas.Page[schemas.Project](**framed(found, seal, shapes.project))


@router.get("/projects/{project_id}/rooms", dependencies=may(Verb.ROOM_READ), tags=["rooms"])
async def list_rooms(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    building: Annotated[int | None, id_filter("building")] = None,
    state: Annotated[RoomState | None, Query(description="Only rooms in this state.")] = None,
    text: Text = "",
    sort: Annotated[str, SortOf("rooms"), sort_of("rooms")] = "room",
) -> schemas.RoomPage:
    """The room monitor: every room with its state and money."""
    filters = {"building": building, "text": monitor.contains(text)}
    after, seal = opened(pages, project_id, "rooms", sort, {**filters, "state": state})
    found = await rooms.following(
        database_of(request), project_id, wanted_of(pages, sort, filters), state, after,
        counted=pages.is_counted,
    )  # fmt: skip
    told = framed(found, seal, partial(shapes.room, scope=request.state.scope))
    return schemas.RoomPage(version=found.seq, **told)


@router.get(
    "/projects/{project_id}/rooms/changes", dependencies=may(Verb.ROOM_READ), tags=["rooms"]
)
async def list_room_changes(
    request: Request,
    project_id: ProjectId,
    since: Annotated[int, Query(ge=0, le=ID_MAX, description="The version known.", examples=[266])],
    building: Annotated[int | None, id_filter("building")] = None,
) -> schemas.Rooms:
    """Rooms that changed since a version; none of them when the version is the present one."""
    snapshot = await request.app.state.boards.look(
        database_of(request), project_id, building, since
    )
    if snapshot is None:
        return schemas.Rooms(version=since, items=[])
    scope = request.state.scope
    items = [shapes.room(tile, scope) for tile in snapshot.changed]
    return schemas.Rooms(version=snapshot.seq, items=items)


@router.get(
    "/projects/{project_id}/rooms/{room_id}", dependencies=may(Verb.ROOM_READ), tags=["rooms"]
)
async def get_room(request: Request, project_id: ProjectId, room_id: RoomId) -> schemas.RoomDetail:
    """A room with its points, registers and last days."""
    services, scope = request.app.state.services, request.state.scope
    now = await monitor.room(
        database_of(request), project_id, room_id, scope.timezone, services.clock()
    )
    return shapes.room_detail(now, scope)


@router.get("/projects/{project_id}/meters", dependencies=may(Verb.DEVICE_READ), tags=["devices"])
async def list_meters(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    online: Annotated[
        bool | None, Query(description="Whether it answers.", examples=[True])
    ] = None,
    gateway: Annotated[int | None, id_filter("gateway")] = None,
    building: Annotated[int | None, id_filter("building")] = None,
    model: Annotated[
        str | None,
        Query(
            max_length=40,
            pattern=_PLAIN,
            description="Only this model.",
            examples=["DDSY1352-NK"],
        ),
    ] = None,
    text: Text = "",
    sort: Annotated[str, SortOf("meters"), sort_of("meters")] = "room",
) -> schemas.Page[schemas.Meter]:
    """Meters in service with their online state."""
    found = await page(
        request, project_id, "meters", pages, sort, shapes.meter, online=online, gateway=gateway,
        building=building, model=model,
        text=monitor.contains(text),
    )  # fmt: skip
    return schemas.Page[schemas.Meter](**found)


@router.get(
    "/projects/{project_id}/meters/{meter_id}/readings",
    dependencies=may(Verb.ROOM_READ),
    tags=["devices"],
)
async def list_readings(
    request: Request,
    project_id: ProjectId,
    meter_id: MeterId,
    pages: Pages,
    read_from: From = None,
    read_to: To = None,
    sort: Annotated[str, SortOf("readings"), sort_of("readings")] = "-read_at",
) -> schemas.Page[schemas.Reading]:
    """A meter's history, newest first unless sorted otherwise."""
    found = await page(
        request, project_id, "readings", pages, sort, shapes.reading, meter=meter_id,
        **span(read_from, read_to),
    )  # fmt: skip
    return schemas.Page[schemas.Reading](**found)


@router.get("/projects/{project_id}/gateways", dependencies=may(Verb.DEVICE_READ), tags=["devices"])
async def list_gateways(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    online: Annotated[
        bool | None, Query(description="Whether it is connected.", examples=[True])
    ] = None,
    text: Text = "",
    sort: Annotated[str, SortOf("gateways"), sort_of("gateways")] = "name",
) -> schemas.Page[schemas.Gateway]:
    """Gateways with their online state."""
    found = await page(
        request,
        project_id,
        "gateways",
        pages,
        sort,
        shapes.gateway,
        online=online,
        text=monitor.contains(text),
    )
    return schemas.Page[schemas.Gateway](**found)


@router.get("/projects/{project_id}/alarms", dependencies=may(Verb.ALARM_READ), tags=["alarms"])
async def list_alarms(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    is_open: Annotated[
        bool | None, Query(alias="open", description="Whether it is open now.", examples=[True])
    ] = None,
    kind: Annotated[AlarmKind | None, Query(description="Only this kind.")] = None,
    opened_from: From = None,
    opened_to: To = None,
    text: Text = "",
    sort: Annotated[str, SortOf("alarms"), sort_of("alarms")] = "-opened_at",
) -> schemas.Page[schemas.Alarm]:
    """Alarms now and past."""
    filters = {"open": is_open, "kind": kind, "text": monitor.contains(text)}
    found = await page(
        request,
        project_id,
        "alarms",
        pages,
        sort,
        shapes.alarm,
        **filters,
        **span(opened_from, opened_to),
    )
    return schemas.Page[schemas.Alarm](**found)


@router.get("/projects/{project_id}/notices", dependencies=may(Verb.NOTICE_READ), tags=["alarms"])
async def list_notices(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    state: Annotated[NoticeState | None, Query(description="Only in this state.")] = None,
    text: Text = "",
    sort: Annotated[str, SortOf("notices"), sort_of("notices")] = "-created_at",
) -> schemas.Page[schemas.Notice]:
    """Messages to customers and staff."""
    found = await page(
        request,
        project_id,
        "notices",
        pages,
        sort,
        shapes.notice,
        state=state,
        text=monitor.contains(text),
    )
    return schemas.Page[schemas.Notice](**found)


@router.get(
    "/projects/{project_id}/commands", dependencies=may(Verb.COMMAND_READ), tags=["commands"]
)
async def list_commands(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    state: Annotated[CommandState | None, Query(description="Only in this state.")] = None,
    kind: Annotated[CommandKind | None, Query(description="Only this kind.")] = None,
    asked_from: From = None,
    asked_to: To = None,
    text: Text = "",
    sort: Annotated[str, SortOf("commands"), sort_of("commands")] = "-created_at",
) -> schemas.Page[schemas.Command]:
    """Commands, newest first unless sorted otherwise."""
    filters = {"state": state, "kind": kind, "text": monitor.contains(text)}
    found = await page(
        request,
        project_id,
        "commands",
        pages,
        sort,
        shapes.command,
        **filters,
        **span(asked_from, asked_to),
    )
    return schemas.Page[schemas.Command](**found)


@router.get(
    "/projects/{project_id}/commands/{command_id}",
    dependencies=may(Verb.COMMAND_READ),
    tags=["commands"],
)
async def get_command(
    request: Request, project_id: ProjectId, command_id: CommandId
) -> schemas.Command:
    """How far a command has come."""
    return shapes.command(await monitor.command(database_of(request), project_id, command_id))


Actor = Annotated[int | None, id_filter("person or API client")]
ActName = Annotated[
    str | None,
    Query(max_length=60, pattern=_PLAIN, description="Only this act.", examples=["alarm.close"]),
]
ObjectName = Annotated[
    str,
    Query(max_length=100, pattern=_PLAIN, description="Text of the object.", examples=["meter:12"]),
]


@router.get("/projects/{project_id}/audit", dependencies=may(Verb.AUDIT_READ), tags=["audit"])
async def list_audit(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    actor_id: Actor = None,
    act: ActName = None,
    object_text: ObjectName = "",
    done_from: From = None,
    done_to: To = None,
    sort: Annotated[str, SortOf("audit"), sort_of("audit")] = "-at",
) -> schemas.Page[schemas.AuditEntry]:
    """Who did what in a project, newest first unless sorted otherwise."""
    found = await page(
        request, project_id, "audit", pages, sort, shapes.audit_entry, actor=actor_id, act=act,
        object=monitor.contains(object_text), **span(done_from, done_to),
    )  # fmt: skip
    return schemas.Page[schemas.AuditEntry](**found)


@router.get("/platform/audit", dependencies=may(Verb.AUDIT_READ), tags=["audit"])
async def list_platform_audit(
    request: Request,
    pages: Pages,
    actor_id: Actor = None,
    act: ActName = None,
    object_text: ObjectName = "",
    done_from: From = None,
    done_to: To = None,
    sort: Annotated[str, SortOf("audit"), sort_of("audit")] = "-at",
) -> schemas.Page[schemas.AuditEntry]:
    """Who did what for the platform as a whole, newest first unless sorted otherwise."""
    found = await page(
        request, PLATFORM, "audit", pages, sort, shapes.audit_entry, actor=actor_id, act=act,
        object=monitor.contains(object_text), **span(done_from, done_to),
    )  # fmt: skip
    return schemas.Page[schemas.AuditEntry](**found)


def span(begin: datetime | None, end: datetime | None) -> dict[str, datetime | None]:
    """A span of time as the filters of a list."""
    return {"from": begin, "to": end}
