"""Who is asking, and may they: every route names its verb, or the application does not start.

Owns the caller, the two ways to prove who one is (a session cookie for the console, a
bearer key for the API), the proof asked for anew before a step-up verb, the token that keeps other
sites from posting our forms, and the check that no route forgot its verb. Must never know what a
verb does. Deny by default: a route that names nothing is not "open", it is a start-up error.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from fastapi import FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import Response
from starlette.routing import Mount

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.flows.access import STEP_UP, Reach, Verb
from meterhouse.flows.signin import PROOF_LIFE, SignedIn
from meterhouse.store.db import Database
from meterhouse.web.limits import Limits
from meterhouse.words import N_

SESSION_COOKIE: Final = "meterhouse_session"
SEED_COOKIE: Final = "meterhouse_seed"
LANGUAGE_COOKIE: Final = "meterhouse_language"
AUTHENTICATOR_PATH: Final = "/account/authenticator"
PROJECT_COOKIE: Final = "meterhouse_project"
TOKEN_FIELD: Final = "csrf"  # noqa: S105  # a field's name
TOKEN_HEADER: Final = "X-CSRF-Token"  # noqa: S105
PROOF_FIELD: Final = "proof"

_NONCE_CHARS: Final = 16
_ID_DIGITS_MAX: Final = 18
_SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}


class NotSignedIn(MeterhouseError):
    """Sign in first."""

    code = "not_signed_in"
    http_status = 401


class NotAllowed(MeterhouseError):
    """Your roles do not include {verb}."""

    code = "not_allowed"
    http_status = 403

    def __init__(self, verb: str) -> None:
        super().__init__(verb=verb)


class FormForged(MeterhouseError):
    """This form did not come from your own page, or the page is too old; load it again."""

    code = "form_forged"
    http_status = 403


class ProofNeeded(MeterhouseError):
    """Show that it is you: enter your password, or a code of your authenticator."""

    code = "proof_needed"
    http_status = 403


class ProofWrong(ProofNeeded):
    """That is not it, or there were too many tries."""

    code = "proof_wrong"


class AuthenticatorNeeded(MeterhouseError):
    """Your role needs an authenticator; set one up first."""

    code = "authenticator_needed"
    http_status = 403


class RouteWithoutVerb(MeterhouseError):
    """Route {route} names no verb."""

    code = "route_without_verb"

    def __init__(self, route: str) -> None:
        super().__init__(route=route)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a person in the console or an API client, and what they reach.

    `needs_code`: a role of theirs needs an authenticator that they have yet to set up.
    """

    person_id: int | None
    name: str
    language: str
    scopes: Mapping[int, Reach]
    groups: Mapping[int, frozenset[str]] = field(default_factory=dict)
    platform: frozenset[str] = frozenset()
    session_id: int | None = None
    proved_at: datetime | None = None
    needs_code: bool = False

    def granted(self, path_params: Mapping[str, Any]) -> frozenset[str]:
        """The verbs that count for an address: its project's, its group's, else the platform's.

        Raises:
            NotFound: the project or group does not exist, or is another's.
        """
        if (project_id := path_params.get("project_id")) is not None:
            return self.scope(number_of(project_id, N_("Project"))).verbs
        if (group_id := path_params.get("group_id")) is not None:
            number = number_of(group_id, N_("Group"))
            if number not in self.groups and not self.platform:
                raise NotFound(N_("Group"), group_id)
            return self.groups.get(number, frozenset()) | self.platform
        return self.platform

    def scope(self, project_id: int) -> Reach:
        """The scope of one project.

        Raises:
            NotFound: it does not exist, or is another's; the two cannot be told apart.
        """
        if project_id not in self.scopes:
            raise NotFound(N_("Project"), project_id)
        return self.scopes[project_id]


class Gate(Protocol):
    """Turns a credential into a caller; the flows of access stand behind it."""

    async def caller_of_session(self, token: str) -> Caller | None:
        """The person of a live session."""

    async def caller_of_key(self, key: str) -> Caller | None:
        """The API client of a live key."""

    async def sign_in(self, login: str, password: str, agent: str, peer: str) -> SignedIn | None:
        """A new session, or None; why not is nobody's business."""

    async def sign_out(self, token: str) -> None:
        """End a session."""

    async def enter_code(self, token: str, code: str, agent: str, peer: str) -> SignedIn | None:
        """The session behind the second step, or None. Raises `NotFound` when it is too late."""

    async def prove(self, caller: Caller, token: str, proof: str) -> str | None:
        """A session's next token when its person proves anew who they are, or None."""


class Permission:
    """A dependency that lets a caller with one verb pass; `None` declares the route public.

    `early`: also one who has yet to set up the authenticator that their role needs. `proof`: a form
    of the console is done only by one who has lately proved who they are, whatever its verb.
    """

    def __init__(self, verb: Verb | None, *, early: bool = False, proof: bool = False) -> None:
        self.verb = verb
        self.early = early
        self.proof = proof

    async def __call__(self, request: Request) -> Caller | None:
        """The caller, once they have proved who they are and that they may.

        Raises:
            NotSignedIn: no live session or key.
            AuthenticatorNeeded: their role needs one, and they have none yet.
            NotAllowed: the verb is not granted in the project the address names.
            NotFound: the project is not theirs.
            FormForged: a console form without its token.
            ProofNeeded: the act or its verb asks for proof, and they have given none lately.
        """
        is_api = request.url.path.startswith("/api/")
        if not is_api and request.method not in _SAFE_METHODS:
            await check_form(request)
        if self.verb is None:
            return None
        caller = await (_key_caller(request) if is_api else _session_caller(request))
        request.state.caller = caller
        if caller.needs_code and not self.early:
            raise AuthenticatorNeeded
        granted = caller.granted(request.path_params)
        if "project_id" in request.path_params:
            reach = caller.scope(int(request.path_params["project_id"]))
            request.state.scope = reach.asked(self.verb)
        if self.verb is not Verb.SESSION_OWN and self.verb not in granted:
            raise NotAllowed(self.verb)
        asked = self.proof or self.verb in STEP_UP
        if asked and not is_api and request.method not in _SAFE_METHODS:
            await check_proof(request)
        return caller


def number_of(text: object, what: str) -> int:
    """An id in an address. Raises `NotFound` for what cannot be one."""
    if not str(text).isdecimal() or len(str(text)) > _ID_DIGITS_MAX:
        raise NotFound(what, text)
    return int(str(text))


PUBLIC: Final = Permission(None)


async def _session_caller(request: Request) -> Caller:
    token = request.cookies.get(SESSION_COOKIE, "")
    gate: Gate = request.app.state.gate
    caller = await gate.caller_of_session(token) if token else None
    if caller is None:
        raise NotSignedIn
    return caller


async def _key_caller(request: Request) -> Caller:
    """The client of the key, counted against what it may ask; a dead key against its address."""
    kind, _, key = request.headers.get("authorization", "").partition(" ")
    gate: Gate = request.app.state.gate
    limits: Limits = request.app.state.limits
    at, address = request.app.state.services.clock(), address_of(request)
    known = kind.lower() == "bearer" and key
    caller = await gate.caller_of_key(key.strip()) if known else None
    if caller is None:
        request.state.allowance = limits.stranger(address, at)
        raise NotSignedIn
    changes = request.method not in _SAFE_METHODS
    request.state.allowance = limits.client(caller.person_id, at, changes=changes)
    return caller


def database_of(request: Request) -> Database:
    """The database as far as the caller may see it for the verb of this route."""
    database: Database = request.app.state.services.database
    scope: Reach | None = getattr(request.state, "scope", None)
    if scope is None or scope.building_ids is None:
        return database
    return database.within(scope.building_ids)


def cookie(request: Request, name: str, text: str, max_age_s: int | None = None) -> str:
    """A cookie that only we may read, as a header says it."""
    secure = request.app.state.services.settings.secure_cookies
    response = Response()
    response.set_cookie(name, text, max_age_s, httponly=True, samesite="lax", secure=secure)
    return response.headers["set-cookie"]


async def check_proof(request: Request) -> None:
    """Let pass who has proved lately who they are, or does so with this very form.

    The form comes again with everything that was typed and the proof beside it, so nothing is
    lost; the session goes on under a new token.

    Raises:
        ProofNeeded: no proof was given.
        ProofWrong: it does not fit, or there were too many tries.
    """
    caller: Caller = request.state.caller
    at: datetime = request.app.state.services.clock()
    if caller.proved_at is not None and at < caller.proved_at + PROOF_LIFE:
        return
    sent = await request.form()
    request.state.typed = [(key, text) for key, text in sent.multi_items() if isinstance(text, str)]
    proof = str(sent.get(PROOF_FIELD, ""))
    if not proof:
        raise ProofNeeded
    gate: Gate = request.app.state.gate
    fresh = await gate.prove(caller, request.cookies.get(SESSION_COOKIE, ""), proof)
    if fresh is None:
        raise ProofWrong
    set_cookie = cookie(request, SESSION_COOKIE, fresh)
    request.state.set_cookies = [*getattr(request.state, "set_cookies", ()), set_cookie]


def address_of(request: Request) -> str:
    """Where a request comes from; the proxy in front says so where there is one."""
    return request.client.host if request.client else ""


def form_token(request: Request) -> str:
    """A fresh token for this browser's forms.

    The nonce makes it different on every page, so that compressing the page gives nothing away.
    """
    nonce = secrets.token_hex(_NONCE_CHARS // 2)
    return nonce + _seal(_seed(request), nonce)


async def check_form(request: Request) -> None:
    """Let a form pass only if it carries a token made for this browser.

    Raises:
        FormForged: the token is absent or was made for another browser or session.
    """
    given = request.headers.get(TOKEN_HEADER)
    if given is None:
        given = str((await request.form()).get(TOKEN_FIELD, ""))
    seed = _seed(request)
    wanted = _seal(seed, given[:_NONCE_CHARS])
    if not seed or not hmac.compare_digest(given[_NONCE_CHARS:].encode(), wanted.encode()):
        raise FormForged


def _seed(request: Request) -> str:
    """What only this browser and we know: its session, or before sign-in its seed cookie.

    Of a session the part that stays when its token is renewed, so that open pages go on working.
    """
    fresh: str | None = getattr(request.state, "fresh_seed", None)
    session = request.cookies.get(SESSION_COOKIE, "").partition(".")[0]
    return session or fresh or request.cookies.get(SEED_COOKIE, "")


def _seal(seed: str, nonce: str) -> str:
    return hmac.new(seed.encode(), b"form:" + nonce.encode(), hashlib.sha256).hexdigest()


def verb_of(route: APIRoute) -> Verb | None:
    """The verb a route names, None if it says that it is public.

    Raises:
        RouteWithoutVerb: it names nothing, or more than one verb.
    """
    found = list(_permissions(route.dependant))
    if len({permission.verb for permission in found}) != 1:
        raise RouteWithoutVerb(f"{','.join(sorted(route.methods or ()))} {route.path}")
    return found[0].verb


def check_routes(app: FastAPI) -> list[tuple[str, str, Verb | None]]:
    """Every (method, path, verb) of the application; the console's and the API's contract.

    Raises:
        RouteWithoutVerb: one of them names no verb.
    """
    operations: list[tuple[str, str, Verb | None]] = []
    for context in iter_route_contexts(app.routes):
        route: Any = context.original_route
        if isinstance(route, Mount) and route.path == "/static":
            continue
        if not isinstance(route, APIRoute):
            raise RouteWithoutVerb(str(context.path))
        verb = verb_of(route)
        path = str(context.path)
        operations += [(method, path, verb) for method in sorted(route.methods or ())]
    return operations


def _permissions(dependant: Dependant) -> Iterable[Permission]:
    for child in dependant.dependencies:
        if isinstance(child.call, Permission):
            yield child.call
        yield from _permissions(child)
