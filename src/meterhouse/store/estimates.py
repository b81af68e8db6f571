"""Energy estimated while a point is silent: which points are, what they used before, the rows.

Owns these statements. An estimate is a charge of quality *estimated* and a row that says by which
rule; the chain of readings never sees either. Must never know the rule.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.orders import IN_BUILDING_NAMED
from meterhouse.store.reports import FOUND, PLACE, PLACE_COLUMNS

# What stands on estimates now, and what should but cannot. An estimate can stand only after the
# last good reading, so a point that speaks costs nothing here.
LIST: Final = ListQuery(
    f"""select p.id, p.id as point_id, p.commodity, s.meter_id, m.address, s.good_at, e.ended_at,
            coalesce(e.energy_milli, 0) as energy_milli, s.estimated_nano,
            s.estimated_nano / (10 ^ (9 - j.currency_exponent))::int8 as amount_minor,
            split_part(u.rule, ' ', 1) as rule, a.facts ->> 'why' as why,
            case when e.ended_at is null then 'missing' when a.id is null then 'running'
                else 'ended' end as state, {PLACE_COLUMNS}
        from point p
        join project j on j.id = p.project_id
        join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
        join meter m on (m.project_id, m.id) = (s.project_id, s.meter_id)
            and m.removed_at is null {PLACE}
        left join alarm a on (a.project_id, a.kind, a.subject)
            = (p.project_id, 'estimate_missing', 'point:' || p.id) and a.closed_at is null
            and a.opened_at > s.good_at
        left join lateral (select max(c.ended_at) as ended_at,
                sum(c.energy_milli)::int8 as energy_milli from (
                select distinct on (c.ended_at) c.* from charge c
                where c.project_id = s.project_id and c.point_id = s.point_id
                and c.ended_at > s.good_at and s.estimated_at > s.good_at
                order by c.ended_at, c.version desc) c
            where c.started_at < c.ended_at and c.quality = 2) e on true
        left join lateral (select u.rule from estimate u where u.project_id = p.project_id
            and u.point_id = p.id and u.read_at = e.ended_at order by u.version desc limit 1) u
            on true
        where p.project_id = $1 and (s.estimated_at > s.good_at or a.id is not null)
        and (e.ended_at is not null or a.id is not null)""",
    {
        "state": "q.state = {}",
        "block": f"q.point_id in {IN_BUILDING_NAMED}",
        "meter": "q.meter_id = {}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.good_at >= {}",
        "to": "q.good_at < {}",
    },
    {
        "since": "good_at", "until": "ended_at", "energy": "energy_milli",
        "amount": "estimated_nano", "room": "room",
    },
    first="since",
    solid=frozenset({"since", "energy", "amount"}),
)  # fmt: skip


async def silent(
    connection: Connection, project_id: int, after_id: int, good_since: datetime,
    good_until: datetime, ended_until: datetime, most: int,
) -> list[asyncpg.Record]:  # fmt: skip
    """Points that have said nothing good for a while, with where their estimates end.

    Their relay is not open and the platform keeps their money. meter_id, good_at; ended_at,
    total_milli, block_milli, block_period_at of the last estimate that stands, else null.
    """
    return await connection.fetch(
        """select s.meter_id, s.point_id, s.good_at, e.read_at as ended_at, e.total_milli,
               e.block_milli, e.block_period_at
           from point_state s
           join point p on (p.project_id, p.id) = (s.project_id, s.point_id)
               and p.keeper = 'platform'
           join meter m on (m.project_id, m.id) = (s.project_id, s.meter_id)
               and m.removed_at is null
           left join lateral (
               select c.ended_at, c.version, c.quality, c.started_at < c.ended_at as stands from (
                   select distinct on (c.ended_at) c.* from charge c
                   where c.project_id = s.project_id and c.point_id = s.point_id
                   and c.meter_id = s.meter_id and c.register_epoch = s.register_epoch
                   and c.ended_at > s.good_at and s.estimated_at > s.good_at
                   order by c.ended_at desc, c.version desc) c
               where c.started_at < c.ended_at and c.quality = 2
               order by c.ended_at desc limit 1) c on true
           left join estimate e on (e.project_id, e.point_id, e.read_at, e.version)
               = (s.project_id, s.point_id, c.ended_at, c.version)
           where s.project_id = $1 and s.meter_id > $2 and s.good_at between $3 and $4
               and s.relay <> 2 and coalesce(e.read_at, s.good_at) <= $5
           order by s.meter_id limit $6""",
        project_id, after_id, good_since, good_until, ended_until, most,
    )  # fmt: skip


async def too_long(
    connection: Connection, project_id: int, good_since: datetime, good_until: datetime, most: int
) -> list[asyncpg.Record]:  # fmt: skip
    """point_id, meter_id, gateway_id of points as `silent` has them, silent for too long."""
    return await connection.fetch(
        """select s.point_id, s.meter_id, m.gateway_id from point_state s
           join point p on (p.project_id, p.id) = (s.project_id, s.point_id)
               and p.keeper = 'platform'
           join meter m on (m.project_id, m.id) = (s.project_id, s.meter_id)
               and m.removed_at is null
           where s.project_id = $1 and s.good_at > $2 and s.good_at < $3 and s.relay <> 2
           order by s.meter_id limit $4""",
        project_id, good_since, good_until, most,
    )  # fmt: skip


async def used_before(
    connection: Connection, project_id: int, point_ids: Sequence[int],
    sinces: Sequence[datetime], untils: Sequence[datetime],
) -> list[asyncpg.Record]:  # fmt: skip
    """Measured charges in force of points that end within their spans, by point and time."""
    return await connection.fetch(
        """select * from (select distinct on (c.point_id, c.ended_at) c.point_id, c.started_at,
                   c.ended_at, c.energy_milli, c.quality, c.meter_id, c.register_epoch
               from unnest($2::int8[], $3::timestamptz[], $4::timestamptz[])
                   as k (point_id, since, until)
               join charge c on c.project_id = $1 and c.point_id = k.point_id
                   and c.ended_at > k.since and c.ended_at <= k.until
               order by c.point_id, c.ended_at, c.version desc) c
           where c.started_at < c.ended_at and c.quality <> 2 order by c.point_id, c.ended_at""",
        project_id, list(point_ids), list(sinces), list(untils),
    )  # fmt: skip


async def versions(
    connection: Connection, project_id: int, ends: Sequence[tuple[int, datetime]]
) -> dict[tuple[int, datetime], int]:
    """The highest version of charges of these points and ends; none: left out."""
    rows = await connection.fetch(
        """select c.point_id, c.ended_at, max(c.version) as version
           from unnest($2::int8[], $3::timestamptz[]) as k (point_id, ended_at)
           join charge c on c.project_id = $1 and c.point_id = k.point_id
               and c.ended_at = k.ended_at group by 1, 2""",
        project_id, [one[0] for one in ends], [one[1] for one in ends],
    )  # fmt: skip
    return {(row["point_id"], row["ended_at"]): row["version"] for row in rows}


async def insert(
    connection: Connection, project_id: int,
    rows: Sequence[tuple[int, datetime, int, int, int, datetime, int, int, datetime, str]],
    at: datetime,
) -> None:  # fmt: skip
    """Keep estimates: point, end, version, meter, epoch, beginning, register, blocks, rule."""
    await connection.executemany(
        """insert into estimate (project_id, point_id, read_at, version, meter_id, register_epoch,
               started_at, total_milli, block_milli, block_period_at, rule, made_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
        [(project_id, *row, at) for row in rows],
    )


async def stands(
    connection: Connection, project_id: int, point_id: int, until: datetime, amount_nano: int
) -> None:
    """A further estimate stands at a point, up to an instant."""
    await connection.execute(
        """update point_state set estimated_at = greatest(estimated_at, $3),
               estimated_nano = estimated_nano + $4 where project_id = $1 and point_id = $2""",
        project_id, point_id, until, amount_nano,
    )  # fmt: skip


async def none_stands(connection: Connection, project_id: int, point_id: int) -> None:
    """No estimate stands at a point any more."""
    await connection.execute(
        "update point_state set estimated_nano = 0 where project_id = $1 and point_id = $2",
        project_id, point_id,
    )  # fmt: skip


async def owed(connection: Connection, project_id: int, point_ids: Sequence[int]) -> dict[int, int]:
    """How much of what points may draw on was estimated, there or at others that draw on it."""
    rows = await connection.fetch(
        """select p.id, sum(s.estimated_nano)::int8 as estimated_nano
           from point p
           join point q on q.project_id = p.project_id and (q.id = p.id
               or q.account_id = p.account_id or q.common_account_id = p.common_account_id)
           join point_state s on (s.project_id, s.point_id) = (q.project_id, q.id)
           where p.project_id = $1 and p.id = any($2::int8[]) and s.estimated_nano <> 0
           group by p.id""",
        project_id, list(point_ids),
    )  # fmt: skip
    return {row["id"]: row["estimated_nano"] for row in rows}


async def stuck(
    connection: Connection, project_id: int, read_since: datetime, moved_before: datetime
) -> list[asyncpg.Record]:
    """Meters that answer and are on, whose register has not moved since an instant but did before.

    point_id, meter_id, gateway_id, moved_at (the end of the last interval with any energy).
    """
    return await connection.fetch(
        """select s.point_id, s.meter_id, m.gateway_id, c.ended_at as moved_at
           from point_state s
           join meter m on (m.project_id, m.id) = (s.project_id, s.meter_id)
               and m.removed_at is null
           cross join lateral (select max(c.ended_at) as ended_at from charge c
               where c.project_id = s.project_id and c.point_id = s.point_id
               and c.meter_id = s.meter_id and c.energy_milli > 0) c
           where s.project_id = $1 and s.good_at >= $2 and s.relay <> 2
           and not exists (select from charge c where c.project_id = s.project_id
               and c.point_id = s.point_id and c.ended_at > $3 and c.energy_milli > 0)
           and c.ended_at is not null order by s.point_id""",
        project_id, read_since, moved_before,
    )  # fmt: skip
