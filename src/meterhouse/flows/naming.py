"""Names by a rule: three buildings of six floors of twenty rooms, from one line.

Owns what a rule may say and the names it unfolds into. Must never know a database: the same
function gives the preview and the rows. A rule is text with numbers in braces, as in
`{building}{floor}{room:02}`: `:02` writes at least two digits, `:A` a letter.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from meterhouse.errors import BadInput, OutOfRange
from meterhouse.words import N_

NAME_CHARS_MAX: Final = 60
ROOMS_MAX: Final = 10_000
LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PART: Final = re.compile(r"{(building|floor|room)(?::(0[1-9]|A))?}")


class RuleUnusable(BadInput):
    """In braces only {known} may stand here, with :02 for two digits or :A for a letter."""

    code = "rule_unusable"

    def __init__(self, known: Iterable[str], field: str = "") -> None:
        super().__init__(known=", ".join(f"{{{one}}}" for one in known))
        self.field = field


class NameUnfit(BadInput):
    """This rule gives the name {name!r}; a name has 1 to {most} characters."""

    code = "name_unfit"

    def __init__(self, name: str, field: str = "") -> None:
        super().__init__(name=name[:20], most=NAME_CHARS_MAX)
        self.field = field


class LetterBeyond(BadInput):
    """There is no letter for {number}; letters go from 1 to {most}."""

    code = "letter_beyond"

    def __init__(self, number: int, field: str = "") -> None:
        super().__init__(number=number, most=len(LETTERS))
        self.field = field


class NamesTwice(BadInput):
    """These names would stand twice: {names}."""

    code = "names_twice"

    def __init__(self, names: list[str], field: str = "") -> None:
        super().__init__(names=", ".join(names[:5]) + (" …" if len(names) > 5 else ""))
        self.field = field


@dataclass(frozen=True, slots=True)
class Pattern:
    """How many of what, counted from where, and how each is called.

    `skipped` numbers are left out of floors and rooms (4, 13 …), the count stays as it is.
    """

    building_count: int = 1
    building_first: int = 1
    building_rule: str = "{building}"
    floor_count: int = 1
    floor_first: int = 1
    floor_rule: str = "{floor}F"
    room_count: int = 1
    room_first: int = 1
    room_rule: str = "{floor}{room:02}"
    skipped: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Floor:
    """A floor's name and those of its rooms."""

    name: str
    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Building:
    """A building's name and its floors, lowest first."""

    name: str
    floors: tuple[Floor, ...]


def unfold(pattern: Pattern) -> list[Building]:
    """Every building, floor and room the pattern names.

    Raises:
        RuleUnusable: a rule names something unknown.
        NameUnfit: a rule gives a name that is empty or too long.
        LetterBeyond: a number that has no letter.
        NamesTwice: two places of one parent would have the same name.
        OutOfRange: more rooms than can be made at once.
    """
    count = pattern.building_count * pattern.floor_count * pattern.room_count
    if not 0 <= count <= ROOMS_MAX:
        raise OutOfRange(N_("Number of rooms"), count, 0, ROOMS_MAX)
    buildings = []
    first = pattern.building_first
    for building in range(first, first + pattern.building_count):
        floors = []
        for floor in _numbers(pattern.floor_first, pattern.floor_count, pattern.skipped):
            rooms = [
                _name(pattern.room_rule, "room_rule", building, floor, room)
                for room in _numbers(pattern.room_first, pattern.room_count, pattern.skipped)
            ]
            _check_once(rooms, "room_rule")
            name = _name(pattern.floor_rule, "floor_rule", building, floor, 0)
            floors.append(Floor(name, tuple(rooms)))
        _check_once([floor.name for floor in floors], "floor_rule")
        name = _name(pattern.building_rule, "building_rule", building, 0, 0)
        buildings.append(Building(name, tuple(floors)))
    _check_once([building.name for building in buildings], "building_rule")
    return buildings


def _numbers(first: int, count: int, skipped: frozenset[int]) -> Iterator[int]:
    """So many numbers from the first on, without those that are left out."""
    number = first
    while count:
        if number not in skipped:
            yield number
            count -= 1
        number += 1


def _name(rule: str, field: str, building: int, floor: int, room: int) -> str:
    numbers = {"building": building, "floor": floor, "room": room}
    allowed = {"building_rule": 1, "floor_rule": 2, "room_rule": 3}[field]
    known = list(numbers)[:allowed]

    def written(found: re.Match[str]) -> str:
        if found[1] not in known:
            raise RuleUnusable(known, field)
        if found[2] == "A":
            return _letter(numbers[found[1]], field)
        return f"{numbers[found[1]]:0{int(found[2] or 1)}d}"

    name = _PART.sub(written, rule).strip()
    if "{" in name or "}" in name:
        raise RuleUnusable(known, field)
    if not 1 <= len(name) <= NAME_CHARS_MAX:
        raise NameUnfit(name, field)
    return name


def _letter(number: int, field: str) -> str:
    if not 1 <= number <= len(LETTERS):
        raise LetterBeyond(number, field)
    return LETTERS[number - 1]


def _check_once(names: list[str], field: str) -> None:
    if len(set(names)) == len(names):
        return
    counted = Counter(names)
    raise NamesTwice([name for name, count in counted.items() if count > 1], field)
