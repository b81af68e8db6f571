"""What roles, verbs and scopes are called.

Owns the words alone. A test fails when a ready role or a verb has none: nobody gives a right whose
name they cannot read.
"""

from collections.abc import Mapping
from typing import Final

from meterhouse.flows.access import ROLES, ScopeKind, Verb
from meterhouse.words import N_, Words

ROLE: Final[Mapping[str, str]] = {
    "platform_administrator": N_("Platform administrator"),
    "group_head_office": N_("Head office"),
    "project_manager": N_("Project manager"),
    "cashier": N_("Cashier"),
    "finance": N_("Finance"),
    "warden": N_("Warden"),
    "field_engineer": N_("Field engineer"),
    "read_only": N_("Read only"),
}
SCOPE: Final = {
    ScopeKind.PLATFORM: N_("The whole platform"),
    ScopeKind.GROUP: N_("Group"),
    ScopeKind.PROJECT: N_("Project"),
    ScopeKind.BUILDING: N_("Building"),
}
VERB: Final = {
    Verb.SESSION_OWN: N_("Sign in and look after oneself"),
    Verb.ROOM_READ: N_("See rooms, balances and readings"),
    Verb.ALARM_READ: N_("See alarms"),
    Verb.DEVICE_READ: N_("See meters and gateways"),
    Verb.NOTICE_READ: N_("See notices"),
    Verb.COMMAND_READ: N_("See commands"),
    Verb.CUSTOMER_READ: N_("See customers"),
    Verb.TARIFF_READ: N_("See tariffs"),
    Verb.PROJECT_READ: N_("See settings and set-up of the project"),
    Verb.MONEY_READ: N_("See payments and transfers"),
    Verb.TASK_READ: N_("See tasks"),
    Verb.AUDIT_READ: N_("See who did what"),
    Verb.STAFF_READ: N_("See staff and API clients"),
    Verb.METER_READ: N_("Read meters now"),
    Verb.METER_SWITCH: N_("Switch meters on and off"),
    Verb.CREDIT_ADD: N_("Recharge"),
    Verb.ALARM_CLOSE: N_("Close alarms"),
    Verb.PLACE_EDIT: N_("Change buildings and rooms"),
    Verb.CUSTOMER_EDIT: N_("Change customers"),
    Verb.PERSONAL_SHOW: N_("Show phones and identity numbers"),
    Verb.PERSONAL_ERASE: N_("Erase personal data"),
    Verb.DEVICE_EDIT: N_("Change meters and gateways"),
    Verb.DEVICE_COMMISSION: N_("Commission meters"),
    Verb.TARIFF_EDIT: N_("Change tariffs"),
    Verb.TARIFF_REPLAY: N_("Replay prices"),
    Verb.TARIFF_CORRECT: N_("Correct prices of the past"),
    Verb.PROJECT_EDIT: N_("Change a project's settings"),
    Verb.PROJECT_OPEN: N_("Open projects"),
    Verb.STAFF_EDIT: N_("Invite staff and give roles"),
    Verb.CLIENT_EDIT: N_("Make API clients and keys"),
    Verb.GROUP_EDIT: N_("Make groups"),
    Verb.ROLE_EDIT: N_("Make roles"),
    Verb.STRANGER_READ: N_("See unknown gateways"),
    Verb.MONEY_REFUND: N_("Refund and reverse payments"),
    Verb.MONEY_MOVE: N_("Move money between accounts"),
    Verb.SHIFT_OWN: N_("Open and close one's own shift"),
    Verb.RECEIPT_PRINT: N_("Print receipts"),
    Verb.RECEIPT_VOID: N_("Void receipts"),
    Verb.BOOKS_READ: N_("See revenue and the books"),
    Verb.DAY_CLOSE: N_("Close the day"),
    Verb.ACCOUNT_OPEN: N_("Open accounts"),
    Verb.ACCOUNT_CLOSE: N_("Close accounts"),
    Verb.OPENING_CREDIT: N_("Enter opening balances"),
    Verb.METER_EXCHANGE: N_("Exchange meters"),
    Verb.RECHARGE_DECIDE: N_("Decide about halted recharges"),
    Verb.PARAMETER_SEND: N_("Send settings to meters"),
    Verb.READING_DECIDE: N_("Decide about doubtful readings"),
}


def role_word(role: str, title: str, words: Words) -> str:
    """What a role is called: a ready one in the reader's language, an own one as it was titled."""
    return words(ROLE[role]) if role in ROLES else title or role
