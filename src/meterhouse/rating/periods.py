"""Billing periods (抄表周期): where months, years and days begin by a project's wall clock.

Owns the anchor day and hour (抄表例日), the instants that follow from it, and the name of the rule
that prorates what is charged by the period. Must never know a price or energy.

An anchor is a wall-clock hour. Where clocks skip it, the period begins at the instant they are put
forward; where they show it twice, at the first time. Whatever is decided by the period compares
instants, never wall clocks, so an hour that is shown twice lies in one period.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from meterhouse import units
from meterhouse.errors import Unreadable
from meterhouse.rating.fields import object_of, whole_of, word_of

ANCHOR_DAY_MAX = 28
ANCHOR_HOUR_MAX = 23


class Proration(StrEnum):
    """What of a charge by the period is owed when only a part of the period was served.

    A part is counted in billing days. A day belongs to the household and to the version that had
    it when it began, so an opening, a change of tenants or a change of scheme charges no day twice.
    """

    DAYS = "days"
    """The part of it that the days served are of the period's days, down to a whole Nano."""
    WHOLE = "whole"
    """All of it, for a single hour too, by the version in force at the first instant served."""
    FULL_ONLY = "full_only"
    """All of it if every day was served, else nothing; by the version of the first day."""


@dataclass(frozen=True, slots=True)
class Billing:
    """When bills are cut: each month at this day and hour. Monthly and yearly blocks begin there.

    A year begins with its January's anchor.
    """

    anchor_day: int = 1
    anchor_hour: int = 0
    proration: Proration = Proration.DAYS


def parse_billing(data: Any, path: str) -> Billing:
    """The billing period that a JSON object describes; a field left out has its default."""
    fields = object_of(data, path, set(), {"anchor_day", "anchor_hour", "proration"})
    return Billing(
        anchor_day=whole_of(fields.get("anchor_day", 1), f"{path}.anchor_day", 1, ANCHOR_DAY_MAX),
        anchor_hour=whole_of(
            fields.get("anchor_hour", 0), f"{path}.anchor_hour", 0, ANCHOR_HOUR_MAX
        ),
        proration=word_of(Proration, fields.get("proration", "days"), f"{path}.proration"),
    )


def dump_billing(billing: Billing) -> dict[str, Any]:
    """Its JSON form, everything spelt out."""
    return {
        "anchor_day": billing.anchor_day,
        "anchor_hour": billing.anchor_hour,
        "proration": billing.proration.value,
    }


def zone_of(timezone: str) -> ZoneInfo:
    """The time zone of this name. Raises `Unreadable`."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise Unreadable("time zone", timezone, "a name such as Asia/Shanghai") from None


def month_starts(billing: Billing, zone: ZoneInfo, from_us: int, to_us: int) -> list[int]:
    """Where billing periods begin, from the last at or before `from_us` to the first past `to_us`.

    Instants are µs of UTC; what would begin before 1970 begins at 0.
    """
    days = [(month, billing.anchor_day) for month in range(1, 13)]
    return starts_of(days, billing.anchor_hour, zone, from_us, to_us)


def year_starts(billing: Billing, zone: ZoneInfo, from_us: int, to_us: int) -> list[int]:
    """Where years begin; the ends as with `month_starts`."""
    return starts_of([(1, billing.anchor_day)], billing.anchor_hour, zone, from_us, to_us)


def day_starts(billing: Billing, zone: ZoneInfo, from_us: int, to_us: int) -> list[int]:
    """Where billing days begin, at the anchor's hour; the ends as with `month_starts`."""
    first = units.from_us(from_us).astimezone(zone).date() - timedelta(days=2)
    last = units.from_us(to_us).astimezone(zone).date() + timedelta(days=2)
    days = [first + timedelta(days=place) for place in range((last - first).days + 1)]
    return _within([_instant(day, billing.anchor_hour, zone) for day in days], from_us, to_us)


def starts_of(
    month_days: Sequence[tuple[int, int]], hour: int, zone: ZoneInfo, from_us: int, to_us: int
) -> list[int]:
    """The instants at which these (month, day) of every year reach an hour; ends as above.

    29 February is 1 March in a year that has none.
    """
    first = units.from_us(from_us).astimezone(zone).year - 1
    last = units.from_us(to_us).astimezone(zone).year + 1
    days = [_day(year, *each) for year in range(first, last + 1) for each in month_days]
    return _within([_instant(day, hour, zone) for day in sorted(days)], from_us, to_us)


def _day(year: int, month: int, day: int) -> date:
    leap = date(2024, month, day)
    is_missing = (month, day) == (2, 29) and (year % 4 != 0 or year == 2100)
    return date(year, 3, 1) if is_missing else leap.replace(year=year)


def _instant(day: date, hour: int, zone: ZoneInfo) -> int:
    return max(units.to_us(datetime(day.year, day.month, day.day, hour, tzinfo=zone)), 0)


def _within(starts: list[int], from_us: int, to_us: int) -> list[int]:
    first = bisect_right(starts, from_us) - 1
    return starts[max(first, 0) : bisect_right(starts, to_us) + 1]
