"""A large site by a handful of set-based statements, and the yardstick its readings are held to.

Owns how a measurement's database is filled: as its superuser, past triggers and policies, because
a million rooms made one by one would take longer than what is measured. Must never be reached
by a request or run on anybody's data: only `meterhouse.bench` calls it, on a cluster of its own.
The books it writes hold together (`proofs` is run on them), so what follows is the real work.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from meterhouse.store.copyfmt import Columns, pack
from meterhouse.store.db import SCHEMA, Address, RawConnection
from meterhouse.store.readings import READING

# Below this the site's own few rows (buildings, house accounts) are numbered.
FIRST_ID = 1_000_000

# $1 project, $2 how many, $3 the instant of opening; n counts rooms from 0, their ids go with it.
_ROOMS = f"""(select $1::int8 as project_id, n, {FIRST_ID} + n as id, $3::timestamptz as opened_at
    from generate_series(0, $2::int8 - 1) as n) as room"""
_PLACES = f"""insert into place (project_id, id, parent_id, kind, name, sort, area_dm2,
        building_id) overriding system value
    select project_id, room.id, f.id, 'room', 'R' || n, n % $5, 6000, f.building_id
    from {_ROOMS} join place f using (project_id) where f.id = ($4::int8[])[1 + n / $5]"""
_PERSONAL = f"""insert into personal (project_id, id, name) overriding system value
    select project_id, id, 'Household ' || n from {_ROOMS}"""
_CUSTOMERS = f"""insert into customer (project_id, id, personal_id) overriding system value
    select project_id, id, id from {_ROOMS}"""
_AGREEMENTS = f"""insert into agreement (project_id, id, kind, customer_id, valid_from)
    overriding system value select project_id, id, 'tenant', id, opened_at from {_ROOMS}"""
_ACCOUNTS = f"""insert into account (project_id, id, kind, compartment, agreement_id, unit,
        floor_minor, credit_minor) overriding system value
    select project_id, {FIRST_ID} + 2 * n + k, 'purse', (array['electricity', 'common'])[k + 1],
        id, 'CNY', 0, case k when 0 then ($4::int8[])[1 + n % cardinality($4)] else 0 end
    from {_ROOMS}, generate_series(0, 1) as k"""
_TRANSFERS = """insert into transfer (project_id, debit_account_id, credit_account_id, amount_minor,
        state, kind, created_at)
    select $1, c.id, p.id, p.credit_minor, 'posted', 'recharge', $2
    from account p, account c where p.project_id = $1 and p.kind = 'purse' and p.credit_minor > 0
    and c.project_id = $1 and c.kind = 'cash'"""
_CASH = """update account set debit_minor = (select sum(credit_minor) from account
    where project_id = $1 and kind = 'purse') where project_id = $1 and kind = 'cash'"""
_POINTS = f"""insert into point (project_id, id, place_id, commodity, tariff_id, account_id,
        common_account_id) overriding system value
    select project_id, id, id, 'electricity', $4, {FIRST_ID} + 2 * n, {FIRST_ID} + 2 * n + 1
    from {_ROOMS}"""
_AGREED = f"""insert into agreement_point (project_id, point_id, valid_from, agreement_id)
    select project_id, id, opened_at, id from {_ROOMS}"""
_METERS = f"""insert into meter (project_id, id, point_id, gateway_id, model, address,
        modulus_milli, max_power_w, installed_at) overriding system value
    select project_id, id, id, m.gateway_id, m.model, m.address, m.modulus_milli, m.max_power_w,
        opened_at
    from {_ROOMS}
    join unnest($4::int8[], $5::text[], $6::text[], $7::int8[], $8::int8[]) with ordinality
        as m (gateway_id, model, address, modulus_milli, max_power_w, place) on m.place = n + 1"""
_STATES = f"""insert into point_state (project_id, point_id, meter_id, register_epoch)
    select project_id, id, id, 1 from {_ROOMS} order by id"""

# What a few months leave behind: $1 project, $2 meters, $3 rows, $4 when it began. A step that
# has no divisor in common with the number of meters visits them all, in no order.
_MOMENTS = f"""(select n, {FIRST_ID} + (n * 7919) % $2::int8 as id,
        $4::timestamptz + n * interval '7 seconds' as at
    from generate_series(1, $3::int8) as n) as moment"""
_COMMANDS = f"""insert into command (project_id, meter_id, point_id, kind, reason, note, generation,
        state, created_at, not_before, expires_at, sent_at, ended_at)
    select $1, id, id, (array['read', 'disconnect', 'connect'])[1 + n % 3],
        (array['arrears', 'credit', 'person'])[1 + n % 3], 'Note ' || n, n,
        (array['confirmed', 'confirmed', 'refused', 'unknown', 'expired'])[1 + n % 5], at, at,
        at + interval '1 hour', at, at + interval '1 minute' from {_MOMENTS}"""
_ALARMS = f"""insert into alarm (project_id, kind, subject, point_id, meter_id, opened_at,
        closed_at)
    select $1, (array['meter_offline', 'credit_low', 'command_failed'])[1 + n % 3], 'meter:' || id,
        id, id, at, case when n <= $3 * 99 / 100 then at + interval '1 hour' end
    from {_MOMENTS}"""
_NOTICES = f"""insert into notice (project_id, channel, subject, text, point_id, key, state,
        next_at, sent_at, created_at)
    select $1, 'console', 'Credit is low', 'Text ' || n, id, 'past ' || n, 'sent', at, at, at
    from {_MOMENTS}"""


@dataclass(frozen=True, slots=True)
class BulkMeter:
    """One meter of a bulk site: where it hangs, which address it answers to, what it can carry."""

    gateway_id: int
    model: str
    address: str
    modulus_milli: int
    max_power_w: int


@dataclass(frozen=True, slots=True)
class BulkSite:
    """Rooms to make: one room, household, purse, point and meter for each of `meters`.

    `floor_ids` are filled with `rooms_a_floor` rooms each, in order; `credits_minor` are dealt out
    to the purses in turn.
    """

    project_id: int
    tariff_id: int
    floor_ids: Sequence[int]
    rooms_a_floor: int
    meters: Sequence[BulkMeter]
    credits_minor: Sequence[int]


@asynccontextmanager
async def superuser(address: Address) -> AsyncIterator[RawConnection]:
    """A connection that nothing holds back, with time for large statements."""
    connection = await asyncpg.connect(**address.arguments(None))
    try:
        await connection.execute("set statement_timeout = 0")
        yield connection
    finally:
        await connection.close()


async def raise_floors(
    address: Address, project_id: int, count: int, floors_a_building: int
) -> list[int]:
    """So many floors, in buildings of so many each; answers their ids from the ground up."""
    async with superuser(address) as connection:
        rows = await connection.fetch(
            """with building as (
                   insert into place (project_id, kind, name)
                   select $1, 'building', 'Building ' || n
                   from generate_series(1, ($2::int4 + $3::int4 - 1) / $3) as n returning id)
               select id from building order by id""",
            project_id, count, floors_a_building,
        )  # fmt: skip
        floors = await connection.fetch(
            """insert into place (project_id, parent_id, kind, name, sort)
               select $1, ($4::int8[])[1 + n / $3::int4], 'floor', 1 + n % $3 || 'F', n % $3
               from generate_series(0, $2::int4 - 1) as n returning id""",
            project_id, count, floors_a_building, [row["id"] for row in rows],
        )  # fmt: skip
    return sorted(row["id"] for row in floors)


async def hang_gateways(
    address: Address, project_id: int, registrations: Sequence[str]
) -> list[int]:
    """A gateway that dials in for each registration, in their order; answers their ids."""
    async with superuser(address) as connection:
        rows = await connection.fetch(
            """with made as (
                   insert into gateway (project_id, name, registration, direction, protocol)
                   select $1, r, r, 'dial_in', 'dlt645-2007'
                   from unnest($2::text[]) with ordinality as u (r, place) order by place
                   returning id),
               known as (insert into gateway_state (project_id, gateway_id) select $1, id from made)
               select id from made""",
            project_id, list(registrations),
        )  # fmt: skip
    return sorted(row["id"] for row in rows)


async def fill(address: Address, site: BulkSite, at: datetime) -> list[int]:
    """Make the rooms of a site and gather the planner's statistics; answers the meters' ids."""
    count = len(site.meters)
    common = (site.project_id, count, at)
    async with superuser(address) as connection, connection.transaction():
        # Foreign keys hold by construction; checking twenty of them a room would take minutes.
        await connection.execute("set local session_replication_role = replica")
        # An index of the pieces of every name is built in a tenth of the time it grows in.
        await connection.execute("set local maintenance_work_mem = '512MB'")
        pieces = await connection.fetch(
            "select indexname, indexdef from pg_indexes where schemaname = $1"
            " and indexdef like '%USING gin%'",
            SCHEMA,
        )
        for row in pieces:
            await connection.execute(f"drop index {row['indexname']}")
        await connection.execute(_PLACES, *common, list(site.floor_ids), site.rooms_a_floor)
        await connection.execute(_PERSONAL, *common)
        await connection.execute(_CUSTOMERS, *common)
        await connection.execute(_AGREEMENTS, *common)
        await connection.execute(_ACCOUNTS, *common, list(site.credits_minor))
        await connection.execute(_TRANSFERS, site.project_id, at)
        await connection.execute(_CASH, site.project_id)
        await connection.execute(_POINTS, *common, site.tariff_id)
        await connection.execute(_AGREED, *common)
        await connection.execute(
            _METERS, *common,
            [one.gateway_id for one in site.meters], [one.model for one in site.meters],
            [one.address for one in site.meters], [one.modulus_milli for one in site.meters],
            [one.max_power_w for one in site.meters],
        )  # fmt: skip
        await connection.execute(_STATES, *common)
        for row in pieces:
            await connection.execute(row["indexdef"])
    await settle(address)
    return list(range(FIRST_ID, FIRST_ID + count))


async def accrue(address: Address, project_id: int) -> None:
    """Every household has used between 1.00 and 41.00 yuan, and some billionths, unbooked."""
    async with superuser(address) as connection:
        await connection.execute(
            """update point_state set accrued_nano =
                   1000000000 + (point_id * 7919 % 4000) * 10000000
                   + point_id % 10000000 where project_id = $1""",
            project_id,
        )
    await settle(address)


async def fill_past(
    address: Address, project_id: int, meter_count: int, row_count: int, begun_at: datetime
) -> None:
    """So many commands, alarms (one of a hundred still open) and notices of a site made before."""
    async with superuser(address) as connection, connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        for statement in (_COMMANDS, _ALARMS, _NOTICES):
            await connection.execute(statement, project_id, meter_count, row_count, begun_at)
    await settle(address)


async def settle(address: Address) -> None:
    """What autovacuum and the checkpointer do in quiet minutes, done at once."""
    async with superuser(address) as connection:
        await connection.execute("vacuum (analyze)")
        await connection.execute("checkpoint")


async def decided_on(address: Address) -> dict[int, datetime]:
    """By disconnect command: the instant of the last reading known when it was decided."""
    async with superuser(address) as connection:
        rows = await connection.fetch(
            """select c.id, max(r.read_at) as read_at from command c
               join reading r on (r.project_id, r.meter_id) = (c.project_id, c.meter_id)
                   and r.read_at <= c.created_at
               where c.kind = 'disconnect' group by c.id"""
        )
    return {row["id"]: row["read_at"] for row in rows}


class BareTable:
    """A table like `reading`, partitions and primary key included, that rows are copied into."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection

    @classmethod
    async def make(cls, connection: RawConnection) -> "BareTable":
        """The table, empty."""
        await connection.execute(
            "create table bare (like reading including all) partition by range (read_at)"
        )
        return cls(connection)

    async def ready(self, week: str) -> None:
        """Make the partition of a week of `reading` here too."""
        bounds = await self._connection.fetchval(
            "select pg_get_expr(relpartbound, oid) from pg_class where oid = to_regclass($1)",
            f"{SCHEMA}.reading_{week}",
        )
        await self._connection.execute(
            f"create table if not exists bare_{week} partition of bare {bounds}"
        )

    async def copy(self, week: str, blocks: Sequence[bytes]) -> None:
        """COPY a packed stream and commit."""

        async def stream() -> AsyncIterator[bytes]:
            for block in blocks:
                yield block

        await self._connection.copy_to_table(
            f"bare_{week}", schema_name=SCHEMA, columns=[name for name, _ in READING],
            source=stream(), format="binary",
        )  # fmt: skip


async def packed(rows: Columns) -> list[bytes]:
    """Reading rows as the blocks that `BareTable.copy` takes."""
    return [block async for block in pack(READING, rows)]
