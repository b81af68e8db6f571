"""Closing an alarm by hand: only those that nothing else closes.

Owns which kinds a person may close. A condition that can be seen to be over (credit back, a meter
heard again) closes its own alarm, and nobody can talk it away. A stopped sweep goes on once its
alarm has been closed: that is the person's yes.
"""

from datetime import datetime

from meterhouse.errors import Conflict
from meterhouse.model import AlarmKind
from meterhouse.store import queue, readings
from meterhouse.store.db import Database

BY_HAND = (
    AlarmKind.SWEEP_STOPPED,
    AlarmKind.GATEWAY_TWICE,
    AlarmKind.GATEWAY_FLOOD,
    AlarmKind.READING_UNPLACED,
    AlarmKind.READING_DOUBTFUL,
    AlarmKind.COMMAND_FAILED,
)


async def close(db: Database, project_id: int, alarm_id: int, at: datetime) -> None:
    """Close one open alarm.

    Raises:
        Conflict: it is not open, or it closes by itself when its cause is over.
    """
    async with db.transaction([project_id]) as connection:
        if not await queue.close_alarm(connection, project_id, alarm_id, BY_HAND, at):
            raise Conflict(f"alarm {alarm_id}", "it is closed, or closes when its cause is over")
        await readings.bump(connection, project_id)
