"""One's own account: password, authenticator, sessions, language.

Owns the page and what a person does to themselves there. Must never reach anybody else: every
flow is given the caller's own id. Secrets are shown in the one answer that makes them.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import segno
from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.responses import RedirectResponse, Response

from meterhouse.errors import BadInput
from meterhouse.flows import links, signin, totp
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Doer, Done, Via, perform
from meterhouse.flows.passwords import PASSWORD_CHARS_MIN
from meterhouse.store.db import Database
from meterhouse.web.access import (
    AUTHENTICATOR_PATH,
    LANGUAGE_COOKIE,
    Permission,
    check_proof,
    cookie,
    database_of,
)
from meterhouse.web.acts.typed import EMAIL
from meterhouse.web.agents import device
from meterhouse.web.pages import render, words_of
from meterhouse.words import LANGUAGES, N_

router = APIRouter(dependencies=[Depends(Permission(Verb.SESSION_OWN, early=True))])

_YEAR_S: Final = 365 * 86_400
_QR_SCALE: Final = 5
_HERE: Final = "/account"

T = TypeVar("T")


@router.get(_HERE)
async def account(request: Request) -> Response:
    """The page."""
    return await _page(request)


@router.post(f"{_HERE}/password")
async def change_password(request: Request) -> Response:
    """Replace the password; every other session ends."""
    form = await request.form()
    old, new, again = (str(form.get(name, "")) for name in ("old", "new", "again"))
    caller, words = request.state.caller, words_of(request)
    if new != again:
        return await _page(request, wrong={"again": words(N_("This is not the same."))})
    db, at = database_of(request), _now(request)
    try:
        right = await signin.change_password(
            db, caller.person_id, old, new, caller.session_id, at, request.state.request_id
        )
    except BadInput as error:
        return await _page(request, wrong={"new": words.error(error)})
    if not right:
        said = words(N_("The present password is wrong, or there were too many tries."))
        return await _page(request, wrong={"old": said})
    return _done("password")


@router.get(AUTHENTICATOR_PATH)
async def authenticator(request: Request) -> Response:
    """Where somebody is led whose role needs one, before anything else."""
    if not request.state.caller.needs_code:
        return RedirectResponse(f"{_HERE}#authenticator", status_code=303)
    can_enrol = bool(request.app.state.services.secret_key)
    return render(request, "authenticator_needed.html", {"can_enrol": can_enrol})


@router.post(AUTHENTICATOR_PATH, dependencies=[Depends(check_proof)])
async def enrol(request: Request) -> Response:
    """Show a new secret, to be confirmed by its first code."""
    services = request.app.state.services
    new = await totp.enrol(
        database_of(request), _me(request), services.secret_key, services.settings.title
    )
    return _enrolment(request, new)


@router.post(f"{_HERE}/authenticator/confirm")
async def confirm(request: Request) -> Response:
    """Let codes count from now on, and show the recovery codes once."""
    services, db = request.app.state.services, database_of(request)
    typed = str((await request.form()).get("code", ""))

    async def work(db: Database) -> list[str]:
        return await totp.confirm(db, _me(request), typed, services.secret_key, _now(request))

    try:
        codes = await _do(request, "authenticator.confirm", work)
    except totp.CodeWrong as error:
        waiting = await totp.waiting(db, _me(request), services.secret_key, services.settings.title)
        if waiting is None:
            raise
        return _enrolment(request, waiting, words_of(request).error(error))
    return render(request, "recovery.html", {"codes": codes})


@router.post(f"{_HERE}/authenticator/off", dependencies=[Depends(check_proof)])
async def take_off(request: Request) -> Response:
    """Ask for no codes any more."""
    await _do(request, "authenticator.off", lambda db: totp.take_off(db, _me(request)))
    return _done("authenticator")


@router.post(f"{_HERE}/recovery", dependencies=[Depends(check_proof)])
async def renew_recovery(request: Request) -> Response:
    """New recovery codes in place of the old ones, shown once."""
    codes = await _do(request, "recovery.renew", lambda db: totp.renew_recovery(db, _me(request)))
    return render(request, "recovery.html", {"codes": codes})


@router.post(f"{_HERE}/email", dependencies=[Depends(check_proof)])
async def email(request: Request) -> Response:
    """Where links to a forgotten password go."""
    typed = str((await request.form()).get("email", "")).strip()
    if typed and not EMAIL.fullmatch(typed):
        return await _page(request, wrong={"email": words_of(request)(N_("This is no e-mail."))})
    await _do(request, "email.change", lambda db: links.set_email(db, _me(request), typed))
    return _done("email")


@router.post(f"{_HERE}/sessions/end-others")
async def end_others(request: Request) -> Response:
    """Sign out everywhere but here."""
    kept_id = request.state.caller.session_id
    await _do(request, "sessions.end", lambda db: signin.end_others(db, _me(request), kept_id))
    return _done("sessions")


@router.post(f"{_HERE}/sessions/{{session_id:int}}/end")
async def end_session(request: Request, session_id: int) -> Response:
    """Sign out one device."""
    await _do(request, "session.end", lambda db: signin.end_session(db, _me(request), session_id))
    return _done("sessions")


@router.post(f"{_HERE}/language")
async def language(request: Request) -> Response:
    """Remember the language wherever this person signs in."""
    tag = str((await request.form()).get("language", ""))
    response = _done("language")
    if tag in LANGUAGES:
        await signin.set_language(database_of(request), _me(request), tag)
        response.headers.append(
            "Set-Cookie", cookie(request, LANGUAGE_COOKIE, tag, max_age_s=_YEAR_S)
        )
    return response


def _me(request: Request) -> int:
    return int(request.state.caller.person_id)


def _now(request: Request) -> datetime:
    at: datetime = request.app.state.services.clock()
    return at


def _done(part: str) -> Response:
    return RedirectResponse(f"{_HERE}?done={part}#{part}", status_code=303)


async def _do(request: Request, act: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """Do what a person does to their own account, and write it down with it; never what they typed.

    What it answers may be a secret: it is neither written nor kept.
    """
    doer = Doer(_me(request), Via.CONSOLE, _now(request), request.state.request_id)

    async def done(db: Database) -> Done:
        return Done(f"person:{doer.actor_id}", await work(db), is_kept=False)

    database = database_of(request)
    answered = await perform(database, doer, (), act, Verb.SESSION_OWN, {}, done)
    answer: T = answered.answer
    return answer


def _enrolment(request: Request, new: totp.Enrolment, error: str = "") -> Response:
    drawn = segno.make(new.address, error="m").svg_inline(scale=_QR_SCALE, border=2)
    facts = {
        "code": Markup(drawn),  # noqa: S704  # figures alone, drawn by segno
        "secret": " ".join(new.secret[at : at + 4] for at in range(0, len(new.secret), 4)),
        "error": error,
    }
    return render(request, "authenticator.html", facts, 422 if error else 200)


async def _page(request: Request, wrong: dict[str, str] | None = None) -> Response:
    db, caller, words = database_of(request), request.state.caller, words_of(request)
    since, left = await totp.state(db, caller.person_id)
    sessions = [
        (row, device(row["agent"], words))
        for row in await signin.sessions(db, caller.person_id, _now(request))
    ]
    facts: dict[str, Any] = {
        "email": await links.email_of(db, caller.person_id),
        "since": since,
        "codes_left": left,
        "can_enrol": bool(request.app.state.services.secret_key),
        "sessions": sessions,
        "wrong": wrong or {},
        "done": request.query_params.get("done", ""),
        "password_min": PASSWORD_CHARS_MIN,
    }
    return render(request, "account.html", facts, 422 if wrong else 200)
