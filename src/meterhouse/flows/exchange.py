"""Giving one meter for another (换表): closing registers, opening registers, one unbroken account.

Owns the order: what the old meter counted is rated to its last register, it leaves, the new one
begins at its own. Block position, accrual and all reports are the point's and go on. Must never
know how a meter is read. Frames of the old meter that still arrive belong to no point any more and
are laid aside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from meterhouse.errors import MeterhouseError
from meterhouse.flows import lastread, opening, ordering, react
from meterhouse.flows.choice import chosen
from meterhouse.flows.lastread import LastRead, Registers
from meterhouse.model import AccountKind, AlarmKind, Keeper, PaymentKind
from meterhouse.store import catalog, devices, exchanges, ledger, monitor, queue, readings
from meterhouse.store.db import Connection, Database
from meterhouse.store.exchanges import NewExchange
from meterhouse.store.ledger import NewPayment, NewTransfer
from meterhouse.units import EPOCH, Minor


class MeterNotHung(MeterhouseError):
    """This meter serves no point; there is nothing to take over from it."""

    code = "meter_not_hung"
    http_status = 409


class RechargeUnderWay(MeterhouseError):
    """Money is on its way into this meter; wait until it has arrived or was returned."""

    code = "recharge_under_way"
    http_status = 409


class CreditUnsaid(MeterhouseError):
    """This meter keeps money; type how much it still held."""

    code = "credit_unsaid"
    http_status = 409
    field = "credit"


class CreditBeyond(MeterhouseError):
    """The old meter cannot hold more than was ever put into it."""

    code = "credit_beyond"
    http_status = 409
    field = "credit"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What comes for the old meter.

    Attributes:
        model: of the new meter.
        address: of the new meter; one that waits on the line under it is taken.
        gateway_id: on whose line it hangs.
        multiplier: what its registers are multiplied by.
        opening_milli: what it shows when it begins.
        reason: why.
        by_hand: the old meter's closing registers by its address; none: as last read by wire.
        credit_minor: what an old meter that keeps money still held.
    """

    model: str
    address: str
    gateway_id: int | None
    multiplier: int
    opening_milli: Registers
    reason: str
    by_hand: Mapping[str, Registers] = field(default_factory=dict)
    credit_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What was done: the new meter, the old one's last registers, the money that came along."""

    exchange_id: int
    meter_id: int
    closing: LastRead
    moved_minor: int


async def exchange(
    db: Database, project_id: int, meter_id: int, new: Exchange, actor_id: int | None,
    at: datetime,
) -> Exchanged:  # fmt: skip
    """Let a new meter serve an old one's point from now on.

    Raises:
        NotFound: there is no such meter, gateway or model.
        MeterNotHung: the old meter serves no point, or is out of service.
        RechargeUnderWay: money is on its way into it.
        LastReadingMissing, LastReadingDoubtful: as `lastread.take`.
        CreditUnsaid, CreditBeyond: it keeps money, and nobody said how much, or too much.
        AddressUnusable: the new address is not what the model's protocol prints.
        AddressTaken: the line has a meter of this address that serves another point.
    """
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        project = await catalog.get_project(connection, project_id)
        await devices.get_meter(connection, project_id, meter_id)
        if new.gateway_id is not None:
            with chosen("gateway_id"):
                await devices.get_gateway(connection, project_id, new.gateway_id)
        point = await exchanges.standing(connection, project_id, meter_id)
        if point is None:
            raise MeterNotHung
        if await exchanges.is_recharging(connection, project_id, meter_id):
            raise RechargeUnderWay
        (closing,) = await lastread.take(connection, project, [point], new.by_hand, at)
        moved_minor = await _returned_minor(connection, project, point, new, actor_id, at)
        await devices.remove_meter(connection, project_id, meter_id, at)
        made = await _hang(connection, project_id, point["id"], new, at)
        await lastread.begin(connection, project, made, new.opening_milli, at)
        written = NewExchange(
            point["id"], meter_id, made, closing.milli, closing.source, new.opening_milli,
            moved_minor, new.reason,
        )  # fmt: skip
        exchange_id = await exchanges.insert(connection, project_id, written, actor_id, at)
        await queue.close_alarms(
            connection, project_id, AlarmKind.METER_OFFLINE, [f"meter:{meter_id}"], at
        )
        await react.look_again(connection, project, [made], at)
        await queue.wake_roster(connection)
        await readings.bump(connection, project_id)
        return Exchanged(exchange_id, made, closing, moved_minor)


async def _hang(
    connection: Connection, project_id: int, point_id: int, new: Exchange, at: datetime
) -> int:
    """The new meter at the point: one that waits on the line, or one that is made."""
    wanted = opening.meter_of(new.model, new.address, new.gateway_id, new.multiplier, point_id)
    waiting = await exchanges.free_meter(connection, project_id, new.gateway_id, wanted.address)
    same = (new.model, new.multiplier)
    if waiting is not None and (waiting["model"], waiting["multiplier"]) == same:
        await devices.hang_meter(connection, project_id, waiting["id"], point_id, at)
        return int(waiting["id"])
    (made,) = await devices.insert_meters(connection, project_id, [wanted], [at])
    return made


async def _returned_minor(
    connection: Connection, project: Any, point: Any, new: Exchange, actor_id: int | None,
    at: datetime,
) -> int:  # fmt: skip
    """What an old meter that keeps money still held returns to the purse; what it ate is earned."""
    if point["keeper"] != Keeper.METER or point["agreement_id"] is None:
        return 0
    project_id = project["id"]
    held = await exchanges.on_meter(
        connection, project_id, point["agreement_id"], point["compartment"]
    )
    if held is None:
        return 0
    if new.credit_minor is None:
        raise CreditUnsaid
    eaten_minor = held["balance_minor"] - new.credit_minor
    if eaten_minor < 0:
        raise CreditBeyond
    if eaten_minor:
        revenue_id = await ledger.house_account(connection, project_id, AccountKind.REVENUE)
        eaten = NewTransfer(held["id"], revenue_id, Minor(eaten_minor), "deducted", point["id"])
        await ledger.post(connection, project_id, [eaten], actor_id, at)
    if new.credit_minor:
        back = NewPayment(
            point["agreement_id"], point["account_id"], "exchange", Minor(new.credit_minor),
            f"exchange:{point['meter_id']}", PaymentKind.MOVE, new.reason, point["id"],
        )  # fmt: skip
        await ordering.place(
            connection, project_id, back, held["id"], point["account_id"], actor_id, at
        )
    return new.credit_minor


async def last_of(db: Database, project_id: int, meter_id: int) -> tuple[datetime, int] | None:
    """When a meter in service was last read, and its total in thousandths; None before that."""
    async with db.transaction([project_id]) as connection:
        row = await exchanges.standing(connection, project_id, meter_id)
    if row is None or row["good_at"] <= EPOCH:
        return None
    return row["good_at"], row["good_0_milli"]
