"""A second opinion on rating: from the words of a scheme's JSON form, minute by minute.

Must never import the kernel, the timeline or the parser. It walks the minutes of an interval with
`zoneinfo`, looks at each minute's wall clock, and does all arithmetic in `Fraction`. Its rules are
the five that `meterhouse.rating.kernel` states.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from math import floor
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_US = 60_000_000
REGISTER_BANDS = ["sharp", "peak", "flat", "valley"]
ALIKE = {
    "workday": ["workday"],
    "makeup_workday": ["makeup_workday", "workday"],
    "weekend": ["weekend", "workday"],
    "holiday": ["holiday", "weekend", "workday"],
}


def wall(zone: ZoneInfo, at_us: int) -> datetime:
    return (EPOCH + timedelta(microseconds=at_us)).astimezone(zone).replace(tzinfo=None)


@cache
def first_instant(zone: ZoneInfo, day: date, hour: int = 0) -> int:
    """The first minute of UTC whose wall clock shows this date and hour or something later."""
    shown = datetime(day.year, day.month, day.day, hour)
    at_us = int((shown - datetime(1970, 1, 1)).total_seconds())
    at_us = (at_us - 15 * 3600) * 1_000_000
    # None of these clocks moves by more than two hours, so far from the date hours are enough.
    while wall(zone, at_us) < shown - timedelta(hours=4):
        at_us += 60 * MINUTE_US
    while wall(zone, at_us) < shown:
        at_us += MINUTE_US
    return at_us


@dataclass
class Position:
    """How much of the blocks is used, and since when."""

    used_milli: int = 0
    period_us: int = 0


@dataclass(frozen=True)
class Part:
    """Energy of one version, band and block within a stretch of time, and what it costs."""

    version: int
    band: str
    block: int
    energy: int
    from_us: int
    to_us: int
    cost: Fraction


@dataclass(frozen=True)
class Situation:
    """What holds at an instant: version, band's name, the period's start, limits of the blocks."""

    version: int
    band: str
    period_us: int
    limits: tuple[int, ...]


class RatingOracle:
    def __init__(
        self, data: dict, timezone: str, persons: int = 1, step_us: int = MINUTE_US,
        later: tuple[tuple[int, int], ...] = (),
    ) -> None:  # fmt: skip
        """`step_us` divides every edge of the scheme and every offset of the zone.

        `later`: from which instants on there are how many persons instead.
        """
        self.step_us, self.persons, self.later = step_us, persons, later
        self.days: dict[tuple[int, int, date], tuple[dict, tuple[int, ...]]] = {}
        self.versions = data["versions"]
        billing = data.get("billing", {})
        self.anchor = (billing.get("anchor_day", 1), billing.get("anchor_hour", 0))
        self.zone = ZoneInfo(timezone)
        self.effective_us = [
            (datetime.fromisoformat(version["effective_from"]) - EPOCH) // timedelta(microseconds=1)
            for version in self.versions
        ]

    def situation(self, at_us: int) -> Situation | None:
        version = None
        for place, effective_us in enumerate(self.effective_us):
            if effective_us <= at_us:
                version = place
        if version is None:
            return None
        words = self.versions[version]
        shown = wall(self.zone, at_us)
        persons = self.persons
        for since_us, number in self.later:
            if since_us <= at_us:
                persons = number
        key = (version, persons, shown.date())
        if key not in self.days:
            self.days[key] = (self.day_table(words, shown), self.limits(words, shown, persons))
        table, limits = self.days[key]
        clock = f"{shown.hour:02}:{shown.minute:02}"
        by_meter = words.get("band_source") == "meter"
        band = "" if by_meter else table[max(start for start in table if start <= clock)]
        return Situation(version, band, self.period_start(words, shown, at_us), limits)

    def period_start(self, words: dict, shown: datetime, at_us: int) -> int:
        """When the blocks last began, looking back from an instant."""
        period = words.get("blocks", {}).get("period", "none")
        if period == "none":
            return 0
        day, hour = self.anchor
        if period == "season":
            hour = 0
            begins = [season["first"] for season in words.get("seasons", [{"first": "01-01"}])]
        else:
            months = range(1, 13) if period == "month" else [1]
            begins = [f"{month:02}-{day:02}" for month in months]
        for year in (shown.year, shown.year - 1):
            for begin in sorted(begins, reverse=True):
                start_us = first_instant(self.zone, day_of_year(year, begin), hour)
                if start_us <= at_us:
                    return start_us
        raise AssertionError("no period begins before")

    def limits(self, words: dict, shown: datetime, persons: int) -> tuple[int, ...]:
        """The limits of a date's season, with what a large household has in addition."""
        blocks = words.get("blocks", {})
        limits = blocks.get("limits_milli", [])
        for season in words.get("seasons", []):
            if in_season(season, f"{shown:%m-%d}"):
                limits = blocks.get("seasonal", {}).get(season["name"], limits)
        large = [row for row in blocks.get("persons", []) if persons >= row["persons"]]
        adds = large[-1]["add_milli"] if large else [0] * len(limits)
        return tuple(limit + add for limit, add in zip(limits, adds, strict=True))

    def day_table(self, words: dict, shown: datetime) -> dict:
        """Which band has which time of a date's day."""
        if "day_tables" not in words:
            return {"00:00": next(iter(words["prices_micro"]))}
        tables = words["day_tables"]
        name = next(iter(tables))
        if "seasons" in words:
            kind = "weekend" if shown.isoweekday() in words.get("weekend", [6, 7]) else "workday"
            kind = words.get("special_days", {}).get(shown.date().isoformat(), kind)
            month_day = f"{shown:%m-%d}"
            for season in words["seasons"]:
                if in_season(season, month_day):
                    name = next(season["tables"][k] for k in ALIKE[kind] if k in season["tables"])
        return tables[name]

    def parts(self, start_us: int, end_us: int) -> list[tuple[int, int, Situation | None]]:
        """The interval cut wherever the situation changes."""
        edges = [*self.effective_us, *(since_us for since_us, _ in self.later)]
        instants = {start_us} | {at for at in edges if start_us < at < end_us}
        instants |= set(range(-(-start_us // self.step_us) * self.step_us, end_us, self.step_us))
        cuts: list[tuple[int, Situation | None]] = []
        for at_us in sorted(instants):
            now = self.situation(at_us)
            if not cuts or cuts[-1][1] != now:
                cuts.append((at_us, now))
        ends = [at_us for at_us, _ in cuts[1:]] + [end_us]
        return [(at_us, end, now) for (at_us, now), end in zip(cuts, ends, strict=True)]

    def rate(
        self, start_us: int, end_us: int, energy_milli: int, bands_milli: list[int],
        position: Position,
    ) -> Fraction | None:  # fmt: skip
        """The price in currency units, or None when it has none; moves the position on."""
        lines = self.lines(start_us, end_us, energy_milli, bands_milli, position)
        return None if lines is None else sum((line.cost for line in lines), Fraction(0))

    def lines(
        self, start_us: int, end_us: int, energy_milli: int, bands_milli: list[int],
        position: Position,
    ) -> list["Part"] | None:  # fmt: skip
        """The parts of the price, or None when it has none; moves the position on."""
        parts = self.parts(start_us, end_us)
        if any(now is None for *_, now in parts):
            return None
        by_meter = [self.versions[now.version].get("band_source") == "meter" for *_, now in parts]
        if any(by_meter) and min(bands_milli) < 0:
            return None

        def within(total: int, from_us: int, to_us: int) -> int:
            whole = end_us - start_us
            before, after = (
                floor(Fraction(total * (at - start_us), whole)) for at in (from_us, to_us)
            )
            return after - before

        loads: list[tuple[Situation, dict[str, int], int, int]] = []
        for from_us, to_us, now in parts:
            words = self.versions[now.version]
            if words.get("band_source") == "meter":
                load = {
                    band: within(total, from_us, to_us)
                    for band, total in zip(REGISTER_BANDS, bands_milli, strict=True)
                }
            else:
                load = {now.band: within(energy_milli, from_us, to_us)}
            pro_rata = words.get("blocks", {}).get("fill") == "pro_rata"
            if pro_rata and loads and same_blocks(loads[-1][0], now):
                before, sums, first_us, _ = loads[-1]
                for band, energy in load.items():
                    sums[band] = sums.get(band, 0) + energy
                loads[-1] = (before, sums, first_us, to_us)
            else:
                loads.append((now, load, from_us, to_us))
        return [
            Part(now.version, band, block, energy, from_us, to_us,
                 energy * unit_price(self.versions[now.version], band, block))
            for now, load, from_us, to_us in loads
            for band, block, energy in self.charge(now, load, position)
            if energy > 0
        ]  # fmt: skip

    def charge(
        self, now: Situation, load: dict[str, int], position: Position
    ) -> list[tuple[str, int, int]]:
        """(band, block, energy) of what is used in one situation."""
        words = self.versions[now.version]
        if now.period_us != position.period_us:
            position.used_milli, position.period_us = 0, now.period_us
        in_band_order = [
            (band, load[band])
            for band in words.get("bands", list(words["prices_micro"]))
            if load.get(band, 0) > 0
        ]
        if words.get("blocks", {}).get("fill") == "pro_rata":
            return self.pro_rata(in_band_order, now.limits, position)
        found = []
        for band, energy in in_band_order:
            for block, part in enumerate(fill(now.limits, position.used_milli, energy)):
                found.append((band, block, part))
            position.used_milli += energy
        return found

    def pro_rata(
        self, loads: list[tuple[str, int]], limits: tuple[int, ...], position: Position
    ) -> list[tuple[str, int, int]]:
        total = sum(energy for _, energy in loads)
        left = fill(limits, position.used_milli, total)
        position.used_milli += total
        found = []
        for band, energy in loads:
            whole = sum(left)
            upto = [floor(Fraction(energy * sum(left[: k + 1]), whole)) for k in range(len(left))]
            parts = [after - before for before, after in zip([0, *upto], upto, strict=False)]
            assert min(parts) >= 0
            assert sum(parts) == energy
            found += [(band, k, part) for k, part in enumerate(parts)]
            left = [room - part for room, part in zip(left, parts, strict=True)]
        assert sum(left) == 0
        return found


def day_of_year(year: int, month_day: str) -> date:
    """A date of a year; 29 February is 1 March where there is none."""
    try:
        return date.fromisoformat(f"{year}-{month_day}")
    except ValueError:
        return date(year, 3, 1)


def in_season(season: dict, month_day: str) -> bool:
    first, last = season["first"], season["last"]
    return (month_day >= first) + (month_day <= last) + (first > last) == 2


def same_blocks(one: Situation, other: Situation) -> bool:
    return (one.version, one.period_us, one.limits) == (
        other.version, other.period_us, other.limits,
    )  # fmt: skip


def fill(limits: Sequence[int], used: int, energy: int) -> list[int]:
    """How much of the energy lies in each block: the overlap of two spans."""
    edges = [0, *limits]
    tops = [*limits, used + energy]
    return [
        max(0, min(top, used + energy) - max(edge, used))
        for edge, top in zip(edges, tops, strict=True)
    ]


def unit_price(words: dict, band: str, block: int) -> Fraction:
    """Currency per Milli."""
    price = words["prices_micro"][band]
    micro = price if isinstance(price, int) else price[block]
    micro += words.get("adders_micro", [0] * 8)[block]
    return Fraction(micro, 1_000_000 * 1_000)
