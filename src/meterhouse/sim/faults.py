"""Faults on demand: what can go wrong on a line, how often, and proof that it did.

Owns the kinds of fault, their switches and their counters. Must never know how a fault is carried
out: the bus and the gateway ask `strikes` and do it. Each strike is counted, because a test of a
fault that never happened proves nothing. Switches may be thrown while the town runs.
"""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from meterhouse.sim.dice import Dice


class Fault(StrEnum):
    """What can be made to fail; the line says what the other end sees."""

    SILENCE = "silence"
    """The meter does not hear the request: no effect, no answer."""
    LOST_FRAME = "lost_frame"
    """The meter acts, its answer is lost."""
    GARBAGE = "garbage"
    """Noise arrives before the answer."""
    CORRUPT_CHECKSUM = "corrupt_checksum"
    """One bit of the answer is wrong."""
    DOUBLED_FRAME = "doubled_frame"
    """The answer arrives twice."""
    SLOW_ANSWER = "slow_answer"
    """The answer comes `SLOW_MS` late."""
    OTHER_METER = "other_meter"
    """A sound answer carrying another meter's address comes instead."""
    OUT_OF_STEP = "out_of_step"
    """Of several meters that a wildcard asks at once, this one answers after the others."""
    DROWNED = "drowned"
    """Of several answers at once, the first is understood and the others are not heard."""
    ZERO_READING = "zero_reading"
    """Energy registers read as zero this once."""
    REFUSAL = "refusal"
    """An error reply, and truly no effect."""
    LYING_REFUSAL = "lying_refusal"
    """The meter acts, then answers with an error reply."""
    STUCK_RELAY = "stuck_relay"
    """Remote control is acknowledged, the contact does not move."""
    ROLLOVER = "rollover"
    """The registers are wound to just below their modulus; the next energy rolls them over."""
    RESTART = "restart"
    """The meter restarts: no answer this once; registers, relay and purse are kept."""
    RESTART_CLOCK_LOST = "restart_clock_lost"
    """As `RESTART`, and the clock starts again at 2000-01-01."""
    WRONG_CLOCK = "wrong_clock"
    """The meter's clock jumps ahead by `CLOCK_JUMP_MS`."""
    POWER_CUT = "power_cut"
    """An order's money is stored, its number is not, and no answer comes."""
    HALF_APPLIED = "half_applied"
    """An order's money is stored, its number is not, and an error reply comes."""
    HALF_WRITTEN = "half_written"
    """A parameter is stored by half (its low bytes), and an error reply comes."""
    LATE_COPY = "late_copy"
    """The request reaches the meter a second time, `LATE_COPY_MS` later, and nobody listens."""
    GATEWAY_TWICE = "gateway_twice"
    """The gateway opens a second connection under the same registration."""
    GATEWAY_FLOOD = "gateway_flood"
    """The gateway sends `FLOOD_BYTES` of noise at its next heartbeat."""
    GATEWAY_SILENT = "gateway_silent"
    """The gateway stays connected, swallows everything, and its heartbeat stops."""


SLOW_MS = 8_000
LATE_COPY_MS = 4 * 60_000
CLOCK_JUMP_MS = 3 * 3_600_000
FLOOD_BYTES = 1 << 20


@dataclass(slots=True)
class _Switch:
    permille: int
    left: int | None


class Faults:
    """The switches of one line, all off at first.

    A switch is set for everybody on the line (`where=""`) or for one meter's address.
    """

    __slots__ = ("_dice", "_switches", "counts")

    def __init__(self, seed: int = 0) -> None:
        self._dice = Dice(seed)
        self._switches: dict[tuple[Fault, str], _Switch] = {}
        self.counts: Counter[Fault] = Counter()

    @property
    def any_on(self) -> bool:
        """Whether any switch is on; lets the hot path skip all questions at once."""
        return bool(self._switches)

    def switch_on(
        self, fault: Fault, *, where: str = "", permille: int = 1000, times: int | None = None
    ) -> None:
        """Let a fault strike in `permille` of the occasions, at most `times` times."""
        self._switches[fault, where] = _Switch(permille, times)

    def switch_off(self, fault: Fault, *, where: str = "") -> None:
        """Let a fault strike no more; its count stays."""
        self._switches.pop((fault, where), None)

    def all_off(self) -> None:
        """Throw every switch off; the counts stay."""
        self._switches.clear()

    def strikes(self, fault: Fault, where: str = "") -> bool:
        """Whether the fault happens on this occasion; if so it is counted."""
        key = (fault, where)
        switch = self._switches.get(key)
        if switch is None:
            key = (fault, "")
            switch = self._switches.get(key)
        if switch is None or not self._dice.chance(switch.permille):
            return False
        if switch.left is not None:
            switch.left -= 1
            if switch.left <= 0:
                del self._switches[key]
        self.counts[fault] += 1
        return True
