"""Signing in and out, and the reader's language.

Owns the three cookies. Must never know how a password is checked. What is wrong with a sign-in is
never said more precisely than "name or password".
"""

import secrets
from typing import Any, Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from meterhouse.flows.access import Verb
from meterhouse.web.access import (
    LANGUAGE_COOKIE,
    PUBLIC,
    SEED_COOKIE,
    SESSION_COOKIE,
    Permission,
)
from meterhouse.web.pages import render, words_of
from meterhouse.words import LANGUAGES

router = APIRouter()

_YEAR_S: Final = 365 * 86_400
_LOGIN_MAX_CHARS: Final = 100
_PASSWORD_MAX_CHARS: Final = 200


@router.get("/", dependencies=[Depends(Permission(Verb.SESSION_OWN))])
async def start(request: Request) -> Response:
    """The one project the caller reaches, or all of them at a glance."""
    scopes = request.state.caller.scopes
    if not scopes:
        return render(request, "no_project.html")
    there = f"/projects/{min(scopes)}/rooms" if len(scopes) == 1 else "/overview"
    return RedirectResponse(there, status_code=303)


@router.get("/sign-in", dependencies=[Depends(PUBLIC)])
async def sign_in_page(request: Request) -> Response:
    """The form, with a seed cookie to bind it to this browser."""
    return _sign_in_form(request, {"next": _inside(request.query_params.get("next", ""))})


@router.post("/sign-in", dependencies=[Depends(PUBLIC)])
async def sign_in(request: Request) -> Response:
    """A new session, or the form again."""
    form = await request.form()
    login = str(form.get("login", "")).strip()[:_LOGIN_MAX_CHARS]
    password = str(form.get("password", ""))[:_PASSWORD_MAX_CHARS]
    back = _inside(str(form.get("next", "")))
    agent = request.headers.get("user-agent", "")
    token = await request.app.state.gate.sign_in(login, password, agent)
    if token is None:
        _ = words_of(request)
        error = _("User name or password is wrong, or there were too many tries.")
        return _sign_in_form(request, {"next": back, "login": login, "error": error}, 422)
    response = RedirectResponse(back, status_code=303)
    _set_cookie(request, response, SESSION_COOKIE, token)
    response.delete_cookie(SEED_COOKIE)
    return response


@router.post("/sign-out", dependencies=[Depends(Permission(Verb.SESSION_OWN))])
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


def _sign_in_form(request: Request, facts: dict[str, Any], status: int = 200) -> Response:
    known = request.cookies.get(SEED_COOKIE) or request.cookies.get(SESSION_COOKIE)
    if not known:
        request.state.fresh_seed = secrets.token_urlsafe(32)
    shown = {"login": "", "error": "", **facts}
    response = render(request, "sign_in.html", shown, status)
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
