"""Putting a meter into service: what a person does with its checklist.

Owns the deeds: begin, try the relay, say what is seen, ask again, leave out, sign. Must never know
what proves an item (`control.commission` does) nor wait for a meter (`checklist` goes on when its
answer is there). A signed checklist stays as it is for ever; another meter, or the same one later,
takes a new one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from meterhouse import meter_models
from meterhouse.control.commission import (
    SETTLED,
    Item,
    Verdict,
    relay_steps,
    state_fault,
)
from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows.checklist import Sheet
from meterhouse.flows.command import load_policy, one_person_may
from meterhouse.model import CommandKind, Override, Relay
from meterhouse.ports import Action
from meterhouse.store import commissionings, monitor, readings
from meterhouse.store.db import Connection, Database
from meterhouse.words import N_

NOTE_CHARS_MIN: Final = 2
_READ: Final = (Item.ANSWERS, Item.CLOCK, Item.REGISTER)


class ChecklistOpen(MeterhouseError):
    """This meter has a checklist that is not signed yet; go on with that one."""

    code = "checklist_open"
    http_status = 409


class ChecklistSigned(MeterhouseError):
    """This checklist is signed and never changes; begin a new one."""

    code = "checklist_signed"
    http_status = 409


class ChecklistUnsettled(MeterhouseError):
    """Not every item is settled: check it, or leave it out with a reason."""

    code = "checklist_unsettled"
    http_status = 409


class FaultsUnexplained(BadInput):
    """Something failed: write in the note what is to become of it."""

    code = "faults_unexplained"


class RelayNotToBeTried(MeterhouseError):
    """The relay cannot be tried: it was not read yet, is being tried, or is forced on or off."""

    code = "relay_not_to_be_tried"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Checked:
    """A checklist as it stands: its row (meter, place, names) and its items in their order."""

    row: Any
    items: Mapping[Item, Mapping[str, Any]]

    @property
    def is_settled(self) -> bool:
        """Whether it can be signed."""
        return all(one["state"] in SETTLED for one in self.items.values())

    @property
    def has_faults(self) -> bool:
        """Whether an item failed."""
        return any(one["state"] == Verdict.FAILED for one in self.items.values())


async def start(
    db: Database, project_id: int, meter_id: int, expected_milli: int | None,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Begin a meter's checklist: it is read at once, and again a minute later. Answers its id.

    Args:
        expected_milli: what somebody reads off its display now, in Wh.

    Raises:
        NotFound: the meter is not in service in this project.
        ChecklistOpen: it has one that is not signed.
    """
    async with db.transaction([project_id]) as connection:
        await _lock(connection, project_id, meter_id)
        where = await monitor.meter_place(connection, project_id, meter_id)
        if where is None:
            raise NotFound(N_("Meter"), meter_id)
        if await commissionings.open_of(connection, project_id, meter_id) is not None:
            raise ChecklistOpen
        items = _blank(where["model"], expected_milli, at)
        made = await commissionings.insert(connection, project_id, meter_id, items, actor_id, at)
        sheet = await _open(connection, project_id, made, at)
        await sheet.ask(CommandKind.READ, *_READ)
        await sheet.keep()
        await readings.bump(connection, project_id)
        return made


def _blank(model: str, expected_milli: int | None, at: datetime) -> dict[str, dict[str, Any]]:
    """Every item before anything is known; a meter without a relay has none to try."""
    items: dict[str, dict[str, Any]] = {
        item.value: {"state": Verdict.OPEN, "why": "", "at": None, "command_ids": [], "facts": {}}
        for item in Item
    }
    items[Item.REGISTER]["facts"] = {
        "expected_milli": expected_milli, "expected_at": at.isoformat(),
    }  # fmt: skip
    if not {Action.DISCONNECT, Action.CONNECT} <= set(meter_models.load(model).control_codes):
        items[Item.RELAY] |= {"state": Verdict.SKIPPED, "why": "no_relay", "at": at.isoformat()}
    return items


async def try_relay(
    db: Database, project_id: int, commissioning_id: int, actor_id: int | None, at: datetime
) -> None:
    """Switch the relay over and back; the person has just said that this is safe.

    Raises:
        NotFound, ChecklistSigned: there is no such open checklist.
        RelayNotToBeTried: its state is not known, or somebody has forced it.
        SecondPersonNeeded: this person has switched off too many meters within minutes.
    """
    async with db.transaction([project_id]) as connection:
        sheet = await _open(connection, project_id, commissioning_id, at)
        row, item = sheet.row, sheet.items[Item.RELAY]
        was = Relay(row["relay"] or 0)
        is_idle = item["state"] in (Verdict.OPEN, Verdict.FAILED)
        if not is_idle or was is Relay.UNKNOWN or row["override"] != Override.NONE:
            raise RelayNotToBeTried
        policy = await load_policy(connection, project_id)
        await one_person_may(connection, project_id, policy, [row["meter_id"]], actor_id, at)
        steps = relay_steps(was, policy.close_direct)
        facts = {"was": int(was), "steps": list(steps), "ended": [], "by": actor_id}
        item |= {"command_ids": [], "why": "", "facts": facts}
        await sheet.ask(steps[0], Item.RELAY)
        await _keep(sheet)


async def say_state(
    db: Database, project_id: int, commissioning_id: int, seen: Relay, actor_id: int | None,
    at: datetime,
) -> None:  # fmt: skip
    """What a person sees at the meter; passed when the platform shows the same, and it online.

    Raises:
        NotFound, ChecklistSigned: there is no such open checklist.
    """
    async with db.transaction([project_id]) as connection:
        sheet = await _open(connection, project_id, commissioning_id, at)
        shown = Relay(sheet.row["relay"] or 0)
        fault = state_fault(shown, seen, sheet.row["is_online"])
        sheet.judge(Item.STATE, fault, shown=int(shown), seen=int(seen), by=actor_id)
        await _keep(sheet)


async def ask_again(db: Database, project_id: int, commissioning_id: int, at: datetime) -> None:
    """Read the meter again for every item that reading settles and that did not pass.

    Raises:
        NotFound, ChecklistSigned: there is no such open checklist.
    """
    async with db.transaction([project_id]) as connection:
        sheet = await _open(connection, project_id, commissioning_id, at)
        again = [
            item for item in _READ
            if sheet.items[item]["state"] in (Verdict.FAILED, Verdict.SKIPPED)
        ]  # fmt: skip
        for item in again:
            sheet.items[item] |= {"why": "", "command_ids": []}
            for fact in ("first", "second"):
                sheet.items[item]["facts"].pop(fact, None)
        if again:
            await sheet.ask(CommandKind.READ, *again)
        await _keep(sheet)


async def leave_out(
    db: Database, project_id: int, commissioning_id: int, item: Item, reason: str,
    actor_id: int | None, at: datetime,
) -> None:  # fmt: skip
    """Leave an item out, with a reason. One that waits for its relay cannot be left half-way.

    Raises:
        NotFound, ChecklistSigned: there is no such open checklist.
        RelayNotToBeTried: the relay is being switched.
    """
    async with db.transaction([project_id]) as connection:
        sheet = await _open(connection, project_id, commissioning_id, at)
        if item is Item.RELAY and sheet.waits(item):
            raise RelayNotToBeTried
        sheet.settle(item, Verdict.SKIPPED, "left_out", reason=reason, by=actor_id)
        await _keep(sheet)


async def sign(
    db: Database, project_id: int, commissioning_id: int, note: str, actor_id: int, at: datetime
) -> None:
    """Sign a checklist on which everything is settled; it stays as it is for ever.

    Raises:
        NotFound, ChecklistSigned: there is no such open checklist.
        ChecklistUnsettled: something is open or waits.
        FaultsUnexplained: something failed and the note does not say what is to become of it.
    """
    async with db.transaction([project_id]) as connection:
        sheet = await _open(connection, project_id, commissioning_id, at)
        states = {one["state"] for one in sheet.items.values()}
        if not states <= SETTLED:
            raise ChecklistUnsettled
        if Verdict.FAILED in states and len(note.strip()) < NOTE_CHARS_MIN:
            error = FaultsUnexplained()
            error.field = "note"
            raise error
        await commissionings.sign(
            connection, project_id, commissioning_id, actor_id, note.strip(), at
        )
        await readings.bump(connection, project_id)


async def get(db: Database, project_id: int, commissioning_id: int) -> Checked:
    """A checklist as it stands. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await commissionings.get(connection, project_id, commissioning_id)
    if row is None:
        raise NotFound(N_("Checklist"), commissioning_id)
    return _checked(row)


async def reports(
    db: Database, project_id: int, meter_ids: Sequence[int] = (), building_id: int | None = None
) -> Sequence[Checked]:
    """The latest checklist of each of these meters, or of a building's, by place."""
    async with db.transaction([project_id]) as connection:
        wanted = list(meter_ids)
        if building_id is not None:
            wanted = await commissionings.meters_of_building(connection, project_id, building_id)
        rows = await commissionings.latest_of(connection, project_id, wanted)
    return [_checked(row) for row in rows]


def _checked(row: Any) -> Checked:
    items = json.loads(row["items"])
    return Checked(row, {item: items[item] for item in Item})


async def _open(
    connection: Connection, project_id: int, commissioning_id: int, at: datetime
) -> Sheet:
    """Lock an unsigned checklist and its meter. Raises `NotFound`, `ChecklistSigned`."""
    row = await commissionings.get(connection, project_id, commissioning_id)
    if row is None:
        raise NotFound(N_("Checklist"), commissioning_id)
    await _lock(connection, project_id, row["meter_id"])
    row = await commissionings.get(connection, project_id, commissioning_id, lock=True)
    assert row is not None, "checklists are never removed"
    if row["signed_at"] is not None:
        raise ChecklistSigned
    return Sheet.of(connection, row, at)


async def _lock(connection: Connection, project_id: int, meter_id: int) -> None:
    await monitor.lock_meters(connection, project_id, np.array([meter_id], dtype=np.int64))


async def _keep(sheet: Sheet) -> None:
    await sheet.keep()
    await readings.bump(sheet.connection, sheet.row["project_id"])
