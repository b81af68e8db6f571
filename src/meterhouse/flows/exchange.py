"""Giving one meter for another (换表): closing registers, opening registers, one unbroken account.

Owns the order: what the old meter counted is rated to its last register, it leaves, the new one
begins at its own. Block position, accrual and all reports are the point's and go on. Must never
know how a meter is read. Frames of the old meter that still arrive belong to no point any more and
are laid aside; so is what the new one read on a bench before it hung here.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from meterhouse import meter_models
from meterhouse.control import policy as policies
from meterhouse.errors import MeterhouseError
from meterhouse.flows import lastread, opening, react, recharge, wallet
from meterhouse.flows.choice import chosen
from meterhouse.flows.lastread import LastRead, Registers
from meterhouse.flows.recharge import PAYMENT_MINOR_MAX
from meterhouse.model import AlarmKind, PaymentKind
from meterhouse.store import (
    catalog,
    desk,
    devices,
    exchanges,
    ledger,
    monitor,
    queue,
    readings,
    recharges,
)
from meterhouse.store.db import Connection, Database
from meterhouse.store.exchanges import NewExchange
from meterhouse.store.ledger import NewPayment
from meterhouse.store.recharges import RechargeLive
from meterhouse.units import EPOCH, Minor, nano_per_minor, to_decimal


class MeterNotHung(MeterhouseError):
    """This meter serves no point; there is nothing to take over from it."""

    code = "meter_not_hung"
    http_status = 409


class CreditUnsaid(MeterhouseError):
    """This meter keeps money; type how much it still held."""

    code = "credit_unsaid"
    http_status = 409
    field = "credit"


class CreditNeedsSecond(MeterhouseError):
    """That is far from the {estimate} the meter should still hold; a second person must agree."""

    code = "credit_needs_second"
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
        gateway_id: on whose line it hangs; None: on the old one's.
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


@dataclass(frozen=True, slots=True)
class _Held:
    """What an old meter still held: as said or heard, and as it should be by what was rated."""

    net_minor: int
    estimate_minor: int


async def exchange(
    db: Database, project_id: int, meter_id: int, new: Exchange, actor_id: int | None,
    at: datetime, second_id: int | None = None,
) -> Exchanged:  # fmt: skip
    """Let a new meter serve an old one's point from now on.

    Raises:
        NotFound: there is no such meter, gateway or model.
        MeterNotHung: the old meter serves no point, or is out of service.
        RechargeLive: money is on its way into it.
        LastReadingMissing, LastReadingDoubtful: as `lastread.take`.
        CreditUnsaid, CreditBeyond: it keeps money, and nobody said how much, or too much.
        CreditNeedsSecond: what is said differs from what was last heard less what was rated since,
            by more than one person may pay out alone, and nobody else agreed.
        AddressUnusable: the new address is not what the model's protocol prints.
        AddressTaken: the line has a meter of this address that serves another point.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        project = await catalog.get_project(connection, project_id)
        old = await devices.get_meter(connection, project_id, meter_id)
        if new.gateway_id is None:
            new = replace(new, gateway_id=old["gateway_id"])
        elif new.gateway_id != old["gateway_id"]:
            with chosen("gateway_id"):
                await devices.get_gateway(connection, project_id, new.gateway_id)
        point = await exchanges.standing(connection, project_id, meter_id)
        if point is None:
            raise MeterNotHung
        if await recharge.live_of_meter(connection, project_id, meter_id) is not None:
            raise RechargeLive(f"meter {meter_id}", "a recharge is on its way to it")
        (closing,) = await lastread.take(connection, project, [point], new.by_hand, at)
        payment_id, moved_minor = await _take_back(
            connection, project, point, new, actor_id, at, second_id
        )
        await devices.remove_meter(connection, project_id, meter_id, at)
        made = await _hang(connection, project_id, point["id"], new, at)
        # From the closing reading on, so that no day between the two meters is left out.
        begun_at = closing.read_at
        await lastread.begin(connection, project, made, new.opening_milli, begun_at, at)
        if payment_id is not None:
            await _send_on(connection, project, point["id"], payment_id, moved_minor, actor_id, at)
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


async def _take_back(
    connection: Connection, project: Any, point: Any, new: Exchange, actor_id: int | None,
    at: datetime, second_id: int | None,
) -> tuple[int | None, int]:  # fmt: skip
    """What an old meter that keeps money still held returns to the purse, by an order of its own.

    Answers the order, None where nothing came back, and how much it was; what the meter had eaten
    is earned.
    """
    project_id, meter_id = project["id"], point["meter_id"]
    keepers = await recharges.keepers(connection, project_id, [meter_id])
    if not keepers:
        return None, 0
    (keeper,) = keepers
    known = await recharges.lock_wallet(connection, project_id, meter_id, keeper["wallet_epoch"])
    held = await _held(connection, project, point, known, new, at)
    net, off_minor = held.net_minor, abs(held.net_minor - held.estimate_minor)
    is_far = policies.needs_second(policies.read(project["policy"]), off_minor)
    if new.credit_minor is not None and is_far and second_id in (None, actor_id):
        text = to_decimal(held.estimate_minor, project["currency_exponent"])
        raise CreditNeedsSecond(estimate=text)
    payment_id = None
    if net > 0:
        back = NewPayment(
            keeper["agreement_id"], keeper["account_id"], "exchange", Minor(net),
            f"exchange:{meter_id}", PaymentKind.MOVE, new.reason, point["id"],
            second_id=second_id,
        )  # fmt: skip
        payment_id, _ = await ledger.insert_payment(connection, project_id, back, actor_id, at)
    return payment_id, await wallet.retire(
        connection, project, keeper, net, actor_id, at, payment_id
    )


async def _held(
    connection: Connection, project: Any, point: Any, known: Any, new: Exchange, at: datetime
) -> _Held:
    """What an old meter still held: what is said, or was heard just now.

    Of a purse that nobody ever read nothing is known: what its display shows is taken over, up to
    the most that such a meter holds. Raises `CreditUnsaid`, `CreditBeyond`.
    """
    read_at, net = known["read_at"], new.credit_minor
    if (
        net is None
        and read_at is not None
        and (read_at >= at - lastread.FRESH or not known["net_minor"])
    ):
        net = known["net_minor"]
    if net is None:
        raise CreditUnsaid
    if read_at is None:
        if net > (meter_models.load(point["model"]).hoarding_minor or PAYMENT_MINOR_MAX):
            raise CreditBeyond
        return _Held(net, 0)
    if net > max(known["net_minor"], 0):
        raise CreditBeyond
    used = await desk.used_since(connection, project["id"], [point["id"]], read_at)
    used_nano = sum(row["amount_nano"] for row in used)
    used_minor = used_nano // nano_per_minor(project["currency_exponent"])
    return _Held(net, max(known["net_minor"] - used_minor, min(known["net_minor"], 0)))


async def _send_on(
    connection: Connection, project: Any, point_id: int, payment_id: int, amount_minor: int,
    actor_id: int | None, at: datetime,
) -> None:  # fmt: skip
    """Let the money follow into the new meter; where that takes none, it stays in the purse."""
    with suppress(*recharge.STAYS):
        await recharge.begin(
            connection, project, point_id, payment_id, Minor(amount_minor), actor_id, at
        )


async def last_of(db: Database, project_id: int, meter_id: int) -> tuple[datetime, int] | None:
    """When a meter in service was last read, and its total in thousandths; None before that."""
    async with db.transaction([project_id]) as connection:
        row = await exchanges.standing(connection, project_id, meter_id)
    if row is None or row["good_at"] <= EPOCH:
        return None
    return row["good_at"], row["good_0_milli"]
