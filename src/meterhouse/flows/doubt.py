"""A person decides about a doubtful reading: accept it, begin a track, correct it, discard it.

Owns what a decision needs before it is written, and that its money is posted at once: the chain is
judged again with the decision at its instant, and the difference goes the way of a late reading.
Nothing is edited, neither reading nor decision: the last one of an instant holds. Must never judge
by itself: whether a decision makes a reading good is the judgement's word, and one that does not is
refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows import late, react
from meterhouse.flows.prices import Tariffs
from meterhouse.model import AlarmKind
from meterhouse.rating.decided import Decided
from meterhouse.rating.tariff import BandSource
from meterhouse.store import catalog, doubts, monitor, points, queue, readings
from meterhouse.store.db import Connection, Database
from meterhouse.store.doubts import NewDecision
from meterhouse.units import to_us
from meterhouse.words import N_

AROUND: Final = 48
"""So many readings before a doubt are shown, and as many after it."""


class ReadingPast(MeterhouseError):
    """The meter of this reading serves its room no more; nothing can be decided about it."""

    code = "reading_past"
    http_status = 409


class StillDoubtful(MeterhouseError):
    """The reading would stay doubtful: it falls, contradicts itself or says far too much."""

    code = "still_doubtful"
    http_status = 409


class UsedUnfit(BadInput):
    """The tariff bills by the meter's own bands; correct the registers instead."""

    code = "used_unfit"
    field = "used"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person says of a reading.

    Attributes:
        registers_milli: total, then 尖峰平谷, as they should read (−1: not said); for a correction.
        used_milli: multiplied, what was used before the track that begins.
    """

    decided: Decided
    reason: str
    registers_milli: tuple[int, int, int, int, int] | None = None
    used_milli: int = 0


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """What a decision did: its number among those of its reading, and the difference in Nano."""

    number: int
    difference_nano: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """A doubt with what was decided about it, and the readings around it."""

    row: Any
    history: Sequence[Any]
    around: Sequence[Any]


async def look(db: Database, project_id: int, doubt_id: int) -> Doubt:
    """One doubt as a person decides about it. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await _found(connection, project_id, doubt_id)
        return Doubt(
            row, await doubts.history(connection, project_id, row),
            await doubts.around(connection, project_id, row, AROUND),
        )  # fmt: skip


async def names(db: Database, project_id: int, doubt_ids: Sequence[int]) -> list[Any]:
    """building, room, read_at of each. Raises `NotFound` for one that is not in sight."""
    async with db.transaction([project_id]) as connection:
        found = await doubts.names(connection, project_id, doubt_ids)
    for doubt_id in doubt_ids:
        if doubt_id not in found:
            raise NotFound(N_("Doubtful reading"), doubt_id)
    return [found[doubt_id] for doubt_id in doubt_ids]


async def decide(
    db: Database, tariffs: Tariffs, project_id: int, doubt_id: int, said: Decision,
    actor_id: int | None, at: datetime,
) -> DecisionMade:  # fmt: skip
    """Decide about one reading that is or was doubtful, and post what it changes.

    Raises:
        NotFound: no such doubt is in sight.
        ReadingPast: its meter serves the point no more, or in another register epoch.
        UsedUnfit: energy between two tracks is said where the tariff needs the meter's bands.
        StillDoubtful: the decision does not make the reading good.
    """
    async with db.transaction([project_id]) as connection:
        row = await _found(connection, project_id, doubt_id)
        await monitor.lock_meters(connection, project_id, np.array([row["meter_id"]]))
        project = await catalog.get_project(connection, project_id)
        columns = await points.load(connection, project_id, np.array([row["meter_id"]]))
        here = np.flatnonzero(columns["meter_id"] == row["meter_id"])
        if not len(here) or columns["register_epoch"][here[0]] != row["register_epoch"]:
            raise ReadingPast
        if said.used_milli:
            await _check_bands(connection, tariffs, project_id, int(columns["tariff_id"][here[0]]))
        done = await put(
            connection, tariffs, project, columns, int(here[0]), row["read_at"], said, actor_id, at
        )
        after = await _found(connection, project_id, doubt_id)
        if after["is_doubtful"]:
            raise StillDoubtful
        await _tell(connection, project, row, int(columns["account_id"][here[0]]), at)
        return done


async def put(
    connection: Connection, tariffs: Tariffs, project: Any, columns: dict[str, Any], row: int,
    read_at: datetime, said: Decision, actor_id: int | None, at: datetime,
) -> DecisionMade:  # fmt: skip
    """Write a decision about any stored reading of a loaded point, and rate its chain anew."""
    key = int(columns["meter_id"][row]), int(columns["register_epoch"][row]), read_at
    new = NewDecision(int(said.decided), said.registers_milli, said.used_milli, said.reason)
    number = await doubts.decide(connection, project["id"], key, new, actor_id, at)
    difference_nano = await late.rerate(
        connection, tariffs, project, columns, row, to_us(read_at), at
    )
    return DecisionMade(number, difference_nano)


async def _found(connection: Connection, project_id: int, doubt_id: int) -> Any:
    row = await doubts.get_doubt(connection, project_id, doubt_id)
    if row is None:
        raise NotFound(N_("Doubtful reading"), doubt_id)
    return row


async def _check_bands(
    connection: Connection, tariffs: Tariffs, project_id: int, tariff_id: int
) -> None:
    schemes = await tariffs.load(connection, project_id, [tariff_id] if tariff_id else [])
    for _, scheme in schemes.values():
        if any(version.band_source is BandSource.METER for version in scheme.versions):
            raise UsedUnfit


async def _tell(
    connection: Connection, project: Any, row: Any, account_id: int, at: datetime
) -> None:
    """Close the alarm where nothing waits any more, and look again at what may be spent."""
    project_id, point_id = project["id"], row["point_id"]
    if not await doubts.waiting_points(connection, project_id, [point_id]):
        subjects = [f"point:{point_id}"]
        await queue.close_alarms(connection, project_id, AlarmKind.READING_DOUBTFUL, subjects, at)
    meter_ids = {row["meter_id"]}
    if account_id:
        meter_ids |= set(await monitor.meters_of_account(connection, project_id, account_id))
    await react.look_again(connection, project, sorted(meter_ids), at)
    await readings.bump(connection, project_id)
