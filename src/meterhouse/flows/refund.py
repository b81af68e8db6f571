"""Money back: unused credit (退费), a wrong sale of the same day (冲正), deposits (押金).

Owns what may be paid out: never more than is there, never more than was paid in over that channel,
never what may still arrive on a meter, and above the project's limit only with a second person.
Nothing is changed: each is a payment and a transfer of its own. Must never know how it is shown.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from meterhouse.control import policy as policies
from meterhouse.errors import MeterhouseError, NotFound
from meterhouse.flows import close, react, receipt, sale
from meterhouse.ledger.book import available_minor
from meterhouse.model import AccountKind, PaymentKind
from meterhouse.store import desk, ledger, monitor, readings, receipts, sales
from meterhouse.store.db import Connection, Database
from meterhouse.store.ledger import NewPayment
from meterhouse.units import Minor, to_decimal
from meterhouse.words import N_

OUT: Final = (PaymentKind.REFUND, PaymentKind.REVERSAL, PaymentKind.DEPOSIT_REFUND)
BROUGHT: Final = (
    PaymentKind.OPENING, PaymentKind.OPENING_DEBT, PaymentKind.OPENING_DEPOSIT
)  # fmt: skip
"""What a household brought along from before these books: credit, debt, a deposit."""
DEPOSITS: Final = (PaymentKind.DEPOSIT, PaymentKind.OPENING_DEPOSIT)


class PayoutNeedsSecond(MeterhouseError):
    """So much money is given out of hand only when a second person agrees."""

    code = "payout_needs_second"
    http_status = 409
    field = "amount"


class MoneyUsed(MeterhouseError):
    """The money has been used already: {left} is left."""

    code = "money_used"
    http_status = 409
    field = "amount"


class BeyondPaid(MeterhouseError):
    """No more is paid back than was paid in that way: at most {left}."""

    code = "beyond_paid"
    http_status = 409
    field = "amount"


class MoneyUnderWay(MeterhouseError):
    """Money of this household is on its way into a meter; wait until it is known where it is."""

    code = "money_under_way"
    http_status = 409


class NotReversible(MeterhouseError):
    """Only a recharge can be reversed; pay anything else back on its own."""

    code = "not_reversible"
    http_status = 409


class ReversedAlready(MeterhouseError):
    """This payment has been reversed or paid back already."""

    code = "reversed_already"
    http_status = 409


class DayOver(MeterhouseError):
    """A recharge is reversed on the day it was made; refund the unused credit instead."""

    code = "day_over"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Slip:
    """How something is paid in or out, by whom, with whose agreement.

    `channel` is the payment's own where a payment is undone; `key` is chosen once, as for a sale.
    `agreement_id` is the household that is meant; None: whoever pays for the point.
    """

    channel: str
    key: str
    reason: str
    actor_id: int | None
    at: datetime
    second_id: int | None = None
    tender_minor: Minor | None = None
    agreement_id: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What was paid in or out, and what may be spent now."""

    payment_id: int
    is_new: bool
    amount_minor: Minor
    available_minor: int


async def refund(
    db: Database, project_id: int, point_id: int, amount_minor: Minor, slip: Slip
) -> Moved:
    """Pay unused credit back, over the channel it came in by.

    Raises:
        NotFound, NoLiveAgreement: there is no such point, or nobody pays for it.
        HouseholdChanged: another household than the one meant pays for it.
        MoneyUnderWay: a recharge of one of the household's meters is not settled.
        MoneyUsed: less than that may be spent.
        BeyondPaid: less than that was paid in over this channel.
        PayoutNeedsSecond, ShiftNeeded: it may not be paid out so.
    """
    async with db.transaction([project_id]) as connection:
        facts, left_minor = await _begin(connection, project_id, point_id, slip)
        if facts["paid_id"] is None:
            await _check_out(connection, facts, amount_minor, slip)
            if amount_minor > left_minor:
                raise MoneyUsed(left=_text(facts, left_minor))
            payee_id = await _payee(connection, facts, amount_minor, slip.channel)
        else:
            row = await desk.get_payment(connection, project_id, facts["paid_id"])
            payee_id = row["payee_id"] if row else None
        new = replace(_order(facts, slip, amount_minor, PaymentKind.REFUND), payee_id=payee_id)
        return await _out(connection, facts, new, slip)


async def reverse(db: Database, project_id: int, payment_id: int, slip: Slip) -> Moved:
    """Undo a wrong sale on the day it was made: a further payment, the other way.

    Raises:
        NotFound: there is no such payment.
        NotReversible: it is neither a sale nor brought along from before.
        ReversedAlready, DayOver: it is too late.
        MoneyUnderWay, MoneyUsed, BeyondPaid, PayoutNeedsSecond, ShiftNeeded: as for a refund.
    """
    async with db.transaction([project_id]) as connection:
        old = await desk.get_payment(connection, project_id, payment_id)
        if old is None or old["point_id"] is None:
            raise NotFound(N_("Payment"), payment_id)
        slip = replace(slip, channel=old["channel"])
        facts, left_minor = await _begin(connection, project_id, old["point_id"], slip)
        if old["kind"] in BROUGHT:
            return await _take_back_brought(connection, facts, old, slip)
        amount_minor = Minor(old["amount_minor"])
        if facts["paid_id"] is None:
            _check_sale(old, facts, await desk.is_undone(connection, project_id, payment_id), slip)
            await _check_out(connection, facts, amount_minor, slip)
            if amount_minor > left_minor:
                raise MoneyUsed(left=_text(facts, left_minor))
            await _check_paid(connection, facts, amount_minor, slip.channel, old["payee_id"])
        new = replace(
            _order(facts, slip, amount_minor, PaymentKind.REVERSAL), of_payment_id=payment_id,
            payee_id=old["payee_id"], account_id=old["account_id"],
        )  # fmt: skip
        return await _out(connection, facts, new, slip)


async def _take_back_brought(connection: Connection, facts: Any, old: Any, slip: Slip) -> Moved:
    """Undo what was mistyped of before, on any day; credit only while unused; no cash moves."""
    project_id, account_id = facts["id"], old["account_id"]
    amount_minor = Minor(old["amount_minor"])
    if facts["paid_id"] is None:
        if old["of_payment_id"] is not None:
            raise NotReversible
        if await desk.is_undone(connection, project_id, old["id"]):
            raise ReversedAlready
        if old["agreement_id"] != facts["agreement_id"]:
            raise sale.HouseholdChanged
        if old["kind"] == PaymentKind.OPENING:
            await _check_unused(connection, facts, old)
    new = replace(
        _order(facts, slip, amount_minor, PaymentKind(old["kind"])), account_id=account_id,
        of_payment_id=old["id"], payee_id=old["payee_id"], shift_id=None,
    )  # fmt: skip
    opening_id = await ledger.house_account(connection, project_id, AccountKind.OPENING)
    sides = (account_id, opening_id)
    if old["kind"] == PaymentKind.OPENING_DEBT:
        sides = (opening_id, account_id)
    return await _move(connection, facts, new, *sides, slip)


async def _check_unused(connection: Connection, facts: Any, old: Any) -> None:
    """Opening credit is all there still, in the purse it went into."""
    if await desk.live_recharge(connection, facts["id"], facts["account_id"]):
        raise MoneyUnderWay
    purse = await ledger.read_purse(connection, facts["id"], old["point_id"])
    held = dict(zip(purse.account_ids, purse.balances_minor, strict=True))
    free_minor = available_minor(
        sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
        facts["currency_exponent"],
    )  # fmt: skip
    left_minor = min(free_minor, held.get(old["account_id"], 0))
    if old["amount_minor"] > left_minor:
        raise MoneyUsed(left=_text(facts, left_minor))


async def take_deposit(
    db: Database, project_id: int, point_id: int, amount_minor: Minor, slip: Slip
) -> Moved:
    """Take a deposit, which lies apart from what may be spent.

    Raises:
        NotFound, NoLiveAgreement, HouseholdChanged, ProjectFrozen, ShiftNeeded, TenderShort: it
            cannot be taken.
    """
    async with db.transaction([project_id]) as connection:
        facts, _ = await _begin(connection, project_id, point_id, slip)
        if slip.tender_minor is not None and slip.tender_minor < amount_minor:
            raise sale.TenderShort
        if facts["paid_id"] is None:
            _check_shift(facts, slip)
            if facts["frozen"]:
                raise sale.ProjectFrozen
        deposit_id = await ledger.open_account(
            connection, project_id, AccountKind.DEPOSIT, facts["currency"], facts["agreement_id"]
        )
        new = replace(
            _order(facts, slip, amount_minor, PaymentKind.DEPOSIT), account_id=deposit_id,
            tender_minor=slip.tender_minor,
        )  # fmt: skip
        return await _move(
            connection, facts, new, await sale.cash_account(connection, facts), deposit_id, slip
        )


async def return_deposit(db: Database, project_id: int, payment_id: int, slip: Slip) -> Moved:
    """Give a deposit back, whole and once; one from before over the channel of the slip.

    Raises:
        NotFound: there is no such deposit.
        ReversedAlready: it was given back before.
        PayoutNeedsSecond, ShiftNeeded: it may not be paid out so.
    """
    async with db.transaction([project_id]) as connection:
        old = await desk.get_payment(connection, project_id, payment_id)
        if old is None or old["point_id"] is None or old["kind"] not in DEPOSITS:
            raise NotFound(N_("Deposit"), payment_id)
        if old["kind"] == PaymentKind.DEPOSIT:
            slip = replace(slip, channel=old["channel"])
        facts, _ = await _begin(connection, project_id, old["point_id"], slip, is_live=False)
        amount_minor = Minor(old["amount_minor"])
        if facts["paid_id"] is None:
            if await desk.is_undone(connection, project_id, payment_id):
                raise ReversedAlready
            _check_second(facts, amount_minor, slip)
            _check_shift(facts, slip)
        new = replace(
            _order(facts, slip, amount_minor, PaymentKind.DEPOSIT_REFUND),
            agreement_id=old["agreement_id"], account_id=old["account_id"],
            of_payment_id=payment_id, payee_id=old["payee_id"],
        )  # fmt: skip
        cash_id = await _cash_of(connection, facts, old["payee_id"])
        return await _move(connection, facts, new, old["account_id"], cash_id, slip)


async def needs_second(db: Database, project_id: int, amount_minor: int) -> bool:
    """Whether one person alone may not pay so much out."""
    async with db.transaction([project_id]) as connection:
        row = await desk.policy_of(connection, project_id)
    return policies.needs_second(policies.read(row), amount_minor)


async def payment_of(db: Database, project_id: int, payment_id: int) -> Any:
    """The payment that is to be undone, as `desk.get_payment` gives it. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await desk.get_payment(connection, project_id, payment_id)
    if row is None:
        raise NotFound(N_("Payment"), payment_id)
    return row


async def _begin(
    connection: Connection, project_id: int, point_id: int, slip: Slip, *, is_live: bool = True
) -> tuple[Any, int]:
    """What the point's household has: the facts, and what may be paid out of its own compartment.

    What has accrued is booked first, so that the balance says what is left.
    """
    await monitor.lock_project(connection, project_id)
    facts = await sales.facts(connection, project_id, point_id, slip.actor_id, slip.key)
    if facts is None:
        raise NotFound(N_("Point"), point_id)
    if is_live and facts["agreement_kind"] != "tenant":
        raise sale.NoLiveAgreement
    if facts["paid_id"] is None:
        sale.check_household(facts, slip.agreement_id)
    if facts["account_id"] is not None:
        await close.book(connection, facts, facts["account_id"], slip.at)
    purse = await ledger.read_purse(connection, project_id, point_id)
    left_minor = available_minor(
        sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
        facts["currency_exponent"],
    )  # fmt: skip
    return facts, min(left_minor, purse.balances_minor[0])


def _check_sale(old: Any, facts: Any, is_undone: bool, slip: Slip) -> None:
    if old["kind"] != PaymentKind.RECHARGE:
        raise NotReversible
    if is_undone:
        raise ReversedAlready
    # Whoever has moved out meanwhile is settled with, not reversed.
    zone = ZoneInfo(facts["timezone"])
    is_today = old["created_at"].astimezone(zone).date() == slip.at.astimezone(zone).date()
    if not is_today or old["account_id"] != facts["account_id"]:
        raise DayOver


async def _check_out(connection: Connection, facts: Any, amount_minor: int, slip: Slip) -> None:
    """What forbids any payout of a household's credit."""
    if await desk.live_recharge(connection, facts["id"], facts["account_id"]):
        raise MoneyUnderWay
    _check_second(facts, amount_minor, slip)
    _check_shift(facts, slip)


def _check_second(facts: Any, amount_minor: int, slip: Slip) -> None:
    policy = policies.read(facts["policy"])
    if slip.second_id in (None, slip.actor_id) and policies.needs_second(policy, amount_minor):
        raise PayoutNeedsSecond


def _check_shift(facts: Any, slip: Slip) -> None:
    policy = policies.read(facts["policy"])
    if slip.channel == sale.CASH and policy.desk_needs_shift and facts["shift_id"] is None:
        raise sale.ShiftNeeded


async def _payee(connection: Connection, facts: Any, amount_minor: int, channel: str) -> int | None:
    """Whose cash a refund comes out of: who took the money, the present payee before others."""
    rows = await desk.paid_in(connection, facts["id"], facts["account_id"], channel)
    left = {row["payee_id"]: row["left_minor"] for row in rows}
    enough = [payee for payee, left_minor in left.items() if left_minor >= amount_minor]
    if not enough:
        raise BeyondPaid(left=_text(facts, max([0, *left.values()])))
    payee_id: int | None = facts["payee_id"] if facts["payee_id"] in enough else enough[0]
    return payee_id


async def _check_paid(
    connection: Connection, facts: Any, amount_minor: int, channel: str, payee_id: int | None
) -> None:
    rows = await desk.paid_in(connection, facts["id"], facts["account_id"], channel)
    left_minor = sum(row["left_minor"] for row in rows if row["payee_id"] == payee_id)
    if amount_minor > left_minor:
        raise BeyondPaid(left=_text(facts, max(0, left_minor)))


def _order(facts: Any, slip: Slip, amount_minor: Minor, kind: PaymentKind) -> NewPayment:
    return NewPayment(
        facts["agreement_id"], facts["account_id"], slip.channel, amount_minor, slip.key,
        kind=kind, reason=slip.reason, point_id=facts["point_id"], payee_id=facts["payee_id"],
        shift_id=facts["shift_id"], second_id=slip.second_id,
    )  # fmt: skip


async def _cash_of(connection: Connection, facts: Any, payee_id: int | None) -> int:
    """The cash that a payee, or the house, took the money into."""
    if payee_id is None:
        house_id: int = facts["house_cash_id"]
        return house_id
    return await desk.open_payee_cash(connection, facts["id"], payee_id, facts["currency"])


async def _out(connection: Connection, facts: Any, new: NewPayment, slip: Slip) -> Moved:
    cash_id = await _cash_of(connection, facts, new.payee_id)
    return await _move(connection, facts, new, new.account_id, cash_id, slip)


async def _move(
    connection: Connection, facts: Any, new: NewPayment, debit_id: int, credit_id: int, slip: Slip
) -> Moved:
    """The order and its transfer, then warnings and relays by what is left."""
    project_id = facts["id"]
    payment_id, is_new = await ledger.order(
        connection, project_id, new, debit_id, credit_id, slip.actor_id, slip.at
    )
    if is_new:
        meters = await monitor.meters_of_account(connection, project_id, facts["account_id"])
        await react.look_again(connection, facts, meters, slip.at)
        if receipt.is_fit(new.kind, new.channel):
            await sale.with_receipt(
                connection, facts, payment_id, new.channel, slip.actor_id, slip.at
            )
        # Only now, since the new paper names the one that it takes back.
        if new.kind is PaymentKind.REVERSAL and (old := await _paper(connection, facts, new)):
            await receipts.void(connection, project_id, old, slip.reason, slip.actor_id, slip.at)
    assert new.point_id is not None
    purse = await ledger.read_purse(connection, project_id, new.point_id)
    await readings.bump(connection, project_id)
    left_minor = available_minor(
        sum(purse.balances_minor), purse.pending_debit_minor, purse.accrued_nano,
        facts["currency_exponent"],
    )  # fmt: skip
    return Moved(payment_id, is_new, new.amount_minor, left_minor)


async def _paper(connection: Connection, facts: Any, new: NewPayment) -> int | None:
    """The receipt of the sale that is undone."""
    assert new.of_payment_id is not None
    return await receipts.of_payment(connection, facts["id"], new.of_payment_id)


def _text(facts: Any, amount_minor: int) -> str:
    return to_decimal(max(0, amount_minor), facts["currency_exponent"])
