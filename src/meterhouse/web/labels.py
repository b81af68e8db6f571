"""The words for our enums, one table per enum, in English; the catalogue has the others.

Owns which message names each state. Must never know a page. A test fails when an enum gains a
member without a word. Colours go with the words (a state is never told by colour alone).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from meterhouse.model import (
    AlarmKind,
    CommandKind,
    CommandState,
    Commodity,
    Keeper,
    Override,
    Quality,
    Reason,
    Relay,
    RoomState,
)
from meterhouse.web.i18n import N_, Words

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
QUALITY: Final = {
    Quality.GOOD: N_("Good"),
    Quality.APPORTIONED: N_("Apportioned"),
    Quality.ESTIMATED: N_("Estimated"),
    Quality.DOUBTFUL: N_("Doubtful"),
    Quality.EDITED: N_("Edited"),
}
COMMAND_KIND: Final = {
    CommandKind.READ: N_("Read now"),
    CommandKind.DISCONNECT: N_("Disconnect"),
    CommandKind.CONNECT: N_("Connect"),
    CommandKind.ALLOW_CONNECT: N_("Allow connect"),
    CommandKind.KEEP_POWER_ON: N_("Keep power"),
    CommandKind.KEEP_POWER_OFF: N_("Restore prepay"),
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
    Reason.CREDIT: N_("Credit"),
    Reason.TIMETABLE: N_("Timetable"),
    Reason.LOAD_RULE: N_("Load rule"),
    Reason.PERSON: N_("Person"),
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
}

TABLES: Final[tuple[dict[Enum, str], ...]] = tuple(
    dict(table)
    for table in (
        ROOM_STATE,
        RELAY,
        OVERRIDE,
        COMMODITY,
        KEEPER,
        QUALITY,
        COMMAND_KIND,
        COMMAND_STATE,
        REASON,
        ALARM_KIND,
    )
)
_MESSAGES: Final = {(type(member), member): message for t in TABLES for member, message in t.items()}


def label(words: Words, member: Enum) -> str:
    """The word for a member of one of our enums, in the reader's language."""
    return words(_MESSAGES[type(member), member])


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """A line of the side bar, shown to those who have its verb."""

    title: str
    path: str
    icon: str
    verb: str


MENU: Final = (
    MenuEntry(N_("Room monitor"), "rooms", "rooms", "room.read"),
    MenuEntry(N_("Alarms"), "alarms", "alarms", "alarm.read"),
    MenuEntry(N_("Meters"), "meters", "meters", "device.read"),
    MenuEntry(N_("Gateways"), "gateways", "gateways", "device.read"),
    MenuEntry(N_("Notices"), "notices", "notices", "notice.read"),
)
