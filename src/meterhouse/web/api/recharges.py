"""Money on its way into meters, in `/api/v1`: the shapes, the list, and one with its steps.

Owns what other software may rely on. Must never know when money may move.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from meterhouse.errors import NotFound
from meterhouse.flows import monitor
from meterhouse.flows import recharge as flow
from meterhouse.flows.access import Reach, Verb
from meterhouse.model import RechargeState
from meterhouse.web.access import database_of
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Shape
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
from meterhouse.words import N_

router = APIRouter(**KEYED, route_class=NumberedRoute)
RechargeId = Annotated[int, path_id("recharge")]


class Recharge(Shape):
    """Money on its way into a meter, or asked back from it."""

    id: Id
    """Id of the recharge."""
    kind: Literal["recharge", "take_back", "open"]
    """Money goes to the meter, comes back from it, or an account is opened in it."""
    point_id: Id
    """The point it is for."""
    meter_id: Id
    """The meter it goes to."""
    amount: schemas.Money
    """How much."""
    number: int = Field(ge=0, le=65_535, examples=[7])
    """The purchase it is to be for the meter's counter."""
    state: RechargeState
    """How far it is; `halted` waits for a person, `verified` and `returned` are ends."""
    why: str = schemas.text("", "balance", most=60)
    """Why it halted or returned, as a stable code; else empty."""
    send_count: int = Field(ge=0, le=COUNT_MAX, examples=[1])
    """How often it was sent."""
    created_at: At
    """When the money was reserved for it."""
    applied_at: At | None
    """When the meter was found to have it; null until then."""


class Ordered(Shape):
    """What was asked of a meter's purse; one of the two."""

    recharge: Recharge | None
    """The order on its way; null while it waits."""
    task_id: Id | None
    """The task that waits for a second person; null where none is needed."""


class MeterPurse(Shape):
    """What is known of the purse that a meter keeps."""

    held: schemas.Money
    """Credit less overdraft, as it was last read and has been sent since."""
    number: int = Field(ge=0, le=65_535, examples=[7])
    """The last purchase the meter has taken."""
    epoch: int = Field(ge=1, le=COUNT_MAX, examples=[1])
    """Which of the purse's lives this is."""
    customer_number: str | None = Field(pattern=r"^[0-9]{12}$", examples=["000000000012"])
    """Whom the meter was opened for; zeros: nobody; null where it did not say."""
    hoarding_limit: schemas.Money | None
    """The most it may hold; null where it did not say."""
    read_at: At | None
    """When it was last heard; null before that."""
    is_frozen: bool = Field(examples=[False])
    """Whether it takes no order until somebody has decided about a halted one."""
    recharge_id: Id | None
    """The order that is on its way; null where there is none."""


class RechargeStep(Shape):
    """What was learnt of a recharge at one moment, and what was done."""

    at: At
    """When."""
    deed: str = schemas.text("send", "look", "post", most=40)
    """What was done, as a stable code."""
    rule: str = schemas.text("the counter reads n, and the balance agrees", most=200)
    """The line of the table that said so, in English; empty where no table was asked."""
    reply: str = schemas.text("", "silence", most=60)
    """What the meter answered, as a stable code; empty where nothing was sent."""
    said_count: Annotated[int, Field(ge=0, le=65_535, examples=[7])] | None
    """What its counter read; null where it did not say."""
    said: schemas.Money | None
    """What its purse held; null where it did not say."""


class RechargeDetail(Recharge):
    """A recharge with everything that happened to it."""

    steps: list[RechargeStep] = Field(max_length=1_000)
    """Its steps, oldest first."""


def recharge(row: Any, scope: Reach) -> Recharge:
    """A recharge, as it is now."""
    return Recharge(**_plain(row, scope))


def _plain(row: Any, scope: Reach) -> dict[str, Any]:
    names = ("id", "kind", "point_id", "meter_id", "number", "state", "why", "send_count",
             "created_at", "applied_at")  # fmt: skip
    return {name: row[name] for name in names} | {
        "amount": shapes.money(row["amount_minor"], scope)
    }


def _step(row: Any, scope: Reach) -> RechargeStep:
    said = None if row["said_minor"] is None else shapes.money(row["said_minor"], scope)
    return RechargeStep(
        at=row["at"], deed=row["deed"], rule=row["rule"], reply=row["reply"],
        said_count=row["said_count"], said=said,
    )  # fmt: skip


@router.get(
    "/projects/{project_id}/meters/{meter_id}/purse",
    dependencies=may(Verb.MONEY_READ),
    tags=["money"],
)
async def get_meter_purse(request: Request, project_id: ProjectId, meter_id: MeterId) -> MeterPurse:
    """What is known of a meter's own purse; 404 where it keeps none."""
    row = await flow.purse_of(database_of(request), project_id, meter_id)
    if row is None or row["wallet_epoch"] is None:
        raise NotFound(N_("Purse"), meter_id)
    scope, limit_minor = request.state.scope, row["hoarding_minor"]
    return MeterPurse(
        held=shapes.money(row["net_minor"], scope), number=row["number"],
        epoch=row["wallet_epoch"], customer_number=row["customer_number"],
        hoarding_limit=None if limit_minor is None else shapes.money(limit_minor, scope),
        read_at=row["read_at"], is_frozen=row["frozen_at"] is not None,
        recharge_id=row["live_id"],
    )  # fmt: skip


@router.get("/projects/{project_id}/recharges", dependencies=may(Verb.MONEY_READ), tags=["money"])
async def list_recharges(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    state: Annotated[RechargeState | None, Query(description="Only in this state.")] = None,
    paid_from: From = None,
    paid_to: To = None,
    text: Text = "",
    sort: Annotated[str, SortOf("recharges"), sort_of("recharges")] = "-created_at",
) -> schemas.Page[Recharge]:
    """Money sent to meters, newest first unless sorted otherwise."""
    scope = request.state.scope
    found = await page(
        request, project_id, "recharges", pages, sort, lambda row: recharge(row, scope),
        state=state, text=monitor.contains(text), **span(paid_from, paid_to),
    )  # fmt: skip
    return schemas.Page[Recharge](**found)


@router.get(
    "/projects/{project_id}/recharges/{recharge_id}",
    dependencies=may(Verb.MONEY_READ),
    tags=["money"],
)
async def get_recharge(
    request: Request, project_id: ProjectId, recharge_id: RechargeId
) -> RechargeDetail:
    """One recharge, with what was learnt of it and done at each step."""
    scope = request.state.scope
    row, steps = await monitor.recharge(database_of(request), project_id, recharge_id)
    return RechargeDetail(**_plain(row, scope), steps=[_step(one, scope) for one in steps])
