"""The energy of closed days: what charges of a day's time come to, and what changes of it later.

Owns these statements, and the law they keep: a charge counts in the first day closed after it was
written, as money does, so that all closed days and what waits for the next one are the energy
charged. Charges have no instant at which they were written; so a close first says up to when it
counts (`energy_mark`), for a moment alone with the project. Whoever writes charges waits for that,
sees it, and notes what they add to, or take from, the time up to there (`energy_difference`).
"""

from datetime import datetime

import asyncpg

from meterhouse.store.copyfmt import Columns
from meterhouse.store.db import Connection
from meterhouse.units import from_us, to_us


async def hold(connection: Connection, project_id: int) -> None:
    """Let nobody else say up to when energy is counted, until the transaction ends."""
    await connection.execute(
        """insert into energy_mark (project_id) values ($1)
           on conflict (project_id) do update set project_id = excluded.project_id""",
        project_id,
    )


async def begin(
    connection: Connection, project_id: int, after_at: datetime, until_at: datetime
) -> int:
    """Say of which time energy is counted now; answers the last difference of before.

    The caller holds the mark, and the project's lock: no charge is on its way.
    """
    await connection.execute(
        "update energy_mark set after_at = $2, until_at = $3 where project_id = $1",
        project_id, after_at, until_at,
    )  # fmt: skip
    found: int = await connection.fetchval(
        "select coalesce(max(id), 0) from energy_difference where project_id = $1", project_id
    )
    return found


async def stands(
    connection: Connection, project_id: int, after_at: datetime, until_at: datetime
) -> bool:
    """Hold the mark, and see whether it is still the one a close began with."""
    found = await connection.fetchval(
        """select true from energy_mark where project_id = $1 and after_at = $2 and until_at = $3
           for update""",
        project_id, after_at, until_at,
    )  # fmt: skip
    return bool(found)


async def note(connection: Connection, project_id: int, charges: Columns) -> None:
    """Note what charges just written change of the energy that is counted already.

    Args:
        connection: the caller's transaction, in which they were written.
        project_id: the project.
        charges: point_id, ended_at, version, energy_milli and amount_nano of them.
    """
    mark = await connection.fetchrow(
        "select after_at, until_at from energy_mark where project_id = $1", project_id
    )
    if mark is None:
        return
    counted = charges["ended_at"] <= to_us(mark["until_at"])
    if not counted.any():
        return
    rows = {name: values[counted] for name, values in charges.items()}
    await connection.execute(
        """with new as (select * from unnest($2::int8[], $3::timestamptz[], $4::int4[], $5::int8[],
                $6::int8[]) as n (point_id, ended_at, version, energy_milli, amount_nano)),
            moved as (
                select point_id, ended_at, energy_milli, amount_nano from new
                union all
                select o.point_id, o.ended_at, -o.energy_milli, -o.amount_nano from new n
                join charge o on (o.project_id, o.point_id, o.ended_at, o.version)
                    = ($1, n.point_id, n.ended_at, n.version - 1)
                where n.version > 1 and o.ended_at between $8 and $9)
           insert into energy_difference (project_id, commodity, after_at, energy_milli,
               amount_nano)
           select $1, p.commodity, case when m.ended_at > $7 then $7 else '-infinity' end,
               sum(m.energy_milli), sum(m.amount_nano)
           from moved m join point p on (p.project_id, p.id) = ($1, m.point_id)
           group by 2, 3 having sum(m.energy_milli) <> 0 or sum(m.amount_nano) <> 0""",
        project_id, rows["point_id"].tolist(), [from_us(at) for at in rows["ended_at"].tolist()],
        rows["version"].tolist(), rows["energy_milli"].tolist(), rows["amount_nano"].tolist(),
        mark["after_at"], from_us(int(rows["ended_at"].min())),
        from_us(int(rows["ended_at"].max())),
    )  # fmt: skip


async def energy(
    connection: Connection, project_id: int, after_at: datetime, until_at: datetime,
    noted: tuple[int, int],
) -> list[asyncpg.Record]:  # fmt: skip
    """commodity, energy_milli, amount_nano of a day, in one look.

    What its time is charged, without what came after it was begun; and of earlier days what was
    noted since the last one was.

    Args:
        connection: a transaction after the one that began it.
        project_id: the project.
        after_at, until_at: the day's time, its end in.
        noted: the last difference noted before the day before was begun, and before this one was.
    """
    return await connection.fetch(
        """with mine as (
               select point_id, energy_milli, amount_nano from charge
               where project_id = $1 and ended_at > $2 and ended_at <= $3
               union all
               select o.point_id, -o.energy_milli, -o.amount_nano from charge n
               join charge o on (o.project_id, o.point_id, o.ended_at, o.version)
                   = (n.project_id, n.point_id, n.ended_at, n.version - 1)
               where n.project_id = $1 and n.ended_at > $2 and n.ended_at <= $3 and n.version > 1),
            parts as (
               select p.commodity, m.energy_milli, m.amount_nano
               from mine m join point p on (p.project_id, p.id) = ($1, m.point_id)
               union all
               select commodity, -energy_milli, -amount_nano from energy_difference
               where project_id = $1 and after_at >= $2
               union all
               select commodity, energy_milli, amount_nano from energy_difference
               where project_id = $1 and id > $4 and id <= $5)
           select commodity, sum(energy_milli)::int8 as energy_milli,
               sum(amount_nano)::int8 as amount_nano from parts group by 1 order by 1""",
        project_id, after_at, until_at, *noted,
    )  # fmt: skip
