"""Orders (订单): a payment, the one transfer of its amount, its shift and its receipt, together.

Owns that they are never apart. Must never decide an amount, nor whether it may be paid. Works
inside its caller's transaction.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from meterhouse.flows import react, receipt, sale, shift
from meterhouse.model import TransferKind
from meterhouse.store import desk, ledger, receipts
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewPayment, NewTransfer


async def place(
    connection: Connection, project: Any, new: NewPayment, debit_account_id: int,
    credit_account_id: int, actor_id: int | None, at: datetime,
) -> tuple[int, bool]:  # fmt: skip
    """Write an order of this key, unless it is there; answers its id and whether it is new.

    Cash belongs to the open shift of who takes or gives it; money that changes hands brings a
    receipt, unless the project wants none by itself over that channel.

    Raises:
        Conflict: the key was used for another payment.
        ShiftNeeded: cash, and the project demands an open shift for it.
    """
    project_id = project["id"]
    is_fit = receipt.is_fit(new.kind, new.channel)
    if is_fit and new.channel == sale.CASH:
        shift_id = await shift.open_shift_of(connection, project_id, actor_id)
        if shift_id is None and react.Setting.of(project).policy.desk_needs_shift:
            raise sale.ShiftNeeded
        new = replace(new, shift_id=shift_id)
    payment_id, is_new = await ledger.insert_payment(connection, project_id, new, actor_id, at)
    if is_new:
        transfer = NewTransfer(
            debit_account_id, credit_account_id, new.amount_minor, TransferKind(new.kind),
            new.point_id, payment_id, new.reason,
        )  # fmt: skip
        await ledger.post(connection, project_id, [transfer], actor_id, at)
        if is_fit:
            quiet = (await receipts.settings(connection, project_id)).quiet_channels
            if receipt.is_wanted(quiet, new.channel):
                await receipt.issue(connection, project, payment_id, actor_id, at)
    return payment_id, is_new


async def cash_of(connection: Connection, project: Any, payee_id: int | None, cash_id: int) -> int:
    """The cash account of a payee, or the house's own (`cash_id`) where there is none."""
    if payee_id is None:
        return cash_id
    return await desk.open_payee_cash(connection, project["id"], payee_id, project["currency"])
