"""An act done to many at once: one form, one task, one result a row.

Owns the act that is made of an act: its fields and the ids, a reason, and a task in which the act
itself is done to one row after the other, each in a transaction of its own with its own entry in
the audit. Must never know a particular act. Where so many at once need a second person, the task
waits until somebody else with the same verb approves it.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field, create_model

from meterhouse.errors import BadInput
from meterhouse.flows import task
from meterhouse.flows.act import Done
from meterhouse.store.tasks import NewTask
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, Made, ReasonText
from meterhouse.web.api import work
from meterhouse.web.api.schemas import ID_MAX
from meterhouse.words import N_

KIND: Final = "bulk"
ROWS_MAX: Final = work.ROWS_MAX
NAMES_SHOWN: Final = 5
_LAST_PART: Final = re.compile(r"/{(\w+)}(/[\w-]+)?$")


class NothingChosen(BadInput):
    """Choose at least one row, and at most {rows}."""

    code = "nothing_chosen"

    def __init__(self) -> None:
        super().__init__(rows=ROWS_MAX)


def bulk_of(act: Act[Any]) -> Act[Any]:
    """The act that does this act to many: `/meters/{meter_id}/read` becomes `/meters/read`."""
    assert act.bulk is not None
    base: type[Form] = act.many or act.form
    needs_reason = "reason" not in base.model_fields
    why = {"reason": (ReasonText, Field(description="Why; kept in the audit."))}
    ids = Annotated[
        list[Annotated[int, Field(ge=1, le=ID_MAX)]],
        Field(min_length=1, max_length=ROWS_MAX, description="Ids of those it is done to.",
              examples=[[12, 13]]),
        Ask(N_("Rows"), kind="ids"),
    ]  # fmt: skip
    form = create_model(
        f"Many{act.name.title().replace('.', '').replace('_', '')}",
        __base__=(base, Made),
        **({"ids": (ids, ...)} | (why if needs_reason else {})),
    )  # type: ignore[call-overload]  # the fields' names are known only here

    async def run(doing: Doing, typed: Any) -> Done:
        return await _begin(act, doing, typed)

    run.__doc__ = f"{_summary(act)}, for many at once: answers the task that does it row by row."
    return Act(
        many_name(act), act.verb, _LAST_PART.sub(r"\2", act.address), act.title, form,
        work.Task, run, consequence=act.consequence, danger=act.danger, proof=act.proof,
        tag=act.tag, about=_about(act), typed=_chosen, watch=True,
        then=lambda doing, answer: f"/projects/{doing.project_id}/tasks/{answer['id']}/progress",
    )  # fmt: skip


def many_name(act: Act[Any]) -> str:
    """The name of the act for many: `meter.read` becomes `meters.read`."""
    noun, _, deed = act.name.partition(".")
    return f"{noun}s.{deed}"


def row_name(act: Act[Any]) -> str:
    """Which number of the address differs from row to row, as in `meter_id`."""
    found = _LAST_PART.search(act.address)
    assert found is not None, f"{act.address} names no row"
    return found[1]


async def _begin(act: Act[Any], doing: Doing, typed: Any) -> Done:
    """Queue the task; it waits first where a second person is needed."""
    ids = sorted(set(typed.ids))
    assert act.bulk is not None
    await act.bulk(doing, ids)
    waits = await act.second(doing, ids) if act.second else False
    form = typed.model_dump(mode="json", include=set(act.form.model_fields))
    asked = {
        "act": act.name, "verb": act.verb, "ids": ids, "form": form, "reason": typed.reason,
        "via": doing.doer.via, "language": doing.words.language,
    }  # fmt: skip
    if act.each:
        kept = await act.each(doing, ids)
        asked["forms"] = [form | kept.get(one, {}) for one in ids]
    new = NewTask(KIND, act.title, asked, total_count=len(ids), waits=waits)
    doer = doing.doer
    task_id = await task.start(doing.db, doing.project_id, new, doer.actor_id, doer.at)
    row = await task.get(doing.db, doing.project_id, task_id)
    return Done(
        f"task:{task_id}", work.task(row).model_dump(mode="json"),
        after={"task_id": task_id, "count": len(ids), "waits": waits}, reason=typed.reason,
    )  # fmt: skip


async def wait_for_second(act: Act[Any], doing: Doing, form: Any, reason: str) -> int:
    """Let one act wait for a second person; it is then done once, as a task of one row.

    What the form holds is kept with the task, so it must not hold who somebody is.
    """
    asked = {
        "act": act.name, "verb": act.verb, "ids": [doing.ids[row_name(act)]],
        "form": form.model_dump(mode="json"), "reason": reason, "via": doing.doer.via,
        "language": doing.words.language,
    }  # fmt: skip
    new = NewTask(KIND, act.title, asked, total_count=1, waits=True)
    doer = doing.doer
    return await task.start(doing.db, doing.project_id, new, doer.actor_id, doer.at)


def _about(act: Act[Any]) -> Any:
    async def about(doing: Doing) -> Choices:
        """How many it is, who the first of them are, and whether a second person is needed."""
        ids = sorted(set(doing.chosen))
        assert act.bulk is not None
        names = list(await act.bulk(doing, ids[:NAMES_SHOWN]))
        more = len(ids) - len(names)
        if more > 0:
            names.append(doing.words(N_("and {count} more"), count=more))
        told = [(N_("How many"), str(len(ids))), (N_("To whom"), ", ".join(names))]
        if act.second and await act.second(doing, ids):
            told.append((N_("Second person"), doing.words(
                N_("Needed: it waits until somebody else with the same right approves it.")
            )))  # fmt: skip
        return told

    return about


async def _chosen(doing: Doing) -> dict[str, Sequence[int]]:
    if not 1 <= len(doing.chosen) <= ROWS_MAX:
        raise NothingChosen
    return {"ids": sorted(set(doing.chosen))}


def _summary(act: Act[Any]) -> str:
    return (act.run.__doc__ or "").strip().splitlines()[0].rstrip(".").partition(";")[0]
