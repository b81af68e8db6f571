"""Who did what: entries that are only ever added, sealed in chained batches, and kept answers.

Owns the rows of the audit and the seals over them. Must never know what an act means. A seal covers
a whole batch, because a chain from row to row would let one act of a project wait for the other.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from meterhouse.store.db import Connection, RawConnection
from meterhouse.units import to_us

SEAL_ENTRIES_MAX: Final = 5_000
SETTLE_TIMEOUT_MS: Final = 250
_LOCK: Final = 7305
_SEALER: Final = 7307
_BEFORE_ALL: Final = -(2**63)
_COLUMNS: Final = """id, at, actor_id, via, act, verb, object, before::text, after::text, reason,
    request_id"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing done. `subject` as in `meter:12`; `before` and `after` hold no personal data."""

    at: datetime
    actor_id: int | None
    via: str
    act: str
    verb: str
    subject: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    reason: str = ""
    request_id: str = ""


async def write(connection: Connection, project_id: int, entry: Entry) -> None:
    """Add an entry; it is committed with what it tells of, or not at all."""
    await connection.execute(
        "select pg_advisory_xact_lock_shared($1, $2::int8::int4)", _LOCK, project_id
    )
    await connection.execute(
        """insert into audit_entry (project_id, at, actor_id, via, act, verb, object, before,
               after, reason, request_id)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
        project_id, entry.at, entry.actor_id, entry.via, entry.act, entry.verb, entry.subject,
        _json(entry.before), _json(entry.after), entry.reason, entry.request_id,
    )  # fmt: skip


async def settled(connection: Connection, project_id: int) -> int | None:
    """The last entry below which none can come any more, or None while that cannot be said.

    None too when every entry that can be seen is sealed already.

    Every entry is numbered and committed under the shared lock; whoever holds the lock alone for
    a moment knows that none is under way. That moment is not waited for long, and ends with the
    transaction, which is to do nothing else: writers stand behind whoever waits.
    """
    if not await connection.fetchval(
        """select exists (select from audit_entry where project_id = $1 and id > coalesce(
               (select max(last_id) from audit_seal where project_id = $1), $2))""",
        project_id, _BEFORE_ALL,
    ):  # fmt: skip
        return None
    await connection.execute("select set_config('lock_timeout', $1, true)", str(SETTLE_TIMEOUT_MS))
    try:
        async with connection.transaction():
            await connection.execute(
                "select pg_advisory_xact_lock($1, $2::int8::int4)", _LOCK, project_id
            )
    except asyncpg.LockNotAvailableError:
        return None
    last: int | None = await connection.fetchval(
        "select max(id) from audit_entry where project_id = $1", project_id
    )
    return last


async def seal(connection: Connection, project_id: int, until_id: int, at: datetime) -> int:
    """Seal up to a settled entry what no seal covers yet; answers how many entries it covers."""
    await connection.execute(
        "select pg_advisory_xact_lock($1, $2::int8::int4)", _SEALER, project_id
    )
    last = await connection.fetchrow(
        """select number, last_id, hash from audit_seal where project_id = $1
           order by number desc limit 1""",
        project_id,
    )
    number, last_id, chain = (
        (last["number"], last["last_id"], last["hash"]) if last else (0, _BEFORE_ALL, b"")
    )
    rows = await connection.fetch(
        f"""select {_COLUMNS} from audit_entry where project_id = $1 and id > $2 and id <= $3
            order by id limit {SEAL_ENTRIES_MAX}""",
        project_id, last_id, until_id,
    )  # fmt: skip
    if not rows:
        return 0
    facts = (project_id, number + 1, rows[-1]["id"], len(rows), to_us(at))
    await connection.execute(
        """insert into audit_seal (project_id, number, last_id, entry_count, hash, sealed_at)
           values ($1, $2, $3, $4, $5, $6)""",
        *facts[:4], chained(chain, facts, rows), at,
    )  # fmt: skip
    return len(rows)


@dataclass(frozen=True, slots=True)
class Chain:
    """One project's chain of seals as it was checked.

    Attributes:
        project_id: 0 for the platform's own.
        broken: numbers of the seals that do not fit their entries or the seal before.
        head: project, number and hash of the last seal, as in `3:57:9f3c…`; empty before the
            first. Kept elsewhere, it shows later that nothing before it was cut off or made anew.
        sealed: entries covered by seals.
        open: entries not sealed yet.
        knows: which of the heads that were asked about are part of it.
    """

    project_id: int
    broken: tuple[int, ...]
    head: str
    sealed: int
    open: int
    knows: frozenset[str]


async def check(connection: RawConnection, project_id: int, heads: Sequence[str] = ()) -> Chain:
    """Compute every seal of a project anew; within a transaction of the maintenance role."""
    chain, last_id, wanted, head, sealed = b"", _BEFORE_ALL, 1, "", 0
    broken: list[int] = []
    known: set[str] = set()
    async for one in connection.cursor(
        "select * from audit_seal where project_id = $1 order by number", project_id
    ):
        rows = await connection.fetch(
            f"""select {_COLUMNS} from audit_entry where project_id = $1 and id > $2 and id <= $3
                order by id""",
            project_id, last_id, one["last_id"],
        )  # fmt: skip
        facts = (
            project_id, wanted, one["last_id"], one["entry_count"], to_us(one["sealed_at"])
        )  # fmt: skip
        fits = one["number"] == wanted and len(rows) == one["entry_count"]
        if not fits or chained(chain, facts, rows) != one["hash"]:
            broken.append(one["number"])
        head = f"{project_id}:{one['number']}:{one['hash'].hex()}"
        known |= {head} & set(heads)
        sealed += len(rows)
        chain, last_id, wanted = one["hash"], one["last_id"], one["number"] + 1
    left: int = await connection.fetchval(
        "select count(*) from audit_entry where project_id = $1 and id > $2", project_id, last_id
    )
    return Chain(project_id, tuple(broken), head, sealed, left, frozenset(known))


def chained(chain: bytes, facts: Sequence[int], rows: Sequence[Any]) -> bytes:
    """SHA-256 over the seal before, this one's own facts and every column of its entries."""
    digest = hashlib.sha256(chain + json.dumps(facts).encode())
    for row in rows:
        told = [to_us(cell) if isinstance(cell, datetime) else cell for cell in row.values()]
        digest.update(json.dumps(told, separators=(",", ":")).encode())
    return digest.digest()


async def answered(
    connection: Connection, project_id: int, actor_id: int, key: str
) -> asyncpg.Record | None:
    """digest, status, body of what was answered to a key before; None for a new key."""
    return await connection.fetchrow(
        """select digest, status, body from answer
           where project_id = $1 and actor_id = $2 and key = $3""",
        project_id, actor_id, key,
    )  # fmt: skip


async def lock_key(connection: Connection, actor_id: int, key: str) -> None:
    """Let the same key of the same caller in once at a time, until the transaction ends."""
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended($1, 7306))", f"{actor_id}:{key}"
    )


async def keep_answer(
    connection: Connection, project_id: int, actor_id: int, key: str, digest: bytes, status: int,
    body: Any, at: datetime,
) -> None:  # fmt: skip
    """Remember what a key was answered, together with what it did."""
    await connection.execute(
        """insert into answer (project_id, actor_id, key, digest, status, body, created_at)
           values ($1, $2, $3, $4, $5, $6, $7)""",
        project_id, actor_id, key, digest, status, json.dumps(body), at,
    )  # fmt: skip


async def forget_answers(connection: Connection, project_id: int, before: datetime) -> None:
    """Drop answers that nobody asks for any more."""
    await connection.execute(
        "delete from answer where project_id = $1 and created_at < $2", project_id, before
    )


def _json(facts: Mapping[str, Any] | None) -> str | None:
    return None if facts is None else json.dumps(facts, ensure_ascii=False, sort_keys=True)
