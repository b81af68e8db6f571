"""Values on their way between Python and the API's JSON.

Owns the tolerant enumeration and the rule how a Python value is written. Must never know an
operation. Amounts are `Decimal` and instants are aware; a `float` or a naive instant is refused
before anything is sent, because neither says what was meant.
"""

import dataclasses
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import quote

T = TypeVar("T")


class Word(StrEnum):
    """One of the API's words; one that came into the API later is kept as it is written."""

    @classmethod
    def _missing_(cls, value: object) -> "Word | None":
        if not isinstance(value, str):
            return None
        word = str.__new__(cls, value)
        word._name_ = word._value_ = value
        return word

    @property
    def is_known(self) -> bool:
        """Whether this version of the SDK knows the word."""
        return self.name in type(self).__members__


def instant(told: str) -> datetime:
    """An instant of the API. Raises `ValueError` when it has no offset."""
    return _aware(datetime.fromisoformat(told))


def each(read: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """Reads every entry of a list."""
    return lambda told: tuple(read(one) for one in told)


def nothing(_: Any) -> None:
    """Reads an answer that says nothing."""


def written(given: Any) -> Any:
    """A value as JSON has it.

    Raises:
        TypeError: it is a `float` or something the API has no words for.
        ValueError: an instant without an offset, an amount that is no number.
    """
    match given:
        case None | bool() | int():
            return given
        case str():
            return str(given)
        case Decimal():
            if not given.is_finite():
                raise ValueError(f"{given} is no amount")
            return format(given, "f")
        case datetime():
            return _aware(given).isoformat()
        case date():
            return given.isoformat()
        case list() | tuple():
            return [written(one) for one in given]
        case Mapping():
            return {str(key): written(one) for key, one in given.items()}
    if dataclasses.is_dataclass(given):
        return _shape_written(given)
    raise TypeError(f"{given!r} cannot be sent; amounts are Decimal, instants datetime")


def queried(given: Any) -> str | list[str]:
    """A value as a query or a header has it."""
    told = written(given)
    if isinstance(told, list):
        return [_text(one) for one in told]
    return _text(told)


def quoted(given: object) -> str:
    """A text as one part of an address's path."""
    return quote(str(given), safe="")


def _text(told: Any) -> str:
    return str(told).lower() if isinstance(told, bool) else str(told)


def _shape_written(shape: Any) -> dict[str, Any]:
    """A shape's fields; an optional one that was not given is left to the API."""
    return {
        field.name.rstrip("_"): written(given)
        for field in dataclasses.fields(shape)
        if (given := getattr(shape, field.name)) is not None or field.default is not None
    }


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError(f"{at} has no offset from UTC")
    return at
