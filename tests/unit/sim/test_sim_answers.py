"""The simulated meter's bytes, written out by hand from the standard's tables."""

from datetime import datetime

import pytest

from meterhouse.model import Relay
from meterhouse.sim.answers import MeterFace
from meterhouse.sim.instant import DAY_MS, HOUR_MS, MINUTE_MS, wall_ms_of, wall_of
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of
from meterhouse.wire.dlt645 import Frame

START_MS = wall_ms_of(datetime(2026, 3, 2, 12))
ADDRESS = "240000000001"
PASSWORD = bytes.fromhex("563412")
OPERATOR = bytes(4)
UNTIL = bytes.fromhex("000012020326")


def make(model="DDSY1352-NK", **facts):
    facts = {
        "load_class": "steady",
        "scale_permille": 1_000_000,
        "start_wh": (1_234_567, 0, 0, 0),
        "password": "123456",
        **facts,
    }
    return face_of(MeterSpec(ADDRESS, model, **facts), START_MS, 0)


def ask(face, control, data=b"", address=ADDRESS):
    if isinstance(data, str):
        data = bytes.fromhex(data)
    answers = face.answer(Frame(address, control, data))
    assert len(answers) <= 1
    return answers[0] if answers else None


def read(face, di):
    """The item's bytes as they travel, low byte first."""
    head = bytes.fromhex(di)[::-1]
    answer = ask(face, 0x11, head)
    assert (answer.control, answer.data[:4], answer.address) == (0x91, head, ADDRESS)
    return answer.data[4:].hex()


def write(face, di, data, level=4, password=PASSWORD):
    head = bytes.fromhex(di)[::-1] + bytes([level]) + password + OPERATOR
    return ask(face, 0x14, head + bytes.fromhex(data))


def switch(face, code, until=UNTIL, level=2, password=PASSWORD):
    return ask(face, 0x1C, bytes([level]) + password + OPERATOR + bytes([code, 0]) + until)


# ---- reading


def test_energy_is_cut_to_hundredths_of_a_kwh():
    face = make()
    assert read(face, "00010000") == "56341200"
    assert read(face, "00010100") == "56341200"
    assert read(face, "00010200") == "00000000"
    assert read(face, "0001FF00") == "56341200" * 2 + "00000000" * 3


def test_the_clock_and_its_sunday_zero_week():
    face = make()
    face.meter.set_clock(wall_ms_of(datetime(2026, 3, 8, 23, 59, 58)))  # a Sunday
    assert read(face, "04000101") == "00080326"
    assert read(face, "04000102") == "585923"
    assert read(face, "0400010C") == "58592300080326"


def test_instantaneous_values_of_a_single_phase_meter():
    face = make(seed=9)
    live = face.meter.live()
    digits = f"{live.voltage_dv[0]:04d}"
    assert read(face, "02010100") == digits[2:] + digits[:2]
    assert read(face, "0201FF00") == digits[2:] + digits[:2] + "ffff" * 2
    assert read(face, "02030000") == "000001"
    assert read(face, "0203FF00") == "000001" * 2 + "ffffff" * 2
    assert read(face, "02800002") == "0050"
    assert ask(face, 0x11, "00020102").data == b"\x02"


def test_a_three_phase_meter_splits_its_power():
    face = make(model="DTSY1352-NK", seed=9)
    block = bytes.fromhex(read(face, "0203FF00"))
    total, *phases = [int(block[at : at + 3][::-1].hex()) for at in range(0, 12, 3)]
    assert total == sum(phases)
    assert abs(total - 10_000) <= 3
    assert min(phases) > 2_000


@pytest.mark.parametrize(
    ("prepare", "word"),
    [
        (lambda meter: None, "00c0"),
        (lambda meter: meter.trip(), "50c0"),
        (lambda meter: meter.trip() and meter.permit_close(), "10c0"),
        (lambda meter: meter.set_keep_power(True), "00d0"),
    ],
)
def test_status_word_3(prepare, word):
    face = make()
    prepare(face.meter)
    assert read(face, "04000503") == word
    assert read(face, "040005FF") == "00000000" + word + "00" * 8


def test_the_purse_can_be_read():
    face = make(keeps_purse=True, credit_minor=12_345, purchase_count=7)
    assert read(face, "00900200") == "45230100"
    assert read(face, "00900201") == "00000000"
    assert read(face, "03330201") == "0700"
    assert read(face, "04000503") == "0002"
    assert face.meter.buy(5_000, 8)
    assert read(face, "00900200") == "45730100"
    assert read(face, "03330101") == "0012020326"
    assert read(face, "03330201") == "0800"
    assert [read(face, di) for di in ("03330301", "03330401", "03330501", "03330601")] == [
        "00500000",
        "45230100",
        "45730100",
        "45730100",
    ]


def test_trip_and_close_leave_their_times():
    face = make()
    assert read(face, "1D000101") == "00" * 6
    face.meter.trip()
    face.meter.advance(START_MS + MINUTE_MS)
    face.meter.close()
    assert read(face, "1D000101") == "000012020326"
    assert read(face, "1E000101") == "000112020326"


def test_daily_freezes():
    face = make()
    assert ask(face, 0x11, "01000605").data == b"\x02"
    face.meter.advance(START_MS + DAY_MS)
    assert read(face, "05060001") == "0000030326"
    # Twelve hours of a kilowatt: sharp 2, peak 3 + 1 + 1.5, flat 3 + 0.5, valley 1.
    assert read(face, "05060101") == "56461200" + "56361200" + "50050000" + "50030000" + "00010000"
    assert ask(face, 0x11, "02000605").data == b"\x02"


def test_unknown_data_is_refused():
    face = make()
    for data in ("efbeadde", "0000", ""):
        answer = ask(face, 0x11, data)
        assert (answer.control, answer.data) == (0xD1, b"\x02")


def test_an_unknown_function_is_refused():
    answer = ask(make(), 0x1A, "")
    assert (answer.control, answer.data) == (0xDA, b"\x01")


def test_the_wildcard_is_answered_with_the_own_address():
    answer = ask(make(), 0x13, address="A" * 12)
    assert (answer.address, answer.control) == (ADDRESS, 0x93)
    assert answer.data.hex() == "010000000024"


# ---- follow-up frames


def test_a_long_block_comes_in_numbered_parts():
    short = make()
    whole = bytes.fromhex(read(short, "0001FF00"))
    face = MeterFace(short.meter, reply_max=13)
    first = ask(face, 0x11, "00ff0100")
    second = ask(face, 0x12, "00ff010001")
    third = ask(face, 0x12, "00ff010002")
    assert [each.control for each in (first, second, third)] == [0xB1, 0xB2, 0x92]
    assert second.data[-1:] + third.data[-1:] == b"\x01\x02"
    assert first.data[4:] + second.data[4:-1] + third.data[4:-1] == whole
    for data in ("00ff010003", "00ff010000", "00ff0100", "00000100", "00ff020001"):
        assert ask(face, 0x12, data).control == 0xD2


# ---- writing


def test_a_parameter_is_kept():
    face = make()
    assert read(face, "04001001") == "00200000"
    assert write(face, "04001001", "78563412").control == 0x94
    assert read(face, "04001001") == "78563412"
    assert read(face, "04001002") == "00100000"


@pytest.mark.parametrize(("level", "password"), [(2, PASSWORD), (4, bytes(3))])
def test_a_wrong_password_changes_nothing(level, password):
    face = make()
    answer = write(face, "04001001", "78563412", level, password)
    assert (answer.control, answer.data) == (0xD4, b"\x04")
    assert read(face, "04001001") == "00200000"


@pytest.mark.parametrize(
    ("di", "data", "error"),
    [
        ("04001001", "7856341200", 1),
        ("04001001", "7856341a", 1),
        ("04001001", "", 1),
        ("00010000", "78563412", 2),
        ("04010001", "010000", 2),
        ("04020001", "010060", 1),
        ("04020001", "050000", 1),
        ("04020001", "010010020009", 1),
        ("04020001", "0100", 1),
        ("04000107", "0000320326", 1),
        ("04000101", "00320326", 1),
        ("04000102", "000024", 1),
        ("0400010C", "00000002", 1),
        ("04050101", "0a000000", 1),
        ("04020000", "0101", 1),
    ],
)
def test_what_cannot_be_meant_is_refused(di, data, error):
    answer = write(make(), di, data)
    assert (answer.control, answer.data) == (0xD4, bytes([error]))


def test_the_clock_can_be_written():
    face = make()
    write(face, "04000101", "04050326")
    write(face, "04000102", "010203")
    assert wall_of(face.meter.shown_ms) == datetime(2026, 3, 5, 3, 2, 1)
    write(face, "0400010C", "59592303311225")
    assert wall_of(face.meter.shown_ms) == datetime(2025, 12, 31, 23, 59, 59)


def test_a_slot_table_goes_through_the_standby_set():
    face = make()
    assert write(face, "04020001", "040000013012").control == 0x94
    assert read(face, "04020001") == "040000013012"
    assert write(face, "04000107", "3012020326").control == 0x94
    face.meter.advance(START_MS + HOUR_MS)
    assert face.meter.slots == ((0, 4), (12 * 60 + 30, 1))
    assert read(face, "04010001") == "040000013012"
    assert read(face, "04000503") == "01c0"


def test_a_price_reaches_the_purse():
    face = make(keeps_purse=True, credit_minor=1_000, price_micro=(0, 0, 0, 0))
    assert write(face, "04050102", "00500000").control == 0x94  # 0.5000 for peak
    assert read(face, "04050102") == "00500000"
    face.meter.advance(START_MS + HOUR_MS)
    assert face.meter.credit_minor == 950


# ---- remote control


def test_trip_permit_close_and_keep_power():
    face = make()
    states = []
    for code in (0x1A, 0x1B, 0x1C):
        assert switch(face, code).control == 0x9C
        states.append(face.meter.relay)
    assert states == [Relay.OPEN, Relay.ARMED, Relay.CLOSED]
    assert switch(face, 0x3A).control == 0x9C
    refused = switch(face, 0x1A)
    assert (refused.control, refused.data) == (0xDC, b"\x01")
    assert face.meter.relay is Relay.CLOSED
    assert switch(face, 0x3B).control == 0x9C
    assert switch(face, 0x1A).control == 0x9C


def test_an_order_is_void_after_its_instant():
    face = make()
    face.meter.advance(START_MS + 1_000)
    assert switch(face, 0x1A).control == 0xDC
    assert switch(face, 0x1A, bytes.fromhex("020012020326")).control == 0x9C
    for broken in (bytes(6), b"\x99" * 6, b"\xff" * 6):
        assert switch(face, 0x1C, broken).control == 0xDC
    assert face.meter.relay is Relay.OPEN


def test_an_order_needs_its_password_level_and_form():
    face = make()
    assert switch(face, 0x1A, level=4).data == b"\x04"
    assert switch(face, 0x1A, password=bytes(3)).data == b"\x04"
    assert switch(face, 0x77).data == b"\x01"
    assert ask(face, 0x1C, "0200").data == b"\x01"
    assert face.meter.relay is Relay.CLOSED


def test_broadcast_time_is_taken_within_five_minutes_and_never_answered():
    face = make()
    assert ask(face, 0x08, "000312020326", "9" * 12) is None
    assert wall_of(face.meter.shown_ms) == datetime(2026, 3, 2, 12, 3)
    for refused in ("000912020326", "000000000000", "00"):
        assert ask(face, 0x08, refused, "9" * 12) is None
    assert wall_of(face.meter.shown_ms) == datetime(2026, 3, 2, 12, 3)
    for control, data in ((0x1C, ""), (0x11, "00ff0100"), (0x13, "")):
        assert ask(face, control, data, "9" * 12) is None


# ---- the edition of 1997


def test_the_1997_edition():
    face = make(model="DLT645-1997", seed=9)
    live = face.meter.live()

    def read_1997(di):
        head = bytes.fromhex(di)[::-1]
        answer = ask(face, 0x01, head)
        assert (answer.control, answer.data[:2]) == (0x81, head)
        return answer.data[2:].hex()

    assert read_1997("9010") == "56341200"
    assert read_1997("901F") == "56341200" * 2 + "00000000" * 3
    assert read_1997("B611") == bytes.fromhex(f"{live.voltage_dv[0] // 10:04d}")[::-1].hex()
    assert read_1997("B621") == bytes.fromhex(f"{live.current_ma[0] // 10:04d}")[::-1].hex()
    assert read_1997("B630") == "000001"
    assert read_1997("C010") == "01020326"
    assert read_1997("C011") == "000012"
    assert read_1997("C032") == "010000000024"
    assert ask(face, 0x01, "ffff").control == 0xC1
    assert ask(face, 0x04, bytes.fromhex("11c0") + b"\0" + PASSWORD + b"\0\1\2").control == 0x84
    assert read_1997("C011") == "000102"
    assert ask(face, 0x11, "00000100").control == 0xD1
    assert ask(face, 0x1C, "").control == 0xDC


def test_parts_of_the_1997_edition_come_in_turn():
    short = make(model="DLT645-1997")
    whole = ask(short, 0x01, "1f90").data[2:]
    face = MeterFace(short.meter, reply_max=10)
    parts = [ask(face, 0x01, "1f90"), ask(face, 0x02, "1f90"), ask(face, 0x02, "1f90")]
    assert [each.control for each in parts] == [0xA1, 0xA2, 0x82]
    assert b"".join(each.data[2:] for each in parts) == whole
    assert ask(face, 0x02, "1f90").control == 0xC2
