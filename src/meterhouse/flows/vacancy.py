"""What vacant rooms' meters hold when somebody moves in: a find for them, never a debt.

Owns who bears it: credit goes along with the meter; what the house let the meter overdraw, the
house makes good out of its own purse, and the money sets out for the meter at once. Must never
know who moves in, nor how they open an account. Works inside its caller's transaction.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from meterhouse.flows import ordering, recharge, wallet
from meterhouse.model import AccountKind, PaymentKind, TransferKind
from meterhouse.store import ledger, recharges
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewPayment, NewTransfer
from meterhouse.units import Minor

CHANNEL: Final = "move"


async def found(connection: Connection, project_id: int, point_ids: Sequence[int]) -> list[Any]:
    """The purses of meters at points that only the house pays for; for `go_along`.

    The caller holds the project's lock, so that nothing arrives in them meanwhile.

    Raises:
        RechargeLive: something is on its way to one of them, and would end with another payer.
    """
    rows = await recharges.keepers_let_to_nobody(connection, project_id, point_ids)
    for row in rows:
        if row["is_live"]:
            raise recharges.RechargeLive(
                f"meter {row['meter_id']}", "a recharge is on its way to it"
            )
    return rows


async def go_along(
    connection: Connection, project: Any, before: Sequence[Any], actor_id: int | None, at: datetime
) -> None:
    """Who pays from now on finds what vacant meters hold, and owes nothing (after `found`)."""
    project_id = project["id"]
    held = {row["meter_id"]: row for row in before if row["net_minor"]}
    keepers = await recharges.keepers(connection, project_id, list(held))
    transfers, reports = [], []
    for keeper in keepers:
        house = held[keeper["meter_id"]]
        net: int = house["net_minor"]
        left = await wallet.account(connection, project, AccountKind.ON_METER, house)
        theirs = await wallet.account(connection, project, AccountKind.ON_METER, keeper)
        sides = (left, theirs) if net > 0 else (theirs, left)
        kind, point_id = TransferKind.ADOPTED, keeper["point_id"]
        transfers.append(NewTransfer(*sides, Minor(abs(net)), kind, point_id))
        # To them the purse is new: what it was last seen to hold is all that they find in it.
        seen_at = house["read_at"] or at
        reports.append((keeper["meter_id"], keeper["wallet_epoch"], None, 0, seen_at, net))
    made = await ledger.post(connection, project_id, transfers, None, at)
    for transfer_id, report in zip(made, reports, strict=True):
        await recharges.insert_report(
            connection, project_id, recharges.Report(transfer_id, *report)
        )
    for keeper in keepers:
        house = held[keeper["meter_id"]]
        if house["net_minor"] < 0:
            await _make_good(connection, project, house, keeper, actor_id, at)


async def _make_good(
    connection: Connection, project: Any, house: Any, keeper: Any, actor_id: int | None,
    at: datetime,
) -> None:  # fmt: skip
    """The house pays what its vacancy overdrew into the new purse, and from there to the meter."""
    owed_minor, point_id = Minor(-house["net_minor"]), keeper["point_id"]
    new = NewPayment(
        house["agreement_id"], house["account_id"], CHANNEL, owed_minor,
        f"vacancy:{keeper['agreement_id']}:{point_id}", PaymentKind.MOVE, point_id=point_id,
    )  # fmt: skip
    await ordering.place(
        connection, project, new, house["account_id"], keeper["account_id"], actor_id, at
    )
    # What cannot set out now waits in the purse, and is sent from there.
    with suppress(*recharge.STAYS):
        await recharge.begin(connection, project, point_id, None, owed_minor, actor_id, at)
