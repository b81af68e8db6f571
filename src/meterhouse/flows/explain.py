"""Every coin (每一分钱): from one transfer down to the readings it rests on, to the last Nano.

Owns what each kind of transfer rests on (`BASIS`), and the way down: transfer → booking → charged
intervals → readings, tariff version, band, block, and bills of ended periods → their lines; or →
two looks into a meter's purse; or → the
order, its way into the meter, the registers of a closing. It never takes a sum on trust: each
interval is rated anew (`intervals`). It holds nothing that only staff may see, for a tenant reads
the same.

    carried + Σ intervals + Σ bills = booked + rest
    balance before + this = balance after

*carried* is what stayed below one coin at the booking before, *rest* what stays now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from meterhouse.errors import NotFound
from meterhouse.flows.billed import BillPart, bill_parts
from meterhouse.flows.intervals import Interval, intervals_of
from meterhouse.flows.prices import Tariffs
from meterhouse.model import AccountKind, Commodity, Compartment, RechargeState, TransferKind
from meterhouse.store import agreements, bills, catalog, explain, journeys, orders
from meterhouse.store.agreements import Settlement
from meterhouse.store.db import Connection, Database
from meterhouse.units import nano_per_minor
from meterhouse.words import N_

INTERVALS_MAX: Final = 2_000
BILLS_MAX: Final = 100


class Basis(StrEnum):
    """What a transfer rests on."""

    ORDER = "order"
    BOOKING = "booking"
    RECHARGE = "recharge"
    REPORT = "report"
    CLOSING = "closing"


BASIS: Final[Mapping[TransferKind, Basis]] = {
    TransferKind.RECHARGE: Basis.ORDER,
    TransferKind.REFUND: Basis.ORDER,
    TransferKind.REVERSAL: Basis.ORDER,
    TransferKind.MOVE: Basis.ORDER,
    TransferKind.DEPOSIT: Basis.ORDER,
    TransferKind.DEPOSIT_REFUND: Basis.ORDER,
    TransferKind.FEE: Basis.ORDER,
    TransferKind.OPENING: Basis.ORDER,
    TransferKind.OPENING_DEBT: Basis.ORDER,
    TransferKind.OPENING_DEPOSIT: Basis.ORDER,
    TransferKind.SETTLEMENT: Basis.ORDER,
    TransferKind.WRITE_OFF: Basis.CLOSING,
    TransferKind.BOOKING: Basis.BOOKING,
    TransferKind.ROUNDING: Basis.BOOKING,
    TransferKind.RESERVE: Basis.RECHARGE,
    TransferKind.APPLY: Basis.RECHARGE,
    TransferKind.RETURN: Basis.RECHARGE,
    TransferKind.TAKE_BACK: Basis.RECHARGE,
    TransferKind.DEDUCTED: Basis.REPORT,
    TransferKind.ADOPTED: Basis.REPORT,
    TransferKind.TAKEN_OVER: Basis.REPORT,
}


@dataclass(frozen=True, slots=True)
class Part:
    """What one compartment of the purse gave; negative where a correction went back.

    No compartment: the household has left, and the house's own books hold it.
    """

    transfer_id: int
    compartment: Compartment | None
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Booking:
    """One booking of a point: `carried + Σ intervals + Σ bills = booked + rest`.

    Attributes:
        carried_nano: what the booking before had left.
        carried_id: a transfer of that booking; None where nothing was carried.
        interval_nano: the sum of all its intervals, also of those beyond `INTERVALS_MAX`.
        bill_nano: the sum of what all its bills add, also of those beyond `BILLS_MAX`.
        booked_nano: whole coins, of all parts together.
        rest_nano: what stays until the next one; smaller than a coin.
        is_last: nobody pays the rest, for the payer changed: it was rounded away.
        interval_count: how many there are.
        intervals: the first `INTERVALS_MAX` of them.
        bill_count: how many bills of ended periods there are.
        bills: the first `BILLS_MAX` of them.
        parts: what each compartment gave.
    """

    commodity: Commodity
    carried_nano: int
    carried_id: int | None
    interval_nano: int
    bill_nano: int
    booked_nano: int
    rest_nano: int
    is_last: bool
    interval_count: int
    intervals: Sequence[Interval]
    bill_count: int
    bills: Sequence[BillPart]
    parts: Sequence[Part]

    @property
    def added_nano(self) -> int:
        """The sum of all its intervals and bills."""
        return self.interval_nano + self.bill_nano

    @property
    def is_exact(self) -> bool:
        """Whether everything adds up, to the last Nano."""
        sums = self.carried_nano + self.added_nano == self.booked_nano + self.rest_nano
        return (
            sums
            and all(one.is_exact for one in self.intervals)
            and all(one.is_exact for one in self.bills)
        )


@dataclass(frozen=True, slots=True)
class Report:
    """Two looks into a meter's own purse, credit less overdraft, and what was rated in between.

    Attributes:
        known_at: when it was known to hold `known_minor`; None: nobody had looked before.
        read_at: when it said `said_minor`.
        rated_nano: all intervals that ended in between; the platform's shadow moves no money.
        intervals: the first `INTERVALS_MAX` of them.
    """

    address: str
    known_at: datetime | None
    known_minor: int
    read_at: datetime
    said_minor: int
    rated_nano: int
    interval_count: int
    intervals: Sequence[Interval]

    @property
    def used_minor(self) -> int:
        """What went out of it in between; negative where more was found."""
        return self.known_minor - self.said_minor


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was learnt of a recharge, or done: what the meter answered and showed."""

    at: datetime
    deed: str
    reply: str
    said_count: int | None
    said_minor: int | None


@dataclass(frozen=True, slots=True)
class Journey:
    """Money's way into a meter, or out of it: `before + amount = after` in the meter's purse."""

    recharge_id: int
    kind: str
    state: RechargeState
    address: str
    number: int
    order_number: str
    amount_minor: int
    before_minor: int | None
    steps: Sequence[Step]

    @property
    def added_minor(self) -> int:
        """What it adds to the meter's purse; negative where it takes money back."""
        return -self.amount_minor if self.kind == "take_back" else self.amount_minor


@dataclass(frozen=True, slots=True)
class Sum:
    """All that one kind of transfer moved on an account; negative: out of it."""

    kind: str
    count: int
    moved_minor: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a household's account stood: `before + moved = after`, and what made it stand so.

    Attributes:
        agreement_id: the household, or the house where nobody lived.
        customer: its masked name; None: erased, or the house.
        is_erased: whether it was erased.
        language: what it reads; None: it is the house.
        sums: what made the balance before.
        moved_minor: what this transfer added; negative: took.
    """

    agreement_id: int
    customer: str | None
    is_erased: bool
    language: str | None
    kind: AccountKind
    compartment: Compartment | None
    sums: Sequence[Sum]
    moved_minor: int

    @property
    def before_minor(self) -> int:
        """The balance that this transfer met."""
        return sum(one.moved_minor for one in self.sums)

    @property
    def after_minor(self) -> int:
        """The balance that it left."""
        return self.before_minor + self.moved_minor


@dataclass(frozen=True, slots=True)
class Explained:
    """A transfer, and what it rests on.

    Attributes:
        basis: which of the following says it; what has none was written before it was kept.
        standings: each account of a household that it moved, the one it left first.
        closing: how the household's account ended, if this was part of it.
    """

    row: Any
    basis: Basis
    standings: Sequence[Standing]
    order: Any | None = None
    booking: Booking | None = None
    report: Report | None = None
    journey: Journey | None = None
    closing: Settlement | None = None

    @property
    def households(self) -> Mapping[int, Standing]:
        """Whose balance it changed, by agreement, who gave first; the house itself is none."""
        found: dict[int, Standing] = {}
        for one in self.standings:
            if one.language is not None:
                found.setdefault(one.agreement_id, one)
        return found

    def to(self, agreement_id: int | None) -> "Explained":
        """The same as one household may read it: what moved on another's account is left out."""
        own = [one for one in self.standings if one.agreement_id == agreement_id]
        return replace(self, standings=own)

    @property
    def is_told(self) -> bool:
        """Whether what it rests on was kept."""
        return {
            Basis.ORDER: self.order, Basis.BOOKING: self.booking, Basis.RECHARGE: self.journey,
            Basis.REPORT: self.report, Basis.CLOSING: self.closing,
        }[self.basis] is not None  # fmt: skip


async def explain_transfer(
    db: Database, tariffs: Tariffs, project_id: int, transfer_id: int
) -> Explained:
    """Why a balance changed. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await explain.get_transfer(connection, project_id, transfer_id)
        if row is None:
            raise NotFound(N_("Transfer"), transfer_id)
        project = await catalog.get_project(connection, project_id)
        told = Explained(
            row, BASIS[TransferKind(row["kind"])], await _standings(connection, row),
            closing=await _closing(connection, row),
        )  # fmt: skip
        if row["payment_id"] is not None:
            order = await orders.get_order(connection, project_id, row["payment_id"])
            told = replace(told, order=order)
        if told.basis is Basis.BOOKING and row["booking"] is not None:
            told = replace(told, booking=await _booking(connection, tariffs, project, row))
        elif told.basis is Basis.REPORT:
            told = replace(told, report=await _report(connection, tariffs, project, row))
        elif told.basis is Basis.RECHARGE:
            told = replace(told, journey=await _journey(connection, row))
    return told


async def _standings(connection: Connection, row: Any) -> list[Standing]:
    found = []
    for side, sign in (("debit", -1), ("credit", 1)):
        if row[f"{side}_agreement_id"] is None:
            continue
        sums = await explain.moved_before(
            connection, row["project_id"], row[f"{side}_account_id"], row["id"]
        )
        found.append(
            Standing(
                row[f"{side}_agreement_id"], row[f"{side}_customer"], row[f"{side}_is_erased"],
                row[f"{side}_language"], AccountKind(row[f"{side}_kind"]),
                _compartment(row[f"{side}_compartment"]),
                [Sum(one["kind"], one["count"], one["moved_minor"]) for one in sums],
                sign * row["amount_minor"],
            )
        )  # fmt: skip
    return found


async def _closing(connection: Connection, row: Any) -> Settlement | None:
    """How the household's account ended, where this transfer was made by that."""
    agreement_ids = {row["debit_agreement_id"], row["credit_agreement_id"]} - {None}
    for agreement_id in sorted(agreement_ids):
        found = await agreements.settlement(connection, row["project_id"], agreement_id)
        if found is not None and found.settled_at == row["created_at"]:
            return found
    return None


async def _journey(connection: Connection, row: Any) -> Journey | None:
    key = (connection, row["project_id"], row["recharge_id"])
    found = None if row["recharge_id"] is None else await journeys.journey(*key)
    if found is None:
        return None
    return Journey(
        found["id"], found["kind"], RechargeState(found["state"]), found["address"],
        found["number"], found["order_number"], found["amount_minor"], found["before_minor"],
        [
            Step(one["at"], one["deed"], one["reply"], one["said_count"], one["said_minor"])
            for one in await journeys.steps(*key)
        ],
    )  # fmt: skip


async def _report(
    connection: Connection, tariffs: Tariffs, project: Any, row: Any
) -> Report | None:
    found = await explain.report_of(connection, project["id"], row["id"])
    if found is None:
        return None
    charges = []
    if found["known_at"] is not None and row["point_id"] is not None:
        charges = await explain.charges_between(
            connection, project["id"], row["point_id"], found["known_at"], found["read_at"]
        )
    return Report(
        found["address"], found["known_at"], found["known_minor"], found["read_at"],
        found["said_minor"], sum(one["amount_nano"] for one in charges), len(charges),
        await intervals_of(connection, tariffs, project, charges[:INTERVALS_MAX]),
    )  # fmt: skip


async def _booking(connection: Connection, tariffs: Tariffs, project: Any, row: Any) -> Booking:
    key = (connection, project["id"], row["point_id"])
    parts = await explain.booking_parts(*key, row["booking"])
    # A correction of the past is numbered below zero and carries nothing over; nor does rounding.
    before = await explain.booking_parts(*key, row["booking"] - 1) if row["booking"] > 0 else []
    carried = [one for one in before if one["kind"] == TransferKind.BOOKING]
    charges = await explain.charges_of(*key, row["booking"])
    billed = await bills.of_booking(*key, row["booking"])
    size_nano = nano_per_minor(project["currency_exponent"])
    return Booking(
        commodity=Commodity(row["commodity"]),
        carried_nano=carried[0]["rest_nano"] if carried else 0,
        carried_id=carried[0]["id"] if carried else None,
        interval_nano=sum(one["amount_nano"] - one["replaced_nano"] for one in charges),
        bill_nano=sum(one["amount_nano"] - one["replaced_nano"] for one in billed),
        booked_nano=sum(one["signed_minor"] for one in parts) * size_nano,
        rest_nano=parts[0]["rest_nano"],
        is_last=row["booking"] < 0 or row["kind"] == TransferKind.ROUNDING,
        interval_count=len(charges),
        intervals=await intervals_of(connection, tariffs, project, charges[:INTERVALS_MAX]),
        bill_count=len(billed),
        bills=await bill_parts(connection, tariffs, project, billed[:BILLS_MAX]),
        parts=[
            Part(one["id"], _compartment(one["compartment"]), one["signed_minor"]) for one in parts
        ],
    )


def _compartment(said: str | None) -> Compartment | None:
    return None if said is None else Compartment(said)
