"""Acts on alarms."""

from collections.abc import Sequence
from typing import Final

from meterhouse.flows import alarm, monitor
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.model import AlarmKind
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Doing, NoFields, Why
from meterhouse.words import N_


async def _names(doing: Doing, alarm_ids: Sequence[int]) -> list[str]:
    found = await monitor.alarm_names(doing.db, doing.project_id, alarm_ids)
    return [" ".join((labels.label(doing.words, AlarmKind(kind)), *where)) for kind, where in found]


async def _close(doing: Doing, _: NoFields) -> Done:
    """Close an alarm that nothing else closes."""
    alarm_id = doing.ids["alarm_id"]
    await alarm.close(doing.db, doing.project_id, alarm_id, doing.doer.at)
    return Done(f"alarm:{alarm_id}", before={"open": True}, after={"open": False})


async def _release(doing: Doing, form: Why) -> Done:
    """Let a stopped sweep go on: with the next readings it cuts off whom it would have cut off."""
    alarm_id = doing.ids["alarm_id"]
    await alarm.release(doing.db, doing.project_id, alarm_id, doing.doer.at)
    before, after = {"open": True}, {"open": False}
    return Done(f"alarm:{alarm_id}", before=before, after=after, reason=form.reason)


CLOSE: Final = Act(
    "alarm.close",
    Verb.ALARM_CLOSE,
    "/projects/{project_id}/alarms/{alarm_id}/close",
    N_("Close alarm"),
    NoFields,
    None,
    _close,
    consequence=N_("The alarm counts as looked after."),
    tag="alarms",
    then=lambda doing, _: f"/projects/{doing.project_id}/alarms",
    bulk=_names,
)
# Whoever sets how many may be cut off at once says whether so many may be this time; the right to
# switch a meter, or to close alarms, is not enough to switch them all.
RELEASE: Final = Act(
    "sweep.release",
    Verb.PROJECT_EDIT,
    "/projects/{project_id}/alarms/{alarm_id}/release",
    N_("Let the sweep go on"),
    Why,
    None,
    _release,
    consequence=N_(
        "All households below their floor are switched off with the next readings. Make sure that "
        "prices, balances and readings are right."
    ),
    danger=True,
    proof=True,
    tag="alarms",
    then=lambda doing, _: f"/projects/{doing.project_id}/alarms",
)

ACTS: Final = (CLOSE, RELEASE)
