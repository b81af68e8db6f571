"""PostgreSQL's binary COPY format to and from NumPy columns.

Owns one byte layout: a row is a field count, then per field a length and big-endian bytes. With
fixed-width columns and no NULL that is a NumPy record, so a hundred thousand rows become bytes
without a Python loop. Must never know a table. Format: PostgreSQL manual, COPY, "Binary Format".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.errors import MeterhouseError

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
INT2, INT4, INT8 = ">i2", ">i4", ">i8"
# timestamptz travels as microseconds since 2000-01-01 UTC; we count from 1970.
TIMESTAMP = ">M"
PG_EPOCH_US = 946_684_800_000_000

Columns = Mapping[str, NDArray[Any]]
Layout = Sequence[tuple[str, str]]


class CopyLayoutMismatch(MeterhouseError):
    """A binary COPY answer does not have the layout asked for: {why}."""

    code = "copy_layout_mismatch"


def _record(layout: Layout) -> np.dtype[Any]:
    fields: list[tuple[str, str]] = [("#", ">i2")]
    for name, kind in layout:
        fields += [(f"{name}#", ">i4"), (name, INT8 if kind == TIMESTAMP else kind)]
    return np.dtype(fields)


def pack(layout: Layout, columns: Columns) -> bytes:
    """Columns of equal length as one binary COPY stream. Instants are int64 µs since 1970 UTC."""
    count = len(columns[layout[0][0]])
    record = _record(layout)
    rows = np.empty(count, dtype=record)
    rows["#"] = len(layout)
    for name, kind in layout:
        width = 8 if kind == TIMESTAMP else int(kind[-1])
        rows[f"{name}#"] = width
        rows[name] = columns[name] - PG_EPOCH_US if kind == TIMESTAMP else columns[name]
    return b"".join((SIGNATURE, rows.tobytes(), TRAILER))


def unpack(layout: Layout, stream: bytes) -> dict[str, NDArray[Any]]:
    """A binary COPY stream of fixed-width, never-null rows as native columns.

    Raises:
        CopyLayoutMismatch: a NULL, another width or another number of fields.
    """
    record = _record(layout)
    body = len(stream) - len(SIGNATURE) - len(TRAILER)
    if body < 0 or not stream.startswith(SIGNATURE) or body % record.itemsize:
        raise CopyLayoutMismatch(why=f"{body} bytes are no multiple of {record.itemsize}")
    rows = np.frombuffer(stream, dtype=record, count=body // record.itemsize, offset=19)
    columns: dict[str, NDArray[Any]] = {}
    for name, kind in layout:
        width = 8 if kind == TIMESTAMP else int(kind[-1])
        if not (rows[f"{name}#"] == width).all():
            raise CopyLayoutMismatch(why=f"column {name} is not {width} bytes wide in every row")
        columns[name] = rows[name].astype(np.int64)
        if kind == TIMESTAMP:
            columns[name] += PG_EPOCH_US
    return columns
