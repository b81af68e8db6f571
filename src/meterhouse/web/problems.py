"""Errors as people and programs read them: RFC 9457 problems under `/api`, pages elsewhere.

Owns the shape of a problem and the choice between the two. Must never know what went wrong
beyond its code: an unexpected exception shows nothing of itself, only the request id under which
the log has it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from meterhouse.errors import BadInput, MeterhouseError, NotFound, RowsRefused
from meterhouse.flows.access import Verb
from meterhouse.logs import Log
from meterhouse.web.access import (
    AUTHENTICATOR_PATH,
    PROOF_FIELD,
    TOKEN_FIELD,
    AuthenticatorNeeded,
    NotAllowed,
    NotSignedIn,
    ProofNeeded,
    ProofWrong,
    check_routes,
)
from meterhouse.web.limits import TooManyRequests
from meterhouse.web.pages import is_fragment, render, words_of
from meterhouse.web.rolewords import VERB
from meterhouse.words import N_, Words

log = Log(__name__)

PROBLEM_TYPE: Final = "application/problem+json"
TYPES: Final = "/errors/"
FIELD_PROBLEMS_MAX: Final = 100


class FieldProblem(BaseModel):
    """One part of the request that cannot be used."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    where: Literal["body", "query", "path", "header"] = Field(examples=["body"])
    """The part of the request it stands in."""
    pointer: str = Field(max_length=200, examples=["/reason"])
    """JSON Pointer (RFC 6901) to it within that part; empty is the whole of it."""
    code: str = Field(pattern=r"^[a-z_]{1,40}$", examples=["too_short"])
    """Stable name of what is wrong with it; `docs/errors.md` lists them."""
    message: str = Field(max_length=500, examples=["At least 2 characters are needed."])
    """The same in the language asked for."""


class Problem(BaseModel):
    """An error, after RFC 9457."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    type: str = Field(pattern=r"^/errors/[a-z_0-9]{1,40}$", examples=["/errors/not_found"])
    """Address of a page, on the same host, that explains the error; its last part is the code."""
    title: str = Field(max_length=100, examples=["Not Found"])
    """The HTTP status in words."""
    status: int = Field(ge=400, le=599, examples=[404])
    """The HTTP status."""
    code: str = Field(pattern=r"^[a-z_0-9]{1,40}$", examples=["not_found"])
    """Stable name of the error."""
    detail: str = Field(max_length=1000, examples=["Room 12 does not exist, or is not yours."])
    """What happened, in the language asked for."""
    request_id: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$", examples=["1176f77fd3d6eb3d"])
    """As in the `X-Request-ID` header and in our log."""
    errors: list[FieldProblem] | None = Field(default=None, max_length=FIELD_PROBLEMS_MAX)
    """With code `fields_invalid`: each part of the request that cannot be used."""


class PageNotFound(NotFound):
    """There is no such page."""

    code = "page_not_found"

    def __init__(self) -> None:
        super().__init__("page", "")


class MethodNotAllowed(MeterhouseError):
    """This address does not take that method."""

    code = "method_not_allowed"
    http_status = 405


class TooLarge(BadInput):
    """What was sent is too large."""

    code = "too_large"
    http_status = 413


class InvalidFields(BadInput):
    """Some fields cannot be used."""

    code = "fields_invalid"


_BY_STATUS: Final = {404: PageNotFound, 405: MethodNotAllowed, 413: TooLarge}

_HEADINGS: Final = {
    401: N_("Please sign in"),
    403: N_("Not allowed"),
    404: N_("Not found"),
    409: N_("Not possible now"),
    412: N_("Changed meanwhile"),
    422: N_("Please check what you entered"),
    429: N_("Too many requests"),
    500: N_("Something went wrong"),
}

# What the validator calls its findings, in our words; the facts in braces are the validator's.
_UNUSABLE: Final = N_("This cannot be used.")
_FIELD_MESSAGES: Final = {
    "missing": N_("This is missing."),
    "extra_forbidden": N_("This is not known here."),
    "string_too_short": N_("At least {min_length} characters are needed."),
    "string_too_long": N_("At most {max_length} characters are allowed."),
    "string_pattern_mismatch": N_("This does not have the form {pattern}."),
    "int_parsing": N_("This must be a whole number."),
    "bool_parsing": N_("This must be true or false."),
    "datetime_from_date_parsing": N_("This must be an instant as in RFC 3339."),
    "greater_than_equal": N_("This must be at least {ge}."),
    "less_than_equal": N_("This must be at most {le}."),
    "enum": N_("This is none of the words allowed."),
    "literal_error": N_("This is none of the words allowed."),
    "json_invalid": N_("This is not JSON."),
}


# The same by name, for programs: stable, whatever the validator calls them.
FIELD_CODES: Final = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "too_short": "too_few",
    "too_long": "too_many",
    "string_pattern_mismatch": "wrong_form",
    "string_type": "not_text",
    "int_parsing": "not_a_whole_number",
    "int_type": "not_a_whole_number",
    "int_from_float": "not_a_whole_number",
    "int_parsing_size": "too_large",
    "bool_parsing": "not_a_truth",
    "bool_type": "not_a_truth",
    "datetime_from_date_parsing": "not_an_instant",
    "timezone_aware": "not_an_instant",
    "greater_than_equal": "too_small",
    "greater_than": "too_small",
    "less_than_equal": "too_large",
    "less_than": "too_large",
    "enum": "not_a_choice",
    "literal_error": "not_a_choice",
    "json_invalid": "not_json",
    "model_attributes_type": "not_an_object",
    "dict_type": "not_an_object",
    "list_type": "not_a_list",
}


def install(app: FastAPI) -> None:
    """Register the handlers for everything that is expected to be raised."""
    app.add_exception_handler(MeterhouseError, _on_ours)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)


async def _on_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, MeterhouseError)
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", error=error)
    return answer(request, error, fields=_row_fields(request, error))


def _row_fields(request: Request, error: MeterhouseError) -> list[FieldProblem] | None:
    """Which rows of a request cannot be used, where the error says so."""
    if not isinstance(error, RowsRefused):
        return None
    words = words_of(request)
    return [
        FieldProblem(
            where="body",
            pointer=f"/rows/{one.row}{'/' if one.field else ''}{one.field}",
            code=one.error.code[:40],
            message=words.error(one.error)[:500],
        )
        for one in error.faults[:FIELD_PROBLEMS_MAX]
    ]


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:
        # So the framework calls a body that is not even text; it is one more that is no JSON.
        unread = {"type": "json_invalid", "loc": ("body",)}
        return answer(request, InvalidFields(), fields=[_field_problem(words_of(request), unread)])
    ours = _BY_STATUS.get(error.status_code, MeterhouseError)()
    response = answer(request, ours, status=error.status_code)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(_allowed(request, error))
    return response


def _allowed(request: Request, error: HTTPException) -> list[str]:
    """Every method of an address; the framework knows those of one route alone."""
    own = (error.headers or {}).get("Allow", "").split(", ")
    found = {name for name in own if name}
    for method, path, _ in check_routes(request.app):
        if compile_path(path)[0].match(request.url.path):
            found.add(method)
    return sorted(found)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    words = words_of(request)
    found = [_field_problem(words, item) for item in error.errors()[:FIELD_PROBLEMS_MAX]]
    return answer(request, InvalidFields(), fields=found)


def _field_problem(words: Words, item: Mapping[str, Any]) -> FieldProblem:
    where, *inside = item["loc"]
    # What is no JSON is said of a place in the text, which is not one in the document.
    inside = [] if item["type"] == "json_invalid" else inside
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in inside]
    return FieldProblem(
        where=where,
        pointer="".join(f"/{part}" for part in parts)[:200],
        code=FIELD_CODES.get(item["type"], "unusable"),
        message=_found(words, item)[:500],
    )


def field_text(words: Words, item: Mapping[str, Any]) -> str:
    """What a person reads beside a field that the validator refused.

    A pattern says nothing to them; the field's hint tells what is wanted.
    """
    if item.get("input") == "":
        return words(N_("Enter something here."))
    if item["type"] == "string_pattern_mismatch":
        return words(N_("This does not have the right form."))
    return _found(words, item)


def _found(words: Words, item: Mapping[str, Any]) -> str:
    return words(_FIELD_MESSAGES.get(item["type"], _UNUSABLE), **item.get("ctx", {}))


def on_unexpected(request: Request, error: Exception) -> Response:
    """What `shield` answers when nothing else caught an exception."""
    log.error("request_failed", error=error)
    return answer(request, MeterhouseError())


def answer(
    request: Request,
    error: MeterhouseError,
    status: int | None = None,
    fields: list[FieldProblem] | None = None,
) -> Response:
    """The response that tells this reader of this error."""
    status = status or error.http_status
    words = words_of(request)
    request_id = request.state.request_id
    if request.url.path.startswith("/api/"):
        problem = Problem(
            type=TYPES + error.code,
            title=HTTPStatus(status).phrase,
            status=status,
            code=error.code,
            detail=words.error(error)[:1000],
            request_id=request_id,
            errors=fields,
        )
        headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
        if isinstance(error, TooManyRequests):
            headers["Retry-After"] = str(error.facts["wait_s"])
        content = problem.model_dump(exclude_none=True)
        return JSONResponse(content, status, headers=headers, media_type=PROBLEM_TYPE)
    if isinstance(error, NotSignedIn):
        return _to_sign_in(request)
    if isinstance(error, AuthenticatorNeeded):
        return _to(request, AUTHENTICATOR_PATH)
    if isinstance(error, ProofNeeded):
        return _ask_proof(request, error)
    facts: dict[str, Any] = {
        "heading": words(_HEADINGS.get(status, _HEADINGS[500])),
        "detail": _told(words, error),
        "request_id": request_id,
    }
    template = "problem_fragment.html" if is_fragment(request) else "problem.html"
    return render(request, template, facts, status)


def _told(words: Words, error: MeterhouseError) -> str:
    """What a person reads of an error: a missing right by its own name, not by its verb."""
    if isinstance(error, NotAllowed):
        right = VERB[Verb(error.facts["verb"])]
        return words(N_("Your roles do not include this right: {right}."), right=words(right))
    return words.error(error)


def _ask_proof(request: Request, error: ProofNeeded) -> Response:
    """The form that was sent, asked again with the proof beside it; nothing typed is lost."""
    facts = {
        "address": request.url.path,
        "typed": [one for one in request.state.typed if one[0] not in (PROOF_FIELD, TOKEN_FIELD)],
        "proof_field": PROOF_FIELD,
        "error": words_of(request).error(error) if isinstance(error, ProofWrong) else "",
    }
    template = "prove.html" if is_fragment(request) else "prove_page.html"
    return render(request, template, facts, error.http_status)


def _to_sign_in(request: Request) -> Response:
    """The sign-in page, which leads back to the page that was asked for."""
    is_page = request.method == "GET" and not is_fragment(request)
    return _to(request, f"/sign-in?next={request.url.path}" if is_page else "/sign-in")


def _to(request: Request, there: str) -> Response:
    if is_fragment(request):
        return Response(status_code=204, headers={"HX-Redirect": there})
    return RedirectResponse(there, status_code=303)
