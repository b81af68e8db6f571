"""The tree of places as rows: buildings, floors, rooms, public areas.

Owns reading, growing and pruning the tree. Must never know who rents a room or what it pays. Two
who change one project's tree at once wait for each other, so that a name stays its siblings' only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.store.db import Connection

_LOCK: Final = 7307


class PlaceNotEmpty(MeterhouseError):
    """Something lies in this place or belongs to it; only an empty one can be removed."""

    code = "place_not_empty"
    http_status = 409


@dataclass(frozen=True, slots=True)
class NewPlace:
    """A place to be made; `parent_id` is None for a building."""

    parent_id: int | None
    kind: str
    name: str
    sort: int = 0
    area_dm2: int | None = None


async def lock_tree(connection: Connection, project_id: int) -> None:
    """Let one transaction at a time change this project's tree."""
    await connection.execute(
        "select pg_advisory_xact_lock($1, ($2::int8 % 2147483647)::int4)", _LOCK, project_id
    )


async def get_place(connection: Connection, project_id: int, place_id: int) -> asyncpg.Record:
    """id, parent_id, kind, name, sort, area_dm2, version. Raises `NotFound`."""
    row = await connection.fetchrow(
        """select id, parent_id, kind, name, sort, area_dm2, version from place
           where project_id = $1 and id = $2 and seen_place($1, $2)""",
        project_id, place_id,
    )  # fmt: skip
    if row is None:
        raise NotFound("Place", place_id)
    return row


async def insert_places(
    connection: Connection, project_id: int, places: Sequence[NewPlace]
) -> list[int]:
    """Places of one or several parents; answers their ids in the order given."""
    rows = await connection.fetch(
        """insert into place (project_id, parent_id, kind, name, sort, area_dm2)
           select $1, parent_id, kind, name, sort, area_dm2
           from unnest($2::int8[], $3::text[], $4::text[], $5::int4[], $6::int8[])
               with ordinality as u (parent_id, kind, name, sort, area_dm2, n)
           order by n returning id""",
        project_id, [one.parent_id for one in places], [one.kind for one in places],
        [one.name for one in places], [one.sort for one in places],
        [one.area_dm2 for one in places],
    )  # fmt: skip
    return sorted(row["id"] for row in rows)


async def children(
    connection: Connection, project_id: int, parent_id: int | None
) -> list[asyncpg.Record]:
    """id, kind, name, sort of what lies directly beneath a place, or of the top."""
    return await connection.fetch(
        """select id, kind, name, sort from place
           where project_id = $1 and parent_id is not distinct from $2::int8
           order by sort, name, id""",
        project_id, parent_id,
    )  # fmt: skip


async def all_places(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """id, parent_id, kind, name, sort of the whole tree, parents before children."""
    return await connection.fetch(
        """with recursive tree as (
               select id, parent_id, kind, name, sort, 0 as level from place
               where project_id = $1 and parent_id is null
               union all
               select p.id, p.parent_id, p.kind, p.name, p.sort, t.level + 1
               from place p join tree t on p.parent_id = t.id where p.project_id = $1)
           select id, parent_id, kind, name, sort from tree order by level, id""",
        project_id,
    )


async def measure(
    connection: Connection, project_id: int, areas_dm2: Mapping[int, int | None]
) -> None:
    """The areas of places, by id."""
    await connection.execute(
        """update place p set area_dm2 = u.area_dm2, version = version + 1
           from unnest($2::int8[], $3::int8[]) as u (id, area_dm2)
           where p.project_id = $1 and p.id = u.id and p.area_dm2 is distinct from u.area_dm2""",
        project_id, list(areas_dm2), list(areas_dm2.values()),
    )  # fmt: skip


async def building_counts(connection: Connection, project_id: int) -> list[asyncpg.Record]:
    """A row a building: id, name, version, and what it counts: floors, rooms, areas, meters.

    `area_dm2` is the sum over the building's places.
    """
    return await connection.fetch(
        """with recursive tree as (
               select id as building_id, id, kind, area_dm2 from place
               where project_id = $1 and parent_id is null
               union all
               select t.building_id, p.id, p.kind, p.area_dm2 from place p
               join tree t on p.parent_id = t.id where p.project_id = $1),
           metered as (
               select p.place_id, count(*) as meter_count from point p
               join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
               where p.project_id = $1 and m.removed_at is null group by p.place_id)
           select b.id, b.kind, b.name, b.version, sum(t.area_dm2)::int8 as area_dm2,
               count(*) filter (where t.kind = 'floor') as floor_count,
               count(*) filter (where t.kind = 'room') as room_count,
               count(*) filter (where t.kind = 'area') as area_count,
               coalesce(sum(m.meter_count), 0)::int8 as meter_count
           from place b join tree t on t.building_id = b.id
           left join metered m on m.place_id = t.id
           where b.project_id = $1 and seen_place(b.project_id, b.id)
           group by b.id, b.kind, b.name, b.version, b.sort
           order by b.sort, b.name, b.id""",
        project_id,
    )


async def places_beneath(
    connection: Connection, project_id: int, place_id: int
) -> list[asyncpg.Record]:
    """The whole tree beneath a place, level by level.

    id, parent_id, kind, name, area_dm2, version, tariff (names), address (meters), customer_id.
    """
    return await connection.fetch(
        """with recursive tree as (
               select id, parent_id, kind, name, sort, area_dm2, version, 0 as level from place
               where project_id = $1 and parent_id = $2
               union all
               select p.id, p.parent_id, p.kind, p.name, p.sort, p.area_dm2, p.version, t.level + 1
               from place p join tree t on p.parent_id = t.id where p.project_id = $1)
           select t.*, q.point_count, q.tariff, q.address, q.is_let
           from tree t left join lateral (
               select count(*) as point_count, string_agg(distinct f.name, ', ') as tariff,
                   string_agg(m.address, ', ') as address,
                   bool_or(a.kind = 'tenant') as is_let
               from point p
               left join tariff f on (f.project_id, f.id) = (p.project_id, p.tariff_id)
               left join meter m on (m.project_id, m.point_id) = (p.project_id, p.id)
                   and m.removed_at is null
               left join account c on (c.project_id, c.id) = (p.project_id, p.account_id)
               left join agreement a on (a.project_id, a.id) = (c.project_id, c.agreement_id)
               where p.project_id = $1 and p.place_id = t.id) q on true
           order by t.level, t.parent_id, t.sort, t.name, t.id""",
        project_id, place_id,
    )  # fmt: skip


async def path_to(connection: Connection, project_id: int, place_id: int) -> list[asyncpg.Record]:
    """id, kind, name of a place and all above it, from the top down."""
    return await connection.fetch(
        """with recursive up as (
               select id, parent_id, kind, name, 0 as level from place
               where project_id = $1 and id = $2
               union all
               select p.id, p.parent_id, p.kind, p.name, u.level + 1 from place p
               join up u on p.id = u.parent_id where p.project_id = $1)
           select id, kind, name from up order by level desc""",
        project_id, place_id,
    )  # fmt: skip


async def parents_for(
    connection: Connection, project_id: int, kinds: Sequence[str]
) -> list[asyncpg.Record]:
    """id, kind and full name of the places of these kinds, in order."""
    return await connection.fetch(
        """select p.id, p.kind, concat_ws(' ', b.name, p.name) as name
           from place p left join place b on (b.project_id, b.id) = (p.project_id, p.parent_id)
           where p.project_id = $1 and p.kind = any($2::text[])
           order by coalesce(b.sort, p.sort), b.name nulls first, p.sort, p.name, p.id""",
        project_id, list(kinds),
    )  # fmt: skip


async def change_place(
    connection: Connection, project_id: int, place_id: int, version: int, name: str,
    area_dm2: int | None, parent_id: int | None,
) -> bool:  # fmt: skip
    """Rename, measure or move a place; False when somebody changed it meanwhile."""
    done = await connection.fetchval(
        """update place set name = $4, area_dm2 = $5, parent_id = $6, version = version + 1
           where project_id = $1 and id = $2 and version = $3 returning id""",
        project_id, place_id, version, name, area_dm2, parent_id,
    )  # fmt: skip
    return done is not None


async def remove_place(connection: Connection, project_id: int, place_id: int) -> None:
    """Take an empty place away. Raises `PlaceNotEmpty`."""
    try:
        await connection.execute(
            "delete from place where project_id = $1 and id = $2", project_id, place_id
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise PlaceNotEmpty from error
