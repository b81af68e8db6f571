"""The OpenAPI document: what the routes say, and what is true of all of them.

Owns the problems, headers and examples that every operation shares. Must never know an operation.
A test walks the document and fails on whatever is not described, bounded and shown by an example.
"""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI

from meterhouse.errors import Conflict, MeterhouseError, NotFound
from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.store.db import DatabaseBusy
from meterhouse.web.access import NotAllowed, NotSignedIn
from meterhouse.web.api.etags import IF_MATCH_PATTERN, VersionMissing
from meterhouse.web.api.schemas import ID_MAX
from meterhouse.web.limits import TooManyRequests
from meterhouse.web.problems import PROBLEM_TYPE, TYPES, InvalidFields, TooLarge

_PROBLEMS: Final[dict[int, tuple[str, MeterhouseError]]] = {
    401: ("No key, or not a live one.", NotSignedIn()),
    403: ("The key's roles do not include the verb.", NotAllowed("meter.switch")),
    404: ("It does not exist, or is not yours to see.", NotFound("Room", 12)),
    409: ("It contradicts what is there.", Conflict("Room", "it has points")),
    412: ("Somebody else has changed it meanwhile.", ChangedMeanwhile()),
    413: ("The request is too large.", TooLarge()),
    422: ("Some part of the request cannot be used.", InvalidFields()),
    428: ("If-Match is missing.", VersionMissing()),
    429: ("More was asked within a minute than is allowed.", TooManyRequests(7)),
    503: ("The database cannot answer now.", DatabaseBusy(why="lock timeout")),
}
_SAFE: Final = {"get", "head"}
_HEADERS: Final[dict[str, Any]] = {
    "X-Request-ID": {
        "description": "Names this request in our log; one you send is kept.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{8,64}$"},
        "example": "1176f77fd3d6eb3d",
    },
    "RateLimit-Limit": {
        "description": "How many requests of this kind a minute allows.",
        "schema": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        "example": 3000,
    },
    "RateLimit-Remaining": {
        "description": "How many may follow at once.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 1_000_000},
        "example": 2999,
    },
    "RateLimit-Reset": {
        "description": "Seconds until all of them may again.",
        "schema": {"type": "integer", "minimum": 0, "maximum": 60},
        "example": 1,
    },
}
_RETRY_AFTER: Final = {
    "description": "Seconds to wait.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 60},
    "example": 7,
}


def contract(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    made: dict[str, Any] | None = getattr(app.state, "contract", None)
    if made is None:
        made = app.state.contract = _made(app)
    return made


def _made(app: FastAPI) -> dict[str, Any]:
    document = app.openapi()
    document["components"]["headers"] = _HEADERS | {"Retry-After": _RETRY_AFTER}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = operation["responses"]
            for one in operation.get("parameters", ()):
                _settle(one)
            for status in _statuses(path, method, operation):
                answers[str(status)] = _problem(status)
            for name in _HEADERS:
                for answer in answers.values():
                    headers = answer.setdefault("headers", {})
                    headers[name] = {"$ref": f"#/components/headers/{name}"}
    # What FastAPI says of bodies it refuses is ours to say.
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    whole: dict[str, Any] = _whole(document)
    return whole


def _settle(parameter: dict[str, Any]) -> None:
    """A parameter as it can be sent: one left out is not null, and a version must be named."""
    schema = parameter["schema"]
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(kinds) == 1:
        del schema["anyOf"]
        parameter["schema"] = {**kinds[0], **schema}
    if parameter["name"] == "if-match":
        # Whoever leaves it out is told so (428), which is more than that a header is missing.
        parameter["required"] = True
        parameter["schema"]["pattern"] = IF_MATCH_PATTERN


def _whole(part: Any) -> Any:
    """The document with whole numbers where it means such; a float cannot hold the largest id."""
    if isinstance(part, dict):
        return {key: _whole(inner) for key, inner in part.items()}
    if isinstance(part, list):
        return [_whole(inner) for inner in part]
    if isinstance(part, float) and part.is_integer():
        return min(int(part), ID_MAX)
    return part


def _statuses(path: str, method: str, operation: dict[str, Any]) -> list[int]:
    """The problems an operation may answer with: those of its kind, and what it says itself."""
    found = [401, 422, 429, 503]
    found += [status for status in _PROBLEMS if str(status) in operation["responses"]]
    if "{" in path:
        found += [403, 404]
    if "/platform/" in path:
        found.append(403)
    if method not in _SAFE:
        found += [403, 404, 409, 413]
    if any(one["name"] == "if-match" for one in operation.get("parameters", ())):
        found += [412, 428]
    return sorted(set(found))


def _problem(status: int) -> dict[str, Any]:
    description, error = _PROBLEMS[status]
    example: dict[str, Any] = {
        "type": TYPES + error.code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.message(),
        "request_id": "1176f77fd3d6eb3d",
    }
    if isinstance(error, InvalidFields):
        example["errors"] = [
            {"where": "query", "pointer": "/limit", "code": "too_large",
             "message": "This must be at most 200."}
        ]  # fmt: skip
    answer: dict[str, Any] = {
        "description": description,
        "content": {
            PROBLEM_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": example,
            }
        },
    }
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        answer["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    return answer
