"""The simulated bus: who answers, who keeps silent, and what each fault does to the bytes."""

from datetime import datetime

import pytest

from meterhouse.model import Relay
from meterhouse.sim.bus import Bus, LineTiming
from meterhouse.sim.faults import CLOCK_JUMP_MS, SLOW_MS, Fault, Faults
from meterhouse.sim.instant import HOUR_MS, SECOND_MS, wall_ms_of
from meterhouse.sim.meter import CLOCK_LOST_MS
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of
from meterhouse.wire.dlt645 import (
    BROADCAST,
    CONTROL,
    WILDCARD,
    Authority,
    Decoder,
    Frame,
    FrameError,
    RemoteControl,
    encode_control,
    validity,
)

START_MS = wall_ms_of(datetime(2026, 3, 2, 12))
FIRST, SECOND = "240000000001", "240000000002"
READ_BLOCK = bytes.fromhex("00ff0100")
READ_STATUS = bytes.fromhex("03050004")
TRIP = encode_control(
    RemoteControl(Authority(2, "000000"), 0x1A, validity(datetime(2026, 3, 2, 13)))
)


class Line:
    """A bus of two meters, asked at one instant unless told otherwise."""

    def __init__(self, timing=None, addresses=(FIRST, SECOND)):
        faces = [
            face_of(
                MeterSpec(
                    address,
                    "DDSY1352-NK",
                    load_class="steady",
                    scale_permille=1_000_000,
                    start_wh=(5_000_000, 0, 0, 0),
                ),
                START_MS,
                0,
            )
            for address in addresses
        ]
        self.meters = {face.address: face.meter for face in faces}
        self.faults = Faults(3)
        self.bus = Bus(faces, faults=self.faults, timing=timing, seed=3)

    def ask(self, address=FIRST, control=0x11, data=READ_BLOCK, at_ms=START_MS):
        return self.bus.exchange(Frame(address, control, data), at_ms)

    def frames(self, **request):
        reply = self.ask(**request)
        return [] if reply is None else Decoder().feed(reply.data)


def test_the_right_meter_answers_at_the_right_instant():
    line = Line()
    (frame,) = line.frames(address=SECOND, at_ms=START_MS + HOUR_MS)
    assert frame.address == SECOND
    assert frame.data[4:8].hex() == "00015000"
    assert line.meters[FIRST].now_ms == START_MS


def test_nobody_answers_for_a_stranger():
    assert Line().ask(address="240000000077") is None


def test_an_abbreviated_address_finds_its_meter():
    (frame,) = Line().frames(address="AAAAAAAAAA02")
    assert frame.address == SECOND


def test_two_answers_to_the_wildcard_destroy_each_other():
    assert not [f for f in Line().frames(address=WILDCARD, control=0x13) if isinstance(f, Frame)]
    (frame,) = Line(addresses=[FIRST]).frames(address=WILDCARD, control=0x13, data=b"")
    assert frame.address == FIRST


def test_broadcast_reaches_everybody_and_is_not_answered():
    line = Line()
    time = bytes.fromhex("000212020326")
    assert line.ask(address=BROADCAST, control=0x08, data=time) is None
    assert {meter.shown_ms for meter in line.meters.values()} == {START_MS + 2 * 60 * SECOND_MS}


def test_the_wire_takes_its_time():
    line = Line(LineTiming(baud=2400, pause_ms=40))
    reply = line.ask()
    # Request 4 + 12 + 4 wake-up bytes, answer 4 + 12 + 24; eleven bits each at 2400 bit/s.
    assert len(reply.data) == 40
    assert reply.delay_ms == 40 + -(-(20 + 40) * 11 * 1000 // 2400)
    assert Line().ask().delay_ms == 0


# ---- each fault does what it says, and is counted


def struck(line, fault):
    return line.faults.counts[fault] == 1


def test_silence_has_no_effect_and_no_answer():
    line = Line()
    line.faults.switch_on(Fault.SILENCE, times=1)
    assert line.ask(control=CONTROL, data=TRIP) is None
    assert line.meters[FIRST].relay is Relay.CLOSED
    assert struck(line, Fault.SILENCE)
    assert line.ask() is not None


def test_a_lost_answer_has_had_its_effect():
    line = Line()
    line.faults.switch_on(Fault.LOST_FRAME, times=1)
    assert line.ask(control=CONTROL, data=TRIP) is None
    assert line.meters[FIRST].relay is Relay.OPEN
    assert struck(line, Fault.LOST_FRAME)


def test_a_refusal_is_true_and_a_lying_one_is_not():
    for fault, relay in ((Fault.REFUSAL, Relay.CLOSED), (Fault.LYING_REFUSAL, Relay.OPEN)):
        line = Line()
        line.faults.switch_on(fault, times=1)
        (frame,) = line.frames(control=CONTROL, data=TRIP)
        assert (frame.control, frame.data) == (0xDC, b"\x01")
        assert line.meters[FIRST].relay is relay
        assert struck(line, fault)


def test_a_stuck_relay_acknowledges():
    line = Line()
    line.faults.switch_on(Fault.STUCK_RELAY)
    (frame,) = line.frames(control=CONTROL, data=TRIP)
    assert frame.control == 0x9C
    assert line.meters[FIRST].relay is Relay.CLOSED
    assert line.frames(data=READ_STATUS)[0].control == 0x91
    assert struck(line, Fault.STUCK_RELAY)


def test_damage_on_the_wire():
    clean = Line().frames()
    for fault in (Fault.GARBAGE, Fault.DOUBLED_FRAME, Fault.CORRUPT_CHECKSUM, Fault.OTHER_METER):
        line = Line()
        line.faults.switch_on(fault, times=1)
        frames = line.frames()
        good = [frame for frame in frames if isinstance(frame, Frame)]
        if fault is Fault.GARBAGE:
            assert good == clean
            assert any(isinstance(frame, FrameError) for frame in frames)
        elif fault is Fault.DOUBLED_FRAME:
            assert good == clean * 2
        elif fault is Fault.CORRUPT_CHECKSUM:
            assert good == []
        else:
            assert [(frame.address, frame.data) for frame in good] == [(SECOND, clean[0].data)]
        assert struck(line, fault)


def test_a_slow_answer_is_late_but_right():
    line = Line()
    line.faults.switch_on(Fault.SLOW_ANSWER, times=1)
    slow = line.ask()
    assert (slow.delay_ms, slow.data) == (SLOW_MS, line.ask().data)


def test_zero_readings_touch_energy_alone():
    line = Line()
    line.faults.switch_on(Fault.ZERO_READING)
    assert line.frames(data=READ_STATUS)[0].data[4:] == b"\x00\xc0"
    assert line.faults.counts[Fault.ZERO_READING] == 0
    (frame,) = line.frames()
    assert frame.data == READ_BLOCK + bytes(20)
    assert struck(line, Fault.ZERO_READING)


def test_a_rollover_is_near():
    line = Line()
    line.faults.switch_on(Fault.ROLLOVER, times=1)
    before, after = line.frames()[0], line.frames(at_ms=START_MS + 180 * SECOND_MS)[0]
    assert before.data[4:8] == bytes.fromhex("99999999")
    assert after.data[4:8] == bytes.fromhex("04000000")
    assert struck(line, Fault.ROLLOVER)


def test_restarts_and_wrong_clocks():
    for fault, shown_ms in (
        (Fault.RESTART, START_MS),
        (Fault.RESTART_CLOCK_LOST, CLOCK_LOST_MS),
        (Fault.WRONG_CLOCK, START_MS + CLOCK_JUMP_MS),
    ):
        line = Line()
        line.faults.switch_on(fault, times=1)
        assert (line.ask() is None) is (fault is not Fault.WRONG_CLOCK)
        assert line.meters[FIRST].shown_ms == shown_ms
        assert struck(line, fault)
        assert line.frames()[0].data[4:8].hex() == "00005000"


# ---- the switches


def test_a_fault_can_be_for_one_meter():
    line = Line()
    line.faults.switch_on(Fault.SILENCE, where=SECOND)
    assert line.ask(address=FIRST) is not None
    assert line.ask(address=SECOND) is None
    line.faults.switch_off(Fault.SILENCE, where=SECOND)
    assert line.ask(address=SECOND) is not None
    assert not line.faults.any_on


def test_a_fault_strikes_as_often_as_told():
    faults = Faults(1)
    faults.switch_on(Fault.GARBAGE, permille=250)
    struck_count = sum(faults.strikes(Fault.GARBAGE) for _ in range(2_000))
    assert struck_count == faults.counts[Fault.GARBAGE]
    assert 400 < struck_count < 600
    faults.all_off()
    assert not faults.strikes(Fault.GARBAGE)
    faults.switch_on(Fault.GARBAGE, times=3)
    assert sum(faults.strikes(Fault.GARBAGE) for _ in range(10)) == 3
    assert not faults.any_on


@pytest.mark.parametrize("fault", list(Fault))
def test_the_same_seed_strikes_the_same_occasions(fault):
    runs = []
    for _ in range(2):
        faults = Faults(77)
        faults.switch_on(fault, permille=500)
        runs.append([faults.strikes(fault, FIRST) for _ in range(40)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {True, False}
