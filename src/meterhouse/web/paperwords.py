"""The words for receipts: papers, what they are for, whether they count, how was paid.

Owns these tables alone; `labels` makes them the words of every page.
"""

from enum import StrEnum
from typing import Any, Final

from meterhouse.flows.orders import FROM_PURSE
from meterhouse.model import PaymentKind
from meterhouse.paper.sheet import Paper
from meterhouse.words import N_


class ReceiptState(StrEnum):
    """Whether a receipt counts."""

    VALID = "valid"
    VOID = "void"


PAID_BY: Final = {"cash": N_("Cash"), "card": N_("Card"), "transfer": N_("Bank transfer")}
WAYS: Final = PAID_BY | {
    FROM_PURSE: N_("Purse"),
    "move": N_("From account to account"),
    "opening": N_("Brought along"),
}
"""How any order was paid; a program's own word is shown as it is."""
PAPER: Final = {
    Paper.A5: N_("A5"),
    Paper.CONTINUOUS: N_("Continuous, 241 × 93 mm"),
    Paper.ROLL: N_("Roll, 80 mm"),
    Paper.TICKET_58: N_("Ticket printer, 58 mm (ESC/POS)"),
    Paper.TICKET_80: N_("Ticket printer, 80 mm (ESC/POS)"),
}
RECEIPT_FOR: Final = {
    PaymentKind.RECHARGE: N_("Prepayment"),
    PaymentKind.REFUND: N_("Prepayment paid back"),
    PaymentKind.REVERSAL: N_("Payment taken back"),
    PaymentKind.DEPOSIT: N_("Security deposit"),
    PaymentKind.DEPOSIT_REFUND: N_("Security deposit paid back"),
    PaymentKind.FEE: N_("Other charge"),
    PaymentKind.SETTLEMENT: N_("Paid out on closing the account"),
}
"""What a receipt is for; the other kinds of payment have none."""
RECEIPT_STATE: Final = {ReceiptState.VALID: N_("Valid"), ReceiptState.VOID: N_("Void")}
RECEIPT_CLASS: Final = {ReceiptState.VALID: "ok", ReceiptState.VOID: "no"}

TABLES: Final[tuple[dict[Any, str], ...]] = (PAPER, RECEIPT_STATE)
