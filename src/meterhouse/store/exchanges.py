"""Meters given for others (换表) as rows, kept for ever, and since when a meter serves its point.

Owns these rows. Must never know why a meter was given for another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff

LIST: Final = ListQuery(
    f"""select e.id, e.point_id, e.old_meter_id, e.new_meter_id, e.exchanged_at, e.closing_milli,
            e.closing_milli[1] as closing_0_milli, e.opening_milli[1] as opening_0_milli,
            e.closing_source, e.opening_milli, e.moved_minor, e.reason, o.address as old_address,
            n.address as new_address, o.multiplier as old_multiplier,
            n.multiplier as new_multiplier, p.commodity, r.id as room_id, r.name as room,
            b.name as building, {STAFF_NAME} as actor
        from exchange e
        join meter o on (o.project_id, o.id) = (e.project_id, e.old_meter_id)
        join meter n on (n.project_id, n.id) = (e.project_id, e.new_meter_id)
        join point p on (p.project_id, p.id) = (e.project_id, e.point_id)
        join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
        join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
        {staff("e.actor_id")}
        where e.project_id = $1""",
    {
        "text": "(q.room ilike {0} or q.old_address ilike {0} or q.new_address ilike {0})",
        "point": "q.point_id = {}",
        "from": "q.exchanged_at >= {}",
        "to": "q.exchanged_at < {}",
    },
    {"exchanged_at": "exchanged_at", "room": "room", "address": "old_address"},
    first="-exchanged_at",
    solid=frozenset({"exchanged_at", "room", "address"}),
)


@dataclass(frozen=True, slots=True)
class NewExchange:
    """What is kept of an exchange; registers are total, then 尖峰平谷 (−1: not read)."""

    point_id: int
    old_meter_id: int
    new_meter_id: int
    closing_milli: Sequence[int]
    closing_source: str
    opening_milli: Sequence[int]
    moved_minor: int
    reason: str


async def insert(
    connection: Connection, project_id: int, new: NewExchange, actor_id: int | None, at: datetime
) -> int:
    """Write an exchange down."""
    made: int = await connection.fetchval(
        """insert into exchange (project_id, point_id, old_meter_id, new_meter_id, exchanged_at,
               closing_milli, closing_source, opening_milli, moved_minor, reason, actor_id,
               created_at)
           values ($1, $2, $3, $4, $10, $5, $6, $7, $8, $9, $11, $10) returning id""",
        project_id, new.point_id, new.old_meter_id, new.new_meter_id, list(new.closing_milli),
        new.closing_source, list(new.opening_milli), new.moved_minor, new.reason, at, actor_id,
    )  # fmt: skip
    return made


async def standing(connection: Connection, project_id: int, meter_id: int) -> asyncpg.Record | None:
    """The point that a meter in service serves, and where its chain stands; None for any other."""
    return await connection.fetchrow(
        """select p.id, p.commodity, p.keeper, p.account_id, a.agreement_id, a.compartment,
               m.id as meter_id, m.address, m.model, m.gateway_id, s.read_at, s.good_at,
               s.good_0_milli,
               s.good_1_milli, s.good_2_milli, s.good_3_milli, s.good_4_milli
           from meter m
           join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
           join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
           left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           where m.project_id = $1 and m.id = $2 and m.removed_at is null
           and seen_point(m.project_id, m.point_id)""",
        project_id, meter_id,
    )  # fmt: skip


async def free_meter(
    connection: Connection, project_id: int, gateway_id: int | None, address: str
) -> asyncpg.Record | None:
    """id, model, multiplier of a meter on a line that hangs at no point yet."""
    return await connection.fetchrow(
        """select id, model, multiplier from meter
           where project_id = $1 and gateway_id is not distinct from $2::int8 and address = $3
           and point_id is null and removed_at is null""",
        project_id, gateway_id, address,
    )  # fmt: skip


async def begin_serving(
    connection: Connection, project_id: int, meter_id: int, at: datetime
) -> None:
    """What a meter read before this instant is none of its point's."""
    await connection.execute(
        "update meter set serves_at = $3 where project_id = $1 and id = $2",
        project_id, meter_id, at,
    )  # fmt: skip


async def follow(
    connection: Connection, project_id: int, meter_ids: Sequence[int], at: datetime
) -> None:
    """Those of these new meters that hang where others hung before serve from this instant on."""
    await connection.execute(
        """update meter m set serves_at = $3 where m.project_id = $1 and m.id = any($2::int8[])
           and exists (select from meter o where (o.project_id, o.point_id)
               = (m.project_id, m.point_id) and o.id <> m.id)""",
        project_id, list(meter_ids), at,
    )  # fmt: skip
