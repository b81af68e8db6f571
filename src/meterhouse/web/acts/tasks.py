"""Acts on long tasks: approve one that waits for a second person, and stop one."""

from collections.abc import Mapping
from typing import Any, Final

from meterhouse.errors import MeterhouseError
from meterhouse.flows import task
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done, Via
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts.frame import Act, Choices, Doing, NoFields
from meterhouse.words import N_


class TaskMustEnd(MeterhouseError):
    """This cannot be stopped halfway; what it began would contradict itself."""

    code = "task_must_end"
    http_status = 409


async def _approve(doing: Doing, _: NoFields) -> Done:
    """Approve a task that waits for a second person; a person does it, at the console."""
    doer, task_id = doing.doer, doing.ids["task_id"]
    row = await task.get(doing.db, doing.project_id, task_id)
    _check_verb(doing, row)
    # A program's key may be in the same hands that asked.
    second_id = doer.actor_id if doer.via is Via.CONSOLE else None
    await task.approve(doing.db, doing.project_id, task_id, second_id, doer.at)
    return Done(f"task:{task_id}", before={"state": "waiting"}, after={"state": "queued"})


async def _cancel(doing: Doing, _: NoFields) -> Done:
    """Stop a task; what it has done stays done."""
    task_id = doing.ids["task_id"]
    row = await task.get(doing.db, doing.project_id, task_id)
    if row["actor_id"] != doing.doer.actor_id:
        _check_verb(doing, row)
    if row["input"].get("must_end"):
        raise TaskMustEnd
    await task.cancel(doing.db, doing.project_id, task_id, doing.doer.at)
    return Done(f"task:{task_id}", before={"state": row["state"]}, after={"state": "cancelled"})


def _check_verb(doing: Doing, row: Mapping[str, Any]) -> None:
    """Whoever decides on a task must themselves be allowed what it does, wherever it does it."""
    verb = row["input"].get("verb", "")
    scope, _ = doing.here
    if verb and not scope.covers(verb, row["building_ids"]):
        raise NotAllowed(verb)


async def _about(doing: Doing) -> Choices:
    row = await task.get(doing.db, doing.project_id, doing.ids["task_id"])
    _, fmt = doing.here
    return (
        (N_("Task"), doing.words(row["title"])),
        (N_("How many"), fmt.number(row["total_count"])),
        (N_("Reason"), str(row["input"].get("reason", ""))),
        (N_("Asked"), fmt.instant(row["created_at"])),
    )


APPROVE: Final = Act(
    "task.approve",
    Verb.TASK_READ,
    "/projects/{project_id}/tasks/{task_id}/approve",
    N_("Approve"),
    NoFields,
    None,
    _approve,
    consequence=N_("You agree as the second person, and it begins at once."),
    danger=True,
    proof=True,
    tag="tasks",
    about=_about,
)
CANCEL: Final = Act(
    "task.cancel",
    Verb.TASK_READ,
    "/projects/{project_id}/tasks/{task_id}/cancel",
    N_("Stop task"),
    NoFields,
    None,
    _cancel,
    consequence=N_("No further row is touched; what has been done stays done."),
    tag="tasks",
    about=_about,
)
ACTS: Final = (APPROVE, CANCEL)
