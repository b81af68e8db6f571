"""A second opinion on rating: from the words of a scheme's JSON form, minute by minute.

Must never import the kernel, the timeline or the parser. It walks the minutes of an interval with
`zoneinfo`, looks at each minute's wall clock, and does all arithmetic in `Fraction`. Its rules are
the five that `meterhouse.rating.kernel` states.
"""

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
def first_instant(zone: ZoneInfo, day: date) -> int:
    """The first minute of UTC whose wall clock shows this date or a later one."""
    at_us = int((datetime(day.year, day.month, day.day) - datetime(1970, 1, 1)).total_seconds())
    at_us = (at_us - 15 * 3600) * 1_000_000
    while wall(zone, at_us).date() < day:
        at_us += MINUTE_US
    return at_us


@dataclass
class Position:
    """How much of the blocks is used, and since when."""

    used_milli: int = 0
    period_us: int = 0


@dataclass(frozen=True)
class Situation:
    """What holds at an instant: the version's place, the band's name, the period's start."""

    version: int
    band: str
    period_us: int


class RatingOracle:
    def __init__(self, data: dict, timezone: str) -> None:
        self.versions = data["versions"]
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
        by_meter = words.get("band_source") == "meter"
        band = "" if by_meter else self.band(words, shown)
        period = words.get("blocks", {}).get("period", "none")
        day = shown.date()
        period_us = 0
        if period == "month":
            period_us = first_instant(self.zone, day.replace(day=1))
        if period == "year":
            period_us = first_instant(self.zone, day.replace(month=1, day=1))
        return Situation(version, band, period_us)

    def band(self, words: dict, shown: datetime) -> str:
        if "day_tables" not in words:
            return next(iter(words["prices_micro"]))
        tables = words["day_tables"]
        name = next(iter(tables))
        if "seasons" in words:
            kind = "weekend" if shown.isoweekday() in words.get("weekend", [6, 7]) else "workday"
            kind = words.get("special_days", {}).get(shown.date().isoformat(), kind)
            month_day = f"{shown:%m-%d}"
            for season in words["seasons"]:
                first, last = season["first"], season["last"]
                inside = (month_day >= first) + (month_day <= last) + (first > last)
                if inside == 2:
                    name = next(season["tables"][k] for k in ALIKE[kind] if k in season["tables"])
        clock = f"{shown:%H:%M}"
        return tables[name][max(start for start in tables[name] if start <= clock)]

    def parts(self, start_us: int, end_us: int) -> list[tuple[int, int, Situation | None]]:
        """The interval cut wherever the situation changes."""
        instants = {start_us} | {at for at in self.effective_us if start_us < at < end_us}
        instants |= set(range(-(-start_us // MINUTE_US) * MINUTE_US, end_us, MINUTE_US))
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

        loads: list[tuple[Situation, dict[str, int]]] = []
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
                for band, energy in load.items():
                    loads[-1][1][band] = loads[-1][1].get(band, 0) + energy
            else:
                loads.append((now, load))
        return sum((self.charge(now, load, position) for now, load in loads), Fraction(0))

    def charge(self, now: Situation, load: dict[str, int], position: Position) -> Fraction:
        words = self.versions[now.version]
        if now.period_us != position.period_us:
            position.used_milli, position.period_us = 0, now.period_us
        limits = words.get("blocks", {}).get("limits_milli", [])
        in_band_order = [
            (band, load[band])
            for band in words.get("bands", list(words["prices_micro"]))
            if load.get(band, 0) > 0
        ]
        if words.get("blocks", {}).get("fill") == "pro_rata":
            return self.pro_rata(words, in_band_order, limits, position)
        cost = Fraction(0)
        for band, energy in in_band_order:
            for block, part in enumerate(fill(limits, position.used_milli, energy)):
                cost += part * unit_price(words, band, block)
            position.used_milli += energy
        return cost

    def pro_rata(
        self, words: dict, loads: list[tuple[str, int]], limits: list[int], position: Position
    ) -> Fraction:
        total = sum(energy for _, energy in loads)
        left = fill(limits, position.used_milli, total)
        position.used_milli += total
        cost = Fraction(0)
        for band, energy in loads:
            whole = sum(left)
            upto = [floor(Fraction(energy * sum(left[: k + 1]), whole)) for k in range(len(left))]
            parts = [after - before for before, after in zip([0, *upto], upto, strict=False)]
            assert min(parts) >= 0
            assert sum(parts) == energy
            cost += sum(part * unit_price(words, band, k) for k, part in enumerate(parts))
            left = [room - part for room, part in zip(left, parts, strict=True)]
        assert sum(left) == 0
        return cost


def same_blocks(one: Situation, other: Situation) -> bool:
    return (one.version, one.period_us) == (other.version, other.period_us)


def fill(limits: list[int], used: int, energy: int) -> list[int]:
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
