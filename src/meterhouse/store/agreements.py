"""Agreements as rows: their accounts, their points over time, and how they ended.

Owns what is left of one after it is closed: everything. One of rooms in two buildings lies where
its first point does. Must never decide an amount.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from meterhouse.errors import NotFound
from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.words import N_

ROWS_SHOWN: Final = 200

# A fee was never the household's to get back, so neither it nor its reversal counts.
_PAID_IN: Final = """coalesce(sum(case when y.kind in ('recharge', 'deposit') then y.amount_minor
    when y.kind = 'reversal' and (select f.kind from payment f where f.project_id = y.project_id
        and f.id = y.of_payment_id) = 'fee' then 0
    when y.kind in ('refund', 'reversal', 'deposit_refund', 'settlement')
        then -y.amount_minor end), 0)::int8"""

LIST: Final = ListQuery(
    """select g.id, g.customer_id, g.valid_from, g.valid_to, h.name as customer,
           h.erased_at is not null as is_erased, x.rooms, x.point_id,
           (select coalesce(sum(a.credit_minor - a.debit_minor), 0)::int8 from account a
            where a.project_id = $1 and a.agreement_id = g.id and a.kind = 'purse')
               as balance_minor,
           (select coalesce(sum(a.credit_minor - a.debit_minor), 0)::int8 from account a
            where a.project_id = $1 and a.agreement_id = g.id and a.kind = 'deposit')
               as deposit_minor,
           t.refunded_minor
       from agreement g
       join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
       join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
       left join settlement t on (t.project_id, t.agreement_id) = (g.project_id, g.id)
       left join lateral (
           select string_agg(distinct concat_ws(' ', b.name, r.name), ', ') as rooms,
               min(p.id) as point_id
           from agreement_point ap
           join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
           join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
           where ap.project_id = $1 and ap.agreement_id = g.id) x on true
       where g.project_id = $1 and g.kind = 'tenant'""",
    {
        "open": {True: "q.valid_to is null", False: "q.valid_to is not null"},
        "customer": "q.customer_id = {}",
        "text": "q.rooms ilike {}",
    },
    {
        "since": "valid_from", "until": "valid_to", "balance": "balance_minor",
        "deposit": "deposit_minor",
    },
    first="-since",
    solid=frozenset({"since", "balance", "deposit"}),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an agreement ended; `registers` are its last ones, a row a point."""

    settled_at: datetime
    registers: Sequence[Mapping[str, Any]]
    refunded_minor: int
    written_off_minor: int
    reason: str


async def get(connection: Connection, project_id: int, agreement_id: int) -> asyncpg.Record:
    """An agreement of a customer in sight with who it is, masked. Raises `NotFound`."""
    row = await connection.fetchrow(
        """select g.id, g.customer_id, g.valid_from, g.valid_to, g.persons, h.name as customer,
               h.erased_at is not null as is_erased
           from agreement g
           join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
           join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
           where g.project_id = $1 and g.id = $2 and g.kind = 'tenant'
               and seen_point($1, (select min(ap.point_id) from agreement_point ap
                   where ap.project_id = $1 and ap.agreement_id = $2))""",
        project_id, agreement_id,
    )  # fmt: skip
    if row is None:
        raise NotFound(N_("Agreement"), agreement_id)
    return row


async def accounts(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """id, kind, compartment, floor, balance and pending of an agreement's accounts."""
    return await connection.fetch(
        """select id, kind, compartment, floor_minor, credit_minor - debit_minor as balance_minor,
               pending_debit_minor
           from account where project_id = $1 and agreement_id = $2 order by id""",
        project_id, agreement_id,
    )  # fmt: skip


async def points(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """The points an agreement pays or paid for, with place, span, and the meter there now."""
    return await connection.fetch(
        """select p.id, p.commodity, p.keeper, p.account_id, p.common_account_id,
               ap.valid_from, ap.valid_to, r.id as place_id, r.name as room,
               b.name as building, m.id as meter_id, m.address, m.gateway_id,
               s.read_at, s.good_at, s.good_0_milli, s.good_1_milli, s.good_2_milli,
               s.good_3_milli, s.good_4_milli
           from agreement_point ap
           join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
           join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
           left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
               and m.removed_at is null
           left join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
           where ap.project_id = $1 and ap.agreement_id = $2 order by ap.valid_from, p.id""",
        project_id, agreement_id,
    )  # fmt: skip


async def richer_than(
    connection: Connection, project_id: int, agreement_ids: Sequence[int], limit_minor: int
) -> list[int]:
    """Those of these agreements that hold more than a limit or than they paid in, or owe more."""
    rows = await connection.fetch(
        f"""select agreement_id from account a
            where project_id = $1 and agreement_id = any($2::int8[])
            and kind in ('purse', 'deposit') and credit_minor <> debit_minor
            group by agreement_id
            having sum(greatest(debit_minor - credit_minor, 0)) > $3
                or sum(greatest(credit_minor - debit_minor, 0)) > greatest(0, least($3, (
                    select {_PAID_IN} from payment y
                    where y.project_id = $1 and y.agreement_id = a.agreement_id))) order by 1""",
        project_id, list(agreement_ids), limit_minor,
    )  # fmt: skip
    return [row["agreement_id"] for row in rows]


async def paid_in_minor(connection: Connection, project_id: int, agreement_id: int) -> int:
    """What a household paid in over any channel, less what was paid back to it.

    Opening credit, and what came from another household's purse, is not paid in.
    """
    found: int = await connection.fetchval(
        f"select {_PAID_IN} from payment y where y.project_id = $1 and y.agreement_id = $2",
        project_id, agreement_id,
    )  # fmt: skip
    return found


async def deposits(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """id, account_id, payee_id and what is left of each deposit that was not paid back whole."""
    return await connection.fetch(
        """select d.id, d.account_id, d.payee_id, d.amount_minor - coalesce((
               select sum(b.amount_minor)::int8 from payment b where b.project_id = $1
               and b.of_payment_id = d.id
               and b.kind in ('deposit_refund', 'reversal', 'opening_deposit')), 0) as left_minor
           from payment d
           where d.project_id = $1 and d.agreement_id = $2 and d.of_payment_id is null
           and d.kind in ('deposit', 'opening_deposit')
           order by d.id""",
        project_id, agreement_id,
    )  # fmt: skip


async def paid_into(
    connection: Connection, project_id: int, account_id: int
) -> list[asyncpg.Record]:
    """payee_id, left_minor of who took money for a purse and has not paid it back, most first."""
    return await connection.fetch(
        """select payee_id, sum(case when kind = 'recharge' then amount_minor
               else -amount_minor end)::int8 as left_minor
           from payment where project_id = $1 and account_id = $2
           and kind in ('recharge', 'refund', 'reversal', 'settlement') group by payee_id
           having sum(case when kind = 'recharge' then amount_minor else -amount_minor end) > 0
           order by left_minor desc, payee_id nulls first""",
        project_id, account_id,
    )  # fmt: skip


async def payments(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """The latest orders of an agreement, newest first."""
    return await connection.fetch(
        f"""select y.id, y.kind, y.channel, y.amount_minor, y.reason, y.created_at,
                {STAFF_NAME} as actor
            from payment y {staff("y.actor_id")}
            where y.project_id = $1 and y.agreement_id = $2 order by y.id desc limit $3""",
        project_id, agreement_id, ROWS_SHOWN,
    )  # fmt: skip


async def transfers(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """The latest transfers of an agreement's accounts, newest first; out of them is negative."""
    return await connection.fetch(
        """select t.id, t.kind, t.reason, t.created_at, t.payment_id, a.kind as account,
               a.compartment, case when t.credit_account_id = a.id then t.amount_minor
                   else -t.amount_minor end as amount_minor
           from account a join transfer t on t.project_id = a.project_id
               and (t.debit_account_id = a.id or t.credit_account_id = a.id)
           where a.project_id = $1 and a.agreement_id = $2 and t.state = 'posted'
           order by t.id desc, a.id limit $3""",
        project_id, agreement_id, ROWS_SHOWN,
    )  # fmt: skip


async def insert_settlement(
    connection: Connection, project_id: int, agreement_id: int, new: Settlement,
    actor_id: int | None, at: datetime,
) -> None:  # fmt: skip
    """Write down, for ever, how an agreement ended."""
    await connection.execute(
        """insert into settlement (project_id, agreement_id, settled_at, registers,
               refunded_minor, written_off_minor, reason, actor_id, created_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9)""",
        project_id, agreement_id, new.settled_at, json.dumps(new.registers),
        new.refunded_minor, new.written_off_minor, new.reason, actor_id, at,
    )  # fmt: skip


async def settlement(
    connection: Connection, project_id: int, agreement_id: int
) -> Settlement | None:
    """How an agreement ended, if it was closed."""
    row = await connection.fetchrow(
        """select settled_at, registers, refunded_minor, written_off_minor, reason
           from settlement where project_id = $1 and agreement_id = $2""",
        project_id, agreement_id,
    )  # fmt: skip
    if row is None:
        return None
    return Settlement(**{**dict(row), "registers": json.loads(row["registers"])})


async def of_place(connection: Connection, project_id: int, place_id: int) -> list[asyncpg.Record]:
    """Every account a place ever had, newest first; who it was is masked."""
    return await connection.fetch(
        """select g.id, g.valid_from, g.valid_to, h.name as customer,
               h.erased_at is not null as is_erased, t.refunded_minor
           from agreement g
           join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
           join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
           left join settlement t on (t.project_id, t.agreement_id) = (g.project_id, g.id)
           where g.project_id = $1 and exists (
               select from agreement_point ap
               join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
               where ap.project_id = $1 and ap.agreement_id = g.id and p.place_id = $2)
           order by g.valid_from desc, g.id desc limit $3""",
        project_id, place_id, ROWS_SHOWN,
    )  # fmt: skip


async def names(
    connection: Connection, project_id: int, agreement_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, rooms of those of these agreements in force that are in sight."""
    return await connection.fetch(
        """select g.id, string_agg(distinct concat_ws(' ', b.name, r.name), ', ') as rooms
           from agreement g
           join agreement_point ap on (ap.project_id, ap.agreement_id) = (g.project_id, g.id)
           join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
           join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
           where g.project_id = $1 and g.id = any($2::int8[]) and g.kind = 'tenant'
               and g.valid_to is null
           group by g.id having seen_point($1, min(ap.point_id)) order by g.id""",
        project_id, list(agreement_ids),
    )  # fmt: skip
