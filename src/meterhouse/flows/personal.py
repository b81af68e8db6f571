"""Saying who a customer is, and forgetting it.

Owns the only two ways past the mask: one customer shown to somebody who is named in the audit, and
one erased for good. Must never put what it reads into an entry, a kept answer or a log.
"""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from meterhouse.errors import Conflict, NotFound
from meterhouse.flows.act import Done
from meterhouse.store import personal
from meterhouse.store.db import Database


class Fact(StrEnum):
    """What can be known of a customer; the words of the columns."""

    NAME = "name"
    PHONE = "phone"
    EMAIL = "email"
    ID_NUMBER = "id_number"


async def show(db: Database, project_id: int, customer_id: int, facts: Collection[Fact]) -> Done:
    """What is known of one customer, unmasked; the entry says which facts were looked at.

    Raises:
        NotFound: there is no such customer in this project.
    """
    async with db.transaction([project_id]) as connection:
        row = await personal.of_customer(connection, project_id, customer_id)
    if row is None:
        raise NotFound("Customer", customer_id)
    asked = [fact for fact in Fact if fact in facts]
    answer = {fact.value: row[fact] if fact in asked else None for fact in Fact}
    answer["is_erased"] = row["erased_at"] is not None
    return Done(
        f"customer:{customer_id}",
        answer,
        after={"shown": [fact.value for fact in asked]},
        is_kept=False,
    )


async def erase(db: Database, project_id: int, customer_id: int, reason: str, at: datetime) -> Done:
    """Overwrite who a customer is and what was written to them; bookings stay.

    Raises:
        NotFound: there is no such customer in this project.
        Conflict: it was done before.
    """
    async with db.transaction([project_id]) as connection:
        if await personal.of_customer(connection, project_id, customer_id) is None:
            raise NotFound("Customer", customer_id)
        if not await personal.erase(connection, project_id, customer_id, at):
            raise Conflict(f"customer {customer_id}", "it was erased before")
    return Done(
        f"customer:{customer_id}", before={"erased": False}, after={"erased": True}, reason=reason
    )
