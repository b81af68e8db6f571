"""The binary COPY stream: byte for byte as the manual draws it, and back however it is cut."""

import numpy as np
import pytest

from meterhouse.store import copyfmt
from meterhouse.store.copyfmt import INT2, INT8, TIMESTAMP, CopyLayoutMismatch, Unpacker, pack

LAYOUT = (("id", INT8), ("relay", INT2), ("read_at", TIMESTAMP))
COUNT = 3


def columns(count=COUNT):
    return {
        "id": np.arange(count) + 2**40,
        "relay": np.arange(count) % 5 - 1,
        "read_at": np.arange(count) + 946_684_800_000_000,
    }


async def packed(count=COUNT):
    return b"".join([block async for block in pack(LAYOUT, columns(count))])


async def test_a_row_is_a_count_and_fields_of_length_and_big_endian_bytes():
    stream = await packed()
    assert stream.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    row = stream[19:51]
    assert row == bytes.fromhex(
        "0003"
        "00000008" "0000010000000000"
        "00000002" "ffff"
        "00000008" "0000000000000000"
    )  # fmt: skip
    assert stream.endswith(b"\xff\xff")


@pytest.mark.parametrize("step", [1, 7, 28, 10**6])
async def test_what_was_packed_comes_back_however_it_is_cut(step, monkeypatch):
    monkeypatch.setattr(copyfmt, "BLOCK_BYTES", 100)
    monkeypatch.setattr(copyfmt, "UNPACK_BYTES", 200)
    stream = await packed(50)
    unpacker = Unpacker(LAYOUT)
    for start in range(0, len(stream), step):
        await unpacker.take(stream[start : start + step])
    found = unpacker.columns()
    for name, wanted in columns(50).items():
        assert found[name].tolist() == wanted.tolist()


async def test_no_rows_are_no_rows():
    unpacker = Unpacker(LAYOUT)
    await unpacker.take(await packed(0))
    assert all(len(column) == 0 for column in unpacker.columns().values())


@pytest.mark.parametrize("place", [0, 24, 55])
async def test_another_layout_is_refused(place):
    stream = bytearray(await packed())
    stream[place] ^= 1
    unpacker = Unpacker(LAYOUT)
    await unpacker.take(bytes(stream))
    with pytest.raises(CopyLayoutMismatch):
        unpacker.columns()


async def test_half_a_row_is_refused():
    unpacker = Unpacker(LAYOUT)
    await unpacker.take((await packed())[:-5])
    with pytest.raises(CopyLayoutMismatch):
        unpacker.columns()
