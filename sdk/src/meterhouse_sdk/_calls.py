"""One call as a conversation: what is sent, what is waited for, and when to give up.

Owns retries, idempotency keys and the reading of answers, written once for both clients: a
conversation yields what it wants done and is told what came of it, and does no I/O itself. Must
never know an operation.

A call may be repeated when it only reads, or when it carries a key under which the platform does it
once. It is repeated after no answer, after 502, 503, 504 and after 429. Nothing else is ever sent
twice: a change without a key that got no answer may have been done.
"""

import secrets
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar
from uuid import uuid4

import httpx

from meterhouse_sdk._values import queried, written
from meterhouse_sdk.errors import AnswerUnreadable, MeterhouseError, Unreachable, from_problem

PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 20.0
RETRY_AFTER_MAX_S: Final = 120
RETRIES_MAX: Final = 20
_PASSING: Final = frozenset({429, 502, 503, 504})
_KEY_HEADER: Final = "Idempotency-Key"
_REQUEST_HEADER: Final = "X-Request-ID"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """What an operation asks for.

    Attributes:
        query: of the address; entries that are None are not sent, nor are those of `headers`.
        body: the fields that are always sent; None when the operation takes none.
        options: further fields, sent unless they are None.
        keyed: whether the operation takes an idempotency key.
        key: the caller's key, if any.
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    keyed: bool = False
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a call is repeated, and the dice that spread many clients' repeats in time."""

    retries: int
    random: Callable[[], float]

    def pause_s(self, attempt: int, error: MeterhouseError) -> float | None:
        """How long to wait before the next attempt; None says to give up."""
        jitter_s = self.random() * min(PAUSE_MAX_S, PAUSE_FIRST_S * 2.0**attempt)
        if attempt >= self.retries:
            return None
        if error.retry_after_s is None:
            return jitter_s
        if error.retry_after_s > RETRY_AFTER_MAX_S:
            return None
        return error.retry_after_s + jitter_s


@dataclass(frozen=True, slots=True)
class Send:
    """Send this, and tell the answer or why there is none."""

    method: str
    path: str
    params: Mapping[str, str | list[str]]
    headers: Mapping[str, str]
    json: Any


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait this long."""

    pause_s: float


Step: TypeAlias = Send | Pause
Heard: TypeAlias = httpx.Response | httpx.RequestError | None


def conversation(call: Call, read: Callable[[Any], T], policy: Policy) -> Generator[Step, Heard, T]:
    """Do a call: yields steps, is sent what was heard, returns the answer as `read` makes it.

    Raises:
        MeterhouseError: it was refused, or not answered as often as the policy says.
    """
    key = (call.key or str(uuid4())) if call.keyed else None
    request_id = secrets.token_hex(8)
    send = _send(call, key, request_id)
    attempt = 0
    while True:
        heard = yield send
        error = _error(heard, key, request_id, attempt)
        if error is None:
            assert isinstance(heard, httpx.Response)
            return _read(heard, read, key, request_id)
        repeatable = call.method == "GET" or key is not None
        passing = error.status in _PASSING or _is_lost(heard)
        pause_s = policy.pause_s(attempt, error) if repeatable and passing else None
        if pause_s is None:
            raise error from (heard if isinstance(heard, Exception) else None)
        yield Pause(pause_s)
        attempt += 1


def _is_lost(heard: Heard) -> bool:
    """Whether the way was broken, rather than the request or the answer."""
    lost = isinstance(heard, httpx.TransportError)
    return lost and not isinstance(heard, httpx.LocalProtocolError | httpx.UnsupportedProtocol)


def _send(call: Call, key: str | None, request_id: str) -> Send:
    headers = {name: str(queried(one)) for name, one in call.headers.items() if one is not None}
    headers[_REQUEST_HEADER] = request_id
    if key is not None:
        headers[_KEY_HEADER] = key
    params = {name: queried(one) for name, one in call.query.items() if one is not None}
    body = None
    if call.body is not None:
        options = {name: one for name, one in call.options.items() if one is not None}
        body = written({**call.body, **options})
    return Send(call.method, call.path, params, headers, body)


def _error(heard: Heard, key: str | None, request_id: str, attempt: int) -> MeterhouseError | None:
    if not isinstance(heard, httpx.Response):
        return Unreachable(
            f"No answer ({type(heard).__name__}), tried {attempt + 1} times",
            code="unreachable",
            request_id=request_id,
            idempotency_key=key,
        )
    if heard.is_success:
        return None
    try:
        problem = heard.json()
    except ValueError:
        problem = None
    wait = heard.headers.get("Retry-After", "")
    retry_after_s = float(wait) if wait.isascii() and wait.isdigit() else None
    answered_as = heard.headers.get(_REQUEST_HEADER, request_id)
    return from_problem(problem, heard.status_code, answered_as, retry_after_s, key)


def _read(answer: httpx.Response, read: Callable[[Any], T], key: str | None, request_id: str) -> T:
    try:
        return read(answer.json() if answer.content else None)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise AnswerUnreadable(
            f"The answer to {answer.request.method} {answer.request.url.path} cannot be read: "
            f"{type(error).__name__} {error}",
            code="answer_unreadable",
            status=answer.status_code,
            request_id=request_id,
            idempotency_key=key,
        ) from error
