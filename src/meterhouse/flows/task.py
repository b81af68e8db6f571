"""Long tasks: begun by a person, carried out elsewhere, watched from any page.

Owns a task's life: queued, claimed, beating, and ended by its worker, by a person or by nobody
(then another worker takes it over and goes on from what was last told). Must never know what a
task does: a kind is a line in its worker's table, `kind → Work`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.logs import Log
from meterhouse.ports import Clock
from meterhouse.store import tasks
from meterhouse.store.db import Database, DatabaseBusy, DatabaseUnreachable
from meterhouse.store.tasks import NewTask
from meterhouse.words import N_

log = Log(__name__)

# A worker tells of itself at least this often; one that has not for so long is thought dead.
BEAT_S: Final = 2
ORPHAN: Final = timedelta(seconds=60)
# What was right to do yesterday may harm somebody today.
WAIT_LIFE: Final = timedelta(days=1)
# A file shows how a list was on its day, names and all; it can be made again, and better so.
FILE_LIFE: Final = timedelta(days=7)


class TaskStopped(MeterhouseError):
    """Task {task_id} has been cancelled, or somebody else goes on with it."""

    code = "task_stopped"
    http_status = 409


class SecondPersonSame(MeterhouseError):
    """Somebody else must approve this, signed in at the console; you asked for it yourself."""

    code = "second_person_same"
    http_status = 409


class TaskNotWaiting(MeterhouseError):
    """This task does not wait for approval, or has waited for more than a day; ask for it anew."""

    code = "task_not_waiting"
    http_status = 409


class TaskUnderWay(MeterhouseError):
    """This is being done already; wait until it has ended, or cancel it."""

    code = "task_under_way"
    http_status = 409


class FileGone(MeterhouseError):
    """Files are kept for {days} days; make this one again."""

    code = "file_gone"
    http_status = 410


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task that is ours to work on until a beat says otherwise.

    `result` is what was last told of it, by us or by a worker before us; None at first.
    `second_id` is who approved it, where a second person had to. `building_ids` are the only ones
    it may touch, None for the whole project.
    """

    project_id: int
    id: int
    kind: str
    gateway_id: int | None
    input: Mapping[str, Any]
    result: Mapping[str, Any] | None
    claim_count: int
    actor_id: int | None = None
    second_id: int | None = None
    building_ids: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is: so many of so many, and what has been found so far (None: as before)."""

    done_count: int = 0
    total_count: int = 0
    result: Mapping[str, Any] | None = None


Tell: TypeAlias = Callable[[Progress], Awaitable[None]]
"""Writes progress down; raises `TaskStopped` when the work is to end."""

Work: TypeAlias = Callable[[Database, Claimed, Tell], Awaitable[Progress]]
"""Carries out a task of one kind and answers how it stands at the end."""


async def start(
    db: Database, project_id: int, new: NewTask, actor_id: int | None, at: datetime,
    *, alone: bool = False,
) -> int:  # fmt: skip
    """Queue a task.

    Args:
        alone: one task of this kind at a time on this gateway (or, without one, in this project).

    Raises:
        TaskUnderWay: another one has not ended and this one wants to be alone.
    """
    async with db.transaction([project_id]) as connection:
        if alone and await tasks.lock_kind(connection, project_id, new.kind, new.gateway_id):
            raise TaskUnderWay
        return await tasks.insert(connection, project_id, new, actor_id, at)


async def approve(
    db: Database, project_id: int, task_id: int, second_id: int | None, at: datetime
) -> None:
    """Let a task go that waits for a second person.

    Raises:
        NotFound: there is no such task.
        SecondPersonSame: it is the one who asked for it.
        TaskNotWaiting: it does not wait, or has waited for longer than `WAIT_LIFE`.
    """
    async with db.transaction([project_id]) as connection:
        row = await tasks.get(connection, project_id, task_id)
        if row is None:
            raise NotFound(N_("Task"), task_id)
        if second_id is None or row["actor_id"] == second_id:
            raise SecondPersonSame
        is_late = row["created_at"] < at - WAIT_LIFE
        if is_late or not await tasks.approve(connection, project_id, task_id, second_id):
            raise TaskNotWaiting


async def put_file(
    db: Database, project_id: int, task_id: int, name: str, media_type: str, content: bytes
) -> None:
    """Keep the file that a task made, for whoever reads the task to fetch."""
    async with db.transaction([project_id]) as connection:
        await tasks.put_file(connection, project_id, task_id, "output", name, media_type, content)


async def get_file(db: Database, project_id: int, task_id: int, at: datetime) -> Any:
    """name, media_type, content of the file a task made.

    Raises:
        NotFound: there is no such task, or it made no file.
        FileGone: the task ended so long ago that no file of it is kept.
    """
    async with db.transaction([project_id]) as connection:
        file = await tasks.get_file(connection, project_id, task_id, "output")
        row = await tasks.get(connection, project_id, task_id)
    if file is not None:
        return file
    if row is not None and row["ended_at"] is not None and row["ended_at"] < at - FILE_LIFE:
        raise FileGone(days=FILE_LIFE.days)
    raise NotFound(N_("File"), task_id)


async def has_file(db: Database, project_id: int, task_id: int) -> bool:
    """Whether the file that a task made is there."""
    async with db.transaction([project_id]) as connection:
        return await tasks.has_file(connection, project_id, task_id, "output")


async def forget_files(db: Database, project_id: int, at: datetime) -> None:
    """Drop the files that are older than `FILE_LIFE`."""
    async with db.transaction([project_id]) as connection:
        await tasks.forget_files(connection, project_id, at - FILE_LIFE)


async def rows_of(db: Database, claimed: Claimed) -> list[dict[str, Any]]:
    """What people brought to a task. Raises `TaskStopped` when it has ended meanwhile."""
    async with db.transaction([claimed.project_id]) as connection:
        file = await tasks.get_file(connection, claimed.project_id, claimed.id, "input")
    if file is None:
        raise TaskStopped(task_id=claimed.id)
    rows: list[dict[str, Any]] = json.loads(file["content"])
    return rows


async def cancel(db: Database, project_id: int, task_id: int, at: datetime) -> bool:
    """Stop a task; False when it had ended before.

    Raises:
        NotFound: there is no such task.
    """
    async with db.transaction([project_id]) as connection:
        if await tasks.get(connection, project_id, task_id) is None:
            raise NotFound(N_("Task"), task_id)
        return await tasks.cancel(connection, project_id, task_id, at)


async def get(db: Database, project_id: int, task_id: int) -> dict[str, Any]:
    """A task's row, with what it was given and what it has found as JSON values.

    Raises:
        NotFound: there is no such task.
    """
    async with db.transaction([project_id]) as connection:
        row = await tasks.get(connection, project_id, task_id)
    if row is None:
        raise NotFound(N_("Task"), task_id)
    result = None if row["result"] is None else json.loads(row["result"])
    return dict(row) | {"input": json.loads(row["input"]), "result": result}


async def latest(
    db: Database, project_id: int, kind: str = "", gateway_id: int | None = None, count: int = 50
) -> Sequence[Any]:
    """The newest tasks of a project, of one kind or gateway where named."""
    async with db.transaction([project_id]) as connection:
        return await tasks.latest(connection, project_id, kind, gateway_id, count)


async def claim(
    db: Database, project_id: int, kinds: Sequence[str], gateway_id: int | None, at: datetime,
    orphan: timedelta = ORPHAN,
) -> Claimed | None:  # fmt: skip
    """The next task of these kinds, if any waits or was left behind for as long as `orphan`."""
    async with db.transaction([project_id]) as connection:
        row = await tasks.claim(connection, project_id, kinds, gateway_id, at, at - orphan)
    if row is None:
        return None
    result = None if row["result"] is None else json.loads(row["result"])
    limit = row["building_ids"]
    return Claimed(
        project_id, row["id"], row["kind"], row["gateway_id"], json.loads(row["input"]), result,
        row["claim_count"], row["actor_id"], row["second_id"],
        None if limit is None else frozenset(limit),
    )  # fmt: skip


async def tell(db: Database, claimed: Claimed, progress: Progress, at: datetime) -> None:
    """Write progress down.

    Raises:
        TaskStopped: the task is no longer ours.
    """
    async with db.transaction([claimed.project_id]) as connection:
        is_ours = await tasks.beat(
            connection, claimed.project_id, claimed.id, claimed.claim_count, progress.done_count,
            progress.total_count, progress.result, at,
        )  # fmt: skip
    if not is_ours:
        raise TaskStopped(task_id=claimed.id)


async def end(
    db: Database, claimed: Claimed, progress: Progress, at: datetime, why: str = ""
) -> bool:
    """Write the last progress down and end the task, *failed* when `why` says so."""
    project_id = claimed.project_id
    async with db.transaction([project_id]) as connection:
        await tasks.beat(
            connection, project_id, claimed.id, claimed.claim_count, progress.done_count,
            progress.total_count, progress.result, at,
        )  # fmt: skip
        return await tasks.end(
            connection, project_id, claimed.id, claimed.claim_count, "failed" if why else "done",
            why, at,
        )  # fmt: skip


async def release(db: Database, claimed: Claimed) -> None:
    """Give a task back unfinished: whoever claims it next goes on from what was last told."""
    async with db.transaction([claimed.project_id]) as connection:
        await tasks.release(connection, claimed.project_id, claimed.id, claimed.claim_count)


async def run_next(
    db: Database, project_id: int, works: Mapping[str, Work], clock: Clock,
    orphan: timedelta = ORPHAN,
) -> bool:  # fmt: skip
    """Claim and carry out the next task that needs no gateway; False when there was none.

    A task that ends in an error keeps its code as its `why`; what is no error of ours is a defect,
    and the log has it. When the database cannot be reached the task is left behind, and taken up
    again later.
    """
    claimed = await claim(db, project_id, sorted(works), None, clock(), orphan)
    if claimed is None:
        return False
    told = Progress()

    async def note(progress: Progress) -> None:
        nonlocal told
        told = progress
        await tell(db, claimed, progress, clock())

    why = ""
    try:
        told = await works[claimed.kind](db, claimed, note)
    except TaskStopped:
        return True
    except (DatabaseUnreachable, DatabaseBusy):
        raise
    except asyncio.CancelledError:
        await release(db, claimed)
        raise
    except MeterhouseError as error:
        why = error.code
    except Exception as error:
        log.error(
            "long_task_failed", error=error, project_id=project_id, task_id=claimed.id,
            work=claimed.kind,
        )  # fmt: skip
        why = "defect"
    await end(db, claimed, told, clock(), why)
    return True
