"""What each room looked like, and at which pulse it last changed.

Owns the small memory behind the room monitor: however many people watch a board, one query
follows a change and each of them is sent only the rooms that changed since they last asked. Must
never know a language or a page. The pulse of the database numbers the changes, so any process may
answer any browser: what a process cannot know, it sends again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from meterhouse.flows import monitor
from meterhouse.flows.rooms import Tile, tiles_of
from meterhouse.store.db import Database

BOARDS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A board as it was at a pulse, and what had changed since the pulse asked for."""

    seq: int
    tiles: Sequence[Tile]
    changed: Sequence[Tile]


# Project, building asked for, and the only buildings its watcher sees.
_Key: TypeAlias = tuple[int, int | None, frozenset[int] | None]


class _Memory:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.seq = -1
        self.first_seq = -1
        self.tiles: dict[int, Tile] = {}
        self.changed_at: dict[int, int] = {}

    def take(self, seq: int, tiles: Sequence[Tile]) -> None:
        if self.first_seq < 0:
            self.first_seq = seq
        for tile in tiles:
            if self.tiles.get(tile.room_id) != tile:
                self.changed_at[tile.room_id] = seq
        self.tiles = {tile.room_id: tile for tile in tiles}
        self.seq = seq

    def since(self, seq: int) -> list[Tile]:
        if seq < self.first_seq:
            return list(self.tiles.values())
        return [tile for room_id, tile in self.tiles.items() if self.changed_at[room_id] > seq]


class Boards:
    """The boards that somebody watches, the latest used kept."""

    def __init__(self) -> None:
        self._memories: OrderedDict[_Key, _Memory] = OrderedDict()

    async def look(
        self, db: Database, project_id: int, building_id: int | None, since: int | None = None
    ) -> Snapshot | None:
        """The board now, as far as the database lets see; None when nothing changed since then."""
        seq = await monitor.pulse(db, project_id)
        if since is not None and seq == since:
            return None
        memory = self._memory((project_id, building_id, db.building_ids))
        async with memory.lock:
            if memory.seq < seq:
                board = await monitor.board(db, project_id, building_id)
                memory.take(board.seq, tiles_of(board.points))
        changed = [] if since is None else memory.since(since)
        return Snapshot(memory.seq, list(memory.tiles.values()), changed)

    def _memory(self, key: _Key) -> _Memory:
        memory = self._memories.setdefault(key, _Memory())
        self._memories.move_to_end(key)
        while len(self._memories) > BOARDS_MAX:
            self._memories.popitem(last=False)
        return memory
