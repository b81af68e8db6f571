"""Settings of a meter over DL/T 645: read by name, written once, and read back.

Owns these conversations, and the order that makes a new price safe. Must never know what a
parameter is for. What a platform may set in advance goes into a standby set (备用套), and a time
says when the meter takes it into force; so a set is

1. left alone while the meter's clock is wrong, for the clock decides when the set comes in;
2. disarmed: a switch time still ahead of an earlier set would bring this one in half written;
3. written where it differs, and read back whole, because a refused write was seen to be partly
   applied, and what disturbs a neighbour shows only there;
4. given its switch times, and these are read back.

Whatever cannot be proven ends it before the next step, so that a set in doubt never comes into
force. Doing all of it again is harmless at every point.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from meterhouse.drivers.dlt645.collect import Facts
from meterhouse.drivers.dlt645.talk import SILENCE, Talk
from meterhouse.errors import BadInput
from meterhouse.ports import (
    Answer,
    Ask,
    Conversation,
    Effect,
    MeterRef,
    Outcome,
    ReadParameter,
    ReadParameters,
    Values,
    WriteParameter,
    WriteSet,
)
from meterhouse.wire.dlt645 import Authority, Item, decode_refusal

CLOCK_OFF_MAX: Final = timedelta(minutes=5)
"""A meter whose clock is further off is given no switch time."""

NEVER: Final = datetime(2099, 12, 31, 23, 59)  # noqa: DTZ001  # a meter knows no time zone
"""Disarms a switch. Unsettled: some meters may have a shorter word for it."""

Why: TypeAlias = Generator[Ask, Answer, str]
"""Gives a stable code of what went wrong, empty where nothing did."""


def _ended(talk: Talk, effect: Effect, values: Values, why: str = "") -> Outcome:
    return Outcome(effect, values, why, talk.asks)


def _unproven(why: str) -> Effect:
    """Silence leaves it open, an answer settles it."""
    return Effect.UNKNOWN if why == SILENCE else Effect.NOT_DONE


def read_parameter(talk: Talk, meter: MeterRef, intent: ReadParameter) -> Conversation:
    """Read one parameter by its name."""
    return (yield from read_parameters(talk, meter, ReadParameters((intent.name,))))


def read_parameters(talk: Talk, _: MeterRef, intent: ReadParameters) -> Conversation:
    """Read parameters by their names; what was read before one failed is told all the same."""
    if any(name not in talk.model.parameters for name in intent.names):
        return _ended(talk, Effect.NOT_DONE, Values(), "unsupported")
    said: dict[str, str] = {}
    for name in intent.names:
        di = talk.model.parameters[name].di
        item, why = yield from talk.read(di)
        if why:
            return _ended(talk, _unproven(why), Values(parameters=said), why)
        said[name] = talk.dialect.definition(di).layout.text(item)
    return _ended(talk, Effect.DONE, Values(parameters=said))


def write(
    talk: Talk, meter: MeterRef, di: int, item: Item
) -> Generator[Ask, Answer, tuple[str, bool]]:
    """Write one item, once. Gives why it may not have been taken, and whether that is silence."""
    authority = Authority(talk.model.write_level, meter.password, meter.operator).encode()
    head = talk.dialect.identifier(di) + authority[: talk.dialect.authority_size]
    data = head + talk.dialect.encode_item(di, item)
    reply = yield from talk.request(talk.dialect.write, data, b"", 1)
    if reply is None:
        return SILENCE, True
    if reply.abnormal:
        return decode_refusal(reply.data).why, False
    yield from talk.pause(talk.model.write_settle_ms)
    return "", False


def write_parameter(talk: Talk, meter: MeterRef, intent: WriteParameter) -> Conversation:
    """Write, read back, compare: a refused write was seen to be partly applied."""
    parameter = talk.model.parameters.get(intent.name)
    if parameter is None or not parameter.writable:
        return _ended(talk, Effect.NOT_DONE, Values(), "unsupported")
    layout = talk.dialect.definition(parameter.di).layout
    try:
        wanted = layout.parse(intent.text)
        refusal, silent = yield from write(talk, meter, parameter.di, wanted)
    except BadInput as error:
        return _ended(talk, Effect.NOT_DONE, Values(), error.code)
    item, why = yield from talk.read(parameter.di)
    if why:
        return _ended(talk, Effect.UNKNOWN, Values(), why)
    values = Values(parameters={intent.name: layout.text(item)})
    if item == wanted:
        return _ended(talk, Effect.DONE, values)
    effect = Effect.UNKNOWN if silent else Effect.NOT_DONE
    return _ended(talk, effect, values, refusal or "value_unchanged")


def write_set(talk: Talk, meter: MeterRef, intent: WriteSet) -> Conversation:
    """Bring a meter to hold a whole set, and to switch to it then; see the room's own words."""
    writes = [*(name for name, _ in intent.items), *intent.switches]
    asked = [*writes, *(name for name, _ in intent.expects)]
    known = talk.model.parameters
    if any(name not in known for name in asked) or not all(known[n].writable for n in writes):
        return _ended(talk, Effect.NOT_DONE, Values(), "unsupported")
    job = _Job(talk, meter, intent)
    try:
        why = yield from job.carry_out()
    except BadInput as error:
        why = error.code
    effect = Effect.DONE if not why else Effect.UNKNOWN if job.in_doubt else _unproven(why)
    return _ended(talk, effect, Values(parameters=job.said), why)


@dataclass(slots=True)
class _Job:
    """One set on its way into a meter.

    Attributes:
        said: what each parameter was last read to hold.
        in_doubt: something may hold that was not wanted, or may still arrive.
    """

    talk: Talk
    meter: MeterRef
    intent: WriteSet
    said: dict[str, str] = field(default_factory=dict)
    in_doubt: bool = False
    _held: dict[str, Item] = field(default_factory=dict)

    def carry_out(self) -> Why:
        intent = self.intent
        items = {name: self._parsed(name, text) for name, text in intent.items}
        times: dict[str, Item] = dict.fromkeys(intent.switches, intent.switch_at_local)
        clock: datetime | None = None
        if times:
            clock, why = yield from self._clock()
            if why:
                return why
        for name, text in intent.expects:
            why = yield from self._read(name)
            if why or self._held[name] != self._parsed(name, text):
                return why or "not_as_expected"
        why = yield from self._read_all([*items, *times])
        if why or self._agrees(items | times):
            return why
        if clock is not None:
            why = yield from self._disarm(list(times), clock)
            if why:
                return why
        for name, item in items.items():
            if self._held[name] != item:
                why = yield from self._put(name, item)
                if why:
                    return why
        why = yield from self._read_all(list(items))
        if why or not self._agrees(items):
            return why or "value_unchanged"
        return (yield from self._arm(times))

    def _arm(self, times: dict[str, Item]) -> Why:
        """The switch times; if one is not taken those before it are taken back."""
        armed: list[str] = []
        for name, item in times.items():
            why = yield from self._put(name, item)
            if why:
                for other in armed:
                    self.in_doubt |= bool((yield from self._put(other, NEVER)))
                return why
            armed.append(name)
        return ""

    def _disarm(self, names: list[str], clock: datetime) -> Why:
        for name in names:
            held = self._held[name]
            if isinstance(held, datetime) and clock < held and held != NEVER:
                why = yield from self._put(name, NEVER)
                if why:
                    return why
        return ""

    def _put(self, name: str, item: Item) -> Why:
        """Write one parameter, once, and prove it; what the reply said comes second."""
        di = self._di(name)
        if self._held.get(name) == item:
            return ""
        refusal, silent = yield from write(self.talk, self.meter, di, item)
        why = yield from self._read(name)
        if why:
            self.in_doubt = True
            return why
        if self._held[name] == item:
            return ""
        self.in_doubt |= silent
        return refusal or "value_unchanged"

    def _clock(self) -> Generator[Ask, Answer, tuple[datetime | None, str]]:
        facts = Facts(self.talk.model)
        for di in self.talk.model.clock:
            item, why = yield from self.talk.read(di)
            if why:
                return None, why
            facts.take(self.talk.dialect.definition(di), item)
        shown, ought = facts.values().clock_local, self.intent.local_time
        if shown is None:
            return None, "clock_unproven"
        if ought is None or abs(shown - ought) > CLOCK_OFF_MAX:
            return None, "clock_wrong"
        return shown, ""

    def _read_all(self, names: list[str]) -> Why:
        for name in names:
            why = yield from self._read(name)
            if why:
                return why
        return ""

    def _read(self, name: str) -> Why:
        item, why = yield from self.talk.read(self._di(name))
        if not why:
            self._held[name] = item
            self.said[name] = self.talk.dialect.definition(self._di(name)).layout.text(item)
        return why

    def _agrees(self, wanted: dict[str, Item]) -> bool:
        return all(self._held[name] == item for name, item in wanted.items())

    def _parsed(self, name: str, text: str) -> Item:
        return self.talk.dialect.definition(self._di(name)).layout.parse(text)

    def _di(self, name: str) -> int:
        return self.talk.model.parameters[name].di
