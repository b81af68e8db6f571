"""Tariffs given since a past instant, as rows: what replaced which history of which points.

Owns how such an assignment is kept beside what it replaced. Must never know a price.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from meterhouse.store import catalog
from meterhouse.store.db import Connection


@dataclass(frozen=True, slots=True)
class NewAssignment:
    """A tariff that points should have had since an instant.

    Attributes:
        since: from when on it takes the place of whatever they had.
        actor_id, second_id: who asked, and who agreed.
        replay_id: the replay that showed what it does.
    """

    tariff_id: int
    since: datetime
    reason: str
    actor_id: int | None
    second_id: int | None
    replay_id: int


async def keepers(
    connection: Connection, project_id: int, point_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """id, commodity, keeper of those of these points that are in sight."""
    return await connection.fetch(
        """select p.id, p.commodity, p.keeper from point p
           where p.project_id = $1 and p.id = any($2::int8[]) and seen_point(p.project_id, p.id)
           order by p.id""",
        project_id, list(point_ids),
    )  # fmt: skip


async def of_rooms(
    connection: Connection, project_id: int, commodity: str, names: Sequence[str]
) -> list[asyncpg.Record]:
    """name (as it was asked), place_id, point_id of points in sight, in rooms of these names.

    A room is meant by its name, or by its building's and its own.
    """
    return await connection.fetch(
        """select u.name, r.id as place_id, p.id as point_id from unnest($3::text[]) as u (name)
           join place r on r.project_id = $1
           left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)
           join point p on (p.project_id, p.place_id) = (r.project_id, r.id) and p.commodity = $2
           where u.name in (r.name, b.name || ' ' || r.name) and seen_point(p.project_id, p.id)
           order by p.id""",
        project_id, commodity, list(names),
    )  # fmt: skip


async def publish(
    connection: Connection, project_id: int, point_ids: Sequence[int], new: NewAssignment,
    at: datetime,
) -> int:  # fmt: skip
    """Give a tariff since a past instant; answers the project's edition from now on.

    What the points had since then stays, for whoever asks by an edition before.
    """
    edition = await catalog.edition(connection, project_id) + 1
    ids = list(point_ids)
    await connection.execute(
        """insert into assignment (project_id, edition, tariff_id, since_at, reason, made_at,
               actor_id, second_id, replay_id, point_count)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        project_id, edition, new.tariff_id, new.since, new.reason, at, new.actor_id,
        new.second_id, new.replay_id, len(ids),
    )  # fmt: skip
    await connection.execute(
        """insert into point_tariff (project_id, point_id, from_at, tariff_id, edition, replaces)
           select $1, u.id, $3, $4, $5, true from unnest($2::int8[]) as u (id)""",
        project_id, ids, new.since, new.tariff_id, edition,
    )  # fmt: skip
    await connection.execute(
        """update point set tariff_id = $3, tariff_at = $4, version = version + 1
           where project_id = $1 and id = any($2::int8[])""",
        project_id, ids, new.tariff_id, new.since,
    )  # fmt: skip
    return edition
