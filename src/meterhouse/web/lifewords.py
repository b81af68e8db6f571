"""The words for the life of an account, in English; the catalogue has the others.

Owns which message names each state, and its colour. Must never know a page.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from meterhouse.flows.opening import Purse
from meterhouse.flows.settle import Balance, Debt
from meterhouse.model import Compartment, PaymentKind
from meterhouse.words import N_


class OpeningState(StrEnum):
    """How far a prepared account has come."""

    PREPARED = "prepared"
    OPENED = "opened"
    WITHDRAWN = "withdrawn"


class ClosingSource(StrEnum):
    """How a closing register was read."""

    WIRE = "wire"
    HAND = "hand"


CLOSING_SOURCE: Final = {
    ClosingSource.WIRE: N_("By wire"),
    ClosingSource.HAND: N_("By hand"),
}
PURSE: Final = {
    Purse.APART: N_("Each commodity its own"),
    Purse.TOGETHER: N_("One for all"),
}
OPENING_STATE: Final = {
    OpeningState.PREPARED: N_("Prepared"),
    OpeningState.OPENED: N_("Account opened"),
    OpeningState.WITHDRAWN: N_("Withdrawn"),
}
OPENING_CLASS: Final = {
    OpeningState.PREPARED: "busy",
    OpeningState.OPENED: "ok",
    OpeningState.WITHDRAWN: "no",
}
COMPARTMENT: Final = {
    Compartment.COMMON: N_("Common purse"),
    Compartment.ELECTRICITY: N_("Electricity purse"),
    Compartment.WATER: N_("Water purse"),
    Compartment.HEAT: N_("Heat purse"),
    Compartment.FEE: N_("Fee purse"),
}
DEBT: Final = {
    Debt.REFUSE: N_("Do not close"),
    Debt.PAID: N_("It is paid now"),
    Debt.WRITE_OFF: N_("Write it off"),
}
BALANCE: Final = {
    Balance.PAY_OUT: N_("Paid out to who leaves"),
    Balance.MOVE: N_("Goes to who comes next"),
}
PAID: Final[Mapping[str, str]] = {
    PaymentKind.SETTLEMENT: N_("Paid out"),
    PaymentKind.DEPOSIT_REFUND: N_("Deposit paid back"),
    PaymentKind.MOVE: N_("Moved"),
    PaymentKind.RECHARGE: N_("Debt paid"),
    Debt.WRITE_OFF: N_("Debt written off"),
}
"""What a closing did with money, by the kind of its transfer."""

TABLES: Final[tuple[Mapping[Any, str], ...]] = (
    PURSE, OPENING_STATE, COMPARTMENT, DEBT, BALANCE, CLOSING_SOURCE,
)  # fmt: skip
