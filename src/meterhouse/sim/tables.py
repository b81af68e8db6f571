"""What a meter charges by: a set in force, a standby set, and the times that swap their parts.

Owns the two sets and which parts of them have been swapped. Must never know energy or bytes. Each
part (zones, day tables, tariff prices, blocks) has its own switch time, as on the wire; a time that
is over when it is written swaps at once.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, TypeAlias

SLOTS_MAX: Final = 14
TABLES_MAX: Final = 8
LIMITS: Final = 3
LIMIT_NEVER_WH: Final = 999_999_990

Slots: TypeAlias = tuple[tuple[int, int], ...]
"""A daily table: (minute at which it starts, band 1 to 4), in order; it wraps around midnight."""

DEFAULT_SLOTS: Final[Slots] = (
    (0 * 60, 4),
    (7 * 60, 3),
    (10 * 60, 2),
    (15 * 60, 3),
    (18 * 60, 2),
    (19 * 60, 1),
    (21 * 60, 2),
    (22 * 60 + 30, 3),
    (23 * 60, 4),
)
"""A common table: valley, flat, peak, flat, peak, sharp, peak, flat, valley."""


class Part(StrEnum):
    """What is swapped together, in the order of its switch times on the wire."""

    ZONES = "zones"
    SLOTS = "slots"
    PRICES = "prices"
    LIMITS = "limits"


@dataclass(frozen=True, slots=True)
class Tables:
    """One set.

    Attributes:
        zones: (month, day, day table from then on), in order; the last one wraps around new year.
        slots: the day tables 1, 2, …
        price_micro: the price of each tariff per kWh.
        limit_wh: where each block of a month ends.
        block_micro: what each block adds to the tariff's price.
    """

    zones: tuple[tuple[int, int, int], ...] = ((1, 1, 1),)
    slots: tuple[Slots, ...] = (DEFAULT_SLOTS,) * TABLES_MAX
    price_micro: tuple[int, ...] = (0, 0, 0, 0)
    limit_wh: tuple[int, ...] = (LIMIT_NEVER_WH,) * LIMITS
    block_micro: tuple[int, ...] = (0,) * (LIMITS + 1)

    def slots_on(self, month: int, day: int) -> Slots:
        """The day table of a date."""
        table = self.zones[-1][2]
        for zone_month, zone_day, zone_table in self.zones:
            if (zone_month, zone_day) <= (month, day):
                table = zone_table
        return self.slots[table - 1]

    def added_micro(self, used_wh: int) -> int:
        """What a block adds once a month has counted this much."""
        place = sum(used_wh >= limit for limit in self.limit_wh)
        return self.block_micro[place]

    def next_limit_wh(self, used_wh: int) -> int:
        """Where the block ends in which a month stands that has counted this much."""
        return min((limit for limit in self.limit_wh if limit > used_wh), default=LIMIT_NEVER_WH)


_FIELDS: Final = {
    Part.ZONES: ("zones",),
    Part.SLOTS: ("slots",),
    Part.PRICES: ("price_micro",),
    Part.LIMITS: ("limit_wh", "block_micro"),
}


class TwoSets:
    """Both sets of one meter, and what is to swap when.

    Attributes:
        now: the set in force.
        standby: the other one.
        swapped: the parts whose set 2 is in force.
    """

    __slots__ = ("_due", "now", "standby", "swapped")

    def __init__(self, tables: Tables) -> None:
        self.now = self.standby = tables
        self.swapped: frozenset[Part] = frozenset()
        self._due: tuple[tuple[int, Part], ...] = ()

    def switch_at(self, part: Part, shown_ms: int) -> None:
        """Let a part's standby set come into force when the meter's clock shows this."""
        others = tuple(each for each in self._due if each[1] is not part)
        self._due = tuple(sorted((*others, (shown_ms, part))))

    def swap(self, shown_ms: int) -> None:
        """Swap what is due when the clock shows this."""
        while self._due and self._due[0][0] <= shown_ms:
            part = self._due[0][1]
            mine, other = _part(self.now, part), _part(self.standby, part)
            self.now, self.standby = replace(self.now, **other), replace(self.standby, **mine)
            self.swapped ^= {part}
            self._due = self._due[1:]

    @property
    def next_ms(self) -> int | None:
        """What the clock shows at the next swap."""
        return self._due[0][0] if self._due else None


def _part(tables: Tables, part: Part) -> dict[str, Any]:
    return {name: getattr(tables, name) for name in _FIELDS[part]}
