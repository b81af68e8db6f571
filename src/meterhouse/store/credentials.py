"""Sessions, one-time links and the keys of programs, as rows.

Owns what stands for a person once they have proved who they are. Must never see a token in the
clear: digests come in, digests stay.
"""

from datetime import datetime

import asyncpg

from meterhouse.store import personal
from meterhouse.store.db import Connection

SEEN_EVERY = "interval '1 minute'"
SESSIONS_SHOWN = 50


async def insert_session(
    connection: Connection, token_hash: bytes, person_id: int, agent: str, peer: str, at: datetime,
    expires_at: datetime, awaits_code: bool,
) -> int:  # fmt: skip
    """A new session; sessions that are over are swept away."""
    await connection.execute("delete from session where expires_at < $1", at)
    made: int = await connection.fetchval(
        """insert into session (token_hash, person_id, agent, peer, created_at, seen_at, proved_at,
               expires_at, awaits_code)
           values ($1, $2, $3, $4, $5, $5, $5, $6, $7) returning id""",
        token_hash, person_id, agent, peer, at, expires_at, awaits_code,
    )  # fmt: skip
    return made


async def person_of_session(
    connection: Connection, token_hash: bytes, at: datetime, idle_since: datetime,
    awaits_code: bool = False,
) -> asyncpg.Record | None:  # fmt: skip
    """The person of a live session, with session_id, proved_at, seen_at."""
    found = await connection.fetchrow(
        f"""select p.*, {personal.STAFF_NAME} as name, s.id as session_id, s.proved_at,
                s.seen_at < $2::timestamptz - {SEEN_EVERY} as is_stale
            from session s join person p on p.id = s.person_id {personal.staff("p.id")}
            where s.token_hash = $1 and s.expires_at > $2 and s.seen_at > $3
            and s.awaits_code = $4 and p.disabled_at is null""",
        token_hash, at, idle_since, awaits_code,
    )  # fmt: skip
    if found is not None and found["is_stale"]:
        await connection.execute(
            "update session set seen_at = $2 where token_hash = $1", token_hash, at
        )
    return found


async def renew_session(
    connection: Connection, session_id: int, token_hash: bytes, at: datetime
) -> None:
    """Give a session another token and note that its person has just proved who they are."""
    await connection.execute(
        "update session set token_hash = $2, proved_at = $3 where id = $1",
        session_id, token_hash, at,
    )  # fmt: skip


async def delete_session(connection: Connection, token_hash: bytes) -> int | None:
    """End a session; answers whose it was, None when there was none."""
    person_id: int | None = await connection.fetchval(
        "delete from session where token_hash = $1 returning person_id", token_hash
    )
    return person_id


async def sessions(
    connection: Connection, person_id: int, at: datetime, idle_since: datetime
) -> list[asyncpg.Record]:
    """id, agent, peer, created_at, seen_at of a person's live sessions, last seen first."""
    return await connection.fetch(
        """select id, agent, peer, created_at, seen_at from session
           where person_id = $1 and expires_at > $2 and seen_at > $3 and not awaits_code
           order by seen_at desc, id desc limit $4""",
        person_id, at, idle_since, SESSIONS_SHOWN,
    )  # fmt: skip


async def end_session(connection: Connection, person_id: int, session_id: int) -> bool:
    """End one of a person's sessions; False when it is not theirs."""
    done = await connection.fetchval(
        "delete from session where person_id = $1 and id = $2 returning id", person_id, session_id
    )
    return done is not None


async def end_sessions(connection: Connection, person_id: int, kept_id: int | None) -> int:
    """End a person's sessions but one; answers how many."""
    rows = await connection.fetch(
        "delete from session where person_id = $1 and id is distinct from $2 returning id",
        person_id, kept_id,
    )  # fmt: skip
    return len(rows)


async def insert_link(
    connection: Connection, token_hash: bytes, person_id: int, kind: str, made_by: int | None,
    at: datetime, expires_at: datetime,
) -> None:  # fmt: skip
    """A one-time link; the person's earlier ones are worth nothing any more."""
    await void_links(connection, person_id, at)
    await connection.execute(
        """insert into one_time_link
               (token_hash, person_id, kind, created_by, created_at, expires_at)
           values ($1, $2, $3, $4, $5, $6)""",
        token_hash, person_id, kind, made_by, at, expires_at,
    )  # fmt: skip


async def void_links(connection: Connection, person_id: int, at: datetime) -> None:
    """Let no link of a person work any more."""
    await connection.execute(
        "update one_time_link set used_at = $2 where person_id = $1 and used_at is null",
        person_id, at,
    )  # fmt: skip


async def person_of_link(
    connection: Connection, token_hash: bytes, at: datetime
) -> asyncpg.Record | None:
    """The person of a live link (id, login, name, link_kind), both locked."""
    return await connection.fetchrow(
        f"""select p.id, p.login, {personal.STAFF_NAME} as name, l.kind as link_kind
           from one_time_link l join person p on p.id = l.person_id {personal.staff("p.id")}
           where l.token_hash = $1 and l.used_at is null and l.expires_at > $2
           and p.disabled_at is null and p.kind = 'staff' for update of p, l""",
        token_hash, at,
    )  # fmt: skip


async def asked_link_since(connection: Connection, person_id: int, since: datetime) -> bool:
    """Whether a person has asked for a link themselves since an instant."""
    found: bool = await connection.fetchval(
        """select exists (select from one_time_link
           where person_id = $1 and created_by is null and created_at > $2)""",
        person_id, since,
    )  # fmt: skip
    return found


async def spend_link(connection: Connection, token_hash: bytes, at: datetime) -> None:
    """Use up a link."""
    await connection.execute(
        "update one_time_link set used_at = $2 where token_hash = $1", token_hash, at
    )


async def insert_key(
    connection: Connection, person_id: int, key_hash: bytes, hint: str, made_by: int | None,
    at: datetime, expires_at: datetime,
) -> int:  # fmt: skip
    """A key of an API client."""
    made: int = await connection.fetchval(
        """insert into client_key (person_id, key_hash, hint, created_by, created_at, expires_at)
           values ($1, $2, $3, $4, $5, $6) returning id""",
        person_id, key_hash, hint, made_by, at, expires_at,
    )  # fmt: skip
    return made


async def person_of_key(
    connection: Connection, key_hash: bytes, at: datetime
) -> asyncpg.Record | None:
    """The API client of a live key."""
    found = await connection.fetchrow(
        f"""select p.*, {personal.STAFF_NAME} as name, k.id as key_id,
                k.seen_at is null or k.seen_at < $2::timestamptz - {SEEN_EVERY} as is_stale
            from client_key k join person p on p.id = k.person_id {personal.staff("p.id")}
            where k.key_hash = $1 and k.expires_at > $2 and k.revoked_at is null
            and p.disabled_at is null and p.kind = 'client'""",
        key_hash, at,
    )  # fmt: skip
    if found is not None and found["is_stale"]:
        await connection.execute(
            "update client_key set seen_at = $2 where id = $1", found["key_id"], at
        )
    return found


async def keys(connection: Connection, person_id: int) -> list[asyncpg.Record]:
    """id, hint, created_at, expires_at, revoked_at, seen_at of a client's keys, newest first."""
    return await connection.fetch(
        """select id, hint, created_at, expires_at, revoked_at, seen_at from client_key
           where person_id = $1 order by id desc limit 100""",
        person_id,
    )


async def count_keys(connection: Connection, person_id: int, at: datetime) -> int:
    """How many live keys a client has."""
    count: int = await connection.fetchval(
        """select count(*) from client_key where person_id = $1 and revoked_at is null
           and expires_at > $2""",
        person_id, at,
    )  # fmt: skip
    return count


async def revoke_key(
    connection: Connection, person_id: int, key_id: int, at: datetime
) -> str | None:
    """Revoke a client's key; its hint, or None when it has no such live key."""
    hint: str | None = await connection.fetchval(
        """update client_key set revoked_at = $3
           where person_id = $1 and id = $2 and revoked_at is null returning hint""",
        person_id, key_id, at,
    )  # fmt: skip
    return hint
