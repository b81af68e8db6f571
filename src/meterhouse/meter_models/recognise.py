"""Which models a meter may be, from what it says of itself; never more certain than the facts are.

Owns the comparison of a meter's own words and behaviour with the models. Must never know how they
were asked. The facts about a model are in its file; here is only what follows from them: a type
that captures have settled is proof, one that the plate suggests is likely, the same phases and a
readable relay are possible, and beyond that a meter is one of its protocol and no more.
"""

from dataclasses import dataclass
from enum import StrEnum

from meterhouse.meter_models import catalog
from meterhouse.meter_models.schema import MeterModel
from meterhouse.model import Relay
from meterhouse.ports import Values

TYPE = "type"


class Confidence(StrEnum):
    """How sure a recognition is, surest first."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that a meter may be."""

    model: str
    confidence: Confidence


def recognise(protocol: str, said: Values) -> tuple[Candidate, ...]:
    """The models that what a meter said fits, surest first; none when it has no register."""
    if said.total_milli is None:
        return ()
    found = [
        Candidate(model.name, confidence)
        for model in catalog.of_protocol(protocol)
        if (confidence := _confidence(model, said)) is not None
    ]
    order = list(Confidence)
    return tuple(sorted(found, key=lambda one: (order.index(one.confidence), one.model)))


def _confidence(model: MeterModel, said: Values) -> Confidence | None:
    if model.is_generic:
        return Confidence.GENERIC
    # What no meter says of itself is chosen by a person.
    if not model.type_names or (said.phases is not None and said.phases != model.phases):
        return None
    if type_text := said.parameters.get(TYPE, ""):
        if not any(type_text.startswith(name) for name in model.type_names):
            return None
        return Confidence.CERTAIN if model.type_names_settled else Confidence.LIKELY
    if said.phases is None or (model.status_word and said.relay is Relay.UNKNOWN):
        return None
    return Confidence.POSSIBLE
