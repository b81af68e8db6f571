"""Readings, charges and the state of points: set-based, replay-safe, without a Python loop.

Owns the reading partitions and the hot state table. Must never judge or rate: it loads columns
for the kernels and stores the columns they answer. Row-level security refuses COPY on a table it
guards, so fresh rows go straight into the week's partition, where the application may insert and
nothing else; `check_scope` therefore stands before every such COPY.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from meterhouse.errors import MeterhouseError
from meterhouse.store import energies
from meterhouse.store.columns import distinct
from meterhouse.store.copyfmt import INT2, INT4, INT8, TIMESTAMP, Columns, Layout, pack
from meterhouse.store.db import SCHEMA, Connection
from meterhouse.store.points import INSTANTS, REGISTERS, SUSPECTS, among
from meterhouse.units import from_us, to_us

Ints = NDArray[np.int64]
WEEK_US = 7 * 86_400_000_000
# 1970-01-05 was a Monday.
MONDAY_US = 4 * 86_400_000_000

READING: Layout = (
    ("project_id", INT8), ("meter_id", INT8), ("register_epoch", INT4), ("read_at", TIMESTAMP),
    ("received_at", TIMESTAMP), ("total_milli", INT8), ("band_1_milli", INT8),
    ("band_2_milli", INT8), ("band_3_milli", INT8), ("band_4_milli", INT8), ("power_w", INT8),
    ("credit_minor", INT8), ("relay", INT2), ("source", INT2),
)  # fmt: skip
CHARGE: Layout = (
    ("project_id", INT8), ("point_id", INT8), ("ended_at", TIMESTAMP), ("version", INT4),
    ("started_at", TIMESTAMP), ("meter_id", INT8), ("register_epoch", INT4),
    ("account_id", INT8), ("tariff_id", INT8), ("energy_milli", INT8), ("block_milli", INT8),
    ("block_period_at", TIMESTAMP), ("amount_nano", INT8), ("verdict", INT2), ("quality", INT2),
    ("booking", INT4), ("edition", INT2),
)  # fmt: skip
BANDS = tuple(f"band_{index}_milli" for index in range(1, 5))

ROUND: Layout = (
    ("point_id", INT8), ("read_at", TIMESTAMP), ("good_at", TIMESTAMP),
    *((name, INT8) for name in REGISTERS), ("block_milli", INT8),
    ("block_period_at", TIMESTAMP), ("amount_nano", INT8), ("accrual_nano", INT8),
    ("relay", INT2), ("relay_at", TIMESTAMP), ("keep_power", INT2), ("power_w", INT8),
    ("credit_minor", INT8), ("warning_level", INT2),
)  # fmt: skip
# A transaction may hold several rounds: what an earlier one left is not added again.
_ROUND_TABLE = f"""create temporary table if not exists round_state (
    point_id int8, read_at timestamptz, good_at timestamptz,
    {", ".join(f"{name} int8" for name in REGISTERS)}, block_milli int8,
    block_period_at timestamptz, amount_nano int8, accrual_nano int8, relay int2,
    relay_at timestamptz, keep_power int2, power_w int8, credit_minor int8, warning_level int2)
    on commit delete rows;
    delete from round_state"""
_ROUND_UPDATE = f"""update point_state ps set
    read_at = greatest(ps.read_at, r.read_at), good_at = r.good_at,
    {", ".join(f"{name} = r.{name}" for name in REGISTERS)},
    block_milli = r.block_milli, block_period_at = r.block_period_at,
    rated_nano = ps.rated_nano + r.amount_nano, accrued_nano = ps.accrued_nano + r.accrual_nano,
    relay = r.relay, relay_at = r.relay_at, keep_power = r.keep_power, power_w = r.power_w,
    reported_credit_minor = r.credit_minor, warning_level = r.warning_level
    from round_state r where ps.project_id = $1 and ps.point_id = r.point_id
    and ps.point_id between $2 and $3"""

STAGED: Layout = (("place", INT8), *READING)
_KINDS = {INT2: "int2", INT4: "int4", INT8: "int8", TIMESTAMP: "timestamptz"}
_STAGED_TABLE = f"""create temporary table if not exists reading_staged (
    {", ".join(f"{name} {_KINDS[kind]}" for name, kind in STAGED)}) on commit delete rows;
    delete from reading_staged"""
_READING_NAMES = ", ".join(name for name, _ in READING)
_READING_KEY = ("project_id", "meter_id", "register_epoch", "read_at")
_STAGED_INSERT = f"""with inserted as (
        insert into reading ({_READING_NAMES})
        select {_READING_NAMES} from reading_staged where project_id = $1 order by place
        on conflict do nothing returning {", ".join(_READING_KEY)})
    select min(s.place) as place from inserted join reading_staged s
        using ({", ".join(_READING_KEY)}) group by {", ".join(_READING_KEY)}"""
_STAGED_CONFLICTS = f"""select s.place from reading_staged s join reading r
        using ({", ".join(_READING_KEY)}) where project_id = $1
        and ({", ".join(f"r.{name}" for name in ("total_milli", *BANDS))})
        is distinct from ({", ".join(f"s.{name}" for name in ("total_milli", *BANDS))})
    order by s.place"""


class OutOfScope(MeterhouseError):
    """Rows of project {project_id} may not be written in this scope."""

    code = "out_of_scope"
    http_status = 403


class StoredTwice(MeterhouseError):
    """A {table} that was taken for fresh is stored already."""

    code = "stored_twice"


async def check_scope(connection: Connection, project_id: int) -> None:
    """Stand in for row-level security where a COPY goes past it. Raises `OutOfScope`."""
    if not await connection.fetchval("select $1 = any(scope_ids())", project_id):
        raise OutOfScope(project_id=project_id)


async def shared_accruals(
    connection: Connection, project_id: int, account_ids: Ints
) -> dict[int, int]:
    """Accrued nano of those accounts that more than one point draws on, by account id.

    Where there are any, the flows of a project ask one after the other until each is committed:
    none overlooks what another has just accrued on the same account.
    """
    ids = distinct(account_ids)
    shared = await connection.fetch(
        f"""select account_id from point where project_id = $1
        and {among("account_id", ids[ids > 0])} group by account_id having count(*) > 1""",
        project_id,
    )
    if not shared:
        return {}
    await connection.execute("select pg_advisory_xact_lock(7303, $1::int8::int4)", project_id)
    rows = await connection.fetch(
        """select p.account_id, sum(ps.accrued_nano)::int8 as accrued_nano
           from point p join point_state ps on (ps.project_id, ps.point_id) = (p.project_id, p.id)
           where p.project_id = $1 and p.account_id = any($2::int8[]) group by p.account_id""",
        project_id, [row["account_id"] for row in shared],
    )  # fmt: skip
    return {row["account_id"]: row["accrued_nano"] for row in rows}


async def insert_fresh(connection: Connection, table: str, layout: Layout, rows: Columns) -> None:
    """COPY rows that are not there yet into their partitions.

    Args:
        connection: inside a transaction whose scope holds every row's project (checked here).
        table: `reading` or `charge`.
        layout: `READING` or `CHARGE`.
        rows: the columns, all of one project.

    Raises:
        OutOfScope: a row belongs to a project outside the scope.
        StoredTwice: a row is there already, so a watermark was wrong; the transaction is lost.
    """
    for project_id in np.unique(rows["project_id"]).tolist():
        await check_scope(connection, project_id)
    instant = rows["read_at" if table == "reading" else "ended_at"]
    week = (instant - MONDAY_US) // WEEK_US
    try:
        for one in np.unique(week).tolist():
            part = await ready_partition(connection, one * WEEK_US + MONDAY_US)
            mine = slice(None) if (week == one).all() else week == one
            await connection.copy_to_table(
                f"{table}_{part}",
                schema_name=SCHEMA,
                columns=[name for name, _ in layout],
                source=pack(layout, {k: v[mine] for k, v in rows.items()}),
                format="binary",
            )
    except asyncpg.UniqueViolationError as error:
        raise StoredTwice(table=table) from error


async def insert_charges(connection: Connection, project_id: int, rows: Columns) -> None:
    """COPY charges, and note what they change of days that are closed.

    Args:
        connection: inside a transaction that holds the project's lock, or a share in it.
        project_id: theirs.
        rows: the columns of `CHARGE`, one charge at least.

    Raises:
        OutOfScope, StoredTwice: as `insert_fresh`.
    """
    await insert_fresh(connection, "charge", CHARGE, rows)
    await energies.note(connection, project_id, rows)


async def ready_partition(connection: Connection, instant_us: int) -> str:
    """The suffix of the week that holds an instant; its partitions are made when missing."""
    name: str = await connection.fetchval("select ensure_partition($1)", from_us(instant_us))
    return name


async def insert_staged(
    connection: Connection, project_id: int, rows: Columns
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Insert readings that may be there already, slowly and safely.

    Returns:
        Two masks over the rows: newly inserted, and in conflict with a stored reading of the same
        (meter, register epoch, instant); the conflicting ones are laid aside.
    """
    for week in np.unique((rows["read_at"] - MONDAY_US) // WEEK_US).tolist():
        await ready_partition(connection, week * WEEK_US + MONDAY_US)
    count = len(rows["meter_id"])
    await connection.execute(_STAGED_TABLE)
    await connection.copy_to_table(
        "reading_staged", columns=[name for name, _ in STAGED],
        source=pack(STAGED, {**rows, "place": np.arange(count)}), format="binary",
    )  # fmt: skip
    fresh = np.zeros(count, dtype=np.bool_)
    # Of two that are the same or in conflict with each other, the first is inserted.
    fresh[
        [row["place"] for row in await connection.fetch(_STAGED_INSERT, project_id)]
    ] = True  # fmt: skip
    conflict = np.zeros(count, dtype=np.bool_)
    if fresh.all():
        return fresh, conflict
    for row in await connection.fetch(_STAGED_CONFLICTS, project_id):
        place = row["place"]
        conflict[place] = True
        key = (
            project_id, int(rows["meter_id"][place]), int(rows["register_epoch"][place]),
            from_us(int(rows["read_at"][place])), from_us(int(rows["received_at"][place])),
        )  # fmt: skip
        registers = [int(rows[name][place]) for name in ("total_milli", *BANDS)]
        await lay_aside(connection, project_id, key, registers, "conflict")
    return fresh, conflict


async def lay_aside(
    connection: Connection,
    project_id: int,
    key: Sequence[Any],
    registers_milli: list[int],
    why: str,
) -> None:
    """Keep a reading that cannot be billed. `key`: project, meter, epoch, read and received at."""
    await connection.execute(
        """insert into reading_aside (project_id, meter_id, register_epoch, read_at, received_at,
               registers_milli, why) values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing""",
        project_id, key[1], key[2], key[3], key[4], registers_milli, why,
    )  # fmt: skip


async def update_round(connection: Connection, project_id: int, rows: Columns) -> None:
    """Move the state of points to the end of a round; amounts are added, the rest is set."""
    if not len(rows["point_id"]):
        return
    await connection.execute(_ROUND_TABLE)
    await connection.copy_to_table(
        "round_state",
        columns=[name for name, _ in ROUND],
        source=pack(ROUND, rows),
        format="binary",
    )
    ids = rows["point_id"]
    await connection.execute(_ROUND_UPDATE, project_id, int(ids.min()), int(ids.max()))


async def note_read(
    connection: Connection, project_id: int, point_ids: Ints, read_at_us: Ints
) -> None:
    """Note that points have readings up to these instants, whatever these were good for."""
    if not len(point_ids):
        return
    await connection.execute(
        """update point_state ps set read_at = greatest(ps.read_at, r.read_at)
           from (select point_id, max(read_at) as read_at
                 from unnest($2::int8[], $3::timestamptz[]) as u (point_id, read_at) group by 1) r
           where ps.project_id = $1 and ps.point_id = r.point_id""",
        project_id, point_ids.tolist(), [from_us(one) for one in read_at_us.tolist()],
    )  # fmt: skip


async def update_suspects(connection: Connection, project_id: int, rows: Columns) -> None:
    """Set the suspect track of the few points that have one, or have just lost it."""
    if not len(rows["point_id"]):
        return
    names = ("suspect_at", *SUSPECTS, "suspect_count")
    columns = [rows["point_id"].tolist()]
    columns += [
        [from_us(one) for one in rows[name].tolist()] if name == "suspect_at"
        else rows[name].tolist()
        for name in names
    ]  # fmt: skip
    sets = ", ".join(f"{name} = s.{name}" for name in names)
    kinds = ["int8[]", "timestamptz[]", *["int8[]"] * 6]
    slots = ", ".join(f"${index + 2}::{kind}" for index, kind in enumerate(kinds))
    await connection.execute(
        f"""update point_state ps set {sets}
        from unnest({slots}) as s (point_id, {", ".join(names)})
        where ps.project_id = $1 and ps.point_id = s.point_id""",
        project_id, *columns,
    )  # fmt: skip


async def load_chain(
    connection: Connection, project_id: int, meter_id: int, register_epoch: int, from_at_us: int
) -> dict[str, Ints]:
    """A meter's readings from an instant on, in order, as people decided about them.

    `milli` are the registers, corrected where somebody did; `decided` and `used_milli` as
    `rating.decided.Decisions`; `torn` marks what contradicts itself until somebody corrects it.
    """
    key = (project_id, meter_id, register_epoch, from_us(from_at_us))
    rows = await connection.fetch(
        f"""select r.read_at, r.total_milli, {", ".join(f"r.{name}" for name in BANDS)},
            exists (select from reading_aside x
                where x.project_id = r.project_id and x.meter_id = r.meter_id
                and x.register_epoch = r.register_epoch and x.read_at = r.read_at) as torn
        from reading r where r.project_id = $1 and r.meter_id = $2 and r.register_epoch = $3
        and r.read_at >= $4 order by r.read_at""",
        *key,
    )
    said = await connection.fetch(
        """select distinct on (read_at) * from decision where project_id = $1 and meter_id = $2
           and register_epoch = $3 and read_at >= $4 order by read_at, number desc""",
        *key,
    )
    chain = {
        "read_at": np.array([to_us(row["read_at"]) for row in rows], dtype=np.int64),
        "milli": np.array([list(row.values())[1:6] for row in rows], np.int64).reshape(-1, 5),
        "torn": np.array([row["torn"] for row in rows], dtype=np.int64),
        "decided": np.zeros(len(rows), dtype=np.int64),
        "used_milli": np.zeros(len(rows), dtype=np.int64),
    }
    place = {row["read_at"]: i for i, row in enumerate(rows)}
    for one in said:
        i = place[one["read_at"]]
        chain["decided"][i], chain["used_milli"][i] = one["decided"], one["used_milli"]
        if one["registers_milli"] is not None:
            chain["milli"][i], chain["torn"][i] = one["registers_milli"], 0
    return chain


async def load_charges(
    connection: Connection, project_id: int, point_id: int, meter_id: int, register_epoch: int,
    after_us: int,
) -> list[asyncpg.Record]:  # fmt: skip
    """The charges in force (latest version of each interval) that end after an instant."""
    return await connection.fetch(
        """select distinct on (ended_at) * from charge where project_id = $1 and point_id = $2
           and meter_id = $3 and register_epoch = $4 and ended_at > $5
           order by ended_at, version desc""",
        project_id, point_id, meter_id, register_epoch, from_us(after_us),
    )  # fmt: skip


async def charge_before(
    connection: Connection, project_id: int, point_id: int, meter_id: int, register_epoch: int,
    before_us: int,
) -> asyncpg.Record | None:  # fmt: skip
    """The last charge in force that ended before an instant and was not taken back."""
    rows = await connection.fetch(
        """select distinct on (ended_at) * from charge where project_id = $1 and point_id = $2
           and meter_id = $3 and register_epoch = $4 and ended_at < $5
           order by ended_at desc, version desc limit 50""",
        project_id, point_id, meter_id, register_epoch, from_us(before_us),
    )  # fmt: skip
    return next((row for row in rows if row["started_at"] < row["ended_at"]), None)


async def charge_of_meter_before(
    connection: Connection, project_id: int, point_id: int, meter_id: int, register_epoch: int,
    until_us: int,
) -> asyncpg.Record | None:  # fmt: skip
    """The last measured charge in force of a point's meters before this one, up to an instant."""
    rows = await connection.fetch(
        """select distinct on (ended_at) * from charge where project_id = $1 and point_id = $2
           and (meter_id, register_epoch) <> ($3, $4) and ended_at <= $5
           order by ended_at desc, version desc limit 50""",
        project_id, point_id, meter_id, register_epoch, from_us(until_us),
    )  # fmt: skip
    return next(
        (row for row in rows if row["started_at"] < row["ended_at"] and row["quality"] != 2), None
    )


async def set_chain(connection: Connection, project_id: int, state: Mapping[str, int]) -> None:
    """Set where one point's chain and blocks stand; `state` has the names of `points.load`."""
    names = (
        "good_at", *REGISTERS, "suspect_at", *SUSPECTS, "suspect_count", "block_milli",
        "block_period_at",
    )  # fmt: skip
    sets = ", ".join(f"{name} = ${index}" for index, name in enumerate(names, start=3))
    values = [from_us(state[name]) if name in INSTANTS else state[name] for name in names]
    await connection.execute(
        f"update point_state set {sets} where project_id = $1 and point_id = $2",
        project_id, state["point_id"], *values,
    )  # fmt: skip


async def add_accrual(
    connection: Connection, project_id: int, point_id: int, accrued_nano: int, rated_nano: int
) -> None:
    """Add to a point's accrual, and to what was ever rated (0 when a booking takes it out)."""
    await connection.execute(
        """update point_state set accrued_nano = accrued_nano + $3, rated_nano = rated_nano + $4
           where project_id = $1 and point_id = $2""",
        project_id, point_id, accrued_nano, rated_nano,
    )  # fmt: skip


async def set_aside(
    connection: Connection, project_id: int, point_id: int, *, begins: bool
) -> None:
    """Begin or end the time in which what is rated at a point is owed to nobody here.

    In between, what was set aside stands lower by all that was rated before. A booking's number
    ends with it, so that no booking is explained by what was used in that time.
    """
    await connection.execute(
        f"""update point_state set aside_nano = aside_nano {"-" if begins else "+"} rated_nano,
               booking = booking + 1 where project_id = $1 and point_id = $2""",
        project_id, point_id,
    )  # fmt: skip


async def bump(connection: Connection, project_id: int) -> None:
    """Say that something a screen shows has changed; the last statement of a transaction."""
    await connection.execute(
        """insert into pulse (project_id, seq) values ($1, 1)
           on conflict (project_id) do update set seq = pulse.seq + 1""",
        project_id,
    )
