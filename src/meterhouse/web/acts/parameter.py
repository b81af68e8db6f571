"""Acts on what a meter holds: send it its prices, its warnings, read back what it charges by.

Owns how they are asked for. Must never know a register.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import monitor, parameter
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.model import CommandKind
from meterhouse.web import labels
from meterhouse.web.acts import typed
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, NoFields, ReasonText, Why
from meterhouse.web.api import schemas, shapes
from meterhouse.web.formats import ABSENT
from meterhouse.web.parameterwords import PART, is_idle, setting
from meterhouse.words import N_

_METER: Final = "/projects/{project_id}/meters/{meter_id}"


class NewPrices(Form):
    """When a meter is to charge the price of its tariff."""

    takes_effect: Annotated[
        str,
        StringConstraints(max_length=40),
        Ask(N_("In force from"),
            hint=N_("YYYY-MM-DD HH:MM; empty: with the tariff's next version, or soon")),
    ] = Field(default="", examples=["2026-05-01 00:00"])  # fmt: skip
    """When the meter switches; the project's own time, or RFC 3339, to the minute. Empty: with the
    tariff's next version, or in half an hour."""
    reason: ReasonText
    """Why; kept with the command and in the audit."""


def _switch_at(doing: Doing, form: NewPrices) -> datetime | None:
    _, fmt = doing.here
    if not form.takes_effect.strip():
        return None
    return typed.instant(form.takes_effect, fmt, doing.doer.at, "takes_effect")


async def _done(doing: Doing, command_id: int, reason: str, **facts: Any) -> Done:
    row = await monitor.command(doing.db, doing.project_id, command_id)
    shape = shapes.command(row).model_dump(mode="json")
    after = {"command_id": command_id, "kind": row["kind"], **facts}
    return Done(f"meter:{doing.ids['meter_id']}", shape, after=after, reason=reason)


async def _prices(doing: Doing, form: NewPrices) -> Done:
    """Send a meter the price of its tariff; it charges by it from an instant on."""
    meter_id, switch_at = doing.ids["meter_id"], _switch_at(doing, form)
    planned = await parameter.plan(doing.db, doing.project_id, meter_id, switch_at, doing.doer.at)
    command_id = await parameter.send_prices(
        doing.db, doing.project_id, meter_id, planned.switch_at, form.reason, doing.doer.actor_id,
        doing.doer.at,
    )  # fmt: skip
    return await _done(
        doing, command_id, form.reason, tariff_id=planned.tariff_id, version=planned.version,
        switch_at=planned.switch_at.isoformat(),
    )  # fmt: skip


async def _warnings(doing: Doing, form: Why) -> Done:
    """Send a meter its household's warning levels and overdraft."""
    command_id = await parameter.send_warnings(
        doing.db, doing.project_id, doing.ids["meter_id"], form.reason, doing.doer.actor_id,
        doing.doer.at,
    )  # fmt: skip
    return await _done(doing, command_id, form.reason)


async def _check(doing: Doing, _: NoFields) -> Done:
    """Read back what a meter charges by; refused with `differs` where it is not what was sent."""
    command_id = await parameter.check(
        doing.db, doing.project_id, doing.ids["meter_id"], doing.doer.actor_id, doing.doer.at
    )
    return await _done(doing, command_id, "")


async def _preview(doing: Doing, form: NewPrices) -> Choices:
    """What would be sent, register by register, or all that the meter cannot hold, part by part."""
    asked = (
        doing.db, doing.project_id, doing.ids["meter_id"], _switch_at(doing, form), doing.doer.at,
    )  # fmt: skip
    lacking = await parameter.unfit(*asked)
    if lacking:
        return [(PART[part], doing.words.error(error)) for part, error in lacking]
    planned = await parameter.plan(*asked)
    _, fmt = doing.here
    version = doing.words(N_("Version {number}"), number=planned.version)
    return [
        (N_("Tariff"), f"{planned.tariff} · {version}"),
        (N_("In force from"), fmt.instant(planned.switch_at)),
        *(
            (setting(name), text)
            for name, text in planned.compiled.in_force
            if not is_idle(name, text)
        ),
    ]


async def _about(doing: Doing) -> Choices:
    now = await monitor.point(doing.db, doing.project_id, meter_id=doing.ids["meter_id"])
    return (
        (N_("Room"), f"{now.building} {now.room}"),
        (N_("Customer"), labels.customer_of(now, doing.words)),
        (N_("Meter"), now.address or ABSENT),
        (N_("Tariff"), now.tariff or ABSENT),
    )


async def _names(doing: Doing, meter_ids: Sequence[int]) -> list[str]:
    return await monitor.meter_names(doing.db, doing.project_id, meter_ids)


def _progress(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/commands/{answer['id']}"


SEND_PRICES: Final = Act(
    "meter.send_prices", Verb.PARAMETER_SEND, f"{_METER}/send-prices",
    labels.COMMAND_KIND[CommandKind.TARIFF], NewPrices, schemas.Command, _prices, tag="commands",
    proof=True, about=_about, then=_progress, watch=True, preview=_preview, bulk=_names,
    consequence=N_(
        "The meter's standby prices are written and read back, and only then the time at which "
        "they come into force. Until then, and whenever anything is in doubt, it charges as before."
    ),
)  # fmt: skip
SEND_WARNINGS: Final = Act(
    "meter.send_warnings", Verb.PARAMETER_SEND, f"{_METER}/send-warnings",
    labels.COMMAND_KIND[CommandKind.SETTING], Why, schemas.Command, _warnings, tag="commands",
    proof=True, about=_about, then=_progress, watch=True, bulk=_names,
    consequence=N_("The meter warns its household and cuts it off at these levels from then on."),
)  # fmt: skip
CHECK: Final = Act(
    "meter.check_prices", Verb.PARAMETER_SEND, f"{_METER}/check-prices",
    labels.COMMAND_KIND[CommandKind.CHECK], NoFields, schemas.Command, _check, tag="commands",
    about=_about, then=_progress, watch=True, bulk=_names,
    consequence=N_("The meter is asked what it charges by; nothing is changed in it."),
)  # fmt: skip

ACTS: Final = (SEND_PRICES, SEND_WARNINGS, CHECK)
