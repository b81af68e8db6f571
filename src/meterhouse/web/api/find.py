"""Search in the API."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from meterhouse.flows import search
from meterhouse.flows.access import Verb
from meterhouse.flows.search import Hit
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.v1 import KEYED, NumberedRoute, ProjectId

router = APIRouter(**KEYED, route_class=NumberedRoute, tags=["search"])
_MAY = [Depends(Permission(Verb.SESSION_OWN))]
Text = Annotated[
    str,
    Query(
        min_length=1,
        max_length=search.TEXT_CHARS_MAX,
        pattern=r"^[^\x00]*$",
        description="A piece of a room's name or of an address, an order's number, or a person: a "
        "name (a Chinese one by its beginning, others by whole words), a whole phone, its last "
        "four digits or at least its first seven.",
        examples=["A10"],
    ),
]


class Found(schemas.Shape):
    """Something that is called so."""

    kind: Literal["room", "meter", "person", "payment"]
    """What it is; buildings count as rooms without a `room_id`."""
    project_id: schemas.Id
    """The project it is in."""
    id: schemas.Id
    """Its id."""
    name: str = Field(max_length=100, examples=["A101"])
    """What it is called; a person's name is masked."""
    building: str = Field(max_length=100, examples=["A"])
    """The building it is in; empty where it is in none."""
    room: str = Field(max_length=100, examples=["A101"])
    """The room it belongs to; empty for a room itself."""
    room_id: schemas.Id | None
    """Id of that room."""
    amount: schemas.Money | None
    """What was paid, for a payment."""


def _found(request: Request, hit: Hit) -> Found:
    amount, scope = hit.amount_minor, request.state.caller.scopes[hit.project_id]
    return Found(
        kind=hit.kind.value, project_id=hit.project_id, id=hit.id, name=hit.said,
        building=hit.building, room=hit.room, room_id=hit.room_id,
        amount=None if amount is None else shapes.money(amount, scope),
    )  # fmt: skip


@router.get("/projects/{project_id}/search", dependencies=_MAY)
async def search_project(request: Request, project_id: ProjectId, q: Text) -> list[Found]:
    """Rooms, people, meters and payments of a project that are called so, the best of each."""
    reaches = [request.state.caller.scope(project_id)]
    hits = await search.find(database_of(request), reaches, q)
    return [_found(request, hit) for hit in hits]


@router.get("/search", dependencies=_MAY)
async def search_everywhere(request: Request, q: Text) -> list[Found]:
    """The same over all projects the key reaches."""
    reaches = list(request.state.caller.scopes.values())
    hits = await search.find(database_of(request), reaches, q)
    return [_found(request, hit) for hit in hits]
