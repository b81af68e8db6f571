"""Signing in, in one step or two, signing out, choosing a password, and the reader's language.

Owns the three cookies. Must never know how a password is checked. What is wrong with a sign-in is
never said more precisely than "name or password".
"""

import secrets
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.background import BackgroundTask
from starlette.responses import RedirectResponse, Response

from meterhouse.errors import BadInput, NotFound
from meterhouse.flows import links, signin
from meterhouse.flows.access import Verb
from meterhouse.flows.passwords import PASSWORD_CHARS_MIN
from meterhouse.flows.staff import RESET_LIFE
from meterhouse.web.access import (
    LANGUAGE_COOKIE,
    PUBLIC,
    SEED_COOKIE,
    SESSION_COOKIE,
    Permission,
    address_of,
)
from meterhouse.web.pages import render, words_of
from meterhouse.web.services import Services
from meterhouse.words import LANGUAGES, N_

router = APIRouter()

_YEAR_S: Final = 365 * 86_400
_LOGIN_MAX_CHARS: Final = 100
_PASSWORD_MAX_CHARS: Final = 200
_CODE_MAX_CHARS: Final = 20


@router.get("/", dependencies=[Depends(Permission(Verb.SESSION_OWN))])
async def start(request: Request) -> Response:
    """The one project the caller reaches, or all of them at a glance."""
    scopes = request.state.caller.scopes
    if not scopes and Verb.GROUP_EDIT in request.state.caller.platform:
        return RedirectResponse("/platform/groups", status_code=303)
    if not scopes:
        return render(request, "no_project.html")
    there = f"/projects/{min(scopes)}/rooms" if len(scopes) == 1 else "/overview"
    return RedirectResponse(there, status_code=303)


@router.get("/sign-in", dependencies=[Depends(PUBLIC)])
async def sign_in_page(request: Request) -> Response:
    """The form, with a seed cookie to bind it to this browser."""
    return _sign_in_form(request, {"next": _next(request)})


@router.post("/sign-in", dependencies=[Depends(PUBLIC)])
async def sign_in(request: Request) -> Response:
    """A new session, or the form again."""
    form = await request.form()
    login = str(form.get("login", "")).strip()[:_LOGIN_MAX_CHARS]
    password = str(form.get("password", ""))[:_PASSWORD_MAX_CHARS]
    back = _inside(str(form.get("next", "")))
    agent = request.headers.get("user-agent", "")
    _take_try(request)
    opened = await request.app.state.gate.sign_in(login, password, agent, address_of(request))
    if opened is None:
        _ = words_of(request)
        error = _("User name or password is wrong, or there were too many tries.")
        return _sign_in_form(request, {"next": back, "login": login, "error": error}, 422)
    there = f"/sign-in/code?{urlencode({'next': back})}" if opened.awaits_code else back
    return _opened(request, there, opened.token)


@router.get("/sign-in/code", dependencies=[Depends(PUBLIC)])
async def code_page(request: Request) -> Response:
    """The second step."""
    return render(request, "code.html", {"next": _next(request), "error": ""})


@router.post("/sign-in/code", dependencies=[Depends(PUBLIC)])
async def enter_code(request: Request) -> Response:
    """A session for a code, or the form again; from the beginning when it took too long."""
    form = await request.form()
    back, typed = _inside(str(form.get("next", ""))), str(form.get("code", ""))
    _take_try(request)
    token = request.cookies.get(SESSION_COOKIE, "")
    agent = request.headers.get("user-agent", "")
    try:
        opened = await request.app.state.gate.enter_code(
            token, typed[:_CODE_MAX_CHARS], agent, address_of(request)
        )
    except NotFound:
        return RedirectResponse(f"/sign-in?{urlencode({'next': back})}", status_code=303)
    if opened is None:
        error = words_of(request)(
            N_("That is no code that counts now, or there were too many tries.")
        )
        return render(request, "code.html", {"next": back, "error": error}, 422)
    return _opened(request, back, opened.token)


@router.get("/set-password", dependencies=[Depends(PUBLIC)])
async def password_page(request: Request) -> Response:
    """Where a one-time link leads."""
    return await _password_form(request, request.query_params.get("token", ""))


@router.post("/set-password", dependencies=[Depends(PUBLIC)])
async def set_password(request: Request) -> Response:
    """Choose a password, and sign in with it."""
    form = await request.form()
    token, new = str(form.get("token", "")), str(form.get("new", ""))
    services, words = request.app.state.services, words_of(request)
    _take_try(request)
    if new != str(form.get("again", "")):
        return await _password_form(request, token, words(N_("The two are not the same.")))
    try:
        request_id = request.state.request_id
        await signin.set_password(services.database, token, new, services.clock(), request_id)
    except BadInput as error:
        return await _password_form(request, token, words.error(error))
    except NotFound:
        return await _password_form(request, token)
    return RedirectResponse("/sign-in?done=password", status_code=303)


@router.get("/sign-in/forgotten", dependencies=[Depends(PUBLIC)])
async def forgotten_page(request: Request) -> Response:
    """Ask for a link by e-mail, or read whom to ask where none is sent."""
    return _forgotten_form(request)


@router.post("/sign-in/forgotten", dependencies=[Depends(PUBLIC)])
async def forgotten(request: Request) -> Response:
    """Send a link to whoever it is; the answer is the same for everybody, and as fast."""
    login = str((await request.form()).get("login", "")).strip()[:_LOGIN_MAX_CHARS]
    _take_try(request)
    response = _forgotten_form(request, is_asked=True)
    response.background = BackgroundTask(_send_link, request.app.state.services, login)
    return response


@router.post("/sign-out", dependencies=[Depends(Permission(Verb.SESSION_OWN, early=True))])
async def sign_out(request: Request) -> Response:
    """End the session here and in the database."""
    await request.app.state.gate.sign_out(request.cookies[SESSION_COOKIE])
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.post("/language", dependencies=[Depends(PUBLIC)])
async def language(request: Request) -> Response:
    """Remember the language in this browser."""
    form = await request.form()
    response = RedirectResponse(_inside(str(form.get("next", ""))), status_code=303)
    tag = str(form.get("language", ""))
    if tag in LANGUAGES:
        _set_cookie(request, response, LANGUAGE_COOKIE, tag, max_age_s=_YEAR_S)
    return response


async def _password_form(request: Request, token: str, error: str = "") -> Response:
    """The form of a link, or that the link is worth nothing any more."""
    services = request.app.state.services
    person = await signin.person_of_link(services.database, token, services.clock())
    facts = {"link": token, "login": person and person["login"], "error": error,
             "password_min": PASSWORD_CHARS_MIN}  # fmt: skip
    status = 404 if person is None else 422 if error else 200
    return seeded(request, "set_password.html", facts, status)


def _forgotten_form(request: Request, *, is_asked: bool = False) -> Response:
    services = request.app.state.services
    facts = {"is_asked": is_asked, "sends": services.postman is not None}
    return seeded(request, "forgotten.html", facts, 200)


async def _send_link(services: Services, login: str) -> None:
    """Once the answer has gone, so that its time tells nothing of who exists."""
    if services.postman is None:
        return
    found = await links.forgotten(services.database, login, services.clock())
    if found is not None:
        to, token = found
        settings = services.settings
        link = f"{settings.public_url}/set-password?token={token}"
        await links.send(services.postman, to, link, RESET_LIFE, settings.title)


def _take_try(request: Request) -> None:
    """Count a try from this address, whoever as. Raises `TooManyRequests`."""
    at = request.app.state.services.clock()
    request.app.state.limits.sign_in(address_of(request), at)


def _opened(request: Request, there: str, token: str) -> Response:
    response = RedirectResponse(there, status_code=303)
    _set_cookie(request, response, SESSION_COOKIE, token)
    response.delete_cookie(SEED_COOKIE)
    return response


def _next(request: Request) -> str:
    return _inside(request.query_params.get("next", ""))


def _sign_in_form(request: Request, facts: dict[str, Any], status: int = 200) -> Response:
    shown = {"login": "", "error": "", "done": request.query_params.get("done", ""), **facts}
    return seeded(request, "sign_in.html", shown, status)


def seeded(request: Request, template: str, facts: dict[str, Any], status: int) -> Response:
    """A page for somebody who has no session, its forms bound to this browser by a cookie."""
    known = request.cookies.get(SEED_COOKIE) or request.cookies.get(SESSION_COOKIE)
    if not known:
        request.state.fresh_seed = secrets.token_urlsafe(32)
    response = render(request, template, facts, status)
    if not known:
        _set_cookie(request, response, SEED_COOKIE, request.state.fresh_seed)
    return response


def _set_cookie(
    request: Request, response: Response, name: str, text: str, max_age_s: int | None = None
) -> None:
    secure = request.app.state.services.settings.secure_cookies
    response.set_cookie(name, text, max_age_s, httponly=True, samesite="lax", secure=secure)


def _inside(address: str) -> str:
    """An address of ours; anything that could lead elsewhere becomes the start page."""
    parts = urlsplit(address)
    outside = parts.scheme or parts.netloc or address.startswith("//") or "\\" in address
    return address if address.startswith("/") and not outside else "/"
