"""A checklist fills itself: what commands brought is judged, and what comes next is queued.

Owns the way from a command's end to a verdict. Must never know a person's deeds (`commission` has
them): it runs inside the transaction that ended a command, and again by the clock, so that a
command which nobody carried out settles its item too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from meterhouse.control import policy as policies
from meterhouse.control.commission import (
    AGAIN_S,
    REACHED,
    Item,
    Limits,
    Said,
    Verdict,
    clock_fault,
    register_fault,
)
from meterhouse.flows.enqueue import AUTOMATIC, enqueue
from meterhouse.model import CommandKind, CommandState, Reason, Relay
from meterhouse.ports import Values
from meterhouse.store import catalog, commissionings, monitor, queue
from meterhouse.store.db import Connection, Database
from meterhouse.words import N_

NOTE: Final = N_("Commissioning")
_LIVE: Final = (CommandState.QUEUED, CommandState.SENT)


def said_facts(values: Values) -> dict[str, Any]:
    """What a meter said, as the command that asked for it keeps it; only what was said."""
    said = {
        "total_milli": values.total_milli,
        "relay": None if values.relay is Relay.UNKNOWN else int(values.relay),
        "keep_power": values.keep_power,
        "power_w": values.power_w,
        "clock_local": None if values.clock_local is None else values.clock_local.isoformat(),
        "parameters": dict(values.parameters) or None,
    }
    return {name: fact for name, fact in said.items() if fact is not None}


@dataclass(slots=True)
class Sheet:
    """An unsigned checklist being filled: its row, its items, and whether anything changed."""

    connection: Connection
    row: Any
    items: dict[str, dict[str, Any]]
    at: datetime
    changed: bool = False

    @classmethod
    def of(cls, connection: Connection, row: Any, at: datetime) -> "Sheet":
        """The sheet of a locked row."""
        return cls(connection, row, json.loads(row["items"]), at)

    def settle(self, item: Item, verdict: Verdict, why: str = "", **facts: Any) -> None:
        """Note how an item stands from now on."""
        one = self.items[item]
        one |= {"state": verdict, "why": why, "at": self.at.isoformat()}
        one["facts"] = one["facts"] | facts
        self.changed = True

    def judge(self, item: Item, fault: str, **facts: Any) -> None:
        """Passed without a fault, else failed with it."""
        self.settle(item, Verdict.FAILED if fault else Verdict.PASSED, fault, **facts)

    def waits(self, item: Item) -> bool:
        """Whether an item waits for the meter."""
        return Verdict(self.items[item]["state"]) is Verdict.WAITING

    async def ask(self, kind: CommandKind, *items: Item, wait_s: int = 0) -> None:
        """Queue a command that these items wait for."""
        row = self.row
        project = await catalog.get_project(self.connection, row["project_id"])
        policy = policies.read(project["policy"])
        where = {name: row[name] for name in ("meter_id", "point_id", "gateway_id")}
        # Power that was cut for the trial would come back by itself; once is enough.
        await queue.withdraw(
            self.connection, row["project_id"], row["meter_id"], (kind,), AUTOMATIC, "superseded",
            self.at,
        )  # fmt: skip
        command_id = await enqueue(
            self.connection, row["project_id"], where, kind, Reason.PERSON, NOTE,
            row["started_by"], self.at, policy.command_life_s, wait_s,
        )  # fmt: skip
        for item in items:
            self.items[item]["command_ids"].append(command_id)
            self.items[item]["state"] = Verdict.WAITING
        self.changed = True

    async def keep(self) -> None:
        """Write down what changed."""
        if self.changed:
            await commissionings.save(
                self.connection, self.row["project_id"], self.row["id"], self.items
            )


async def advance(connection: Connection, project_id: int, meter_id: int, at: datetime) -> bool:
    """Judge what a meter's open checklist was waiting for; False when nothing changed.

    The meter is locked by the caller, so that its checklist and its commands are too in one order.
    """
    row = await commissionings.open_of(connection, project_id, meter_id)
    if row is None:
        return False
    sheet = Sheet.of(connection, row, at)
    ids = {number for one in sheet.items.values() for number in one["command_ids"]}
    commands = await commissionings.commands(connection, project_id, sorted(ids))
    await _reads(sheet, commands)
    if sheet.waits(Item.RELAY):
        await _relay(sheet, commands)
    await sheet.keep()
    return sheet.changed


async def tend(db: Database, project_id: int, at: datetime) -> int:
    """Look at every checklist that waits; answers how many moved on."""
    async with db.transaction([project_id]) as connection:
        waiting = await commissionings.waiting_meters(connection, project_id)
        await monitor.lock_meters(connection, project_id, np.array(waiting, dtype=np.int64))
        moved = [await advance(connection, project_id, meter_id, at) for meter_id in waiting]
    return sum(moved)


async def _reads(sheet: Sheet, commands: Mapping[int, Any]) -> None:
    """The three items that reading settles."""
    for item in (Item.ANSWERS, Item.CLOCK):
        if not sheet.waits(item):
            continue
        command = commands[sheet.items[item]["command_ids"][-1]]
        if command["state"] in _LIVE:
            continue
        said = _said(sheet.row, command)
        if not said.is_something:
            sheet.settle(item, Verdict.FAILED, command["why"] or "not_said")
        elif item is Item.CLOCK:
            sheet.judge(item, clock_fault(said), clock_off_s=said.clock_off_s)
        else:
            sheet.settle(item, Verdict.PASSED, relay=int(said.relay))
    if sheet.waits(Item.REGISTER):
        await _register(sheet, commands)


async def _register(sheet: Sheet, commands: Mapping[int, Any]) -> None:
    """One register, then another a little later."""
    item, facts = Item.REGISTER, sheet.items[Item.REGISTER]["facts"]
    asked = [commands[number] for number in sheet.items[item]["command_ids"]]
    if asked[-1]["state"] in _LIVE:
        return
    said = [_said(sheet.row, command) for command in asked[-2:]]
    expected_at = datetime.fromisoformat(facts["expected_at"])
    limits = Limits(
        sheet.row["modulus_milli"], sheet.row["max_power_w"], facts["expected_milli"], expected_at
    )
    is_second = "first" in facts
    first, second = (said[0], said[1]) if is_second else (said[-1], None)
    fault = register_fault(limits, first, second)
    if fault == "not_said" and not said[-1].is_something:
        fault = asked[-1]["why"] or fault
    shown = {"total_milli": said[-1].total_milli, "read_at": said[-1].at.isoformat()}
    facts["second" if is_second else "first"] = shown
    if fault or is_second:
        sheet.judge(item, fault)
        return
    await sheet.ask(CommandKind.READ, item, wait_s=AGAIN_S)


async def _relay(sheet: Sheet, commands: Mapping[int, Any]) -> None:
    """Over, and back again whatever came of it; passed when both were read back.

    An order that a guard held back was never sent, so there is nothing to take back.
    """
    item = sheet.items[Item.RELAY]
    steps = item["facts"]["steps"]
    at_step = len(item["command_ids"]) - 1
    command = commands[item["command_ids"][-1]]
    if command["state"] in _LIVE:
        return
    kind = CommandKind(command["kind"])
    relay = _said(sheet.row, command).relay
    reached = command["state"] == CommandState.CONFIRMED and relay in REACHED[kind]
    why = "" if reached else command["why"] or command["state"]
    item["facts"]["ended"] = [
        *item["facts"]["ended"], {"kind": kind, "relay": int(relay), "why": why}
    ]  # fmt: skip
    sheet.changed = True
    was_sent = command["state"] not in (CommandState.WITHDRAWN, CommandState.EXPIRED)
    if at_step + 1 < len(steps) and was_sent:
        await sheet.ask(CommandKind(steps[at_step + 1]), Item.RELAY)
        return
    faults = [one["why"] for one in item["facts"]["ended"] if one["why"]]
    sheet.judge(Item.RELAY, faults[0] if faults else "")


def _said(row: Any, command: Any) -> Said:
    """What a command brought; its clock against ours in the project's time."""
    said = json.loads(command["said"]) if command["said"] else {}
    at: datetime = command["ended_at"]
    off_s = None
    if "clock_local" in said:
        ours = at.astimezone(ZoneInfo(row["timezone"])).replace(tzinfo=None)
        off_s = round((datetime.fromisoformat(said["clock_local"]) - ours).total_seconds())
    return Said(at, said.get("total_milli"), Relay(said.get("relay", 0)), off_s)
