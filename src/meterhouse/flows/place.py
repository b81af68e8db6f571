"""The tree of places: grown by pattern or one by one, renamed, moved, pruned where it is empty.

Owns which kind of place may lie in which, and that siblings have names of their own. Must never
know a meter or a sum of money.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from meterhouse.errors import MeterhouseError
from meterhouse.flows.choice import chosen
from meterhouse.flows.naming import Building, Floor
from meterhouse.store import places
from meterhouse.store.db import Connection, Database
from meterhouse.store.places import NewPlace

INSIDE: Final[Mapping[str, frozenset[str | None]]] = {
    "building": frozenset({None}),
    "floor": frozenset({"building"}),
    "room": frozenset({"building", "floor"}),
    "area": frozenset({"building", "floor"}),
}
"""Kind → the kinds of place it may lie in; None is the top of the tree."""


class NamesTaken(MeterhouseError):
    """These names are taken already: {names}."""

    code = "names_taken"
    http_status = 409

    def __init__(self, names: Sequence[str], field: str = "name") -> None:
        super().__init__(names=", ".join(names[:5]) + (" …" if len(names) > 5 else ""))
        self.field = field


class ChangedMeanwhile(MeterhouseError):
    """Somebody else changed this meanwhile; load it again and repeat what is still right."""

    code = "changed_meanwhile"
    http_status = 412


class PlaceUnfit(MeterhouseError):
    """A place of this kind does not go there."""

    code = "place_unfit"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Grown:
    """What a pattern made: how many of each, and the first building's id."""

    building_ids: tuple[int, ...]
    floor_count: int
    room_count: int


@dataclass(frozen=True, slots=True)
class PlaceNow:
    """A place with the path to it, what lies beneath, and where it may be moved."""

    row: Any
    path: Sequence[Any]
    beneath: Sequence[Any]


async def grow(db: Database, project_id: int, buildings: Sequence[Building]) -> Grown:
    """Buildings with their floors and rooms; all or none.

    Raises:
        NamesTaken: there are buildings of these names.
    """
    async with db.transaction([project_id]) as connection:
        await places.lock_tree(connection, project_id)
        there = await places.children(connection, project_id, None)
        _check_free(there, [one.name for one in buildings], "building_rule")
        new = [NewPlace(None, "building", one.name, _next(there) + n)
               for n, one in enumerate(buildings)]  # fmt: skip
        ids = await places.insert_places(connection, project_id, new)
        floors = [(parent_id, one.floors) for parent_id, one in zip(ids, buildings, strict=True)]
        return await _add_floors(connection, project_id, floors, tuple(ids))


async def grow_floors(
    db: Database, project_id: int, building_id: int, floors: Sequence[Floor]
) -> Grown:
    """Floors with their rooms in a building that stands.

    Raises:
        NamesTaken: it has floors of these names.
        PlaceUnfit: it is no building.
    """
    async with db.transaction([project_id]) as connection:
        await places.lock_tree(connection, project_id)
        building = await places.get_place(connection, project_id, building_id)
        if building["kind"] != "building":
            raise PlaceUnfit
        there = await places.children(connection, project_id, building_id)
        _check_free(there, [one.name for one in floors], "floor_rule")
        return await _add_floors(
            connection, project_id, [(building_id, floors)], (building_id,), _next(there)
        )


async def _add_floors(
    connection: Connection, project_id: int, wanted: Sequence[tuple[int, Sequence[Floor]]],
    building_ids: tuple[int, ...], first_sort: int = 0,
) -> Grown:  # fmt: skip
    new = [
        NewPlace(parent_id, "floor", floor.name, first_sort + n)
        for parent_id, floors in wanted
        for n, floor in enumerate(floors)
    ]
    ids = await places.insert_places(connection, project_id, new)
    rooms = [
        NewPlace(floor_id, "room", name, n)
        for floor_id, floor in zip(ids, [f for _, floors in wanted for f in floors], strict=True)
        for n, name in enumerate(floor.rooms)
    ]
    await places.insert_places(connection, project_id, rooms)
    return Grown(building_ids, len(ids), len(rooms))


async def add(
    db: Database, project_id: int, parent_id: int | None, kind: str, name: str,
    area_dm2: int | None,
) -> int:  # fmt: skip
    """One place beneath another, after its siblings.

    Raises:
        NamesTaken: a sibling has this name.
        PlaceUnfit: a place of this kind does not go there.
    """
    async with db.transaction([project_id]) as connection:
        await places.lock_tree(connection, project_id)
        there = await _fitting(connection, project_id, parent_id, kind)
        _check_free(there, [name], "name")
        new = NewPlace(parent_id, kind, name, _next(there), area_dm2)
        (made,) = await places.insert_places(connection, project_id, [new])
        return made


async def edit(
    db: Database, project_id: int, place_id: int, version: int, name: str,
    area_dm2: int | None, parent_id: int | None,
) -> Any:  # fmt: skip
    """Rename, measure or move a place; answers it as it was.

    Raises:
        ChangedMeanwhile: it is not at this version any more.
        NamesTaken: a sibling, here or there, has this name.
        PlaceUnfit: a place of its kind does not go there.
    """
    async with db.transaction([project_id]) as connection:
        await places.lock_tree(connection, project_id)
        was = await places.get_place(connection, project_id, place_id)
        there = await _fitting(connection, project_id, parent_id, was["kind"])
        _check_free([one for one in there if one["id"] != place_id], [name], "name")
        if not await places.change_place(
            connection, project_id, place_id, version, name, area_dm2, parent_id
        ):
            raise ChangedMeanwhile
        return was


async def remove(db: Database, project_id: int, place_id: int) -> Any:
    """Take an empty place away; answers it as it was. Raises `PlaceNotEmpty`."""
    async with db.transaction([project_id]) as connection:
        await places.lock_tree(connection, project_id)
        was = await places.get_place(connection, project_id, place_id)
        await places.remove_place(connection, project_id, place_id)
        return was


async def buildings(db: Database, project_id: int) -> Sequence[Any]:
    """Every building with what it counts."""
    async with db.transaction([project_id]) as connection:
        return await places.building_counts(connection, project_id)


async def look(db: Database, project_id: int, place_id: int) -> PlaceNow:
    """One place with the path to it and the tree beneath it. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return PlaceNow(
            await places.get_place(connection, project_id, place_id),
            await places.path_to(connection, project_id, place_id),
            await places.places_beneath(connection, project_id, place_id),
        )


async def parents(db: Database, project_id: int, kind: str) -> list[tuple[int, str]]:
    """Id and full name of the places in which one of this kind may lie."""
    kinds = [one for one in INSIDE[kind] if one is not None]
    async with db.transaction([project_id]) as connection:
        rows = await places.parents_for(connection, project_id, kinds)
    return [(row["id"], row["name"]) for row in rows]


async def _fitting(
    connection: Connection, project_id: int, parent_id: int | None, kind: str
) -> Sequence[Any]:
    """What lies beneath a place that may hold one of this kind."""
    above = None
    if parent_id is not None:
        with chosen("parent_id"):
            above = (await places.get_place(connection, project_id, parent_id))["kind"]
    if above not in INSIDE[kind]:
        raise PlaceUnfit
    return await places.children(connection, project_id, parent_id)


def _check_free(there: Sequence[Any], names: Sequence[str], field: str) -> None:
    taken = {one["name"] for one in there}
    if found := [name for name in names if name in taken]:
        raise NamesTaken(found, field)


def _next(there: Sequence[Any]) -> int:
    return max((one["sort"] for one in there), default=-1) + 1
