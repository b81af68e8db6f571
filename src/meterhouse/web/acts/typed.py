"""What people type, as exact values: instants, areas, prices, money; wrong ones name their field.

Owns how each is written. Must never know an act. The console and the API take the same texts: a
program writes an instant as RFC 3339, a person in the project's own time.
"""

import re
import unicodedata
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import BadInput, MeterhouseError, Unreadable
from meterhouse.units import (
    INTERVAL_MILLI_MAX,
    PRICE_MICRO_MAX,
    REGISTER_MILLI_MAX,
    Micro,
    Milli,
    Minor,
    from_decimal,
    to_decimal,
)
from meterhouse.web.acts.frame import Ask
from meterhouse.web.api.schemas import ID_MAX
from meterhouse.web.formats import Formats
from meterhouse.words import N_

AREA_DM2_MAX: Final = 10**9
_AREA_EXPONENT: Final = 2
_MICRO_EXPONENT: Final = 6
_MILLI_EXPONENT: Final = 3
_MONEY_MINOR_MAX: Final = 10**12
_REGISTER_MILLI_MAX: Final = 10**12

Number = Annotated[int, Field(ge=1, le=ID_MAX)]
EXAMPLE: Final = Field(examples=[12])
Short = StringConstraints(max_length=60)
Decimal = StringConstraints(max_length=20)
EMAIL_PATTERN: Final = r"^([^@\s,;<>\"]+@[^@\s,;<>\"]+)?$"
EMAIL: Final = re.compile(EMAIL_PATTERN)
InstantText = Annotated[
    str,
    StringConstraints(max_length=40),
    Ask(N_("In force from"), hint=N_("YYYY-MM-DD HH:MM; empty: now")),
]
Version = Annotated[int, Field(ge=1, examples=[1]), Ask(N_("Version"), kind="hidden")]


RegisterLines = Annotated[
    str,
    StringConstraints(max_length=20_000),
    Field(examples=["000000000012 1234.56"]),
    Ask(N_("Read by hand"), kind="area",
        hint=N_("A line a meter: address, total. Empty: the last reading by wire")),
]  # fmt: skip


class RegistersUnusable(BadInput):
    """Write the total, and if known four bands; of several meters a line each, address first."""

    code = "registers_unusable"


class AreaUnusable(BadInput):
    """Enter an area in m² above zero with at most two decimals."""

    code = "area_unusable"


class PriceUnusable(BadInput):
    """Enter a price from 0 to 1000 with at most six decimals."""

    code = "price_unusable"


class EnergyUnusable(BadInput):
    """Enter an amount above zero with at most three decimals."""

    code = "energy_unusable"


class RegisterUnusable(BadInput):
    """Enter what the register shows, zero or above, with at most three decimals."""

    code = "register_unusable"


class InstantUnusable(BadInput):
    """Enter a date and time as 2026-05-01 00:00."""

    code = "instant_unusable"


class MoneyUnusable(BadInput):
    """Enter an amount with at most {decimals} decimals."""

    code = "money_unusable"


def beside(error: MeterhouseError, field: str) -> MeterhouseError:
    """The same error, at home beside a field."""
    error.field = field
    return error


def area_dm2(text: str, field: str = "area") -> int | None:
    """Square metres as typed, in dm²; None for nothing typed. Raises `AreaUnusable`."""
    if not text.strip():
        return None
    try:
        found = from_decimal(text, _AREA_EXPONENT)
    except Unreadable:
        found = 0
    if not 1 <= found <= AREA_DM2_MAX:
        raise beside(AreaUnusable(), field)
    return found


def area_text(found_dm2: int | None) -> str:
    """Square metres for a form."""
    return "" if found_dm2 is None else to_decimal(found_dm2, _AREA_EXPONENT)


def price_micro(text: str, field: str) -> Micro:
    """A price for a unit as typed, in 1e-6 of the currency. Raises `PriceUnusable`."""
    try:
        found = from_decimal(text, _MICRO_EXPONENT)
    except Unreadable:
        found = -1
    if not 0 <= found <= PRICE_MICRO_MAX:
        raise beside(PriceUnusable(), field)
    return Micro(found)


def energy_milli(text: str, field: str) -> Milli:
    """An amount in billing units as typed, in thousandths. Raises `EnergyUnusable`."""
    try:
        found = from_decimal(text, _MILLI_EXPONENT)
    except Unreadable:
        found = 0
    if not 1 <= found <= INTERVAL_MILLI_MAX:
        raise beside(EnergyUnusable(), field)
    return Milli(found)


def register_milli(text: str, field: str) -> Milli | None:
    """What a register shows, in thousandths; None for nothing typed. Raises `RegisterUnusable`."""
    if not text.strip():
        return None
    try:
        found = from_decimal(text, _MILLI_EXPONENT)
    except Unreadable:
        found = -1
    if not 0 <= found <= _REGISTER_MILLI_MAX:
        raise beside(RegisterUnusable(), field)
    return Milli(found)


def money_minor(text: str, exponent: int, field: str) -> Minor:
    """Money as typed, of either sign, as whole coins. Raises `MoneyUnusable`."""
    try:
        found = from_decimal(text, exponent)
    except Unreadable:
        found = _MONEY_MINOR_MAX + 1
    if abs(found) > _MONEY_MINOR_MAX:
        raise beside(MoneyUnusable(decimals=exponent), field)
    return Minor(found)


def instant(text: str, fmt: Formats, now: datetime, field: str) -> datetime:
    """An instant as typed, in the project's time unless it says otherwise; now for nothing typed.

    Raises:
        InstantUnusable: it is no date, or one the project's clock never shows.
    """
    if not text.strip():
        return now
    try:
        found = datetime.fromisoformat(text.strip())
        aware = found if found.tzinfo else found.replace(tzinfo=fmt.timezone)
        return aware.astimezone(now.tzinfo)
    except (ValueError, OverflowError):
        raise beside(InstantUnusable(), field) from None


Figures = tuple[int, int, int, int, int]
"""Registers in thousandths: total, then sharp, peak, flat, valley; -1: not read."""


def figures(text: str, field: str) -> Figures:
    """What a meter shows: a total, or a total and four bands. Raises `RegistersUnusable`."""
    try:
        found = [from_decimal(one, _MILLI_EXPONENT) for one in text.split()]
    except Unreadable:
        found = []
    if len(found) not in (1, 5) or not all(0 <= one <= REGISTER_MILLI_MAX for one in found):
        raise beside(RegistersUnusable(), field)
    sharp, peak, flat, valley = found[1:] or (-1, -1, -1, -1)
    return found[0], sharp, peak, flat, valley


def registers(text: str, field: str) -> dict[str, Figures]:
    """Registers as typed by address: a line a meter. Raises `RegistersUnusable`."""
    found: dict[str, Figures] = {}
    for line in filter(str.strip, text.splitlines()):
        # The hint reads "address, total", and so do people, on whatever keyboard.
        said = unicodedata.normalize("NFKC", line.strip())
        address, rest = (*re.split(r"[,\s]\s*", said, maxsplit=1), "")[:2]
        is_address = address.isascii() and address.isdecimal() and len(address) <= 12
        if not is_address or address.zfill(12) in found:
            raise beside(RegistersUnusable(), field)
        found[address.zfill(12)] = figures(rest, field)
    return found
