"""Receipts in `/api/v1`: their shapes, and how rows become them.

Owns what other software may rely on about receipts. Must never know a page.
"""

import json
from typing import Annotated, Any

from pydantic import Field

from meterhouse.flows.access import Reach
from meterhouse.flows.receipt import Receipt as Found
from meterhouse.model import PaymentKind
from meterhouse.paper.sheet import Paper
from meterhouse.store.receipts import Settings
from meterhouse.units import to_decimal
from meterhouse.web.api import shapes
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Money, Shape, text

Label = Annotated[str, Field(max_length=80, examples=["E-2026-00000017"])]
Copy = Annotated[int, Field(ge=1, le=COUNT_MAX, examples=[1])]


class Receipt(Shape):
    """A receipt of a payment."""

    id: Id
    """Id of the receipt."""
    label: Label
    """Its number as it is printed: unique in its series, which has no gaps."""
    number: int = Field(ge=1, le=COUNT_MAX, examples=[17])
    """Its number in the series."""
    payment_id: Id
    """The payment it is of."""
    kind: PaymentKind
    """What the payment is."""
    channel: str = text("cash", "transfer", most=20)
    """How it was paid."""
    amount: Money
    """What changed hands."""
    room_id: Id | None
    """The room it was for."""
    room: str | None = text("302", most=60)
    """Name of the room."""
    customer: str | None = text("W**", most=60)
    """Who paid, masked; null where nobody is named or who it was has been erased."""
    issued_at: At
    """When it was made."""
    cashier: str = text("Li", most=60)
    """Who made it; empty where it was a rule or somebody you may not see."""
    print_count: int = Field(ge=0, le=COUNT_MAX, examples=[1])
    """How often it was printed; the first print is the original."""
    is_void: bool = Field(examples=[False])
    """Whether it does not count any more."""
    voided_at: At | None
    """When it was made void."""
    void_reason: str = text("", "wrong amount", most=200)
    """Why; empty while it counts."""


class PrintMade(Shape):
    """A print of a receipt."""

    copy_number: Copy
    """Which print it is; 1 is the original, 2 the first copy."""
    paper: Paper
    """On what."""
    language: str = text("zh-Hans", "en", most=20)
    """In which language."""
    is_named: bool = Field(examples=[False])
    """Whether the customer's name stood on it unmasked."""
    printed_at: At
    """When."""
    printed_by: Id | None
    """Who printed it."""


class ReceiptDetail(Receipt):
    """A receipt with all that it says and every print of it."""

    payee: str = text("Riverside Energy Ltd", most=60)
    """Who received the money; empty where the project itself did."""
    tax_id: str = text("91310000000000000X", most=60)
    """Their tax identity."""
    meter: str = text("240000000006", most=60)
    """Address of the meter that was in service."""
    balance_after: Money | None
    """What could be spent afterwards; null where the platform keeps no money."""
    tendered: Money | None
    """The cash that was handed over."""
    takes_back: str = text("", "E-2026-00000016", most=80)
    """Number of the receipt whose payment this one takes back."""
    prints: list[PrintMade] = Field(max_length=10_000)
    """Every print, in order."""


class Printed(Shape):
    """A print that was counted."""

    copy_number: Copy
    """Which print it is; 1 is the original."""
    paper: Paper
    """On what."""
    file: str = text("/api/v1/projects/12/receipts/12/prints/1/file", most=200)
    """Where its file is for a quarter of an hour, for whoever printed it."""


class ReceiptSettings(Shape):
    """How a project's receipts look."""

    prefix: str = text("R-2026-", most=12)
    """What the numbers of payments without a payee begin with."""
    paper: Paper
    """What is offered first for printing."""
    footer: str = text("Not a tax invoice.", most=200)
    """What stands below each receipt."""
    quiet_channels: list[Annotated[str, Field(max_length=20)]] = Field(
        max_length=20, examples=[["transfer"]]
    )
    """Ways of paying for which a sale brings no receipt by itself."""
    version: int = Field(ge=1, le=COUNT_MAX, examples=[3])
    """Grows with every change; `If-Match` names it when they are changed."""


def receipt(row: Any) -> Receipt:
    """A receipt of the list."""
    return Receipt(**_common(row))


def receipt_detail(found: Found, scope: Reach) -> ReceiptDetail:
    """A receipt with all that it says."""
    facts = found.facts
    return ReceiptDetail(
        **_common(found.row), payee=facts.payee, tax_id=facts.tax_id, meter=facts.meter,
        balance_after=_money(facts.balance_minor, scope),
        tendered=_money(facts.tender_minor, scope), takes_back=facts.of_label,
        prints=[
            PrintMade(
                copy_number=row["copy"], paper=Paper(row["paper"]), language=row["language"],
                is_named=row["is_named"], printed_at=row["printed_at"],
                printed_by=row["printed_by"],
            )
            for row in found.prints
        ],
    )  # fmt: skip


def receipt_settings(now: Settings) -> ReceiptSettings:
    """What a project chose."""
    return ReceiptSettings(
        prefix=now.prefix, paper=Paper(now.paper), footer=now.footer,
        quiet_channels=list(now.quiet_channels), version=now.version,
    )  # fmt: skip


def _common(row: Any) -> dict[str, Any]:
    facts = json.loads(row["facts"])
    names = (
        "id", "label", "number", "payment_id", "kind", "channel", "room_id", "room", "customer",
        "issued_at", "cashier", "print_count", "is_void", "voided_at", "void_reason",
    )  # fmt: skip
    amount = Money(
        amount=to_decimal(facts["amount_minor"], facts["currency_exponent"]),
        currency=facts["currency"],
    )
    return {name: row[name] for name in names} | {"amount": amount}


def _money(amount_minor: int | None, scope: Reach) -> Money | None:
    return None if amount_minor is None else shapes.money(amount_minor, scope)
