"""Doing something once, in somebody's name: the change, its audit entry and its answer together.

Owns the one transaction around every act of a person or a program: a key that was used before
answers as before, and nothing is changed without an entry that says who, through what, and why.
Must never know a particular act.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from meterhouse.errors import MeterhouseError
from meterhouse.flows.access import Verb
from meterhouse.store import audit
from meterhouse.store.db import PLATFORM, Database, Joined, set_scope

ANSWER_LIFE: Final = timedelta(days=7)


class KeyReused(MeterhouseError):
    """This idempotency key was used for another request; take a new one for a new act."""

    code = "key_reused"
    http_status = 409


class Via(StrEnum):
    """Through what something was done."""

    CONSOLE = "console"
    API = "api"
    CLI = "cli"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Doer:
    """Who acts, through what, when; `key` makes a request this one and no other."""

    actor_id: int | None
    via: Via
    at: datetime
    request_id: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What an act did.

    Attributes:
        subject: what it was done to, as in `meter:12`.
        answer: what the caller is told, as JSON.
        before: the facts that changed, as they were; never a name, a phone, a secret.
        after: the same facts, as they are now.
        reason: why, in the person's words.
        is_kept: whether the answer is kept for its key; one that says who somebody is never is.
        project_id: the project that was made by it, whose first entry this is.
    """

    subject: str
    answer: Any = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str = ""
    is_kept: bool = True
    project_id: int | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to an act; `is_new` is False when the key had been answered before."""

    answer: Any
    is_new: bool = field(default=True)


async def perform(
    db: Database, doer: Doer, project_ids: Sequence[int], act: str, verb: Verb, asked: Any,
    work: Callable[[Database], Awaitable[Done]], status: int = 200,
) -> Answered:  # fmt: skip
    """Do an act, write it down and keep its answer, in one transaction.

    Args:
        db: the database.
        doer: who acts.
        project_ids: what the act may see; its entry belongs to the first, or to the platform.
        act: its name, as in `building.add`.
        verb: the verb that allowed it.
        asked: the whole request as JSON; a key stands for one such request.
        work: the flow, given a database whose transactions are parts of this one.
        status: the HTTP status of its answer.

    Raises:
        KeyReused: the key was used for another request.
    """
    project_id = project_ids[0] if project_ids else PLATFORM
    scope = [*project_ids, PLATFORM] if PLATFORM not in project_ids else list(project_ids)
    digest = hashlib.sha256(json.dumps([act, asked], sort_keys=True).encode()).digest()
    keyed = bool(doer.key) and doer.actor_id is not None
    async with db.transaction(scope) as connection:
        if keyed:
            assert doer.actor_id is not None
            await audit.lock_key(connection, doer.actor_id, doer.key)
            kept = await audit.answered(connection, project_id, doer.actor_id, doer.key)
            if kept is not None:
                if kept["digest"] != digest:
                    raise KeyReused
                return Answered(json.loads(kept["body"]), is_new=False)
        done = await work(Joined(db, connection, scope))
        if done.project_id is not None:
            await set_scope(connection, [*scope, done.project_id])
        await audit.write(
            connection, done.project_id or project_id,
            audit.Entry(
                doer.at, doer.actor_id, doer.via, act, verb, done.subject, done.before,
                done.after, done.reason, doer.request_id,
            ),
        )  # fmt: skip
        if keyed and done.is_kept:
            assert doer.actor_id is not None
            await audit.keep_answer(
                connection, project_id, doer.actor_id, doer.key, digest, status, done.answer,
                doer.at,
            )  # fmt: skip
    return Answered(done.answer)


class _Rehearsed(Exception):
    """Carries out of a transaction what would have been done in it."""

    def __init__(self, done: Done) -> None:
        self.done = done


async def rehearse(
    db: Database, project_ids: Sequence[int], work: Callable[[Database], Awaitable[Done]]
) -> Done:
    """What an act would do: it is done, and all of it is taken back.

    A preview made so cannot disagree with the act, because it is the act.
    """
    scope = sorted({*project_ids, PLATFORM})
    try:
        async with db.transaction(scope) as connection:
            raise _Rehearsed(await work(Joined(db, connection, scope)))
    except _Rehearsed as rehearsed:
        return rehearsed.done
