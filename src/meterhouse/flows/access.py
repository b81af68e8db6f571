"""Who may do what: roles as sets of verbs, sign-in, sessions and API keys.

Owns the roles, the password rule, the throttle and what a caller reaches. Passwords are kept as
argon2id hashes, session tokens and keys as SHA-256 of random bytes. Why a sign-in failed is
nobody's business, and an unknown login takes as long as a wrong password.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from meterhouse.errors import OutOfRange
from meterhouse.store import people
from meterhouse.store.db import Connection, Database

SESSION_LIFE = timedelta(hours=12)
TRIES_FREE = 5
TRY_WAIT = timedelta(seconds=30)
PASSWORD_CHARS_MIN = 12
PASSWORD_CHARS_MAX = 200
_hasher = PasswordHasher()
# Verified when the login is unknown, so that both failures take the same time.
_DECOY = _hasher.hash(secrets.token_urlsafe(16))


class Verb(StrEnum):
    """What a route or flow does; a role is a set of these."""

    SESSION_OWN = "session.own"
    ROOM_READ = "room.read"
    ALARM_READ = "alarm.read"
    DEVICE_READ = "device.read"
    NOTICE_READ = "notice.read"
    COMMAND_READ = "command.read"
    STRANGER_READ = "stranger.read"
    METER_READ = "meter.read"
    METER_SWITCH = "meter.switch"
    CREDIT_ADD = "credit.add"
    ALARM_CLOSE = "alarm.close"


_LOOK = frozenset(
    {
        Verb.SESSION_OWN,
        Verb.ROOM_READ,
        Verb.ALARM_READ,
        Verb.DEVICE_READ,
        Verb.NOTICE_READ,
        Verb.COMMAND_READ,
    }
)
ROLES: Mapping[str, frozenset[Verb]] = {
    "platform_administrator": frozenset(Verb),
    "project_manager": _LOOK
    | {Verb.METER_READ, Verb.METER_SWITCH, Verb.CREDIT_ADD, Verb.ALARM_CLOSE},
    "cashier": _LOOK | {Verb.CREDIT_ADD},
    "field_engineer": _LOOK
    | {Verb.METER_READ, Verb.METER_SWITCH, Verb.STRANGER_READ, Verb.ALARM_CLOSE},
    "read_only": _LOOK,
}


@dataclass(frozen=True, slots=True)
class Reach:
    """One project a person reaches, how its values are written, and the verbs granted there."""

    project_id: int
    name: str
    timezone: str
    currency: str
    currency_exponent: int
    verbs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Known:
    """A person who has proved who they are."""

    person_id: int
    name: str
    language: str
    reaches: tuple[Reach, ...]


def new_password() -> str:
    """A random password of 96 bits, to be shown once."""
    return secrets.token_urlsafe(12)


async def add_person(
    db: Database, login: str, name: str, password: str, role: str, scope_kind: str,
    scope_id: int, at: datetime,
) -> int:  # fmt: skip
    """A person of staff with one role.

    Raises:
        OutOfRange: the password is too short or too long.
        Conflict: the login is taken.
    """
    _check_password(password)
    hashed = await asyncio.to_thread(_hasher.hash, password)
    async with db.transaction(()) as connection:
        person_id = await people.insert_person(connection, "staff", login, name, hashed, None, at)
        await people.grant(connection, person_id, role, scope_kind, scope_id)
        return person_id


async def add_client(
    db: Database, login: str, name: str, role: str, scope_kind: str, scope_id: int, at: datetime
) -> tuple[int, str]:
    """An API client with one role; answers its id and its key, which is shown this once."""
    key = f"mh_{secrets.token_urlsafe(32)}"
    async with db.transaction(()) as connection:
        person_id = await people.insert_person(
            connection, "client", login, name, None, _digest(key), at
        )
        await people.grant(connection, person_id, role, scope_kind, scope_id)
        return person_id, key


async def reset_password(db: Database, login: str, password: str) -> bool:
    """Replace a password and end the person's sessions; False for an unknown login."""
    _check_password(password)
    hashed = await asyncio.to_thread(_hasher.hash, password)
    async with db.transaction(()) as connection:
        person = await people.person_of_login(connection, login)
        if person is None:
            return False
        await people.set_password(connection, person["id"], hashed)
        return True


async def has_staff(db: Database) -> bool:
    """Whether anybody can sign in yet."""
    async with db.transaction(()) as connection:
        return await people.count_staff(connection) > 0


async def sign_in(db: Database, login: str, password: str, agent: str, at: datetime) -> str | None:
    """A new session's token, or None: unknown, wrong, disabled, or too many tries.

    After `TRIES_FREE` failures each further try waits, twice as long every time. The slow check
    of the password holds neither a row nor a connection.
    """
    async with db.transaction(()) as connection:
        person = await people.person_of_login(connection, login)
    known = person is not None and person["kind"] == "staff" and not person["disabled_at"]
    stored = person["password_hash"] if person is not None and known else None
    right = await asyncio.to_thread(_verify, stored or _DECOY, password[:PASSWORD_CHARS_MAX])
    if person is None:
        return None
    async with db.transaction(()) as connection:
        person = await people.person_of_login(connection, login)
        if person is None or _waits(person["failed_count"], person["failed_at"], at):
            return None
        if not (known and right and person["password_hash"] == stored):
            await people.note_try(connection, person["id"], person["failed_count"] + 1, at)
            return None
        await people.note_try(connection, person["id"], 0, at)
        token = secrets.token_urlsafe(32)
        await people.insert_session(
            connection, _digest(token), person["id"], agent[:200], at, at + SESSION_LIFE
        )
        return token


async def sign_out(db: Database, token: str) -> None:
    """End a session."""
    async with db.transaction(()) as connection:
        await people.delete_session(connection, _digest(token))


async def known_by_session(db: Database, token: str, at: datetime) -> Known | None:
    """The person of a live session, with what they reach now."""
    async with db.transaction(()) as connection:
        person = await people.person_of_session(connection, _digest(token), at)
        return None if person is None else await _known(connection, person)


async def known_by_key(db: Database, key: str) -> Known | None:
    """The API client of a key, with what it reaches now."""
    async with db.transaction(()) as connection:
        person = await people.person_of_key(connection, _digest(key))
        return None if person is None else await _known(connection, person)


async def _known(connection: Connection, person: Any) -> Known:
    """What a person reaches by their grants now."""
    given = await people.grants(connection, person["id"])
    projects = await people.project_facts(connection)
    reaches = []
    for project in projects:
        verbs: set[str] = set()
        for row in given:
            where = {"platform": 0, "group": project["group_id"], "project": project["id"]}
            if row["scope_id"] == where[row["scope_kind"]]:
                verbs |= ROLES.get(row["role"], frozenset())
        if verbs:
            reaches.append(
                Reach(
                    project["id"], project["name"], project["timezone"], project["currency"],
                    project["currency_exponent"], frozenset(verbs),
                )
            )  # fmt: skip
    return Known(person["id"], person["name"], person["language"], tuple(reaches))


def _check_password(password: str) -> None:
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise OutOfRange(
            "length of password", len(password), PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX
        )


def _waits(failed_count: int, failed_at: datetime | None, at: datetime) -> bool:
    if failed_count < TRIES_FREE or failed_at is None:
        return False
    wait = TRY_WAIT * int(2 ** min(failed_count - TRIES_FREE, 10))
    return at < failed_at + wait


def _verify(stored: str, password: str) -> bool:
    try:
        return bool(_hasher.verify(stored, password))
    except (VerificationError, InvalidHashError):
        return False


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
