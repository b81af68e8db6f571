"""The span a bill is for: its billing days and periods, and the days under each version.

Owns counting: which days began in the span, and which part of a period each version has. Must never
know money or energy.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from meterhouse import units
from meterhouse.errors import BadInput
from meterhouse.rating.allowance import Part
from meterhouse.rating.arrays import Ints
from meterhouse.rating.periods import Billing, Proration, day_starts, month_starts, zone_of
from meterhouse.rating.tariff import Scheme


class SchemeNotInForce(BadInput):
    """No version of the scheme is in force at {at}."""

    code = "scheme_not_in_force"


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A span [from_us, to_us) that was served, laid out in days and billing periods.

    Attributes:
        from_us, to_us: the span.
        proration: the rule for what is charged by the period.
        day_us: int64[d + 1], when days begin, from that of the first instant on.
        month_us: int64[b + 1], when billing periods begin, and when the last one ends.
        begin_us: int64[v], when the versions come into force.
    """

    from_us: int
    to_us: int
    proration: Proration
    day_us: Ints
    month_us: Ints
    begin_us: Ints

    def day_of(self, at_us: Ints) -> Ints:
        """The place of the day of each instant."""
        return place_in(self.day_us, at_us)

    def month_of(self, at_us: Ints) -> Ints:
        """The place of the billing period of each instant."""
        return place_in(self.month_us, at_us)

    def version_of(self, at_us: Ints) -> Ints:
        """The version in force at each instant. Raises `SchemeNotInForce`."""
        found = place_in(self.begin_us, at_us)
        if len(found) and found.min() < 0:
            at = units.from_us(int(at_us[found.argmin()]))
            raise SchemeNotInForce(at=at.isoformat())
        return found

    def served_days(self, month: int) -> list[Part]:
        """How many days of a billing period began under each version, while it was served."""
        first, after = int(self.month_us[month]), int(self.month_us[month + 1])
        of_days = self._days(first, after)
        low, high = max(self.from_us, first), min(self.to_us, after)
        ends = [*self.begin_us[1:].tolist(), high]
        spans = [
            (max(low, begin), min(high, end))
            for begin, end in zip(self.begin_us.tolist(), ends, strict=True)
        ]
        parts = [
            Part(place, self._days(*span), of_days, self._days(first, span[0]))
            for place, span in enumerate(spans)
        ]
        return [part for part in parts if part.days > 0]

    def parts(self, month: int) -> list[Part]:
        """The parts of what is charged by the period, by the proration rule."""
        if self.proration is Proration.WHOLE:
            low_us = max(self.from_us, int(self.month_us[month]))
            (version,) = self.version_of(np.array([low_us], np.int64)).tolist()
            return [Part(version, 1, 1)]
        served = self.served_days(month)
        if self.proration is Proration.DAYS or not served:
            return served
        is_full = sum(part.days for part in served) == served[0].of_days
        return [Part(served[0].version, 1, 1)] if is_full else []

    def _days(self, from_us: int, to_us: int) -> int:
        """How many days begin in [from, to)."""
        days = self.day_us.tolist()
        return max(bisect_left(days, to_us) - bisect_left(days, from_us), 0)


def place_in(starts_us: Ints, at_us: Ints) -> Ints:
    """The place of the last start at or before each instant, −1 when there is none."""
    return np.searchsorted(starts_us, at_us, side="right").astype(np.int64) - 1


def lay_out(scheme: Scheme, timezone: str, from_us: int, to_us: int) -> Served:
    """The span by the scheme's billing period and the wall clock of a time zone.

    Raises:
        Unreadable: no such time zone.
    """
    billing, zone = scheme.billing or Billing(), zone_of(timezone)
    month_us = month_starts(billing, zone, from_us, to_us - 1)
    begins = [units.to_us(version.effective_from) for version in scheme.versions]
    return Served(
        from_us=from_us,
        to_us=to_us,
        proration=billing.proration,
        day_us=np.array(day_starts(billing, zone, month_us[0], month_us[-1]), np.int64),
        month_us=np.array(month_us, np.int64),
        begin_us=np.array(begins, np.int64),
    )
