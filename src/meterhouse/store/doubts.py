"""Readings that were doubted, and what people decided about them.

Owns two tables: a doubt is noted where the judgement of readings finds one, and a decision is
written for ever, the last one of an instant holds. Must never judge: which doubts wait is a
question to the chain as it stands, a doubt later than its last good reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.orders import IN_BUILDING_NAMED
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.readings import BANDS
from meterhouse.store.reports import FOUND, PLACE, PLACE_COLUMNS
from meterhouse.units import from_us

# A doubt waits where nothing good came after it, its meter still serves, and somebody pays.
_WAITING = """d.is_doubtful and d.read_at > s.good_at and p.keeper <> 'none'
    and (d.meter_id, d.register_epoch) = (s.meter_id, s.register_epoch)"""
_CHAIN = """doubt d
    join point p on (p.project_id, p.id) = (d.project_id, d.point_id)
    join point_state s on (s.project_id, s.point_id) = (d.project_id, d.point_id)
    join meter m on (m.project_id, m.id) = (d.project_id, d.meter_id)"""

# The words of `rating.delta.Verdict` for what can be doubtful.
_WHY = """case d.verdict when 4 then 'conflict' when 6 then 'zero' when 7 then 'decrease'
    when 8 then 'jump' when 9 then 'band_mismatch' when 10 then 'other_track'
    else 'unusable' end"""

DOUBTS = ListQuery(
    f"""select d.id, d.point_id, d.meter_id, m.address, d.read_at, {_WHY} as why, d.noted_at,
            s.good_at, s.good_0_milli, g.total_milli, p.commodity, {PLACE_COLUMNS}
        from {_CHAIN} {PLACE}
        left join reading g on (g.project_id, g.meter_id, g.register_epoch, g.read_at)
            = (d.project_id, d.meter_id, d.register_epoch, d.read_at)
        where d.project_id = $1 and {_WAITING}""",
    {
        "why": "q.why = {}",
        "block": f"q.point_id in {IN_BUILDING_NAMED}",
        "meter": "q.meter_id = {}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.read_at > {}",
        "to": "q.read_at <= {}",
    },
    {"read_at": "read_at", "room": "room", "why": "why"},
    first="read_at",
    solid=frozenset({"read_at"}),
)


@dataclass(frozen=True, slots=True)
class NewDecision:
    """What a person says of one reading.

    Attributes:
        decided: a `rating.decided.Decided`.
        registers_milli: total, then 尖峰平谷, as they should read; None unless corrected.
        used_milli: multiplied, what was used before another track began.
    """

    decided: int
    registers_milli: Sequence[int] | None
    used_milli: int
    reason: str


async def note(
    connection: Connection, project_id: int, rows: Sequence[tuple[int, int, int, datetime, int]],
    at: datetime,
) -> None:  # fmt: skip
    """Note doubtful readings: point, meter, register epoch, instant, verdict; known ones change.

    Of one instant that is told in several ways the last row counts.
    """
    if not rows:
        return
    rows = list({row[:4]: row for row in rows}.values())
    await connection.execute(
        """insert into doubt (project_id, point_id, meter_id, register_epoch, read_at, verdict,
               noted_at)
           select $1, u.*, $7 from unnest($2::int8[], $3::int8[], $4::int4[], $5::timestamptz[],
               $6::int2[]) u
           on conflict (project_id, meter_id, register_epoch, read_at)
           do update set verdict = excluded.verdict, is_doubtful = true""",
        project_id, *(list(column) for column in zip(*rows, strict=True)), at,
    )  # fmt: skip


async def settle(
    connection: Connection, project_id: int, meter_id: int, register_epoch: int,
    since: datetime, until: datetime, doubtful: Sequence[datetime],
) -> None:  # fmt: skip
    """What a new judgement of a span doubts no more is not doubtful."""
    await connection.execute(
        """update doubt set is_doubtful = false where project_id = $1 and meter_id = $2
           and register_epoch = $3 and read_at between $4 and $5 and is_doubtful
           and not read_at = any($6::timestamptz[])""",
        project_id, meter_id, register_epoch, since, until, list(doubtful),
    )  # fmt: skip


async def waiting_points(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> set[int]:
    """Which of these points have a doubt that waits for a person."""
    rows = await connection.fetch(
        f"""select distinct d.point_id from {_CHAIN}
            where d.project_id = $1 and d.point_id = any($2::int8[]) and {_WAITING}""",
        project_id, list(point_ids),
    )  # fmt: skip
    return {row["point_id"] for row in rows}


async def waiting(connection: Connection, project_id: int, point_id: int) -> list[asyncpg.Record]:
    """id, why of what waits for a person at a point, oldest first."""
    return await connection.fetch(
        f"""select d.id, {_WHY} as why from {_CHAIN}
            where d.project_id = $1 and d.point_id = $2 and {_WAITING} order by d.read_at""",
        project_id, point_id,
    )  # fmt: skip


async def get_doubt(
    connection: Connection, project_id: int, doubt_id: int
) -> asyncpg.Record | None:
    """One doubt in sight: its place, its meter, its reading, whether it waits."""
    return await connection.fetchrow(
        f"""select d.*, {_WHY} as why, {PLACE_COLUMNS}, p.commodity, m.address,
                m.multiplier, m.modulus_milli, m.max_power_w,
                s.good_at, s.good_0_milli, {_WAITING} as is_waiting, p.keeper,
                (d.meter_id, d.register_epoch) = (s.meter_id, s.register_epoch) as is_serving,
                g.total_milli, {", ".join(f"g.{name}" for name in BANDS)}, g.source, g.received_at
            from {_CHAIN} {PLACE}
            left join reading g on (g.project_id, g.meter_id, g.register_epoch, g.read_at)
                = (d.project_id, d.meter_id, d.register_epoch, d.read_at)
            where d.project_id = $1 and d.id = $2 and seen_point(d.project_id, d.point_id)""",
        project_id, doubt_id,
    )  # fmt: skip


async def get_reading(
    connection: Connection, project_id: int, meter_id: int, reading_id: int
) -> asyncpg.Record | None:
    """Any stored reading in sight, named by its meter and its instant in µs; as `get_doubt`.

    `id`, `why` and `noted_at` are null where it was never doubted.
    """
    return await connection.fetchrow(
        f"""select g.meter_id, g.register_epoch, g.read_at, g.total_milli,
                {", ".join(f"g.{name}" for name in BANDS)}, g.source, g.received_at,
                g.power_w, g.relay, d.id, d.noted_at,
                case when d.id is not null then {_WHY} end as why,
                coalesce(d.is_doubtful, false) as is_doubtful, {PLACE_COLUMNS}, p.commodity,
                p.keeper, m.point_id, m.address, m.multiplier, m.modulus_milli, m.max_power_w,
                s.good_at, s.good_0_milli, coalesce({_WAITING}, false) as is_waiting,
                m.removed_at is null and (g.meter_id, g.register_epoch)
                    = (s.meter_id, s.register_epoch) as is_serving
            from reading g
            join meter m on (m.project_id, m.id) = (g.project_id, g.meter_id)
            join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
            join point_state s on (s.project_id, s.point_id) = (m.project_id, m.point_id) {PLACE}
            left join doubt d on (d.project_id, d.meter_id, d.register_epoch, d.read_at)
                = (g.project_id, g.meter_id, g.register_epoch, g.read_at)
            where g.project_id = $1 and g.meter_id = $2 and g.read_at = $3
            and seen_point(m.project_id, m.point_id) order by g.register_epoch desc limit 1""",
        project_id, meter_id, from_us(reading_id),
    )  # fmt: skip


async def names(
    connection: Connection, project_id: int, doubt_ids: Sequence[int]
) -> dict[int, asyncpg.Record]:
    """building, room, read_at of doubts in sight, by id."""
    rows = await connection.fetch(
        f"""select d.id, d.read_at, {PLACE_COLUMNS} from {_CHAIN} {PLACE}
            where d.project_id = $1 and d.id = any($2::int8[])
            and seen_point(d.project_id, d.point_id)""",
        project_id, list(doubt_ids),
    )  # fmt: skip
    return {row["id"]: row for row in rows}


async def decide(
    connection: Connection, project_id: int, reading: tuple[int, int, datetime], new: NewDecision,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Write a decision about a reading (meter, register epoch, instant); answers its number."""
    number: int = await connection.fetchval(
        """insert into decision (project_id, meter_id, register_epoch, read_at, number, decided,
               registers_milli, used_milli, reason, actor_id, decided_at)
           select $1, $2, $3, $4, 1 + coalesce(max(number), 0), $5, $6::int8[], $7, $8, $9, $10
           from decision where project_id = $1 and meter_id = $2 and register_epoch = $3
               and read_at = $4
           returning number""",
        project_id, *reading, new.decided,
        None if new.registers_milli is None else list(new.registers_milli), new.used_milli,
        new.reason, actor_id, at,
    )  # fmt: skip
    return number


async def history(connection: Connection, project_id: int, doubt: Any) -> list[asyncpg.Record]:
    """Every decision ever made about a doubt's reading, oldest first."""
    return await connection.fetch(
        f"""select c.*, {STAFF_NAME} as actor from decision c {staff("c.actor_id")}
           where c.project_id = $1 and c.meter_id = $2 and c.register_epoch = $3
           and c.read_at = $4 order by c.number""",
        project_id, doubt["meter_id"], doubt["register_epoch"], doubt["read_at"],
    )  # fmt: skip


async def around(connection: Connection, project_id: int, doubt: Any, most: int) -> list[Any]:
    """The registers around a doubt, by time: read_at, total_milli, is_doubtful, decided, quality.

    Quality, `started_at`, `energy_milli` and `amount_nano` are of the interval that ends there;
    null where none does.
    """
    return await connection.fetch(
        """with near as (
               (select r.* from reading r where r.project_id = $1 and r.meter_id = $2
                   and r.register_epoch = $3 and r.read_at <= $4
                   order by r.read_at desc limit $5)
               union all
               (select r.* from reading r where r.project_id = $1 and r.meter_id = $2
                   and r.register_epoch = $3 and r.read_at > $4 order by r.read_at limit $5))
           select n.read_at, n.total_milli, n.source, coalesce(d.is_doubtful, false) as is_doubtful,
               d.id as doubt_id, c.decided, c.registers_milli, h.quality, h.started_at,
               h.energy_milli, h.amount_nano
           from near n
           left join doubt d on (d.project_id, d.meter_id, d.register_epoch, d.read_at)
               = (n.project_id, n.meter_id, n.register_epoch, n.read_at)
           left join lateral (select c.decided, c.registers_milli from decision c
               where (c.project_id, c.meter_id, c.register_epoch, c.read_at)
                   = (n.project_id, n.meter_id, n.register_epoch, n.read_at)
               order by c.number desc limit 1) c on true
           left join lateral (select h.* from charge h
               where h.project_id = $1 and h.point_id = $6 and h.ended_at = n.read_at
               order by h.version desc limit 1) h on h.started_at < h.ended_at
           order by n.read_at""",
        project_id, doubt["meter_id"], doubt["register_epoch"], doubt["read_at"], most,
        doubt["point_id"],
    )  # fmt: skip


async def charged(
    connection: Connection, project_id: int, point_id: int, since: datetime
) -> list[asyncpg.Record]:
    """The charges in force at a point that end at an instant or later, by time.

    started_at, ended_at, account_id, energy_milli, amount_nano, quality.
    """
    return await connection.fetch(
        """select * from (select distinct on (ended_at) started_at, ended_at, account_id,
                   energy_milli, amount_nano, quality from charge
               where project_id = $1 and point_id = $2 and ended_at >= $3
               order by ended_at, version desc) c where started_at < ended_at order by ended_at""",
        project_id, point_id, since,
    )  # fmt: skip


async def payers(
    connection: Connection, project_id: int, account_ids: Sequence[int], purse_id: int
) -> dict[int, asyncpg.Record]:
    """Who is charged by these accounts, by account, and whether it is who is charged by a purse.

    agreement_id, is_present; customer (masked) and is_erased.
    """
    rows = await connection.fetch(
        """select a.id, a.agreement_id, h.name as customer, h.erased_at is not null as is_erased,
               a.agreement_id is not distinct from
                   (select agreement_id from account where project_id = $1 and id = $3)
                   as is_present
           from account a
           left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
           left join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
           left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
           where a.project_id = $1 and a.id = any($2::int8[])""",
        project_id, list(account_ids), purse_id,
    )  # fmt: skip
    return {row["id"]: row for row in rows}


async def closed_days(
    connection: Connection, project_id: int, first: date, last: date
) -> asyncpg.Record:
    """How many days between two were closed (`count`), the `first` and the `last` of them."""
    (row,) = await connection.fetch(
        """select count(*) as count, min(day) as first, max(day) as last from day_close
           where project_id = $1 and day between $2 and $3""",
        project_id, first, last,
    )  # fmt: skip
    return row
