"""The RS-485 side of a gateway: requests in, bytes out, with whatever goes wrong on the way.

Owns who on the bus answers a frame, the faults between meter and wire, and the timing of the wire.
Must never do I/O: `gateway` puts the bytes on a socket, and the conformance kit feeds them to a
driver by hand, so both meet the same faults.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_

from meterhouse.sim.answers import MeterFace
from meterhouse.sim.dice import Dice
from meterhouse.sim.faults import CLOCK_JUMP_MS, LATE_COPY_MS, SLOW_MS, Fault, Faults
from meterhouse.sim.purse import Cut
from meterhouse.wire.dlt645 import (
    ABNORMAL,
    BROADCAST,
    CONTROL,
    FROM_METER,
    SECURITY,
    Decoder,
    Frame,
    address_matches,
    encode,
)

_REFUSED = b"\x01"
_BITS_PER_BYTE = 11  # start, eight data, even parity, stop


@dataclass(frozen=True, slots=True)
class LineTiming:
    """How long the wire takes: `baud` in bit/s, and the meter's pause before it answers."""

    baud: int = 2400
    pause_ms: int = 50

    def delay_ms(self, asked_bytes: int, answered_bytes: int) -> int:
        """From the first byte of a request to the last byte of its answer."""
        bits = (asked_bytes + answered_bytes) * _BITS_PER_BYTE
        return self.pause_ms + -(-bits * 1000 // self.baud)


@dataclass(frozen=True, slots=True)
class Reply:
    """Bytes on the wire, and how long after the request the last of them has arrived."""

    data: bytes
    delay_ms: int = 0


class Bus:
    """The meters on one pair of wires.

    Args:
        faces: the meters.
        faults: switches shared with the gateway in front.
        timing: None answers at once.
        seed: what noise is rolled from.
    """

    __slots__ = ("_dice", "_faces", "_late", "faults", "timing")

    def __init__(
        self,
        faces: Iterable[MeterFace],
        *,
        faults: Faults | None = None,
        timing: LineTiming | None = None,
        seed: int = 0,
    ) -> None:
        self._faces = {face.address: face for face in faces}
        self._dice = Dice(seed)
        self._late: list[tuple[int, MeterFace, Frame]] = []
        self.faults = faults if faults is not None else Faults(seed)
        self.timing = timing

    def exchange(self, request: Frame, at_ms: int) -> Reply | None:
        """What the master hears after one request at a town time; None is silence."""
        if self._late:
            self._deliver_late(at_ms)
        face = self._faces.get(request.address) or self._only(request.address)
        if face is None:
            return self._timed(request, self._together(request, at_ms))
        face.meter.advance(at_ms)
        if self.faults.any_on:
            return self._faulty(face, request)
        return self._timed(request, b"".join([encode(frame) for frame in face.answer(request)]))

    def _only(self, pattern: str) -> MeterFace | None:
        """The one meter a wildcard concerns, if it is one."""
        concerned = [each for each in self._faces.values() if _concerns(pattern, each.address)]
        return concerned[0] if len(concerned) == 1 else None

    def _together(self, request: Frame, at_ms: int) -> bytes:
        """A request to nobody or to several, whose overlapping answers destroy each other.

        Who is out of step waits until the others are done, and is then understood.
        """
        at_once, after = [], b""
        for face in self._faces.values():
            if not _concerns(request.address, face.address):
                continue
            face.meter.advance(at_ms)
            if self.faults.any_on and self._deaf(face):
                continue
            wire = b"".join(encode(frame) for frame in face.answer(request))
            if self.faults.any_on and self.faults.strikes(Fault.LOST_FRAME, face.address):
                continue
            if self.faults.any_on and self.faults.strikes(Fault.OUT_OF_STEP, face.address):
                after += wire
            elif wire:
                at_once.append(wire)
        return self._overlap(at_once) + after

    def _overlap(self, answers: list[bytes]) -> bytes:
        """What is heard of answers that were sent at once: one alone, or no frame at all.

        Where two drivers disagree the line carries one or the other; here it is rolled, and a
        roll that would still read as a frame is spoilt, for frames carry too little to notice.
        """
        if len(answers) < 2:
            return b"".join(answers)
        if self.faults.any_on and self.faults.strikes(Fault.DROWNED):
            return answers[0]
        size = max(len(wire) for wire in answers)
        heard = bytearray(self._dice.noise(size))
        for at in range(size):
            said = [wire[at] for wire in answers if at < len(wire)]
            agreed, any_set = reduce(and_, said), reduce(or_, said)
            heard[at] = agreed | heard[at] & any_set
        for found in Decoder().feed(bytes(heard)):
            if isinstance(found, Frame):
                heard[-2] ^= 0xFF
        return bytes(heard)

    def _timed(self, request: Frame, wire: bytes) -> Reply | None:
        if not wire:
            return None
        if self.timing is None:
            return Reply(wire)
        return Reply(wire, self.timing.delay_ms(len(request.data) + 16, len(wire)))

    # ---- faults

    def _faulty(self, face: MeterFace, request: Frame) -> Reply | None:
        self._befall(face)
        if self._deaf(face):
            return None
        answers = self._answers(face, request)
        if self.faults.strikes(Fault.LOST_FRAME, face.address):
            return None
        wire = b"".join(self._dirty(face, frame) for frame in answers)
        reply = self._timed(request, wire)
        if reply is not None and self.faults.strikes(Fault.SLOW_ANSWER, face.address):
            reply = Reply(reply.data, reply.delay_ms + SLOW_MS)
        return reply

    def _deliver_late(self, at_ms: int) -> None:
        """Copies that lay somewhere arrive at last."""
        due = [each for each in self._late if each[0] <= at_ms]
        self._late = [each for each in self._late if each[0] > at_ms]
        for due_ms, face, request in due:
            face.meter.advance(due_ms)
            face.answer(request)

    def _befall(self, face: MeterFace) -> None:
        """Mishaps of the meter itself."""
        if self.faults.strikes(Fault.ROLLOVER, face.address):
            face.meter.wind_to_rollover()
        if self.faults.strikes(Fault.WRONG_CLOCK, face.address):
            face.meter.set_clock(face.meter.shown_ms + CLOCK_JUMP_MS)

    def _deaf(self, face: MeterFace) -> bool:
        if self.faults.strikes(Fault.RESTART_CLOCK_LOST, face.address):
            face.meter.restart(clock_lost=True)
            return True
        if self.faults.strikes(Fault.RESTART, face.address):
            face.meter.restart(clock_lost=False)
            return True
        return self.faults.strikes(Fault.SILENCE, face.address)

    def _answers(self, face: MeterFace, request: Frame) -> list[Frame]:
        """The meter's answer, or what it pretends."""
        where = face.address
        control = request.control | FROM_METER
        if self.faults.strikes(Fault.LATE_COPY, where):
            self._late.append((face.meter.now_ms + LATE_COPY_MS, face, request))
        if face.purse is not None and request.control == SECURITY:
            if self.faults.strikes(Fault.POWER_CUT, where):
                face.purse.cut = Cut.POWER
            elif self.faults.strikes(Fault.HALF_APPLIED, where):
                face.purse.cut = Cut.REFUSAL
        if self.faults.strikes(Fault.REFUSAL, where):
            return [Frame(where, control | ABNORMAL, _REFUSED)]
        half = face.halved(request)
        if half is not None and self.faults.strikes(Fault.HALF_WRITTEN, where):
            face.answer(half)
            return [Frame(where, control | ABNORMAL, _REFUSED)]
        if request.control == CONTROL and self.faults.strikes(Fault.STUCK_RELAY, where):
            return [Frame(where, control)]
        answers = face.answer(request)
        if answers and self.faults.strikes(Fault.LYING_REFUSAL, where):
            return [Frame(where, control | ABNORMAL, _REFUSED)]
        return answers

    def _dirty(self, face: MeterFace, frame: Frame) -> bytes:
        """One answer's bytes after what happened to them on the way."""
        where = face.address
        zeroed = face.zeroed(frame)
        if zeroed is not None and self.faults.strikes(Fault.ZERO_READING, where):
            frame = zeroed
        if self.faults.strikes(Fault.OTHER_METER, where):
            frame = replace(frame, address=f"{(int(where) + 1) % 10**12:012d}")
        wire = encode(frame)
        if self.faults.strikes(Fault.CORRUPT_CHECKSUM, where):
            wire = wire[:-2] + bytes([wire[-2] ^ 1 << self._dice.below(8)]) + wire[-1:]
        if self.faults.strikes(Fault.GARBAGE, where):
            wire = self._dice.noise(self._dice.between(1, 40)) + wire
        return wire * 2 if self.faults.strikes(Fault.DOUBLED_FRAME, where) else wire


def _concerns(pattern: str, address: str) -> bool:
    return pattern == BROADCAST or address_matches(pattern, address)
