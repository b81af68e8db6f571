"""How often somebody may ask: a bucket of tokens for each, refilled evenly.

Owns the arithmetic and the memory it takes. Must never know a route, nor ask the clock. Everybody
who asks has a bucket; each request takes a token, and a token comes back every few moments, so a
burst is served at once and a flood is not. Whose bucket has not been touched longest is forgotten
first, and by then it is full again or nearly so: the memory has a bound.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Final

from meterhouse.errors import MeterhouseError

BUCKETS_MAX: Final = 20_000
MINUTE_S: Final = 60


class TooManyRequests(MeterhouseError):
    """Too many requests; try again in {wait_s} seconds."""

    code = "too_many_requests"
    http_status = 429

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s=wait_s)


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to somebody: tokens of so many, and seconds until the bucket is full."""

    most: int
    left: int
    full_in_s: int

    def headers(self) -> dict[str, str]:
        """The same as answers say it."""
        return {
            "RateLimit-Limit": str(self.most),
            "RateLimit-Remaining": str(self.left),
            "RateLimit-Reset": str(self.full_in_s),
        }


class Buckets:
    """The buckets of one kind of request: `a_minute` tokens each, refilled within a minute."""

    def __init__(self, a_minute: int, buckets_max: int = BUCKETS_MAX) -> None:
        self.a_minute = a_minute
        self._buckets_max = buckets_max
        self._kept: OrderedDict[Hashable, tuple[float, datetime]] = OrderedDict()

    def take(self, who: Hashable, at: datetime) -> Allowance:
        """Take a token.

        Raises:
            TooManyRequests: there is none; it says when there will be.
        """
        tokens = self._tokens(who, at)
        if tokens < 1:
            raise TooManyRequests(ceil((1 - tokens) * MINUTE_S / self.a_minute))
        self._kept[who] = (tokens - 1, at)
        self._kept.move_to_end(who)
        while len(self._kept) > self._buckets_max:
            self._kept.popitem(last=False)
        return self._allowance(tokens - 1)

    def _tokens(self, who: Hashable, at: datetime) -> float:
        left, since = self._kept.get(who, (float(self.a_minute), at))
        come_back = max((at - since).total_seconds(), 0) * self.a_minute / MINUTE_S
        return min(left + come_back, float(self.a_minute))

    def _allowance(self, tokens: float) -> Allowance:
        missing = self.a_minute - tokens
        return Allowance(self.a_minute, int(tokens), ceil(missing * MINUTE_S / self.a_minute))


class Limits:
    """The buckets of the web: of API clients, of their changes, and of addresses."""

    def __init__(
        self, client_a_minute: int, change_a_minute: int, stranger_a_minute: int,
        sign_in_a_minute: int,
    ) -> None:  # fmt: skip
        self._clients = Buckets(client_a_minute)
        self._changes = Buckets(change_a_minute)
        self._strangers = Buckets(stranger_a_minute)
        self._sign_ins = Buckets(sign_in_a_minute)

    def client(self, client_id: int | None, at: datetime, *, changes: bool) -> Allowance:
        """A request of a client we know; one that changes something takes from two buckets.

        Raises:
            TooManyRequests: one of them is empty.
        """
        allowance = self._clients.take(client_id, at)
        return self._changes.take(client_id, at) if changes else allowance

    def stranger(self, address: str, at: datetime) -> Allowance:
        """A request without a live key, from an address. Raises `TooManyRequests`."""
        return self._strangers.take(address, at)

    def sign_in(self, address: str, at: datetime) -> Allowance:
        """A try to sign in from an address, whoever as. Raises `TooManyRequests`."""
        return self._sign_ins.take(address, at)
