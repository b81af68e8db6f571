"""Filters that people have saved: whose, of which list, under which name.

Owns `saved_filter`. Must never know what a list's query means.
"""

import asyncpg

from meterhouse.errors import Conflict
from meterhouse.store.db import Connection


async def of_person(
    connection: Connection, project_id: int, person_id: int, list_name: str = ""
) -> list[asyncpg.Record]:
    """id, list, name, query of what a person saved, of one list or of all, by name."""
    return await connection.fetch(
        """select id, list, name, query from saved_filter
           where project_id = $1 and person_id = $2 and ($3 = '' or list = $3)
           order by list, name""",
        project_id, person_id, list_name,
    )  # fmt: skip


async def insert(
    connection: Connection, project_id: int, person_id: int, list_name: str, name: str, text: str
) -> int:
    """Save a filter, the text of a list's query; one of that name is replaced."""
    made: int = await connection.fetchval(
        """insert into saved_filter (project_id, person_id, list, name, query)
           values ($1, $2, $3, $4, $5) on conflict (project_id, person_id, list, name)
           do update set query = $5 returning id""",
        project_id, person_id, list_name, name, text,
    )  # fmt: skip
    return made


async def rename(
    connection: Connection, project_id: int, person_id: int, filter_id: int, name: str
) -> bool:
    """Give one of a person's filters another name. Raises `Conflict` when they use it already."""
    try:
        found = await connection.fetchval(
            """update saved_filter set name = $4
               where project_id = $1 and person_id = $2 and id = $3 returning id""",
            project_id, person_id, filter_id, name,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Conflict(name, "it is taken") from error
    return found is not None


async def delete(connection: Connection, project_id: int, person_id: int, filter_id: int) -> bool:
    """Forget one of a person's filters."""
    found = await connection.fetchval(
        """delete from saved_filter where project_id = $1 and person_id = $2 and id = $3
           returning id""",
        project_id, person_id, filter_id,
    )  # fmt: skip
    return found is not None
