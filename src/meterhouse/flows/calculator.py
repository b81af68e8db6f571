"""What a load costs by a scheme: one answer for the command line, the API and the page.

Owns the way from the two to bills as data, and the figures of the page's chart. Must never know
where a scheme came from, nor touch a database.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import numpy as np

from meterhouse.errors import BadInput
from meterhouse.rating.bill import Billed, Household, bill
from meterhouse.rating.load import Load, LoadTooLong, read_load
from meterhouse.rating.periods import Billing, month_starts, zone_of
from meterhouse.rating.tariff import Scheme
from meterhouse.rating.told import told
from meterhouse.units import from_us, split_exact, to_us

_HOUR_US: Final = 3_600_000_000
_DAY_US: Final = 24 * _HOUR_US
# Columns of a bill's lines.
_SECTION, _BAND, _ENERGY, _FROM = 1, 2, 4, 6


ROWS_AT_ONCE_MAX: Final = 50_000
_SPAN_DAYS_MAX: Final = 3_700


class LoadSpanTooLong(BadInput):
    """The load spans more than {days} days."""

    code = "load_span_too_long"


class Limits(NamedTuple):
    """How much is rated at once, where others wait as well."""

    rows: int = ROWS_AT_ONCE_MAX
    span_days: int = _SPAN_DAYS_MAX

    def check(self, load: Load) -> None:
        """Raises `LoadTooLong`, `LoadSpanTooLong`."""
        if len(load.start_us) > self.rows:
            raise LoadTooLong(rows=self.rows)
        if len(load.start_us) and load.end_us.max() - load.start_us[0] > self.span_days * _DAY_US:
            raise LoadSpanTooLong(days=self.span_days)


AT_ONCE: Final = Limits()


class Calculated(NamedTuple):
    """Bills as data, see `told`, and what they were made from."""

    told: dict[str, Any]
    billed: Billed
    load: Load


def calculate(
    scheme: Scheme, lines: Iterable[str], timezone: str, household: Household,
    currency_exponent: int, *, explain: bool = False, limits: Limits | None = None,
) -> Calculated:  # fmt: skip
    """The bills of a load, given as lines of CSV.

    Raises:
        MeterhouseError: the load cannot be read, or not be rated by this scheme.
    """
    load = read_load(lines, timezone)
    if limits is not None:
        limits.check(load)
    billed = bill(scheme, timezone, load, household, currency_exponent=currency_exponent)
    said = told(billed, timezone, currency_exponent, load if explain else None)
    return Calculated(said, billed, load)


def csv_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Rows of a load, given as data, as lines of such a file; with `end` where any has one."""
    rows = list(rows)
    has_ends = any(row.get("end") is not None for row in rows)
    names = ("start", "end", "energy_wh") if has_ends else ("start", "energy_wh")
    return [",".join(names), *(",".join(_cell(row.get(name)) for name in names) for row in rows)]


def _cell(said: Any) -> str:
    return "" if said is None else str(said)


def days_by_band(billed: Billed) -> tuple[list[int], dict[str, Sequence[int]]]:
    """When each billing day began, and for each band its energy in Milli on every day.

    A name that several versions give a band is one; what is free stands under "".
    """
    days, lines = billed.day_start_us, billed.lines
    sums: dict[str, Any] = {}
    place = np.searchsorted(days, lines[:, _FROM], side="right") - 1
    for at, section in enumerate(billed.timeline.sections):
        mine = lines[:, _SECTION] == at
        for band, name in enumerate(section.rates.bands):
            chosen = mine & (lines[:, _BAND] == band)
            if chosen.any():
                column = sums.setdefault(name, np.zeros(len(days), np.int64))
                np.add.at(column, place[chosen], lines[chosen, _ENERGY])
    free_milli = billed.day_milli - sum(sums.values(), np.zeros(len(days), np.int64))
    if free_milli.any():
        sums[""] = free_milli
    return days.tolist(), {name: column.tolist() for name, column in sums.items()}


class Profile(StrEnum):
    """How use is spread over the hours of a day, where nobody has measured it."""

    EVEN = "even"
    EVENING = "evening"
    NIGHT = "night"


# So many times as much in these hours as in any other.
_HEAVY: Final = {
    Profile.EVEN: (range(0), 1),
    Profile.EVENING: (range(18, 23), 6),
    Profile.NIGHT: ((22, 23, 0, 1, 2, 3, 4, 5), 6),
}


def month_load(
    billing: Billing, timezone: str, month: date, energy_milli: int, profile: Profile
) -> Load:
    """A billing month's use by the hour; the month is the one whose anchor lies in this one."""
    zone = zone_of(timezone)
    middle_us = to_us(datetime(month.year, month.month, billing.anchor_day, 23, 59, tzinfo=zone))
    first_us, after_us = month_starts(billing, zone, middle_us, middle_us)
    starts_us = list(range(first_us, after_us, _HOUR_US))
    hours, weight = _HEAVY[profile]
    weights = [
        weight if from_us(at_us).astimezone(zone).hour in hours else 1 for at_us in starts_us
    ]
    return Load(
        np.array(starts_us, np.int64),
        np.array([*starts_us[1:], after_us], np.int64),
        np.array(split_exact(energy_milli, weights), np.int64),
    )


def example(
    scheme: Scheme, timezone: str, month: date, energy_milli: int, profile: Profile,
    household: Household, currency_exponent: int,
) -> Billed:  # fmt: skip
    """A month's bill by the last version of a scheme, as if it held then already."""
    load = month_load(scheme.billing or Billing(), timezone, month, energy_milli, profile)
    begins = from_us(int(load.start_us[0]))
    version = replace(scheme.versions[-1], effective_from=begins)
    alone = replace(scheme, versions=(version,))
    return bill(alone, timezone, load, household, currency_exponent=currency_exponent)
