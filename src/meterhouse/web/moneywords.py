"""The words for money's enums: orders, recharges, accounts, and what a transfer was for.

Owns these tables alone; `labels` makes them the words of every page.
"""

from typing import Final

from meterhouse.flows.orders import Direction
from meterhouse.model import AccountKind, PaymentKind, RechargeState
from meterhouse.words import N_

PAYMENT_KIND: Final = {
    PaymentKind.RECHARGE: N_("Recharge"),
    PaymentKind.REFUND: N_("Refund"),
    PaymentKind.REVERSAL: N_("Reversal"),
    PaymentKind.MOVE: N_("Move between accounts"),
    PaymentKind.DEPOSIT: N_("Deposit"),
    PaymentKind.DEPOSIT_REFUND: N_("Deposit paid back"),
    PaymentKind.FEE: N_("Fee"),
    PaymentKind.OPENING: N_("Opening credit"),
    PaymentKind.SETTLEMENT: N_("Final settlement"),
}
RECHARGE_STATE: Final = {
    RechargeState.RESERVED: N_("Set aside for the meter"),
    RechargeState.SENT: N_("Sent to the meter"),
    RechargeState.UNKNOWN: N_("Being read back"),
    RechargeState.APPLIED: N_("In the meter"),
    RechargeState.VERIFIED: N_("In the meter, verified"),
    RechargeState.HALTED: N_("Halted, a person decides"),
    RechargeState.RETURNED: N_("Returned to the purse"),
}
RECHARGE_CLASS: Final = {
    RechargeState.RESERVED: "busy",
    RechargeState.SENT: "busy",
    RechargeState.UNKNOWN: "w2",
    RechargeState.APPLIED: "ok",
    RechargeState.VERIFIED: "ok",
    RechargeState.HALTED: "owe",
    RechargeState.RETURNED: "no",
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
TABLES: Final = (PAYMENT_KIND, RECHARGE_STATE, ACCOUNT_KIND, DIRECTION)
