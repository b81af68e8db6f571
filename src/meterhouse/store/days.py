"""Closed days: what belongs to a day, what it adds up to, and what is proved of the books.

Owns these statements. A transfer belongs to the first day that was closed after it had been
written and that ends after its instant; so what comes late lands in the open day, and a closed day
never changes. `Mark` says up to where a day goes: both its last transfer and its end. What belongs
to it of energy is for `energies` to say.

Proofs cost what is new: kinds of accounts go on from the sums of the day before; single accounts
and points are added up anew from their beginning, another share of them each day.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import asyncpg

from meterhouse.store.bookings import OWED
from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff

SHARES: Final = 28
TIMEOUT_MS: Final = 600_000

DAYS: Final = ListQuery(
    f"""select to_char(d.day, 'YYYYMMDD')::int8 as id, d.day, d.until_at, d.is_proved,
            d.closed_at, d.last_transfer_id,
            (d.totals->>'in_minor')::int8 as in_minor, (d.totals->>'out_minor')::int8 as out_minor,
            (d.totals->>'booked_minor')::int8 as booked_minor,
            (d.totals->>'order_count')::int8 as order_count, null::int8 as point_id,
            {STAFF_NAME} as actor
        from day_close d {staff("d.closed_by")} where d.project_id = $1""",
    {
        "proved": {True: "q.is_proved", False: "not q.is_proved"},
        "from": "q.until_at > {}",
        "to": "q.until_at <= {}",
    },
    {"day": "until_at", "in": "in_minor", "out": "out_minor", "booked": "booked_minor"},
    key=("until_at",),
    first="-day",
    solid=frozenset({"day"}),
    point="null::int8",
)


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a closed day goes: its last transfer, the instant before which it ends, and the last
    difference of energy that it, or a day before it, holds."""

    last_transfer_id: int
    until_at: datetime
    last_difference_id: int = 0


async def last_day(connection: Connection, project_id: int) -> asyncpg.Record | None:
    """The latest closed day, or None."""
    return await connection.fetchrow(
        "select * from day_close where project_id = $1 order by day desc limit 1", project_id
    )


async def get_day(connection: Connection, project_id: int, day: date) -> asyncpg.Record | None:
    """One closed day with the name of who closed it, or None."""
    return await connection.fetchrow(
        f"""select d.*, {STAFF_NAME} as actor from day_close d {staff("d.closed_by")}
            where d.project_id = $1 and d.day = $2""",
        project_id, day,
    )  # fmt: skip


async def last_transfer(connection: Connection, project_id: int) -> int:
    """The latest transfer there is; under the project's lock no earlier one is still on its way."""
    found: int | None = await connection.fetchval(
        "select max(id) from transfer where project_id = $1", project_id
    )
    return found or 0


# $1 project, $2 and $3 the mark before, $4 and $5 this one. Two ranges, an index each.
_WINDOW: Final = """(
    select * from transfer where project_id = $1 and state = 'posted' and id > $2 and id <= $4
        and created_at < $5
    union all
    select * from transfer where project_id = $1 and state = 'posted' and id <= $2
        and created_at >= $3 and created_at < $5 and id <= $4)"""
# What no closed day holds yet, seen from the mark $4, $5.
_BEYOND: Final = """(
    select * from transfer where project_id = $1 and state = 'posted' and id > $4
    union all
    select * from transfer where project_id = $1 and state = 'posted' and id <= $4
        and created_at >= $5)"""
# What is charged apart is of no commodity, though a point says whose it is.
IS_FEE: Final = """(o.kind = 'fee' or (o.kind = 'reversal' and exists (select from payment f
    where f.project_id = $1 and f.id = o.of_payment_id and f.kind = 'fee')))"""
_SIDES: Final = """(
    select a.kind, a.unit, t.amount_minor as debit, 0 as credit from {0} t
    join account a on (a.project_id, a.id) = ($1, t.debit_account_id)
    union all
    select a.kind, a.unit, 0, t.amount_minor from {0} t
    join account a on (a.project_id, a.id) = ($1, t.credit_account_id))"""


async def quick(connection: Connection) -> None:
    """Give the statements of a close the time a large project takes, and sort in memory."""
    await connection.execute(f"set local statement_timeout = {TIMEOUT_MS}")
    await connection.execute("set local work_mem = '64MB'")


async def money(
    connection: Connection, project_id: int, before: Mark, mark: Mark
) -> list[asyncpg.Record]:
    """kind, channel, cashier_id, commodity, count, amount_minor of a day's orders."""
    return await connection.fetch(
        f"""select o.kind, o.channel, o.actor_id as cashier_id, p.commodity, count(*) as count,
                sum(o.amount_minor)::int8 as amount_minor
            from {_WINDOW} t join payment o on (o.project_id, o.id) = ($1, t.payment_id)
            left join point p on (p.project_id, p.id) = ($1, o.point_id)
                and not {IS_FEE}
            where t.payment_id is not null and t.amount_minor = o.amount_minor
            group by 1, 2, 3, 4 order by 1, 2, 3, 4""",
        project_id, *_marks(before, mark),
    )  # fmt: skip


async def booked(
    connection: Connection, project_id: int, before: Mark, mark: Mark
) -> list[asyncpg.Record]:
    """commodity, count, amount_minor that a day's transfers brought to revenue."""
    return await connection.fetch(
        f"""select p.commodity, count(*) as count, sum(case
                when c.kind = 'revenue' then t.amount_minor else -t.amount_minor end)::int8
                as amount_minor
            from {_WINDOW} t
            join account d on (d.project_id, d.id) = ($1, t.debit_account_id)
            join account c on (c.project_id, c.id) = ($1, t.credit_account_id)
            left join point p on (p.project_id, p.id) = ($1, t.point_id)
            where (d.kind = 'revenue') <> (c.kind = 'revenue') group by 1 order by 1""",
        project_id, *_marks(before, mark),
    )  # fmt: skip


async def sides(
    connection: Connection, project_id: int, before: Mark, mark: Mark
) -> list[asyncpg.Record]:
    """kind, unit, debit_minor, credit_minor that a day's transfers moved, by kind of account."""
    return await connection.fetch(
        f"""select kind, unit, sum(debit)::int8 as debit_minor, sum(credit)::int8 as credit_minor
            from {_SIDES.format(_WINDOW)} s group by 1, 2 order by 1, 2""",
        project_id, *_marks(before, mark),
    )  # fmt: skip


def _marks(before: Mark, mark: Mark) -> tuple[Any, ...]:
    return (before.last_transfer_id, before.until_at, mark.last_transfer_id, mark.until_at)


async def sums_differ(
    connection: Connection, project_id: int, mark: Mark, known: Sequence[Mapping[str, Any]]
) -> int:
    """Kinds of accounts whose sums now are not those at the mark and all transfers since."""
    count: int = await connection.fetchval(
        f"""with given as (
                select * from jsonb_to_recordset($2::jsonb)
                    as k (kind text, unit text, debit_minor int8, credit_minor int8)),
            told as (
                select kind, unit, debit_minor as debit, credit_minor as credit from given
                union all select kind, unit, debit, credit from {_SIDES.format(_BEYOND)} s
                union all select kind, unit, -sum(debit_minor), -sum(credit_minor) from account
                    where project_id = $1 and $3::int8 is not null group by kind, unit)
            select count(*) from (select from told group by kind, unit
                having sum(debit) <> 0 or sum(credit) <> 0) x""",
        project_id, json.dumps(list(known)), 0, mark.last_transfer_id, mark.until_at,
    )  # fmt: skip
    return count


PROOFS: Final[Mapping[str, str]] = {
    "debits_equal_credits": """select count(*) from (select from account where project_id = $1
        and $2::int8 >= 0 group by unit having sum(debit_minor) <> sum(credit_minor)) x""",
    "accounts_equal_transfers": f"""select count(*) from account a where a.project_id = $1
        and a.agreement_id is not null and a.id % {SHARES} = $2
        and (a.debit_minor <> (select coalesce(sum(t.amount_minor), 0) from transfer t
                where t.project_id = $1 and t.debit_account_id = a.id and t.state = 'posted')
            or a.credit_minor <> (select coalesce(sum(t.amount_minor), 0) from transfer t
                where t.project_id = $1 and t.credit_account_id = a.id and t.state = 'posted'))""",
    "booked_and_accrued_equal_rated": f"""select count(*) from point_state s
        join point q on (q.project_id, q.id) = (s.project_id, s.point_id)
        join project j on j.id = s.project_id
        where s.project_id = $1 and s.point_id % {SHARES} = $2
        and {OWED} <> s.accrued_nano + s.rounded_nano + (10 ^ (9 - j.currency_exponent))::int8 * (
            select coalesce(sum(t.amount_minor * case d.kind when 'revenue' then -1 else 1 end), 0)
            from transfer t
            join account d on (d.project_id, d.id) = (t.project_id, t.debit_account_id)
            where t.project_id = $1 and t.point_id = s.point_id and t.kind = 'booking')""",
    "in_flight_equals_recharges": f"""select count(*) from account a where a.project_id = $1
        and a.kind = 'in_flight' and a.id % {SHARES} = $2 and a.credit_minor - a.debit_minor <> (
            select coalesce(sum(r.amount_minor), 0) from recharge r
            join account q on (q.project_id, q.id) = (r.project_id, r.account_id)
            where r.project_id = $1 and r.agreement_id = a.agreement_id and r.kind = 'recharge'
            and q.compartment = a.compartment
            and r.state in ('reserved', 'sent', 'unknown', 'halted'))""",
    "on_meter_equals_purses": f"""select count(*) from account a where a.project_id = $1
        and a.kind = 'on_meter' and a.id % {SHARES} = $2 and a.credit_minor - a.debit_minor <> (
            select coalesce(sum(w.credit_minor - w.overdraft_minor), 0) from point p
            join account q on (q.project_id, q.id) = (p.project_id, p.account_id)
            join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
                and m.removed_at is null
            join wallet w on (w.project_id, w.meter_id) = (m.project_id, m.id)
            where p.project_id = $1 and q.agreement_id = a.agreement_id
            and q.compartment = a.compartment)""",
    "orders_equal_transfers": f"""select count(*) from payment o where o.project_id = $1
        and o.id % {SHARES} = $2 and (select count(*) from transfer t where t.project_id = $1
            and t.payment_id = o.id and t.state = 'posted'
            and t.amount_minor = o.amount_minor) <> 1""",
    "shifts_closed": """select count(*) from shift where project_id = $1 and $2::int8 >= 0
        and closed_at is null and opened_at < $3""",
}
"""What is proved of a share ($2) of the books; how many rows contradict it."""


async def contradicting(
    connection: Connection, project_id: int, proof: str, share: int, until_at: datetime
) -> int:
    """How many rows contradict one of `PROOFS`."""
    needs = (until_at,) if "$3" in PROOFS[proof] else ()
    count: int = await connection.fetchval(PROOFS[proof], project_id, share, *needs)
    return count


async def open_proof_alarms(connection: Connection, project_id: int) -> list[str]:
    """Subjects of proofs that have failed and not held since."""
    rows = await connection.fetch(
        """select subject from alarm where project_id = $1 and kind = 'proof_failed'
           and closed_at is null""",
        project_id,
    )
    return [row["subject"] for row in rows]


async def insert_day(
    connection: Connection, project_id: int, day: date, mark: Mark, totals: Mapping[str, Any],
    proofs: Mapping[str, int], actor_id: int | None, at: datetime,
) -> bool:  # fmt: skip
    """Write a closed day for ever; False when somebody else has just closed it."""
    done = await connection.fetchval(
        """insert into day_close (project_id, day, until_at, totals, proofs, is_proved,
               last_transfer_id, last_difference_id, closed_at, closed_by)
           values ($1, $2, $3, $4::jsonb, $5::jsonb, $6, $7, $8, $9, $10)
           on conflict (project_id, day) do nothing returning true""",
        project_id, day, mark.until_at, json.dumps(dict(totals)), json.dumps(dict(proofs)),
        not any(proofs.values()), mark.last_transfer_id, mark.last_difference_id,
        at, actor_id,
    )  # fmt: skip
    return bool(done)
