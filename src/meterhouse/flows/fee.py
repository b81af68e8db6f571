"""Fees (其他收费): a replaced card, a reconnection; charged once, apart from energy.

Owns where a fee comes from: over the counter at once, or out of the household's purses: the first
that holds all of it, the one for fees before the common one; else out of each in that order, an
order a purse, those behind the first naming it. Money that another payee's customers pay in is
never taken, and overdraft is not lent for it. A wrong fee is reversed whole, on any day. Must never
know how much a fee is, nor how it is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from meterhouse.control import policy as policies
from meterhouse.errors import BadInput, Conflict, MeterhouseError, NotFound
from meterhouse.flows import move, ordering, parties, react, sale
from meterhouse.flows.orders import FROM_PURSE
from meterhouse.flows.refund import Moved, NotReversible, PayoutNeedsSecond, ReversedAlready, Slip
from meterhouse.ledger.book import available_minor
from meterhouse.ledger.chart import DRAW_ORDER
from meterhouse.model import AccountKind, Compartment, PaymentKind
from meterhouse.store import (
    bookings,
    catalog,
    customers,
    desk,
    ledger,
    monitor,
    projects,
    readings,
    receipts,
    sales,
)
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewPayment
from meterhouse.units import Minor, to_decimal
from meterhouse.words import N_

CHARGE_CLASS = "fee"


class FeeBeyondPurse(MeterhouseError):
    """There is {available} for a fee, {missing} is missing; take it over the counter instead."""

    code = "fee_beyond_purse"
    http_status = 409
    field = "amount"


class PurposeMissing(BadInput):
    """Say what the fee is for."""

    code = "purpose_missing"
    field = "reason"


@dataclass(frozen=True, slots=True)
class Undoing:
    """What undoing a fee takes: how much goes back, all its orders together, and how many people.

    Above the project's limit two, where money is paid out or the fee's own day is over.
    """

    amount_minor: Minor
    needs_second: bool


async def charge(
    db: Database, project_id: int, point_id: int, amount_minor: Minor, slip: Slip
) -> Moved:
    """Charge the household of a point a fee; `slip.reason` says what for.

    Over the channel `FROM_PURSE` it comes out of its purses; over any other it is paid now, belongs
    to the open shift where it is cash, and brings a receipt.

    Raises:
        NotFound, NoLiveAgreement, HouseholdChanged, ProjectFrozen: nobody can be charged there.
        PurposeMissing: nothing says what for.
        FeeBeyondPurse: the purses that may pay it do not hold so much together.
        ShiftNeeded: cash, and the project demands an open shift for it.
        Conflict: the key was used for another payment.
    """
    if not slip.reason.strip():
        raise PurposeMissing
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        facts = await sales.facts(connection, project_id, point_id, slip.actor_id, slip.key)
        if facts is None:
            raise NotFound(N_("Point"), point_id)
        if facts["agreement_kind"] != "tenant":
            raise sale.NoLiveAgreement
        if facts["paid_id"] is None:
            sale.check_household(facts, slip.agreement_id)
            if facts["frozen"]:
                raise sale.ProjectFrozen
        payee_id = await _payee(connection, project_id)
        fee_id = await ledger.house_account(connection, project_id, AccountKind.FEE)
        new = NewPayment(
            facts["agreement_id"], fee_id, slip.channel, amount_minor, slip.key,
            kind=PaymentKind.FEE, reason=slip.reason, point_id=point_id, payee_id=payee_id,
        )  # fmt: skip
        if slip.channel != FROM_PURSE:
            cash_id = await ordering.cash_of(connection, facts, payee_id, facts["house_cash_id"])
            new = replace(new, shift_id=facts["shift_id"])
            return await _place(connection, facts, [(new, cash_id, fee_id)], slip)
        out_of = await _purses(connection, facts, amount_minor, slip.at)
        orders = [
            (replace(new, account_id=purse_id, amount_minor=much_minor), purse_id, fee_id)
            for purse_id, much_minor in out_of
        ]
        return await _place(connection, facts, orders, slip)


async def reverse(db: Database, project_id: int, payment_id: int, slip: Slip) -> Moved:
    """Undo a fee, whole and once: a further order for each of its orders, the way it came.

    Raises:
        NotFound: there is no such payment.
        NotReversible: it is no fee.
        ReversedAlready: it was undone before.
        HouseholdChanged: it came out of the purse of a household that has left.
        PayoutNeedsSecond, ShiftNeeded: it may not be undone so.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        old = await _known(connection, project_id, payment_id)
        parts = await desk.fee_orders(connection, project_id, payment_id)
        slip = replace(slip, channel=old["channel"])
        facts = await sales.facts(connection, project_id, old["point_id"], slip.actor_id, slip.key)
        if facts is None:
            raise NotFound(N_("Point"), old["point_id"])
        if facts["paid_id"] is None:
            await _check_reversal(connection, facts, old, parts, slip)
        fee_id = await ledger.house_account(connection, project_id, AccountKind.FEE)
        cash_id = None
        if old["channel"] != FROM_PURSE:
            cash_id = await ordering.cash_of(
                connection, facts, old["payee_id"], facts["house_cash_id"]
            )
        orders = [
            (
                NewPayment(
                    part["agreement_id"], part["account_id"], part["channel"],
                    Minor(part["amount_minor"]), slip.key, kind=PaymentKind.REVERSAL,
                    reason=slip.reason, point_id=part["point_id"], payee_id=part["payee_id"],
                    of_payment_id=part["id"], shift_id=facts["shift_id"] if cash_id else None,
                    second_id=slip.second_id,
                ),
                fee_id, cash_id or part["account_id"],
            )
            for part in parts
        ]  # fmt: skip
        done = await _place(connection, facts, orders, slip)
        if done.is_new and old["receipt_id"] is not None:
            await receipts.void(
                connection, project_id, old["receipt_id"], slip.reason, slip.actor_id, slip.at
            )
        return done


async def undoing(db: Database, project_id: int, payment_id: int, at: datetime) -> Undoing:
    """What it takes to undo a fee now. Raises `NotFound`, `NotReversible`."""
    async with db.transaction([project_id]) as connection:
        old = await _known(connection, project_id, payment_id)
        parts = await desk.fee_orders(connection, project_id, payment_id)
        project = await catalog.get_project(connection, project_id)
    return _undoing(project, old, parts, at)


def _undoing(project: Any, old: Any, parts: Sequence[Any], at: datetime) -> Undoing:
    zone = ZoneInfo(project["timezone"])
    is_today = old["created_at"].astimezone(zone).date() == at.astimezone(zone).date()
    amount_minor = Minor(sum(part["amount_minor"] for part in parts))
    is_much = policies.needs_second(policies.read(project["policy"]), amount_minor)
    # Out of the purse and on its own day nobody is paid, and no day's figures had stood.
    return Undoing(amount_minor, is_much and not (is_today and old["channel"] == FROM_PURSE))


async def _known(connection: Connection, project_id: int, payment_id: int) -> Any:
    old = await desk.get_payment(connection, project_id, payment_id)
    if old is None or old["point_id"] is None:
        raise NotFound(N_("Payment"), payment_id)
    if old["kind"] != PaymentKind.FEE:
        raise NotReversible
    return old


async def _check_reversal(
    connection: Connection, facts: Any, old: Any, parts: Sequence[Any], slip: Slip
) -> None:
    for part in parts:
        if await desk.is_undone(connection, facts["id"], part["id"]):
            raise ReversedAlready
    if old["channel"] == FROM_PURSE:
        # The purse of who has left was settled to the last coin; nothing may come into it.
        sale.check_household(facts, old["agreement_id"])
    alone = slip.second_id in (None, slip.actor_id)
    if alone and _undoing(facts, old, parts, slip.at).needs_second:
        raise PayoutNeedsSecond


async def _payee(connection: Connection, project_id: int) -> int | None:
    """Who receives fees; None for the house."""
    rows = await projects.payees(connection, project_id)
    return next((row["id"] for row in rows if row["charge_class"] == CHARGE_CLASS), None)


async def _purses(
    connection: Connection, facts: Any, amount_minor: int, at: datetime
) -> list[tuple[int, Minor]]:
    """The purses that pay, of the same payee, in their order, and how much each."""
    project_id, agreement_id = facts["id"], facts["agreement_id"]
    if facts["paid_id"] is not None:
        paid = await desk.fee_orders(connection, project_id, facts["paid_id"])
        if sum(row["amount_minor"] for row in paid) == amount_minor:
            return [(row["account_id"], Minor(row["amount_minor"])) for row in paid]
        raise Conflict(f"payment key of order {facts['paid_id']}", "it was used for another")
    rows = await customers.purses_of(connection, project_id, [agreement_id])
    held = {row["compartment"]: row["id"] for row in rows}
    received = await parties.of_project(connection, project_id)
    drawn = await parties.drawn_by(connection, project_id, [agreement_id])
    free: dict[int, int] = {}
    for part in (*DRAW_ORDER[CHARGE_CLASS], Compartment.COMMON):
        if part not in held or parties.is_pooled(received, part, Compartment.FEE, drawn):
            continue
        free_minor = await move.free_of(connection, facts, held[part], at)
        if free_minor >= amount_minor:
            return [(int(held[part]), Minor(amount_minor))]
        free[int(held[part])] = max(free_minor, 0)
    missing_minor = amount_minor - sum(free.values())
    if missing_minor > 0:
        texts = (to_decimal(one, facts["currency_exponent"])
                 for one in (amount_minor - missing_minor, missing_minor))  # fmt: skip
        raise FeeBeyondPurse(**dict(zip(("available", "missing"), texts, strict=True)))
    paying: list[tuple[int, Minor]] = []
    for purse_id, free_minor in free.items():
        much_minor = min(free_minor, amount_minor - sum(much for _, much in paying))
        if much_minor:
            paying.append((purse_id, Minor(much_minor)))
    return paying


async def _place(
    connection: Connection, facts: Any, orders: Sequence[tuple[NewPayment, int, int]], slip: Slip
) -> Moved:
    """Orders with their debit and credit accounts; then relays by what is left in the purse.

    The first has the slip's key. Those of a fee behind it name it.
    """
    project_id, point_id = facts["id"], facts["point_id"]
    first_id, is_new = 0, False
    for number, (one, debit_id, credit_id) in enumerate(orders):
        new = one if number == 0 else replace(
            one, key=f"{slip.key}:{number}",
            of_payment_id=first_id if one.kind is PaymentKind.FEE else one.of_payment_id,
        )  # fmt: skip
        payment_id, is_new = await ordering.place(
            connection, facts, new, debit_id, credit_id, slip.actor_id, slip.at
        )
        first_id = first_id or payment_id
    if is_new and slip.channel == FROM_PURSE:
        purses = [new.account_id for new, _, _ in orders]
        meters = await bookings.meters_of_purses(connection, project_id, purses)
        await react.look_again(connection, facts, meters, slip.at)
    await readings.bump(connection, project_id)
    purse = await ledger.read_purse(connection, project_id, point_id)
    left_minor = available_minor(
        sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
        facts["currency_exponent"],
    )  # fmt: skip
    amount_minor = Minor(sum(new.amount_minor for new, _, _ in orders))
    return Moved(first_id, is_new, amount_minor, left_minor)
