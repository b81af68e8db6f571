"""Accounts, transfers and payments as rows.

Owns the one way a transfer is written: the row and the running sums of both its accounts in one
transaction, accounts locked in the order of their ids. Must never decide an amount.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from meterhouse.errors import Conflict, NotFound
from meterhouse.model import AccountKind, Compartment, PaymentKind
from meterhouse.store.db import Connection
from meterhouse.units import Minor


@dataclass(frozen=True, slots=True)
class NewTransfer:
    """One transfer to be written; the amount is positive and moves from debit to credit account."""

    debit_account_id: int
    credit_account_id: int
    amount_minor: Minor
    kind: str
    point_id: int | None = None
    payment_id: int | None = None
    reason: str = ""
    recharge_id: int | None = None


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
    made: int = await connection.fetchval(
        """insert into account (project_id, kind, unit, agreement_id, compartment, floor_minor)
           values ($1, $2, $3, $4, $5, $6) returning id""",
        project_id, kind, unit, agreement_id, compartment, floor_minor,
    )  # fmt: skip
    return made


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
    ]
    await lock_accounts(connection, project_id, {*debited, *credited})
    rows = await connection.fetch(
        """insert into transfer (project_id, debit_account_id, credit_account_id, amount_minor,
               state, kind, point_id, payment_id, reason, recharge_id, actor_id, created_at)
           select $1, t.debit, t.credit, t.amount, 'posted', t.kind, t.point, t.payment, t.reason,
               t.recharge, $10, $11
           from unnest($2::int8[], $3::int8[], $4::int8[], $5::text[], $6::int8[], $7::int8[],
               $8::text[], $9::int8[]) with ordinality
               as t (debit, credit, amount, kind, point, payment, reason, recharge, place)
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
    point = await connection.fetchrow(
        "select account_id, common_account_id from point where project_id = $1 and id = $2",
        project_id, point_id,
    )  # fmt: skip
    if point is None or point["account_id"] is None:
        raise NotFound("account of point", point_id)
    ids = [one for one in (point["account_id"], point["common_account_id"]) if one is not None]
    found = await connection.fetch(
        """select *, credit_minor - debit_minor as balance_minor from account
           where project_id = $1 and id = any($2::int8[])""",
        project_id, ids,
    )  # fmt: skip
    rows = {row["id"]: row for row in found}
    accrued_nano: int = await connection.fetchval(
        """select coalesce(sum(ps.accrued_nano), 0)::int8 from point p
           join point_state ps on (ps.project_id, ps.point_id) = (p.project_id, p.id)
           where p.project_id = $1 and p.account_id = $2""",
        project_id, ids[0],
    )  # fmt: skip
    return Purse(
        account_ids=tuple(ids),
        balances_minor=tuple(rows[one]["balance_minor"] for one in ids),
        pending_debit_minor=sum(rows[one]["pending_debit_minor"] for one in ids),
        accrued_nano=accrued_nano,
        floor_minor=rows[ids[0]]["floor_minor"],
    )


async def accruals_to_book(
    connection: Connection, project_id: int, account_id: int | None, least_nano: int, count: int
) -> list[asyncpg.Record]:
    """Points (locked) whose accrual holds at least one whole coin; of one account, or of all."""
    return await connection.fetch(
        """select ps.point_id, ps.accrued_nano, p.account_id, p.common_account_id
           from point_state ps join point p on (p.project_id, p.id) = (ps.project_id, ps.point_id)
           where ps.project_id = $1 and abs(ps.accrued_nano) >= $3 and p.account_id is not null
           and ($2::int8 is null or p.account_id = $2)
           order by ps.point_id limit $4 for update of ps""",
        project_id, account_id, least_nano, count,
    )  # fmt: skip


async def take_accruals(
    connection: Connection, project_id: int, point_ids: list[int], taken_nano: list[int]
) -> None:
    """Take booked coins out of the accruals of points."""
    await connection.execute(
        """update point_state ps set accrued_nano = ps.accrued_nano - t.taken
           from unnest($2::int8[], $3::int8[]) as t (point_id, taken)
           where ps.project_id = $1 and ps.point_id = t.point_id""",
        project_id, point_ids, taken_nano,
    )  # fmt: skip
