"""Intents carried out over DL/T 645: what is asked in which order, and what proves an effect.

Owns the conversations. Must never know the bytes of an item (the dialect does) nor what differs
between meters (the model does). The rules it keeps:

- An acknowledgement says "accepted", not "moved". After every order the status word is read back,
  and only that read-back makes an outcome DONE.
- A refusal or silence proves nothing. After a refusal the state decides; after silence an
  unchanged state stays UNKNOWN, because a copy of the order may still be under way.
- Orders and writes go out once. Only reads are repeated.
- A meter under keep-power, or whose status word cannot be read, is never disconnected.
"""

from collections.abc import Callable, Generator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypeAlias

from meterhouse.drivers.dlt645.collect import Facts
from meterhouse.drivers.dlt645.parameters import (
    read_parameter,
    read_parameters,
    write,
    write_parameter,
    write_set,
)
from meterhouse.drivers.dlt645.strangers import find_meters, identify
from meterhouse.drivers.dlt645.talk import SILENCE, Talk
from meterhouse.drivers.dlt645.wallet import make_order, read_wallet, send_order
from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.meter_models import MeterModel, load
from meterhouse.model import Relay
from meterhouse.ports import (
    Action,
    Answer,
    Ask,
    Control,
    Conversation,
    Effect,
    FindMeters,
    Identify,
    Intent,
    MeterRef,
    OpenWallet,
    Outcome,
    ReadAddress,
    ReadLive,
    ReadParameter,
    ReadParameters,
    ReadRound,
    ReadWallet,
    Recharge,
    SecurityModule,
    SendOrder,
    SetClock,
    TakeBack,
    Values,
    WriteParameter,
    WriteSet,
)
from meterhouse.wire.dlt645 import (
    BROADCAST,
    WILDCARD,
    Authority,
    Decoder,
    Dialect,
    RemoteControl,
    decode_address,
    decode_refusal,
    encode_control,
    pad_address,
    validity,
)

# What the read-back must show for an action to be done.
_REACHED: Mapping[Action, Callable[[Values], bool]] = MappingProxyType(
    {
        Action.DISCONNECT: lambda said: said.relay is Relay.OPEN,
        Action.CONNECT: lambda said: said.relay is Relay.CLOSED,
        Action.ALLOW_CONNECT: lambda said: said.relay in (Relay.ARMED, Relay.CLOSED),
        Action.KEEP_POWER_ON: lambda said: said.keep_power is True,
        Action.KEEP_POWER_OFF: lambda said: said.keep_power is False,
    }
)
_UNCHANGED: Mapping[Action, str] = MappingProxyType(
    {
        Action.DISCONNECT: "relay_unchanged",
        Action.CONNECT: "relay_unchanged",
        Action.ALLOW_CONNECT: "relay_unchanged",
        Action.KEEP_POWER_ON: "keep_power_unchanged",
        Action.KEEP_POWER_OFF: "keep_power_unchanged",
    }
)
_CHANGING = (Control, WriteParameter, WriteSet, SetClock, OpenWallet, Recharge, TakeBack, SendOrder)


class Dlt645Driver:
    """`meterhouse.ports.Driver` for one edition over one transport."""

    def __init__(
        self, dialect: Dialect, transport: str, security: SecurityModule | None = None
    ) -> None:
        self.protocol = dialect.name
        self._dialect = dialect
        self._transport = transport
        self._security = security

    def decoder(self) -> Decoder:
        """A fresh stream decoder for one line."""
        return Decoder()

    def converse(self, meter: MeterRef, intent: Intent) -> Conversation:
        """The conversation that carries out one intent; ends in an `Outcome`, never in an error.

        An unknown model, an address that is none, and an intent the model or the edition cannot
        carry out end it before the first byte.
        """
        try:
            model = load(meter.model)
            address = pad_address(meter.address)
        except MeterhouseError as error:
            return _refused(error.code)
        if model.protocol != self.protocol:
            return _refused("unsupported")
        if address == BROADCAST:
            return _refused("broadcast_refused")
        if isinstance(intent, _CHANGING) and "A" in address:
            return _refused("wildcard_refused")
        talk = Talk(
            self._dialect, model, address, model.timeout_ms[self._transport], self._transport,
            self._security,
        )  # fmt: skip
        return _VERBS[type(intent)](talk, meter, intent)


def _refused(why: str) -> Conversation:
    """A conversation that ends at once: nothing was sent, so nothing was done."""
    yield from ()
    return Outcome(Effect.NOT_DONE, why=why)


def _ended(talk: Talk, effect: Effect, values: Values, why: str = "") -> Outcome:
    return Outcome(effect, values, why, talk.asks)


def _unread(talk: Talk, values: Values, why: str) -> Outcome:
    """A read that failed: silence leaves it open, an answer that is none settles it."""
    return _ended(talk, Effect.UNKNOWN if why == SILENCE else Effect.NOT_DONE, values, why)


def _read_plan(talk: Talk, plan: tuple[int, ...]) -> Conversation:
    """Read one identifier after the other; a refused one is left out, silence ends it."""
    facts = Facts(talk.model)
    failed = ""
    for di in plan:
        item, why = yield from talk.read(di)
        if why == SILENCE:
            return _unread(talk, facts.values(), why)
        if why:
            failed = failed or why
        else:
            facts.take(talk.dialect.definition(di), item)
    if failed:
        return _unread(talk, facts.values(), failed)
    return _ended(talk, Effect.DONE, facts.values())


def _read_round(talk: Talk, _: MeterRef, __: ReadRound) -> Conversation:
    return _read_plan(talk, talk.model.round)


def _read_live(talk: Talk, _: MeterRef, __: ReadLive) -> Conversation:
    return _read_plan(talk, talk.model.live)


def _read_address(talk: Talk, _: MeterRef, __: ReadAddress) -> Conversation:
    """Ask under the wildcard; two meters on the line garble each other and count as silence."""
    if talk.dialect.read_address is None:
        return _ended(talk, Effect.NOT_DONE, Values(), "unsupported")
    talk.address = WILDCARD
    reply = yield from talk.request(talk.dialect.read_address, b"", b"", talk.model.retries + 1)
    if reply is None:
        return _unread(talk, Values(), SILENCE)
    if reply.abnormal:
        return _unread(talk, Values(), decode_refusal(reply.data).why)
    address = decode_address(reply.data[:6])
    if address is None or "A" in address or reply.address not in (WILDCARD, address):
        return _unread(talk, Values(), "not_bcd")
    return _ended(talk, Effect.DONE, Values(address=address))


def _set_clock(talk: Talk, meter: MeterRef, intent: SetClock) -> Conversation:
    """Write date and time, then read both back; the meter has gone on by some seconds since."""
    refusal, silent = "", False
    try:
        for di in talk.model.clock:
            why, quiet = yield from write(talk, meter, di, intent.local_time)
            refusal, silent = refusal or why, silent or quiet
    except BadInput as error:
        return _ended(talk, Effect.NOT_DONE, Values(), error.code)
    read = yield from _read_plan(talk, talk.model.clock)
    if read.effect is not Effect.DONE or read.values.clock_local is None:
        return _ended(talk, Effect.UNKNOWN, read.values, read.why or "clock_unproven")
    away = abs(read.values.clock_local - intent.local_time)
    if away <= timedelta(seconds=talk.model.clock_tolerance_s):
        return _ended(talk, Effect.DONE, read.values)
    effect = Effect.UNKNOWN if silent else Effect.NOT_DONE
    return _ended(talk, effect, read.values, refusal or "value_unchanged")


def _status(talk: Talk) -> Generator[Ask, Answer, tuple[Values, str]]:
    """Relay and keep-power, and why they could not be read."""
    item, why = yield from talk.read(talk.model.status_word)
    facts = Facts(talk.model)
    if not why:
        facts.take(talk.dialect.definition(talk.model.status_word), item)
    values = facts.values()
    if not why and values.relay is Relay.UNKNOWN:
        why = "status_unreadable"
    return values, why


def _valid_until(model: MeterModel, until: datetime) -> bytes:
    if model.validity == "until":
        return validity(until)
    return bytes(6) if model.validity == "zeros" else b"\x99" * 6


def _control(talk: Talk, meter: MeterRef, intent: Control) -> Conversation:
    """Order once, then read the status word until it shows the effect or patience is over."""
    model, function = talk.model, talk.dialect.control
    code = model.control_codes.get(intent.action)
    if code is None or function is None:
        return _ended(talk, Effect.NOT_DONE, Values(), "unsupported")
    try:
        authority = Authority(model.control_level, meter.password, meter.operator)
        until = _valid_until(model, intent.valid_until_local)
        order = encode_control(RemoteControl(authority, code, until, model.control_channel))
    except BadInput as error:
        return _ended(talk, Effect.NOT_DONE, Values(), error.code)
    if intent.action is Action.DISCONNECT:
        values, why = yield from _status(talk)
        if why or values.keep_power is not False:
            return _ended(talk, Effect.NOT_DONE, values, why or "keep_power")
    reply = yield from talk.request(function, order, b"", 1)
    refusal = decode_refusal(reply.data).why if reply is not None and reply.abnormal else ""
    for _ in range(1 if refusal else model.confirm_reads):
        yield from talk.pause(model.settle_ms)
        values, why = yield from _status(talk)
        if why:
            return _ended(talk, Effect.UNKNOWN, values, why)
        if _REACHED[intent.action](values):
            return _ended(talk, Effect.DONE, values)
    if reply is None:
        return _ended(talk, Effect.UNKNOWN, values, SILENCE)
    return _ended(talk, Effect.NOT_DONE, values, refusal or _UNCHANGED[intent.action])


Verb: TypeAlias = Callable[..., Conversation]

_VERBS: Mapping[type[Intent], Verb] = MappingProxyType(
    {
        ReadRound: _read_round,
        ReadLive: _read_live,
        ReadAddress: _read_address,
        FindMeters: find_meters,
        Identify: identify,
        ReadParameter: read_parameter,
        ReadParameters: read_parameters,
        WriteParameter: write_parameter,
        WriteSet: write_set,
        SetClock: _set_clock,
        Control: _control,
        ReadWallet: read_wallet,
        OpenWallet: make_order,
        Recharge: make_order,
        TakeBack: make_order,
        SendOrder: send_order,
    }
)
