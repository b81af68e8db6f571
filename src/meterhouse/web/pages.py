"""Templates: the one environment, the one way to render, and what every page gets with it.

Owns the Jinja2 environment and the per-request helpers (words, formats, tokens). Must never know
a particular page. Undefined names are errors, and everything is escaped unless a template says
otherwise.
"""

from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import jinja2
from fastapi import Request
from starlette.responses import HTMLResponse

from meterhouse.flows.access import Reach
from meterhouse.web import labels
from meterhouse.web.access import LANGUAGE_COOKIE, PROJECT_COOKIE, Caller, cookie, form_token
from meterhouse.web.formats import ABSENT, Formats
from meterhouse.web.menu import menu
from meterhouse.words import LANGUAGES, Words, choose_language, words

TEMPLATE_FOLDER: Final = Path(__file__).parent / "templates"


def make_environment() -> jinja2.Environment:
    """The environment all templates share; translation functions come with each page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATE_FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.do"],
    )
    environment.globals.update(labels=labels, menu=menu, languages=LANGUAGES, ABSENT=ABSENT)
    return environment


def words_of(request: Request) -> Words:
    """The reader's language: their cookie, then what they are known to read, then the browser.

    A program that says which language it wants gets that one; it has no page to choose it on.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    known = caller.language if caller else None
    accepted = request.headers.get("accept-language", "")
    if accepted and request.url.path.startswith("/api/"):
        return words(choose_language((), accepted))
    return words(choose_language((request.cookies.get(LANGUAGE_COOKIE), known), accepted))


def formats_of(request: Request) -> Formats:
    """How values look to this reader in the project they are at."""
    scope = home_of(request)
    if scope is None:
        return Formats(words_of(request), ZoneInfo("UTC"), "CNY", 2)
    zone = ZoneInfo(scope.timezone)
    return Formats(words_of(request), zone, scope.currency, scope.currency_exponent)


def home_of(request: Request) -> Reach | None:
    """The project the address names; elsewhere the one last looked at, else the reader's first.

    A page that belongs to no project keeps that one's menu, search and bell around it, so that
    nobody has to find the way back.
    """
    scope: Reach | None = getattr(request.state, "scope", None)
    caller: Caller | None = getattr(request.state, "caller", None)
    if scope is not None or caller is None:
        return scope
    last = request.cookies.get(PROJECT_COOKIE, "")
    found = {str(project_id): reach for project_id, reach in caller.scopes.items()}
    return found.get(last) or next(iter(found.values()), None)


def is_fragment(request: Request) -> bool:
    """Whether htmx asks for a part of a page rather than a page."""
    return request.headers.get("hx-request-type") == "partial"


def render(
    request: Request, template: str, facts: dict[str, Any] | None = None, status: int = 200
) -> HTMLResponse:
    """A page or a fragment in the reader's language."""
    spoken = words_of(request)
    scope: Reach | None = getattr(request.state, "scope", None)
    state = request.app.state
    context: dict[str, Any] = {
        "_": spoken,
        "ngettext": spoken.plural,
        "words": spoken,
        "language": spoken.language,
        "asset": state.assets.url,
        "title": state.services.settings.title,
        "path": request.url.path,
        "caller": getattr(request.state, "caller", None),
        "scope": scope,
        "home": home_of(request),
        "granted": scope.verbs if scope else frozenset(),
        "fmt": formats_of(request),
        "token": form_token(request),
        "now": state.services.clock(),
        **(facts or {}),
    }
    page = HTMLResponse(state.environment.get_template(template).render(context), status)
    if scope and not is_fragment(request):
        _remember(request, page, scope)
    return page


def _remember(request: Request, page: HTMLResponse, scope: Reach) -> None:
    """Keep which project was looked at last, while the browser is open."""
    here = str(scope.project_id)
    if request.cookies.get(PROJECT_COOKIE) != here:
        page.headers.append("set-cookie", cookie(request, PROJECT_COOKIE, here))
