"""Who did what: entries that are only ever added, sealed in chained batches, and kept answers.

Owns the rows of the audit and the seals over them. Must never know what an act means. Entries of
a transaction under way hold a shared lock; the sealer takes it alone for a moment, so that no
entry with a smaller id can still come after the seal.
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
_LOCK: Final = 7305
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


async def seal(connection: Connection, project_id: int, at: datetime) -> int:
    """Seal what has been committed since the last seal; answers how many entries."""
    await connection.execute("select pg_advisory_xact_lock($1, $2::int8::int4)", _LOCK, project_id)
    last = await connection.fetchrow(
        """select number, last_id, hash from audit_seal where project_id = $1
           order by number desc limit 1""",
        project_id,
    )
    number, last_id, chain = (
        (last["number"], last["last_id"], last["hash"]) if last else (0, 0, b"")
    )
    rows = await connection.fetch(
        f"""select {_COLUMNS} from audit_entry where project_id = $1 and id > $2
            order by id limit {SEAL_ENTRIES_MAX}""",
        project_id, last_id,
    )  # fmt: skip
    if not rows:
        return 0
    await connection.execute(
        """insert into audit_seal (project_id, number, last_id, entry_count, hash, sealed_at)
           values ($1, $2, $3, $4, $5, $6)""",
        project_id, number + 1, rows[-1]["id"], len(rows), chained(chain, project_id, rows), at,
    )  # fmt: skip
    return len(rows)


async def broken_seals(connection: RawConnection, project_id: int) -> list[int]:
    """Numbers of the seals that do not fit their entries or the seal before; empty is proof."""
    chain, last_id, wanted, broken = b"", 0, 1, []
    async for one in connection.cursor(
        "select * from audit_seal where project_id = $1 order by number", project_id
    ):
        rows = await connection.fetch(
            f"""select {_COLUMNS} from audit_entry where project_id = $1 and id > $2 and id <= $3
                order by id""",
            project_id, last_id, one["last_id"],
        )  # fmt: skip
        fits = one["number"] == wanted and len(rows) == one["entry_count"]
        if not fits or chained(chain, project_id, rows) != one["hash"]:
            broken.append(one["number"])
        chain, last_id, wanted = one["hash"], one["last_id"], one["number"] + 1
    return broken


def chained(chain: bytes, project_id: int, rows: Sequence[Any]) -> bytes:
    """SHA-256 over the seal before, the project and every column of the entries, in order."""
    digest = hashlib.sha256(chain + str(project_id).encode())
    for row in rows:
        told = [to_us(cell) if isinstance(cell, datetime) else cell for cell in row.values()]
        digest.update(json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode())
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
