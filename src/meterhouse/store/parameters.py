"""What meters were asked to hold, and what they said they hold, as rows.

Owns the questions about commands that carry settings. Must never decide what a meter should hold.
"""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from meterhouse.store.db import Connection

_KINDS = "kind in ('tariff', 'setting', 'check')"


async def place(connection: Connection, project_id: int, meter_id: int) -> asyncpg.Record | None:
    """A meter in service and in sight, with its point, its tariff and its household's levels."""
    return await connection.fetchrow(
        """select m.id as meter_id, m.point_id, m.gateway_id, m.address, m.model, m.multiplier,
               p.keeper, p.tariff_id, p.persons, p.warning_1_minor, p.warning_2_minor, a.floor_minor
           from meter m join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
           left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           where m.project_id = $1 and m.id = $2 and m.removed_at is null
           and seen_point(m.project_id, m.point_id)""",
        project_id, meter_id,
    )  # fmt: skip


async def latest(
    connection: Connection, project_id: int, meter_id: int
) -> dict[str, asyncpg.Record]:
    """The last command of each kind that carried settings to a meter in sight, by kind.

    A further try of the same says what the try before it read, until it has read something itself.
    """
    rows = await connection.fetch(
        f"""select c.id, c.kind, c.state, coalesce(nullif(c.why, ''), b.why, '') as why, c.asked,
            coalesce(c.said, b.said) as said, c.created_at, c.ended_at
        from (select distinct on (kind) * from command where project_id = $1 and meter_id = $2
            and {_KINDS} and seen_point(project_id, point_id) order by kind, id desc) c
        left join lateral (select p.why, p.said from command p where p.project_id = $1
            and p.meter_id = $2 and p.kind = c.kind and p.id < c.id
            and c.state in ('queued', 'sent') and p.asked - 'tries' = c.asked - 'tries'
            order by p.id desc limit 1) b on true""",
        project_id, meter_id,
    )  # fmt: skip
    return {row["kind"]: row for row in rows}


async def in_force(
    connection: Connection, project_id: int, meter_id: int, at: datetime
) -> asyncpg.Record | None:
    """The sending whose prices a meter charges by now, as far as they were proven.

    One that another sending was begun upon before its time does not count: that one disarmed it.
    """
    return await connection.fetchrow(
        """select c.id, c.asked from command c where c.project_id = $1 and c.meter_id = $2
           and c.kind = 'tariff' and c.state = 'confirmed'
           and (c.asked ->> 'switch_at')::timestamptz <= $3
           and not exists (select from command n where n.project_id = c.project_id
               and n.meter_id = c.meter_id and n.kind = 'tariff' and n.id > c.id
               and n.sent_at < (c.asked ->> 'switch_at')::timestamptz)
           order by c.id desc limit 1""",
        project_id, meter_id, at,
    )  # fmt: skip


async def last_doubt(
    connection: Connection, project_id: int, meter_id: int, kinds: Sequence[str]
) -> datetime | None:
    """When writing to a meter last ended in doubt, so that a copy of it may still arrive."""
    found: datetime | None = await connection.fetchval(
        """select max(ended_at) from command where project_id = $1 and meter_id = $2
           and kind = any($3::text[]) and state = 'unknown'""",
        project_id, meter_id, list(kinds),
    )  # fmt: skip
    return found
