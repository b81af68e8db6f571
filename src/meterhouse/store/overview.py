"""Several projects at a glance: their groups, rooms, open alarms and live tasks, counted.

Owns these counts. Must never look into a room: a room that owes has an open alarm that says so.
"""

from collections.abc import Sequence

import asyncpg

from meterhouse.store.db import Connection


async def group_names(connection: Connection, group_ids: Sequence[int]) -> dict[int, str]:
    """Names of groups by id."""
    rows = await connection.fetch(
        "select id, name from project_group where id = any($1::int8[])", list(group_ids)
    )
    return {row["id"]: row["name"] for row in rows}


async def counts(connection: Connection, project_ids: Sequence[int]) -> list[asyncpg.Record]:
    """project_id, room_count, owing_count, offline_count, alarm_count, task_count of each."""
    return await connection.fetch(
        """select j as project_id,
               (select count(*) from place p where p.project_id = j and p.kind = 'room'
                   and (building_ids() is null
                       or p.building_id = any(building_ids()))) as room_count,
               coalesce(a.owing_count, 0) as owing_count,
               coalesce(a.offline_count, 0) as offline_count,
               coalesce(a.alarm_count, 0) as alarm_count,
               (select count(*) from task k where k.project_id = j
                   and k.state in ('waiting', 'queued', 'running')
                   and (building_ids() is null or k.building_ids <@ building_ids())) as task_count
           from unnest($1::int8[]) j
           left join (select project_id, count(*) filter (where kind = 'credit_out') as owing_count,
                   count(*) filter (where kind = 'meter_offline') as offline_count,
                   count(*) as alarm_count
               from alarm where project_id = any($1::int8[]) and closed_at is null
               and seen_point(project_id, point_id)
               group by project_id) a on a.project_id = j
           order by j""",
        list(project_ids),
    )


async def open_alarms(connection: Connection, project_id: int, limit: int) -> list[asyncpg.Record]:
    """id, kind, opened_at, room, and in each row the open_count of all; the newest first."""
    return await connection.fetch(
        """select a.id, a.kind, a.opened_at, r.name as room, count(*) over () as open_count
           from alarm a left join point p on (p.project_id, p.id) = (a.project_id, a.point_id)
           left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           where a.project_id = $1 and a.closed_at is null
           and seen_point(a.project_id, a.point_id) order by a.opened_at desc limit $2""",
        project_id, limit,
    )  # fmt: skip


async def tasks_of_person(
    connection: Connection, project_id: int, person_id: int, limit: int
) -> list[asyncpg.Record]:
    """id, title, state, done_count, total_count, ended_at of a person's latest tasks."""
    return await connection.fetch(
        """select id, title, state, done_count, total_count, ended_at from task
           where project_id = $1 and actor_id = $2 order by id desc limit $3""",
        project_id, person_id, limit,
    )  # fmt: skip
