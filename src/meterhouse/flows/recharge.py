"""River 2, platform side: money comes in, and what it brings back is decided in the same breath.

Owns *add credit*: payment, transfer, booking of what has accrued, warnings and relay in one
transaction, exactly once per key. The recharge that travels to a meter's own purse is not here.
"""

from dataclasses import dataclass
from datetime import datetime

from meterhouse.errors import Conflict, NotFound, OutOfRange
from meterhouse.flows import close, react
from meterhouse.ledger.book import available_minor
from meterhouse.model import AccountKind, Keeper
from meterhouse.store import catalog, ledger, monitor, readings
from meterhouse.store.db import Database
from meterhouse.store.ledger import NewPayment, NewTransfer
from meterhouse.units import Minor

PAYMENT_MINOR_MAX = 100_000_000
KEY_MAX = 100


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
        Conflict: the key was used for another payment, or the point is not kept by the platform.
    """
    if not 1 <= amount_minor <= PAYMENT_MINOR_MAX:
        raise OutOfRange("amount_minor", amount_minor, 1, PAYMENT_MINOR_MAX)
    if not 1 <= len(key) <= KEY_MAX:
        raise OutOfRange("length of key", len(key), 1, KEY_MAX)
    async with db.transaction([project_id]) as connection:
        await monitor.lock_project(connection, project_id)
        project = await catalog.get_project(connection, project_id)
        payer = await monitor.payer(connection, project_id, point_id)
        if payer is None or payer["account_id"] is None:
            raise NotFound("account of point", point_id)
        if payer["keeper"] != Keeper.PLATFORM:
            raise Conflict(f"point {point_id}", "its money is not kept by the platform")
        new = NewPayment(
            payer["agreement_id"], payer["account_id"], channel, amount_minor, key, reason=reason,
            point_id=point_id,
        )  # fmt: skip
        payment_id, is_new = await ledger.insert_payment(connection, project_id, new, actor_id, at)
        if is_new:
            cash_id = await ledger.house_account(connection, project_id, AccountKind.CASH)
            transfer = NewTransfer(
                cash_id, payer["account_id"], amount_minor, "recharge", point_id, payment_id,
                reason,
            )  # fmt: skip
            await ledger.post(connection, project_id, [transfer], actor_id, at)
            await close.book(connection, project, payer["account_id"], at)
        meters = await monitor.meters_of_account(connection, project_id, payer["account_id"])
        commands = await react.look_again(connection, project, meters, at)
        purse = await ledger.read_purse(connection, project_id, point_id)
        await readings.bump(connection, project_id)
        spendable_minor = available_minor(
            sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
            project["currency_exponent"],
        )  # fmt: skip
        return Recharged(payment_id, is_new, spendable_minor, commands)
