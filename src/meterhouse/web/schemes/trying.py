"""A worked example: what a month's use would cost, and the lines of a bill as people read them.

Owns what the example asks and how a line is told. Must never rate.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from meterhouse.errors import Unreadable
from meterhouse.flows import calculator
from meterhouse.flows.calculator import Profile
from meterhouse.rating.bill import Bill, BillLine, Household, Kind
from meterhouse.rating.tariff import Scheme
from meterhouse.units import from_decimal
from meterhouse.web.formats import Formats, grouped
from meterhouse.web.labels import UNIT
from meterhouse.web.schemes import names
from meterhouse.web.schemes.written import plain
from meterhouse.words import N_

_ENERGY_MILLI: Final = 300_000
_ENERGY_MILLI_MAX: Final = 100_000_000
_YEARS: Final = range(1972, 2099)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the example is of; the calendar shows the year of its month."""

    month: date
    energy_milli: int = _ENERGY_MILLI
    profile: Profile = Profile.EVEN

    @property
    def year(self) -> int:
        """The year the calendar shows."""
        return self.month.year

    @property
    def month_text(self) -> str:
        """The month as it is typed."""
        return f"{self.month:%Y-%m}"

    @property
    def energy_text(self) -> str:
        """The use as it is typed."""
        return plain(self.energy_milli, 3)


@dataclass(frozen=True, slots=True)
class Told:
    """A line of a bill: what for, how much of it at which price, and the money."""

    title: str
    quantity: str
    price: str
    amount: str


@dataclass(frozen=True, slots=True)
class Tried:
    """The example's bill."""

    lines: tuple[Told, ...]
    total: str


def first(local: datetime) -> Wanted:
    """What is shown before anybody asked."""
    return Wanted(local.date().replace(day=1))


def asked(sent: Mapping[str, Any], local: datetime) -> Wanted:
    """What was asked; where it cannot be read, what is shown at first."""
    month, energy_milli = first(local).month, _ENERGY_MILLI
    with suppress(ValueError):
        month = date.fromisoformat(f"{str(sent.get('try_month', '')).strip()}-01")
    with suppress(Unreadable):
        energy_milli = from_decimal(str(sent.get("try_energy", "")).replace(",", ""), 3)
    profile = str(sent.get("try_profile", ""))
    return Wanted(
        month if month.year in _YEARS else first(local).month,
        energy_milli if 0 <= energy_milli <= _ENERGY_MILLI_MAX else _ENERGY_MILLI,
        Profile(profile) if profile in set(Profile) else Profile.EVEN,
    )


def bill(scheme: Scheme, wanted: Wanted, fmt: Formats) -> Tried:
    """The bill of the month. Raises what rating it raises."""
    billed = calculator.example(
        scheme, fmt.timezone.key, wanted.month, wanted.energy_milli, wanted.profile, Household(),
        fmt.currency_exponent,
    )  # fmt: skip
    alone = billed.bills[-1]
    return Tried(told(alone, billed.scheme, fmt), fmt.money(alone.total_minor))


def told(one: Bill, scheme: Scheme, fmt: Formats) -> tuple[Told, ...]:
    """The lines of a bill in the reader's language."""
    return tuple(_line(line, scheme, fmt) for line in one.lines)


def _line(line: BillLine, scheme: Scheme, fmt: Formats) -> Told:
    words, unit = fmt.words, UNIT[scheme.commodity]
    blocks = len(scheme.versions[line.version].blocks.limits_milli)
    title = words(names.LINE[line.kind])
    if line.kind is Kind.ENERGY:
        title = names.shown(names.BAND, line.name, words)
        if blocks:
            title = words(N_("{band}, block {block}"), band=title, block=line.block + 1)
    elif line.kind is Kind.SURCHARGE:
        title = names.shown(names.SURCHARGE, line.name, words)
    has_price = line.kind not in (Kind.MINIMUM, Kind.TAX)
    in_units = line.kind in (Kind.ENERGY, Kind.FREE, Kind.SURCHARGE)
    quantity = f"{grouped(line.quantity_milli, 3)} {unit}" if in_units else ""
    if line.kind is Kind.DEMAND:
        quantity = f"{grouped(line.quantity_milli, 3)} kW"
    if line.kind is Kind.STANDING:
        quantity = plain(line.quantity_milli, 3)
    if (line.days, line.of_days) != (1, 1):
        part = words(N_("{days} of {of_days} days"), days=line.days, of_days=line.of_days)
        quantity = f"{quantity} · {part}"
    price = plain(line.price_micro, 6) if has_price else ""
    return Told(title, quantity, price, fmt.amount(line.amount_minor))
