"""People of staff: invited, granted roles, shut out, let in; never beyond what the doer holds.

Owns the rules of giving. Whoever gives a role holds all of its verbs there; whoever acts on a
person holds all that the person holds, so that nobody climbs by taking over somebody else's
sign-in; nobody takes away their own last right to look after a place; and the platform always
keeps an administrator. Must never know an address or a form.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows import passwords
from meterhouse.flows.access import (
    ROLES,
    Known,
    Scope,
    ScopeKind,
    Verb,
    granted_verbs,
    known_of,
)
from meterhouse.flows.monitor import Following, Position
from meterhouse.store import credentials, people, personal
from meterhouse.store.db import PLATFORM, Connection, Database
from meterhouse.store.lists import PositionUnfit

INVITATION_LIFE: Final = timedelta(hours=24)
RESET_LIFE: Final = timedelta(hours=1)
NAME_CHARS_MAX: Final = 100
PAGE_ROWS_MAX: Final = 200
ADMINISTRATOR: Final = "platform_administrator"


class BeyondYours(MeterhouseError):
    """That would give, or touch, more than you hold there yourself."""

    code = "beyond_yours"
    http_status = 403


class LastAdministrator(MeterhouseError):
    """Nobody would be left to look after this; give the role to somebody else first."""

    code = "last_administrator"
    http_status = 409


class LoginUnusable(BadInput):
    """A user name has 2 to 100 characters: letters, figures and . _ - @."""

    code = "login_unusable"


class StaffErased(MeterhouseError):
    """This person has been erased; nobody can bring them back."""

    code = "staff_erased"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Realm:
    """What somebody looks after: the platform, a group with its projects, or a project.

    `group_id` is 0 for the platform; `project_ids` are those of the realm that the doer reaches.
    """

    kind: ScopeKind
    id: int
    group_id: int
    project_ids: tuple[int, ...]

    @property
    def whole(self) -> Scope:
        """The scope that is all of it."""
        return Scope(self.kind, self.id)

    def has(self, scope: Scope) -> bool:
        """Whether a scope lies within."""
        if self.kind is ScopeKind.PLATFORM:
            return True
        if scope.kind is ScopeKind.GROUP:
            return self.kind is ScopeKind.GROUP and scope.id == self.id
        project_id = scope.project_id if scope.kind is ScopeKind.BUILDING else scope.id
        return scope.kind is not ScopeKind.PLATFORM and project_id in self.project_ids


@dataclass(frozen=True, slots=True)
class Grant:
    """A role somebody holds, and where; `place` names it, or is empty for the platform.

    `is_here`: given within the realm, so that it can be taken away from there.
    """

    id: int
    role: str
    title: str
    scope: Scope
    place: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A person of staff as seen from a realm, with all the grants that reach into it."""

    row: Any
    grants: Sequence[Grant]


async def realm_of(connection: Connection, known: Known, kind: ScopeKind, place_id: int) -> Realm:
    """The realm an address names. Raises `NotFound` where the doer does not reach."""
    if kind is ScopeKind.PLATFORM:
        return Realm(kind, 0, 0, tuple(one.project_id for one in known.reaches))
    if kind is ScopeKind.GROUP:
        inside = tuple(one.project_id for one in known.reaches if one.group_id == place_id)
        groups = await people.group_names(connection, [place_id])
        if not groups or not (place_id in known.groups or known.platform):
            raise NotFound("Group", place_id)
        return Realm(kind, place_id, place_id, inside)
    reach = next((one for one in known.reaches if one.project_id == place_id), None)
    if reach is None:
        raise NotFound("Project", place_id)
    return Realm(kind, place_id, reach.group_id, (place_id,))


async def doer_of(connection: Connection, doer_id: int) -> Known:
    """What the doer holds at this instant, not at the page's."""
    row = await people.get_person(connection, doer_id)
    if row is None or row["disabled_at"] is not None:
        raise NotFound("Person", doer_id)
    return await known_of(connection, row)


async def members(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_kind: str = "staff",
    *, after: Position | None = None, limit: int = PAGE_ROWS_MAX, counted: bool = False,
) -> Following:  # fmt: skip
    """A page of one kind whose grants reach into a realm, by name, who is shut out last.

    Raises:
        PositionUnfit: `after`, where the page before ended, is no place in this list.
    """
    _check_position(after)
    async with db.transaction([PLATFORM]) as connection:
        known = await doer_of(connection, doer_id)
        realm = await realm_of(connection, known, kind, place_id)
        rows = await people.persons_within(
            connection, person_kind, realm.group_id, realm.project_ids,
            after=after or (None, None, None), limit=limit + 1,
        )  # fmt: skip
        row_count = None
        if counted:
            row_count = await people.count_within(
                connection, person_kind, realm.group_id, realm.project_ids
            )
        shown = await _with_grants(connection, known, realm, rows[:limit])
    last = shown[-1].row if len(rows) > limit else None
    end = None if last is None else [last["is_out"], last["sorted_name"], last["id"]]
    return Following(shown, end, row_count)


def _check_position(after: Position | None) -> None:
    if after is None:
        return
    fits = [type(one) for one in after] == [bool, str, int] and "\0" not in after[1]
    if not (fits and 0 < after[2] < 2**63):
        raise PositionUnfit


async def _with_grants(
    connection: Connection, known: Known, realm: Realm, rows: Sequence[Any]
) -> list[Member]:
    """Persons of a realm, each with the grants that reach into it."""
    given = await people.grants_of(connection, [row["id"] for row in rows])
    scopes = {_scope(row) for rows in given.values() for row in rows}
    names = await _names(connection, known, scopes)
    return [
        Member(row, [_grant(one, realm, names) for one in given[row["id"]] if _shows(one, realm)])
        for row in rows
    ]


async def member(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int,
    person_kind: str = "staff",
) -> Member:  # fmt: skip
    """One of them. Raises `NotFound` for anybody else."""
    async with db.transaction([PLATFORM]) as connection:
        known = await doer_of(connection, doer_id)
        realm = await realm_of(connection, known, kind, place_id)
        rows = await people.persons_within(
            connection, person_kind, realm.group_id, realm.project_ids, person_id
        )
        if not rows:
            raise NotFound("Person", person_id)
        return (await _with_grants(connection, known, realm, rows))[0]


async def places(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int
) -> list[tuple[Scope, str]]:
    """Where roles may be granted from a realm, widest first, each with its name."""
    async with db.transaction([PLATFORM]) as connection:
        known = await doer_of(connection, doer_id)
        realm = await realm_of(connection, known, kind, place_id)
        found = [Scope(ScopeKind.PROJECT, project_id) for project_id in realm.project_ids]
        if kind is ScopeKind.PLATFORM:
            groups = sorted({one.group_id for one in known.reaches})
            found = [Scope(ScopeKind.GROUP, group_id) for group_id in groups] + found
        if kind is not ScopeKind.PROJECT:
            found.insert(0, realm.whole)
        else:
            inside = await people.buildings_of(connection, place_id)
            found += [Scope(ScopeKind.BUILDING, one, place_id) for one in inside]
        names = await _names(connection, known, found)
    return [(scope, names.get(scope, "")) for scope in found]


async def invite(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, login: str, name: str, role: str,
    scope: Scope, at: datetime, email: str | None = None,
) -> tuple[int, str]:  # fmt: skip
    """A person without a password yet, and the token of the link by which they choose one.

    Raises:
        LoginUnusable: the login is not one.
        BeyondYours: the role holds more there than the doer.
        Conflict: the login is taken.
        NotFound: there is no such role or place.
    """
    login, name = login.strip(), name.strip()[:NAME_CHARS_MAX]
    plain = login.replace(".", "").replace("_", "").replace("-", "").replace("@", "")
    if not (2 <= len(login) <= 100 and plain.isascii() and plain.isalnum() and name):
        raise LoginUnusable
    token = passwords.new_token()
    async with db.transaction([PLATFORM]) as connection:
        person_id = await people.insert_person(
            connection, "staff", login, name, None, doer_id, at, email
        )
        await give_new(connection, doer_id, kind, place_id, person_id, "staff", role, scope, at)
        await credentials.insert_link(
            connection, passwords.digest(token), person_id, "invitation", doer_id, at,
            at + INVITATION_LIFE,
        )  # fmt: skip
    return person_id, token


async def give(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int, role: str,
    scope: Scope, at: datetime, person_kind: str = "staff",
) -> bool:  # fmt: skip
    """Give somebody of the realm a role in it; False when they hold it already.

    Raises:
        BeyondYours: the role holds more there than the doer.
        NotFound: there is no such person, role or place in the realm.
    """
    async with db.transaction([PLATFORM]) as connection:
        await people.lock_grants(connection)
        known, realm, _ = await _meet(connection, doer_id, kind, place_id, person_id, person_kind)
        return await _give(connection, known, realm, person_id, person_kind, role, scope, at)


async def take(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int, grant_id: int,
    person_kind: str = "staff",
) -> tuple[str, Scope]:  # fmt: skip
    """Take a role away; answers which it was, and where.

    Raises:
        BeyondYours: the role holds more there than the doer.
        LastAdministrator: the doer could not look after the place any more, or nobody could look
            after the platform.
        NotFound: they do not hold it, or it is outside the realm.
    """
    async with db.transaction([PLATFORM]) as connection:
        await people.lock_grants(connection)
        known, realm, row = await _meet(connection, doer_id, kind, place_id, person_id, person_kind)
        given = await people.grants(connection, person_id)
        found = next((one for one in given if one["id"] == grant_id), None)
        if found is None or not realm.has(_scope(found)):
            raise NotFound("Grant", grant_id)
        role, scope = found["role"], _scope(found)
        verbs = granted_verbs(role, found["verbs"], scope.kind, person_kind)
        if not verbs <= known.holds(scope):
            raise BeyondYours
        await people.take(connection, person_id, grant_id)
        if person_id == doer_id and Verb.STAFF_EDIT in verbs:
            left = await known_of(connection, row)
            if Verb.STAFF_EDIT not in left.holds(scope):
                raise LastAdministrator
        await _keep_administrator(connection, role, scope)
        return role, scope


async def set_disabled(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int, is_out: bool,
    at: datetime, person_kind: str = "staff",
) -> None:  # fmt: skip
    """Shut somebody out, or let them in again; their sessions end.

    Raises:
        BeyondYours: they hold more than the doer, or are the doer.
        LastAdministrator: nobody could look after the platform any more.
        StaffErased: nobody is left to be let in.
    """
    async with db.transaction([PLATFORM]) as connection:
        await people.lock_grants(connection)
        await meet_covered(connection, doer_id, kind, place_id, person_id, person_kind)
        if person_kind == "staff":
            await check_there(connection, person_id)
        await people.set_disabled(connection, person_id, at if is_out else None)
        if is_out:
            await _keep_administrator(connection, ADMINISTRATOR, Scope(ScopeKind.PLATFORM))


async def check_there(connection: Connection, person_id: int) -> None:
    """Let nobody bring back whom somebody erased. Raises `StaffErased`."""
    row = await personal.of_staff(connection, person_id)
    if row is not None and row["erased_at"] is not None:
        raise StaffErased


async def new_link(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int, at: datetime
) -> tuple[str, datetime]:
    """The token of a link by which somebody chooses a new password, and when it ends.

    Older links are void.

    Raises:
        BeyondYours: they hold more than the doer, or are the doer.
        StaffErased: there is nobody to choose a password.
    """
    token = passwords.new_token()
    async with db.transaction([PLATFORM]) as connection:
        row = await meet_covered(connection, doer_id, kind, place_id, person_id, "staff")
        await check_there(connection, person_id)
        is_reset = row["password_hash"] is not None
        expires_at = at + (RESET_LIFE if is_reset else INVITATION_LIFE)
        await credentials.insert_link(
            connection, passwords.digest(token), person_id, "reset" if is_reset else "invitation",
            doer_id, at, expires_at,
        )  # fmt: skip
    return token, expires_at


async def end_sessions(
    db: Database, doer_id: int, kind: ScopeKind, place_id: int, person_id: int
) -> int:
    """End all sessions of somebody; answers how many. Raises `BeyondYours`."""
    async with db.transaction([PLATFORM]) as connection:
        await meet_covered(connection, doer_id, kind, place_id, person_id, "staff")
        return await credentials.end_sessions(connection, person_id, None)


async def give_new(
    connection: Connection, doer_id: int, kind: ScopeKind, place_id: int, person_id: int,
    person_kind: str, role: str, scope: Scope, at: datetime,
) -> None:  # fmt: skip
    """Give somebody who has just been made their first role; within the same transaction."""
    await people.lock_grants(connection)
    known = await doer_of(connection, doer_id)
    realm = await realm_of(connection, known, kind, place_id)
    await _give(connection, known, realm, person_id, person_kind, role, scope, at)


async def meet_covered(
    connection: Connection, doer_id: int, kind: ScopeKind, place_id: int, person_id: int,
    person_kind: str, *, or_self: bool = False,
) -> Any:  # fmt: skip
    """The row of somebody in a realm who holds no more than the doer.

    Args:
        or_self: whether the doer may be meant too.

    Raises:
        NotFound: they are not in the realm.
        BeyondYours: they hold more, or are the doer.
    """
    known, _, row = await _meet(connection, doer_id, kind, place_id, person_id, person_kind)
    if not (or_self and person_id == doer_id):
        await _check_covers(connection, known, row)
    return row


async def _meet(
    connection: Connection, doer_id: int, kind: ScopeKind, place_id: int, person_id: int,
    person_kind: str,
) -> tuple[Known, Realm, Any]:  # fmt: skip
    """The doer, the realm and the person in it. Raises `NotFound` for anybody outside."""
    known = await doer_of(connection, doer_id)
    realm = await realm_of(connection, known, kind, place_id)
    row = await people.get_person(connection, person_id)
    given = [] if row is None else await people.grants(connection, person_id)
    is_there = realm.kind is ScopeKind.PLATFORM or any(_shows(one, realm) for one in given)
    if row is None or row["kind"] != person_kind or not is_there:
        raise NotFound("Person", person_id)
    return known, realm, row


async def _give(
    connection: Connection, known: Known, realm: Realm, person_id: int, person_kind: str,
    role: str, scope: Scope, at: datetime,
) -> bool:  # fmt: skip
    if not realm.has(scope) or not await _exists(connection, known, scope):
        raise NotFound("Place", scope.id)
    if not await _verbs(connection, role, scope, person_kind) <= known.holds(scope):
        raise BeyondYours
    return await people.grant(connection, person_id, role, *scope, known.person_id, at)


async def _exists(connection: Connection, known: Known, scope: Scope) -> bool:
    if scope.kind is ScopeKind.GROUP:
        return bool(await people.group_names(connection, [scope.id]))
    if scope.kind is ScopeKind.PROJECT:
        return any(one.project_id == scope.id for one in known.reaches)
    if scope.kind is ScopeKind.BUILDING:
        return await people.is_building(connection, scope.project_id, scope.id)
    return scope.id == 0


async def _verbs(
    connection: Connection, role: str, scope: Scope, person_kind: str
) -> frozenset[str]:
    own = None if role in ROLES else await people.get_role(connection, name=role)
    if role not in ROLES and own is None:
        raise NotFound("Role", role)
    return granted_verbs(role, own and own["verbs"], scope.kind, person_kind)


async def _check_covers(connection: Connection, known: Known, row: Any) -> None:
    """Let nobody act on a person who holds more. Raises `BeyondYours`."""
    if row["id"] == known.person_id:
        raise BeyondYours
    for one in await people.grants(connection, row["id"]):
        scope = _scope(one)
        verbs = granted_verbs(one["role"], one["verbs"], scope.kind, one["person_kind"])
        if not verbs <= known.holds(scope):
            raise BeyondYours


async def _keep_administrator(connection: Connection, role: str, scope: Scope) -> None:
    is_platform = role == ADMINISTRATOR and scope.kind is ScopeKind.PLATFORM
    if is_platform and not await people.count_administrators(connection, ADMINISTRATOR):
        raise LastAdministrator


def _scope(row: Any) -> Scope:
    return Scope(ScopeKind(row["scope_kind"]), row["scope_id"], row["project_id"] or 0)


def _shows(row: Any, realm: Realm) -> bool:
    """Whether a grant reaches into a realm: from within, or from above."""
    scope = _scope(row)
    above = scope.kind is ScopeKind.PLATFORM or (
        scope.kind is ScopeKind.GROUP and scope.id == realm.group_id
    )
    return above or realm.has(scope)


def _grant(row: Any, realm: Realm, names: Mapping[Scope, str]) -> Grant:
    scope = _scope(row)
    return Grant(
        row["id"], row["role"], row["title"], scope, names.get(scope, ""), realm.has(scope)
    )


async def _names(
    connection: Connection, known: Known, scopes: Collection[Scope]
) -> dict[Scope, str]:
    """What scopes are called, as far as the doer sees them; the platform has no name."""
    projects = {one.project_id: one.name for one in known.reaches}
    group_ids = [one.id for one in scopes if one.kind is ScopeKind.GROUP]
    groups = await people.group_names(connection, group_ids)
    inside = [one for one in scopes if one.kind is ScopeKind.BUILDING]
    project_ids = sorted({one.project_id for one in inside} & projects.keys())
    buildings = await people.building_names(connection, project_ids, [one.id for one in inside])
    names = {}
    for scope in scopes:
        match scope.kind:
            case ScopeKind.GROUP:
                names[scope] = groups.get(scope.id, "")
            case ScopeKind.PROJECT:
                names[scope] = projects.get(scope.id, "")
            case ScopeKind.BUILDING:
                building = buildings.get((scope.project_id, scope.id), "")
                names[scope] = f"{projects.get(scope.project_id, '')} · {building}"
    return names
