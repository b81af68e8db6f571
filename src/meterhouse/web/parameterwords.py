"""The words for what a meter is told to hold: its prices, bands, days, blocks, warnings and times.

Owns the tables alone. A standby set's settings have the words of the set in force.
"""

from collections.abc import Mapping
from typing import Final

from meterhouse.model import CommandKind
from meterhouse.rating.inmeter import Part
from meterhouse.words import N_

SETTING: Final[Mapping[str, str]] = {
    "price_1": N_("Sharp price"),
    "price_2": N_("Peak price"),
    "price_3": N_("Flat band price"),
    "price_4": N_("Valley price"),
    "limit_1": N_("Block 1 ends at"),
    "limit_2": N_("Block 2 ends at"),
    "limit_3": N_("Block 3 ends at"),
    "block_price_1": N_("Added in block 1"),
    "block_price_2": N_("Added in block 2"),
    "block_price_3": N_("Added in block 3"),
    "block_price_4": N_("Added in block 4"),
    "slots_1": N_("Day table 1"),
    "slots_2": N_("Day table 2"),
    "slots_3": N_("Day table 3"),
    "slots_4": N_("Day table 4"),
    "slots_5": N_("Day table 5"),
    "slots_6": N_("Day table 6"),
    "slots_7": N_("Day table 7"),
    "slots_8": N_("Day table 8"),
    "zones": N_("Seasons"),
    "settlement_day": N_("Settlement day and hour"),
    "tariffs_switch": N_("Prices switch at"),
    "limits_switch": N_("Blocks switch at"),
    "slots_switch": N_("Day tables switch at"),
    "zones_switch": N_("Seasons switch at"),
    "alarm_amount_1": N_("Alarm amount 1"),
    "alarm_amount_2": N_("Alarm amount 2"),
    "overdraft_limit": N_("Overdraft"),
}


SENT: Final[Mapping[CommandKind, str]] = {
    CommandKind.TARIFF: N_("Prices sent"),
    CommandKind.SETTING: N_("Warnings sent"),
    CommandKind.CHECK: N_("Prices read back"),
}
WHY: Final[Mapping[str, str]] = {
    "clock_wrong": N_("The meter's clock is wrong"),
    "differs": N_("The meter charges something else"),
    "not_as_expected": N_("The meter's settlement day is not the tariff's billing day"),
    "value_unchanged": N_("The meter did not keep what was written"),
}
PART: Final[Mapping[Part, str]] = {
    Part.CHARGES: N_("Beside energy: not in this meter"),
    Part.BANDS: N_("Bands: not in this meter"),
    Part.BLOCKS: N_("Blocks: not in this meter"),
    Part.PRICES: N_("Prices: not in this meter"),
    Part.DAYS: N_("Days and seasons: not in this meter"),
}
# What a meter holds where a price has no blocks; nobody need read it while it is so.
_IDLE: Final = {"limit": "999999.99", "block": "0.0000"}


def is_idle(name: str, wanted: str) -> bool:
    """Whether a setting is there only because the meter has a place for it."""
    return _IDLE.get(name.removeprefix("standby_").partition("_")[0]) == wanted


def setting(name: str) -> str:
    """The message id of a setting's name; of one without a word, the name itself."""
    plain = name.removeprefix("standby_")
    return SETTING.get(plain, plain)


BAND: Final = {
    "sharp": N_("Sharp band"),
    "peak": N_("Peak band"),
    "flat": N_("Flat band"),
    "valley": N_("Valley band"),
}
