"""Data identifiers of one edition as rows of patterns, and the search among them.

Owns how a row stands for many identifiers (tariffs, settlement days, phases, running numbers).
Must never know the rows themselves: those are data, one module an edition.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from meterhouse.errors import BadInput
from meterhouse.wire.dlt645.layout import Layout, Many, Number, Pairs, Row, Word


class DataUnknown(BadInput):
    """Data identifier {identifier} is not in the table of {protocol}."""

    code = "data_unknown"

    def __init__(self, identifier: str, protocol: str) -> None:
        super().__init__(identifier=identifier, protocol=protocol)


@dataclass(frozen=True, slots=True)
class Definition:
    """What one data identifier stands for.

    Attributes:
        di: the identifier.
        quantity: a stable word for programs, the same in both editions.
        meaning: a phrase for people.
        layout: how its bytes are read.
    """

    di: int
    quantity: str
    meaning: str
    layout: Layout


# What the letter pairs of a row's pattern may be: a hexadecimal byte, and how it is spoken of.
_PLACES = {
    "tt": ("[0-3][0-9A-F]|FF", "tariff"),
    "ss": ("0[0-9A-C]|FF", "settlement day"),
    "qq": ("0[0-3]|FF", "phase"),
    "pp": ("0[1-3]|FF", "phase"),
    "nn": ("0[1-9A-F]|[1-9A-E][0-9A-F]|F[0-9A-E]", "number"),
}
_BLOCK = 0xFF


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of an identifier table: a pattern of hexadecimal pairs and placeholders.

    `tt` tariff (00 total, FF block), `ss` settlement days back (FF block), `pp` phase A to C
    (FF block), `qq` the same with 00 for the total, `nn` a running number. Where a placeholder
    reads FF the item is a `Many` of the layout.
    """

    pattern: str
    quantity: str
    meaning: str
    layout: Layout


class Table:
    """Data identifiers of one edition, found by pattern; answers are kept, within a bound."""

    def __init__(self, digits: int, entries: Iterable[Entry]) -> None:
        self.digits = digits
        self._entries = [(_compiled(entry.pattern), entry) for entry in entries]
        self.find = lru_cache(maxsize=4096)(self._find)

    def _find(self, di: int) -> Definition | None:
        text = f"{di:0{self.digits}X}"
        for pattern, entry in self._entries:
            if match := pattern.fullmatch(text):
                places = {name: int(pair, 16) for name, pair in match.groupdict().items()}
                meaning = entry.meaning + "".join(_spoken(*place) for place in places.items())
                return Definition(di, entry.quantity, meaning, _laid_out(entry.layout, places))
        return None


def _compiled(pattern: str) -> re.Pattern[str]:
    pairs = [pattern[i : i + 2] for i in range(0, len(pattern), 2)]
    return re.compile(
        "".join(f"(?P<{pair}>{_PLACES[pair][0]})" if pair in _PLACES else pair for pair in pairs)
    )


def _spoken(place: str, index: int) -> str:
    word = _PLACES[place][1]
    if index == _BLOCK:
        return ", block" if word != "settlement day" else ", all settlement days"
    if word == "settlement day":
        return f", settlement day {index} back" if index else ""
    if word == "phase":
        return f", phase {'ABC'[index - 1]}" if index else ", total"
    return f", {word} {index}" if index else ", total"


def _laid_out(layout: Layout, places: dict[str, int]) -> Layout:
    block = next((place for place, index in places.items() if index == _BLOCK), None)
    if block is None or not isinstance(layout, Number | Word | Pairs | Row):
        return layout
    if block == "tt":
        return Many(layout, ("total",), "tariff")
    if block == "qq":
        return Many(layout, ("total", "phase A", "phase B", "phase C"), "value")
    if block == "pp":
        return Many(layout, ("phase A", "phase B", "phase C"), "value")
    return Many(layout, ("current",), "settlement day back")
