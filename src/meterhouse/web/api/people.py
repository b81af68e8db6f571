"""The shapes of staff, roles and API clients in `/api/v1`, and how flows' answers become them.

Owns what other software may rely on. Must never hold a secret but in the one answer that makes it.
"""

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import Field

from meterhouse.flows.access import ROLES, ScopeKind
from meterhouse.flows.staff import Grant, Member
from meterhouse.web.api.schemas import COUNT_MAX, ID_MAX, At, Id, Shape, Version, text


class RoleGrant(Shape):
    """A role somebody holds."""

    id: Id
    """Id of the grant."""
    role: str = text("cashier", most=60)
    """Name of the role."""
    scope: ScopeKind
    """How far it reaches."""
    scope_id: Id | None
    """Id of the group, project or building; null for the platform."""
    place: str = text("Anrui Town", "")
    """What that is called; empty for the platform, and for what is not yours to see."""
    is_here: bool = Field(examples=[True])
    """Whether it was granted within what this address is about, and can be taken away here."""


class StaffMember(Shape):
    """A person of staff."""

    id: Id
    """Id of the person."""
    login: str = text("li")
    """The user name."""
    name: str = text("Li Na")
    """The name."""
    email: str = text("w***@example.org", "", most=120)
    """Where links to choose a password are sent, masked; empty for nowhere."""
    language: str = text("zh-Hans", "", most=10)
    """The language they read; empty while they have not chosen."""
    is_disabled: bool = Field(examples=[False])
    """Whether they are shut out."""
    is_erased: bool = Field(examples=[False])
    """Whether nobody knows any more who they were."""
    is_invited: bool = Field(examples=[False])
    """Whether they have yet to choose a password."""
    has_authenticator: bool = Field(examples=[True])
    """Whether signing in asks for a code."""
    seen_at: At | None
    """When they were last seen."""
    grants: list[RoleGrant] = Field(max_length=1000)
    """The roles that reach into what this address is about."""


class ApiClient(Shape):
    """A program that uses the API."""

    id: Id
    """Id of the client."""
    name: str = text("ERP")
    """What it is called."""
    owner: str = text("Li Na")
    """Who made it."""
    is_disabled: bool = Field(examples=[False])
    """Whether it is shut out."""
    used_at: At | None
    """When a key of it was last used."""
    grants: list[RoleGrant] = Field(max_length=1000)
    """The roles that reach into what this address is about."""


class ClientKey(Shape):
    """A key of an API client; the key itself is never shown again."""

    id: Id
    """Id of the key."""
    hint: str = text("mh_kM3")
    """How it begins."""
    created_at: At
    """When it was made."""
    expires_at: At
    """When it ends."""
    revoked_at: At | None
    """When it was revoked."""
    seen_at: At | None
    """When it was last used."""


class ClientDetail(ApiClient):
    """A program that uses the API, with its keys."""

    keys: list[ClientKey] = Field(max_length=1000)
    """Its keys, newest first."""


class Role(Shape):
    """A role: what may be done by whoever holds it."""

    id: int | None = Field(ge=1, le=ID_MAX, examples=[12])
    """Id of a house's own role; null for a ready one."""
    name: str = text("cashier", most=60)
    """Its name."""
    title: str = text("Night porter", "")
    """What people call it; empty for a ready one."""
    verbs: list[Annotated[str, Field(max_length=60)]] = Field(
        max_length=500, examples=[["room.read", "credit.add"]]
    )
    """What it lets do."""
    needs_code: bool = Field(examples=[False])
    """Whether whoever holds it needs an authenticator, by the platform's rule or its own."""


class RoleDetail(Role):
    """One of the house's own roles."""

    version: int = Version
    """Its version, which `If-Match` names in a change."""


class CodeRule(Shape):
    """Which ready roles need an authenticator."""

    roles: list[Annotated[str, Field(max_length=60)]] = Field(
        max_length=100, examples=[["finance"]]
    )
    """Names of ready roles."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""


class Invited(Shape):
    """Somebody who can now choose a password."""

    person_id: Id
    """Id of the person."""
    expires_at: At
    """Until when the link works, once."""
    link: str | None = Field(
        default=None, max_length=500, examples=["https://meters.example/set-password?token=…"]
    )
    """The link, in this answer alone; absent when it was sent, and when the request is repeated."""
    sent_to: str | None = Field(default=None, max_length=120, examples=["w***@example.org"])
    """Where the link was sent by e-mail, masked; absent when it was not, or on a repeat."""


class KeyMade(Shape):
    """A new key."""

    client_id: Id
    """Id of the client."""
    expires_at: At
    """When it ends."""
    key: str | None = Field(default=None, max_length=200, examples=["mh_kM3…"])
    """The key, in this answer alone; absent when the request is repeated."""


class RoleMade(Shape):
    """A role that was made."""

    id: Id
    """Id of the role."""
    name: str = text("night_porter", most=60)
    """Its name."""


class Ended(Shape):
    """Sessions that were ended."""

    count: int = Field(ge=0, le=COUNT_MAX, examples=[2])
    """How many."""


def grant(one: Grant) -> RoleGrant:
    """A grant."""
    return RoleGrant(
        id=one.id, role=one.role, scope=one.scope.kind, scope_id=one.scope.id or None,
        place=one.place, is_here=one.is_here,
    )  # fmt: skip


def staff_member(one: Member) -> StaffMember:
    """A person of staff."""
    row = one.row
    return StaffMember(
        id=row["id"], login=row["login"], name=row["name"] or "",
        email=row["email"] or "", language=row["language"],
        is_disabled=row["disabled_at"] is not None, is_erased=row["erased_at"] is not None,
        is_invited=not row["has_password"],
        has_authenticator=row["totp_from"] is not None, seen_at=row["seen_at"],
        grants=[grant(held) for held in one.grants],
    )  # fmt: skip


def _client(one: Member) -> dict[str, Any]:
    row = one.row
    return {
        "id": row["id"], "name": row["name"] or "", "owner": row["owner"],
        "is_disabled": row["disabled_at"] is not None, "used_at": row["used_at"],
        "grants": [grant(held) for held in one.grants],
    }  # fmt: skip


def client(one: Member) -> ApiClient:
    """A client."""
    return ApiClient(**_client(one))


def client_detail(one: Member, keys: list[Any]) -> ClientDetail:
    """A client with its keys."""
    return ClientDetail(**_client(one), keys=[ClientKey(**dict(key)) for key in keys])


def roles(own: list[Any], need_codes: Collection[str]) -> list[Role]:
    """The ready roles, of which these need codes everywhere, then the house's own."""
    ready = [
        Role(id=None, name=name, title="", verbs=sorted(verbs), needs_code=name in need_codes)
        for name, verbs in ROLES.items()
    ]
    return ready + [Role(**_own(one)) for one in own]


def role_detail(row: Any) -> RoleDetail:
    """One of the house's own roles."""
    return RoleDetail(**_own(row), version=row["version"])


def _own(row: Any) -> dict[str, Any]:
    return {
        "id": row["id"], "name": row["name"], "title": row["title"], "verbs": sorted(row["verbs"]),
        "needs_code": row["needs_code"],
    }  # fmt: skip
