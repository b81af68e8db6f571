"""Whether a meter is fit for service: one rule for each line of the checklist.

Owns the items, their states, and what a meter's answers prove. Must never know a row, a command or
a screen: what the meter said comes in, a verdict comes out. A verdict is *passed* only when it was
seen; what was not answered is *failed*, with why.

| item | proven by |
|---|---|
| `answers` | a read that brought a register, a clock or a relay |
| `clock` | the clock read, at most `CLOCK_LIMIT_S` away from the platform's |
| `register` | two totals a minute apart that this meter can have counted (`register_fault`) |
| `relay` | switched over and back, each time read back |
| `state` | a person saw at the meter what the platform shows |
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from meterhouse.model import CommandKind, Relay

CLOCK_LIMIT_S: Final = 60
OPENING_LIMIT_MILLI: Final = 1_000
"""How far a register may stand from the figure somebody wrote down, besides what flowed since."""

AGAIN_S: Final = 60
"""How long after the first register the second one is read."""


class Item(StrEnum):
    """A line of the checklist."""

    ANSWERS = "answers"
    CLOCK = "clock"
    REGISTER = "register"
    RELAY = "relay"
    STATE = "state"


class Verdict(StrEnum):
    """How an item stands: open for a person, waiting for the meter, or settled."""

    OPEN = "open"
    WAITING = "waiting"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


SETTLED: Final = frozenset({Verdict.PASSED, Verdict.FAILED, Verdict.SKIPPED})


@dataclass(frozen=True, slots=True)
class Said:
    """What a meter said in one conversation, and when that was over; None is "not said"."""

    at: datetime
    total_milli: int | None = None
    relay: Relay = Relay.UNKNOWN
    clock_off_s: int | None = None

    @property
    def is_something(self) -> bool:
        """Whether it said anything at all."""
        known = self.total_milli is not None or self.clock_off_s is not None
        return known or self.relay is not Relay.UNKNOWN


@dataclass(frozen=True, slots=True)
class Limits:
    """What a register of this meter may say.

    Attributes:
        modulus_milli: where it starts again from zero.
        max_power_w: the most the meter can carry.
        expected_milli: what somebody read off the display, None where nobody did.
        expected_at: when that was.
    """

    modulus_milli: int
    max_power_w: int
    expected_milli: int | None
    expected_at: datetime


def clock_fault(said: Said) -> str:
    """Why the clock fails, or ""."""
    if said.clock_off_s is None:
        return "not_said"
    return "" if abs(said.clock_off_s) <= CLOCK_LIMIT_S else "clock_off"


def register_fault(limits: Limits, first: Said, second: Said | None) -> str:
    """Why the register fails, or ""; with `second` None what the first one alone can show.

    It must lie within the register's size, near the opening figure where one was given, never
    fall, and grow no faster than the meter can carry.
    """
    if first.total_milli is None:
        return "not_said"
    if first.total_milli < 0:
        return "register_negative"
    if first.total_milli >= limits.modulus_milli:
        return "register_too_large"
    if limits.expected_milli is not None:
        most = OPENING_LIMIT_MILLI + _carried(limits, limits.expected_at, first.at)
        if not -OPENING_LIMIT_MILLI <= first.total_milli - limits.expected_milli <= most:
            return "register_not_as_expected"
    if second is None:
        return ""
    if second.total_milli is None:
        return "not_said"
    moved_milli = second.total_milli - first.total_milli
    if moved_milli < 0:
        return "register_falls"
    # The last digit may be about to step when it is first read.
    return "register_jumps" if moved_milli > 10 + _carried(limits, first.at, second.at) else ""


def _carried(limits: Limits, begin: datetime, end: datetime) -> int:
    """The most that can have flowed between two instants, in Wh, rounded up."""
    seconds = max((end - begin).total_seconds(), 0)
    return -(-limits.max_power_w * int(seconds + 1) // 3600)


def relay_steps(was: Relay, close_direct: bool) -> tuple[CommandKind, CommandKind]:
    """Over and back, so that the relay ends as it was found.

    Where a project never closes a contact from afar, closing is allowed and a person presses.
    """
    close = CommandKind.CONNECT if close_direct else CommandKind.ALLOW_CONNECT
    if was is Relay.CLOSED:
        return CommandKind.DISCONNECT, close
    return close, CommandKind.DISCONNECT


REACHED: Final = {
    CommandKind.DISCONNECT: (Relay.OPEN,),
    CommandKind.CONNECT: (Relay.CLOSED,),
    CommandKind.ALLOW_CONNECT: (Relay.ARMED, Relay.CLOSED),
}
"""What may be read back after a step."""


def state_fault(shown: Relay, seen: Relay, is_online: bool) -> str:
    """Why what a person sees at the meter is not what the platform shows, or ""."""
    if not is_online:
        return "shown_offline"
    if shown is Relay.UNKNOWN:
        return "shown_unknown"
    return "" if shown is seen else "shown_otherwise"
