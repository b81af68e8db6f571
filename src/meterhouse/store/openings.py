"""Households made ready and not opened yet (预开户) as rows.

Owns their state. Must never know what their terms mean: they are kept as they were given.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.words import N_


class PreparedAlready(MeterhouseError):
    """An account is prepared for this place already; open or withdraw that one."""

    code = "prepared_already"
    http_status = 409


LIST: Final = ListQuery(
    f"""select o.id, o.place_id, o.customer_id, o.state, o.agreement_id, o.created_at, o.ended_at,
            r.id as room_id, r.name as room, b.name as building, h.name as customer,
            h.erased_at is not null as is_erased, o.terms ->> 'purse' as purse,
            (o.terms ->> 'credit_minor')::int8 as credit_minor,
            (o.terms ->> 'deposit_minor')::int8 as deposit_minor,
            coalesce((o.terms ->> 'debt_minor')::int8, 0) as debt_minor,
            coalesce((o.terms ->> 'held_minor')::int8, 0) as held_minor,
            -(o.terms ->> 'floor_minor')::int8 as overdraft_minor, {STAFF_NAME} as actor,
            (select min(p.id) from point p where p.project_id = $1 and p.place_id = o.place_id)
                as point_id
        from opening o
        join place r on (r.project_id, r.id) = (o.project_id, o.place_id)
        join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
        join customer c on (c.project_id, c.id) = (o.project_id, o.customer_id)
        join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
        {staff("o.actor_id")}
        where o.project_id = $1""",
    {
        "state": "q.state = {}",
        "text": "(q.room ilike {0} or q.building ilike {0})",
    },
    {"room": "room", "created_at": "created_at", "ended_at": "ended_at", "state": "state"},
    first="-created_at",
    solid=frozenset({"room", "created_at", "state"}),
)


async def insert(
    connection: Connection, project_id: int, place_id: int, customer_id: int,
    terms: Mapping[str, Any], actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Keep what an account shall be opened with. Raises `PreparedAlready`."""
    try:
        made: int = await connection.fetchval(
            """insert into opening (project_id, place_id, customer_id, terms, actor_id, created_at)
               values ($1, $2, $3, $4, $5, $6) returning id""",
            project_id, place_id, customer_id, json.dumps(terms), actor_id, at,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise PreparedAlready from error
    return made


async def get(connection: Connection, project_id: int, opening_id: int) -> asyncpg.Record:
    """One opening, locked. Raises `NotFound`."""
    row = await connection.fetchrow(
        "select * from opening where project_id = $1 and id = $2 for update",
        project_id, opening_id,
    )  # fmt: skip
    if row is None:
        raise NotFound(N_("Opening"), opening_id)
    return row


async def end(
    connection: Connection, project_id: int, opening_id: int, agreement_id: int | None,
    at: datetime,
) -> bool:  # fmt: skip
    """It has become an agreement, or is withdrawn; False when it had ended before."""
    done = await connection.fetchval(
        """update opening set state = case when $3::int8 is null then 'withdrawn' else 'opened' end,
               agreement_id = $3, ended_at = $4
           where project_id = $1 and id = $2 and state = 'prepared' returning id""",
        project_id, opening_id, agreement_id, at,
    )  # fmt: skip
    return done is not None


async def prepared_of_place(connection: Connection, project_id: int, place_id: int) -> int | None:
    """The opening that waits for this place."""
    found: int | None = await connection.fetchval(
        """select id from opening
           where project_id = $1 and place_id = $2 and state = 'prepared'""",
        project_id, place_id,
    )  # fmt: skip
    return found


async def prepared_places(connection: Connection, project_id: int) -> set[int]:
    """The places for which an opening waits."""
    rows = await connection.fetch(
        "select place_id from opening where project_id = $1 and state = 'prepared'", project_id
    )
    return {row["place_id"] for row in rows}


async def names(
    connection: Connection, project_id: int, opening_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, room, building of these openings that wait."""
    return await connection.fetch(
        """select o.id, r.name as room, b.name as building from opening o
           join place r on (r.project_id, r.id) = (o.project_id, o.place_id)
           join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
           where o.project_id = $1 and o.id = any($2::int8[]) and o.state = 'prepared'
           order by o.id""",
        project_id, list(opening_ids),
    )  # fmt: skip
