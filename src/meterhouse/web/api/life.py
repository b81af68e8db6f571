"""Accounts in `/api/v1`: those open and closed, each with all that it was.

Owns where to look at them; what is done to them are acts. Must never know a page.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from meterhouse.flows import agreement, monitor
from meterhouse.flows.access import Reach, Verb
from meterhouse.model import Commodity
from meterhouse.units import to_decimal
from meterhouse.web import labels
from meterhouse.web.access import database_of
from meterhouse.web.api import agreements as shapes
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.schemas import Page, Quantity
from meterhouse.web.api.shapes import money
from meterhouse.web.api.v1 import (
    KEYED,
    NumberedRoute,
    Pages,
    ProjectId,
    Text,
    may,
    path_id,
    sort_of,
)

router = APIRouter(**KEYED, route_class=NumberedRoute)

_ALL: Final = "/projects/{project_id}/agreements"

AgreementId = Annotated[int, path_id("agreement")]


@router.get(_ALL, dependencies=may(Verb.CUSTOMER_READ), tags=["accounts"])
async def list_agreements(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    open: Annotated[  # noqa: A002 - the word of the field
        bool | None, Query(description="Whether they are open.", examples=[True])
    ] = None,
    text: Text = "",
    sort: Annotated[str, SortOf("agreements"), sort_of("agreements")] = "-since",
) -> Page[shapes.AgreementItem]:
    """Accounts, open and closed."""
    scope = request.state.scope

    def shape(row: Any) -> shapes.AgreementItem:
        return shapes.AgreementItem(
            **{name: row[name] for name in ("id", "customer_id", "valid_from", "valid_to")},
            rooms=row["rooms"] or "",
            balance=money(row["balance_minor"], scope),
            deposit=money(row["deposit_minor"], scope),
        )

    found = await page(
        request, project_id, "agreements", pages, sort, shape, open=open,
        text=monitor.contains(text),
    )  # fmt: skip
    return Page[shapes.AgreementItem](**found)


@router.get(f"{_ALL}/{{agreement_id}}", dependencies=may(Verb.CUSTOMER_READ), tags=["accounts"])
async def get_agreement(
    request: Request, project_id: ProjectId, agreement_id: AgreementId
) -> shapes.AgreementDetail:
    """An account, open or closed, with its purses, its points and how it ended."""
    now = await agreement.look(database_of(request), project_id, agreement_id)
    return _detail(now, request.state.scope)


def _detail(now: agreement.AgreementNow, scope: Reach) -> shapes.AgreementDetail:
    sums_minor = {
        kind: sum(row["balance_minor"] for row in now.accounts if row["kind"] == kind)
        for kind in ("purse", "deposit")
    }
    rooms = dict.fromkeys(f"{row['building']} {row['room']}" for row in now.points)
    settlement = now.settlement
    return shapes.AgreementDetail(
        **{name: now.row[name] for name in ("id", "customer_id", "valid_from", "valid_to")},
        persons=now.row["persons"],
        rooms=", ".join(rooms),
        balance=money(sums_minor["purse"], scope),
        deposit=money(sums_minor["deposit"], scope),
        accounts=[
            shapes.AgreementAccount(
                id=row["id"], kind=row["kind"], compartment=row["compartment"],
                balance=money(row["balance_minor"], scope),
                floor=None if row["floor_minor"] is None else money(row["floor_minor"], scope),
            )
            for row in now.accounts
        ],
        points=[
            shapes.AgreementPoint(
                **{name: row[name] for name in shapes.AgreementPoint.model_fields}
            )
            for row in now.points
        ],
        settlement=None if settlement is None else shapes.SettlementFacts(
            settled_at=settlement.settled_at,
            registers=[shapes.LastRegister(**one) for one in settlement.registers],
            refunded=money(settlement.refunded_minor, scope),
            written_off=money(settlement.written_off_minor, scope),
            reason=settlement.reason,
        ),
    )  # fmt: skip


@router.get(
    "/projects/{project_id}/exchanges", dependencies=may(Verb.DEVICE_READ), tags=["devices"]
)
async def list_exchanges(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    text: Text = "",
    sort: Annotated[str, SortOf("exchanges"), sort_of("exchanges")] = "-exchanged_at",
) -> Page[shapes.ExchangeItem]:
    """Meters that were given for others."""
    scope = request.state.scope

    def shape(row: Any) -> shapes.ExchangeItem:
        names = (
            "id", "point_id", "room", "old_meter_id", "new_meter_id", "exchanged_at",
            "closing_source", "reason",
        )  # fmt: skip
        commodity = Commodity(row["commodity"])
        return shapes.ExchangeItem(
            **{name: row[name] for name in names},
            closing=_register(row["closing_0_milli"], commodity),
            opening=_register(row["opening_0_milli"], commodity),
            moved=money(row["moved_minor"], scope),
        )

    found = await page(
        request, project_id, "exchanges", pages, sort, shape, text=monitor.contains(text)
    )
    return Page[shapes.ExchangeItem](**found)


def _register(milli: int, commodity: Commodity) -> Quantity:
    return Quantity(amount=to_decimal(milli, 3), unit=labels.UNIT[commodity])
