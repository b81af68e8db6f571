"""What the matrix of permissions walks over: a site, somebody for every role and scope, undoing.

Owns a database whose transactions are parts of one that is rolled back after each request, so that
every operation can really be done; and the two ways to take one of the two isolations away.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import asyncpg

from meterhouse.flows import (
    access,
    account,
    command,
    commission,
    onboard,
    project,
    refund,
    role,
    scan,
    shift,
    staff,
    task,
)
from meterhouse.flows.access import ROLES, Known, ScopeKind
from meterhouse.model import AlarmKind, CommandKind
from meterhouse.store import queue, recharges
from meterhouse.store.db import APP, PLATFORM, Connection, Database, _scope, savepoint
from meterhouse.store.projects import Payee
from meterhouse.units import Minor
from meterhouse.web.access import Caller
from replayed import dearer
from small_site import NOW, Site, let_meter_keep

ABSENT_ID = 10**9
PROJECT, CLIENT = ScopeKind.PROJECT, "client"
# The query's own condition, as nearly every query of the store spells it.
SCOPE = re.compile(r"(\b[a-z]\w*\.)?\bproject_id = \$1(?!\d)")


class Unscoped:
    """A connection on which queries forget their own scope; row-level security is left alone."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("fetch", "fetchrow", "fetchval", "execute", "cursor", "executemany"):
            return found

        def forgetful(sql: str, *arguments: Any, **more: Any) -> Any:
            return found(SCOPE.sub("$1::int8 is not null", sql), *arguments, **more)

        return forgetful


class Undone(Database):
    """A database of which nothing stays: each request is rolled back."""

    def __init__(self, outer: Database) -> None:
        super().__init__(outer.address)
        self.lines: dict[str, Any] = {}
        self.now: dict[str, Any] = {}

    @asynccontextmanager
    async def request(self, role_name: str = APP, *, scoped: bool = True) -> AsyncIterator[None]:
        """One request; `role_name` is the database's role, `scoped` whether queries scope.

        Its transaction begins with the first that is asked for: who is turned away at the door
        costs the database nothing.
        """
        if role_name not in self.lines:
            self.lines[role_name] = await asyncpg.connect(
                **self.address.arguments(role_name), statement_cache_size=1_000
            )
        connection = self.lines[role_name]
        self.now["connection"] = connection if scoped else Unscoped(connection)
        try:
            yield
        finally:
            if connection.is_in_transaction():
                await connection.execute("rollback")

    async def close(self) -> None:
        """Close what was opened."""
        for connection in self.lines.values():
            await connection.close()

    @asynccontextmanager
    async def transaction(self, project_ids: Any, first: str = "") -> AsyncIterator[Connection]:
        """A part of it, scoped as in life."""
        connection = self.now["connection"]
        if not connection.is_in_transaction():
            await connection.execute("begin")
        async with savepoint(connection, f"{_scope(project_ids, self.building_ids)}; {first}"):
            yield connection

    def within(self, building_ids: frozenset[int] | None) -> Database:
        narrowed = copy(self)
        narrowed.building_ids = building_ids
        return narrowed


@dataclass
class Estate:
    """The site, what of it an address can name, and who may ask."""

    site: Site
    db: Undone
    ids: Mapping[str, int]
    buildings: tuple[int, int]
    group_id: int
    foreign_group_id: int
    client_grant_id: int = 0
    callers: dict[tuple[str, str], Caller] = field(default_factory=dict)


def caller_of(known: Known) -> Caller:
    """As the gate makes it, proved a moment ago."""
    reaches = {reach.project_id: reach for reach in known.reaches}
    return Caller(known.person_id, known.name, "en", reaches, known.groups, known.platform, 1, NOW)


class Doors:
    """A gate that knows everybody by the name in their cookie or key."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self.callers = callers

    async def caller_of_session(self, token: str) -> Caller | None:
        return self.callers.get(token.partition(".")[2])

    async def caller_of_key(self, key: str) -> Caller | None:
        return self.callers.get(key)


async def furnish(site: Site, ids: dict[str, int]) -> Estate:
    """Rows for every address, and one caller for every role in every scope."""
    first, second = await _buildings(site)
    group_id = await plant(site, ids)
    foreign_group_id = await onboard.open_group(site.db, "foreign")
    await onboard.open_project(site.db, onboard.NewProject("far", foreign_group_id), NOW)
    scopes = {
        "platform": ("platform", 0, 0),
        "own group": ("group", group_id, 0),
        "own project": ("project", site.project_id, 0),
        "own building": ("building", first, site.project_id),
        "foreign group": ("group", foreign_group_id, 0),
        "foreign project": ("project", site.other_id, 0),
        "foreign building": ("building", second, site.project_id),
    }
    estate = Estate(site, Undone(site.db), ids, (first, second), group_id, foreign_group_id)
    for scope, (kind, place, project_id) in scopes.items():
        for name in ROLES:
            login = f"{name}-{scope.replace(' ', '-')}"
            async with site.db.transaction([PLATFORM]) as connection:
                person_id = await access.people.insert_person(
                    connection, "staff", login, "Somebody", None, None, NOW
                )
                await access.people.grant(
                    connection, person_id, name, kind, place, project_id, None, NOW
                )
                known = await staff.doer_of(connection, person_id)
            estate.callers[name, scope] = caller_of(known)
    admin = estate.callers["platform_administrator", "platform"]
    assert admin.person_id is not None
    verbs = ["session.own", "room.read"]
    here = (PROJECT, site.project_id, CLIENT)
    clients = await staff.members(site.db, admin.person_id, *here)
    (erp,) = [one for one in clients.rows if one.row["login"] == "erp"]
    estate.client_grant_id = erp.grants[0].id
    made, _ = await role.put(site.db, admin.person_id, "porter", "Porter", verbs, NOW)
    ids |= {"role_id": made, "group_id": group_id, "building_id": first}
    return estate


async def plant(site: Site, ids: dict[str, int]) -> int:
    """A row for every number in an address that a small site has none for; answers the group."""
    room = site.rooms["A101"]
    async with site.db.transaction([site.project_id]) as connection:
        group_id: int = await connection.fetchval("select group_id from project")
        new = queue.NewAlarm(
            AlarmKind.COMMAND_FAILED, f"meter:{room.meter_id}", point_id=room.point_id,
            meter_id=room.meter_id,
        )  # fmt: skip
        await queue.open_alarms(connection, site.project_id, [new], NOW)
        ids["alarm_id"] = await connection.fetchval("select max(id) from alarm")
        ids["doubt_id"] = await connection.fetchval(
            """insert into doubt (project_id, point_id, meter_id, register_epoch, read_at, verdict,
                   noted_at)
               select project_id, $2, meter_id, register_epoch, min(read_at), 6, $3 from reading
               where project_id = $1 and meter_id = $4 group by 1, 3, 4 returning id""",
            site.project_id, room.point_id, NOW, room.meter_id,
        )  # fmt: skip
    (ids["command_id"],) = await command.request(
        site.db, site.project_id, [room.meter_id], CommandKind.READ, "", None, NOW
    )
    ids["task_id"] = await scan.start(
        site.db, site.project_id, ids["gateway_id"], scan.Wish(), None, NOW
    )
    ids["commissioning_id"] = await commission.start(
        site.db, site.project_id, room.meter_id, None, None, NOW
    )
    ids["opening_id"] = await account.prepare(
        site.db, site.project_id, site.rooms["A104"].place_id, ids["customer_id"], account.Terms(),
        None, NOW,
    )  # fmt: skip
    ids["shift_id"] = await shift.open_one(site.db, site.project_id, ids["person_id"], 10_000, NOW)
    ids["recharge_id"] = await _recharge(site)
    ids["purse_meter_id"] = site.rooms["A103"].meter_id
    ids["file_task_id"] = await _task_with_file(site)
    ids["by_tariff_id"] = ids["now_tariff_id"] = ids["tariff_id"]
    since = NOW - timedelta(days=2)
    ids["replay_id"] = await dearer(site.db, site.project_id, ids["tariff_id"], since, NOW)
    ids["to_agreement_id"] = await _agreement_of(site, "A102")
    ids["of_project_id"] = site.project_id
    slip = refund.Slip("cash", "matrix-deposit", "", None, NOW)
    taken = await refund.take_deposit(site.db, site.project_id, room.point_id, Minor(5_000), slip)
    ids["deposit_id"] = taken.payment_id
    payee = Payee("water", "Waterworks", "", "", "")
    ids["payee_id"] = await project.add_payee(site.db, site.project_id, payee)
    return group_id


async def _recharge(site: Site) -> int:
    """The number of a recharge under way, of a meter with a purse no other row here is about."""
    room = site.rooms["A103"]
    await let_meter_keep(site, "A103")
    async with site.db.transaction([site.project_id]) as connection:
        await recharges.lock_wallet(connection, site.project_id, room.meter_id, 1)
        made: int = await connection.fetchval(
            """insert into recharge (project_id, payment_id, agreement_id, account_id, point_id,
                   meter_id, wallet_epoch, number, order_number, amount_minor, state, created_at)
               select project_id, id, agreement_id, account_id, $2, $3, 1, 1, 'matrix', 100,
                   'halted', $4
               from payment where project_id = $1 and key = 'first-A103' returning id""",
            site.project_id, room.point_id, room.meter_id, NOW,
        )  # fmt: skip
    return made


async def _agreement_of(site: Site, room: str) -> int:
    """The account of a room's household."""
    async with site.db.transaction([site.project_id]) as connection:
        made: int = await connection.fetchval(
            "select agreement_id from payment where key = $1", f"first-{room}"
        )
    return made


async def _task_with_file(site: Site) -> int:
    """The number of a task that made a file which everybody may read who may see the task."""
    new = task.NewTask("export", "Export", {"verb": "session.own"})
    made = await task.start(site.db, site.project_id, new, None, NOW)
    await task.put_file(site.db, site.project_id, made, "list.csv", "text/csv", b"Room")
    return made


async def _buildings(site: Site) -> tuple[int, int]:
    async with site.db.transaction([site.project_id]) as connection:
        rows = await connection.fetch("select id from place where kind = 'building' order by id")
    first, second = (row["id"] for row in rows)
    return first, second
