"""Fees (其他收费): a replaced card, a reconnection; charged once, apart from energy.

Owns where a fee comes from: out of the household's purse, or over the counter at once; and that a
wrong one is reversed on its day. One order comes out of one purse: the one for fees if it holds
all of it, else the common one. Money that another payee's customers pay in is never taken, and
overdraft is not lent for it. Must never know how much a fee is, nor how it is shown.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from meterhouse.control import policy as policies
from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows import move, ordering, parties, react, sale
from meterhouse.flows.orders import FROM_PURSE
from meterhouse.flows.refund import Moved, NotReversible, PayoutNeedsSecond, ReversedAlready, Slip
from meterhouse.ledger.book import available_minor
from meterhouse.ledger.chart import DRAW_ORDER
from meterhouse.model import AccountKind, Compartment, PaymentKind
from meterhouse.store import (
    bookings,
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
    """The purse cannot pay this fee: at most {available}; take it over the counter instead."""

    code = "fee_beyond_purse"
    http_status = 409
    field = "amount"


class FeeDayOver(MeterhouseError):
    """A fee is reversed on the day it was charged."""

    code = "fee_day_over"
    http_status = 409


class PurposeMissing(BadInput):
    """Say what the fee is for."""

    code = "purpose_missing"
    field = "reason"


async def charge(
    db: Database, project_id: int, point_id: int, amount_minor: Minor, slip: Slip
) -> Moved:
    """Charge the household of a point a fee; `slip.reason` says what for.

    Over the channel `FROM_PURSE` it comes out of the purse; over any other it is paid now, belongs
    to the open shift where it is cash, and brings a receipt.

    Raises:
        NotFound, NoLiveAgreement, HouseholdChanged, ProjectFrozen: nobody can be charged there.
        PurposeMissing: nothing says what for.
        FeeBeyondPurse: no purse that may pay it holds so much.
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
        if slip.channel == FROM_PURSE:
            account_id = from_id = await _purse(connection, facts, amount_minor, slip.at)
            shift_id = None
        else:
            from_id = await ordering.cash_of(connection, facts, payee_id, facts["house_cash_id"])
            account_id, shift_id = fee_id, facts["shift_id"]
        new = NewPayment(
            facts["agreement_id"], account_id, slip.channel, amount_minor, slip.key,
            kind=PaymentKind.FEE, reason=slip.reason, point_id=point_id, payee_id=payee_id,
            shift_id=shift_id,
        )  # fmt: skip
        return await _place(connection, facts, new, from_id, fee_id, slip)


async def reverse(db: Database, project_id: int, payment_id: int, slip: Slip) -> Moved:
    """Undo a fee on the day it was charged, by a further order the other way.

    Raises:
        NotFound: there is no such payment.
        NotReversible: it is no fee.
        ReversedAlready, FeeDayOver: it is too late.
        HouseholdChanged: it came out of the purse of a household that has left.
        PayoutNeedsSecond, ShiftNeeded: it may not be paid out so.
    """
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        old = await desk.get_payment(connection, project_id, payment_id)
        if old is None or old["point_id"] is None:
            raise NotFound(N_("Payment"), payment_id)
        if old["kind"] != PaymentKind.FEE:
            raise NotReversible
        slip = replace(slip, channel=old["channel"])
        facts = await sales.facts(connection, project_id, old["point_id"], slip.actor_id, slip.key)
        if facts is None:
            raise NotFound(N_("Point"), old["point_id"])
        if facts["paid_id"] is None:
            await _check_reversal(connection, facts, old, slip)
        fee_id = await ledger.house_account(connection, project_id, AccountKind.FEE)
        back_id, shift_id = old["account_id"], None
        if old["channel"] != FROM_PURSE:
            shift_id = facts["shift_id"]
            back_id = await ordering.cash_of(
                connection, facts, old["payee_id"], facts["house_cash_id"]
            )
        new = NewPayment(
            old["agreement_id"], old["account_id"], old["channel"], Minor(old["amount_minor"]),
            slip.key, kind=PaymentKind.REVERSAL, reason=slip.reason, point_id=old["point_id"],
            payee_id=old["payee_id"], of_payment_id=payment_id, shift_id=shift_id,
            second_id=slip.second_id,
        )  # fmt: skip
        done = await _place(connection, facts, new, fee_id, back_id, slip)
        if done.is_new and old["receipt_id"] is not None:
            await receipts.void(
                connection, project_id, old["receipt_id"], slip.reason, slip.actor_id, slip.at
            )
        return done


async def _check_reversal(connection: Connection, facts: Any, old: Any, slip: Slip) -> None:
    if await desk.is_undone(connection, facts["id"], old["id"]):
        raise ReversedAlready
    zone = ZoneInfo(facts["timezone"])
    if old["created_at"].astimezone(zone).date() != slip.at.astimezone(zone).date():
        raise FeeDayOver
    if old["channel"] == FROM_PURSE:
        # The purse of who has left was settled to the last coin; nothing may come into it.
        sale.check_household(facts, old["agreement_id"])
        return
    policy = policies.read(facts["policy"])
    alone = slip.second_id in (None, slip.actor_id)
    if alone and policies.needs_second(policy, old["amount_minor"]):
        raise PayoutNeedsSecond


async def _payee(connection: Connection, project_id: int) -> int | None:
    """Who receives fees; None for the house."""
    rows = await projects.payees(connection, project_id)
    return next((row["id"] for row in rows if row["charge_class"] == CHARGE_CLASS), None)


async def _purse(connection: Connection, facts: Any, amount_minor: int, at: datetime) -> int:
    """The purse that pays: the first that holds all of it and is the same payee's."""
    project_id, agreement_id = facts["id"], facts["agreement_id"]
    if facts["paid_id"] is not None:
        paid = await desk.get_payment(connection, project_id, facts["paid_id"])
        if paid is not None:
            return int(paid["account_id"])
    rows = await customers.purses_of(connection, project_id, [agreement_id])
    held = {row["compartment"]: row["id"] for row in rows}
    received = await parties.of_project(connection, project_id)
    drawn = await parties.drawn_by(connection, project_id, [agreement_id])
    most_minor = 0
    for part in (*DRAW_ORDER[CHARGE_CLASS], Compartment.COMMON):
        if part not in held or parties.is_pooled(received, part, Compartment.FEE, drawn):
            continue
        free_minor = await move.free_of(connection, facts, held[part], at)
        if free_minor >= amount_minor:
            return int(held[part])
        most_minor = max(most_minor, free_minor)
    raise FeeBeyondPurse(available=to_decimal(most_minor, facts["currency_exponent"]))


async def _place(
    connection: Connection, facts: Any, new: NewPayment, debit_id: int, credit_id: int, slip: Slip
) -> Moved:
    """The order, then warnings and relays by what is left in the purse."""
    project_id, point_id = facts["id"], facts["point_id"]
    payment_id, is_new = await ordering.place(
        connection, facts, new, debit_id, credit_id, slip.actor_id, slip.at
    )
    if is_new and new.channel == FROM_PURSE:
        meters = await bookings.meters_of_purses(connection, project_id, [new.account_id])
        await react.look_again(connection, facts, meters, slip.at)
    await readings.bump(connection, project_id)
    purse = await ledger.read_purse(connection, project_id, point_id)
    left_minor = available_minor(
        sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
        facts["currency_exponent"],
    )  # fmt: skip
    return Moved(payment_id, is_new, new.amount_minor, left_minor)
