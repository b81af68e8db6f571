"""Accounts, transfers and payments as rows.

Owns the one way a transfer is written: the row and the running sums of both its accounts in one
transaction, accounts locked in the order of their ids. Must never decide an amount.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import numpy as np

from meterhouse.errors import Conflict, NotFound
from meterhouse.model import AccountKind, Compartment, PaymentKind
from meterhouse.store.columns import distinct, find
from meterhouse.store.copyfmt import INT4, INT8, Layout, Unpacker
from meterhouse.store.db import Connection
from meterhouse.store.points import Columns, Ints, among
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


async def order(
    connection: Connection, project_id: int, new: NewPayment, debit_account_id: int,
    credit_account_id: int, actor_id: int | None, at: datetime,
) -> tuple[int, bool]:  # fmt: skip
    """A payment with its one posted transfer, in one statement; its id and whether it is new.

    Raises:
        Conflict: the key was used for another payment.
    """
    made: int | None = await connection.fetchval(
        """with made as (
               insert into payment (project_id, agreement_id, account_id, channel, amount_minor,
                   key, reason, actor_id, created_at, kind, of_payment_id, point_id, payee_id,
                   shift_id, second_id, tender_minor, energy_milli, price_micro)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                   $18)
               on conflict (project_id, key) do nothing returning id),
           held as materialized (
               select id from account where project_id = $1 and id = any(array[$19, $20]::int8[])
               order by id for update),
           moved as (
               insert into transfer (project_id, debit_account_id, credit_account_id,
                   amount_minor, state, kind, point_id, payment_id, reason, actor_id, created_at)
               select $1, $19, $20, $5, 'posted', $10, $12, made.id, $7, $8, $9 from made),
           summed as (
               update account a set
                   debit_minor = a.debit_minor + case a.id when $19 then $5 else 0 end,
                   credit_minor = a.credit_minor + case a.id when $20 then $5 else 0 end
               from held, made where a.project_id = $1 and a.id = held.id)
           select id from made""",
        project_id, new.agreement_id, new.account_id, new.channel, new.amount_minor, new.key,
        new.reason, actor_id, at, new.kind, new.of_payment_id, new.point_id, new.payee_id,
        new.shift_id, new.second_id, new.tender_minor, new.energy_milli, new.price_micro,
        debit_account_id, credit_account_id,
    )  # fmt: skip
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


ACCRUAL: Layout = (
    ("point_id", INT8), ("accrued_nano", INT8), ("booking", INT4), ("account_id", INT8),
    ("common_account_id", INT8), ("meter_id", INT8),
)  # fmt: skip
BALANCE: Layout = (("account_id", INT8), ("balance_minor", INT8))


async def accruals_to_book(
    connection: Connection, project_id: int, least_nano: int, condition: str = "true"
) -> Columns:
    """Points whose accrual holds at least one whole coin, by household and point.

    Points that may draw the same account follow each other. `condition` is one of `of_account` and
    `of_points`.

    Returns:
        The columns of `ACCRUAL`, `common_account_id` 0 where there is none.
    """
    unpacker = Unpacker(ACCRUAL)
    await connection.copy_from_query(
        f"""select ps.point_id, ps.accrued_nano, ps.booking, p.account_id,
                coalesce(p.common_account_id, 0), ps.meter_id
            from point_state ps join point p on (p.project_id, p.id) = (ps.project_id, ps.point_id)
            where ps.project_id = {int(project_id)} and p.account_id is not null and {condition}
            and abs(ps.accrued_nano) >= {int(least_nano)}
            order by coalesce(p.common_account_id, p.account_id), ps.point_id""",
        output=unpacker.take, format="binary",
    )  # fmt: skip
    return unpacker.columns()


async def drawers_of(connection: Connection, project_id: int, purse_id: int) -> list[int]:
    """The first purses of the points that may draw a purse, itself among them if it is one."""
    rows = await connection.fetch(
        """select distinct account_id from point where project_id = $1
           and (account_id = $2 or common_account_id = $2) order by 1""",
        project_id, purse_id,
    )  # fmt: skip
    return [row["account_id"] for row in rows]


async def accrued_of_purse(connection: Connection, project_id: int, purse_id: int) -> int:
    """What points that may draw a purse have accrued and not yet booked, in Nano."""
    found: int = await connection.fetchval(
        """select coalesce(sum(ps.accrued_nano), 0)::int8 from point p
           join point_state ps on (ps.project_id, ps.point_id) = (p.project_id, p.id)
           where p.project_id = $1 and (p.account_id = $2 or p.common_account_id = $2)""",
        project_id, purse_id,
    )  # fmt: skip
    return found


async def meters_of_purses(
    connection: Connection, project_id: int, purse_ids: Sequence[int]
) -> list[int]:
    """The meters in service at points that may draw one of these purses."""
    rows = await connection.fetch(
        """select m.id from point p
           join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
           where p.project_id = $1 and m.removed_at is null
           and (p.account_id = any($2::int8[]) or p.common_account_id = any($2::int8[]))
           order by m.id""",
        project_id, list(purse_ids),
    )  # fmt: skip
    return [row["id"] for row in rows]


async def rests(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """point_id, accrued_nano, account_id, common_account_id of points that accrued, locked."""
    return await connection.fetch(
        """select ps.point_id, ps.accrued_nano, p.account_id, p.common_account_id
           from point_state ps join point p on (p.project_id, p.id) = (ps.project_id, ps.point_id)
           where ps.project_id = $1 and ps.point_id = any($2::int8[]) and ps.accrued_nano <> 0
           and p.account_id is not null order by ps.point_id for update of ps""",
        project_id, list(point_ids),
    )  # fmt: skip


async def take_rests(connection: Connection, project_id: int, rests_nano: dict[int, int]) -> None:
    """Take rests below a coin out of the accruals of points, as rounded.

    It counts as a booking, so that the next one is explained without what these had carried on.
    """
    await connection.execute(
        """update point_state ps set accrued_nano = ps.accrued_nano - r.rest,
               rounded_nano = ps.rounded_nano + r.rest, booking = ps.booking + 1
           from unnest($2::int8[], $3::int8[]) as r (point_id, rest)
           where ps.project_id = $1 and ps.point_id = r.point_id""",
        project_id, list(rests_nano), list(rests_nano.values()),
    )  # fmt: skip


async def meters_of(connection: Connection, project_id: int, point_ids: Ints) -> Ints:
    """The meters that these points' chains belong to now."""
    rows = await connection.fetch(
        """select meter_id from point_state where project_id = $1 and point_id = any($2::int8[])
           order by meter_id""",
        project_id, point_ids.tolist(),
    )  # fmt: skip
    return np.array([row["meter_id"] for row in rows], dtype=np.int64)


def of_account(account_id: int) -> str:
    """The condition that a point draws this account first."""
    return f"p.account_id = {int(account_id)}"


def of_points(point_ids: Ints) -> str:
    """The condition that a point is one of these, or lies among them where they lie close."""
    return among("ps.point_id", np.sort(point_ids))


async def balances(connection: Connection, project_id: int, account_ids: Ints) -> Columns:
    """account_id (ascending) and balance_minor of these accounts."""
    unpacker = Unpacker(BALANCE)
    await connection.copy_from_query(
        f"""select id, credit_minor - debit_minor from account
            where project_id = {int(project_id)} and {among("id", account_ids)} order by id""",
        output=unpacker.take, format="binary",
    )  # fmt: skip
    return unpacker.columns()


@dataclass(frozen=True, slots=True)
class Bookings:
    """n accruals as booked, a row a point. Arrays of int64[n].

    `own_minor` is taken of `account_id` and `common_minor` of `common_account_id`; either may be
    negative (a correction goes back) or 0. `booking` is the number it gets, `taken_nano` what
    leaves the accrual, `rest_nano` what stays.
    """

    point_id: Ints
    booking: Ints
    account_id: Ints
    own_minor: Ints
    common_account_id: Ints
    common_minor: Ints
    taken_nano: Ints
    rest_nano: Ints


async def post_bookings(
    connection: Connection, project_id: int, revenue_id: int, rows: Bookings, at: datetime
) -> int:
    """Write the transfers of bookings, move their accounts, and take them out of the accruals.

    Each account is touched once and the revenue's last, so that whoever waits for it waits least.
    Answers how many transfers were written.
    """
    parts = (
        (rows.account_id, rows.own_minor), (rows.common_account_id, rows.common_minor),
    )  # fmt: skip
    amount_minor = np.concatenate([part for _, part in parts])
    moved = amount_minor != 0
    purse = np.concatenate([account_id for account_id, _ in parts])[moved].tolist()
    twice = [np.tile(one, 2)[moved].tolist() for one in
             (rows.point_id, rows.booking, rows.rest_nano)]  # fmt: skip
    moved_minor = amount_minor[moved].tolist()
    await connection.execute(
        """insert into transfer (project_id, debit_account_id, credit_account_id, amount_minor,
               state, kind, point_id, booking, rest_nano, created_at)
           select $1, case when t.amount > 0 then t.purse else $2 end,
               case when t.amount > 0 then $2 else t.purse end, abs(t.amount), 'posted', 'booking',
               t.point, t.booking, t.rest, $8
           from unnest($3::int8[], $4::int8[], $5::int8[], $6::int4[], $7::int8[])
               as t (purse, amount, point, booking, rest)""",
        project_id, revenue_id, purse, moved_minor, *twice, at,
    )  # fmt: skip
    await connection.execute(
        """update point_state ps set accrued_nano = ps.accrued_nano - t.taken,
               booking = ps.booking + 1
           from unnest($2::int8[], $3::int8[]) as t (point_id, taken)
           where ps.project_id = $1 and ps.point_id = t.point_id""",
        project_id, rows.point_id.tolist(), rows.taken_nano.tolist(),
    )  # fmt: skip
    ids, debit_minor, credit_minor = _sides(np.array(purse, np.int64), amount_minor[moved])
    await connection.execute(
        """update account a set debit_minor = a.debit_minor + s.debit,
               credit_minor = a.credit_minor + s.credit
           from unnest($2::int8[], $3::int8[], $4::int8[]) as s (id, debit, credit)
           where a.project_id = $1 and a.id = s.id""",
        project_id, ids.tolist(), debit_minor.tolist(), credit_minor.tolist(),
    )  # fmt: skip
    await connection.execute(
        """update account set credit_minor = credit_minor + $3, debit_minor = debit_minor + $4
           where project_id = $1 and id = $2""",
        project_id, revenue_id, int(amount_minor[amount_minor > 0].sum()),
        int(-amount_minor[amount_minor < 0].sum()),
    )  # fmt: skip
    return len(purse)


def _sides(account_id: Ints, amount_minor: Ints) -> tuple[Ints, Ints, Ints]:
    """Each account once, ascending, with what it gives and what goes back to it."""
    ids = distinct(account_id)
    place, _ = find(ids, account_id)
    sides = np.zeros((2, len(ids)), dtype=np.int64)
    np.add.at(sides[0], place, np.maximum(amount_minor, 0))
    np.add.at(sides[1], place, np.maximum(-amount_minor, 0))
    return ids, sides[0], sides[1]
