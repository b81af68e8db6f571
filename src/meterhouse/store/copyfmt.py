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
# A block that is laid out column after column stays in a small second-level cache.
BLOCK_BYTES = 262_144
UNPACK_BYTES = 1_048_576

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


class Unpacker:
    """A binary COPY stream of fixed-width, never-null rows, made native columns as it arrives.

    Args:
        layout: of the rows.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._record = _record(layout)
        self._waiting: list[bytes] = []
        self._waiting_bytes = -len(SIGNATURE)
        self._blocks: dict[str, list[NDArray[np.int64]]] = {name: [] for name, _ in layout}

    async def take(self, data: bytes) -> None:
        """Some bytes of the stream, cut anywhere. Raises `CopyLayoutMismatch`."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > UNPACK_BYTES:
            self._unpack(self._waiting_bytes // self._record.itemsize)

    def columns(self) -> dict[str, NDArray[np.int64]]:
        """All rows, once the stream has ended.

        Raises:
            CopyLayoutMismatch: a NULL, another width or another number of fields.
        """
        count, rest = divmod(self._waiting_bytes - len(TRAILER), self._record.itemsize)
        if rest:
            raise CopyLayoutMismatch(why=f"a row is not {self._record.itemsize} bytes long")
        self._unpack(count)
        columns = {name: np.concatenate(blocks) for name, blocks in self._blocks.items()}
        for name, kind in self._layout:
            if kind == TIMESTAMP:
                columns[name] += PG_EPOCH_US
        return columns

    def _unpack(self, count: int) -> None:
        """Take so many rows off the front of what waits."""
        stream = b"".join(self._waiting)
        begin = len(stream) - self._waiting_bytes
        if begin and stream[:begin] != SIGNATURE:
            raise CopyLayoutMismatch(why="it does not begin as such an answer does")
        rows = np.frombuffer(stream, dtype=self._record, count=count, offset=begin)
        for name, kind in self._layout:
            if not (rows[f"{name}#"] == _width(kind)).all():
                raise CopyLayoutMismatch(why=f"column {name} is not {_width(kind)} bytes wide")
            self._blocks[name].append(rows[name].astype(np.int64))
        left = stream[begin + rows.nbytes :]
        self._waiting, self._waiting_bytes = [left], len(left)
