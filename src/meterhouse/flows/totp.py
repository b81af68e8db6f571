"""Codes of an authenticator (TOTP, RFC 6238) and the recovery codes beside them.

Owns how a secret is sealed, when a code fits, and that each counts once. Must never show a secret
again after it was confirmed. The key that seals secrets is not in the database: whoever reads the
tables cannot make codes.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from meterhouse.errors import BadInput, Conflict, NotFound
from meterhouse.flows import passwords
from meterhouse.store import people
from meterhouse.store.db import PLATFORM, Connection, Database

STEP_S: Final = 30
# A clock may be one step off, either way.
STEPS_OFF: Final = 1
RECOVERY_CODES: Final = 10
_NONCE_BYTES: Final = 12
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_RECOVERY_CHARS: Final = 10


class CodeWrong(BadInput):
    """That is not the present code; wait for the next one and check the clock of the phone."""

    code = "code_wrong"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret waiting for its first code: as text to type, and as the address in the QR code."""

    secret: str
    address: str


async def enrol(db: Database, person_id: int, secret_key: bytes, issuer: str) -> Enrolment:
    """A new secret; it counts once a code of it has been confirmed.

    Asked again before that, it is a new one.

    Raises:
        Conflict: codes are already in use, or the installation has no key to seal secrets with.
    """
    if not secret_key:
        raise Conflict("authenticator", "this installation has no secret key")
    async with db.transaction([PLATFORM]) as connection:
        person = await _person(connection, person_id)
        if person["totp_from"] is not None:
            raise Conflict("authenticator", "it is in use; take it off first")
        secret = pyotp.random_base32()
        sealed = _seal(secret, person_id, secret_key)
        await people.set_totp(connection, person_id, sealed, None, 0)
    return _enrolment(secret, person, issuer)


async def waiting(db: Database, person_id: int, secret_key: bytes, issuer: str) -> Enrolment | None:
    """The secret that waits for its first code, to be shown again; None when none does."""
    async with db.transaction([PLATFORM]) as connection:
        person = await _person(connection, person_id)
    if person["totp_secret"] is None or person["totp_from"] is not None:
        return None
    secret = _unseal(person["totp_secret"], person_id, secret_key)
    return None if secret is None else _enrolment(secret, person, issuer)


async def confirm(
    db: Database, person_id: int, code: str, secret_key: bytes, at: datetime
) -> list[str]:
    """Let codes count from now on; answers the recovery codes, which are shown this once.

    Raises:
        CodeWrong: it is not a code of the secret.
        Conflict: there is no secret waiting.
    """
    async with db.transaction([PLATFORM]) as connection:
        person = await _person(connection, person_id)
        if person["totp_secret"] is None or person["totp_from"] is not None:
            raise Conflict("authenticator", "there is none to confirm")
        step = _step_of(person, code, secret_key, at)
        if step is None:
            raise CodeWrong
        await people.set_totp(connection, person_id, person["totp_secret"], at, step)
        return await _new_recovery(connection, person_id)


async def renew_recovery(db: Database, person_id: int) -> list[str]:
    """New recovery codes in place of the old ones. Raises `Conflict` without an authenticator."""
    async with db.transaction([PLATFORM]) as connection:
        person = await _person(connection, person_id)
        if person["totp_from"] is None:
            raise Conflict("authenticator", "there is none")
        return await _new_recovery(connection, person_id)


async def take_off(db: Database, person_id: int) -> None:
    """Ask for no codes any more; the recovery codes go too."""
    async with db.transaction([PLATFORM]) as connection:
        await people.set_totp(connection, person_id, None, None, 0)
        await people.set_recovery(connection, person_id, [])


async def state(db: Database, person_id: int) -> tuple[datetime | None, int]:
    """Since when codes are asked for (None: not), and how many recovery codes are left."""
    async with db.transaction([PLATFORM]) as connection:
        person = await _person(connection, person_id)
        return person["totp_from"], await people.count_recovery(connection, person_id)


async def spend(
    connection: Connection, person: Any, code: str, secret_key: bytes, at: datetime
) -> bool:
    """Use up a code or a recovery code of a locked person; False when it is neither."""
    step = _step_of(person, code, secret_key, at)
    if step is not None:
        return await people.spend_step(connection, person["id"], step)
    recovery = _recovery_digest(person["id"], code)
    return await people.spend_recovery(connection, person["id"], recovery, at)


def _enrolment(secret: str, person: Any, issuer: str) -> Enrolment:
    codes = pyotp.TOTP(secret)
    return Enrolment(secret, codes.provisioning_uri(name=person["login"], issuer_name=issuer))


async def _person(connection: Connection, person_id: int) -> Any:
    person = await people.get_person(connection, person_id)
    if person is None:
        raise NotFound("Person", person_id)
    return person


async def _new_recovery(connection: Connection, person_id: int) -> list[str]:
    codes = [
        "".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_CHARS))
        for _ in range(RECOVERY_CODES)
    ]
    await people.set_recovery(
        connection, person_id, [_recovery_digest(person_id, code) for code in codes]
    )
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _recovery_digest(person_id: int, code: str) -> bytes:
    plain = code.replace("-", "").replace(" ", "").lower()
    return passwords.digest(f"recovery:{person_id}:{plain}")


def _step_of(person: Any, code: str, secret_key: bytes, at: datetime) -> int | None:
    """Which step of time a code belongs to, of those near now; None when it fits none."""
    plain = code.replace(" ", "")
    if person["totp_secret"] is None or not (plain.isascii() and plain.isdigit()):
        return None
    secret = _unseal(person["totp_secret"], person["id"], secret_key)
    if secret is None:
        return None
    now, codes = int(at.timestamp()) // STEP_S, pyotp.TOTP(secret)
    for step in range(now - STEPS_OFF, now + STEPS_OFF + 1):
        if hmac.compare_digest(codes.generate_otp(step), plain):
            return step
    return None


def _cipher(secret_key: bytes) -> AESGCM:
    return AESGCM(hashlib.sha256(b"totp:" + secret_key).digest())


def _seal(secret: str, person_id: int, secret_key: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = _cipher(secret_key).encrypt(nonce, secret.encode(), str(person_id).encode())
    return nonce + sealed


def _unseal(sealed: bytes, person_id: int, secret_key: bytes) -> str | None:
    """The secret; None when it was sealed under another key, so that no code fits."""
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return _cipher(secret_key).decrypt(nonce, rest, str(person_id).encode()).decode()
    except InvalidTag:
        return None
