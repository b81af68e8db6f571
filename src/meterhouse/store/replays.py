"""Charges in bulk, as columns to be rated anew, and what replays found.

Owns the way of many charges out of the database (binary COPY, a chunk of points at a time) and the
rows of replays. Must never rate. A charge counts by its latest version; one that was taken back,
from its end to its end, counts no more.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import numpy as np

from meterhouse.store.copyfmt import INT2, INT4, INT8, TIMESTAMP, Layout, Unpacker
from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.points import Columns, Ints, among
from meterhouse.store.reports import FOUND, PLACE, PLACE_COLUMNS
from meterhouse.units import from_us

INTERVAL: Layout = (
    ("point_id", INT8), ("started_at", TIMESTAMP), ("ended_at", TIMESTAMP), ("version", INT4),
    ("account_id", INT8), ("energy_milli", INT8), ("amount_nano", INT8),
)  # fmt: skip
# What else of a charge is needed to write a further version of it, or to find its meter's bands.
CHARGE: Layout = (
    *INTERVAL, ("tariff_id", INT8), ("meter_id", INT8), ("register_epoch", INT4),
    ("block_milli", INT8), ("block_period_at", TIMESTAMP), ("verdict", INT2), ("quality", INT2),
    ("booking", INT4), ("edition", INT2),
)  # fmt: skip


def _coins(nano: str) -> str:
    """Whole coins, half a coin up: for the eye and for sorting; sums are exact."""
    return f"round(({nano}) / (10 ^ (9 - j.currency_exponent))::numeric)::int8"


REPLAYS = ListQuery(
    f"""select r.id, null::int8 as point_id, r.made_at, r.since_at, r.until_at, r.corrects,
            (r.asked -> 'gives' ->> 'digest') is not null as gives,
            r.asked ->> 'name' as scheme, {STAFF_NAME} as actor,
            (r.found ->> 'households')::int8 as households,
            (r.found ->> 'winners')::int8 as winners, (r.found ->> 'losers')::int8 as losers,
            {_coins("(r.found ->> 'charged_nano')::numeric")} as charged_minor,
            {_coins("(r.found ->> 'would_nano')::numeric")} as would_minor,
            {_coins("(r.found ->> 'would_nano')::numeric - (r.found ->> 'charged_nano')::numeric")}
                as difference_minor
        from replay r join project j on j.id = r.project_id {staff("r.actor_id")}
        where r.project_id = $1""",
    {"text": "q.scheme ilike {}", "from": "q.made_at >= {}", "to": "q.made_at < {}"},
    {"made_at": "made_at", "difference": "difference_minor"},
    first="-made_at",
    solid=frozenset({"made_at", "difference"}),
)
ROWS = ListQuery(
    f"""select d.replay_id, d.point_id, d.account_id, {PLACE_COLUMNS}, d.interval_count,
            d.energy_milli, p.commodity, c.id as customer_id, h.name as customer,
            h.erased_at is not null as is_erased, d.charged_nano, d.would_nano,
            {_coins("d.charged_nano")} as charged_minor, {_coins("d.would_nano")} as would_minor,
            {_coins("d.would_nano - d.charged_nano")} as difference_minor
        from replay_row d join project j on j.id = d.project_id
        join point p on (p.project_id, p.id) = (d.project_id, d.point_id) {PLACE}
        left join account a on (a.project_id, a.id) = (d.project_id, d.account_id)
        left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
        left join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
        left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
        where d.project_id = $1""",
    {
        "replay": "q.replay_id = {}",
        "text": f"q.point_id in {FOUND}",
        "change": {
            "more": "q.difference_minor > 0", "less": "q.difference_minor < 0",
            "same": "q.difference_minor = 0",
        },
    },
    {
        "room": "room", "difference": "difference_minor", "charged": "charged_minor",
        "would": "would_minor", "energy": "energy_milli",
    },
    key=("replay_id", "point_id", "account_id"),
    first="-difference",
    solid=frozenset({"difference", "charged", "would", "energy"}),
)  # fmt: skip


async def charges(
    connection: Connection, project_id: int, layout: Layout, point_ids: Ints, after_us: int,
    until_us: int,
) -> Columns:  # fmt: skip
    """The charges in force that end after an instant and up to another.

    All versions of one end at the same instant, so that the latest is among them.

    Args:
        connection: inside a transaction that sees the project.
        project_id: the project.
        layout: `INTERVAL` or `CHARGE`.
        point_ids: whose, ascending.
        after_us: µs.
        until_us: µs.

    Returns:
        The columns of the layout, by point and time.
    """
    unpacker = Unpacker(layout)
    await connection.copy_from_query(
        f"""select {", ".join(name for name, _ in layout)} from charge
            where project_id = {int(project_id)} and {among("point_id", point_ids)}
            and ended_at > '{from_us(after_us).isoformat()}'
            and ended_at <= '{from_us(until_us).isoformat()}'""",
        output=unpacker.take, format="binary",
    )  # fmt: skip
    return _in_force(unpacker.columns(), point_ids)


def _in_force(columns: Columns, point_ids: Ints) -> Columns:
    """The latest version of each charge, by point and time, of these points alone.

    Rows come a week after the other, and mostly in order within each, so that one stable sort by
    point is nearly always all there is to do.
    """
    kept = np.isin(columns["point_id"], point_ids)
    if not kept.all():
        columns = {name: column[kept] for name, column in columns.items()}
    columns = _ordered(columns, np.argsort(columns["point_id"], kind="stable"))
    same_point = np.diff(columns["point_id"]) == 0
    if not (np.diff(columns["ended_at"])[same_point] > 0).all():
        keys = (columns["version"], columns["ended_at"], columns["point_id"])
        columns = _ordered(columns, np.lexsort(keys))
    point_id, ended_at = columns["point_id"], columns["ended_at"]
    stands = np.ones(len(point_id), dtype=np.bool_)
    stands[:-1] = (np.diff(point_id) != 0) | (np.diff(ended_at) != 0)
    stands &= columns["started_at"] < ended_at
    if stands.all():
        return columns
    return {name: column[stands] for name, column in columns.items()}


def _ordered(columns: Columns, order: Ints) -> Columns:
    if (np.diff(order) == 1).all():
        return columns
    return {name: column[order] for name, column in columns.items()}


async def points_of(
    connection: Connection, project_id: int, commodity: str, place_id: int | None,
    tariff_id: int | None, point_ids: Sequence[int] | None,
) -> Ints:  # fmt: skip
    """The points of a commodity in sight, ascending: of a building, of a tariff, or of a list."""
    rows = await connection.fetch(
        """select p.id from point p
           join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
           where p.project_id = $1 and p.commodity = $2 and p.keeper <> 'none'
           and ($3::int8 is null or r.building_id = $3 or r.id = $3)
           and ($4::int8 is null or p.tariff_id = $4)
           and ($5::int8[] is null or p.id = any($5)) and seen_point(p.project_id, p.id)
           order by p.id""",
        project_id, commodity, place_id, tariff_id,
        None if point_ids is None else list(point_ids),
    )  # fmt: skip
    return np.array([row["id"] for row in rows], dtype=np.int64)


async def all_points(connection: Connection, project_id: int, commodity: str) -> Ints:
    """Every point of a commodity, whoever pays for it, ascending."""
    rows = await connection.fetch(
        "select id from point where project_id = $1 and commodity = $2 order by id",
        project_id, commodity,
    )  # fmt: skip
    return np.array([row["id"] for row in rows], dtype=np.int64)


async def insert(
    connection: Connection, project_id: int, replay_id: int, asked: Mapping[str, Any],
    found: Mapping[str, Any], rows: Columns, at: datetime,
) -> None:  # fmt: skip
    """Keep what a replay found; one that was kept already stays.

    Args:
        connection: the caller's transaction.
        project_id: the project.
        replay_id: its task's id.
        asked: tariff_id, since_at, until_at, corrects, actor_id, and `asked` as JSON.
        found: the sums, as JSON.
        rows: columns of `replay_row`, without project and replay.
        at: the present instant.
    """
    made = await connection.fetchval(
        """insert into replay (project_id, id, tariff_id, since_at, until_at, asked, found,
               corrects, made_at, actor_id)
           values ($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb, $8, $9, $10)
           on conflict do nothing returning id""",
        project_id, replay_id, asked["tariff_id"], asked["since_at"], asked["until_at"],
        json.dumps(asked["asked"]), json.dumps(dict(found)), asked["corrects"], at,
        asked["actor_id"],
    )  # fmt: skip
    if made is None:
        return
    names = ("point_id", "account_id", "interval_count", "energy_milli", "charged_nano",
             "would_nano")  # fmt: skip
    slots = ", ".join(f"${n}::int8[]" for n in range(3, 3 + len(names)))
    await connection.execute(
        f"""insert into replay_row (project_id, replay_id, {", ".join(names)})
            select $1, $2, u.* from unnest({slots}) as u""",
        project_id, replay_id, *(rows[name].tolist() for name in names),
    )  # fmt: skip


async def get(connection: Connection, project_id: int, replay_id: int) -> asyncpg.Record | None:
    """One replay, if its task is in sight."""
    return await connection.fetchrow(
        """select r.*, t.name as tariff from replay r
           join task on (task.project_id, task.id) = (r.project_id, r.id)
           left join tariff t on (t.project_id, t.id) = (r.project_id, r.tariff_id)
           where r.project_id = $1 and r.id = $2
           and (building_ids() is null or task.building_ids <@ building_ids())""",
        project_id, replay_id,
    )  # fmt: skip
