"""One recharge on its way into a meter: where the money is, and everything that happened to it.

Owns the page. Must never know what a step means for the money.
"""

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import monitor
from meterhouse.flows.access import Verb
from meterhouse.model import RechargeState
from meterhouse.web import rechargewords
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts.recharge import CANCEL, DECIDE
from meterhouse.web.pages import render

router = APIRouter(dependencies=[Depends(Permission(Verb.MONEY_READ))])
_LIVE: Final = {RechargeState.RESERVED, RechargeState.SENT, RechargeState.UNKNOWN}


@router.get("/projects/{project_id}/recharges/{recharge_id:int}")
async def recharge_page(request: Request, project_id: int, recharge_id: int) -> Response:
    """A recharge with its steps."""
    row, steps = await monitor.recharge(database_of(request), project_id, recharge_id)
    state = RechargeState(row["state"])
    deeds: tuple[Any, ...] = ()
    if Verb.RECHARGE_DECIDE in request.state.scope.verbs:
        deeds = (DECIDE,) if state is RechargeState.HALTED else (CANCEL,) if state in _LIVE else ()
    facts = {
        "row": row,
        "steps": steps,
        "state_of": state,
        "kinds": rechargewords.RECHARGE_KIND,
        "deeds": deeds,
        "ids": {"project_id": project_id, "recharge_id": recharge_id},
        "colour": rechargewords.RECHARGE_CLASS[state],
        "halted_by": rechargewords.HALTED_BY,
        "step_words": rechargewords.STEP,
        "reply_words": rechargewords.REPLY | rechargewords.HALTED_BY,
    }
    return render(request, "recharge.html", facts)
