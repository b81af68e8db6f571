"""Data items: BCD, signs, absent fields and blocks."""

from datetime import date, datetime, time

import pytest

from meterhouse.errors import Unreadable
from meterhouse.wire.dlt645 import (
    DLT645_1997,
    DLT645_2007,
    DataTooShort,
    DataUnknown,
    ItemUnfit,
    NotBcd,
    decode_item,
    describe,
    encode_item,
    join_parts,
    split_parts,
)
from meterhouse.wire.dlt645.layout import Many, Number

ITEMS = [
    (0x0001FF00, (1234567, 1, 2, 3, 4)),
    (0x0001FF00, (0,)),
    (0x0001FF00, tuple(range(64))),
    (0x0001FF0C, (5, None, 7)),
    (0x00010300, 99999999),
    (0x0000FF00, (-1, 79999999, -79999999)),
    (0x00900200, 12345),
    (0x03330201, 9999),
    (0x03330101, datetime(2026, 11, 21, 9, 8)),
    (0x0201FF00, (2301, 2299, 2300)),
    (0x0202FF00, (-1, 0, 799999)),
    (0x02030000, -12345),
    (0x02800002, 5000),
    (0x04000101, date(2026, 11, 22)),
    (0x04000102, time(23, 59, 58)),
    (0x0400010C, datetime(2026, 11, 22, 23, 59, 58)),
    (0x04000401, "000012345678"),
    (0x04000503, 0x114F),
    (0x040005FF, (0, 1, 0x50, 0, 0, 0, 0xFFFE)),
    (0x04000B01, (1, 0)),
    (0x04000E01, 85000),
    (0x04001001, None),
    (0x04010000, ((1, 1, 1), (7, 1, 2))),
    (0x04010001, ((0, 0, 4), (8, 30, 2), (24, 0, 1))),
    (0x04030001, (26, 10, 1, 2)),
    (0x04060101, 5483),
    (0x05060101, (100, 20, 30, 40, 10)),
    (0x1D000101, datetime(2026, 1, 2, 3, 4, 5)),
    (0x0101FF00, ((12345, datetime(2026, 1, 2, 3, 4)),)),
]


@pytest.mark.parametrize(("di", "item"), ITEMS)
def test_items_come_back_as_they_were_written(di, item):
    assert decode_item(di, encode_item(di, item)) == item


@pytest.mark.parametrize(("di", "item"), [(di, item) for di, item in ITEMS if item is not None])
def test_text_reads_back(di, item):
    layout = describe(di).layout
    if isinstance(item, tuple) and None in item:
        assert layout.text(item) == "0.05  0.07"
    elif di == 0x0101FF00:
        assert layout.text(item) == "1.2345:2026-01-02 03:04:00"
    else:
        assert layout.parse(layout.text(item)) == item


@pytest.mark.parametrize(
    ("di", "payload", "item"),
    [
        (0x00010000, "37260000" + "01", 2637),
        (0x0001FF00, "01000000" * 5 + "01", (1,) * 5),
        (0x0001FF00, "01000000" + "ffffffff", (1, None)),
        (0x02030000, "452381", -12345),
        (0x02010100, "ffff", None),
        (0x04000503, "ffff", None),
        (0x04000101, "05221126", date(2026, 11, 22)),
        (0x03330101, "0000000000", None),
        (0x04000102, "000000", time(0)),
        (0x04000401, "ffffffffffff", None),
        (0x04010001, "010000" + "022030", ((0, 0, 1), (30, 20, 2))),
    ],
)
def test_bytes_as_meters_send_them(di, payload, item):
    assert decode_item(di, bytes.fromhex(payload)) == item


@pytest.mark.parametrize(
    ("di", "payload", "error"),
    [
        (0x00010000, "3a260000", NotBcd),
        (0x0001FF00, "000000000000000a", NotBcd),
        (0x02030000, "0000fa", NotBcd),
        (0x02030000, "ffff7f", NotBcd),
        (0x04000401, "0000000000fa", NotBcd),
        (0x04010001, "0a0000", NotBcd),
        (0x04000102, "0000aa", NotBcd),
        (0x04000102, "000025", Unreadable),
        (0x03330101, "0000321326", Unreadable),
        (0x00010000, "372600", DataTooShort),
        (0x0001FF00, "", DataTooShort),
        (0x04000503, "00", DataTooShort),
        (0x0F0F0F0F, "00", DataUnknown),
    ],
)
def test_what_is_no_item_is_refused(di, payload, error):
    with pytest.raises(error):
        decode_item(di, bytes.fromhex(payload))


@pytest.mark.parametrize(
    ("di", "item"),
    [
        (0x00010000, 100_000_000),
        (0x00010000, -1),
        (0x00010000, "1"),
        (0x02030000, 800_000),
        (0x0001FF00, 1),
        (0x0001FF00, ()),
        (0x04000401, "1234567890123"),
        (0x04000401, 5),
        (0x04000503, 65536),
        (0x04000102, date(2026, 1, 1)),
        (0x04010001, ((0, 0),)),
        (0x0101FF00, ((1,),)),
        (0x070104FF, "zz"),
        (0x070104FF, None),
    ],
)
def test_what_does_not_fit_is_not_written(di, item):
    with pytest.raises(ItemUnfit):
        encode_item(di, item)


def test_meanings_speak_of_tariff_day_and_phase():
    assert describe(0x0001FF00).meaning == "forward active energy, block"
    assert describe(0x00010203).meaning == "forward active energy, tariff 2, settlement day 3 back"
    assert describe(0x000100FF).meaning == "forward active energy, total, all settlement days"
    assert describe(0x02010200).meaning == "voltage, phase B"
    assert describe(0x02030000).meaning == "active power, total"
    assert describe(0x04010008).meaning == "slots of set 1, table, number 8"


@pytest.mark.parametrize("di", [0x00014000, 0x0001000D, 0x02010400, 0x04010009 << 8, 0xFFFFFFFF])
def test_identifiers_outside_the_patterns_are_unknown(di):
    assert describe(di) is None


def test_both_editions_call_the_same_quantity_alike():
    for early, late in [(0x901F, 0x0001FF00), (0xC010, 0x04000101), (0xB611, 0x02010100)]:
        assert DLT645_1997.definition(early).quantity == DLT645_2007.definition(late).quantity
    assert DLT645_1997.decode_item(0xB611, bytes.fromhex("0001")) == 100
    assert DLT645_1997.decode_item(0x901F, bytes.fromhex("01000000" * 5 + "aa")) == (1,) * 5


def test_names_of_a_block_count_as_its_items_do():
    energy = describe(0x0001FF00).layout
    assert [energy.name(index) for index in (0, 1, 4)] == ["total", "tariff 1", "tariff 4"]
    assert Many(Number(1), (), "slot").name(0) == "slot 1"


@pytest.mark.parametrize("dialect", [DLT645_1997, DLT645_2007])
@pytest.mark.parametrize("limit", [6, 12, 200])
def test_parts_join_to_the_whole(dialect, limit):
    payload = bytes(range(100)) * 2
    parts = split_parts(dialect, 0x901F, payload, limit)
    assert all(len(part) <= limit for part in parts)
    assert join_parts(dialect, parts) == (0x901F, payload)


def test_present_values_of_the_earlier_edition_come_singly_and_as_blocks():
    assert DLT645_1997.definition(0xB630).meaning == "active power, total"
    assert DLT645_1997.definition(0xB612).meaning == "voltage, phase B"
    assert DLT645_1997.describe(0xB610) is None
    assert DLT645_1997.decode_item(0xB61F, bytes.fromhex("200221022202")) == (220, 221, 222)
