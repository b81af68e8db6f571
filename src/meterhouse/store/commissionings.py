"""Checklists of meters: what was proven, when, and who signed it.

Owns their rows. Must never know what an item means. A signed one is never changed; the table
itself refuses it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff

REPORT_METERS_MAX: Final = 500

_STARTER: Final = staff("c.started_by").replace("staff", "starter")
_SIGNER: Final = staff("c.signed_by").replace("staff", "signer")
_PLACE: Final = """left join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
    left join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
    left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
    left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
    left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
    left join gateway w on (w.project_id, w.id) = (m.project_id, m.gateway_id)"""
_PLACE_COLUMNS: Final = """r.id as room_id, r.name as room,
        case when f.kind = 'floor' then f.name else '' end as floor,
        r.building_id, b.name as building,
        w.name as gateway"""
_ROW: Final = f"""select c.*, m.point_id, m.gateway_id, m.address, m.model, m.modulus_milli,
        m.max_power_w, m.installed_at, m.removed_at, p.override, p.commodity, s.relay, s.read_at,
        coalesce(l.online, false) and o.id is null as is_online, j.timezone, j.name as project,
        {_PLACE_COLUMNS}, {STAFF_NAME.replace("staff", "starter")} as starter_name,
        {STAFF_NAME.replace("staff", "signer")} as signer_name
    from commissioning c join meter m on (m.project_id, m.id) = (c.project_id, c.meter_id)
    join project j on j.id = c.project_id {_PLACE}
    left join gateway_state l on (l.project_id, l.gateway_id) = (m.project_id, m.gateway_id)
    left join alarm o on (o.project_id, o.meter_id) = (m.project_id, m.id)
        and o.kind = 'meter_offline' and o.closed_at is null
    {_STARTER} {_SIGNER}
    where c.project_id = $1 and seen_point(c.project_id, m.point_id)"""

LIST: Final = ListQuery(
    f"""select m.id, m.point_id, m.address, m.model, m.installed_at, m.gateway_id, {_PLACE_COLUMNS},
            c.id as commissioning_id, c.started_at, c.signed_at,
            coalesce(n.passed_count, 0) as passed_count,
            coalesce(n.failed_count, 0) as failed_count,
            case when c.id is null then 'none' when c.signed_at is null then 'open'
                 when n.failed_count > 0 then 'signed_with_faults' else 'signed' end as state,
            {STAFF_NAME.replace("staff", "signer")} as signer_name
        from meter m {_PLACE}
        left join lateral (select * from commissioning x where x.project_id = m.project_id
            and x.meter_id = m.id order by x.id desc limit 1) c on true
        left join lateral (select count(*) filter (where e.value ->> 'state' = 'passed')
                as passed_count, count(*) filter (where e.value ->> 'state' = 'failed')
                as failed_count from jsonb_each(c.items) e) n on true
        {_SIGNER} where m.project_id = $1 and m.removed_at is null""",
    {
        "state": "q.state = {}",
        "building": "q.building_id = {}",
        "gateway": "q.gateway_id = {}",
        "text": "q.point_id in (select found_points($1, {}))",
    },
    {
        "address": "address", "room": "room", "building": "building", "state": "state",
        "signed_at": "signed_at",
    },
    first="room",
    solid=frozenset({"address", "state"}),
)  # fmt: skip
"""Every meter in service with its latest checklist; a meter that replaced another has none."""


async def insert(
    connection: Connection, project_id: int, meter_id: int, items: Mapping[str, Any],
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """A new checklist."""
    made: int = await connection.fetchval(
        """insert into commissioning (project_id, meter_id, items, started_by, started_at)
           values ($1, $2, $3::jsonb, $4, $5) returning id""",
        project_id, meter_id, json.dumps(dict(items)), actor_id, at,
    )  # fmt: skip
    return made


async def open_of(connection: Connection, project_id: int, meter_id: int) -> asyncpg.Record | None:
    """Lock the unsigned checklist of a meter, with what is known of the meter."""
    return await connection.fetchrow(
        f"""{_ROW} and c.meter_id = $2 and c.signed_at is null
            order by c.id desc limit 1 for no key update of c""",
        project_id, meter_id,
    )  # fmt: skip


async def waiting_meters(connection: Connection, project_id: int) -> list[int]:
    """The meters whose checklist waits for an answer."""
    rows = await connection.fetch(
        """select meter_id from commissioning where project_id = $1 and signed_at is null
           and jsonb_path_exists(items, '$.* ? (@.state == "waiting")') order by meter_id""",
        project_id,
    )
    return [row["meter_id"] for row in rows]


async def get(
    connection: Connection, project_id: int, commissioning_id: int, *, lock: bool = False
) -> asyncpg.Record | None:
    """One checklist with its meter and the people's names."""
    return await connection.fetchrow(
        f"{_ROW} and c.id = $2 {'for no key update of c' if lock else ''}",
        project_id, commissioning_id,
    )  # fmt: skip


async def latest_of(
    connection: Connection, project_id: int, meter_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """The latest checklist of each of these meters, by place."""
    return await connection.fetch(
        f"""select * from (select distinct on (meter_id) * from ({_ROW}) c
                where meter_id = any($2::int8[]) order by meter_id, id desc) q
            order by building, floor, room, id limit $3""",
        project_id, list(meter_ids), REPORT_METERS_MAX,
    )  # fmt: skip


async def meters_of_building(
    connection: Connection, project_id: int, building_id: int
) -> list[int]:
    """The meters in service of one building."""
    rows = await connection.fetch(
        f"select q.id from ({LIST.source}) q where q.building_id = $2 limit $3",
        project_id, building_id, REPORT_METERS_MAX,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def save(
    connection: Connection, project_id: int, commissioning_id: int, items: Mapping[str, Any]
) -> None:
    """Note how the items stand."""
    await connection.execute(
        """update commissioning set items = $3::jsonb, version = version + 1
           where project_id = $1 and id = $2""",
        project_id, commissioning_id, json.dumps(dict(items), ensure_ascii=False),
    )  # fmt: skip


async def sign(
    connection: Connection, project_id: int, commissioning_id: int, actor_id: int, note: str,
    at: datetime,
) -> None:  # fmt: skip
    """Sign a checklist; it never changes again."""
    await connection.execute(
        """update commissioning set signed_by = $3, signed_at = $4, note = $5,
               version = version + 1 where project_id = $1 and id = $2""",
        project_id, commissioning_id, actor_id, at, note,
    )  # fmt: skip


async def commands(
    connection: Connection, project_id: int, command_ids: Sequence[int]
) -> dict[int, asyncpg.Record]:
    """These commands by id: how they ended and what the meter said."""
    rows = await connection.fetch(
        """select id, kind, state, why, said, ended_at from command
           where project_id = $1 and id = any($2::int8[])""",
        project_id, list(command_ids),
    )  # fmt: skip
    return {row["id"]: row for row in rows}
