"""The room monitor (房间监控): every room with its colour, its word and its money.

Owns the board page, its changes and its export. Must never know a rule: state and money come
finished from the flow.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from meterhouse.flows import monitor
from meterhouse.flows.access import Verb
from meterhouse.flows.rooms import Tile, tiles_of
from meterhouse.model import Override, Relay, RoomState
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.exports import Sheet, export
from meterhouse.web.formats import Formats
from meterhouse.web.live import Snapshot
from meterhouse.web.pages import formats_of, render
from meterhouse.web.tables import Column, Kind
from meterhouse.words import N_

router = APIRouter(dependencies=[Depends(Permission(Verb.ROOM_READ))])

WHOLE_PROJECT_MAX_BUILDINGS: Final = 40
TEXT_MAX_CHARS: Final = 100

# The order in which a reader looks for trouble, after the state that is none.
_CHIPS: Final = (
    RoomState.OPEN,
    RoomState.WARNING_1,
    RoomState.WARNING_2,
    RoomState.WARNING_3,
    RoomState.OWING,
    RoomState.NOT_OPEN,
    RoomState.OFFLINE,
)
_COLUMNS: Final = (
    Column("building", N_("Building"), lambda tile: tile.building),
    Column("floor", N_("Floor"), lambda tile: tile.floor),
    Column("room", N_("Room"), lambda tile: tile.room),
    Column("customer", N_("Customer"), lambda tile: tile.customer),
    Column("state", N_("State"), lambda tile: tile.state, Kind.STATE),
    Column("relay", N_("Relay"), lambda tile: tile.relay, Kind.STATE),
    Column("override", N_("Override"), lambda tile: tile.override, Kind.STATE),
    Column("available", N_("Available"), lambda tile: tile.available_minor, Kind.MONEY),
)


@router.get("/projects/{project_id}/rooms")
async def board(request: Request, project_id: int) -> Response:
    """The monitor; building, state and text in the address are what is shown first."""
    found = await monitor.buildings(database_of(request), project_id)
    whole = len(found) <= WHOLE_PROJECT_MAX_BUILDINGS
    building_id = _building(request, found, whole)
    snapshot = await _boards(request).look(database_of(request), project_id, building_id)
    assert snapshot is not None
    fmt = formats_of(request)
    state, text = _chosen(request)
    shown = {tile.room_id for tile in snapshot.tiles if _matches(tile, state, text)}
    counts = Counter(tile.state for tile in snapshot.tiles)
    return render(
        request,
        "board.html",
        {
            "version": snapshot.seq,
            "buildings": found,
            "buildings_all_allowed": whole,
            "building": building_id,
            "state": state,
            "text": text,
            "room_count": len(snapshot.tiles),
            "shown_count": len(shown),
            "chips": [
                (s.value, labels.ROOM_CLASS[s], labels.label(fmt.words, s), counts[s])
                for s in _CHIPS
            ],
            "grid": _grid(snapshot.tiles, shown, fmt),
        },
    )


@router.get("/projects/{project_id}/rooms/changes")
async def changes(request: Request, project_id: int) -> Response:
    """What changed since a version of the board: 204 when nothing did."""
    since = request.query_params.get("since", "")
    building = request.query_params.get("building", "")
    snapshot = await _boards(request).look(
        database_of(request),
        project_id,
        int(building) if building.isdecimal() else None,
        int(since) if since.isdecimal() else -1,
    )
    if snapshot is None:
        return Response(status_code=204)
    return JSONResponse(_changes(snapshot, formats_of(request)))


@router.get("/projects/{project_id}/rooms/export")
async def export_board(request: Request, project_id: int) -> Response:
    """The rooms shown, as a file."""
    found = await monitor.buildings(database_of(request), project_id)
    building_id = _building(request, found, whole=True)
    points = (await monitor.board(database_of(request), project_id, building_id)).points
    state, text = _chosen(request)
    fmt = formats_of(request)
    tiles = [tile for tile in tiles_of(points) if _matches(tile, state, text)]

    async def chunks() -> AsyncIterator[Sequence[Any]]:
        yield tiles

    kind = "csv" if request.query_params.get("kind") == "csv" else "xlsx"
    sheet = Sheet(fmt.words(N_("Room monitor")), _COLUMNS, fmt)
    return await export(sheet, kind, chunks(), "rooms")


def _boards(request: Request) -> Any:
    return request.app.state.boards


def _building(request: Request, found: Sequence[tuple[int, str]], whole: bool) -> int | None:
    """The building asked for; in a very large project one must be chosen."""
    wanted = request.query_params.get("building", "")
    ids = [building_id for building_id, _ in found]
    if wanted.isdecimal() and int(wanted) in ids:
        return int(wanted)
    return None if whole else ids[0]


def _chosen(request: Request) -> tuple[str, str]:
    state = request.query_params.get("state", "")
    text = request.query_params.get("text", "").strip()[:TEXT_MAX_CHARS]
    return state if state in set(RoomState) else "", text


def _matches(tile: Tile, state: str, text: str) -> bool:
    return (not state or tile.state == state) and text.lower() in tile.room.lower()


def _grid(tiles: Sequence[Tile], shown: set[int], fmt: Formats) -> list[Any]:
    """Buildings → floors → plain rows, so that the template is one loop without lookups."""
    word = _tile_words(fmt)
    grid = []
    by_building = groupby(tiles, lambda tile: (tile.building_id, tile.building))
    for (_, building), in_building in by_building:
        floors = [
            (floor, [
                (
                    tile.room_id, labels.ROOM_CLASS[tile.state], tile.room,
                    labels.customer_of(tile, fmt.words), fmt.money(tile.available_minor),
                    word(tile), "" if tile.room_id in shown else " hidden",
                )
                for tile in on_floor
            ])
            for floor, on_floor in groupby(in_building, lambda tile: tile.floor)
        ]  # fmt: skip
        grid.append((building, floors))
    return grid


def _changes(snapshot: Snapshot, fmt: Formats) -> dict[str, Any]:
    word = _tile_words(fmt)
    counts = Counter(tile.state for tile in snapshot.tiles)
    return {
        "version": snapshot.seq,
        "counts": {"": len(snapshot.tiles)}
        | {labels.ROOM_CLASS[state]: counts[state] for state in _CHIPS},
        "rooms": [
            (
                tile.room_id, labels.ROOM_CLASS[tile.state], labels.customer_of(tile, fmt.words),
                fmt.money(tile.available_minor), word(tile),
            )
            for tile in snapshot.changed
        ],
    }  # fmt: skip


def _tile_words(fmt: Formats) -> Any:
    """The line under the money: the state, and what differs from power on and prepay."""
    states = {state: labels.label(fmt.words, state) for state in RoomState}
    relays = {relay: labels.label(fmt.words, relay) for relay in (Relay.OPEN, Relay.ARMED)}
    overrides = {o: labels.label(fmt.words, o) for o in (Override.ON, Override.OFF)}

    def word(tile: Tile) -> str:
        parts = (states[tile.state], overrides.get(tile.override), relays.get(tile.relay))
        return " · ".join(part for part in parts if part)

    return word
