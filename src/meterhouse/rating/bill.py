"""Bills: what a load costs by a scheme, per billing period, line by line, exactly.

Owns the way from intervals to bill lines, day totals and totals. Must never know an account, a
table or the present instant. Energy is rated by the kernel, whole; the bill only sorts its lines:

1. *Days.* A line belongs to the billing day in which its time lies; one that reaches over the
   beginning of a day is divided there by time, as the kernel divides energy. A bill has whole days,
   so interval charges, day totals and the lines of bills add up to the same Nano.
2. *By the period.* Standing charge, minimum, demand and free energy follow the proration rule of
   `Billing`; a day counts for whom and for which version it began under.
3. *Free energy* belongs to the day in which its interval begins.
4. *Rounding.* Each line is rounded half up to the currency's smallest coin, and nothing else is:
   totals are sums of rounded lines, and `rounding_nano` says what that added to a bill.
5. *Minimum.* Where a bill's rounded lines are below it, one line adds what is missing.
6. *Tax* is of the rounded lines of each version: contained in them, or added to them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from meterhouse.errors import BadInput, OutOfRange
from meterhouse.rating.allowance import Part, free_of_period, once_milli, taken, with_losses
from meterhouse.rating.arrays import Ints, OutOfOrder, ints
from meterhouse.rating.charges import NO_CHARGES, DemandBy, Per, Tax
from meterhouse.rating.kernel import METER_BANDS, Intervals, RatingOutcome, rate_lines
from meterhouse.rating.load import ROWS_MAX, Load
from meterhouse.rating.served import Served, lay_out, place_in
from meterhouse.rating.standing import share_nano
from meterhouse.rating.tariff import Scheme
from meterhouse.rating.timeline import Timeline, compile_timeline, pack
from meterhouse.units import (
    INTERVAL_MILLI_MAX,
    MICRO_PER_UNIT,
    MILLI_PER_UNIT,
    Nano,
    nano_per_minor,
    round_minor,
)

# A year of a day table with eight edges takes some 0.1 MB.
CALENDARS_KEPT = 32
_HOUR_US = 3_600_000_000
_SUM_NANO_MAX = 9 * 10**18
# The columns of lines, as `rate_lines` writes them.
_PLACE, _SECTION, _BAND, _BLOCK, _ENERGY, _PRICE, _FROM, _TO = range(8)


class BandsUncounted(BadInput):
    """The scheme bills by the bands of the meter's registers; the load has only totals."""

    code = "bands_uncounted"


class Kind(StrEnum):
    """What a bill line is for."""

    ENERGY = "energy"
    FREE = "free"
    SURCHARGE = "surcharge"
    STANDING = "standing"
    DEMAND = "demand"
    MINIMUM = "minimum"
    TAX = "tax"


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line: `share_nano(quantity_milli × price_micro, first_day, days, of_days)`.

    Attributes:
        kind: what for; a line of tax, or of the minimum, has its amount alone.
        name: the band or the surcharge, else "".
        version: place of the version in the scheme.
        block: of energy, counted from 0; else −1.
        quantity_milli: energy, days, periods or kW, in thousandths.
        price_micro: of one of them.
        days, of_days: the part of a period, 1 of 1 where it is not by the period.
        first_day: how many days of the period are before that part.
        amount_nano: exact.
        amount_minor: rounded half up.
    """

    kind: Kind
    name: str
    version: int
    block: int
    quantity_milli: int
    price_micro: int
    days: int
    of_days: int
    first_day: int
    amount_nano: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Bill:
    """A billing period, or what of it was served.

    Attributes:
        from_us, to_us: what was served of it.
        period_from_us, period_to_us: the whole period.
        lines: in the order of `Kind`.
        energy_milli: billed energy, free energy included.
        net_minor, tax_minor, total_minor: `net + tax = total`, the sum of the lines and of tax that
            is added.
        rounding_nano: what rounding the lines added to the exact amount.
    """

    from_us: int
    to_us: int
    period_from_us: int
    period_to_us: int
    lines: tuple[BillLine, ...]
    energy_milli: int
    net_minor: int
    tax_minor: int
    total_minor: int
    rounding_nano: int


@dataclass(frozen=True, slots=True)
class Household:
    """Whose load it is: persons (for limits and free energy), contracted capacity in W or VA.

    `highest_w`: the power that demand is charged of; None: the highest mean power of an interval.
    """

    persons: int = 1
    capacity_w: int = 0
    highest_w: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where blocks and free energy stand; `kept_milli` None: the account opens with this load."""

    block_milli: int = 0
    block_period_us: int = 0
    kept_milli: int | None = None


OPENING = Position()


@dataclass(frozen=True, slots=True, eq=False)
class Billed:
    """What a load of m intervals costs.

    Attributes:
        bills: one per billing period touched, in the order of time.
        scheme: as it is for this household.
        timeline: what was in force when.
        day_start_us: int64[d], when billing days begin.
        day_milli, day_nano: int64[d], billed energy, and the charge of energy and surcharges.
        billed_milli, free_milli: int64[m], of each interval.
        interval_nano: int64[m], its charge of energy and surcharges.
        lines: int64[k, 8] as by `rate_lines`, divided where days begin.
        after: where blocks and free energy stand at the end.
    """

    bills: tuple[Bill, ...]
    scheme: Scheme
    timeline: Timeline
    day_start_us: Ints
    day_milli: Ints
    day_nano: Ints
    billed_milli: Ints
    free_milli: Ints
    interval_nano: Ints
    lines: Ints
    after: Position


def bill(
    scheme: Scheme, timezone: str, load: Load, household: Household | None = None,
    opening: Position = OPENING, currency_exponent: int = 2,
) -> Billed:  # fmt: skip
    """What a load costs, from its first instant to its last, by the wall clock of a time zone.

    Raises:
        SchemeNotInForce: at some instant of the load there is no price.
        BandsUncounted: the scheme bills by the meter's bands.
        OutOfRange: an interval is beyond its bound, or there is none.
        OutOfOrder: an interval begins before the one before it, or does not end after it begins.
        Unreadable: no such time zone.
    """
    _check_order(load)
    whose = household or Household()
    scheme = scheme.of_household(whose.persons)
    span = (int(load.start_us[0]), int(load.end_us.max()))
    # Where a scheme was found changes nothing, and is not of a kind that can be looked up by.
    served, timeline = _calendar(replace(scheme, source=None), timezone, *span)
    uses, kept_milli = _uses(scheme, served, load, whose, opening)
    rows = np.zeros(len(load.start_us), np.int64)
    unknown = np.full((len(rows), METER_BANDS), -1, np.int64)
    rated, raw = rate_lines(
        pack([timeline]),
        Intervals(rows, rows, load.start_us, load.end_us, uses.billed - uses.free, unknown),
        np.array([opening.block_milli], np.int64),
        np.array([opening.block_period_us], np.int64),
    )
    if (rated.outcome == RatingOutcome.NO_BANDS).any():
        raise BandsUncounted
    lines = _divided(raw, served.day_us)
    _check_sums(lines, scheme)
    version = np.array([section.version for section in timeline.sections])[lines[:, _SECTION]]
    added_nano = lines[:, _ENERGY] * _surcharge_micro(scheme)[version]
    interval_nano = rated.amount_nano.copy()
    np.add.at(interval_nano, lines[:, _PLACE], added_nano)
    day_milli, day_nano = np.zeros((2, len(served.day_us)), np.int64)
    day = served.day_of(lines[:, _FROM])
    np.add.at(day_milli, day, lines[:, _ENERGY])
    np.add.at(day_milli, served.day_of(load.start_us), uses.free)
    np.add.at(day_nano, day, lines[:, _ENERGY] * lines[:, _PRICE] + added_nano)
    used = slice(int(served.day_of(load.start_us)[0]), int(served.day_of(load.end_us - 1)[-1]) + 1)
    sheet = _Sheet(scheme, served, whose, currency_exponent)
    return Billed(
        bills=tuple(sheet.bills(lines, version, uses)),
        scheme=scheme,
        timeline=timeline,
        day_start_us=served.day_us[used],
        day_milli=day_milli[used],
        day_nano=day_nano[used],
        billed_milli=uses.billed,
        free_milli=uses.free,
        interval_nano=interval_nano,
        lines=lines,
        after=Position(int(rated.block_milli[0]), int(rated.block_period_us[0]), kept_milli),
    )


@lru_cache(maxsize=CALENDARS_KEPT)
def _calendar(scheme: Scheme, timezone: str, from_us: int, to_us: int) -> tuple[Served, Timeline]:
    """What of a scheme does not depend on the load; many loads of one span are billed by it."""
    timeline = compile_timeline(_energy_alone(scheme), timezone, from_us, to_us)
    return lay_out(scheme, timezone, from_us, to_us), timeline


def _energy_alone(scheme: Scheme) -> Scheme:
    """The scheme without what falls due by the day; a bill writes that by the period."""
    return replace(
        scheme, versions=tuple(replace(one, charges=NO_CHARGES) for one in scheme.versions)
    )


def _check_order(load: Load) -> None:
    if not len(load.start_us):
        raise OutOfRange("intervals of the load", 0, 1, ROWS_MAX)
    wrong = (load.end_us <= load.start_us) | (np.diff(load.start_us, prepend=0) < 0)
    if wrong.any():
        raise OutOfOrder("intervals of the load", int(wrong.argmax()))


class _Uses(NamedTuple):
    """Of each interval: its billing period, version, billed and free energy, mean power."""

    month: Ints
    version: Ints
    billed: Ints
    free: Ints
    power_w: Ints


def _uses(
    scheme: Scheme, served: Served, load: Load, whose: Household, opening: Position
) -> tuple[_Uses, int]:
    """What is billed and what is free of each interval; the free energy kept after them."""
    charges = [version.charges for version in scheme.versions]
    month, version = served.month_of(load.start_us), served.version_of(load.start_us)
    multiplier = np.array([each.multiplier for each in charges], np.int64)[version]
    count = len(load.energy_milli)
    measured = ints("energy_milli", load.energy_milli, (count,), 0, INTERVAL_MILLI_MAX)
    multiplied = ints(
        "multiplied energy_milli", measured * multiplier, (count,), 0, INTERVAL_MILLI_MAX
    )
    loss_micro = np.array([each.loss_micro for each in charges], np.int64)[version]
    billed = with_losses(multiplied, month * len(charges) + version, loss_micro)
    kept_milli = opening.kept_milli
    if kept_milli is None:
        kept_milli = once_milli(charges[version[0]], whose.persons)
    free = np.zeros(count, np.int64)
    for place in range(len(served.month_us) - 1):
        mine = month == place
        free[mine], kept_milli = free_of_period(
            billed[mine], kept_milli, served.parts(place), whose.persons, charges
        )
    power_w = multiplied * _HOUR_US // (load.end_us - load.start_us)
    return _Uses(month, version, billed, free, power_w), kept_milli


def _check_sums(lines: Ints, scheme: Scheme) -> None:
    """No sum of amounts leaves 63 bits; a load that costs billions is a wrong one."""
    dearest_micro = int(lines[:, _PRICE].max(initial=0)) + int(abs(_surcharge_micro(scheme)).max())
    most_nano = int(lines[:, _ENERGY].sum()) * dearest_micro
    if most_nano > _SUM_NANO_MAX:
        raise OutOfRange("what the load costs", most_nano, 0, _SUM_NANO_MAX)


def _surcharge_micro(scheme: Scheme) -> Ints:
    """The sum of each version's surcharges."""
    sums = [sum(s.price_micro for s in version.charges.surcharges) for version in scheme.versions]
    return np.array(sums, np.int64)


def _divided(lines: Ints, day_us: Ints) -> Ints:
    """The lines, those that reach over the beginning of a day divided there by time (rule 1)."""
    first, last = (place_in(day_us, at) for at in (lines[:, _FROM], lines[:, _TO] - 1))
    across = first < last
    if not across.any():
        return lines
    parts: list[list[int]] = []
    for line, low, high in zip(
        lines[across].tolist(), first[across].tolist(), last[across].tolist(), strict=True
    ):
        from_us, to_us, energy = line[_FROM], line[_TO], line[_ENERGY]
        edges = [from_us, *day_us[low + 1 : high + 1].tolist(), to_us]
        upto = [energy * (edge - from_us) // (to_us - from_us) for edge in edges]
        for place, (start_us, end_us) in enumerate(pairwise(edges)):
            part = [*line[:_ENERGY], upto[place + 1] - upto[place], line[_PRICE], start_us, end_us]
            parts.append(part)
    whole = np.concatenate([lines[~across], np.array(parts, np.int64)])
    return whole[np.lexsort((whole[:, _FROM], whole[:, _PLACE]))]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Writes bills: one billing period's lines after the other."""

    scheme: Scheme
    served: Served
    whose: Household
    currency_exponent: int

    def bills(self, lines: Ints, version: Ints, uses: _Uses) -> Iterator[Bill]:
        month = self.served.month_of(lines[:, _FROM])
        for place in range(len(self.served.month_us) - 1):
            own, mine = month == place, uses.month == place
            said = [
                *self._energy(lines[own], version[own]),
                *self._free(uses.version[mine], uses.free[mine]),
                *self._surcharges(lines[own], version[own]),
                *self._standing(place),
                *self._demand(place, uses.power_w[mine]),
            ]
            said += self._minimum(place, said)
            energy_milli = int(lines[own, _ENERGY].sum()) + int(uses.free[mine].sum())
            yield self._bill(place, said, energy_milli)

    def _bill(self, place: int, said: list[BillLine], energy_milli: int) -> Bill:
        taxes, added_minor = [], 0
        for version in sorted({line.version for line in said}):
            tax = self.scheme.versions[version].charges.tax
            if tax is not None:
                base = sum(line.amount_minor for line in said if line.version == version)
                line = self._tax(version, tax, base)
                taxes.append(line)
                added_minor += 0 if tax.included else line.amount_minor
        charged_minor = sum(line.amount_minor for line in said)
        exact_nano = sum(line.amount_nano for line in said)
        tax_minor = sum(line.amount_minor for line in taxes)
        total_minor = charged_minor + added_minor
        first, after = (int(self.served.month_us[place + each]) for each in (0, 1))
        return Bill(
            from_us=max(self.served.from_us, first),
            to_us=min(self.served.to_us, after),
            period_from_us=first,
            period_to_us=after,
            lines=(*said, *taxes),
            energy_milli=energy_milli,
            net_minor=total_minor - tax_minor,
            tax_minor=tax_minor,
            total_minor=total_minor,
            rounding_nano=charged_minor * nano_per_minor(self.currency_exponent) - exact_nano,
        )

    def _line(
        self, kind: Kind, version: int, quantity_milli: int, price_micro: int, *,
        name: str = "", block: int = -1, part: Part | None = None,
    ) -> BillLine:  # fmt: skip
        days, of_days, first = (part.days, part.of_days, part.first) if part else (1, 1, 0)
        amount_nano = share_nano(quantity_milli * price_micro, first, days, of_days)
        return BillLine(
            kind, name, version, block, quantity_milli, price_micro, days, of_days, first,
            amount_nano, round_minor(Nano(amount_nano), self.currency_exponent),
        )  # fmt: skip

    def _energy(self, lines: Ints, version: Ints) -> Iterator[BillLine]:
        """A line for each version, band and block that was used."""
        keys = np.stack([version, lines[:, _BAND], lines[:, _BLOCK], lines[:, _PRICE]])
        order = np.lexsort(keys[::-1])
        begins = np.flatnonzero((np.diff(keys[:, order], prepend=-1) != 0).any(axis=0))
        sums = np.add.reduceat(lines[order, _ENERGY], begins) if len(order) else begins
        for key, energy_milli in zip(
            keys[:, order[begins]].T.tolist(), sums.tolist(), strict=True
        ):  # fmt: skip
            number, band, block, price_micro = key
            name = self.scheme.versions[number].bands[band]
            yield self._line(Kind.ENERGY, number, energy_milli, price_micro, name=name, block=block)

    def _free(self, version: Ints, free: Ints) -> Iterator[BillLine]:
        for number in np.unique(version).tolist():
            energy_milli = int(free[version == number].sum())
            if energy_milli:
                yield self._line(Kind.FREE, number, energy_milli, 0)

    def _surcharges(self, lines: Ints, version: Ints) -> Iterator[BillLine]:
        for number in np.unique(version).tolist():
            energy_milli = int(lines[version == number, _ENERGY].sum())
            for each in self.scheme.versions[number].charges.surcharges:
                yield self._line(
                    Kind.SURCHARGE, number, energy_milli, each.price_micro, name=each.name
                )

    def _standing(self, place: int) -> Iterator[BillLine]:
        for part in self.served.served_days(place):
            standing = self.scheme.versions[part.version].charges.standing
            if standing is not None and standing.per is Per.DAY:
                quantity_milli = part.days * MILLI_PER_UNIT
                yield self._line(Kind.STANDING, part.version, quantity_milli, standing.amount_micro)
        for part in self.served.parts(place):
            standing = self.scheme.versions[part.version].charges.standing
            if standing is not None and standing.per is Per.PERIOD:
                yield self._line(
                    Kind.STANDING, part.version, MILLI_PER_UNIT, standing.amount_micro, part=part
                )

    def _demand(self, place: int, power_w: Ints) -> Iterator[BillLine]:
        highest_w = self.whose.highest_w
        if highest_w is None:
            highest_w = int(power_w.max()) if len(power_w) else 0
        for part in self.served.parts(place):
            demand = self.scheme.versions[part.version].charges.demand
            if demand is not None:
                by_capacity = demand.by is DemandBy.CAPACITY
                charged_w = self.whose.capacity_w if by_capacity else highest_w
                yield self._line(
                    Kind.DEMAND, part.version, charged_w, demand.price_micro, part=part
                )

    def _minimum(self, place: int, said: list[BillLine]) -> list[BillLine]:
        """The line that adds what a period's lines lack of its minimum (rule 5)."""
        parts = self.served.parts(place)
        least_nano = sum(
            taken(self.scheme.versions[part.version].charges.minimum_micro * MILLI_PER_UNIT, part)
            for part in parts
        )
        least_minor = round_minor(Nano(least_nano), self.currency_exponent)
        lacking_minor = least_minor - sum(line.amount_minor for line in said)
        if least_nano == 0 or lacking_minor <= 0:
            return []
        return [self._plain(Kind.MINIMUM, parts[-1].version, lacking_minor)]

    def _tax(self, version: int, tax: Tax, base_minor: int) -> BillLine:
        whole = MICRO_PER_UNIT + (tax.rate_micro if tax.included else 0)
        tax_minor = (2 * base_minor * tax.rate_micro + whole) // (2 * whole)
        return self._plain(Kind.TAX, version, tax_minor)

    def _plain(self, kind: Kind, version: int, amount_minor: int) -> BillLine:
        """A line that is made of coins."""
        amount_nano = amount_minor * nano_per_minor(self.currency_exponent)
        return BillLine(kind, "", version, -1, 0, 0, 1, 1, 0, amount_nano, amount_minor)


def bill_of(said: Mapping[str, Any]) -> Bill:
    """The bill whose fields were kept as data."""
    lines = tuple(BillLine(**{**line, "kind": Kind(line["kind"])}) for line in said["lines"])
    return Bill(**{**said, "lines": lines})
