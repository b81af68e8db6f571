"""Closing an alarm by hand: only those that nothing else closes.

Owns which kinds a person may close. A condition that can be seen to be over (credit back, a meter
heard again) closes its own alarm, and nobody can talk it away. A stopped sweep is not closed but
released: it then cuts off all that it would have cut off, so that whoever may close alarms may not
for that alone do it; it takes the right to set the rules that stopped it.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from meterhouse.errors import Conflict
from meterhouse.model import AlarmKind
from meterhouse.store import queue, readings
from meterhouse.store.db import Database

BY_HAND: Final = (
    AlarmKind.GATEWAY_TWICE,
    AlarmKind.GATEWAY_FLOOD,
    AlarmKind.READING_UNPLACED,
    AlarmKind.READING_DOUBTFUL,
    AlarmKind.COMMAND_FAILED,
)


async def close(db: Database, project_id: int, alarm_id: int, at: datetime) -> None:
    """Close one open alarm.

    Raises:
        Conflict: it is not open, it is a stopped sweep, or it closes by itself when its cause is
            over.
    """
    why = "it is closed, or closes when its cause is over"
    await _close(db, project_id, alarm_id, BY_HAND, why, at)


async def release(db: Database, project_id: int, alarm_id: int, at: datetime) -> None:
    """Let a stopped sweep go on with the next readings.

    Raises:
        Conflict: the alarm is not open, or is no stopped sweep.
    """
    why = "it is closed, or is no stopped sweep"
    await _close(db, project_id, alarm_id, (AlarmKind.SWEEP_STOPPED,), why, at)


async def _close(
    db: Database, project_id: int, alarm_id: int, kinds: Sequence[AlarmKind], why: str,
    at: datetime,
) -> None:  # fmt: skip
    async with db.transaction([project_id]) as connection:
        if not await queue.close_alarm(connection, project_id, alarm_id, kinds, at):
            raise Conflict(f"alarm {alarm_id}", why)
        await readings.bump(connection, project_id)
