"""Corrections of the past as rows: versions that take others' place, and what a sweep must know.

Owns how a correction is published beside what it corrects, and the look-ups of the sweep that
follows. Must never rate.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from meterhouse.store.catalog import PublishedMeanwhile, get_tariff
from meterhouse.store.catalog import edition as edition_now
from meterhouse.store.db import Connection
from meterhouse.store.personal import STAFF_NAME, staff
from meterhouse.store.points import Ints
from meterhouse.units import from_us


@dataclass(frozen=True, slots=True)
class NewCorrection:
    """What a correction publishes.

    Attributes:
        since: from when on its versions take the place of those published before.
        versions: (effective_from, body), oldest first; the first begins at `since`.
        version_count: how many versions the tariff had when the correction was looked at.
        actor_id, second_id: who asked, and who agreed.
        replay_id: the replay that showed what it does.
    """

    since: datetime
    versions: Sequence[tuple[datetime, Mapping[str, Any]]]
    version_count: int
    reason: str
    actor_id: int | None
    second_id: int | None
    replay_id: int


async def publish(
    connection: Connection, project_id: int, tariff_id: int, new: NewCorrection, at: datetime
) -> int:
    """Publish a correction; answers the project's edition from now on.

    Raises:
        PublishedMeanwhile: the tariff has got further versions since the correction was looked at.
    """
    known = await get_tariff(connection, project_id, tariff_id)
    if known["version_count"] != new.version_count:
        raise PublishedMeanwhile
    edition = await edition_now(connection, project_id) + 1
    for place, (effective_from, body) in enumerate(new.versions):
        try:
            await connection.execute(
                """insert into tariff_version (project_id, tariff_id, version, effective_from,
                       body, published_at, published_by, edition, corrects_from, reason,
                       second_id, replay_id)
                   values ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10, $11, $12)""",
                project_id, tariff_id, new.version_count + 1 + place, effective_from,
                json.dumps(dict(body)), at, new.actor_id, edition,
                None if place else new.since, new.reason, new.second_id, new.replay_id,
            )  # fmt: skip
        except asyncpg.UniqueViolationError as error:
            raise PublishedMeanwhile from error
    return edition


async def of_tariff(
    connection: Connection, project_id: int, tariff_id: int
) -> list[asyncpg.Record]:
    """The corrections of a tariff, the newest first: what, since when, why, by whom.

    `point_count` is of how many points it became the tariff; null where its prices were corrected.
    """
    return await connection.fetch(
        f"""select q.edition, q.corrects_from, q.reason, q.published_at, q.replay_id,
                q.point_count, {STAFF_NAME} as actor,
                (select {STAFF_NAME} from (select q.second_id) as s {staff("s.second_id")})
                    as second
            from (
                select edition, corrects_from, reason, published_at, published_by, second_id,
                    replay_id, null::int4 as point_count
                from tariff_version
                where project_id = $1 and tariff_id = $2 and corrects_from is not null
                union all
                select edition, since_at, reason, made_at, actor_id, second_id, replay_id,
                    point_count
                from assignment where project_id = $1 and tariff_id = $2) q
            {staff("q.published_by")}
            order by q.edition desc""",
        project_id, tariff_id,
    )  # fmt: skip


async def of_charges(
    connection: Connection, project_id: int, priced: Sequence[Any]
) -> list[tuple[datetime, str, datetime, bool] | None]:
    """corrects_from, reason, published_at, is_given of what gave each charge its price.

    None: no correction did. `is_given`: its point got another tariff. `priced` have point_id,
    tariff_id, edition and is_repriced.
    """
    keys = [(one["point_id"], one["tariff_id"], one["edition"]) if one["is_repriced"] else (0, 0, 0)
            for one in priced]  # fmt: skip
    wanted = sorted(set(keys))
    rows = await connection.fetch(
        """select distinct on (k.point_id, k.tariff_id, k.edition) k.*, c.since_at, c.reason,
               c.made_at, c.is_given
           from unnest($2::int8[], $3::int8[], $4::int4[]) as k (point_id, tariff_id, edition)
           cross join lateral (
               select v.edition as number, v.corrects_from as since_at, v.reason,
                   v.published_at as made_at, false as is_given
               from tariff_version v where (v.project_id, v.tariff_id) = ($1, k.tariff_id)
               and v.edition <= k.edition and v.corrects_from is not null
               union all
               select a.edition, a.since_at, a.reason, a.made_at, true from point_tariff t
               join assignment a on (a.project_id, a.edition) = (t.project_id, t.edition)
               where (t.project_id, t.point_id) = ($1, k.point_id) and t.replaces
               and t.edition <= k.edition) c
           order by k.point_id, k.tariff_id, k.edition, c.number desc""",
        project_id, *([one[place] for one in wanted] for place in range(3)),
    )  # fmt: skip
    found = {
        (row["point_id"], row["tariff_id"], row["edition"]):
            (row["since_at"], row["reason"], row["made_at"], row["is_given"])
        for row in rows
    }  # fmt: skip
    return [found.get(key) for key in keys]


async def was_of(connection: Connection, project_id: int, replay_id: int) -> bool:
    """Whether a correction was published that rests on this replay."""
    found: bool = await connection.fetchval(
        """select exists (select from tariff_version where project_id = $1 and replay_id = $2)
               or exists (select from assignment where project_id = $1 and replay_id = $2)""",
        project_id, replay_id,
    )  # fmt: skip
    return found


async def points_after(
    connection: Connection, project_id: int, commodity: str, after_id: int, count: int,
    given: int | None = None,
) -> list[int]:  # fmt: skip
    """The next points of a commodity, ascending, whoever pays for them.

    `given`: the edition that gave them their tariff since a past instant; None: all.
    """
    rows = await connection.fetch(
        """select p.id from point p where p.project_id = $1 and p.commodity = $2 and p.id > $3
           and ($5::int4 is null or exists (select from point_tariff t
               where (t.project_id, t.point_id, t.edition) = (p.project_id, p.id, $5)
               and t.replaces))
           order by p.id limit $4""",
        project_id, commodity, after_id, count, given,
    )  # fmt: skip
    return [row["id"] for row in rows]


async def count_points(connection: Connection, project_id: int, commodity: str) -> int:
    """How many points of a commodity there are."""
    found: int = await connection.fetchval(
        "select count(*) from point where project_id = $1 and commodity = $2",
        project_id, commodity,
    )  # fmt: skip
    return found


async def standings(
    connection: Connection, project_id: int, point_ids: Ints
) -> dict[int, asyncpg.Record]:
    """booking, payer_at and whether the platform keeps it (`is_kept`), of points, by id; locked."""
    rows = await connection.fetch(
        """select ps.point_id, ps.booking, p.payer_at, p.keeper = 'platform' as is_kept
           from point_state ps join point p on (p.project_id, p.id) = (ps.project_id, ps.point_id)
           where ps.project_id = $1 and ps.point_id = any($2::int8[])
           order by ps.point_id for update of ps""",
        project_id, point_ids.tolist(),
    )  # fmt: skip
    return {row["point_id"]: row for row in rows}


async def set_blocks(
    connection: Connection, project_id: int, point_id: int, block_milli: int, period_us: int
) -> None:
    """Set where a point's blocks stand."""
    await connection.execute(
        """update point_state set block_milli = $3, block_period_at = $4
           where project_id = $1 and point_id = $2""",
        project_id, point_id, block_milli, from_us(period_us),
    )  # fmt: skip
