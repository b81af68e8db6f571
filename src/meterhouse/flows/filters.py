"""Saved filters: what somebody looks at again and again, under a name of their own."""

from collections.abc import Sequence
from typing import Any, Final

from meterhouse.errors import BadInput, NotFound
from meterhouse.store import filters
from meterhouse.store.db import Database
from meterhouse.words import N_

FILTERS_MAX: Final = 50


class FiltersFull(BadInput):
    """You have saved {count} filters of this list; delete one first."""

    code = "filters_full"

    def __init__(self) -> None:
        super().__init__(count=FILTERS_MAX)


async def of_person(
    db: Database, project_id: int, person_id: int, list_name: str = ""
) -> Sequence[Any]:
    """id, list, name, query of what somebody saved here, by name."""
    async with db.transaction([project_id]) as connection:
        return await filters.of_person(connection, project_id, person_id, list_name)


async def save(
    db: Database, project_id: int, person_id: int, list_name: str, name: str, query: str
) -> int:
    """Save a filter; one of the same name is replaced.

    Raises:
        FiltersFull: there are too many of this list.
    """
    async with db.transaction([project_id]) as connection:
        kept = await filters.of_person(connection, project_id, person_id, list_name)
        if len(kept) >= FILTERS_MAX and name not in {row["name"] for row in kept}:
            raise FiltersFull
        return await filters.insert(connection, project_id, person_id, list_name, name, query)


async def rename(db: Database, project_id: int, person_id: int, filter_id: int, name: str) -> None:
    """Give a filter another name. Raises `NotFound`, or `Conflict` when the name is taken."""
    async with db.transaction([project_id]) as connection:
        if not await filters.rename(connection, project_id, person_id, filter_id, name):
            raise NotFound(N_("Filter"), filter_id)


async def delete(db: Database, project_id: int, person_id: int, filter_id: int) -> None:
    """Forget a filter. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        if not await filters.delete(connection, project_id, person_id, filter_id):
            raise NotFound(N_("Filter"), filter_id)
