"""A difference for who paid before (补差): a late reading speaks of a time when another household
paid for the point, or when another kept its money.

Owns where it goes: to the account that paid then, while its household still has it; else into the
house's own books, as owed by or to somebody who has left, with an alarm for finance. Never to who
pays now; and of a time when the platform did not keep the money, to nobody. Works inside the
transaction that rated the charges anew.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.flows.rate import Chain
from meterhouse.model import AccountKind, AlarmKind, TransferKind
from meterhouse.store import bookings, ledger, payers, queue
from meterhouse.store.db import Connection
from meterhouse.store.ledger import NewTransfer
from meterhouse.units import Minor, Nano, nano_per_minor, round_minor

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Share:
    """What one time of before gets of a difference, under a booking number of its own.

    Attributes:
        since_us: when that time began; with the account it says whose the share is.
        is_kept: whether the platform kept the money then.
        nano: what it gets.
        rest_nano: what was left below a coin of all that it got until now.
    """

    since_us: int
    account_id: int
    agreement_id: int
    is_open: bool
    is_kept: bool
    nano: int
    booking: int
    rest_nano: int


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new judgement or price adds: for who pays now, and for those who paid before."""

    present_nano: int
    shares: tuple[Share, ...]

    @property
    def whole_nano(self) -> int:
        """What it adds to all that was ever rated."""
        return self.present_nano + sum(one.nano for one in self.shares)


Owner = tuple[int, int]
"""Since when who paid for an interval did, and the account that is charged."""


async def divide(
    connection: Connection, project_id: int, point_id: int, payer_at_us: int,
    added_nano: Mapping[Owner, int],
) -> Difference:  # fmt: skip
    """What of a difference is the present payer's, and what of those before.

    Args:
        connection: the caller's transaction.
        project_id: the project.
        point_id: the point that was rated anew.
        payer_at_us: since when its present payer pays under its present keeper.
        added_nano: by whose it is.
    """
    before = sorted(one for one in added_nano if one[0] != payer_at_us)
    present_nano = sum(added_nano.values()) - sum(added_nano[one] for one in before)
    if not before:
        return Difference(present_nano, ())
    times = {
        one.since_us: one
        for one in (await payers.history(connection, project_id, [point_id]))[point_id]
    }
    account_ids = sorted({account_id for _, account_id in before})
    known = await payers.households(connection, project_id, account_ids)
    number = await payers.last_correction(connection, project_id, point_id)
    shares = []
    for place, (since_us, account_id) in enumerate(before, 1):
        time, who = times[since_us], known[account_id]
        shares.append(Share(
            since_us, account_id, who["agreement_id"], who["is_open"], time.is_kept,
            added_nano[since_us, account_id], number - place, time.rest_nano,
        ))  # fmt: skip
    return Difference(present_nano, tuple(shares))


async def of_former(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], chain: Chain, row: Ints
) -> dict[int, tuple[Share, ...]]:
    """What began before the present payer came, and is of whoever paid then; by the point's row."""
    payer_at_us, since_us = columns["payer_at"], chain.whose.since_us
    early = chain.judged.billable & (since_us != payer_at_us[row])
    found = {}
    for one in np.unique(row[early]).tolist():
        added: dict[Owner, int] = defaultdict(int)
        for place in np.flatnonzero(early & (row == one)).tolist():
            owner = int(since_us[place]), int(chain.whose.account_id[place])
            added[owner] += int(chain.rated.amount_nano[place])
        key = project_id, int(columns["point_id"][one]), int(payer_at_us[one])
        found[one] = (await divide(connection, *key, added)).shares
    return found


def number(charges: Mapping[str, Ints], since_us: Ints, shares: Sequence[Share]) -> None:
    """Let charges say which share they are part of; `since_us` is of whose time each is."""
    for share in shares:
        mine = (since_us == share.since_us) & (charges["account_id"] == share.account_id)
        charges["booking"][mine] = share.booking


async def book(
    connection: Connection, project: Any, point_id: int, shares: Sequence[Share], at: datetime,
    *, is_kept: bool,
) -> None:  # fmt: skip
    """Write each share's coins at once; what is below one is rounded, and goes on with the next.

    So a time of before costs the same to the coin however its readings come, one or many.
    `is_kept` says whether the platform keeps the point's money now: unless it does, what was ever
    owed stands set aside below zero.
    """
    if not shares:
        return
    project_id, exponent = project["id"], project["currency_exponent"]
    rests_nano = {share.since_us: share.rest_nano for share in shares}
    transfers, alarms, rounded_nano = [], [], 0
    for share in shares:
        if not share.is_kept:
            continue
        due_nano = rests_nano[share.since_us] + share.nano
        amount_minor = round_minor(Nano(due_nano), exponent)
        coins_nano = amount_minor * nano_per_minor(exponent)
        rests_nano[share.since_us] = due_nano - coins_nano
        rest_nano = share.nano - coins_nano
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
    await payers.set_rests(connection, project_id, point_id, shares[-1].booking, rests_nano)
    aside_nano = sum(one.nano for one in shares if one.is_kept != is_kept)
    await bookings.add_outside(
        connection, project_id, point_id, rounded_nano, aside_nano if is_kept else -aside_nano
    )


async def _payer(connection: Connection, project: Any, share: Share, amount_minor: int) -> int:
    """The account a share goes to; those who left owe, or are owed, in the house's books."""
    if share.is_open:
        return share.account_id
    kind = AccountKind.RECEIVABLE if amount_minor > 0 else AccountKind.SUSPENSE
    return await ledger.open_account(
        connection, project["id"], kind, project["currency"], floor_minor=None
    )
