"""Money in meters over DL/T 645: reading a purse, making an order's bytes, sending them once.

Owns these conversations. Must never judge whether an order was taken: `control.recharge` does, from
the counter and the balance that are brought home here. An order is made in one conversation and
sent in another, so that its very bytes can be stored in between; nothing that a meter keeps changes
before they go out.

Two families are spoken. In `order`, a vendor's, an order number stands where the standard has a
seal, and the same bytes may go out again at any time. In `esam` a security module seals each order
for one session, so an order that goes out again is made again: same number, same amount, same
order, other seals.
"""

from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from meterhouse.drivers.dlt645.collect import Facts
from meterhouse.drivers.dlt645.talk import SILENCE, Talk
from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.ports import (
    Answer,
    Ask,
    Conversation,
    Effect,
    MeterRef,
    OpenWallet,
    Outcome,
    ReadWallet,
    Recharge,
    SecurityModule,
    SendOrder,
    TakeBack,
    Values,
)
from meterhouse.wire.dlt645 import SECURITY, Frame, encode, security
from meterhouse.wire.dlt645.layout import Item

Order: TypeAlias = OpenWallet | Recharge | TakeBack

REPLY_MS: Mapping[str, int] = MappingProxyType({"rs485": 15_000, "tcp": 15_000, "lora": 60_000})
"""How long the reply to an order is waited for, by transport."""

_IDENTIFIERS: Mapping[type[Order], int] = MappingProxyType(
    {
        OpenWallet: security.OPEN_ACCOUNT,
        Recharge: security.RECHARGE,
        TakeBack: security.TAKE_BACK,
    }
)
# What a purse is asked, in this order; the counter again at the end shows that nothing came in
# while it was being asked.
_ASKED = ("count", "credit", "overdraft", "purchased", "customer", "count")


def _ended(talk: Talk, effect: Effect, values: Values, why: str = "") -> Outcome:
    return Outcome(effect, values, why, talk.asks)


def read_wallet(talk: Talk, _: MeterRef, __: ReadWallet) -> Conversation:
    """Counter, credit, sum of purchases, customer, hoarding limit, as far as the model goes."""
    values, why = yield from _purse(talk)
    if why:
        return _ended(talk, Effect.UNKNOWN if why == SILENCE else Effect.NOT_DONE, values, why)
    return _ended(talk, Effect.DONE, values)


def _purse(talk: Talk) -> Generator[Ask, Answer, tuple[Values, str]]:
    """What the purse says, and why it cannot be believed: silence, a refusal, or two counters."""
    asked = talk.model.wallet_items
    if "credit" not in asked:
        return Values(), "unsupported"
    facts, counts = Facts(talk.model), []
    for name in _ASKED:
        if name not in asked:
            continue
        item, why = yield from talk.read(asked[name])
        if why:
            return Values(), why
        facts.take(talk.dialect.definition(asked[name]), item)
        if name == "count":
            counts.append(item)
    if len(set(counts)) > 1:
        return Values(), "torn"
    if "hoarding" in asked:
        item, why = yield from talk.read(asked["hoarding"])
        if not why:
            facts.take(talk.dialect.definition(asked["hoarding"]), item)
    return facts.values(), ""


def make_order(talk: Talk, meter: MeterRef, order: Order) -> Conversation:
    """The bytes of an order in `values.frame`; a meter with a security module is met first."""
    di = _IDENTIFIERS[type(order)]
    try:
        if talk.model.wallet == "order" and not isinstance(order, OpenWallet):
            digits = order.order_number.zfill(security.ORDER_DIGITS)
            data = security.encode_order(
                di, meter.operator, order.amount_minor, digits, talk.address
            )
        elif talk.model.wallet == "esam" and not isinstance(order, TakeBack):
            data, why = yield from _sealed(talk, meter, di, order)
            if why:
                return _ended(talk, Effect.NOT_DONE, Values(), why)
        else:
            return _ended(talk, Effect.NOT_DONE, Values(), "unsupported")
    except BadInput as error:
        return _ended(talk, Effect.NOT_DONE, Values(), error.code)
    frame = encode(Frame(talk.address, SECURITY, data), talk.model.wake)
    return _ended(talk, Effect.DONE, Values(frame=frame))


def _sealed(
    talk: Talk, meter: MeterRef, di: int, order: OpenWallet | Recharge
) -> Generator[Ask, Answer, tuple[bytes, str]]:
    """The data of a sealed order, or why no session with the meter came about."""
    module = talk.security
    if module is None:
        return b"", "no_security_module"
    try:
        return (yield from _in_session(talk, meter, module, di, order))
    except MeterhouseError as error:
        return b"", error.code


def _in_session(
    talk: Talk, meter: MeterRef, module: SecurityModule, di: int, order: OpenWallet | Recharge
) -> Generator[Ask, Answer, tuple[bytes, str]]:
    """The same with a module; raises whatever error the module has."""
    proof = module.authentication(talk.address)
    if len(proof) != security.PROOF_SIZE:
        return b"", "security_module_unusable"
    request = security.encode_authentication(meter.operator, proof)
    reply = yield from talk.request(SECURITY, request, b"", talk.model.retries + 1)
    if reply is None:
        return b"", SILENCE
    head = talk.dialect.identifier(security.AUTHENTICATE)
    challenge = reply.data.removeprefix(head)
    if reply.abnormal or len(challenge) != security.CHALLENGE_SIZE:
        return b"", "authentication_refused"
    parts = security.sealed_parts(order.amount_minor, order.number, order.customer_number)
    macs = tuple(module.seal(talk.address, challenge, part) for part in parts)
    if {len(mac) for mac in macs} != {security.SEAL_SIZE}:
        return b"", "security_module_unusable"
    return security.encode_sealed(di, meter.operator, parts, (macs[0], macs[1])), ""


def send_order(talk: Talk, _: MeterRef, order: SendOrder) -> Conversation:
    """Put the stored bytes on the line, once; then ask the purse, unless nobody is there."""
    reply = yield from talk.exchange(order.frame, SECURITY, REPLY_MS[talk.transport])
    if reply is None:
        return _ended(talk, Effect.UNKNOWN, Values(), SILENCE)
    refusal = _refusal(talk, reply) if reply.abnormal else ""
    values, _why = yield from _purse(talk)
    return _ended(talk, Effect.UNKNOWN if refusal else Effect.DONE, values, refusal)


def _refusal(talk: Talk, reply: Frame) -> str:
    """The word for a refusal of an order; "refused" where the model has none for its code."""
    said: Item = reply.data[0] if reply.data else None
    for word, code in talk.model.wallet_refusals.items():
        if said == code:
            return word
    return "refused"
