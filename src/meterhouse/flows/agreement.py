"""Looking at an account: who, which rooms since when, what is in its purses, how it ended.

Owns nothing but that. An account that is closed looks as it did: nothing of it is taken away.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from meterhouse.errors import NotFound
from meterhouse.store import agreements
from meterhouse.store.agreements import Settlement
from meterhouse.store.db import Database


@dataclass(frozen=True, slots=True)
class AgreementNow:
    """An account as it is, or as it was when it ended."""

    row: Any
    accounts: Sequence[Any]
    points: Sequence[Any]
    settlement: Settlement | None


@dataclass(frozen=True, slots=True)
class MoneyNow:
    """The latest orders and transfers of an account, newest first."""

    payments: Sequence[Any]
    transfers: Sequence[Any]


async def look(db: Database, project_id: int, agreement_id: int) -> AgreementNow:
    """One account. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        key = (connection, project_id, agreement_id)
        return AgreementNow(
            await agreements.get(*key),
            await agreements.accounts(*key),
            await agreements.points(*key),
            await agreements.settlement(*key),
        )


async def money(db: Database, project_id: int, agreement_id: int) -> MoneyNow | None:
    """What moved in one account; None for one out of sight of whoever may see money."""
    async with db.transaction([project_id]) as connection:
        key = (connection, project_id, agreement_id)
        try:
            await agreements.get(*key)
        except NotFound:
            return None
        return MoneyNow(await agreements.payments(*key), await agreements.transfers(*key))


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
