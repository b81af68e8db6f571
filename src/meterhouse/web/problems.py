"""Errors as people and programs read them: RFC 9457 problems under `/api`, pages elsewhere.

Owns the shape of a problem and the choice between the two. Must never know what went wrong
beyond its code: an unexpected exception shows nothing of itself, only the request id under which
the log has it.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from meterhouse.errors import BadInput, MeterhouseError, NotFound, RowsRefused
from meterhouse.logs import Log
from meterhouse.web.access import NotSignedIn
from meterhouse.web.pages import is_fragment, render, words_of
from meterhouse.words import N_, Words

log = Log(__name__)

FIELDS_TOLD_MAX: Final = 200
PROBLEM_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:meterhouse:error:"


class FieldProblem(BaseModel):
    """One part of the request that cannot be used."""

    field: str = Field(description="Where it is, e.g. `body.amount`.", examples=["body.amount"])
    detail: str = Field(description="What is wrong with it.", examples=["Field required"])


class Problem(BaseModel):
    """An error, after RFC 9457."""

    type: str = Field(description="Names the error as a URI; `docs/errors.md` explains each.")
    title: str = Field(description="The HTTP status in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status.", ge=400, le=599, examples=[404])
    code: str = Field(description="Stable name of the error.", examples=["not_found"])
    detail: str = Field(description="What happened, in the language asked for.")
    instance: str = Field(description="The request as a URI.")
    request_id: str = Field(
        description="Its id, as in the `X-Request-ID` header and our log; name it when you ask us.",
        examples=["b7d2c0f19a3e4c55"],
    )
    fields: list[FieldProblem] | None = Field(
        default=None,
        description="For `fields_invalid` and `rows_refused`: what cannot be used.",
    )


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
    422: N_("Please check what you entered"),
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
            field=f"body.rows.{one.row}{'.' if one.field else ''}{one.field}",
            detail=words.error(one.error),
        )
        for one in error.faults[:FIELDS_TOLD_MAX]
    ]


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    ours = _BY_STATUS.get(error.status_code, MeterhouseError)()
    return answer(request, ours, status=error.status_code)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    words = words_of(request)
    fields = [
        FieldProblem(
            field=".".join(str(part) for part in item["loc"]),
            detail=field_text(words, item),
        )
        for item in error.errors()
    ]
    return answer(request, InvalidFields(), fields=fields)


def field_text(words: Words, item: Mapping[str, Any]) -> str:
    """What the validator found, in the reader's language."""
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
            type=_TYPE + error.code,
            title=HTTPStatus(status).phrase,
            status=status,
            code=error.code,
            detail=words.error(error),
            instance=f"urn:request:{request_id}",
            request_id=request_id,
            fields=fields,
        )
        headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
        content = problem.model_dump(exclude_none=True)
        return JSONResponse(content, status, headers=headers, media_type=PROBLEM_TYPE)
    if isinstance(error, NotSignedIn):
        return _to_sign_in(request)
    facts: dict[str, Any] = {
        "heading": words(_HEADINGS.get(status, _HEADINGS[500])),
        "detail": words.error(error),
        "request_id": request_id,
    }
    template = "problem_fragment.html" if is_fragment(request) else "problem.html"
    return render(request, template, facts, status)


def _to_sign_in(request: Request) -> Response:
    """The sign-in page, which leads back to the page that was asked for."""
    if is_fragment(request):
        return Response(status_code=204, headers={"HX-Redirect": "/sign-in"})
    back = f"?next={request.url.path}" if request.method == "GET" else ""
    return RedirectResponse(f"/sign-in{back}", status_code=303)
