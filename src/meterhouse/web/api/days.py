"""Closed days in `/api/v1`: what each adds up to, and what was proved of the books.

Owns these shapes. Must never know a page. Closing and proving are acts.
"""

from datetime import date
from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from meterhouse.flows import day
from meterhouse.flows.access import Reach, Verb
from meterhouse.model import Commodity, PaymentKind
from meterhouse.units import to_decimal
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import schemas, shapes, v1
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Money, Quantity, Shape, text
from meterhouse.web.labels import UNIT

router = APIRouter(**v1.KEYED, route_class=v1.NumberedRoute)
_BOOKS = [Depends(Permission(Verb.BOOKS_READ))]
_TAG = "books"


class DayClosed(Shape):
    """A day that was closed; it never changes."""

    id: Id = Field(examples=[20261120])
    """The day as a number, YYYYMMDD."""
    day: date = Field(examples=["2026-11-20"])
    """The day in the project's time zone."""
    until: At
    """Before this instant; what came later belongs to the next day."""
    is_proved: bool = Field(examples=[True])
    """Whether every proof held."""
    money_in: Money
    """What orders brought in over the counter."""
    money_out: Money
    """What orders took out over the counter."""
    booked: Money
    """What was booked to revenue."""
    closed_at: At
    """When it was closed."""
    closed_by: str = text("Li Na", "")
    """By whom; empty where the platform closed it."""


class MoneyPart(Shape):
    """Orders of a day that share kind, channel, cashier and commodity."""

    kind: PaymentKind
    """Their kind."""
    channel: str = text("cash", most=40)
    """How they were paid."""
    cashier_id: Id | None
    """Who took or gave the money."""
    commodity: Commodity | None
    """What they were for, where that is known."""
    count: int = Field(ge=0, le=COUNT_MAX, examples=[12])
    """How many."""
    amount: Money
    """What they add up to, never negative."""


class SoldPart(Shape):
    """What was booked for a commodity."""

    commodity: Commodity | None
    """The commodity; null for what belongs to no point."""
    amount: Money
    """What was booked to revenue; corrections are taken off."""


class UsedPart(Shape):
    """What was used of a commodity, as known when the day was closed."""

    commodity: Commodity
    """The commodity."""
    energy: Quantity
    """How much."""
    cost: Money
    """What it costs, exactly."""


class DayDetail(DayClosed):
    """A closed day with all its parts and proofs."""

    money: list[MoneyPart] = Field(max_length=10_000)
    """Money taken and given."""
    sold: list[SoldPart] = Field(max_length=10)
    """Booked, by commodity."""
    used: list[UsedPart] = Field(max_length=10)
    """Used, by commodity."""
    proofs: dict[
        Annotated[str, Field(max_length=60)], Annotated[int, Field(ge=0, le=COUNT_MAX)]
    ] = Field(max_length=20, examples=[{"debits_equal_credits": 0}])
    """By proof: how many rows contradicted it."""


DayId = Annotated[int, v1.path_id("day, as YYYYMMDD")]


def _day(row: Any, totals: Any, scope: Reach) -> dict[str, Any]:
    return {
        "id": int(f"{row.day:%Y%m%d}"), "day": row.day, "until": row.until_at,
        "is_proved": row.is_proved, "closed_at": row.closed_at, "closed_by": row.actor,
        "money_in": shapes.money(totals["in_minor"], scope),
        "money_out": shapes.money(totals["out_minor"], scope),
        "booked": shapes.money(totals["booked_minor"], scope),
    }  # fmt: skip


@router.get("/projects/{project_id}/days", dependencies=_BOOKS, tags=[_TAG])
async def list_days(
    request: Request,
    project_id: v1.ProjectId,
    pages: v1.Pages,
    proved: Annotated[
        bool | None, Query(description="Whether all proofs held.", examples=[True])
    ] = None,
    ended_from: v1.From = None,
    ended_to: v1.To = None,
    sort: Annotated[str, SortOf("days"), v1.sort_of("days")] = "-day",
) -> schemas.Page[DayClosed]:
    """Closed days, the latest first unless sorted otherwise."""
    scope = request.state.scope
    found = await page(
        request, project_id, "days", pages, sort,
        lambda row: DayClosed(**_day(SimpleNamespace(**row), row, scope)),
        proved=proved, **{"from": ended_from, "to": ended_to},
    )  # fmt: skip
    return schemas.Page[DayClosed](**found)


@router.get("/projects/{project_id}/days/{day_id}", dependencies=_BOOKS, tags=[_TAG])
async def get_day(request: Request, project_id: v1.ProjectId, day_id: DayId) -> DayDetail:
    """One closed day with its parts and proofs."""
    scope = request.state.scope
    now = await day.closed_day(database_of(request), project_id, day.day_of(day_id))
    totals = now.totals
    return DayDetail(
        **_day(now, totals, scope),
        money=[
            MoneyPart(kind=one["kind"], channel=one["channel"], cashier_id=one["cashier_id"],
                      commodity=one["commodity"], count=one["count"],
                      amount=shapes.money(one["amount_minor"], scope))
            for one in totals["money"]
        ],
        sold=[
            SoldPart(commodity=one["commodity"], amount=shapes.money(one["amount_minor"], scope))
            for one in totals["booked"]
        ],
        used=[
            UsedPart(
                commodity=one["commodity"],
                energy=Quantity(amount=to_decimal(one["energy_milli"], 3),
                                unit=UNIT[one["commodity"]]),
                cost=Money(amount=to_decimal(one["amount_nano"], 9), currency=scope.currency),
            )
            for one in totals["energy"]
        ],
        proofs=dict(now.proofs),
    )  # fmt: skip
