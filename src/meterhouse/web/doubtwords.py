"""The words for doubtful readings and decisions, in English; the catalogue has the others.

Owns which message names each doubt and decision, and the colour of a reading's state. Must never
know a page.
"""

from enum import StrEnum
from typing import Final

from meterhouse.model import Quality
from meterhouse.words import N_


class DoubtName(StrEnum):
    """Why a reading was not billed."""

    CONFLICT = "conflict"
    ZERO = "zero"
    DECREASE = "decrease"
    JUMP = "jump"
    BAND_MISMATCH = "band_mismatch"
    OTHER_TRACK = "other_track"
    UNUSABLE = "unusable"


class EstimateState(StrEnum):
    """How the estimates of a silent point stand."""

    RUNNING = "running"
    ENDED = "ended"
    MISSING = "missing"


class DecidedName(StrEnum):
    """What a person decided about a reading."""

    ACCEPT = "accept"
    BEGIN = "begin"
    CORRECT = "correct"
    DISCARD = "discard"


DOUBT: Final = {
    DoubtName.CONFLICT: N_("The same instant came with other values"),
    DoubtName.ZERO: N_("The register fell to zero"),
    DoubtName.DECREASE: N_("The register went backwards"),
    DoubtName.JUMP: N_("More than the meter can carry"),
    DoubtName.BAND_MISMATCH: N_("The bands do not add up to the total"),
    DoubtName.OTHER_TRACK: N_("It follows a doubtful reading"),
    DoubtName.UNUSABLE: N_("A register is missing or impossible"),
}
# What each means for the money, and what usually was the matter.
ADVICE: Final = {
    DoubtName.CONFLICT: N_(
        "Nobody knows which is right. Neither is billed; the next good reading bills the whole "
        "span. Correct it to what the meter should have shown, or discard it."
    ),
    DoubtName.ZERO: N_(
        "One zero between good readings explains itself with the next one. If the meter was reset, "
        "a new track begins here."
    ),
    DoubtName.DECREASE: N_(
        "The meter was reset, exchanged, or another meter answers at its address. Look at it; then "
        "let a new track begin, or discard the reading."
    ),
    DoubtName.JUMP: N_(
        "It may be right if the meter was silent or its rating is wrong here; then accept it, and "
        "everything since the last good reading is billed."
    ),
    DoubtName.BAND_MISMATCH: N_(
        "The tariff bills by the meter's own bands, and they do not fit its total. Correct the "
        "registers, or discard the reading."
    ),
    DoubtName.OTHER_TRACK: N_(
        "The readings before it were doubtful too, and it follows from them. Decide about the "
        "first of them; the others follow."
    ),
    DoubtName.UNUSABLE: N_(
        "The meter did not report what is billed by. The next good reading bills the whole span."
    ),
}
DECIDED: Final = {
    DecidedName.ACCEPT: N_("Accepted"),
    DecidedName.BEGIN: N_("A new track begins"),
    DecidedName.CORRECT: N_("Corrected"),
    DecidedName.DISCARD: N_("Discarded"),
}
QUALITY: Final = {
    Quality.GOOD: N_("Good"),
    Quality.APPORTIONED: N_("Apportioned"),
    Quality.ESTIMATED: N_("Estimated"),
    Quality.DOUBTFUL: N_("Doubtful"),
    Quality.EDITED: N_("Edited"),
}
QUALITY_CLASS: Final = {
    Quality.GOOD: "ok",
    Quality.APPORTIONED: "ok",
    Quality.ESTIMATED: "w1",
    Quality.DOUBTFUL: "w2",
    Quality.EDITED: "busy",
}
ESTIMATE: Final = {
    EstimateState.RUNNING: N_("Is estimated"),
    EstimateState.ENDED: N_("Estimated no further"),
    EstimateState.MISSING: N_("Cannot be estimated"),
}
ESTIMATE_CLASS: Final = {
    EstimateState.RUNNING: "w1",
    EstimateState.ENDED: "w2",
    EstimateState.MISSING: "w2",
}
# Why nothing (more) is estimated.
UNESTIMATED: Final = {
    "days_unknown": N_("Too little is known of the days before"),
    "silent_too_long": N_("Silent for more than a month; somebody has to go there"),
    "price_missing": N_("No tariff has a price for this time"),
}
RULE: Final = {"same_hours_7_days": N_("Same hours of the seven days before")}
TABLES: Final = (DOUBT, DECIDED, QUALITY, ESTIMATE)
