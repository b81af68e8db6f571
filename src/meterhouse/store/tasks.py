"""Long tasks: who asked for what, how far it is, and who is at work on it.

Owns the rows of tasks and how they are claimed (SKIP LOCKED, so that many workers never meet).
Must never know what a task does. A claim is numbered: whoever was thought dead and lives on
writes under an old number, and nothing of that counts.

What a task was brought to work on may tell who somebody is (the rows of an import): it lies beside
the task as a file, and goes in the statement that ends the task.

A task keeps the buildings that its asker's transaction saw, because what it does and finds lies in
them: whoever sees fewer does not see the task. One of the whole project keeps none.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.queue import WAKE_CHANNEL

LIVE = ("queued", "running")
PAGE_ROWS_MAX = 200
_IN_SIGHT: Final = "(building_ids() is null or task.building_ids <@ building_ids())"
# What was brought to a task that has `ended` goes with it.
_FORGOTTEN: Final = """, forgotten as (delete from task_file f using ended e
        where (f.project_id, f.task_id, f.part) = (e.project_id, e.id, 'input'))
    select id from ended"""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to be queued.

    Attributes:
        kind: which work it is.
        title: what people call it; a message id.
        input: what the work needs to know, as JSON.
        gateway_id: where only the holder of that line can do it.
        total_count: of how many it will count, where that is known before.
        waits: whether a second person must approve it first.
        rows: what people brought, which may name somebody; kept until the task ends and no longer.
    """

    kind: str
    title: str
    input: Mapping[str, Any]
    gateway_id: int | None = None
    total_count: int = 0
    waits: bool = False
    rows: Sequence[Mapping[str, Any]] | None = None


async def insert(
    connection: Connection, project_id: int, new: NewTask, actor_id: int | None, at: datetime
) -> int:
    """Queue a task, and wake the pump of its gateway; one that needs a second person waits."""
    made: int = await connection.fetchval(
        """insert into task (project_id, kind, title, gateway_id, input, total_count, state,
               actor_id, created_at, building_ids)
           values ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, building_ids()) returning id""",
        project_id, new.kind, new.title, new.gateway_id, json.dumps(dict(new.input)),
        new.total_count, "waiting" if new.waits else "queued", actor_id, at,
    )  # fmt: skip
    if new.rows is not None:
        content = json.dumps(list(new.rows), ensure_ascii=False).encode()
        await put_file(connection, project_id, made, "input", "rows.json", "application/json",
                       content)  # fmt: skip
    if new.gateway_id is not None:
        await wake(connection, project_id, new.gateway_id)
    return made


async def wake(connection: Connection, project_id: int, gateway_id: int) -> None:
    """Tell whoever holds a gateway's line, once this is committed, that there is something new."""
    await connection.execute("select pg_notify($1, $2)", WAKE_CHANNEL, f"{project_id}:{gateway_id}")


async def claim(
    connection: Connection, project_id: int, kinds: Sequence[str], gateway_id: int | None,
    at: datetime, dead_before: datetime,
) -> asyncpg.Record | None:  # fmt: skip
    """Take the oldest task of these kinds: queued, or left behind since before `dead_before`.

    `gateway_id` None takes those that need no gateway.
    """
    return await connection.fetchrow(
        """update task t set state = 'running', beat_at = $4, claim_count = t.claim_count + 1,
               started_at = coalesce(t.started_at, $4)
           from (select project_id, id from task where project_id = $1 and kind = any($2::text[])
                 and gateway_id is not distinct from $3::int8
                 and (state = 'queued' or (state = 'running' and beat_at < $5))
                 order by id limit 1 for update skip locked) due
           where (t.project_id, t.id) = (due.project_id, due.id) returning t.*""",
        project_id, list(kinds), gateway_id, at, dead_before,
    )  # fmt: skip


async def beat(
    connection: Connection, project_id: int, task_id: int, claim_count: int,
    done_count: int, total_count: int, result: Mapping[str, Any] | None, at: datetime,
) -> bool:  # fmt: skip
    """Note how far a task is; False when it is no longer this claim's to work on."""
    found = await connection.fetchval(
        """update task set beat_at = $4, done_count = $5, total_count = $6,
               result = coalesce($7::jsonb, result)
           where project_id = $1 and id = $2 and claim_count = $3 and state = 'running'
           returning id""",
        project_id, task_id, claim_count, at, done_count, total_count, _json(result),
    )  # fmt: skip
    return found is not None


async def release(connection: Connection, project_id: int, task_id: int, claim_count: int) -> None:
    """Give a running task back, for somebody else to go on with."""
    await connection.execute(
        """update task set state = 'queued'
           where project_id = $1 and id = $2 and claim_count = $3 and state = 'running'""",
        project_id, task_id, claim_count,
    )  # fmt: skip


async def end(
    connection: Connection, project_id: int, task_id: int, claim_count: int, state: str, why: str,
    at: datetime,
) -> bool:  # fmt: skip
    """End a task as *done* or *failed*; False when it is no longer this claim's."""
    found = await connection.fetchval(
        f"""with ended as (update task set state = $4, why = $5, ended_at = $6
                where project_id = $1 and id = $2 and claim_count = $3 and state = 'running'
                returning project_id, id){_FORGOTTEN}""",
        project_id, task_id, claim_count, state, why, at,
    )  # fmt: skip
    return found is not None


async def cancel(connection: Connection, project_id: int, task_id: int, at: datetime) -> bool:
    """End a live task as *cancelled*; whoever works on it notices at the next beat."""
    found = await connection.fetchval(
        f"""with ended as (update task set state = 'cancelled', ended_at = $3
                where project_id = $1 and id = $2 and state in ('waiting', 'queued', 'running')
                and {_IN_SIGHT} returning project_id, id){_FORGOTTEN}""",
        project_id, task_id, at,
    )  # fmt: skip
    return found is not None


async def approve(connection: Connection, project_id: int, task_id: int, second_id: int) -> bool:
    """Let a task go that waited for a second person; False when it does not wait for this one."""
    found = await connection.fetchval(
        f"""update task set state = 'queued', second_id = $3
            where project_id = $1 and id = $2 and state = 'waiting'
            and actor_id is distinct from $3 and {_IN_SIGHT} returning id""",
        project_id, task_id, second_id,
    )  # fmt: skip
    return found is not None


async def put_file(
    connection: Connection, project_id: int, task_id: int, part: str, name: str, media_type: str,
    content: bytes,
) -> None:  # fmt: skip
    """Keep a task's file; one made again replaces the first."""
    await connection.execute(
        """insert into task_file (project_id, task_id, part, name, media_type, content)
           values ($1, $2, $3, $4, $5, $6) on conflict (project_id, task_id, part)
           do update set name = $4, media_type = $5, content = $6""",
        project_id, task_id, part, name, media_type, content,
    )  # fmt: skip


async def get_file(
    connection: Connection, project_id: int, task_id: int, part: str
) -> asyncpg.Record | None:
    """name, media_type, content of a task's file."""
    return await connection.fetchrow(
        f"""select f.name, f.media_type, f.content from task_file f
            join task on (task.project_id, task.id) = (f.project_id, f.task_id)
            where f.project_id = $1 and f.task_id = $2 and f.part = $3 and {_IN_SIGHT}""",
        project_id, task_id, part,
    )  # fmt: skip


async def has_file(connection: Connection, project_id: int, task_id: int, part: str) -> bool:
    """Whether a task has a file of this part, without reading it."""
    found: bool = await connection.fetchval(
        """select exists (select from task_file
           where (project_id, task_id, part) = ($1, $2, $3))""",
        project_id, task_id, part,
    )  # fmt: skip
    return found


async def forget_files(connection: Connection, project_id: int, before: datetime) -> None:
    """Drop the files made by tasks that ended before an instant."""
    await connection.execute(
        """delete from task_file f using task t
           where f.project_id = $1 and (t.project_id, t.id) = (f.project_id, f.task_id)
           and t.ended_at < $2""",
        project_id, before,
    )  # fmt: skip


async def get(connection: Connection, project_id: int, task_id: int) -> asyncpg.Record | None:
    """One task with who asked for it, or None where it is not in sight."""
    return await connection.fetchrow(
        f"""select task.*, {STAFF_NAME} as actor from task {staff("task.actor_id")}
            where task.project_id = $1 and task.id = $2 and {_IN_SIGHT}""",
        project_id, task_id,
    )  # fmt: skip


async def lock_kind(
    connection: Connection, project_id: int, kind: str, gateway_id: int | None
) -> int | None:
    """The live task of a kind on a gateway (or on none), while others of it wait to be made."""
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended($1, 7307))",
        f"{project_id}:{kind}:{gateway_id}",
    )
    found: int | None = await connection.fetchval(
        """select id from task where project_id = $1 and kind = $2
           and gateway_id is not distinct from $3::int8 and state in ('queued', 'running')
           order by id limit 1""",
        project_id, kind, gateway_id,
    )  # fmt: skip
    return found


async def latest(
    connection: Connection, project_id: int, kind: str = "", gateway_id: int | None = None,
    count: int = 50,
) -> list[asyncpg.Record]:  # fmt: skip
    """The newest tasks of a project, without what they were given and what they found."""
    return await connection.fetch(
        f"""select project_id, id, kind, title, gateway_id, state, done_count, total_count, why,
                actor_id, created_at, started_at, beat_at, ended_at from task
            where project_id = $1 and ($2 = '' or kind = $2)
            and ($3::int8 is null or gateway_id = $3) and {_IN_SIGHT}
            order by id desc limit $4""",
        project_id, kind, gateway_id, min(count, PAGE_ROWS_MAX),
    )  # fmt: skip


def _json(facts: Mapping[str, Any] | None) -> str | None:
    return None if facts is None else json.dumps(dict(facts), ensure_ascii=False)
