"""Pages of staff, API clients and roles, in a project, a group, or the platform.

Owns what is shown. Must never change anything: what can be done is declared in `acts`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import client, project, role, staff
from meterhouse.flows.access import ROLES, ScopeKind, Verb
from meterhouse.store.db import PLATFORM
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api.paging import Paging, framed, opened
from meterhouse.web.pages import render, words_of
from meterhouse.web.realms import REALMS, base_of, where
from meterhouse.web.rolewords import ROLE, SCOPE, VERB, role_word
from meterhouse.words import N_

router = APIRouter()
_MAY = [Depends(Permission(Verb.STAFF_READ))]

STAFF_OF: Final = {
    ScopeKind.PROJECT: N_("Staff"),
    ScopeKind.GROUP: N_("Staff of {group}"),
    ScopeKind.PLATFORM: N_("Staff of the platform"),
}
CLIENTS_OF: Final = {
    ScopeKind.PROJECT: N_("API clients"),
    ScopeKind.GROUP: N_("API clients of {group}"),
    ScopeKind.PLATFORM: N_("API clients of the platform"),
}


def _facts(request: Request) -> dict[str, Any]:
    """What every one of these pages needs."""
    words = words_of(request)
    caller = request.state.caller
    return {
        "base": base_of(request.path_params),
        "held": caller.granted(request.path_params),
        "scope_word": SCOPE,
        "role_word": lambda grant: role_word(grant.role, grant.title, words),
        "me": caller.person_id,
    }


async def _heading(request: Request, of: Mapping[ScopeKind, str]) -> str:
    """A list's heading: whose staff or clients they are, where it is not the project's."""
    kind, place_id = where(request.path_params)
    if kind is not ScopeKind.GROUP:
        return words_of(request)(of[kind])
    group = await project.group(database_of(request), place_id)
    return words_of(request)(of[kind], group=group["name"])


async def _page(request: Request, person_kind: str) -> dict[str, Any]:
    """A page of a list: its members, how many there are in all, and where the next page begins."""
    kind, place_id = where(request.path_params)
    asked = Paging(staff.PAGE_ROWS_MAX, request.query_params.get("after", ""), True)
    after, seal = opened(asked, PLATFORM, f"{person_kind}:{kind}:{place_id}", "", {})
    found = await staff.members(
        database_of(request), request.state.caller.person_id, kind, place_id, person_kind,
        after=after, limit=asked.limit, counted=True,
    )  # fmt: skip
    told = framed(found, seal, lambda one: one)
    return {"members": told["items"], "count": found.row_count, "next": told["next_cursor"]}


async def staff_page(request: Request) -> Response:
    """Everybody of staff who reaches this place."""
    facts = await _page(request, "staff")
    kind, place_id = where(request.path_params)
    need_codes = None
    if kind is not ScopeKind.PROJECT:
        need_codes, _ = await role.code_rule(database_of(request), place_id)
    facts |= {
        "need_codes": need_codes,
        "ready_role": ROLE,
        "heading": await _heading(request, STAFF_OF),
    }
    return render(request, "staff.html", _facts(request) | facts)


async def member_page(request: Request, person_id: int) -> Response:
    """One of them, with their roles."""
    one = await staff.member(
        database_of(request), request.state.caller.person_id, *where(request.path_params), person_id
    )
    return render(request, "member.html", _facts(request) | {"member": one})


async def clients_page(request: Request) -> Response:
    """The API clients that reach this place."""
    facts = await _page(request, "client") | {"heading": await _heading(request, CLIENTS_OF)}
    return render(request, "clients.html", _facts(request) | facts)


async def client_page(request: Request, client_id: int) -> Response:
    """One of them, with its roles and keys."""
    one, keys = await client.keys(
        database_of(request), request.state.caller.person_id, *where(request.path_params), client_id
    )
    return render(request, "client.html", _facts(request) | {"member": one, "keys": keys})


@router.get("/roles", dependencies=[Depends(Permission(Verb.SESSION_OWN))])
async def roles_page(request: Request) -> Response:
    """What each role lets do: verbs down, roles across."""
    own = await role.own_roles(database_of(request))
    words = words_of(request)
    need_codes, _ = await role.code_rule(database_of(request), PLATFORM)
    columns = [
        (role_word(name, "", words), verbs, None, name in need_codes)
        for name, verbs in ROLES.items()
    ]
    columns += [
        (one["title"], frozenset(one["verbs"]), one["id"], one["needs_code"]) for one in own
    ]
    facts = {
        "columns": columns,
        "verbs": VERB,
        "may_edit": Verb.ROLE_EDIT in request.state.caller.platform,
    }
    return render(request, "roles.html", facts)


def _add(path: str, page: Callable[..., Any], name: str) -> None:
    router.add_api_route(path, page, methods=["GET"], dependencies=_MAY, name=name)


for _realm in REALMS:
    _add(f"{_realm.address}/staff", staff_page, f"{_realm.prefix}staff")
    _add(f"{_realm.address}/staff/{{person_id:int}}", member_page, f"{_realm.prefix}member")
    _add(f"{_realm.address}/clients", clients_page, f"{_realm.prefix}clients")
    _add(f"{_realm.address}/clients/{{client_id:int}}", client_page, f"{_realm.prefix}client")
