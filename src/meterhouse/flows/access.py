"""Who may do what: verbs, the ready roles, grants of roles by scope, and what a caller reaches.

Owns the meaning of a grant: a verb granted wider is granted narrower, a grant in one building
reaches only what lies in a building, and a program's ready role leaves out what asks a person for
proof. Must never know how somebody proved who they are; `signin` and `client` do.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

from meterhouse.errors import NotFound
from meterhouse.flows import passwords
from meterhouse.store import credentials, people
from meterhouse.store.db import PLATFORM, Connection, Database

SESSION_LIFE: Final = timedelta(hours=12)
SESSION_IDLE: Final = timedelta(hours=2)
KEY_LIFE_MAX: Final = timedelta(days=365)
KEY_MARK: Final = "mh_"


class Verb(StrEnum):
    """What a route or flow does; a role is a set of these."""

    SESSION_OWN = "session.own"
    ROOM_READ = "room.read"
    ALARM_READ = "alarm.read"
    DEVICE_READ = "device.read"
    NOTICE_READ = "notice.read"
    COMMAND_READ = "command.read"
    CUSTOMER_READ = "customer.read"
    TARIFF_READ = "tariff.read"
    PROJECT_READ = "project.read"
    MONEY_READ = "money.read"
    TASK_READ = "task.read"
    AUDIT_READ = "audit.read"
    STAFF_READ = "staff.read"
    METER_READ = "meter.read"
    METER_SWITCH = "meter.switch"
    CREDIT_ADD = "credit.add"
    ALARM_CLOSE = "alarm.close"
    PLACE_EDIT = "place.edit"
    CUSTOMER_EDIT = "customer.edit"
    PERSONAL_SHOW = "personal.show"
    PERSONAL_ERASE = "personal.erase"
    DEVICE_EDIT = "device.edit"
    DEVICE_COMMISSION = "device.commission"
    TARIFF_EDIT = "tariff.edit"
    TARIFF_REPLAY = "tariff.replay"
    TARIFF_CORRECT = "tariff.correct"
    PROJECT_EDIT = "project.edit"
    PROJECT_OPEN = "project.open"
    STAFF_EDIT = "staff.edit"
    CLIENT_EDIT = "client.edit"
    GROUP_EDIT = "group.edit"
    ROLE_EDIT = "role.edit"
    STRANGER_READ = "stranger.read"
    MONEY_REFUND = "money.refund"
    MONEY_MOVE = "money.move"
    SHIFT_OWN = "shift.own"
    RECEIPT_PRINT = "receipt.print"
    RECEIPT_VOID = "receipt.void"
    BOOKS_READ = "books.read"
    DAY_CLOSE = "day.close"
    ACCOUNT_OPEN = "account.open"
    ACCOUNT_CLOSE = "account.close"
    OPENING_CREDIT = "opening.credit"
    METER_EXCHANGE = "meter.exchange"
    RECHARGE_DECIDE = "recharge.decide"
    PARAMETER_SEND = "parameter.send"
    READING_DECIDE = "reading.decide"


STEP_UP: frozenset[Verb] = frozenset(
    {
        Verb.PERSONAL_ERASE, Verb.PROJECT_OPEN, Verb.STAFF_EDIT, Verb.CLIENT_EDIT,
        Verb.GROUP_EDIT, Verb.ROLE_EDIT, Verb.RECHARGE_DECIDE,
    }
)  # fmt: skip
"""Verbs for which a person at the console proves anew who they are, unless they just did."""

_LOOK = frozenset(
    {
        Verb.SESSION_OWN, Verb.ROOM_READ, Verb.ALARM_READ, Verb.DEVICE_READ, Verb.NOTICE_READ,
        Verb.COMMAND_READ, Verb.CUSTOMER_READ, Verb.TARIFF_READ, Verb.PROJECT_READ,
        Verb.TASK_READ,
    }
)  # fmt: skip
_MANAGE = _LOOK | {
    Verb.MONEY_READ, Verb.AUDIT_READ, Verb.STAFF_READ, Verb.METER_READ, Verb.METER_SWITCH,
    Verb.CREDIT_ADD, Verb.ALARM_CLOSE, Verb.PLACE_EDIT, Verb.CUSTOMER_EDIT, Verb.PERSONAL_SHOW,
    Verb.PERSONAL_ERASE, Verb.DEVICE_EDIT, Verb.DEVICE_COMMISSION, Verb.TARIFF_EDIT,
    Verb.PROJECT_EDIT, Verb.STAFF_EDIT, Verb.CLIENT_EDIT, Verb.MONEY_REFUND, Verb.MONEY_MOVE,
    Verb.SHIFT_OWN, Verb.RECEIPT_PRINT, Verb.RECEIPT_VOID, Verb.BOOKS_READ, Verb.DAY_CLOSE,
    Verb.ACCOUNT_OPEN, Verb.ACCOUNT_CLOSE, Verb.METER_EXCHANGE, Verb.RECHARGE_DECIDE,
    Verb.PARAMETER_SEND, Verb.OPENING_CREDIT, Verb.READING_DECIDE, Verb.TARIFF_REPLAY,
    Verb.TARIFF_CORRECT,
}  # fmt: skip
ROLES: Mapping[str, frozenset[Verb]] = {
    "platform_administrator": frozenset(Verb),
    "group_head_office": _MANAGE | {Verb.PROJECT_OPEN},
    "project_manager": _MANAGE,
    "cashier": _LOOK
    | {
        Verb.MONEY_READ, Verb.CREDIT_ADD, Verb.CUSTOMER_EDIT, Verb.PERSONAL_SHOW,
        Verb.MONEY_REFUND, Verb.SHIFT_OWN, Verb.RECEIPT_PRINT, Verb.ACCOUNT_OPEN,
        Verb.ACCOUNT_CLOSE,
    },
    "finance": _LOOK
    | {
        Verb.MONEY_READ, Verb.AUDIT_READ, Verb.PERSONAL_SHOW, Verb.MONEY_REFUND, Verb.MONEY_MOVE,
        Verb.RECEIPT_PRINT, Verb.RECEIPT_VOID, Verb.BOOKS_READ, Verb.DAY_CLOSE,
        Verb.RECHARGE_DECIDE, Verb.OPENING_CREDIT, Verb.READING_DECIDE, Verb.TARIFF_REPLAY,
        Verb.TARIFF_CORRECT,
    },
    "warden": _LOOK - {Verb.NOTICE_READ, Verb.TARIFF_READ}
    | {Verb.METER_READ, Verb.METER_SWITCH, Verb.ALARM_CLOSE, Verb.PERSONAL_SHOW},
    "field_engineer": _LOOK - {Verb.CUSTOMER_READ}
    | {
        Verb.METER_READ, Verb.METER_SWITCH, Verb.ALARM_CLOSE, Verb.PLACE_EDIT,
        Verb.DEVICE_EDIT, Verb.DEVICE_COMMISSION, Verb.STRANGER_READ, Verb.METER_EXCHANGE,
        Verb.PARAMETER_SEND,
    },
    "read_only": _LOOK,
}  # fmt: skip

IN_BUILDINGS: frozenset[Verb] = frozenset(
    {
        Verb.SESSION_OWN, Verb.ROOM_READ, Verb.ALARM_READ, Verb.DEVICE_READ, Verb.NOTICE_READ,
        Verb.COMMAND_READ, Verb.MONEY_READ, Verb.METER_READ, Verb.METER_SWITCH, Verb.CREDIT_ADD,
        Verb.ALARM_CLOSE, Verb.TASK_READ, Verb.METER_EXCHANGE, Verb.CUSTOMER_READ,
        Verb.PERSONAL_SHOW, Verb.READING_DECIDE,
    }
)  # fmt: skip
"""Verbs that a grant in one building gives: what they are about lies in a building."""


Buildings: TypeAlias = frozenset[int] | None
"""The only buildings that are seen; None for the whole project."""


class ScopeKind(StrEnum):
    """How far a grant reaches."""

    PLATFORM = "platform"
    GROUP = "group"
    PROJECT = "project"
    BUILDING = "building"


class Scope(NamedTuple):
    """Where a role is granted; `project_id` is that of a building, else 0."""

    kind: ScopeKind
    id: int = 0
    project_id: int = 0


@dataclass(frozen=True, slots=True)
class Reach:
    """One project a person reaches, how its values are written, and the verbs granted there.

    Attributes:
        verbs: all that is granted in some part of the project.
        limits: for a verb granted in some buildings only, which ones.
        building_ids: what the verb at hand may see: None for the whole project, else the only
            buildings that are seen; see `asked`.
    """

    project_id: int
    name: str
    timezone: str
    currency: str
    currency_exponent: int
    verbs: frozenset[str]
    group_id: int = 0
    building_ids: frozenset[int] | None = None
    limits: Mapping[str, frozenset[int]] = field(default_factory=dict)
    is_frozen: bool = False

    def asked(self, verb: str) -> "Reach":
        """This reach for one verb: narrowed to the buildings in which it is granted."""
        return replace(self, building_ids=self.limits.get(verb))

    def covers(self, verb: str, building_ids: Collection[int] | None) -> bool:
        """Whether a verb is granted in all of these buildings; for None, in the whole project."""
        limit = self.limits.get(verb)
        in_sight = limit is None or (building_ids is not None and limit.issuperset(building_ids))
        return verb in self.verbs and in_sight

    def verbs_in(self, building_id: int | None) -> frozenset[str]:
        """What is granted in one building; for None, in the whole project."""
        return frozenset(
            verb for verb in self.verbs
            if verb not in self.limits or building_id in self.limits[verb]
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """A person who has proved who they are.

    `groups`: verbs granted for a whole group, by its id; `platform`: those granted everywhere.
    `session_id` and `proved_at` (when they last gave password or code) are a session's.
    `needs_code`: a role of theirs needs an authenticator, and they have none.
    """

    person_id: int
    name: str
    language: str
    reaches: tuple[Reach, ...]
    groups: Mapping[int, frozenset[str]] = field(default_factory=dict)
    platform: frozenset[str] = frozenset()
    session_id: int | None = None
    proved_at: datetime | None = None
    needs_code: bool = False

    def holds(self, scope: Scope) -> frozenset[str]:
        """The verbs granted in the whole of a scope; none where they do not reach."""
        if scope.kind is ScopeKind.PLATFORM:
            return self.platform
        if scope.kind is ScopeKind.GROUP:
            return self.groups.get(scope.id, self.platform)
        is_building = scope.kind is ScopeKind.BUILDING
        project_id = scope.project_id if is_building else scope.id
        reach = next((one for one in self.reaches if one.project_id == project_id), None)
        if reach is None:
            return frozenset()
        return reach.verbs_in(scope.id if is_building else None)


def both(one: Buildings, other: Buildings) -> Buildings:
    """The buildings that lie in both."""
    if one is None or other is None:
        return one if other is None else other
    return one & other


async def add_person(
    db: Database, login: str, name: str, password: str, role: str, scope_kind: str,
    scope_id: int, at: datetime, project_id: int = 0,
) -> int:  # fmt: skip
    """A person of staff with a password and one role, as the operator makes them.

    Raises:
        BadInput: the password breaks the rule.
        Conflict: the login is taken.
    """
    passwords.check_rule(password, login, name)
    hashed = await passwords.hashed(password)
    scope = Scope(ScopeKind(scope_kind), scope_id, project_id)
    async with db.transaction([PLATFORM]) as connection:
        person_id = await people.insert_person(connection, "staff", login, name, hashed, None, at)
        await people.grant(connection, person_id, role, *scope, None, at)
        return person_id


async def add_client(
    db: Database, login: str, name: str, role: str, scope_kind: str, scope_id: int, at: datetime,
    project_id: int = 0,
) -> tuple[int, str]:  # fmt: skip
    """An API client with one role; answers its id and its key, which is shown this once."""
    key = f"{KEY_MARK}{passwords.new_token()}"
    scope = Scope(ScopeKind(scope_kind), scope_id, project_id)
    async with db.transaction([PLATFORM]) as connection:
        person_id = await people.insert_person(connection, "client", login, name, None, None, at)
        await people.grant(connection, person_id, role, *scope, None, at)
        await credentials.insert_key(
            connection, person_id, passwords.digest(key), hint_of(key), None, at, at + KEY_LIFE_MAX
        )
        return person_id, key


async def reset_password(db: Database, login: str, password: str) -> bool:
    """Replace a password, forget the authenticator, end the sessions; False if nobody is it."""
    hashed = await passwords.hashed(password)
    async with db.transaction([PLATFORM]) as connection:
        person = await people.person_of_login(connection, login)
        if person is None:
            return False
        passwords.check_rule(password, person["login"], person["name"])
        await people.set_password(connection, person["id"], hashed)
        await people.set_totp(connection, person["id"], None, None, 0)
        await people.set_recovery(connection, person["id"], [])
        return True


async def id_of_login(db: Database, login: str) -> int:
    """The person of a login. Raises `NotFound`."""
    async with db.transaction(()) as connection:
        person = await people.person_of_login(connection, login)
    if person is None:
        raise NotFound("person", login)
    return int(person["id"])


async def has_staff(db: Database) -> bool:
    """Whether anybody can sign in yet."""
    async with db.transaction([PLATFORM]) as connection:
        return await people.count_staff(connection) > 0


async def known_by_session(db: Database, token: str, at: datetime) -> Known | None:
    """The person of a live session, with what they reach now."""
    async with db.transaction([PLATFORM]) as connection:
        person = await credentials.person_of_session(
            connection, passwords.digest(token), at, at - SESSION_IDLE
        )
        if person is None:
            return None
        known = await known_of(connection, person)
        return replace(known, session_id=person["session_id"], proved_at=person["proved_at"])


async def known_by_key(db: Database, key: str, at: datetime) -> Known | None:
    """The API client of a live key, with what it reaches now."""
    async with db.transaction([PLATFORM]) as connection:
        person = await credentials.person_of_key(connection, passwords.digest(key), at)
        return None if person is None else await known_of(connection, person)


async def known_by_id(db: Database, person_id: int) -> Known | None:
    """Somebody who proved who they are when they asked for what is done now, as they reach now."""
    async with db.transaction([PLATFORM]) as connection:
        person = await people.get_person(connection, person_id)
        if person is None or person["disabled_at"] is not None:
            return None
        return await known_of(connection, person)


async def known_of(connection: Connection, person: Any) -> Known:
    """What a person (a row of theirs) reaches by their grants now."""
    held: dict[tuple[str, int], frozenset[str]] = {}
    buildings: dict[int, dict[int, frozenset[str]]] = {}
    given = await people.grants(connection, person["id"])
    for row in given:
        verbs = granted_verbs(row["role"], row["verbs"], row["scope_kind"], person["kind"])
        if row["scope_kind"] == ScopeKind.BUILDING:
            inside = buildings.setdefault(row["project_id"], {})
            inside[row["scope_id"]] = inside.get(row["scope_id"], frozenset()) | verbs
        else:
            where = (row["scope_kind"], row["scope_id"])
            held[where] = held.get(where, frozenset()) | verbs
    platform = held.get(("platform", 0), frozenset())
    groups = {place: platform | verbs for (kind, place), verbs in held.items() if kind == "group"}
    reaches = []
    projects = await people.reached(connection, person["id"])
    for project in projects:
        whole = groups.get(project["group_id"], platform)
        whole |= held.get(("project", project["id"]), frozenset())
        limits = _limits(buildings.get(project["id"], {}), whole)
        if whole or limits:
            reaches.append(
                Reach(
                    project["id"], project["name"], project["timezone"], project["currency"],
                    project["currency_exponent"], whole.union(limits), project["group_id"],
                    limits=limits, is_frozen=project["frozen"],
                )
            )  # fmt: skip
    is_bare = person["kind"] == "staff" and person["totp_from"] is None
    group_of = {project["id"]: project["group_id"] for project in projects}
    return Known(
        person["id"], person["name"], person["language"], tuple(reaches), groups, platform,
        needs_code=is_bare and any(_asks_codes(row, group_of) for row in given),
    )  # fmt: skip


def _asks_codes(grant: Any, group_of: Mapping[int, int]) -> bool:
    """Whether holders of this grant need an authenticator: by their role, or by a rule there."""
    group_id = grant["scope_id"]
    if grant["scope_kind"] in (ScopeKind.PROJECT, ScopeKind.BUILDING):
        group_id = group_of.get(grant["project_id"] or grant["scope_id"], 0)
    return grant["needs_code"] or 0 in grant["code_groups"] or group_id in grant["code_groups"]


def _limits(
    inside: Mapping[int, frozenset[str]], whole: frozenset[str]
) -> dict[str, frozenset[int]]:
    """Which buildings each verb is limited to, of those not granted in the whole project."""
    verbs = frozenset().union(*inside.values()) - whole
    return {
        verb: frozenset(place for place, held in inside.items() if verb in held) for verb in verbs
    }


def granted_verbs(
    role: str, own: Collection[str] | None, scope_kind: str, person_kind: str
) -> frozenset[str]:
    """The verbs that a role gives one kind of person in one kind of scope.

    Args:
        role: its name.
        own: the verbs of a house's own role; None for a ready one.
        scope_kind: where it is granted.
        person_kind: `staff` or `client`; a client has step-up verbs by an own role alone, because
            whoever put them there did so knowingly.
    """
    verbs: frozenset[str] = ROLES.get(role, frozenset())
    if role not in ROLES:
        verbs = frozenset(own or ()) & frozenset(Verb)
    elif person_kind == "client":
        verbs -= STEP_UP
    return verbs & IN_BUILDINGS if scope_kind == ScopeKind.BUILDING else verbs


def hint_of(key: str) -> str:
    """What is shown of a key, so that people can tell several apart."""
    return key[: len(KEY_MARK) + 4]
