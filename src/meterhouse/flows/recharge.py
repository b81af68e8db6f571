"""River 2: money comes in, to the purse at once and from there into a meter, exactly once.

Owns *add credit* where the platform keeps the money, and the beginning of a recharge where the
meter does; `transit` carries it there. Everything a payment leads to happens in one transaction,
exactly once per key.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from meterhouse import meter_models
from meterhouse.control.recharge import NUMBER_MAX
from meterhouse.errors import Conflict, MeterhouseError, NotFound, OutOfRange
from meterhouse.flows import close, react, received, wallet
from meterhouse.ledger.book import available_minor
from meterhouse.model import AccountKind, Keeper, TransferKind
from meterhouse.store import catalog, ledger, monitor, readings, recharges
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewPayment, NewTransfer
from meterhouse.units import Minor

PAYMENT_MINOR_MAX = 100_000_000
KEY_MAX = 100
NOBODY = "0" * 12
"""What a meter says of its customer while no account was opened in it."""


class MeterTakesNoMoney(MeterhouseError):
    """No meter at that point keeps its own money."""

    code = "meter_takes_no_money"
    http_status = 409


class NoSecurityModule(MeterhouseError):
    """This meter takes only sealed orders, and no head end with a security module has its line."""

    code = "no_security_module"
    http_status = 409


class MeterNotOpened(MeterhouseError):
    """No account was opened in this meter yet; open it first."""

    code = "meter_not_opened"
    http_status = 409


class OpeningNotNeeded(MeterhouseError):
    """This meter takes money without an account opened in it."""

    code = "opening_not_needed"
    http_status = 409


class MeterGivesNothingBack(MeterhouseError):
    """This meter cannot give money back by wire; what is in it is used up, or read at exchange."""

    code = "meter_gives_nothing_back"
    http_status = 409


class WalletFrozen(MeterhouseError):
    """The meter's purse is frozen until somebody has looked at it."""

    code = "wallet_frozen"
    http_status = 409


class HoardingExceeded(MeterhouseError):
    """The meter may hold {limit_minor} at most, and holds {held_minor} already."""

    code = "hoarding_exceeded"
    http_status = 409


class PurseTooSmall(MeterhouseError):
    """The purse holds {held_minor}; that is not enough."""

    code = "purse_too_small"
    http_status = 409


class NumbersUsedUp(MeterhouseError):
    """The meter's counter of purchases is used up; begin its purse anew."""

    code = "numbers_used_up"
    http_status = 409


STAYS: Final = (
    MeterTakesNoMoney, NoSecurityModule, MeterNotOpened, WalletFrozen, HoardingExceeded,
    NumbersUsedUp, PurseTooSmall, recharges.RechargeLive, wallet.MeterMoneyUnfit,
)  # fmt: skip
"""Why money stays in the purse for now, where it comes to lie there in any case."""


@dataclass(frozen=True, slots=True)
class Recharged:
    """What a payment led to; `is_new` is False when its key had been used for the same before."""

    payment_id: int
    is_new: bool
    available_minor: int
    commands: int


async def add_credit(
    db: Database, project_id: int, point_id: int, amount_minor: Minor, channel: str, key: str,
    reason: str, actor_id: int | None, at: datetime,
) -> Recharged:  # fmt: skip
    """Pay money into the purse a point draws on; the relay closes again if that is enough.

    Where the meter keeps the money, it sets out for the meter in the same transaction.

    Args:
        db: the database.
        project_id: the project.
        point_id: any point of the household.
        amount_minor: what was paid, 1..`PAYMENT_MINOR_MAX`.
        channel: how it was paid: `cash`, `card`, `transfer`, …
        key: chosen by the caller once per payment; the same key pays once.
        reason: free text of the person at the desk.
        actor_id: who took the money.
        at: the present instant.

    Raises:
        OutOfRange: the amount or the key's length.
        NotFound: no such point, or nobody pays for it.
        Conflict: the key was used for another payment, or somebody else keeps the point's money.
        MeterhouseError: as `begin`, where the meter keeps it; nothing was paid then.
    """
    if not 1 <= amount_minor <= PAYMENT_MINOR_MAX:
        raise OutOfRange("amount_minor", amount_minor, 1, PAYMENT_MINOR_MAX)
    if not 1 <= len(key) <= KEY_MAX:
        raise OutOfRange("length of key", len(key), 1, KEY_MAX)
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        project = await catalog.get_project(connection, project_id)
        payer = await monitor.payer(connection, project_id, point_id)
        if payer is None or payer["account_id"] is None:
            raise NotFound("account of point", point_id)
        if payer["keeper"] not in (Keeper.PLATFORM, Keeper.METER):
            raise Conflict(f"point {point_id}", "its money is not kept by the platform")
        new = NewPayment(
            payer["agreement_id"], payer["account_id"], channel, amount_minor, key, reason=reason,
            point_id=point_id,
        )  # fmt: skip
        payment_id, is_new = await ledger.insert_payment(connection, project_id, new, actor_id, at)
        if is_new:
            cash_id = await ledger.house_account(connection, project_id, AccountKind.CASH)
            transfer = NewTransfer(
                cash_id, payer["account_id"], amount_minor, TransferKind.RECHARGE, point_id,
                payment_id, reason,
            )  # fmt: skip
            await ledger.post(connection, project_id, [transfer], actor_id, at)
            if payer["keeper"] == Keeper.METER:
                await begin(connection, project, point_id, payment_id, amount_minor, actor_id, at)
            else:
                await close.book(connection, project, payer["account_id"], at)
                await received.tell(connection, project, point_id, payment_id, amount_minor, at)
        meters = await monitor.meters_of_account(connection, project_id, payer["account_id"])
        commands = await react.look_again(connection, project, meters, at)
        purse = await ledger.read_purse(connection, project_id, point_id)
        await readings.bump(connection, project_id)
        spendable_minor = available_minor(
            sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
            project["currency_exponent"],
        )  # fmt: skip
        return Recharged(payment_id, is_new, spendable_minor, commands)


async def begin(
    connection: Connection, project: Any, point_id: int, payment_id: int | None,
    amount_minor: Minor, actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Reserve money that is in the purse for the meter that keeps it, inside a sale.

    `payment_id` is the order it came in by; None for money that lay in the purse.

    The money is in flight from here on; the gateway's sender wakes when this is committed. What can
    be checked beforehand is: that the meter takes money, its hoarding limit, that its purse is not
    frozen, and that no other recharge is on its way to it.

    Returns:
        The recharge's id.

    Raises:
        NotFound: no such point, or nobody pays for it.
        MeterTakesNoMoney, NoSecurityModule, MeterNotOpened, RechargeLive, WalletFrozen,
        HoardingExceeded, NumbersUsedUp, PurseTooSmall, MeterMoneyUnfit: why
            the money stays in the purse.
    """
    project_id = project["id"]
    where = await _keeper(connection, project_id, point_id)
    wallet.check_unit(project)
    meter_id, epoch = where["meter_id"], where["wallet_epoch"]
    await monitor.lock_meters(connection, project_id, np.array([meter_id], dtype=np.int64))
    purse = await recharges.lock_wallet(connection, project_id, meter_id, epoch)
    _check_wallet(where, purse, amount_minor)
    rows = await ledger.lock_accounts(connection, project_id, [where["account_id"]])
    held_minor = rows[where["account_id"]]["balance_minor"]
    if held_minor < amount_minor:
        raise PurseTooSmall(held_minor=held_minor)
    new = recharges.NewRecharge(
        "recharge", payment_id, where["agreement_id"], where["account_id"], point_id, meter_id,
        epoch, purse["number"] + 1,
        await recharges.next_order(connection, project_id, meter_id), amount_minor,
    )  # fmt: skip
    recharge_id = await recharges.insert(connection, project_id, new, actor_id, at)
    in_flight = await wallet.account(connection, project, AccountKind.IN_FLIGHT, where)
    reserve = NewTransfer(
        where["account_id"], in_flight, amount_minor, TransferKind.RESERVE, point_id,
        recharge_id=recharge_id,
    )  # fmt: skip
    await ledger.post(connection, project_id, [reserve], actor_id, at)
    await recharges.wake(connection, project_id, where["gateway_id"])
    return recharge_id


async def send(
    db: Database, project_id: int, point_id: int, amount_minor: Minor | None,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Let money that lies in the purse set out for the meter that keeps it; answers the recharge.

    It came to lie there as opening credit, by a move, or back from a meter.

    Args:
        amount_minor: how much; None: all that may be spent.

    Raises:
        as `begin`; PurseTooSmall: there is nothing, or not so much.
    """
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        project = await catalog.get_project(connection, project_id)
        spare_minor = await _spare_minor(connection, project, point_id)
        asked_minor = spare_minor if amount_minor is None else amount_minor
        if not 0 < asked_minor <= spare_minor:
            raise PurseTooSmall(held_minor=spare_minor)
        made = await begin(connection, project, point_id, None, Minor(asked_minor), actor_id, at)
        await readings.bump(connection, project_id)
        return made


async def take_back(
    db: Database, project_id: int, point_id: int, amount_minor: Minor | None,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Ask a meter to give money back to the purse; nothing moves until it has deducted it.

    Args:
        amount_minor: how much; None: whatever is found in the meter when it is asked.

    Raises:
        as `begin`; MeterGivesNothingBack: its family knows no such order; PurseTooSmall: the meter
        does not hold that much.
    """
    async with db.transaction([project_id]) as connection:
        where = await _keeper(connection, project_id, point_id)
        if meter_models.load(where["model"]).wallet != "order":
            raise MeterGivesNothingBack
        meter_id, epoch = where["meter_id"], where["wallet_epoch"]
        await monitor.lock_meters(connection, project_id, np.array([meter_id], dtype=np.int64))
        purse = await recharges.lock_wallet(connection, project_id, meter_id, epoch)
        _check_wallet(where, purse, 0)
        is_whole = amount_minor is None
        if amount_minor is None:
            amount_minor = Minor(max(purse["net_minor"], 1))
        if purse["net_minor"] < amount_minor:
            raise PurseTooSmall(held_minor=purse["net_minor"])
        new = recharges.NewRecharge(
            "take_back", None, where["agreement_id"], where["account_id"], point_id, meter_id,
            epoch, purse["number"] + 1,
            await recharges.next_order(connection, project_id, meter_id), amount_minor, is_whole,
        )  # fmt: skip
        recharge_id = await recharges.insert(connection, project_id, new, actor_id, at)
        await recharges.wake(connection, project_id, where["gateway_id"])
        await readings.bump(connection, project_id)
        return recharge_id


async def open_wallet(
    db: Database, project_id: int, point_id: int, actor_id: int | None, at: datetime
) -> int:
    """Open an account in a meter (开户): its purse begins anew, and brings over what is in it.

    No money travels with it; the first purchase goes in under the number that follows.

    Raises:
        NotFound, MeterTakesNoMoney, NoSecurityModule: as `begin`.
        OpeningNotNeeded: the meter's family knows no accounts.
        RechargeLive: money is on its way to it.
    """
    async with db.transaction([project_id]) as connection:
        where = await _keeper(connection, project_id, point_id)
        if meter_models.load(where["model"]).wallet != "esam":
            raise OpeningNotNeeded
        meter_id, before = where["meter_id"], where["wallet_epoch"]
        await monitor.lock_meters(connection, project_id, np.array([meter_id], dtype=np.int64))
        if await recharges.is_live(connection, project_id, meter_id, before):
            raise recharges.RechargeLive(f"meter {meter_id}", "a recharge is on its way to it")
        purse = await recharges.lock_wallet(connection, project_id, meter_id, before)
        carried = wallet.split(purse["net_minor"])
        epoch = await recharges.begin_epoch(connection, project_id, meter_id, carried, at)
        ended = {**wallet.split(0), "frozen_at": at}
        await recharges.set_wallet(connection, project_id, meter_id, before, ended)
        new = recharges.NewRecharge(
            "open", None, where["agreement_id"], where["account_id"], point_id, meter_id, epoch, 1,
            await recharges.next_order(connection, project_id, meter_id), 0,
        )  # fmt: skip
        recharge_id = await recharges.insert(connection, project_id, new, actor_id, at)
        await recharges.wake(connection, project_id, where["gateway_id"])
        await readings.bump(connection, project_id)
        return recharge_id


async def purse_of(db: Database, project_id: int, meter_id: int) -> Any | None:
    """What is known of a meter's own purse; None where it keeps none, or there is no such meter."""
    async with db.transaction([project_id]) as connection:
        row = await recharges.purse_of_meter(connection, project_id, meter_id)
        if row is None or row["keeper"] != Keeper.METER:
            return None
        project = await catalog.get_project(connection, project_id)
        spare_minor = await _spare_minor(connection, project, row["point_id"])
    family = meter_models.load(row["model"]).wallet
    return None if family == "none" else dict(row) | {"family": family, "spare_minor": spare_minor}


async def held_minor(db: Database, project_id: int, point_id: int) -> int:
    """What the meter of a point is known to hold. Raises as `take_back`."""
    async with db.transaction([project_id]) as connection:
        where = await _keeper(connection, project_id, point_id)
        purse = await recharges.purse_of_meter(connection, project_id, where["meter_id"])
    return 0 if purse is None else purse["net_minor"] or 0


async def live_of_meter(connection: Connection, project_id: int, meter_id: int) -> Any | None:
    """The recharge whose money is on its way to a meter, or None."""
    return await recharges.live_of_meter(connection, project_id, meter_id)


async def _spare_minor(connection: Connection, project: Any, point_id: int) -> int:
    """What lies in a point's own purse and is spent by nothing else that draws it."""
    purse = await ledger.read_purse(connection, project["id"], point_id)
    return available_minor(
        purse.balances_minor[0], purse.pending_debit_minor, purse.accrued_nano,
        project["currency_exponent"],
    )  # fmt: skip


async def _keeper(connection: Connection, project_id: int, point_id: int) -> Any:
    """The point, its payer and the meter that keeps its money."""
    where = await recharges.payer_of(connection, project_id, point_id)
    if where is None or where["account_id"] is None:
        raise NotFound("account of point", point_id)
    if where["keeper"] != Keeper.METER or where["meter_id"] is None:
        raise MeterTakesNoMoney
    wallet_kind = meter_models.load(where["model"]).wallet
    if wallet_kind == "none":
        raise MeterTakesNoMoney
    if wallet_kind == "esam" and not where["seals"]:
        raise NoSecurityModule
    return where


def _check_wallet(where: Any, purse: Any, amount_minor: int) -> None:
    """What a meter would refuse for good is refused before money is taken."""
    if purse["frozen_at"] is not None:
        raise WalletFrozen
    if purse["number"] >= NUMBER_MAX:
        raise NumbersUsedUp
    if purse["customer_number"] == NOBODY:
        raise MeterNotOpened
    limit_minor = purse["hoarding_minor"] or meter_models.load(where["model"]).hoarding_minor
    if limit_minor and purse["net_minor"] + amount_minor > limit_minor:
        raise HoardingExceeded(limit_minor=limit_minor, held_minor=purse["net_minor"])
