"""The binary COPY layout, there and back, and through PostgreSQL itself."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterhouse.store import copyfmt
from meterhouse.store.copyfmt import (
    INT2,
    INT4,
    INT8,
    SIGNATURE,
    TIMESTAMP,
    CopyLayoutMismatch,
    Unpacker,
    pack,
)

BITS = {INT2: 15, INT4: 31, INT8: 63, TIMESTAMP: 52}
SQL = {INT2: "int2", INT4: "int4", INT8: "int8", TIMESTAMP: "timestamptz"}
LAYOUT = (("small", INT2), ("at", TIMESTAMP), ("middle", INT4), ("large", INT8))


def columns_of(layout):
    def rows(count):
        one = {
            name: st.lists(
                st.integers(0 if kind == TIMESTAMP else -(2 ** BITS[kind]), 2 ** BITS[kind] - 1),
                min_size=count, max_size=count,
            )
            for name, kind in layout
        }  # fmt: skip
        return st.fixed_dictionaries(one)

    return st.integers(0, 20).flatmap(rows)


layouts = st.lists(st.sampled_from(list(BITS)), min_size=1, max_size=8).map(
    lambda kinds: tuple((f"c{place}", kind) for place, kind in enumerate(kinds))
)


async def packed(layout, columns):
    return b"".join([block async for block in pack(layout, columns)])


async def unpacked(layout, pieces):
    unpacker = Unpacker(layout)
    for piece in pieces:
        await unpacker.take(piece)
    return {name: values.tolist() for name, values in unpacker.columns().items()}


@given(st.data(), layouts)
async def test_what_was_packed_is_what_is_unpacked_however_it_is_cut(data, layout):
    said = data.draw(columns_of(layout))
    columns = {name: np.array(values, dtype=np.int64) for name, values in said.items()}
    stream = await packed(layout, columns)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=5).map(sorted))
    pieces = [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])]
    assert await unpacked(layout, pieces) == said


async def test_many_blocks_are_one_stream(monkeypatch):
    monkeypatch.setattr(copyfmt, "BLOCK_BYTES", 200)
    monkeypatch.setattr(copyfmt, "UNPACK_BYTES", 300)
    said = {name: list(range(1_000_000_000, 1_000_000_100)) for name, _ in LAYOUT}
    said["small"] = list(range(100))
    columns = {name: np.array(values, dtype=np.int64) for name, values in said.items()}
    blocks = [block async for block in pack(LAYOUT, columns)]
    assert len(blocks) > 10
    assert await unpacked(LAYOUT, blocks) == said


@pytest.mark.parametrize("stream", [b"PGCOPY\n\xff\r\n\1" + bytes(8) + b"\xff\xff",
                                    SIGNATURE + b"\0\1\xff\xff"])  # fmt: skip
async def test_another_stream_is_refused(stream):
    with pytest.raises(CopyLayoutMismatch):
        await unpacked(LAYOUT, [stream])


async def test_postgresql_reads_what_we_pack_and_we_read_what_it_packs(db):
    said = {
        "small": [-32_768, 0, 32_767],
        "at": [0, 946_684_800_000_000, 4_102_444_799_999_999],
        "middle": [-(2**31), 7, 2**31 - 1],
        "large": [-(2**63), -1, 2**63 - 1],
    }
    fields = ", ".join(f"{name} {SQL[kind]}" for name, kind in LAYOUT)
    async with db.transaction(()) as connection:
        await connection.execute(f"create temporary table there ({fields})")
        columns = {name: np.array(values, dtype=np.int64) for name, values in said.items()}
        await connection.copy_to_table("there", source=pack(LAYOUT, columns), format="binary")
        micros = await connection.fetch(
            "select (extract(epoch from at) * 1000000)::int8 as at from there order by at"
        )
        assert [row["at"] for row in micros] == said["at"]
        stream = io.BytesIO()
        await connection.copy_from_query(
            "select * from there order by at", output=stream, format="binary"
        )
    assert await unpacked(LAYOUT, [stream.getvalue()]) == said


async def test_a_null_is_refused_rather_than_guessed(db):
    stream = io.BytesIO()
    async with db.transaction(()) as connection:
        await connection.copy_from_query("select null::int8", output=stream, format="binary")
    with pytest.raises(CopyLayoutMismatch):
        await unpacked((("one", INT8),), [stream.getvalue()])
