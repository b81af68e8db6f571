"""What the editor's lists offer, in a reader's language.

Owns the choices of every list. Must never know what is chosen.
"""

from collections.abc import Mapping
from typing import Any

from meterhouse.web import labels
from meterhouse.web.schemes import names
from meterhouse.words import Words


def offered(words: Words) -> dict[str, Any]:
    """For each list its (key, word); for names to be typed, the words alone."""

    def pairs(known: Mapping[str, str]) -> list[tuple[str, str]]:
        return [(key, words(word)) for key, word in known.items()]

    def said(known: Mapping[str, str]) -> list[str]:
        return [words(word) for word in known.values()]

    return {
        "commodity": [(one.value, words(word)) for one, word in labels.COMMODITY.items()],
        "proration": pairs(names.PRORATION),
        "band_source": pairs(names.BAND_SOURCE),
        "period": pairs(names.PERIOD),
        "fill": pairs(names.FILL),
        "counted": pairs(names.COUNTED),
        "grant": pairs(names.GRANT),
        "tax": pairs(names.TAX),
        "per": pairs(names.PER),
        "demand": pairs(names.DEMAND),
        "weekday": pairs(names.WEEKDAY),
        "day": pairs(names.DAY),
        "profile": pairs(names.PROFILE),
        "band_names": said(names.BAND),
        "table_names": said(names.TABLE),
        "season_names": said(names.SEASON),
        "surcharge_names": said(names.SURCHARGE),
    }
