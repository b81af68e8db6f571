"""The desk in the API: who is found, what a household has, what came of a payment."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from meterhouse.flows import desk, monitor, shift
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.desk import Found, Household, Supply
from meterhouse.model import CommandState, Commodity, Compartment, PaymentKind
from meterhouse.store.search import TEXT_CHARS_MAX
from meterhouse.units import to_decimal
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import schemas, shapes
from meterhouse.web.api.paging import SortOf, page
from meterhouse.web.api.v1 import (
    KEYED,
    From,
    NumberedRoute,
    Pages,
    ProjectId,
    RoomId,
    Text,
    To,
    id_filter,
    path_id,
    sort_of,
)
from meterhouse.web.labels import UNIT

router = APIRouter(**KEYED, route_class=NumberedRoute, tags=["money"])

_MAY = [Depends(Permission(Verb.MONEY_READ))]
_DAYS_MAX = 10**9
_NAME_MAX = 100

PaymentId = Annotated[int, path_id("payment")]
ShiftId = Annotated[int, path_id("shift")]


class HouseholdFound(schemas.Shape):
    """A room that a text led to, and who pays there."""

    room_id: schemas.Id
    """Id of the room."""
    room: str = Field(max_length=_NAME_MAX, examples=["A101"])
    """Its name."""
    building: str = Field(max_length=_NAME_MAX, examples=["A"])
    """Its building."""
    customer: str | None = Field(max_length=_NAME_MAX, examples=["W***"])
    """Who pays there, masked; null while it is vacant."""
    phone: str = Field(max_length=40, examples=["138****0000"])
    """Their phone, masked; may be empty."""


class Purse(schemas.Shape):
    """One of a household's own accounts."""

    compartment: Compartment | None
    """The compartment of the purse; null for the deposit."""
    balance: schemas.Money
    """What is booked there; what has accrued since is not yet taken off."""


class HouseholdSupply(schemas.Shape):
    """One point of a household."""

    point_id: schemas.Id
    """Id of the point."""
    commodity: Commodity
    """What it delivers."""
    available: schemas.Money | None
    """What may still be spent; null where no money is kept here."""
    days_left: int | None = Field(ge=0, le=_DAYS_MAX, examples=[12])
    """For how many days that lasts at the last week's use; null where nobody can tell."""
    is_sold_here: bool = Field(examples=[True])
    """Whether money is taken for it here."""


class SupplyRow(schemas.Shape):
    """A point somebody pays for."""

    point_id: schemas.Id
    """Id of the point."""
    room_id: schemas.Id
    """Id of its room."""
    building: str = Field(max_length=_NAME_MAX, examples=["A"])
    """Its building."""
    room: str = Field(max_length=_NAME_MAX, examples=["A101"])
    """Its room."""
    commodity: Commodity
    """What it delivers."""
    customer: str | None = Field(max_length=_NAME_MAX, examples=["W***"])
    """Who pays, masked."""
    address: str | None = Field(max_length=40, examples=["000000000001"])
    """Address of its meter; null without one."""
    balance: schemas.Money
    """What is booked in its own compartment."""


class HouseholdDetail(schemas.Shape):
    """A room at the desk."""

    room_id: schemas.Id
    """Id of the room."""
    supplies: list[HouseholdSupply] = Field(max_length=100)
    """Its points."""
    purses: list[Purse] = Field(max_length=20)
    """Its accounts; none while it is vacant."""
    payments: "list[Payment]" = Field(max_length=desk.PAYMENTS_SHOWN)
    """Its latest payments, newest first."""


class Payment(schemas.Shape):
    """What a payer did, or what was paid out to one (订单)."""

    id: schemas.Id
    """Id of the payment."""
    kind: PaymentKind
    """What it is."""
    channel: str = Field(max_length=20, examples=["cash"])
    """How it was paid."""
    amount: schemas.Money
    """How much."""
    energy: schemas.Quantity | None
    """What was bought, where it was sold by energy."""
    change: schemas.Money | None
    """What was given back of the cash handed over; null where none was told."""
    point_id: schemas.Id | None
    """The point it was for."""
    of_payment_id: schemas.Id | None
    """The payment that it reverses or pays back."""
    payee_id: schemas.Id | None
    """Who receives the money; null for the house."""
    shift_id: schemas.Id | None
    """The cashier's shift that it belongs to."""
    is_reversed: bool = Field(examples=[False])
    """Whether it was reversed."""
    reason: str = Field(max_length=400, examples=["counter 2"])
    """A note or reason."""
    created_at: schemas.At
    """When it was taken."""


class PaymentDetail(Payment):
    """A payment, and whether the power came back."""

    power_commands: list[CommandState] = Field(max_length=100)
    """States of the commands to switch on that are waiting or that it led to."""


class Payout(schemas.Shape):
    """What paying back led to: a payment, or a task that waits for a second person."""

    payment_id: schemas.Id | None
    """Id of the payment; null while it waits."""
    task_id: schemas.Id | None
    """The task that waits for a second person, where one is needed."""
    amount: schemas.Money
    """How much."""
    available: schemas.Money | None
    """What may be spent now; null while it waits."""


class ShiftOpened(schemas.Shape):
    """A shift that has begun."""

    id: schemas.Id
    """Id of the shift."""


class ShiftEnded(schemas.Shape):
    """How a shift ended."""

    id: schemas.Id
    """Id of the shift."""
    expected: schemas.Money
    """Float and cash in, less cash out."""
    counted: schemas.Money
    """What lay in the drawer."""
    difference: schemas.Money
    """Counted less expected."""
    next_shift_id: schemas.Id | None
    """The colleague's shift, where it was handed over."""
    task_id: schemas.Id | None
    """The task that waits for a second person to agree; the shift is open until then. Else null."""


class Shift(schemas.Shape):
    """A cashier's turn at the desk (班次)."""

    id: schemas.Id
    """Id of the shift."""
    cashier_id: schemas.Id
    """Whose it is."""
    cashier: str = Field(max_length=_NAME_MAX, examples=["Li Na"])
    """Their name."""
    drawer: schemas.Money
    """The change in the drawer at the beginning."""
    opened_at: schemas.At
    """When it began."""
    closed_at: schemas.At | None
    """When it ended; null while it is open."""
    expected: schemas.Money | None
    """What the drawer should have held at the end."""
    counted: schemas.Money | None
    """What it held."""
    difference: schemas.Money | None
    """Counted less expected."""
    handed_to_id: schemas.Id | None
    """Who went on with it."""
    note: str = Field(max_length=400, examples=["one note was torn"])
    """A note."""


class ShiftChannel(schemas.Shape):
    """What came in and went out over one channel."""

    channel: str = Field(max_length=20, examples=["cash"])
    """How it was paid."""
    in_count: int = Field(ge=0, le=schemas.COUNT_MAX, examples=[12])
    """How many payments came in."""
    in_amount: schemas.Money
    """What came in."""
    out_count: int = Field(ge=0, le=schemas.COUNT_MAX, examples=[1])
    """How many were paid out."""
    out_amount: schemas.Money
    """What was paid out."""


class ShiftDetail(Shift):
    """A shift with what was taken in it."""

    expected_now: schemas.Money
    """What the drawer should hold now: float and cash in, less cash out."""
    channels: list[ShiftChannel] = Field(max_length=100)
    """By channel, cash first."""


HouseholdDetail.model_rebuild()


def payment(row: Any, scope: Reach) -> Payment:
    """A payment's row as the API shows it."""
    return Payment(**_payment(row, scope))


def _payment(row: Any, scope: Reach) -> dict[str, Any]:
    amount_minor, tender_minor = row["amount_minor"], row["tender_minor"]
    same = ("id", "kind", "channel", "point_id", "of_payment_id", "payee_id", "shift_id",
            "is_reversed", "reason", "created_at")  # fmt: skip
    energy = None
    if row["energy_milli"] is not None:
        unit = UNIT[Commodity(row["commodity"])]
        energy = schemas.Quantity(amount=to_decimal(row["energy_milli"], 3), unit=unit)
    return {name: row[name] for name in same} | {
        "amount": shapes.money(amount_minor, scope),
        "energy": energy,
        "change": None
        if tender_minor is None
        else shapes.money(tender_minor - amount_minor, scope),
    }


@router.get("/projects/{project_id}/households", dependencies=_MAY)
async def find_households(
    request: Request,
    project_id: ProjectId,
    q: Annotated[
        str,
        Query(min_length=1, max_length=TEXT_CHARS_MAX, pattern=r"^[^\x00]*$",
              description="A piece of a room or meter number, a name, a phone or its last 4 "
              "digits.", examples=["A10"]),
    ],
) -> list[HouseholdFound]:  # fmt: skip
    """Rooms that are called so, or whose household or meter is; the best first."""
    scope = request.state.caller.scope(project_id)
    return [_found(one) for one in await desk.find(database_of(request), scope, q)]


@router.get("/projects/{project_id}/rooms/{room_id}/household", dependencies=_MAY)
async def get_household(
    request: Request, project_id: ProjectId, room_id: RoomId
) -> HouseholdDetail:
    """A room at the desk: supplies, accounts, latest payments."""
    scope, at = request.state.scope, request.app.state.services.clock()
    home: Household = await desk.household(
        database_of(request), project_id, room_id, scope.currency_exponent, at
    )
    return HouseholdDetail(
        room_id=room_id,
        supplies=[_supply(one, scope) for one in home.supplies],
        purses=[
            Purse(compartment=one.compartment, balance=shapes.money(one.balance_minor, scope))
            for one in home.purses
        ],
        payments=[payment(row, scope) for row in home.payments],
    )


@router.get("/projects/{project_id}/payments/{payment_id}", dependencies=_MAY)
async def get_payment(
    request: Request, project_id: ProjectId, payment_id: PaymentId
) -> PaymentDetail:
    """A payment, and whether the power came back."""
    scope = request.state.scope
    told = await desk.sold(database_of(request), project_id, payment_id)
    states = [state for state, _ in told.commands]
    return PaymentDetail(**_payment(told.payment, scope), power_commands=states)


@router.get("/projects/{project_id}/supplies", dependencies=_MAY)
async def list_supplies(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    building: Annotated[int | None, id_filter("building")] = None,
    text: Text = "",
    level: Annotated[
        Literal["1", "2", "3", "4"] | None,
        Query(description="Only those warned at least so much; 4 owes."),
    ] = None,
    sort: Annotated[str, SortOf("supplies"), sort_of("supplies")] = "room",
) -> schemas.Page[SupplyRow]:
    """What households pay for, with what is booked; by room unless sorted otherwise."""
    scope = request.state.scope
    found = await page(
        request, project_id, "supplies", pages, sort, lambda row: _supply_row(row, scope),
        building=building, text=monitor.contains(text), level=level,
    )  # fmt: skip
    return schemas.Page[SupplyRow](**found)


@router.get("/projects/{project_id}/shifts", dependencies=_MAY)
async def list_shifts(
    request: Request,
    project_id: ProjectId,
    pages: Pages,
    state: Annotated[
        Literal["open", "closed"] | None, Query(description="Only in this state.")
    ] = None,
    opened_from: From = None,
    opened_to: To = None,
    sort: Annotated[str, SortOf("shifts"), sort_of("shifts")] = "-opened_at",
) -> schemas.Page[Shift]:
    """Cashiers' shifts, newest first unless sorted otherwise."""
    scope = request.state.scope
    found = await page(
        request, project_id, "shifts", pages, sort, lambda row: Shift(**_shift(row, scope)),
        state=state, **{"from": opened_from, "to": opened_to},
    )  # fmt: skip
    return schemas.Page[Shift](**found)


@router.get("/projects/{project_id}/shifts/{shift_id}", dependencies=_MAY)
async def get_shift(request: Request, project_id: ProjectId, shift_id: ShiftId) -> ShiftDetail:
    """A shift, and what was taken and paid out in it by channel."""
    scope = request.state.scope
    now = await shift.look(database_of(request), project_id, shift_id)
    channels = [
        ShiftChannel(
            channel=one.channel, in_count=one.in_count, in_amount=shapes.money(one.in_minor, scope),
            out_count=one.out_count, out_amount=shapes.money(one.out_minor, scope),
        )
        for one in now.channels
    ]  # fmt: skip
    expected = shapes.money(now.expected_minor, scope)
    return ShiftDetail(**_shift(now.row, scope), expected_now=expected, channels=channels)


def _supply_row(row: Any, scope: Reach) -> SupplyRow:
    same = ("point_id", "room_id", "building", "room", "commodity", "customer", "address")
    balance = shapes.money(row["balance_minor"], scope)
    return SupplyRow(**{name: row[name] for name in same}, balance=balance)


def _shift(row: Any, scope: Reach) -> dict[str, Any]:
    same = ("id", "cashier_id", "cashier", "opened_at", "closed_at", "handed_to_id", "note")
    sums = {"drawer": "float", "expected": "expected", "counted": "counted",
            "difference": "difference"}  # fmt: skip
    return {name: row[name] for name in same} | {
        name: None if row[f"{key}_minor"] is None else shapes.money(row[f"{key}_minor"], scope)
        for name, key in sums.items()
    }


def _found(one: Found) -> HouseholdFound:
    return HouseholdFound(
        room_id=one.room_id, room=one.room, building=one.building, customer=one.customer,
        phone=one.phone,
    )  # fmt: skip


def _supply(one: Supply, scope: Reach) -> HouseholdSupply:
    left_minor = one.now.available_minor
    return HouseholdSupply(
        point_id=one.now.point_id, commodity=one.now.commodity,
        available=None if left_minor is None else shapes.money(left_minor, scope),
        days_left=None if one.days_left is None else min(one.days_left, _DAYS_MAX),
        is_sold_here=desk.is_sold_here(one.now),
    )  # fmt: skip
