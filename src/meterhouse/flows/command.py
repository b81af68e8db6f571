"""Asking meters to do something: queue, check again when sending, note what came of it.

Owns a command's life. Must never send a byte: the head end claims a command when its bus is free,
talks to the meter, and hands the outcome back. *Sent* is never *done*: a command is confirmed when
its effect was read back, and whatever is in doubt stays `unknown` and is looked at again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from meterhouse.control import policy as policies
from meterhouse.control.decide import NO_FLOOR_MINOR, Moment, blocked_by, sweep_stops
from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.flows import checklist, parameter, react
from meterhouse.flows.enqueue import AUTOMATIC, enqueue
from meterhouse.ledger.book import available_minor
from meterhouse.model import (
    AlarmKind,
    CommandKind,
    CommandState,
    Override,
    Reason,
    Relay,
)
from meterhouse.ports import Effect, Outcome
from meterhouse.store import catalog, estimates, ledger, monitor, queue, readings
from meterhouse.store.db import Connection, Database
from meterhouse.units import EPOCH

# A sender that died leaves its command `sent`; after this long somebody else looks at it. Longer
# than the longest conversation: three sends and the read-back over LoRa.
SENT_LIFE = timedelta(minutes=10)
# After an unknown outcome the meter is read again, once the frame can no longer take effect.
LOOK_AGAIN_S, LOOK_LIFE_S = 60, 300
# How far back one person's disconnects count as one act.
ACT_WINDOW = timedelta(minutes=10)
ENDS: dict[Effect, CommandState] = {
    Effect.DONE: CommandState.CONFIRMED,
    Effect.NOT_DONE: CommandState.REFUSED,
    Effect.UNKNOWN: CommandState.UNKNOWN,
}


class SecondPersonNeeded(MeterhouseError):
    """Switching off {count} meters at once needs a second person; choose fewer."""

    code = "second_person_needed"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Claimed:
    """A command that has just become *sent*: the head end must now talk to the meter."""

    project_id: int
    id: int
    meter_id: int
    point_id: int | None
    kind: CommandKind
    reason: Reason
    address: str
    model: str
    expires_at: datetime
    timezone: str
    asked: Mapping[str, Any] | None = None


async def request(
    db: Database, project_id: int, meter_ids: Sequence[int], kind: CommandKind, note: str,
    actor_id: int | None, at: datetime, second_id: int | None = None,
) -> list[int]:  # fmt: skip
    """A person's command to meters: read now, 拉闸, 合闸, 保电, 恢复预付费 by its parts.

    A disconnect lays *forced off* over the automatic decision, a keep-power *keep power*, and a
    connect or release takes the override away, so that the next reading decides as always.

    Raises:
        NotFound: a meter is not in service in this project.
        SecondPersonNeeded: more meters than one person may switch off at once, and no other
            person (`second_id`) has agreed.
    """
    async with db.transaction([project_id]) as connection:
        policy = await load_policy(connection, project_id)
        await monitor.lock_meters(connection, project_id, np.array(meter_ids, dtype=np.int64))
        if kind is CommandKind.DISCONNECT and second_id in (None, actor_id):
            await one_person_may(connection, project_id, policy, meter_ids, actor_id, at)
        ids = []
        for meter_id in sorted(set(meter_ids)):
            where = await monitor.meter_place(connection, project_id, meter_id)
            if where is None:
                raise NotFound("meter", meter_id)
            await _lay_override(connection, project_id, where["point_id"], kind)
            command_id = await enqueue(
                connection, project_id, where, kind, Reason.PERSON, note, actor_id, at,
                policy.command_life_s,
            )  # fmt: skip
            ids.append(command_id)
        await readings.bump(connection, project_id)
        return ids


async def needs_second(
    db: Database, project_id: int, meter_ids: Sequence[int], actor_id: int | None, at: datetime
) -> bool:
    """Whether this person may switch off these meters only with another's agreement."""
    async with db.transaction([project_id]) as connection:
        policy = await load_policy(connection, project_id)
        try:
            await one_person_may(connection, project_id, policy, meter_ids, actor_id, at)
        except SecondPersonNeeded:
            return True
    return False


async def one_person_may(
    connection: Connection, project_id: int, policy: policies.Policy, meter_ids: Sequence[int],
    actor_id: int | None, at: datetime,
) -> None:  # fmt: skip
    """Many single disconnects of one person are one bulk. Raises `SecondPersonNeeded`."""
    before = await queue.recent_disconnects(
        connection, project_id, Reason.PERSON, actor_id, at - ACT_WINDOW
    )
    count = len(before | set(meter_ids))
    points = await monitor.point_count(connection, project_id)
    if sweep_stops(policy, count, points):
        raise SecondPersonNeeded(count=count)


async def claim(
    db: Database, project_id: int, gateway_id: int, at: datetime, is_live: bool = True
) -> Claimed | None:
    """The next command of a gateway, its guards checked again; it is *sent* from here on.

    A disconnect that a guard forbids is withdrawn, and the next one is looked at. Answers None
    when nothing is left to do.
    """
    while True:
        async with db.transaction([project_id]) as connection:
            row = await queue.next_command(connection, project_id, gateway_id, at)
            if row is None:
                return None
            project = await catalog.get_project(connection, project_id)
            why = await _forbidden(connection, project, row, at) if is_live else "gateway_offline"
            if why is None:
                await queue.set_command(
                    connection, project_id, row["id"], CommandState.SENT, "", at
                )
            else:
                state = CommandState.EXPIRED if why == "expired" else CommandState.WITHDRAWN
                await queue.set_command(connection, project_id, row["id"], state, why, at)
            await readings.bump(connection, project_id)
        if why is None:
            return Claimed(
                project_id, row["id"], row["meter_id"], row["point_id"],
                CommandKind(row["kind"]), Reason(row["reason"]), row["address"], row["model"],
                row["expires_at"], project["timezone"],
                None if row["asked"] is None else json.loads(row["asked"]),
            )  # fmt: skip


async def next_due(db: Database, project_id: int, gateway_id: int) -> datetime | None:
    """When a gateway's next queued command may be sent; None when none waits."""
    async with db.transaction([project_id]) as connection:
        return await queue.next_due(connection, project_id, gateway_id)


async def finish(db: Database, claimed: Claimed, outcome: Outcome, at: datetime) -> CommandState:
    """Note what came of a command, what the meter said of its relay, and what follows from that.

    A payment may have arrived while a disconnect was on the wire, so the relay table is asked
    again; and what is still unknown is read again a little later.
    """
    outcome = parameter.judged(claimed.kind, claimed.asked, outcome)
    state, project_id = ENDS[outcome.effect], claimed.project_id
    async with db.transaction([project_id]) as connection:
        await monitor.lock_meters(
            connection, project_id, np.array([claimed.meter_id], dtype=np.int64)
        )
        project = await catalog.get_project(connection, project_id)
        row = await queue.set_command(
            connection, project_id, claimed.id, state, outcome.why, at,
            checklist.said_facts(outcome.values),
        )  # fmt: skip
        if claimed.point_id is not None and outcome.values.relay is not Relay.UNKNOWN:
            await monitor.set_relay(
                connection, project_id, claimed.point_id, int(outcome.values.relay),
                outcome.values.keep_power, at,
            )  # fmt: skip
            await react.look_again(
                connection, project, [claimed.meter_id], at, frozenset({claimed.kind})
            )
        if row is not None:
            await _alarm(connection, project_id, row, state, outcome.why, at)
            is_looked_at = claimed.kind is CommandKind.READ or claimed.kind in parameter.KINDS
            if state is CommandState.UNKNOWN and not is_looked_at:
                await enqueue(
                    connection, project_id, row, CommandKind.READ, Reason.SAFETY,
                    "", None, at, LOOK_LIFE_S, LOOK_AGAIN_S,
                )  # fmt: skip
        await checklist.advance(connection, project_id, claimed.meter_id, at)
        await readings.bump(connection, project_id)
    return state


async def tend(
    db: Database, project_id: int, at: datetime, sent_life: timedelta = SENT_LIFE
) -> int:
    """Expire what was not sent in time, and look again at what a dead sender left behind.

    `sent_life` is in the platform's time: a meter answers no sooner because that clock runs fast.
    """
    async with db.transaction([project_id]) as connection:
        expired = await queue.expire_commands(connection, project_id, at)
        lost = await queue.lost_commands(connection, project_id, at - sent_life)
        for row in expired:
            await _alarm(connection, project_id, row, CommandState.EXPIRED, "expired", at)
        for row in lost:
            await queue.set_command(
                connection, project_id, row["id"], CommandState.UNKNOWN, "interrupted", at
            )
            await _alarm(connection, project_id, row, CommandState.UNKNOWN, "interrupted", at)
            if row["kind"] in parameter.KINDS:
                continue
            await enqueue(
                connection, project_id, row, CommandKind.READ, Reason.SAFETY, "", None, at,
                LOOK_LIFE_S,
            )  # fmt: skip
        if expired or lost:
            await readings.bump(connection, project_id)
        return len(expired) + len(lost)


async def load_policy(connection: Connection, project_id: int) -> policies.Policy:
    """A project's rules."""
    project = await catalog.get_project(connection, project_id)
    return policies.read(project["policy"])


async def _lay_override(
    connection: Connection, project_id: int, point_id: int, kind: CommandKind
) -> None:
    override = {
        CommandKind.DISCONNECT: Override.OFF,
        CommandKind.KEEP_POWER_ON: Override.ON,
        CommandKind.CONNECT: Override.NONE,
        CommandKind.ALLOW_CONNECT: Override.NONE,
        CommandKind.KEEP_POWER_OFF: Override.NONE,
    }.get(kind)
    if override is not None:
        await monitor.set_override(connection, project_id, point_id, override)


async def _forbidden(connection: Connection, project: Any, row: Any, at: datetime) -> str | None:
    """Why a queued command must not be sent now, or None."""
    if row["removed_at"] is not None:
        return "meter_removed"
    if row["expires_at"] <= at:
        return "expired"
    if row["kind"] != CommandKind.DISCONNECT:
        closes = row["kind"] in (CommandKind.CONNECT, CommandKind.ALLOW_CONNECT)
        automatic = row["reason"] in AUTOMATIC
        # Somebody may be working on that line.
        return "forced_off" if closes and automatic and row["override"] == Override.OFF else None
    policy = policies.read(project["policy"])
    moment = await moment_of(connection, project, policy, row, at)
    guard = blocked_by(Reason(row["reason"]), moment, policy)
    return None if guard is None else str(guard)


async def moment_of(
    connection: Connection, project: Any, policy: policies.Policy, row: Any, at: datetime
) -> Moment:
    """What is known of a command's point now, from the rows and nothing cached."""
    spendable_minor, floor_minor, has_channel = 0, None, False
    if row["account_id"] is not None:
        purse = await ledger.read_purse(connection, project["id"], row["point_id"])
        floor_minor = purse.floor_minor
        spendable_minor = available_minor(
            sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
            project["currency_exponent"],
        )  # fmt: skip
        who = await monitor.contacts(connection, project["id"], [row["point_id"]])
        has_channel = who[row["point_id"]]["has_email"]
    noticed = row["noticed_at"] is not None and row["noticed_at"] > EPOCH
    floor = NO_FLOOR_MINOR if floor_minor is None else floor_minor
    estimated = await estimates.owed(connection, project["id"], [row["point_id"]])
    return Moment(
        available_minor=spendable_minor,
        floor_minor=floor,
        keep_power=row["override"] == Override.ON or row["keep_power_reported"] == 1,
        quiet=policies.is_quiet(policy, project["timezone"], at),
        reading_age_s=int((at - row["read_at"]).total_seconds()),
        live_recharge=row["live_recharge"],
        estimated=react.owes_by_estimate(
            spendable_minor,
            floor,
            estimated.get(row["point_id"], 0),
            project["currency_exponent"],
        ),
        noticed_age_s=int((at - row["noticed_at"]).total_seconds()) if noticed else -1,
        has_channel=has_channel,
        frozen=project["frozen"],
        expired=row["expires_at"] <= at,
        superseded=row["superseded"],
    )


async def _alarm(
    connection: Connection, project_id: int, row: Any, state: CommandState, why: str, at: datetime
) -> None:
    """Tell of what went wrong, or that it is well again; settings have alarms of their own."""
    subject = f"meter:{row['meter_id']}"
    if row["kind"] == CommandKind.READ:
        return
    if row["kind"] in parameter.KINDS:
        await parameter.ended(connection, project_id, row, state, why, at)
        return
    if state is CommandState.CONFIRMED:
        await queue.close_alarms(connection, project_id, AlarmKind.COMMAND_FAILED, [subject], at)
        return
    alarm = queue.NewAlarm(
        AlarmKind.COMMAND_FAILED,
        subject,
        point_id=row["point_id"],
        meter_id=row["meter_id"],
        gateway_id=row["gateway_id"],
        facts={"command_id": row["id"], "kind": row["kind"], "state": state, "why": why},
    )
    await queue.open_alarms(connection, project_id, [alarm], at)
