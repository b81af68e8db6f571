"""PostgreSQL's binary COPY format to and from NumPy columns.

Owns one byte layout: a row is a field count, then per field a length and big-endian bytes. With
fixed-width columns and no NULL that is a NumPy record, so a hundred thousand rows become bytes
without a Python loop. Must never know a table. Format: PostgreSQL manual, COPY, "Binary Format".
"""

from collections.abc import AsyncIterator, Mapping, Sequence
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
# Half of a small second-level cache.
BLOCK_BYTES = 262_144

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


def _blank(layout: Layout, count: int) -> NDArray[Any]:
    """Rows whose counts and lengths are written and whose values are not."""
    rows = np.zeros(count, dtype=_record(layout))
    rows["#"] = len(layout)
    for name, kind in layout:
        rows[f"{name}#"] = _width(kind)
    return rows


def _width(kind: str) -> int:
    return 8 if kind == TIMESTAMP else int(kind[-1])


def _block_rows(layout: Layout) -> int:
    return BLOCK_BYTES // _record(layout).itemsize


async def pack(layout: Layout, columns: Columns) -> AsyncIterator[bytes]:
    """Columns of equal length as a binary COPY stream, block by block.

    The server takes a block in while the next one is made, and a block stays in the processor's
    cache while column after column is laid into it. Instants are int64 µs since 1970 UTC.
    """
    count = len(columns[layout[0][0]])
    step = _block_rows(layout)
    rows = _blank(layout, min(step, count))
    yield SIGNATURE
    for start in range(0, count, step):
        block = rows[: count - start]
        part = slice(start, start + step)
        for name, kind in layout:
            if kind == TIMESTAMP:
                np.subtract(columns[name][part], PG_EPOCH_US, out=block[name], casting="unsafe")
            else:
                block[name] = columns[name][part]
        yield block.tobytes()
    yield TRAILER


def unpack(layout: Layout, stream: bytes) -> dict[str, NDArray[Any]]:
    """A binary COPY stream of fixed-width, never-null rows as native columns.

    Raises:
        CopyLayoutMismatch: a NULL, another width or another number of fields.
    """
    record = _record(layout)
    body = len(stream) - len(SIGNATURE) - len(TRAILER)
    if body < 0 or not stream.startswith(SIGNATURE) or body % record.itemsize:
        raise CopyLayoutMismatch(why=f"{body} bytes are no multiple of {record.itemsize}")
    count = body // record.itemsize
    rows = np.frombuffer(stream, dtype=record, count=count, offset=len(SIGNATURE))
    columns = {name: np.empty(count, dtype=np.int64) for name, _ in layout}
    step = _block_rows(layout)
    for start in range(0, count, step):
        block = rows[start : start + step]
        for name, kind in layout:
            if not (block[f"{name}#"] == _width(kind)).all():
                raise CopyLayoutMismatch(why=f"column {name} is not {_width(kind)} bytes wide")
            columns[name][start : start + step] = block[name]
    for name, kind in layout:
        if kind == TIMESTAMP:
            columns[name] += PG_EPOCH_US
    return columns
