"""Closing accounts (销户) and moving tenants (过户): the last reading, the last coin, then zero.

Owns the order: what was used until the last registers is rated and booked to the coin, the points
go to who pays next, then the purses and the deposit are paid out, moved or made good, so that every
account of the household ends at exactly zero. Each purse is an order of its own with the point it
pays for, out of the cash of whoever took the money. Must never know how a meter is read. Nothing of
it is forgotten: readings, orders and transfers stay.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from meterhouse import meter_models
from meterhouse.errors import MeterhouseError
from meterhouse.flows import account, lastread, opening, ordering, parties, react, refund
from meterhouse.flows.account import AccountEnded, Start, Terms
from meterhouse.flows.enqueue import enqueue
from meterhouse.flows.lastread import LastRead, Registers
from meterhouse.flows.opening import Opening
from meterhouse.model import (
    AccountKind,
    CommandKind,
    Commodity,
    Compartment,
    Override,
    PaymentKind,
    Reason,
    TransferKind,
)
from meterhouse.store import agreements, catalog, customers, ledger, monitor, projects, recharges
from meterhouse.store.agreements import Settlement
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewPayment, NewTransfer
from meterhouse.units import Minor, to_decimal


class MoneyOnItsWay(MeterhouseError):
    """Money of this household is on its way; wait until it has arrived, or call it back."""

    code = "money_on_its_way"
    http_status = 409


class MoneyInMeter(MeterhouseError):
    """{amount} is in meter {address}: switch it off, take all money back, then close."""

    code = "money_in_meter"
    http_status = 409


class MoneyStaysInMeter(MeterhouseError):
    """{amount} is in meter {address}, which gives none back: exchange the meter, then close."""

    code = "money_stays_in_meter"
    http_status = 409


class MeterOverdrawn(MeterhouseError):
    """Meter {address} has lent {amount}: recharge it by as much, then close."""

    code = "meter_overdrawn"
    http_status = 409


class DebtOpen(MeterhouseError):
    """This household owes {amount}; say whether that is paid now or written off."""

    code = "debt_open"
    http_status = 409
    field = "debt"


class Balance(StrEnum):
    """What becomes of what is left in the purse."""

    PAY_OUT = "pay_out"
    MOVE = "move"


class Debt(StrEnum):
    """What becomes of what is owed."""

    REFUSE = "refuse"
    PAID = "paid"
    WRITE_OFF = "write_off"


@dataclass(frozen=True, slots=True)
class Leaving:
    """How a household leaves.

    Attributes:
        reason: why, in the person's words; also why a register was read by hand.
        by_hand: registers from the display, by the meter's address.
        channel: how money is paid out, or a debt paid.
        debt: what becomes of a debt.
    """

    reason: str
    by_hand: Mapping[str, Registers] = field(default_factory=dict)
    channel: str = "cash"
    debt: Debt = Debt.REFUSE


@dataclass(frozen=True, slots=True)
class Paid:
    """One thing that was done with an account's money; `kind` as the transfer's.

    Attributes:
        compartment: which purse; empty: the deposit.
        payee_id: out of or into whose cash; None: the house's, or none moved.
        payee: its name; empty for the house.
        point_id: what the purse pays for.
        payment_id: the order; None for what is written off.
    """

    kind: str
    compartment: str
    amount_minor: int
    payee_id: int | None = None
    payee: str = ""
    point_id: int | None = None
    payment_id: int | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """How an account ended."""

    agreement_id: int
    registers: Sequence[LastRead]
    paid: Sequence[Paid]
    next_id: int | None = None

    def sum_minor(self, *kinds: str) -> int:
        """What was moved by these kinds together."""
        return sum(one.amount_minor for one in self.paid if one.kind in kinds)


async def close(
    db: Database, project_id: int, agreement_id: int, leaving: Leaving, actor_id: int | None,
    at: datetime, second_id: int | None = None,
) -> Closed:  # fmt: skip
    """Close an account: its points fall to the house, its money is paid out to the last coin.

    Raises:
        NotFound: there is no such account.
        AccountEnded: it is closed.
        LastReadingMissing, LastReadingDoubtful, MeterElsewhere: as `lastread.take`.
        MoneyOnItsWay, MoneyInMeter, MoneyStaysInMeter: money is in a meter or on its way there.
        MeterOverdrawn: a meter has lent them money.
        DebtOpen: it owes, and nobody said what becomes of it.
        PayoutNeedsSecond, ShiftNeeded: it may not be paid out so.
    """
    async with db.transaction([project_id]) as connection:
        project, points, registers = await _end(connection, project_id, agreement_id, leaving, at)
        house_id = await catalog.house_agreement(connection, project_id)
        new = [
            Opening(row["id"], Commodity(row["commodity"]), house_id, at, None) for row in points
        ]
        await opening.hand_over(connection, project, new, actor_id, at)
        paid = await _pay_out(
            connection, project, agreement_id, points, leaving, None, actor_id, at, second_id
        )
        await _write(connection, project_id, agreement_id, leaving, registers, paid, actor_id, at)
        if react.Setting.of(project).policy.vacancy_off:
            await _switch_off(connection, project, points, leaving.reason, actor_id, at)
        await _look(connection, project, points, at)
        return Closed(agreement_id, registers, paid)


async def move_tenants(
    db: Database, project_id: int, agreement_id: int, customer_id: int, terms: Terms,
    balance: Balance, leaving: Leaving, actor_id: int | None, at: datetime,
    second_id: int | None = None,
) -> Closed:  # fmt: skip
    """Close an account and open the next one at the same instant and registers.

    Raises:
        WarningsUnordered, CreditAndDebt, DebtInMeter: the new household's terms cannot be.
        OpeningNeedsSecond: what it brings from before is entered by two.
        MeterhouseError: what `close` raises.
    """
    async with db.transaction([project_id]) as connection:
        await customers.get_customer(connection, project_id, customer_id)
        project, points, registers = await _end(connection, project_id, agreement_id, leaving, at)
        start = Start(customer_id, points, terms)
        (made,) = await account.begin(connection, project_id, [start], actor_id, at, second_id)
        to_id = made if balance is Balance.MOVE else None
        paid = await _pay_out(
            connection, project, agreement_id, points, leaving, to_id, actor_id, at, second_id
        )
        await _write(connection, project_id, agreement_id, leaving, registers, paid, actor_id, at)
        await _look(connection, project, points, at)
        return Closed(agreement_id, registers, paid, made)


async def needs_second(db: Database, project_id: int, agreement_ids: Sequence[int]) -> bool:
    """Whether closing one of these accounts may pay out more than one person may alone."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        # Whether one account alone is beyond the limit; what is paid out is asked again then.
        limit_minor = react.Setting.of(project).policy.refund_second_minor
        return limit_minor > 0 and bool(
            await agreements.richer_than(connection, project_id, agreement_ids, limit_minor)
        )


async def _end(
    connection: Connection, project_id: int, agreement_id: int, leaving: Leaving, at: datetime
) -> tuple[Any, list[Any], list[LastRead]]:
    """The project, the points as they stand, and their last registers, rated; dates end here."""
    await monitor.lock_project(connection, project_id)
    project = await catalog.get_project(connection, project_id)
    await agreements.get(connection, project_id, agreement_id)
    rows = await agreements.points(connection, project_id, agreement_id)
    points = [row for row in rows if row["valid_to"] is None]
    if not await customers.end_agreement(connection, project_id, agreement_id, at):
        raise AccountEnded
    return project, points, await lastread.take(connection, project, points, leaving.by_hand, at)


async def _check_home(
    connection: Connection, project: Any, rows: Sequence[Any], points: Sequence[Any]
) -> None:
    """All money of the household is on the platform; else says where it is and what to do."""
    meter_ids = [row["meter_id"] for row in points if row["meter_id"] is not None]
    meters = await recharges.in_meters(connection, project["id"], meter_ids)
    is_away = any(
        row["pending_debit_minor"]
        or (row["kind"] == AccountKind.IN_FLIGHT and row["balance_minor"])
        for row in rows
    )
    if is_away or any(row["is_live"] for row in meters):
        raise MoneyOnItsWay
    # Looked at one by one: what one meter holds does not make good what another has lent.
    holding = max(meters, key=lambda row: abs(row["net_minor"]), default=None)
    booked_minor = sum(row["balance_minor"] for row in rows if row["kind"] == AccountKind.ON_METER)
    held_minor = (holding and holding["net_minor"]) or booked_minor
    if not held_minor:
        return
    if holding is None:
        raise MoneyOnItsWay
    error: type[MeterhouseError] = MeterOverdrawn
    if held_minor > 0:
        gives_back = meter_models.load(holding["model"]).wallet == "order"
        error = MoneyInMeter if gives_back else MoneyStaysInMeter
    amount = to_decimal(abs(held_minor), project["currency_exponent"])
    raise error(amount=amount, address=holding["address"])


async def _pay_out(
    connection: Connection, project: Any, agreement_id: int, points: Sequence[Any],
    leaving: Leaving, to_id: int | None, actor_id: int | None, at: datetime, second_id: int | None,
) -> list[Paid]:  # fmt: skip
    """Bring every account of the household to zero."""
    project_id = project["id"]
    rows = await agreements.accounts(connection, project_id, agreement_id)
    await _check_home(connection, project, rows, points)
    desk = _Desk(connection, project, agreement_id, points, leaving, actor_id, at, second_id)
    await desk.begin()
    purses = {row["id"]: row for row in rows if row["kind"] == AccountKind.PURSE}
    left_minor = {number: row["balance_minor"] for number, row in purses.items()}
    await desk.balance(purses, left_minor)
    for number, amount_minor in left_minor.items():
        part = purses[number]["compartment"]
        if amount_minor > 0 and to_id is not None:
            await desk.move_on(number, part, amount_minor, to_id)
        elif amount_minor > 0:
            took = await agreements.paid_into(connection, project_id, number)
            left = {row["payee_id"]: row["left_minor"] for row in took}
            for payee_id, much_minor in shares(amount_minor, left, desk.payee_of(number)):
                new = desk.order(PaymentKind.SETTLEMENT, number, much_minor, payee_id)
                await desk.pay_out(new, part)
        elif amount_minor < 0:
            await desk.make_good(number, part, -amount_minor)
    for row in await agreements.deposits(connection, project_id, agreement_id):
        if row["left_minor"]:
            new = desk.order(
                PaymentKind.DEPOSIT_REFUND, row["account_id"], row["left_minor"],
                row["payee_id"], row["id"],
            )  # fmt: skip
            await desk.pay_out(new, "")
    # A deposit that comes back while the balance goes on is this household's own money, once paid.
    await desk.check_second(_PAID_OUT if to_id is None else (PaymentKind.SETTLEMENT,))
    return desk.paid


def shares(
    amount_minor: int, left_minor: Mapping[int | None, int], payee_id: int | None
) -> list[tuple[int | None, int]]:
    """Who pays back how much of a purse: one payee where one took enough, the present one first.

    Else each pays what it took, and what nobody was paid (opening credit) the present one.

    Args:
        amount_minor: what is in the purse, above zero.
        left_minor: what each payee took for it and has not paid back, most first.
        payee_id: who is paid for it at present; None: the house.
    """
    enough = [one for one, left in left_minor.items() if left >= amount_minor]
    if enough:
        return [(payee_id if payee_id in enough else enough[0], amount_minor)]
    parts, rest_minor = {payee_id: 0}, amount_minor
    for one in sorted(left_minor, key=lambda one: one != payee_id):
        parts[one] = min(left_minor[one], rest_minor)
        rest_minor -= parts[one]
    parts[payee_id] += rest_minor
    return [(one, much) for one, much in parts.items() if much]


_PAID_OUT = (PaymentKind.SETTLEMENT, PaymentKind.DEPOSIT_REFUND)


@dataclass(slots=True)
class _Desk:
    """What all payments of one closing share."""

    connection: Connection
    project: Any
    agreement_id: int
    points: Sequence[Any]
    leaving: Leaving
    actor_id: int | None
    at: datetime
    second_id: int | None
    cash_id: int = 0
    payees: Mapping[str, Any] = field(default_factory=dict)
    parties: Mapping[str, str] = field(default_factory=dict)
    drawn: Collection[str] = ()
    paid: list[Paid] = field(default_factory=list)

    async def begin(self) -> None:
        """Look up what they go against."""
        project_id = self.project["id"]
        self.cash_id = await ledger.house_account(self.connection, project_id, AccountKind.CASH)
        payees = await projects.payees(self.connection, project_id)
        self.payees = {row["charge_class"]: row for row in payees}
        self.parties = await parties.of_project(self.connection, project_id)
        self.drawn = await parties.drawn_by(self.connection, project_id, [self.agreement_id])

    def point_of(self, purse_id: int) -> Any | None:
        """A point that a purse pays for, its own before one that only may draw it."""
        for drawn in ("account_id", "common_account_id"):
            for row in self.points:
                if row[drawn] == purse_id:
                    return row
        return None

    def payee_of(self, purse_id: int) -> int | None:
        """Who is paid for what a purse pays for, at present; None: the house."""
        point = self.point_of(purse_id)
        row = None if point is None else self.payees.get(point["commodity"])
        return None if row is None else row["id"]

    def order(
        self, kind: PaymentKind, account_id: int, amount_minor: int,
        payee_id: int | None = None, of_id: int | None = None,
    ) -> NewPayment:  # fmt: skip
        """An order of this closing; one a kind, account and order that it pays back."""
        channel = "move" if kind is PaymentKind.MOVE else self.leaving.channel
        point = self.point_of(account_id)
        return NewPayment(
            self.agreement_id, account_id, channel, Minor(amount_minor),
            f"close:{self.agreement_id}:{kind}:{account_id}:{of_id or len(self.paid)}", kind,
            self.leaving.reason, None if point is None else point["id"], of_id, payee_id,
            second_id=self.second_id,
        )  # fmt: skip

    async def check_second(self, counted: Sequence[PaymentKind]) -> None:
        """Much money, or money that this household never paid in, is given out of hand by two.

        What is written off is given too: nobody will pay it.

        Raises:
            PayoutNeedsSecond: and nobody else has agreed.
        """
        limit_minor = react.Setting.of(self.project).policy.refund_second_minor
        out_minor, lost_minor = (
            sum(one.amount_minor for one in self.paid if one.kind in kinds)
            for kinds in (counted, (Debt.WRITE_OFF,))
        )
        is_agreed = self.second_id not in (None, self.actor_id)
        if limit_minor == 0 or out_minor + lost_minor == 0 or is_agreed:
            return
        left_minor = await agreements.paid_in_minor(
            self.connection, self.project["id"], self.agreement_id
        )
        is_unpaid = out_minor > 0 and left_minor < 0
        if max(out_minor, lost_minor) > limit_minor or is_unpaid:
            error = refund.PayoutNeedsSecond()
            error.field = ""
            raise error

    async def pay_out(self, new: NewPayment, part: str) -> None:
        """Out of the cash of who took the money."""
        cash_id = await ordering.cash_of(self.connection, self.project, new.payee_id, self.cash_id)
        await self.pay(new, new.account_id, cash_id, part)

    async def pay(self, new: NewPayment, debit_id: int, credit_id: int, part: str) -> None:
        """Write an order and note it."""
        payment_id, _ = await ordering.place(
            self.connection, self.project, new, debit_id, credit_id, self.actor_id, self.at
        )
        names = {row["id"]: row["name"] for row in self.payees.values()}
        self.paid.append(
            Paid(new.kind, part, new.amount_minor, new.payee_id, names.get(new.payee_id, ""),
                 new.point_id, payment_id)
        )  # fmt: skip

    async def balance(self, purses: Mapping[int, Any], left_minor: dict[int, int]) -> None:
        """Let what one compartment has make good what another owes, where one party gets both."""
        for owing in [one for one in left_minor if left_minor[one] < 0]:
            part = purses[owing]["compartment"]
            for having in [one for one in left_minor if left_minor[one] > 0]:
                its = purses[having]["compartment"]
                if left_minor[owing] == 0 or parties.is_pooled(self.parties, its, part, self.drawn):
                    continue
                amount_minor = min(left_minor[having], -left_minor[owing])
                new = self.order(PaymentKind.MOVE, having, amount_minor)
                await self.pay(new, having, owing, its)
                left_minor[having] -= amount_minor
                left_minor[owing] += amount_minor

    async def move_on(self, purse_id: int, part: str, amount_minor: int, to_id: int) -> None:
        """Hand what is left to the household that comes next."""
        rows = await customers.purses_of(self.connection, self.project["id"], [to_id])
        theirs = {row["compartment"]: row["id"] for row in rows}
        new = self.order(PaymentKind.MOVE, purse_id, amount_minor)
        await self.pay(new, purse_id, theirs.get(part) or theirs[Compartment.COMMON], part)

    async def make_good(self, purse_id: int, part: str, debt_minor: int) -> None:
        """A debt is paid now, or written off. Raises `DebtOpen`."""
        if self.leaving.debt is Debt.REFUSE:
            raise DebtOpen(amount=to_decimal(debt_minor, self.project["currency_exponent"]))
        if self.leaving.debt is Debt.PAID:
            payee_id = self.payee_of(purse_id)
            new = self.order(PaymentKind.RECHARGE, purse_id, debt_minor, payee_id)
            cash_id = await ordering.cash_of(self.connection, self.project, payee_id, self.cash_id)
            await self.pay(new, cash_id, purse_id, part)
            return
        project_id, unit = self.project["id"], self.project["currency"]
        owed_id = await ledger.open_account(
            self.connection, project_id, AccountKind.RECEIVABLE, unit, floor_minor=None
        )
        point = self.point_of(purse_id)
        point_id = None if point is None else point["id"]
        transfer = NewTransfer(
            owed_id, purse_id, Minor(debt_minor), TransferKind.WRITE_OFF, point_id,
            reason=self.leaving.reason,
        )  # fmt: skip
        await ledger.post(self.connection, project_id, [transfer], self.actor_id, self.at)
        self.paid.append(Paid(Debt.WRITE_OFF, part, debt_minor, point_id=point_id))


async def _write(
    connection: Connection, project_id: int, agreement_id: int, leaving: Leaving,
    registers: Sequence[LastRead], paid: Sequence[Paid], actor_id: int | None, at: datetime,
) -> None:  # fmt: skip
    closed = Closed(agreement_id, registers, paid)
    settlement = Settlement(
        at, [one.plain() for one in registers], closed.sum_minor(*_PAID_OUT),
        closed.sum_minor(Debt.WRITE_OFF), leaving.reason,
    )  # fmt: skip
    await agreements.insert_settlement(
        connection, project_id, agreement_id, settlement, actor_id, at
    )


async def _switch_off(
    connection: Connection, project: Any, points: Sequence[Any], reason: str,
    actor_id: int | None, at: datetime,
) -> None:  # fmt: skip
    """A vacated room is switched off in the name of who closed the account."""
    life_s = react.Setting.of(project).policy.command_life_s
    for row in points:
        if row["meter_id"] is None:
            continue
        await monitor.set_override(connection, project["id"], row["id"], Override.OFF)
        where = {
            "meter_id": row["meter_id"], "point_id": row["id"], "gateway_id": row["gateway_id"]
        }  # fmt: skip
        await enqueue(
            connection, project["id"], where, CommandKind.DISCONNECT, Reason.PERSON, reason,
            actor_id, at, life_s,
        )  # fmt: skip


async def _look(connection: Connection, project: Any, points: Sequence[Any], at: datetime) -> None:
    meters = [row["meter_id"] for row in points if row["meter_id"] is not None]
    await react.look_again(connection, project, meters, at)
