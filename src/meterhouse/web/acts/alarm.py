"""Acts on alarms."""

from collections.abc import Sequence
from typing import Final

from meterhouse.flows import alarm, monitor
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.model import AlarmKind
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Doing, NoFields
from meterhouse.words import N_


async def _names(doing: Doing, alarm_ids: Sequence[int]) -> list[str]:
    found = await monitor.alarm_names(doing.db, doing.project_id, alarm_ids)
    return [" ".join((labels.label(doing.words, AlarmKind(kind)), *where)) for kind, where in found]


async def _close(doing: Doing, _: NoFields) -> Done:
    """Close an alarm that nothing else closes; a stopped sweep then goes on."""
    alarm_id = doing.ids["alarm_id"]
    await alarm.close(doing.db, doing.project_id, alarm_id, doing.doer.at)
    return Done(f"alarm:{alarm_id}", before={"open": True}, after={"open": False})


CLOSE: Final = Act(
    "alarm.close",
    Verb.ALARM_CLOSE,
    "/projects/{project_id}/alarms/{alarm_id}/close",
    N_("Close alarm"),
    NoFields,
    None,
    _close,
    consequence=N_(
        "The alarm counts as looked after. A stopped sweep goes on with the next readings: "
        "households below their floor are then switched off."
    ),
    tag="alarms",
    then=lambda doing, _: f"/projects/{doing.project_id}/alarms",
    bulk=_names,
)

ACTS: Final = (CLOSE,)
