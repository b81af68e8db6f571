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
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Money, Quantity, Shape
from meterhouse.web.api.v1 import (
    KEYED,
    From,
    MeterId,
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
from meterhouse.web.doubtwords import DecidedName, DoubtName, EstimateState
from meterhouse.web.labels import UNIT

router = APIRouter(**KEYED, route_class=NumberedRoute)
DoubtId = Annotated[int, path_id("doubtful reading")]
ReadingId = Annotated[int, path_id("reading")]


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
    registers: list[Quantity | None] | None = Field(
        min_length=5, max_length=5,
        examples=[[{"amount": "1234.560", "unit": "kWh"}, None, None, None, None]],
    )  # fmt: skip
    """Total, sharp, peak, flat, valley as it should have read; null unless it was corrected."""
    reason: str = schemas.text("looked at the display", most=200)
    """Why."""
    by: str | None = schemas.text("Li Na", most=200)
    """Who; null for what the platform did itself."""
    decided_at: At
    """When."""


class DoubtDetail(Doubt):
    """A doubt with everything that was decided about its reading."""

    is_waiting: bool = Field(examples=[True])
    """Whether it still waits for a person."""
    decisions: list[DecisionTold] = Field(max_length=1_000)
    """Decisions, oldest first."""


class ReadingDetail(schemas.Reading):
    """A reading with what was decided about it."""

    point_id: Id
    """The point."""
    meter_id: Id
    """The meter."""
    why: DoubtName | None
    """Why it is doubted; null where it is not."""
    is_waiting: bool = Field(examples=[False])
    """Whether it waits for a person."""
    decisions: list[DecisionTold] = Field(max_length=1_000)
    """Decisions, oldest first."""


class Charged(Shape):
    """What one payer is charged for the intervals that a decision changed."""

    agreement_id: Id | None
    """The household's account; null where nobody pays."""
    is_present: bool = Field(examples=[True])
    """Whether it is who pays now; else who paid then."""
    energy_before: Quantity
    """What these intervals held before the decision."""
    energy_after: Quantity
    """What they hold now."""
    amount_before: Money
    """What was charged for them."""
    amount_after: Money
    """What is charged for them now."""


class DecisionMade(Shape):
    """What a decision did."""

    id: Id
    """Id of the doubt, or of the reading, that was decided about."""
    number: int = Field(ge=1, le=COUNT_MAX, examples=[1])
    """Which decision about this reading it is, counted from 1."""
    decided: DecidedName
    """What was decided."""
    difference: Money
    """What it adds to all that was rated at this point; negative: takes back."""
    charged_since: At | None
    """Where the intervals that changed begin; null where none did."""
    charged_until: At | None
    """Where they end."""
    payers: list[Charged] = Field(max_length=100)
    """Who is charged for them, who pays now first."""
    is_kept: bool = Field(examples=[True])
    """Whether the platform keeps this point's money; else the amounts are only counted along."""
    closed_days: int = Field(ge=0, le=COUNT_MAX, examples=[0])
    """How many closed days they lie in; those stay as they are."""
    doubted: int = Field(ge=0, le=COUNT_MAX, examples=[0])
    """How many readings are doubtful because of it."""
    estimated_energy: Quantity
    """What was estimated and is taken back with it; not among what payers were charged."""
    estimated_amount: Money
    """What that had cost."""


class Estimate(Shape):
    """A silent point that stands on estimated charges, or cannot be estimated."""

    id: Id
    """The point."""
    room: str = schemas.text("A302", most=200)
    """Its room."""
    meter_id: Id
    """Its meter."""
    state: EstimateState
    """Whether it is estimated, is estimated no further, or cannot be."""
    why: str | None = schemas.text("days_unknown", "silent_too_long", "price_missing")
    """Why nothing (more) is estimated, as a stable code."""
    since: At
    """The last good reading; the next one after it takes all of this back."""
    until: At | None
    """Up to when it is estimated; null where it is not."""
    energy: Quantity
    """What was estimated since."""
    amount: Money
    """What that costs."""
    rule: str | None = schemas.text("same_hours_7_days")
    """By which rule."""


def decided(
    decided_id: int, said: doubt.Decision, done: doubt.Outcome, scope: Reach
) -> DecisionMade:
    """A decision just made."""
    unit, weight = UNIT[done.commodity], done.weight

    def money(amount_nano: int) -> Money:
        return Money(amount=to_decimal(Nano(amount_nano), 9), currency=scope.currency)

    return DecisionMade(
        id=decided_id, number=done.number, decided=_name(said.decided),
        difference=money(done.difference_nano), charged_since=weight.since,
        charged_until=weight.until, is_kept=done.is_kept, closed_days=weight.closed_days[0],
        doubted=weight.doubted_count, estimated_amount=money(weight.estimated_nano),
        estimated_energy=_quantity(weight.estimated_milli, unit),
        payers=[
            Charged(
                agreement_id=one.agreement_id, is_present=one.is_present,
                energy_before=_quantity(one.before_milli, unit),
                energy_after=_quantity(one.after_milli, unit),
                amount_before=money(one.before_nano), amount_after=money(one.after_nano),
            )
            for one in weight.payers
        ],
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
    "/projects/{project_id}/estimates", dependencies=may(Verb.ALARM_READ), tags=["readings"]
)
async def list_estimates(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    state: Annotated[EstimateState | None, Query(description="Only those that stand so.")] = None,
    read_from: From = None,
    read_to: To = None,
    text: Text = "",
    sort: Annotated[str, SortOf("estimates"), sort_of("estimates")] = "since",
) -> schemas.Page[Estimate]:
    """Points that stand on estimates, those silent longest first unless sorted otherwise."""
    currency = request.state.scope.currency

    def shape(row: Any) -> Estimate:
        unit = UNIT[Commodity(row["commodity"])]
        return Estimate(
            id=row["id"], room=row["room"], meter_id=row["meter_id"], state=row["state"],
            why=row["why"], since=row["good_at"], until=row["ended_at"], rule=row["rule"],
            energy=_quantity(row["energy_milli"], unit),
            amount=Money(amount=to_decimal(Nano(row["estimated_nano"]), 9), currency=currency),
        )  # fmt: skip

    found = await page(
        request, project_id, "estimates", pages, sort, shape, state=state,
        text=monitor.contains(text), **span(read_from, read_to),
    )  # fmt: skip
    return schemas.Page[Estimate](**found)


@router.get(
    "/projects/{project_id}/doubts/{doubt_id}",
    dependencies=may(Verb.ALARM_READ),
    tags=["readings"],
)
async def get_doubt(request: Request, project_id: ProjectId, doubt_id: DoubtId) -> DoubtDetail:
    """One doubtful reading, also when it waits no more, with what was decided about it."""
    now = await doubt.look(database_of(request), project_id, doubt_id)
    told = _told(now)
    return DoubtDetail(**_plain(now.row), is_waiting=now.row["is_waiting"], decisions=told)


@router.get(
    "/projects/{project_id}/meters/{meter_id}/readings/{reading_id}",
    dependencies=may(Verb.ROOM_READ),
    tags=["readings"],
)
async def get_reading(
    request: Request, project_id: ProjectId, meter_id: MeterId, reading_id: ReadingId
) -> ReadingDetail:
    """One stored reading, with what was decided about it."""
    which = doubt.OfMeter(meter_id, reading_id)
    now = await doubt.look(database_of(request), project_id, which)
    row = now.row
    why = DoubtName(row["why"]) if row["is_doubtful"] else None
    return ReadingDetail(
        **shapes.reading({**row, "quality": now.quality}).model_dump(),
        point_id=row["point_id"], meter_id=meter_id, why=why, is_waiting=row["is_waiting"],
        decisions=_told(now),
    )  # fmt: skip


def _told(now: doubt.Doubt) -> list[DecisionTold]:
    unit = UNIT[Commodity(now.row["commodity"])]
    return [
        DecisionTold(
            number=one["number"], decided=_name(one["decided"]), reason=one["reason"],
            by=one["actor"], decided_at=one["decided_at"],
            registers=None if one["registers_milli"] is None else [
                None if milli < 0 else _quantity(milli, unit) for milli in one["registers_milli"]
            ],
        )
        for one in now.history
    ]  # fmt: skip
