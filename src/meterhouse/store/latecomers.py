"""Many chains that late readings were put into, loaded and brought up to date as columns.

Owns one temporary table, which says which chains and from when on, and the three statements that
it makes set-based. Must never judge or rate. What one chain needs, `store.readings` has; here are
its like for thousands at once, because a statement for each would take a round a minute.
"""

import numpy as np

from meterhouse.store.copyfmt import INT2, INT4, INT8, TIMESTAMP, Columns, Layout, Unpacker, pack
from meterhouse.store.db import Connection
from meterhouse.store.points import REGISTERS
from meterhouse.store.readings import BANDS, Ints
from meterhouse.units import from_us

_SPAN: Layout = (
    ("place", INT8), ("point_id", INT8), ("meter_id", INT8), ("register_epoch", INT4),
    ("since", TIMESTAMP), ("until", TIMESTAMP),
)  # fmt: skip
_CHARGE: Layout = (
    ("place", INT8), ("ended_at", TIMESTAMP), ("version", INT4), ("started_at", TIMESTAMP),
    ("account_id", INT8), ("energy_milli", INT8), ("block_milli", INT8),
    ("block_period_at", TIMESTAMP), ("amount_nano", INT8), ("verdict", INT2), ("quality", INT2),
)  # fmt: skip
_READING: Layout = (
    ("place", INT8), ("read_at", TIMESTAMP), ("total_milli", INT8),
    *((name, INT8) for name in BANDS),
)  # fmt: skip
CHAIN: Layout = (
    ("point_id", INT8), ("good_at", TIMESTAMP), *((name, INT8) for name in REGISTERS),
    ("block_milli", INT8), ("block_period_at", TIMESTAMP), ("accrued_nano", INT8),
    ("rated_nano", INT8),
)  # fmt: skip
_KINDS = {INT2: "int2", INT4: "int4", INT8: "int8", TIMESTAMP: "timestamptz"}


def _table(name: str, layout: Layout) -> str:
    columns = ", ".join(f"{column} {_KINDS[kind]}" for column, kind in layout)
    return f"""create temporary table if not exists {name} ({columns}) on commit delete rows;
        delete from {name}"""


async def set_spans(connection: Connection, spans: Columns) -> None:
    """Say which chains: their place, point, meter and epoch, and the span of what is loaded."""
    await connection.execute(_table("latecomer", _SPAN))
    await connection.copy_to_table(
        "latecomer", columns=[name for name, _ in _SPAN], source=pack(_SPAN, spans),
        format="binary",
    )  # fmt: skip
    await connection.execute("analyze latecomer")


async def odd_places(connection: Connection, project_id: int) -> list[int]:
    """The named chains of which a reading in the span was laid aside, doubted or decided about."""
    rows = await connection.fetch(
        " union ".join(
            f"""select w.place from latecomer w join {table} x on x.project_id = $1
                and (x.meter_id, x.register_epoch) = (w.meter_id, w.register_epoch)
                and x.read_at >= w.since and x.read_at <= w.until"""
            for table in ("reading_aside", "doubt", "decision")
        ),
        project_id,
    )
    return [row["place"] for row in rows]


async def charges(connection: Connection, project_id: int, spans: Columns) -> Columns:
    """The charges in force that end within the spans, by place and end."""
    return await _loaded(
        connection, _CHARGE, "charge", "ended_at", project_id, spans,
        """(c.project_id, c.point_id, c.meter_id, c.register_epoch)
           = ({project}, w.point_id, w.meter_id, w.register_epoch)""",
        ("place", "ended_at"), ("version",),
    )  # fmt: skip


async def readings(connection: Connection, project_id: int, spans: Columns) -> Columns:
    """The readings within the spans, by place and instant."""
    return await _loaded(
        connection, _READING, "reading", "read_at", project_id, spans,
        """(c.project_id, c.meter_id, c.register_epoch)
           = ({project}, w.meter_id, w.register_epoch)""",
        ("place", "read_at"), (),
    )  # fmt: skip


async def _loaded(
    connection: Connection, layout: Layout, table: str, instant: str, project_id: int,
    spans: Columns, same_chain: str, key: tuple[str, str], latest_by: tuple[str, ...],
) -> dict[str, Ints]:  # fmt: skip
    """Rows of a partitioned table, a short range of its key for each place; the last of a key.

    The outer bounds are constants, so that only partitions within them are looked at.
    """
    selected = ", ".join("w.place" if name == "place" else f"c.{name}" for name, _ in layout)
    first, last = (from_us(int(at)) for at in (spans["since"].min(), spans["until"].max()))
    unpacker = Unpacker(layout)
    await connection.copy_from_query(
        f"""select {selected} from latecomer w join lateral (select * from {table} c
            where {same_chain.format(project=int(project_id))}
            and c.{instant} >= w.since and c.{instant} <= w.until
            and c.{instant} >= '{first.isoformat()}' and c.{instant} <= '{last.isoformat()}'
            offset 0) c on true""",
        output=unpacker.take, format="binary",
    )  # fmt: skip
    rows = unpacker.columns()
    order = np.lexsort([rows[name] for name in reversed((*key, *latest_by))])
    rows = {name: values[order] for name, values in rows.items()}
    same = np.ones(max(len(order) - 1, 0), dtype=np.bool_)
    for name in key:
        same &= np.diff(rows[name]) == 0
    kept = np.append(~same, True)[: len(order)]
    return {name: values[kept] for name, values in rows.items()}


async def set_chains(connection: Connection, project_id: int, chains: Columns) -> None:
    """Set where chains and blocks stand, and add to what is accrued and was ever rated."""
    await connection.execute(_table("latecomer_chain", CHAIN))
    await connection.copy_to_table(
        "latecomer_chain", columns=[name for name, _ in CHAIN], source=pack(CHAIN, chains),
        format="binary",
    )  # fmt: skip
    sets = ", ".join(f"{name} = c.{name}" for name in ("good_at", *REGISTERS))
    await connection.execute(
        f"""update point_state s set {sets}, block_milli = c.block_milli,
            block_period_at = c.block_period_at, accrued_nano = s.accrued_nano + c.accrued_nano,
            rated_nano = s.rated_nano + c.rated_nano
        from latecomer_chain c where s.project_id = $1 and s.point_id = c.point_id
        and s.point_id between $2 and $3""",
        project_id, int(chains["point_id"].min()), int(chains["point_id"].max()),
    )  # fmt: skip
