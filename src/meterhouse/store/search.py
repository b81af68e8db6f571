"""Finding rooms, meters, people and payments by what they are called.

Owns how a text becomes tokens, and where what was found is. Which rows are called so, in which
buildings, the database answers itself (`find_called`): row security would keep it from using the
index, whose tokens carry the project, so that one project's answer does not depend on another's
rows. The rows are then read under row security like any others. A room or an address is found by
any piece of it. A person is not, because whoever sees only the mask could ask for what is behind it
one sign after the other: they are found by what whoever looks for them knows. Must never decide
who may find what; a person's name and phone come masked from the view they are read through.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

import asyncpg

from meterhouse.store.db import Connection

TEXT_CHARS_MAX: Final = 60
GRAM_CHARS: Final = 3
# Each piece costs a look at the index, and what it finds is compared with the whole text anyway.
GRAMS_ASKED_MAX: Final = 3

Sight: TypeAlias = Mapping[int, Collection[int] | None]
"""The projects that are searched, and of each the only buildings; None for all of it."""

# $1 projects, $2 the buildings of each, $3 pieces of the text, $4 the text in small letters, $5 how
# many at most.
_SIGHT: Final = """(select j as project_id, b::int8[] as buildings
    from unnest($1::int8[], $2::text[]) s (j, b)) sight"""
_HITS: Final = f"""from (select sight.*, h.id, h.rank from {_SIGHT}
    cross join lateral find_called('{{what}}', sight.project_id,
        array(select sight.project_id::text || ':' || t from unnest($3::text[]) t), $4,
        sight.buildings, $5::int4)
        with ordinality h(id, rank) order by h.rank, sight.project_id limit $5) hit"""
_PLACE: Final = """
    left join place b on (b.project_id, b.id) = (r.project_id, r.building_id)"""
_BUILDING: Final = "r.building_id, b.name as building"
# Of what somebody pays for, the first that the reader may see.
_FIRST_SEEN: Final = """(select ap.point_id, r.id, r.name, r.project_id, r.building_id
    from agreement g
    join agreement_point ap on (ap.project_id, ap.agreement_id) = (g.project_id, g.id)
    join point p on (p.project_id, p.id) = (ap.project_id, ap.point_id)
    join place r on (r.project_id, r.id) = (p.project_id, p.place_id)
    where {of} and ({buildings} is null or r.building_id = any({buildings}))
    order by ap.point_id limit 1) r"""


def grams_of(text: str) -> list[str]:
    """The pieces of a text to ask the index for: itself when short, else some runs of three.

    Digits and Chinese signs tell more apart than Latin letters, which stand in every name; and the
    end of a phone or an address tells more than its beginning, which it shares with many.
    """
    said = text.strip().lower()[:TEXT_CHARS_MAX]
    if len(said) <= GRAM_CHARS:
        return [said] if said else []
    begins = range(len(said) - GRAM_CHARS, -1, -1)
    runs = dict.fromkeys(said[n : n + GRAM_CHARS] for n in begins)

    def letters(run: str) -> int:
        return sum(char.isascii() and not char.isdigit() for char in run)

    return sorted(runs, key=letters)[:GRAMS_ASKED_MAX]


def _asked(sight: Sight) -> tuple[list[int], list[str | None]]:
    """The projects, and of each its buildings as an array is written; none for all of it."""
    return list(sight), [
        None if buildings is None else "{" + ",".join(map(str, sorted(buildings))) + "}"
        for buildings in sight.values()
    ]


async def rooms(
    connection: Connection, sight: Sight, text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, kind, said, building_id, building of buildings, rooms and areas."""
    return await connection.fetch(
        f"""select r.project_id, r.id, r.kind, r.name as said, {_BUILDING}
            {_HITS.format(what="place")}
            join place r on (r.project_id, r.id) = (hit.project_id, hit.id) {_PLACE}
            order by hit.rank, r.project_id""",
        *_asked(sight), grams_of(text), text, limit,
    )  # fmt: skip


async def meters(
    connection: Connection, sight: Sight, text: str, limit: int
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
        *_asked(sight), grams_of(text), text, limit,
    )  # fmt: skip


async def people(
    connection: Connection, sight: Sight, text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, said (masked), phone (masked), room_id, room, building_id, building.

    Where they are is the first place in sight that they pay for.
    """
    of = "(g.project_id, g.customer_id) = (c.project_id, c.id) and ap.valid_to is null"
    return await connection.fetch(
        f"""select c.project_id, c.id, h.name as said, h.phone, r.id as room_id, r.name as room,
                {_BUILDING}
            {_HITS.format(what="customer")}
            join customer c on (c.project_id, c.id) = (hit.project_id, hit.id)
            join personal_masked h on (h.project_id, h.id) = (c.project_id, c.personal_id)
            left join lateral {_FIRST_SEEN.format(of=of, buildings="hit.buildings")} on true
            {_PLACE}
            order by hit.rank, c.project_id""",
        *_asked(sight), grams_of(text), text, limit,
    )  # fmt: skip


async def payments(
    connection: Connection, sight: Sight, text: str, limit: int
) -> list[asyncpg.Record]:
    """project_id, id, amount_minor, created_at, room_id, room, building of orders, by number."""
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
    of = "(g.project_id, g.id) = (y.project_id, y.agreement_id)"
    return await connection.fetch(
        f"""select y.project_id, y.id, y.amount_minor, y.created_at, r.id as room_id,
                r.name as room, {_BUILDING}
            from {_SIGHT}
            join payment y on y.project_id = sight.project_id and (y.id = $3 or y.key = $4)
            left join lateral {_FIRST_SEEN.format(of=of, buildings="sight.buildings")} on true
            {_PLACE}
            where sight.buildings is null or r.id is not null
            order by y.id desc limit $5""",
        *_asked(sight), number, text, limit,
    )  # fmt: skip
