"""The list of receipts: its columns, filters and what can be done to a row.

Owns the declaration. Must never know a request.
"""

from typing import Any, Final

from meterhouse.flows.access import Verb
from meterhouse.web import paperwords
from meterhouse.web.formats import ABSENT
from meterhouse.web.listview import ListView, RowAct
from meterhouse.web.paperwords import RECEIPT_CLASS, RECEIPT_FOR, ReceiptState
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_


def _state(row: Any) -> ReceiptState:
    return ReceiptState.VOID if row["is_void"] else ReceiptState.VALID


def _customer(row: Any) -> str:
    return N_("Erased") if row["is_erased"] else row["customer"] or ABSENT


RECEIPTS: Final = ListView(
    Table(
        "receipts",
        (
            Column("number", N_("No."), lambda row: row["label"], sortable=True,
                   link=lambda row: f"receipts/{row['id']}"),
            Column("state", N_("State"), _state, Kind.STATE,
                   colour=lambda row: RECEIPT_CLASS[_state(row)]),
            Column("issued_at", N_("Made"), lambda row: row["issued_at"], Kind.INSTANT,
                   sortable=True),
            Column("building", N_("Building"), lambda row: row["building"]),
            Column("room", N_("Room"), lambda row: row["room"], sortable=True,
                   link=lambda row: f"rooms/{row['room_id']}" if row["room_id"] else None),
            Column("customer", N_("Customer"), _customer, Kind.WORD),
            Column("kind", N_("Payment for"), lambda row: RECEIPT_FOR[row["kind"]], Kind.WORD,
                   sortable=True),
            Column("channel", N_("Paid by"),
                   lambda row: paperwords.PAID_BY.get(row["channel"], row["channel"]), Kind.WORD),
            Column("amount", N_("Amount"), lambda row: row["amount_minor"], Kind.MONEY,
                   sortable=True),
            Column("prints", N_("Printed"), lambda row: row["print_count"], Kind.COUNT,
                   sortable=True),
            Column("cashier", N_("Cashier"), lambda row: row["cashier"]),
            Column("payment", N_("Order no."), lambda row: row["payment_id"], optional=True,
                   link=lambda row: f"orders/{row['payment_id']}"),
            Column("reason", N_("Why void"), lambda row: row["void_reason"], optional=True),
        ),
        (
            Filter("void", N_("State"), {
                "false": paperwords.RECEIPT_STATE[ReceiptState.VALID],
                "true": paperwords.RECEIPT_STATE[ReceiptState.VOID],
            }),
            Filter("kind", N_("Payment for"), {k.value: word for k, word in RECEIPT_FOR.items()}),
            Filter("channel", N_("Paid by"), paperwords.PAID_BY),
            Filter("text", N_("Search"), hint=N_("Number or room")),
            Filter("from", N_("From"), hint=N_("YYYY-MM-DD")),
            Filter("to", N_("To"), hint=N_("YYYY-MM-DD")),
        ),
        sort="issued_at",
        descending=True,
        empty=N_("No receipts yet."),
        empty_hint=N_("A payment at the desk brings one."),
    ),
    N_("Receipts"),
    Verb.MONEY_READ,
    row_acts=(
        RowAct("receipt.print"),
        RowAct("receipt.void", lambda row: not row["is_void"]),
    ),
)  # fmt: skip
