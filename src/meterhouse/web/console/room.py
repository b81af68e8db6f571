"""One room: what it is now, its last days, its history, and everything that can be done to it.

Owns the room page, its parts that refresh themselves, and the dialogs of its operations. Must
never know what a command does to a meter or a payment to a purse: each operation is one flow.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.errors import BadInput, NotFound
from meterhouse.flows import command, monitor, recharge
from meterhouse.flows.access import Verb
from meterhouse.flows.monitor import Day, PointNow, RoomNow
from meterhouse.model import CommandKind, CommandState
from meterhouse.units import Minor, from_decimal, to_decimal
from meterhouse.web import labels
from meterhouse.web.access import Permission
from meterhouse.web.console.lists import export_list, list_facts, load_page
from meterhouse.web.formats import Formats
from meterhouse.web.pages import formats_of, render
from meterhouse.web.views import READINGS
from meterhouse.words import N_

router = APIRouter()

DESK_KEY_CHARS_MIN: Final = 16

REASON_MIN_CHARS: Final = 2
REASON_MAX_CHARS: Final = 200
CHANNELS: Final = {
    "cash": N_("Cash"),
    "card": N_("Card"),
    "transfer": N_("Bank transfer"),
}
LIVE_STATES: Final = {CommandState.QUEUED, CommandState.SENT}

_ROOM: Final = "/projects/{project_id}/rooms/{room_id:int}"


@dataclass(frozen=True, slots=True)
class Operation:
    """A dialog: what will happen, in words, and how loudly it is said."""

    kind: CommandKind
    verb: Verb
    consequence: str
    colour: str
    button: str


OPERATIONS: Final = {
    operation.kind.value: operation
    for operation in (
        Operation(
            CommandKind.READ, Verb.METER_READ,
            N_("The meter is asked for its registers, power and relay now."),
            "busy", "primary",
        ),
        Operation(
            CommandKind.DISCONNECT, Verb.METER_SWITCH,
            N_("Power is cut off at once and stays off, also after payment, until somebody "
               "connects it again. Make sure that nobody is put in danger."),
            "owe", "danger",
        ),
        Operation(
            CommandKind.CONNECT, Verb.METER_SWITCH,
            N_("Power comes back. From then on the balance decides again: if it is used up, "
               "the next reading disconnects."),
            "w1", "primary",
        ),
        Operation(
            CommandKind.KEEP_POWER_ON, Verb.METER_SWITCH,
            N_("Power stays on whatever the balance; debt may grow without limit until prepay "
               "is restored."),
            "w2", "primary",
        ),
        Operation(
            CommandKind.KEEP_POWER_OFF, Verb.METER_SWITCH,
            N_("The balance decides again: if it is used up, the next reading disconnects."),
            "w1", "primary",
        ),
    )
}  # fmt: skip


class ReasonMissing(BadInput):
    """Say why, in {low} to {high} characters."""

    code = "reason_missing"


class AmountUnusable(BadInput):
    """Enter an amount from {low} to {high} with at most {decimals} decimals."""

    code = "amount_unusable"


def read_amount_minor(text: str, fmt: Formats) -> Minor:
    """What a person typed as money, as whole coins. Raises `AmountUnusable`."""
    exponent = fmt.currency_exponent
    try:
        amount_minor = from_decimal(text, exponent)
    except BadInput:
        amount_minor = 0
    if not 1 <= amount_minor <= recharge.PAYMENT_MINOR_MAX:
        low, high = fmt.money(1), fmt.money(recharge.PAYMENT_MINOR_MAX)
        raise AmountUnusable(low=low, high=high, decimals=exponent)
    return Minor(amount_minor)


class FormKeyMissing(BadInput):
    """This form is not complete; load it again."""

    code = "form_key_missing"


def _desk_key(typed: Mapping[str, str]) -> str:
    """What makes this payment this one; without it a second equal one could not be told apart."""
    key = typed.get("key", "")
    if not key.isalnum() or len(key) < DESK_KEY_CHARS_MIN:
        raise FormKeyMissing
    return f"desk:{key}"


def check_reason(text: str) -> str:
    """A person's reason, trimmed. Raises `ReasonMissing`."""
    reason = text.strip()
    if not REASON_MIN_CHARS <= len(reason) <= REASON_MAX_CHARS:
        raise ReasonMissing(low=REASON_MIN_CHARS, high=REASON_MAX_CHARS)
    return reason


@router.get(_ROOM, dependencies=[Depends(Permission(Verb.ROOM_READ))])
async def room_page(request: Request, project_id: int, room_id: int) -> Response:
    """Everything of a room, and the readings of one of its meters."""
    now = await _room(request, project_id, room_id)
    fmt = formats_of(request)
    point = _point(now, request.query_params.get("point", ""))
    page = await load_page(request, project_id, READINGS, meter=point.meter_id or 0)
    state = page.state
    facts = {
        **await _now_facts(request, project_id, now, fmt),
        "point": point,
        "chart": chart_facts(now.days[point.point_id], labels.UNIT[point.commodity], fmt),
        "operations": _operations(request),
        "may_add": Verb.CREDIT_ADD in request.state.scope.verbs,
        **list_facts(page, fmt, str(room_id), labels.UNIT[point.commodity]),
        "heading": fmt.words(READINGS.heading),
        "state": state,
    }
    return render(request, "room.html", facts)


@router.get(f"{_ROOM}/now", dependencies=[Depends(Permission(Verb.ROOM_READ))])
async def room_now(request: Request, project_id: int, room_id: int) -> Response:
    """The part of the page that changes: 204 while nothing did."""
    services = request.app.state.services
    seq = await monitor.pulse(services.database, project_id)
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
    return await export_list(request, project_id, READINGS, meter=point.meter_id or 0)


@router.get(
    f"{_ROOM}/points/{{point_id}}/operations/read",
    dependencies=[Depends(Permission(Verb.METER_READ))],
)
async def read_dialog(request: Request, project_id: int, room_id: int, point_id: int) -> Response:
    """Ask before the meter is read."""
    return await _dialog(request, project_id, room_id, point_id, "read")


@router.post(
    f"{_ROOM}/points/{{point_id}}/operations/read",
    dependencies=[Depends(Permission(Verb.METER_READ))],
)
async def read(request: Request, project_id: int, room_id: int, point_id: int) -> Response:
    """Queue a reading and show what becomes of it."""
    return await _operate(request, project_id, room_id, point_id, "read")


@router.get(
    f"{_ROOM}/points/{{point_id}}/operations/{{kind}}",
    dependencies=[Depends(Permission(Verb.METER_SWITCH))],
)
async def switch_dialog(
    request: Request, project_id: int, room_id: int, point_id: int, kind: str
) -> Response:
    """Say what will happen and ask why."""
    return await _dialog(request, project_id, room_id, point_id, kind)


@router.post(
    f"{_ROOM}/points/{{point_id}}/operations/{{kind}}",
    dependencies=[Depends(Permission(Verb.METER_SWITCH))],
)
async def switch(
    request: Request, project_id: int, room_id: int, point_id: int, kind: str
) -> Response:
    """Queue the command and show what becomes of it."""
    return await _operate(request, project_id, room_id, point_id, kind)


@router.get(
    "/projects/{project_id}/commands/{command_id:int}",
    dependencies=[Depends(Permission(Verb.COMMAND_READ))],
)
async def progress(request: Request, project_id: int, command_id: int) -> Response:
    """How far a command has come; the fragment asks again until it has ended."""
    row = await monitor.command(request.app.state.services.database, project_id, command_id)
    return _progress(request, row)


@router.get(
    f"{_ROOM}/points/{{point_id}}/credit",
    dependencies=[Depends(Permission(Verb.CREDIT_ADD))],
)
async def credit_dialog(request: Request, project_id: int, room_id: int, point_id: int) -> Response:
    """The desk's form; its key makes sure that sending it twice pays once."""
    point = await _one_point(request, project_id, room_id, point_id)
    return _credit_form(request, point, {"key": secrets.token_hex(16)})


@router.post(
    f"{_ROOM}/points/{{point_id}}/credit",
    dependencies=[Depends(Permission(Verb.CREDIT_ADD))],
)
async def credit(request: Request, project_id: int, room_id: int, point_id: int) -> Response:
    """Take the money into the purse and say what is available now."""
    point = await _one_point(request, project_id, room_id, point_id)
    services, fmt = request.app.state.services, formats_of(request)
    typed = {key: str(text) for key, text in (await request.form()).items()}
    try:
        amount_minor = read_amount_minor(typed.get("amount", ""), fmt)
        done = await recharge.add_credit(
            services.database, project_id, point_id, amount_minor,
            typed["channel"] if typed.get("channel") in CHANNELS else "cash",
            _desk_key(typed), typed.get("reason", "")[:REASON_MAX_CHARS],
            request.state.caller.person_id, services.clock(),
        )  # fmt: skip
    except BadInput as error:
        return _credit_form(request, point, typed, fmt.words.error(error))
    facts = {
        "room": point.room,
        "amount": fmt.money(amount_minor),
        "available": fmt.money(done.available_minor),
        "payment_id": done.payment_id,
        "commands": done.commands,
    }
    return render(request, "credit_done.html", facts)


async def _room(request: Request, project_id: int, room_id: int) -> RoomNow:
    services = request.app.state.services
    scope = request.state.scope
    return await monitor.room(
        services.database, project_id, room_id, scope.timezone, services.clock()
    )


async def _one_point(request: Request, project_id: int, room_id: int, point_id: int) -> PointNow:
    now = await _room(request, project_id, room_id)
    found = next((point for point in now.points if point.point_id == point_id), None)
    if found is None:
        raise NotFound(N_("Point"), point_id)
    return found


def _point(now: RoomNow, wanted: str) -> PointNow:
    """The point whose history is shown: the one asked for, else the first."""
    return next((p for p in now.points if str(p.point_id) == wanted), now.points[0])


async def _now_facts(
    request: Request, project_id: int, now: RoomNow, fmt: Formats
) -> dict[str, Any]:
    seq = await monitor.pulse(request.app.state.services.database, project_id)
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


def chart_facts(days: Sequence[Day], unit: str, fmt: Formats) -> dict[str, Any]:
    """Energy as bars, money as a line; points are decimal text, written on the server."""
    energy = [to_decimal(day.energy_milli, 3) for day in days]
    money = [to_decimal(day.amount_nano // 10**5, 4) for day in days]
    return {
        "days": [f"{day.day:%m-%d}" for day in days],
        "unit": unit,
        "symbol": fmt.currency_symbol,
        "bars": [{"name": fmt.words(N_("Energy")), "points": energy}],
        "line": {"name": fmt.words(N_("Money")), "points": money},
    }


def _operations(request: Request) -> list[Operation]:
    granted = request.state.scope.verbs
    return [operation for operation in OPERATIONS.values() if operation.verb in granted]


async def _dialog(
    request: Request, project_id: int, room_id: int, point_id: int, kind: str,
    reason: str = "", error: str = "",
) -> Response:  # fmt: skip
    if kind not in OPERATIONS:
        raise NotFound(N_("Operation"), kind)
    point = await _one_point(request, project_id, room_id, point_id)
    facts = {
        "operation": OPERATIONS[kind],
        "point": point,
        "reason": reason,
        "error": error,
        "address": request.url.path,
        "reason_max": REASON_MAX_CHARS,
    }
    return render(request, "operation.html", facts, 422 if error else 200)


async def _operate(
    request: Request, project_id: int, room_id: int, point_id: int, kind: str
) -> Response:
    if kind not in OPERATIONS:
        raise NotFound(N_("Operation"), kind)
    services = request.app.state.services
    given = str((await request.form()).get("reason", ""))
    operation = OPERATIONS[kind]
    try:
        needs_reason = operation.kind is not CommandKind.READ
        reason = check_reason(given) if needs_reason else given.strip()[:REASON_MAX_CHARS]
    except ReasonMissing as error:
        said = formats_of(request).words.error(error)
        return await _dialog(request, project_id, room_id, point_id, kind, given, said)
    point = await _one_point(request, project_id, room_id, point_id)
    if point.meter_id is None:
        raise NotFound(N_("Meter"), "")
    ids = await command.request(
        services.database, project_id, [point.meter_id], operation.kind, reason,
        request.state.caller.person_id, services.clock(),
    )  # fmt: skip
    row = await monitor.command(services.database, project_id, ids[0])
    return _progress(request, row)


def _progress(request: Request, row: Any) -> Response:
    state = CommandState(row["state"])
    facts = {
        "command": row,
        "kind": CommandKind(row["kind"]),
        "state": state,
        "is_live": state in LIVE_STATES,
    }
    return render(request, "progress.html", facts)


def _credit_form(
    request: Request, point: PointNow, typed: dict[str, str], error: str = ""
) -> Response:
    facts = {
        "point": point,
        "typed": {"amount": "", "channel": "", "reason": "", **typed},
        "error": error,
        "channels": CHANNELS,
        "address": request.url.path,
        "reason_max": REASON_MAX_CHARS,
    }
    return render(request, "credit.html", facts, 422 if error else 200)
