"""Rooms as the monitor shows them, one tile each, and pages of them for programs.

Owns which point speaks for a room. Must never know how a tile is shown. A room's state is
computed, not stored, so a page in one state looks at rooms in order until it is full.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from meterhouse.flows import monitor
from meterhouse.flows.monitor import LISTS, Following, PointNow, Position, Wanted
from meterhouse.model import Commodity, Override, Relay, RoomState
from meterhouse.store import lists, reports
from meterhouse.store.db import Connection, Database
from meterhouse.store.lists import ListQuery

_WORST_FIRST: Final = {state: rank for rank, state in enumerate(RoomState)}
# Rooms looked at in one go for a page in one state.
_LOOK_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Tile:
    """One room on the monitor; of several points the worst state and the electricity's money."""

    room_id: int
    room: str
    floor: str
    building_id: int
    building: str
    customer: str | None
    is_erased: bool
    state: RoomState
    relay: Relay
    override: Override
    available_minor: int | None


@dataclass(frozen=True, slots=True)
class Page(Following):
    """Tiles of a page, and the pulse at which they were read."""

    seq: int


async def following(
    db: Database, project_id: int, wanted: Wanted, state: RoomState | None,
    after: Position | None, *, counted: bool,
) -> Page:  # fmt: skip
    """The rooms after a position, of one state where one is asked for.

    Raises:
        PositionUnfit: the position is none of this list in this order.
    """
    query, found = LISTS["rooms"].within(db.building_ids), list[Tile]()
    looked = replace(wanted, limit=wanted.limit if state is None else _LOOK_ROWS)
    async with db.transaction([project_id]) as connection:
        # The pulse is read first: a change in between is then seen again, never missed.
        seq = await reports.pulse(connection, project_id)
        end, is_more = after, True
        while is_more and len(found) < wanted.limit:
            rows = await lists.fetch_after(
                connection, query, project_id, replace(looked, limit=looked.limit + 1), end
            )
            is_more, rows = len(rows) > looked.limit, rows[: looked.limit]
            where = {row["id"]: lists.position(query, wanted, row) for row in rows}
            for tile in await _tiles(connection, project_id, list(where)):
                if state is not None and tile.state != state:
                    continue
                if len(found) == wanted.limit:
                    is_more = True
                    break
                found.append(tile)
                end = where[tile.room_id]
            else:
                end = where[rows[-1]["id"]] if rows else end
        row_count = None
        if counted:
            row_count = await _count(connection, query, project_id, wanted, state)
    return Page(found, end if is_more else None, row_count, seq)


async def _count(
    connection: Connection, query: ListQuery, project_id: int, wanted: Wanted,
    state: RoomState | None,
) -> int:  # fmt: skip
    if state is None:
        return await lists.count_list(connection, query, project_id, wanted)
    count, after = 0, None
    while True:
        looked = replace(wanted, limit=_LOOK_ROWS)
        rows = await lists.fetch_after(connection, query, project_id, looked, after)
        tiles = await _tiles(connection, project_id, [row["id"] for row in rows])
        count += sum(tile.state == state for tile in tiles)
        if len(rows) < _LOOK_ROWS or count > lists.COUNT_MAX_ROWS:
            return count
        after = lists.position(query, wanted, rows[-1])


async def _tiles(connection: Connection, project_id: int, room_ids: Sequence[int]) -> list[Tile]:
    """The tiles of these rooms, in their order."""
    rows = await reports.points_of_rooms(connection, project_id, room_ids)
    tiles = {tile.room_id: tile for tile in tiles_of(monitor.points_now(rows))}
    return [tiles[room_id] for room_id in room_ids if room_id in tiles]


def tiles_of(points: Sequence[PointNow]) -> list[Tile]:
    """One tile a room, in the order of the points."""
    rooms: dict[int, list[PointNow]] = {}
    for point in points:
        rooms.setdefault(point.room_id, []).append(point)
    return [_tile(mine) for mine in rooms.values()]


def _tile(points: Sequence[PointNow]) -> Tile:
    worst = min(points, key=lambda point: _WORST_FIRST[point.state])
    main = next((p for p in points if p.commodity is Commodity.ELECTRICITY), points[0])
    return Tile(
        main.room_id, main.room, main.floor, main.building_id, main.building, main.customer,
        main.is_erased, worst.state, main.relay, main.override, main.available_minor,
    )  # fmt: skip
