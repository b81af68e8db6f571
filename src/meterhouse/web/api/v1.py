"""What `/api/v1` shows: each operation names its verb, calls one flow and answers a shape.

Owns addresses, parameters and the OpenAPI document. Must never know a page. Whatever the console
shows is here too, through the same flows; what it does are acts (`web.acts`).
"""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Security
from fastapi.security import HTTPBearer
from starlette.responses import JSONResponse

from meterhouse.errors import Unreadable
from meterhouse.flows import monitor
from meterhouse.flows.access import Verb
from meterhouse.flows.monitor import Wanted
from meterhouse.model import AlarmKind, CommandKind, CommandState, RoomState
from meterhouse.store.db import PLATFORM
from meterhouse.web.access import PUBLIC, Permission
from meterhouse.web.api import schemas, shapes
from meterhouse.web.live import tiles_of
from meterhouse.web.problems import Problem

PREFIX: Final = "/api/v1"
_PROBLEMS: Final = {
    401: "No key, or not a live one.",
    403: "The key's roles do not include the verb.",
    404: "It does not exist, or is not yours to see.",
    409: "It contradicts what is there.",
    422: "Some fields cannot be used.",
}

KEYED: Final[dict[str, Any]] = {
    "prefix": PREFIX,
    "responses": {
        code: {"model": Problem, "description": text} for code, text in _PROBLEMS.items()
    },
    "dependencies": [
        Security(HTTPBearer(auto_error=False, description="The key of an API client."))
    ],
}

router = APIRouter(**KEYED)
public = APIRouter(prefix=PREFIX)

Sort = Annotated[
    str, Query(description="Key to sort by, with a leading - for descending.", max_length=40)
]
Text = Annotated[str, Query(description="Text that must occur.", max_length=100)]
From = Annotated[datetime | None, Query(description="From this instant on (RFC 3339).")]
To = Annotated[datetime | None, Query(description="Before this instant (RFC 3339).")]


class Paging:
    """Which page of a list, and how many rows it has."""

    def __init__(
        self,
        page: Annotated[int, Query(ge=1, le=10_000, description="Page, from 1.")] = 1,
        page_size: Annotated[int, Query(ge=1, le=200, description="Rows a page.")] = 50,
    ) -> None:
        self.page = page
        self.page_size = page_size


def _may(verb: Verb) -> list[Any]:
    return [Depends(Permission(verb))]


def _database(request: Request) -> Any:
    return request.app.state.services.database


async def _list(
    request: Request, project_id: int, name: str, paging: Paging, sort: str, **filters: Any
) -> dict[str, Any]:
    """A page of one of the flow's lists, its rows still raw."""
    key = sort.removeprefix("-")
    orders = monitor.LISTS[name].orders
    if key and key not in orders:
        raise Unreadable(what="sort", text=sort, wanted=", ".join(sorted(orders)))
    wanted = Wanted(
        filters, key, sort.startswith("-"), paging.page_size, (paging.page - 1) * paging.page_size
    )
    found = await monitor.listing(_database(request), project_id, name, wanted)
    return {
        "items": found.rows,
        "total": found.row_count,
        "page": paging.page,
        "page_size": paging.page_size,
    }


def _shaped(page: dict[str, Any], shape: Any) -> Any:
    return page | {"items": [shape(row) for row in page["items"]]}


@public.get("/openapi.json", dependencies=[Depends(PUBLIC)], include_in_schema=False)
async def openapi(request: Request) -> JSONResponse:
    """This contract."""
    return JSONResponse(contract(request.app))


@router.get("/projects", dependencies=_may(Verb.SESSION_OWN), tags=["projects"])
async def list_projects(request: Request) -> list[schemas.Project]:
    """The projects the key reaches."""
    return [shapes.project(scope) for scope in request.state.caller.scopes.values()]


@router.get("/projects/{project_id}/rooms", dependencies=_may(Verb.ROOM_READ), tags=["rooms"])
async def list_rooms(
    request: Request,
    project_id: int,
    building: Annotated[int | None, Query(description="Id of a building.")] = None,
    state: Annotated[RoomState | None, Query(description="Only rooms in this state.")] = None,
) -> schemas.Rooms:
    """The room monitor: every room with its state and money."""
    board = await monitor.board(_database(request), project_id, building)
    scope = request.state.scope
    tiles = [tile for tile in tiles_of(board.points) if state is None or tile.state == state]
    return schemas.Rooms(version=board.seq, items=[shapes.room(tile, scope) for tile in tiles])


@router.get(
    "/projects/{project_id}/rooms/changes", dependencies=_may(Verb.ROOM_READ), tags=["rooms"]
)
async def list_room_changes(
    request: Request,
    project_id: int,
    since: Annotated[int, Query(ge=0, description="The version known.")],
    building: Annotated[int | None, Query(description="Id of a building.")] = None,
) -> schemas.Rooms:
    """Rooms that changed since a version; none of them when the version is the present one."""
    snapshot = await request.app.state.boards.look(project_id, building, since)
    if snapshot is None:
        return schemas.Rooms(version=since, items=[])
    scope = request.state.scope
    items = [shapes.room(tile, scope) for tile in snapshot.changed]
    return schemas.Rooms(version=snapshot.seq, items=items)


@router.get(
    "/projects/{project_id}/rooms/{room_id}", dependencies=_may(Verb.ROOM_READ), tags=["rooms"]
)
async def get_room(request: Request, project_id: int, room_id: int) -> schemas.RoomDetail:
    """A room with its points, registers and last days."""
    services, scope = request.app.state.services, request.state.scope
    now = await monitor.room(
        services.database, project_id, room_id, scope.timezone, services.clock()
    )
    return shapes.room_detail(now, scope)


@router.get("/projects/{project_id}/meters", dependencies=_may(Verb.DEVICE_READ), tags=["devices"])
async def list_meters(
    request: Request,
    project_id: int,
    paging: Annotated[Paging, Depends()],
    online: Annotated[bool | None, Query(description="Whether it answers.")] = None,
    gateway: Annotated[int | None, Query(description="Id of a gateway.")] = None,
    text: Text = "",
    sort: Sort = "",
) -> schemas.Page[schemas.Meter]:
    """Meters in service with their online state."""
    page = await _list(
        request, project_id, "meters", paging, sort, online=online, gateway=gateway,
        text=monitor.contains(text),
    )  # fmt: skip
    return schemas.Page[schemas.Meter](**_shaped(page, shapes.meter))


@router.get(
    "/projects/{project_id}/meters/{meter_id}/readings",
    dependencies=_may(Verb.ROOM_READ),
    tags=["devices"],
)
async def list_readings(
    request: Request,
    project_id: int,
    meter_id: int,
    paging: Annotated[Paging, Depends()],
    read_from: From = None,
    read_to: To = None,
    sort: Sort = "",
) -> schemas.Page[schemas.Reading]:
    """A meter's history, newest first unless sorted otherwise."""
    page = await _list(
        request, project_id, "readings", paging, sort, meter=meter_id,
        **_span(read_from, read_to),
    )  # fmt: skip
    return schemas.Page[schemas.Reading](**_shaped(page, shapes.reading))


@router.get(
    "/projects/{project_id}/gateways", dependencies=_may(Verb.DEVICE_READ), tags=["devices"]
)
async def list_gateways(
    request: Request,
    project_id: int,
    paging: Annotated[Paging, Depends()],
    online: Annotated[bool | None, Query(description="Whether it is connected.")] = None,
    text: Text = "",
    sort: Sort = "",
) -> schemas.Page[schemas.Gateway]:
    """Gateways with their online state."""
    page = await _list(
        request, project_id, "gateways", paging, sort, online=online, text=monitor.contains(text)
    )
    return schemas.Page[schemas.Gateway](**_shaped(page, shapes.gateway))


@router.get("/projects/{project_id}/alarms", dependencies=_may(Verb.ALARM_READ), tags=["alarms"])
async def list_alarms(
    request: Request,
    project_id: int,
    paging: Annotated[Paging, Depends()],
    is_open: Annotated[
        bool | None, Query(alias="open", description="Whether it is open now.")
    ] = None,
    kind: Annotated[AlarmKind | None, Query(description="Only this kind.")] = None,
    opened_from: From = None,
    opened_to: To = None,
    text: Text = "",
    sort: Sort = "",
) -> schemas.Page[schemas.Alarm]:
    """Alarms now and past."""
    filters = {"open": is_open, "kind": kind, "text": monitor.contains(text)}
    page = await _list(
        request, project_id, "alarms", paging, sort, **filters, **_span(opened_from, opened_to)
    )
    return schemas.Page[schemas.Alarm](**_shaped(page, shapes.alarm))


@router.get("/projects/{project_id}/notices", dependencies=_may(Verb.NOTICE_READ), tags=["alarms"])
async def list_notices(
    request: Request,
    project_id: int,
    paging: Annotated[Paging, Depends()],
    state: Annotated[str | None, Query(description="queued, sent or failed.")] = None,
    text: Text = "",
    sort: Sort = "",
) -> schemas.Page[schemas.Notice]:
    """Messages to customers and staff."""
    page = await _list(
        request, project_id, "notices", paging, sort, state=state, text=monitor.contains(text)
    )
    return schemas.Page[schemas.Notice](**_shaped(page, shapes.notice))


@router.get(
    "/projects/{project_id}/commands", dependencies=_may(Verb.COMMAND_READ), tags=["commands"]
)
async def list_commands(
    request: Request,
    project_id: int,
    paging: Annotated[Paging, Depends()],
    state: Annotated[CommandState | None, Query(description="Only in this state.")] = None,
    kind: Annotated[CommandKind | None, Query(description="Only this kind.")] = None,
    asked_from: From = None,
    asked_to: To = None,
    text: Text = "",
    sort: Sort = "",
) -> schemas.Page[schemas.Command]:
    """Commands, newest first unless sorted otherwise."""
    filters = {"state": state, "kind": kind, "text": monitor.contains(text)}
    page = await _list(
        request, project_id, "commands", paging, sort, **filters, **_span(asked_from, asked_to)
    )
    return schemas.Page[schemas.Command](**_shaped(page, shapes.command))


@router.get(
    "/projects/{project_id}/commands/{command_id}",
    dependencies=_may(Verb.COMMAND_READ),
    tags=["commands"],
)
async def get_command(request: Request, project_id: int, command_id: int) -> schemas.Command:
    """How far a command has come."""
    return shapes.command(await monitor.command(_database(request), project_id, command_id))


Actor = Annotated[int | None, Query(description="Id of who did it.")]
ActName = Annotated[str | None, Query(description="Only this act.", examples=["alarm.close"])]
ObjectName = Annotated[str, Query(description="Text of the object.", examples=["meter:12"])]


async def _audit(
    request: Request, project_id: int, paging: Paging, sort: str, **filters: Any
) -> schemas.Page[schemas.AuditEntry]:
    page = await _list(request, project_id, "audit", paging, sort or "-at", **filters)
    return schemas.Page[schemas.AuditEntry](**_shaped(page, shapes.audit_entry))


@router.get("/projects/{project_id}/audit", dependencies=_may(Verb.AUDIT_READ), tags=["audit"])
async def list_audit(
    request: Request,
    project_id: int,
    paging: Annotated[Paging, Depends()],
    actor_id: Actor = None,
    act: ActName = None,
    object_text: ObjectName = "",
    done_from: From = None,
    done_to: To = None,
    sort: Sort = "",
) -> schemas.Page[schemas.AuditEntry]:
    """Who did what in a project, newest first unless sorted otherwise."""
    return await _audit(
        request, project_id, paging, sort, actor=actor_id, act=act,
        object=monitor.contains(object_text), **_span(done_from, done_to),
    )  # fmt: skip


@router.get("/platform/audit", dependencies=_may(Verb.AUDIT_READ), tags=["audit"])
async def list_platform_audit(
    request: Request,
    paging: Annotated[Paging, Depends()],
    actor_id: Actor = None,
    act: ActName = None,
    object_text: ObjectName = "",
    done_from: From = None,
    done_to: To = None,
    sort: Sort = "",
) -> schemas.Page[schemas.AuditEntry]:
    """Who did what for the platform as a whole, newest first unless sorted otherwise."""
    return await _audit(
        request, PLATFORM, paging, sort, actor=actor_id, act=act,
        object=monitor.contains(object_text), **_span(done_from, done_to),
    )  # fmt: skip


def _span(begin: datetime | None, end: datetime | None) -> dict[str, datetime | None]:
    for instant in (begin, end):
        if instant is not None and instant.tzinfo is None:
            raise Unreadable(what="instant", text=str(instant), wanted="RFC 3339 with an offset")
    return {"from": begin, "to": end}


def contract(app: Any) -> dict[str, Any]:
    """The OpenAPI document; errors are declared as what they are, `application/problem+json`."""
    document: dict[str, Any] = app.openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                content = answer.get("content", {})
                if status >= "400" and "application/json" in content:
                    content["application/problem+json"] = content.pop("application/json")
    return document
