"""What the composition root hands to the web application.

Owns the shape of it alone. Must never know who uses it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from meterhouse.ports import Clock, Notifier
from meterhouse.store.db import Database


@dataclass(frozen=True, slots=True)
class WebSettings:
    """What differs between installations. `secure_cookies` is off only for plain HTTP on a desk.

    `public_url` is how people reach the console, `https://host`, for links that leave it (empty:
    nobody has said); it ends without a slash.
    The rest is how often one may ask within a minute: an API client, the same when it changes
    something, an address that shows no live key, and an address that tries to sign in.
    """

    title: str = "meterhouse"
    secure_cookies: bool = True
    public_url: str = ""
    requests_a_minute: int = 3_000
    changes_a_minute: int = 600
    stranger_requests_a_minute: int = 120
    sign_ins_a_minute: int = 30


def _fit() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """What the composition root hands in; the clock is that of the town where time runs faster.

    `secret_key`: the installation's 32 bytes, with which secrets in the database are sealed;
    empty where there are none. `unfit` says in a word why nothing should be sent here, or None.
    `mail`: the channel for letters with links; None where this installation sends no e-mail.
    """

    database: Database
    clock: Clock
    settings: WebSettings = field(default_factory=WebSettings)
    secret_key: bytes = field(default=b"", repr=False)
    unfit: Callable[[], str | None] = _fit
    mail: Notifier | None = None

    @property
    def postman(self) -> Notifier | None:
        """Who carries links to people; None without an address of ours that nobody can forge."""
        return self.mail if self.settings.public_url else None
