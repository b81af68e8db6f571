"""Keeping the audit: what has been written is sealed within seconds, old answers are forgotten.

Owns the two steps of a seal: first learn up to which entry nothing can come any more, then, in a
transaction that keeps no writer waiting, seal up to there. Must never know what an entry tells.
"""

from datetime import datetime

from meterhouse.flows.act import ANSWER_LIFE
from meterhouse.store import audit
from meterhouse.store.db import Database


async def seal(db: Database, project_id: int, at: datetime) -> int:
    """Seal what is committed and not sealed yet; answers how many entries that were.

    While somebody holds an act open for long, none; the next round tries again.
    """
    async with db.transaction([project_id]) as connection:
        until_id = await audit.settled(connection, project_id)
    sealed, more = 0, until_id is not None
    while more:
        assert until_id is not None
        async with db.transaction([project_id]) as connection:
            count = await audit.seal(connection, project_id, until_id, at)
        sealed, more = sealed + count, count == audit.SEAL_ENTRIES_MAX
    return sealed


async def forget_answers(db: Database, project_id: int, at: datetime) -> None:
    """Drop the answers whose keys are older than anybody repeats a request."""
    async with db.transaction([project_id]) as connection:
        await audit.forget_answers(connection, project_id, at - ANSWER_LIFE)
