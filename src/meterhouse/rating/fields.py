"""Reading a scheme's JSON form field by field, each error with its path and how to mend it.

Owns what the parts of a scheme need alike: objects, lists, words, integers, instants. Must never
know what a field means. What stands in a scheme was typed by a person or made by a program of
theirs, so everything is checked and the first thing wrong is named.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from meterhouse.errors import BadInput, Said
from meterhouse.words import N_

NAME_MAX = 100

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


class TariffInvalid(BadInput):
    """The tariff is not usable at {path}: {mend}."""

    code = "tariff_invalid"

    def __init__(self, path: str, mend: str, **facts: Any) -> None:
        super().__init__(path=path, mend=Said(mend, **facts))


def not_of(path: str, words: Iterable[str]) -> TariffInvalid:
    """What is said of a word that is none of these."""
    return TariffInvalid(path, N_("choose one of {words}"), words=", ".join(words))


def object_of(data: Any, path: str, needed: set[str], optional: set[str]) -> Mapping[str, Any]:
    """The fields of an object that has all that are needed and nothing unknown."""
    if not isinstance(data, Mapping):
        raise TariffInvalid(path, N_("give an object"))
    for name in sorted(needed - data.keys()):
        raise TariffInvalid(f"{path}.{name}", N_("add it; it is required"))
    for name in sorted(data.keys() - needed - optional, key=str):
        raise TariffInvalid(f"{path}.{name}", N_("take it out; nothing of this name is known here"))
    return data


def list_of(data: Any, path: str, least: int, most: int) -> list[Any]:
    """A list of between `least` and `most` entries."""
    if not isinstance(data, list) or not least <= len(data) <= most:
        if least == most:
            raise TariffInvalid(path, N_("give a list of {count} entries"), count=least)
        mend = N_("give a list of {least} to {most} entries")
        raise TariffInvalid(path, mend, least=least, most=most)
    return data


def text_of(data: Any, path: str, most: int = NAME_MAX) -> str:
    """A text of 1 to `most` characters."""
    if not isinstance(data, str) or not 1 <= len(data.strip()) <= most:
        raise TariffInvalid(path, N_("give a text of 1 to {most} characters"), most=most)
    return data


def identifier_of(data: Any, path: str) -> str:
    """A name for use in data: small letters, digits and _, a letter first."""
    if not isinstance(data, str) or not _IDENTIFIER.match(data):
        raise TariffInvalid(path, N_("use small letters, digits and _, 40 at most, a letter first"))
    return data


def instant_of(data: Any, path: str) -> datetime:
    """An instant with its offset, as UTC."""
    try:
        instant = datetime.fromisoformat(text_of(data, path))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or not 1970 < instant.year < 2100:
        mend = N_("write an instant with its offset, 1971 to 2099, as 2026-01-01T00:00:00+08:00")
        raise TariffInvalid(path, mend)
    return instant.astimezone(UTC)


_Word = TypeVar("_Word", bound=StrEnum)


def word_of(words: type[_Word], data: Any, path: str) -> _Word:
    """One of the words of an enumeration."""
    try:
        return words(data)
    except ValueError:
        raise not_of(path, words) from None


def is_whole(data: Any) -> bool:
    """Whether this is an integer; true and false are none."""
    return isinstance(data, int) and not isinstance(data, bool)


def whole_of(data: Any, path: str, low: int, high: int) -> int:
    """An integer from `low` to `high`."""
    if not is_whole(data) or not low <= data <= high:
        mend = N_("give an integer from {low} to {high}")
        raise TariffInvalid(path, mend, low=low, high=high)
    return int(data)


def truth_of(data: Any, path: str) -> bool:
    """True or false."""
    if not isinstance(data, bool):
        raise TariffInvalid(path, N_("give true or false"))
    return data
