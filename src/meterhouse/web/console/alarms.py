"""Closing an alarm by hand: what that means is said first, then it is done.

Owns the page of one question. Must never know which alarms may be closed; the flow does.
"""

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from meterhouse.flows import alarm
from meterhouse.flows.access import Verb
from meterhouse.web.access import Permission
from meterhouse.web.pages import render

router = APIRouter()

_ALARM = "/projects/{project_id}/alarms/{alarm_id:int}/close"


@router.get(_ALARM, dependencies=[Depends(Permission(Verb.ALARM_CLOSE))])
async def ask(request: Request, project_id: int, alarm_id: int) -> Response:
    """Say what closing means."""
    facts = {"address": request.url.path, "back": f"/projects/{project_id}/alarms"}
    return render(request, "alarm_close.html", facts | {"alarm_id": alarm_id})


@router.post(_ALARM, dependencies=[Depends(Permission(Verb.ALARM_CLOSE))])
async def close(request: Request, project_id: int, alarm_id: int) -> Response:
    """Close it and go back to the list."""
    services = request.app.state.services
    await alarm.close(services.database, project_id, alarm_id, services.clock())
    return RedirectResponse(f"/projects/{project_id}/alarms", status_code=303)
