"""Several projects at a glance, and what is new for one person in one of them.

Owns what is counted for whom: alarms only where they may be read, tasks only one's own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from meterhouse.flows.access import Reach, Verb
from meterhouse.store import overview
from meterhouse.store.db import Database

SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class News:
    """What the bell tells: open alarms (the newest, and how many), and one's latest tasks."""

    alarms: Sequence[Any]
    alarm_count: int
    tasks: Sequence[Any]

    @property
    def live_count(self) -> int:
        """How many of the tasks have not ended."""
        return sum(row["ended_at"] is None for row in self.tasks)


async def group_names(db: Database, reaches: Sequence[Reach]) -> dict[int, str]:
    """Names of the groups of these projects, by id."""
    async with db.transaction([reach.project_id for reach in reaches]) as connection:
        return await overview.group_names(connection, [reach.group_id for reach in reaches])


async def counts(db: Database, reaches: Sequence[Reach]) -> Mapping[int, Any]:
    """Rooms, those owing, meters offline, open alarms and live tasks of each project, by its id."""
    asked = [reach.asked(Verb.ROOM_READ) for reach in reaches]
    rows = []
    for building_ids in {reach.building_ids for reach in asked}:
        project_ids = [reach.project_id for reach in asked if reach.building_ids == building_ids]
        async with db.within(building_ids).transaction(project_ids) as connection:
            rows += await overview.counts(connection, project_ids)
    return {row["project_id"]: row for row in rows}


async def news(db: Database, reach: Reach, person_id: int) -> News:
    """What is new for somebody in one project."""
    seen = db.within(reach.asked(Verb.ALARM_READ).building_ids)
    async with seen.transaction([reach.project_id]) as connection:
        alarms = (
            await overview.open_alarms(connection, reach.project_id, SHOWN)
            if Verb.ALARM_READ in reach.verbs else []
        )  # fmt: skip
        tasks = (
            await overview.tasks_of_person(connection, reach.project_id, person_id, SHOWN)
            if Verb.TASK_READ in reach.verbs else []
        )  # fmt: skip
    return News(alarms, alarms[0]["open_count"] if alarms else 0, tasks)
