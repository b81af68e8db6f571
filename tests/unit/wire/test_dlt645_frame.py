"""Frames: checksums, resynchronisation, and what is no frame."""

import pytest

from meterhouse.errors import OutOfRange, Unreadable
from meterhouse.wire.dlt645 import (
    BROADCAST,
    READ,
    WILDCARD,
    Decoder,
    Fault,
    Frame,
    FrameError,
    address_matches,
    decode_address,
    encode,
    encode_address,
    pad_address,
)

REPLY = Frame("000000000161", 0x91, bytes.fromhex("0000010026000000"))
RAW = bytes.fromhex("6861010000000068910833333433593333338a16")


def faults(found):
    return [each.code for each in found if isinstance(each, FrameError)]


def frames(found):
    return [each for each in found if isinstance(each, Frame)]


def test_encodes_the_published_reply():
    assert encode(REPLY, wake=0) == RAW
    assert encode(REPLY) == b"\xfe" * 4 + RAW


def test_the_bits_of_c():
    assert REPLY.from_meter
    assert not REPLY.abnormal
    assert not REPLY.follows
    assert REPLY.function == READ
    odd = Frame(REPLY.address, 0xF1)
    assert (odd.abnormal, odd.follows, odd.function) == (True, True, 0x11)


def test_the_offset_wraps_around():
    frame = Frame("000000000001", 0x14, bytes(range(200, 256)))
    assert Decoder().feed(encode(frame)) == [frame]


def test_refuses_what_no_frame_can_carry():
    with pytest.raises(OutOfRange):
        encode(Frame("1" * 12, 0x11, bytes(256)))
    with pytest.raises(OutOfRange):
        encode(REPLY, wake=-1)
    with pytest.raises(Unreadable):
        encode(Frame("12345678901x", 0x11))


@pytest.mark.parametrize("text", ["", "  ", "1234567890123", "12a", "1AA", "+1", "-1", "１"])
def test_refuses_addresses_that_are_none(text):
    with pytest.raises(Unreadable):
        pad_address(text)


def test_addresses_as_people_type_them():
    assert pad_address(" 161 ") == "000000000161"
    assert pad_address("aaaaaaaa0161") == "AAAAAAAA0161"
    assert encode_address("123456781012") == bytes.fromhex("121078563412")
    assert decode_address(bytes.fromhex("121078563412")) == "123456781012"
    assert decode_address(b"\xaa" * 6) == WILDCARD
    assert decode_address(bytes.fromhex("1210785634")) is None
    assert decode_address(bytes.fromhex("aa1078563412")) is None


def test_abbreviated_addresses_match_by_their_tail():
    assert address_matches("123456781012", "123456781012")
    assert address_matches("AAAAAAAA1012", "123456781012")
    assert address_matches(WILDCARD, "123456781012")
    assert address_matches(WILDCARD, WILDCARD)
    assert not address_matches("AAAAAAAA1013", "123456781012")
    assert not address_matches("123456781012", BROADCAST)


def test_a_frame_in_two_portions():
    decoder = Decoder()
    assert decoder.feed(RAW[:9]) == []
    assert decoder.feed(RAW[9:]) == [REPLY]


def test_merged_frames_behind_text_and_wake_up_bytes():
    found = Decoder().feed(b"IMEI:8612" + b"\xfe" * 9 + RAW + RAW + b"\xfe\xfe" + RAW)
    assert found == [FrameError(Fault.NOISE, b"IMEI:8612"), REPLY, REPLY, REPLY]


def test_a_start_byte_before_the_frame_does_not_hide_it():
    assert frames(Decoder().feed(b"\x68" + RAW)) == [REPLY]
    assert frames(Decoder().feed(b"\x68" * 7 + RAW)) == [REPLY]


def test_a_start_byte_inside_address_and_data_is_legal():
    frame = Frame("681668166868", 0x91, bytes.fromhex("35353535e3e3e3e3353535"))
    assert Decoder().feed(encode(frame)) == [frame]
    assert Decoder().feed(b"x" + encode(frame, 0))[-1] == frame


def test_a_changed_byte_is_a_bad_checksum_and_costs_only_its_frame():
    broken = RAW[:14] + b"\x5a" + RAW[15:]
    found = Decoder().feed(broken + RAW)
    assert found == [FrameError(Fault.BAD_CHECKSUM, broken), REPLY]


def test_a_wrong_length_is_told_and_the_next_frame_found():
    shorter = RAW[:9] + b"\x07" + RAW[10:]
    found = Decoder().feed(shorter + RAW)
    assert faults(found)[0] is Fault.BAD_LENGTH
    assert frames(found) == [REPLY]


def test_an_address_of_letters_is_told():
    raw = bytes.fromhex("68") + b"\xab" * 6 + bytes.fromhex("6811")
    found = Decoder().feed(raw)
    assert found[0] == FrameError(Fault.NON_BCD_ADDRESS, raw[:8])


def test_what_waits_is_given_up_when_the_line_goes_quiet():
    decoder = Decoder()
    assert decoder.feed(RAW[:-1]) == []
    assert decoder.flush() == [FrameError(Fault.TRUNCATED, RAW[:-1])]
    assert decoder.flush() == []
    assert decoder.feed(RAW) == [REPLY]


def test_a_false_length_hides_a_frame_only_until_the_line_goes_quiet():
    decoder = Decoder()
    head = RAW[:9] + b"\xff"
    assert decoder.feed(head + RAW) == []
    found = decoder.flush()
    assert faults(found) == [Fault.TRUNCATED]
    assert frames(found) == [REPLY]


def test_the_buffer_is_bounded():
    decoder = Decoder()
    for _ in range(50):
        decoder.feed(b"\x68" * 1000)
    assert len(decoder._buffer) < 267


def test_bytes_of_a_failed_candidate_are_not_told_twice():
    broken = RAW[:-2] + b"\x00\x16"
    found = Decoder().feed(b"ab" + broken + b"cd")
    assert [each.raw for each in found] == [b"ab", broken, b"cd"]


def test_a_frame_inside_a_failed_candidate_is_found_and_the_rest_not_told_again():
    broken = RAW[:9] + b"\x40" + RAW + bytes(0x40 - len(RAW)) + b"\x00\x16"
    found = Decoder().feed(broken)
    assert found == [FrameError(Fault.BAD_CHECKSUM, broken), REPLY]
