"""The first page of an empty installation: who you are, and what your first project is called.

Owns the form behind the one-time address. Must never say more to a wrong address than to none.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from pydantic import Field, StringConstraints, ValidationError
from starlette.responses import RedirectResponse, Response

from meterhouse.errors import MeterhouseError
from meterhouse.flows import project, welcome
from meterhouse.flows.passwords import PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN
from meterhouse.web import labels
from meterhouse.web.access import PUBLIC
from meterhouse.web.acts.frame import Ask, Form, Name
from meterhouse.web.console import session
from meterhouse.web.pages import words_of
from meterhouse.web.problems import field_text
from meterhouse.words import N_

router = APIRouter()

_PATH: Final = "/welcome/{token}"
_TEXT_CHARS_MAX: Final = 200


class Welcome(Form):
    """What an installation begins with."""

    name: Annotated[Name, Ask(N_("Your name"))]
    """The first administrator's name."""
    login: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{1,59}$"),
        Ask(N_("User name"), hint=N_("You sign in with it")),
    ]  # fmt: skip
    """What they sign in with."""
    password: Annotated[
        str, StringConstraints(min_length=PASSWORD_CHARS_MIN, max_length=PASSWORD_CHARS_MAX),
        Ask(N_("Password"), kind="secret", hint=N_("At least 12 characters; a sentence is good")),
    ]  # fmt: skip
    """Their password."""
    group: Annotated[Name, Ask(N_("Group"), hint=N_("Your company; it may have many projects"))]
    """The first group of projects."""
    project: Annotated[Name, Ask(N_("Project"), hint=N_("The first site"))]
    """The first project."""
    timezone: Annotated[
        str, StringConstraints(max_length=60), Ask(N_("Time zone"), kind="search")
    ] = Field(default="Asia/Shanghai", min_length=1)
    """The zone that decides the project's days."""
    template: Annotated[
        str, StringConstraints(pattern="^(residential|dormitory|shops)$"),
        Ask(N_("Rules for"), kind="choice", words=labels.TEMPLATE),
    ] = "residential"  # fmt: skip
    """The rules the project starts with."""


@router.get(_PATH, dependencies=[Depends(PUBLIC)])
async def welcome_page(request: Request, token: str) -> Response:
    """The form, as long as the address opens."""
    services = request.app.state.services
    await welcome.check(services.database, token, services.clock())
    return _form(request, {}, {})


@router.post(_PATH, dependencies=[Depends(PUBLIC)])
async def begin(request: Request, token: str) -> Response:
    """Make what was named; its maker signs in then, and so knows the password by heart."""
    sent = await request.form()
    typed = {name: str(sent.get(name, ""))[: _TEXT_CHARS_MAX + 1] for name in Welcome.model_fields}
    words, services = words_of(request), request.app.state.services
    try:
        form = Welcome.model_validate(typed)
    except ValidationError as error:
        wrong = {str(item["loc"][0]): field_text(words, item) for item in error.errors()}
        await welcome.check(services.database, token, services.clock())
        return _form(request, typed, wrong)
    try:
        project.check_timezone(form.timezone)
        project_id = await welcome.begin(
            services.database, token,
            welcome.Beginning(
                form.login, form.name, form.password, form.group, form.project, form.timezone,
                project.template(form.template),
            ),
            request.state.request_id, services.clock(),
        )  # fmt: skip
    except MeterhouseError as error:
        if error.http_status not in (409, 422):
            raise
        return _form(request, typed, {error.field: words.error(error)})
    return RedirectResponse(f"/sign-in?next=/projects/{project_id}/setup", status_code=303)


def _form(request: Request, typed: dict[str, Any], wrong: dict[str, str]) -> Response:
    words = words_of(request)
    asks = {
        name: (info, next(one for one in info.metadata if isinstance(one, Ask)))
        for name, info in Welcome.model_fields.items()
    }
    initial = {name: "" if info.is_required() else info.default for name, (info, _) in asks.items()}
    facts = {
        "asks": asks,
        "typed": initial | typed,
        "choices": {
            name: [(zone, zone) for zone in project.timezones()] if name == "timezone"
            else [(key, words(word)) for key, word in (ask.words or {}).items()]
            for name, (_, ask) in asks.items()
        },
        "wrong": wrong,
        "address": request.url.path,
    }  # fmt: skip
    return session.seeded(request, "welcome.html", facts, 422 if wrong else 200)
