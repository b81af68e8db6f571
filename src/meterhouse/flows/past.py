"""A difference for who paid before (补差): a late reading speaks of a time when another household
paid for the point.

Owns where it goes: to the account that was charged then, while its household still has it; else
into the house's own books, as owed by or to somebody who has left, with an alarm for finance. Never
to who pays now. Works inside the transaction that rated the charges anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.control.decide import KeeperCode
from meterhouse.flows.rate import Chain, payer_of
from meterhouse.model import AccountKind, AlarmKind, TransferKind
from meterhouse.store import bookings, ledger, queue
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewTransfer
from meterhouse.units import Minor, Nano, nano_per_minor, round_minor

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """What one account of before gets of a difference, under a booking number of its own."""

    account_id: int
    agreement_id: int
    is_open: bool
    nano: int
    booking: int


async def shares(
    connection: Connection, project_id: int, point_id: int, account_id: int,
    added_nano: Mapping[int, int],
) -> tuple[Share, ...]:  # fmt: skip
    """What of a difference is not the present payer's.

    Args:
        connection: the caller's transaction.
        project_id: the project.
        point_id: the point that was rated anew.
        account_id: what it draws now.
        added_nano: by the account that was charged.
    """
    others = [one for one in added_nano if one != account_id]
    if not others:
        return ()
    rows = await bookings.past_payers(connection, project_id, account_id, others)
    number = await bookings.last_correction(connection, project_id, point_id)
    return tuple(
        Share(row["id"], row["agreement_id"], row["is_open"], added_nano[row["id"]], number - place)
        for place, row in enumerate(rows, 1)
    )


async def of_former(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], chain: Chain, row: Ints
) -> dict[int, tuple[Share, ...]]:
    """What began before the present payer came, and is of whoever paid then; by the point's row."""
    payer_id = payer_of(columns, row, chain.judged.start_us)
    early = chain.judged.billable & (payer_id != columns["account_id"][row])
    early &= columns["keeper"][row] == KeeperCode.PLATFORM
    found = {}
    for one in np.unique(row[early]).tolist():
        mine = early & (row == one)
        key = project_id, int(columns["point_id"][one]), int(columns["account_id"][one])
        added = {int(payer_id[mine][0]): int(chain.rated.amount_nano[mine].sum())}
        if parts := await shares(connection, *key, added):
            found[one] = parts
    return found


async def book(
    connection: Connection, project: Any, point_id: int, shares: Sequence[Share], at: datetime
) -> None:
    """Write each share's coins at once; what is below one is rounded, for nothing more may come."""
    project_id, exponent = project["id"], project["currency_exponent"]
    transfers, alarms, rounded_nano = [], [], 0
    for share in shares:
        amount_minor = round_minor(Nano(share.nano), exponent)
        rest_nano = share.nano - amount_minor * nano_per_minor(exponent)
        rounded_nano += rest_nano
        if amount_minor:
            payer_id = await _payer(connection, project, share, amount_minor)
            revenue_id = await ledger.house_account(connection, project_id, AccountKind.REVENUE)
            sides = (payer_id, revenue_id) if amount_minor > 0 else (revenue_id, payer_id)
            new = NewTransfer(*sides, Minor(abs(amount_minor)), TransferKind.BOOKING, point_id)
            transfers.append(replace(new, booking=share.booking, rest_nano=rest_nano))
        if amount_minor and not share.is_open:
            subject, facts = f"agreement:{share.agreement_id}", {"amount_minor": amount_minor}
            alarms.append(
                queue.NewAlarm(AlarmKind.PAYER_LEFT, subject, point_id=point_id, facts=facts)
            )
    await ledger.post(connection, project_id, transfers, None, at)
    await queue.open_alarms(connection, project_id, alarms, at)
    if rounded_nano:
        await bookings.add_rounded(connection, project_id, point_id, rounded_nano)


async def _payer(connection: Connection, project: Any, share: Share, amount_minor: int) -> int:
    """The account a share goes to; those who left owe, or are owed, in the house's books."""
    if share.is_open:
        return share.account_id
    kind = AccountKind.RECEIVABLE if amount_minor > 0 else AccountKind.SUSPENSE
    return await ledger.open_account(
        connection, project["id"], kind, project["currency"], floor_minor=None
    )
