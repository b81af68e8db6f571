"""What a cashier must know of a household, asked for few rows at a time.

Owns the questions of the desk (收费台): who is found, what they have, what they used, what was
sold. Must never decide whether anything may be sold.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.reports import FOUND, IN_BUILDING, PLACE, PLACE_COLUMNS

PAYMENTS_SHOWN: Final = 8
BROUGHT: Final = "'opening', 'opening_debt', 'opening_deposit'"
"""What households brought along from before; a second order of the kind takes it back."""

# What somebody pays for now, with what is booked; what has accrued since is the room's to say.
SUPPLIES: Final = ListQuery(
    f"""select p.id, p.id as point_id, p.commodity, p.keeper, {PLACE_COLUMNS}, m.address,
            c.id as customer_id, h.name as customer, h.erased_at is not null as is_erased,
            a.credit_minor - a.debit_minor as balance_minor, s.warning_level, s.relay
        from point p {PLACE}
        join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
        join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
            and g.kind = 'tenant' and g.valid_to is null
        left join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
        left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
        left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
            and m.removed_at is null
        left join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
        where p.project_id = $1 and p.keeper in ('platform', 'meter')""",
    {
        "building": f"q.point_id in {IN_BUILDING}",
        "text": f"q.point_id in {FOUND}",
        "level": {str(n): f"q.warning_level >= {n}" for n in range(1, 5)},
    },
    {"room": "room", "building": "building", "balance": "balance_minor", "address": "address"},
    first="room",
    solid=frozenset({"balance"}),
)


async def open_payee_cash(connection: Connection, project_id: int, payee_id: int, unit: str) -> int:
    """The cash account of a payee, made when it is first needed."""
    await connection.execute(
        """insert into account (project_id, kind, unit, payee_id, floor_minor)
           values ($1, 'cash', $2, $3, null) on conflict do nothing""",
        project_id, unit, payee_id,
    )  # fmt: skip
    made: int = await connection.fetchval(
        """select id from account where project_id = $1 and kind = 'cash' and unit = $2
           and payee_id = $3 and agreement_id is null""",
        project_id, unit, payee_id,
    )  # fmt: skip
    return made


async def households(
    connection: Connection, project_id: int, room_ids: Sequence[int], customer_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """Rooms by their ids, and those that customers pay for: room_id, customer_id, room, building,
    building_id, customer and phone (masked), is_erased, meters (addresses). Vacant: no customer.
    """
    return await connection.fetch(
        """with wanted as (
                select unnest($2::int8[]) as room_id
                union select p.place_id from agreement g
                join agreement_point ap
                    on (ap.project_id, ap.agreement_id) = (g.project_id, g.id)
                    and ap.valid_to is null
                join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
                where g.project_id = $1 and g.customer_id = any($3::int8[])
                    and g.valid_to is null)
            select r.id as room_id, r.name as room, r.building_id, b.name as building,
                n.customer_id, h.name as customer, h.phone,
                h.erased_at is not null as is_erased, n.meters
            from wanted w join place r on (r.project_id, r.id) = ($1, w.room_id)
            left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
            join lateral (
                select min(g.customer_id) as customer_id,
                    string_agg(m.address, ' ' order by m.id) as meters
                from point p
                left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
                    and m.removed_at is null
                left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
                left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
                    and g.valid_to is null
                where p.project_id = $1 and p.place_id = r.id having count(p.id) > 0) n on true
            left join customer c on (c.project_id, c.id) = (r.project_id, n.customer_id)
            left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
            where r.project_id = $1""",
        project_id, list(room_ids), list(customer_ids),
    )  # fmt: skip


async def used_since(
    connection: Connection, project_id: int, point_ids: Sequence[int], since: datetime
) -> list[asyncpg.Record]:
    """point_id, energy_milli, amount_nano, started_at, ended_at of what points used since then.

    Of each interval the latest version counts; `started_at` is never before `since`.
    """
    return await connection.fetch(
        """select point_id, sum(energy_milli)::int8 as energy_milli,
               sum(amount_nano)::int8 as amount_nano, greatest(min(started_at), $3) as started_at,
               max(ended_at) as ended_at
           from (select distinct on (point_id, ended_at) point_id, started_at, ended_at,
                     energy_milli, amount_nano from charge
                 where project_id = $1 and point_id = any($2::int8[]) and ended_at > $3
                 order by point_id, ended_at, version desc) in_force
           group by point_id""",
        project_id, list(point_ids), since,
    )  # fmt: skip


async def purses(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """kind, compartment, balance_minor of a household's own accounts: purses, then the deposit."""
    return await connection.fetch(
        """select kind, compartment, credit_minor - debit_minor as balance_minor from account
           where project_id = $1 and agreement_id = $2 and kind in ('purse', 'deposit')
           order by kind desc, id""",
        project_id, agreement_id,
    )  # fmt: skip


async def phone_of(connection: Connection, project_id: int, customer_id: int) -> str | None:
    """A customer's phone, masked."""
    found: str | None = await connection.fetchval(
        """select h.phone from customer c join personal_masked h
               on (h.project_id, h.id) = (c.project_id, c.personal_id)
           where c.project_id = $1 and c.id = $2""",
        project_id, customer_id,
    )  # fmt: skip
    return found


_PAYMENT: Final = f"""select y.id, y.agreement_id, y.account_id, y.kind, y.channel, y.amount_minor,
        y.created_at, y.reason, y.of_payment_id, y.point_id, y.tender_minor, y.energy_milli,
        y.price_micro, y.shift_id, y.actor_id, y.payee_id, {STAFF_NAME} as actor,
        n.name as payee, p.commodity, r.id as room_id, r.name as room,
        b.name as building,
        exists (select from payment v where v.project_id = $1 and v.of_payment_id = y.id
            and v.kind in ('reversal', {BROUGHT})) as is_reversed,
        exists (select from payment v where v.project_id = $1 and v.of_payment_id = y.id
            and v.kind in ('reversal', 'deposit_refund', {BROUGHT})) as is_undone,
        (select id from receipt t where t.project_id = $1 and t.payment_id = y.id
            and t.voided_at is null) as receipt_id,
        (select state from recharge t where t.project_id = $1 and t.payment_id = y.id
            and t.kind = 'recharge') as recharge_state
    from payment y {staff("y.actor_id")}
    left join payee n on (n.project_id, n.id) = (y.project_id, y.payee_id)
    left join point p on (p.project_id, p.id) = (y.project_id, y.point_id)
    {PLACE} where y.project_id = $1"""


async def last_payments(
    connection: Connection, project_id: int, agreement_id: int
) -> list[asyncpg.Record]:
    """A household's latest payments of every kind, newest first, as `get_payment` gives them."""
    return await connection.fetch(
        f"{_PAYMENT} and y.agreement_id = $2 order by y.id desc limit $3",
        project_id, agreement_id, PAYMENTS_SHOWN,
    )  # fmt: skip


async def get_payment(
    connection: Connection, project_id: int, payment_id: int
) -> asyncpg.Record | None:
    """One payment with who took it, its payee, and the room it was for; None out of sight."""
    return await connection.fetchrow(
        f"{_PAYMENT} and y.id = $2 and seen_point(y.project_id, y.point_id)",
        project_id, payment_id,
    )  # fmt: skip


async def fee_orders(
    connection: Connection, project_id: int, payment_id: int
) -> list[asyncpg.Record]:
    """The orders of one fee, one a purse it came out of, as `get_payment` gives them."""
    return await connection.fetch(
        f"""{_PAYMENT} and y.kind = 'fee' and (select coalesce(of_payment_id, id) from payment
                where project_id = $1 and id = $2) in (y.id, y.of_payment_id)
            and seen_point(y.project_id, y.point_id) order by y.id""",
        project_id, payment_id,
    )  # fmt: skip


async def power_commands(
    connection: Connection, project_id: int, account_id: int, at: datetime
) -> list[asyncpg.Record]:
    """id, kind, state, why of a household's connects asked for at an instant, or waiting now."""
    return await connection.fetch(
        """select c.id, c.kind, c.state, c.why from point p
           join command c on (c.project_id, c.point_id) = (p.project_id, p.id)
           join meter m on (m.project_id, m.id) = (c.project_id, c.meter_id)
           where p.project_id = $1 and p.account_id = $2
           and (c.created_at = $3 or c.state in ('queued', 'sent'))
           and c.kind in ('connect', 'allow_connect') order by c.id""",
        project_id, account_id, at,
    )  # fmt: skip


async def policy_of(connection: Connection, project_id: int) -> str:
    """A project's rules, as JSON."""
    found: str = await connection.fetchval("select policy from project where id = $1", project_id)
    return found


async def is_undone(connection: Connection, project_id: int, payment_id: int) -> bool:
    """Whether a payment was reversed, or a deposit given back."""
    found: bool = await connection.fetchval(
        f"""select exists (select from payment where project_id = $1 and of_payment_id = $2
               and kind in ('reversal', 'deposit_refund', {BROUGHT}))""",
        project_id, payment_id,
    )  # fmt: skip
    return found


async def paid_in(
    connection: Connection, project_id: int, account_id: int, channel: str
) -> list[asyncpg.Record]:
    """payee_id, left_minor: what was paid into a purse over a channel and not paid back yet."""
    return await connection.fetch(
        """select payee_id, sum(case when kind = 'recharge' then amount_minor
               else -amount_minor end)::int8 as left_minor
           from payment where project_id = $1 and account_id = $2 and channel = $3
           and agreement_id = (select agreement_id from account
               where project_id = $1 and id = $2)
           and kind in ('recharge', 'refund', 'reversal') group by payee_id order by payee_id""",
        project_id, account_id, channel,
    )  # fmt: skip


async def live_recharge(connection: Connection, project_id: int, account_id: int) -> bool:
    """Whether money drawn from an account may still arrive on a meter."""
    found: bool = await connection.fetchval(
        """select exists (select from recharge c
               join point p on (p.project_id, p.id) = (c.project_id, c.point_id)
               where c.project_id = $1 and p.account_id = $2
               and c.state in ('reserved', 'sent', 'unknown', 'halted'))""",
        project_id, account_id,
    )  # fmt: skip
    return found


async def points_named(
    connection: Connection, project_id: int, rooms: Sequence[str], addresses: Sequence[str]
) -> list[asyncpg.Record]:
    """Points of rooms of these names and of meters of these addresses: id, commodity, keeper,
    room, building, address, and whether somebody pays (`is_let`); those in sight alone.
    """
    return await connection.fetch(
        f"""select p.id, p.commodity, p.keeper, {PLACE_COLUMNS}, m.address,
                g.id is not null as is_let
            from point p {PLACE}
            left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
                and m.removed_at is null
            left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
            left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
                and g.kind = 'tenant' and g.valid_to is null
            where p.project_id = $1 and (r.name = any($2::text[]) or m.address = any($3::text[]))
            and seen_point(p.project_id, p.id) order by p.id""",
        project_id, list(rooms), list(addresses),
    )  # fmt: skip


async def payers(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """point_id, agreement_id of those of these points in sight that a household pays for."""
    return await connection.fetch(
        """select p.id as point_id, g.id as agreement_id from point p
           join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
               and g.kind = 'tenant' and g.valid_to is null
           where p.project_id = $1 and p.id = any($2::int8[])
           and seen_point(p.project_id, p.id)""",
        project_id, list(point_ids),
    )  # fmt: skip


async def point_names(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, building, room, address of points in sight."""
    return await connection.fetch(
        f"""select p.id, {PLACE_COLUMNS}, m.address from point p {PLACE}
            left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
                and m.removed_at is null
            where p.project_id = $1 and p.id = any($2::int8[])
            and seen_point(p.project_id, p.id)""",
        project_id, list(point_ids),
    )  # fmt: skip
