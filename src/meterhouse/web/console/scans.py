"""Searches of a gateway's bus: the list of a gateway's, and one with what it finds as it finds it.

Owns both pages and the part that refreshes itself. A closed tab loses nothing: all that is shown
is in the task's row.
"""

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.errors import NotFound
from meterhouse.flows import scan, task
from meterhouse.flows.access import Verb
from meterhouse.meter_models import Confidence
from meterhouse.model import Relay
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api.field import scan_left
from meterhouse.web.labels import Known, TaskState
from meterhouse.web.pages import render
from meterhouse.words import N_

router = APIRouter(dependencies=[Depends(Permission(Verb.DEVICE_READ))])

_LIVE: Final = {TaskState.QUEUED, TaskState.RUNNING}


@router.get("/projects/{project_id}/gateways/{gateway_id:int}/scans")
async def gateway_scans(request: Request, project_id: int, gateway_id: int) -> Response:
    """The searches of a gateway's bus, newest first."""
    db = database_of(request)
    gateway = await scan.gateway_of(db, project_id, gateway_id)
    facts = {
        "gateway": gateway,
        "rows": await task.latest(db, project_id, scan.KIND, gateway_id),
        "task_state": TaskState,
        "may": Verb.DEVICE_COMMISSION in request.state.scope.verbs,
    }
    return render(request, "scans.html", facts)


@router.get("/projects/{project_id}/scans/{task_id:int}")
async def scan_page(request: Request, project_id: int, task_id: int) -> Response:
    """One search."""
    return render(request, "scan.html", await _facts(request, project_id, task_id))


@router.get("/projects/{project_id}/scans/{task_id:int}/now")
async def scan_now(request: Request, project_id: int, task_id: int) -> Response:
    """The part of the page that changes: 204 while nothing did."""
    facts = await _facts(request, project_id, task_id)
    if request.query_params.get("since") == facts["mark"]:
        return Response(status_code=204)
    return render(request, "scan_now.html", facts)


async def _facts(request: Request, project_id: int, task_id: int) -> dict[str, Any]:
    db = database_of(request)
    row = await task.get(db, project_id, task_id)
    if row["kind"] != scan.KIND:
        raise NotFound(N_("Task"), task_id)
    state = TaskState(row["state"])
    left_count, clashes = scan_left(row)
    asks = (row["result"] or {}).get("search", {}).get("asks", 0)
    return {
        "task": row,
        "state": state,
        "is_live": state in _LIVE,
        "mark": f"{state}-{row['done_count']}-{asks}-{row['claim_count']}",
        "asks": asks,
        "left_count": left_count,
        "clashes": clashes,
        "found": await scan.found(db, project_id, row),
        "known": Known,
        "relay": Relay,
        "confidence": Confidence,
        "percent": 100 * row["done_count"] // row["total_count"] if row["total_count"] else 0,
        "may": Verb.DEVICE_COMMISSION in request.state.scope.verbs,
    }
