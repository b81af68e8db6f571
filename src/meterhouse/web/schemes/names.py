"""The words for what a scheme names: bands, day tables, seasons, surcharges and its fields.

Owns which names are offered and how each reads in a language. Must never know a form. In data a
name is small letters; whoever types one of these words in any language means the name behind it.
"""

from collections.abc import Mapping
from typing import Final

from meterhouse.rating.bill import Kind
from meterhouse.web.parameterwords import BAND as METER_BAND
from meterhouse.words import LANGUAGES, N_, Words, words

BAND: Final[Mapping[str, str]] = METER_BAND | {"deep_valley": N_("Deep valley band")}
TABLE: Final[Mapping[str, str]] = {
    "every_day": N_("Every day"),
    "workday": N_("Workday"),
    "weekend": N_("Weekend"),
    "holiday": N_("Holiday"),
    "summer": N_("Summer"),
    "winter": N_("Winter"),
    "summer_weekend": N_("Summer weekend"),
    "winter_weekend": N_("Winter weekend"),
}
SEASON: Final[Mapping[str, str]] = {
    "year": N_("Whole year"),
    "spring": N_("Spring"),
    "summer": N_("Summer"),
    "autumn": N_("Autumn"),
    "winter": N_("Winter"),
    "rest": N_("Rest of the year"),
}
SURCHARGE: Final[Mapping[str, str]] = {
    "funds": N_("Government funds"),
    "renewables": N_("Renewable energy"),
    "service": N_("Service charge"),
    "rebate": N_("Rebate"),
}
DAY: Final[Mapping[str, str]] = {
    "workday": N_("Workday"),
    "weekend": N_("Weekend"),
    "holiday": N_("Holiday"),
    "makeup_workday": N_("Make-up workday"),
}
WEEKDAY: Final[Mapping[str, str]] = {
    "1": N_("Monday"),
    "2": N_("Tuesday"),
    "3": N_("Wednesday"),
    "4": N_("Thursday"),
    "5": N_("Friday"),
    "6": N_("Saturday"),
    "7": N_("Sunday"),
}
PRORATION: Final[Mapping[str, str]] = {
    "days": N_("By the days served"),
    "whole": N_("Whole, for a part of a period too"),
    "full_only": N_("Only for a full period"),
}
PERIOD: Final[Mapping[str, str]] = {
    "none": N_("Never"),
    "month": N_("Each billing month"),
    "year": N_("Each billing year"),
    "season": N_("Each season"),
}
FILL: Final[Mapping[str, str]] = {
    "chronological": N_("In the order of time"),
    "pro_rata": N_("All bands in proportion"),
}
COUNTED: Final[Mapping[str, str]] = {
    "meter": N_("Each meter's own"),
    "household": N_("The household's over all its meters"),
}
BAND_SOURCE: Final[Mapping[str, str]] = {
    "platform": N_("The platform, by the day tables"),
    "meter": N_("The meter, by its registers"),
}
GRANT: Final[Mapping[str, str]] = {
    "": N_("None"),
    "period": N_("Each billing month"),
    "once": N_("Once, when the account opens"),
}
PER: Final[Mapping[str, str]] = {
    "": N_("None"),
    "period": N_("Each billing month"),
    "day": N_("Each day"),
}
DEMAND: Final[Mapping[str, str]] = {
    "": N_("None"),
    "capacity": N_("Contracted capacity"),
    "maximum": N_("Highest measured power"),
}
TAX: Final[Mapping[str, str]] = {
    "": N_("None is shown"),
    "included": N_("Contained in the prices"),
    "added": N_("Added to the prices"),
}
FIELD: Final[Mapping[str, str]] = {
    "effective_from": N_("In force from"),
    "band_source": N_("Who decides the band"),
    "bands": N_("Bands"),
    "day_tables": N_("Day tables"),
    "seasons": N_("Seasons of the year"),
    "weekend": N_("Weekend"),
    "special_days": N_("Special days"),
    "blocks": N_("Blocks"),
    "prices_micro": N_("Prices"),
    "adders_micro": N_("Added in each block"),
    "surcharges": N_("Surcharges"),
    "allowance": N_("Free energy"),
    "tax": N_("Tax"),
    "standing": N_("Standing charge"),
    "minimum_micro": N_("Minimum"),
    "demand": N_("Power charge"),
    "multiplier": N_("Multiplier"),
    "loss_micro": N_("Losses"),
}
"""The fields of a version, by their titles."""
LINE: Final[Mapping[Kind, str]] = {
    Kind.ENERGY: N_("Energy"),
    Kind.FREE: N_("Free energy"),
    Kind.SURCHARGE: N_("Surcharge"),
    Kind.STANDING: N_("Standing charge"),
    Kind.DEMAND: N_("Power charge"),
    Kind.MINIMUM: N_("Filled up to the minimum"),
    Kind.TAX: N_("Tax"),
}
PROFILE: Final[Mapping[str, str]] = {
    "even": N_("The same at all hours"),
    "evening": N_("Mostly in the evening"),
    "night": N_("Mostly at night"),
}


def shown(known: Mapping[str, str], name: str, spoken: Words) -> str:
    """A name as a reader sees it: its word where it is one of those offered."""
    return spoken(known[name]) if name in known else name


def meant(known: Mapping[str, str], text: str) -> str:
    """The name that a typed text means, whatever language it was typed in."""
    folded = "".join(text.split()).casefold()
    for language in LANGUAGES:
        spoken = words(language)
        for name, message in known.items():
            if folded in (name, "".join(spoken(message).split()).casefold()):
                return name
    return "_".join(text.split()).lower()
