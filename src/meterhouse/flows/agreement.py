"""Looking at an account: who, which rooms since when, what is in its purses, how it ended.

Owns nothing but that. An account that is closed looks as it did: nothing of it is taken away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meterhouse.store import agreements
from meterhouse.store.agreements import Settlement
from meterhouse.store.db import Database


@dataclass(frozen=True, slots=True)
class AgreementNow:
    """An account as it is, or as it was when it ended.

    `payments` and `transfers` are the latest, newest first.
    """

    row: Any
    accounts: Sequence[Any]
    points: Sequence[Any]
    settlement: Settlement | None
    payments: Sequence[Any] = ()
    transfers: Sequence[Any] = ()


async def look(
    db: Database, project_id: int, agreement_id: int, *, with_money: bool = False
) -> AgreementNow:
    """One account, with its orders and transfers where they are wanted. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        key = (connection, project_id, agreement_id)
        return AgreementNow(
            await agreements.get(*key),
            await agreements.accounts(*key),
            await agreements.points(*key),
            await agreements.settlement(*key),
            await agreements.payments(*key) if with_money else (),
            await agreements.transfers(*key) if with_money else (),
        )


async def of_place(db: Database, project_id: int, place_id: int) -> Sequence[Any]:
    """Every account a place ever had, newest first."""
    async with db.transaction([project_id]) as connection:
        return await agreements.of_place(connection, project_id, place_id)


async def names(
    db: Database, project_id: int, agreement_ids: Sequence[int]
) -> list[tuple[int, str]]:
    """Id and rooms of those of these accounts that are open."""
    async with db.transaction([project_id]) as connection:
        rows = await agreements.names(connection, project_id, agreement_ids)
    return [(row["id"], row["rooms"]) for row in rows]
