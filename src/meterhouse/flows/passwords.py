"""Secrets people and programs prove themselves with: how they are made, kept and compared.

Owns the password rule, argon2id and its parameters, and the digest of random tokens. Must never
know a table. A password is slow to try and kept as argon2id; a token is random, so one SHA-256 is
enough, and neither can be read back from the database.
"""

import asyncio
import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Final

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from meterhouse.errors import BadInput, OutOfRange

PASSWORD_CHARS_MIN: Final = 12
PASSWORD_CHARS_MAX: Final = 200
# RFC 9106's choice for little memory: 64 MiB, three passes, four lanes.
ARGON2_MEMORY_KIB: Final = 65_536
ARGON2_PASSES: Final = 3
ARGON2_LANES: Final = 4
# Each check takes that memory; more at once wait for their turn.
CHECKS_AT_ONCE: Final = 4
_NAME_CHARS_MIN: Final = 3
_DISTINCT_CHARS_MIN: Final = 5
_KEYBOARD: Final = "`1234567890-= qwertyuiop[]\\ asdfghjkl;' zxcvbnm,./"


class PasswordTellsName(BadInput):
    """A password must not contain the user name or the name."""

    code = "password_tells_name"


class PasswordPlain(BadInput):
    """Repeated or neighbouring characters are soon guessed; take several unrelated words."""

    code = "password_plain"


hasher = PasswordHasher(
    time_cost=ARGON2_PASSES, memory_cost=ARGON2_MEMORY_KIB, parallelism=ARGON2_LANES, type=Type.ID
)
_threads = ThreadPoolExecutor(CHECKS_AT_ONCE, "password")


def check_rule(password: str, login: str, name: str) -> None:
    """Let a password pass that is long, not the person's name, and not a run of keys.

    Raises:
        OutOfRange: shorter than `PASSWORD_CHARS_MIN`, or longer than `PASSWORD_CHARS_MAX`.
        PasswordTellsName: it contains the login or the name.
        PasswordPlain: few different characters, or mostly neighbours on keyboard or alphabet.
    """
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise OutOfRange(
            "length of password", len(password), PASSWORD_CHARS_MIN, PASSWORD_CHARS_MAX
        )
    plain = password.casefold()
    for told in (login, name, login.partition("@")[0], *name.split()):
        if len(told) >= _NAME_CHARS_MIN and told.casefold() in plain:
            raise PasswordTellsName
    steps = sum(_are_neighbours(one, other) for one, other in pairwise(plain))
    if len(set(plain)) < _DISTINCT_CHARS_MIN or steps * 2 >= len(plain) - 1:
        raise PasswordPlain


def _are_neighbours(one: str, other: str) -> bool:
    on_keyboard = one + other in _KEYBOARD or other + one in _KEYBOARD
    return on_keyboard or abs(ord(one) - ord(other)) <= 1


def new_password() -> str:
    """A random password of 96 bits, to be shown once."""
    return secrets.token_urlsafe(12)


def new_token() -> str:
    """A random text of 256 bits that stands for somebody."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What is kept of a random text."""
    return hashlib.sha256(token.encode()).digest()


async def hashed(password: str) -> str:
    """What is kept of a password; it takes its time beside the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, hasher.hash, password)


async def fits(stored: str | None, password: str) -> bool:
    """Whether a password is the one stored; without one it takes as long and is False."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, _fits, stored, password[:PASSWORD_CHARS_MAX])


def _fits(stored: str | None, password: str) -> bool:
    try:
        return bool(hasher.verify(stored or _decoy(hasher), password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _decoy(by: PasswordHasher) -> str:
    """Verified when the login is unknown, so that both failures take the same time."""
    return by.hash(new_token())
