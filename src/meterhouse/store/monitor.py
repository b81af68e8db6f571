"""What is known of single points and meters, and what has fallen silent.

Owns small questions that flows ask of a few rows. Lists for screens are in `reports`.
"""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import numpy as np
from numpy.typing import NDArray

from meterhouse.store.columns import distinct
from meterhouse.store.db import Connection

Ints = NDArray[np.int64]
# A lock covers 4,096 neighbouring meters.
LOCK_BITS = 12
LOCKS_MAX = 0x7FFF_FFFF


def project_lock(project_id: int) -> str:
    """The statement that keeps every reading flow of a project away until a transaction ends."""
    return f"select pg_advisory_xact_lock(7301, {int(project_id)}::int8::int4)"


async def lock_project(connection: Connection, project_id: int) -> None:
    """Take the project's lock within a transaction that has begun without it."""
    await connection.execute(project_lock(project_id))


async def lock_meters(connection: Connection, project_id: int, meter_ids: Ints) -> None:
    """Let one reading flow at a time move the chains of these meters.

    Neighbouring meters share a lock, and locks are taken in ascending order, so that flows of
    other meters go on beside this one and none waits for another in a circle.
    """
    await connection.execute(
        "select pg_advisory_xact_lock_shared(7301, $1::int8::int4)", project_id
    )
    blocks = distinct((meter_ids >> LOCK_BITS) & LOCKS_MAX).tolist()
    await connection.execute(
        "select pg_advisory_xact_lock(7302, block) from unnest($1::int4[]) as block", blocks
    )


async def lock_sweep(connection: Connection, project_id: int) -> None:
    """Count and cut off one flow at a time, so that two side by side see each other's commands.

    Taken after every lock on meters, points and accounts, and nothing of those after it.
    """
    await connection.execute("select pg_advisory_xact_lock(7304, $1::int8::int4)", project_id)


async def meter_place(
    connection: Connection, project_id: int, meter_id: int
) -> asyncpg.Record | None:
    """Where a meter in service hangs: meter_id, point_id, gateway_id, address, model.

    None for one that is in no building in sight, as for one that is not there.
    """
    return await connection.fetchrow(
        """select id as meter_id, point_id, gateway_id, address, model from meter
           where project_id = $1 and id = $2 and removed_at is null and point_id is not null
           and seen_point(project_id, point_id)""",
        project_id, meter_id,
    )  # fmt: skip


async def set_override(
    connection: Connection, project_id: int, point_id: int, override: str
) -> None:
    """Lay a person's decision over the automatic one, or take it away."""
    await connection.execute(
        "update point set override = $3 where project_id = $1 and id = $2",
        project_id, point_id, override,
    )  # fmt: skip


async def release(connection: Connection, project_id: int, point_ids: Sequence[int]) -> None:
    """Take *forced off* away from points, so that the next decision is the automatic one."""
    await connection.execute(
        """update point set override = 'none'
           where project_id = $1 and id = any($2::int8[]) and override = 'off'""",
        project_id, list(point_ids),
    )  # fmt: skip


async def set_relay(
    connection: Connection,
    project_id: int,
    point_id: int,
    relay: int,
    keep_power: bool | None,
    at: datetime,
) -> None:
    """Note what the meter itself said of its relay, and of keep-power where it said so.

    An older word never overwrites a newer one: samples wait in queues, read-backs do not.
    """
    await connection.execute(
        """update point_state set relay = $3, keep_power = coalesce($4::int2, keep_power),
               relay_at = $5 where project_id = $1 and point_id = $2 and relay_at <= $5""",
        project_id, point_id, relay, None if keep_power is None else int(keep_power), at,
    )  # fmt: skip


async def contacts(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> dict[int, asyncpg.Record]:
    """Whom to tell about points: customer_id, language, room, and whether there is an e-mail."""
    rows = await connection.fetch(
        """select p.id as point_id, pl.name as room, c.id as customer_id,
               h.email is not null as has_email, coalesce(c.language, 'zh-Hans') as language
           from point p join place pl on (pl.project_id, pl.id) = (p.project_id, p.place_id)
           left join agreement_point ap on (ap.project_id, ap.point_id) = (p.project_id, p.id)
               and ap.valid_to is null
           left join agreement a on (a.project_id, a.id) = (ap.project_id, ap.agreement_id)
           left join customer c on (c.project_id, c.id) = (a.project_id, a.customer_id)
           left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
           where p.project_id = $1 and p.id = any($2::int8[])""",
        project_id, list(point_ids),
    )  # fmt: skip
    return {row["point_id"]: row for row in rows}


async def point_count(connection: Connection, project_id: int) -> int:
    """How many points a project has."""
    count: int = await connection.fetchval(
        "select count(*) from point where project_id = $1", project_id
    )
    return count


async def silent_meters(
    connection: Connection, project_id: int, read_before: datetime, installed_before: datetime
) -> list[asyncpg.Record]:
    """Meters that nobody has read since an instant and whose alarm is not open yet."""
    return await connection.fetch(
        """select m.id as meter_id, m.point_id, m.gateway_id, ps.read_at
           from meter m join point_state ps on (ps.project_id, ps.meter_id) = (m.project_id, m.id)
           where m.project_id = $1 and m.removed_at is null and m.gateway_id is not null
           and ps.read_at < $2 and m.installed_at < $3
           and not exists (select from alarm a where a.project_id = m.project_id
               and a.kind = 'meter_offline' and a.subject = 'meter:' || m.id
               and a.closed_at is null)""",
        project_id, read_before, installed_before,
    )  # fmt: skip


async def heard_meters(connection: Connection, project_id: int, read_since: datetime) -> list[str]:
    """Subjects of open offline alarms whose meter has been read again."""
    rows = await connection.fetch(
        """select a.subject from alarm a
           join point_state ps on ps.project_id = a.project_id and ps.meter_id = a.meter_id
           where a.project_id = $1 and a.kind = 'meter_offline' and a.closed_at is null
           and ps.read_at >= $2""",
        project_id, read_since,
    )  # fmt: skip
    return [row["subject"] for row in rows]


async def silent_gateways(
    connection: Connection, project_id: int, seen_before: datetime
) -> list[asyncpg.Record]:
    """Gateways that are off the line since before an instant and whose alarm is not open yet."""
    return await connection.fetch(
        """select g.id as gateway_id, s.seen_at from gateway g
           join gateway_state s on (s.project_id, s.gateway_id) = (g.project_id, g.id)
           where g.project_id = $1 and not s.online and s.seen_at < $2
           and not exists (select from alarm a where a.project_id = g.project_id
               and a.kind = 'gateway_offline' and a.subject = 'gateway:' || g.id
               and a.closed_at is null)""",
        project_id, seen_before,
    )  # fmt: skip


async def heard_gateways(connection: Connection, project_id: int) -> list[str]:
    """Subjects of open offline alarms whose gateway is on the line again."""
    rows = await connection.fetch(
        """select a.subject from alarm a
           join gateway_state s on s.project_id = a.project_id and s.gateway_id = a.gateway_id
           where a.project_id = $1 and a.kind = 'gateway_offline' and a.closed_at is null
           and s.online""",
        project_id,
    )
    return [row["subject"] for row in rows]


async def payer(connection: Connection, project_id: int, point_id: int) -> asyncpg.Record | None:
    """Who pays for a point now: agreement_id, account_id, keeper; None if it is not in sight."""
    return await connection.fetchrow(
        """select p.account_id, p.keeper, a.agreement_id from point p
           left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           where p.project_id = $1 and p.id = $2 and seen_point(p.project_id, p.id)""",
        project_id, point_id,
    )  # fmt: skip


async def meters_of_account(connection: Connection, project_id: int, account_id: int) -> list[int]:
    """The meters in service at the points that draw on an account."""
    rows = await connection.fetch(
        """select m.id from point p
           join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
           where p.project_id = $1 and p.account_id = $2 and m.removed_at is null order by m.id""",
        project_id, account_id,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def set_levels(
    connection: Connection, project_id: int, point_ids: list[int], levels: list[int]
) -> None:
    """Set the warning levels of a few points."""
    await connection.execute(
        """update point_state ps set warning_level = l.level
           from unnest($2::int8[], $3::int2[]) as l (point_id, level)
           where ps.project_id = $1 and ps.point_id = l.point_id""",
        project_id, point_ids, levels,
    )  # fmt: skip
