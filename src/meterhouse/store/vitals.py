"""A few counts over all projects, for the machine that watches the house.

Owns three questions. Must never answer with anything but counts by a closed set of words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
