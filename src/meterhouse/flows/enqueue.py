"""Queueing one command inside a flow: what it makes pointless is withdrawn first.

Owns which command supersedes which. A connect supersedes a queued disconnect, never the reverse;
and what the platform decides by itself never takes back what a person has ordered.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from meterhouse.model import CommandKind, Reason
from meterhouse.store import queue
from meterhouse.store.db import Connection

# Which queued commands a new one makes pointless. Never the reverse: a disconnect waits its turn.
SUPERSEDES: dict[CommandKind, tuple[CommandKind, ...]] = {
    CommandKind.CONNECT: (CommandKind.DISCONNECT, CommandKind.ALLOW_CONNECT),
    CommandKind.ALLOW_CONNECT: (CommandKind.DISCONNECT,),
    CommandKind.KEEP_POWER_ON: (CommandKind.DISCONNECT, CommandKind.KEEP_POWER_OFF),
    CommandKind.KEEP_POWER_OFF: (CommandKind.KEEP_POWER_ON,),
    CommandKind.DISCONNECT: (),
    CommandKind.READ: (),
    CommandKind.TARIFF: (CommandKind.TARIFF, CommandKind.CHECK),
    CommandKind.SETTING: (CommandKind.SETTING,),
    CommandKind.CHECK: (CommandKind.CHECK,),
}
AUTOMATIC = (Reason.ARREARS, Reason.CREDIT, Reason.TIMETABLE, Reason.LOAD_RULE)


async def enqueue(
    connection: Connection, project_id: int, where: Any, kind: CommandKind, reason: Reason,
    note: str, actor_id: int | None, at: datetime, life_s: int, wait_s: int = 0,
    asked: Mapping[str, Any] | None = None,
) -> int:  # fmt: skip
    """Queue one command inside a flow; what it supersedes is withdrawn first.

    `where` is a row or mapping with meter_id, point_id and gateway_id. A read that waits already
    is not queued twice. The command may be sent after `wait_s` and for `life_s` from then. `asked`
    is what the meter is to hold, where the command is about that.
    """
    meter_id = where["meter_id"]
    if kind is CommandKind.READ and (
        waiting := await queue.waiting_read(connection, project_id, meter_id)
    ):
        return waiting
    withdrawn = tuple(Reason) if reason is Reason.PERSON else AUTOMATIC
    await queue.withdraw(
        connection, project_id, meter_id, SUPERSEDES[kind], withdrawn, "superseded", at
    )
    new = queue.NewCommand(
        meter_id=meter_id,
        point_id=where["point_id"],
        gateway_id=where["gateway_id"],
        kind=kind,
        reason=reason,
        note=note,
        not_before=at + timedelta(seconds=wait_s),
        expires_at=at + timedelta(seconds=wait_s + life_s),
        asked=asked,
    )
    return await queue.insert_command(connection, project_id, new, actor_id, None, at)
