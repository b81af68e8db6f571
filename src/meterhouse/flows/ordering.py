"""Orders (订单): a payment and the one transfer of its amount, written together.

Owns that they are never apart. Must never decide an amount, nor whether it may be paid. Works
inside its caller's transaction.
"""

from datetime import datetime

from meterhouse.store import ledger
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewPayment, NewTransfer


async def place(
    connection: Connection, project_id: int, new: NewPayment, debit_account_id: int,
    credit_account_id: int, actor_id: int | None, at: datetime,
) -> tuple[int, bool]:  # fmt: skip
    """Write an order of this key, unless it is there; answers its id and whether it is new.

    Raises:
        Conflict: the key was used for another payment.
    """
    payment_id, is_new = await ledger.insert_payment(connection, project_id, new, actor_id, at)
    if is_new:
        transfer = NewTransfer(
            debit_account_id, credit_account_id, new.amount_minor, new.kind, new.point_id,
            payment_id, new.reason,
        )  # fmt: skip
        await ledger.post(connection, project_id, [transfer], actor_id, at)
    return payment_id, is_new
