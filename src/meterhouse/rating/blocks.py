"""Blocks (阶梯): how use counts toward a higher price, as data.

Owns the limits, when they begin again, how they fill, whose use counts, and what they are in a
season or for a large household. Must never know what a block costs (`tariff`).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from meterhouse.rating.fields import TariffInvalid, is_whole, list_of, object_of, whole_of, word_of
from meterhouse.units import REGISTER_MILLI_MAX
from meterhouse.words import N_

BLOCKS_MAX = 8
PERSONS_MAX = 100


class Period(StrEnum):
    """After how long the blocks begin again, by the project's calendar.

    Months and years begin at the anchor of the billing period, seasons at midnight of their first
    day.
    """

    NONE = "none"
    MONTH = "month"
    YEAR = "year"
    SEASON = "season"


class Fill(StrEnum):
    """How an interval that meets several bands and several blocks fills the blocks.

    Chronological: in the order of time. Pro rata: every band in the same proportion.
    """

    CHRONOLOGICAL = "chronological"
    PRO_RATA = "pro_rata"


class Counted(StrEnum):
    """Whose use fills the blocks: each meter's its own, or a household's of all its meters."""

    METER = "meter"
    HOUSEHOLD = "household"


@dataclass(frozen=True, slots=True)
class Blocks:
    """Upper limits of all blocks but the last, in Milli within one period, ascending.

    Attributes:
        period, fill: as said there.
        limits_milli: the limits of a season that has none of its own.
        seasonal: other limits for seasons, by the season's name; what was used stays used where
            they change within a period.
        persons: (persons, Milli to add to each limit) for households of at least so many persons,
            ascending; the last that fits holds.
        counted: whose use fills them.
    """

    period: Period = Period.NONE
    fill: Fill = Fill.CHRONOLOGICAL
    limits_milli: tuple[int, ...] = ()
    seasonal: tuple[tuple[str, tuple[int, ...]], ...] = ()
    persons: tuple[tuple[int, tuple[int, ...]], ...] = ()
    counted: Counted = Counted.METER

    def limits_of(self, season: str) -> tuple[int, ...]:
        """The limits in a season."""
        return dict(self.seasonal).get(season, self.limits_milli)

    def of_household(self, persons: int) -> "Blocks":
        """The blocks of a household of so many persons."""
        adds = [add for least, add in self.persons if least <= persons]
        if not adds:
            return replace(self, persons=())
        return replace(
            self,
            limits_milli=_raised(self.limits_milli, adds[-1]),
            seasonal=tuple((name, _raised(limits, adds[-1])) for name, limits in self.seasonal),
            persons=(),
        )


def parse_blocks(data: Any, seasons: set[str], path: str) -> Blocks:
    """The blocks that a JSON object describes, in a version with these seasons."""
    optional = {"period", "fill", "limits_milli", "seasonal", "persons", "counted"}
    fields = object_of(data, path, set(), optional)
    limits = _limits(fields.get("limits_milli", []), f"{path}.limits_milli")
    seasonal = fields.get("seasonal", {})
    at = f"{path}.seasonal"
    object_of(seasonal, at, set(), seasons)
    found = {name: _limits(seasonal[name], f"{at}.{name}") for name in sorted(seasonal)}
    for name, others in found.items():
        if len(others) != len(limits):
            mend = N_("give {count} limits, as limits_milli has")
            raise TariffInvalid(f"{at}.{name}", mend, count=len(limits))
    blocks = Blocks(
        period=word_of(Period, fields.get("period", "none"), f"{path}.period"),
        fill=word_of(Fill, fields.get("fill", "chronological"), f"{path}.fill"),
        limits_milli=limits,
        seasonal=tuple(found.items()),
        counted=word_of(Counted, fields.get("counted", "meter"), f"{path}.counted"),
    )
    return replace(blocks, persons=_persons(fields.get("persons", []), blocks, f"{path}.persons"))


def dump_blocks(blocks: Blocks) -> dict[str, Any]:
    """Their JSON form; what stands in addition to plain limits only where there is such a thing."""
    said: dict[str, Any] = {
        "period": blocks.period.value,
        "fill": blocks.fill.value,
        "limits_milli": list(blocks.limits_milli),
    }
    if blocks.seasonal:
        said["seasonal"] = {name: list(limits) for name, limits in blocks.seasonal}
    if blocks.persons:
        said["persons"] = [
            {"persons": persons, "add_milli": list(adds)} for persons, adds in blocks.persons
        ]
    if blocks.counted is not Counted.METER:
        said["counted"] = blocks.counted.value
    return said


def _limits(data: Any, path: str) -> tuple[int, ...]:
    limits = list_of(data, path, 0, BLOCKS_MAX - 1)
    below = 0
    for place, limit in enumerate(limits):
        if not is_whole(limit) or not below < limit <= REGISTER_MILLI_MAX:
            mend = N_(
                "give an integer of Milli above {below}: each limit lies above the one before"
            )
            raise TariffInvalid(f"{path}[{place}]", mend, below=below)
        below = limit
    return tuple(limits)


def _persons(data: Any, blocks: Blocks, path: str) -> tuple[tuple[int, tuple[int, ...]], ...]:
    found: list[tuple[int, tuple[int, ...]]] = []
    count = len(blocks.limits_milli)
    for place, row in enumerate(list_of(data, path, 0, PERSONS_MAX)):
        at = f"{path}[{place}]"
        fields = object_of(row, at, {"persons", "add_milli"}, set())
        least = found[-1][0] + 1 if found else 1
        persons = whole_of(fields["persons"], f"{at}.persons", least, PERSONS_MAX)
        adds = tuple(
            whole_of(add, f"{at}.add_milli[{i}]", 0, REGISTER_MILLI_MAX)
            for i, add in enumerate(list_of(fields["add_milli"], f"{at}.add_milli", count, count))
        )
        for limits in (blocks.limits_milli, *(limits for _, limits in blocks.seasonal)):
            _limits(list(_raised(limits, adds)), f"{at}.add_milli")
        found.append((persons, adds))
    return tuple(found)


def _raised(limits_milli: tuple[int, ...], adds_milli: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(limit + add for limit, add in zip(limits_milli, adds_milli, strict=True))
