"""The API's operations that only look at staff, API clients and roles.

Owns the addresses. What changes them is declared in `acts`. Must never show a key again.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from meterhouse.flows import client, role, staff
from meterhouse.flows.access import ScopeKind, Verb
from meterhouse.store.db import PLATFORM, Database
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import people, v1
from meterhouse.web.api.etags import VERSIONED, etag
from meterhouse.web.api.paging import Paging, framed, opened
from meterhouse.web.api.schemas import Page
from meterhouse.web.realms import REALMS, Realm, where

router = APIRouter(**v1.KEYED, route_class=v1.NumberedRoute)
PersonId = Annotated[int, v1.path_id("person")]
ClientId = Annotated[int, v1.path_id("client")]
ByName = Annotated[Literal["name"], Query(description="What to sort by; there is one order.")]


def _realm(request: Request) -> tuple[Database, int, ScopeKind, int]:
    person_id = request.state.caller.person_id
    return (database_of(request), person_id, *where(request.path_params))


async def _page(
    request: Request, pages: Paging, sort: str, kind: str, shape: Callable[[staff.Member], Any]
) -> dict[str, Any]:
    """A page of those of one kind in the realm of the address, by name."""
    realm = _realm(request)
    after, seal = opened(pages, PLATFORM, f"{kind}:{realm[2]}:{realm[3]}", sort, {})
    found = await staff.members(
        *realm, kind, after=after, limit=pages.limit, counted=pages.is_counted
    )
    return framed(found, seal, shape)


async def list_staff(
    request: Request, pages: v1.Pages, sort: ByName = "name"
) -> Page[people.StaffMember]:
    """Staff whose roles reach into this place, by name; who is shut out comes last."""
    found = await _page(request, pages, sort, "staff", people.staff_member)
    return Page[people.StaffMember](**found)


async def get_staff(request: Request, person_id: PersonId) -> people.StaffMember:
    """One person of staff."""
    return people.staff_member(await staff.member(*_realm(request), person_id))


async def list_clients(
    request: Request, pages: v1.Pages, sort: ByName = "name"
) -> Page[people.ApiClient]:
    """API clients whose roles reach into this place, by name; who is shut out comes last."""
    found = await _page(request, pages, sort, "client", people.client)
    return Page[people.ApiClient](**found)


async def get_client(request: Request, client_id: ClientId) -> people.ClientDetail:
    """One API client with its keys."""
    return people.client_detail(*await client.keys(*_realm(request), client_id))


@router.get("/roles", dependencies=[Depends(Permission(Verb.SESSION_OWN))], tags=["staff"])
async def list_roles(request: Request) -> list[people.Role]:
    """The ready roles and the house's own, with what each lets do."""
    db = database_of(request)
    need_codes, _ = await role.code_rule(db, PLATFORM)
    return people.roles(await role.own_roles(db), need_codes)


@router.get("/platform/roles/{role_id}", **v1.told_of(Verb.ROLE_EDIT), tags=["staff"])
async def get_role(
    request: Request, response: Response, role_id: Annotated[int, v1.path_id("role")]
) -> people.RoleDetail:
    """One of the house's own roles, with what it lets do."""
    row = await role.one_role(database_of(request), role_id)
    response.headers.update(etag(row["version"]))
    return people.role_detail(row)


async def get_codes(request: Request, response: Response) -> people.CodeRule:
    """The ready roles whose holders need an authenticator here; a group's add to the platform's."""
    group_id = where(request.path_params)[1]
    roles, version = await role.code_rule(database_of(request), group_id)
    response.headers.update(etag(version))
    return people.CodeRule(roles=roles, version=version)


async def _project(project_id: v1.ProjectId) -> None:
    """The address names a project."""


async def _group(group_id: Annotated[int, v1.path_id("group")]) -> None:
    """The address names a group."""


_NAMED: Final[dict[ScopeKind, list[Any]]] = {
    ScopeKind.PROJECT: [Depends(_project)],
    ScopeKind.GROUP: [Depends(_group)],
}


def _add(
    realm: Realm, path: str, operation: Callable[..., Any], *, versioned: bool = False
) -> None:
    name = operation.__name__
    dependencies = [Depends(Permission(Verb.STAFF_READ)), *_NAMED.get(realm.kind, ())]
    more = VERSIONED if versioned else {"dependencies": []}
    router.add_api_route(
        f"{realm.address}{path}",
        operation,
        methods=["GET"],
        dependencies=[*dependencies, *more["dependencies"]],
        responses=more.get("responses"),
        name=f"{name}_of_{realm.prefix or 'project'}",
        tags=["staff"],
    )


for _one in REALMS:
    _add(_one, "/staff", list_staff)
    _add(_one, "/staff/{person_id}", get_staff)
    _add(_one, "/clients", list_clients)
    _add(_one, "/clients/{client_id}", get_client)
    if _one.kind is not ScopeKind.PROJECT:
        _add(_one, "/codes", get_codes, versioned=True)
