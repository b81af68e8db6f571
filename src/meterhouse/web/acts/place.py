"""Acts on the tree of places."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import BadInput
from meterhouse.flows import naming, place
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.web import labels
from meterhouse.web.acts import typed
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Name, Why
from meterhouse.web.acts.typed import EXAMPLE, Number, Short, Version
from meterhouse.web.api import setup as shapes
from meterhouse.words import N_

_TAG: Final = "places"
_PLACE: Final = "/projects/{project_id}/places/{place_id}"

Count = Annotated[int, Field(ge=1, le=500, examples=[6])]
First = Annotated[int, Field(ge=0, le=9_999, examples=[1])]
Rule = Annotated[str, StringConstraints(min_length=1, max_length=60)]
Skipped = Annotated[
    str, StringConstraints(max_length=100),
    Ask(N_("Numbers left out"), hint=N_("Of floors and rooms, such as 4, 13, 14")),
]  # fmt: skip


class SkippedUnusable(BadInput):
    """List whole numbers with commas between them."""

    code = "skipped_unusable"


async def _parents(doing: Doing) -> Choices:
    found = await place.parents(doing.db, doing.project_id, "room")
    return [(str(number), name) for number, name in found]


async def _others(doing: Doing) -> Choices:
    now = await place.look(doing.db, doing.project_id, doing.ids["place_id"])
    found = await place.parents(doing.db, doing.project_id, now.row["kind"])
    return [(str(number), name) for number, name in found]


class FloorPattern(Form):
    """Floors and rooms that are named by a rule."""

    floor_count: Annotated[Count, Ask(N_("Floors"), half=True)] = 1
    """Floors a building."""
    floor_first: Annotated[First, Ask(N_("First floor number"), half=True)] = 1
    """The lowest floor's number."""
    floor_rule: Annotated[
        Rule, Ask(N_("Floor names"), hint=N_("May use {building} and {floor}"))
    ] = Field(default="{floor}F", examples=["{floor}F"])
    """Rule of a floor's name."""
    room_count: Annotated[Count, Ask(N_("Rooms a floor"), half=True)] = 1
    """Rooms a floor."""
    room_first: Annotated[First, Ask(N_("First room number"), half=True)] = 1
    """The first room's number on each floor."""
    room_rule: Annotated[
        Rule, Ask(N_("Room names"), hint=N_("May use {building}, {floor} and {room:02}"))
    ] = Field(default="{floor}{room:02}", examples=["{floor}{room:02}"])
    """Rule of a room's name; `:02` writes two digits, `:A` a letter."""
    skipped: Skipped = Field(default="", examples=["4, 13"])
    """Numbers left out of floors and rooms."""


class BuildingCount(Form):
    """How many buildings, and how they are called."""

    building_count: Annotated[Count, Ask(N_("Buildings"), half=True)] = 1
    """Buildings that are made."""
    building_first: Annotated[First, Ask(N_("First building number"), half=True)] = 1
    """The first building's number."""
    building_rule: Annotated[
        Rule, Ask(N_("Building names"), hint=N_("{building} is the number, {building:A} a letter"))
    ] = Field(default="{building}", examples=["{building}"])
    """Rule of a building's name."""


class BuildingPattern(FloorPattern, BuildingCount):
    """Buildings that are all alike, with floors and rooms."""


class NewPlace(Form):
    """One place."""

    kind: Annotated[str, StringConstraints(pattern="^(building|floor|room|area)$"),
        Field(examples=["room"]),
                    Ask(N_("Kind"), kind="choice", words=labels.PLACE_KIND)]  # fmt: skip
    """What it is: building, floor, room or public area."""
    name: Annotated[Name, Ask(N_("Place name"))]
    """Its name, which no sibling has."""
    parent_id: Annotated[
        Number | None, EXAMPLE, Ask(N_("Within"), kind="choice", choices=_parents)
    ] = None
    """Id of the building or floor it lies in; none for a building."""
    area: Annotated[str, Short, Ask(N_("Area"), unit=N_("m²"))] = Field(
        default="", examples=["86.50"]
    )
    """Area in m², at most two decimals."""


class PlaceChange(Form):
    """A place as it shall be."""

    version: Version
    """The version it was read at."""
    name: Annotated[Name, Ask(N_("Place name"))]
    """Its name, which no sibling has."""
    parent_id: Annotated[
        Number | None, EXAMPLE, Ask(N_("Within"), kind="choice", choices=_others)
    ] = None
    """Id of the building or floor it lies in; none for a building."""
    area: Annotated[str, Short, Ask(N_("Area"), unit=N_("m²"))] = Field(
        default="", examples=["86.50"]
    )
    """Area in m², at most two decimals; empty if unknown."""


def _skipped(text: str) -> frozenset[int]:
    if not text:
        return frozenset()
    parts = [part for part in re.split(r"\W+", text) if part]
    if not all(part.isdecimal() and len(part) <= 4 for part in parts):
        raise typed.beside(SkippedUnusable(), "skipped")
    return frozenset(int(part) for part in parts)


def _pattern(form: FloorPattern) -> naming.Pattern:
    facts = form.model_dump()
    return naming.Pattern(**facts | {"skipped": _skipped(form.skipped)})


async def _preview(doing: Doing, form: FloorPattern) -> Choices:
    """The first and the last name of each kind, and how many there are."""
    found = naming.unfold(_pattern(form))
    floors = [floor for one in found for floor in one.floors]
    rooms = [room for floor in floors for room in floor.rooms]
    told = [
        (N_("Floors"), _span(doing, [floor.name for floor in floors])),
        (N_("Rooms"), _span(doing, rooms)),
    ]
    if isinstance(form, BuildingPattern):
        told.insert(0, (N_("Buildings"), _span(doing, [one.name for one in found])))
    return told


def _span(doing: Doing, names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    return doing.words(
        N_("{count}: {first} … {last}"), count=len(names), first=names[0], last=names[-1]
    )


async def _grow(doing: Doing, form: BuildingPattern) -> Done:
    """Add buildings with floors and rooms named by a rule; all or none."""
    found = naming.unfold(_pattern(form))
    made = await place.grow(doing.db, doing.project_id, found)
    return _grown(made)


async def _grow_floors(doing: Doing, form: FloorPattern) -> Done:
    """Add floors with rooms named by a rule to a building; all or none."""
    (found,) = naming.unfold(_pattern(form))
    made = await place.grow_floors(doing.db, doing.project_id, doing.ids["place_id"], found.floors)
    return _grown(made)


def _grown(made: place.Grown) -> Done:
    shape = shapes.Grown(
        building_ids=list(made.building_ids), floor_count=made.floor_count,
        room_count=made.room_count,
    ).model_dump()  # fmt: skip
    return Done(f"place:{made.building_ids[0]}", shape, after=shape)


async def _add(doing: Doing, form: NewPlace) -> Done:
    """Add one building, floor, room or public area."""
    measured_dm2 = typed.area_dm2(form.area)
    made = await place.add(
        doing.db, doing.project_id, form.parent_id, form.kind, form.name, measured_dm2
    )
    after = {"kind": form.kind, "name": form.name, "area_dm2": measured_dm2}
    return Done(f"place:{made}", {"id": made}, after=after)


async def _edit(doing: Doing, form: PlaceChange) -> Done:
    """Rename a place, measure it or move it to another building or floor."""
    place_id = doing.ids["place_id"]
    measured_dm2 = typed.area_dm2(form.area)
    was = await place.edit(
        doing.db, doing.project_id, place_id, form.version, form.name, measured_dm2,
        form.parent_id,
    )  # fmt: skip
    after = {"name": form.name, "area_dm2": measured_dm2, "parent_id": form.parent_id}
    before = {key: was[key] for key in after}
    return Done(f"place:{place_id}", {"id": place_id}, before, after)


async def _typed(doing: Doing) -> Mapping[str, Any]:
    row = (await place.look(doing.db, doing.project_id, doing.ids["place_id"])).row
    return {
        "version": row["version"], "name": row["name"], "parent_id": row["parent_id"] or "",
        "area": typed.area_text(row["area_dm2"]),
    }  # fmt: skip


async def _remove(doing: Doing, form: Why) -> Done:
    """Remove a place in which nothing lies and to which nothing belongs."""
    place_id = doing.ids["place_id"]
    was = await place.remove(doing.db, doing.project_id, place_id)
    before = {"kind": was["kind"], "name": was["name"]}
    return Done(f"place:{place_id}", before=before, reason=form.reason)


async def _about(doing: Doing) -> Choices:
    now = await place.look(doing.db, doing.project_id, doing.ids["place_id"])
    return ((N_("Place"), " ".join(one["name"] for one in now.path)),)


def _places(doing: Doing, _: Any) -> str:
    return f"/projects/{doing.project_id}/places"


def _building(doing: Doing, answer: Any) -> str:
    return f"{_places(doing, answer)}/{answer['building_ids'][0]}"


GROW: Final = Act(
    "place.grow", Verb.PLACE_EDIT, "/projects/{project_id}/buildings", N_("Add buildings"),
    BuildingPattern, shapes.Grown, _grow, tag=_TAG, preview=_preview, then=_building,
)  # fmt: skip
GROW_FLOORS: Final = Act(
    "place.grow_floors", Verb.PLACE_EDIT, f"{_PLACE}/floors", N_("Add floors and rooms"),
    FloorPattern, shapes.Grown, _grow_floors, tag=_TAG, about=_about, preview=_preview,
)  # fmt: skip
ADD: Final = Act(
    "place.add", Verb.PLACE_EDIT, "/projects/{project_id}/places", N_("Add place"), NewPlace,
    shapes.Made, _add, tag=_TAG,
)  # fmt: skip
EDIT: Final = Act(
    "place.edit", Verb.PLACE_EDIT, _PLACE, N_("Edit place"), PlaceChange, shapes.Made, _edit,
    method="PUT", tag=_TAG, about=_about, typed=_typed,
)  # fmt: skip
REMOVE: Final = Act(
    "place.remove", Verb.PLACE_EDIT, f"{_PLACE}/remove", N_("Remove place"), Why, None, _remove,
    tag=_TAG, about=_about, danger=True, then=_places,
    consequence=N_("The place is gone. It must be empty: no rooms, no points, no meters."),
)  # fmt: skip

ACTS: Final = (GROW, GROW_FLOORS, ADD, EDIT, REMOVE)
