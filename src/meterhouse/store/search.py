"""Finding rooms, meters, people and payments by a piece of what they are called.

Owns the SQL over the `grams` columns: every run of one to three characters, with the project
before it, so that an index answers for one project without looking at another's rows. Must never
decide who may find what. Whatever is found of a person is masked by the view it is read through.
"""

from collections.abc import Sequence
from typing import Final

import asyncpg

from meterhouse.store import personal
from meterhouse.store.db import Connection

TEXT_CHARS_MAX: Final = 60
GRAM_CHARS: Final = 3
CANDIDATES_MAX: Final = personal.CANDIDATES_MAX

# The projects asked, each with the tokens that a hit must have. The best is what is called just so,
# then what begins so, then the shortest.
_WANTED: Final = """wanted as (select j as project_id,
        array(select j::text || ':' || t from unnest($2::text[]) t) as tokens
    from unnest($1::int8[]) j)"""
_RANK: Final = "lower(said) <> $3, not starts_with(lower(said), $3), length(said), said, id"
_PLACE: Final = """
    left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
    left join place b on (b.project_id, b.id) = (f.project_id, f.parent_id)"""
_BUILDING: Final = """coalesce(b.id, f.id, r.id) as building_id,
    coalesce(b.name, f.name, r.name) as building"""


def grams_of(text: str) -> list[str]:
    """The pieces of a text that the index knows: itself when short, else its runs of three."""
    said = text.strip().lower()[:TEXT_CHARS_MAX]
    if len(said) <= GRAM_CHARS:
        return [said] if said else []
    return sorted({said[n : n + GRAM_CHARS] for n in range(len(said) - GRAM_CHARS + 1)})


async def rooms(
    connection: Connection, project_ids: Sequence[int], text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, kind, said, building_id, building of buildings, rooms and areas."""
    return await connection.fetch(
        f"""with {_WANTED},
            found as (select p.project_id, p.id, p.kind, p.name, p.name as said, p.parent_id
                from wanted w cross join lateral (select * from place p
                    where p.project_id = w.project_id and p.grams @> w.tokens
                    and p.kind <> 'floor' limit {CANDIDATES_MAX}) p
                where position($3 in lower(p.name)) > 0),
            best as (select * from found order by kind = 'building' desc, {_RANK} limit $4)
            select r.*, {_BUILDING} from best r {_PLACE} order by {_RANK}""",
        list(project_ids), grams_of(text), text, limit,
    )  # fmt: skip


async def meters(
    connection: Connection, project_ids: Sequence[int], text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, said (its address), room_id, room, building_id, building of meters."""
    return await connection.fetch(
        f"""with {_WANTED},
            best as (select m.project_id, m.id, m.address as said, m.point_id
                from wanted w cross join lateral (select * from meter m
                    where m.project_id = w.project_id and m.grams @> w.tokens
                    and m.removed_at is null limit {CANDIDATES_MAX}) m
                where position($3 in lower(m.address)) > 0
                order by lower(m.address) <> $3, m.address, m.id limit $4)
            select m.*, r.id as room_id, r.name as room, {_BUILDING} from best m
            left join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
            left join place r on (r.project_id, r.id) = (p.project_id, p.place_id) {_PLACE}
            order by m.said, m.id""",
        list(project_ids), grams_of(text), text, limit,
    )  # fmt: skip


async def people(
    connection: Connection, project_ids: Sequence[int], text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, said (masked), phone (masked), room_id, room, building_id, building."""
    return await connection.fetch(
        f"""with {_WANTED},
            best as ({personal.CALLED_SO} order by c.id limit $4)
            select c.project_id, c.id, h.name as said, h.phone, r.id as room_id, r.name as room,
                {_BUILDING}
            from best c
            join customer u on (u.project_id, u.id) = (c.project_id, c.id)
            join personal_masked h on (h.project_id, h.id) = (u.project_id, u.personal_id)
            left join lateral (select ap.point_id from agreement g
                join agreement_point ap on (ap.project_id, ap.agreement_id) = (g.project_id, g.id)
                where (g.project_id, g.customer_id) = (c.project_id, c.id) and ap.valid_to is null
                order by ap.point_id limit 1) a on true
            left join point p on (p.project_id, p.id) = (c.project_id, a.point_id)
            left join place r on (r.project_id, r.id) = (p.project_id, p.place_id) {_PLACE}
            order by c.id""",
        list(project_ids), grams_of(text), text, limit,
    )  # fmt: skip


async def payments(
    connection: Connection, project_ids: Sequence[int], text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, amount_minor, created_at, room_id, room, building of orders, by number."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
    return await connection.fetch(
        f"""with best as (
                select y.project_id, y.id, y.amount_minor, y.created_at, y.agreement_id
                from unnest($1::int8[]) j join payment y on y.project_id = j
                and (y.id = $2 or y.key = $3) order by y.id desc limit $4)
            select y.*, r.id as room_id, r.name as room, {_BUILDING} from best y
            left join lateral (select ap.point_id from agreement_point ap
                where (ap.project_id, ap.agreement_id) = (y.project_id, y.agreement_id)
                order by ap.point_id limit 1) a on true
            left join point p on (p.project_id, p.id) = (y.project_id, a.point_id)
            left join place r on (r.project_id, r.id) = (p.project_id, p.place_id) {_PLACE}
            order by y.id desc""",
        list(project_ids), number, text, limit,
    )  # fmt: skip
