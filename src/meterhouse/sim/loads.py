"""What customers draw: load shapes whose energy up to any instant is an exact integer.

Owns the published figures and their running sums. Must never know a meter. A shape is a calendar
of days, each day one of a few kinds, each kind 96 quarter hours of constant power; two sums made
once (up to each day, up to each quarter hour) give the energy between any two instants by two
look-ups and a product, however long ago the meter was last asked. That is what lets ten thousand
meters live without ticking.

Sources: half hours measured in one household (UCI, CC BY 4.0) and the VDEW/BDEW standard profiles
H0, G0, G1, G4 of 1999, see `data/NOTICE.md`. The H0 profile's published day-by-day smoothing is
left out; its three seasons change at once, as in the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files

from meterhouse.errors import OutOfRange
from meterhouse.sim.instant import DAY_MS, HOUR_MS

SLOT_MS = HOUR_MS // 4
SLOTS_PER_DAY = DAY_MS // SLOT_MS
FIRST_DAY = date(2020, 1, 1)
CALENDAR_DAYS = (date(2060, 1, 1) - FIRST_DAY).days

NJ_PER_WH = 3_600 * 10**9
"""A meter counts in nanojoule, because mW × ms × ‰ is just that: nothing is ever rounded."""


class LoadClass(StrEnum):
    """Whose habits a load follows; `STEADY` draws one watt for ever and is for worked examples."""

    HOUSEHOLD = "household"
    H0 = "h0"
    G0 = "g0"
    G1 = "g1"
    G4 = "g4"
    STEADY = "steady"


class LoadShape:
    """Power over wall time, with its running integral.

    Args:
        kinds: for each kind of day, 96 mean powers in mW.
        calendar: the kind of each day from 2020-01-01 on.
    """

    __slots__ = ("_before_day_uj", "_before_slot_uj", "_calendar", "_power_mw")

    def __init__(self, kinds: Sequence[Sequence[int]], calendar: Sequence[int]) -> None:
        self._power_mw = tuple(tuple(kind) for kind in kinds)
        self._calendar = tuple(calendar)
        self._before_slot_uj = tuple(_running(kind, SLOT_MS) for kind in self._power_mw)
        day_uj = [sums[-1] for sums in self._before_slot_uj]
        self._before_day_uj = _running([day_uj[kind] for kind in self._calendar], 1)

    def energy_uj(self, wall_ms: int) -> int:
        """Energy from 2020-01-01 00:00 up to a wall time, in µJ, exact.

        Raises:
            OutOfRange: before 2020 or after 2059.
        """
        day, rest_ms = divmod(wall_ms, DAY_MS)
        if not 0 <= day < CALENDAR_DAYS:
            raise OutOfRange("day of the load calendar", day, 0, CALENDAR_DAYS - 1)
        slot, into_ms = divmod(rest_ms, SLOT_MS)
        kind = self._calendar[day]
        return (
            self._before_day_uj[day]
            + self._before_slot_uj[kind][slot]
            + self._power_mw[kind][slot] * into_ms
        )

    def power_mw(self, wall_ms: int) -> int:
        """Mean power of the quarter hour around a wall time, in mW."""
        day, rest_ms = divmod(wall_ms, DAY_MS)
        if not 0 <= day < CALENDAR_DAYS:
            raise OutOfRange("day of the load calendar", day, 0, CALENDAR_DAYS - 1)
        return self._power_mw[self._calendar[day]][rest_ms // SLOT_MS]


@dataclass(frozen=True, slots=True)
class Load:
    """One customer's share of a shape.

    Attributes:
        shape: what the class of customer draws.
        scale_permille: this customer against the class, in thousandths.
        shift_ms: how much earlier than the class this customer lives (whole days pick other days).
    """

    shape: LoadShape
    scale_permille: int
    shift_ms: int = 0

    def energy_nj(self, wall_ms: int) -> int:
        """Energy the customer would have drawn up to a wall time, in nJ; only differences count."""
        return self.shape.energy_uj(wall_ms + self.shift_ms) * self.scale_permille

    def power_mw(self, wall_ms: int) -> int:
        """Power drawn at a wall time, in mW."""
        return self.shape.power_mw(wall_ms + self.shift_ms) * self.scale_permille // 1000

    def reaches_ms(self, energy_nj: int, from_ms: int, to_ms: int) -> int:
        """The first wall time of a span at which `energy_nj` has been drawn, or its end."""
        while from_ms < to_ms:
            middle_ms = (from_ms + to_ms) // 2
            if self.energy_nj(middle_ms) >= energy_nj:
                to_ms = middle_ms
            else:
                from_ms = middle_ms + 1
        return to_ms


@cache
def shape_of(load_class: LoadClass) -> LoadShape:
    """The shape of a class of customers; made once and shared by every meter."""
    days = [FIRST_DAY + timedelta(days=n) for n in range(CALENDAR_DAYS)]
    if load_class is LoadClass.STEADY:
        return LoadShape([[1000] * SLOTS_PER_DAY], [0] * CALENDAR_DAYS)
    if load_class is LoadClass.HOUSEHOLD:
        # Wh of half an hour × 2 is the mean power in W; each half hour fills two quarters.
        kinds = [
            [int(energy_wh) * 2000 for energy_wh in row[1:] for _ in range(2)]
            for row in _rows("household_days.csv")
        ]
        return LoadShape(kinds, [n % len(kinds) for n in range(CALENDAR_DAYS)])
    profile = {
        (season, day_type): [int(power_10mw) * 10 for power_10mw in powers]
        for name, season, day_type, *powers in _rows("bdew_profiles.csv")
        if name == load_class.value
    }
    order = {key: index for index, key in enumerate(profile)}
    return LoadShape(list(profile.values()), [order[_season(d), _day_type(d)] for d in days])


def _running(steps: Sequence[int], factor: int) -> tuple[int, ...]:
    sums = [0]
    for step in steps:
        sums.append(sums[-1] + step * factor)
    return tuple(sums)


def _rows(name: str) -> list[list[str]]:
    text = (files("meterhouse.sim") / "data" / name).read_text(encoding="utf-8")
    return [line.split(",") for line in text.splitlines() if not line.startswith("#")]


def _season(day: date) -> str:
    """Season of the VDEW profiles: winter from 1 November, summer 15 May to 14 September."""
    key = (day.month, day.day)
    if (5, 15) <= key <= (9, 14):
        return "summer"
    return "transition" if (3, 21) <= key <= (10, 31) else "winter"


def _day_type(day: date) -> str:
    return {5: "saturday", 6: "sunday"}.get(day.weekday(), "workday")
