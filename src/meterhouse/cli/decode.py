"""Hexadecimal frames in, one JSON-able object a frame out: a field engineer's tool.

Owns how a frame is told to a person. Must never fail: whatever a line holds becomes frames or
errors with a code. Numbers are decimal strings of exact integers. Passwords are shown: whoever
runs this holds the bytes they stand in, and a wrong one is often what is looked for.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from meterhouse.errors import BadInput, NotFound
from meterhouse.wire.dlt645 import (
    DIALECTS,
    Action,
    Authority,
    Decoder,
    Definition,
    Dialect,
    Fault,
    Frame,
    FrameError,
    Item,
    Refusal,
    StatusWord3,
    decode_address,
    decode_control,
    decode_refusal,
)
from meterhouse.wire.dlt645 import security as secure
from meterhouse.wire.dlt645.layout import DataTooShort, Layout, Many, NotBcd, Pairs, Row, Stamp
from meterhouse.wire.dlt645.status import PHASE_FAULTS

LINE_MAX = 65_536

_SEPARATORS = re.compile(r"(?<![0-9A-Fa-f])0[xX]|[\s,;:-]")
_MESSAGES: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.NOISE: "bytes outside any frame",
        Fault.BAD_CHECKSUM: "the checksum is {told:02X}, the bytes add up to {sum:02X}",
        Fault.BAD_LENGTH: "no 16 stands where the length byte says the frame ends",
        Fault.NON_BCD_ADDRESS: "the address is not made of decimal digits",
        Fault.TRUNCATED: "the line ends inside a frame",
    }
)
_COMMANDS: Mapping[int, str] = MappingProxyType(
    {
        Action.TRIP: "trip",
        Action.PERMIT: "close permit",
        Action.CLOSE: "direct close",
        Action.ALARM: "alarm",
        Action.ALARM_OFF: "alarm release",
        Action.KEEP_POWER: "keep-power",
        Action.KEEP_POWER_OFF: "keep-power release",
    }
)
_SECURITY_FUNCTION = "security authentication"
_BAUDS = {0x04: "1200", 0x08: "2400", 0x10: "4800", 0x20: "9600", 0x40: "19200"}


@dataclass(slots=True)
class Content:
    """What the data of one frame says: identifier, meaning, and values with their units."""

    identifier: str | None = None
    meaning: str = ""
    values: list[dict[str, str | None]] = field(default_factory=list)

    def say(self, name: str, text: str | None, unit: str = "") -> None:
        """Add one value, None for an absent one; a unit only where there is one."""
        told = {"name": name, "value": text}
        if unit:
            told["unit"] = unit
        self.values.append(told)


Reader: TypeAlias = Callable[[Dialect, Frame, Content], None]


def decode_lines(protocol: str, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """One object for every frame, and for every stretch of bytes that is none, in `lines`.

    Args:
        protocol: `dlt645-2007` or `dlt645-1997`.
        lines: hexadecimal bytes, upper or lower case; white space, commas, colons, hyphens and
            `0x` may stand between. Several frames may stand in a line; none crosses its end.

    Returns:
        Objects with `line` and `protocol`, and either `direction`, `address`, `control`,
        `function`, `abnormal`, `follows`, `data_identifier`, `meaning`, `values` (each `name`,
        `value`, `unit`; null is "the meter does not have it"), or `error` (a stable code),
        `message` and `hex`. A frame whose data cannot be read has both.

    Raises:
        NotFound: there is no such protocol.
    """
    dialect = DIALECTS.get(protocol)
    if dialect is None:
        raise NotFound("protocol", protocol)
    return _decode(dialect, lines)


def _decode(dialect: Dialect, lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        for told in _line(dialect, line):
            yield {"line": number, "protocol": dialect.name, **told}


def _line(dialect: Dialect, line: str) -> Iterator[dict[str, Any]]:
    digits = _SEPARATORS.sub("", line[: LINE_MAX + 1])
    if not digits:
        return
    if len(line) > LINE_MAX:
        yield _error("line_too_long", f"more than {LINE_MAX} characters", "")
        return
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        yield _error("not_hex", "not pairs of hexadecimal digits", "")
        return
    decoder = Decoder()
    found = _joined([*decoder.feed(raw), *decoder.flush()])
    if not found:
        yield _error("no_frame", "nothing but wake-up bytes", raw.hex())
    for each in found:
        yield _frame(dialect, each) if isinstance(each, Frame) else _fault(each)


def _joined(found: list[Frame | FrameError]) -> list[Frame | FrameError]:
    """Noise behind a broken frame belongs to it: the person typed one frame, not two faults."""
    told: list[Frame | FrameError] = []
    for each in found:
        last = told[-1] if told else None
        if (
            isinstance(each, FrameError)
            and each.code is Fault.NOISE
            and isinstance(last, FrameError)
        ):
            told[-1] = FrameError(last.code, last.raw + each.raw)
        else:
            told.append(each)
    return told


def _error(code: str, message: str, text: str) -> dict[str, Any]:
    return {"error": code, "message": message, "hex": text}


def _fault(fault: FrameError) -> dict[str, Any]:
    facts = {}
    if fault.code is Fault.BAD_CHECKSUM:
        size = fault.raw[9] + 12
        facts = {"told": fault.raw[size - 2], "sum": sum(fault.raw[: size - 2]) & 0xFF}
    return _error(fault.code.value, _MESSAGES[fault.code].format(**facts), fault.raw.hex())


def _frame(dialect: Dialect, frame: Frame) -> dict[str, Any]:
    function = dialect.functions.get(frame.function, "unknown")
    content = Content()
    told: dict[str, Any] = {
        "direction": "reply" if frame.from_meter else "request",
        "address": frame.address,
        "control": f"{frame.control:02X}",
        "function": function,
        "abnormal": frame.abnormal,
        "follows": frame.follows,
    }
    failed = {}
    try:
        if frame.abnormal:
            _abnormal(function, frame, content)
        else:
            _READERS.get(function, _plain)(dialect, frame, content)
    except BadInput as error:
        failed = _error(error.code, str(error), frame.data.hex())
    told["data_identifier"] = content.identifier
    told["meaning"] = content.meaning or function
    told["values"] = content.values
    return told | failed


def _abnormal(function: str, frame: Frame, content: Content) -> None:
    """The error bits, in words where the standard has words for them."""
    content.say("error_bits", frame.data.hex())
    content.meaning = f"{function} refused"
    if function != _SECURITY_FUNCTION:  # its error bits are vendors' own
        refusal = decode_refusal(frame.data)
        words = [str(bit.name).lower().replace("_", " ") for bit in Refusal if bit in refusal]
        content.meaning += f": {', '.join(words) or 'no reason given'}"


def _plain(dialect: Dialect, frame: Frame, content: Content) -> None:
    """A frame whose function says it all: an acknowledgement, or a function nobody described."""
    if frame.from_meter and frame.function in dialect.functions:
        content.meaning = f"{dialect.functions[frame.function]} accepted"
    if frame.data:
        content.say("raw", frame.data.hex())


def _identified(
    dialect: Dialect, frame: Frame, content: Content
) -> tuple[Definition | None, bytes]:
    """Note the identifier; give its definition and the bytes behind it."""
    di, rest = dialect.split(frame.data)
    definition = dialect.describe(di)
    content.identifier = dialect.printed(di)
    content.meaning = definition.meaning if definition else "unknown data identifier"
    return definition, rest


def _item(definition: Definition | None, payload: bytes, content: Content) -> None:
    """Tell an item: its parts where it has parts, its bits where it has bits."""
    if definition is None:
        if payload:
            content.say("raw", payload.hex())
        return
    layout = definition.layout
    item = layout.decode(payload)
    if isinstance(layout, Row):
        _row(layout, item, content)
    elif isinstance(layout, Many) and isinstance(item, tuple):
        for index, part in enumerate(item):
            content.say(layout.name(index), _text(layout.of, part), layout.unit)
    else:
        content.say(definition.quantity, _text(layout, item), layout.unit)
    if isinstance(item, int):
        _bits(definition, item, content)


def _row(layout: Row, item: Item, content: Content) -> None:
    if isinstance(item, tuple):
        for (name, part_layout), part in zip(layout.fields, item, strict=True):
            content.say(name, _text(part_layout, part), part_layout.unit)


def _text(layout: Layout, item: Item) -> str | None:
    return None if item is None else layout.text(item)


def _bits(definition: Definition, word: int, content: Content) -> None:
    if definition.quantity == "status_word_3":
        status = StatusWord3.from_int(word)
        content.say("relay_state", "off" if status.relay_open else "on")
        content.say("relay_command", "off" if status.relay_command_open else "on")
        content.say("keep_power", "on" if status.keep_power else "off")
    elif definition.quantity == "status_word" and definition.di & 0xFF in (4, 5, 6):
        faults = [name for bit, name in enumerate(PHASE_FAULTS) if word >> bit & 1]
        content.say("faults", ", ".join(faults) or "none")


def _read(dialect: Dialect, frame: Frame, content: Content) -> None:
    definition, rest = _identified(dialect, frame, content)
    if frame.from_meter:
        _item(definition, rest, content)
    elif rest:
        content.say("blocks", str(rest[0]))
        if len(rest) > 1:
            content.say("from", Stamp("YYMMDDhhmm").text(Stamp("YYMMDDhhmm").decode(rest[1:])))


def _read_follow(dialect: Dialect, frame: Frame, content: Content) -> None:
    """A part of an item alone; only the whole would tell its values."""
    _, rest = _identified(dialect, frame, content)
    if dialect.follow_numbered and rest:
        content.say("sequence", str(rest[-1]))
        rest = rest[:-1]
    if rest:
        content.say("raw", rest.hex())


def _write(dialect: Dialect, frame: Frame, content: Content) -> None:
    if frame.from_meter:
        return _plain(dialect, frame, content)
    definition, rest = _identified(dialect, frame, content)
    _authority(dialect, rest, content)
    return _item(definition, rest[dialect.authority_size :], content)


def _authority(dialect: Dialect, data: bytes, content: Content) -> None:
    """Level and password; the operator where the edition has one."""
    size = dialect.authority_size
    if len(data) < size:
        raise DataTooShort("an authority", size, len(data))
    authority = Authority.decode(data[:size].ljust(8, b"\0"))
    content.say("password_level", f"{authority.level:02X}")
    content.say("password", authority.password)
    if size == 8:
        content.say("operator", authority.operator)


def _address(_: Dialect, frame: Frame, content: Content) -> None:
    if not frame.data:
        return
    address = decode_address(frame.data[:6])
    if address is None:
        raise NotBcd("an address", frame.data[:6])
    content.say("address", address)


def _control(dialect: Dialect, frame: Frame, content: Content) -> None:
    if frame.from_meter:
        return _plain(dialect, frame, content)
    order = decode_control(frame.data)
    content.meaning = _COMMANDS.get(order.action, "unknown order")
    _authority(dialect, frame.data, content)
    content.say("N1", f"{order.action:02X}")
    content.say("N2", f"{order.channel:02X}")
    content.say("command", content.meaning)
    content.say("valid_until_ssmmhhDDMMYY", order.valid_until.hex())
    until = order.valid_until_local
    return content.say("valid_until", until.isoformat(sep=" ") if until else None)


def _security(dialect: Dialect, frame: Frame, content: Content) -> None:
    if frame.from_meter and not frame.data:
        return _plain(dialect, frame, content)
    di, rest = dialect.split(frame.data)
    content.identifier = dialect.printed(di)
    content.meaning = secure.NAMES.get(di, "unknown data identifier")
    layouts = secure.REPLIES
    if not frame.from_meter:
        layouts = secure.REQUESTS
        content.say("operator", rest[secure.OPERATOR_SIZE - 1 :: -1].hex())
        rest = rest[secure.OPERATOR_SIZE :]
    layout = layouts.get((di, len(rest)))
    if layout is not None:
        _row(layout, layout.decode(rest), content)
    elif rest:
        content.say("raw", rest.hex())
    return None


def _broadcast_time(_: Dialect, frame: Frame, content: Content) -> None:
    layout = Stamp("YYMMDDhhmmss")
    content.say("time", layout.text(layout.decode(frame.data)))


def _freeze(dialect: Dialect, frame: Frame, content: Content) -> None:
    if frame.from_meter:
        return _plain(dialect, frame, content)
    layout = Pairs("MMDDhhmm")
    return content.say("freeze_at_MM:DD:hh:mm", layout.text(layout.decode(frame.data)))


def _baud(_: Dialect, frame: Frame, content: Content) -> None:
    code = frame.data[:1].hex()
    content.say("rate", _BAUDS.get(frame.data[0], code) if frame.data else "", "bit/s")


def _ordered(dialect: Dialect, frame: Frame, content: Content) -> None:
    """Clears carry the authority and, for events, which events."""
    if frame.from_meter or len(frame.data) < dialect.authority_size:
        return _plain(dialect, frame, content)
    _authority(dialect, frame.data, content)
    rest = frame.data[dialect.authority_size :]
    if len(rest) >= dialect.identifier_size:
        di, _ = dialect.split(rest)
        content.identifier = dialect.printed(di)
    return None


# By the words both editions have for their functions.
_READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "read": _read,
        "read again": _read,
        "read follow-up": _read_follow,
        "write": _write,
        "read address": _address,
        "write address": _address,
        "remote control": _control,
        _SECURITY_FUNCTION: _security,
        "broadcast time": _broadcast_time,
        "freeze": _freeze,
        "change baud": _baud,
        "maximum-demand clear": _ordered,
        "meter clear": _ordered,
        "event clear": _ordered,
    }
)
