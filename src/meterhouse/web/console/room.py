"""One room: what it is now, its last days, its history, and everything that can be done to it.

Owns the room page and its parts that refresh themselves. What can be done to a room are acts.
"""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import desk, monitor
from meterhouse.flows.access import Verb
from meterhouse.flows.monitor import Day, PointNow, RoomNow
from meterhouse.model import CommandKind, CommandState
from meterhouse.units import to_decimal
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts.meter import SWITCHES
from meterhouse.web.charts import Chart, Draw, Series
from meterhouse.web.console.lists import export_list, list_facts, load_page
from meterhouse.web.formats import Formats
from meterhouse.web.pages import formats_of, is_fragment, render
from meterhouse.web.views import READINGS
from meterhouse.words import N_

router = APIRouter()

LIVE_STATES: Final = {CommandState.QUEUED, CommandState.SENT}

ESTIMATED_COLOUR: Final = "#fa8c16"

_ROOM: Final = "/projects/{project_id}/rooms/{room_id:int}"


@router.get(_ROOM, dependencies=[Depends(Permission(Verb.ROOM_READ))])
async def room_page(request: Request, project_id: int, room_id: int) -> Response:
    """Everything of a room, and the readings of one of its meters."""
    now = await _room(request, project_id, room_id)
    fmt = formats_of(request)
    point = _point(now, request.query_params.get("point", ""))
    page = await load_page(request, project_id, READINGS, fmt, meter=point.meter_id or 0)
    state = page.state
    facts = {
        **await _now_facts(request, project_id, now, fmt),
        "point": point,
        "chart": days_chart(now.days[point.point_id], labels.UNIT[point.commodity], fmt),
        "acts": [act for act in SWITCHES if act.verb in request.state.scope.verbs],
        "may_add": Verb.CREDIT_ADD in request.state.scope.verbs,
        "is_sold_here": desk.is_sold_here,
        **list_facts(
            page, fmt, str(room_id), request.state.scope.verbs, labels.UNIT[point.commodity]
        ),
        "heading": fmt.words(READINGS.heading),
        "state": state,
    }
    return render(request, "room.html", facts)


@router.get(f"{_ROOM}/now", dependencies=[Depends(Permission(Verb.ROOM_READ))])
async def room_now(request: Request, project_id: int, room_id: int) -> Response:
    """The part of the page that changes: 204 while nothing did."""
    seq = await monitor.pulse(database_of(request), project_id)
    if request.query_params.get("since") == str(seq):
        return Response(status_code=204)
    now = await _room(request, project_id, room_id)
    facts = await _now_facts(request, project_id, now, formats_of(request))
    return render(request, "room_now.html", facts)


@router.get(f"{_ROOM}/export", dependencies=[Depends(Permission(Verb.ROOM_READ))])
async def room_export(request: Request, project_id: int, room_id: int) -> Response:
    """The readings shown, as a file."""
    now = await _room(request, project_id, room_id)
    point = _point(now, request.query_params.get("point", ""))
    return await export_list(
        request, project_id, READINGS, formats_of(request), meter=point.meter_id or 0
    )


@router.get(
    "/projects/{project_id}/commands/{command_id:int}",
    dependencies=[Depends(Permission(Verb.COMMAND_READ))],
)
async def progress(request: Request, project_id: int, command_id: int) -> Response:
    """How far a command has come; the fragment asks again until it has ended."""
    row = await monitor.command(database_of(request), project_id, command_id)
    return _progress(request, row)


async def _room(request: Request, project_id: int, room_id: int) -> RoomNow:
    services = request.app.state.services
    scope = request.state.scope
    return await monitor.room(
        database_of(request), project_id, room_id, scope.timezone, services.clock()
    )


def _point(now: RoomNow, wanted: str) -> PointNow:
    """The point whose history is shown: the one asked for, else the first."""
    return next((p for p in now.points if str(p.point_id) == wanted), now.points[0])


async def _now_facts(
    request: Request, project_id: int, now: RoomNow, fmt: Formats
) -> dict[str, Any]:
    seq = await monitor.pulse(database_of(request), project_id)
    today = {point_id: days[-1] for point_id, days in now.days.items()}
    return {
        "room": now.points[0],
        "points": now.points,
        "today": today,
        "commands": now.commands,
        "seq": seq,
        "unit": labels.UNIT,
        "register_titles": [fmt.words(title) for title in labels.REGISTERS],
        "command_kind": CommandKind,
        "command_state": CommandState,
    }


def days_chart(days: Sequence[Day], unit: str, fmt: Formats) -> Chart:
    """Energy as bars, what nobody has measured on top and apart; money as a line."""
    money = [to_decimal(day.amount_nano // 10**5, 4) for day in days]
    measured = [to_decimal(day.energy_milli - day.estimated_milli, 3) for day in days]
    energy = [Series(N_("Energy"), measured)]
    if any(day.estimated_milli for day in days):
        estimated = [to_decimal(day.estimated_milli, 3) for day in days]
        energy = [
            Series(N_("Measured"), measured, Draw.STACK),
            Series(N_("Estimated"), estimated, Draw.STACK, colour=ESTIMATED_COLOUR),
        ]
    return Chart(
        N_("Energy and money of the last days"), N_("Day"),
        [f"{day.day:%m-%d}" for day in days], (unit, fmt.currency_symbol),
        (*energy, Series(N_("Money"), money, Draw.LINE, 1)),
    )  # fmt: skip


def _progress(request: Request, row: Any) -> Response:
    state = CommandState(row["state"])
    facts = {
        "command": row,
        "kind": CommandKind(row["kind"]),
        "state": state,
        "is_live": state in LIVE_STATES,
    }
    template = "progress.html" if is_fragment(request) else "progress_page.html"
    return render(request, template, facts)
