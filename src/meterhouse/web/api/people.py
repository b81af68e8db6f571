"""The shapes of staff, roles and API clients in `/api/v1`, and how flows' answers become them.

Owns what other software may rely on. Must never hold a secret but in the one answer that makes it.
"""

from datetime import datetime
from typing import Any

from pydantic import Field

from meterhouse.flows.access import ROLES, ScopeKind
from meterhouse.flows.staff import Grant, Member
from meterhouse.web.api.schemas import Id, Shape


class RoleGrant(Shape):
    """A role somebody holds."""

    id: Id
    """Id of the grant."""
    role: str = Field(examples=["cashier"])
    """Name of the role."""
    scope: ScopeKind
    """How far it reaches."""
    scope_id: int = Field(ge=0, examples=[12])
    """Id of the group, project or building; 0 for the platform."""
    place: str
    """What that is called; empty for the platform, and for what is not yours to see."""
    is_here: bool
    """Whether it was granted within what this address is about, and can be taken away here."""


class StaffMember(Shape):
    """A person of staff."""

    id: Id
    """Id of the person."""
    login: str
    """The user name."""
    name: str
    """The name."""
    is_disabled: bool
    """Whether they are shut out."""
    is_invited: bool
    """Whether they have yet to choose a password."""
    has_authenticator: bool
    """Whether signing in asks for a code."""
    seen_at: datetime | None
    """When they were last seen."""
    grants: list[RoleGrant]
    """The roles that reach into what this address is about."""


class ApiClient(Shape):
    """A program that uses the API."""

    id: Id
    """Id of the client."""
    name: str
    """What it is called."""
    owner: str
    """Who made it."""
    is_disabled: bool
    """Whether it is shut out."""
    used_at: datetime | None
    """When a key of it was last used."""
    grants: list[RoleGrant]
    """The roles that reach into what this address is about."""


class ClientKey(Shape):
    """A key of an API client; the key itself is never shown again."""

    id: Id
    """Id of the key."""
    hint: str
    """How it begins."""
    created_at: datetime
    """When it was made."""
    expires_at: datetime
    """When it ends."""
    revoked_at: datetime | None
    """When it was revoked."""
    seen_at: datetime | None
    """When it was last used."""


class ClientDetail(ApiClient):
    """A program that uses the API, with its keys."""

    keys: list[ClientKey]
    """Its keys, newest first."""


class Role(Shape):
    """A role: what may be done by whoever holds it."""

    id: int | None
    """Id of a house's own role; null for a ready one."""
    name: str
    """Its name."""
    title: str
    """What people call it; empty for a ready one."""
    verbs: list[str] = Field(examples=[["room.read", "credit.add"]])
    """What it lets do."""


class Invited(Shape):
    """Somebody who can now choose a password."""

    person_id: Id
    """Id of the person."""
    expires_at: datetime
    """Until when the link works, once."""
    link: str | None = Field(default=None, examples=["https://meters.example/set-password?token=…"])
    """The link, in this answer alone; absent when the request is repeated."""


class KeyMade(Shape):
    """A new key."""

    client_id: Id
    """Id of the client."""
    expires_at: datetime
    """When it ends."""
    key: str | None = Field(default=None, examples=["mh_kM3…"])
    """The key, in this answer alone; absent when the request is repeated."""


class RoleMade(Shape):
    """A role that was made."""

    id: Id
    """Id of the role."""
    name: str
    """Its name."""


class Ended(Shape):
    """Sessions that were ended."""

    count: int = Field(ge=0)
    """How many."""


def grant(one: Grant) -> RoleGrant:
    """A grant."""
    return RoleGrant(
        id=one.id, role=one.role, scope=one.scope.kind, scope_id=one.scope.id, place=one.place,
        is_here=one.is_here,
    )  # fmt: skip


def staff_member(one: Member) -> StaffMember:
    """A person of staff."""
    row = one.row
    return StaffMember(
        id=row["id"], login=row["login"], name=row["name"] or "",
        is_disabled=row["disabled_at"] is not None, is_invited=not row["has_password"],
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


def roles(own: list[Any]) -> list[Role]:
    """The ready roles, then the house's own."""
    ready = [Role(id=None, name=name, title="", verbs=sorted(v)) for name, v in ROLES.items()]
    return ready + [
        Role(id=one["id"], name=one["name"], title=one["title"], verbs=sorted(one["verbs"]))
        for one in own
    ]
