"""Layouts of security and prepaid commands (C = 03), as far as they are public.

Owns which fields stand behind an identifier, by direction and size. Must never compute a MAC or
hold a key: meters with a security module need keys an open project cannot have. Amounts and
counts of the 国网 set stay raw, because their coding is not settled; those of the vendor family
without a security module were checked against a captured recharge (frame 2007-031).
"""

from collections.abc import Mapping
from types import MappingProxyType

from meterhouse.wire.dlt645.layout import Binary, Digits, Raw, Row

OPERATOR_SIZE = 4

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
