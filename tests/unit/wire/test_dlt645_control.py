"""Remote control and status words, bit by bit."""

from datetime import datetime

import pytest

from meterhouse.errors import OutOfRange, Unreadable
from meterhouse.wire.dlt645 import (
    Action,
    Authority,
    DataTooShort,
    ItemUnfit,
    NotBcd,
    Refusal,
    RemoteControl,
    StatusWord3,
    decode_control,
    decode_refusal,
    encode_control,
    encode_refusal,
    validity,
)

CAPTURED_TRIP = bytes.fromhex("02000000000000001a01595923311299")  # frame 2007-024


def test_the_captured_trip_reads_and_writes():
    order = decode_control(CAPTURED_TRIP)
    assert order.action == Action.TRIP
    assert order.channel == 1
    assert order.authority == Authority(2, "000000", "00000000")
    assert order.valid_until_local == datetime(2099, 12, 31, 23, 59, 59)
    assert encode_control(order) == CAPTURED_TRIP


def test_password_and_operator_go_low_byte_first():
    order = RemoteControl(Authority(4, "123456", "1a2b3c4d"), 0x1C, bytes(6))
    raw = encode_control(order)
    assert raw[:8] == bytes.fromhex("045634124d3c2b1a")
    assert decode_control(raw) == order


@pytest.mark.parametrize("raw", [bytes(6), b"\x99" * 6, b"\xaa" * 6])
def test_validities_that_are_no_instant(raw):
    assert RemoteControl(Authority(2, "000000"), 0x1A, raw).valid_until_local is None


def test_validity_is_an_instant_backwards():
    assert validity(datetime(2026, 11, 21, 9, 8, 7)) == bytes.fromhex("070809211126")


def test_no_repr_shows_a_password():
    order = RemoteControl(Authority(2, "135790"), 0x1A, bytes(6))
    assert "135790" not in repr(order)
    assert "135790" not in repr(order.authority)


@pytest.mark.parametrize("password", ["", "12345", "12345x", "12345678"])
def test_a_password_is_six_digits(password):
    with pytest.raises(Unreadable) as caught:
        Authority(2, password).encode()
    assert password == "" or password not in str(caught.value)


def test_orders_that_are_none():
    with pytest.raises(DataTooShort):
        decode_control(CAPTURED_TRIP[:-1])
    with pytest.raises(NotBcd):
        decode_control(b"\x02\xff\x00\x00" + CAPTURED_TRIP[4:])
    with pytest.raises(ItemUnfit):
        encode_control(RemoteControl(Authority(2, "000000"), 0x1A, bytes(5)))


@pytest.mark.parametrize("word", [0x0000, 0x0050, 0x114F, 0x1147, 0xFFFF])
def test_status_word_3_keeps_every_bit(word):
    assert StatusWord3.from_int(word).to_int() == word


def test_status_word_3_as_seen_in_the_field():
    assert StatusWord3.from_int(0x0050) == StatusWord3(relay_open=True, relay_command_open=True)
    seen = StatusWord3.from_int(0x114F)
    assert seen.keep_power
    assert seen.prepaid_kind == 1
    assert not seen.relay_open
    with pytest.raises(OutOfRange):
        StatusWord3.from_int(0x10000)


def test_refusals_have_words():
    assert decode_refusal(b"\x02").why == "no_such_data"
    assert decode_refusal(b"\x04").why == "wrong_password"
    assert decode_refusal(b"\x06").why == "wrong_password"
    assert decode_refusal(b"\x40").why == "refused"
    assert decode_refusal(b"").why == "refused"
    assert decode_refusal(encode_refusal(Refusal.NO_SUCH_DATA)) is Refusal.NO_SUCH_DATA
