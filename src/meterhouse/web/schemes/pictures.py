"""Pictures of a version: each day table as a strip of 24 hours, the year as a calendar.

Owns what is drawn where and in which colour class; colours stand beside letters and words, never
alone. Must never know a price. Widths are minutes of a drawing, so that no style is needed.
"""

from calendar import Calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from meterhouse.rating.tariff import MINUTES_PER_DAY, Version
from meterhouse.web.schemes import names
from meterhouse.words import Words

_COLOUR: Final = {
    "sharp": "band-sharp", "peak": "band-peak", "flat": "band-flat", "valley": "band-valley",
    "deep_valley": "band-deep",
}  # fmt: skip
CHART_COLOUR: Final = {
    "sharp": "#cf1322", "peak": "#fa8c16", "flat": "#4096ff", "valley": "#52c41a",
    "deep_valley": "#08979c",
}  # fmt: skip
"""The same colours where a chart draws them."""
_OTHERS: Final = ("band-a", "band-b", "band-c", "band-d", "band-e", "band-f", "band-g", "band-h")
_TABLE_COLOURS: Final = 8
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Span:
    """A band's stretch of a day: where it is drawn, its times and its name."""

    start_minute: int
    length_minutes: int
    times: str
    band: str
    colour: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A day table, by the letter it has in the calendar."""

    letter: str
    name: str
    colour: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A day of the calendar; `kind` says what sort of day it is where it is a special one."""

    day: int
    letter: str
    colour: str
    kind: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A version over a year.

    Attributes:
        strips: its day tables.
        months: for each month its weeks, Monday first; None lies in another month.
        seasons: name and span of each, where there are several.
        special: the kinds of its special days, in words.
    """

    year: int
    strips: tuple[Strip, ...]
    months: tuple[Sequence[Sequence[Cell | None]], ...]
    seasons: tuple[tuple[str, str], ...]
    special: tuple[str, ...]


def colour_of(version: Version, band: int) -> str:
    """The colour class of a band: its own where it is one everybody knows."""
    name = version.bands[band]
    return _COLOUR.get(name, _OTHERS[band % len(_OTHERS)])


def picture(version: Version, year: int, words: Words) -> Picture:
    """A version's day tables and what holds on each day of a year."""
    places = {table.name: at for at, table in enumerate(version.day_tables)}
    strips = tuple(
        Strip(
            _letter(at), names.shown(names.TABLE, table.name, words), _table_colour(at),
            _spans(version, table.starts_minute, table.bands, words),
        )
        for at, table in enumerate(version.day_tables)
    )  # fmt: skip

    def cell(day: date) -> Cell:
        at = places[version.table_name(day)]
        kind = version.day_type(day)
        is_usual = kind == ("weekend" if day.isoweekday() in version.weekend else "workday")
        return Cell(
            day.day, _letter(at), _table_colour(at), "" if is_usual else words(names.DAY[kind])
        )

    months = tuple(
        [[cell(day) if day.month == month else None for day in week]
         for week in Calendar().monthdatescalendar(year, month)]
        for month in range(1, 13)
    )  # fmt: skip
    seasons = tuple(
        (names.shown(names.SEASON, one.name, words),
         "{:02}-{:02} – {:02}-{:02}".format(*one.first, *one.last))
        for one in version.seasons
    )  # fmt: skip
    kinds = (day.kind for weeks in months for week in weeks for day in week if day and day.kind)
    special = tuple(dict.fromkeys(kinds))
    return Picture(year, strips, months, seasons if len(seasons) > 1 else (), special)


def _spans(
    version: Version, starts: Sequence[int], bands: Sequence[int], words: Words
) -> tuple[Span, ...]:
    ends = [*starts[1:], MINUTES_PER_DAY]
    return tuple(
        Span(
            start, end - start, f"{clock(start)}–{clock(end)}",
            names.shown(names.BAND, version.bands[band], words), colour_of(version, band),
        )
        for start, end, band in zip(starts, ends, bands, strict=True)
    )  # fmt: skip


def clock(minute: int) -> str:
    """A minute of the day as a clock shows it; the last one is 24:00."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _letter(at: int) -> str:
    return _LETTERS[at] if at < len(_LETTERS) else str(at + 1)


def _table_colour(at: int) -> str:
    return f"table-{at % _TABLE_COLOURS}"
