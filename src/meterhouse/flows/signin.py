"""Signing in: password, then a code where one is wanted; sessions, and proving oneself anew.

Owns the throttle, the two steps and the life of a session. Why a sign-in failed is nobody's
business: an unknown login takes as long as a wrong password, and each answers the same.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from meterhouse.errors import NotFound
from meterhouse.flows import passwords, totp
from meterhouse.flows.access import SESSION_IDLE, SESSION_LIFE, Verb
from meterhouse.store import audit, credentials, people
from meterhouse.store.audit import Entry
from meterhouse.store.db import PLATFORM, Connection, Database

TRIES_FREE: Final = 5
TRY_WAIT: Final = timedelta(seconds=30)
TRY_WAIT_MAX: Final = timedelta(minutes=16)
CODE_LIFE: Final = timedelta(minutes=5)
PROOF_LIFE: Final = timedelta(minutes=10)
_AGENT_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session's token; with `awaits_code` it opens nothing but the second step."""

    token: str
    awaits_code: bool = False


async def sign_in(
    db: Database, login: str, password: str, agent: str, at: datetime, peer: str = ""
) -> SignedIn | None:
    """A new session, or None: unknown, wrong, no staff, disabled, or too many tries.

    After `TRIES_FREE` failures each further try waits, twice as long every time. The slow check
    of the password holds neither a row nor a connection.
    """
    async with db.transaction([PLATFORM]) as connection:
        person = await people.person_of_login(connection, login)
    known = person is not None and person["kind"] == "staff" and not person["disabled_at"]
    stored = person["password_hash"] if person is not None and known else None
    right = await passwords.fits(stored, password)
    if person is None:
        return None
    async with db.transaction([PLATFORM]) as connection:
        person = await people.person_of_login(connection, login)
        if person is None or _waits(person, at):
            return None
        if not (known and right and person["password_hash"] == stored):
            await people.note_try(connection, person["id"], person["failed_count"] + 1, at)
            await _note(connection, "session.refuse", person["id"], None, at)
            return None
        awaits_code = person["totp_from"] is not None
        if not awaits_code:
            # Else only the code ends the count, or it could be tried for ever.
            await people.note_try(connection, person["id"], 0, at)
        life = CODE_LIFE if awaits_code else SESSION_LIFE
        token = _new_token()
        await credentials.insert_session(
            connection, passwords.digest(token), person["id"], agent[:_AGENT_CHARS_MAX], peer, at,
            at + life, awaits_code,
        )  # fmt: skip
        if not awaits_code:
            await _note(connection, "session.begin", person["id"], person["id"], at)
        return SignedIn(token, awaits_code)


async def enter_code(
    db: Database, token: str, code: str, secret_key: bytes, agent: str, at: datetime,
    peer: str = "",
) -> SignedIn | None:  # fmt: skip
    """The second step: a code of the authenticator, or a recovery code; None if it is none.

    Raises:
        NotFound: the first step was too long ago, or never was.
    """
    async with db.transaction([PLATFORM]) as connection:
        waiting = await credentials.person_of_session(
            connection, passwords.digest(token), at, at - CODE_LIFE, awaits_code=True
        )
        if waiting is None:
            raise NotFound("Session", "")
        person = await people.get_person(connection, waiting["id"])
        if person is None or _waits(person, at):
            return None
        if not await totp.spend(connection, person, code, secret_key, at):
            await people.note_try(connection, person["id"], person["failed_count"] + 1, at)
            await _note(connection, "session.refuse", person["id"], None, at)
            return None
        await people.note_try(connection, person["id"], 0, at)
        await credentials.delete_session(connection, passwords.digest(token))
        fresh = _new_token()
        await credentials.insert_session(
            connection, passwords.digest(fresh), person["id"], agent[:_AGENT_CHARS_MAX], peer, at,
            at + SESSION_LIFE, False,
        )  # fmt: skip
        await _note(connection, "session.begin", person["id"], person["id"], at)
        return SignedIn(fresh)


async def prove(
    db: Database, person_id: int, session_id: int, token: str, proof: str, secret_key: bytes,
    at: datetime,
) -> str | None:  # fmt: skip
    """Prove anew who one is, by password or code; the session's next token, or None.

    Throttled as signing in is. The old token is worth nothing from then on; the part of it that
    seals forms stays, so that pages already open go on working.
    """
    async with db.transaction([PLATFORM]) as connection:
        person = await people.get_person(connection, person_id)
    stored = None if person is None else person["password_hash"]
    right = await passwords.fits(stored, proof)
    async with db.transaction([PLATFORM]) as connection:
        person = await people.get_person(connection, person_id)
        if person is None or _waits(person, at):
            return None
        right = right and person["password_hash"] == stored
        if not right and person["totp_from"] is not None:
            right = await totp.spend(connection, person, proof, secret_key, at)
        await people.note_try(
            connection, person_id, 0 if right else int(person["failed_count"]) + 1, at
        )
        if not right:
            return None
        fresh = f"{token.partition('.')[0]}.{secrets.token_urlsafe(32)}"
        await credentials.renew_session(connection, session_id, passwords.digest(fresh), at)
        return fresh


async def sign_out(db: Database, token: str, at: datetime) -> None:
    """End a session."""
    async with db.transaction([PLATFORM]) as connection:
        person_id = await credentials.delete_session(connection, passwords.digest(token))
        if person_id is not None:
            await _note(connection, "session.end", person_id, person_id, at)


async def sessions(db: Database, person_id: int, at: datetime) -> list[Any]:
    """A person's live sessions, last seen first."""
    async with db.transaction([PLATFORM]) as connection:
        return list(await credentials.sessions(connection, person_id, at, at - SESSION_IDLE))


async def end_session(db: Database, person_id: int, session_id: int) -> None:
    """End one of a person's own sessions. Raises `NotFound` when it is not theirs."""
    async with db.transaction([PLATFORM]) as connection:
        if not await credentials.end_session(connection, person_id, session_id):
            raise NotFound("Session", session_id)


async def end_others(db: Database, person_id: int, kept_id: int | None) -> int:
    """End all of a person's sessions but this one; answers how many."""
    async with db.transaction([PLATFORM]) as connection:
        return await credentials.end_sessions(connection, person_id, kept_id)


async def change_password(
    db: Database, person_id: int, old: str, new: str, kept_session_id: int | None, at: datetime,
    request_id: str = "",
) -> bool:  # fmt: skip
    """Replace one's own password, knowing the old one; other sessions end. False if it is wrong.

    Raises:
        BadInput: the new one breaks the rule.
    """
    async with db.transaction([PLATFORM]) as connection:
        person = await people.get_person(connection, person_id)
    stored = None if person is None else person["password_hash"]
    right = await passwords.fits(stored, old)
    async with db.transaction([PLATFORM]) as connection:
        person = await people.get_person(connection, person_id)
        if person is None or _waits(person, at):
            return False
        if not right or person["password_hash"] != stored:
            await people.note_try(connection, person_id, person["failed_count"] + 1, at)
            return False
        passwords.check_rule(new, person["login"], person["name"])
    hashed = await passwords.hashed(new)
    async with db.transaction([PLATFORM]) as connection:
        await people.set_password(connection, person_id, hashed, kept_session_id)
        await _note(connection, "password.change", person_id, person_id, at, request_id)
    return True


async def person_of_link(db: Database, token: str, at: datetime) -> Any:
    """Whom a one-time link is for, or None when it is used up, too old, or never was."""
    async with db.transaction([PLATFORM]) as connection:
        return await credentials.person_of_link(connection, passwords.digest(token), at)


async def set_password(
    db: Database, token: str, password: str, at: datetime, request_id: str = ""
) -> None:
    """Choose a password by a one-time link; the link is used up and every session ends.

    Raises:
        NotFound: the link is used up, too old, or never was.
        BadInput: the password breaks the rule.
    """
    person = await person_of_link(db, token, at)
    if person is None:
        raise NotFound("Link", "")
    passwords.check_rule(password, person["login"], person["name"])
    hashed = await passwords.hashed(password)
    async with db.transaction([PLATFORM]) as connection:
        # Looked at again under its lock: of two at once, one finds it used.
        if await credentials.person_of_link(connection, passwords.digest(token), at) is None:
            raise NotFound("Link", "")
        await credentials.spend_link(connection, passwords.digest(token), at)
        await people.set_password(connection, person["id"], hashed)
        await _note(connection, "password.set", person["id"], person["id"], at, request_id)


async def set_language(db: Database, person_id: int, language: str) -> None:
    """Remember which language a person reads."""
    async with db.transaction([PLATFORM]) as connection:
        await people.set_language(connection, person_id, language)


async def _note(
    connection: Connection, act: str, person_id: int, actor_id: int | None, at: datetime,
    request_id: str = "",
) -> None:  # fmt: skip
    """An entry about a session or password; whoever was refused has not shown who they are."""
    entry = Entry(at, actor_id, "console", act, Verb.SESSION_OWN, f"person:{person_id}",
                  request_id=request_id)  # fmt: skip
    await audit.write(connection, PLATFORM, entry)


def _new_token() -> str:
    """The first part seals forms and stays, the second is renewed when its person proves anew."""
    return f"{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}"


def _waits(person: Any, at: datetime) -> bool:
    failed_count, failed_at = person["failed_count"], person["failed_at"]
    if failed_count < TRIES_FREE or failed_at is None:
        return False
    wait = min(TRY_WAIT * int(2 ** min(failed_count - TRIES_FREE, 10)), TRY_WAIT_MAX)
    return bool(at < failed_at + wait)
