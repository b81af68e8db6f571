"""Items of either edition into `Values`: right unit, right field, nothing invented.

Owns the table from quantity to field. Must never know who asked. An absent item leaves its field
unsaid; a phase or band that is absent among present ones leaves the whole tuple unsaid, because
a shorter tuple would name the wrong phase.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from types import MappingProxyType
from typing import Any, TypeAlias

from meterhouse.meter_models import MeterModel
from meterhouse.model import Relay
from meterhouse.ports import Values
from meterhouse.wire.dlt645 import Definition, Item
from meterhouse.wire.dlt645.layout import Many, Number

_HOUR_EDGE = (time(0, 1), time(23, 59))


@dataclass(slots=True)
class Facts:
    """What a meter has said so far in one conversation."""

    model: MeterModel
    said: dict[str, Any] = field(default_factory=dict)
    day: date | None = None

    def take(self, definition: Definition, item: Item) -> None:
        """Note one item; quantities that no field of `Values` carries are passed over."""
        note = _NOTES.get(definition.quantity)
        if note is not None and item is not None:
            note(self, definition, item)

    def values(self) -> Values:
        """Everything said so far."""
        return Values(**self.said)


def _scaled(count: int, shift: int) -> int:
    """`count × 10^shift`, rounded half away from zero where digits fall off."""
    if shift >= 0:
        return count * int(10**shift)
    size = int(10**-shift)
    whole = (abs(count) + size // 2) // size
    return -whole if count < 0 else whole


def _numbers(definition: Definition, item: Item, exponent: int) -> list[int | None]:
    """The integers of a number or block in units of 10^-exponent."""
    layout = definition.layout.of if isinstance(definition.layout, Many) else definition.layout
    shift = exponent - (layout.decimals if isinstance(layout, Number) else 0)
    counts = item if isinstance(item, tuple) else (item,)
    return [_scaled(count, shift) if isinstance(count, int) else None for count in counts]


def _energy(facts: Facts, _: Definition, item: Item) -> None:
    registers = item if isinstance(item, tuple) else (item,)
    scale = facts.model.milli_per_count
    scaled = [count * scale if isinstance(count, int) else None for count in registers]
    if scaled[0] is not None:
        facts.said["total_milli"] = scaled[0]
    bands = scaled[1 : 1 + len(facts.model.bands)]
    if bands and None not in bands:
        facts.said["band_milli"] = tuple(bands)


def relay_of(model: MeterModel, word: int) -> tuple[Relay, bool]:
    """Relay and keep-power as a status word tells them.

    The relay is armed (待按键) while it is open although the last command says "closed".
    """
    keep_power = bool(word >> model.keep_power_bit & 1)
    if not word >> model.relay_bit & 1:
        return Relay.CLOSED, keep_power
    if not word >> model.relay_command_bit & 1:
        return Relay.ARMED, keep_power
    return Relay.OPEN, keep_power


def _status(facts: Facts, definition: Definition, item: Item) -> None:
    if isinstance(item, int) and definition.di == facts.model.status_word:
        facts.said["relay"], facts.said["keep_power"] = relay_of(facts.model, item)


def _status_words(facts: Facts, _: Definition, item: Item) -> None:
    if isinstance(item, tuple) and None not in item:
        facts.said["status_words"] = item


def _first(name: str, exponent: int) -> "Note":
    """A field that is one number: the item itself, or the first of its block."""

    def note(facts: Facts, definition: Definition, item: Item) -> None:
        first = _numbers(definition, item, exponent)[0]
        if first is not None:
            facts.said[name] = first

    return note


def _phases(name: str, exponent: int) -> "Note":
    """A field with a number a phase, from one block or from one item after the other."""

    def note(facts: Facts, definition: Definition, item: Item) -> None:
        phases = _numbers(definition, item, exponent)[: facts.model.phases]
        if None not in phases:
            facts.said[name] = (*facts.said.get(name, ()), *phases)

    return note


def _customer(facts: Facts, _: Definition, item: Item) -> None:
    if isinstance(item, str):
        facts.said["customer_number"] = item


def _clock_date(facts: Facts, _: Definition, item: Item) -> None:
    if isinstance(item, date):
        facts.day = item


def _clock_time(facts: Facts, _: Definition, item: Item) -> None:
    """Join the time to the date read before it.

    Within a minute of midnight the two may belong to different days; then nothing is said.
    """
    early, late = _HOUR_EDGE
    if isinstance(item, time) and facts.day is not None and early <= item < late:
        facts.said["clock_local"] = datetime.combine(facts.day, item)


def _clock(facts: Facts, _: Definition, item: Item) -> None:
    if isinstance(item, datetime):
        facts.said["clock_local"] = item


Note: TypeAlias = Callable[[Facts, Definition, Item], None]

_NOTES: Mapping[str, Note] = MappingProxyType(
    {
        "forward_active": _energy,
        "combined_active": _energy,
        "status_word_3": _status,
        "meter_state": _status,
        "status_words": _status_words,
        "active_power": _first("power_w", 3),
        "voltage": _phases("voltage_dv", 1),
        "current": _phases("current_ma", 3),
        "remaining_amount": _first("credit_minor", 2),
        "overdraft_amount": _first("overdraft_minor", 2),
        "amount_purchased_total": _first("purchased_minor", 2),
        "hoarding_amount": _first("hoarding_minor", 2),
        "amount_purchase_count": _first("purchase_count", 0),
        "energy_purchase_count": _first("purchase_count", 0),
        "customer_number": _customer,
        "clock_date": _clock_date,
        "clock_time": _clock_time,
        "clock": _clock,
    }
)
