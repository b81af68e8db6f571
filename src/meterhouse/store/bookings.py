"""Accruals, and how they become transfers, as rows.

Owns what waits to be booked and the one way a booking is written: its transfers, both sides of each
account, and what leaves the accrual, in one transaction. Must never decide what is taken of whom.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import numpy as np

from meterhouse.store.columns import distinct, find
from meterhouse.store.copyfmt import INT4, INT8, Layout, Unpacker
from meterhouse.store.db import Connection
from meterhouse.store.points import Columns, Ints, among

ACCRUAL: Layout = (
    ("point_id", INT8), ("accrued_nano", INT8), ("booking", INT4), ("account_id", INT8),
    ("common_account_id", INT8), ("meter_id", INT8),
)  # fmt: skip
BALANCE: Layout = (("account_id", INT8), ("balance_minor", INT8))

# What of all that was ever rated at a point (s, q) is owed to the platform. While it keeps the
# money, what is set aside is owed to nobody; while another does, it stands below zero by what is.
OWED: Final = "(case q.keeper when 'platform' then s.rated_nano else 0 end - s.aside_nano)"


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
    """point_id, accrued_nano, booking and purses of points that accrued, locked."""
    return await connection.fetch(
        """select ps.point_id, ps.accrued_nano, ps.booking, p.account_id, p.common_account_id
           from point_state ps join point p on (p.project_id, p.id) = (ps.project_id, ps.point_id)
           where ps.project_id = $1 and ps.point_id = any($2::int8[]) and ps.accrued_nano <> 0
           and p.account_id is not null order by ps.point_id for update of ps""",
        project_id, list(point_ids),
    )  # fmt: skip


async def take_rests(
    connection: Connection, project_id: int, rests_nano: Mapping[int, int],
    below_nano: Mapping[int, int],
) -> None:  # fmt: skip
    """Take rests out of the accruals of points, as rounded; what is below a coin stays noted.

    It counts as a booking, so that the next one is explained without what these had carried on.
    """
    await connection.execute(
        """update point_payer q set rest_nano = q.rest_nano + r.below
           from unnest($2::int8[], $3::int8[]) as r (point_id, below)
           join point p on (p.project_id, p.id) = ($1, r.point_id)
           where (q.project_id, q.point_id, q.since_at) = ($1, r.point_id, p.payer_at)""",
        project_id, list(below_nano), list(below_nano.values()),
    )  # fmt: skip
    await connection.execute(
        """update point_state ps set accrued_nano = ps.accrued_nano - r.rest,
               rounded_nano = ps.rounded_nano + r.rest, booking = ps.booking + 1
           from unnest($2::int8[], $3::int8[]) as r (point_id, rest)
           where ps.project_id = $1 and ps.point_id = r.point_id""",
        project_id, list(rests_nano), list(rests_nano.values()),
    )  # fmt: skip


async def meters_of(connection: Connection, project_id: int, point_ids: Ints) -> Ints:
    """The meters, ascending, that the chains of these points belong to now.

    Where the points lie close together, those between them come along.
    """
    unpacker = Unpacker((("meter_id", INT8),))
    await connection.copy_from_query(
        f"""select ps.meter_id from point_state ps
            where ps.project_id = {int(project_id)} and {of_points(point_ids)}""",
        output=unpacker.take, format="binary",
    )  # fmt: skip
    return distinct(unpacker.columns()["meter_id"])


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
    Ranges are named beside the ids, so that no statement reads a table from end to end. Answers how
    many transfers were written.
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
           where ps.project_id = $1 and ps.point_id = t.point_id
           and ps.point_id between $4 and $5""",
        project_id, rows.point_id.tolist(), rows.taken_nano.tolist(), int(rows.point_id.min()),
        int(rows.point_id.max()),
    )  # fmt: skip
    ids, debit_minor, credit_minor = _sides(np.array(purse, np.int64), amount_minor[moved])
    await connection.execute(
        """update account a set debit_minor = a.debit_minor + s.debit,
               credit_minor = a.credit_minor + s.credit
           from unnest($2::int8[], $3::int8[], $4::int8[]) as s (id, debit, credit)
           where a.project_id = $1 and a.id = s.id and a.id between $5 and $6""",
        project_id, ids.tolist(), debit_minor.tolist(), credit_minor.tolist(), int(ids.min()),
        int(ids.max()),
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


async def add_outside(
    connection: Connection, project_id: int, point_id: int, rounded_nano: int, aside_nano: int
) -> None:
    """Note what was rounded off outside the accrual, and what is set aside."""
    await connection.execute(
        """update point_state set rounded_nano = rounded_nano + $3, aside_nano = aside_nano + $4
           where project_id = $1 and point_id = $2""",
        project_id, point_id, rounded_nano, aside_nano,
    )  # fmt: skip
