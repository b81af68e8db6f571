"""Layouts of security and prepaid commands (C = 03), as far as they are public.

Owns which fields stand behind an identifier, by direction and size. Must never compute a MAC or
hold a key: meters with a security module need keys an open project cannot have. Amounts and
counts of the 国网 set stay raw, because their coding is not settled; those of the vendor family
without a security module were checked against a captured recharge (frame 2007-031).
"""

from collections.abc import Mapping
from types import MappingProxyType

from meterhouse.errors import Unreadable
from meterhouse.wire.dlt645.layout import Binary, Digits, Item, Raw, Row

OPERATOR_SIZE = 4

AUTHENTICATE = 0x070000FF
OPEN_ACCOUNT = 0x070101FF
RECHARGE = 0x070102FF
TAKE_BACK = 0x070108FF
NO_MAC = "00000000"
PROOF_SIZE, SEAL_SIZE = 24, 4
"""What a security module answers: the proof of a session, and a seal."""
CHALLENGE_SIZE = 12
"""Bytes of an authenticated reply: a random number, and the serial of the meter's module."""

ORDER_DIGITS = 16
"""Digits of the order number that the family without a security module keeps."""

NAMES: Mapping[int, str] = MappingProxyType(
    {
        0x070000FF: "identity authentication",
        0x070001FF: "set authentication validity",
        0x070002FF: "expire authentication",
        0x07000201: "expire authentication",
        0x070101FF: "open account",
        0x070102FF: "recharge",
        0x070103FF: "preset purse (vendor)",
        0x070104FF: "parameter block (vendor)",
        0x070108FF: "refund (vendor)",
        0x070201FF: "key update 1",
        0x070202FF: "key update 2",
        0x070203FF: "key update 3",
        0x078001FF: "data read-back",
        0x078102FF: "status query",
    }
)

_AUTHENTICATION = Row((("cipher", Raw(8)), ("random number", Raw(8)), ("diversification", Raw(8))))
_PURCHASE = Row(
    (
        ("amount", Raw(4)),
        ("purchase count", Raw(4)),
        ("mac 1", Raw(4)),
        ("customer number", Digits(6)),
        ("mac 2", Raw(4)),
    )
)
_VENDOR_PURCHASE = Row(
    (
        ("amount", Binary(4, 2, "CNY")),
        ("order number", Digits(8)),
        ("mac 1", Raw(4)),
        ("address", Digits(6)),
        ("mac 2", Raw(4)),
    )
)
_AUTHENTICATED = Row((("random number 2", Raw(4)), ("module serial", Raw(8))))
_EXPIRED = Row(
    (
        ("customer number", Digits(6)),
        ("remaining amount", Raw(4)),
        ("purchase count", Raw(4)),
        ("key state", Raw(4)),
    )
)
_STATUS = Row(
    (
        ("remaining amount", Raw(4)),
        ("mac 1", Raw(4)),
        ("purchase count", Raw(4)),
        ("mac 2", Raw(4)),
        ("customer number", Digits(6)),
        ("key state", Raw(4)),
    )
)

# Identifier and bytes behind it (in a request: behind the operator) to the layout.
REQUESTS: Mapping[tuple[int, int], Row] = MappingProxyType(
    {
        (0x070000FF, 24): _AUTHENTICATION,
        (0x070101FF, 22): _PURCHASE,
        (0x070102FF, 22): _PURCHASE,
        (0x070102FF, 26): _VENDOR_PURCHASE,
        (0x070108FF, 26): _VENDOR_PURCHASE,
    }
)
REPLIES: Mapping[tuple[int, int], Row] = MappingProxyType(
    {
        (0x070000FF, 12): _AUTHENTICATED,
        (0x070002FF, 18): _EXPIRED,
        (0x07000201, 18): _EXPIRED,
        (0x078102FF, 26): _STATUS,
    }
)


def encode_request(di: int, operator: str, layout: Row, fields: tuple[Item, ...]) -> bytes:
    """The data of a security request: identifier, operator (8 hex digits), then the fields.

    Raises:
        Unreadable: the operator is not eight hexadecimal digits.
        ItemUnfit: a field does not fit its layout.
    """
    try:
        code = bytes.fromhex(operator)
    except ValueError:
        code = b""
    if len(code) != OPERATOR_SIZE:
        raise Unreadable("operator", operator, "8 hexadecimal digits")
    return di.to_bytes(4, "little") + code[::-1] + layout.encode(fields)


def encode_order(
    di: int, operator: str, amount_minor: int, order_number: str, address: str
) -> bytes:
    """A recharge or a refund for a meter without a security module (captured frame 2007-031).

    The amount is binary, the order number sixteen digits, and both message codes are zero.
    """
    layout = REQUESTS[di, 26]
    fields = (amount_minor, order_number, NO_MAC, address, NO_MAC)
    return encode_request(di, operator, layout, fields)


def decode_order(data: bytes) -> tuple[Item, ...]:
    """Amount, order number, message code, address, message code of an order's data.

    Raises:
        DataTooShort, NotBcd: it is no such order.
    """
    return _VENDOR_PURCHASE.decode(data[4 + OPERATOR_SIZE :])


def encode_authentication(operator: str, proof: bytes) -> bytes:
    """The request for a session, from the 24 bytes that a security module gave."""
    fields = (proof[:8].hex(), proof[8:16].hex(), proof[16:24].hex())
    return encode_request(AUTHENTICATE, operator, _AUTHENTICATION, fields)


# Unsettled: that amount and count are binary, low byte first, as in the other family.
_AMOUNT = Binary(4, 2, "CNY")
_COUNT = Binary(4)


def sealed_parts(amount_minor: int, number: int, customer_number: str) -> tuple[bytes, bytes]:
    """The two parts of a sealed purchase: amount with count, and customer number."""
    purchase = _AMOUNT.encode(amount_minor) + _COUNT.encode(number)
    return purchase, Digits(6).encode(customer_number)


def encode_sealed(
    di: int, operator: str, parts: tuple[bytes, bytes], macs: tuple[bytes, bytes]
) -> bytes:
    """An opening or a recharge for a meter with a security module, each part behind its seal."""
    purchase, customer = parts
    fields = (
        purchase[:4].hex(), purchase[4:].hex(), macs[0].hex(), Digits(6).decode(customer),
        macs[1].hex(),
    )  # fmt: skip
    return encode_request(di, operator, _PURCHASE, fields)
