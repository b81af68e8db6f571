"""A tariff scheme as data: what is charged for a unit, at which instant, in which block.

Owns the scheme's shape, its JSON form, and every rule a scheme must keep to be usable. Must never
know a meter, an account or how the arithmetic is done (`kernel`), so that a scheme can be edited,
imported and shown by whoever has never rated anything.

A scheme is a list of versions, each in force from its instant until the next one's. A version
names bands (尖峰平谷, 深谷, eight at most), says by day tables which band a wall-clock minute has,
picks the day table by season and day type, and gives each band a price per block. Blocks (阶梯)
are marginal: each unit costs what its own block costs.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from meterhouse.model import Commodity
from meterhouse.rating import charges as extra
from meterhouse.rating.blocks import Blocks, dump_blocks, parse_blocks
from meterhouse.rating.blocks import Fill as Fill
from meterhouse.rating.blocks import Period as Period
from meterhouse.rating.charges import NO_CHARGES, Charges
from meterhouse.rating.fields import TariffInvalid as TariffInvalid
from meterhouse.rating.fields import (
    identifier_of,
    instant_of,
    is_whole,
    list_of,
    not_of,
    object_of,
    text_of,
    word_of,
)
from meterhouse.rating.periods import Billing, dump_billing, parse_billing
from meterhouse.rating.source import Source, dump_source, parse_source
from meterhouse.units import PRICE_MICRO_MAX
from meterhouse.words import N_

BANDS_MAX = 8
VERSIONS_MAX = 1_000
TABLES_MAX = 64
SEASONS_MAX = 24
SPECIAL_DAYS_MAX = 5_000
MINUTES_PER_DAY = 1_440

METER_BANDS = ("sharp", "peak", "flat", "valley")
"""The bands of registers 1..4 of a meter, in the registers' order (尖峰平谷)."""

DAY_TYPES = ("workday", "weekend", "holiday", "makeup_workday")
# A day type a season does not name is treated as the next one it is like.
_LIKE = {"makeup_workday": "workday", "holiday": "weekend", "weekend": "workday"}

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\Z")
_MONTH_DAY = re.compile(r"(\d\d)-(\d\d)\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
# Seasons are laid out on a leap year, so that 02-29 belongs to one of them.
_LEAP_DAYS = tuple(date(2024, 1, 1) + timedelta(days=day) for day in range(366))


class BandSource(StrEnum):
    """Who decides an interval's band: the platform by its day tables, or the meter's registers."""

    PLATFORM = "platform"
    METER = "meter"


@dataclass(frozen=True, slots=True)
class DayTable:
    """One day's bands: the place of the band in force from each wall-clock minute; starts at 0."""

    name: str
    starts_minute: tuple[int, ...]
    bands: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Season:
    """A span of every year, both days included as (month, day), and its day table per day type."""

    name: str
    first: tuple[int, int]
    last: tuple[int, int]
    tables: tuple[tuple[str, str], ...]

    def holds(self, month_day: tuple[int, int]) -> bool:
        """Whether the season holds this (month, day); it may pass the new year."""
        if self.first <= self.last:
            return self.first <= month_day <= self.last
        return month_day >= self.first or month_day <= self.last

    def table(self, day_type: str) -> str:
        """The day table of a day type, or of the type it is most like."""
        tables = dict(self.tables)
        while day_type not in tables:
            day_type = _LIKE[day_type]
        return tables[day_type]


@dataclass(frozen=True, slots=True)
class Version:
    """What is in force from one instant until the next version's.

    `weekend` holds ISO weekdays (Monday 1 .. Sunday 7); `special_days` maps a date to a day type;
    `prices_micro[band][block]` is the whole price of a unit.
    """

    effective_from: datetime
    band_source: BandSource
    bands: tuple[str, ...]
    day_tables: tuple[DayTable, ...]
    seasons: tuple[Season, ...]
    weekend: tuple[int, ...]
    special_days: tuple[tuple[date, str], ...]
    blocks: Blocks
    prices_micro: tuple[tuple[int, ...], ...]
    charges: Charges = NO_CHARGES

    def day_type(self, day: date) -> str:
        """What kind of day a date is: a special day first, else by the week."""
        place = bisect_left(self.special_days, (day, ""))
        if place < len(self.special_days) and self.special_days[place][0] == day:
            return self.special_days[place][1]
        return "weekend" if day.isoweekday() in self.weekend else "workday"

    def table_name(self, day: date) -> str:
        """The day table of a date, by its season and its day type."""
        return self.season(day).table(self.day_type(day))

    def season(self, day: date) -> Season:
        """The season of a date."""
        return next(each for each in self.seasons if each.holds((day.month, day.day)))


@dataclass(frozen=True, slots=True)
class Scheme:
    """A calculation scheme (计算方案); its versions ascend by `effective_from`.

    Without `billing` a month is a calendar month.
    """

    name: str
    commodity: Commodity
    currency: str
    versions: tuple[Version, ...]
    billing: Billing | None = None
    source: Source | None = None

    def of_household(self, persons: int) -> "Scheme":
        """The scheme as it is for a household of so many persons."""
        versions = tuple(
            replace(version, blocks=version.blocks.of_household(persons))
            for version in self.versions
        )
        return replace(self, versions=versions)

    def alike(self, persons: int) -> int:
        """The fewest persons for whom the scheme is the same as for so many; 1 where none count."""
        steps = (least for version in self.versions for least, _ in version.blocks.persons)
        return max((least for least in steps if least <= persons), default=1)

    @property
    def counts_persons(self) -> bool:
        """Whether it depends on how many persons a household has."""
        return any(version.blocks.persons for version in self.versions)


def parse(data: Mapping[str, Any]) -> Scheme:
    """The scheme that a JSON object describes.

    `bands` and `day_tables` may be left out for a single band, `seasons` for a single day table;
    `band_source` is platform, `weekend` [6, 7], `special_days` empty, `adders_micro` 0, and
    `blocks` one block that never begins again unless they are given::

        {"name": "Shops", "commodity": "electricity", "currency": "CNY", "versions": [{
           "effective_from": "2026-01-01T00:00:00+08:00",
           "band_source": "platform",
           "bands": ["peak", "flat", "valley"],
           "day_tables": {"work": {"00:00": "valley", "08:30": "peak", "22:30": "flat"},
                          "rest": {"00:00": "valley"}},
           "seasons": [{"name": "year", "first": "01-01", "last": "12-31",
                        "tables": {"workday": "work", "weekend": "rest"}}],
           "weekend": [6, 7],
           "special_days": {"2026-10-01": "holiday", "2026-10-10": "makeup_workday"},
           "blocks": {"period": "month", "fill": "chronological", "limits_milli": [200000]},
           "prices_micro": {"peak": 900000, "flat": [600000, 650000], "valley": 300000},
           "adders_micro": [0, 50000]}]}

    A price is given once for all blocks or per block; adders are added to it, block by block.

    Raises:
        TariffInvalid: the first thing wrong, by its path, and what to do about it.
    """
    needed = {"name", "commodity", "currency", "versions"}
    fields = object_of(data, "$", needed, {"billing", "source"})
    currency = text_of(fields["currency"], "$.currency")
    if not _CURRENCY.match(currency):
        raise TariffInvalid("$.currency", N_("give the three capital letters of ISO 4217"))
    versions = tuple(
        _version(each, f"$.versions[{place}]")
        for place, each in enumerate(list_of(fields["versions"], "$.versions", 1, VERSIONS_MAX))
    )
    for place in range(1, len(versions)):
        if versions[place].effective_from <= versions[place - 1].effective_from:
            path = f"$.versions[{place}].effective_from"
            raise TariffInvalid(path, N_("put the versions in the order they come into force"))
    return Scheme(
        name=text_of(fields["name"], "$.name"),
        commodity=word_of(Commodity, fields["commodity"], "$.commodity"),
        currency=currency,
        versions=versions,
        billing=parse_billing(fields["billing"], "$.billing") if "billing" in fields else None,
        source=parse_source(fields["source"], "$.source") if "source" in fields else None,
    )


def dump(scheme: Scheme) -> dict[str, Any]:
    """The JSON form of a scheme; `parse(dump(scheme)) == scheme`.

    What energy costs is spelt out; what is charged beside it is named only where it is charged.
    """
    billing = {"billing": dump_billing(scheme.billing)} if scheme.billing else {}
    source = {"source": dump_source(scheme.source)} if scheme.source else {}
    return {
        "name": scheme.name,
        "commodity": scheme.commodity.value,
        "currency": scheme.currency,
        "versions": [_dump_version(version) for version in scheme.versions],
        **billing,
        **source,
    }


def _dump_version(version: Version) -> dict[str, Any]:
    return {
        "effective_from": version.effective_from.isoformat(),
        "band_source": version.band_source.value,
        "bands": list(version.bands),
        "day_tables": {
            table.name: {
                f"{minute // 60:02}:{minute % 60:02}": version.bands[band]
                for minute, band in zip(table.starts_minute, table.bands, strict=True)
            }
            for table in version.day_tables
        },
        "seasons": [
            {
                "name": season.name,
                "first": "{:02}-{:02}".format(*season.first),
                "last": "{:02}-{:02}".format(*season.last),
                "tables": dict(season.tables),
            }
            for season in version.seasons
        ],
        "weekend": list(version.weekend),
        "special_days": {day.isoformat(): kind for day, kind in version.special_days},
        "blocks": dump_blocks(version.blocks),
        "prices_micro": {
            band: list(prices)
            for band, prices in zip(version.bands, version.prices_micro, strict=True)
        },
        **extra.dump_charges(version.charges),
    }


def _version(data: Any, path: str) -> Version:
    optional = {
        "band_source", "bands", "day_tables", "seasons", "weekend", "special_days", "blocks",
        "adders_micro",
    }  # fmt: skip
    fields = object_of(data, path, {"effective_from", "prices_micro"}, optional | extra.FIELDS)
    bands = _bands(fields, path)
    source = word_of(BandSource, fields.get("band_source", "platform"), f"{path}.band_source")
    if source is BandSource.METER and bands != METER_BANDS:
        mend = N_("a meter counts by the bands {names}; name these, in this order")
        raise TariffInvalid(f"{path}.bands", mend, names=", ".join(METER_BANDS))
    tables = _day_tables(fields, bands, path, source)
    seasons = _seasons(fields, [table.name for table in tables], path)
    blocks = parse_blocks(
        fields.get("blocks", {}), {season.name for season in seasons}, f"{path}.blocks"
    )
    return Version(
        effective_from=instant_of(fields["effective_from"], f"{path}.effective_from"),
        band_source=source,
        bands=bands,
        day_tables=tables,
        seasons=seasons,
        weekend=_weekend(fields.get("weekend", [6, 7]), f"{path}.weekend"),
        special_days=_special_days(fields.get("special_days", {}), f"{path}.special_days"),
        blocks=blocks,
        prices_micro=_prices(fields, bands, len(blocks.limits_milli) + 1, path),
        charges=extra.parse_charges(fields, path),
    )


def _bands(fields: Mapping[str, Any], path: str) -> tuple[str, ...]:
    prices = fields["prices_micro"]
    if "bands" not in fields and isinstance(prices, Mapping) and len(prices) == 1:
        fields = {**fields, "bands": list(prices)}
    if "bands" not in fields:
        raise TariffInvalid(f"{path}.bands", N_("list the bands, because there is more than one"))
    names = list_of(fields["bands"], f"{path}.bands", 1, BANDS_MAX)
    bands = tuple(identifier_of(name, f"{path}.bands[{i}]") for i, name in enumerate(names))
    if len(set(bands)) < len(bands):
        raise TariffInvalid(f"{path}.bands", N_("name each band once"))
    return bands


def _day_tables(
    fields: Mapping[str, Any], bands: tuple[str, ...], path: str, source: BandSource
) -> tuple[DayTable, ...]:
    at = f"{path}.day_tables"
    if "day_tables" not in fields and (len(bands) == 1 or source is BandSource.METER):
        return (DayTable("every_day", (0,), (0,)),)
    if not isinstance(fields.get("day_tables"), Mapping):
        raise TariffInvalid(at, N_("say from which wall-clock minute each band is in force"))
    if not 1 <= len(fields["day_tables"]) <= TABLES_MAX:
        raise TariffInvalid(at, N_("give between 1 and {most} day tables"), most=TABLES_MAX)
    return tuple(
        _day_table(identifier_of(name, at), fields["day_tables"][name], bands, f"{at}.{name}")
        for name in sorted(fields["day_tables"], key=str)
    )


def _day_table(name: str, data: Any, bands: tuple[str, ...], path: str) -> DayTable:
    if not isinstance(data, Mapping) or len(data) > MINUTES_PER_DAY:
        raise TariffInvalid(path, N_('map wall-clock times to bands, as {"08:30": "peak"}'))
    starts = {}
    for clock, band in data.items():
        found = _CLOCK.match(str(clock))
        if not found:
            raise TariffInvalid(f"{path}.{clock}", N_("write the time as HH:MM, 00:00 to 23:59"))
        if band not in bands:
            raise not_of(f"{path}.{clock}", bands)
        starts[int(found[1]) * 60 + int(found[2])] = bands.index(band)
    if 0 not in starts:
        raise TariffInvalid(path, N_("say which band is in force from 00:00 on"))
    minutes = sorted(starts)
    return DayTable(name, tuple(minutes), tuple(starts[minute] for minute in minutes))


def _seasons(fields: Mapping[str, Any], names: Sequence[str], path: str) -> tuple[Season, ...]:
    at = f"{path}.seasons"
    if "seasons" not in fields:
        if len(names) > 1:
            raise TariffInvalid(at, N_("say which day table holds when, because there are several"))
        return (Season("year", (1, 1), (12, 31), (("workday", names[0]),)),)
    seasons = tuple(
        _season(each, names, f"{at}[{place}]")
        for place, each in enumerate(list_of(fields["seasons"], at, 1, SEASONS_MAX))
    )
    for day in _LEAP_DAYS:
        held = sum(season.holds((day.month, day.day)) for season in seasons)
        if not held:
            mend = N_("{day} lies in no season; every day belongs to one")
            raise TariffInvalid(at, mend, day=f"{day:%m-%d}")
        if held > 1:
            mend = N_("{day} lies in {count} seasons; every day belongs to one")
            raise TariffInvalid(at, mend, day=f"{day:%m-%d}", count=held)
    return seasons


def _season(data: Any, names: Sequence[str], path: str) -> Season:
    fields = object_of(data, path, {"name", "first", "last", "tables"}, set())
    tables = fields["tables"]
    if not isinstance(tables, Mapping) or "workday" not in tables:
        raise TariffInvalid(f"{path}.tables", N_("name at least the day table of a workday"))
    for day_type, table in tables.items():
        if day_type not in DAY_TYPES:
            raise not_of(f"{path}.tables.{day_type}", DAY_TYPES)
        if table not in names:
            raise not_of(f"{path}.tables.{day_type}", names)
    return Season(
        name=identifier_of(fields["name"], f"{path}.name"),
        first=_month_day(fields["first"], f"{path}.first"),
        last=_month_day(fields["last"], f"{path}.last"),
        tables=tuple((kind, tables[kind]) for kind in DAY_TYPES if kind in tables),
    )


def _month_day(data: Any, path: str) -> tuple[int, int]:
    found = _MONTH_DAY.match(text_of(data, path))
    day = (int(found[1]), int(found[2])) if found else (0, 0)
    if day not in {(each.month, each.day) for each in _LEAP_DAYS}:
        raise TariffInvalid(path, N_("write a day of the year as MM-DD"))
    return day


def _weekend(data: Any, path: str) -> tuple[int, ...]:
    days = list_of(data, path, 0, 7)
    if not all(is_whole(day) and 1 <= day <= 7 for day in days) or len(set(days)) < len(days):
        raise TariffInvalid(path, N_("list weekdays from 1 (Monday) to 7 (Sunday), each once"))
    return tuple(sorted(days))


def _special_days(data: Any, path: str) -> tuple[tuple[date, str], ...]:
    if not isinstance(data, Mapping) or len(data) > SPECIAL_DAYS_MAX:
        mend = N_("map at most {most} dates to day types")
        raise TariffInvalid(path, mend, most=SPECIAL_DAYS_MAX)
    days = {}
    for text, day_type in data.items():
        try:
            day = date.fromisoformat(str(text))
        except ValueError:
            raise TariffInvalid(f"{path}.{text}", N_("write the date as YYYY-MM-DD")) from None
        if day_type not in DAY_TYPES:
            raise not_of(f"{path}.{text}", DAY_TYPES)
        days[day] = str(day_type)
    return tuple(sorted(days.items()))


def _prices(
    fields: Mapping[str, Any], bands: tuple[str, ...], blocks: int, path: str
) -> tuple[tuple[int, ...], ...]:
    at = f"{path}.prices_micro"
    prices = object_of(fields["prices_micro"], at, set(bands), set())
    adders = list_of(
        fields.get("adders_micro", [0] * blocks), f"{path}.adders_micro", blocks, blocks
    )
    for place, adder in enumerate(adders):
        if not is_whole(adder):
            raise TariffInvalid(f"{path}.adders_micro[{place}]", N_("give an integer of Micro"))
    rows = []
    for band in bands:
        price = prices[band]
        row = [price] * blocks if is_whole(price) else price
        row = list_of(row, f"{at}.{band}", blocks, blocks)
        for place, each in enumerate(row):
            if not is_whole(each) or not 0 <= each + adders[place] <= PRICE_MICRO_MAX:
                mend = N_("give an integer of Micro from 0 to {most}, adder included")
                raise TariffInvalid(f"{at}.{band}[{place}]", mend, most=PRICE_MICRO_MAX)
        rows.append(tuple(each + adder for each, adder in zip(row, adders, strict=True)))
    return tuple(rows)
