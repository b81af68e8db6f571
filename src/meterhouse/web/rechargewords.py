"""The words for money on its way into meters: states, steps, replies, why one halted.

Owns these tables alone; `labels` makes the states the words of every page.
"""

from collections.abc import Mapping
from typing import Any, Final

from meterhouse.model import RechargeState
from meterhouse.words import N_

RECHARGE_STATE: Final = {
    RechargeState.RESERVED: N_("Reserved"),
    RechargeState.SENT: N_("On its way"),
    RechargeState.UNKNOWN: N_("In doubt, read back"),
    RechargeState.APPLIED: N_("Arrived in the meter"),
    RechargeState.VERIFIED: N_("In the meter, verified"),
    RechargeState.HALTED: N_("Halted, waits for a decision"),
    RechargeState.RETURNED: N_("Back in the purse"),
}
RECHARGE_KIND: Final = {
    "recharge": N_("Recharge"),
    "take_back": N_("Taken back"),
    "open": N_("Opened in the meter"),
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
HALTED_BY: Final = {
    "epoch": N_("The meter's purse is another one"),
    "no_memory": N_("The meter cannot recognise an order"),
    "foreign_credit": N_("Somebody else put money in"),
    "count_behind": N_("The counter fell back"),
    "balance": N_("Counter and balance contradict each other"),
    "no_counter": N_("Refused, and nothing proves it"),
    "sends": N_("Sent five times, never taken"),
    "person": N_("Called back by a person"),
    "hoarding_refused": N_("Refused: over the hoarding limit"),
    "customer_refused": N_("Refused: another customer number"),
    "not_opened": N_("Refused: no account in the meter"),
    "nothing_held": N_("Nothing is in the meter"),
}
STEP: Final = {
    "send": N_("Purse read, to be sent"),
    "resend": N_("Purse read, to be sent again"),
    "sent": N_("Written down and sent"),
    "look": N_("Nothing proven, to be read again"),
    "post": N_("The meter has it"),
    "return": N_("It never came in: back to the purse"),
    "halt": N_("Halted"),
    "unmade": N_("The order could not be made"),
    "cancelled": N_("Called back"),
    "decided_applied": N_("Decided: it is in the meter"),
    "decided_returned": N_("Decided: back to the purse"),
    "decided_look": N_("Decided: read the meter again"),
}
REPLY: Final = {
    "positive": N_("accepted"),
    "refused": N_("refused"),
    "silence": N_("silence"),
    "line_lost": N_("line lost"),
    "no_security_module": N_("no security module"),
    "security_module_unusable": N_("the security module fails"),
    "authentication_refused": N_("the meter refuses the session"),
}

# Which way a meter's deduction differs from the platform's rating.
DRIFTS: Final = {
    "meter_deducts_more": N_("The meter deducts more than the platform rates"),
    "meter_deducts_less": N_("The meter deducts less than the platform rates"),
}

TABLES: Final[tuple[Mapping[Any, str], ...]] = (RECHARGE_STATE,)
