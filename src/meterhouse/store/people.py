"""Persons, sessions, keys and grants as rows.

Owns who exists and what they were given. Must never see a password or a key in the clear: hashes
come in, hashes go out.
"""

from datetime import datetime

import asyncpg

from meterhouse.errors import Conflict
from meterhouse.store import personal
from meterhouse.store.db import PLATFORM, Connection, set_scope


async def insert_person(
    connection: Connection, kind: str, login: str, name: str, password_hash: str | None,
    key_hash: bytes | None, at: datetime,
) -> int:  # fmt: skip
    """A person of staff, a tenant, or an API client. Raises `Conflict` when the login is taken."""
    personal_id = await personal.insert(connection, PLATFORM, personal.Facts(name))
    try:
        made: int = await connection.fetchval(
            """insert into person (kind, login, personal_id, password_hash, key_hash, created_at)
               values ($1, $2, $3, $4, $5, $6) returning id""",
            kind, login, personal_id, password_hash, key_hash, at,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"login {login}", "it is taken") from error
    return made


async def grant(
    connection: Connection, person_id: int, role: str, scope_kind: str, scope_id: int
) -> None:
    """Give a role on the platform (0), a group or a project."""
    await connection.execute(
        """insert into role_grant (person_id, role, scope_kind, scope_id)
           values ($1, $2, $3, $4) on conflict do nothing""",
        person_id, role, scope_kind, scope_id,
    )  # fmt: skip


async def person_of_login(connection: Connection, login: str) -> asyncpg.Record | None:
    """The person of a login, locked, so that tries are counted one after the other."""
    return await connection.fetchrow("select * from person where login = $1 for update", login)


async def get_person(connection: Connection, person_id: int) -> asyncpg.Record | None:
    """A person who is not disabled, by id."""
    return await connection.fetchrow(
        f"""select p.*, {personal.STAFF_NAME} as name from person p {personal.staff("p.id")}
            where p.id = $1 and p.disabled_at is null""",
        person_id,
    )


async def note_try(connection: Connection, person_id: int, failed_count: int, at: datetime) -> None:
    """Remember how many tries in a row have failed, and when the last one did."""
    await connection.execute(
        "update person set failed_count = $2, failed_at = $3 where id = $1",
        person_id, failed_count, at,
    )  # fmt: skip


async def set_password(connection: Connection, person_id: int, password_hash: str) -> None:
    """Replace a person's password and end their sessions."""
    await connection.execute(
        "update person set password_hash = $2, failed_count = 0 where id = $1",
        person_id, password_hash,
    )  # fmt: skip
    await connection.execute("delete from session where person_id = $1", person_id)


async def insert_session(
    connection: Connection, token_hash: bytes, person_id: int, agent: str, at: datetime,
    expires_at: datetime,
) -> None:  # fmt: skip
    """A new session; sessions that are over are swept away."""
    await connection.execute("delete from session where expires_at < $1", at)
    await connection.execute(
        """insert into session
               (token_hash, person_id, agent, created_at, seen_at, proved_at, expires_at)
           values ($1, $2, $3, $4, $4, $4, $5)""",
        token_hash, person_id, agent, at, expires_at,
    )  # fmt: skip


async def person_of_session(
    connection: Connection, token_hash: bytes, at: datetime
) -> asyncpg.Record | None:
    """The person of a live session."""
    return await connection.fetchrow(
        f"""select p.*, {personal.STAFF_NAME} as name
           from session s join person p on p.id = s.person_id {personal.staff("p.id")}
           where s.token_hash = $1 and s.expires_at > $2 and p.disabled_at is null""",
        token_hash, at,
    )  # fmt: skip


async def person_of_key(connection: Connection, key_hash: bytes) -> asyncpg.Record | None:
    """The API client of a key."""
    return await connection.fetchrow(
        f"""select p.*, {personal.STAFF_NAME} as name from person p {personal.staff("p.id")}
            where p.key_hash = $1 and p.disabled_at is null""",
        key_hash,
    )


async def delete_session(connection: Connection, token_hash: bytes) -> int | None:
    """End a session; answers whose it was, None when there was none."""
    person_id: int | None = await connection.fetchval(
        "delete from session where token_hash = $1 returning person_id", token_hash
    )
    return person_id


async def grants(connection: Connection, person_id: int) -> list[asyncpg.Record]:
    """What a person was given."""
    return await connection.fetch(
        "select role, scope_kind, scope_id from role_grant where person_id = $1", person_id
    )


async def project_facts(connection: Connection) -> list[asyncpg.Record]:
    """Every project's id, group and way of writing values; who reaches which is decided above.

    The scope is opened for this one question and closed again.
    """
    rows = await connection.fetch("select all_project_ids() as id")
    await set_scope(connection, [row["id"] for row in rows])
    facts = await connection.fetch(
        """select id, group_id, name, timezone, currency, currency_exponent
           from project order by id"""
    )
    await set_scope(connection, ())
    return facts


async def count_staff(connection: Connection) -> int:
    """How many people of staff there are; none on a new installation."""
    count: int = await connection.fetchval("select count(*) from person where kind = 'staff'")
    return count
