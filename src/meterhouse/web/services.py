"""What the composition root hands to the web application.

Owns the shape of it alone. Must never know who uses it.
"""

from dataclasses import dataclass, field

from meterhouse.ports import Clock
from meterhouse.store.db import Database


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What differs between installations. `secure_cookies` is off only for plain HTTP on a desk.

    The rest is how often one may ask within a minute: an API client, the same when it changes
    something, an address that shows no live key, and an address that tries to sign in.
    """

    title: str = "meterhouse"
    secure_cookies: bool = True
    requests_a_minute: int = 3_000
    changes_a_minute: int = 600
    stranger_requests_a_minute: int = 120
    sign_ins_a_minute: int = 30


@dataclass(frozen=True, slots=True)
class Services:
    """What the composition root hands in; the clock is that of the town where time runs faster."""

    database: Database
    clock: Clock
    settings: WebSettings = field(default_factory=WebSettings)
