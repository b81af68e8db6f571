"""The shapes of long tasks and saved filters in `/api/v1`."""

from typing import Any, Literal

from pydantic import Field

from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Shape
from meterhouse.web.labels import TaskState

ROWS_MAX = 5_000
QUERY_CHARS_MAX = 2_000


class SavedFilter(Shape):
    """What a list shows, under a name of one's own."""

    id: Id
    """Id of the filter."""
    list: str = Field(max_length=40, examples=["meters"])
    """The list."""
    name: str = Field(max_length=60, examples=["Building A, offline"])
    """What it is called."""
    query: str = Field(max_length=QUERY_CHARS_MAX, examples=["?online=false&sort=room"])
    """The query of the list's address."""


class TaskRow(Shape):
    """What came of one row of a task that does one thing to many."""

    id: Id
    """Id of what it was done to."""
    outcome: Literal["done", "refused", "failed"]
    """`refused` rows were not touched; `why` says what stood against it."""
    why: str = Field(max_length=60, examples=["", "not_found"])
    """Code of the error, empty when done."""
    command_id: Id | None
    """The command that was asked for, where it was one; ask for it until it has ended."""


class Task(Shape):
    """A long task: begun once, carried out in the background, watched from anywhere."""

    id: Id
    """Id of the task."""
    kind: str = Field(max_length=40, examples=["bulk"])
    """What sort of work it is."""
    title: str = Field(max_length=100, examples=["Disconnect"])
    """What it does, in English."""
    state: TaskState
    """How far it has come; `waiting` for the approval of a second person."""
    done_count: int = Field(ge=0, le=COUNT_MAX, examples=[40])
    """How many have been dealt with."""
    total_count: int = Field(ge=0, le=COUNT_MAX, examples=[120])
    """Of how many; 0 while that is not known."""
    why: str = Field(max_length=60, examples=["", "not_allowed"])
    """Why it failed, as a stable code; else empty."""
    created_at: At
    """When it was asked for."""
    ended_at: At | None
    """When it ended; null while it lives."""


class TaskDetail(Task):
    """A task with what came of it."""

    rows: list[TaskRow] = Field(max_length=ROWS_MAX)
    """For work done to many: each row dealt with so far, in order of their ids."""


def task(row: Any) -> Task:
    """A long task, as it is now."""
    return Task(**{name: row[name] for name in Task.model_fields})


def task_detail(row: Any) -> TaskDetail:
    """A long task with its rows."""
    found = (row["result"] or {}).get("rows", ())
    rows = [TaskRow(**{name: one[name] for name in TaskRow.model_fields}) for one in found]
    return TaskDetail(**task(row).model_dump(), rows=rows)
