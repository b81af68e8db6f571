"""The words for our enums, one table per enum, in English; the catalogue has the others.

Owns which message names each state. Must never know a page. A test fails when an enum gains a
member without a word. Colours go with the words (a state is never told by colour alone).
"""

import json
from collections.abc import Mapping
from enum import Enum, IntEnum, StrEnum
from typing import Any, Final

from meterhouse.control.commission import Item as Check
from meterhouse.control.commission import Verdict
from meterhouse.flows.act import Via
from meterhouse.flows.personal import Fact
from meterhouse.meter_models import Confidence
from meterhouse.model import (
    AlarmKind,
    CommandKind,
    CommandState,
    Commodity,
    Keeper,
    Override,
    Reason,
    Relay,
    RoomState,
)
from meterhouse.web import (
    doubtwords,
    lifewords,
    moneywords,
    paperwords,
    parameterwords,
    rechargewords,
)
from meterhouse.web.formats import ABSENT
from meterhouse.words import N_, Words


class Online(StrEnum):
    """Whether a meter or gateway answers."""

    ONLINE = "online"
    OFFLINE = "offline"


class Direction(StrEnum):
    """Who calls whom."""

    DIAL_IN = "dial_in"
    DIAL_OUT = "dial_out"


class NoticeState(StrEnum):
    """How far a notice has come."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class MenuGroup(StrEnum):
    """A heading of the side bar."""

    OPERATE = "operate"
    DEVICES = "devices"
    CUSTOMERS = "customers"
    MONEY = "money"
    SET_UP = "set_up"
    PLATFORM = "platform"


class TaskState(StrEnum):
    """How far a long task has come."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Commissioned(StrEnum):
    """How far a meter's latest checklist has come."""

    NONE = "none"
    OPEN = "open"
    SIGNED = "signed"
    SIGNED_WITH_FAULTS = "signed_with_faults"


class Known(StrEnum):
    """Whether the project has a device that a search met."""

    HERE = "here"
    PROJECT = "project"
    NEW = "new"


class Sealed(StrEnum):
    """Whether an entry of the audit is under a seal."""

    SEALED = "sealed"
    OPEN = "open"


class Source(IntEnum):
    """Where a reading came from."""

    LIVE = 0
    GATEWAY = 1
    FREEZE = 2
    HAND = 3
    ESTIMATE = 4


ROOM_STATE: Final = {
    RoomState.OPEN: N_("Normal"),
    RoomState.WARNING_1: N_("Warning 1"),
    RoomState.WARNING_2: N_("Warning 2"),
    RoomState.WARNING_3: N_("Warning 3"),
    RoomState.OWING: N_("Owing"),
    RoomState.NOT_OPEN: N_("Not opened"),
    RoomState.OFFLINE: N_("Offline"),
}
ROOM_CLASS: Final = {
    RoomState.OPEN: "ok",
    RoomState.WARNING_1: "w1",
    RoomState.WARNING_2: "w2",
    RoomState.WARNING_3: "w3",
    RoomState.OWING: "owe",
    RoomState.NOT_OPEN: "no",
    RoomState.OFFLINE: "off",
}
RELAY: Final = {
    Relay.UNKNOWN: N_("Relay unknown"),
    Relay.CLOSED: N_("Power on"),
    Relay.OPEN: N_("Power off"),
    Relay.ARMED: N_("Waiting for the button"),
}
RELAY_CLASS: Final = {
    Relay.UNKNOWN: "no",
    Relay.CLOSED: "ok",
    Relay.OPEN: "lock",
    Relay.ARMED: "w1",
}
OVERRIDE: Final = {
    Override.ON: N_("Kept on"),
    Override.OFF: N_("Forced off"),
    Override.NONE: N_("Prepay"),
}
COMMODITY: Final = {
    Commodity.ELECTRICITY: N_("Electricity"),
    Commodity.WATER: N_("Water"),
    Commodity.HEAT: N_("Heat"),
    Commodity.COOLING: N_("Cooling"),
}
KEEPER: Final = {
    Keeper.METER: N_("In the meter"),
    Keeper.PLATFORM: N_("In the platform"),
    Keeper.EXTERNAL: N_("By a third party"),
    Keeper.NONE: N_("Nobody pays"),
}
COMMAND_KIND: Final = {
    CommandKind.READ: N_("Read now"),
    CommandKind.DISCONNECT: N_("Disconnect"),
    CommandKind.CONNECT: N_("Connect"),
    CommandKind.ALLOW_CONNECT: N_("Allow connect"),
    CommandKind.KEEP_POWER_ON: N_("Keep power"),
    CommandKind.KEEP_POWER_OFF: N_("Restore prepay"),
    CommandKind.TARIFF: N_("Send prices"),
    CommandKind.SETTING: N_("Send warnings"),
    CommandKind.CHECK: N_("Check prices"),
}
COMMAND_STATE: Final = {
    CommandState.QUEUED: N_("Queued"),
    CommandState.SENT: N_("Sent, waiting for proof"),
    CommandState.CONFIRMED: N_("Confirmed"),
    CommandState.REFUSED: N_("Refused"),
    CommandState.UNKNOWN: N_("Result unknown"),
    CommandState.EXPIRED: N_("Expired"),
    CommandState.WITHDRAWN: N_("Withdrawn"),
}
COMMAND_CLASS: Final = {
    CommandState.QUEUED: "busy",
    CommandState.SENT: "busy",
    CommandState.CONFIRMED: "ok",
    CommandState.REFUSED: "owe",
    CommandState.UNKNOWN: "w2",
    CommandState.EXPIRED: "no",
    CommandState.WITHDRAWN: "no",
}
REASON: Final = {
    Reason.ARREARS: N_("Arrears"),
    Reason.CREDIT: N_("Credit came back"),
    Reason.TIMETABLE: N_("Timetable"),
    Reason.LOAD_RULE: N_("Load rule"),
    Reason.PERSON: N_("A person"),
    Reason.SAFETY: N_("Safety"),
}
ALARM_KIND: Final = {
    AlarmKind.CREDIT_LOW: N_("Credit low"),
    AlarmKind.CREDIT_OUT: N_("Credit used up"),
    AlarmKind.METER_OFFLINE: N_("Meter offline"),
    AlarmKind.GATEWAY_OFFLINE: N_("Gateway offline"),
    AlarmKind.GATEWAY_UNKNOWN: N_("Unknown gateway"),
    AlarmKind.GATEWAY_TWICE: N_("Gateway connected twice"),
    AlarmKind.GATEWAY_FLOOD: N_("Gateway floods"),
    AlarmKind.READING_DOUBTFUL: N_("Doubtful reading"),
    AlarmKind.READING_UNPLACED: N_("Reading without a place"),
    AlarmKind.COMMAND_FAILED: N_("Command failed"),
    AlarmKind.SWEEP_STOPPED: N_("Sweep stopped"),
    AlarmKind.CLOCK_SKEW: N_("Clock wrong"),
    AlarmKind.PROOF_FAILED: N_("Proof failed"),
    AlarmKind.RECHARGE_LATE: N_("Recharge late"),
    AlarmKind.RECHARGE_HALTED: N_("Recharge halted"),
    AlarmKind.WALLET_CONTRADICTS: N_("Meter's purse contradicts the books"),
    AlarmKind.PARAMETERS_DIFFER: N_("Meter does not hold what it was sent"),
    AlarmKind.PAYER_LEFT: N_("Correction for a household that has left"),
    AlarmKind.METER_DRIFT: N_("Meter deducts otherwise"),
    AlarmKind.METER_STUCK: N_("Register stands still"),
    AlarmKind.ESTIMATE_MISSING: N_("Cannot be estimated"),
}
PLACE_KIND: Final = {
    "building": N_("Building"),
    "floor": N_("Floor"),
    "room": N_("Room"),
    "area": N_("Public area"),
}
PROTOCOL: Final = {"dlt645-2007": "DL/T 645-2007", "dlt645-1997": "DL/T 645-1997"}
CHARGE_CLASS: Final = {
    "electricity": N_("Electricity"),
    "water": N_("Water"),
    "heat": N_("Heat"),
    "cooling": N_("Cooling"),
    "fee": N_("Fees"),
}
TEMPLATE: Final = {
    "residential": N_("Flats"),
    "dormitory": N_("Dormitory"),
    "shops": N_("Shops and offices"),
}
DAY_KIND: Final = {
    "holiday": N_("Holiday"),
    "workday": N_("Make-up workday"),
    "special": N_("Special day"),
}
ONLINE: Final = {Online.ONLINE: N_("Online"), Online.OFFLINE: N_("Offline")}
DIRECTION: Final = {
    Direction.DIAL_IN: N_("Gateway calls in"),
    Direction.DIAL_OUT: N_("We call out"),
}
NOTICE_STATE: Final = {
    NoticeState.QUEUED: N_("Queued"),
    NoticeState.SENT: N_("Sent"),
    NoticeState.FAILED: N_("Failed"),
}
SEALED: Final = {Sealed.SEALED: N_("Sealed"), Sealed.OPEN: N_("Not sealed yet")}
VIA: Final = {
    Via.CONSOLE: N_("Web console"),
    Via.API: N_("API"),
    Via.CLI: N_("Command line"),
    Via.SYSTEM: N_("Automatic"),
}
FACT: Final = {
    Fact.NAME: N_("Name"),
    Fact.PHONE: N_("Phone"),
    Fact.EMAIL: N_("E-mail"),
    Fact.ID_NUMBER: N_("Identity number"),
}
NOTICE_CLASS: Final = {
    NoticeState.QUEUED: "busy",
    NoticeState.SENT: "ok",
    NoticeState.FAILED: "owe",
}
MENU_GROUP: Final = {
    MenuGroup.OPERATE: N_("Operate"),
    MenuGroup.DEVICES: N_("Devices"),
    MenuGroup.CUSTOMERS: N_("Customers"),
    MenuGroup.MONEY: N_("Finance"),
    MenuGroup.SET_UP: N_("Administration"),
    MenuGroup.PLATFORM: N_("Platform"),
}
TASK_STATE: Final = {
    TaskState.WAITING: N_("Waits for a second person"),
    TaskState.QUEUED: N_("Queued"),
    TaskState.RUNNING: N_("Running"),
    TaskState.DONE: N_("Done"),
    TaskState.FAILED: N_("Failed"),
    TaskState.CANCELLED: N_("Cancelled"),
}
TASK_CLASS: Final = {
    TaskState.WAITING: "w1",
    TaskState.QUEUED: "busy",
    TaskState.RUNNING: "busy",
    TaskState.DONE: "ok",
    TaskState.FAILED: "owe",
    TaskState.CANCELLED: "no",
}
SOURCE: Final = {
    Source.LIVE: N_("Live"),
    Source.GATEWAY: N_("Gateway's store"),
    Source.FREEZE: N_("Meter's freeze"),
    Source.HAND: N_("By hand"),
    Source.ESTIMATE: N_("Estimated"),
}
CHANNEL: Final = {"console": N_("Console"), "email": N_("E-mail")}
# Why a command ended as it did or a reading is in doubt: codes of drivers, guards and verdicts.
WHY: Final = {
    **moneywords.PROOF,
    **rechargewords.REPLY,
    **parameterwords.WHY,
    **rechargewords.DRIFTS,
    **doubtwords.UNESTIMATED,
    "silence": N_("The meter does not answer"),
    "refused": N_("The meter refused"),
    "line_lost": N_("The connection to the gateway was lost"),
    "driver_error": N_("The driver failed; see the log"),
    "forced_off": N_("A person has switched it off"),
    "keep_power_unchanged": N_("The meter did not change keep-power"),
    "status_unreadable": N_("The meter's state could not be read"),
    "no_such_data": N_("The meter does not know this data"),
    "wrong_password": N_("Wrong meter password"),
    "keep_power": N_("Power is kept on"),
    "relay_unchanged": N_("The relay did not move"),
    "not_bcd": N_("The answer makes no sense"),
    "unsupported": N_("This model cannot do it"),
    "expired": N_("Its time was over before it could be sent"),
    "superseded": N_("A later command made it pointless"),
    "gateway_offline": N_("The gateway is offline"),
    "meter_removed": N_("The meter was removed"),
    "interrupted": N_("Interrupted; the meter is read again"),
    "credit_back": N_("Credit came back"),
    "quiet": N_("Quiet hours"),
    "stale_reading": N_("The last reading is too old"),
    "clock_skew": N_("The meter's clock is wrong"),
    "live_recharge": N_("A recharge is under way"),
    "payment_unprocessed": N_("A payment is under way"),
    "estimated": N_("The balance is estimated"),
    "not_noticed": N_("The customer was not told in time"),
    "frozen": N_("The project is frozen"),
    "meter": N_("No meter in service has this address"),
    "instant": N_("Its time cannot be right"),
    "before": N_("It was read before its meter hung here"),
    "conflict": N_("The same instant came with other values"),
    "zero": N_("The register fell to zero"),
    "decrease": N_("The register went backwards"),
    "jump": N_("More than the meter can carry"),
    "band_mismatch": N_("The bands do not add up to the total"),
    "other_track": N_("It follows a doubtful reading"),
    "unpriced": N_("No tariff is in force"),
    "not_said": N_("The meter did not say it"),
    "clock_off": N_("The clock is more than a minute off"),
    "register_negative": N_("The register is below zero"),
    "register_too_large": N_("The register is larger than this model's"),
    "register_not_as_expected": N_("The register is not the one written down"),
    "register_falls": N_("The register went backwards"),
    "register_jumps": N_("More than the meter can carry"),
    "shown_offline": N_("It is shown as offline"),
    "shown_unknown": N_("Its relay is shown as unknown"),
    "shown_otherwise": N_("What is shown is not what was seen"),
    "no_relay": N_("This model has no relay"),
    "left_out": N_("Left out by a person"),
    "defect": N_("A defect of the program; see the log"),
}

COMMISSIONED: Final = {
    Commissioned.NONE: N_("Not begun"),
    Commissioned.OPEN: N_("Not signed"),
    Commissioned.SIGNED: N_("Signed"),
    Commissioned.SIGNED_WITH_FAULTS: N_("Signed with faults"),
}
COMMISSIONED_CLASS: Final = {
    Commissioned.NONE: "no",
    Commissioned.OPEN: "busy",
    Commissioned.SIGNED: "ok",
    Commissioned.SIGNED_WITH_FAULTS: "w2",
}
CHECK: Final = {
    Check.ANSWERS: N_("Meter answers"),
    Check.CLOCK: N_("Clock is right"),
    Check.REGISTER: N_("Register is plausible"),
    Check.RELAY: N_("Relay obeys and is read back"),
    Check.STATE: N_("State is shown right"),
}
VERDICT: Final = {
    Verdict.OPEN: N_("Open"),
    Verdict.WAITING: N_("Waiting"),
    Verdict.PASSED: N_("Passed"),
    Verdict.FAILED: N_("Not passed"),
    Verdict.SKIPPED: N_("Left out"),
}
VERDICT_CLASS: Final = {
    Verdict.OPEN: "no",
    Verdict.WAITING: "busy",
    Verdict.PASSED: "ok",
    Verdict.FAILED: "owe",
    Verdict.SKIPPED: "w1",
}
KNOWN: Final = {
    Known.HERE: N_("Known here"),
    Known.PROJECT: N_("At another gateway"),
    Known.NEW: N_("New"),
}
KNOWN_CLASS: Final = {Known.HERE: "ok", Known.PROJECT: "w1", Known.NEW: "busy"}
CONFIDENCE: Final = {
    Confidence.CERTAIN: N_("certain"),
    Confidence.LIKELY: N_("likely"),
    Confidence.POSSIBLE: N_("possible"),
    Confidence.GENERIC: N_("by its protocol alone"),
}

TABLES: Final[tuple[Mapping[Any, str], ...]] = (
    ROOM_STATE,
    RELAY,
    OVERRIDE,
    COMMODITY,
    KEEPER,
    COMMAND_KIND,
    COMMAND_STATE,
    REASON,
    ALARM_KIND,
    ONLINE,
    DIRECTION,
    MENU_GROUP,
    NOTICE_STATE,
    TASK_STATE,
    SEALED,
    VIA,
    FACT,
    SOURCE,
    COMMISSIONED,
    CHECK,
    VERDICT,
    KNOWN,
    CONFIDENCE,
    *paperwords.TABLES,
    *lifewords.TABLES,
    *moneywords.TABLES,
    *rechargewords.TABLES,
    *doubtwords.TABLES,
)
_MESSAGES: Final = {
    (type(member), member): message for table in TABLES for member, message in table.items()
}


def label(words: Words, member: Enum) -> str:
    """The word for a member of one of our enums, in the reader's language."""
    return words(_MESSAGES[type(member), member])


_LOUD_ALARMS: Final = {
    AlarmKind.CREDIT_OUT, AlarmKind.COMMAND_FAILED, AlarmKind.PROOF_FAILED,
    AlarmKind.RECHARGE_HALTED, AlarmKind.WALLET_CONTRADICTS,
}  # fmt: skip
_OFFLINE_ALARMS: Final = {AlarmKind.METER_OFFLINE, AlarmKind.GATEWAY_OFFLINE}


def alarm_colour(kind: str, closed_at: Any) -> str:
    """The colour of an alarm: grey when it is over."""
    if closed_at is not None:
        return "no"
    if kind in _LOUD_ALARMS:
        return "owe"
    return "off" if kind in _OFFLINE_ALARMS else "w2"


def channel_of(row: Any) -> str:
    """The channel of a notice, as a message where we have one."""
    return CHANNEL.get(row["channel"], str(row["channel"]))


def why_of(row: Any) -> str:
    """Why a command ended so, as a message where we have one."""
    return WHY.get(row["why"], str(row["why"]))


def alarm_why(row: Any) -> str:
    """What an alarm adds to its kind, as a message where we have one."""
    why = str(json.loads(row["facts"]).get("why", ""))
    return WHY.get(why, why)


UNIT: Final = {
    Commodity.ELECTRICITY: "kWh",
    Commodity.WATER: "m³",
    Commodity.HEAT: "kWh",
    Commodity.COOLING: "kWh",
}
REGISTERS: Final = (N_("Total"), N_("Sharp"), N_("Peak"), N_("Flat"), N_("Valley"))


def customer_of(who: Any, words: Words) -> str:
    """Who pays for a point or a tile: masked, a dash while it is vacant, or that it was erased."""
    return who.customer or (words(N_("Erased")) if who.is_erased else ABSENT)
