"""A house's own roles beside the ready ones: sets of verbs with a title.

Owns the rule that nobody makes a role stronger than they are. A role belongs to the whole
platform, because grants anywhere may name it. Must never know where it is granted.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from meterhouse.errors import BadInput, Conflict, NotFound
from meterhouse.flows.access import ROLES, Verb
from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.flows.staff import BeyondYours, doer_of
from meterhouse.store import people
from meterhouse.store.db import PLATFORM, Database

TITLE_CHARS_MAX: Final = 60
OWN_ROLES_MAX: Final = 100
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{1,40}")


class RoleUnusable(BadInput):
    """A role has a name of small letters, figures and _, a title, and at least one verb."""

    code = "role_unusable"


async def own_roles(db: Database) -> list[Any]:
    """The house's own roles: name, title, verbs, grant_count."""
    async with db.transaction([PLATFORM]) as connection:
        return list(await people.roles(connection))


async def put(
    db: Database,
    doer_id: int,
    name: str,
    title: str,
    verbs: Collection[str],
    at: datetime,
    is_new: bool = False,
    needs_code: bool = False,
    version: int | None = None,
) -> tuple[int, Sequence[str]]:
    """Make a role, or replace all but its name; answers its id and the verbs it had before.

    With `needs_code`, whoever holds it sets up an authenticator before they do anything. `version`
    is that of what the doer saw; without it, whatever is there is replaced.

    Raises:
        RoleUnusable: name, title or verbs are none.
        Conflict: it is a ready role's name, or with `is_new` that of any.
        ChangedMeanwhile: it is not at this version any more.
        BeyondYours: it has, or is to have, a verb that the doer lacks on the platform.
    """
    title, wanted = title.strip(), frozenset(verbs)
    named = bool(_NAME.fullmatch(name)) and 0 < len(title) <= TITLE_CHARS_MAX
    if not named or not wanted or not wanted <= frozenset(Verb):
        raise RoleUnusable
    if name in ROLES:
        raise Conflict(f"role {name}", "it is a ready role and stays as it is")
    async with db.transaction([PLATFORM]) as connection:
        await people.lock_grants(connection)
        known = await doer_of(connection, doer_id)
        before = await people.get_role(connection, name=name)
        if is_new and before is not None:
            raise Conflict(f"role {name}", "there is one already")
        if version is not None and (before is None or before["version"] != version):
            raise ChangedMeanwhile
        had: Sequence[str] = before["verbs"] if before else ()
        if not wanted | frozenset(had) & frozenset(Verb) <= known.platform:
            raise BeyondYours
        if before is None and len(await people.roles(connection)) >= OWN_ROLES_MAX:
            raise Conflict("roles", f"there are {OWN_ROLES_MAX} already")
        role_id = await people.put_role(
            connection, name, title, sorted(wanted), needs_code, doer_id, at
        )
    return role_id, sorted(had)


async def code_rule(db: Database, group_id: int) -> tuple[list[str], int]:
    """Ready roles that need an authenticator by a group's rule (0: the platform's); its version."""
    async with db.transaction([PLATFORM]) as connection:
        return await people.code_rule(connection, group_id)


async def set_code_rule(
    db: Database, group_id: int, roles: Collection[str], version: int | None = None
) -> list[str]:
    """Let holders of these ready roles, and of no others, need an authenticator there.

    A group's rule adds to the platform's. Answers which roles needed one before. `version` is that
    of what the doer saw; without it, whatever is there is replaced.

    Raises:
        ChangedMeanwhile: it is not at this version any more.
        RoleUnusable: one of them is no ready role.
    """
    if not frozenset(roles) <= ROLES.keys():
        raise RoleUnusable
    async with db.transaction([PLATFORM]) as connection:
        await people.lock_grants(connection)
        before, present = await people.code_rule(connection, group_id)
        if version not in (None, present):
            raise ChangedMeanwhile
        await people.set_code_rule(connection, group_id, sorted(set(roles)))
        return before


async def one_role(db: Database, role_id: int) -> Any:
    """One of the house's own roles. Raises `NotFound`."""
    async with db.transaction([PLATFORM]) as connection:
        found = await people.get_role(connection, role_id=role_id)
    if found is None:
        raise NotFound("Role", role_id)
    return found


async def remove(db: Database, role_id: int) -> str:
    """Remove a role; answers its name. Raises `NotFound`, or `Conflict` while somebody holds it."""
    async with db.transaction([PLATFORM]) as connection:
        await people.lock_grants(connection)
        found = await people.get_role(connection, role_id=role_id)
        if found is None:
            raise NotFound("Role", role_id)
        if not await people.delete_role(connection, found["name"]):
            raise Conflict("role", "somebody holds it")
        return str(found["name"])
