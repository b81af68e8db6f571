"""A line between a fake socket and a driver that is a few lines of generator."""

import asyncio
from collections.abc import Generator

import pytest

from meterhouse.drivers import driver_for
from meterhouse.headend.line import (
    LOST,
    REGISTRATION_BYTES_MAX,
    UNASKED_BYTES_MAX,
    Line,
    LineBusy,
    LineEvents,
)
from meterhouse.ports import Ask, Effect, MeterRef, Outcome, ReadRound
from meterhouse.wire.dlt645 import Decoder, Frame, FrameError, encode

NAME = "MHGW00000001"
ADDRESS = "240000000001"
PEER = ("192.0.2.7", 40123)
HELLO = encode(Frame(ADDRESS, 0x91, b"\x00\xff\x01\x00" + b"\x00" * 20))
FULL = Outcome(Effect.DONE)


class FakeTransport(asyncio.Transport):
    """Remembers what was written; `abort` tells the protocol at once, as a socket would soon."""

    def __init__(self, line):
        super().__init__()
        self.line = line
        self.sent = []
        self.is_gone = False

    def get_extra_info(self, name, default=None):
        return PEER if name == "peername" else default

    def write(self, data):
        assert not self.is_gone
        self.sent.append(bytes(data))

    def is_closing(self):
        return self.is_gone

    def abort(self):
        if not self.is_gone:
            self.is_gone = True
            self.line.connection_lost(None)


class Timers:
    """Stands for the loop's clock and timers: time passes when the test says so."""

    def __init__(self):
        self.now_s = 1000.0
        self.waiting = []

    def time(self):
        return self.now_s

    def call_at(self, when, callback, *arguments):
        handle = asyncio.TimerHandle(when, callback, arguments, asyncio.get_running_loop())
        self.waiting.append(handle)
        return handle

    def call_later(self, delay, callback, *arguments):
        return self.call_at(self.now_s + delay, callback, *arguments)

    def create_future(self):
        return asyncio.get_running_loop().create_future()

    def pass_ms(self, duration_ms):
        """Let time pass, and let every timer go off when it is due, in order."""
        until = self.now_s + duration_ms / 1000
        while due := [one for one in self.waiting if not one.cancelled() and one.when() <= until]:
            first = min(due, key=asyncio.TimerHandle.when)
            self.waiting.remove(first)
            self.now_s = max(self.now_s, first.when())
            first._run()
        self.now_s = until


class Watched:
    """A line with a fake socket under it, and what it told of itself."""

    def __init__(self, known=(NAME,)):
        self.opened, self.named, self.lost, self.floods = [], [], [], []
        events = LineEvents(
            self.opened.append, lambda _, name: self.named.append(name), self.lost.append,
            self.floods.append,
        )  # fmt: skip
        self.line = Line(events, set(known).__contains__)
        self.timers = Timers()
        self.line._loop = self.timers
        self.transport = FakeTransport(self.line)
        self.line.connection_made(self.transport)

    def hear(self, data):
        self.line.data_received(data)

    def name(self):
        self.line.name_it(NAME, Decoder())
        return self


@pytest.fixture
async def fresh():
    return Watched()


@pytest.fixture
async def named():
    return Watched().name()


def script(*asks, heard) -> Generator:
    """A conversation that makes these asks one after the other, and notes every answer."""
    for ask in asks:
        heard.append((yield ask))
    return FULL


ASK = Ask(b"?", 1000)
LISTEN = Ask(b"", 1000)


@pytest.mark.parametrize(
    "portions",
    [
        [b"MHGW00000001\r\n"],
        [b"MHGW00000001"],
        [b"MHGW", b"0000", b"0001\r\n"],
        [b"  MHGW00000001 \r", b"\n"],
        [b"MHGW00000001\r\nHB\r\n"],
        [bytes([byte]) for byte in b"MHGW00000001\r\n"],
    ],
)
def test_a_registration_is_known_however_it_is_cut(fresh, portions):
    for portion in portions:
        fresh.hear(portion)
        if fresh.named:
            break
    assert fresh.named == [NAME]


def test_a_registration_that_is_a_prefix_of_another_waits_for_no_newline(fresh):
    fresh.hear(b"MHGW0000000")
    assert fresh.named == []
    fresh.hear(b"1")
    assert fresh.named == [NAME]


def test_an_unknown_name_is_told_when_its_line_ends(fresh):
    fresh.hear(b"SOMEBODY")
    assert fresh.named == []
    fresh.hear(b"\r\n")
    assert fresh.named == ["SOMEBODY"]


def test_an_endless_name_is_told_cut_off(fresh):
    fresh.hear(b"x" * REGISTRATION_BYTES_MAX)
    assert fresh.named == []
    fresh.hear(b"x" * 1000)
    assert fresh.named == ["x" * REGISTRATION_BYTES_MAX]


def test_bytes_that_are_no_text_become_a_name_that_can_be_stored(fresh):
    fresh.hear(b"\x00\xff\x1bgw\r\n")
    assert fresh.named == ["\ufffd\ufffd\ufffdgw"]


@pytest.mark.parametrize("said", [b"", b"HALF"])
def test_whoever_names_himself_not_in_time_is_told_of(fresh, said):
    fresh.hear(said)
    fresh.timers.pass_ms(19_999)
    assert fresh.named == []
    fresh.timers.pass_ms(1)
    assert fresh.named == [said.decode()]


def test_a_named_line_has_no_deadline_for_its_name(named):
    named.timers.pass_ms(60_000)
    assert named.named == []
    assert named.opened == [named.line]
    assert named.line.peer == "192.0.2.7:40123"


async def test_a_frame_in_is_the_next_ask_out_without_a_task_between(named):
    heard = []
    done = named.line.talk(script(ASK, Ask(b"!", 1000), heard=heard))
    assert named.transport.sent == [b"?"]
    named.hear(HELLO)
    assert named.transport.sent == [b"?", b"!"]
    named.hear(HELLO[:9])
    assert not done.done()
    named.hear(HELLO[9:])
    assert await done == FULL
    assert [frame.address for frame in heard] == [ADDRESS, ADDRESS]


async def test_silence_is_told_when_the_time_is_over_and_not_before(named):
    heard = []
    done = named.line.talk(script(ASK, heard=heard))
    named.timers.pass_ms(999)
    assert not done.done()
    named.timers.pass_ms(1)
    assert await done == FULL
    assert heard == [None]


async def test_an_empty_ask_never_extends_a_deadline_that_still_runs(named):
    heard = []
    done = named.line.talk(script(ASK, LISTEN, LISTEN, heard=heard))
    for wait_ms in (600, 300):
        named.timers.pass_ms(wait_ms)
        named.hear(HELLO)
    named.timers.pass_ms(99)
    assert not done.done()
    named.timers.pass_ms(1)
    assert await done == FULL
    assert [answer is None for answer in heard] == [False, False, True]


async def test_an_empty_ask_may_shorten_a_deadline(named):
    heard = []
    done = named.line.talk(script(ASK, Ask(b"", 100), heard=heard))
    named.timers.pass_ms(500)
    named.hear(HELLO)
    named.timers.pass_ms(100)
    assert await done == FULL
    assert heard[-1] is None


async def test_an_empty_ask_after_silence_waits_its_own_time(named):
    heard = []
    done = named.line.talk(script(ASK, Ask(b"", 400), heard=heard))
    named.timers.pass_ms(1000)
    assert heard == [None]
    named.timers.pass_ms(399)
    assert not done.done()
    named.timers.pass_ms(1)
    assert await done == FULL


async def test_the_deadline_of_one_conversation_is_none_of_the_next(named):
    await finished(named, script(ASK, heard=[]), HELLO)
    done = named.line.talk(script(Ask(b"", 5000), heard=[]))
    named.timers.pass_ms(4999)
    assert not done.done()
    named.timers.pass_ms(1)
    assert await done == FULL


async def finished(watched, conversation, data):
    done = watched.line.talk(conversation)
    watched.hear(data)
    return await done


# The start of a frame that says it has 200 data bytes, as noise on a bus can look.
PRETENCE = encode(Frame(ADDRESS, 0x91, b"\x00" * 200))[:12]


async def test_a_frame_hidden_behind_a_false_length_is_heard_before_silence(named):
    heard = []
    done = named.line.talk(script(ASK, LISTEN, heard=heard))
    named.hear(PRETENCE + HELLO)
    assert heard == []
    named.timers.pass_ms(1000)
    assert await done == FULL
    assert isinstance(heard[0], FrameError)
    assert isinstance(heard[1], Frame)
    assert named.transport.sent == [b"?"]


async def test_silence_follows_a_hidden_frame_that_was_no_answer(named):
    heard = []
    done = named.line.talk(script(ASK, LISTEN, LISTEN, heard=heard))
    named.hear(PRETENCE + HELLO)
    named.timers.pass_ms(1000)
    assert await done == FULL
    assert heard[2] is None
    assert named.timers.now_s == 1001


async def test_the_driver_reads_a_meter_through_a_false_length(named):
    driver = driver_for("dlt645-2007", "rs485")
    done = named.line.talk(driver.converse(MeterRef(ADDRESS, "DDSY1352-NK"), ReadRound()))
    named.hear(PRETENCE + HELLO)
    named.timers.pass_ms(1000)
    named.hear(encode(Frame(ADDRESS, 0x91, b"\x03\x05\x00\x04\x00\x00")))
    outcome = await done
    assert outcome.effect is Effect.DONE
    assert outcome.values.total_milli == 0
    assert len(named.transport.sent) == 2


async def test_a_lost_line_ends_the_conversation_in_doubt(named):
    closed = []

    def conversation():
        try:
            yield ASK
        finally:
            closed.append(True)

    done = named.line.talk(conversation())
    named.transport.abort()
    assert await done == LOST
    assert LOST.effect is Effect.UNKNOWN
    assert closed == [True]
    assert named.lost == [named.line]
    assert named.line.closed.is_set()
    named.timers.pass_ms(5000)
    assert done.result() == LOST


async def test_a_lost_line_takes_no_conversation(named):
    named.transport.abort()
    assert await named.line.talk(script(ASK, heard=[])) == LOST
    assert named.transport.sent == []


async def test_one_conversation_at_a_time(named):
    named.line.talk(script(ASK, heard=[]))
    with pytest.raises(LineBusy):
        named.line.talk(script(ASK, heard=[]))


async def test_frames_after_the_end_of_a_conversation_are_dropped(named):
    heard = []
    assert await finished(named, script(ASK, heard=heard), HELLO * 3) == FULL
    assert len(heard) == 1
    named.hear(HELLO)
    assert await finished(named, script(ASK, heard=heard), HELLO) == FULL
    assert len(heard) == 2


async def test_a_conversation_that_asks_nothing_ends_at_once(named):
    assert await named.line.talk(script(heard=[])) == FULL
    assert await named.line.talk(script(heard=[])) == FULL


def test_a_heartbeat_a_minute_is_no_flood(named):
    for _ in range(10_000):
        named.hear(b"HB\r\n")
        named.timers.pass_ms(60_000)
    assert named.floods == []
    assert named.line.bytes_in == 40_000


def test_a_flood_is_told_of_and_hung_up(named):
    named.hear(b"\x55" * UNASKED_BYTES_MAX)
    assert named.floods == []
    named.hear(b"\x55")
    assert named.floods == [named.line]
    assert named.lost == [named.line]
    assert not named.line.is_open


async def test_a_flood_in_the_middle_of_a_conversation_is_one_too(named):
    done = named.line.talk(script(*[LISTEN] * 1000, heard=[]))
    for _ in range(UNASKED_BYTES_MAX // 1024 + 1):
        named.hear(b"\x55" * 1024)
    assert named.floods == [named.line]
    assert await done == LOST


async def test_answers_are_no_flood_however_many(named):
    for _ in range(2000):
        assert await finished(named, script(ASK, heard=[]), HELLO) == FULL
    assert named.line.bytes_in > 4 * UNASKED_BYTES_MAX
    assert named.floods == []
