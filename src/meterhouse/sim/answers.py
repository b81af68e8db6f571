"""What a simulated meter answers to a frame: requests of DL/T 645-2007 and -1997.

Owns functions, passwords, errors, remote control and follow-up frames of the meter's role. Must
never know how energy comes about (`meter`) or what an identifier's bytes are (`items`).

Unsettled against the standard and therefore only this meter's habit: that broadcast time is taken
within five minutes alone, and that an order which lapsed or which keep-power forbids is refused
with "other error".
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meterhouse.errors import BadInput
from meterhouse.sim.instant import MINUTE_MS, wall_ms_of
from meterhouse.sim.items import (
    ITEMS_1997,
    ITEMS_2007,
    PARAMETERS,
    Reader,
    set_wall,
    write_item,
)
from meterhouse.sim.meter import SimMeter
from meterhouse.wire.dlt645 import (
    ABNORMAL,
    BROADCAST,
    BROADCAST_TIME,
    CONTROL,
    FOLLOWS,
    FROM_METER,
    READ_ADDRESS,
    Action,
    Authority,
    Frame,
    Refusal,
    RemoteControl,
    decode_control,
    encode_address,
    encode_refusal,
)

BROADCAST_TIME_MAX_MS = 5 * MINUTE_MS
"""How far a broadcast may move the clock; unsettled against the standard."""


@dataclass(frozen=True, slots=True)
class Edition:
    """Where the two editions differ in the meter's role.

    Attributes:
        read: control code of a read.
        follow: control code of a follow-up read.
        write: control code of a write.
        identifier_bytes: length of a data identifier.
        operator: whether a write names an operator behind the password.
        items: what can be read.
    """

    read: int
    follow: int
    write: int
    identifier_bytes: int
    operator: bool
    items: Mapping[int, Reader]


DLT645_2007 = Edition(0x11, 0x12, 0x14, 4, True, ITEMS_2007)
DLT645_1997 = Edition(0x01, 0x02, 0x04, 2, False, ITEMS_1997)


class MeterFace:
    """A meter as the bus sees it.

    Args:
        meter: the physics; whoever asks advances it first.
        edition: which protocol it speaks.
        level: the password level that may write and switch.
        checks_validity: whether it ignores orders whose instant has passed.
        data_max: bytes of an item one frame carries before the rest follows.
    """

    __slots__ = ("_held", "_level", "_validity", "address", "data_max", "edition", "meter")

    def __init__(
        self,
        meter: SimMeter,
        edition: Edition = DLT645_2007,
        *,
        level: int = 2,
        checks_validity: bool = True,
        data_max: int = 190,
    ) -> None:
        self.meter = meter
        self.address = meter.spec.address
        self.edition = edition
        self.data_max = data_max
        self._level = level
        self._validity = checks_validity
        self._held: tuple[bytes, bytes] | None = None

    def answer(self, request: Frame) -> list[Frame]:
        """The answers to a request that concerns this meter: one, or none."""
        control = request.control
        edition = self.edition
        if control == edition.read:
            return [self._read(request)]
        if request.address == BROADCAST:
            if control == BROADCAST_TIME:
                self._take_time(request.data)
            return []
        if control == READ_ADDRESS and edition is DLT645_2007:
            return [self._reply(control, encode_address(self.address))]
        if control == edition.follow:
            return [self._follow(request)]
        if control == edition.write:
            return [self._write(request)]
        if control == CONTROL and edition is DLT645_2007:
            return [self._switch(request)]
        return [self._refuse(control, Refusal.OTHER)]

    def zeroed(self, answer: Frame) -> Frame | None:
        """The same answer with every register at zero, if it carries energy."""
        head = self.edition.identifier_bytes
        energy = 0x90 if head == 2 else 0x00
        if answer.control != self.edition.read | FROM_METER or answer.data[head - 1] != energy:
            return None
        blank = answer.data[:head] + bytes(len(answer.data) - head)
        return Frame(answer.address, answer.control, blank)

    def _reply(self, control: int, data: bytes = b"") -> Frame:
        return Frame(self.address, control | FROM_METER, data)

    def _refuse(self, control: int, refusal: Refusal) -> Frame:
        return Frame(self.address, control | FROM_METER | ABNORMAL, encode_refusal(refusal))

    # ---- reading

    def _read(self, request: Frame) -> Frame:
        size = self.edition.identifier_bytes
        head = request.data[:size]
        di = int.from_bytes(head, "little")
        reader = self.edition.items.get(di)
        data = reader(self.meter) if reader is not None else None
        if data is None and reader is None:
            data = (self.meter.parameters or PARAMETERS).get(di) or PARAMETERS.get(di)
        if data is None or len(head) != size:
            return self._refuse(request.control, Refusal.NO_SUCH_DATA)
        if len(data) <= self.data_max:
            return Frame(self.address, request.control | FROM_METER, head + data)
        self._held = (head, data)
        return self._reply(request.control | FOLLOWS, head + data[: self.data_max])

    def _follow(self, request: Frame) -> Frame:
        """The next part of a block, whose parts are numbered from 1."""
        size = self.edition.identifier_bytes
        head, sequence = request.data[:size], request.data[size : size + 1]
        if self._held is None or self._held[0] != head or not sequence:
            return self._refuse(request.control, Refusal.NO_SUCH_DATA)
        data = self._held[1]
        at = sequence[0] * self.data_max
        part = data[at : at + self.data_max]
        if not part or sequence[0] == 0:
            return self._refuse(request.control, Refusal.NO_SUCH_DATA)
        more = FOLLOWS if at + self.data_max < len(data) else 0
        return self._reply(request.control | more, head + part + sequence)

    # ---- writing

    def _allowed(self, authority: Authority) -> bool:
        return authority.level == self._level and authority.password == self.meter.spec.password

    def _write(self, request: Frame) -> Frame:
        size = self.edition.identifier_bytes
        head_bytes = size + (8 if self.edition.operator else 4)
        if len(request.data) <= head_bytes:
            return self._refuse(request.control, Refusal.OTHER)
        di = int.from_bytes(request.data[:size], "little")
        authority = Authority.decode(request.data[size:head_bytes].ljust(8, b"\0"))
        if not self._allowed(authority):
            return self._refuse(request.control, Refusal.WRONG_PASSWORD)
        try:
            done = write_item(self.meter, _IN_2007.get(di, di), request.data[head_bytes:])
        except KeyError:
            return self._refuse(request.control, Refusal.NO_SUCH_DATA)
        return self._reply(request.control) if done else self._refuse(request.control, _OTHER)

    def _take_time(self, data: bytes) -> None:
        """Broadcast time ss mm hh DD MM YY, if it does not move the clock too far."""
        before_ms = self.meter.shown_ms
        if len(data) != 6 or not set_wall(self.meter, data[::-1].hex()):
            return
        if abs(self.meter.shown_ms - before_ms) > BROADCAST_TIME_MAX_MS:
            self.meter.set_clock(before_ms)

    # ---- remote control

    def _switch(self, request: Frame) -> Frame:
        try:
            order = decode_control(request.data)
        except BadInput:
            return self._refuse(request.control, Refusal.OTHER)
        if not self._allowed(order.authority):
            return self._refuse(request.control, Refusal.WRONG_PASSWORD)
        if self._lapsed(order) or not self._obey(order.action):
            return self._refuse(request.control, Refusal.OTHER)
        return self._reply(request.control)

    def _lapsed(self, order: RemoteControl) -> bool:
        until = order.valid_until_local
        if not self._validity:
            return False
        return until is None or wall_ms_of(until) < self.meter.shown_ms

    def _obey(self, action: int) -> bool:
        meter = self.meter
        if action == Action.TRIP:
            return meter.trip()
        if action == Action.PERMIT:
            meter.permit_close()
        elif action == Action.CLOSE:
            meter.close()
        elif action in (Action.KEEP_POWER, Action.KEEP_POWER_OFF):
            meter.set_keep_power(action == Action.KEEP_POWER)
        return action in tuple(Action)


_OTHER = Refusal.OTHER
_IN_2007 = {0xC010: 0x04000101, 0xC011: 0x04000102}
"""Identifiers of the 1997 edition that can be written, and what they are called in the later one."""
