"""The state, rules and money of points, loaded as columns.

Owns what a flow must know of a point before it can judge, rate and decide, and the joins that bring
it together. The joins are made here, on sorted ids: a range of each table is read in the order of
its key, which takes the database a third of the time of joining the tables itself, and the same
time however many other points there are. Must never change a row.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.store.columns import distinct, find, lie_close
from meterhouse.store.copyfmt import INT8, TIMESTAMP, Layout, Unpacker
from meterhouse.store.db import Connection
from meterhouse.units import to_us

Ints = NDArray[np.int64]
Columns = dict[str, Ints]
NO_FLOOR_MINOR = -(10**17)
REGISTERS = tuple(f"good_{index}_milli" for index in range(5))
SUSPECTS = tuple(f"suspect_{index}_milli" for index in range(5))
INSTANTS = frozenset(
    {
        "read_at",
        "good_at",
        "suspect_at",
        "block_period_at",
        "relay_at",
        "noticed_at",
        "estimated_at",
        "tariff_at",
        "payer_at",
        "serves_at",
    }
)
# Few points have a suspect; their tracks are asked for apart.
TRACK = ("suspect_at", *SUSPECTS)

METER = {
    "meter_id": "id",
    "point_id": "point_id",
    "modulus_milli": "modulus_milli",
    "max_power_w": "max_power_w",
    "multiplier": "multiplier",
    "gateway_id": "coalesce(gateway_id, 0)",
    "serves_at": "serves_at",
}
STATE = {
    "point_id": "point_id",
    "state_meter_id": "meter_id",
    "register_epoch": "register_epoch",
    "read_at": "read_at",
    "good_at": "good_at",
    **{name: name for name in REGISTERS},
    "suspect_count": "suspect_count",
    "block_milli": "block_milli",
    "block_period_at": "block_period_at",
    "accrued_nano": "accrued_nano",
    "booking": "booking",
    "relay": "relay",
    "relay_at": "relay_at",
    "keep_power": "keep_power",
    "warning_level": "warning_level",
    "noticed_at": "noticed_at",
    "estimated_at": "estimated_at",
}
POINT = {
    "point_id": "id",
    "tariff_id": "coalesce(tariff_id, 0)",
    "persons": "persons",
    # Since when what is used is charged as it is now: by this tariff, for so many persons.
    "tariff_at": "greatest(tariff_at, persons_at)",
    "keeper": "case keeper when 'meter' then 0 when 'platform' then 1 when 'external' then 2 "
    "else 3 end",
    "override": "case override when 'none' then 0 when 'on' then 1 else 2 end",
    "warning_1_minor": "warning_1_minor",
    "warning_2_minor": "warning_2_minor",
    "warning_3_minor": "warning_3_minor",
    "reconnect_minor": "reconnect_minor",
    "account_id": "coalesce(account_id, 0)",
    "payer_at": "payer_at",
    "common_account_id": "coalesce(common_account_id, 0)",
}
MONEY = {
    "account_id": "id",
    "balance_minor": "credit_minor - debit_minor",
    "pending_debit_minor": "pending_debit_minor",
    "floor_minor": f"coalesce(floor_minor, {NO_FLOOR_MINOR})",
}


async def load(connection: Connection, project_id: int, meter_ids: Ints) -> Columns:
    """The state, rules and money of points, one row a meter in service, ordered by meter.

    Args:
        connection: inside a transaction that sees the project.
        project_id: the project.
        meter_ids: the meters wanted, ascending; where they lie close together, those between
            them come along, because a range is found faster than a list.

    Returns:
        The columns of `METER`, `STATE`, `POINT`, `TRACK` and `MONEY` as int64; instants in µs
        since 1970 UTC.
    """
    columns = await _copy_out(
        connection, project_id, METER, "meter", meter_ids, "removed_at is null and point_id > 0"
    )
    for names, table in ((STATE, "point_state"), (POINT, "point")):
        points = distinct(columns["point_id"])
        columns = _joined(columns, await _copy_out(connection, project_id, names, table, points))
    serves = columns.pop("state_meter_id") == columns["meter_id"]
    if not serves.all():
        columns = {name: column[serves] for name, column in columns.items()}
    await _add_tracks(connection, project_id, columns)
    await _add_money(connection, project_id, columns)
    return columns


def among(column: str, ids: Ints) -> str:
    """A condition that finds these ascending ids, or where they lie close together, their range."""
    if lie_close(ids):
        return f"{column} between {ids[0]} and {ids[-1]}"
    return f"{column} = any('{{{','.join(map(str, ids.tolist()))}}}'::int8[])"


async def _copy_out(
    connection: Connection, project_id: int, names: dict[str, str], table: str, ids: Ints,
    condition: str = "true",
) -> Columns:  # fmt: skip
    """Columns of a table's rows whose id, the first column, is among `ids`; ordered by it."""
    layout: Layout = tuple((name, TIMESTAMP if name in INSTANTS else INT8) for name in names)
    selected = ", ".join(
        expression if name in INSTANTS else f"({expression})::int8"
        for name, expression in names.items()
    )
    unpacker = Unpacker(layout)
    key, key_column = next(iter(names.items()))
    await connection.copy_from_query(
        f"select {selected} from {table} where project_id = {int(project_id)}"
        f" and {among(key_column, ids)} and {condition}",
        output=unpacker.take, format="binary",
    )  # fmt: skip
    columns = unpacker.columns()
    if (np.diff(columns[key]) > 0).all():
        return columns
    order = np.argsort(columns[key], kind="stable")
    return {name: column[order] for name, column in columns.items()}


def _joined(columns: Columns, found: Columns) -> Columns:
    """Rows side by side with their partners of the same point; what has none is left out."""
    if np.array_equal(found["point_id"], columns["point_id"]):
        return columns | found
    place, there = find(found["point_id"], columns["point_id"])
    kept = {name: column[there] for name, column in columns.items()}
    return kept | {name: column[place[there]] for name, column in found.items()}


async def _add_money(connection: Connection, project_id: int, columns: Columns) -> None:
    """Add the accounts that points draw on.

    What may be drawn is the point's own compartment and the common one; the floor is the former's.
    """
    own, common = columns["account_id"], columns.pop("common_account_id")
    ids = distinct(np.concatenate([own, common]))
    found = await _copy_out(connection, project_id, MONEY, "account", ids[ids > 0])
    mine, has_own = find(found["account_id"], own)
    shared, has_common = find(found["account_id"], common)
    for name in ("balance_minor", "pending_debit_minor"):
        columns[name] = np.zeros(len(own), dtype=np.int64)
        columns[name][has_own] = found[name][mine[has_own]]
        columns[name][has_common] += found[name][shared[has_common]]
    columns["floor_minor"] = np.full(len(own), NO_FLOOR_MINOR, dtype=np.int64)
    columns["floor_minor"][has_own] = found["floor_minor"][mine[has_own]]


async def _add_tracks(connection: Connection, project_id: int, columns: Columns) -> None:
    """Add the suspect tracks, which are asked for only where there is one."""
    count = len(columns["point_id"])
    columns["suspect_at"] = np.zeros(count, dtype=np.int64)
    columns |= {name: np.full(count, -1, dtype=np.int64) for name in SUSPECTS}
    tracked = np.flatnonzero(columns["suspect_count"])
    if not len(tracked):
        return
    place = dict(zip(columns["point_id"][tracked].tolist(), tracked.tolist(), strict=True))
    rows: list[Any] = await connection.fetch(
        f"""select point_id, {", ".join(TRACK)} from point_state
        where project_id = $1 and point_id = any($2::int8[])""",
        project_id, list(place),
    )  # fmt: skip
    for row in rows:
        columns["suspect_at"][place[row["point_id"]]] = to_us(row["suspect_at"])
        for name in SUSPECTS:
            columns[name][place[row["point_id"]]] = row[name]
