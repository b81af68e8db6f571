"""Acts on alarms."""

from typing import Final

from meterhouse.flows import alarm
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.web.acts.frame import Act, Doing, NoFields
from meterhouse.words import N_


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
)

ACTS: Final = (CLOSE,)
