"""Finding rooms, meters, people and payments by a piece of what they are called.

Owns how a text becomes tokens, and where what was found is. Which rows are called so the database
answers itself (`called_so`): row security would keep it from using the index, whose tokens carry
the project, so that one project's answer does not depend on another's rows. The rows are then read
under row security like any others. Must never decide who may find what; a person's name and phone
come masked from the view they are read through.
"""

from collections.abc import Sequence
from typing import Final

import asyncpg

from meterhouse.store.db import Connection

TEXT_CHARS_MAX: Final = 60
GRAM_CHARS: Final = 3
# Each piece costs a look at the index, and what it finds is compared with the whole text anyway.
GRAMS_ASKED_MAX: Final = 3

# $1 projects, $2 pieces of the text, $3 the text in small letters, $4 how many at most.
_HITS: Final = """from (select j as project_id, h.id, h.rank from unnest($1::int8[]) j
    cross join lateral called_so('{what}', j,
        array(select j::text || ':' || t from unnest($2::text[]) t), $3, $4::int4)
        with ordinality h(id, rank) order by h.rank, j limit $4) hit"""
_PLACE: Final = """
    left join place f on (f.project_id, f.id) = (r.project_id, r.parent_id)
    left join place b on (b.project_id, b.id) = (f.project_id, f.parent_id)"""
_BUILDING: Final = """coalesce(b.id, f.id, r.id) as building_id,
    coalesce(b.name, f.name, r.name) as building"""


def grams_of(text: str) -> list[str]:
    """The pieces of a text to ask the index for: itself when short, else some runs of three.

    Digits and Chinese signs tell more apart than Latin letters, which stand in every name.
    """
    said = text.strip().lower()[:TEXT_CHARS_MAX]
    if len(said) <= GRAM_CHARS:
        return [said] if said else []
    runs = dict.fromkeys(said[n : n + GRAM_CHARS] for n in range(len(said) - GRAM_CHARS + 1))

    def letters(run: str) -> int:
        return sum(char.isascii() and not char.isdigit() for char in run)

    return sorted(runs, key=letters)[:GRAMS_ASKED_MAX]


async def rooms(
    connection: Connection, project_ids: Sequence[int], text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, kind, said, building_id, building of buildings, rooms and areas."""
    return await connection.fetch(
        f"""select r.project_id, r.id, r.kind, r.name as said, {_BUILDING}
            {_HITS.format(what="place")}
            join place r on (r.project_id, r.id) = (hit.project_id, hit.id) {_PLACE}
            order by hit.rank, r.project_id""",
        list(project_ids), grams_of(text), text, limit,
    )  # fmt: skip


async def meters(
    connection: Connection, project_ids: Sequence[int], text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, said (its address), room_id, room, building_id, building of meters."""
    return await connection.fetch(
        f"""select m.project_id, m.id, m.address as said, r.id as room_id, r.name as room,
                {_BUILDING}
            {_HITS.format(what="meter")}
            join meter m on (m.project_id, m.id) = (hit.project_id, hit.id)
            left join point p on (p.project_id, p.id) = (m.project_id, m.point_id)
            left join place r on (r.project_id, r.id) = (p.project_id, p.place_id) {_PLACE}
            order by hit.rank, m.project_id""",
        list(project_ids), grams_of(text), text, limit,
    )  # fmt: skip


async def people(
    connection: Connection, project_ids: Sequence[int], text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, said (masked), phone (masked), room_id, room, building_id, building."""
    return await connection.fetch(
        f"""select c.project_id, c.id, h.name as said, h.phone, r.id as room_id, r.name as room,
                {_BUILDING}
            {_HITS.format(what="customer")}
            join customer c on (c.project_id, c.id) = (hit.project_id, hit.id)
            join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
            left join lateral (select ap.point_id from agreement g
                join agreement_point ap on (ap.project_id, ap.agreement_id) = (g.project_id, g.id)
                where (g.project_id, g.customer_id) = (c.project_id, c.id) and ap.valid_to is null
                order by ap.point_id limit 1) a on true
            left join point p on (p.project_id, p.id) = (c.project_id, a.point_id)
            left join place r on (r.project_id, r.id) = (p.project_id, p.place_id) {_PLACE}
            order by hit.rank, c.project_id""",
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
