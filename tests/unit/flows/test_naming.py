"""Names by a rule: as many as asked for, each its siblings' only, and what is no rule is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterhouse.errors import OutOfRange
from meterhouse.flows.naming import (
    NAME_CHARS_MAX,
    LetterBeyond,
    NamesTwice,
    NameUnfit,
    Pattern,
    RuleUnusable,
    unfold,
)


def names(pattern):
    return [room for one in unfold(pattern) for floor in one.floors for room in floor.rooms]


def test_three_buildings_of_six_floors_of_twenty_rooms():
    found = unfold(
        Pattern(3, 1, "{building:A}", 6, 1, "{floor}F", 20, 1, "{building}{floor}{room:02}")
    )
    assert [one.name for one in found] == ["A", "B", "C"]
    assert [floor.name for floor in found[0].floors] == ["1F", "2F", "3F", "4F", "5F", "6F"]
    rooms = [room for one in found for floor in one.floors for room in floor.rooms]
    assert (len(rooms), rooms[0], rooms[-1]) == (360, "1101", "3620")


def test_numbers_left_out_leave_the_count_as_it_is():
    found = unfold(Pattern(floor_count=4, room_count=4, skipped=frozenset({3, 4})))
    assert [floor.name for floor in found[0].floors] == ["1F", "2F", "5F", "6F"]
    assert found[0].floors[0].rooms == ("101", "102", "105", "106")


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"room_rule": "{flat}"}, RuleUnusable, "room_rule"),
        ({"room_rule": "{room:x}"}, RuleUnusable, "room_rule"),
        ({"floor_rule": "{room}"}, RuleUnusable, "floor_rule"),
        ({"building_rule": "{floor}"}, RuleUnusable, "building_rule"),
        ({"room_rule": "}"}, RuleUnusable, "room_rule"),
        ({"room_rule": " "}, NameUnfit, "room_rule"),
        ({"room_rule": "x" * (NAME_CHARS_MAX + 1)}, NameUnfit, "room_rule"),
        ({"building_rule": "{building:A}", "building_first": 27}, LetterBeyond, "building_rule"),
        ({"room_rule": "same", "room_count": 2}, NamesTwice, "room_rule"),
        ({"floor_rule": "same", "floor_count": 2}, NamesTwice, "floor_rule"),
        ({"building_rule": "same", "building_count": 2}, NamesTwice, "building_rule"),
    ],
)
def test_what_is_no_rule_is_told_beside_its_field(changes, error, field):
    with pytest.raises(error) as told:
        unfold(Pattern(**changes))
    assert told.value.field == field


def test_more_rooms_than_can_be_made_at_once_are_refused():
    with pytest.raises(OutOfRange):
        unfold(Pattern(building_count=101, floor_count=10, room_count=10))


@given(
    st.integers(1, 5), st.integers(1, 8), st.integers(1, 30), st.integers(0, 50),
    st.frozensets(st.integers(0, 40), max_size=8),
)  # fmt: skip
def test_every_place_has_a_name_of_its_own_and_no_number_that_is_left_out(
    buildings, floors, rooms, first, skipped
):
    pattern = Pattern(
        buildings, first, "B{building}", floors, first, "F{floor:02}", rooms, first,
        "{building}-{floor}-{room:03}", skipped,
    )  # fmt: skip
    found = names(pattern)
    assert len(found) == buildings * floors * rooms == len(set(found))
    assert not {int(name.split("-")[2]) for name in found} & skipped
    assert not {int(name.split("-")[1]) for name in found} & skipped
