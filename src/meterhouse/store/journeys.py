"""Recharges as people look at them: the list, and one with what was learnt at each step.

Owns these SELECTs. Must never write.
"""

from typing import Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.reports import FOUND, PLACE, PLACE_COLUMNS

STEPS_SHOWN: Final = 1_000

LIST: Final = ListQuery(
    f"""select g.id, g.kind, g.state, g.why, g.number, g.amount_minor, g.send_count, g.created_at,
            g.sent_at, g.applied_at, g.next_at, g.point_id, g.meter_id, m.address,
            {STAFF_NAME} as actor, {PLACE_COLUMNS}
        from recharge g join meter m on (m.project_id, m.id) = (g.project_id, g.meter_id)
        join point p on (p.project_id, p.id) = (g.project_id, g.point_id) {PLACE}
        {staff("g.actor_id")}
        where g.project_id = $1""",
    {
        "state": "q.state = {}",
        "meter": "q.meter_id = {}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.created_at >= {}",
        "to": "q.created_at < {}",
    },
    {
        "created_at": "created_at", "applied_at": "applied_at", "room": "room", "state": "state",
        "amount": "amount_minor",
    },
    first="-created_at",
    solid=frozenset({"created_at", "state", "amount"}),
)  # fmt: skip


async def journey(
    connection: Connection, project_id: int, recharge_id: int
) -> asyncpg.Record | None:
    """One recharge with its room and meter, or None."""
    return await connection.fetchrow(
        f"""select g.*, m.address, m.model, {PLACE_COLUMNS}, {STAFF_NAME} as actor
            from recharge g join meter m on (m.project_id, m.id) = (g.project_id, g.meter_id)
            join point p on (p.project_id, p.id) = (g.project_id, g.point_id)
            {PLACE} {staff("g.actor_id")}
            where g.project_id = $1 and g.id = $2 and seen_point(g.project_id, g.point_id)""",
        project_id, recharge_id,
    )  # fmt: skip


async def steps(connection: Connection, project_id: int, recharge_id: int) -> list[asyncpg.Record]:
    """What was learnt of a recharge and done about it, oldest first, with who decided."""
    return await connection.fetch(
        f"""select s.*, {STAFF_NAME} as actor from recharge_step s {staff("s.actor_id")}
            where s.project_id = $1 and s.recharge_id = $2 order by s.id limit $3""",
        project_id, recharge_id, STEPS_SHOWN,
    )  # fmt: skip
