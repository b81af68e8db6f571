"""What meters that keep the money deducted, beside what the platform rated, day by day.

Owns the rows. Both totals of a row are read in one moment, so that what one reading brought is in
both or in neither; a row is the difference to the row before it, so that corrections and late
readings fall into the day that learns of them, and no sum ever loses anything.
"""

from collections.abc import Collection
from datetime import date, datetime

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery, Wanted, group_list
from meterhouse.store.reports import FOUND, PLACE, PLACE_COLUMNS

# Whole coins, half a coin up: for the eye; what is held against a limit is exact.
_RATED = "round(d.rated_nano / (10 ^ (9 - j.currency_exponent))::numeric)::int8"

DRIFT = ListQuery(
    f"""select d.point_id as id, d.point_id, d.day, d.since_at, d.until_at, d.meter_id, m.address,
            d.deducted_minor, d.rated_nano, {_RATED} as rated_minor,
            d.deducted_minor - {_RATED} as difference_minor, {PLACE_COLUMNS}
        from drift d join project j on j.id = d.project_id
        join meter m on (m.project_id, m.id) = (d.project_id, d.meter_id)
        join point p on (p.project_id, p.id) = (d.project_id, d.point_id) {PLACE}
        where d.project_id = $1 and d.since_at is not null""",
    {
        "meter": "q.meter_id = {}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.until_at > {}",
        "to": "q.until_at <= {}",
    },
    {"until_at": "until_at", "room": "room", "difference": "difference_minor"},
    key=("point_id", "until_at"),
    first="-until_at",
    solid=frozenset({"until_at", "difference"}),
)


async def write_day(connection: Connection, project_id: int, day: date, until_at: datetime) -> None:
    """Note where both totals of every point stand whose meter keeps its money, once a day.

    The first row of a point is where the comparison begins; it has no span.
    """
    await connection.execute(
        """insert into drift (project_id, point_id, day, since_at, until_at, meter_id,
               deducted_total_minor, rated_total_nano, deducted_minor, rated_nano)
           select $1, p.id, $2, b.until_at, $3, m.id, w.total, s.rated_nano,
               coalesce(w.total - b.deducted_total_minor, 0),
               coalesce(s.rated_nano - b.rated_total_nano, 0)
           from point p
           join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
           join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
               and m.removed_at is null
           cross join lateral (select sum(w.consumed_minor)::int8 as total from wallet w
               join meter x on (x.project_id, x.id) = (w.project_id, w.meter_id)
               where x.project_id = $1 and x.point_id = p.id and w.read_at is not null) w
           left join lateral (select d.until_at, d.deducted_total_minor, d.rated_total_nano
               from drift d where d.project_id = $1 and d.point_id = p.id and d.day < $2
               order by d.day desc limit 1) b on true
           where p.project_id = $1 and p.keeper = 'meter' and w.total is not null
           on conflict do nothing""",
        project_id, day, until_at,
    )  # fmt: skip


async def lately(
    connection: Connection, project_id: int, day: date, day_count: int
) -> list[asyncpg.Record]:
    """Of every point with a row of this day: what the rows of so many days add up to."""
    return await connection.fetch(
        """select t.point_id, t.meter_id, m.gateway_id, s.since_at,
               s.deducted_minor, s.rated_nano
           from drift t join meter m on (m.project_id, m.id) = (t.project_id, t.meter_id)
           cross join lateral (select min(d.since_at) as since_at,
                   sum(d.deducted_minor)::int8 as deducted_minor,
                   sum(d.rated_nano)::int8 as rated_nano
               from drift d where d.project_id = $1 and d.point_id = t.point_id
               and d.day > $2::date - $3::int and d.day <= $2) s
           where t.project_id = $1 and t.day = $2 and s.since_at is not null""",
        project_id, day, day_count,
    )  # fmt: skip


async def sums(
    connection: Connection, project_id: int, wanted: Wanted, building_ids: Collection[int] | None
) -> list[asyncpg.Record]:
    """deducted_minor, rated_minor, difference_minor of all rows that match; one row, or none."""
    return await group_list(
        connection, DRIFT.within(building_ids), project_id, wanted,
        """sum(q.deducted_minor)::int8 as deducted_minor, sum(q.rated_minor)::int8 as rated_minor,
           sum(q.difference_minor)::int8 as difference_minor, 0 as one""",
        "one",
    )  # fmt: skip
