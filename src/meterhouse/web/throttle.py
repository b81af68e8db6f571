"""How often one address may try to sign in: a few at once, then slowly.

Owns the count per address in this process; the count per person is in the database. Must never
know why a try failed. An address that tries many names is slowed here, where its tries at one name
would not show.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from meterhouse.errors import MeterhouseError

TRIES_AT_ONCE: Final = 30
TRY_EVERY: Final = timedelta(seconds=10)
ADDRESSES_MAX: Final = 10_000


class TooManyTries(MeterhouseError):
    """There were too many tries from your address; wait a few minutes."""

    code = "too_many_tries"
    http_status = 429


class Throttle:
    """A bucket of failures an address; it empties by one every `TRY_EVERY`."""

    def __init__(self) -> None:
        self._full_until: OrderedDict[str, datetime] = OrderedDict()

    def check(self, peer: str, at: datetime) -> None:
        """Let an address try. Raises `TooManyTries` while its bucket is full."""
        if self._full_until.get(peer, at) - at >= TRIES_AT_ONCE * TRY_EVERY:
            raise TooManyTries

    def note_failure(self, peer: str, at: datetime) -> None:
        """Count a failed try."""
        self._full_until[peer] = max(self._full_until.get(peer, at), at) + TRY_EVERY
        self._full_until.move_to_end(peer)
        while len(self._full_until) > ADDRESSES_MAX:
            self._full_until.popitem(last=False)
