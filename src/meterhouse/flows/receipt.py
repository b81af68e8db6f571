"""Receipts (票据): numbered paper about a payment, printed once and then as copies.

Owns when a receipt is made, what it keeps of its payment, and who may have its file. Must never
know how it looks. A receipt is made in its payment's transaction: either both are there or
neither, so the numbers of a series have no gaps. What it says is kept as it was (`facts`), and
nothing that happens later changes it; but who paid and who took the money are ids in it. Their
names are read from `personal` when it is printed: masked, unless whoever prints may see them and
asks for it, and then the print and its audit entry say so. Whoever is erased is on no later print.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.flows.orders import Direction, direction_of
from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.ledger.book import available_minor
from meterhouse.model import Keeper, PaymentKind
from meterhouse.paper.sheet import Paper
from meterhouse.store import catalog, ledger, monitor, personal, receipts
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewPayment
from meterhouse.store.receipts import SeriesTaken, Settings

FILE_LIFE: Final = timedelta(minutes=15)


class ReceiptUnfit(MeterhouseError):
    """No money changed hands here, so there is no receipt of it."""

    code = "receipt_unfit"
    http_status = 409


class ReceiptThere(MeterhouseError):
    """This payment has a receipt; print a copy of it, or make it void first."""

    code = "receipt_there"
    http_status = 409


class ReceiptVoid(MeterhouseError):
    """This receipt is void already."""

    code = "receipt_void"
    http_status = 409


class PrintOver(MeterhouseError):
    """The file of this print is no longer there; print again, and it is marked as a copy."""

    code = "print_over"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Facts:
    """What a receipt says, as it was when the money changed hands.

    Attributes:
        balance_minor: what could be spent afterwards; None where the platform keeps no money.
        of_label: the receipt of the payment that this one takes back.
        cashier_id: who took or gave the money; never a name.
        customer_id: who paid; never a name.
        purpose: what a fee is for, in the words of who charged it.
    """

    kind: str
    channel: str
    amount_minor: int
    currency: str
    currency_exponent: int
    timezone: str
    paid_at: str
    payment_id: int
    project: str
    payee: str
    tax_id: str
    building: str
    room: str
    meter: str
    commodity: str
    tender_minor: int | None
    energy_milli: int | None
    price_micro: int | None
    balance_minor: int | None
    of_label: str
    customer_id: int | None
    cashier_id: int | None
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt as it is now: its row with masked names, what it says, how often it was printed."""

    row: Any
    facts: Facts
    prints: Sequence[Any]
    settings: Settings


@dataclass(frozen=True, slots=True)
class Print:
    """One print whose file may be had: which one, on what, in which language, for whom.

    `payer` is the customer's name, masked unless the print was to name them.
    """

    receipt: Receipt
    copy: int
    paper: Paper
    language: str
    payer: str
    printed_at: datetime


def is_fit(kind: str, channel: str) -> bool:
    """Whether money changes hands for such an order; the rest is moved in the books alone."""
    return direction_of(kind, channel) is not Direction.WITHIN


def is_wanted(quiet_channels: Sequence[str], channel: str) -> bool:
    """Whether a sale over this channel brings a receipt by itself."""
    return channel not in quiet_channels


async def issue(
    connection: Connection, project: Any, payment_id: int, actor_id: int | None, at: datetime
) -> int:
    """Make the receipt of a payment, inside the payment's transaction; answers its id.

    Raises:
        NotFound: there is no such payment.
        ReceiptThere: it has one that counts.
        ReceiptUnfit: no money changed hands.
    """
    project_id = project["id"]
    found = await receipts.payment_facts(connection, project_id, payment_id)
    if not is_fit(found["kind"], found["channel"]):
        raise ReceiptUnfit
    facts = _facts(project, found, await _balance_minor(connection, project, found))
    made = await receipts.insert(
        connection, project_id, found["payee_id"], payment_id, facts, actor_id, at
    )
    if made is None:
        raise ReceiptThere
    return made


def of_sale(
    project: Any, new: NewPayment, balance_minor: int | None, actor_id: int | None, at: datetime
) -> Mapping[str, Any]:
    """What the receipt of a sale says that is about to be written; its payment's id comes then.

    `project` is the row of `sales.facts`.
    """
    names = "payee", "tax_id", "building", "room", "meter", "commodity", "customer_id"
    found = {name: project[name] for name in names}
    order = {
        "id": None, "kind": new.kind, "channel": new.channel, "amount_minor": new.amount_minor,
        "created_at": at, "tender_minor": new.tender_minor, "energy_milli": new.energy_milli,
        "price_micro": new.price_micro, "of_label": None, "actor_id": actor_id,
        "reason": new.reason,
    }  # fmt: skip
    return _facts(project, found | order, balance_minor)


async def issue_later(
    db: Database, project_id: int, payment_id: int, actor_id: int | None, at: datetime
) -> int:
    """The receipt of a payment that brought none, or whose receipt is void. Raises as `issue`."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        return await issue(connection, project, payment_id, actor_id, at)


def _facts(project: Any, found: Any, balance_minor: int | None) -> Mapping[str, Any]:
    facts = Facts(
        kind=found["kind"], channel=found["channel"], amount_minor=found["amount_minor"],
        currency=project["currency"], currency_exponent=project["currency_exponent"],
        timezone=project["timezone"], paid_at=found["created_at"].isoformat(),
        payment_id=found["id"], project=project["name"], payee=found["payee"] or "",
        tax_id=found["tax_id"] or "", building=found["building"] or "",
        room=found["room"] or "", meter=found["meter"] or "",
        commodity=found["commodity"] or "", tender_minor=found["tender_minor"],
        energy_milli=found["energy_milli"], price_micro=found["price_micro"],
        balance_minor=balance_minor, of_label=found["of_label"] or "",
        customer_id=found["customer_id"], cashier_id=found["actor_id"],
        purpose=found["reason"] if found["kind"] == PaymentKind.FEE else "",
    )  # fmt: skip
    return {name: getattr(facts, name) for name in Facts.__slots__}


async def _balance_minor(connection: Connection, project: Any, found: Any) -> int | None:
    """What can be spent after the payment, where it went into or out of a purse we keep."""
    if found["point_id"] is None or found["keeper"] != Keeper.PLATFORM:
        return None
    try:
        purse = await ledger.read_purse(connection, project["id"], found["point_id"])
    except NotFound:
        return None
    # A deposit, or somebody who has moved out meanwhile: the point's purse is another's.
    if found["account_id"] not in purse.account_ids:
        return None
    spendable: int = available_minor(
        sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
        project["currency_exponent"],
    )  # fmt: skip
    return spendable


async def look(db: Database, project_id: int, receipt_id: int) -> Receipt:
    """A receipt as it is now. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return await _look(connection, project_id, receipt_id)


async def _look(connection: Connection, project_id: int, receipt_id: int) -> Receipt:
    row = await receipts.get(connection, project_id, receipt_id)
    return Receipt(
        row,
        Facts(**json.loads(row["facts"])),
        await receipts.prints(connection, project_id, receipt_id),
        await receipts.settings(connection, project_id),
    )


async def void(
    db: Database, project_id: int, receipt_id: int, reason: str, actor_id: int | None, at: datetime
) -> str:
    """Make a receipt void; the number stays taken and its paper says so. Answers its label.

    Raises:
        NotFound: there is no such receipt.
        ReceiptVoid: it is void already.
    """
    async with db.transaction([project_id]) as connection:
        row = await receipts.get(connection, project_id, receipt_id)
        if not await receipts.void(connection, project_id, receipt_id, reason, actor_id, at):
            raise ReceiptVoid
        label: str = row["label"]
        return label


async def count_print(
    db: Database, project_id: int, receipt_id: int, paper: Paper, language: str, is_named: bool,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Count a print; answers which one it is: 1 is the original. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        await receipts.get(connection, project_id, receipt_id)
        return await receipts.count_print(
            connection, project_id, receipt_id, paper, language, is_named, actor_id, at
        )


async def printed(
    db: Database, project_id: int, receipt_id: int, copy: int, actor_id: int | None, at: datetime
) -> Print:
    """What the file of a print is made of, for who printed it, for a while.

    So an original, and a name, leave once: whoever wants it again prints again, and is counted.

    Raises:
        NotFound: there is no such receipt, or no such print of it.
        PrintOver: it is somebody else's, or too long ago.
    """
    async with db.transaction([project_id]) as connection:
        receipt = await _look(connection, project_id, receipt_id)
        one = next((row for row in receipt.prints if row["copy"] == copy), None)
        if one is None:
            raise NotFound("Print", copy)
        if one["printed_by"] != actor_id or at - one["printed_at"] > FILE_LIFE:
            raise PrintOver
        payer = receipt.row["customer"] or ""
        if one["is_named"] and receipt.facts.customer_id is not None:
            known = await personal.of_customer(connection, project_id, receipt.facts.customer_id)
            payer = (known["name"] if known else None) or ""
    return Print(receipt, copy, Paper(one["paper"]), one["language"], payer, one["printed_at"])


async def settings(db: Database, project_id: int) -> Settings:
    """What a project chose for its receipts."""
    async with db.transaction([project_id]) as connection:
        return await receipts.settings(connection, project_id)


async def change_settings(db: Database, project_id: int, new: Settings) -> Mapping[str, Any]:
    """Choose how receipts look from now on; answers what held before.

    Raises:
        ChangedMeanwhile: somebody chose otherwise since it was read.
        SeriesTaken: numbers of a payee begin so.
    """
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        was = await receipts.settings(connection, project_id)
        if not await receipts.change_settings(connection, project_id, new):
            raise ChangedMeanwhile
        try:
            await receipts.check_series(connection, project_id, receipts.HOUSE_PAYEE)
        except SeriesTaken as error:
            error.field = "prefix"
            raise
    return was._asdict()
