"""Accounts, transfers and payments as rows.

Owns the one way a transfer is written: the row and the running sums of both its accounts in one
transaction, accounts locked in the order of their ids. Must never decide an amount.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.errors import Conflict, NotFound
from meterhouse.model import AccountKind, Compartment, PaymentKind, TransferKind
from meterhouse.store.db import Connection
from meterhouse.units import Minor


@dataclass(frozen=True, slots=True)
class NewTransfer:
    """One transfer to be written; the amount is positive and moves from debit to credit account."""

    debit_account_id: int
    credit_account_id: int
    amount_minor: Minor
    kind: TransferKind
    point_id: int | None = None
    payment_id: int | None = None
    reason: str = ""
    recharge_id: int | None = None
    booking: int | None = None
    rest_nano: int | None = None


@dataclass(frozen=True, slots=True)
class NewPayment:
    """One order to be written: who pays how much, of which kind, over which channel.

    Attributes:
        account_id: the household's account that it goes into or comes out of.
        key: chosen by the caller once per payment; the same key pays once.
        of_payment_id: what it reverses or pays back.
        tender_minor: the cash that was handed over, at least the amount.
        energy_milli: what was sold, where it was sold by energy at `price_micro`.
    """

    agreement_id: int
    account_id: int
    channel: str
    amount_minor: Minor
    key: str
    kind: PaymentKind = PaymentKind.RECHARGE
    reason: str = ""
    point_id: int | None = None
    of_payment_id: int | None = None
    payee_id: int | None = None
    shift_id: int | None = None
    second_id: int | None = None
    tender_minor: Minor | None = None
    energy_milli: int | None = None
    price_micro: int | None = None


async def open_account(
    connection: Connection,
    project_id: int,
    kind: AccountKind,
    unit: str,
    agreement_id: int | None = None,
    compartment: Compartment | None = None,
    floor_minor: int | None = 0,
) -> int:
    """The account of this key, made when it is not there yet."""
    found: int | None = await connection.fetchval(
        """select id from account where project_id = $1 and kind = $2 and unit = $3
           and coalesce(agreement_id, 0) = coalesce($4::int8, 0)
           and coalesce(compartment, '') = coalesce($5::text, '') and payee_id is null""",
        project_id, kind, unit, agreement_id, compartment,
    )  # fmt: skip
    if found is not None:
        return found
    made: int | None = await connection.fetchval(
        """insert into account (project_id, kind, unit, agreement_id, compartment, floor_minor)
           values ($1, $2, $3, $4, $5, $6) on conflict do nothing returning id""",
        project_id, kind, unit, agreement_id, compartment, floor_minor,
    )  # fmt: skip
    if made is not None:
        return made
    # Somebody else opened it in between.
    return await open_account(connection, project_id, kind, unit, agreement_id, compartment)


async def house_account(connection: Connection, project_id: int, kind: AccountKind) -> int:
    """The project's own account of a kind. Raises `NotFound` in a project without books."""
    found: int | None = await connection.fetchval(
        """select id from account where project_id = $1 and kind = $2 and agreement_id is null
           order by id limit 1""",
        project_id, kind,
    )  # fmt: skip
    if found is None:
        raise NotFound(f"{kind} account of project", project_id)
    return found


async def account_of(connection: Connection, project_id: int, account_id: int) -> asyncpg.Record:
    """Whose account that is: agreement_id and compartment."""
    row = await connection.fetchrow(
        "select agreement_id, compartment from account where project_id = $1 and id = $2",
        project_id, account_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("account", account_id)
    return row


async def lock_accounts(
    connection: Connection, project_id: int, account_ids: Iterable[int]
) -> dict[int, asyncpg.Record]:
    """Lock accounts in the order of their ids, and read them."""
    rows = await connection.fetch(
        """select *, credit_minor - debit_minor as balance_minor from account
           where project_id = $1 and id = any($2::int8[]) order by id for update""",
        project_id, sorted(set(account_ids)),
    )  # fmt: skip
    return {row["id"]: row for row in rows}


async def post(
    connection: Connection,
    project_id: int,
    transfers: Sequence[NewTransfer],
    actor_id: int | None,
    at: datetime,
) -> list[int]:
    """Write posted transfers and move both sides; one summed update an account. Answers the ids."""
    if not transfers:
        return []
    debited = [one.debit_account_id for one in transfers]
    credited = [one.credit_account_id for one in transfers]
    moved_minor = [int(one.amount_minor) for one in transfers]
    columns = [
        [one.kind for one in transfers],
        [one.point_id for one in transfers],
        [one.payment_id for one in transfers],
        [one.reason for one in transfers],
        [one.recharge_id for one in transfers],
        [one.booking for one in transfers],
        [one.rest_nano for one in transfers],
    ]
    await lock_accounts(connection, project_id, {*debited, *credited})
    rows = await connection.fetch(
        """insert into transfer (project_id, debit_account_id, credit_account_id, amount_minor,
               state, kind, point_id, payment_id, reason, recharge_id, booking, rest_nano,
               actor_id, created_at)
           select $1, t.debit, t.credit, t.amount, 'posted', t.kind, t.point, t.payment, t.reason,
               t.recharge, t.booking, t.rest, $12, $13
           from unnest($2::int8[], $3::int8[], $4::int8[], $5::text[], $6::int8[], $7::int8[],
               $8::text[], $9::int8[], $10::int4[], $11::int8[]) with ordinality as t (debit,
               credit, amount, kind, point, payment, reason, recharge, booking, rest, place)
           order by t.place returning id""",
        project_id, debited, credited, moved_minor, *columns, actor_id, at,
    )  # fmt: skip
    await connection.execute(
        """update account a set debit_minor = a.debit_minor + s.debit,
               credit_minor = a.credit_minor + s.credit
           from (select id, sum(debit)::int8 as debit, sum(credit)::int8 as credit from (
               select unnest($2::int8[]) as id, unnest($4::int8[]) as debit, 0 as credit
               union all select unnest($3::int8[]), 0, unnest($4::int8[])) sides group by id) s
           where a.project_id = $1 and a.id = s.id""",
        project_id, debited, credited, moved_minor,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def insert_payment(
    connection: Connection, project_id: int, new: NewPayment, actor_id: int | None, at: datetime
) -> tuple[int, bool]:
    """The payment of this key, and whether it is new.

    Raises:
        Conflict: the key was used for another payment.
    """
    made: int | None = await connection.fetchval(
        """insert into payment (project_id, agreement_id, account_id, channel, amount_minor, key,
               reason, actor_id, created_at, kind, of_payment_id, point_id, payee_id, shift_id,
               second_id, tender_minor, energy_milli, price_micro)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
           on conflict (project_id, key) do nothing returning id""",
        project_id, new.agreement_id, new.account_id, new.channel, new.amount_minor, new.key,
        new.reason, actor_id, at, new.kind, new.of_payment_id, new.point_id, new.payee_id,
        new.shift_id, new.second_id, new.tender_minor, new.energy_milli, new.price_micro,
    )  # fmt: skip
    if made is not None:
        return made, True
    old = await connection.fetchrow(
        """select id, kind, agreement_id, account_id, amount_minor, of_payment_id from payment
           where project_id = $1 and key = $2""",
        project_id, new.key,
    )  # fmt: skip
    same = (new.kind, new.agreement_id, new.account_id, new.amount_minor, new.of_payment_id)
    if old is None or tuple(old)[1:] != same:
        raise Conflict(
            f"payment key {new.key}", "it was used before with another account or amount"
        )
    return old["id"], False


ORDERED: Final = """made as (
        insert into payment (project_id, agreement_id, account_id, channel, amount_minor, key,
            reason, actor_id, created_at, kind, of_payment_id, point_id, payee_id, shift_id,
            second_id, tender_minor, energy_milli, price_micro)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
        on conflict (project_id, key) do nothing returning id),
    held as materialized (
        select id from account where project_id = $1 and id = any(array[$19, $20]::int8[])
        order by id for update),
    moved as (
        insert into transfer (project_id, debit_account_id, credit_account_id, amount_minor, state,
            kind, point_id, payment_id, reason, actor_id, created_at)
        select $1, $19, $20, $5, 'posted', $10, $12, made.id, $7, $8, $9 from made),
    summed as (
        update account a set
            debit_minor = a.debit_minor + case a.id when $19 then $5 else 0 end,
            credit_minor = a.credit_minor + case a.id when $20 then $5 else 0 end
        from held, made where a.project_id = $1 and a.id = held.id)"""
"""Parts of a statement: a payment (`made`) with its one posted transfer; nothing for a known key.

They take `order_values`.
"""


def order_values(
    project_id: int, new: NewPayment, debit_account_id: int, credit_account_id: int,
    actor_id: int | None, at: datetime,
) -> tuple[object, ...]:  # fmt: skip
    """The values $1 to $20 of `ORDERED`."""
    return (
        project_id, new.agreement_id, new.account_id, new.channel, new.amount_minor, new.key,
        new.reason, actor_id, at, new.kind, new.of_payment_id, new.point_id, new.payee_id,
        new.shift_id, new.second_id, new.tender_minor, new.energy_milli, new.price_micro,
        debit_account_id, credit_account_id,
    )  # fmt: skip


async def order(
    connection: Connection, project_id: int, new: NewPayment, debit_account_id: int,
    credit_account_id: int, actor_id: int | None, at: datetime,
) -> tuple[int, bool]:  # fmt: skip
    """A payment with its one posted transfer, in one statement; its id and whether it is new.

    Raises:
        Conflict: the key was used for another payment.
    """
    made: int | None = await connection.fetchval(
        f"with {ORDERED} select id from made",
        *order_values(project_id, new, debit_account_id, credit_account_id, actor_id, at),
    )
    if made is not None:
        return made, True
    # The key is known: the payment it stands for, if it is the same one.
    return await insert_payment(connection, project_id, new, actor_id, at)


@dataclass(frozen=True, slots=True)
class Purse:
    """What one point may draw on: accounts in draw order, their balances, the accrual."""

    account_ids: tuple[int, ...]
    balances_minor: tuple[int, ...]
    pending_debit_minor: int
    accrued_nano: int
    floor_minor: int | None


async def read_purse(connection: Connection, project_id: int, point_id: int) -> Purse:
    """What a point draws on, now. Raises `NotFound` for a point without an account.

    Takes no lock: whoever asks is about to send a command, and a payment that arrives in the same
    instant brings its own.
    """
    row = await connection.fetchrow(
        """select p.account_id, p.common_account_id, a.floor_minor,
               a.credit_minor - a.debit_minor as own_minor,
               x.credit_minor - x.debit_minor as common_minor,
               coalesce(a.pending_debit_minor, 0) + coalesce(x.pending_debit_minor, 0)
                   as pending_debit_minor,
               (select coalesce(sum(s.accrued_nano), 0)::int8 from point n
                join point_state s on (s.project_id, s.point_id) = (n.project_id, n.id)
                where n.project_id = $1 and n.account_id = p.account_id) as accrued_nano
           from point p join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
           left join account x on (x.project_id, x.id) = (p.project_id, p.common_account_id)
           where p.project_id = $1 and p.id = $2""",
        project_id, point_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("account of point", point_id)
    drawn = [(row["account_id"], row["own_minor"])]
    if row["common_account_id"] is not None:
        drawn.append((row["common_account_id"], row["common_minor"]))
    return Purse(
        account_ids=tuple(account_id for account_id, _ in drawn),
        balances_minor=tuple(balance_minor for _, balance_minor in drawn),
        pending_debit_minor=row["pending_debit_minor"],
        accrued_nano=row["accrued_nano"],
        floor_minor=row["floor_minor"],
    )
