"""Meters nobody has written down yet: who is on the line, and what kind of meter each is.

Owns the two conversations of a search over DL/T 645. Must never know which ending is asked next
(`drivers.search` does) nor what a meter is called (`meter_models.recognise` does).

Every meter whose address fits answers, and nobody keeps them apart: answers overlap to garbage, or
follow one another. So the line is listened to until the time is over, and an answer counts as one
meter's only if nothing else was heard. A bus on which one meter drowns another every time hides
the other one, and no question of this protocol can show it.
"""

from collections.abc import Generator

from meterhouse.drivers.dlt645.collect import Facts
from meterhouse.drivers.dlt645.talk import FOREIGN_MAX, FUNCTION_AND_DIRECTION, SILENCE, Talk
from meterhouse.ports import (
    Answer,
    Ask,
    Conversation,
    Effect,
    FindMeters,
    Identify,
    MeterRef,
    Outcome,
    Values,
)
from meterhouse.wire.dlt645 import (
    FROM_METER,
    READ_ADDRESS,
    WILDCARD,
    Frame,
    decode_address,
    encode,
    pad_address,
)

SEVERAL = "several"


def find_meters(talk: Talk, _meter: MeterRef, intent: FindMeters) -> Conversation:
    """Ask once under a shortened address (缩位寻址: AA in the high bytes), and hear everybody out.

    `addresses` are all that were heard, also of whoever answers an earlier question late. DONE
    means that exactly one meter has this ending; "several" that more was heard than one meter's
    answer; "silence" that nobody answered.
    """
    pattern = pad_address(WILDCARD[len(intent.ending) :] + intent.ending)
    item, dialect = talk.model.search_item, talk.dialect
    function = dialect.read if item else dialect.read_address
    if function is None:
        return Outcome(Effect.NOT_DONE, why="unsupported")
    request = Frame(pattern, function, dialect.identifier(item) if item else b"")
    talk.asks += 1
    answer = yield Ask(encode(request, talk.model.wake), intent.patience_ms)
    heard: set[str] = set()
    clean = True
    for _ in range(FOREIGN_MAX):
        if answer is None:
            break
        if not isinstance(answer, Frame):
            clean = False
        elif answer.control & FUNCTION_AND_DIRECTION == function | FROM_METER:
            address = _address_of(answer, pattern)
            heard.add(address)
            clean &= "A" not in address
        answer = yield Ask(b"", intent.patience_ms)
    else:
        clean = False
    return _heard(talk, intent.ending, {one for one in heard if "A" not in one}, clean)


def _address_of(answer: Frame, pattern: str) -> str:
    """Whose answer it is; a pattern again when it does not say."""
    if "A" not in answer.address:
        return answer.address
    if answer.function == READ_ADDRESS and not answer.abnormal:
        return decode_address(answer.data[:6]) or pattern
    return pattern


def _heard(talk: Talk, ending: str, heard: set[str], clean: bool) -> Outcome:
    values = Values(addresses=tuple(sorted(heard)))
    mine = [address for address in heard if address.endswith(ending)]
    if not clean or len(mine) > 1:
        return Outcome(Effect.UNKNOWN, values, SEVERAL, talk.asks)
    if not mine:
        return Outcome(Effect.UNKNOWN, values, SILENCE, talk.asks)
    return Outcome(Effect.DONE, values, "", talk.asks)


def identify(talk: Talk, _meter: MeterRef, _intent: Identify) -> Conversation:
    """Registers, relay and clock by the model's live plan, then phases, then texts.

    What a meter refuses stays unsaid; silence ends it with what has been said so far.
    """
    facts = Facts(talk.model)
    for di in talk.model.live:
        item, why = yield from talk.read(di)
        if why == SILENCE:
            return Outcome(Effect.UNKNOWN, facts.values(), why, talk.asks)
        if not why:
            facts.take(talk.dialect.definition(di), item)
    why = yield from _texts(talk, facts)
    effect = Effect.UNKNOWN if why else Effect.DONE
    return Outcome(effect, facts.values(), why, talk.asks)


def _texts(talk: Talk, facts: Facts) -> Generator[Ask, Answer, str]:
    """Note phases and texts; answers why it could not be done to the end."""
    phases = 0
    for di in talk.model.phase_items:
        item, why = yield from talk.read(di)
        if why == SILENCE:
            return why
        phases += not why and item is not None
    if phases:
        facts.said["phases"] = phases
    texts = facts.said.setdefault("parameters", {})
    for name, di in talk.model.identity.items():
        item, why = yield from talk.read(di)
        if why == SILENCE:
            return why
        if text := "" if why else talk.dialect.definition(di).layout.text(item):
            texts[name] = text
    return ""
