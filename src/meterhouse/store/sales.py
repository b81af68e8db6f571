"""A sale as rows: what it asks before money is taken, and all that it writes.

Owns two statements, one each way, because a desk sells all day and what a sale costs is round
trips. Must never decide whether anything may be sold, nor what paper and notices say.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from meterhouse.store import ledger, receipts
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewPayment
from meterhouse.store.queue import NewNotice

PAYMENT_ID: Final = "{payment_id}"
"""Stands in a notice's key where the payment's id will, which the database is still to give."""

_FACTS: Final = """select j.id, j.name, j.currency, j.currency_exponent, j.timezone, j.frozen,
        j.policy, j.reading_interval_s, p.id as point_id, p.account_id, p.keeper, p.commodity,
        p.tariff_id, a.agreement_id, g.kind as agreement_kind,
        coalesce(a.credit_minor - a.debit_minor, 0)
            + coalesce(x.credit_minor - x.debit_minor, 0) as balance_minor,
        coalesce(a.pending_debit_minor, 0) + coalesce(x.pending_debit_minor, 0)
            as pending_debit_minor,
        u.accrued_nano, u.largest_nano, u.is_uneasy, u.highest_minor,
        y.id as payee_id, y.name as payee, y.tax_id,
        (select id from account where project_id = $1 and kind = 'cash'
            and agreement_id is null and payee_id = y.id) as payee_cash_id,
        (select id from account where project_id = $1 and kind = 'cash'
            and agreement_id is null and payee_id is null) as house_cash_id,
        (select id from shift where project_id = $1 and cashier_id = $3
            and closed_at is null) as shift_id,
        coalesce((select quiet_channels from receipt_series
            where project_id = $1 and payee_id = 0), '{}') as quiet_channels,
        (select id from payment where project_id = $1 and key = $4) as paid_id, r.name as room,
        (select name from place where project_id = $1 and id = r.building_id) as building,
        (select address from meter where project_id = $1 and point_id = p.id
            and removed_at is null) as meter,
        g.customer_id, coalesce(c.language, 'zh-Hans') as language, h.email is not null as has_email
    from point p join project j on j.id = p.project_id
    join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
    cross join lateral (
        select coalesce(sum(s.accrued_nano), 0)::int8 as accrued_nano,
            coalesce(max(abs(s.accrued_nano)), 0) as largest_nano,
            coalesce(bool_or(s.warning_level > 0 or s.relay = 2), false) as is_uneasy,
            coalesce(max(n.warning_1_minor), 0) as highest_minor
        from point n
        join point_state s on (s.project_id, s.point_id) = (n.project_id, n.id)
        where n.project_id = $1 and n.account_id = p.account_id) u
    left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
    left join account x on (x.project_id, x.id) = (p.project_id, p.common_account_id)
    left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
        and g.valid_to is null
    left join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
    left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
    left join payee y on (y.project_id, y.charge_class) = (p.project_id, p.commodity)
    where p.project_id = $1 and p.id = $2
    and ((select building_ids()) is null or seen_point(p.project_id, p.id))"""


async def facts(
    connection: Connection, project_id: int, point_id: int, person_id: int | None, key: str
) -> asyncpg.Record | None:
    """Everything that a sale asks before it takes money, in one row; None out of sight.

    The project's row under its own names, `point_id`, `account_id`, `keeper`, `commodity`,
    `tariff_id`, `agreement_id`, `agreement_kind`, the purse's `balance_minor` and
    `pending_debit_minor` (both compartments), of all that draws on it `accrued_nano`, its largest
    part `largest_nano`, whether any is warned or switched off (`is_uneasy`) and the `highest_minor`
    warning; `payee_id` with its name (`payee`), `tax_id` and `payee_cash_id`, the `house_cash_id`,
    the open `shift_id` of a person, the `quiet_channels` that bring no receipt, and of a payment
    under this key the `paid_id`; for paper and notices `room`, `building`, the address of
    the `meter`, and the `customer_id` with `language` and `has_email`.
    """
    return await connection.fetchrow(_FACTS, project_id, point_id, person_id, key)


_WRITE: Final = f"""with {ledger.ORDERED}, {
    receipts.ISSUED.format(
        payee="coalesce($13::int8, 0)", facts="$21::jsonb", at="$9::timestamptz", actor="$8::int8"
    )
},
    told as (
        insert into notice (project_id, channel, customer_id, subject, text, key, point_id, next_at,
            created_at)
        select $1, t.channel, t.customer, t.subject, t.text,
            replace(t.key, '{PAYMENT_ID}', made.id::text), t.point, $9, $9
        from made, unnest($22::text[], $23::int8[], $24::text[], $25::text[], $26::text[],
            $27::int8[]) as t (channel, customer, subject, text, key, point)
        on conflict (project_id, key) do nothing),
    told_screens as (
        insert into pulse (project_id, seq) select $1, 1 from made where $28::bool
        on conflict (project_id) do update set seq = pulse.seq + 1)
    select id from made"""


async def write(
    connection: Connection, project_id: int, new: NewPayment, cash_id: int,
    paper: Mapping[str, Any] | None, notices: Sequence[NewNotice], actor_id: int | None,
    at: datetime, *, is_all: bool,
) -> tuple[int, bool]:  # fmt: skip
    """The order, its one posted transfer, its receipt and its notices; id, and whether it is new.

    Args:
        connection: inside a transaction that holds the project's lock.
        project_id: the project.
        new: the order; its money comes from `cash_id`.
        cash_id: where the money lies that was taken.
        paper: what the receipt says, but for the payment's id; None brings none.
        notices: their keys hold `PAYMENT_ID`.
        actor_id: who sells.
        at: the present instant.
        is_all: whether the transaction ends here, and screens are told at once; they are told
            last, because everybody else waits from then on.

    Raises:
        Conflict: the key was used for another payment.
    """
    told = [
        [getattr(one, name) for one in notices]
        for name in ("channel", "customer_id", "subject", "text", "key", "point_id")
    ]
    made: int | None = await connection.fetchval(
        _WRITE, *ledger.order_values(project_id, new, cash_id, new.account_id, actor_id, at),
        None if paper is None else json.dumps(paper), *told, is_all,
    )  # fmt: skip
    if made is not None:
        return made, True
    # The key is known: the payment it stands for, if it is the same one.
    return await ledger.insert_payment(connection, project_id, new, actor_id, at)
