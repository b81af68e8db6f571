"""Registers at the ends of charges, and how their meters count, as columns.

Owns these SELECTs. Must never judge a reading.
"""

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from meterhouse.errors import NotFound
from meterhouse.store.columns import distinct, find
from meterhouse.store.copyfmt import INT4, INT8, TIMESTAMP, Layout, Unpacker
from meterhouse.store.db import Connection
from meterhouse.store.points import Columns, Ints, among
from meterhouse.store.readings import BANDS
from meterhouse.units import from_us, to_us

_READING: Layout = (
    ("meter_id", INT8), ("register_epoch", INT4), ("read_at", TIMESTAMP), ("total_milli", INT8),
    *((name, INT8) for name in BANDS),
)  # fmt: skip
_METER: Layout = (
    ("id", INT8), ("modulus_milli", INT8), ("max_power_w", INT8), ("multiplier", INT8),
)  # fmt: skip


async def registers(
    connection: Connection, project_id: int, charges: Columns
) -> tuple[Ints, NDArray[np.bool_]]:
    """int64[2, m, 5]: total and 尖峰平谷 where charges begin and end; and which have both.

    As people corrected them, where somebody did.
    """
    unpacker = Unpacker(_READING)
    meter_ids = distinct(charges["meter_id"])
    first, last = (from_us(int(one)).isoformat()
                   for one in (charges["started_at"].min(), charges["ended_at"].max()))  # fmt: skip
    await connection.copy_from_query(
        f"""select {", ".join(name for name, _ in _READING)} from reading
            where project_id = {int(project_id)} and {among("meter_id", meter_ids)}
            and read_at between '{first}' and '{last}'""",
        output=unpacker.take, format="binary",
    )  # fmt: skip
    found = unpacker.columns()
    names = [name for name, _ in _READING[3:]]
    said = np.stack([found[name] for name in names], axis=1)
    keys = [found[name].tolist() for name in ("meter_id", "register_epoch", "read_at")]
    place_of = {key: place for place, key in enumerate(zip(*keys, strict=True))}
    mended = await connection.fetch(
        """select distinct on (meter_id, register_epoch, read_at) meter_id, register_epoch, read_at,
               registers_milli from decision where project_id = $1 and meter_id = any($2::int8[])
               and read_at between $3 and $4
           order by meter_id, register_epoch, read_at, number desc""",
        project_id, meter_ids.tolist(), datetime.fromisoformat(first), datetime.fromisoformat(last),
    )  # fmt: skip
    for meter_id, epoch, read_at, registers_milli in mended:
        if registers_milli is not None:
            said[place_of[meter_id, epoch, to_us(read_at)]] = registers_milli
    milli = np.full((2, len(charges["meter_id"]), len(names)), -1, dtype=np.int64)
    there = np.ones(milli.shape[1], dtype=np.bool_)
    for end, name in enumerate(("started_at", "ended_at")):
        wanted = [charges[one].tolist() for one in ("meter_id", "register_epoch", name)]
        place = np.array([place_of.get(key, -1) for key in zip(*wanted, strict=True)])
        there &= place >= 0
        milli[end][place >= 0] = said[place[place >= 0]]
    return milli, there


async def meters(connection: Connection, project_id: int, meter_ids: Ints) -> Columns:
    """modulus_milli, max_power_w, multiplier of each of these meters. Raises `NotFound`."""
    unpacker = Unpacker(_METER)
    await connection.copy_from_query(
        f"""select id, modulus_milli, max_power_w, multiplier::int8 from meter
            where project_id = {int(project_id)} and {among("id", distinct(meter_ids))}
            order by id""",
        output=unpacker.take, format="binary",
    )  # fmt: skip
    found = unpacker.columns()
    place, there = find(found["id"], meter_ids)
    if not there.all():
        raise NotFound("meter", int(meter_ids[~there][0]))
    return {name: found[name][place] for name, _ in _METER[1:]}
