"""What can go wrong, as classes: by the API's code where one has its own, else by HTTP status.

Owns the choice of the class and what each keeps. Must never know an operation, nor hold the key.
A code that came into the API later falls to the class of its status, so `except` clauses written
today go on to work.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_SERVER_FAILED: Final = 500
_REFUSED: Final = 400


@dataclass(frozen=True, slots=True)
class FieldError:
    """One part of a request that cannot be used.

    Attributes:
        where: `body`, `query`, `path` or `header`.
        pointer: JSON Pointer to it within that, as in `/amount`.
        code: stable name of what is wrong with it.
        message: the same in the client's language.
    """

    where: str
    pointer: str
    code: str
    message: str


class MeterhouseError(Exception):
    """Something the API or the way to it did not do.

    Attributes:
        detail: what happened, in the client's language.
        code: the API's stable name of the error, or one of this package's.
        status: the HTTP status, 0 when there was no answer.
        request_id: under which the platform's log has it.
        retry_after_s: how long the API asks to wait, where it said so.
        idempotency_key: the key the request went out with: the same call with it is the same act.
        errors: for fields that cannot be used, each of them.
    """

    def __init__(
        self, detail: str, *, code: str = "", status: int = 0, request_id: str = "",
        retry_after_s: float | None = None, idempotency_key: str | None = None,
        errors: tuple[FieldError, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.idempotency_key = idempotency_key
        self.errors = errors

    def __str__(self) -> str:
        wrong = "".join(f"; {one.where}{one.pointer}: {one.message}" for one in self.errors)
        asked = f", request {self.request_id}" if self.request_id else ""
        return f"{self.detail}{wrong} [{self.code}{asked}]"


class Unreachable(MeterhouseError):
    """No answer came. A change may have been done: the same call with its key tells."""


class AnswerUnreadable(MeterhouseError):
    """What answered does not keep to the API's contract; is the address the platform's?"""


class StillRunning(MeterhouseError):
    """A command has not ended in the time it was followed."""


class ServerFailed(MeterhouseError):
    """The platform failed (5xx)."""


class Refused(MeterhouseError):
    """The platform did not do it (4xx)."""


class BadInput(Refused):
    """What was sent cannot be used."""


class FieldsInvalid(BadInput):
    """Some fields cannot be used; `errors` names each."""


class NotSignedIn(Refused):
    """No key, or not a live one."""


class NotAllowed(Refused):
    """The key's roles do not include the verb."""


class NotFound(Refused):
    """It does not exist, or is not yours to see."""


class Conflict(Refused):
    """It contradicts what is there."""


class KeyReused(Conflict):
    """The idempotency key was used for another request."""


class Stale(Refused):
    """Somebody changed it since it was read; read it again."""


class RateLimited(Refused):
    """Too many requests; `retry_after_s` says when to go on."""


_BY_CODE: Final[Mapping[str, type[MeterhouseError]]] = {
    "fields_invalid": FieldsInvalid,
    "key_reused": KeyReused,
}
_BY_STATUS: Final[Mapping[int, type[MeterhouseError]]] = {
    400: BadInput,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Stale,
    413: BadInput,
    422: BadInput,
    429: RateLimited,
}


def class_of(code: str, status: int) -> type[MeterhouseError]:
    """The class of an answer that is no success."""
    if found := _BY_CODE.get(code) or _BY_STATUS.get(status):
        return found
    if status >= _SERVER_FAILED:
        return ServerFailed
    return Refused if status >= _REFUSED else AnswerUnreadable


def from_problem(
    problem: Any, status: int, request_id: str, retry_after_s: float | None,
    idempotency_key: str | None,
) -> MeterhouseError:  # fmt: skip
    """The error of an answer; `problem` is its JSON, whatever that may be."""
    told = problem if isinstance(problem, dict) else {}
    code = str(told.get("code", f"http_{status}"))
    return class_of(code, status)(
        str(told.get("detail") or f"HTTP status {status}"),
        code=code,
        status=status,
        request_id=request_id,
        retry_after_s=retry_after_s,
        idempotency_key=idempotency_key,
        errors=tuple(
            FieldError(*(str(one.get(name, "")) for name in FieldError.__slots__))
            for one in told.get("errors") or ()
            if isinstance(one, dict)
        ),
    )
