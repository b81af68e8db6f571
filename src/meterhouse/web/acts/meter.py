"""Acts on a meter's relay: read it, cut it off, bring it back, keep it on.

Owns what each means in words a person understands before the button is pressed. Must never know
what a command does on the wire.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from meterhouse.flows import command, monitor
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.model import CommandKind
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Choices, Doing, NoFields, Why
from meterhouse.web.api import schemas, shapes
from meterhouse.web.formats import ABSENT
from meterhouse.words import N_


async def _ask(doing: Doing, kind: CommandKind, reason: str) -> Done:
    meter_id = doing.ids["meter_id"]
    (command_id,) = await command.request(
        doing.db, doing.project_id, [meter_id], kind, reason, doing.doer.actor_id, doing.doer.at,
        doing.second_id,
    )  # fmt: skip
    row = await monitor.command(doing.db, doing.project_id, command_id)
    shape = shapes.command(row).model_dump(mode="json")
    return Done(
        f"meter:{meter_id}", shape, after={"command_id": command_id, "kind": kind}, reason=reason
    )


async def _read(doing: Doing, _: NoFields) -> Done:
    """Read one meter now; ask for the command until it has ended."""
    return await _ask(doing, CommandKind.READ, "")


async def _about(doing: Doing) -> Choices:
    """Whose meter it is, so that nobody switches off the neighbour."""
    now = await monitor.point(doing.db, doing.project_id, meter_id=doing.ids["meter_id"])
    _, fmt = doing.here
    return (
        (N_("Room"), f"{now.building} {now.room}"),
        (N_("Customer"), labels.customer_of(now, doing.words)),
        (N_("Meter"), now.address or ABSENT),
        (N_("Available"), fmt.money(now.available_minor)),
    )


async def _names(doing: Doing, meter_ids: Sequence[int]) -> list[str]:
    return await monitor.meter_names(doing.db, doing.project_id, meter_ids)


async def _needs_second(doing: Doing, meter_ids: Sequence[int]) -> bool:
    return await command.needs_second(
        doing.db, doing.project_id, meter_ids, doing.doer.actor_id, doing.doer.at
    )


def _progress(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/commands/{answer['id']}"


def _switch(
    kind: CommandKind, deed: str, consequence: str, describe: str, danger: bool = False
) -> Act[Why]:
    async def run(doing: Doing, form: Why) -> Done:
        return await _ask(doing, kind, form.reason)

    run.__doc__ = describe
    typed: Callable[[Doing, Why], Awaitable[Done]] = run
    return Act(
        f"meter.{deed}",
        Verb.METER_SWITCH,
        f"/projects/{{project_id}}/meters/{{meter_id}}/{deed.replace('_', '-')}",
        labels.COMMAND_KIND[kind],
        Why,
        schemas.Command,
        typed,
        consequence=consequence,
        danger=danger,
        tag="commands",
        about=_about,
        then=_progress,
        watch=True,
        bulk=_names,
        second=_needs_second if kind is CommandKind.DISCONNECT else None,
    )


READ: Final = Act(
    "meter.read",
    Verb.METER_READ,
    "/projects/{project_id}/meters/{meter_id}/read",
    labels.COMMAND_KIND[CommandKind.READ],
    NoFields,
    schemas.Command,
    _read,
    consequence=N_("The meter is asked for its registers, power and relay now."),
    tag="commands",
    about=_about,
    then=_progress,
    watch=True,
    bulk=_names,
)

SWITCHES: Final = (
    READ,
    _switch(
        CommandKind.DISCONNECT,
        "disconnect",
        N_(
            "Power is cut off at once and stays off, also after payment, until somebody "
            "connects it again. Make sure that nobody is put in danger."
        ),
        "Cut power off until somebody connects it again; ask for the command until it has ended.",
        danger=True,
    ),
    _switch(
        CommandKind.CONNECT,
        "connect",
        N_(
            "Power comes back. From then on the balance decides again: if it is used up, "
            "the next reading disconnects."
        ),
        "Bring power back; from then on the balance decides again.",
    ),
    _switch(
        CommandKind.KEEP_POWER_ON,
        "keep_power",
        N_(
            "Power stays on whatever the balance; debt may grow without limit until prepay "
            "is restored."
        ),
        "Keep power on whatever the balance.",
    ),
    _switch(
        CommandKind.KEEP_POWER_OFF,
        "restore_prepay",
        N_("The balance decides again: if it is used up, the next reading disconnects."),
        "End keep-power; the balance decides again.",
    ),
)

ACTS: Final = SWITCHES
