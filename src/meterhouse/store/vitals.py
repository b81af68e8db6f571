"""How the installation stands: for the machine that watches it, and for whoever examines it.

Owns a few counts over all projects, and what the server says of itself. Must never answer with a
row's content.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from meterhouse.store.db import Connection


@dataclass(frozen=True, slots=True)
class Standing:
    """How the installation stands: counts by alarm kind, and of gateways and notices."""

    alarms_open: Mapping[str, int]
    gateways_online: int
    gateways_offline: int
    notices_waiting: int


async def standing(connection: Connection, project_ids: Sequence[int]) -> Standing:
    """The counts over these projects; each stands on an index or a small table."""
    alarms = await connection.fetch(
        """select kind, count(*) as open from alarm
           where project_id = any($1::int8[]) and closed_at is null group by kind""",
        project_ids,
    )
    gateways = await connection.fetchrow(
        """select count(*) filter (where s.online) as online,
               count(*) filter (where s.online is not true) as offline
           from gateway g left join gateway_state s
               on (s.project_id, s.gateway_id) = (g.project_id, g.id)
           where g.project_id = any($1::int8[])""",
        project_ids,
    )
    waiting = await connection.fetchval(
        """select count(*) from notice
           where project_id = any($1::int8[]) and state = 'queued'""",
        project_ids,
    )
    assert gateways is not None, "an aggregate always has a row"
    return Standing(
        {row["kind"]: row["open"] for row in alarms}, gateways["online"], gateways["offline"],
        waiting,
    )  # fmt: skip


async def unsealed(
    connection: Connection, project_ids: Sequence[int], models: Sequence[str]
) -> int:
    """Meters of these models that keep money, on a line whose head end can seal no order."""
    count: int = await connection.fetchval(
        """select count(*) from meter m
           join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
           left join gateway_state s on (s.project_id, s.gateway_id) = (m.project_id, m.gateway_id)
           where m.project_id = any($1::int8[]) and m.model = any($2::text[])
           and m.removed_at is null and p.keeper = 'meter' and s.seals is not true""",
        list(project_ids), list(models),
    )  # fmt: skip
    return count


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself to the application's role.

    `owned_tables` must be none, or row-level security does not hold; `now` is its clock.
    """

    version: str
    role: str
    owned_tables: int
    is_fsync: bool
    is_full_page: bool
    now: datetime


async def server_facts(connection: Connection) -> ServerFacts:
    """The server as the application meets it."""
    row = await connection.fetchrow(
        """select current_setting('server_version') as version, current_user::text as role,
               (select count(*) from pg_tables where tableowner = current_user
                   and schemaname not like 'pg_temp%') as owned_tables,
               current_setting('fsync')::bool as is_fsync,
               current_setting('full_page_writes')::bool as is_full_page,
               clock_timestamp() as now"""  # every ingest has some temporary tables
    )
    assert row is not None, "a query without a table always has a row"
    return ServerFacts(**dict(row))
