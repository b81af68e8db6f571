"""Numbers, money, energy and instants as text, written on the server from integers.

Owns how a value looks to a reader in a project: its currency, its time zone, its language. Must
never know where the value came from. Nothing here divides by a float: digits are moved as text
(`units.to_decimal`), and the browser only ever shows what it was given.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo

from babel.numbers import get_currency_symbol

from meterhouse.units import to_decimal
from meterhouse.words import Words

ABSENT: Final = "—"
MINUS: Final = "\u2212"

_ENERGY_DECIMALS: Final = 2
_MILLI_EXPONENT: Final = 3


@dataclass(frozen=True)
class Formats:
    """How values look to one reader of one project."""

    words: Words
    timezone: ZoneInfo
    currency: str
    currency_exponent: int

    @cached_property
    def currency_symbol(self) -> str:
        """The short sign of the project's currency (¥ rather than CN¥)."""
        symbol = get_currency_symbol(self.currency, locale=self.words.locale)
        return symbol[-1:] if len(symbol) > 1 and not symbol[-1:].isalpha() else symbol

    def number(self, count: int | None) -> str:
        """A count with grouped thousands."""
        return ABSENT if count is None else grouped(count, 0)

    def amount(self, amount_minor: int | None) -> str:
        """Money without its sign of currency, for a column whose heading carries it."""
        return ABSENT if amount_minor is None else grouped(amount_minor, self.currency_exponent)

    def money(self, amount_minor: int | None) -> str:
        """Money as a reader writes it: `¥1,234.50`, `−¥0.37`."""
        if amount_minor is None:
            return ABSENT
        sign = MINUS if amount_minor < 0 else ""
        return f"{sign}{self.currency_symbol}{grouped(abs(amount_minor), self.currency_exponent)}"

    def money_nano(self, amount_nano: int | None) -> str:
        """Accrued money, cut (never rounded up) to whole coins for the eye."""
        if amount_nano is None:
            return ABSENT
        size = 10 ** (9 - self.currency_exponent)
        whole = abs(amount_nano) // size
        return self.money(-whole if amount_nano < 0 else whole)

    def energy(self, energy_milli: int | None) -> str:
        """Energy or volume in billing units with two decimals: 1/1000 rounds half up."""
        if energy_milli is None:
            return ABSENT
        size = 10 ** (_MILLI_EXPONENT - _ENERGY_DECIMALS)
        rounded = (abs(energy_milli) + size // 2) // size
        return grouped(-rounded if energy_milli < 0 else rounded, _ENERGY_DECIMALS)

    def power(self, power_w: int | None) -> str:
        """Power in kW with three decimals."""
        return ABSENT if power_w is None else f"{grouped(power_w, 3)} kW"

    def instant(self, at: datetime | None) -> str:
        """Wall time in the project's zone to the second."""
        return ABSENT if at is None else f"{at.astimezone(self.timezone):%Y-%m-%d %H:%M:%S}"


def grouped(scaled: int, exponent: int) -> str:
    """An integer of 10^-exponent with grouped thousands and a true minus: `−1,234.50`."""
    whole, _, decimals = to_decimal(abs(scaled), exponent).partition(".")
    text = f"{int(whole):,}{'.' if decimals else ''}{decimals}"
    return f"{MINUS}{text}" if scaled < 0 else text


def fine_amount(amount_nano: int) -> str:
    """An exact amount without the zeros that say nothing, two decimals at least."""
    whole, _, rest = grouped(amount_nano, 9).partition(".")
    return f"{whole}.{rest.rstrip('0').ljust(2, '0')}"


def exact(scaled: int, exponent: int) -> Decimal:
    """The exact decimal of a scaled integer, for spreadsheets."""
    return Decimal(to_decimal(scaled, exponent))
