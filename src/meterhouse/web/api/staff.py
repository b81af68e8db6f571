"""The API's operations that only look at staff, API clients and roles.

Owns the addresses. What changes them is declared in `acts`. Must never show a key again.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request

from meterhouse.flows import client, role, staff
from meterhouse.flows.access import ScopeKind, Verb
from meterhouse.store.db import Database
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import people, v1
from meterhouse.web.realms import REALMS, Realm, where

router = APIRouter(route_class=v1.NumberedRoute)
PersonId = Annotated[int, v1.path_id("person")]
ClientId = Annotated[int, v1.path_id("client")]


def _realm(request: Request) -> tuple[Database, int, ScopeKind, int]:
    person_id = request.state.caller.person_id
    return (database_of(request), person_id, *where(request.path_params))


async def list_staff(request: Request) -> list[people.StaffMember]:
    """Staff whose roles reach into this place."""
    return [people.staff_member(one) for one in await staff.members(*_realm(request))]


async def get_staff(request: Request, person_id: PersonId) -> people.StaffMember:
    """One person of staff."""
    return people.staff_member(await staff.member(*_realm(request), person_id))


async def list_clients(request: Request) -> list[people.ApiClient]:
    """API clients whose roles reach into this place."""
    return [people.client(one) for one in await staff.members(*_realm(request), "client")]


async def get_client(request: Request, client_id: ClientId) -> people.ClientDetail:
    """One API client with its keys."""
    return people.client_detail(*await client.keys(*_realm(request), client_id))


@router.get("/roles", dependencies=[Depends(Permission(Verb.SESSION_OWN))], tags=["staff"])
async def list_roles(request: Request) -> list[people.Role]:
    """The ready roles and the house's own, with what each lets do."""
    return people.roles(await role.own_roles(database_of(request)))


async def _project(project_id: v1.ProjectId) -> None:
    """The address names a project."""


async def _group(group_id: Annotated[int, v1.path_id("group")]) -> None:
    """The address names a group."""


_NAMED: Final[dict[ScopeKind, list[Any]]] = {
    ScopeKind.PROJECT: [Depends(_project)],
    ScopeKind.GROUP: [Depends(_group)],
}


def _add(realm: Realm, path: str, operation: Callable[..., Any]) -> None:
    name = operation.__name__
    router.add_api_route(
        f"{realm.address}{path}",
        operation,
        methods=["GET"],
        dependencies=[Depends(Permission(Verb.STAFF_READ)), *_NAMED.get(realm.kind, ())],
        name=f"{name}_of_{realm.prefix or 'project'}",
        tags=["staff"],
    )


for _one in REALMS:
    _add(_one, "/staff", list_staff)
    _add(_one, "/staff/{person_id}", get_staff)
    _add(_one, "/clients", list_clients)
    _add(_one, "/clients/{client_id}", get_client)
