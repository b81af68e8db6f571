"""Whether a relay should be open or closed: one precedence table, first row that speaks wins.

Owns the table, the guards and which guards belong to which reason. Must never know a frame, a
row or a screen. The same table is printed in the docs (`docs/relay.md` is checked against it).

A decision is made twice: when the reading arrives, and again when the command is about to be
sent. In doubt nothing is switched off: fail closed means *do not disconnect*. The guards belong
to the reason: arrears has all of them, a timetable or load rule fewer, a person's stop fewest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from meterhouse.control.policy import Policy
from meterhouse.model import Reason, Relay

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NO_FLOOR_MINOR = -(10**17)
"""A floor nothing falls below: a postpaid account."""


class Want(IntEnum):
    """What the table asks of a relay."""

    AS_IS = 0
    OFF = 1
    ON = 2


class KeeperCode(IntEnum):
    """`model.Keeper` as a number in an array."""

    METER = 0
    PLATFORM = 1
    EXTERNAL = 2
    NONE = 3


class OverrideCode(IntEnum):
    """`model.Override` as a number in an array."""

    NONE = 0
    ON = 1
    OFF = 2


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of n points, one array each (shape (n,)).

    `available_minor` as `ledger.book.available_minor` gives it, `floor_minor` what it may fall to,
    `reconnect_minor` what it must reach before the relay closes again, `relay` a `model.Relay`,
    `quiet` whether arrears may not cut off now.
    """

    available_minor: Ints
    floor_minor: Ints
    reconnect_minor: Ints
    keeper: Ints
    override: Ints
    relay: Ints
    quiet: Bools
    safety_lock: Bools
    timetable_off: Bools


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the precedence table."""

    name: str
    speaks: Callable[[Facts], Bools]
    want: Want
    reason: Reason


TABLE: tuple[Row, ...] = (
    Row("safety lock", lambda f: f.safety_lock, Want.OFF, Reason.SAFETY),
    Row("forced off", lambda f: f.override == OverrideCode.OFF, Want.OFF, Reason.PERSON),
    Row("keep power", lambda f: f.override == OverrideCode.ON, Want.ON, Reason.PERSON),
    Row("timetable off", lambda f: f.timetable_off, Want.OFF, Reason.TIMETABLE),
    Row(
        "the platform does not keep the money",
        lambda f: f.keeper != KeeperCode.PLATFORM,
        Want.AS_IS,
        Reason.CREDIT,
    ),
    Row(
        "available below the floor, outside quiet hours",
        lambda f: (f.available_minor < f.floor_minor) & ~f.quiet,
        Want.OFF,
        Reason.ARREARS,
    ),
    Row(
        "available at the reconnect threshold",
        lambda f: f.available_minor >= np.maximum(f.reconnect_minor, f.floor_minor),
        Want.ON,
        Reason.CREDIT,
    ),
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Per point: what is wanted, whether the relay differs, and the row that spoke (−1: none)."""

    want: NDArray[np.int8]
    act: Bools
    row: NDArray[np.int8]


def decide(facts: Facts) -> Decision:
    """Apply the table to n points at once.

    `act` is set only where the device itself reported the other state: an unknown relay is never
    switched by this table.
    """
    count = len(facts.relay)
    want = np.full(count, Want.AS_IS, dtype=np.int8)
    spoken = np.full(count, -1, dtype=np.int8)
    for index, row in enumerate(TABLE):
        mine = (spoken == -1) & row.speaks(facts)
        want[mine] = row.want
        spoken[mine] = index
    conducting = (facts.relay == Relay.CLOSED) | (facts.relay == Relay.ARMED)
    act = ((want == Want.OFF) & conducting) | ((want == Want.ON) & (facts.relay == Relay.OPEN))
    return Decision(want, act, spoken)


def reason_of(row: int) -> Reason:
    """The reason that belongs to a row of the table."""
    return TABLE[row].reason


class Guard(StrEnum):
    """Why a disconnect must not be made or sent now."""

    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    KEEP_POWER = "keep_power"
    QUIET = "quiet"
    STALE_READING = "stale_reading"
    CLOCK_SKEW = "clock_skew"
    LIVE_RECHARGE = "live_recharge"
    PAYMENT_UNPROCESSED = "payment_unprocessed"
    ESTIMATED = "estimated"
    NOT_NOTICED = "not_noticed"
    FROZEN = "frozen"
    CREDIT_BACK = "credit_back"


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known of one point at the moment a disconnect is made or sent.

    Ages are in seconds; `noticed_age_s` is −1 when nobody was told, `clock_skew_s` 0 when the
    meter did not say its time.
    """

    available_minor: int
    floor_minor: int
    keep_power: bool = False
    quiet: bool = False
    reading_age_s: int = 0
    clock_skew_s: int = 0
    live_recharge: bool = False
    payment_unprocessed: bool = False
    estimated: bool = False
    noticed_age_s: int = -1
    has_channel: bool = True
    frozen: bool = False
    expired: bool = False
    superseded: bool = False


def _quiet(moment: Moment, policy: Policy) -> bool:
    debt_minor = moment.floor_minor - moment.available_minor
    return moment.quiet and debt_minor < policy.quiet_debt_minor


def _not_noticed(moment: Moment, policy: Policy) -> bool:
    if not moment.has_channel:
        return not policy.disconnect_without_channel
    return moment.noticed_age_s < policy.notice_age_s


CHECKS: dict[Guard, Callable[[Moment, Policy], bool]] = {
    Guard.EXPIRED: lambda m, _: m.expired,
    Guard.SUPERSEDED: lambda m, _: m.superseded,
    Guard.KEEP_POWER: lambda m, _: m.keep_power,
    Guard.CREDIT_BACK: lambda m, _: m.available_minor >= m.floor_minor,
    Guard.QUIET: _quiet,
    Guard.STALE_READING: lambda m, p: not 0 <= m.reading_age_s <= p.reading_age_max_s,
    Guard.CLOCK_SKEW: lambda m, p: abs(m.clock_skew_s) > p.clock_skew_max_s,
    Guard.LIVE_RECHARGE: lambda m, _: m.live_recharge,
    Guard.PAYMENT_UNPROCESSED: lambda m, _: m.payment_unprocessed,
    Guard.ESTIMATED: lambda m, _: m.estimated,
    Guard.NOT_NOTICED: _not_noticed,
    Guard.FROZEN: lambda m, _: m.frozen,
}

GUARDS: dict[Reason, tuple[Guard, ...]] = {
    Reason.ARREARS: tuple(CHECKS),
    Reason.TIMETABLE: (Guard.EXPIRED, Guard.SUPERSEDED, Guard.KEEP_POWER),
    Reason.LOAD_RULE: (Guard.EXPIRED, Guard.SUPERSEDED, Guard.KEEP_POWER),
    Reason.PERSON: (Guard.EXPIRED, Guard.SUPERSEDED),
    Reason.SAFETY: (Guard.EXPIRED, Guard.SUPERSEDED),
}


def blocked_by(reason: Reason, moment: Moment, policy: Policy) -> Guard | None:
    """The first guard of this reason that forbids a disconnect now, or None."""
    for guard in GUARDS[reason]:
        if CHECKS[guard](moment, policy):
            return guard
    return None


def sweep_stops(policy: Policy, wanted_count: int, point_count: int) -> bool:
    """Whether one sweep would cut off unusually many and must ask a person first."""
    allowed = max(policy.sweep_count_max, point_count * policy.sweep_percent_max // 100)
    return wanted_count > allowed


def warning_level(
    available_minor: Ints, thresholds_minor: tuple[Ints, Ints, Ints], floor_minor: Ints
) -> NDArray[np.int8]:
    """0 no warning, 1–3 the warning levels, 4 owing (below the floor), per point."""
    level = np.zeros(len(available_minor), dtype=np.int8)
    for index, threshold in enumerate(thresholds_minor):
        level[available_minor <= threshold] = index + 1
    level[available_minor < floor_minor] = 4
    return level
