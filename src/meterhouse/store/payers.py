"""Who paid for points and who kept their money, since when, as rows.

Owns the history that the point's present row ends, and what was left below a coin when each time
ended. Must never know what is owed. The rows themselves are written by the database as points
change, whoever changes them.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.units import from_us, to_us


class Time(NamedTuple):
    """A time in which one account paid for a point; `is_kept`: with the platform."""

    since_us: int
    account_id: int
    is_kept: bool
    rest_nano: int


async def history(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> dict[int, list[Time]]:
    """The times of points, the first one first; that reaches back for ever."""
    rows = await connection.fetch(
        """select q.point_id, q.since_at, q.account_id, q.rest_nano, 'platform' = coalesce(q.keeper,
               (select n.keeper from point_payer n where (n.project_id, n.point_id)
                   = (q.project_id, q.point_id) and n.since_at > q.since_at
                   and n.keeper is not null order by n.since_at limit 1)) as is_kept
           from point_payer q where q.project_id = $1 and q.point_id = any($2::int8[])
           order by q.point_id, q.since_at""",
        project_id, list(point_ids),
    )  # fmt: skip
    found: dict[int, list[Time]] = {}
    for row in rows:
        time = Time(to_us(row["since_at"]), row["account_id"], row["is_kept"], row["rest_nano"])
        found.setdefault(row["point_id"], []).append(time)
    return found


async def households(
    connection: Connection, project_id: int, account_ids: Sequence[int]
) -> dict[int, asyncpg.Record]:
    """agreement_id of accounts, and whether it `is_open`, by account."""
    rows = await connection.fetch(
        """select a.id, a.agreement_id, g.valid_to is null as is_open
           from account a join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
           where a.project_id = $1 and a.id = any($2::int8[])""",
        project_id, list(account_ids),
    )  # fmt: skip
    return {row["id"]: row for row in rows}


async def last_correction(connection: Connection, project_id: int, point_id: int) -> int:
    """The number of a point's latest correction of the past; they count down from −1, 0: none."""
    found: int = await connection.fetchval(
        """select least((select coalesce(min(booking), 0) from transfer
               where project_id = $1 and point_id = $2 and booking < 0),
               (select coalesce(min(correction), 0) from point_payer
               where project_id = $1 and point_id = $2))""",
        project_id, point_id,
    )  # fmt: skip
    return found


async def set_rests(
    connection: Connection, project_id: int, point_id: int, correction: int,
    rests_nano: Mapping[int, int],
) -> None:  # fmt: skip
    """Note what is left below a coin of times, by their begin, and the last number used."""
    await connection.execute(
        """update point_payer q set rest_nano = r.rest, correction = $3
           from unnest($4::timestamptz[], $5::int8[]) as r (since, rest)
           where q.project_id = $1 and q.point_id = $2 and q.since_at = r.since""",
        project_id, point_id, correction, [from_us(one) for one in rests_nano],
        list(rests_nano.values()),
    )  # fmt: skip
