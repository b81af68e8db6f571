"""The outbox: notices wait here until their channel has taken them.

Owns the retry rule. Each notice is sent and marked in a transaction of its own, so that a crash in
between sends that one again rather than never, and one that cannot be sent holds up no other. A
household counts as told only when a channel that reaches it has taken the notice. Whom a channel
reaches is looked up as it sends: the row itself does not say who anybody is.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from meterhouse.errors import MeterhouseError
from meterhouse.logs import Log
from meterhouse.ports import Notice, Notifier
from meterhouse.store import personal, queue
from meterhouse.store.db import Connection, Database

log = Log(__name__)

BATCH = 100
# Staff see this one; it reaches no household.
STAFF_CHANNEL = "console"
TRIES_MAX = 8
FIRST_WAIT = timedelta(seconds=30)
# What of a customer a channel needs; other channels need nothing.
REACHED_BY = {"email": "email"}


async def deliver(
    db: Database, notifiers: Mapping[str, Notifier], project_id: int, at: datetime
) -> int:
    """Deliver what is due; answers how many were taken by their channel.

    A refused one waits 30 s, then twice as long each time; after `TRIES_MAX` it has failed. A
    channel nobody has set up fails at once, and the console shows it.
    """
    sent = 0
    for _ in range(BATCH):
        async with db.transaction([project_id]) as connection:
            due = await queue.due_notices(connection, project_id, at, 1)
            if not due:
                break
            sent += await _deliver_one(connection, notifiers, project_id, due[0], at)
    return sent


async def _deliver_one(
    connection: Connection, notifiers: Mapping[str, Notifier], project_id: int, row: Any,
    at: datetime,
) -> bool:  # fmt: skip
    recipient = await _recipient(connection, project_id, row)
    notifier = notifiers.get(row["channel"])
    if notifier is None or recipient is None:
        why = "no_channel" if notifier is None else "no_recipient"
        await queue.set_notice(connection, project_id, row["id"], "failed", why, at)
        return False
    notice = Notice(project_id, row["id"], row["channel"], recipient, row["subject"], row["text"])
    try:
        await notifier.send(notice)
    except Exception as error:
        why = error.code if isinstance(error, MeterhouseError) else type(error).__name__
        log.warning("notice_not_taken", error=error, project_id=project_id, notice_id=notice.id)
        state = "failed" if row["tries"] + 1 >= TRIES_MAX else "queued"
        wait = FIRST_WAIT * 2 ** row["tries"]
        await queue.set_notice(connection, project_id, notice.id, state, why, at + wait)
        return False
    await queue.set_notice(connection, project_id, notice.id, "sent", "", at)
    if row["tells_cutoff"] and notice.channel != STAFF_CHANNEL:
        await queue.set_noticed(connection, project_id, [row["point_id"]], at)
    return True


async def _recipient(connection: Connection, project_id: int, row: Any) -> str | None:
    """Where the channel reaches the customer now; None when nobody knows any more."""
    wanted = REACHED_BY.get(row["channel"])
    if wanted is None:
        return ""
    who = await personal.of_customer(connection, project_id, row["customer_id"])
    return None if who is None else who[wanted]
