"""Period bills in `/api/v1`: which there are, and one with its lines.

Owns what other software may rely on. Must never know how a bill is made.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from meterhouse.flows import billed, monitor
from meterhouse.flows.access import Reach, Verb
from meterhouse.model import Commodity
from meterhouse.rating.periods import zone_of
from meterhouse.rating.told import told_bill
from meterhouse.units import to_decimal
from meterhouse.web.access import database_of
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.calculated import CalculatedBill
from meterhouse.web.api.paging import Instant, SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Money, Quantity, Shape
from meterhouse.web.api.v1 import (
    KEYED,
    NumberedRoute,
    Pages,
    ProjectId,
    Text,
    id_filter,
    may,
    path_id,
    sort_of,
    span,
)
from meterhouse.web.labels import UNIT

router = APIRouter(**KEYED, route_class=NumberedRoute)

BillId = Annotated[int, path_id("bill")]
PeriodFrom = Annotated[
    Instant | None,
    Query(description="Only periods that begin at this instant or later.",
          examples=["2026-11-01T00:00:00+08:00"]),
]  # fmt: skip
PeriodTo = Annotated[
    Instant | None,
    Query(description="Only periods that begin before this instant.",
          examples=["2026-12-01T00:00:00+08:00"]),
]  # fmt: skip


class PeriodBill(Shape):
    """What an account used at a point under one tariff in one billing period, and what is due.

    `charged + difference = total`, to a billionth.
    """

    id: Id
    """Its number; a bill that changes gets a further version with a number of its own."""
    version: int = Field(ge=1, le=COUNT_MAX, examples=[1])
    """The how manieth version of this bill it is."""
    point_id: Id
    """The point."""
    room: str = schemas.text("A302", most=200)
    """Its room."""
    agreement_id: Id | None
    """The account it is for; null: the house."""
    tariff_id: Id
    """The tariff."""
    tariff: str = schemas.text("Shops", most=200)
    """Its name."""
    since: At
    """When the use begins that it is of."""
    until: At
    """When that ends."""
    period_since: At
    """When the billing period begins."""
    period_until: At
    """When it ends."""
    energy: Quantity
    """What was used, as measured."""
    charged: Money
    """What was charged for it while energy flowed, exactly."""
    total: Money
    """What the bill says."""
    difference: Money
    """What the bill adds to what was charged, exactly; negative: it gives back."""
    made_at: At
    """When this version was made."""


class BillVersion(Shape):
    """A version of a bill."""

    id: Id
    """Its number."""
    version: int = Field(ge=1, le=COUNT_MAX, examples=[1])
    """The how manieth."""
    is_taken_back: bool = Field(examples=[False])
    """Whether it says no more than that there is no such bill any longer."""
    total: Money
    """What it says."""
    made_at: At
    """When it was made."""


class PeriodBillDetail(PeriodBill):
    """A version of a bill with its lines."""

    is_in_force: bool = Field(examples=[True])
    """Whether no later version takes its place."""
    transfer_ids: list[Id] = Field(max_length=10, examples=[[12]])
    """The transfers of the booking that took what it adds; none before it is booked."""
    bill: CalculatedBill
    """The bill itself, line by line."""
    versions: list[BillVersion] = Field(max_length=billed.VERSIONS_MAX)
    """The versions of this bill, the first one first."""


def _fine(nano: int, scope: Reach) -> Money:
    """An exact amount."""
    return Money(amount=to_decimal(nano, 9), currency=scope.currency)


def _facts(row: Any, scope: Reach) -> dict[str, Any]:
    """What the list and the detail share."""
    return {
        "id": row["id"], "version": row["version"], "point_id": row["point_id"],
        "room": row["room"] or "", "agreement_id": row["agreement_id"],
        "tariff_id": row["tariff_id"], "tariff": row["tariff"], "since": row["from_at"],
        "until": row["to_at"], "period_since": row["period_from_at"],
        "period_until": row["period_to_at"],
        "energy": Quantity(
            amount=to_decimal(row["energy_milli"], 3), unit=UNIT[Commodity(row["commodity"])]
        ),
        "charged": _fine(row["charged_nano"], scope),
        "total": shapes.money(row["total_minor"], scope),
        "difference": _fine(row["amount_nano"], scope), "made_at": row["made_at"],
    }  # fmt: skip


@router.get("/projects/{project_id}/bills", dependencies=may(Verb.MONEY_READ), tags=["books"])
async def list_bills(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    point: Annotated[int | None, id_filter("point")] = None,
    agreement: Annotated[int | None, id_filter("account")] = None,
    period_from: PeriodFrom = None,
    period_to: PeriodTo = None,
    text: Text = "",
    sort: Annotated[str, SortOf("bills"), sort_of("bills")] = "-period",
) -> schemas.Page[PeriodBill]:
    """Bills of ended billing periods that are in force; those taken back are left out."""
    scope = request.state.scope
    found = await page(
        request, project_id, "bills", pages, sort, lambda row: PeriodBill(**_facts(row, scope)),
        point=point, agreement=agreement, text=monitor.contains(text),
        **span(period_from, period_to),
    )  # fmt: skip
    return schemas.Page[PeriodBill](**found)


@router.get(
    "/projects/{project_id}/bills/{bill_id}", dependencies=may(Verb.MONEY_READ), tags=["books"]
)
async def get_bill(request: Request, project_id: ProjectId, bill_id: BillId) -> PeriodBillDetail:
    """One version of a bill, line by line, and which other versions there are."""
    scope, tariffs = request.state.scope, request.app.state.tariffs
    now = await billed.look(database_of(request), tariffs, project_id, bill_id)
    row, kept = now.kept.row, now.kept
    said = told_bill(kept.bill, kept.scheme, zone_of(scope.timezone), scope.currency_exponent)
    return PeriodBillDetail(
        **_facts(row, scope), is_in_force=row["is_last"], transfer_ids=list(now.transfer_ids),
        bill=CalculatedBill.model_validate(said),
        versions=[
            BillVersion(
                id=one["id"], version=one["version"],
                is_taken_back=one["from_at"] == one["to_at"],
                total=shapes.money(one["total_minor"], scope), made_at=one["made_at"],
            )
            for one in now.versions
        ],
    )  # fmt: skip
