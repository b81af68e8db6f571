"""A tariff that was wrong at points (追溯指派): another one is given to them since a past instant.

Owns what such an assignment may be, and its publication. The history of the points' tariffs is
added to, never edited: what it replaced is found by the edition before. What was charged follows by
the sweep of `correct`, for the tariff that is given prices all that has changed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows import correct
from meterhouse.flows.prices import History, Tariffs, named
from meterhouse.flows.tariff import NoPointThere, check_in_force
from meterhouse.model import Keeper
from meterhouse.rating.tariff import BandSource, Scheme
from meterhouse.store import assignments, catalog, monitor, readings, replays
from meterhouse.store.assignments import NewAssignment
from meterhouse.store.db import Connection, Database
from meterhouse.words import N_

POINTS_MAX: Final = 20_000


class AssignmentUnfit(MeterhouseError):
    """Since a past instant only a tariff like those it replaces is given; not alike: {what}."""

    code = "assignment_unfit"
    http_status = 409


class RoomUnclear(BadInput):
    """{name} is no room with such a point, or several are called so; write it as in A 302."""

    code = "room_unclear"
    field = "rooms"


class MetersPriceThemselves(MeterhouseError):
    """{count} of these meters keep their money and price what is used; leave them out."""

    code = "meters_price_themselves"
    http_status = 409


class TooManyPoints(MeterhouseError):
    """These are {count} points; choose at most {most} at once, as building by building."""

    code = "too_many_points"
    http_status = 409


class AssignedMeanwhile(MeterhouseError):
    """Their tariffs or prices have changed since that replay; replay the assignment anew."""

    code = "assigned_meanwhile"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Selection:
    """Which points: of a building or room, of those that now have a tariff, of a list, of rooms.

    Each is None or empty where it does not matter; `rooms` are names, as in `302` or `A 302`.
    """

    place_id: int | None = None
    tariff_id: int | None = None
    point_ids: Sequence[int] = ()
    rooms: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """An assignment that may be made; `digest` tells whether what it replaces is still the same."""

    name: str
    commodity: str
    digest: str


async def chosen(
    connection: Connection, project_id: int, tariff_id: int, selection: Selection
) -> list[int]:
    """The points in sight that a selection means, ascending; those that nobody pays for left out.

    Raises:
        NotFound: no such tariff.
        RoomUnclear: no room has such a name, or several have.
        AssignmentUnfit: a point that was named is of another commodity.
        NoPointThere: it means none.
        TooManyPoints: it means more than `POINTS_MAX`.
    """
    tariff = await catalog.get_tariff(connection, project_id, tariff_id)
    wanted: set[int] | None = set(selection.point_ids) or None
    if wanted is not None:
        known = await assignments.keepers(connection, project_id, sorted(wanted))
        if any(one["commodity"] != tariff["commodity"] for one in known):
            raise AssignmentUnfit(what=N_("Commodity"))
    if selection.rooms:
        rooms = await _of_rooms(connection, project_id, tariff["commodity"], selection.rooms)
        wanted = rooms if wanted is None else wanted & rooms
    found = await replays.points_of(
        connection, project_id, tariff["commodity"], selection.place_id, selection.tariff_id,
        None if wanted is None else sorted(wanted),
    )  # fmt: skip
    if not len(found):
        raise NoPointThere
    if len(found) > POINTS_MAX:
        raise TooManyPoints(count=len(found), most=POINTS_MAX)
    ids: list[int] = found.tolist()
    return ids


async def _of_rooms(
    connection: Connection, project_id: int, commodity: str, names: Iterable[str]
) -> set[int]:
    rows = await assignments.of_rooms(connection, project_id, commodity, list(names))
    places: dict[str, set[int]] = {}
    for row in rows:
        places.setdefault(row["name"], set()).add(row["place_id"])
    for name in names:
        if len(places.get(name, ())) != 1:
            raise RoomUnclear(name=name)
    return {row["point_id"] for row in rows}


async def plan(
    connection: Connection, tariffs: Tariffs, project: Any, tariff_id: int, since: datetime,
    point_ids: Sequence[int], at: datetime,
) -> Planned:  # fmt: skip
    """Check whether a tariff may be given to these points since a past instant.

    Raises:
        CorrectionTooEarly: the policy does not reach back so far, or it is not in the past.
        TariffNotYet: it priced nothing yet at that instant.
        AssignmentUnfit: it is of another commodity or currency than the project or the points, or
            other ones decide its bands than did since then.
        MetersPriceThemselves: some of the meters keep their money.
    """
    correct.check_reach(project, since, at)
    tariff = await catalog.get_tariff(connection, project["id"], tariff_id)
    check_in_force(tariff, since)
    rows = await assignments.keepers(connection, project["id"], point_ids)
    if any(one["commodity"] != tariff["commodity"] for one in rows):
        raise AssignmentUnfit(what=N_("Commodity"))
    if count := sum(one["keeper"] == Keeper.METER for one in rows):
        raise MetersPriceThemselves(count=count)
    had = await catalog.tariffs_before(connection, project["id"], point_ids)
    schemes = await tariffs.load(
        connection, project["id"], sorted({tariff_id} | named(had.values()))
    )
    given = schemes[tariff_id][1]
    if given.currency != project["currency"]:
        raise AssignmentUnfit(what=N_("Currency"))
    sources = _sources(given, since)
    for history in had.values():
        for one in _replaced(history, since):
            sources |= {BandSource.PLATFORM} if one is None else _sources(schemes[one][1], since)
    if len(sources) > 1:
        raise AssignmentUnfit(what=N_("Bands decided by"))
    edition = await catalog.edition(connection, project["id"])
    return Planned(tariff["name"], tariff["commodity"], _digest(edition, rows, had))


def _replaced(history: History, since: datetime) -> set[int | None]:
    """What a point had at an instant or later; None where it had none."""
    later = {one for at, one, _ in history if at > since}
    return later | {next((one for at, one, _ in reversed(history) if at <= since), None)}


def _sources(scheme: Scheme, since: datetime) -> set[BandSource]:
    """Who decides the bands in the versions that were in force at an instant or later."""
    *_, last = scheme.versions
    return {last.band_source} | {
        one.band_source for one, after in pairwise(scheme.versions) if after.effective_from > since
    }


def _digest(edition: int, rows: Sequence[Any], had: Mapping[int, History]) -> str:
    said = [
        edition, [one["id"] for one in rows],
        [[one, [[at.isoformat(), *rest] for at, *rest in had[one]]] for one in sorted(had)],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


async def begin(
    db: Database, tariffs: Tariffs, project_id: int, replay_id: int, reason: str,
    actor_id: int | None, second_id: int | None, at: datetime,
) -> dict[str, Any]:  # fmt: skip
    """Give the tariff that a replay showed; answers what its sweep needs to know.

    Raises:
        ReplayUnfit: it was no replay of a correction, or its correction was made before.
        AssignedMeanwhile: tariffs or prices have changed since; nobody has seen what this would do.
    """
    # Nothing is rated meanwhile by the tariff of before, and nobody counts the same edition.
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        project = await catalog.get_project(connection, project_id)
        row = await correct.suitable(connection, project_id, replay_id)
        tariff_id, since, gives = row["tariff_id"], row["since_at"], gives_of(row)
        if gives is None:
            raise correct.ReplayUnfit
        point_ids = gives["point_ids"]
        planned = await plan(connection, tariffs, project, tariff_id, since, point_ids, at)
        if planned.digest != gives["digest"]:
            raise AssignedMeanwhile
        new = NewAssignment(tariff_id, since, reason, actor_id, second_id, replay_id)
        edition = await assignments.publish(connection, project_id, point_ids, new, at)
        await readings.bump(connection, project_id)
    return {
        "tariff_id": tariff_id, "edition": edition, "given": edition, "since": since.isoformat(),
        "commodity": planned.commodity, "name": planned.name, "total": len(point_ids),
    }  # fmt: skip


def gives_of(row: Any) -> dict[str, Any] | None:
    """What a replay's row would give to which points; None where it corrects prices."""
    gives: dict[str, Any] | None = json.loads(row["asked"]).get("gives")
    return gives
