"""Revenue in `/api/v1`: of a project over a span, and of every project the key may read.

Owns these shapes. Must never know a page.
"""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from meterhouse.flows import revenue
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.revenue import By, Sums
from meterhouse.model import Commodity
from meterhouse.units import to_decimal
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import shapes, v1
from meterhouse.web.api.schemas import COUNT_MAX, Id, Money, Quantity, Shape, text
from meterhouse.web.labels import UNIT

router = APIRouter(**v1.KEYED, route_class=v1.NumberedRoute)


class Earned(Shape):
    """What orders and bookings add up to; taken and booked are never added."""

    money_in: Money
    """What orders brought over the counter."""
    money_out: Money
    """What they gave back."""
    taken: Money
    """In less out."""
    order_count: int = Field(ge=0, le=COUNT_MAX, examples=[120])
    """How many orders there were."""
    booked: Money
    """What used energy brought to revenue."""


class EarnedPart(Earned):
    """The same for a part."""

    name: str = text("cash", "2026-11-21", "electricity", most=100)
    """The period's first day, the channel, the cashier or the commodity; empty where none is."""


class Used(Shape):
    """What was used of a commodity on closed days."""

    commodity: str = text("electricity", most=40)
    """The commodity."""
    energy: Quantity
    """How much."""


class Revenue(Shape):
    """Revenue of a project over whole days."""

    first: date = Field(examples=["2026-11-01"])
    """The first day, by the project's calendar."""
    last: date = Field(examples=["2026-11-21"])
    """The last day."""
    whole: Earned
    """All of it."""
    before: Earned
    """The span of the same length just before."""
    used: list[Used] = Field(max_length=10)
    """What was used on closed days."""
    periods: list[EarnedPart] = Field(max_length=400)
    """By day, month or year, without gaps."""
    channels: list[EarnedPart] = Field(max_length=1_000)
    """By way of payment."""
    cashiers: list[EarnedPart] = Field(max_length=10_000)
    """By cashier."""
    commodities: list[EarnedPart] = Field(max_length=10)
    """By commodity."""


class ProjectRevenue(Earned):
    """Revenue of one of several projects."""

    project_id: Id
    """The project."""
    name: str = text("Anrui Town")
    """Its name."""


First = Annotated[date, Query(description="The first day.", examples=["2026-11-01"])]
Last = Annotated[date, Query(description="The last day.", examples=["2026-11-21"])]


def _earned(sums: Sums, scope: Reach) -> Earned:
    return Earned(
        money_in=shapes.money(sums.in_minor, scope), money_out=shapes.money(sums.out_minor, scope),
        taken=shapes.money(sums.taken_minor, scope), order_count=sums.order_count,
        booked=shapes.money(sums.booked_minor, scope),
    )  # fmt: skip


def _part(name: str, sums: Sums, scope: Reach) -> EarnedPart:
    return EarnedPart(name=name, **_earned(sums, scope).model_dump())


@router.get(
    "/projects/{project_id}/revenue",
    dependencies=[Depends(Permission(Verb.BOOKS_READ))],
    tags=["books"],
)
async def get_revenue(
    request: Request, project_id: v1.ProjectId, first: First, last: Last,
    by: Annotated[By, Query(description="How long a period is.")] = By.DAY,
) -> Revenue:  # fmt: skip
    """What was taken and what was sold over a span, and of what it consists."""
    scope, at = request.state.scope, request.app.state.services.clock()
    now = await revenue.look(database_of(request), project_id, scope.timezone, first, last, by, at)
    return Revenue(
        first=first, last=last, whole=_earned(now.whole, scope), before=_earned(now.before, scope),
        used=[
            Used(
                commodity=key,
                energy=Quantity(amount=to_decimal(milli, 3), unit=UNIT[Commodity(key)]),
            )
            for key, milli in sorted(now.whole.used_milli.items())
        ],
        periods=[_part(start.isoformat(), sums, scope) for start, sums in now.periods],
        channels=[_part(key, sums, scope) for key, sums in now.channels.items()],
        cashiers=[_part(key, sums, scope) for key, sums in now.cashiers.items()],
        commodities=[_part(key, sums, scope) for key, sums in now.commodities.items()],
    )  # fmt: skip


@router.get("/revenue", dependencies=[Depends(Permission(Verb.SESSION_OWN))], tags=["books"])
async def list_revenue(request: Request, first: First, last: Last) -> list[ProjectRevenue]:
    """The same sums for every project whose books the key may read."""
    at = request.app.state.services.clock()
    reaches = list(request.state.caller.scopes.values())
    found = await revenue.of_projects(database_of(request), reaches, first, last, at)
    return [
        ProjectRevenue(project_id=reach.project_id, name=reach.name,
                       **_earned(sums, reach).model_dump())
        for reach, sums, _ in found
    ]  # fmt: skip
