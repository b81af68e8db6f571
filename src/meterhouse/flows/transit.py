"""A recharge on its way into a meter: claim, write ahead, send, note, look back, and how it ends.

Owns the transactions; what is to be done `control.recharge` decides from the facts gathered here.
Must never send a byte: the head end asks what is due, talks to the meter, and brings the answer
back. Whoever dies between two of these steps leaves a row that is looked at again, and whose order
is never sent again on the strength of a memory:

    claim   → the head end reads the meter's purse
    look    → decided; if an order is to go out, it is handed over
    commit  → its very bytes are in the database, and it counts as sent
              → only now the bytes leave
    note    → decided again, from the reply and what was read behind it

`decide` is a person's word about one that has halted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import numpy as np

from meterhouse import meter_models
from meterhouse.control import recharge as control
from meterhouse.control.recharge import Balance, Deed, Facts, Purse, Reply
from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.flows import landing, wallet
from meterhouse.model import AlarmKind, RechargeState
from meterhouse.ports import Effect, OpenWallet, Outcome, Recharge, TakeBack, Values
from meterhouse.store import catalog, monitor, queue, readings, recharges
from meterhouse.store.db import Connection, Database

# Whoever has claimed one is done with it by then, or dead.
LEASE = timedelta(minutes=10)
FOR_GOOD = frozenset({"hoarding_refused", "customer_refused", "not_opened"})
"""Refusals that another try will not change; they prove nothing all the same."""

UNHEARD = frozenset({"silence", "line_lost"})
_INTENTS: Final[Mapping[str, type[OpenWallet | Recharge | TakeBack]]] = {
    "recharge": Recharge, "take_back": TakeBack, "open": OpenWallet,
}  # fmt: skip
BY_PERSON, NOTHING_HELD = "person", "nothing_held"


class Verdict(StrEnum):
    """What a person has found out about a halted recharge."""

    APPLIED = "applied"
    RETURNED = "returned"
    LOOK = "look"


class NotHalted(MeterhouseError):
    """That recharge waits for nobody's decision."""

    code = "recharge_not_halted"
    http_status = 409


class NotOnItsWay(MeterhouseError):
    """That recharge is not on its way: it has ended, or it waits for a decision."""

    code = "recharge_not_on_its_way"
    http_status = 409


class NeverSent(MeterhouseError):
    """That recharge was never sent; its money cannot be in the meter."""

    code = "recharge_never_sent"
    http_status = 409


class MayArrive(MeterhouseError):
    """A copy of the order may still reach the meter; wait until {until}."""

    code = "recharge_may_arrive"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Due:
    """A recharge somebody has to look after now: which, of which meter."""

    project_id: int
    id: int
    meter_id: int
    address: str
    model: str


@dataclass(frozen=True, slots=True)
class Order:
    """An order to be sent: what to make its bytes from, or the very bytes it went out with."""

    intent: OpenWallet | Recharge | TakeBack
    send_count: int
    frame: bytes | None


async def claim(db: Database, project_id: int, gateway_id: int, at: datetime) -> Due | None:
    """The recharge behind a gateway that has waited longest; nobody else gets it meanwhile."""
    async with db.transaction([project_id]) as connection:
        row = await recharges.next_due(connection, project_id, gateway_id, at)
        if row is None:
            return None
        await recharges.change(connection, project_id, row["id"], {"next_at": at + LEASE})
        return Due(project_id, row["id"], row["meter_id"], row["address"], row["model"])


async def due_at(db: Database, project_id: int, gateway_id: int) -> datetime | None:
    """When a gateway's next recharge is to be looked after; None when none is on its way."""
    async with db.transaction([project_id]) as connection:
        return await recharges.due_at(connection, project_id, gateway_id)


async def resume(db: Database, project_id: int, gateway_id: int, at: datetime) -> None:
    """A gateway has a new sender: what the last one was at is looked at again, now."""
    async with db.transaction([project_id]) as connection:
        await recharges.make_due(connection, project_id, gateway_id, at)


async def look(db: Database, due: Due, outcome: Outcome, at: datetime) -> Order | None:
    """Decide from what the meter's purse says; answers the order that is to go out, if one is."""
    async with db.transaction([due.project_id]) as connection:
        row = await _on_its_way(connection, due)
        if row is None:
            return None
        done = await _settle(connection, row, outcome.values, Reply.NONE, at)
        await readings.bump(connection, due.project_id)
        return done


async def commit(db: Database, due: Due, order: Order, frame: bytes, at: datetime) -> bool:
    """Write an order's bytes ahead: from here on it counts as sent. False if all has changed."""
    async with db.transaction([due.project_id]) as connection:
        row = await _on_its_way(connection, due)
        if row is None or row["send_count"] != order.send_count:
            return False
        changes = {
            "state": RechargeState.SENT, "frame": frame, "send_count": order.send_count + 1,
            "look_count": 0, "sent_at": at, "dead_at": at + control.LIFETIME,
            "next_at": at + LEASE, "fenced_at": None, "proved_at": None,
        }  # fmt: skip
        await recharges.change(connection, due.project_id, due.id, changes)
        step = recharges.Step("sent", "", note=frame.hex())
        await recharges.add_step(connection, due.project_id, due.id, step, at)
        await readings.bump(connection, due.project_id)
        return True


async def unmade(db: Database, due: Due, why: str, at: datetime) -> None:
    """An order's bytes could not be made (no module, no session): look again later.

    Silence passes; whatever else it is somebody has to mend, and is told at once.
    """
    async with db.transaction([due.project_id]) as connection:
        row = await _on_its_way(connection, due)
        if row is None:
            return
        await _wait(connection, row, at)
        step = recharges.Step("unmade", "", reply=why)
        await recharges.add_step(connection, due.project_id, due.id, step, at)
        if why not in UNHEARD:
            await queue.open_alarms(connection, due.project_id, [_late(row, why)], at)
        await readings.bump(connection, due.project_id)


async def note(db: Database, due: Due, outcome: Outcome, at: datetime) -> None:
    """Note the reply to an order that went out, and what was read behind it."""
    reply = Reply.POSITIVE if outcome.effect is Effect.DONE else Reply.REFUSED
    if outcome.why in UNHEARD:
        reply = Reply.SILENCE
    async with db.transaction([due.project_id]) as connection:
        row = await _on_its_way(connection, due)
        if row is None:
            return
        if outcome.why in FOR_GOOD:
            row = {**row, "refusal": outcome.why}
            changes = {"refusal": outcome.why}
            await recharges.change(connection, due.project_id, due.id, changes)
        await _settle(connection, row, outcome.values, reply, at, outcome.why)
        await readings.bump(connection, due.project_id)


async def tend(db: Database, project_id: int, at: datetime) -> int:
    """Halt what is on its way to a meter that is gone, and say aloud what takes too long."""
    async with db.transaction([project_id]) as connection:
        homeless = await recharges.homeless(connection, project_id)
        late = await recharges.late(connection, project_id, at - control.LATE)
        await queue.open_alarms(connection, project_id, [_late(row) for row in late], at)
    for recharge_id in homeless:
        due = Due(project_id, recharge_id, 0, "", "")
        await look(db, due, Outcome(Effect.UNKNOWN, why="silence"), at)
    return len(homeless) + len(late)


def _late(row: Any, why: str = "") -> queue.NewAlarm:
    return queue.NewAlarm(
        AlarmKind.RECHARGE_LATE, f"recharge:{row['id']}", point_id=row["point_id"],
        meter_id=row["meter_id"], facts={"amount_minor": row["amount_minor"], "why": why},
    )  # fmt: skip


async def decide(
    db: Database, project_id: int, recharge_id: int, verdict: Verdict, reason: str,
    actor_id: int | None, at: datetime,
) -> RechargeState:  # fmt: skip
    """A person's word about a halted recharge; answers the state it is in then.

    `applied`: the money is in the meter. `returned`: it is not and shall not be; where no copy can
    arrive any more and the meter was read twice it goes back at once, else the meter is read until
    that is so. `look`: go on as if nothing had been halted.

    Raises:
        NotFound: there is no such recharge in sight.
        NotHalted, NeverSent: that is not for a person to decide.
        MayArrive: the meter is gone, and a copy of the order may still reach it.
    """
    async with db.transaction([project_id]) as connection:
        row = await _locked(connection, project_id, recharge_id)
        if row is None:
            raise NotFound("recharge", recharge_id)
        if row["state"] != RechargeState.HALTED:
            raise NotHalted
        if verdict is Verdict.APPLIED and not row["send_count"]:
            raise NeverSent
        changes = {"reason": reason, "decided_by": actor_id}
        await recharges.change(connection, project_id, recharge_id, changes)
        step = recharges.Step(f"decided_{verdict}", "", actor_id=actor_id, note=reason)
        await recharges.add_step(connection, project_id, recharge_id, step, at)
        state = await _carry_out(connection, dict(row), verdict, actor_id, at)
        await readings.bump(connection, project_id)
        return state


async def _carry_out(
    connection: Connection, row: dict[str, Any], verdict: Verdict, actor_id: int | None,
    at: datetime,
) -> RechargeState:  # fmt: skip
    project_id = row["project_id"]
    if verdict is Verdict.APPLIED:
        await landing.post(connection, row, Values(), actor_id, at)
        await landing.thaw(connection, row, at)
        return RechargeState.APPLIED
    is_gone = row["removed_at"] is not None or row["epoch_now"] != row["wallet_epoch"]
    is_dead = row["dead_at"] is None or row["dead_at"] <= at
    if verdict is Verdict.RETURNED:
        if is_gone and not is_dead:
            raise MayArrive(until=row["dead_at"].isoformat())
        if row["proved_at"] is not None or row["send_count"] == 0 or is_gone:
            await landing.give_back(connection, row, actor_id, at)
            await landing.thaw(connection, row, at)
            return RechargeState.RETURNED
    state = RechargeState.UNKNOWN if row["send_count"] else RechargeState.RESERVED
    changes: dict[str, Any] = {"state": state, "why": "", "next_at": at, "look_count": 0}
    if verdict is Verdict.RETURNED:
        changes["refusal"] = BY_PERSON
    await recharges.change(connection, project_id, row["id"], changes)
    await landing.freeze(connection, row, None)
    await landing.close_alarms(connection, row, at)
    await recharges.wake(connection, project_id, row["gateway_id"])
    return state


async def cancel(
    db: Database, project_id: int, recharge_id: int, reason: str, actor_id: int | None,
    at: datetime,
) -> None:  # fmt: skip
    """Stop a recharge that is on its way: it is not sent again, and returns once that is safe.

    Raises:
        NotFound: there is no such recharge in sight.
        NotOnItsWay: it has ended or halted.
    """
    async with db.transaction([project_id]) as connection:
        row = await _locked(connection, project_id, recharge_id)
        if row is None:
            raise NotFound("recharge", recharge_id)
        if row["state"] not in control.ON_THE_WAY:
            raise NotOnItsWay
        step = recharges.Step("cancelled", "", actor_id=actor_id, note=reason)
        await recharges.add_step(connection, project_id, recharge_id, step, at)
        changes = {"refusal": BY_PERSON, "reason": reason, "next_at": at}
        await recharges.change(connection, project_id, recharge_id, changes)
        if row["state"] == RechargeState.RESERVED:
            await landing.give_back(connection, {**row, "refusal": BY_PERSON}, actor_id, at)
        await readings.bump(connection, project_id)


# ---- inside a transaction


async def _locked(connection: Connection, project_id: int, recharge_id: int) -> Any | None:
    """A recharge with its meter, locked in the order that readings and sales keep to."""
    meter_id = await recharges.meter_of(connection, project_id, recharge_id)
    if meter_id is None:
        return None
    await monitor.lock_meters(connection, project_id, np.array([meter_id], dtype=np.int64))
    return await recharges.lock(connection, project_id, recharge_id)


async def _on_its_way(connection: Connection, due: Due) -> Any | None:
    """The same, or None once it has ended or halted."""
    row = await _locked(connection, due.project_id, due.id)
    return row if row is not None and row["state"] in control.ON_THE_WAY else None


async def _settle(
    connection: Connection, row: Any, said: Values, reply: Reply, at: datetime, why: str = ""
) -> Order | None:
    """Ask the table, and do what it says; an order to be sent is handed to the caller."""
    row = dict(row)
    project_id, recharge_id = row["project_id"], row["id"]
    facts = await _facts(connection, row, said, reply, at)
    table = control.OPENING if row["kind"] == "open" else control.TABLE
    verdict = control.decide(facts, table)
    step = recharges.Step(
        verdict.deed, verdict.name, why or (reply if reply is not Reply.NONE else ""),
        said.purchase_count, wallet.net_minor(said),
    )  # fmt: skip
    await recharges.add_step(connection, project_id, recharge_id, step, at)
    if verdict.deed is Deed.POST:
        await landing.post(connection, row, said, None, at)
    elif verdict.deed is Deed.RETURN:
        await landing.give_back(connection, row, None, at)
    elif verdict.deed is Deed.HALT:
        await landing.halt(connection, row, verdict, at)
    elif verdict.deed is Deed.LOOK:
        await _wait(connection, row, at)
    else:
        return await _order(connection, row, said, verdict.deed, at)
    return None


async def _facts(
    connection: Connection, row: dict[str, Any], said: Values, reply: Reply, at: datetime
) -> Facts:
    """What is known of a recharge now; the fence is put up on the way."""
    project_id, state = row["project_id"], RechargeState(row["state"])
    model = meter_models.load(row["model"])
    if state is RechargeState.RESERVED and said.purchase_count is not None:
        await _first_look(connection, row, said, at)
    net, balance = wallet.net_minor(said), Balance.UNSAID
    if net is not None:
        balance = Balance.OUT
        if row["before_minor"] is not None and row["send_count"]:
            project = await catalog.get_project(connection, project_id)
            seconds = int((at - row["before_at"]).total_seconds()) + 1
            balance = control.balance_of(
                Purse(row["before_minor"], row["before_purchased_minor"]),
                Purse(net, said.purchased_minor), landing.signed(row),
                control.most_used_minor(
                    row["max_power_w"] * row["multiplier"], seconds,
                    await _dearest_micro(connection, project_id, row["tariff_id"]),
                    project["currency_exponent"],
                ),
            )  # fmt: skip
    is_dead = row["dead_at"] is not None and row["dead_at"] <= at
    is_ours = None
    if said.customer_number is not None:
        is_ours = said.customer_number == wallet.customer_number(row)
    if net is not None:
        is_out = said.purchase_count == row["number"] - 1
        await _fence(connection, row, not is_ours if row["kind"] == "open" else is_out, is_dead, at)
    return Facts(
        state=state,
        is_epoch=row["epoch_now"] == row["wallet_epoch"] and row["removed_at"] is None,
        has_memory=model.knows_orders,
        has_counter=model.counts_purchases,
        number=row["number"],
        count=said.purchase_count if model.counts_purchases else None,
        balance=balance,
        reply=reply,
        is_dead=is_dead,
        is_fenced=row["proved_at"] is not None,
        is_refused=bool(row["refusal"]),
        send_count=row["send_count"],
        is_ours=is_ours,
    )


async def _dearest_micro(connection: Connection, project_id: int, tariff_id: int | None) -> int:
    """The dearest price that a tariff ever had or will have; 0 without one."""
    if tariff_id is None:
        return 0
    bodies = await catalog.tariff_bodies(connection, project_id, [tariff_id])
    prices = [
        price
        for body in bodies.get(tariff_id, [])
        for version in body["versions"]
        for band in version["prices_micro"].values()
        for price in band
    ]
    return max(prices, default=0)


async def _first_look(
    connection: Connection, row: dict[str, Any], said: Values, at: datetime
) -> None:
    """Take over a purse nobody has read yet; the order follows what is found there.

    Nothing was sent yet, so its number may still follow, and *everything* may become an amount.
    """
    project_id, meter_id = row["project_id"], row["meter_id"]
    purse = await recharges.lock_wallet(connection, project_id, meter_id, row["wallet_epoch"])
    net = wallet.net_minor(said)
    if net is None or said.purchase_count is None:
        return
    key = project_id, meter_id, row["wallet_epoch"]
    found = {"hoarding_minor": said.hoarding_minor, "customer_number": said.customer_number}
    told = {name: fact for name, fact in found.items() if fact is not None}
    if told:
        await recharges.set_wallet(connection, *key, told)
    if row["kind"] == "open":
        return
    if purse["read_at"] is None:
        project = await catalog.get_project(connection, project_id)
        for keeper in await recharges.keepers(connection, project_id, [meter_id]):
            await wallet.adopt(connection, project, keeper, purse, said.purchase_count, net, at, at)
    elif purse["number"] != said.purchase_count:
        return
    row["number"] = said.purchase_count + 1
    if row["is_whole"] and net > 0:
        row["amount_minor"] = net
    elif row["is_whole"]:
        row["refusal"] = NOTHING_HELD
    changes = {name: row[name] for name in ("number", "amount_minor", "refusal")}
    await recharges.change(connection, project_id, row["id"], changes)


async def _fence(
    connection: Connection, row: dict[str, Any], is_out: bool, is_dead: bool, at: datetime
) -> None:
    """Two readings behind the lifetime, some time apart, that it is out prove it was not taken."""
    if not is_dead or not is_out:
        row["fenced_at"] = row["proved_at"] = None
    elif row["fenced_at"] is None:
        row["fenced_at"] = at
    elif at - row["fenced_at"] >= control.FENCE:
        row["proved_at"] = at
    changes = {"fenced_at": row["fenced_at"], "proved_at": row["proved_at"]}
    await recharges.change(connection, row["project_id"], row["id"], changes)


async def _order(
    connection: Connection, row: dict[str, Any], said: Values, deed: Deed, at: datetime
) -> Order | None:
    """The order to be sent; before its first send, what the purse holds is noted to compare."""
    project_id = row["project_id"]
    if deed is Deed.SEND:
        changes = {
            "before_minor": wallet.net_minor(said), "before_at": at,
            "before_purchased_minor": said.purchased_minor,
        }  # fmt: skip
        await recharges.change(connection, project_id, row["id"], changes)
    elif at < row["dead_at"] + control.resend_in(row["send_count"]):
        await _wait(connection, row, at)
        return None
    purse = await recharges.lock_wallet(
        connection, project_id, row["meter_id"], row["wallet_epoch"]
    )
    known = purse["customer_number"] if row["kind"] != "open" else None
    intent = _INTENTS[row["kind"]](
        row["amount_minor"], row["number"], row["order_number"],
        known or wallet.customer_number(row),
    )  # fmt: skip
    # A seal holds for one session; without one the very same bytes go out again.
    is_sealed = meter_models.load(row["model"]).wallet == "esam"
    return Order(intent, row["send_count"], None if is_sealed else row["frame"])


async def _wait(connection: Connection, row: dict[str, Any], at: datetime) -> None:
    """Look again later: soon at first, then every round, and when the lifetime is over."""
    project = await catalog.get_project(connection, row["project_id"])
    next_at = at + control.look_in(row["look_count"], project["reading_interval_s"])
    if row["dead_at"] is not None:
        for moment in (row["dead_at"], row["dead_at"] + control.resend_in(row["send_count"])):
            next_at = min(next_at, moment) if moment > at else next_at
    if row["fenced_at"] is not None and row["refusal"]:
        next_at = max(at, row["fenced_at"] + control.FENCE)
    changes: dict[str, Any] = {"next_at": next_at, "look_count": row["look_count"] + 1}
    if row["state"] == RechargeState.SENT:
        changes["state"] = RechargeState.UNKNOWN
    await recharges.change(connection, row["project_id"], row["id"], changes)
