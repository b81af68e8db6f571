"""Revenue by day: closed days as they were closed, and what has come since.

Owns these SELECTs. A closed day is read from its totals, so a year costs 365 rows however much was
sold; only open days are added up from their transfers.
"""

from collections.abc import Sequence
from datetime import date

import asyncpg

from meterhouse.store.days import IS_FEE, Mark
from meterhouse.store.db import Connection
from meterhouse.store.personal import STAFF_NAME, staff


async def closed_money(
    connection: Connection, project_id: int, first: date, last: date
) -> list[asyncpg.Record]:
    """day, kind, channel, cashier_id, commodity, count, amount_minor of closed days."""
    return await connection.fetch(
        """select d.day, m.* from day_close d, jsonb_to_recordset(d.totals->'money')
               as m (kind text, channel text, cashier_id int8, commodity text, count int8,
                   amount_minor int8)
           where d.project_id = $1 and d.day between $2 and $3 order by d.day""",
        project_id, first, last,
    )  # fmt: skip


async def closed_sales(
    connection: Connection, project_id: int, first: date, last: date
) -> list[asyncpg.Record]:
    """day, commodity, amount_minor (booked), energy_milli (used) of closed days."""
    return await connection.fetch(
        """select d.day, m.commodity, sum(m.amount_minor)::int8 as amount_minor,
               sum(m.energy_milli)::int8 as energy_milli
           from day_close d, lateral (
               select commodity, amount_minor, 0 as energy_milli
               from jsonb_to_recordset(d.totals->'booked') as b (commodity text, amount_minor int8)
               union all
               select commodity, 0, energy_milli
               from jsonb_to_recordset(d.totals->'energy') as e (commodity text, energy_milli int8)
           ) m
           where d.project_id = $1 and d.day between $2 and $3 group by 1, 2 order by 1, 2""",
        project_id, first, last,
    )  # fmt: skip


# $1 project, $2 and $3 the mark of the last closed day, $4 time zone, $5 the first open day.
_OPEN = """(select t.*, greatest((t.created_at at time zone $4)::date, $5::date) as day
    from transfer t where t.project_id = $1 and t.state = 'posted'
    and (t.id > $2 or t.created_at >= $3))"""


async def open_money(
    connection: Connection, project_id: int, mark: Mark, timezone: str, first_open: date
) -> list[asyncpg.Record]:
    """The same as `closed_money` of what no closed day holds."""
    return await connection.fetch(
        f"""select t.day, o.kind, o.channel, o.actor_id as cashier_id, p.commodity,
                count(*) as count, sum(o.amount_minor)::int8 as amount_minor
            from {_OPEN} t join payment o on (o.project_id, o.id) = ($1, t.payment_id)
            left join point p on (p.project_id, p.id) = ($1, o.point_id)
                and not {IS_FEE}
            where t.payment_id is not null and t.amount_minor = o.amount_minor
            group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5""",
        project_id, mark.last_transfer_id, mark.until_at, timezone, first_open,
    )  # fmt: skip


async def open_sales(
    connection: Connection, project_id: int, mark: Mark, timezone: str, first_open: date
) -> list[asyncpg.Record]:
    """day, commodity, amount_minor (booked) of what no closed day holds."""
    return await connection.fetch(
        f"""select t.day, p.commodity, sum(case
                when t.credit_account_id in (select id from account
                    where project_id = $1 and kind = 'revenue') then t.amount_minor
                else -t.amount_minor end)::int8 as amount_minor
            from {_OPEN} t
            left join point p on (p.project_id, p.id) = ($1, t.point_id)
            where (t.debit_account_id in (select id from account
                    where project_id = $1 and kind = 'revenue'))
                <> (t.credit_account_id in (select id from account
                    where project_id = $1 and kind = 'revenue'))
            group by 1, 2 order by 1, 2""",
        project_id, mark.last_transfer_id, mark.until_at, timezone, first_open,
    )  # fmt: skip


async def names(connection: Connection, person_ids: Sequence[int]) -> dict[int, str]:
    """Names of staff by id; empty for whom the scope does not let be seen."""
    rows = await connection.fetch(
        f"""select x.id, {STAFF_NAME} as name from unnest($1::int8[]) as x (id) {staff("x.id")}""",
        list(person_ids),
    )
    return {row["id"]: row["name"] for row in rows}
