"""Finance in `/api/v1`: orders, the journal, statements, the trial balance.

Owns these shapes and where to look at them. Must never know a page.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from meterhouse.flows import books, monitor, orders
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.books import Section
from meterhouse.flows.monitor import Wanted
from meterhouse.flows.orders import Direction
from meterhouse.model import (
    AccountKind,
    Commodity,
    PaymentKind,
    RechargeState,
)
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import schemas, shapes, v1
from meterhouse.web.api.paging import Instant, SortOf, page
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Money, Shape, text

Way = Annotated[
    str, Field(json_schema_extra={"enum": [one.name.lower() for one in Direction]},
               examples=["in"]),
]  # fmt: skip


class Order(Shape):
    """An order: what a payer, or the desk for them, did once."""

    id: Id
    """Id of the order."""
    kind: PaymentKind
    """What it is."""
    amount: Money
    """Its amount; negative where money went out over the counter."""
    direction: Way
    """`in` or `out` over the counter, `within` from account to account."""
    channel: str = text("cash", most=40)
    """How it was paid."""
    created_at: At
    """When."""
    agreement_id: Id
    """Whose it is."""
    room_id: Id | None
    """Id of the room."""
    room: str | None = text("A302")
    """The room's name."""
    building: str | None = text("A")
    """The building's name."""
    customer: str | None = text("Li N**")
    """Who pays, masked; null where nobody is known."""
    cashier_id: Id | None
    """Who took or gave the money."""
    cashier: str = text("Li Na", "")
    """Their name, empty where there is none."""
    receipt: str | None = text("2026-000012", most=60)
    """Number of its receipt, where one is in force."""
    recharge: RechargeState | None
    """How far the money is on its way into the meter; null where it does not go there."""
    of_order_id: Id | None
    """The order it reverses or pays back."""
    reason: str = text("counter 2", "")
    """What was noted."""


class TransferLine(Shape):
    """One transfer of an order."""

    id: Id
    """Id of the transfer."""
    debit: AccountKind
    """The account it leaves."""
    credit: AccountKind
    """The account it goes to."""
    amount: Money
    """What it moves."""
    created_at: At
    """When."""
    reason: str = text("at the desk", "")
    """What was noted."""


class OrderDetail(Order):
    """An order with all it moved."""

    transfers: list[TransferLine] = Field(max_length=1_000)
    """Its transfers, oldest first."""
    related_ids: list[Id] = Field(max_length=1_000, examples=[[12]])
    """Orders that reverse it or that it reverses."""


class OrderSum(Shape):
    """What the orders of a kind add up to."""

    kind: PaymentKind
    """The kind."""
    direction: Way
    """Which way their money went."""
    count: int = Field(ge=0, le=COUNT_MAX, examples=[12])
    """How many there are."""
    amount: Money
    """What they add up to, never negative."""


class OrderSums(Shape):
    """What all orders that match add up to."""

    kinds: list[OrderSum] = Field(max_length=20)
    """By kind."""
    money_in: Money
    """What came in over the counter."""
    money_out: Money
    """What went out over the counter."""
    within: Money
    """What moved from account to account."""


class JournalLine(Shape):
    """A transfer: one row that debits one account and credits another."""

    id: Id
    """Id of the transfer."""
    created_at: At
    """When."""
    kind: str = text("booking", "recharge", most=40)
    """What it was for, as a stable word."""
    debit: AccountKind
    """The kind of account it leaves."""
    credit: AccountKind
    """The kind of account it goes to."""
    amount: Money
    """What it moves, above zero."""
    order_id: Id | None
    """The order behind it."""
    room_id: Id | None
    """The room it concerns."""
    room: str | None = text("A302")
    """The room's name."""
    reason: str = text("at the desk", "")
    """What was noted."""


class MovementLine(Shape):
    """A change of a household's balance."""

    transfer_id: Id
    """The transfer that changed it."""
    at: At
    """When."""
    kind: str = text("booking", "recharge", most=40)
    """What it was for, as a stable word."""
    order_kind: PaymentKind | None
    """What order was behind it."""
    commodity: Commodity | None
    """What was used, where something was."""
    amount: Money
    """What was added; negative where it was taken."""
    balance: Money
    """The balance after it."""
    reason: str = text("at the desk", "")
    """What was noted."""


class StatementPart(Shape):
    """Accounts of a household that it counts as one, over the span."""

    section: Section
    """Which accounts: the purse, the money in its meters, deposits, receivables. `counter` is none:
    fees paid over the counter stand there as charged and as paid; it begins and ends at zero."""
    opening: Money
    """What they held when the span began."""
    closing: Money
    """What they held when it ended."""
    movements: list[MovementLine] = Field(max_length=20_000)
    """Every change, oldest first."""


class Statement(Shape):
    """A household's statement."""

    agreement_id: Id
    """Whose."""
    since: At
    """From this instant on."""
    until: At
    """Before this instant."""
    parts: list[StatementPart] = Field(max_length=10)
    """By section; the purse first."""


class Standing(Shape):
    """All accounts of a kind and unit at an instant."""

    kind: AccountKind
    """The kind."""
    unit: str = text("CNY", most=20)
    """The unit they are kept in."""
    debit: Money
    """All debits."""
    credit: Money
    """All credits."""
    balance: Money
    """Their difference, on the side on which this kind grows."""


class Trial(Shape):
    """The trial balance at an instant."""

    at: At
    """All that was written before it."""
    holds: bool = Field(examples=[True])
    """Whether debits equal credits in every unit."""
    accounts: list[Standing] = Field(max_length=200)
    """By kind and unit."""


def shape_order(row: Any, scope: Reach) -> Order:
    """An order as the API tells it."""
    return Order(**_told(row, scope))


def _told(row: Any, scope: Reach) -> dict[str, Any]:
    same = ("id", "kind", "channel", "created_at", "agreement_id", "room_id", "room", "building",
            "customer", "receipt", "reason")  # fmt: skip
    return {name: row[name] for name in same} | {
        "amount": shapes.money(row["signed_minor"], scope),
        "direction": Direction(row["direction"]).name.lower(),
        "cashier_id": row["actor_id"], "cashier": row["actor"],
        "recharge": row["recharge_state"], "of_order_id": row["of_payment_id"],
    }  # fmt: skip


def _transfer(row: Any, scope: Reach) -> TransferLine:
    return TransferLine(
        id=row["id"], debit=row["debit_kind"], credit=row["credit_kind"],
        amount=shapes.money(row["amount_minor"], scope), created_at=row["created_at"],
        reason=row["reason"],
    )  # fmt: skip


router = APIRouter(**v1.KEYED, route_class=v1.NumberedRoute)
_MONEY = [Depends(Permission(Verb.MONEY_READ))]
_TAG = "books"
OrderId = Annotated[int, v1.path_id("order")]
Kind = Annotated[PaymentKind | None, Query(description="Only this kind.")]
Channel = Annotated[
    str | None,
    Query(max_length=40, pattern=r"^[a-z_]*$", description="Only paid so.", examples=["cash"]),
]
Cashier = Annotated[int | None, v1.id_filter("cashier")]
Building = Annotated[int | None, v1.id_filter("building")]


def _filters(
    kind: Kind = None, channel: Channel = None, cashier: Cashier = None,
    building: Building = None, paid_from: v1.From = None, paid_to: v1.To = None,
    text: v1.Text = "",
) -> dict[str, Any]:  # fmt: skip
    return {
        "kind": kind, "channel": channel, "cashier": cashier, "building": building,
        "from": paid_from, "to": paid_to, "text": monitor.contains(text),
    }  # fmt: skip


Filters = Annotated[dict[str, Any], Depends(_filters)]


@router.get("/projects/{project_id}/orders", dependencies=_MONEY, tags=[_TAG])
async def list_orders(
    request: Request,
    project_id: v1.ProjectId,
    pages: v1.Pages,
    filters: Filters,
    sort: Annotated[str, SortOf("orders"), v1.sort_of("orders")] = "-created_at",
) -> schemas.Page[Order]:
    """Orders of every kind, newest first unless sorted otherwise."""
    scope = request.state.scope
    found = await page(
        request, project_id, "orders", pages, sort, lambda row: shape_order(row, scope),
        **filters,
    )  # fmt: skip
    return schemas.Page[Order](**found)


@router.get("/projects/{project_id}/orders/sums", dependencies=_MONEY, tags=[_TAG])
async def sum_orders(request: Request, project_id: v1.ProjectId, filters: Filters) -> OrderSums:
    """What all orders that match add up to."""
    scope = request.state.scope
    found = await orders.sums(database_of(request), project_id, Wanted(filters))
    return OrderSums(
        kinds=[
            OrderSum(kind=one.kind, direction=one.direction.name.lower(), count=one.count,
                     amount=shapes.money(one.amount_minor, scope))
            for one in found.kinds
        ],
        money_in=shapes.money(found.of(Direction.IN), scope),
        money_out=shapes.money(found.of(Direction.OUT), scope),
        within=shapes.money(found.of(Direction.WITHIN), scope),
    )  # fmt: skip


@router.get("/projects/{project_id}/orders/{payment_id}", dependencies=_MONEY, tags=[_TAG])
async def get_order(request: Request, project_id: v1.ProjectId, payment_id: OrderId) -> OrderDetail:
    """One order with all it moved."""
    scope = request.state.scope
    now = await orders.order(database_of(request), project_id, payment_id)
    return OrderDetail(
        **_told(now.row, scope),
        transfers=[_transfer(one, scope) for one in now.transfers],
        related_ids=[one["id"] for one in now.related],
    )


_BOOKS = [Depends(Permission(Verb.BOOKS_READ))]
AgreementId = Annotated[int, v1.path_id("agreement")]


def _journal_line(row: Any, scope: Reach) -> JournalLine:
    return JournalLine(
        id=row["id"], created_at=row["created_at"], kind=row["kind"], debit=row["debit_kind"],
        credit=row["credit_kind"], amount=shapes.money(row["amount_minor"], scope),
        order_id=row["payment_id"], room_id=row["room_id"], room=row["room"],
        reason=row["reason"],
    )  # fmt: skip


@router.get("/projects/{project_id}/journal", dependencies=_BOOKS, tags=[_TAG])
async def list_journal(
    request: Request,
    project_id: v1.ProjectId,
    pages: v1.Pages,
    account: Annotated[
        AccountKind | None, Query(description="Only what such an account gave or got.")
    ] = None,
    kind: Annotated[
        str | None,
        Query(max_length=40, pattern=r"^[a-z_]*$", description="Only for this.",
              examples=["booking"]),
    ] = None,
    order: Annotated[int | None, v1.id_filter("order")] = None,
    booked_from: v1.From = None,
    booked_to: v1.To = None,
    text: v1.Text = "",
    sort: Annotated[str, SortOf("journal"), v1.sort_of("journal")] = "-created_at",
) -> schemas.Page[JournalLine]:  # fmt: skip
    """Every transfer between two accounts, newest first unless sorted otherwise."""
    scope = request.state.scope
    found = await page(
        request, project_id, "journal", pages, sort, lambda row: _journal_line(row, scope),
        account=account, kind=kind, order=order, text=monitor.contains(text),
        **{"from": booked_from, "to": booked_to},
    )  # fmt: skip
    return schemas.Page[JournalLine](**found)


@router.get(
    "/projects/{project_id}/agreements/{agreement_id}/statement", dependencies=_MONEY, tags=[_TAG]
)
async def get_statement(
    request: Request,
    project_id: v1.ProjectId,
    agreement_id: AgreementId,
    since: Annotated[Instant, Query(description="From this instant on.")],
    until: Annotated[Instant, Query(description="Before this instant.")],
) -> Statement:
    """Every movement of a household's money over a span, with its balances."""
    scope = request.state.scope
    now = await books.statement(database_of(request), project_id, agreement_id, since, until)
    parts = [
        StatementPart(
            section=part.section, opening=shapes.money(part.opening_minor, scope),
            closing=shapes.money(part.closing_minor, scope),
            movements=[
                MovementLine(
                    transfer_id=one.transfer_id, at=one.at, kind=one.kind,
                    order_kind=one.payment_kind, commodity=one.commodity,
                    amount=shapes.money(one.amount_minor, scope),
                    balance=shapes.money(one.balance_minor, scope), reason=one.reason,
                )
                for one in part.movements
            ],
        )
        for part in now.parts
    ]  # fmt: skip
    return Statement(agreement_id=agreement_id, since=since, until=until, parts=parts)


@router.get("/projects/{project_id}/trial", dependencies=_BOOKS, tags=[_TAG])
async def get_trial(
    request: Request,
    project_id: v1.ProjectId,
    at: Annotated[Instant, Query(description="All that was written before this instant.")],
) -> Trial:
    """What every kind of account held at an instant."""
    scope = request.state.scope
    now = await books.trial(database_of(request), project_id, at)
    accounts = [
        Standing(
            kind=one.kind, unit=one.unit, debit=shapes.money(one.debit_minor, scope),
            credit=shapes.money(one.credit_minor, scope),
            balance=shapes.money(one.balance_minor, scope),
        )
        for one in now.standings
    ]  # fmt: skip
    return Trial(at=at, holds=now.holds, accounts=accounts)
