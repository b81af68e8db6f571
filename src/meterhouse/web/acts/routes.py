"""From declarations of acts to routes: an operation of the API, a form of the console.

Owns how a request becomes a `Doing`, and what is answered. Must never know a particular act.
"""

import inspect
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, Header, Path, Request
from pydantic import ValidationError, create_model
from pydantic_core import PydanticUndefined
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, RedirectResponse, Response

from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows.act import Answered, Doer, Done, Via, perform
from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.store.db import Database
from meterhouse.web.access import TOKEN_FIELD, Permission, database_of, number_of
from meterhouse.web.acts.frame import (
    REASON_CHARS_MAX,
    REASON_CHARS_MIN,
    Act,
    Choices,
    Doing,
    Form,
    Made,
    NoFields,
)
from meterhouse.web.api.etags import seen_version
from meterhouse.web.api.schemas import ID_MAX
from meterhouse.web.pages import formats_of, is_fragment, render, words_of
from meterhouse.web.problems import field_text
from meterhouse.words import N_

Chosen: TypeAlias = Callable[[Request], Awaitable[Sequence[int]]]

_KEY_FIELD: Final = "key"
_VERSION_FIELD: Final = "version"
_REASON_FIELD: Final = "reason"
_KEY_CHARS_MIN: Final = 8
_KEY_CHARS_MAX: Final = 80
_NUMBERS: Final = re.compile(r"{(\w+)}")
_TEXT_CHARS_MAX: Final = 20_000


class FormKeyMissing(BadInput):
    """This form is not complete; load it again."""

    code = "form_key_missing"


def add_operations(router: APIRouter, acts: Iterable[Act[Any]]) -> None:
    """The API's operation of each act."""
    for act in acts:
        router.add_api_route(
            act.address,
            _operation(act),
            methods=[act.method],
            dependencies=[Depends(Permission(act.verb))],
            name=act.name.replace(".", "_"),
            status_code=act.status,
            response_model=act.answer,
            summary=_summary(act),
            description=inspect.getdoc(act.run),
            tags=[act.tag],
            openapi_extra={"x-act": act.name},
        )


def add_forms(router: APIRouter, acts: Iterable[Act[Any]], chosen: Chosen) -> None:
    """The console's form of each act: GET shows it, POST does it.

    `chosen` answers the ids that a page chose for an act that is done to many.
    """
    for act in acts:
        may = [Depends(Permission(act.verb, proof=act.proves))]
        name = act.name.replace(".", "_")
        router.add_api_route(
            act.page, _shower(act, chosen), methods=["GET"], dependencies=may, name=f"{name}_form"
        )
        router.add_api_route(
            act.page, _doer(act), methods=["POST"], dependencies=may, name=f"{name}_do"
        )
        if act.preview is not None:
            router.add_api_route(
                f"{act.page}/preview", _previewer(act), methods=["GET"], dependencies=may,
                name=f"{name}_preview",
            )  # fmt: skip


def doing_of(request: Request, via: Via, key: str = "") -> Doing:
    """The act this request is, not yet begun."""
    state, services = request.state, request.app.state.services
    scope = getattr(state, "scope", None)
    caller = state.caller
    return Doing(
        db=database_of(request),
        doer=Doer(caller.person_id, via, services.clock(), state.request_id, key),
        ids={name: number_of(text, name) for name, text in request.path_params.items()},
        scope=scope,
        granted=caller.granted(request.path_params),
        fmt=formats_of(request) if scope else None,
        words=words_of(request),
        services=services,
        origin=services.settings.public_url or str(request.base_url).rstrip("/"),
    )


async def do(act: Act[Any], doing: Doing, form: Form) -> Answered:
    """Run an act's flow in the one transaction with its entry and its answer."""

    async def work(db: Database) -> Done:
        return await act.run(doing.within(db), form)

    asked = {"ids": dict(doing.ids), "form": form.model_dump(mode="json")}
    project_ids = [doing.scope.project_id] if doing.scope else []
    answered = await perform(
        doing.db, doing.doer, project_ids, act.name, act.verb, asked, work, act.status
    )
    if answered.is_new:
        for one in doing.afterwards:
            await one(doing)
    return answered


def _summary(act: Act[Any]) -> str:
    return (inspect.getdoc(act.run) or "").splitlines()[0].rstrip(".")


def _operation(act: Act[Any]) -> Callable[..., Any]:
    """An endpoint whose signature says what the act's address and fields ask for."""

    # A version stands in the header where programs look for it; a form carries it hidden.
    is_edit = _VERSION_FIELD in act.form.model_fields
    body = _without_version(act.form) if is_edit else act.form

    async def endpoint(request: Request, **given: Any) -> Response:
        doing = doing_of(request, Via.API, given.get("idempotency_key") or "")
        form = given.get("body") or NoFields()
        if is_edit:
            said = {name: getattr(form, name) for name in form.model_fields_set}
            form = act.form.model_validate(
                {**said, _VERSION_FIELD: seen_version(given.get("if_match"))}
            )
        answered = await do(act, doing, form)
        headers = {} if answered.is_new else {"Idempotent-Replayed": "true"}
        if act.answer is None:
            return Response(status_code=act.status, headers=headers)
        return JSONResponse({**answered.answer, **doing.once}, act.status, headers)

    parameters = [_parameter("request", Request)]
    for name in _NUMBERS.findall(act.address):
        what = name.removesuffix("_id").replace("_", " ")
        about = Path(ge=1, le=ID_MAX, description=f"Id of the {what}.", examples=[12])
        parameters.append(_parameter(name, Annotated[int, about]))
    if act.form is not NoFields:
        parameters.append(_parameter("body", body))
    if is_edit:
        seen = Header(
            max_length=40,
            description="The `ETag` of what was read; refused when it was changed meanwhile.",
            examples=['"3"'],
        )
        parameters.append(_parameter("if_match", Annotated[str | None, seen], None))
    if act.method == "POST":
        said = Header(
            min_length=_KEY_CHARS_MIN,
            max_length=_KEY_CHARS_MAX,
            description="Chosen once for an act: the same key and request again change nothing.",
            examples=["3f0c6d1e-7b1d-4c55-9f0e-3a3f2f8a9c11"],
        )
        kind = Annotated[str, said] if act.needs_key else Annotated[str | None, said]
        default = inspect.Parameter.empty if act.needs_key else None
        parameters.append(_parameter("idempotency_key", kind, default))
    endpoint.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return endpoint


def _without_version(form: type[Form]) -> type[Form]:
    fields: dict[str, Any] = {
        name: (info.annotation, info)
        for name, info in form.model_fields.items()
        if name != _VERSION_FIELD
    }
    made: type[Form] = create_model(form.__name__, __base__=Made, __doc__=form.__doc__, **fields)
    return made


def _parameter(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)


def _shower(act: Act[Any], chosen: Chosen) -> Callable[..., Any]:
    async def show(request: Request) -> Response:
        doing = replace(doing_of(request, Via.CONSOLE), chosen=await chosen(request))
        typed = await act.typed(doing) if act.typed else {}
        given = {name: request.query_params.get(name) for name in act.form.model_fields}
        known = {name: text for name, text in given.items() if text is not None}
        return await _form(request, act, doing, {**typed, **known}, secrets.token_hex(16))

    return show


def _doer(act: Act[Any]) -> Callable[..., Any]:
    async def post(request: Request) -> Response:
        sent = await request.form()
        key = form_key(sent)
        doing = doing_of(request, Via.CONSOLE, f"form:{key}")
        typed = await read_form(act, sent)
        doing = replace(doing, chosen=[int(one) for one in typed.get("ids", ())])
        try:
            form = act.form.model_validate(typed)
        except ValidationError as error:
            wrong = {
                str(item["loc"][0]) if item["loc"] else "": field_text(doing.words, item)
                for item in error.errors()
            }
            return await _form(request, act, doing, typed, key, wrong)
        try:
            answered = await do(act, doing, form)
        except ChangedMeanwhile:
            typed, wrong = await _theirs(act, doing, typed)
            return await _form(request, act, doing, typed, key, wrong, ChangedMeanwhile.http_status)
        except MeterhouseError as error:
            if error.http_status >= 500 or error.http_status in (401, 403, 404):
                raise
            wrong = {error.field: doing.words.error(error)}
            return await _form(request, act, doing, typed, key, wrong, error.http_status)
        return await _after(request, act, doing, answered.answer)

    return post


async def _theirs(
    act: Act[Any], doing: Doing, typed: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """What was typed, on top of what somebody else has set meanwhile, and their words beside it.

    The form then names the present version: who sends it again has seen what it replaces.
    """
    said = N_("Somebody else changed this meanwhile. What they set stands beside your entries; "
              "send it again to keep yours.")  # fmt: skip
    now = await act.typed(doing) if act.typed else {}
    wrong = {"": doing.words(said)}
    for name, (_, ask) in act.asks.items():
        theirs = now.get(name)
        if ask.kind in ("hidden", "ids", "file") or theirs is None or name not in typed:
            continue
        if _plain(theirs) != _plain(typed[name]):
            offered = dict(await ask.offered(doing)) if ask.kind in ("choice", "many") else {}
            each = theirs if isinstance(theirs, list | tuple) else [theirs]
            shown = ", ".join(offered.get(str(one), str(one)) for one in each)
            wrong[name] = doing.words(N_("Now: {there}"), there=shown or "–")
    fresh = {_VERSION_FIELD: now[_VERSION_FIELD]} if _VERSION_FIELD in now else {}
    return {**typed, **fresh}, wrong


def _plain(text: Any) -> str:
    """A field's content as a form sends it, so that two may be compared."""
    if isinstance(text, list | tuple):
        return ",".join(sorted(str(one) for one in text))
    return str(text).strip()


def _previewer(act: Act[Any]) -> Callable[..., Any]:
    """What the act would do with the fields as they are; nothing while they cannot be used."""

    async def preview(request: Request) -> Response:
        doing = doing_of(request, Via.CONSOLE)
        typed = {name: text for name, text in request.query_params.items()
                 if name in act.form.model_fields and text.strip()}  # fmt: skip
        if _REASON_FIELD in act.form.model_fields:
            typed.setdefault(_REASON_FIELD, "-" * REASON_CHARS_MIN)  # what is not done needs none
        facts: dict[str, Any] = {"told": (), "why": ""}
        try:
            assert act.preview is not None
            facts["told"] = await act.preview(doing, act.form.model_validate(typed))
        except ValidationError:
            pass
        except BadInput as error:
            facts["why"] = doing.words.error(error)
        return render(request, "act_preview.html", facts)

    return preview


def form_key(sent: FormData) -> str:
    """What makes a form this one and no other. Raises `FormKeyMissing`."""
    key = str(sent.get(_KEY_FIELD, ""))
    if not key.isalnum() or not _KEY_CHARS_MIN <= len(key) <= _KEY_CHARS_MAX:
        raise FormKeyMissing
    return key


async def read_form(act: Act[Any], sent: FormData) -> dict[str, Any]:
    """What was typed, by field; an empty optional field counts as not typed."""
    typed: dict[str, Any] = {}
    for name, (info, ask) in act.asks.items():
        if ask.kind == "many":
            typed[name] = [str(one) for one in sent.getlist(name)]
        elif ask.kind == "ids":
            typed[name] = [one for one in str(sent.get(name, "")).split(",") if one.isdecimal()]
        elif ask.kind == "flag":
            typed[name] = name in sent
        elif ask.kind == "file":
            upload = sent.get(name)
            if upload is not None and not isinstance(upload, str) and upload.filename:
                typed[name] = await upload.read()
        else:
            text = str(sent.get(name, ""))[:_TEXT_CHARS_MAX]
            if text.strip() or info.is_required():
                typed[name] = text
    return typed


async def _form(
    request: Request, act: Act[Any], doing: Doing, typed: Mapping[str, Any], key: str,
    wrong: Mapping[str, str] | None = None, status: int = 422,
) -> Response:  # fmt: skip
    choices: dict[str, Choices] = {}
    for name, (_, ask) in act.asks.items():
        choices[name] = await ask.offered(doing)
    initial = {name: _initial(info.default) for name, (info, _) in act.asks.items()}
    shown = [name for name, (_, ask) in act.asks.items() if ask.kind not in ("hidden", "ids")]
    facts = {
        "act": act,
        "address": request.url.path,
        "about": await act.about(doing) if act.about else (),
        "asks": act.asks,
        "choices": choices,
        "typed": initial | dict(typed),
        "key": key,
        "wrong": wrong or {},
        "token_field": TOKEN_FIELD,
        "reason_max": REASON_CHARS_MAX,
        "focus": next((name for name in wrong or shown if name in shown), ""),
        "has_file": any(ask.kind == "file" for _, ask in act.asks.values()),
        **(await act.facts(doing) if act.facts else {}),
    }
    template = act.look if is_fragment(request) else "act_page.html"
    return render(request, template, facts, status if wrong else 200)


def _initial(default: Any) -> Any:
    return "" if default is None or default is PydanticUndefined else default


async def _after(request: Request, act: Act[Any], doing: Doing, answer: Any) -> Response:
    """Say that it is done, go on to where it is seen, or load the page anew."""
    part = is_fragment(request)
    if act.told is not None:
        facts = {"act": act, "told": act.told(doing, answer)}
        return render(request, "act_done.html" if part else "act_done_page.html", facts)
    there = act.then(doing, answer) if act.then else ""
    if part and act.watch:
        return RedirectResponse(there, status_code=303)
    if part:
        return Response(
            status_code=204, headers={"HX-Redirect": there} if there else {"HX-Refresh": "true"}
        )
    return RedirectResponse(there or request.url.path.rpartition("/")[0], status_code=303)
