"""The pages of finance: one order with all it moved.

Owns what stands on them. Must never know how a figure is computed.
"""

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import orders
from meterhouse.flows.access import Verb
from meterhouse.model import AccountKind, PaymentKind, RechargeState
from meterhouse.web import labels, moneywords
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts.money import CHANNELS
from meterhouse.web.cells import masked_name
from meterhouse.web.pages import render

router = APIRouter()

_PROJECT: Final = "/projects/{project_id}"


def _may(verb: Verb) -> list[Any]:
    return [Depends(Permission(verb))]


@router.get(f"{_PROJECT}/orders/{{payment_id:int}}", dependencies=_may(Verb.MONEY_READ))
async def order_page(request: Request, project_id: int, payment_id: int) -> Response:
    """One order: what it was, what it moved, what it belongs with."""
    now = await orders.order(database_of(request), project_id, payment_id)
    row = now.row
    state = row["recharge_state"]
    facts = {
        "order": row,
        "kind": PaymentKind(row["kind"]),
        "channel": CHANNELS.get(row["channel"], row["channel"]),
        "customer": masked_name(row),
        "recharge": None if state is None else RechargeState(state),
        "recharge_class": moneywords.RECHARGE_CLASS,
        "unit": labels.UNIT.get(row["commodity"], ""),
        "transfers": [_transfer(one) for one in now.transfers],
        "related": [(one, PaymentKind(one["kind"])) for one in now.related],
    }
    return render(request, "order.html", facts)


def _transfer(row: Any) -> dict[str, Any]:
    """A transfer with its accounts as enums, which have words."""
    return {
        "id": row["id"], "at": row["created_at"], "amount_minor": row["amount_minor"],
        "debit": AccountKind(row["debit_kind"]), "credit": AccountKind(row["credit_kind"]),
        "reason": row["reason"], "state": row["state"],
    }  # fmt: skip
