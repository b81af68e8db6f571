"""Why an amount, in `/api/v1`: from a transfer down to the readings it rests on.

Owns these shapes. Must never know a page, nor tell what only staff may see.
"""

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from meterhouse.flows import explain
from meterhouse.flows.access import Reach, Verb
from meterhouse.flows.intervals import Interval
from meterhouse.model import (
    AccountKind,
    Commodity,
    Compartment,
    Quality,
    RechargeState,
    TransferKind,
)
from meterhouse.rating.blocks import BLOCKS_MAX, PERSONS_MAX
from meterhouse.units import from_us, nano_per_minor, to_decimal
from meterhouse.web.access import Permission, database_of
from meterhouse.web.api import shapes, v1
from meterhouse.web.api.agreements import LastRegister
from meterhouse.web.api.schemas import COUNT_MAX, At, Id, Money, Quantity, Shape, text
from meterhouse.web.doubtwords import DecidedName
from meterhouse.web.labels import UNIT, Source

SourceName: TypeAlias = Literal["live", "gateway", "freeze", "hand", "estimate"]
QualityName: TypeAlias = Literal["good", "apportioned", "estimated", "doubtful", "edited"]


class PriceLine(Shape):
    """A part of an interval that had one price: `amount = energy × price`.

    Or a day's standing charge, which has its amount alone; or what was used while the point had no
    tariff, at no price.
    """

    version: int = Field(ge=1, le=COUNT_MAX, examples=[1])
    """Which version of the tariff was in force, counted from 1."""
    band: str = text("peak", most=60)
    """The band of the day; empty for a standing charge, and where there was no tariff."""
    block: int | None = Field(ge=1, le=COUNT_MAX, examples=[1])
    """The block of the period, counted from 1; null where there is no band."""
    due_at: At | None
    """When a standing charge fell due, at the beginning of its day; null for energy."""
    energy: Quantity
    """What was used at this price."""
    price: Money
    """Price of one unit."""
    amount: Money
    """The exact product; never rounded."""


class DecisionLine(Shape):
    """What somebody decided about a doubtful reading; it holds until another decision."""

    read_at: At
    """The instant of the reading."""
    decided: DecidedName
    """What was decided: its register is right, another track begins, it should read otherwise, or
    it counts as never read."""
    reason: str = text("looked at the display", most=200)
    """Why."""
    decided_at: At
    """When."""


class HeldLine(Shape):
    """The limits that held for a number of persons."""

    persons: int = Field(ge=1, le=PERSONS_MAX, examples=[3])
    """How many lived there."""
    limits: list[Quantity] = Field(max_length=BLOCKS_MAX)
    """Upper limits of all blocks but the last; what is free is the first block."""


class IntervalLine(Shape):
    """A charged interval between two readings."""

    started_at: At
    """When it began."""
    ended_at: At
    """When it ended."""
    address: str = text("000000000026", most=60)
    """The meter's address."""
    opening: Quantity | None
    """What the meter showed at first; null where that reading is kept no more."""
    closing: Quantity | None
    """What it showed at last."""
    source: SourceName | None
    """Where the last reading came from; `freeze` is the meter's own store, `hand` a person,
    `estimate` nobody: it was not measured."""
    multiplier: int = Field(ge=1, le=1_000_000, examples=[1])
    """What a difference of the register is multiplied by."""
    energy: Quantity
    """What was used."""
    quality: QualityName
    """How that is known; only `estimated` energy was not measured."""
    tariff: str = text("Homes", most=200)
    """Name of the tariff."""
    lines: list[PriceLine] = Field(max_length=10_000)
    """Band by band and block by block."""
    amount: Money
    """What it costs, exactly."""
    replaced: Money
    """What had been charged for it before it was corrected; zero at first."""
    corrected_for: str = text("", "a wrong peak price", most=200)
    """Why its price or its tariff was corrected, where that alone replaced the charge before; else
    empty.
    """
    held: list[HeldLine] = Field(max_length=1_000)
    """Which limits held for how many persons, in order; empty where they do not depend on it."""
    is_exact: bool = Field(examples=[True])
    """Whether its lines add up to its amount."""
    decisions: list[DecisionLine] = Field(max_length=10_000)
    """What people decided about readings in it, its end included."""


class BookingParts(Shape):
    """What one compartment of the purse gave to a booking."""

    transfer_id: Id
    """The transfer."""
    compartment: Compartment | None
    """The compartment; null where the household has left and the house's own books hold it."""
    amount: Money
    """What it gave; negative where a correction went back."""


class BookingDetail(Shape):
    """A booking: `carried + added = booked + rest`, to a billionth."""

    carried: Money
    """What the booking before had left below a coin."""
    carried_id: Id | None
    """A transfer of that booking; null where nothing was carried."""
    added: Money
    """The sum of all its intervals."""
    booked: Money
    """Whole coins, of all parts together."""
    rest: Money
    """What stays below a coin for the next booking, or what rounding took (negative: added)."""
    is_last: bool = Field(examples=[False])
    """Whether the rest was rounded away, because the payer changed."""
    is_exact: bool = Field(examples=[True])
    """Whether all of it adds up."""
    parts: list[BookingParts] = Field(max_length=10)
    """What each compartment gave."""
    interval_count: int = Field(ge=0, le=COUNT_MAX, examples=[48])
    """How many intervals there are."""
    intervals: list[IntervalLine] = Field(max_length=2_000)
    """The first two thousand of them, by time."""


class MovedSum(Shape):
    """All that one kind of transfer moved on an account."""

    kind: TransferKind
    """What for."""
    count: int = Field(ge=1, le=COUNT_MAX, examples=[3])
    """How many there were."""
    moved: Money
    """What they moved together; negative: out of it."""


class StandingDetail(Shape):
    """How a household's account stood: `before + moved = after`, and `before = Σ sums`."""

    account: AccountKind
    """The kind of account."""
    compartment: Compartment | None
    """Its compartment, where it has one."""
    sums: list[MovedSum] = Field(max_length=40)
    """What made it stand so, by kind."""
    before: Money
    """The balance before."""
    moved: Money
    """What this transfer added; negative: took."""
    after: Money
    """The balance after."""


class ReportDetail(Shape):
    """Two looks into a meter's own purse: `known − used = said`, and what was rated in between."""

    address: str = text("000000000026", most=60)
    """The meter's address."""
    known_at: At | None
    """When it was known to hold `known`; null: nobody had looked before."""
    known: Money
    """What was in it then, credit less overdraft."""
    read_at: At
    """When it was read."""
    said: Money
    """What it said then."""
    used: Money
    """What went out in between; negative where more was found."""
    rated: Money
    """What the platform rated in between; it moves no money."""
    difference: Money
    """`used − rated`."""
    interval_count: int = Field(ge=0, le=COUNT_MAX, examples=[48])
    """How many intervals were rated."""
    intervals: list[IntervalLine] = Field(max_length=2_000)
    """The first two thousand of them, by time."""


class StepLine(Shape):
    """One thing that was learnt of a recharge, or done."""

    at: At
    """When."""
    deed: str = text("sent", most=40)
    """What was done, as a stable word."""
    reply: str = Field(max_length=200, examples=["positive"])
    """What the meter answered, as a stable word; empty: nothing."""
    count: int | None = Field(ge=0, le=COUNT_MAX, examples=[7])
    """Its purchase counter, where it was read."""
    balance: Money | None
    """What it held, where it was read."""


class JourneyDetail(Shape):
    """Money's way into a meter or out of it: `before + added = after`."""

    recharge_id: Id
    """The recharge."""
    state: RechargeState
    """How far it is."""
    address: str = text("000000000026", most=60)
    """The meter's address."""
    number: int = Field(ge=0, le=COUNT_MAX, examples=[7])
    """The purchase number that proves it."""
    before: Money | None
    """What the meter held before; null: not read."""
    added: Money
    """What it adds to the meter; negative: takes out of it."""
    steps: list[StepLine] = Field(max_length=1_000)
    """What happened, by time."""


class ClosingDetail(Shape):
    """How the household's account ended."""

    settled_at: At
    """When."""
    registers: list[LastRegister] = Field(max_length=1_000)
    """With which registers."""


class Explanation(Shape):
    """Why a balance changed."""

    transfer_id: Id
    """The transfer."""
    kind: TransferKind
    """What it was for."""
    basis: explain.Basis
    """Which of the following it rests on."""
    is_told: bool = Field(examples=[True])
    """Whether that was kept; false for what is older than its keeping."""
    at: At
    """When."""
    debit: AccountKind
    """The kind of account it left."""
    credit: AccountKind
    """The kind of account it went to."""
    amount: Money
    """What it moved."""
    order_id: Id | None
    """The order behind it, where there is one."""
    booking: BookingDetail | None
    """The energy behind it, where it paid for some, or was what rounding left of it."""
    standings: list[StandingDetail] = Field(max_length=2)
    """The household's accounts that it moved."""
    report: ReportDetail | None
    """What the meter said of its own purse, where that moved the money."""
    journey: JourneyDetail | None
    """The way into the meter, or out of it."""
    closing: ClosingDetail | None
    """How the account ended, where this was part of it."""


def _name(one: Quality | Source) -> Any:
    return one.name.lower()


router = APIRouter(**v1.KEYED, route_class=v1.NumberedRoute)
TransferId = Annotated[int, v1.path_id("transfer")]


def _fine(amount_nano: int, scope: Reach) -> Money:
    return Money(amount=to_decimal(amount_nano, 9), currency=scope.currency)


def _quantity(energy_milli: int, unit: str) -> Quantity:
    return Quantity(amount=to_decimal(energy_milli, 3), unit=unit)


@router.get(
    "/projects/{project_id}/transfers/{transfer_id}/explain",
    dependencies=[Depends(Permission(Verb.MONEY_READ))],
    tags=["books"],
)
async def explain_transfer(
    request: Request, project_id: v1.ProjectId, transfer_id: TransferId
) -> Explanation:
    """Why a balance changed: the order behind it, or the energy down to each reading."""
    scope, tariffs = request.state.scope, request.app.state.tariffs
    database = database_of(request)
    now = await explain.explain_transfer(database, tariffs, project_id, transfer_id)
    row = now.row
    return Explanation(
        transfer_id=row["id"], kind=row["kind"], basis=now.basis, is_told=now.is_told,
        at=row["created_at"], debit=row["debit_kind"], credit=row["credit_kind"],
        amount=shapes.money(row["amount_minor"], scope), order_id=row["payment_id"],
        booking=None if now.booking is None else _booking(now.booking, scope),
        standings=[_standing(one, scope) for one in now.standings],
        report=None if now.report is None else _report(now.report, row["commodity"], scope),
        journey=None if now.journey is None else _journey(now.journey, scope),
        closing=None if now.closing is None else ClosingDetail(
            settled_at=now.closing.settled_at,
            registers=[LastRegister.model_validate(one) for one in now.closing.registers],
        ),
    )  # fmt: skip


def _standing(now: explain.Standing, scope: Reach) -> StandingDetail:
    return StandingDetail(
        account=now.kind, compartment=now.compartment,
        sums=[MovedSum(kind=TransferKind(one.kind), count=one.count,
                       moved=shapes.money(one.moved_minor, scope)) for one in now.sums],
        before=shapes.money(now.before_minor, scope), moved=shapes.money(now.moved_minor, scope),
        after=shapes.money(now.after_minor, scope),
    )  # fmt: skip


def _report(now: explain.Report, commodity: str, scope: Reach) -> ReportDetail:
    used_nano = now.used_minor * nano_per_minor(scope.currency_exponent)
    unit = UNIT[Commodity(commodity)]
    return ReportDetail(
        address=now.address, known_at=now.known_at, known=shapes.money(now.known_minor, scope),
        read_at=now.read_at, said=shapes.money(now.said_minor, scope),
        used=shapes.money(now.used_minor, scope), rated=_fine(now.rated_nano, scope),
        difference=_fine(used_nano - now.rated_nano, scope), interval_count=now.interval_count,
        intervals=[_interval(one, unit, scope) for one in now.intervals],
    )  # fmt: skip


def _journey(now: explain.Journey, scope: Reach) -> JourneyDetail:
    before_minor = now.before_minor
    return JourneyDetail(
        recharge_id=now.recharge_id, state=now.state, address=now.address, number=now.number,
        before=None if before_minor is None else shapes.money(before_minor, scope),
        added=shapes.money(now.added_minor, scope),
        steps=[
            StepLine(
                at=one.at, deed=one.deed, reply=one.reply, count=one.said_count,
                balance=None if one.said_minor is None else shapes.money(one.said_minor, scope),
            )
            for one in now.steps
        ],
    )  # fmt: skip


def _booking(now: explain.Booking, scope: Reach) -> BookingDetail:
    unit = UNIT[now.commodity]
    return BookingDetail(
        carried=_fine(now.carried_nano, scope), carried_id=now.carried_id,
        added=_fine(now.added_nano, scope),
        booked=_fine(now.booked_nano, scope), rest=_fine(now.rest_nano, scope), is_last=now.is_last,
        is_exact=now.is_exact, interval_count=now.interval_count,
        parts=[
            BookingParts(transfer_id=one.transfer_id, compartment=one.compartment,
                         amount=shapes.money(one.amount_minor, scope))
            for one in now.parts
        ],
        intervals=[_interval(one, unit, scope) for one in now.intervals],
    )  # fmt: skip


def _interval(one: Interval, unit: str, scope: Reach) -> IntervalLine:
    registers = [
        None if said is None else _quantity(said.total_milli, unit)
        for said in (one.opening, one.closing)
    ]
    return IntervalLine(
        started_at=one.started_at, ended_at=one.ended_at, address=one.address,
        opening=registers[0], closing=registers[1],
        source=None if one.closing is None else _name(Source(one.closing.source)),
        multiplier=one.multiplier, energy=_quantity(one.energy_milli, unit),
        quality=_name(one.quality), tariff=one.tariff, amount=_fine(one.amount_nano, scope),
        replaced=_fine(one.replaced_nano, scope),
        corrected_for="" if one.correction is None else one.correction.reason,
        is_exact=one.is_exact,
        held=[
            HeldLine(
                persons=said.persons, limits=[_quantity(each, unit) for each in said.limits_milli]
            )
            for said in one.held
        ],
        lines=[
            PriceLine(
                version=line.version + 1, band=line.band,
                block=line.block + 1 if line.band else None,
                due_at=from_us(line.from_us) if line.is_standing else None,
                energy=_quantity(line.energy_milli, unit),
                price=_fine(line.price_micro * 1_000, scope),
                amount=_fine(line.amount_nano, scope),
            )
            for line in one.lines
        ],
        decisions=[
            DecisionLine(
                read_at=said.read_at, decided=DecidedName(said.decided.name.lower()),
                reason=said.reason, decided_at=said.decided_at,
            )
            for said in one.decisions
        ],
    )  # fmt: skip
