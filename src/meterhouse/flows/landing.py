"""How a recharge ends: on the meter, back in the purse, or halted until a person has looked.

Owns what each end does to ledger, purse, alarms and notices, inside the transaction of whoever
found it (`transit`). Must never decide which end it is.
"""

from datetime import datetime
from typing import Any

from meterhouse.control.recharge import Row
from meterhouse.flows import react, received, wallet
from meterhouse.model import AccountKind, AlarmKind, RechargeState, TransferKind
from meterhouse.ports import Values
from meterhouse.store import catalog, ledger, queue, recharges
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewTransfer
from meterhouse.units import Minor


def signed(row: Any) -> int:
    """What an order adds to the meter's purse; negative where it takes money back."""
    amount_minor: int = row["amount_minor"]
    return -amount_minor if row["kind"] == "take_back" else amount_minor


async def post(
    connection: Connection, row: dict[str, Any], said: Values, actor_id: int | None, at: datetime
) -> None:
    """The meter holds the money, has given it back, or was opened: the ledger follows."""
    project_id, recharge_id = row["project_id"], row["id"]
    project = await catalog.get_project(connection, project_id)
    number = row["number"]
    if row["kind"] == "open":
        # One that was open for us already keeps the number it has.
        number = number if said.purchase_count is None else said.purchase_count
    else:
        await _move(connection, project, row, actor_id, at)
    purse = await recharges.lock_wallet(
        connection, project_id, row["meter_id"], row["wallet_epoch"]
    )
    kept = {
        **wallet.split(purse["net_minor"] + signed(row)), "number": number,
        "applied_minor": purse["applied_minor"] + signed(row), "read_at": at,
    }  # fmt: skip
    if row["kind"] == "open":
        kept |= {"customer_number": wallet.customer_number(row), "opened_at": at}
        # What is in a purse that nobody has read yet is still to be found.
        kept["read_at"] = purse["read_at"] and at
    await recharges.set_wallet(connection, project_id, row["meter_id"], row["wallet_epoch"], kept)
    changes = {
        "state": RechargeState.APPLIED, "why": "", "next_at": None, "applied_at": at,
    }  # fmt: skip
    await recharges.change(connection, project_id, recharge_id, changes)
    await close_alarms(connection, row, at)
    net = wallet.net_minor(said)
    if net is not None and said.purchase_count == number:
        for keeper in await recharges.keepers(connection, project_id, [row["meter_id"]]):
            await wallet.report(connection, project, keeper, number, net, at, at)
    await react.look_into(connection, project, [row["meter_id"]], at)
    if row["payment_id"] is not None:
        await received.tell(
            connection, project, row["point_id"], row["payment_id"], row["amount_minor"], at
        )


async def _move(
    connection: Connection, project: Any, row: dict[str, Any], actor_id: int | None, at: datetime
) -> None:
    where = await ledger.account_of(connection, row["project_id"], row["account_id"])
    on_meter = await wallet.account(connection, project, AccountKind.ON_METER, where)
    in_flight = await wallet.account(connection, project, AccountKind.IN_FLIGHT, where)
    sides = (in_flight, on_meter, TransferKind.APPLY)
    if row["kind"] == "take_back":
        sides = (on_meter, row["account_id"], TransferKind.TAKE_BACK)
    moved = NewTransfer(
        sides[0], sides[1], Minor(row["amount_minor"]), sides[2], row["point_id"],
        recharge_id=row["id"],
    )  # fmt: skip
    await ledger.post(connection, row["project_id"], [moved], actor_id, at)


async def give_back(
    connection: Connection, row: dict[str, Any], actor_id: int | None, at: datetime
) -> None:
    """It never reached the meter and never will: the money is in the purse again."""
    project_id, recharge_id = row["project_id"], row["id"]
    if row["kind"] == "recharge":
        project = await catalog.get_project(connection, project_id)
        where = await ledger.account_of(connection, project_id, row["account_id"])
        in_flight = await wallet.account(connection, project, AccountKind.IN_FLIGHT, where)
        back = NewTransfer(
            in_flight, row["account_id"], Minor(row["amount_minor"]), TransferKind.RETURN,
            row["point_id"], recharge_id=recharge_id,
        )  # fmt: skip
        await ledger.post(connection, project_id, [back], actor_id, at)
    changes = {
        "state": RechargeState.RETURNED, "why": row["refusal"], "next_at": None, "ended_at": at,
    }  # fmt: skip
    await recharges.change(connection, project_id, recharge_id, changes)
    await close_alarms(connection, row, at)


async def halt(connection: Connection, row: dict[str, Any], verdict: Row, at: datetime) -> None:
    """Nothing the table knows of: the money stays in flight, and a person is asked."""
    changes = {"state": RechargeState.HALTED, "why": verdict.why, "next_at": None}
    await recharges.change(connection, row["project_id"], row["id"], changes)
    await freeze(connection, row, at)
    alarm = queue.NewAlarm(
        AlarmKind.RECHARGE_HALTED, f"recharge:{row['id']}", point_id=row["point_id"],
        meter_id=row["meter_id"], gateway_id=row["gateway_id"],
        facts={"why": verdict.why, "amount_minor": row["amount_minor"]},
    )  # fmt: skip
    await queue.open_alarms(connection, row["project_id"], [alarm], at)


async def freeze(connection: Connection, row: dict[str, Any], at: datetime | None) -> None:
    """Take a purse out of use while nobody knows what is in it, or (None) into use again."""
    key = row["project_id"], row["meter_id"], row["wallet_epoch"]
    await recharges.lock_wallet(connection, *key)
    await recharges.set_wallet(connection, *key, {"frozen_at": at})


async def thaw(connection: Connection, row: dict[str, Any], at: datetime) -> None:
    """A person has decided; a purse whose counter is not where we know it begins a new life.

    The new one takes over what is known to be in it, and its number from the next report.
    """
    key = row["project_id"], row["meter_id"], row["wallet_epoch"]
    purse = await recharges.lock_wallet(connection, *key)
    if row["epoch_now"] != row["wallet_epoch"] or row["removed_at"] is not None:
        return
    await recharges.set_wallet(connection, *key, {"frozen_at": None})
    count = await recharges.last_count(connection, row["project_id"], row["id"])
    if count is None or count == purse["number"]:
        return
    carried = wallet.split(purse["net_minor"])
    await recharges.begin_epoch(connection, row["project_id"], row["meter_id"], carried, at)
    await recharges.set_wallet(connection, *key, {**wallet.split(0), "frozen_at": at})


async def close_alarms(connection: Connection, row: dict[str, Any], at: datetime) -> None:
    """Nobody need look after this one any more."""
    for kind in (AlarmKind.RECHARGE_LATE, AlarmKind.RECHARGE_HALTED):
        await queue.close_alarms(connection, row["project_id"], kind, [f"recharge:{row['id']}"], at)
