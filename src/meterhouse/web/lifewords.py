"""The words for the life of an account, in English; the catalogue has the others.

Owns which message names each state, and its colour. Must never know a page.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from meterhouse.flows.opening import Purse
from meterhouse.words import N_


class OpeningState(StrEnum):
    """How far a prepared account has come."""

    PREPARED = "prepared"
    OPENED = "opened"
    WITHDRAWN = "withdrawn"


PURSE: Final = {
    Purse.APART: N_("Each commodity its own"),
    Purse.TOGETHER: N_("One for all"),
}
OPENING_STATE: Final = {
    OpeningState.PREPARED: N_("Prepared"),
    OpeningState.OPENED: N_("Opened"),
    OpeningState.WITHDRAWN: N_("Withdrawn"),
}
OPENING_CLASS: Final = {
    OpeningState.PREPARED: "busy",
    OpeningState.OPENED: "ok",
    OpeningState.WITHDRAWN: "no",
}
TABLES: Final[tuple[Mapping[Any, str], ...]] = (PURSE, OPENING_STATE)
