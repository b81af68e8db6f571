"""The books as finance reads them: journal, a household's statement, balances at an instant.

Owns these SELECTs over accounts and transfers. Must never write one.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.reports import FOUND, PLACE, PLACE_COLUMNS

JOURNAL: Final = ListQuery(
    f"""select t.id, t.created_at, t.kind, t.state, t.amount_minor, t.reason, t.payment_id,
            t.point_id, t.booking, d.kind as debit_kind, d.compartment as debit_compartment,
            d.agreement_id as debit_agreement_id, c.kind as credit_kind,
            c.compartment as credit_compartment, c.agreement_id as credit_agreement_id,
            p.commodity, {PLACE_COLUMNS}, {STAFF_NAME} as actor
        from transfer t
        join account d on (d.project_id, d.id) = (t.project_id, t.debit_account_id)
        join account c on (c.project_id, c.id) = (t.project_id, t.credit_account_id)
        left join point p on (p.project_id, p.id) = (t.project_id, t.point_id) {PLACE}
        {staff("t.actor_id")}
        where t.project_id = $1""",
    {
        "account": "(q.debit_kind = {0} or q.credit_kind = {0})",
        "kind": "q.kind = {}",
        "order": "q.payment_id = {}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.created_at >= {}",
        "to": "q.created_at < {}",
    },
    {"created_at": "created_at", "amount": "amount_minor", "kind": "kind", "room": "room"},
    first="-created_at",
    solid=frozenset({"created_at", "amount", "kind"}),
)


async def get_agreement(
    connection: Connection, project_id: int, agreement_id: int
) -> asyncpg.Record | None:
    """id, valid_from, valid_to, rooms, customer (masked) of an agreement in sight."""
    return await connection.fetchrow(
        """select g.id, g.kind, g.valid_from, g.valid_to, g.customer_id, h.name as customer,
               h.erased_at is not null as is_erased,
               (select string_agg(distinct concat_ws(' ', b.name, r.name), ', ')
                from agreement_point ap
                join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
                join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
                left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
                where ap.project_id = g.project_id and ap.agreement_id = g.id) as rooms
           from agreement g
           left join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
           left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
           where g.project_id = $1 and g.id = $2 and seen_point($1, (select min(ap.point_id)
               from agreement_point ap where ap.project_id = $1 and ap.agreement_id = $2))""",
        project_id, agreement_id,
    )  # fmt: skip


async def accounts_of(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """id, kind, balance_minor (now) of a household's accounts."""
    return await connection.fetch(
        """select id, kind, credit_minor - debit_minor as balance_minor from account
           where project_id = $1 and agreement_id = $2 order by id""",
        project_id, agreement_id,
    )  # fmt: skip


async def movements(
    connection: Connection, project_id: int, account_ids: Sequence[int], since: datetime, limit: int
) -> list[asyncpg.Record]:
    """Posted transfers of these accounts since an instant, oldest first, with both accounts."""
    return await connection.fetch(
        """select t.id, t.created_at, t.kind, t.reason, t.amount_minor, t.debit_account_id,
               t.credit_account_id, t.payment_id, o.kind as payment_kind, p.commodity,
               r.name as room
           from (select * from transfer where project_id = $1 and state = 'posted'
                     and debit_account_id = any($2::int8[]) and created_at >= $3
                 union select * from transfer where project_id = $1 and state = 'posted'
                     and credit_account_id = any($2::int8[]) and created_at >= $3) t
           left join payment o on (o.project_id, o.id) = (t.project_id, t.payment_id)
           left join point p on (p.project_id, p.id) = (t.project_id, t.point_id)
           left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           order by t.created_at, t.id limit $4""",
        project_id, list(account_ids), since, limit,
    )  # fmt: skip


async def counter_fees(
    connection: Connection, project_id: int, agreement_id: int, since: datetime, until: datetime,
    limit: int,
) -> list[asyncpg.Record]:  # fmt: skip
    """A household's fees over the counter and their reversals, as `movements` gives transfers."""
    return await connection.fetch(
        """select t.id, t.created_at, t.kind, t.reason, t.amount_minor, t.payment_id,
               o.kind as payment_kind, p.commodity, r.name as room
           from payment o
           left join payment f on (f.project_id, f.id) = (o.project_id, o.of_payment_id)
           join transfer t on (t.project_id, t.payment_id) = (o.project_id, o.id)
           left join point p on (p.project_id, p.id) = (t.project_id, t.point_id)
           left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           where o.project_id = $1 and o.agreement_id = $2 and o.channel <> 'purse'
           and 'fee' in (o.kind, f.kind) and o.created_at >= $3 and o.created_at < $4
           order by t.created_at, t.id limit $5""",
        project_id, agreement_id, since, until, limit,
    )  # fmt: skip


async def trial(connection: Connection, project_id: int, at: datetime) -> list[asyncpg.Record]:
    """kind, unit, debit_minor, credit_minor of all accounts as they stood at an instant.

    What came later is taken off the sums that stand now; one statement sees both at once.
    """
    return await connection.fetch(
        """with later as (
               select debit_account_id, credit_account_id, amount_minor from transfer
               where project_id = $1 and state = 'posted' and created_at >= $2),
           sides as (
               select a.kind, a.unit, sum(a.debit_minor)::int8 as debit,
                   sum(a.credit_minor)::int8 as credit
               from account a where a.project_id = $1 group by a.kind, a.unit
               union all
               select a.kind, a.unit, -sum(l.amount_minor)::int8, 0 from later l
               join account a on (a.project_id, a.id) = ($1, l.debit_account_id)
               group by a.kind, a.unit
               union all
               select a.kind, a.unit, 0, -sum(l.amount_minor)::int8 from later l
               join account a on (a.project_id, a.id) = ($1, l.credit_account_id)
               group by a.kind, a.unit)
           select kind, unit, sum(debit)::int8 as debit_minor, sum(credit)::int8 as credit_minor
           from sides group by kind, unit order by unit, kind""",
        project_id, at,
    )  # fmt: skip
