"""Who keeps a point's money, and what stands in the way of another keeper, or of a meter leaving.

Owns the change of keeper: what had accrued is booked to the last coin, and what is used while the
platform does not keep the money is set aside, owed to nobody, whenever its reading comes. A meter
that has money in it, or on its way to it, stays what and where it is: no order and no coin may lose
its way. Works inside its caller's transaction, under the project's lock.
"""

from datetime import datetime
from typing import Any

import numpy as np

from meterhouse.errors import MeterhouseError
from meterhouse.flows import bills, lastcoin, late, wallet
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Keeper
from meterhouse.store import monitor, points, readings, recharges
from meterhouse.store.db import Connection


class MeterHoldsMoney(MeterhouseError):
    """Money is in this meter: take it back first, or exchange the meter."""

    code = "meter_holds_money"
    http_status = 409


async def nothing_on_its_way(connection: Connection, project_id: int, meter_id: int) -> Any:
    """What is known to be in a meter, while readings and orders of it wait. Raises `RechargeLive`.

    Answers a row with net_minor: credit less overdraft.
    """
    await monitor.lock_meters(connection, project_id, np.array([meter_id], dtype=np.int64))
    (found,) = await recharges.in_meters(connection, project_id, [meter_id])
    if found["is_live"]:
        raise recharges.RechargeLive(f"meter {meter_id}", "a recharge is on its way to it")
    return found


async def must_be_empty(connection: Connection, project_id: int, meter_id: int) -> None:
    """See that no money can be lost with a meter. Raises `RechargeLive`, `MeterHoldsMoney`."""
    found = await nothing_on_its_way(connection, project_id, meter_id)
    if found["net_minor"]:
        raise MeterHoldsMoney


async def drop_estimates(connection: Connection, project: Any, meter_id: int, at: datetime) -> None:
    """Take back what was estimated of a meter, before nobody is left to take it back from."""
    columns = await points.load(connection, project["id"], np.array([meter_id], dtype=np.int64))
    for row in np.flatnonzero(columns["meter_id"] == meter_id).tolist():
        await late.drop_estimates(connection, project, columns, row, at)


async def change(
    connection: Connection, project: Any, point_id: int, was: Keeper, keeper: Keeper, at: datetime
) -> None:
    """Prepare a point for another keeper of its money, before its row says so.

    Raises:
        MeterMoneyUnfit: the meter is to keep a money it cannot speak of.
        RechargeLive, MeterHoldsMoney: the meter that serves it has money, or is about to.
    """
    project_id = project["id"]
    if keeper == Keeper.METER:
        wallet.check_unit(project)
    where = await recharges.payer_of(connection, project_id, point_id)
    meter_id = None if where is None else where["meter_id"]
    if where is not None and meter_id is not None:
        await must_be_empty(connection, project_id, meter_id)
    if was == Keeper.PLATFORM:
        if meter_id is not None:
            await drop_estimates(connection, project, meter_id, at)
        await bills.close(connection, Tariffs(), project, [point_id], at)
        await lastcoin.settle(connection, project, [point_id], at)
        await readings.set_aside(connection, project_id, point_id, begins=True)
    if keeper == Keeper.PLATFORM:
        await readings.set_aside(connection, project_id, point_id, begins=False)
    if where is not None and meter_id is not None and keeper == Keeper.METER:
        known = await recharges.lock_wallet(connection, project_id, meter_id, where["wallet_epoch"])
        if known["read_at"] is not None:
            # Nobody heard it meanwhile: it is taken over anew, as it is found.
            nothing = wallet.split(0)
            await recharges.begin_epoch(connection, project_id, meter_id, nothing, at)
