"""Commands, alarms and notices: what is to be done, what is wrong, who is to be told.

Owns three queues and the way rows are claimed from them (SKIP LOCKED, so that many workers never
meet). Must never decide what goes in.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from meterhouse import metrics
from meterhouse.model import AlarmKind, CommandKind, CommandState, Reason
from meterhouse.store.db import Connection

WAKE_CHANNEL = "meterhouse_command"
ROSTER_CHANGED = "roster"
LIVE = ("queued", "sent")


@dataclass(frozen=True, slots=True)
class NewCommand:
    """One intent to one meter, not yet numbered."""

    meter_id: int
    point_id: int | None
    gateway_id: int | None
    kind: CommandKind
    reason: Reason
    note: str
    not_before: datetime
    expires_at: datetime
    asked: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NewAlarm:
    """A condition that opens; `subject` (such as `point:12`) says of what."""

    kind: AlarmKind
    subject: str
    level: int = 0
    point_id: int | None = None
    meter_id: int | None = None
    gateway_id: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A message to be sent once; `key` makes a repetition harmless.

    Neither `subject` nor `text` says who the customer is; the channel asks when it sends.
    """

    channel: str
    customer_id: int | None
    subject: str
    text: str
    key: str
    point_id: int | None = None
    tells_cutoff: bool = False


async def insert_command(
    connection: Connection,
    project_id: int,
    new: NewCommand,
    actor_id: int | None,
    batch_id: int | None,
    at: datetime,
) -> int:
    """Queue a command with the meter's next generation number, and wake its gateway's sender."""
    await connection.execute(
        "select 1 from meter where project_id = $1 and id = $2 for no key update",
        project_id, new.meter_id,
    )  # fmt: skip
    made: int = await connection.fetchval(
        """insert into command (project_id, meter_id, point_id, gateway_id, kind, reason, note,
               actor_id, batch_id, generation, created_at, not_before, expires_at, asked)
           select $1, $2, $3, $4, $5, $6, $7, $8, $9,
               coalesce((select max(generation) from command
                         where project_id = $1 and meter_id = $2), 0) + 1, $10, $11, $12, $13::jsonb
           returning id""",
        project_id, new.meter_id, new.point_id, new.gateway_id, new.kind, new.reason, new.note,
        actor_id, batch_id, at, new.not_before, new.expires_at,
        None if new.asked is None else json.dumps(dict(new.asked)),
    )  # fmt: skip
    if new.gateway_id is not None:
        await connection.execute(
            "select pg_notify($1, $2)", WAKE_CHANNEL, f"{project_id}:{new.gateway_id}"
        )
    return made


async def wake_roster(connection: Connection) -> None:
    """Tell head ends, once this is committed, that gateways or meters have changed."""
    await connection.execute("select pg_notify($1, $2)", WAKE_CHANNEL, ROSTER_CHANGED)


async def live_commands(
    connection: Connection, project_id: int, meter_ids: Sequence[int]
) -> list[asyncpg.Record]:
    """Commands of these meters that are queued or sent."""
    return await connection.fetch(
        """select id, meter_id, kind, reason, state, generation, expires_at from command
           where project_id = $1 and meter_id = any($2::int8[]) and state in ('queued', 'sent')
           order by id""",
        project_id, list(meter_ids),
    )  # fmt: skip


async def standing_orders(
    connection: Connection, project_id: int, meter_ids: Sequence[int]
) -> dict[int, tuple[int | None, str]]:
    """Who last ordered these meters off or on for good, and why: (actor_id, note) by meter."""
    rows = await connection.fetch(
        """select distinct on (meter_id) meter_id, actor_id, note from command
           where project_id = $1 and meter_id = any($2::int8[]) and reason = 'person'
           and kind in ('disconnect', 'keep_power_on') order by meter_id, id desc""",
        project_id, list(meter_ids),
    )  # fmt: skip
    return {row["meter_id"]: (row["actor_id"], row["note"]) for row in rows}


async def withdraw(
    connection: Connection, project_id: int, meter_id: int, kinds: Iterable[CommandKind],
    reasons: Iterable[Reason], why: str, at: datetime,
) -> int:  # fmt: skip
    """Withdraw one meter's queued commands of these kinds and reasons; answers how many."""
    rows = await connection.fetch(
        """update command set state = 'withdrawn', why = $5, ended_at = $6
           where project_id = $1 and meter_id = $2 and kind = any($3::text[])
           and reason = any($4::text[]) and state = 'queued' returning id""",
        project_id, meter_id, list(kinds), list(reasons), why, at,
    )  # fmt: skip
    metrics.commands_ended(CommandState.WITHDRAWN, len(rows))
    return len(rows)


async def recent_disconnects(
    connection: Connection, project_id: int, reason: Reason, actor_id: int | None, since: datetime
) -> set[int]:
    """The meters that a reason (and one person, where named) was to disconnect since, and may."""
    rows = await connection.fetch(
        """select distinct meter_id from command where project_id = $1 and kind = 'disconnect'
           and reason = $2 and created_at > $4 and ($3::int8 is null or actor_id = $3)
           and state <> 'withdrawn'""",
        project_id, reason, actor_id, since,
    )  # fmt: skip
    return {row["meter_id"] for row in rows}


async def waiting_read(connection: Connection, project_id: int, meter_id: int) -> int | None:
    """A read of this meter that waits already; asking twice brings nothing."""
    found: int | None = await connection.fetchval(
        """select id from command where project_id = $1 and meter_id = $2 and kind = 'read'
           and state = 'queued' order by id limit 1""",
        project_id, meter_id,
    )  # fmt: skip
    return found


async def is_open(connection: Connection, project_id: int, kind: AlarmKind, subject: str) -> bool:
    """Whether this alarm is open."""
    return bool(
        await connection.fetchval(
            """select exists (select from alarm where project_id = $1 and kind = $2
               and subject = $3 and closed_at is null)""",
            project_id, kind, subject,
        )
    )  # fmt: skip


async def open_subjects(connection: Connection, project_id: int, kind: AlarmKind) -> list[str]:
    """What the open alarms of one kind are about."""
    rows = await connection.fetch(
        "select subject from alarm where project_id = $1 and kind = $2 and closed_at is null",
        project_id, kind,
    )  # fmt: skip
    return [row["subject"] for row in rows]


async def close_alarm(
    connection: Connection, project_id: int, alarm_id: int, kinds: Iterable[AlarmKind], at: datetime
) -> bool:
    """Close one open alarm in sight by hand, if its kind is one of these."""
    done = await connection.fetchval(
        """update alarm set closed_at = $4 where project_id = $1 and id = $2
           and kind = any($3::text[]) and closed_at is null
           and seen_point(project_id, point_id) returning id""",
        project_id, alarm_id, list(kinds), at,
    )  # fmt: skip
    return done is not None


async def next_command(
    connection: Connection, project_id: int, gateway_id: int, at: datetime
) -> asyncpg.Record | None:
    """Lock the oldest queued command of one gateway, with what is known of its point."""
    return await connection.fetchrow(
        """select c.*, m.address, m.model, m.removed_at, p.override, p.keeper, p.account_id,
               ps.read_at, ps.relay, ps.keep_power as keep_power_reported, ps.noticed_at,
               exists (select from recharge r where (r.project_id, r.meter_id)
                   = (c.project_id, c.meter_id)
                   and r.state in ('reserved', 'sent', 'unknown', 'halted')) as live_recharge,
               exists (select from command x where x.project_id = c.project_id
                   and x.meter_id = c.meter_id and x.generation > c.generation
                   and x.kind in ('connect', 'allow_connect', 'keep_power_on')
                   and x.state in ('queued', 'sent', 'confirmed')) as superseded
           from command c join meter m on (m.project_id, m.id) = (c.project_id, c.meter_id)
           left join point p on (p.project_id, p.id) = (c.project_id, c.point_id)
           left join point_state ps on (ps.project_id, ps.point_id) = (c.project_id, c.point_id)
           where c.project_id = $1 and c.gateway_id = $2 and c.state = 'queued'
           and c.not_before <= $3 order by c.id limit 1 for update of c skip locked""",
        project_id, gateway_id, at,
    )  # fmt: skip


async def next_due(connection: Connection, project_id: int, gateway_id: int) -> datetime | None:
    """When the first of a gateway's queued commands may be sent."""
    found: datetime | None = await connection.fetchval(
        """select min(not_before) from command
           where project_id = $1 and gateway_id = $2 and state = 'queued'""",
        project_id, gateway_id,
    )  # fmt: skip
    return found


async def set_command(
    connection: Connection, project_id: int, command_id: int, state: CommandState, why: str,
    at: datetime, said: Mapping[str, Any] | None = None,
) -> asyncpg.Record | None:  # fmt: skip
    """Move a command on; a state that has ended never changes again (answers None then).

    But for one: whoever was thought dead may still say what came of its command. `said` is what
    the meter said on that occasion.
    """
    column = "sent_at" if state is CommandState.SENT else "ended_at"
    moved = await connection.fetchrow(
        f"""update command set state = $3, why = $4, {column} = $5,
            said = coalesce($6::jsonb, said)
        where project_id = $1 and id = $2
        and (state in ('queued', 'sent') or (state = 'unknown' and why = 'interrupted'))
        returning *""",
        project_id, command_id, state, why, at, None if said is None else json.dumps(dict(said)),
    )  # fmt: skip
    if moved is not None and state is not CommandState.SENT:
        metrics.commands_ended(state)
    return moved


async def lost_commands(
    connection: Connection, project_id: int, sent_before: datetime
) -> list[asyncpg.Record]:
    """Commands that were sent and never answered for, because their sender died."""
    return await connection.fetch(
        """select * from command where project_id = $1 and state = 'sent' and sent_at < $2
           order by id for update skip locked""",
        project_id, sent_before,
    )  # fmt: skip


async def expire_commands(
    connection: Connection, project_id: int, at: datetime
) -> list[asyncpg.Record]:
    """End the queued commands whose time is over, and answer them."""
    rows = await connection.fetch(
        """update command set state = 'expired', why = 'expired', ended_at = $2
           where project_id = $1 and state = 'queued' and expires_at <= $2 returning *""",
        project_id, at,
    )  # fmt: skip
    metrics.commands_ended(CommandState.EXPIRED, len(rows))
    return rows


async def open_alarms(
    connection: Connection, project_id: int, alarms: Sequence[NewAlarm], at: datetime
) -> None:
    """Open alarms; one that is open already takes the new level and facts."""
    await connection.executemany(
        """insert into alarm (project_id, kind, subject, level, point_id, meter_id, gateway_id,
               facts, opened_at) values ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)
           on conflict (project_id, kind, subject) where closed_at is null
           do update set level = excluded.level, facts = excluded.facts""",
        [
            (
                project_id, one.kind, one.subject, one.level, one.point_id, one.meter_id,
                one.gateway_id, json.dumps(dict(one.facts)), at,
            )
            for one in alarms
        ],
    )  # fmt: skip


async def close_alarms(
    connection: Connection, project_id: int, kind: AlarmKind, subjects: Sequence[str], at: datetime
) -> int:
    """Close what is open of one kind for these subjects; answers how many were."""
    if not subjects:
        return 0
    rows = await connection.fetch(
        """update alarm set closed_at = $4 where project_id = $1 and kind = $2
           and subject = any($3::text[]) and closed_at is null returning id""",
        project_id, kind, list(subjects), at,
    )  # fmt: skip
    return len(rows)


async def insert_notices(
    connection: Connection, project_id: int, notices: Sequence[NewNotice], at: datetime
) -> None:
    """Queue notices; a key that is there already is left alone."""
    await connection.executemany(
        """insert into notice (project_id, channel, customer_id, subject, text, key, point_id,
               tells_cutoff, next_at, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
           on conflict (project_id, key) do nothing""",
        [
            (
                project_id, one.channel, one.customer_id, one.subject, one.text, one.key,
                one.point_id, one.tells_cutoff, at,
            )
            for one in notices
        ],
    )  # fmt: skip


async def set_noticed(
    connection: Connection, project_id: int, point_ids: Sequence[int], at: datetime
) -> None:
    """Remember that the households of these points were told at this instant."""
    await connection.execute(
        """update point_state set noticed_at = $3
           where project_id = $1 and point_id = any($2::int8[])""",
        project_id, list(point_ids), at,
    )  # fmt: skip


async def due_notices(
    connection: Connection, project_id: int, at: datetime, count: int
) -> list[asyncpg.Record]:
    """Lock queued notices whose time has come."""
    return await connection.fetch(
        """select * from notice where project_id = $1 and state = 'queued' and next_at <= $2
           order by next_at limit $3 for update skip locked""",
        project_id, at, count,
    )  # fmt: skip


async def set_notice(
    connection: Connection, project_id: int, notice_id: int, state: str, why: str,
    next_at: datetime,
) -> None:  # fmt: skip
    """Note how a delivery went; `next_at` is the next try, or the instant it was sent."""
    await connection.execute(
        """update notice set state = $3::text, why = $4, next_at = $5::timestamptz,
               tries = tries + 1,
               sent_at = case when $3::text = 'sent' then $5::timestamptz end
           where project_id = $1 and id = $2""",
        project_id, notice_id, state, why, next_at,
    )  # fmt: skip
