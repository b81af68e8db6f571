"""Status word 3 and the error byte: the bits a meter says of itself.

Owns which bit means what in the standard's own layout. Must never know which bit a certain model
uses otherwise: that stands in the meter model.
"""

from dataclasses import dataclass, fields
from enum import IntFlag

from meterhouse.errors import OutOfRange


@dataclass(frozen=True, slots=True)
class StatusWord3:
    """Status word 3 (04000503): supply, relay, keep-power and prepaid state of a meter.

    The fields stand in the order of their bits, two bits for a number, one for a truth; relay,
    relay command and keep-power are bits 4, 6 and 12. `supply` is 0 mains, 1 auxiliary, 2
    battery; `prepaid_kind` 0 not prepaid, 1 by energy, 2 by amount. For the sets, False is set 1
    in force and True set 2. `*_unopened`: no account has been opened yet. Real meters were seen
    with `supply` 3 (words 114FH and 1147H).
    """

    slot_table_set_2: bool = False
    supply: int = 0
    programming: bool = False
    relay_open: bool = False
    zone_table_set_2: bool = False
    relay_command_open: bool = False
    trip_warning: bool = False
    prepaid_kind: int = 0
    tariff_set_2: bool = False
    ladder_set_2: bool = False
    keep_power: bool = False
    authenticated: bool = False
    local_account_unopened: bool = False
    remote_account_unopened: bool = False

    @classmethod
    def from_int(cls, word: int) -> "StatusWord3":
        """The fields of a 16-bit word; every word is readable."""
        if not 0 <= word <= 0xFFFF:
            raise OutOfRange("status word 3", word, 0, 0xFFFF)
        facts = {}
        at = 0
        for field in fields(cls):
            width = 2 if field.type is int else 1
            facts[field.name] = field.type((word >> at) & (2**width - 1))  # type: ignore[operator]
            at += width
        return cls(**facts)

    def to_int(self) -> int:
        """The 16-bit word."""
        word = at = 0
        for field in fields(self):
            width = 2 if field.type is int else 1
            word |= (int(getattr(self, field.name)) & (2**width - 1)) << at
            at += width
        return word


# Bits of status words 4, 5 and 6: what is wrong with phase A, B and C.
PHASE_FAULTS = (
    "loss of voltage",
    "under-voltage",
    "over-voltage",
    "loss of current",
    "over-current",
    "overload",
    "reverse power",
    "phase loss",
    "current break",
)


class Refusal(IntFlag):
    """The bits of an error byte, as the 2007 edition names them."""

    OTHER = 0x01
    NO_SUCH_DATA = 0x02
    WRONG_PASSWORD = 0x04
    BAUD_FIXED = 0x08
    TOO_MANY_ZONES = 0x10
    TOO_MANY_SLOTS = 0x20
    TOO_MANY_TARIFFS = 0x40
    RESERVED = 0x80

    @property
    def why(self) -> str:
        """The stable word for the first bit that explains something; "refused" when none does."""
        for bit in (Refusal.WRONG_PASSWORD, Refusal.NO_SUCH_DATA):
            if bit in self:
                return str(bit.name).lower()
        return "refused"


def decode_refusal(data: bytes) -> Refusal:
    """The error of an abnormal reply; an empty one says no more than "other".

    A security error (C3) may have two bytes by its specification; the low one came alone in the
    captures, so only the first is read.
    """
    return Refusal(data[0]) if data else Refusal.OTHER


def encode_refusal(refusal: Refusal) -> bytes:
    """The data of an abnormal reply."""
    return bytes([refusal])
