"""`meterhouse decode`: whatever a field engineer pastes gets a line, and never a crash."""

import json

import pytest

from meterhouse.cli.decode import decode_lines
from meterhouse.errors import NotFound
from meterhouse.wire.dlt645 import DLT645_1997, DLT645_2007, Frame, encode

REPLY = "6861010000000068910833333433593333338a16"
ADDRESS = "000012345678"


def told(control, data, protocol="dlt645-2007"):
    (each,) = decode_lines(protocol, [encode(Frame(ADDRESS, control, data)).hex()])
    json.dumps(each)
    return each


def values(each):
    return {value["name"]: value["value"] for value in each["values"]}


@pytest.mark.parametrize(
    "line",
    [
        REPLY,
        REPLY.upper(),
        "FE FE FE FE " + REPLY,
        "\t68 61 01 00 00 00 00 68 91 08 33 33 34 33 59 33 33 33 8A 16\r\n",
        "0x68, 0x61,0x01,0x00,0x00,0x00,0x00,0x68,0x91,0x08,0x33,0x33,0x34,0x33,0x59,333333,8a-16",
        "68:61:01:00:00:00:00:68:91:08:33:33:34:33:59:33:33:33:8a:16",
    ],
)
def test_every_way_of_writing_bytes(line):
    (each,) = decode_lines("dlt645-2007", [line])
    assert each["values"] == [{"name": "forward_active", "value": "0.26", "unit": "kWh"}]
    assert each["line"] == 1


def test_several_frames_in_a_line_and_several_lines():
    found = list(decode_lines("dlt645-2007", [REPLY + REPLY, "", "junk", REPLY]))
    assert [each["line"] for each in found] == [1, 1, 3, 4]
    assert found[2]["error"] == "not_hex"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("zz", "not_hex"),
        ("686", "not_hex"),
        ("６８", "not_hex"),
        ("00" * 40_000, "line_too_long"),
        ("fefe", "no_frame"),
        ("001122", "noise"),
        (REPLY[:-4] + "0016", "bad_checksum"),
        (REPLY[:-2] + "17", "bad_length"),
        (REPLY[:-2], "truncated"),
        ("68abababababab68910833333433593333338a16", "non_bcd_address"),
    ],
)
def test_junk_is_one_error_with_a_code(line, code):
    (each,) = decode_lines("dlt645-2007", [line])
    assert each["error"] == code
    assert each["message"]


def test_an_unknown_protocol_is_refused_at_once():
    with pytest.raises(NotFound):
        decode_lines("dlt645-2050", [])


def test_absent_values_are_null_and_never_zero():
    di = DLT645_2007.identifier(0x0001FF00)
    each = told(0x91, di + DLT645_2007.encode_item(0x0001FF00, (5, None)))
    assert values(each) == {"total": "0.05", "tariff 1": None}


def test_data_that_is_not_bcd_keeps_the_frame_and_tells_the_error():
    each = told(0x91, DLT645_2007.identifier(0x00010000) + b"\x0a\0\0\0")
    assert each["error"] == "not_bcd"
    assert each["address"] == ADDRESS
    assert each["data_identifier"] == "00010000"


def test_unknown_identifiers_and_functions_are_shown_raw():
    assert values(told(0x91, bytes.fromhex("0f0f0f0f0102"))) == {"raw": "0102"}
    each = told(0x9F, b"\x01")
    assert each["function"] == "unknown"
    assert values(each) == {"raw": "01"}


def test_follow_up_frames():
    di = DLT645_2007.identifier(0x0001FF00)
    assert told(0xB1, di + bytes(8))["follows"]
    asked = told(0x12, di + b"\x01")
    assert values(asked) == {"sequence": "1"}
    assert values(told(0x92, di + b"\x10\x20\x02")) == {"sequence": "2", "raw": "1020"}


@pytest.mark.parametrize(
    ("control", "data", "said"),
    [
        (0x08, "000530211126", {"time": None}),
        (0x08, "300509211126", {"time": "2026-11-21 09:05:30"}),
        (0x16, "99999999", {"freeze_at_MM:DD:hh:mm": "99:99:99:99"}),
        (0x17, "08", {"rate": "2400"}),
        (0x15, "785634120000", {"address": ADDRESS}),
        (0x1A, "0456341200000000", {"password_level": "04", "password": "123456"}),
        (0x94, "", {}),
        (0x9C, "00", {"raw": "00"}),
        (0x83, "ff02810701020304", {"raw": "01020304"}),
        (0xC3, "80", {"error_bits": "80"}),
        (0xDC, "04", {"error_bits": "04"}),
    ],
)
def test_other_functions(control, data, said):
    each = told(control, bytes.fromhex(data))
    if said == {"time": None}:
        assert each["error"] == "unreadable"
    else:
        assert said.items() <= values(each).items()


def test_refusals_are_told_in_words_unless_vendors_invented_them():
    assert told(0xDC, b"\x04")["meaning"] == "remote control refused: wrong password"
    assert told(0xC3, b"\x04")["meaning"] == "security authentication refused"
    assert told(0x9C, b"")["meaning"] == "remote control accepted"


def test_keep_power_order_and_phase_faults():
    order = bytes.fromhex("02000000000000003a00000000000000")
    each = told(0x1C, order)
    assert each["meaning"] == "keep-power"
    assert values(each)["valid_until"] is None
    word = DLT645_2007.identifier(0x04000504) + b"\x05\x00"
    assert values(told(0x91, word))["faults"] == "loss of voltage, over-voltage"


def test_the_earlier_edition_has_its_own_table():
    di = DLT645_1997.identifier(0x901F)
    payload = DLT645_1997.encode_item(0x901F, (100, 10, 20, 30, 40))
    each = told(0x81, di + payload + b"\xaa", "dlt645-1997")
    assert list(values(each).values()) == ["1.00", "0.10", "0.20", "0.30", "0.40"]
    written = told(
        0x04, DLT645_1997.identifier(0xC117) + bytes.fromhex("005634120028"), "dlt645-1997"
    )
    assert values(written) == {
        "password_level": "00",
        "password": "123456",
        "settlement_day": "28:00",
    }
