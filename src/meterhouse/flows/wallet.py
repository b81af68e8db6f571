"""What a meter's own purse says, told to the ledger: what it deducted is earned, and no more.

Owns the ledger's side of money inside meters. A household's *on meter* account stands for what its
meter was last known to hold, so consumption follows from two reports: previous + applied −
reported, credit net of overdraft. The platform's own rating runs beside it as a shadow and moves no
money. Must never send anything, nor judge an order under way (`recharge` does): while one may have
arrived, a purse is not accounted at all, and nothing is lost by that, because the next report tells
the whole difference.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meterhouse.errors import MeterhouseError
from meterhouse.flows import react
from meterhouse.model import AccountKind, AlarmKind, Compartment, RechargeState, TransferKind
from meterhouse.ports import Values
from meterhouse.store import ledger, queue, recharges
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewTransfer
from meterhouse.units import Minor, from_us

Ints = NDArray[np.int64]


METER_EXPONENT: Final = 2
"""Meters speak of money in hundredths, whatever the currency."""


class MeterMoneyUnfit(MeterhouseError):
    """Meters keep money in hundredths, and this project's currency has other parts."""

    code = "meter_money_unfit"
    http_status = 409
    field = "keeper"


def check_unit(project: Any) -> None:
    """See that a meter's hundredth is a project's coin. Raises `MeterMoneyUnfit`."""
    if project["currency_exponent"] != METER_EXPONENT:
        raise MeterMoneyUnfit


def net_minor(said: Values) -> int | None:
    """Credit less overdraft, None where the meter did not say."""
    if said.credit_minor is None:
        return None
    return said.credit_minor - (said.overdraft_minor or 0)


def split(net: int) -> dict[str, int]:
    """A net amount as the two columns of a purse, of which one is zero."""
    return {"credit_minor": max(net, 0), "overdraft_minor": max(-net, 0)}


def customer_number(where: Any) -> str:
    """Whom we open a meter for: a number that stays with the point, whoever lives there."""
    return f"{where['point_id']:012d}"


async def account(connection: Connection, project: Any, kind: AccountKind, where: Any) -> int:
    """The household's account of money in flight or on meters, for its compartment.

    `where` has agreement_id and compartment. It has no floor: a meter may grant credit.
    """
    return await ledger.open_account(
        connection, project["id"], kind, project["currency"], where["agreement_id"],
        Compartment(where["compartment"]), None,
    )  # fmt: skip


async def hear(
    connection: Connection, project: Any, meter_ids: Ints, read_at_us: Ints, said: Ints | None,
    at: datetime,
) -> None:  # fmt: skip
    """Account what meters reported of their purses in a round; `said` as `reading.Batch.purse`."""
    if said is None or project["currency_exponent"] != METER_EXPONENT:
        return
    told = np.flatnonzero(said[:, 0] >= 0)
    ids = [int(meter_ids[i]) for i in told]
    live = await recharges.live_of_meters(connection, project["id"], ids)
    keepers = await recharges.keepers(connection, project["id"], ids)
    place = dict(zip(ids, told.tolist(), strict=True))
    for keeper in keepers:
        i = place[keeper["meter_id"]]
        under_way = live.get(keeper["meter_id"])
        if under_way is not None and under_way["state"] != RechargeState.RESERVED:
            continue
        count, credit_minor, overdraft_minor = (int(each) for each in said[i])
        await report(
            connection, project, keeper, count, credit_minor - overdraft_minor,
            from_us(int(read_at_us[i])), at,
        )  # fmt: skip
    await react.look_into(connection, project, [one["meter_id"] for one in keepers], at)


async def report(
    connection: Connection, project: Any, keeper: Any, count: int, net: int, read_at: datetime,
    at: datetime,
) -> None:  # fmt: skip
    """Account one report: the difference to what was known is what the meter deducted.

    A report that is older than what is known is passed over. One under another number, or with
    more money than there can be, is accounted to nobody: it opens an alarm.
    """
    project_id, meter_id, epoch = project["id"], keeper["meter_id"], keeper["wallet_epoch"]
    wallet = await recharges.lock_wallet(connection, project_id, meter_id, epoch)
    known_at = wallet["read_at"] or wallet["opened_at"] or read_at
    if wallet["frozen_at"] is not None or known_at > read_at:
        return
    if wallet["read_at"] is None:
        await adopt(connection, project, keeper, wallet, count, net, read_at, at)
        return
    subject = f"meter:{meter_id}"
    if count != wallet["number"] or net > wallet["net_minor"]:
        await contradicts(connection, project_id, keeper, wallet, count, net, at)
        return
    used_minor = wallet["net_minor"] - net
    if used_minor:
        on_meter = await account(connection, project, AccountKind.ON_METER, keeper)
        revenue = await ledger.house_account(connection, project_id, AccountKind.REVENUE)
        transfer = NewTransfer(
            on_meter, revenue, Minor(used_minor), TransferKind.DEDUCTED, keeper["point_id"]
        )
        made = await ledger.post(connection, project_id, [transfer], None, at)
        await _note(connection, project_id, wallet, made, net, read_at)
    changes: dict[str, Any] = {
        **split(net), "consumed_minor": wallet["consumed_minor"] + used_minor, "read_at": read_at,
    }  # fmt: skip
    await recharges.set_wallet(connection, project_id, meter_id, epoch, changes)
    await recharges.verify(connection, project_id, meter_id, epoch, count, read_at)
    await queue.close_alarms(connection, project_id, AlarmKind.WALLET_CONTRADICTS, [subject], at)


async def adopt(
    connection: Connection, project: Any, keeper: Any, wallet: Any, count: int, net: int,
    read_at: datetime, at: datetime,
) -> None:  # fmt: skip
    """Take over a purse as it is found: its counter, and what it holds beyond what is known.

    What was in it before the platform came stands against *opening credit* (期初); what a purse
    carried over from an earlier epoch has lost since is what the meter deducted.
    """
    project_id = project["id"]
    on_meter = await account(connection, project, AccountKind.ON_METER, keeper)
    found_minor = net - wallet["net_minor"]
    if found_minor > 0:
        opening = await ledger.house_account(connection, project_id, AccountKind.OPENING)
        moved = [(opening, on_meter, TransferKind.ADOPTED)]
    else:
        revenue = await ledger.house_account(connection, project_id, AccountKind.REVENUE)
        moved = [(on_meter, revenue, TransferKind.DEDUCTED)]
    transfers = [
        NewTransfer(debit, credit, Minor(abs(found_minor)), kind, keeper["point_id"])
        for debit, credit, kind in moved
        if found_minor
    ]
    # Written when it is known: a day or a balance of before that is printed stays as it is.
    made = await ledger.post(connection, project_id, transfers, None, at)
    await _note(connection, project_id, wallet, made, net, read_at)
    changes: dict[str, Any] = {
        **split(net), "number": count, "read_at": read_at,
        "opened_at": wallet["opened_at"] or read_at,
        "consumed_minor": wallet["consumed_minor"] + max(-found_minor, 0),
    }  # fmt: skip
    await recharges.set_wallet(
        connection, project_id, keeper["meter_id"], keeper["wallet_epoch"], changes
    )


async def _note(
    connection: Connection, project_id: int, wallet: Any, transfer_ids: Sequence[int], net: int,
    read_at: datetime,
) -> None:  # fmt: skip
    """Keep which report transfers rest on, and what had been known before it."""
    known_at = wallet["read_at"] or wallet["opened_at"]
    for transfer_id in transfer_ids:
        new = recharges.Report(
            transfer_id, wallet["meter_id"], wallet["wallet_epoch"], known_at,
            wallet["net_minor"], read_at, net,
        )  # fmt: skip
        await recharges.insert_report(connection, project_id, new)


async def contradicts(
    connection: Connection, project_id: int, keeper: Any, wallet: Any, count: int,
    net: int, at: datetime,
) -> None:  # fmt: skip
    """Say aloud that a meter reports what cannot be: an order nobody sent, money from nowhere."""
    alarm = queue.NewAlarm(
        AlarmKind.WALLET_CONTRADICTS, f"meter:{keeper['meter_id']}", point_id=keeper["point_id"],
        meter_id=keeper["meter_id"], gateway_id=keeper["gateway_id"],
        facts={
            "number": wallet["number"], "count": count, "known_minor": wallet["net_minor"],
            "said_minor": net,
        },
    )  # fmt: skip
    await queue.open_alarms(connection, project_id, [alarm], at)


async def retire(
    connection: Connection, project: Any, keeper: Any, net: int, actor_id: int | None,
    at: datetime, payment_id: int | None = None,
) -> int:  # fmt: skip
    """End a purse whose meter goes: the last deduction is earned, the rest returns to the purse.

    Args:
        connection: inside the exchange or the closing, with the meter locked.
        project: the project's row.
        keeper: meter_id, wallet_epoch, point_id, agreement_id, compartment and account_id.
        net: what the meter held at the end, credit less overdraft, as read or seen.
        actor_id: who does it.
        at: the present instant.
        payment_id: the order by which the rest returns, where there is one.

    Returns:
        What went to the purse on the platform; negative where the meter had granted credit.

    Raises:
        RechargeLive: money is still in flight to it, and might be counted twice.
    """
    project_id, meter_id, epoch = project["id"], keeper["meter_id"], keeper["wallet_epoch"]
    if await recharges.is_live(connection, project_id, meter_id, epoch):
        raise recharges.RechargeLive(f"meter {meter_id}", "a recharge is on its way to it")
    wallet = await recharges.lock_wallet(connection, project_id, meter_id, epoch)
    on_meter = await account(connection, project, AccountKind.ON_METER, keeper)
    revenue = await ledger.house_account(connection, project_id, AccountKind.REVENUE)
    opening = await ledger.house_account(connection, project_id, AccountKind.OPENING)
    used_minor = wallet["net_minor"] - net
    point_id, purse = keeper["point_id"], keeper["account_id"]
    moved = (
        (on_meter, revenue, used_minor, TransferKind.DEDUCTED),
        (opening, on_meter, -used_minor, TransferKind.ADOPTED),
        (on_meter, purse, net, TransferKind.TAKEN_OVER),
        (purse, on_meter, -net, TransferKind.TAKEN_OVER),
    )
    transfers = [
        NewTransfer(
            debit, credit, Minor(much), kind, point_id, payment_id if credit == purse else None
        )
        for debit, credit, much, kind in moved
        if much > 0
    ]
    made = await ledger.post(connection, project_id, transfers, actor_id, at)
    await _note(connection, project_id, wallet, made, net, at)
    changes: dict[str, Any] = {
        **split(0), "consumed_minor": wallet["consumed_minor"] + max(used_minor, 0),
        "read_at": at, "frozen_at": at,
    }  # fmt: skip
    await recharges.set_wallet(connection, project_id, meter_id, epoch, changes)
    return net
