"""What differs between the two editions, as values: control codes, identifiers, write heads.

Owns the translation between a frame's data and (identifier, payload), for both roles. Must never
know a meter model: a dialect says how a thing is asked, a model says whether it may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from meterhouse.errors import OutOfRange
from meterhouse.wire.dlt645 import data07, data97
from meterhouse.wire.dlt645.frame import (
    BROADCAST_TIME,
    CONTROL,
    DATA_MAX,
    FREEZE,
    READ,
    READ_ADDRESS,
    READ_FOLLOW,
    SECURITY,
    WRITE,
    WRITE_ADDRESS,
)
from meterhouse.wire.dlt645.layout import DataTooShort, Item
from meterhouse.wire.dlt645.table import DataUnknown, Definition, Table

REPLY_MAX = 200  # data bytes the standard allows in one read reply


@dataclass(frozen=True, slots=True)
class Dialect:
    """One edition of the protocol.

    Attributes:
        name: as users say it, `dlt645-2007`.
        identifier_size: bytes of a data identifier.
        table: the identifiers and their layouts.
        functions: function code (D4 to D0) to the words for it.
        read, read_follow, write: function codes.
        read_address, control: the same, None where the edition has no such function.
        authority_size: bytes between identifier and data of a write: level, password and, in
            2007, the operator.
        follow_numbered: follow-up reads carry a sequence byte.
    """

    name: str
    identifier_size: int
    table: Table
    functions: Mapping[int, str]
    read: int
    read_follow: int
    write: int
    read_address: int | None
    control: int | None
    authority_size: int
    follow_numbered: bool

    def identifier(self, di: int) -> bytes:
        """The identifier's bytes in wire order."""
        return di.to_bytes(self.identifier_size, "little")

    def printed(self, di: int) -> str:
        """The identifier as documents print it, e.g. `0001FF00`."""
        return f"{di:0{2 * self.identifier_size}X}"

    def split(self, data: bytes) -> tuple[int, bytes]:
        """Identifier and payload of a read reply's, or a request's, data.

        Raises:
            DataTooShort: no room for an identifier.
        """
        size = self.identifier_size
        if len(data) < size:
            raise DataTooShort("an identifier", size, len(data))
        return int.from_bytes(data[:size], "little"), data[size:]

    def describe(self, di: int) -> Definition | None:
        """What an identifier stands for; None when this table has never heard of it."""
        return self.table.find(di)

    def definition(self, di: int) -> Definition:
        """What an identifier stands for.

        Raises:
            DataUnknown: it is not in the table.
        """
        known = self.table.find(di)
        if known is None:
            raise DataUnknown(self.printed(di), self.name)
        return known

    def decode_item(self, di: int, payload: bytes) -> Item:
        """The item behind an identifier: exact integers of the layout's unit, never a float.

        Raises:
            DataUnknown, DataTooShort, NotBcd, Unreadable: the typed ways it can be no item.
        """
        return self.definition(di).layout.decode(payload)

    def encode_item(self, di: int, item: Item) -> bytes:
        """The payload that carries an item; the inverse of `decode_item`.

        Raises:
            DataUnknown, ItemUnfit: unknown identifier, or an item of another shape or size.
        """
        return self.definition(di).layout.encode(item)


def split_parts(dialect: Dialect, di: int, payload: bytes, limit: int = REPLY_MAX) -> list[bytes]:
    """The data fields of a read reply and its follow-ups, each at most `limit` bytes.

    The first goes out under the read code, with the follow-up bit when others wait; the n-th
    further one answers the follow-up read number n and, where the edition numbers them, ends with
    that number.

    Raises:
        OutOfRange: the limit leaves no room, or the payload would need more than 255 parts.
    """
    tail = 1 if dialect.follow_numbered else 0
    room = limit - dialect.identifier_size - tail
    if room < 1 or limit > DATA_MAX or len(payload) > room * DATA_MAX:
        raise OutOfRange("data bytes a part", limit, dialect.identifier_size + tail + 1, DATA_MAX)
    head = dialect.identifier(di)
    parts = [head + payload[:room]]
    for number, at in enumerate(range(room, len(payload), room), start=1):
        parts.append(head + payload[at : at + room] + bytes([number])[:tail])
    return parts


def join_parts(dialect: Dialect, parts: list[bytes]) -> tuple[int, bytes]:
    """Identifier and payload of a reply that came in parts; the inverse of `split_parts`.

    Raises:
        DataTooShort: a part has no room for identifier and number.
    """
    di, payload = dialect.split(parts[0])
    pieces = [payload]
    tail = 1 if dialect.follow_numbered else 0
    for part in parts[1:]:
        _, piece = dialect.split(part)
        if len(piece) < tail:
            raise DataTooShort("a follow-up", dialect.identifier_size + tail, len(part))
        pieces.append(piece[: len(piece) - tail])
    return di, b"".join(pieces)


DLT645_2007 = Dialect(
    name="dlt645-2007",
    identifier_size=4,
    table=data07.TABLE,
    functions={
        SECURITY: "security authentication",
        BROADCAST_TIME: "broadcast time",
        READ: "read",
        READ_FOLLOW: "read follow-up",
        READ_ADDRESS: "read address",
        WRITE: "write",
        WRITE_ADDRESS: "write address",
        FREEZE: "freeze",
        0x17: "change baud",
        0x18: "change password",
        0x19: "maximum-demand clear",
        0x1A: "meter clear",
        0x1B: "event clear",
        CONTROL: "remote control",
    },
    read=READ,
    read_follow=READ_FOLLOW,
    write=WRITE,
    read_address=READ_ADDRESS,
    control=CONTROL,
    authority_size=8,
    follow_numbered=True,
)

# Unsettled against the purchased standard: the codes from 03 on, and that a write carries four
# bytes of level and password and no operator.
DLT645_1997 = Dialect(
    name="dlt645-1997",
    identifier_size=2,
    table=data97.TABLE,
    functions={
        0x01: "read",
        0x02: "read follow-up",
        0x03: "read again",
        0x04: "write",
        0x08: "broadcast time",
        0x0A: "write address",
        0x0C: "change baud",
        0x0F: "change password",
        0x10: "maximum-demand clear",
    },
    read=0x01,
    read_follow=0x02,
    write=0x04,
    read_address=None,
    control=None,
    authority_size=4,
    follow_numbered=False,
)

DIALECTS: Mapping[str, Dialect] = {each.name: each for each in (DLT645_2007, DLT645_1997)}

describe = DLT645_2007.describe
decode_item = DLT645_2007.decode_item
encode_item = DLT645_2007.encode_item
