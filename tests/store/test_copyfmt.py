"""The binary COPY layout, there and back, and through PostgreSQL itself."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterhouse.store.copyfmt import (
    INT2,
    INT4,
    INT8,
    SIGNATURE,
    TIMESTAMP,
    CopyLayoutMismatch,
    pack,
    unpack,
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


@given(st.data(), layouts)
def test_what_was_packed_is_what_is_unpacked(data, layout):
    said = data.draw(columns_of(layout))
    columns = {name: np.array(values, dtype=np.int64) for name, values in said.items()}
    back = unpack(layout, pack(layout, columns))
    assert {name: values.tolist() for name, values in back.items()} == said


@given(st.binary(max_size=200))
def test_any_bytes_give_columns_or_the_typed_error(noise):
    for stream in (noise, SIGNATURE + noise):
        with contextlib.suppress(CopyLayoutMismatch):
            rows = unpack(LAYOUT, stream)
            assert len(pack(LAYOUT, rows)) == len(stream)


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
        await connection.copy_to_table(
            "there", source=io.BytesIO(pack(LAYOUT, columns)), format="binary"
        )
        micros = await connection.fetch(
            "select (extract(epoch from at) * 1000000)::int8 as at from there order by at"
        )
        assert [row["at"] for row in micros] == said["at"]
        stream = io.BytesIO()
        await connection.copy_from_query(
            "select * from there order by at", output=stream, format="binary"
        )
    back = unpack(LAYOUT, stream.getvalue())
    assert {name: values.tolist() for name, values in back.items()} == said


async def test_a_null_is_refused_rather_than_guessed(db):
    stream = io.BytesIO()
    async with db.transaction(()) as connection:
        await connection.copy_from_query("select null::int8", output=stream, format="binary")
    with pytest.raises(CopyLayoutMismatch):
        unpack((("one", INT8),), stream.getvalue())
