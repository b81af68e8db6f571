"""The words for money's enums: orders, recharges, accounts, and what a transfer was for.

Owns these tables alone; `labels` makes them the words of every page.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from meterhouse.flows.books import Handed, Section
from meterhouse.flows.orders import Direction
from meterhouse.model import AccountKind, Commodity, Compartment, PaymentKind, TransferKind
from meterhouse.words import N_


class Proved(StrEnum):
    """What came of the proofs of a closed day."""

    HOLDS = "holds"
    FAILED = "failed"


PAYMENT_KIND: Final = {
    PaymentKind.RECHARGE: N_("Recharge"),
    PaymentKind.REFUND: N_("Refund"),
    PaymentKind.REVERSAL: N_("Reversal"),
    PaymentKind.MOVE: N_("Move between accounts"),
    PaymentKind.DEPOSIT: N_("Deposit taken"),
    PaymentKind.DEPOSIT_REFUND: N_("Deposit paid back"),
    PaymentKind.FEE: N_("Fee"),
    PaymentKind.OPENING: N_("Opening credit"),
    PaymentKind.OPENING_DEBT: N_("Opening debt"),
    PaymentKind.OPENING_DEPOSIT: N_("Deposit from before"),
    PaymentKind.SETTLEMENT: N_("Final settlement"),
}
ACCOUNT_KIND: Final = {
    AccountKind.PURSE: N_("Purse"),
    AccountKind.DEPOSIT: N_("Deposits"),
    AccountKind.ON_METER: N_("On the meter"),
    AccountKind.IN_FLIGHT: N_("On its way to the meter"),
    AccountKind.CASH: N_("Money received"),
    AccountKind.RECEIVABLE: N_("Receivables"),
    AccountKind.REVENUE: N_("Sales revenue"),
    AccountKind.FEE: N_("Fees earned"),
    AccountKind.TAX: N_("Tax"),
    AccountKind.SUBSIDY: N_("Subsidies"),
    AccountKind.ROUNDING: N_("Rounding"),
    AccountKind.SUSPENSE: N_("Suspense"),
    AccountKind.OPENING: N_("Opening balances"),
}
DIRECTION: Final = {
    Direction.IN: N_("Money in"),
    Direction.OUT: N_("Money out"),
    Direction.WITHIN: N_("Between accounts"),
}
COMPARTMENT: Final = {
    Compartment.COMMON: N_("For everything"),
    Compartment.ELECTRICITY: N_("For electricity"),
    Compartment.WATER: N_("For water"),
    Compartment.HEAT: N_("For heat"),
    Compartment.FEE: N_("For fees"),
}
SECTION: Final = {
    Section.PURSE: N_("Purse"),
    Section.METER: N_("Money in the meter"),
    Section.DEPOSIT: N_("Deposits"),
    Section.RECEIVABLE: N_("Receivables"),
    Section.COUNTER: N_("Fees over the counter"),
}
USED: Final = {
    Commodity.ELECTRICITY: N_("Electricity used"),
    Commodity.WATER: N_("Water used"),
    Commodity.HEAT: N_("Heat used"),
    Commodity.COOLING: N_("Cooling used"),
}
TRANSFER_KIND: Final[Mapping[str, str]] = {
    TransferKind.BOOKING: N_("Energy used"),
    TransferKind.ROUNDING: N_("Rounded to a whole coin"),
    TransferKind.RESERVE: N_("Set aside for the meter"),
    TransferKind.RETURN: N_("Returned to the purse"),
    TransferKind.APPLY: N_("Arrived in the meter"),
    TransferKind.TAKE_BACK: N_("Taken back out of the meter"),
    TransferKind.DEDUCTED: N_("Used from the money in the meter"),
    TransferKind.ADOPTED: N_("Found in the meter"),
    TransferKind.TAKEN_OVER: N_("Moved out of the meter"),
    TransferKind.WRITE_OFF: N_("Debt written off"),
    **{TransferKind(kind): word for kind, word in PAYMENT_KIND.items()},
}
HANDED: Final[Mapping[str, str]] = {
    Handed.PAID: N_("Paid over the counter"),
    Handed.PAID_BACK: N_("Paid back over the counter"),
}
"""What changed hands beside transfers."""
PROVED: Final = {Proved.HOLDS: N_("All hold"), Proved.FAILED: N_("Some failed")}
# What is proved of the books, each as a statement.
PROOF: Final = {
    "sums_equal_transfers": N_("Every kind of account equals the sum of its transfers"),
    "debits_equal_credits": N_("Debits equal credits"),
    "accounts_equal_transfers": N_("Each account equals its transfers (another share each day)"),
    "booked_and_accrued_equal_rated": N_("Booked and accrued equal rated (another share each day)"),
    "in_flight_equals_recharges": N_("Money in flight is what recharges carry (another share)"),
    "on_meter_equals_purses": N_("Money on meters is what their purses hold (another share)"),
    "orders_equal_transfers": N_("Each order has one transfer of its amount (another share)"),
    "shifts_closed": N_("All shifts begun before the end of the day are closed"),
}
TABLES: Final = (
    PROVED,
    PAYMENT_KIND,
    ACCOUNT_KIND,
    DIRECTION,
    SECTION,
    COMPARTMENT,
)


def why_moved(kind: str, commodity: Commodity | None = None) -> str:
    """What a transfer was for, as a message: what was used, or its kind."""
    if kind == TransferKind.BOOKING and commodity is not None:
        return USED[commodity]
    return TRANSFER_KIND.get(kind) or HANDED.get(kind, kind)


def why_row(row: Any) -> str:
    """The same for a row of the journal."""
    commodity = row["commodity"]
    return why_moved(row["kind"], None if commodity is None else Commodity(commodity))
