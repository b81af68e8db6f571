"""Who may do what: roles as sets of verbs, sign-in, sessions and API keys.

Owns the roles, the password rule, the throttle and what a caller reaches. Passwords are kept as
argon2id hashes, session tokens and keys as SHA-256 of random bytes. Why a sign-in failed is
nobody's business, and an unknown login takes as long as a wrong password.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from meterhouse.errors import NotFound, OutOfRange
from meterhouse.store import audit, people
from meterhouse.store.audit import Entry
from meterhouse.store.db import PLATFORM, Connection, Database

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
    CUSTOMER_READ = "customer.read"
    TARIFF_READ = "tariff.read"
    MONEY_READ = "money.read"
    TASK_READ = "task.read"
    AUDIT_READ = "audit.read"
    STAFF_READ = "staff.read"
    METER_READ = "meter.read"
    METER_SWITCH = "meter.switch"
    CREDIT_ADD = "credit.add"
    ALARM_CLOSE = "alarm.close"
    PLACE_EDIT = "place.edit"
    CUSTOMER_EDIT = "customer.edit"
    PERSONAL_SHOW = "personal.show"
    PERSONAL_ERASE = "personal.erase"
    DEVICE_EDIT = "device.edit"
    DEVICE_COMMISSION = "device.commission"
    TARIFF_EDIT = "tariff.edit"
    PROJECT_EDIT = "project.edit"
    PROJECT_OPEN = "project.open"
    STAFF_EDIT = "staff.edit"
    CLIENT_EDIT = "client.edit"
    GROUP_EDIT = "group.edit"
    ROLE_EDIT = "role.edit"
    STRANGER_READ = "stranger.read"


STEP_UP: frozenset[Verb] = frozenset(
    {
        Verb.PERSONAL_ERASE, Verb.PROJECT_OPEN, Verb.STAFF_EDIT, Verb.CLIENT_EDIT,
        Verb.GROUP_EDIT, Verb.ROLE_EDIT,
    }
)  # fmt: skip
"""Verbs for which a person at the console proves anew who they are, unless they just did."""

_LOOK = frozenset(
    {
        Verb.SESSION_OWN, Verb.ROOM_READ, Verb.ALARM_READ, Verb.DEVICE_READ, Verb.NOTICE_READ,
        Verb.COMMAND_READ, Verb.CUSTOMER_READ, Verb.TARIFF_READ, Verb.TASK_READ,
    }
)  # fmt: skip
_MANAGE = _LOOK | {
    Verb.MONEY_READ, Verb.AUDIT_READ, Verb.STAFF_READ, Verb.METER_READ, Verb.METER_SWITCH,
    Verb.CREDIT_ADD, Verb.ALARM_CLOSE, Verb.PLACE_EDIT, Verb.CUSTOMER_EDIT, Verb.PERSONAL_SHOW,
    Verb.PERSONAL_ERASE, Verb.DEVICE_EDIT, Verb.DEVICE_COMMISSION, Verb.TARIFF_EDIT,
    Verb.PROJECT_EDIT, Verb.STAFF_EDIT, Verb.CLIENT_EDIT,
}  # fmt: skip
ROLES: Mapping[str, frozenset[Verb]] = {
    "platform_administrator": frozenset(Verb),
    "group_head_office": _MANAGE | {Verb.PROJECT_OPEN},
    "project_manager": _MANAGE,
    "cashier": _LOOK | {Verb.MONEY_READ, Verb.CREDIT_ADD, Verb.CUSTOMER_EDIT, Verb.PERSONAL_SHOW},
    "finance": _LOOK | {Verb.MONEY_READ, Verb.AUDIT_READ, Verb.PERSONAL_SHOW},
    "warden": _LOOK - {Verb.NOTICE_READ, Verb.TARIFF_READ}
    | {Verb.METER_READ, Verb.METER_SWITCH, Verb.PERSONAL_SHOW},
    "field_engineer": _LOOK - {Verb.CUSTOMER_READ}
    | {
        Verb.METER_READ, Verb.METER_SWITCH, Verb.ALARM_CLOSE, Verb.PLACE_EDIT,
        Verb.DEVICE_EDIT, Verb.DEVICE_COMMISSION, Verb.STRANGER_READ,
    },
    "read_only": _LOOK,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reach:
    """One project a person reaches, how its values are written, and the verbs granted there.

    `building_ids`: None for the whole project, else the only buildings that are seen.
    """

    project_id: int
    name: str
    timezone: str
    currency: str
    currency_exponent: int
    verbs: frozenset[str]
    group_id: int = 0
    building_ids: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """A person who has proved who they are.

    `groups`: verbs granted for a whole group, by its id; `platform`: those granted everywhere.
    """

    person_id: int
    name: str
    language: str
    reaches: tuple[Reach, ...]
    groups: Mapping[int, frozenset[str]] = field(default_factory=dict)
    platform: frozenset[str] = frozenset()


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
    async with db.transaction([PLATFORM]) as connection:
        person_id = await people.insert_person(connection, "staff", login, name, hashed, None, at)
        await people.grant(connection, person_id, role, scope_kind, scope_id)
        return person_id


async def add_client(
    db: Database, login: str, name: str, role: str, scope_kind: str, scope_id: int, at: datetime
) -> tuple[int, str]:
    """An API client with one role; answers its id and its key, which is shown this once."""
    key = f"mh_{secrets.token_urlsafe(32)}"
    async with db.transaction([PLATFORM]) as connection:
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


async def id_of_login(db: Database, login: str) -> int:
    """The person of a login. Raises `NotFound`."""
    async with db.transaction(()) as connection:
        person = await people.person_of_login(connection, login)
    if person is None:
        raise NotFound("person", login)
    return int(person["id"])


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
    async with db.transaction([PLATFORM]) as connection:
        person = await people.person_of_login(connection, login)
        if person is None or _waits(person["failed_count"], person["failed_at"], at):
            return None
        if not (known and right and person["password_hash"] == stored):
            await people.note_try(connection, person["id"], person["failed_count"] + 1, at)
            await _note(connection, "session.refuse", person["id"], None, at)
            return None
        await people.note_try(connection, person["id"], 0, at)
        token = secrets.token_urlsafe(32)
        await people.insert_session(
            connection, _digest(token), person["id"], agent[:200], at, at + SESSION_LIFE
        )
        await _note(connection, "session.begin", person["id"], person["id"], at)
        return token


async def sign_out(db: Database, token: str, at: datetime) -> None:
    """End a session."""
    async with db.transaction([PLATFORM]) as connection:
        person_id = await people.delete_session(connection, _digest(token))
        if person_id is not None:
            await _note(connection, "session.end", person_id, person_id, at)


async def _note(
    connection: Connection, act: str, person_id: int, actor_id: int | None, at: datetime
) -> None:
    """An entry about a session; whoever was refused has not shown who they are."""
    entry = Entry(at, actor_id, "console", act, Verb.SESSION_OWN, f"person:{person_id}")
    await audit.write(connection, PLATFORM, entry)


async def known_by_session(db: Database, token: str, at: datetime) -> Known | None:
    """The person of a live session, with what they reach now."""
    async with db.transaction([PLATFORM]) as connection:
        person = await people.person_of_session(connection, _digest(token), at)
        return None if person is None else await _known(connection, person)


async def known_by_key(db: Database, key: str) -> Known | None:
    """The API client of a key, with what it reaches now."""
    async with db.transaction([PLATFORM]) as connection:
        person = await people.person_of_key(connection, _digest(key))
        return None if person is None else await _known(connection, person)


async def known_by_id(db: Database, person_id: int) -> Known | None:
    """Somebody who proved who they are when they asked for what is done now, as they reach now."""
    async with db.transaction([PLATFORM]) as connection:
        person = await people.get_person(connection, person_id)
        return None if person is None else await _known(connection, person)


async def _known(connection: Connection, person: Any) -> Known:
    """What a person reaches by their grants now; a verb granted wider is granted narrower."""
    given = [(row, ROLES.get(row["role"], frozenset()))
             for row in await people.grants(connection, person["id"])]  # fmt: skip
    platform = _verbs(given, "platform", 0)
    group_ids = {row["scope_id"] for row, _ in given if row["scope_kind"] == "group"}
    groups = {one: platform | _verbs(given, "group", one) for one in group_ids}
    reaches = []
    for project in await people.project_facts(connection):
        whole = platform | groups.get(project["group_id"], frozenset())
        whole |= _verbs(given, "project", project["id"])
        if whole:
            reaches.append(
                Reach(
                    project["id"], project["name"], project["timezone"], project["currency"],
                    project["currency_exponent"], frozenset(whole), project["group_id"],
                )
            )  # fmt: skip
    return Known(person["id"], person["name"], person["language"], tuple(reaches), groups, platform)


def _verbs(
    given: Sequence[tuple[Any, frozenset[Verb]]], kind: str, scope_id: int
) -> frozenset[str]:
    found: set[str] = set()
    for row, verbs in given:
        if row["scope_kind"] == kind and row["scope_id"] == scope_id:
            found |= verbs
    return frozenset(found)


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
