"""What people look at, read in sets: the room monitor, a room's days, lists of everything.

Owns the SELECTs behind screens and exports. Must never write, nor know how a value is shown.
Every query is scoped by `project_id` (row-level security stands beneath it), and a list can be
filtered and ordered only by what its `ListQuery` names.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import asyncpg

from meterhouse.store.db import Connection
from meterhouse.store.lists import ListQuery
from meterhouse.store.personal import STAFF_NAME, staff

COMMANDS_SHOWN: Final = 10
STRANGERS_SHOWN: Final = 50

# Where a point is: its room, the floor above it if there is one, and the building, which stands at
# the top; that is said for the planner, which then finds few of them.
PLACE: Final = """
    left join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
    left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
    left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
        and b.parent_id is null"""
PLACE_COLUMNS: Final = """r.id as room_id, r.name as room,
        case when f.kind = 'floor' then f.name else '' end as floor,
        r.building_id, b.name as building"""


def _seen(building: str) -> str:
    """The condition that something lies in a building this transaction may see."""
    limit = "(select building_ids())"
    return f"({limit} is null or {building} = any ({limit}::bigint[]))"


_IN_SIGHT: Final = _seen("r.building_id")

# One row a point: where it is, who pays, what is left, what its meter last said.
_EVERY_PAYER: Final = "account_id is not null"
_POINTS: Final = f"""
    with shared as (
        select p.account_id, sum(s.accrued_nano)::int8 as accrued_nano
        from point p join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
        where p.project_id = $1 and p.{_EVERY_PAYER} group by p.account_id),
    offline as (
        select meter_id from alarm where project_id = $1 and kind = 'meter_offline'
        and closed_at is null and meter_id is not null)
    select p.id as point_id, {PLACE_COLUMNS}, r.area_dm2,
        p.commodity, p.keeper, p.override, p.warning_1_minor, p.warning_2_minor,
        p.warning_3_minor, t.name as tariff, a.agreement_id, g.kind as agreement_kind,
        c.id as customer_id, h.name as customer, h.erased_at is not null as is_erased,
        a.floor_minor, m.id as meter_id, m.address, m.model, m.multiplier,
        w.id as gateway_id, w.name as gateway, s.read_at, s.good_at, s.good_0_milli,
        s.good_1_milli, s.good_2_milli, s.good_3_milli, s.good_4_milli, s.relay, s.keep_power,
        s.power_w, s.reported_credit_minor,
        coalesce(a.credit_minor - a.debit_minor, 0)
            + coalesce(x.credit_minor - x.debit_minor, 0) as balance_minor,
        coalesce(a.pending_debit_minor, 0) + coalesce(x.pending_debit_minor, 0) as pending_minor,
        coalesce(u.accrued_nano, 0) as accrued_nano,
        m.id in (select meter_id from offline) as is_offline, j.currency_exponent
    from point p join project j on j.id = p.project_id {PLACE}
    left join account a on (a.project_id, a.id) = (p.project_id, p.account_id)
    left join account x on (x.project_id, x.id) = (p.project_id, p.common_account_id)
    left join agreement g on (g.project_id, g.id) = (a.project_id, a.agreement_id)
    left join customer c on (c.project_id, c.id) = (g.project_id, g.customer_id)
    left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
    left join tariff t on (t.project_id, t.id) = (p.project_id, p.tariff_id)
    left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id) and m.removed_at is null
    left join gateway w on (w.project_id, w.id) = (m.project_id, m.gateway_id)
    left join point_state s on (s.project_id, s.point_id) = (p.project_id, p.id)
    left join shared u on u.account_id = p.account_id
    where p.project_id = $1 and {_IN_SIGHT}"""
_BY_PLACE: Final = "order by b.sort, building, building_id, f.sort, f.name, r.sort, r.name, p.id"


async def pulse(connection: Connection, project_id: int) -> int:
    """The number that grows with every change of a project."""
    found: int | None = await connection.fetchval(
        "select seq from pulse where project_id = $1", project_id
    )
    return found or 0


async def buildings(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """id, name of every building, in order."""
    return await connection.fetch(
        f"""select id, name from place where project_id = $1 and kind = 'building'
            and {_seen("id")} order by sort, name, id""",
        project_id,
    )


async def points(
    connection: Connection, project_id: int, building_id: int | None
) -> list[asyncpg.Record]:
    """Points of a project, or of one building, by building, floor and room."""
    return await connection.fetch(
        f"{_POINTS} and ($2::int8 is null or r.building_id = $2) {_BY_PLACE}",
        project_id, building_id,
    )  # fmt: skip


async def points_of_rooms(
    connection: Connection, project_id: int, room_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """Points of these rooms; what has accrued is summed over their payers' points alone."""
    payers = """account_id in (select account_id from point
        where project_id = $1 and place_id = any ($2::int8[]))"""
    of_them = _POINTS.replace(_EVERY_PAYER, payers)
    return await connection.fetch(
        f"{of_them} and r.id = any ($2::int8[]) order by p.id", project_id, list(room_ids)
    )


async def room_points(
    connection: Connection, project_id: int, room_id: int
) -> list[asyncpg.Record]:
    """Points of one room."""
    return await points_of_rooms(connection, project_id, [room_id])


async def one_point(
    connection: Connection, project_id: int, point_id: int | None, meter_id: int | None
) -> asyncpg.Record | None:
    """The point of an id, or the one a meter in service hangs at."""
    named = """coalesce($2, (select point_id from meter
        where project_id = $1 and id = $3 and removed_at is null))"""
    payer = f"""account_id in (select account_id from point
        where project_id = $1 and id = {named})"""
    of_it = _POINTS.replace(_EVERY_PAYER, payer)
    return await connection.fetchrow(f"{of_it} and p.id = {named}", project_id, point_id, meter_id)


async def days(
    connection: Connection, project_id: int, point_id: int, timezone: str, since: datetime
) -> list[asyncpg.Record]:
    """day, energy_milli, amount_nano of a point's local days since an instant, oldest first.

    `estimated_milli` is what of the energy is estimated.

    An interval belongs to the day in which it ends; one that ends at midnight to the day before.
    Of each interval the latest version counts.
    """
    return await connection.fetch(
        """select ((ended_at - interval '1 microsecond') at time zone $3)::date as day,
               sum(energy_milli)::int8 as energy_milli, sum(amount_nano)::int8 as amount_nano,
               coalesce(sum(energy_milli) filter (where quality = 2), 0)::int8 as estimated_milli
           from (select distinct on (ended_at) ended_at, energy_milli, amount_nano, quality
                 from charge
                 where project_id = $1 and point_id = $2 and ended_at > $4
                 order by ended_at, version desc) in_force
           group by 1 order by 1""",
        project_id, point_id, timezone, since,
    )  # fmt: skip


async def last_commands(
    connection: Connection, project_id: int, meter_ids: list[int]
) -> list[asyncpg.Record]:
    """The latest commands of these meters, newest first, with who asked."""
    return await connection.fetch(
        f"""select c.*, {STAFF_NAME} as actor from command c {staff("c.actor_id")}
           where c.project_id = $1 and c.meter_id = any($2::int8[]) order by c.id desc limit $3""",
        project_id, meter_ids, COMMANDS_SHOWN,
    )  # fmt: skip


async def get_command(
    connection: Connection, project_id: int, command_id: int
) -> asyncpg.Record | None:
    """One command with its room, or None."""
    return await connection.fetchrow(
        f"""select c.*, r.id as room_id, r.name as room, {STAFF_NAME} as actor
            from command c left join point p on (p.project_id, p.id) = (c.project_id, c.point_id)
            {PLACE} {staff("c.actor_id")}
            where c.project_id = $1 and c.id = $2 and {_IN_SIGHT}""",
        project_id, command_id,
    )  # fmt: skip


async def command_states(
    connection: Connection, project_id: int, command_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, state, why of these commands."""
    return await connection.fetch(
        "select id, state, why from command where project_id = $1 and id = any($2::int8[])",
        project_id, list(command_ids),
    )  # fmt: skip


async def meter_names(
    connection: Connection, project_id: int, meter_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, address, room, building of these meters in service."""
    return await connection.fetch(
        f"""select m.id, m.address, {PLACE_COLUMNS} from meter m
            left join point p on (p.project_id, p.id) = (m.project_id, m.point_id) {PLACE}
            where m.project_id = $1 and m.id = any($2::int8[]) and m.removed_at is null
            and seen_point(m.project_id, m.point_id)""",
        project_id, list(meter_ids),
    )  # fmt: skip


async def alarm_names(
    connection: Connection, project_id: int, alarm_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, kind, room, building of these alarms."""
    return await connection.fetch(
        f"""select a.id, a.kind, {PLACE_COLUMNS} from alarm a
            left join point p on (p.project_id, p.id) = (a.project_id, a.point_id) {PLACE}
            where a.project_id = $1 and a.id = any($2::int8[])
            and seen_point(a.project_id, a.point_id)""",
        project_id, list(alarm_ids),
    )  # fmt: skip


async def strangers(connection: Connection, since: datetime) -> list[asyncpg.Record]:
    """Connections refused because nobody knows their registration text; belongs to no project."""
    return await connection.fetch(
        "select * from stranger where last_at >= $1 order by last_at desc limit $2",
        since, STRANGERS_SHOWN,
    )  # fmt: skip


# Rows of outer joins are found by a unique key, so a list costs what is asked of it; what would
# join many rows (an open alarm, a count of meters) is asked for row by row of a page.
_OPEN: Final = "project_id = $1 and kind = 'meter_offline' and closed_at is null"
_NEVER: Final = "timestamptz '1970-01-01 00:00:00+00'"
# Points whose room or meter has a text in its name or address; points of a building.
FOUND: Final = "(select found_points($1, {}))"
IN_BUILDING: Final = """(select p.id from place r
    join point p on (p.project_id, p.place_id) = (r.project_id, r.id)
    where r.project_id = $1 and r.building_id = {})"""
# Few meters are silent among many, so these are looked for first.
_SILENT: Final = f"""select meter_id from alarm where {_OPEN}
    union all select meter_id from point_state where project_id = $1 and read_at = {_NEVER}
    union all select id from meter where project_id = $1 and point_id is null
        and removed_at is null"""

ALARMS: Final = ListQuery(
    f"""select a.id, a.kind, a.level, a.facts, a.opened_at, a.closed_at, a.subject, a.point_id,
            a.meter_id, a.gateway_id, {PLACE_COLUMNS}, m.address, w.name as gateway
        from alarm a left join point p on (p.project_id, p.id) = (a.project_id, a.point_id) {PLACE}
        left join meter m on (m.project_id, m.id) = (a.project_id, a.meter_id)
        left join gateway w on (w.project_id, w.id) = (a.project_id, a.gateway_id)
        where a.project_id = $1""",
    {
        "open": {True: "q.closed_at is null", False: "q.closed_at is not null"},
        "kind": "q.kind = {}",
        "building": f"q.point_id in {IN_BUILDING}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.opened_at >= {}",
        "to": "q.opened_at < {}",
    },
    {
        "opened_at": "opened_at",
        "closed_at": "closed_at",
        "kind": "kind, opened_at",
        "room": "room",
    },
    first="-opened_at",
    solid=frozenset({"opened_at", "kind"}),
)
# Rooms and areas with a point; `point_id` is the one by which a text finds them.
ROOMS: Final = ListQuery(
    """select r.id, r.name as room, r.building_id, b.name as building,
            (select min(p.id) from point p
             where p.project_id = $1 and p.place_id = r.id) as point_id
        from place r left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
            and b.parent_id is null
        where r.project_id = $1
        and exists (select from point p where p.project_id = $1 and p.place_id = r.id)""",
    {"building": "q.building_id = {}", "text": f"q.point_id in {FOUND}"},
    {"room": "room", "building": "building"},
    first="room",
    solid=frozenset({"room"}),
    buildings="array[q.building_id]",
)
METERS: Final = ListQuery(
    f"""select m.id, m.address, m.model, m.multiplier, m.installed_at, m.point_id,
            {PLACE_COLUMNS},
            w.id as gateway_id, w.name as gateway, s.read_at, s.good_0_milli, s.relay, s.power_w,
            p.commodity, p.keeper,
            (select min(opened_at) from alarm where {_OPEN} and meter_id = m.id) as offline_since,
            coalesce(s.read_at > {_NEVER}, false) and not exists
                (select from alarm where {_OPEN} and meter_id = m.id) as is_online
        from meter m left join point p on (p.project_id, p.id) = (m.project_id, m.point_id) {PLACE}
        left join gateway w on (w.project_id, w.id) = (m.project_id, m.gateway_id)
        left join point_state s on (s.project_id, s.point_id) = (m.project_id, m.point_id)
        where m.project_id = $1 and m.removed_at is null""",
    {
        "online": {
            True: f"""q.read_at > {_NEVER}
                and not exists (select from alarm where {_OPEN} and meter_id = q.id)""",
            False: f"q.id in ({_SILENT})",
        },
        "gateway": "q.gateway_id = {}",
        "model": "q.model = {}",
        "building": f"q.point_id in {IN_BUILDING}",
        "text": f"q.point_id in {FOUND}",
    },
    {
        "address": "address", "room": "room", "building": "building", "model": "model",
        "gateway": "gateway", "read_at": "read_at", "energy": "good_0_milli",
        "power": "power_w",
    },
    first="room",
    solid=frozenset({"address", "model"}),
)  # fmt: skip
GATEWAYS: Final = ListQuery(
    f"""select g.id, g.name, g.registration, g.direction, g.address, g.protocol, s.online, s.peer,
            nullif(s.seen_at, {_NEVER}) as seen_at, nullif(s.since_at, {_NEVER}) as since_at,
            (select count(*) from meter m where m.project_id = $1 and m.gateway_id = g.id
                and m.removed_at is null) as meter_count,
            coalesce(n.offline_count, 0) as offline_count
        from gateway g
        left join gateway_state s on (s.project_id, s.gateway_id) = (g.project_id, g.id)
        left join (select m.gateway_id, count(*) as offline_count from alarm o
            join meter m on (m.project_id, m.id) = (o.project_id, o.meter_id)
            where o.project_id = $1 and o.kind = 'meter_offline' and o.closed_at is null
                and m.removed_at is null
            group by m.gateway_id) n on n.gateway_id = g.id
        where g.project_id = $1 and g.removed_at is null""",
    {
        "online": {True: "q.online", False: "q.online is not true"},
        "text": "(q.name ilike {0} or q.registration ilike {0} or q.peer ilike {0})",
    },
    {
        "name": "name", "registration": "registration", "seen_at": "seen_at",
        "meters": "meter_count", "offline": "offline_count",
    },
    first="name",
    solid=frozenset({"name", "registration", "meters", "offline"}),
    point="null::int8",
)  # fmt: skip
NOTICES: Final = ListQuery(
    f"""select n.id, n.channel, n.subject, n.text, n.state, n.tries, n.why, n.created_at,
            n.sent_at, case n.channel when 'email' then h.email else '' end as recipient,
            n.point_id, {PLACE_COLUMNS}
        from notice n
        left join customer c on (c.project_id, c.id) = (n.project_id, n.customer_id)
        left join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
        left join point p on (p.project_id, p.id) = (n.project_id, n.point_id) {PLACE}
        where n.project_id = $1""",
    {
        "state": "q.state = {}",
        "channel": "q.channel = {}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.created_at >= {}",
        "to": "q.created_at < {}",
    },
    {
        "created_at": "created_at",
        "sent_at": "sent_at",
        "room": "room",
        "state": "state, created_at",
    },
    first="-created_at",
    solid=frozenset({"created_at", "state"}),
)
COMMANDS: Final = ListQuery(
    f"""select c.id, c.kind, c.reason, c.note, c.state, c.why, c.created_at, c.sent_at, c.ended_at,
            c.meter_id, c.point_id, m.address, {STAFF_NAME} as actor, {PLACE_COLUMNS}
        from command c left join meter m on (m.project_id, m.id) = (c.project_id, c.meter_id)
        left join point p on (p.project_id, p.id) = (c.project_id, c.point_id) {PLACE}
        {staff("c.actor_id")}
        where c.project_id = $1""",
    {
        "state": "q.state = {}",
        "kind": "q.kind = {}",
        "meter": "q.meter_id = {}",
        "text": f"q.point_id in {FOUND}",
        "from": "q.created_at >= {}",
        "to": "q.created_at < {}",
    },
    {
        "created_at": "created_at", "ended_at": "ended_at", "room": "room",
        "kind": "kind, created_at", "state": "state, created_at",
    },
    first="-created_at",
    solid=frozenset({"created_at", "kind", "state"}),
)  # fmt: skip
TARIFFS: Final = ListQuery(
    """select t.id, t.name, t.commodity, v.effective_from, v.version_count,
           coalesce(n.point_count, 0) as point_count, null::int8 as point_id
       from tariff t
       join (select tariff_id, max(effective_from) as effective_from, count(*) as version_count
             from tariff_version f where project_id = $1
             and not exists (select from tariff_version w
                 where (w.project_id, w.tariff_id) = (f.project_id, f.tariff_id)
                 and w.version > f.version and w.corrects_from <= f.effective_from)
             group by tariff_id) v on v.tariff_id = t.id
       left join (select tariff_id, count(*) as point_count from point
                  where project_id = $1 group by tariff_id) n on n.tariff_id = t.id
       where t.project_id = $1""",
    {"text": "q.name ilike {}"},
    {
        "name": "name", "commodity": "commodity", "effective_from": "effective_from",
        "versions": "version_count", "points": "point_count",
    },
    first="name",
    solid=frozenset({"name", "commodity", "effective_from", "versions", "points"}),
)  # fmt: skip
# Of several agreements in force the list shows the rooms of all, and since when the last one runs.
READINGS: Final = ListQuery(
    """select g.meter_id, g.register_epoch, g.read_at, g.received_at, g.total_milli, g.band_1_milli,
           g.band_2_milli, g.band_3_milli, g.band_4_milli, g.power_w, g.credit_minor, g.relay,
           g.source, p.commodity, m.point_id,
           case when d.id is not null then 3 when c.decided is not null then 4
               else coalesce(h.quality, 0) end as quality
       from reading g join meter m on (m.project_id, m.id) = (g.project_id, g.meter_id)
       join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
       left join doubt d on (d.project_id, d.meter_id, d.register_epoch, d.read_at)
            = (g.project_id, g.meter_id, g.register_epoch, g.read_at) and d.is_doubtful
        left join lateral (select c.decided from decision c
            where (c.project_id, c.meter_id, c.register_epoch, c.read_at)
                = (g.project_id, g.meter_id, g.register_epoch, g.read_at) limit 1) c on true
        left join lateral (select h.quality from charge h where h.project_id = g.project_id
            and h.point_id = m.point_id and h.ended_at = g.read_at
            order by h.version desc limit 1) h on true
        where g.project_id = $1""",
    {"meter": "q.meter_id = {}", "from": "q.read_at >= {}", "to": "q.read_at < {}"},
    {"read_at": "read_at", "total": "total_milli", "power": "power_w"},
    key=("read_at", "register_epoch", "meter_id"),
    first="-read_at",
    solid=frozenset({"read_at", "total", "power"}),
)
TASKS: Final = ListQuery(
    f"""select k.id, k.kind, k.title, k.state, k.done_count, k.total_count, k.why, k.actor_id,
            k.created_at, k.started_at, k.ended_at, k.building_ids, {STAFF_NAME} as actor
        from task k {staff("k.actor_id")} where k.project_id = $1""",
    {
        "state": "q.state = {}",
        "kind": "q.kind = {}",
        "actor": "q.actor_id = {}",
        "from": "q.created_at >= {}",
        "to": "q.created_at < {}",
    },
    {"created_at": "created_at", "ended_at": "ended_at", "state": "state"},
    first="-created_at",
    solid=frozenset({"created_at", "state"}),
    buildings="q.building_ids",
)
