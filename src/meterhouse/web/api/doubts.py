"""Doubtful readings and decisions about them, in `/api/v1`.

Owns what other software may rely on. Must never know why a reading is doubted.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from meterhouse.flows import doubt, monitor
from meterhouse.flows.access import Reach, Verb
from meterhouse.model import Commodity
from meterhouse.rating.decided import Decided
from meterhouse.units import Milli, Nano, to_decimal
from meterhouse.web.access import database_of
from meterhouse.web.api import schemas
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Money, Quantity, Shape
from meterhouse.web.api.v1 import (
    KEYED,
    From,
    NumberedRoute,
    Pages,
    ProjectId,
    Text,
    To,
    may,
    path_id,
    sort_of,
    span,
)
from meterhouse.web.doubtwords import DecidedName, DoubtName
from meterhouse.web.labels import UNIT

router = APIRouter(**KEYED, route_class=NumberedRoute)
DoubtId = Annotated[int, path_id("doubtful reading")]


class Doubt(Shape):
    """A reading that does not follow from those before it, and is not billed."""

    id: Id
    """Id of the doubt."""
    point_id: Id
    """The point."""
    room: str = schemas.text("A302", most=200)
    """Its room."""
    meter_id: Id
    """The meter."""
    read_at: At
    """When the meter said it."""
    why: DoubtName
    """Why it is doubted."""
    total: Quantity | None
    """What the total register says; null where it did not."""
    good_at: At
    """The last good reading before."""
    good: Quantity
    """What the total register said then."""
    noted_at: At
    """When the platform noted it."""


class DecisionTold(Shape):
    """A decision about a reading; the last one holds."""

    number: int = Field(ge=1, le=COUNT_MAX, examples=[1])
    """Which decision about this reading it is, counted from 1."""
    decided: DecidedName
    """What was decided."""
    reason: str = schemas.text("looked at the display", most=200)
    """Why."""
    decided_at: At
    """When."""


class DoubtDetail(Doubt):
    """A doubt with everything that was decided about its reading."""

    is_waiting: bool = Field(examples=[True])
    """Whether it still waits for a person."""
    decisions: list[DecisionTold] = Field(max_length=1_000)
    """Decisions, oldest first."""


class DecisionMade(Shape):
    """What a decision did."""

    id: Id
    """Id of the doubt."""
    number: int = Field(ge=1, le=COUNT_MAX, examples=[1])
    """Which decision about this reading it is, counted from 1."""
    decided: DecidedName
    """What was decided."""
    difference: Money
    """What it adds to all that was rated at this point; negative: takes back."""


def decided(
    doubt_id: int, said: doubt.Decision, done: doubt.DecisionMade, scope: Reach
) -> DecisionMade:
    """A decision just made."""
    return DecisionMade(
        id=doubt_id, number=done.number, decided=_name(said.decided),
        difference=Money(
            amount=to_decimal(Nano(done.difference_nano), 9), currency=scope.currency
        ),
    )  # fmt: skip


def _name(said: int) -> DecidedName:
    return DecidedName(Decided(said).name.lower())


def _plain(row: Any) -> dict[str, Any]:
    unit, total = UNIT[Commodity(row["commodity"])], row["total_milli"]
    names = ("id", "point_id", "room", "meter_id", "read_at", "why", "good_at", "noted_at")
    return {name: row[name] for name in names} | {
        "total": None if total is None or total < 0 else _quantity(total, unit),
        "good": _quantity(row["good_0_milli"], unit),
    }


def _quantity(milli: int, unit: str) -> Quantity:
    return Quantity(amount=to_decimal(Milli(milli), 3), unit=unit)


@router.get("/projects/{project_id}/doubts", dependencies=may(Verb.ALARM_READ), tags=["readings"])
async def list_doubts(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    why: Annotated[DoubtName | None, Query(description="Only of this kind.")] = None,
    read_from: From = None,
    read_to: To = None,
    text: Text = "",
    sort: Annotated[str, SortOf("doubts"), sort_of("doubts")] = "read_at",
) -> schemas.Page[Doubt]:
    """Doubtful readings that wait for a person, oldest first unless sorted otherwise."""
    found = await page(
        request, project_id, "doubts", pages, sort, lambda row: Doubt(**_plain(row)),
        why=why, text=monitor.contains(text), **span(read_from, read_to),
    )  # fmt: skip
    return schemas.Page[Doubt](**found)


@router.get(
    "/projects/{project_id}/doubts/{doubt_id}",
    dependencies=may(Verb.ALARM_READ),
    tags=["readings"],
)
async def get_doubt(request: Request, project_id: ProjectId, doubt_id: DoubtId) -> DoubtDetail:
    """One doubtful reading, also when it waits no more, with what was decided about it."""
    now = await doubt.look(database_of(request), project_id, doubt_id)
    told = [
        DecisionTold(
            number=one["number"], decided=_name(one["decided"]), reason=one["reason"],
            decided_at=one["decided_at"],
        )
        for one in now.history
    ]  # fmt: skip
    return DoubtDetail(**_plain(now.row), is_waiting=now.row["is_waiting"], decisions=told)
