"""The two clients: the same operations, blocking and not.

Owns the connection, the key, and the carrying out of a conversation's steps. Must never know an
operation, nor decide whether to repeat. The key goes into the header of each request and nowhere
else: not into a repr, a log line or an exception.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Final, TypeVar

import httpx

from meterhouse_sdk._calls import (
    RETRIES_MAX,
    Call,
    Heard,
    Pause,
    Policy,
    Send,
    conversation,
)
from meterhouse_sdk.errors import StillRunning
from meterhouse_sdk.operations import AsyncOperations, Operations
from meterhouse_sdk.shapes import Command

TIMEOUT_S: Final = 30.0
RETRIES: Final = 4
FOLLOW_S: Final = 180.0
_FOLLOW_FIRST_S: Final = 0.5
_FOLLOW_MAX_S: Final = 5.0

T = TypeVar("T")


class KeyUnusable(ValueError):
    """The key holds a blank or a character that no key has."""

    def __init__(self) -> None:
        super().__init__("the key holds a blank or a character that no key has")


class Client(Operations):
    """The platform's operations, one method each, grouped by what they are about.

    Args:
        base_url: where the platform is, as in `https://meters.example.com`; without `/api/v1`.
        key: of the API client, as `meterhouse client` prints it.
        timeout_s: for each step of a request: to connect, to send, to hear something.
        retries: how often a call that may be repeated is; 0 never repeats.
        language: of the texts in errors, `en` or `zh-Hans`.
        tls: what certificates to trust, where the machine's own choice will not do.
        transport: what carries requests, for tests.
        sleep: waits between attempts, for tests.
        dice: numbers from 0 to 1 that spread attempts in time, for tests.
    """

    def __init__(
        self, base_url: str, key: str, *, timeout_s: float = TIMEOUT_S, retries: int = RETRIES,
        language: str = "en", tls: ssl.SSLContext | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], object] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._http = httpx.Client(
            base_url=_checked(base_url), headers=_headers(key, language), timeout=timeout_s,
            verify=tls or True, transport=transport,
        )  # fmt: skip
        self._policy = _policy(retries, dice)
        self._sleep = sleep
        super().__init__(self._carry_out)

    def _carry_out(self, call: Call, read: Callable[[Any], T]) -> T:
        talk = conversation(call, read, self._policy)
        heard: Heard = None
        while True:
            try:
                step = talk.send(heard)
            except StopIteration as end:
                answer: T = end.value
                return answer
            heard = None
            if isinstance(step, Pause):
                self._sleep(step.pause_s)
                continue
            try:
                heard = self._http.send(_request(self._http, step))
            except httpx.RequestError as error:
                heard = error

    def wait_for(
        self, project_id: int, command: Command, *, timeout_s: float = FOLLOW_S
    ) -> Command:
        """Follow a command until it has ended; its `state` says how.

        Raises:
            StillRunning: it had not ended after `timeout_s` of waiting.
        """
        for pause_s in _pauses_s(timeout_s):
            if command.ended_at is not None:
                return command
            self._sleep(pause_s)
            command = self.commands.get(project_id, command.id)
        return _ended(command, timeout_s)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._http.base_url}>"


class AsyncClient(AsyncOperations):
    """`Client` for programs that may not block: every operation is awaited, lists walked with
    `async for`. The arguments are those of `Client`.
    """

    def __init__(
        self, base_url: str, key: str, *, timeout_s: float = TIMEOUT_S, retries: int = RETRIES,
        language: str = "en", tls: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._http = httpx.AsyncClient(
            base_url=_checked(base_url), headers=_headers(key, language), timeout=timeout_s,
            verify=tls or True, transport=transport,
        )  # fmt: skip
        self._policy = _policy(retries, dice)
        self._sleep = sleep
        super().__init__(self._carry_out)

    async def _carry_out(self, call: Call, read: Callable[[Any], T]) -> T:
        talk = conversation(call, read, self._policy)
        heard: Heard = None
        while True:
            try:
                step = talk.send(heard)
            except StopIteration as end:
                answer: T = end.value
                return answer
            heard = None
            if isinstance(step, Pause):
                await self._sleep(step.pause_s)
                continue
            try:
                heard = await self._http.send(_request(self._http, step))
            except httpx.RequestError as error:
                heard = error

    async def wait_for(
        self, project_id: int, command: Command, *, timeout_s: float = FOLLOW_S
    ) -> Command:
        """Follow a command until it has ended; its `state` says how.

        Raises:
            StillRunning: it had not ended after `timeout_s` of waiting.
        """
        for pause_s in _pauses_s(timeout_s):
            if command.ended_at is not None:
                return command
            await self._sleep(pause_s)
            command = await self.commands.get(project_id, command.id)
        return _ended(command, timeout_s)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncClient {self._http.base_url}>"


def _request(http: httpx.Client | httpx.AsyncClient, send: Send) -> httpx.Request:
    return http.build_request(
        send.method, send.path, params=send.params, headers=send.headers, json=send.json
    )


def _checked(base_url: str) -> str:
    address = httpx.URL(base_url)
    if address.scheme not in ("http", "https") or not address.host or address.userinfo:
        raise ValueError("base_url is to look like https://meters.example.com")
    return base_url.rstrip("/")


def _headers(key: str, language: str) -> dict[str, str]:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise KeyUnusable
    return {
        "Authorization": f"Bearer {key}",
        "Accept": "application/json",
        "Accept-Language": language,
        "User-Agent": f"meterhouse-sdk/{_version()} httpx/{httpx.__version__}",
    }


def _version() -> str:
    try:
        return version("meterhouse-sdk")
    except PackageNotFoundError:
        return "0"  # run from its sources


def _policy(retries: int, dice: Callable[[], float]) -> Policy:
    if not 0 <= retries <= RETRIES_MAX:
        raise ValueError(f"retries is to lie between 0 and {RETRIES_MAX}")
    return Policy(retries, dice)


def _pauses_s(timeout_s: float) -> Iterator[float]:
    """Growing pauses that add up to the time allowed."""
    pause_s, left_s = _FOLLOW_FIRST_S, timeout_s
    while left_s > 0:
        yield min(pause_s, left_s)
        left_s -= pause_s
        pause_s = min(_FOLLOW_MAX_S, pause_s * 1.5)


def _ended(command: Command, timeout_s: float) -> Command:
    if command.ended_at is None:
        raise StillRunning(
            f"Command {command.id} is still {command.state} after {timeout_s:g} s",
            code="still_running",
        )
    return command
