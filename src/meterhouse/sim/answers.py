"""What a simulated meter answers to a frame: requests of DL/T 645-2007 and -1997.

Owns functions, passwords, errors, remote control and follow-up frames of the meter's role. Must
never know how energy comes about (`meter`) or what an identifier's bytes are (`items`).

Unsettled against the standard and therefore only this meter's habit: that broadcast time is taken
within five minutes alone, and that an order which lapsed or which keep-power forbids is refused
with "other error".
"""

from collections.abc import Mapping
from dataclasses import replace

from meterhouse.errors import BadInput
from meterhouse.ports import Action
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
from meterhouse.sim.purse import PowerCut, Refused, SimPurse
from meterhouse.wire.dlt645 import (
    ABNORMAL,
    BROADCAST,
    BROADCAST_TIME,
    DIALECTS,
    DLT645_1997,
    DLT645_2007,
    FOLLOWS,
    FROM_METER,
    SECURITY,
    Authority,
    Frame,
    Refusal,
    RemoteControl,
    decode_control,
    encode_address,
    encode_refusal,
    split_parts,
)
from meterhouse.wire.dlt645.control import AUTHORITY_SIZE
from meterhouse.wire.dlt645.dialect import REPLY_MAX

BROADCAST_TIME_MAX_MS = 5 * MINUTE_MS
"""How far a broadcast may move the clock; unsettled against the standard."""


ITEMS: Mapping[str, Mapping[int, Reader]] = {
    DLT645_2007.name: ITEMS_2007,
    DLT645_1997.name: ITEMS_1997,
}


class MeterFace:
    """A meter as the bus sees it.

    Args:
        meter: the physics; whoever asks advances it first.
        reply_max: data bytes of one reply before the rest has to be fetched by follow-up reads.
    """

    __slots__ = (
        "_items", "_parts", "_parts_sent", "_reply_max", "address", "dialect", "meter", "purse",
    )  # fmt: skip

    def __init__(self, meter: SimMeter, reply_max: int = REPLY_MAX) -> None:
        self.meter = meter
        self.address = meter.spec.address
        self.dialect = DIALECTS[meter.model.protocol]
        self._items = ITEMS[self.dialect.name]
        self._reply_max = reply_max
        self._parts: list[bytes] = []
        self._parts_sent = 0
        self.purse = SimPurse(meter) if meter.model.wallet != "none" else None

    def answer(self, request: Frame) -> list[Frame]:
        """The answers to a request that concerns this meter: one, or none."""
        control = request.control
        dialect = self.dialect
        if request.address == BROADCAST:
            if control == BROADCAST_TIME:
                self._take_time(request.data)
            return []
        if control == dialect.read:
            return [self._read(request)]
        if control == dialect.read_address:
            return [self._reply(control, encode_address(self.address))]
        if control == dialect.read_follow:
            return [self._follow(request)]
        if control == dialect.write:
            return [self._write(request)]
        if control == dialect.control:
            return [self._switch(request)]
        if control == SECURITY and self.purse is not None:
            return self._pay(self.purse, request)
        return [self._refuse(control, Refusal.OTHER)]

    def zeroed(self, answer: Frame) -> Frame | None:
        """The same answer with every register at zero, if it carries energy."""
        head = self.dialect.identifier_size
        energy_class = _ENERGY_CLASS[self.dialect.name]
        if (
            answer.control != self.dialect.read | FROM_METER
            or answer.data[head - 1] != energy_class
        ):
            return None
        return Frame(answer.address, answer.control, answer.data[:head].ljust(len(answer.data), _0))

    def halved(self, request: Frame) -> Frame | None:
        """A write of which only the low half of the bytes is new, if the request is a write."""
        head = self.dialect.identifier_size + self.dialect.authority_size
        if request.control != self.dialect.write or len(request.data) <= head:
            return None
        di = int.from_bytes(request.data[: self.dialect.identifier_size], "little")
        fresh = request.data[head:]
        half, kept = len(fresh) // 2, self._payload(di) or bytes(len(fresh))
        return replace(request, data=request.data[:head] + fresh[:half] + kept[half : len(fresh)])

    def _reply(self, control: int, data: bytes = b"") -> Frame:
        return Frame(self.address, control | FROM_METER, data)

    def _refuse(self, control: int, refusal: Refusal) -> Frame:
        return Frame(self.address, control | FROM_METER | ABNORMAL, encode_refusal(refusal))

    # ---- reading

    def _read(self, request: Frame) -> Frame:
        size = self.dialect.identifier_size
        head = request.data[:size]
        payload = self._payload(int.from_bytes(head, "little")) if len(head) == size else None
        if payload is None:
            return self._refuse(request.control, Refusal.NO_SUCH_DATA)
        if size + len(payload) <= self._reply_max:
            return Frame(self.address, request.control | FROM_METER, head + payload)
        di = int.from_bytes(head, "little")
        self._parts = split_parts(self.dialect, di, payload, self._reply_max)
        self._parts_sent = 1
        return self._reply(request.control | FOLLOWS, self._parts[0])

    def _payload(self, di: int) -> bytes | None:
        reader = self._items.get(di)
        if reader is not None:
            return reader(self.meter)
        parameter = self._parameter(di)
        return self.meter.parameters.get(parameter) or PARAMETERS.get(parameter)

    def _parameter(self, di: int) -> int:
        """The identifier under which the meter keeps a parameter."""
        return di if self.dialect is DLT645_2007 else _IN_2007.get(di, di)

    def _follow(self, request: Frame) -> Frame:
        """The part of a block that the number asks for, or the next one where none is sent."""
        size = self.dialect.identifier_size
        index = self._parts_sent
        if self.dialect.follow_numbered:
            index = request.data[size] if len(request.data) > size else 0
        parts = self._parts
        if not 0 < index < len(parts) or not parts[index].startswith(request.data[:size]):
            return self._refuse(request.control, Refusal.NO_SUCH_DATA)
        self._parts_sent = index + 1
        more = FOLLOWS if index + 1 < len(parts) else 0
        return self._reply(request.control | more, parts[index])

    # ---- writing

    def _allowed(self, authority: Authority, level: int) -> bool:
        return authority.level == level and authority.password == self.meter.spec.password

    def _write(self, request: Frame) -> Frame:
        size = self.dialect.identifier_size
        at = size + self.dialect.authority_size
        if len(request.data) <= at:
            return self._refuse(request.control, Refusal.OTHER)
        di = int.from_bytes(request.data[:size], "little")
        authority = Authority.decode(request.data[size:at].ljust(AUTHORITY_SIZE, _0))
        if not self._allowed(authority, self.meter.model.write_level):
            return self._refuse(request.control, Refusal.WRONG_PASSWORD)
        try:
            written = write_item(self.meter, self._parameter(di), request.data[at:])
        except KeyError:
            return self._refuse(request.control, Refusal.NO_SUCH_DATA)
        if not written:
            return self._refuse(request.control, Refusal.OTHER)
        return self._reply(request.control)

    def _take_time(self, data: bytes) -> None:
        """Broadcast time ss mm hh DD MM YY, if it does not move the clock too far."""
        before_ms = self.meter.shown_ms
        if len(data) != 6 or not set_wall(self.meter, data[::-1].hex()):
            return
        if abs(self.meter.shown_ms - before_ms) > BROADCAST_TIME_MAX_MS:
            self.meter.set_clock(before_ms)

    # ---- money

    def _pay(self, purse: SimPurse, request: Frame) -> list[Frame]:
        try:
            said = purse.answer(request.data)
        except PowerCut:
            return []
        if isinstance(said, Refused):
            code = self.meter.model.wallet_refusals.get(said, Refusal.OTHER)
            data = bytes([code])
            return [Frame(self.address, request.control | FROM_METER | ABNORMAL, data)]
        return [self._reply(request.control, said)]

    # ---- remote control

    def _switch(self, request: Frame) -> Frame:
        try:
            order = decode_control(request.data)
        except BadInput:
            return self._refuse(request.control, Refusal.OTHER)
        if not self._allowed(order.authority, self.meter.model.control_level):
            return self._refuse(request.control, Refusal.WRONG_PASSWORD)
        if self._lapsed(order) or not self._obey(order.action):
            return self._refuse(request.control, Refusal.OTHER)
        return self._reply(request.control)

    def _lapsed(self, order: RemoteControl) -> bool:
        """Whether the order's validity is not what this model wants to see."""
        wanted = _VALIDITY.get(self.meter.model.validity)
        if wanted is not None:
            return order.valid_until != wanted
        until = order.valid_until_local
        return until is None or wall_ms_of(until) < self.meter.shown_ms

    def _obey(self, code: int) -> bool:
        meter = self.meter
        codes = meter.model.control_codes
        if code == codes.get(Action.DISCONNECT):
            return meter.trip()
        if code == codes.get(Action.ALLOW_CONNECT):
            meter.permit_close()
        elif code == codes.get(Action.CONNECT):
            meter.close()
        elif code == codes.get(Action.KEEP_POWER_ON):
            meter.set_keep_power(True)
        elif code == codes.get(Action.KEEP_POWER_OFF):
            meter.set_keep_power(False)
        else:
            return False
        return True


class StrangeFace(MeterFace):
    """A device that says its address and nothing else: what a search meets and nobody knows."""

    __slots__ = ()

    # It has nothing, whatever it is asked for.
    def _payload(self, di: int) -> bytes | None:  # noqa: ARG002
        return None


_VALIDITY = {"zeros": bytes(6), "nines": b"\x99" * 6}
_0 = b"\0"
_ENERGY_CLASS = {DLT645_2007.name: 0x00, DLT645_1997.name: 0x90}
"""The high byte of identifiers that stand for energy."""

_IN_2007 = {0xC010: 0x04000101, 0xC011: 0x04000102, 0xC117: 0x04000B01}
"""Parameters of the 1997 edition, and the identifiers the later one gave them."""
