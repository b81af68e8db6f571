"""The outbox: notices wait here until their channel has taken them.

Owns the retry rule. A notice is claimed, sent and marked in one transaction, so that a crash in
between sends it again rather than never.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from meterhouse.errors import MeterhouseError
from meterhouse.ports import Notice, Notifier
from meterhouse.store import queue
from meterhouse.store.db import Database

BATCH = 100
TRIES_MAX = 8
FIRST_WAIT = timedelta(seconds=30)


async def deliver(
    db: Database, notifiers: Mapping[str, Notifier], project_id: int, at: datetime
) -> int:
    """Deliver what is due; answers how many were taken by their channel.

    A refused one waits 30 s, then twice as long each time; after `TRIES_MAX` it has failed. A
    channel nobody has set up fails at once, and the console shows it.
    """
    sent = 0
    async with db.transaction([project_id]) as connection:
        for row in await queue.due_notices(connection, project_id, at, BATCH):
            notice = Notice(
                project_id, row["id"], row["channel"], row["recipient"], row["subject"],
                row["text"],
            )  # fmt: skip
            notifier = notifiers.get(notice.channel)
            if notifier is None:
                await queue.set_notice(
                    connection, project_id, notice.id, "failed", "no_channel", at
                )
                continue
            try:
                await notifier.send(notice)
            except MeterhouseError as error:
                tries = row["tries"] + 1
                state = "failed" if tries >= TRIES_MAX else "queued"
                wait = FIRST_WAIT * 2 ** row["tries"]
                await queue.set_notice(
                    connection, project_id, notice.id, state, error.code, at + wait
                )
                continue
            await queue.set_notice(connection, project_id, notice.id, "sent", "", at)
            sent += 1
    return sent
