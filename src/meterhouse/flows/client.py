"""API clients: programs with a name, an owner, roles, and keys that end.

Owns the keys: random, kept as digests, shown once, at most a year. A client may have several at a
time, so that a new one is in use before the old one is revoked. Roles are given and taken as for
people (`staff`), but a ready role gives a client no step-up verb; see `access.granted_verbs`.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from meterhouse.errors import BadInput, Conflict, NotFound, OutOfRange
from meterhouse.flows import passwords, staff
from meterhouse.flows.access import KEY_LIFE_MAX, KEY_MARK, Scope, ScopeKind, hint_of
from meterhouse.store import credentials, people, personal
from meterhouse.store.db import PLATFORM, Connection, Database

LIVE_KEYS_MAX: Final = 5
KEY_DAYS_MAX: Final = KEY_LIFE_MAX.days
_LOGIN_CHARS: Final = 12


class NameMissing(BadInput):
    """Give it a name of 2 to 100 characters."""

    code = "name_missing"


async def add(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, name: str, role: str, scope: Scope,
    days: int, at: datetime,
) -> tuple[int, str, datetime]:  # fmt: skip
    """A client of the doer's with one role; answers its id, its first key and when that ends.

    Raises:
        NameMissing: it has no name.
        OutOfRange: the key's days.
        BeyondYours: the role holds more there than the doer.
        NotFound: there is no such role or place.
    """
    name = _named(name)
    async with db.transaction([PLATFORM]) as connection:
        login = f"client-{passwords.new_token()[:_LOGIN_CHARS]}"
        person_id = await people.insert_person(connection, "client", login, name, None, doer_id, at)
        await staff.give_new(
            connection, doer_id, kind, place_id, person_id, "client", role, scope, at
        )
        return person_id, *await _new_key(connection, person_id, doer_id, days, at)


async def rename(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, client_id: int, name: str
) -> None:
    """Give a client another name; its keys go on.

    Raises `NameMissing`, `BeyondYours`, `NotFound`.
    """
    name = _named(name)
    async with db.transaction([PLATFORM]) as connection:
        await staff.meet_covered(connection, doer_id, kind, place_id, client_id, "client")
        await personal.change_staff(connection, client_id, name, None)


async def add_key(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, client_id: int, days: int,
    at: datetime,
) -> tuple[str, datetime]:  # fmt: skip
    """Another key, to take the place of one, and when it ends.

    Raises:
        Conflict: it has `LIVE_KEYS_MAX` already.
        BeyondYours: the client holds more than the doer.
    """
    async with db.transaction([PLATFORM]) as connection:
        await staff.meet_covered(connection, doer_id, kind, place_id, client_id, "client")
        if await credentials.count_keys(connection, client_id, at) >= LIVE_KEYS_MAX:
            raise Conflict("keys", f"there are {LIVE_KEYS_MAX} already; revoke one")
        return await _new_key(connection, client_id, doer_id, days, at)


async def revoke_key(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, client_id: int, key_id: int,
    at: datetime,
) -> str:  # fmt: skip
    """Revoke a key at once; answers its hint. Raises `NotFound`, `BeyondYours`."""
    async with db.transaction([PLATFORM]) as connection:
        await staff.meet_covered(connection, doer_id, kind, place_id, client_id, "client")
        hint = await credentials.revoke_key(connection, client_id, key_id, at)
        if hint is None:
            raise NotFound("Key", key_id)
        return hint


async def keys(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, client_id: int
) -> tuple[staff.Member, list[Any]]:
    """A client of a realm and its keys, newest first. Raises `NotFound`."""
    found = await staff.member(db, doer_id, kind, place_id, client_id, "client")
    async with db.transaction([PLATFORM]) as connection:
        return found, list(await credentials.keys(connection, client_id))


def _named(name: str) -> str:
    name = name.strip()
    if not 2 <= len(name) <= staff.NAME_CHARS_MAX:
        raise NameMissing
    return name


async def _new_key(
    connection: Connection, client_id: int, doer_id: int, days: int, at: datetime
) -> tuple[str, datetime]:
    if not 1 <= days <= KEY_DAYS_MAX:
        raise OutOfRange("days", days, 1, KEY_DAYS_MAX)
    key = f"{KEY_MARK}{passwords.new_token()}"
    await credentials.insert_key(
        connection, client_id, passwords.digest(key), hint_of(key), doer_id, at,
        at + timedelta(days=days),
    )  # fmt: skip
    return key, at + timedelta(days=days)
