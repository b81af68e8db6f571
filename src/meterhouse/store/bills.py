"""Bills of points and how far they reach, as rows.

Owns these statements. A bill counts by its latest version; one of nothing counts no more. Must
never rate.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.reports import FOUND, PLACE, PLACE_COLUMNS

IN_FORCE = """select distinct on (project_id, point_id, from_at) * from bill
    where {} order by project_id, point_id, from_at, version desc"""

# Whole coins, half a coin up: for the eye and for sorting; charged and difference make the bill.
_CHARGED = "round(q.charged_nano / (10 ^ (9 - j.currency_exponent))::numeric)::int8"

LIST = ListQuery(
    f"""select q.id, q.point_id, q.from_at, q.to_at, q.period_from_at, q.period_to_at, q.version,
            q.tariff_id, q.energy_milli, q.charged_nano, q.amount_nano, q.total_minor, q.made_at,
            {_CHARGED} as charged_minor, q.total_minor - {_CHARGED} as difference_minor,
            t.name as tariff, p.commodity, {PLACE_COLUMNS}, a.agreement_id, c.id as customer_id,
            h.name as customer, h.erased_at is not null as is_erased
        from bill q join project j on j.id = q.project_id
        join tariff t on (t.project_id, t.id) = (q.project_id, q.tariff_id)
        join point p on (p.project_id, p.id) = (q.project_id, q.point_id) {PLACE}
        join account a on (a.project_id, a.id) = (q.project_id, q.account_id)
        left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
        left join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
        left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
        where q.project_id = $1 and q.from_at < q.to_at and not exists (
            select from bill n where (n.project_id, n.point_id, n.from_at)
                = (q.project_id, q.point_id, q.from_at) and n.version > q.version)""",
    {
        "text": f"q.point_id in {FOUND}",
        "point": "q.point_id = {}",
        "agreement": "q.agreement_id = {}",
        "from": "q.period_from_at >= {}",
        "to": "q.period_from_at < {}",
    },
    {
        "period": "period_from_at", "room": "room", "energy": "energy_milli",
        "charged": "charged_minor", "total": "total_minor", "difference": "difference_minor",
    },
    first="-period",
    solid=frozenset({"period", "energy", "charged", "total", "difference"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewBill:
    """A version of a stretch's bill.

    Attributes:
        from_at, to_at: the stretch; they are the same where it is no more.
        period_from_at, period_to_at: its billing period.
        account_id, payer_at: who used it, and since when they paid for the point.
        energy_milli, charged_nano: what was used, and charged for it while energy flowed.
        total_minor: what the bill says.
        amount_nano: what it adds to what was charged.
        after_milli, after_period_at, after_kept_milli: where blocks and free energy stand after it.
        said: the bill itself, field by field.
        booking: the booking its difference belongs to.
        edition: how many corrections of prices the project had seen.
    """

    from_at: datetime
    version: int
    to_at: datetime
    period_from_at: datetime
    period_to_at: datetime
    account_id: int
    payer_at: datetime
    tariff_id: int
    energy_milli: int
    charged_nano: int
    total_minor: int
    amount_nano: int
    after_milli: int
    after_period_at: datetime
    after_kept_milli: int
    said: dict[str, Any]
    booking: int
    edition: int


async def billed_tariffs(connection: Connection, project_id: int) -> list[int]:
    """The tariffs with anything known only when a billing period has ended, in any version."""
    rows = await connection.fetch(
        """select distinct v.tariff_id from tariff_version v
           cross join lateral jsonb_array_elements(v.body -> 'versions') as one
           where v.project_id = $1 and (one ?| array['minimum_micro', 'demand', 'loss_micro']
               or one -> 'tax' ->> 'included' = 'false'
               or one -> 'allowance' ->> 'carries' = 'true')
           order by 1""",
        project_id,
    )  # fmt: skip
    return [row["tariff_id"] for row in rows]


async def waiting(
    connection: Connection, project_id: int, tariff_ids: Sequence[int], after_id: int, most: int
) -> list[asyncpg.Record]:
    """point_id and meter_id of points that have something to bill, by point.

    It has begun under one of these tariffs and was never looked at; or what was billed has changed;
    or a further stretch has ended, by its period or by another tariff, and is known.
    """
    return await connection.fetch(
        """select p.id as point_id, s.meter_id from point p
           join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
           left join billing b on (b.project_id, b.point_id) = (p.project_id, p.id)
           where p.project_id = $1 and p.id > $3 and (
               (b.point_id is null and exists (select from point_tariff t
                   where (t.project_id, t.point_id) = (p.project_id, p.id)
                   and t.tariff_id = any($2::int8[]) and t.from_at < s.good_at))
               or b.touched_from is not null or b.next_at <= s.good_at
               or (p.tariff_at > b.billed_until and p.tariff_at < b.next_at
                   and p.tariff_at <= s.good_at))
           order by p.id limit $4""",
        project_id, list(tariff_ids), after_id, most,
    )  # fmt: skip


async def stand(connection: Connection, project_id: int, point_id: int) -> asyncpg.Record | None:
    """What bills need to know of a point: its state, payer and how far it is billed; locked."""
    return await connection.fetchrow(
        """select s.meter_id, s.good_at, s.booking, p.payer_at, p.keeper, b.billed_until,
               b.touched_from
           from point_state s join point p on (p.project_id, p.id) = (s.project_id, s.point_id)
           left join billing b on (b.project_id, b.point_id) = (p.project_id, p.id)
           where s.project_id = $1 and s.point_id = $2 for update of s""",
        project_id, point_id,
    )  # fmt: skip


async def beginning(
    connection: Connection, project_id: int, point_id: int, since: datetime
) -> list[asyncpg.Record]:
    """The bills in force of a point that begin at an instant or later, by time, and the one before.

    Also those taken back, which tell the next version's number.
    """
    mine = "project_id = $1 and point_id = $2 and from_at"
    return await connection.fetch(
        f"""select * from (select * from ({IN_FORCE.format(f"{mine} < $3")}) q
                where from_at < to_at order by from_at desc limit 1) before
            union all select * from ({IN_FORCE.format(f"{mine} >= $3")}) rest order by from_at""",
        project_id, point_id, since,
    )  # fmt: skip


async def insert(
    connection: Connection, project_id: int, point_id: int, made: Sequence[NewBill], at: datetime
) -> None:
    """Keep versions of bills."""
    await connection.executemany(
        """insert into bill (project_id, point_id, from_at, version, to_at, period_from_at,
               period_to_at, account_id, payer_at, tariff_id, energy_milli, charged_nano,
               total_minor, amount_nano, after_milli, after_period_at, after_kept_milli, said,
               booking, edition, made_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
               $18::jsonb, $19, $20, $21)""",
        [
            (project_id, point_id, one.from_at, one.version, one.to_at, one.period_from_at,
             one.period_to_at, one.account_id, one.payer_at, one.tariff_id, one.energy_milli,
             one.charged_nano, one.total_minor, one.amount_nano, one.after_milli,
             one.after_period_at, one.after_kept_milli, json.dumps(one.said), one.booking,
             one.edition, at)
            for one in made
        ],
    )  # fmt: skip


async def reach(
    connection: Connection, project_id: int, point_id: int, until: datetime, next_at: datetime
) -> None:
    """A point is billed up to an instant, as far as anything is known; `next_at`: when to look."""
    await connection.execute(
        """insert into billing (project_id, point_id, billed_until, next_at)
           values ($1, $2, $3, $4) on conflict (project_id, point_id) do update
           set billed_until = excluded.billed_until, next_at = excluded.next_at,
               touched_from = null""",
        project_id, point_id, until, next_at,
    )  # fmt: skip


async def touch(
    connection: Connection, project_id: int, point_ids: Sequence[int], sinces: Sequence[datetime]
) -> None:
    """What was charged at points since these instants has changed: what was billed of it is old."""
    await connection.execute(
        """update billing b set touched_from = least(b.touched_from, t.since)
           from (select point_id, min(since) as since
               from unnest($2::int8[], $3::timestamptz[]) as q (point_id, since) group by 1) t
           where b.project_id = $1 and b.point_id = t.point_id and b.billed_until >= t.since""",
        project_id, point_ids, sinces,
    )  # fmt: skip


async def look_again(connection: Connection, project_id: int, tariff_id: int) -> None:
    """A further version of a tariff may bill what was looked at without it."""
    await connection.execute(
        """update billing b set next_at = b.billed_until where b.project_id = $1
           and exists (select from point_tariff t where (t.project_id, t.point_id)
               = (b.project_id, b.point_id) and t.tariff_id = $2)""",
        project_id, tariff_id,
    )  # fmt: skip


async def get(connection: Connection, project_id: int, bill_id: int) -> asyncpg.Record | None:
    """One version of a bill with its room and tariff, if it is in sight; `is_last`: in force."""
    return await connection.fetchrow(
        """select q.*, t.name as tariff, p.commodity, r.id as room_id, r.name as room,
               b.name as building, a.agreement_id,
               not exists (select from bill n where (n.project_id, n.point_id, n.from_at)
                   = (q.project_id, q.point_id, q.from_at) and n.version > q.version) as is_last
           from bill q join point p on (p.project_id, p.id) = (q.project_id, q.point_id)
           join tariff t on (t.project_id, t.id) = (q.project_id, q.tariff_id)
           join account a on (a.project_id, a.id) = (q.project_id, q.account_id)
           left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
           where q.project_id = $1 and q.id = $2 and seen_point(q.project_id, q.point_id)""",
        project_id, bill_id,
    )  # fmt: skip


async def any_within(
    connection: Connection, project_id: int, since: datetime, until: datetime
) -> bool:
    """Whether any period of a project was billed that lies in a span with a part of it."""
    found: bool = await connection.fetchval(
        """select exists (select from bill where project_id = $1 and from_at < to_at
               and from_at < $3 and to_at > $2)""",
        project_id, since, until,
    )  # fmt: skip
    return found


async def versions(
    connection: Connection, project_id: int, point_id: int, from_at: datetime, most: int
) -> list[asyncpg.Record]:
    """The versions of the bill of a stretch, the first one first; `most` of them."""
    return await connection.fetch(
        """select id, version, from_at, to_at, charged_nano, total_minor, amount_nano, made_at
           from bill where project_id = $1 and point_id = $2 and from_at = $3
           order by version limit $4""",
        project_id, point_id, from_at, most,
    )  # fmt: skip


async def of_booking(
    connection: Connection, project_id: int, point_id: int, booking: int
) -> list[asyncpg.Record]:
    """The bills a booking took, by time; `replaced_nano` is what each stands in place of."""
    return await connection.fetch(
        """with mine as (
               select distinct on (from_at) *, min(version) over (partition by from_at) as first
               from bill where project_id = $1 and point_id = $2 and booking = $3
               order by from_at, version desc)
           select n.*, coalesce(o.amount_nano, 0) as replaced_nano, t.name as tariff
           from mine n join tariff t on (t.project_id, t.id) = (n.project_id, n.tariff_id)
           left join bill o on (o.project_id, o.point_id, o.from_at, o.version)
               = (n.project_id, n.point_id, n.from_at, n.first - 1)
           order by n.from_at""",
        project_id, point_id, booking,
    )  # fmt: skip
