"""Where staff and API clients are looked after: a project, a group, or the platform.

Owns how each is spelled in an address. Must never know who may do what there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from meterhouse.flows.access import ScopeKind


@dataclass(frozen=True, slots=True)
class Realm:
    """Where staff is looked after: part of an act's name, and the begin of its address."""

    prefix: str
    kind: ScopeKind
    address: str


REALMS: Final = (
    Realm("", ScopeKind.PROJECT, "/projects/{project_id}"),
    Realm("group", ScopeKind.GROUP, "/groups/{group_id}"),
    Realm("platform", ScopeKind.PLATFORM, "/platform"),
)


def where(ids: Mapping[str, Any]) -> tuple[ScopeKind, int]:
    """The realm the numbers of an address name."""
    if "project_id" in ids:
        return ScopeKind.PROJECT, int(ids["project_id"])
    if "group_id" in ids:
        return ScopeKind.GROUP, int(ids["group_id"])
    return ScopeKind.PLATFORM, 0


def base_of(ids: Mapping[str, Any]) -> str:
    """The console's address of that realm."""
    kind, place_id = where(ids)
    return "/platform" if kind is ScopeKind.PLATFORM else f"/{kind}s/{place_id}"
