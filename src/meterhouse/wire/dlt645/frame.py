"""The DL/T 645 frame, both editions and both roles: encode, and decode from a stream.

    FE FE FE FE | 68 | A0 … A5 | 68 | C | L | DATA (+33H each) | CS | 16

Owns framing alone: addresses, the checksum over everything from the first 68, the 33H offset, and
finding frames again after damage. Must never know what the data means. Lines are dirty: frames
arrive split, merged, behind wake-up bytes, behind the text a DTU says of itself, with bits
flipped, or from a neighbour. So decoding is total: any bytes give frames or `FrameError` values.

How the stream is searched: a candidate starts at a 68 whose eighth byte is 68 too. It is judged
when enough bytes have come. If it fails, the search goes on *one byte* later, because a 68 inside
an address or data is legal and the true frame may start within the false one. Every byte is told
about once: what a failed candidate covered is not reported again as noise.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from meterhouse.errors import OutOfRange, Unreadable

# Function codes of the 2007 edition (C without direction, error and follow-up bits).
SECURITY = 0x03
BROADCAST_TIME = 0x08
READ = 0x11
READ_FOLLOW = 0x12
READ_ADDRESS = 0x13
WRITE = 0x14
WRITE_ADDRESS = 0x15
FREEZE = 0x16
CONTROL = 0x1C

FROM_METER = 0x80
ABNORMAL = 0x40
FOLLOWS = 0x20

START = 0x68
END = 0x16
WAKE = 0xFE
OVERHEAD = 12
DATA_MAX = 255
WAKE_MAX = 32

WILDCARD = "A" * 12
BROADCAST = "9" * 12

_PLUS_33 = bytes((byte + 0x33) & 0xFF for byte in range(256))
_MINUS_33 = bytes((byte - 0x33) & 0xFF for byte in range(256))
_ADDRESS = re.compile(r"(?:AA)*[0-9]*")
_HEAD = bytes([START])
_WAKE = bytes([WAKE])


class Fault(StrEnum):
    """Why bytes are not a frame.

    NOISE: outside every candidate. BAD_CHECKSUM: the sum differs. BAD_LENGTH: no 16 where L says.
    NON_BCD_ADDRESS: an address byte is neither BCD nor a leading AA. TRUNCATED: the line went
    quiet inside a candidate.
    """

    NOISE = "noise"
    BAD_CHECKSUM = "bad_checksum"
    BAD_LENGTH = "bad_length"
    NON_BCD_ADDRESS = "non_bcd_address"
    TRUNCATED = "truncated"


@dataclass(frozen=True, slots=True)
class Frame:
    """One DL/T 645 frame, without wake-up bytes, checksum and 33H offset.

    Attributes:
        address: 12 digits as printed on the meter; leading `AA` pairs are wildcards.
        control: C as sent, 0 to 255.
        data: DATA with 33H already subtracted, 0 to 255 bytes.
    """

    address: str
    control: int
    data: bytes = b""

    @property
    def from_meter(self) -> bool:
        """D7: the frame travels from the meter to the master."""
        return self.control & FROM_METER != 0

    @property
    def abnormal(self) -> bool:
        """D6: the meter answers with an error."""
        return self.control & ABNORMAL != 0

    @property
    def follows(self) -> bool:
        """D5: more data waits to be fetched by a follow-up read."""
        return self.control & FOLLOWS != 0

    @property
    def function(self) -> int:
        """D4 to D0: what is asked or answered."""
        return self.control & 0x1F


@dataclass(frozen=True, slots=True)
class FrameError:
    """Bytes that are not a frame, and why; a value, because damage on a line is expected."""

    code: Fault
    raw: bytes


Decoded: TypeAlias = Frame | FrameError


def pad_address(text: str) -> str:
    """The 12-digit form of an address as people type it: zeros in front, wildcards upper case.

    Raises:
        Unreadable: not decimal digits behind optional `AA` pairs, or more than 12.
    """
    digits = text.strip().upper()
    address = digits.zfill(12)
    if not digits or len(address) != 12 or _ADDRESS.fullmatch(address) is None:
        raise Unreadable(what="meter address", text=text, wanted="up to 12 digits")
    return address


def address_matches(pattern: str, address: str) -> bool:
    """Whether a request to `pattern` (leading `AA` pairs match anything) concerns `address`."""
    return pattern == address or address.endswith(pattern.lstrip("A"))


def encode_address(address: str) -> bytes:
    """Six bytes, least significant pair first.

    Raises:
        Unreadable: not a 12-digit address.
    """
    return bytes.fromhex(pad_address(address))[::-1]


def decode_address(raw: bytes) -> str | None:
    """The printed address of six wire bytes, or None when they are not BCD (or leading AA)."""
    address = raw[5::-1].hex().upper()
    return address if len(address) == 12 and _ADDRESS.fullmatch(address) else None


def encode(frame: Frame, wake: int = 4) -> bytes:
    """The bytes of a frame behind `wake` wake-up bytes (0 to 32; four are usual).

    Raises:
        Unreadable: the address is not 12 digits with optional leading `AA` pairs.
        OutOfRange: more data than a length byte can say, or too many wake-up bytes.
    """
    if len(frame.data) > DATA_MAX:
        raise OutOfRange("data bytes", len(frame.data), 0, DATA_MAX)
    if not 0 <= wake <= WAKE_MAX:
        raise OutOfRange("wake-up bytes", wake, 0, WAKE_MAX)
    body = b"%c%b%c%c%c%b" % (
        START,
        encode_address(frame.address),
        START,
        frame.control,
        len(frame.data),
        frame.data.translate(_PLUS_33),
    )
    return b"%b%b%c%c" % (_WAKE * wake, body, sum(body) & 0xFF, END)


def _clean(data: bytes) -> Frame | None:
    """The frame, when `data` is exactly one undamaged frame behind optional wake-up bytes.

    This is how nearly every reply arrives, so it is worth a path without a search.
    """
    if data[:1] == _WAKE:
        data = data.lstrip(_WAKE)
    size = len(data)
    if (
        size < OVERHEAD
        or data[0] != START
        or data[7] != START
        or data[9] != size - OVERHEAD
        or data[-1] != END
        or sum(data[:-2]) & 0xFF != data[-2]
    ):
        return None
    address = data[6:0:-1].hex()
    if not address.isdecimal():
        return None
    return Frame(address, data[8], data[10:-2].translate(_MINUS_33))


def _judge(buffer: bytes, start: int) -> Decoded | None:
    """The frame or the fault of the candidate at `start`; None while bytes are missing.

    A fault's `raw` is empty when the eighth byte is not 68: then nothing pretended to be a frame.
    """
    rest = len(buffer) - start
    if rest < 8:
        return None
    if buffer[start + 7] != START:
        return FrameError(Fault.NOISE, b"")
    address = decode_address(buffer[start + 1 : start + 7])
    if address is None:
        return FrameError(Fault.NON_BCD_ADDRESS, buffer[start : start + 8])
    if rest < 10 or rest < (size := buffer[start + 9] + OVERHEAD):
        return None
    raw = buffer[start : start + size]
    if raw[-1] != END:
        return FrameError(Fault.BAD_LENGTH, raw)
    if sum(raw[:-2]) & 0xFF != raw[-2]:
        return FrameError(Fault.BAD_CHECKSUM, raw)
    return Frame(address, raw[8], raw[10:-2].translate(_MINUS_33))


class Decoder:
    """Finds frames in a stream that arrives in any portions; never raises.

    Keeps at most one undecided candidate (fewer than 267 bytes) between two calls. The frames
    found do not depend on how the stream was cut into portions.
    """

    __slots__ = ("_buffer", "_told")

    def __init__(self) -> None:
        self._buffer = b""
        self._told = 0  # so many bytes at the front of the buffer have been reported already

    def feed(self, data: bytes) -> list[Decoded]:
        """Frames and faults that `data` completes, in order of arrival."""
        if not self._buffer:
            frame = _clean(data)
            if frame is not None:
                return [frame]
        return self._search(self._buffer + data, quiet=False)

    def flush(self) -> list[Decoded]:
        """What waits in the buffer, now that the line has gone quiet.

        A candidate that can no longer be completed is reported as truncated, and the frames it
        hid behind a false length come out.
        """
        return self._search(self._buffer, quiet=True)

    def _search(self, buffer: bytes, quiet: bool) -> list[Decoded]:
        found: list[Decoded] = []
        told = self._told
        at = 0
        while (start := buffer.find(_HEAD, at)) >= 0:
            verdict = _judge(buffer, start)
            if verdict is None:
                if not quiet:
                    break
                verdict = FrameError(Fault.TRUNCATED, buffer[start:])
            at = start + 1
            if isinstance(verdict, FrameError) and (start < told or not verdict.raw):
                continue  # told already with the candidate that covered it, or mere noise
            _tell_noise(found, buffer[told:start])
            found.append(verdict)
            if isinstance(verdict, Frame):
                at = start + OVERHEAD + len(verdict.data)
                told = max(told, at)
            else:
                told = start + len(verdict.raw)
        if start < 0:
            start = len(buffer)
        _tell_noise(found, buffer[told:start])
        self._buffer = buffer[start:]
        self._told = max(told - start, 0)
        return found


def _tell_noise(found: list[Decoded], noise: bytes) -> None:
    """Report bytes between frames; wake-up bytes are no noise."""
    if noise := noise.strip(_WAKE):
        found.append(FrameError(Fault.NOISE, noise))
