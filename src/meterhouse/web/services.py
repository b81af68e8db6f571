"""What the composition root hands to the web application.

Owns the shape of it alone. Must never know who uses it.
"""

from dataclasses import dataclass, field

from meterhouse.ports import Clock
from meterhouse.store.db import Database


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What differs between installations. `secure_cookies` is off only for plain HTTP on a desk."""

    title: str = "meterhouse"
    secure_cookies: bool = True


@dataclass(frozen=True, slots=True)
class Services:
    """What the composition root hands in; the clock is that of the town where time runs faster.

    `secret_key` seals what the database must not hold in the clear; without it nobody can set up
    an authenticator.
    """

    database: Database
    clock: Clock
    settings: WebSettings = field(default_factory=WebSettings)
    secret_key: bytes = field(default=b"", repr=False)
