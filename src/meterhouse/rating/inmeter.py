"""A price as a meter's own registers can hold it: compiled exactly, or refused with the reason.

Owns the translation from a tariff version to settings by name (a standby set, the times that bring
it into force, and how the set in force reads afterwards). Must never know an identifier, a frame or
a model's file: `Holds` says what there is room for. Nothing is rounded and nothing left out: a
price that a meter would compute otherwise is refused here, before anything is sent.

How a meter of DL/T 645-2007 computes is taken to be this; it is unsettled against the standard:
the price of a kWh is its tariff's price plus its block's (费率电价 + 阶梯电价); blocks count a
month from the settlement day; before the first zone of a year the last one holds; and which table a
weekend or a holiday has is not in any standby set.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from meterhouse.errors import BadInput
from meterhouse.rating.blocks import Fill, Period
from meterhouse.rating.charges import NO_CHARGES
from meterhouse.rating.periods import Billing
from meterhouse.rating.tariff import DAY_TYPES, BandSource, DayTable, Version
from meterhouse.units import to_decimal

MICRO_DECIMALS: Final = 6
MILLI_DECIMALS: Final = 3
LIMIT_DECIMALS: Final = 2
LIMIT_NEVER: Final = 99_999_999
"""A limit that no month reaches, in hundredths: what an unused one holds."""


class PriceTooFine(BadInput):
    """{price} has more than the {decimals} decimals that the meter keeps."""

    code = "price_too_fine"


class BandNotInMeter(BadInput):
    """The meter has no tariff for the band {band}."""

    code = "band_not_in_meter"


class BlocksNotInMeter(BadInput):
    """The meter holds {most} blocks; this price has more."""

    code = "blocks_not_in_meter"


class BlocksNotSeparable(BadInput):
    """The meter adds the same to every band in a block; here the bands differ in it."""

    code = "blocks_not_separable"


class PeriodNotInMeter(BadInput):
    """The meter's blocks begin again every month and fill in the order of time, these do not."""

    code = "period_not_in_meter"


class DaysNotInMeter(BadInput):
    """The meter knows no days that differ within a season; this price does."""

    code = "days_not_in_meter"


class ChargesNotInMeter(BadInput):
    """The meter charges for energy alone, by the same limits always; this price does not."""

    code = "charges_not_in_meter"


class TablesNotInMeter(BadInput):
    """The meter holds {tables} day tables of {rows} rows and {zones} seasons; this needs more."""

    code = "tables_not_in_meter"


class Part(StrEnum):
    """The part of a price that a meter holds apart from the others."""

    CHARGES = "charges"
    BANDS = "bands"
    BLOCKS = "blocks"
    PRICES = "prices"
    DAYS = "days"


Unfit = tuple[Part, BadInput]


@dataclass(frozen=True, slots=True)
class Holds:
    """What a meter has room for.

    Attributes:
        bands: what its tariffs 1, 2, … are called.
        price_decimals: decimals of a price, in the currency per kWh.
        limits: how many block limits; it then has one block price more. 0: it knows no blocks.
        tables: how many day tables its standby set has.
        rows: rows of a day table.
        zones: seasons of a year.
    """

    bands: tuple[str, ...]
    price_decimals: int = 4
    limits: int = 0
    tables: int = 1
    rows: int = 14
    zones: int = 14


@dataclass(frozen=True, slots=True)
class InMeter:
    """A price compiled for a meter, as (name, text) of its settings.

    Attributes:
        standby: what the standby set is to hold.
        switches: the settings that say when each of its parts comes into force.
        in_force: what the set in force holds once it has.
        expects: what must hold beforehand, because no standby set has it.
    """

    standby: tuple[tuple[str, str], ...]
    switches: tuple[str, ...]
    in_force: tuple[tuple[str, str], ...]
    expects: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """Settings without the word for their set, and the switch that brings them in."""

    switch: str
    settings: tuple[tuple[str, str], ...]


def compiled(version: Version, holds: Holds, billing: Billing | None = None) -> InMeter:
    """What a meter's registers must hold to charge by this version, month by month as billed.

    Raises:
        PriceTooFine, BandNotInMeter, BlocksNotInMeter, BlocksNotSeparable, PeriodNotInMeter,
        DaysNotInMeter, TablesNotInMeter, ChargesNotInMeter: the first of what `unfit` says.
    """
    for _, error in unfit(version, holds):
        raise error
    bands, blocks = _separated(version)
    parts = [_Part("tariffs_switch", tuple(_prices(version, bands, holds)))]
    if holds.limits:
        parts.append(_Part("limits_switch", tuple(_limits(version, blocks, holds))))
    if _has_days(version):
        parts += _days(version, holds)
    settings = [each for part in parts for each in part.settings]
    return InMeter(
        standby=tuple((f"standby_{name}", text) for name, text in settings),
        switches=tuple(part.switch for part in parts),
        in_force=tuple(settings),
        expects=(_month_begins(billing or Billing()),) if len(blocks) > 1 else (),
    )


def unfit(version: Version, holds: Holds) -> Iterator[Unfit]:
    """Everything of a version that a meter would charge otherwise, part by part; nothing if none.

    What one part lacks hides no other: whoever mends a price sees all of it at once.
    """
    if version.charges != NO_CHARGES or version.blocks.seasonal or version.blocks.persons:
        yield Part.CHARGES, ChargesNotInMeter()
    if len(version.bands) > 1:
        for band in version.bands:
            if band not in holds.bands:
                yield Part.BANDS, BandNotInMeter(band=band)
    yield from _unfit_blocks(version, holds)
    yield from _unfit_prices(version, holds)
    if _has_days(version):
        yield from _unfit_days(version, holds)


def _unfit_blocks(version: Version, holds: Holds) -> Iterator[Unfit]:
    prices, blocks = version.prices_micro, version.blocks
    count = len(prices[0])
    if count > holds.limits + 1:
        yield Part.BLOCKS, BlocksNotInMeter(most=holds.limits + 1)
    if not _is_separable(version):
        yield Part.BLOCKS, BlocksNotSeparable()
    is_mixed = len(prices) > 1 and blocks.fill is not Fill.CHRONOLOGICAL
    if count > 1 and (blocks.period is not Period.MONTH or is_mixed):
        yield Part.BLOCKS, PeriodNotInMeter()


def _unfit_prices(version: Version, holds: Holds) -> Iterator[Unfit]:
    """What is too fine, each once: whole prices, and where a meter has room for them the limits."""
    prices = sorted({price for row in version.prices_micro for price in row})
    limits = version.blocks.limits_milli if holds.limits else ()
    for part, scaled, decimals, kept in (
        *((Part.PRICES, price, MICRO_DECIMALS, holds.price_decimals) for price in prices),
        *((Part.BLOCKS, limit, MILLI_DECIMALS, LIMIT_DECIMALS) for limit in limits),
    ):
        try:
            price_text(scaled, decimals, kept)
        except PriceTooFine as error:
            yield part, error


def _unfit_days(version: Version, holds: Holds) -> Iterator[Unfit]:
    by_name = {table.name: table for table in version.day_tables}
    kinds = _day_types(version)
    named = [{season.table(kind) for kind in kinds} for season in version.seasons]
    if any(len(names) > 1 for names in named):
        yield Part.DAYS, DaysNotInMeter()
    used = set().union(*named)
    longest = max(len(by_name[name].bands) for name in used)
    if len(used) > holds.tables or longest > holds.rows or len(named) > holds.zones:
        yield (
            Part.DAYS,
            TablesNotInMeter(tables=holds.tables, rows=holds.rows, zones=holds.zones),
        )


def _has_days(version: Version) -> bool:
    return len(version.bands) > 1 and version.band_source is BandSource.PLATFORM


def _month_begins(billing: Billing) -> tuple[str, str]:
    return "settlement_day", f"{billing.anchor_day:02}:{billing.anchor_hour:02}"


def price_text(scaled: int, decimals: int, kept: int) -> str:
    """A price of so many decimals as a meter writes it with fewer. Raises `PriceTooFine`."""
    size = 10 ** max(decimals - kept, 0)
    if scaled % size:
        raise PriceTooFine(price=to_decimal(scaled, decimals), decimals=kept)
    return to_decimal(scaled // size * 10 ** max(kept - decimals, 0), kept)


def _is_separable(version: Version) -> bool:
    """Whether each block adds the same to every band."""
    return len({tuple(price - row[0] for price in row) for row in version.prices_micro}) == 1


def _separated(version: Version) -> tuple[list[int], list[int]]:
    """What each band costs, and what each block adds to all of them; none is below zero."""
    prices = version.prices_micro
    adds = [price - prices[0][0] for price in prices[0]]
    least = min(adds)
    return [row[0] + least for row in prices], [add - least for add in adds]


def _prices(version: Version, bands: Sequence[int], holds: Holds) -> Iterator[tuple[str, str]]:
    """A price for every tariff of the meter; one that no table names costs as the first band."""
    named = dict(zip(version.bands, bands, strict=True))
    for number, band in enumerate(holds.bands, 1):
        price = named.get(band, bands[0])
        yield f"price_{number}", price_text(price, MICRO_DECIMALS, holds.price_decimals)


def _limits(version: Version, blocks: Sequence[int], holds: Holds) -> Iterator[tuple[str, str]]:
    """Every limit and block price of the meter; what is not needed repeats the last block."""
    for number in range(1, holds.limits + 1):
        limits = version.blocks.limits_milli
        text = to_decimal(LIMIT_NEVER, LIMIT_DECIMALS)
        if number <= len(limits):
            text = price_text(limits[number - 1], MILLI_DECIMALS, LIMIT_DECIMALS)
        yield f"limit_{number}", text
    for number in range(holds.limits + 1):
        price = blocks[min(number, len(blocks) - 1)]
        text = price_text(price, MICRO_DECIMALS, holds.price_decimals)
        yield f"block_price_{number + 1}", text


def _days(version: Version, holds: Holds) -> list[_Part]:
    """The day tables in use, and the seasons that name them."""
    by_name = {table.name: table for table in version.day_tables}
    used: list[str] = []
    zones: list[tuple[tuple[int, int], int]] = []
    for season in sorted(version.seasons, key=lambda one: one.first):
        (name,) = {season.table(day_type) for day_type in _day_types(version)}
        if name not in used:
            used.append(name)
        zones.append((season.first, used.index(name) + 1))
    tables = tuple(
        (f"slots_{number}", _slots(version, by_name[name], holds))
        for number, name in enumerate(used, 1)
    )
    text = " ".join(f"{month:02d}:{day:02d}:{table:02d}" for (month, day), table in zones)
    return [_Part("slots_switch", tables), _Part("zones_switch", (("zones", text),))]


def _day_types(version: Version) -> set[str]:
    """The kinds of day that there are at all."""
    kinds = {kind for _, kind in version.special_days}
    if len(version.weekend) < 7:
        kinds.add(DAY_TYPES[0])
    if version.weekend:
        kinds.add(DAY_TYPES[1])
    return kinds


def _slots(version: Version, table: DayTable, holds: Holds) -> str:
    rows = zip(table.starts_minute, table.bands, strict=True)
    return " ".join(
        f"{minute // 60:02d}:{minute % 60:02d}:{holds.bands.index(version.bands[band]) + 1:02d}"
        for minute, band in rows
    )
