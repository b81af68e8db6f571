"""Orders of every kind, as finance looks at them: a list, its sums, one order with its transfers.

Owns the SELECTs over payments. Must never write one (`ledger` does), nor know how it is shown.
"""

from collections.abc import Collection, Sequence
from typing import Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery, Wanted, group_list
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.reports import FOUND, IN_BUILDING, PLACE, PLACE_COLUMNS

# Which way money went over the counter: in, out, or only from account to account.
_DIRECTION: Final = """case when o.channel = 'purse' then 0
    when o.kind in ('recharge', 'deposit', 'fee') then 1
    when o.kind in ('refund', 'reversal', 'deposit_refund', 'settlement') then -1 else 0 end"""
IN_BUILDING_NAMED: Final = """(select p.id from point p where p.project_id = $1
    and p.place_id in (with recursive inside as (
        select id from place where project_id = $1 and kind = 'building' and name ilike {}
        union all select l.id from place l join inside i on l.parent_id = i.id
        where l.project_id = $1)
    select id from inside))"""
_SOURCE: Final = f"""
    select o.id, o.kind, o.channel, o.amount_minor, {_DIRECTION} as direction,
        case when {_DIRECTION} < 0 then -o.amount_minor else o.amount_minor end as signed_minor,
        o.created_at, o.agreement_id, o.account_id, o.point_id, o.of_payment_id, o.shift_id,
        o.payee_id, o.reason, o.key, o.actor_id, o.tender_minor, o.energy_milli, o.price_micro,
        {STAFF_NAME} as actor, p.commodity, {PLACE_COLUMNS},
        c.id as customer_id, h.name as customer, h.erased_at is not null as is_erased,
        (select x.state from recharge x where x.project_id = $1 and x.payment_id = o.id)
            as recharge_state,
        n.id as receipt_id, n.label as receipt
    from (select y.*, coalesce(y.point_id, (select min(ap.point_id) from agreement_point ap
            where ap.project_id = $1 and ap.agreement_id = y.agreement_id)) as shown_point_id
        from payment y where y.project_id = $1) o
    left join receipt n on n.project_id = $1 and n.payment_id = o.id and n.voided_at is null
    left join point p on (p.project_id, p.id) = (o.project_id, o.shown_point_id) {PLACE}
    left join agreement g on (g.project_id, g.id) = (o.project_id, o.agreement_id)
    left join customer c on (c.project_id, c.id) = (o.project_id, g.customer_id)
    left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
    {staff("o.actor_id")}"""
ORDERS: Final = ListQuery(
    _SOURCE.replace("o.point_id,", "o.shown_point_id as point_id,"),
    {
        "kind": "q.kind = {}",
        "channel": "q.channel = {}",
        "cashier": "q.actor_id = {}",
        "person": "q.actor ilike {}",
        "building": f"q.point_id in {IN_BUILDING}",
        "block": f"q.point_id in {IN_BUILDING_NAMED}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.created_at >= {}",
        "to": "q.created_at < {}",
    },
    {
        "created_at": "created_at", "amount": "signed_minor", "kind": "kind",
        "channel": "channel", "room": "room",
    },
    first="-created_at",
    solid=frozenset({"created_at", "amount", "kind", "channel"}),
)  # fmt: skip


async def order_sums(
    connection: Connection, project_id: int, wanted: Wanted, building_ids: Collection[int] | None
) -> list[asyncpg.Record]:
    """kind, direction, count, amount_minor (unsigned) of all orders that match, by kind."""
    return await group_list(
        connection, ORDERS.within(building_ids), project_id, wanted,
        "q.kind, q.direction, count(*) as count, sum(q.amount_minor)::int8 as amount_minor",
        "q.kind, q.direction",
    )  # fmt: skip


async def get_order(
    connection: Connection, project_id: int, payment_id: int
) -> asyncpg.Record | None:
    """One order as in the list, if it is in sight."""
    rows = await connection.fetch(
        f"""select q.* from ({ORDERS.source}) q where q.id = $2
            and seen_point($1, q.point_id)""",
        project_id, payment_id,
    )  # fmt: skip
    return rows[0] if rows else None


async def related(
    connection: Connection, project_id: int, payment_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, kind, direction, signed_minor, created_at of orders that name one of these."""
    return await connection.fetch(
        f"""select o.id, o.kind, {_DIRECTION} as direction, o.of_payment_id, o.created_at,
                case when {_DIRECTION} < 0 then -o.amount_minor else o.amount_minor end
                    as signed_minor
            from payment o where o.project_id = $1 and (o.of_payment_id = any($2::int8[])
                or o.id in (select of_payment_id from payment y
                    where y.project_id = $1 and y.id = any($2::int8[])))
            order by o.id""",
        project_id, list(payment_ids),
    )  # fmt: skip


_TRANSFER: Final = """select t.id, t.kind, t.state, t.amount_minor, t.created_at, t.reason,
        d.kind as debit_kind, d.compartment as debit_compartment,
        c.kind as credit_kind, c.compartment as credit_compartment
    from transfer t
    join account d on (d.project_id, d.id) = (t.project_id, t.debit_account_id)
    join account c on (c.project_id, c.id) = (t.project_id, t.credit_account_id)
    where t.project_id = $1 and"""


async def transfers_of(
    connection: Connection, project_id: int, payment_id: int
) -> list[asyncpg.Record]:
    """Every transfer of an order, those of its way into a meter too, oldest first."""
    return await connection.fetch(
        f"""{_TRANSFER} t.payment_id = $2 union {_TRANSFER} t.recharge_id in (
                select id from recharge where project_id = $1 and payment_id = $2)
            order by 1""",
        project_id, payment_id,
    )  # fmt: skip
