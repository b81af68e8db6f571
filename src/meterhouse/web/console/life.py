"""The page of an account: who, which rooms since when, its purses, its last orders, how it ended.

Owns that page. What can be done there are acts; a closed account keeps its page and its history.
"""

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import agreement
from meterhouse.flows.access import Reach, Verb
from meterhouse.model import AccountKind, Compartment, PaymentKind
from meterhouse.web import lifewords, moneywords
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts import account as account_acts
from meterhouse.web.acts import agreement as agreement_acts
from meterhouse.web.acts import meter as meter_acts
from meterhouse.web.pages import render
from meterhouse.web.paperwords import WAYS

router = APIRouter()


@router.get(
    "/projects/{project_id}/agreements/{agreement_id:int}",
    dependencies=[Depends(Permission(Verb.CUSTOMER_READ))],
)
async def agreement_page(request: Request, project_id: int, agreement_id: int) -> Response:
    """One account, open or closed."""
    scope: Reach = request.state.scope
    database, money = database_of(request), None
    now = await agreement.look(database, project_id, agreement_id)
    if Verb.MONEY_READ in scope.verbs:
        # Somebody may look after one building's households, and after another's money alone.
        there = database.within(scope.asked(Verb.MONEY_READ).building_ids)
        money = await agreement.money(there, project_id, agreement_id)
    facts: dict[str, Any] = {
        "now": now,
        "money": money,
        "agreement": now.row,
        "account_word": lambda row: moneywords.ACCOUNT_KIND[AccountKind(row["kind"])],
        "part_word": lambda part: lifewords.COMPARTMENT[Compartment(part)] if part else "",
        "order_word": lambda kind: moneywords.PAYMENT_KIND[PaymentKind(kind)],
        "transfer_word": moneywords.why_moved,
        "channels": WAYS,
        "acts": agreement_acts,
        "accounts": account_acts,
        "read": meter_acts.READ,
        "ids": {"project_id": project_id, "agreement_id": agreement_id},
    }
    return render(request, "agreement.html", facts)
