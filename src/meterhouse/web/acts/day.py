"""Acts that end a day: close it, in one project or in many at once, and prove the books again."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import BadInput
from meterhouse.flows import access, day, task
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.store.tasks import NewTask
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, NoFields, ReasonText
from meterhouse.web.api import work
from meterhouse.web.api.schemas import COUNT_MAX, ID_MAX, Shape
from meterhouse.words import N_

KIND: Final = "close_days"
PROJECTS_MAX: Final = 500


class DayUnreadable(BadInput):
    """Enter a day as YYYY-MM-DD, or nothing for yesterday."""

    code = "day_unreadable"
    field = "day"


class Proofs(Shape):
    """What was proved of the books."""

    contradicting: dict[
        Annotated[str, Field(max_length=60)], Annotated[int, Field(ge=0, le=COUNT_MAX)]
    ] = Field(max_length=20, examples=[{"debits_equal_credits": 0, "shifts_closed": 1}])
    """By proof: how many rows contradict it; 0 where it holds."""


async def _reached(doing: Doing) -> Choices:
    """The projects whose days this person may close; this one first."""
    known = await access.known_by_id(doing.db, doing.doer_id)
    reaches = [] if known is None else known.reaches
    mine = [one for one in reaches if Verb.DAY_CLOSE in one.asked(Verb.DAY_CLOSE).verbs]
    mine.sort(key=lambda one: (one.project_id != doing.project_id, one.name))
    return [(str(one.project_id), one.name) for one in mine]


class DaysToClose(Form):
    """Which days of which projects to close."""

    day: Annotated[
        str, StringConstraints(max_length=10, pattern=r"^[0-9-]*$"),
        Ask(N_("Up to and with"), hint=N_("YYYY-MM-DD; empty for yesterday. Today ends at once.")),
    ] = Field(default="", examples=["2026-11-20"])  # fmt: skip
    """The last day to close; earlier ones still open are closed with it. Empty for yesterday."""
    projects: Annotated[
        list[Annotated[int, Field(ge=1, le=ID_MAX)]],
        Ask(N_("Projects"), kind="many", choices=_reached),
    ] = Field(default_factory=list, max_length=PROJECTS_MAX, examples=[[12, 13]])
    """The projects; none means this one."""
    reason: ReasonText
    """Why; kept in the audit of each project."""


def read_day(text: str) -> date | None:
    """The day a form names, None for yesterday. Raises `DayUnreadable`."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise DayUnreadable from None


async def _close(doing: Doing, form: DaysToClose) -> Done:
    """Close days of one project or of several: answers the task that does it project by project."""
    until_day = read_day(form.day)
    today = doing.doer.at.date() + timedelta(days=1)
    if until_day is not None and until_day > today:
        raise day.DayNotOver(day=until_day)
    ids = sorted(set(form.projects)) or [doing.project_id]
    asked = {
        "act": CLOSE.name, "verb": Verb.DAY_CLOSE, "ids": ids, "day": form.day,
        "reason": form.reason, "via": doing.doer.via, "language": doing.words.language,
    }  # fmt: skip
    new = NewTask(KIND, CLOSE.title, asked, total_count=len(ids))
    doer = doing.doer
    task_id = await task.start(doing.db, doing.project_id, new, doer.actor_id, doer.at)
    row = await task.get(doing.db, doing.project_id, task_id)
    return Done(
        f"task:{task_id}", work.task(row).model_dump(mode="json"),
        after={"task_id": task_id, "count": len(ids)}, reason=form.reason,
    )  # fmt: skip


async def _prove(doing: Doing, _: NoFields) -> Done:
    """Prove the books as they stand now; what fails is an alarm until it holds again."""
    found = dict(await day.prove_again(doing.db, doing.project_id, doing.doer.at))
    answer = Proofs(contradicting=found).model_dump(mode="json")
    return Done(f"project:{doing.project_id}", answer, after=found)


async def _typed(doing: Doing) -> dict[str, Sequence[Any]]:
    return {"projects": [str(doing.project_id)]}


def _watch(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/tasks/{answer['id']}/progress"


CLOSE: Final = Act(
    "day.close", Verb.DAY_CLOSE, "/projects/{project_id}/days/close", N_("Close days"),
    DaysToClose, work.Task, _close, tag="books", typed=_typed, then=_watch, watch=True,
    consequence=N_("What was used is booked, the day's totals are written for ever and the books"
                   " are proved. What arrives later belongs to the next day."),
)  # fmt: skip
PROVE: Final = Act(
    "day.prove",
    Verb.DAY_CLOSE,
    "/projects/{project_id}/days/prove",
    N_("Prove the books"),
    NoFields,
    Proofs,
    _prove,
    tag="books",
    consequence=N_("The whole books are added up anew; nothing is changed but the alarms."),
)
ACTS: Final = (CLOSE, PROVE)
