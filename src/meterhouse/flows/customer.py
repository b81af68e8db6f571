"""Customers: who they are.

Must never know how an account begins (`account`) or ends (`settle`). Names and phones pass
through, and are never told in an answer or an audit entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meterhouse.flows.place import ChangedMeanwhile
from meterhouse.store import customers, personal, readings
from meterhouse.store.db import Connection, Database
from meterhouse.store.personal import Facts


@dataclass(frozen=True, slots=True)
class CustomerNow:
    """A customer, masked, with the agreements they have and had."""

    row: Any
    agreements: Sequence[Any]


async def add(db: Database, project_id: int, facts: Facts, language: str) -> int:
    """A customer without an account yet."""
    async with db.transaction([project_id]) as connection:
        return await _insert(connection, project_id, facts, language)


async def edit(
    db: Database, project_id: int, customer_id: int, version: int, facts: Facts, language: str
) -> None:
    """Replace what is said anew of a customer; what is None stays as it is.

    Raises:
        ChangedMeanwhile: it is not at this version any more, or was erased.
    """
    async with db.transaction([project_id]) as connection:
        await customers.get_customer(connection, project_id, customer_id)
        if not await customers.change_customer(
            connection, project_id, customer_id, version, language
        ):
            raise ChangedMeanwhile
        if not await personal.change(connection, project_id, customer_id, facts):
            raise ChangedMeanwhile
        await readings.bump(connection, project_id)


async def look(db: Database, project_id: int, customer_id: int) -> CustomerNow:
    """One customer. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        return CustomerNow(
            await customers.get_customer(connection, project_id, customer_id),
            await customers.agreements_of(connection, project_id, customer_id),
        )


async def _insert(connection: Connection, project_id: int, facts: Facts, language: str) -> int:
    personal_ids = await personal.insert_many(connection, project_id, [facts])
    (made,) = await customers.insert_customers(connection, project_id, personal_ids, [language])
    return made
