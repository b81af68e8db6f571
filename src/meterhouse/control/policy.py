"""What a project has chosen: quiet hours, warning ages, limits of a sweep.

Owns the defaults and their meaning. Must never know a screen or a row: a policy is a value that
`read` makes from the project's JSON, and every field has a range.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from meterhouse.errors import OutOfRange, Unreadable

DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class Policy:
    """A project's rules for relays and warnings.

    Attributes:
        quiet_start_minute: local minute of the day from which nobody is cut off for arrears.
        quiet_end_minute: local minute at which the quiet ends; equal to the start: no quiet hours.
        quiet_weekdays: local weekdays (Monday 0) that are quiet all day.
        quiet_debt_minor: a debt of this much ends the quiet early.
        notice_age_s: a household was told at least this long before it is cut off.
        disconnect_without_channel: whether arrears disconnects run where no notice can be sent.
        reading_age_max_s: older facts never disconnect.
        clock_skew_max_s: nor does a meter whose clock is further off.
        command_life_s: a command that was not sent by then expires.
        sweep_count_max: this many arrears disconnects in one sweep are always allowed.
        sweep_percent_max: and this share of the project's points; beyond both a sweep stops.
        close_direct: connect closes the contact itself; else someone presses the button.
        desk_needs_shift: whether cash is taken only in an open shift.
        hoarding_max_minor: a household holds no more than this in advance.
        refund_second_minor: more money than this is paid out, taken out of a meter or handed to a
            colleague by two people alone, as is what a household never paid in; 0: one may always.
        drift_max_minor: what a meter deducts may differ by this from what the platform rates, over
            thirty days; 0: nobody is told.
        correction_days_max: a price may be corrected from so many days ago on; 0: never.
        vacancy_off: a room whose account is closed is switched off until the next one is opened.
        estimate_after_h: a point that says nothing good for so long is estimated; 0: none is.
        stuck_after_h: a register that stands still for so long, though its meter answers and is on
            and it moved before, is told of; 0: none is.
    """

    quiet_start_minute: int = 22 * 60
    quiet_end_minute: int = 7 * 60
    quiet_weekdays: tuple[int, ...] = (5, 6)
    quiet_debt_minor: int = 10_000
    notice_age_s: int = 1800
    disconnect_without_channel: bool = False
    reading_age_max_s: int = 7200
    clock_skew_max_s: int = 300
    command_life_s: int = 300
    sweep_count_max: int = 20
    sweep_percent_max: int = 5
    close_direct: bool = True
    desk_needs_shift: bool = False
    hoarding_max_minor: int = 10**9
    refund_second_minor: int = 50_000
    drift_max_minor: int = 500
    correction_days_max: int = 400
    vacancy_off: bool = False
    estimate_after_h: int = 0
    stuck_after_h: int = 0


RANGES: dict[str, tuple[int, int]] = {
    "quiet_start_minute": (0, DAY_MINUTES - 1),
    "quiet_end_minute": (0, DAY_MINUTES - 1),
    "quiet_debt_minor": (0, 10**12),
    "notice_age_s": (0, 7 * 86_400),
    "reading_age_max_s": (60, 7200),
    "clock_skew_max_s": (1, 3600),
    "command_life_s": (30, 300),
    "sweep_count_max": (1, 100_000),
    "sweep_percent_max": (0, 100),
    "hoarding_max_minor": (1, 10**12),
    "refund_second_minor": (0, 10**12),
    "drift_max_minor": (0, 10**12),
    "correction_days_max": (0, 3660),
    "estimate_after_h": (0, 720),
    "stuck_after_h": (0, 8760),
}


def parse(chosen: Mapping[str, Any]) -> Policy:
    """A policy from a project's JSON; what is left out keeps its default.

    Raises:
        Unreadable: an unknown name, or something that is not a whole number, truth or list.
        OutOfRange: a number beyond its range.
    """
    known = {field.name for field in fields(Policy)}
    values: dict[str, Any] = {}
    for name, given in chosen.items():
        if name not in known:
            raise Unreadable(what="policy", text=name, wanted=f"one of {sorted(known)}")
        if name in RANGES:
            low, high = RANGES[name]
            if type(given) is not int:
                raise Unreadable(what=f"policy {name}", text=str(given), wanted="a whole number")
            if not low <= given <= high:
                raise OutOfRange(f"policy {name}", given, low, high)
            values[name] = given
        elif name == "quiet_weekdays":
            values[name] = tuple(sorted({int(day) % 7 for day in given}))
        elif type(given) is bool:
            values[name] = given
        else:
            raise Unreadable(what=f"policy {name}", text=str(given), wanted="true or false")
    return Policy(**values)


@lru_cache(maxsize=1024)
def read(text: str) -> Policy:
    """A policy from the JSON text a project keeps. Raises as `parse`."""
    return parse(json.loads(text))


def needs_second(policy: Policy, amount_minor: int) -> bool:
    """Whether so much money is moved away from where it is by two people alone."""
    return 0 < policy.refund_second_minor < amount_minor


def is_quiet(policy: Policy, timezone: str, at: datetime) -> bool:
    """Whether nobody may be cut off for arrears at this instant, by the project's own clock."""
    local = at.astimezone(ZoneInfo(timezone))
    if local.weekday() in policy.quiet_weekdays:
        return True
    start, end = policy.quiet_start_minute, policy.quiet_end_minute
    minute = local.hour * 60 + local.minute
    if start <= end:
        return start <= minute < end
    return minute >= start or minute < end


def quiet_until(policy: Policy, timezone: str, at: datetime) -> datetime:
    """The first full minute from `at` on at which the quiet is over (at most ten days ahead)."""
    probe = at
    for _ in range(10 * DAY_MINUTES // 15):
        if not is_quiet(policy, timezone, probe):
            return probe
        probe += timedelta(minutes=15)
    return probe
