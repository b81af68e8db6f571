"""What each household should have, by what was done and by what its meters show.

Owns the sums that the ledger is held against. Must never ask the ledger: what was paid, paid out,
moved and handed over is told by whoever does it, and what is in a meter by the meter.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from meterhouse.sim.answers import MeterFace
from meterhouse.store.db import Database


@dataclass
class Deposit:
    """What lies apart, and in whose drawer."""

    amount_minor: int
    payee_id: int | None


@dataclass(eq=False)
class Home:
    """Who pays for rooms, and what they had.

    Attributes:
        sent_before: what each room's meters had taken when it began, by room.
        agreement_id: the household, or the house while nobody lives there.
        is_let: whether it is a household.
        in_minor: what was paid in, or brought along, since it began.
        out_minor: what was paid out.
        moved_minor: what came from other households less what went to them.
        back_minor: what meters that were taken down still showed.
        common_minor: what of it lies in the common purse, which no meter is fed from.
        left: what was paid in and not paid back, by who received it.
        paid_minor: all cash that came from it less all that went to it, fees aside.
        deposits: what lies apart, by order.
    """

    sent_before: dict[int, int]
    agreement_id: int
    is_let: bool = True
    in_minor: int = 0
    out_minor: int = 0
    moved_minor: int = 0
    back_minor: int = 0
    common_minor: int = 0
    left: Counter[int | None] = field(default_factory=Counter)
    paid_minor: int = 0
    deposits: dict[int, Deposit] = field(default_factory=dict)

    @property
    def rooms(self) -> list[int]:
        """Where."""
        return list(self.sent_before)

    def here_minor(self, sent_minor: Mapping[int, int]) -> int:
        """What is in purses or on its way, when its rooms' meters have taken so much in all."""
        came_minor = self.in_minor + self.moved_minor + self.back_minor
        gone_minor = sum(
            sent_minor[room] - before_minor for room, before_minor in self.sent_before.items()
        )
        return came_minor - self.out_minor - gone_minor


@dataclass
class Sale:
    """Money that was paid in or brought along, which may be undone once."""

    payment_id: int
    home: Home
    amount_minor: int
    at: datetime
    payee_id: int | None = None
    is_opening: bool = False
    is_undone: bool = False


@dataclass
class Fee:
    """A fee, out of the purse or over the counter, which may be undone once."""

    payment_id: int
    home: Home
    room: int
    amount_minor: int
    at: datetime
    payee_id: int | None
    is_from_purse: bool
    is_undone: bool = False


@dataclass
class Life:
    """One meter at a room: its face, and which purses of which meter the books have for it."""

    face: MeterFace
    meter_id: int
    first_epoch: int
    last_epoch: int = 10**9
    is_ended: bool = False
    # Money came in that no order of ours brought, or a person decided: no report tells us then.
    is_spoiled: bool = False


class Died(Exception):
    """The process that did it is gone."""


@contextmanager
def dying(db: Database, moment: str) -> Iterator[None]:
    """Whoever uses the database dies `before` its next transaction commits, or `after` it has."""
    honest = db.transaction

    @asynccontextmanager
    async def transaction(*given: Any) -> Any:
        async with honest(*given) as connection:
            yield connection
            if moment == "before":
                raise Died
        raise Died

    db.transaction = transaction  # type: ignore[method-assign]
    try:
        yield
    finally:
        del db.transaction  # type: ignore[method-assign]
