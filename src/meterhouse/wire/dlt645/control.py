"""The payload of remote control (C = 1C): who orders, what, on which channel, until when.

    PA P0 P1 P2 | C0 C1 C2 C3 | N1 | N2 | ss mm hh DD MM YY

Owns these sixteen bytes. Must never know whether the order is wise. The password is left out of
every `repr`, because these values end up in logs.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from meterhouse.errors import Unreadable
from meterhouse.wire.dlt645.layout import DataTooShort, ItemUnfit, NotBcd

AUTHORITY_SIZE = 8
CONTROL_SIZE = 16


class Action(IntEnum):
    """N1, what the relay is to do (拉闸, 合闸允许, 直接合闸, 报警, 报警解除, 保电, 保电解除)."""

    TRIP = 0x1A
    PERMIT = 0x1B
    CLOSE = 0x1C
    ALARM = 0x2A
    ALARM_OFF = 0x2B
    KEEP_POWER = 0x3A
    KEEP_POWER_OFF = 0x3B


@dataclass(frozen=True, slots=True)
class Authority:
    """Who writes or switches: password level, password (6 digits) and operator (8 hex digits).

    Levels: 02 normal, 04 programming; 98 and 99 are sessions of the security module and not
    settled against the standard.
    """

    level: int
    password: str = field(repr=False)
    operator: str = "00000000"

    def encode(self) -> bytes:
        """Eight bytes PA P0 P1 P2 C0 C1 C2 C3, each part low byte first.

        Raises:
            Unreadable: the password is not 6 digits or the operator not 8 hexadecimal digits.
        """
        try:
            password, operator = bytes.fromhex(self.password), bytes.fromhex(self.operator)
        except ValueError:
            raise Unreadable("authority", self.operator, "6 digits and 8 hex digits") from None
        if len(password) != 3 or len(operator) != 4:
            raise Unreadable("authority", self.operator, "6 digits and 8 hex digits")
        return b"%c%b%b" % (self.level, password[::-1], operator[::-1])

    @classmethod
    def decode(cls, data: bytes) -> "Authority":
        """The authority at the front of a write's or control's data.

        Raises:
            DataTooShort: fewer than eight bytes.
        """
        if len(data) < AUTHORITY_SIZE:
            raise DataTooShort("an authority", AUTHORITY_SIZE, len(data))
        return cls(data[0], data[3:0:-1].hex(), data[7:3:-1].hex())


@dataclass(frozen=True, slots=True)
class RemoteControl:
    """One remote-control order.

    `valid_until` are the six wire bytes ss mm hh DD MM YY: meters of the wild want an instant, all
    zeros or all 99 there, so they are kept as they are. `channel` is N2 (00; one vendor family
    numbers its relays from 01).
    """

    authority: Authority
    action: int
    valid_until: bytes
    channel: int = 0

    @property
    def valid_until_local(self) -> datetime | None:
        """The meter-local instant the order lapses, or None when the bytes are not an instant."""
        digits = self.valid_until[::-1].hex()
        if not digits.isdecimal():
            return None
        year, month, day, hour, minute, second = (int(digits[i : i + 2]) for i in range(0, 12, 2))
        try:
            return datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001
        except ValueError:
            return None


def validity(local_time: datetime) -> bytes:
    """The six bytes ss mm hh DD MM YY of a meter-local instant."""
    return bytes.fromhex(local_time.strftime("%y%m%d%H%M%S"))[::-1]


def encode_control(order: RemoteControl) -> bytes:
    """The sixteen data bytes of an order.

    Raises:
        Unreadable: password or operator are not digits of their length.
        ItemUnfit: the validity is not six bytes.
    """
    if len(order.valid_until) != 6:
        raise ItemUnfit(order.valid_until, "six bytes of validity")
    head = order.authority.encode()
    return b"%b%c%c%b" % (head, order.action, order.channel, order.valid_until)


def decode_control(data: bytes) -> RemoteControl:
    """The order in the data of a 1C request.

    Raises:
        DataTooShort: fewer than sixteen bytes.
        NotBcd: the password is not made of digits.
    """
    if len(data) < CONTROL_SIZE:
        raise DataTooShort("a remote control", CONTROL_SIZE, len(data))
    authority = Authority.decode(data)
    if not authority.password.isdecimal():
        raise NotBcd("a password", data[1:4])
    return RemoteControl(authority, data[8], data[10:16], data[9])
