"""Acts on a project's rules about relays: one field each, with its unit, range and meaning.

Owns how the rules of `control.policy` are typed. Must never know what they decide.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.control.policy import Policy
from meterhouse.errors import BadInput
from meterhouse.flows import project
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.units import to_decimal
from meterhouse.web import labels
from meterhouse.web.acts import typed
from meterhouse.web.acts.frame import Act, Ask, Doing, Form
from meterhouse.web.acts.typed import Short, Version
from meterhouse.web.api import setup as shapes
from meterhouse.words import N_

_TAG: Final = "projects"
_POLICY: Final = "/projects/{project_id}/policy"
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_WEEKDAYS: Final = (
    N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday"), N_("Saturday"),
    N_("Sunday"),
)  # fmt: skip

Clock = StringConstraints(min_length=1, max_length=5)


class ClockUnusable(BadInput):
    """Write the time as 22:00."""

    code = "clock_unusable"


class PolicyChange(Form):
    """All rules of a project."""

    version: Version
    """The version the project was read at."""
    quiet_start: Annotated[
        str, Clock,
        Ask(N_("Quiet from"), hint=N_("Nobody is cut off for arrears in quiet hours"), half=True),
    ] = Field(examples=["22:00"])  # fmt: skip
    """Local time from which nobody is cut off for arrears."""
    quiet_end: Annotated[
        str,
        Clock,
        Ask(N_("Quiet until"), hint=N_("The same as the start: no quiet hours"), half=True),
    ] = Field(examples=["07:00"])
    """Local time at which the quiet ends; equal to the start: no quiet hours."""
    quiet_weekdays: Annotated[
        list[Annotated[int, Field(ge=0, le=6)]],
        Ask(N_("Quiet all day on"), kind="many",
            words={str(n): word for n, word in enumerate(_WEEKDAYS)}),
    ] = Field(default_factory=list, max_length=7, examples=[[5, 6]])  # fmt: skip
    """Local weekdays that are quiet all day; Monday is 0."""
    quiet_debt: Annotated[
        str, Short, Ask(N_("Debt that ends the quiet"), kind="money",
                        hint=N_("Who owes this much may be cut off at any hour")),
    ] = Field(examples=["100.00"])  # fmt: skip
    """A debt of this much ends the quiet early; decimal, zero or above."""
    notice_minutes: Annotated[
        int, Field(ge=0, le=10_080),
        Ask(N_("Warned before"), unit=N_("minutes"),
            hint=N_("A household is told at least this long before it is cut off")),
    ] = Field(examples=[30])  # fmt: skip
    """Minutes between a notice and a disconnect, 0 to 10080."""
    disconnect_without_channel: Annotated[
        bool, Ask(N_("Cut off also where no notice can be sent"), kind="flag")
    ] = Field(default=False, examples=[False])
    """Whether arrears disconnects run where no notice can be sent."""
    reading_age_minutes: Annotated[
        int, Field(ge=1, le=120),
        Ask(N_("Reading not older than"), unit=N_("minutes"),
            hint=N_("Older readings never cut anybody off")),
    ] = Field(examples=[120])  # fmt: skip
    """Readings older than this never disconnect, 1 to 120 minutes."""
    clock_skew_s: Annotated[
        int, Field(ge=1, le=3600),
        Ask(N_("Meter clock wrong by at most"), unit=N_("seconds"),
            hint=N_("A meter whose clock is further off is not cut off")),
    ] = Field(examples=[300])  # fmt: skip
    """A meter whose clock is further off never disconnects, 1 to 3600 seconds."""
    command_life_s: Annotated[
        int, Field(ge=30, le=300),
        Ask(N_("Commands live for"), unit=N_("seconds"),
            hint=N_("A command that could not be sent by then expires")),
    ] = Field(examples=[300])  # fmt: skip
    """A command not sent within this time expires, 30 to 300 seconds."""
    sweep_count: Annotated[
        int, Field(ge=1, le=100_000),
        Ask(N_("Disconnects always allowed at once"), unit=N_("rooms"), half=True),
    ] = Field(examples=[20])  # fmt: skip
    """This many arrears disconnects in one sweep are always allowed."""
    sweep_percent: Annotated[
        int, Field(ge=0, le=100),
        Ask(N_("And this share of the project"), unit="%",
            hint=N_("More than both at once stops and asks a person"), half=True),
    ] = Field(examples=[5])  # fmt: skip
    """And this share of the project's points; beyond both the sweep stops."""
    close_direct: Annotated[
        bool,
        Ask(N_("Connecting closes the relay itself, without a button pressed"), kind="flag"),
    ] = Field(default=False, examples=[False])
    """Whether connect closes the contact itself; else someone presses the button."""
    desk_needs_shift: Annotated[
        bool, Ask(N_("Cash is taken only in an open shift"), kind="flag")
    ] = Field(default=False, examples=[False])
    """Whether cash is taken at the desk only by a cashier whose shift is open."""
    hoarding_max: Annotated[
        str, Short, Ask(N_("Kept in advance at most"), kind="money", half=True,
                        hint=N_("A recharge that would lead beyond it is refused")),
    ] = Field(default="10000000", examples=["20000.00"])  # fmt: skip
    """No household holds more than this; decimal, above zero."""
    refund_second: Annotated[
        str, Short, Ask(N_("Second person for payouts above"), kind="money", half=True,
                        hint=N_("Also out of a meter or a drawer, or never paid in; 0: never")),
    ] = Field(default="500", examples=["500.00"])  # fmt: skip
    """Refunds, reversals, money taken out of a meter, drawers handed over of more than this, and
    payouts of what was never paid in need a second person; decimal, 0: never."""
    drift_max: Annotated[
        str, Short, Ask(N_("Meter may deduct otherwise by"), kind="money", half=True,
                        hint=N_("Over 30 days, against what the platform rates; 0: no alarm")),
    ] = Field(default="5.00", examples=["5.00"])  # fmt: skip
    """What a meter that keeps the money may deduct otherwise than the platform rates, over thirty
    days, before an alarm opens; decimal, 0: none opens."""
    correction_days: Annotated[
        int, Field(ge=0, le=3660, examples=[400]),
        Ask(N_("Prices may be corrected from"), unit=N_("days ago"), half=True,
            hint=N_("0: never")),
    ] = 400  # fmt: skip
    """From how many days ago on a wrong price may be corrected, 0 to 3660; 0: never."""
    vacancy_off: Annotated[
        bool,
        Ask(N_("Switch off a room whose account is closed, until the next one"), kind="flag"),
    ] = Field(default=False, examples=[False])
    """Whether a room whose account is closed is switched off until the next one is opened."""
    estimate_after_h: Annotated[
        int, Field(ge=0, le=720),
        Ask(N_("Estimate a silent point after"), unit=N_("hours"), half=True,
            hint=N_("By its own days before; nobody is cut off by it; 0: never")),
    ] = Field(default=0, examples=[6])  # fmt: skip
    """Hours without a good reading after which a point's energy is estimated; 0: never."""
    stuck_after_h: Annotated[
        int, Field(ge=0, le=8760),
        Ask(N_("Alarm for a register that stands still for"), unit=N_("hours"), half=True,
            hint=N_("Though its meter answers and is on; 0: never")),
    ] = Field(default=0, examples=[72])  # fmt: skip
    """Hours a register may stand still while its meter answers, before an alarm opens; 0: any."""


class Template(Form):
    """Which house the rules are for."""

    version: Version
    """The version the project was read at."""
    template: Annotated[
        str, StringConstraints(pattern="^(residential|dormitory|shops)$"),
        Field(examples=["dormitory"]),
        Ask(N_("Rules for"), kind="choice", words=labels.TEMPLATE),
    ]  # fmt: skip
    """residential, dormitory or shops."""


def _minute(text: str, field: str) -> int:
    found = _CLOCK.fullmatch(text)
    if not found:
        raise typed.beside(ClockUnusable(), field)
    return int(found[1]) * 60 + int(found[2])


def _amount_minor(text: str, exponent: int, field: str) -> int:
    amount_minor = typed.money_minor(text, exponent, field)
    if amount_minor < 0:
        raise typed.beside(typed.MoneyUnusable(decimals=exponent), field)
    return amount_minor


def clock_text(minute: int) -> str:
    """A minute of the day as a clock shows it."""
    return f"{minute // 60:02}:{minute % 60:02}"


async def _edit(doing: Doing, form: PolicyChange) -> Done:
    """Change the rules about quiet hours, warnings, sweeps and commands."""
    scope, _ = doing.here
    debt_minor, hoarding_minor, second_minor, drift_minor = (
        _amount_minor(getattr(form, field), scope.currency_exponent, field)
        for field in ("quiet_debt", "hoarding_max", "refund_second", "drift_max")
    )
    chosen = {
        "quiet_start_minute": _minute(form.quiet_start, "quiet_start"),
        "quiet_end_minute": _minute(form.quiet_end, "quiet_end"),
        "quiet_weekdays": sorted(set(form.quiet_weekdays)),
        "quiet_debt_minor": debt_minor,
        "notice_age_s": form.notice_minutes * 60,
        "disconnect_without_channel": form.disconnect_without_channel,
        "reading_age_max_s": form.reading_age_minutes * 60,
        "clock_skew_max_s": form.clock_skew_s,
        "command_life_s": form.command_life_s,
        "sweep_count_max": form.sweep_count,
        "sweep_percent_max": form.sweep_percent,
        "close_direct": form.close_direct,
        "desk_needs_shift": form.desk_needs_shift,
        "hoarding_max_minor": max(hoarding_minor, 1),
        "refund_second_minor": second_minor,
        "drift_max_minor": drift_minor,
        "correction_days_max": form.correction_days,
        "vacancy_off": form.vacancy_off,
        "estimate_after_h": form.estimate_after_h,
        "stuck_after_h": form.stuck_after_h,
    }
    return await _set(doing, form.version, chosen)


async def _apply(doing: Doing, form: Template) -> Done:
    """Replace all rules by those of a template; then change what is different here."""
    return await _set(doing, form.version, project.template(form.template))


async def _set(doing: Doing, version: int, chosen: Mapping[str, Any]) -> Done:
    before = await project.set_policy(doing.db, doing.project_id, version, chosen)
    subject = f"project:{doing.project_id}"
    return Done(subject, {"id": doing.project_id}, before, chosen)


async def _typed(doing: Doing) -> Mapping[str, Any]:
    now = await project.look(doing.db, doing.project_id)
    scope, _ = doing.here
    return typed_of(now.policy, scope.currency_exponent) | {"version": now.row["version"]}


def typed_of(policy: Policy, exponent: int) -> dict[str, Any]:
    """Rules as the form holds them."""
    return {
        "quiet_start": clock_text(policy.quiet_start_minute),
        "quiet_end": clock_text(policy.quiet_end_minute),
        "quiet_weekdays": [str(day) for day in policy.quiet_weekdays],
        "quiet_debt": to_decimal(policy.quiet_debt_minor, exponent),
        "notice_minutes": policy.notice_age_s // 60,
        "disconnect_without_channel": policy.disconnect_without_channel,
        "reading_age_minutes": policy.reading_age_max_s // 60,
        "clock_skew_s": policy.clock_skew_max_s,
        "command_life_s": policy.command_life_s,
        "sweep_count": policy.sweep_count_max,
        "sweep_percent": policy.sweep_percent_max,
        "close_direct": policy.close_direct,
        "desk_needs_shift": policy.desk_needs_shift,
        "hoarding_max": to_decimal(policy.hoarding_max_minor, exponent),
        "refund_second": to_decimal(policy.refund_second_minor, exponent),
        "drift_max": to_decimal(policy.drift_max_minor, exponent),
        "correction_days": policy.correction_days_max,
        "vacancy_off": policy.vacancy_off,
        "estimate_after_h": policy.estimate_after_h,
        "stuck_after_h": policy.stuck_after_h,
    }


async def _version(doing: Doing) -> Mapping[str, Any]:
    return {"version": (await project.look(doing.db, doing.project_id)).row["version"]}


def _settings(doing: Doing, _: Any) -> str:
    return f"/projects/{doing.project_id}/settings"


EDIT: Final = Act(
    "policy.edit", Verb.PROJECT_EDIT, _POLICY, N_("Edit rules"), PolicyChange, shapes.Made, _edit,
    method="PUT", tag=_TAG, typed=_typed, then=_settings, proof=True,
)  # fmt: skip
APPLY: Final = Act(
    "policy.apply", Verb.PROJECT_EDIT, f"{_POLICY}/apply", N_("Apply a template"), Template,
    shapes.Made, _apply, tag=_TAG, typed=_version, then=_settings, proof=True,
    consequence=N_("All rules are replaced by those of the template."),
)  # fmt: skip

ACTS: Final = (EDIT, APPLY)
