"""Cashiers' shifts (班次) as rows, and what was taken and paid out in them.

Owns one open shift a cashier. Must never decide what is expected in the drawer.
"""

from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff

_SHIFT: Final = f"""select s.id, s.cashier_id, s.float_minor, s.opened_at, s.closed_at,
        s.expected_minor, s.counted_minor, s.counted_minor - s.expected_minor as difference_minor,
        s.handed_to_id, s.note, {STAFF_NAME} as cashier, null::int8 as point_id
    from shift s {staff("s.cashier_id")} where s.project_id = $1"""

LIST: Final = ListQuery(
    _SHIFT,
    {
        "state": {"open": "q.closed_at is null", "closed": "q.closed_at is not null"},
        "cashier": "q.cashier_id = {}",
        "from": "q.opened_at >= {}",
        "to": "q.opened_at < {}",
    },
    {"opened_at": "opened_at", "closed_at": "closed_at", "difference": "difference_minor"},
    first="-opened_at",
    solid=frozenset({"opened_at"}),
    point="null::int8",
)


async def open_of(connection: Connection, project_id: int, person_id: int) -> int | None:
    """The open shift of a person."""
    found: int | None = await connection.fetchval(
        "select id from shift where project_id = $1 and cashier_id = $2 and closed_at is null",
        project_id, person_id,
    )  # fmt: skip
    return found


async def insert(
    connection: Connection, project_id: int, cashier_id: int, float_minor: int, at: datetime
) -> int | None:
    """Open a shift; None when the cashier has one open."""
    made: int | None = await connection.fetchval(
        """insert into shift (project_id, cashier_id, float_minor, opened_at)
           values ($1, $2, $3, $4) on conflict do nothing returning id""",
        project_id, cashier_id, float_minor, at,
    )  # fmt: skip
    return made


async def get(connection: Connection, project_id: int, shift_id: int) -> asyncpg.Record | None:
    """One shift with its cashier's name; it lies in no building."""
    return await connection.fetchrow(
        f"{_SHIFT} and s.id = $2 and building_ids() is null", project_id, shift_id
    )


async def close(
    connection: Connection, project_id: int, shift_id: int, expected_minor: int,
    counted_minor: int, handed_to_id: int | None, note: str, at: datetime,
) -> bool:  # fmt: skip
    """Close an open shift; False when it was closed before."""
    done = await connection.fetchval(
        """update shift set closed_at = $3, expected_minor = $4, counted_minor = $5,
               handed_to_id = $6, note = $7
           where project_id = $1 and id = $2 and closed_at is null returning id""",
        project_id, shift_id, at, expected_minor, counted_minor, handed_to_id, note,
    )  # fmt: skip
    return done is not None


async def taken(connection: Connection, project_id: int, shift_id: int) -> list[asyncpg.Record]:
    """channel, kind, count, amount_minor of a shift's payments of every kind."""
    return await connection.fetch(
        """select channel, kind, count(*) as count, sum(amount_minor)::int8 as amount_minor
           from payment where project_id = $1 and shift_id = $2
           group by channel, kind order by channel, kind""",
        project_id, shift_id,
    )  # fmt: skip
