"""Pages of staff, API clients and roles, in a project, a group, or the platform.

Owns what is shown. Must never change anything: what can be done is declared in `acts`.
"""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import client, role, staff
from meterhouse.flows.access import ROLES, Verb
from meterhouse.web.access import Permission, database_of
from meterhouse.web.pages import render, words_of
from meterhouse.web.realms import REALMS, base_of, where
from meterhouse.web.rolewords import SCOPE, VERB, role_word

router = APIRouter()
_MAY = [Depends(Permission(Verb.STAFF_READ))]


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


async def staff_page(request: Request) -> Response:
    """Everybody of staff who reaches this place."""
    found = await staff.members(
        database_of(request), request.state.caller.person_id, *where(request.path_params)
    )
    return render(request, "staff.html", _facts(request) | {"members": found})


async def member_page(request: Request, person_id: int) -> Response:
    """One of them, with their roles."""
    one = await staff.member(
        database_of(request), request.state.caller.person_id, *where(request.path_params), person_id
    )
    return render(request, "member.html", _facts(request) | {"member": one})


async def clients_page(request: Request) -> Response:
    """The API clients that reach this place."""
    found = await staff.members(
        database_of(request), request.state.caller.person_id, *where(request.path_params), "client"
    )
    return render(request, "clients.html", _facts(request) | {"members": found})


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
    columns = [(role_word(name, "", words), verbs, None) for name, verbs in ROLES.items()]
    columns += [(one["title"], frozenset(one["verbs"]), one["id"]) for one in own]
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
