"""The shapes of accounts' lives: open, closed, handed over.

Owns what other software may rely on when it looks at an account or ends one. Must never know a
row's column names.
"""

from typing import Annotated

from pydantic import Field

from meterhouse.model import AccountKind, Commodity, Compartment
from meterhouse.rating.blocks import PERSONS_MAX
from meterhouse.web.api.schemas import DECIMAL, At, Id, Money, Quantity, Shape

Decimals = Annotated[str, Field(pattern=DECIMAL, max_length=30)]
_SOURCE = Field(pattern="^(wire|hand)$", max_length=10, examples=["wire"])
_ADDRESS = Field(max_length=20, examples=["000000000012"])


class LastRegister(Shape):
    """The registers with which a point was settled."""

    point_id: Id
    """Id of the point."""
    meter_id: Id
    """Id of the meter."""
    address: str = _ADDRESS
    """Its address."""
    milli: list[Annotated[int, Field(ge=-1, le=10**15)]] = Field(
        min_length=5, max_length=5, examples=[[1234560, -1, -1, -1, -1]]
    )
    """Total, then sharp, peak, flat, valley, in thousandths of the unit; -1: not read."""
    source: str = _SOURCE
    """wire or hand."""
    read_at: At
    """When it was read."""


class PaidPart(Shape):
    """What was done with one purse or deposit."""

    kind: str = Field(
        pattern="^(settlement|deposit_refund|move|recharge|write_off)$", max_length=20,
        examples=["settlement"],
    )  # fmt: skip
    """settlement, deposit_refund, move, recharge (a debt that was paid) or write_off."""
    compartment: str = Field(
        pattern="^(common|electricity|water|heat|fee)?$", max_length=20, examples=["electricity"]
    )
    """Which purse; empty: the deposit."""
    amount: Decimals = Field(examples=["94.00"])
    """Decimal string."""
    payee_id: Id | None = None
    """Payee out of whose cash it came, or into whose it went; null: the house's, or none moved."""
    payee: str = Field(default="", max_length=200, examples=["Power works"])
    """The payee's name; empty for the house."""
    point_id: Id | None = None
    """The point that the purse pays for; null for a deposit, or where it pays for none any more."""
    order_id: Id | None = None
    """The order; null for what is written off."""


class Closed(Shape):
    """How an account ended."""

    id: Id
    """Id of the agreement that ended."""
    next_id: Id | None
    """Id of the agreement that began at the same instant, if one did."""
    registers: list[LastRegister] = Field(max_length=1_000)
    """The last registers, a row a point with a meter."""
    paid: list[PaidPart] = Field(max_length=100)
    """What was done with its money."""
    task_id: Id | None = None
    """The task that waits for a second person, where so much is paid out; nothing is done yet."""


class Exchanged(Shape):
    """A meter that was given for another, or the task that waits for a second person."""

    id: Id | None
    """Id of the exchange; null while it waits."""
    meter_id: Id | None
    """Id of the new meter; null while it waits."""
    closing: LastRegister | None
    """The old meter's last registers; null while it waits."""
    task_id: Id | None
    """The task that waits for a second person; null where none is needed."""


class ExchangeItem(Shape):
    """An exchange in a list."""

    id: Id
    """Id of the exchange."""
    point_id: Id
    """Id of the point."""
    room: str = Field(max_length=60, examples=["101"])
    """Name of the room."""
    old_meter_id: Id
    """The meter that went."""
    new_meter_id: Id
    """The meter that came."""
    exchanged_at: At
    """When."""
    closing: Quantity
    """Closing total of the old meter, as it shows."""
    opening: Quantity
    """Opening total of the new meter, as it shows."""
    closing_source: str = _SOURCE
    """wire or hand."""
    moved: Money
    """Money that came back from the old meter."""
    reason: str = Field(max_length=200, examples=["the display is broken"])
    """Why."""


class AgreementItem(Shape):
    """An account in a list."""

    id: Id
    """Id of the agreement."""
    customer_id: Id
    """Who pays or paid."""
    rooms: str = Field(max_length=20_000, examples=["1 101, 1 102"])
    """Its rooms."""
    valid_from: At
    """When it was opened."""
    valid_to: At | None
    """When it was closed; none: it is open."""
    balance: Money
    """Booked balance of its purses."""
    deposit: Money
    """Its deposit."""


class AgreementAccount(Shape):
    """One ledger account of a household."""

    id: Id
    """Id of the ledger account."""
    kind: AccountKind
    """What it is."""
    compartment: Compartment | None
    """Which part of the purse."""
    balance: Money
    """Credits less debits, as booked."""
    floor: Money | None
    """What it may fall to; none: without limit."""


class AgreementPoint(Shape):
    """A point an account pays or paid for."""

    id: Id
    """Id of the point."""
    commodity: Commodity
    """What is delivered."""
    place_id: Id
    """Where."""
    meter_id: Id | None
    """The meter in service now."""
    valid_from: At
    """Since when the account pays."""
    valid_to: At | None
    """Until when; none: still."""


class SettlementFacts(Shape):
    """How an account ended."""

    settled_at: At
    """When."""
    registers: list[LastRegister] = Field(max_length=1_000)
    """The last registers."""
    refunded: Money
    """What was paid out of purses and deposit."""
    written_off: Money
    """What was waived."""
    reason: str = Field(max_length=200, examples=["the lease has ended"])
    """Why."""


class AgreementDetail(AgreementItem):
    """An account, open or closed, with all that it was."""

    persons: int = Field(ge=1, le=PERSONS_MAX, examples=[3])
    """How many live there, or did when it was closed."""
    accounts: list[AgreementAccount] = Field(max_length=100)
    """Its ledger accounts."""
    points: list[AgreementPoint] = Field(max_length=10_000)
    """Its points over time."""
    settlement: SettlementFacts | None
    """How it ended, if it was closed."""
