"""The conversations against a small meter that can be told to misbehave, frame by frame."""

from dataclasses import dataclass, field
from datetime import date, datetime, time

import pytest

from meterhouse.drivers import driver_for
from meterhouse.errors import NotFound
from meterhouse.model import Relay
from meterhouse.ports import (
    Action,
    Ask,
    Control,
    Effect,
    MeterRef,
    ReadAddress,
    ReadLive,
    ReadParameter,
    ReadRound,
    SetClock,
    WriteParameter,
)
from meterhouse.wire.dlt645 import (
    CONTROL,
    DIALECTS,
    READ_ADDRESS,
    WRITE,
    Decoder,
    Fault,
    Frame,
    FrameError,
    decode_control,
    encode_address,
    split_parts,
)

ADDRESS = "000012345678"
METER = MeterRef(ADDRESS, "DDSY1352-NK", "123456")
UNTIL = datetime(2026, 11, 21, 9, 5)
OPEN, ARMED, CLOSED, KEPT = 0x0050, 0x0010, 0x0000, 0x1000
STATUS = 0x04000503
STATES = {0x1A: OPEN, 0x1B: ARMED, 0x1C: CLOSED, 0x3A: KEPT, 0x3B: CLOSED}


@dataclass
class FakeMeter:
    """Answers from a table of items; `obeys` and `acknowledges` are two different things."""

    protocol: str = "dlt645-2007"
    items: dict = field(default_factory=dict)
    obeys: bool = True
    acknowledges: bool = True
    refuses: int = 0
    part_limit: int = 200
    heard: list = field(default_factory=list)

    def answer(self, frame):
        self.heard.append(frame)
        dialect = DIALECTS[self.protocol]
        if frame.function == READ_ADDRESS and dialect.read_address:
            return Frame(ADDRESS, 0x93, encode_address(ADDRESS))
        if frame.function == CONTROL and dialect.control:
            return self._control(frame)
        if frame.function == dialect.write:
            return self._write(dialect, frame)
        di, rest = dialect.split(frame.data)
        if di not in self.items:
            return Frame(ADDRESS, frame.control | 0xC0, b"\x02")
        parts = split_parts(dialect, di, self._payload(dialect, di), self.part_limit)
        follow = frame.function == dialect.read_follow
        index = (rest[0] if rest else 1) if follow else 0
        more = 0x20 if index + 1 < len(parts) else 0
        return Frame(ADDRESS, frame.control | 0x80 | more, parts[index])

    def _payload(self, dialect, di):
        item = self.items[di]
        return item if isinstance(item, bytes) else dialect.encode_item(di, item)

    def _control(self, frame):
        order = decode_control(frame.data)
        if self.obeys:
            self.items[STATUS] = STATES[order.action]
        if self.refuses:
            return Frame(ADDRESS, 0xDC, bytes([self.refuses]))
        return Frame(ADDRESS, 0x9C) if self.acknowledges else None

    def _write(self, dialect, frame):
        di, rest = dialect.split(frame.data)
        if self.obeys:
            self.items[di] = dialect.decode_item(di, rest[dialect.authority_size :])
        if self.refuses:
            return Frame(ADDRESS, frame.control | 0xC0, bytes([self.refuses]))
        return Frame(ADDRESS, frame.control | 0x80) if self.acknowledges else None

    def count(self, function):
        return sum(frame.function == function for frame in self.heard)


def run(intent, fake, meter=METER, before=(), lose=0):
    """Drive a conversation: `before` precedes every reply, the first `lose` replies are lost."""
    driver = driver_for(fake.protocol)
    conversation = driver.converse(meter, intent)
    waiting, asked = [], []
    answer = None
    while True:
        try:
            ask = conversation.send(answer)
        except StopIteration as done:
            return done.value
        assert isinstance(ask, Ask)
        assert ask.timeout_ms >= 0
        asked.append(ask)
        assert len(asked) < 300
        if ask.frame:
            (frame,) = Decoder().feed(ask.frame)
            reply = fake.answer(frame)
            if lose:
                lose, reply = lose - 1, None
            waiting = [*before, *([reply] if reply else [])]
        answer = waiting.pop(0) if waiting else None


def round_meter(**changes):
    items = {0x0001FF00: (123456, 1, 2, 3, 4), STATUS: CLOSED}
    return FakeMeter(items=items, **changes)


def control(action):
    return Control(action, UNTIL)


def test_a_round_takes_two_asks():
    outcome = run(ReadRound(), round_meter())
    assert outcome.effect is Effect.DONE
    assert outcome.why == ""
    assert outcome.asks == 2
    assert outcome.values.total_milli == 1_234_560
    assert outcome.values.band_milli == (10, 20, 30, 40)
    assert outcome.values.relay is Relay.CLOSED
    assert outcome.values.keep_power is False


def test_a_live_read_says_everything():
    fake = round_meter()
    fake.items |= {
        0x02030000: 12345,
        0x02010100: 2204,
        0x02020100: 5612,
        0x04000101: date(2026, 11, 21),
        0x04000102: time(9, 8, 7),
    }
    said = run(ReadLive(), fake).values
    assert said.power_w == 1235
    assert said.voltage_dv == (2204,)
    assert said.current_ma == (5612,)
    assert said.clock_local == datetime(2026, 11, 21, 9, 8, 7)


def test_three_phases_come_as_blocks():
    fake = round_meter()
    fake.items |= {
        0x02030000: -5,
        0x0201FF00: (2204, 2205, 2206),
        0x0202FF00: (1, None, 3),
        0x04000101: date(2026, 11, 21),
        0x04000102: time(23, 59, 30),
    }
    said = run(ReadLive(), fake, MeterRef(ADDRESS, "DTSY1352-NK")).values
    assert said.power_w == -1
    assert said.voltage_dv == (2204, 2205, 2206)
    assert said.current_ma is None  # a phase is missing, so nothing is said
    assert said.clock_local is None  # date and time may belong to different days


def test_the_earlier_edition_reads_alike():
    fake = FakeMeter(
        "dlt645-1997",
        {
            0x901F: (10000, 1, 2, 3, 4),
            0xB630: 12344,
            0xB611: 220,
            0xB621: 512,
            0xC010: date(2026, 11, 21),
            0xC011: time(9, 8, 7),
        },
    )
    outcome = run(ReadLive(), fake, MeterRef(ADDRESS, "DLT645-1997"))
    assert outcome.effect is Effect.DONE
    assert outcome.values.total_milli == 100_000
    assert outcome.values.power_w == 1234
    assert outcome.values.voltage_dv == (2200,)
    assert outcome.values.current_ma == (5120,)
    assert outcome.values.relay is Relay.UNKNOWN


def test_absent_registers_are_not_zero():
    fake = round_meter()
    fake.items[0x0001FF00] = (None, 1, None, 3, 4)
    outcome = run(ReadRound(), fake)
    assert outcome.effect is Effect.DONE
    assert outcome.values.total_milli is None
    assert outcome.values.band_milli is None


def test_a_lost_reply_is_asked_for_again_at_most_twice():
    assert run(ReadRound(), round_meter(), lose=2).asks == 4
    outcome = run(ReadRound(), round_meter(), lose=3)
    assert (outcome.effect, outcome.why, outcome.asks) == (Effect.UNKNOWN, "silence", 3)


def test_foreign_frames_are_passed_over():
    own = Frame(ADDRESS, 0x91, bytes.fromhex("80808080"))
    other = Frame("000000000001", 0x91, bytes.fromhex("00ff010099999999"))
    echo = Frame(ADDRESS, 0x11, bytes.fromhex("00ff0100"))
    noise = FrameError(Fault.NOISE, b"x")
    outcome = run(ReadRound(), round_meter(), before=[own, other, echo, noise])
    assert outcome.effect is Effect.DONE
    assert outcome.asks == 2
    assert outcome.values.total_milli == 1_234_560


def test_a_line_of_foreign_frames_alone_is_silence():
    foreign = Frame("000000000001", 0x91)
    outcome = run(ReadRound(), round_meter(), before=[foreign] * 64)
    assert (outcome.effect, outcome.why, outcome.asks) == (Effect.UNKNOWN, "silence", 3)


def test_a_refused_item_leaves_the_others_readable():
    fake = round_meter()
    del fake.items[0x0001FF00]
    outcome = run(ReadRound(), fake)
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "no_such_data")
    assert outcome.values.relay is Relay.CLOSED


@pytest.mark.parametrize(
    ("payload", "why"), [(b"\x0a\0\0\0" * 5, "not_bcd"), (b"\x01", "data_too_short")]
)
def test_what_is_no_number_is_no_reading(payload, why):
    fake = round_meter()
    fake.items[0x0001FF00] = payload
    outcome = run(ReadRound(), fake)
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, why)
    assert outcome.values.total_milli is None


def test_follow_up_frames_are_collected():
    outcome = run(ReadRound(), round_meter(part_limit=9))
    assert outcome.effect is Effect.DONE
    assert outcome.values.band_milli == (10, 20, 30, 40)
    assert outcome.asks == 6


def test_a_lost_part_is_asked_for_again():
    outcome = run(ReadRound(), round_meter(part_limit=9), lose=1)
    assert outcome.values.band_milli == (10, 20, 30, 40)


def test_unnumbered_parts_are_not_asked_for_twice():
    fake = FakeMeter("dlt645-1997", {0x901F: (1, 2, 3, 4, 5)}, part_limit=12)
    heard = run(ReadRound(), fake, MeterRef(ADDRESS, "DLT645-1997"))
    assert heard.effect is Effect.DONE
    assert heard.values.band_milli == (20, 30, 40, 50)


def test_the_address_of_whoever_is_alone():
    outcome = run(ReadAddress(), FakeMeter())
    assert outcome.values.address == ADDRESS
    fake = FakeMeter("dlt645-1997")
    assert run(ReadAddress(), fake, MeterRef(ADDRESS, "DLT645-1997")).why == "unsupported"


@pytest.mark.parametrize(
    ("before", "action", "relay", "keep_power"),
    [
        (CLOSED, Action.DISCONNECT, Relay.OPEN, False),
        (OPEN, Action.CONNECT, Relay.CLOSED, False),
        (OPEN, Action.ALLOW_CONNECT, Relay.ARMED, False),
        (CLOSED, Action.KEEP_POWER_ON, Relay.CLOSED, True),
        (KEPT, Action.KEEP_POWER_OFF, Relay.CLOSED, False),
    ],
)
@pytest.mark.parametrize("acknowledges", [True, False])
def test_an_order_is_done_when_the_meter_says_so(before, action, relay, keep_power, acknowledges):
    fake = round_meter(acknowledges=acknowledges)
    fake.items[STATUS] = before
    outcome = run(control(action), fake)
    assert outcome.effect is Effect.DONE
    assert outcome.values.relay is relay
    assert outcome.values.keep_power is keep_power
    assert fake.count(CONTROL) == 1


def test_the_order_carries_level_password_and_validity():
    fake = round_meter()
    run(control(Action.CONNECT), fake)
    order = decode_control(fake.heard[0].data)
    assert order.authority.level == 2
    assert order.authority.password == "123456"
    assert order.valid_until_local == UNTIL
    assert order.channel == 0


@pytest.mark.parametrize(
    ("changes", "effect", "why"),
    [
        ({"acknowledges": True}, Effect.NOT_DONE, "relay_unchanged"),
        ({"acknowledges": False}, Effect.UNKNOWN, "silence"),
        ({"refuses": 0x04}, Effect.NOT_DONE, "wrong_password"),
        ({"refuses": 0x01}, Effect.NOT_DONE, "refused"),
    ],
)
def test_an_order_without_effect(changes, effect, why):
    fake = round_meter(obeys=False, **changes)
    outcome = run(control(Action.DISCONNECT), fake)
    assert (outcome.effect, outcome.why) == (effect, why)
    assert outcome.values.relay is Relay.CLOSED
    assert fake.count(CONTROL) == 1


def test_a_refusal_that_was_carried_out_is_done():
    outcome = run(control(Action.DISCONNECT), round_meter(refuses=0x01))
    assert outcome.effect is Effect.DONE


def test_keep_power_without_effect_has_its_own_word():
    outcome = run(control(Action.KEEP_POWER_ON), round_meter(obeys=False))
    assert outcome.why == "keep_power_unchanged"


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (KEPT, "keep_power"),
        (0x114F, "keep_power"),
        (None, "status_unreadable"),
        (b"\x00", "data_too_short"),
    ],
)
def test_a_meter_under_keep_power_or_unreadable_is_not_disconnected(status, why):
    fake = round_meter()
    fake.items[STATUS] = status
    outcome = run(control(Action.DISCONNECT), fake)
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, why)
    assert fake.count(CONTROL) == 0


def test_a_silent_meter_is_not_disconnected():
    fake = round_meter()
    outcome = run(control(Action.DISCONNECT), fake, lose=3)
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "silence")
    assert fake.count(CONTROL) == 0


def test_an_order_whose_read_back_is_silent_is_unknown():
    outcome = run(control(Action.CONNECT), round_meter(), lose=4)
    assert (outcome.effect, outcome.why) == (Effect.UNKNOWN, "silence")


def test_the_earlier_edition_switches_nothing():
    fake = FakeMeter("dlt645-1997", {0x901F: (1,)})
    outcome = run(control(Action.DISCONNECT), fake, MeterRef(ADDRESS, "DLT645-1997"))
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "unsupported")
    assert fake.heard == []


def test_parameters_are_read_and_written_by_name():
    fake = FakeMeter(items={0x04000E01: 80000})
    assert run(ReadParameter("power_limit"), fake).values.parameters == {"power_limit": "8.0000"}
    outcome = run(WriteParameter("power_limit", "9.5"), fake)
    assert outcome.effect is Effect.DONE
    assert outcome.values.parameters == {"power_limit": "9.5000"}
    assert fake.count(WRITE) == 1
    assert fake.heard[1].data[4:12] == bytes.fromhex("0456341200000000")


@pytest.mark.parametrize(
    ("changes", "effect", "why"),
    [
        ({}, Effect.NOT_DONE, "value_unchanged"),
        ({"refuses": 0x04}, Effect.NOT_DONE, "wrong_password"),
        ({"acknowledges": False}, Effect.UNKNOWN, "silence"),
    ],
)
def test_a_write_without_effect(changes, effect, why):
    fake = FakeMeter(items={0x04000E01: 80000}, obeys=False, **changes)
    outcome = run(WriteParameter("power_limit", "9.5"), fake)
    assert (outcome.effect, outcome.why) == (effect, why)
    assert outcome.values.parameters == {"power_limit": "8.0000"}
    assert fake.count(WRITE) == 1


def test_a_time_table_is_written_as_people_write_it():
    fake = FakeMeter(items={})
    outcome = run(WriteParameter("standby_slots_1", "00:00:04 08:30:02 22:00:04"), fake)
    assert outcome.effect is Effect.DONE
    assert fake.items[0x04020001] == ((0, 0, 4), (8, 30, 2), (22, 0, 4))


@pytest.mark.parametrize(
    ("intent", "why"),
    [
        (ReadParameter("colour"), "unsupported"),
        (WriteParameter("colour", "1"), "unsupported"),
        (WriteParameter("slots_1", "00:00:01"), "unsupported"),
        (WriteParameter("power_limit", "lots"), "unreadable"),
        (WriteParameter("power_limit", "100"), "item_unfit"),
        (WriteParameter("power_limit", "-1"), "item_unfit"),
    ],
)
def test_what_cannot_be_meant_is_not_sent(intent, why):
    fake = FakeMeter()
    outcome = run(intent, fake)
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, why)
    assert fake.heard == []


def test_the_clock_is_set_and_read_back():
    fake = FakeMeter()
    outcome = run(SetClock(datetime(2026, 11, 21, 9, 8, 7)), fake)
    assert outcome.effect is Effect.DONE
    assert outcome.values.clock_local == datetime(2026, 11, 21, 9, 8, 7)
    stubborn = FakeMeter(items={0x04000101: date(2026, 11, 21), 0x04000102: time(8)}, obeys=False)
    outcome = run(SetClock(datetime(2026, 11, 21, 9, 8, 7)), stubborn)
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "value_unchanged")


@pytest.mark.parametrize(
    ("meter", "intent", "why"),
    [
        (MeterRef(ADDRESS, "no such meter"), ReadRound(), "not_found"),
        (MeterRef(ADDRESS, "DLT645-1997"), ReadRound(), "unsupported"),
        (MeterRef("x", "DDSY1352-NK"), ReadRound(), "unreadable"),
        (MeterRef("9" * 12, "DDSY1352-NK"), ReadRound(), "broadcast_refused"),
        (MeterRef("A" * 12, "DDSY1352-NK"), Control(Action.CONNECT, UNTIL), "wildcard_refused"),
        (MeterRef("AAAAAAAA1234", "DDSY1352-NK"), SetClock(UNTIL), "wildcard_refused"),
        (MeterRef(ADDRESS, "DDSY1352-NK", "12"), Control(Action.CONNECT, UNTIL), "unreadable"),
        (MeterRef(ADDRESS, "DDSY1352-NK", "12"), SetClock(UNTIL), "unreadable"),
        (MeterRef(ADDRESS, "DDSY1352-NK", "12"), WriteParameter("power_limit", "1"), "unreadable"),
    ],
)
def test_what_must_not_leave_the_house(meter, intent, why):
    fake = FakeMeter()
    outcome = run(intent, fake, meter)
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, why)
    assert fake.heard == []


def test_a_wildcard_may_read():
    outcome = run(ReadRound(), round_meter(), MeterRef("A" * 12, "DDSY1352-NK"))
    assert outcome.values.total_milli == 1_234_560


def test_patience_depends_on_the_transport():
    waits = {}
    for transport in ("rs485", "tcp", "lora"):
        driver = driver_for("dlt645-2007", transport)
        waits[transport] = driver.converse(METER, ReadRound()).send(None).timeout_ms
    assert waits["rs485"] < waits["tcp"] < waits["lora"]
    with pytest.raises(NotFound):
        driver_for("morse")
