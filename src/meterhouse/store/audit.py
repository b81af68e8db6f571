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

from meterhouse.store.db import PLATFORM, Connection, RawConnection, savepoint
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.units import to_us

SEAL_ENTRIES_MAX: Final = 5_000
SETTLE_TIMEOUT_MS: Final = 250
_LOCK: Final = 7305
_SEALER: Final = 7307

# The room an entry is about, where its object lies in one.
_OBJECT_ROOM: Final = r"""coalesce(substring(e.object from '^room:(\d{1,18})$')::int8,
        (select x.place_id from point x where x.project_id = e.project_id
            and x.id = substring(e.object from '^point:(\d{1,18})$')::int8),
        (select x.place_id from meter y join point x
            on (x.project_id, x.id) = (y.project_id, y.point_id)
            where y.project_id = e.project_id
            and y.id = substring(e.object from '^meter:(\d{1,18})$')::int8))"""
# What an entry's object is called today; null for what is gone, or is known by its number alone.
_OBJECT_ID: Final = r"substring(e.object from '^\w+:(\d{1,18})$')::int8"
_OBJECT_NAME: Final = f"""case split_part(e.object, ':', 1)
    when 'meter' then (select x.address from meter x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'gateway' then (select x.name from gateway x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'tariff' then (select x.name from tariff x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'payee' then (select x.name from payee x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'place' then (select x.name from place x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'room' then (select x.name from place x
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'point' then (select y.name from point x
        join place y on (y.project_id, y.id) = (x.project_id, x.place_id)
        where x.project_id = e.project_id and x.id = {_OBJECT_ID})
    when 'project' then (select x.name from project x where x.id = {_OBJECT_ID})
    when 'group' then (select x.name from project_group x where x.id = {_OBJECT_ID})
    when 'person' then (select coalesce(y.name, x.login) from person x
        left join personal_masked y on (y.project_id, y.id) = ({PLATFORM}, x.personal_id)
        where x.id = {_OBJECT_ID})
    end"""
ENTRIES: Final = ListQuery(
    f"""select e.id, e.at, e.actor_id, {STAFF_NAME} as actor, e.via, e.act, e.verb, e.object,
            e.before, e.after, e.reason, e.request_id, {_OBJECT_ROOM} as room_id,
            {_OBJECT_NAME} as object_name,
            case when e.object like 'person:%' then
                (select x.kind from person x where x.id = {_OBJECT_ID}) end as person_kind,
            e.id <= coalesce((select max(last_id) from audit_seal where project_id = $1), 0)
                as is_sealed
        from audit_entry e {staff("e.actor_id")}
        where e.project_id = $1""",
    {
        "person": "q.actor ilike {}",
        "actor": "q.actor_id = {}",
        "act": "q.act = {}",
        "object": "q.object ilike {}",
        "from": "q.at >= {}",
        "to": "q.at < {}",
    },
    {"at": "at", "actor": "actor", "act": "act", "object": "object"},
    first="-at",
    solid=frozenset({"at", "actor", "act", "object"}),
    point="null::int8",
)  # fmt: skip
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
        async with savepoint(connection):
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
