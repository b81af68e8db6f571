"""Orders as finance looks at them: what all that match add up to, and one with all it moved.

Owns which way an order's money goes. Must never write one. The list itself is `monitor`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from meterhouse.errors import NotFound
from meterhouse.model import PaymentKind
from meterhouse.store import orders
from meterhouse.store.db import Database
from meterhouse.store.lists import Wanted
from meterhouse.words import N_


class Direction(IntEnum):
    """Which way an order's money went over the counter, as the sign of its amount."""

    OUT = -1
    WITHIN = 0
    IN = 1


FROM_PURSE: Final = "purse"
"""The channel of what a household pays out of its purse; no money crosses the counter."""
_IN: Final = frozenset({PaymentKind.RECHARGE, PaymentKind.DEPOSIT, PaymentKind.FEE})
_OUT: Final = frozenset(
    {
        PaymentKind.REFUND, PaymentKind.REVERSAL, PaymentKind.DEPOSIT_REFUND,
        PaymentKind.SETTLEMENT,
    }
)  # fmt: skip


def direction_of(kind: str, channel: str) -> Direction:
    """Which way the money of such an order goes; `store.orders` says the same of its rows."""
    if channel == FROM_PURSE:
        return Direction.WITHIN
    if kind in _IN:
        return Direction.IN
    return Direction.OUT if kind in _OUT else Direction.WITHIN


@dataclass(frozen=True, slots=True)
class Sum:
    """How many orders of a kind match, and what they add up to (never negative)."""

    kind: PaymentKind
    direction: Direction
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of all orders that match, by kind."""

    kinds: Sequence[Sum]

    def of(self, direction: Direction) -> int:
        """What went this way, in whole coins."""
        return sum(one.amount_minor for one in self.kinds if one.direction is direction)

    @property
    def count(self) -> int:
        """How many orders match."""
        return sum(one.count for one in self.kinds)

    @property
    def net_minor(self) -> int:
        """What came in less what went out."""
        return self.of(Direction.IN) - self.of(Direction.OUT)


@dataclass(frozen=True, slots=True)
class Order:
    """One order: its row as in the list, its transfers, and the orders it belongs with."""

    row: Any
    transfers: Sequence[Any]
    related: Sequence[Any]


async def sums(db: Database, project_id: int, wanted: Wanted) -> Sums:
    """What the orders that match add up to; order and page of `wanted` count for nothing."""
    async with db.transaction([project_id]) as connection:
        rows = await orders.order_sums(connection, project_id, wanted, db.building_ids)
    return Sums([
        Sum(PaymentKind(row["kind"]), Direction(row["direction"]), row["count"],
            row["amount_minor"])
        for row in rows
    ])  # fmt: skip


async def order(db: Database, project_id: int, payment_id: int) -> Order:
    """One order with all it moved. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await orders.get_order(connection, project_id, payment_id)
        if row is None:
            raise NotFound(N_("Order"), payment_id)
        transfers = await orders.transfers_of(connection, project_id, payment_id)
        related = await orders.related(connection, project_id, [payment_id])
    return Order(row, transfers, related)
