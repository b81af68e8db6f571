"""The desk (收费台): one box to find whoever stands there, what they have, and the sale.

Owns the page and its parts. Selling itself is an act (`acts.money`); the page only makes it fast:
everything from the first letter to the next customer is done with the keyboard.
"""

import secrets
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import desk, shift
from meterhouse.flows.access import Verb
from meterhouse.flows.desk import Household
from meterhouse.model import CommandState, Commodity, PaymentKind, RechargeState
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts.account import OPEN as OPEN_ACCOUNT
from meterhouse.web.acts.money import ADD
from meterhouse.web.acts.receipt import PRINT
from meterhouse.web.acts.refund import DEPOSIT, FEE, REFUND, undo_of
from meterhouse.web.acts.shift import CLOSE, CLOSE_FOR, HAND_OVER
from meterhouse.web.acts.shift import OPEN as OPEN_SHIFT
from meterhouse.web.pages import formats_of, is_fragment, render
from meterhouse.web.paperwords import WAYS
from meterhouse.web.rechargewords import RECHARGE_CLASS, RECHARGE_STATE
from meterhouse.words import N_

router = APIRouter(dependencies=[Depends(Permission(Verb.MONEY_READ))])

_DESK: Final = "/projects/{project_id}/desk"
_UNCERTAIN: Final = {CommandState.UNKNOWN, CommandState.EXPIRED}


@router.get(_DESK)
async def desk_page(request: Request) -> Response:
    """The desk, nobody chosen yet."""
    return render(request, "desk.html", {"text": "", "household": None, **await _mine(request)})


@router.get(f"{_DESK}/find")
async def desk_find(request: Request) -> Response:
    """Whoever is called so, as options of the box; without a script, a page of links."""
    text = request.query_params.get("q", "")
    found = await desk.find(database_of(request), request.state.scope, text)
    template = "desk_found.html" if is_fragment(request) else "desk.html"
    facts = {"text": text, "found": found, "household": None}
    return render(request, template, {**facts, **await _mine(request)})


@router.get(f"{_DESK}/rooms/{{room_id:int}}")
async def desk_room(request: Request, project_id: int, room_id: int) -> Response:
    """The household of a room, and the form to sell to it."""
    facts = await _household(request, project_id, room_id)
    template = "desk_room.html" if is_fragment(request) else "desk.html"
    return render(request, template, {"text": "", **facts, **await _mine(request)})


@router.get(f"{_DESK}/rooms/{{room_id:int}}/now")
async def desk_now(request: Request, project_id: int, room_id: int) -> Response:
    """What the household has, as it is now."""
    facts = await _household(request, project_id, room_id)
    template = "desk_now.html" if is_fragment(request) else "desk.html"
    return render(request, template, {"text": "", **facts, **await _mine(request)})


@router.get(f"{_DESK}/sales/{{payment_id:int}}")
async def desk_sale(request: Request, project_id: int, payment_id: int) -> Response:
    """A sale afterwards; it asks again until it is known whether the power is back."""
    told = await desk.sold(database_of(request), project_id, payment_id)
    word, colour = power_word(told)
    tender_minor = told.payment["tender_minor"]
    change_minor = None if tender_minor is None else tender_minor - told.payment["amount_minor"]
    facts = {
        "told": told,
        "payment": told.payment,
        "print_form": PRINT.page.format(
            project_id=project_id, receipt_id=told.payment["receipt_id"] or 0
        ),
        "may_print": PRINT.verb in request.state.scope.verbs,
        "key": secrets.token_hex(16),
        "kind": PaymentKind(told.payment["kind"]),
        "is_page": not is_fragment(request),
        "at_desk": "/desk" in request.headers.get("hx-current-url", ""),
        "change_minor": change_minor,
        "channel": channel_word(told.payment["channel"]),
        "unit": labels.UNIT[Commodity(told.payment["commodity"])],
        "power": word,
        "power_colour": colour,
        "why": next((labels.WHY.get(why, why) for _, why in told.commands if why), ""),
    }
    return render(
        request, "desk_sold.html" if is_fragment(request) else "desk_sold_page.html", facts
    )


@router.get("/projects/{project_id}/shifts/{shift_id:int}")
async def shift_page(request: Request, project_id: int, shift_id: int) -> Response:
    """A shift: what was taken by channel, what the drawer should hold, how it ended."""
    now = await shift.look(database_of(request), project_id, shift_id)
    is_mine = now.row["cashier_id"] == request.state.caller.person_id
    facts = {
        "now_": now,
        "row": now.row,
        "channel_word": channel_word,
        "acts": () if now.row["closed_at"] else (HAND_OVER, CLOSE) if is_mine else (CLOSE_FOR,),
        "ids": {"project_id": project_id, "shift_id": shift_id},
    }
    return render(request, "shift.html", facts)


def power_word(told: desk.Receipted) -> tuple[str, str]:
    """Whether the power is back, as a message and its colour; what nobody knows is said so.

    Where the meter keeps the money: how far that is on its way into it.
    """
    if told.payment["recharge_state"]:
        state = RechargeState(told.payment["recharge_state"])
        return RECHARGE_STATE[state], RECHARGE_CLASS[state]
    states = {state for state, _ in told.commands}
    if told.is_live:
        return N_("Being switched on …"), "busy"
    if states & _UNCERTAIN:
        return N_("Not known whether the power is back"), "w2"
    if CommandState.REFUSED in states:
        return N_("The meter refused to switch on"), "owe"
    is_on = desk.power_is_on(told.now)
    if is_on is None:
        return N_("Not known: the relay has not been read"), "no"
    if not is_on:
        return N_("Switched off"), "owe"
    return (N_("Power is back"), "ok") if states else (N_("Switched on"), "ok")


def channel_word(channel: str) -> str:
    """How something was paid, in words; a program's own word is shown as it is."""
    return WAYS.get(channel, channel)


async def _mine(request: Request) -> dict[str, Any]:
    """The reader's own shift, above the desk."""
    scope = request.state.scope
    shift_id = await shift.mine(
        database_of(request), scope.project_id, request.state.caller.person_id
    )
    return {"shift_id": shift_id, "open_shift": OPEN_SHIFT}


async def _household(request: Request, project_id: int, room_id: int) -> dict[str, Any]:
    scope, at = request.state.scope, request.app.state.services.clock()
    zone = formats_of(request).timezone
    home: Household = await desk.household(
        database_of(request), project_id, room_id, scope.currency_exponent, at
    )
    wanted = request.query_params.get("point", "")
    sellable = [one.now for one in home.supplies if desk.is_sold_here(one.now)]
    chosen = next((one for one in sellable if str(one.point_id) == wanted), None)
    return {
        "household": home,
        "room": home.supplies[0].now,
        "sellable": sellable,
        "point": chosen or next(iter(sellable), None),
        "form": ADD.page,
        "may_sell": ADD.verb in scope.verbs,
        "unit": labels.UNIT,
        "kind_of": PaymentKind,
        "channel_word": channel_word,
        "deeds": (REFUND, DEPOSIT, FEE),
        "open_account": OPEN_ACCOUNT,
        "undo": lambda row: None if row["is_undone"] else undo_of(row, zone, at),
    }
