"""Many households in one sheet, for rooms that stand: opened at once, or prepared.

Owns what such a row means and every fault it can have beside what stands. Must never know a file
or a column's heading. All rows are taken over in one transaction, or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from meterhouse.control import policy as policies
from meterhouse.errors import BadInput, MeterhouseError, RowFault, RowsRefused
from meterhouse.flows import account, opening, sheet
from meterhouse.flows.account import LetAlready, NothingToPayFor, OpeningNeedsSecond, Terms
from meterhouse.flows.sheet import Path, TwiceInSheet
from meterhouse.model import Keeper
from meterhouse.store import desk, devices, monitor, openings, places
from meterhouse.store.db import Connection, Database
from meterhouse.store.openings import PreparedAlready
from meterhouse.store.personal import Facts


class RoomUnknown(BadInput):
    """There is no such room; add it first, or correct the names."""

    code = "room_unknown"


@dataclass(frozen=True, slots=True)
class HouseholdRow:
    """One row: a room that stands, who moves in, and on what terms."""

    building: str
    room: str
    customer: str
    floor: str = ""
    phone: str = ""
    email: str = ""
    language: str = "zh-Hans"
    terms: Terms = field(default_factory=Terms)

    @property
    def path(self) -> Path:
        """Where the room is."""
        return tuple(name for name in (self.building, self.floor, self.room) if name)


async def take(
    db: Database, project_id: int, rows: Sequence[HouseholdRow], actor_id: int | None,
    at: datetime, *, is_prepared: bool = False,
) -> int:  # fmt: skip
    """Open an account for each row, or prepare one; answers how many.

    Raises:
        RowsRefused: with every fault of every row.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        points, ids = await _load(connection, project_id)
        policy = policies.read(await desk.policy_of(connection, project_id))
        waiting = await openings.prepared_places(connection, project_id) if is_prepared else set()
        faults: list[RowFault] = []
        seen: dict[Path, int] = {}
        for number, row in enumerate(rows):
            for column, error in _wrong(row, points, ids, waiting):
                faults.append(RowFault(number, column, error))
            if not is_prepared and row.terms.needs_second(policy):
                faults.append(RowFault(number, row.terms.brought, OpeningNeedsSecond()))
            first = seen.setdefault(row.path, number)
            if first != number:
                faults.append(RowFault(number, "room", TwiceInSheet(row=first + 1)))
        if faults:
            raise RowsRefused(faults)
        if not is_prepared:
            await sheet.admit(connection, project_id, rows, points, actor_id, at)
            return len(rows)
        facts = [Facts(one.customer, one.phone or None, one.email or None) for one in rows]
        languages = [one.language for one in rows]
        customer_ids = await opening.enrol(connection, project_id, facts, languages)
        for customer_id, row in zip(customer_ids, rows, strict=True):
            await account.prepare_here(
                connection, project_id, ids[row.path], customer_id, row.terms, actor_id, at
            )
        return len(rows)


async def _load(
    connection: Connection, project_id: int
) -> tuple[dict[Path, list[Any]], dict[Path, int]]:
    """The points money is kept for, and the ids, of all places by their names from the top."""
    points: dict[int, list[Any]] = {}
    for row in await devices.point_holders(connection, project_id):
        if row["keeper"] != Keeper.NONE:
            points.setdefault(row["place_id"], []).append(row)
    paths: dict[int, Path] = {}
    for row in await places.all_places(connection, project_id):
        paths[row["id"]] = (*paths.get(row["parent_id"], ()), row["name"])
    ids = {path: number for number, path in reversed(paths.items())}
    return {path: points.get(number, []) for path, number in ids.items()}, ids


def _wrong(
    row: HouseholdRow, points: dict[Path, list[Any]], ids: dict[Path, int], waiting: set[int]
) -> list[tuple[str, MeterhouseError]]:
    """Everything that is wrong with a row beside what stands, by column."""
    found: list[tuple[str, MeterhouseError]] = []
    here = points.get(row.path)
    if here is None:
        found.append(("room", RoomUnknown()))
    elif not here:
        found.append(("room", NothingToPayFor()))
    elif any(one["agreement_kind"] == "tenant" for one in here):
        found.append(("room", LetAlready()))
    elif ids[row.path] in waiting:
        found.append(("room", PreparedAlready()))
    return found + row.terms.faults(here or ())
