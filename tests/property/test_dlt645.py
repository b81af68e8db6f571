"""Any bytes, any portions, any answers: the codec never raises, the driver never lies."""

from datetime import datetime
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from meterhouse.cli.decode import decode_lines
from meterhouse.drivers import driver_for
from meterhouse.errors import BadInput
from meterhouse.ports import (
    Action,
    Control,
    Effect,
    MeterRef,
    Outcome,
    ReadAddress,
    ReadLive,
    ReadParameter,
    ReadRound,
    SetClock,
    WriteParameter,
)
from meterhouse.wire.dlt645 import (
    DIALECTS,
    DLT645_2007,
    Authority,
    Decoder,
    Frame,
    FrameError,
    RemoteControl,
    decode_control,
    encode,
    encode_control,
)

ADDRESS = "000012345678"
STATUS = 0x04000503
UNTIL = datetime(2026, 11, 21, 9, 5)

# Bytes rich in what frames are made of, so that half-true candidates are common.
framelike = st.lists(
    st.sampled_from(
        [b"\x68", b"\x16", b"\xfe", b"\x00", b"\x08", b"\x91", b"\x33", b"\xaa", b"\xff"]
    )
    | st.binary(min_size=1, max_size=3),
    max_size=60,
).map(b"".join)
# Noise that cannot itself begin a frame.
quiet_noise = st.binary(max_size=20).map(lambda raw: raw.replace(b"\x68", b"\x00"))
addresses = st.text("0123456789", min_size=12, max_size=12) | st.just("A" * 12)
frames = st.builds(Frame, addresses, st.integers(0, 255), st.binary(max_size=255))


def cut(raw, cuts):
    edges = [0, *sorted(at % (len(raw) + 1) for at in cuts), len(raw)]
    return [raw[low:high] for low, high in pairwise(edges)]


def fed(portions):
    decoder = Decoder()
    found = [each for portion in portions for each in decoder.feed(portion)]
    assert len(decoder._buffer) < 267
    return found + decoder.flush()


@given(framelike | st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=8))
def test_any_bytes_in_any_portions_find_the_same_frames_and_faults(raw, cuts):
    whole, pieces = fed([raw]), fed(cut(raw, cuts))
    assert all(isinstance(each, Frame | FrameError) for each in whole)
    assert [e for e in whole if isinstance(e, Frame)] == [e for e in pieces if isinstance(e, Frame)]
    told = sum(len(each.raw) for each in whole if isinstance(each, FrameError))
    assert told <= len(raw)


@given(
    st.lists(st.tuples(quiet_noise, frames, st.integers(0, 8)), max_size=6),
    quiet_noise,
    st.lists(st.integers(0, 2000), max_size=10),
)
def test_exactly_the_frames_come_out_of_noise(sent, rest, cuts):
    raw = b"".join(noise + encode(frame, wake) for noise, frame, wake in sent) + rest
    found = fed(cut(raw, cuts))
    assert [each for each in found if isinstance(each, Frame)] == [frame for _, frame, _ in sent]


@given(frames, st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_spoils_the_whole_frame(frame, at, change):
    raw = bytearray(encode(frame, 0))
    raw[at % len(raw)] ^= change
    found = [each for each in fed([bytes(raw)]) if isinstance(each, Frame)]
    assert all(len(encode(each, 0)) < len(raw) for each in found)


@given(st.integers(0, 0xFFFFFFFF), st.binary(max_size=60))
def test_data_of_any_identifier_is_an_item_or_a_typed_refusal(di, payload):
    for dialect in DIALECTS.values():
        try:
            item = dialect.decode_item(di, payload)
        except BadInput:
            continue
        assert isinstance(dialect.definition(di).layout.text(item), str)


known = st.sampled_from(
    [
        0x0001FF00,
        0x00010000,
        0x02030000,
        0x0203FF00,
        0x04000101,
        0x04000102,
        0x0400010C,
        0x04000401,
        0x04000503,
        0x040005FF,
        0x04000B01,
        0x04010001,
        0x03330101,
        0x0101FF00,
        0x028011FF,
        0x1D000101,
    ]
)


@given(known, st.binary(max_size=80))
def test_what_an_item_decodes_to_can_be_written_and_read_again(di, payload):
    try:
        item = DLT645_2007.decode_item(di, payload)
    except BadInput:
        return
    assert DLT645_2007.decode_item(di, DLT645_2007.encode_item(di, item)) == item


@given(
    st.integers(0, 255),
    st.text("0123456789", min_size=6, max_size=6),
    st.text("0123456789abcdef", min_size=8, max_size=8),
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(min_size=6, max_size=6),
)
def test_every_order_comes_back(level, password, operator, action, channel, valid_until):
    order = RemoteControl(Authority(level, password, operator), action, valid_until, channel)
    assert decode_control(encode_control(order)) == order


@given(
    st.sampled_from(sorted(DIALECTS)),
    st.text() | framelike.map(bytes.hex) | frames.map(encode).map(bytes.hex),
)
def test_any_line_is_told_without_an_exception(protocol, line):
    for told in decode_lines(protocol, [line]):
        assert "error" in told or "values" in told


def replies(model_status):
    """Answers a line may give: silence, junk, others' frames, and plausible own ones."""
    heads = st.sampled_from([0x0001FF00, STATUS, 0x04000101, 0x04000102, 0x04000E01])
    own = st.builds(
        Frame,
        st.just(ADDRESS),
        st.sampled_from([0x91, 0xB1, 0x92, 0xB2, 0x94, 0x9C, 0xD1, 0xD4, 0xDC, 0x93, 0x11]),
        st.builds(lambda di, rest: DLT645_2007.identifier(di) + rest, heads, st.binary(max_size=24))
        | st.binary(max_size=8),
    )
    status = st.builds(
        lambda word: Frame(
            ADDRESS, 0x91, DLT645_2007.identifier(STATUS) + word.to_bytes(2, "little")
        ),
        model_status,
    )
    return st.lists(st.none() | own | status | frames, max_size=60)


intents = st.sampled_from(
    [
        ReadRound(),
        ReadLive(),
        ReadAddress(),
        ReadParameter("power_limit"),
        WriteParameter("power_limit", "5"),
        SetClock(UNTIL),
        *(Control(action, UNTIL) for action in Action),
    ]
)


def converse(intent, answers):
    """Run a conversation; gives its outcome, the frames sent and what answered after the last."""
    conversation = driver_for("dlt645-2007").converse(MeterRef(ADDRESS, "DDSY1352-NK"), intent)
    sent, asks, answer, heard = [], 0, None, []
    queue = list(answers)
    while True:
        try:
            ask = conversation.send(answer)
        except StopIteration as done:
            return done.value, sent, asks, heard
        asks += 1
        assert asks < 2000
        if ask.frame:
            (frame,) = Decoder().feed(ask.frame)
            sent.append(frame)
        answer = queue.pop(0) if queue else None
        heard.append(answer)


@settings(max_examples=200)
@given(intents, replies(st.sampled_from([0x0000, 0x0050, 0x0010, 0x1000, 0x1050, 0xFFFF])))
def test_every_conversation_ends_and_never_raises(intent, answers):
    outcome, sent, asks, _ = converse(intent, answers)
    assert isinstance(outcome, Outcome)
    assert outcome.asks == len(sent)
    assert asks <= 1 + len(answers) + 40
    assert (outcome.why == "") == (outcome.effect is Effect.DONE)


REACHED = {
    Action.DISCONNECT: lambda word: word & 0x50 == 0x50,
    Action.CONNECT: lambda word: not word & 0x10,
    Action.ALLOW_CONNECT: lambda word: word & 0x50 in (0x10, 0x00, 0x40),
    Action.KEEP_POWER_ON: lambda word: bool(word & 0x1000),
    Action.KEEP_POWER_OFF: lambda word: not word & 0x1000,
}


@settings(max_examples=200)
@given(
    st.sampled_from(list(Action)),
    replies(st.sampled_from([0x0000, 0x0050, 0x0010, 0x1000, 0x1050])),
)
def test_no_order_is_done_without_a_status_word_that_shows_it(action, answers):
    outcome, sent, _, heard = converse(Control(action, UNTIL), answers)
    orders = [frame for frame in sent if frame.control == 0x1C]
    assert len(orders) <= 1
    if outcome.effect is not Effect.DONE:
        return
    last = heard[-1]
    assert orders
    assert sent[-1].data == DLT645_2007.identifier(STATUS)
    assert isinstance(last, Frame)
    assert last.address == ADDRESS
    _, payload = DLT645_2007.split(last.data)
    assert REACHED[action](int.from_bytes(payload[:2], "little")) or last.control & 0x1F == 0x12
