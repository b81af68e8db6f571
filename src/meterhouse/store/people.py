"""Persons, what they were given, and the roles of a house's own, as rows.

Owns who exists and what they were given. Must never see a password, a key or a code in the clear:
hashes come in, hashes go out. These rows belong to no project; who may see which is decided above.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from meterhouse.errors import Conflict
from meterhouse.store import personal
from meterhouse.store.db import PLATFORM, Connection, set_scope

_LOCK = 7307
_PERSON = f"select p.*, {personal.STAFF_NAME} as name from person p {personal.staff('p.id')}"
_WITHIN = """p.kind = $1 and ($2 = 0 or exists (select from role_grant g
    where g.person_id = p.id and (g.scope_kind = 'platform'
        or (g.scope_kind = 'group' and g.scope_id = $2)
        or (g.scope_kind = 'project' and g.scope_id = any($3::int8[]))
        or g.within_project_id = any($3::int8[]))))"""
# A person's grants, what a house's own role holds (null for a ready one), and where a ready one
# needs an authenticator.
_GRANTS = """select g.id, g.person_id, g.person_kind, g.role, g.scope_kind, g.scope_id,
        g.within_project_id as project_id,
        r.verbs, coalesce(r.title, '') as title, coalesce(r.needs_code, false) as needs_code,
        array(select c.group_id from code_rule c where g.role = any(c.roles)) as code_groups
    from role_grant g left join role r on r.name = g.role"""


async def insert_person(
    connection: Connection, kind: str, login: str, name: str, password_hash: str | None,
    owner_id: int | None, at: datetime, email: str | None = None,
) -> int:  # fmt: skip
    """A person of staff, a tenant, or an API client. Raises `Conflict` when the login is taken."""
    personal_id = await personal.insert(connection, PLATFORM, personal.Facts(name, email=email))
    made: int | None = await connection.fetchval(
        """insert into person (kind, login, personal_id, password_hash, owner_id, created_at)
           values ($1, $2, $3, $4, $5, $6) on conflict (login) do nothing returning id""",
        kind, login, personal_id, password_hash, owner_id, at,
    )  # fmt: skip
    if made is None:
        raise Conflict(f"login {login}", "it is taken")
    return made


async def person_of_login(connection: Connection, login: str) -> asyncpg.Record | None:
    """The person of a login, locked, so that tries are counted one after the other."""
    return await connection.fetchrow(f"{_PERSON} where p.login = $1 for update of p", login)


async def get_person(connection: Connection, person_id: int) -> asyncpg.Record | None:
    """One person, locked."""
    return await connection.fetchrow(f"{_PERSON} where p.id = $1 for update of p", person_id)


async def note_try(connection: Connection, person_id: int, failed_count: int, at: datetime) -> None:
    """Remember how many tries in a row have failed, and when the last one did."""
    await connection.execute(
        "update person set failed_count = $2, failed_at = $3 where id = $1",
        person_id, failed_count, at,
    )  # fmt: skip


async def set_password(
    connection: Connection, person_id: int, password_hash: str, kept_session_id: int | None = None
) -> None:
    """Replace a person's password and end their sessions, but for one."""
    await connection.execute(
        "update person set password_hash = $2, failed_count = 0 where id = $1",
        person_id, password_hash,
    )  # fmt: skip
    await connection.execute(
        "delete from session where person_id = $1 and id is distinct from $2",
        person_id, kept_session_id,
    )  # fmt: skip


async def set_disabled(connection: Connection, person_id: int, at: datetime | None) -> None:
    """Shut a person out since an instant, or let them in again; their sessions end."""
    await connection.execute(
        "update person set disabled_at = $2, version = version + 1 where id = $1", person_id, at
    )
    await connection.execute("delete from session where person_id = $1", person_id)


async def forget(connection: Connection, person_id: int) -> None:
    """Let nobody tell by their login who a person was, nor sign in with what they had."""
    await connection.execute(
        """update person set login = 'erased-' || id, password_hash = null, totp_secret = null,
               totp_from = null, version = version + 1 where id = $1""",
        person_id,
    )
    await connection.execute("delete from recovery_code where person_id = $1", person_id)
    await connection.execute("delete from role_grant where person_id = $1", person_id)


async def set_language(connection: Connection, person_id: int, language: str) -> None:
    """Remember which language a person reads."""
    await connection.execute("update person set language = $2 where id = $1", person_id, language)


async def set_totp(
    connection: Connection, person_id: int, secret: bytes | None, since: datetime | None, step: int
) -> None:
    """Replace the sealed secret of a person's codes; `since` is None until one was confirmed."""
    await connection.execute(
        "update person set totp_secret = $2, totp_from = $3, totp_step = $4 where id = $1",
        person_id, secret, since, step,
    )  # fmt: skip


async def spend_step(connection: Connection, person_id: int, step: int) -> bool:
    """Use up the code of one step of time; False when it, or a later one, has been used."""
    done = await connection.fetchval(
        "update person set totp_step = $2 where id = $1 and totp_step < $2 returning id",
        person_id, step,
    )  # fmt: skip
    return done is not None


async def set_recovery(connection: Connection, person_id: int, hashes: Sequence[bytes]) -> None:
    """Replace a person's recovery codes."""
    await connection.execute("delete from recovery_code where person_id = $1", person_id)
    await connection.execute(
        """insert into recovery_code (person_id, code_hash)
           select $1, hash from unnest($2::bytea[]) as hash""",
        person_id, list(hashes),
    )  # fmt: skip


async def spend_recovery(
    connection: Connection, person_id: int, code_hash: bytes, at: datetime
) -> bool:
    """Use up a recovery code; False when there is none such, or it has been used."""
    done = await connection.fetchval(
        """update recovery_code set used_at = $3
           where person_id = $1 and code_hash = $2 and used_at is null returning person_id""",
        person_id, code_hash, at,
    )  # fmt: skip
    return done is not None


async def count_recovery(connection: Connection, person_id: int) -> int:
    """How many recovery codes a person has left."""
    count: int = await connection.fetchval(
        "select count(*) from recovery_code where person_id = $1 and used_at is null", person_id
    )
    return count


async def lock_grants(connection: Connection) -> None:
    """Let one change of grants or roles happen at a time, until the transaction ends."""
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)


async def grant(
    connection: Connection, person_id: int, role: str, scope_kind: str, scope_id: int,
    project_id: int, granted_by: int | None, at: datetime,
) -> bool:  # fmt: skip
    """Give a role; `project_id` is that of a building, else 0. False when it was given before."""
    done = await connection.fetchval(
        """insert into role_grant (person_id, person_kind, role, scope_kind, scope_id,
               within_project_id, granted_by, granted_at)
           select id, kind, $2, $3, $4, nullif($5::int8, 0), $6, $7 from person where id = $1
           on conflict do nothing returning person_id""",
        person_id, role, scope_kind, scope_id, project_id, granted_by, at,
    )  # fmt: skip
    return done is not None


async def take(connection: Connection, person_id: int, grant_id: int) -> None:
    """Take a role away."""
    await connection.execute(
        "delete from role_grant where person_id = $1 and id = $2", person_id, grant_id
    )


async def grants(connection: Connection, person_id: int) -> list[asyncpg.Record]:
    """What a person was given: role, its own verbs, scope_kind, scope_id, project_id, needs_code
    and the groups whose rule asks holders of the role for codes (0: the platform's)."""
    return await connection.fetch(
        f"{_GRANTS} where g.person_id = $1 order by g.scope_kind, g.scope_id, g.role", person_id
    )


async def reached(connection: Connection, person_id: int) -> list[asyncpg.Record]:
    """id, group_id, name and way of writing values of the projects a person's grants reach."""
    return await connection.fetch("select * from reached($1)", person_id)


async def count_staff(connection: Connection) -> int:
    """How many people of staff there are; none on a new installation."""
    count: int = await connection.fetchval("select count(*) from person where kind = 'staff'")
    return count


async def count_administrators(connection: Connection, role: str) -> int:
    """How many people of staff hold a role on the whole platform and are not shut out."""
    count: int = await connection.fetchval(
        """select count(*) from role_grant g join person p on p.id = g.person_id
           where g.role = $1 and g.scope_kind = 'platform' and p.kind = 'staff'
           and p.disabled_at is null""",
        role,
    )
    return count


async def persons_within(
    connection: Connection, kind: str, group_id: int, project_ids: Sequence[int],
    person_id: int | None = None, after: Sequence[Any] = (None, None, None), limit: int = 1,
) -> list[asyncpg.Record]:  # fmt: skip
    """Persons of one kind with a grant that reaches a group or its projects, by name.

    A `group_id` of 0 is the platform: everybody. Else those granted on the platform, in the group,
    in these projects or in buildings of them. With `person_id` this one, if it is one of them.
    `after` is the place (is_out, sorted_name, id) of the last one seen: who is shut out comes last.
    """
    return await connection.fetch(
        f"""select p.id, p.disabled_at is not null as is_out,
               coalesce(h.name, '') as sorted_name, p.login, p.language, h.name, h.email,
               h.erased_at, p.disabled_at, p.created_at, p.totp_from, p.owner_id,
               p.password_hash is not null as has_password, {personal.STAFF_NAME} as owner,
               (select max(s.seen_at) from session s where s.person_id = p.id) as seen_at,
               (select max(k.seen_at) from client_key k where k.person_id = p.id) as used_at
           from person p
           join personal_masked h on (h.project_id, h.id) = ({PLATFORM}, p.personal_id)
           {personal.staff("p.owner_id")}
           where {_WITHIN} and ($4::int8 is null or p.id = $4)
           and ($7::int8 is null or (p.disabled_at is not null, coalesce(h.name, ''), p.id)
               > ($5::boolean, $6::text, $7))
           order by p.disabled_at is not null, coalesce(h.name, ''), p.id limit $8""",
        kind, group_id, list(project_ids), person_id, *after, limit,
    )  # fmt: skip


async def count_within(
    connection: Connection, kind: str, group_id: int, project_ids: Sequence[int]
) -> int:
    """How many `persons_within` would find in all."""
    count: int = await connection.fetchval(
        f"select count(*) from person p where {_WITHIN}", kind, group_id, list(project_ids)
    )
    return count


async def grants_of(
    connection: Connection, person_ids: Sequence[int]
) -> dict[int, list[asyncpg.Record]]:
    """What each of these persons was given, with the names of the scopes in sight."""
    rows = await connection.fetch(
        f"{_GRANTS} where g.person_id = any($1::int8[]) order by g.scope_kind, g.scope_id, g.role",
        list(person_ids),
    )
    found: dict[int, list[Any]] = {person_id: [] for person_id in person_ids}
    for row in rows:
        found[row["person_id"]].append(row)
    return found


async def group_names(connection: Connection, group_ids: Sequence[int]) -> dict[int, str]:
    """Names of groups, by id."""
    rows = await connection.fetch(
        "select id, name from project_group where id = any($1::int8[])", list(group_ids)
    )
    return {row["id"]: row["name"] for row in rows}


async def is_building(connection: Connection, project_id: int, building_id: int) -> bool:
    """Whether a project has such a building; the project need not be in the scope."""
    return bool(await building_names(connection, [project_id], [building_id]))


async def buildings_of(connection: Connection, project_id: int) -> list[int]:
    """Ids of a project's buildings, in order; the project need not be in the scope."""
    async with _peeking(connection, [project_id]):
        rows = await connection.fetch(
            """select id from place where project_id = $1 and kind = 'building'
               order by sort, name, id""",
            project_id,
        )
    return [row["id"] for row in rows]


async def building_names(
    connection: Connection, project_ids: Sequence[int], building_ids: Sequence[int]
) -> dict[tuple[int, int], str]:
    """Names of buildings of these projects, by project and id."""
    async with _peeking(connection, project_ids):
        rows = await connection.fetch(
            """select project_id, id, name from place where project_id = any($1::int8[])
               and id = any($2::int8[]) and kind = 'building'""",
            list(project_ids), list(building_ids),
        )  # fmt: skip
    return {(row["project_id"], row["id"]): row["name"] for row in rows}


@asynccontextmanager
async def _peeking(connection: Connection, project_ids: Sequence[int]) -> AsyncIterator[None]:
    """Open the scope for one question and close it again; who may ask is decided above."""
    kept: str = await connection.fetchval("select current_setting('meterhouse.scope', true)")
    await set_scope(connection, project_ids)
    yield
    await set_scope(connection, [int(one) for one in (kept or "").split(",") if one])


async def roles(connection: Connection) -> list[asyncpg.Record]:
    """The house's own roles: name, title, verbs, how many grants name each."""
    return await connection.fetch(
        """select r.id, r.name, r.title, r.verbs, r.needs_code, r.created_by, r.created_at,
               (select count(*) from role_grant g where g.role = r.name) as grant_count
           from role r order by r.title, r.name"""
    )


async def get_role(
    connection: Connection, *, name: str | None = None, role_id: int | None = None
) -> asyncpg.Record | None:
    """One of the house's own roles, by its name or its id."""
    return await connection.fetchrow("select * from role where name = $1 or id = $2", name, role_id)


async def put_role(
    connection: Connection, name: str, title: str, verbs: Sequence[str], needs_code: bool,
    made_by: int, at: datetime,
) -> int:  # fmt: skip
    """Make a role, or replace its title, its verbs and whether it needs codes; answers its id."""
    made: int = await connection.fetchval(
        """insert into role (name, title, verbs, needs_code, created_by, created_at)
           values ($1, $2, $3::text[], $4, $5, $6)
           on conflict (name) do update
           set title = $2, verbs = $3::text[], needs_code = $4, version = role.version + 1
           returning id""",
        name, title, list(verbs), needs_code, made_by, at,
    )  # fmt: skip
    return made


async def code_rule(connection: Connection, group_id: int) -> tuple[list[str], int]:
    """Ready roles whose holders need an authenticator, and the version of what says so.

    By a group's rule; 0 is the platform's. Where nobody has said anything yet it is version 1.
    """
    row = await connection.fetchrow(
        "select roles, version from code_rule where group_id = $1", group_id
    )
    return ([], 1) if row is None else (row["roles"], row["version"])


async def set_code_rule(connection: Connection, group_id: int, roles: Sequence[str]) -> None:
    """Replace the rule of a group, or of the platform."""
    await connection.execute(
        """insert into code_rule (group_id, roles) values ($1, $2::text[])
           on conflict (group_id) do update set roles = $2, version = code_rule.version + 1""",
        group_id, list(roles),
    )  # fmt: skip


async def delete_role(connection: Connection, name: str) -> bool:
    """Remove a role nobody holds; False when somebody does."""
    done = await connection.fetchval(
        """delete from role r where r.name = $1
           and not exists (select from role_grant g where g.role = r.name) returning r.name""",
        name,
    )
    return done is not None
