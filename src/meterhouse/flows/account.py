"""Opening accounts (开户): at once, or made ready and opened with one click, one or many.

Owns what a household begins with: its purse or purses, how far they may fall, when it is warned,
the money it brought along and its deposit. Must never know who a customer is, nor how an account
ends (`settle`).
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from meterhouse.control import policy as policies
from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows import opening, ordering, parties, react, recharge
from meterhouse.flows.opening import Opening, Purse
from meterhouse.model import AccountKind, Commodity, Compartment, Keeper, PaymentKind
from meterhouse.store import (
    catalog,
    customers,
    devices,
    ledger,
    monitor,
    openings,
    places,
    readings,
)
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewPayment
from meterhouse.units import Minor


class NothingToPayFor(MeterhouseError):
    """Nobody can pay for this place: it has no point, or none that money is kept for."""

    code = "nothing_to_pay_for"
    http_status = 409


class LetAlready(MeterhouseError):
    """Somebody pays for this place already; close that account first."""

    code = "let_already"
    http_status = 409


class OpeningEnded(MeterhouseError):
    """This account was opened or withdrawn meanwhile."""

    code = "opening_ended"
    http_status = 409


class AccountEnded(MeterhouseError):
    """This account is closed."""

    code = "account_ended"
    http_status = 409


class CreditAndDebt(BadInput):
    """It has credit from before, or it owes; not both."""

    code = "credit_and_debt"
    field = "opening_debt"


class DebtInMeter(BadInput):
    """A meter keeps this household's money; what it owes is found in the meter."""

    code = "debt_in_meter"
    field = "opening_debt"


class OpeningNeedsSecond(MeterhouseError):
    """So much from before is entered by two: prepare the account, and let somebody else open it."""

    code = "opening_needs_second"
    http_status = 409


class WarningsUnordered(BadInput):
    """Each warning level lies below the one before it."""

    code = "warnings_unordered"
    field = "warning_2"


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a household pays, and what it begins with.

    Attributes:
        floor_minor: how far the purse may fall, zero or below.
        warnings_minor: the three levels at which it is warned, falling.
        purse: whether all commodities draw one purse, or each its own.
        credit_minor: what it had before these books began (期初); no cash moves for it.
        deposit_minor: paid now, kept apart from what may be spent.
        deposit_channel: how the deposit is paid.
        debt_minor: what it owed before these books began (期初欠费).
        held_minor: a deposit the house held before, not taken through these books.
        persons: how many live there; limits and free energy may depend on it.
    """

    floor_minor: int = 0
    warnings_minor: tuple[int, int, int] = (3000, 1500, 500)
    purse: Purse = Purse.APART
    credit_minor: int = 0
    deposit_minor: int = 0
    deposit_channel: str = "cash"
    debt_minor: int = 0
    held_minor: int = 0
    persons: int = 1

    def faults(self, points: Sequence[Any]) -> list[tuple[str, MeterhouseError]]:
        """What is wrong with these terms for such points, by field; rows have their `keeper`."""
        found: list[tuple[str, MeterhouseError]] = []
        first, second, third = self.warnings_minor
        if not first > second > third:
            found.append(("warning_2", WarningsUnordered()))
        if self.credit_minor and self.debt_minor:
            found.append(("opening_debt", CreditAndDebt()))
        if self.debt_minor and any(row["keeper"] == Keeper.METER for row in points):
            found.append(("opening_debt", DebtInMeter()))
        return found

    def check(self, points: Sequence[Any]) -> None:
        """Raises `WarningsUnordered`, `CreditAndDebt`, `DebtInMeter`."""
        for _, error in self.faults(points):
            raise error

    @property
    def brought(self) -> str:
        """The field of what comes from before, the first that is there."""
        given = (self.credit_minor, self.debt_minor, self.held_minor)
        names = ("opening_credit", "opening_debt", "opening_deposit")
        return next((name for name, minor in zip(names, given, strict=True) if minor), "")

    def needs_second(self, policy: policies.Policy) -> bool:
        """Whether what comes from before, of which no cash tells, is entered by two alone."""
        before_minor = self.credit_minor + self.debt_minor + self.held_minor
        return policies.needs_second(policy, before_minor)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> "Terms":
        """Terms as they were kept with a prepared opening."""
        return cls(**{
            **kept, "purse": Purse(kept["purse"]), "warnings_minor": tuple(kept["warnings_minor"]),
        })  # fmt: skip


@dataclass(frozen=True, slots=True)
class Start:
    """A household that begins: who, for which vacant points, on what terms."""

    customer_id: int
    points: Sequence[Any]
    terms: Terms


async def open_account(
    db: Database, project_id: int, place_id: int, customer_id: int, terms: Terms,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """From now on a customer pays for all points of a place; answers the agreement.

    What had accrued until now is settled with whoever paid before.

    Raises:
        NotFound: there is no such place or customer.
        NothingToPayFor: the place has no point that money is kept for.
        LetAlready: somebody pays for it already.
        RechargeLive: an order of the house is on its way to a meter there, or out of it.
        WarningsUnordered, CreditAndDebt, DebtInMeter: the terms cannot be.
        OpeningNeedsSecond: so much from before is entered by two.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        await customers.get_customer(connection, project_id, customer_id)
        points = await vacant_points(connection, project_id, place_id)
        (made,) = await begin(
            connection, project_id, [Start(customer_id, points, terms)], actor_id, at
        )
        return made


async def join(
    db: Database, project_id: int, agreement_id: int, place_id: int, actor_id: int | None,
    at: datetime,
) -> None:  # fmt: skip
    """From now on an agreement pays for the points of a further place too (一户多表).

    Raises:
        NotFound: there is no such agreement or place.
        AccountEnded: the agreement has ended.
        NothingToPayFor: the place has no point that money is kept for.
        LetAlready: somebody pays for it already.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        agreement = await customers.get_agreement(connection, project_id, agreement_id)
        if agreement["valid_to"] is not None or agreement["kind"] != "tenant":
            raise AccountEnded
        points = await vacant_points(connection, project_id, place_id)
        purses = await customers.purses_of(connection, project_id, [agreement_id])
        floors = {row["compartment"]: row["floor_minor"] for row in purses}
        together = set(floors) == {Compartment.COMMON}
        purse = Purse.TOGETHER if together else Purse.APART
        if together:
            drawn = await parties.drawn_by(connection, project_id, [agreement_id])
            await parties.check_together(connection, project_id, points, drawn)
        new = [
            Opening(
                row["id"], Commodity(row["commodity"]), agreement_id, at,
                min(floors.values(), default=0), purse,
            )
            for row in points
        ]  # fmt: skip
        project = await catalog.get_project(connection, project_id)
        await opening.hand_over(connection, project, new, actor_id, at)
        await _look(connection, project, points, at)


async def prepare(
    db: Database, project_id: int, place_id: int, customer_id: int, terms: Terms,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """Make an account ready that is opened later with one click (预开户); answers the opening.

    Raises:
        NotFound: there is no such place or customer.
        NothingToPayFor: the place has no point that money is kept for.
        LetAlready: somebody pays for it already.
        PreparedAlready: one is prepared for it already.
        WarningsUnordered, CreditAndDebt, DebtInMeter: the terms cannot be.
    """
    async with db.transaction([project_id]) as connection:
        return await prepare_here(
            connection, project_id, place_id, customer_id, terms, actor_id, at
        )


async def prepare_here(
    connection: Connection, project_id: int, place_id: int, customer_id: int, terms: Terms,
    actor_id: int | None, at: datetime,
) -> int:  # fmt: skip
    """`prepare` inside its caller's transaction."""
    await customers.get_customer(connection, project_id, customer_id)
    points = await vacant_points(connection, project_id, place_id)
    terms.check(points)
    if terms.purse is Purse.TOGETHER:
        await parties.check_together(connection, project_id, points)
    return await openings.insert(
        connection, project_id, place_id, customer_id, asdict(terms), actor_id, at
    )


async def open_prepared(
    db: Database, project_id: int, opening_id: int, actor_id: int | None, at: datetime
) -> int:
    """Open what was prepared (一键开户); answers the agreement.

    Raises:
        NotFound: there is no such opening.
        OpeningEnded: it was opened or withdrawn.
        LetAlready: somebody pays for the place meanwhile.
        OpeningNeedsSecond: so much from before is opened by another than who prepared it.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        row = await openings.get(connection, project_id, opening_id)
        if row["state"] != "prepared":
            raise OpeningEnded
        points = await vacant_points(connection, project_id, row["place_id"])
        start = Start(row["customer_id"], points, Terms.of(json.loads(row["terms"])))
        (made,) = await begin(connection, project_id, [start], actor_id, at, row["actor_id"])
        await openings.end(connection, project_id, opening_id, made, at)
        return made


async def withdraw(db: Database, project_id: int, opening_id: int, at: datetime) -> None:
    """Give up what was prepared. Raises `NotFound`, `OpeningEnded`."""
    async with db.transaction([project_id]) as connection:
        await openings.get(connection, project_id, opening_id)
        if not await openings.end(connection, project_id, opening_id, None, at):
            raise OpeningEnded
        await readings.bump(connection, project_id)


async def opening_names(
    db: Database, project_id: int, opening_ids: Sequence[int]
) -> list[tuple[int, str]]:
    """Id and room of those of these openings that wait."""
    async with db.transaction([project_id]) as connection:
        rows = await openings.names(connection, project_id, opening_ids)
    return [(row["id"], f"{row['building']} {row['room']}") for row in rows]


async def prepared(db: Database, project_id: int, place_id: int) -> int | None:
    """The opening that waits for a place, if one does."""
    async with db.transaction([project_id]) as connection:
        return await openings.prepared_of_place(connection, project_id, place_id)


async def vacant_points(connection: Connection, project_id: int, place_id: int) -> list[Any]:
    """The points of a place that money is kept for, which nobody but the house pays for.

    Raises:
        NotFound: there is no such place.
        NothingToPayFor: there are none.
        LetAlready: somebody pays for one of them.
    """
    await places.get_place(connection, project_id, place_id)
    rows = await devices.points_of_place(connection, project_id, place_id)
    points = [row for row in rows if row["keeper"] != Keeper.NONE]
    if not points:
        raise NothingToPayFor
    if any(row["agreement_kind"] == "tenant" for row in points):
        raise LetAlready
    return points


async def begin(
    connection: Connection, project_id: int, starts: Sequence[Start], actor_id: int | None,
    at: datetime, second_id: int | None = None,
) -> list[int]:  # fmt: skip
    """Let households begin, in sets; answers their agreements in the order given.

    Raises:
        WarningsUnordered, CreditAndDebt, DebtInMeter: somebody's terms cannot be.
        OpeningNeedsSecond: so much from before takes another than the actor as `second_id`.
        PurseShared: one purse would hold the money of two payees.
        RechargeLive: an order of the house is on its way to a meter there, or out of it.
    """
    project = await catalog.get_project(connection, project_id)
    policy = react.Setting.of(project).policy
    is_agreed = second_id not in (None, actor_id)
    for one in starts:
        one.terms.check(one.points)
        if one.terms.needs_second(policy) and not is_agreed:
            raise OpeningNeedsSecond
        if one.terms.purse is Purse.TOGETHER:
            await parties.check_together(connection, project_id, one.points)
    agreement_ids = await customers.insert_agreements(
        connection, project_id, [one.customer_id for one in starts], [at] * len(starts),
        [one.terms.persons for one in starts],
    )  # fmt: skip
    begun = list(zip(agreement_ids, starts, strict=True))
    new = [
        Opening(
            row["id"], Commodity(row["commodity"]), agreement_id, at, one.terms.floor_minor,
            one.terms.purse,
        )
        for agreement_id, one in begun
        for row in one.points
    ]  # fmt: skip
    await opening.hand_over(connection, project, new, actor_id, at)
    if policy.vacancy_off:
        await monitor.release(connection, project_id, [row.point_id for row in new])
    for levels in {one.terms.warnings_minor for one in starts}:
        mine = [row["id"] for one in starts if one.terms.warnings_minor == levels
                for row in one.points]  # fmt: skip
        await customers.set_warnings(connection, project_id, mine, levels)
    await fund(connection, project, begun, actor_id, at, second_id if is_agreed else None)
    await _look(connection, project, [row for one in starts for row in one.points], at)
    return agreement_ids


async def fund(
    connection: Connection, project: Any, begun: Sequence[tuple[int, Start]],
    actor_id: int | None, at: datetime, second_id: int | None,
) -> None:  # fmt: skip
    """Post what households bring along, owe and deposit, by agreement.

    Opening credit goes where everything draws: into the one purse, or the common compartment; and
    on into the meter, where one meter of the household keeps the money. A debt comes out of there.
    """
    project_id, unit = project["id"], project["currency"]
    given = [
        (number, one) for number, one in begun
        if one.terms.credit_minor or one.terms.debt_minor
        or one.terms.deposit_minor or one.terms.held_minor
    ]  # fmt: skip
    if not given:
        return
    cash_id = await ledger.house_account(connection, project_id, AccountKind.CASH)
    opening_id = await ledger.house_account(connection, project_id, AccountKind.OPENING)
    purses: dict[int, dict[str, int]] = {}
    for row in await customers.purses_of(connection, project_id, [one for one, _ in given]):
        purses.setdefault(row["agreement_id"], {})[row["compartment"]] = row["id"]
    for agreement_id, start in given:
        terms, point_id = start.terms, start.points[0]["id"]
        if terms.credit_minor:
            new = NewPayment(
                agreement_id, _first(purses[agreement_id]), "opening", Minor(terms.credit_minor),
                f"opening:{agreement_id}", PaymentKind.OPENING, point_id=point_id,
                second_id=second_id,
            )  # fmt: skip
            payment_id, _ = await ordering.place(
                connection, project, new, opening_id, new.account_id, actor_id, at
            )
            kept = [row["id"] for row in start.points if row["keeper"] == Keeper.METER]
            if len(kept) == 1:
                # What cannot set out now waits in the purse, and is sent from there.
                with suppress(*recharge.STAYS):
                    await recharge.begin(
                        connection, project, kept[0], payment_id, new.amount_minor, actor_id, at
                    )
        if terms.debt_minor:
            new = NewPayment(
                agreement_id, _first(purses[agreement_id]), "opening", Minor(terms.debt_minor),
                f"debt:{agreement_id}", PaymentKind.OPENING_DEBT, point_id=point_id,
                second_id=second_id,
            )  # fmt: skip
            await ordering.place(
                connection, project, new, new.account_id, opening_id, actor_id, at
            )  # fmt: skip
        deposited = (
            (PaymentKind.DEPOSIT, terms.deposit_minor, terms.deposit_channel, cash_id),
            (PaymentKind.OPENING_DEPOSIT, terms.held_minor, "opening", opening_id),
        )
        for kind, much_minor, channel, from_id in deposited:
            if not much_minor:
                continue
            deposit_id = await ledger.open_account(
                connection, project_id, AccountKind.DEPOSIT, unit, agreement_id
            )
            new = NewPayment(
                agreement_id, deposit_id, channel, Minor(much_minor), f"{kind}:{agreement_id}",
                kind, point_id=point_id, second_id=second_id,
            )  # fmt: skip
            await ordering.place(connection, project, new, from_id, deposit_id, actor_id, at)


def _first(purses: Mapping[str, int]) -> int:
    """Where opening credit goes: the one compartment there is beside the common one, or that."""
    own = [number for part, number in purses.items() if part != Compartment.COMMON]
    return own[0] if len(own) == 1 else purses[Compartment.COMMON]


async def _look(connection: Connection, project: Any, points: Sequence[Any], at: datetime) -> None:
    """Decide about relays anew, and say that something changed."""
    meters = [row["meter_id"] for row in points if row["meter_id"] is not None]
    await react.look_again(connection, project, meters, at)
    await readings.bump(connection, project["id"])
