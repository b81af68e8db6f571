"""A second opinion on bills: from the words of a scheme's JSON form, in `Fraction`, line by line.

Must never import `meterhouse.rating`. Its rules are those that `meterhouse.rating.bill` and
`meterhouse.rating.allowance` state; days and months are found by walking the minutes of UTC.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from math import floor

from oracle.rating_oracle import Position, RatingOracle, first_instant, wall

MICRO = 1_000_000
HOUR_US = 3_600_000_000


@dataclass
class OracleBill:
    """Lines by (kind, name, version, block): exact currency units, and coins."""

    lines: dict[tuple, tuple[Fraction, int]] = field(default_factory=dict)
    net: int = 0
    tax: int = 0
    total: int = 0


def half_up(exact: Fraction) -> int:
    return floor(exact + Fraction(1, 2))


class BillOracle:
    def __init__(
        self, data: dict, timezone: str, persons: int, capacity_w: int, exponent: int, step_us: int
    ) -> None:
        self.rating = RatingOracle(data, timezone, persons, step_us)
        self.versions, self.zone = data["versions"], self.rating.zone
        self.rule = data.get("billing", {}).get("proration", "days")
        self.persons, self.capacity_w, self.coins = persons, capacity_w, 10**exponent
        self.kept = Fraction(0)

    def version_at(self, at_us: int) -> int | None:
        began = [place for place, us in enumerate(self.rating.effective_us) if us <= at_us]
        return began[-1] if began else None

    def start_of_month(self, at_us: int) -> int:
        day, hour = self.rating.anchor
        shown = wall(self.zone, at_us).date().replace(day=1)
        month = shown + timedelta(days=31)
        for _ in range(4):
            month = month.replace(day=day)
            start_us = first_instant(self.zone, month, hour)
            if start_us <= at_us:
                return start_us
            month = month.replace(day=1) - timedelta(days=1)
        raise AssertionError("no month begins before")

    def start_of_day(self, at_us: int) -> int:
        day = wall(self.zone, at_us).date() + timedelta(days=1)
        while first_instant(self.zone, day, self.rating.anchor[1]) > at_us:
            day -= timedelta(days=1)
        return first_instant(self.zone, day, self.rating.anchor[1])

    def days_between(self, from_us: int, to_us: int) -> list[int]:
        """The instants in [from, to) at which a day begins."""
        day: date = wall(self.zone, from_us).date() - timedelta(days=1)
        found = []
        while (at_us := first_instant(self.zone, day, self.rating.anchor[1])) < to_us:
            if at_us >= from_us:
                found.append(at_us)
            day += timedelta(days=1)
        return sorted(set(found))

    def end_of_month(self, start_us: int) -> int:
        return self.start_of_month(start_us + 40 * 24 * HOUR_US)

    def bills(self, load: list[tuple[int, int, int]], position: Position) -> tuple[list, list]:
        """Bills in order, and what each interval costs with its surcharges."""
        self.served = (load[0][0], load[-1][1])
        months = [self.start_of_month(load[0][0])]
        while self.end_of_month(months[-1]) < load[-1][1]:
            months.append(self.end_of_month(months[-1]))
        measured: dict[int, list] = {month: [] for month in months}
        for place, (start_us, end_us, energy) in enumerate(load):
            measured[self.start_of_month(start_us)].append((place, start_us, end_us, energy))
        first = self.versions[self.version_at(load[0][0])].get("allowance", {})
        if first.get("grant") == "once":
            self.kept = self.given(first)
        books = {month: defaultdict(Fraction) for month in months}
        peaks = {}
        costs = [Fraction(0)] * len(load)
        for month in months:
            peaks[month] = max((self.power(*each[1:]) for each in measured[month]), default=0)
            due = self.billed(measured[month])
            free = self.freed(month, due)
            for (place, start_us, end_us, _), whole, spared in zip(
                measured[month], due, free, strict=True
            ):
                number = self.version_at(start_us)
                if spared:
                    books[month]["free", "", number, -1] += 0
                lines = self.rating.lines(start_us, end_us, whole - spared, [-1] * 4, position)
                for line in lines:
                    for at_us, part in self.by_day(line):
                        costs[place] += self.book(books[self.start_of_month(at_us)], line, part)
        return [self.written(month, books[month], peaks[month]) for month in months], costs

    def power(self, start_us: int, end_us: int, energy: int) -> int:
        multiplier = self.versions[self.version_at(start_us)].get("multiplier", 1)
        return floor(Fraction(energy * multiplier * HOUR_US, end_us - start_us))

    def billed(self, measured: list[tuple]) -> list[int]:
        sums: dict[int, int] = defaultdict(int)
        found = []
        for _, start_us, _, energy in measured:
            number = self.version_at(start_us)
            words = self.versions[number]
            loss = Fraction(words.get("loss_micro", 0), MICRO)
            before = sums[number]
            sums[number] += energy * words.get("multiplier", 1)
            after = sums[number]
            found.append(after - before + floor(after * loss) - floor(before * loss))
        return found

    def given(self, allowance: dict) -> int:
        times = self.persons if allowance.get("per_person") else 1
        return allowance["energy_milli"] * times

    def freed(self, month: int, due: list[int]) -> list[int]:
        lapsing = 0
        for number, part, _ in self.parts(month):
            allowance = self.versions[number].get("allowance", {})
            if allowance.get("grant") == "period":
                given = floor(self.given(allowance) * part)
                if allowance.get("carries"):
                    self.kept += given
                else:
                    lapsing += given
        found = []
        for energy in due:
            from_lapsing = min(energy, lapsing)
            from_kept = min(energy - from_lapsing, self.kept)
            lapsing, self.kept = lapsing - from_lapsing, self.kept - from_kept
            found.append(int(from_lapsing + from_kept))
        return found

    def by_day(self, line) -> list[tuple[int, int]]:
        """The line's energy by the days it reaches over, each with an instant of it."""
        edges = [line.from_us, *self.days_between(line.from_us + 1, line.to_us), line.to_us]
        upto = [
            floor(Fraction(line.energy * (edge - line.from_us), line.to_us - line.from_us))
            for edge in edges
        ]
        return [
            (edges[place], upto[place + 1] - upto[place]) for place in range(len(edges) - 1)
        ]  # fmt: skip

    def book(self, book: dict, line, energy: int) -> Fraction:
        """Write a part of a line into a bill's book; what it costs with surcharges."""
        cost = energy * line.cost / line.energy
        book["energy", line.band, line.version, line.block] += cost
        for each in self.versions[line.version].get("surcharges", []):
            added = Fraction(energy * each["price_micro"], MICRO * 1_000)
            book["surcharge", each["name"], line.version, -1] += added
            cost += added
        return cost

    def days_of(self, month: int) -> tuple[list[tuple[int, list[int]]], int]:
        """Which days of a period, 1 its first, were served by each version; its days in all."""
        all_days = self.days_between(month, self.end_of_month(month))
        served: dict[int, list[int]] = defaultdict(list)
        for number_of_day, day in enumerate(all_days, 1):
            number = self.version_at(day)
            if self.served[0] <= day < self.served[1] and number is not None:
                served[number].append(number_of_day)
        return sorted(served.items()), len(all_days)

    def parts(self, month: int) -> list[tuple[int, Fraction, list[tuple[Fraction, Fraction]]]]:
        """Which version has how much of a period, and from where to where each of its days is."""
        whole = [(Fraction(0), Fraction(1))]
        if self.rule == "whole":
            return [(self.version_at(max(month, self.served[0])), Fraction(1), whole)]
        served, of_days = self.days_of(month)
        if self.rule == "days":
            return [
                (number, Fraction(len(days), of_days),
                 [(Fraction(day - 1, of_days), Fraction(day, of_days)) for day in days])
                for number, days in served
            ]  # fmt: skip
        is_full = sum(len(days) for _, days in served) == of_days
        return [(served[0][0], Fraction(1), whole)] if served and is_full else []

    def nano(self, exact: Fraction) -> Fraction:
        return Fraction(floor(exact * 10**9), 10**9)

    def day_by_day(self, exact: Fraction, days: list[tuple[Fraction, Fraction]]) -> Fraction:
        """What each day has of a charge by the period: up to its end, less what was before it."""
        return sum(
            (self.nano(exact * end) - self.nano(exact * begin) for begin, end in days), Fraction(0)
        )

    def written(self, month: int, book: dict, peak_w: int) -> OracleBill:
        for number, days in self.days_of(month)[0]:
            standing = self.versions[number].get("standing", {})
            if standing.get("per") == "day":
                amount = Fraction(standing["amount_micro"] * len(days), MICRO)
                book["standing", "", number, -1] += amount
        for number, _, days in self.parts(month):
            words = self.versions[number]
            if words.get("standing", {}).get("per") == "period":
                amount = Fraction(words["standing"]["amount_micro"], MICRO)
                book["standing", "", number, -1] += self.day_by_day(amount, days)
            if "demand" in words:
                watts = self.capacity_w if words["demand"]["by"] == "capacity" else peak_w
                amount = Fraction(watts * words["demand"]["price_micro"], 1_000 * MICRO)
                book["demand", "", number, -1] += self.day_by_day(amount, days)
        bill = OracleBill({key: (cost, half_up(cost * self.coins)) for key, cost in book.items()})
        self.top_up(bill, month)
        return self.taxed(bill)

    def top_up(self, bill: OracleBill, month: int) -> None:
        parts = self.parts(month)
        least = sum(
            self.nano(Fraction(self.versions[number].get("minimum_micro", 0), MICRO) * part)
            for number, part, _ in parts
        )
        lacking = half_up(least * self.coins) - sum(coins for _, coins in bill.lines.values())
        if least > 0 and lacking > 0:
            key = ("minimum", "", parts[-1][0], -1)
            bill.lines[key] = (Fraction(lacking, self.coins), lacking)

    def taxed(self, bill: OracleBill) -> OracleBill:
        charged = sum(coins for _, coins in bill.lines.values())
        added = 0
        for number in sorted({key[2] for key in bill.lines}):
            tax = self.versions[number].get("tax")
            if tax is None:
                continue
            base = sum(coins for key, (_, coins) in bill.lines.items() if key[2] == number)
            rate = Fraction(tax["rate_micro"], MICRO)
            included = tax.get("included", True)
            coins = half_up(base * rate / (1 + rate) if included else base * rate)
            bill.tax += coins
            added += 0 if included else coins
            bill.lines["tax", "", number, -1] = (Fraction(coins, self.coins), coins)
        bill.total = charged + added
        bill.net = bill.total - bill.tax
        return bill
