"""What meters deducted against what the platform rated, in `/api/v1`.

Owns what other software may rely on. Must never know how the two are compared.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Request

from meterhouse.flows import monitor
from meterhouse.flows.access import Reach, Verb
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import At, Id, Shape
from meterhouse.web.api.v1 import (
    KEYED,
    From,
    NumberedRoute,
    Pages,
    ProjectId,
    Text,
    To,
    may,
    sort_of,
    span,
)

router = APIRouter(**KEYED, route_class=NumberedRoute)


class Drift(Shape):
    """One point over one closed span: the meter's deduction beside the platform's rating."""

    point_id: Id
    """The point."""
    room: str = schemas.text("A302", most=200)
    """Its room."""
    meter_id: Id
    """The meter that keeps its money."""
    since: At
    """The end of the closed day before."""
    until: At
    """The end of this one."""
    deducted: schemas.Money
    """What the meter deducted by itself."""
    rated: schemas.Money
    """What the platform rated, to the coin."""
    difference: schemas.Money
    """Deducted less rated; below zero where the meter deducts too little."""


def _drift(row: Any, scope: Reach) -> Drift:
    return Drift(
        point_id=row["point_id"], room=row["room"], meter_id=row["meter_id"],
        since=row["since_at"], until=row["until_at"],
        deducted=shapes.money(row["deducted_minor"], scope),
        rated=shapes.money(row["rated_minor"], scope),
        difference=shapes.money(row["difference_minor"], scope),
    )  # fmt: skip


@router.get("/projects/{project_id}/drift", dependencies=may(Verb.BOOKS_READ), tags=["books"])
async def list_drift(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    ended_from: From = None,
    ended_to: To = None,
    text: Text = "",
    sort: Annotated[str, SortOf("drift"), sort_of("drift")] = "-until_at",
) -> schemas.Page[Drift]:
    """What meters that keep the money deducted against what the platform rated, by closed day."""
    scope = request.state.scope
    found = await page(
        request, project_id, "drift", pages, sort, lambda row: _drift(row, scope),
        text=monitor.contains(text), **span(ended_from, ended_to),
    )  # fmt: skip
    return schemas.Page[Drift](**found)
