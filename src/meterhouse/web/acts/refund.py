"""Acts that pay money back at the desk, deposits and fees; above a limit two people pay out.

Owns how they are asked for. One that needs a second person becomes a task that waits until somebody
else with the same verb approves it, and is then done once.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, tzinfo
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.flows import desk, fee, monitor, refund
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.orders import FROM_PURSE
from meterhouse.flows.refund import Moved, Slip
from meterhouse.model import PaymentKind
from meterhouse.units import Minor
from meterhouse.web import labels
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts.bulk import wait_for_second
from meterhouse.web.acts.frame import (
    REASON_CHARS_MAX,
    REASON_CHARS_MIN,
    Act,
    Ask,
    Choices,
    Doing,
    ReasonText,
    Why,
)
from meterhouse.web.acts.money import CHANNELS, OfHousehold, household_of, read_amount_minor
from meterhouse.web.api import desk as shapes
from meterhouse.web.api.shapes import money
from meterhouse.web.paperwords import PAID_BY, WAYS
from meterhouse.words import N_

_TAG: Final = "money"
_POINT: Final = "/projects/{project_id}/points/{point_id}"
_PAYMENT: Final = "/projects/{project_id}/payments/{payment_id}"

AmountText = Annotated[str, StringConstraints(min_length=1, max_length=15)]
Channel = Annotated[
    str, StringConstraints(pattern=r"^[a-z_]{1,20}$"),
    Ask(N_("Paid by"), kind="choice", words=CHANNELS),
]  # fmt: skip


class NewRefund(OfHousehold):
    """Unused credit to be paid back."""

    amount: Annotated[AmountText, Ask(N_("Amount"), kind="money")] = Field(
        examples=["0.50"], json_schema_extra={"format": "decimal"}
    )
    """Decimal string in the project's currency, above zero."""
    channel: Annotated[
        str, StringConstraints(pattern=r"^[a-z_]{1,20}$"),
        Ask(N_("Paid back by"), kind="choice", words=CHANNELS,
            hint=N_("No more than was paid in that way")),
    ] = Field(default="cash", examples=["cash"])  # fmt: skip
    """How it is paid back; no more than was paid in over the same channel."""
    reason: ReasonText
    """Why; kept with the payment and in the audit."""


async def _fee_ways(doing: Doing) -> Choices:
    """How a fee may be paid; out of the purse where the reader may move households' money."""
    ways = PAID_BY
    if doing.may(Verb.MONEY_MOVE):
        ways = ways | {FROM_PURSE: N_("From the purse")}
    return [(way, doing.words(word)) for way, word in ways.items()]


class NewFee(OfHousehold):
    """A fee to be charged."""

    amount: Annotated[AmountText, Ask(N_("Amount"), kind="money")] = Field(
        examples=["20.00"], json_schema_extra={"format": "decimal"}
    )
    """Decimal string in the project's currency, above zero."""
    reason: Annotated[
        str, StringConstraints(min_length=REASON_CHARS_MIN, max_length=REASON_CHARS_MAX),
        Ask(N_("Fee for"), hint=N_("Printed on the receipt, as in “replacement card”")),
    ] = Field(examples=["replacement card"])  # fmt: skip
    """What for; it stands on the receipt, the statement and the order, and in the audit."""
    channel: Annotated[
        str, StringConstraints(pattern=r"^[a-z_]{1,20}$"),
        Ask(N_("Paid by"), kind="choice", choices=_fee_ways,
            hint=N_("The purse pays with what was not paid in for one commodity alone")),
    ] = Field(default="cash", examples=["cash"])  # fmt: skip
    """How it is paid; `purse`: out of what the household has, which takes `money.move` as well."""


class NewDeposit(OfHousehold):
    """A deposit to be taken."""

    amount: Annotated[AmountText, Ask(N_("Amount"), kind="money")] = Field(
        examples=["200.00"], json_schema_extra={"format": "decimal"}
    )
    """Decimal string in the project's currency, above zero."""
    channel: Channel = Field(default="cash", examples=["cash"])
    """How it was paid."""
    reason: Annotated[str, StringConstraints(max_length=200), Ask(N_("Note"))] = Field(
        default="", examples=["key card"]
    )
    """A note."""


def _slip(
    doing: Doing, reason: str, channel: str = "cash", agreement_id: int | None = None
) -> Slip:
    doer = doing.doer
    return Slip(
        channel, f"{doer.via}:{doer.actor_id}:{doer.key}", reason, doer.actor_id, doer.at,
        doing.second_id, agreement_id=agreement_id,
    )  # fmt: skip


def _done(doing: Doing, done: Moved, reason: str) -> Done:
    scope, _ = doing.here
    answer = shapes.Payout(
        payment_id=done.payment_id, task_id=None, amount=money(done.amount_minor, scope),
        available=money(done.available_minor, scope),
    )  # fmt: skip
    after = {"amount_minor": done.amount_minor}
    return Done(
        f"payment:{done.payment_id}", answer.model_dump(mode="json"), after=after, reason=reason
    )


async def _by_two(
    doing: Doing, act: Act[Any], form: Any, amount_minor: Minor,
    alone: Callable[[], Awaitable[Moved]],
) -> Done:  # fmt: skip
    """Do it, or let it wait for a second person."""
    needed = doing.second_id is None and await refund.needs_second(
        doing.db, doing.project_id, amount_minor
    )
    if not needed:
        return _done(doing, await alone(), form.reason)
    scope, _ = doing.here
    task_id = await wait_for_second(act, doing, form, form.reason)
    answer = shapes.Payout(
        payment_id=None, task_id=task_id, amount=money(amount_minor, scope), available=None
    )
    after = {"task_id": task_id, "amount_minor": amount_minor, "waits": True}
    return Done(f"task:{task_id}", answer.model_dump(mode="json"), after=after, reason=form.reason)


async def _refund(doing: Doing, form: NewRefund) -> Done:
    """Pay unused credit back, over the channel it came in by."""
    _, fmt = doing.here
    amount_minor = read_amount_minor(form.amount, fmt)
    if form.agreement_id is None:
        # Whoever agrees to it later agrees to this household's money being paid out.
        form = form.model_copy(update=dict(await household_of(doing)))

    async def alone() -> Moved:
        return await refund.refund(
            doing.db, doing.project_id, doing.ids["point_id"], amount_minor,
            _slip(doing, form.reason, form.channel, form.agreement_id),
        )  # fmt: skip

    return await _by_two(doing, REFUND, form, amount_minor, alone)


async def _reverse(doing: Doing, form: Why) -> Done:
    """Undo a wrong sale on its day, a wrong fee, or a mistyped opening, by a further payment."""
    payment_id = doing.ids["payment_id"]

    old = await refund.payment_of(doing.db, doing.project_id, payment_id)

    async def alone() -> Moved:
        slip = _slip(doing, form.reason)
        reverse = fee.reverse if old["kind"] == PaymentKind.FEE else refund.reverse
        return await reverse(doing.db, doing.project_id, payment_id, slip)

    if old["kind"] in refund.BROUGHT:
        scope, _ = doing.here
        if not scope.covers(Verb.OPENING_CREDIT, None):
            raise NotAllowed(Verb.OPENING_CREDIT)
        return _done(doing, await alone(), form.reason)
    if old["kind"] == PaymentKind.FEE:
        takes = await fee.undoing(doing.db, doing.project_id, payment_id, doing.doer.at)
        if takes.needs_second:
            return await _by_two(doing, REVERSE, form, takes.amount_minor, alone)
        return _done(doing, await alone(), form.reason)
    return await _by_two(doing, REVERSE, form, Minor(old["amount_minor"]), alone)


async def _take(doing: Doing, form: NewDeposit) -> Done:
    """Take a deposit, which lies apart from what may be spent."""
    _, fmt = doing.here
    slip = _slip(doing, form.reason, form.channel, form.agreement_id)
    done = await refund.take_deposit(
        doing.db, doing.project_id, doing.ids["point_id"], read_amount_minor(form.amount, fmt),
        slip,
    )  # fmt: skip
    return _done(doing, done, form.reason)


async def _charge(doing: Doing, form: NewFee) -> Done:
    """Charge a household a fee: paid over the counter at once, or out of its purse."""
    _, fmt = doing.here
    # Whoever takes money at the counter may take it for a fee as well. What lies in a purse is the
    # household's already, and taking it needs the right to move it; nothing leaves the books, so
    # it is not a refund's right.
    if form.channel == FROM_PURSE and not doing.may(Verb.MONEY_MOVE):
        raise NotAllowed(Verb.MONEY_MOVE)
    slip = _slip(doing, form.reason, form.channel, form.agreement_id)
    done = await fee.charge(
        doing.db, doing.project_id, doing.ids["point_id"], read_amount_minor(form.amount, fmt),
        slip,
    )  # fmt: skip
    return _done(doing, done, form.reason)


async def _give_back(doing: Doing, form: Why) -> Done:
    """Give a deposit back, whole and once."""
    payment_id = doing.ids["payment_id"]

    async def alone() -> Moved:
        slip = _slip(doing, form.reason)
        return await refund.return_deposit(doing.db, doing.project_id, payment_id, slip)

    old = await refund.payment_of(doing.db, doing.project_id, payment_id)
    return await _by_two(doing, GIVE_BACK, form, Minor(old["amount_minor"]), alone)


async def _about_point(doing: Doing) -> Choices:
    now = await monitor.point(doing.db, doing.project_id, point_id=doing.ids["point_id"])
    _, fmt = doing.here
    return (
        (N_("Room"), f"{now.building} {now.room}"),
        (N_("Customer"), labels.customer_of(now, doing.words)),
        (N_("Available"), fmt.money(now.available_minor)),
    )


async def _about_payment(doing: Doing) -> Choices:
    told = await desk.sold(doing.db, doing.project_id, doing.ids["payment_id"])
    _, fmt = doing.here
    row = told.payment
    return (
        (N_("Room"), f"{row['building']} {row['room']}"),
        (N_("Customer"), labels.customer_of(told.now, doing.words)),
        (N_("What"), labels.label(doing.words, PaymentKind(row["kind"]))),
        (N_("Amount"), fmt.money(row["amount_minor"])),
        (N_("Paid by"), doing.words(WAYS.get(row["channel"], row["channel"]))),
        (N_("At"), fmt.instant(row["created_at"])),
        (N_("Available"), fmt.money(told.now.available_minor)),
    )


def _then(doing: Doing, answer: Any) -> str:
    project = f"/projects/{doing.project_id}"
    if answer["task_id"]:
        return f"{project}/tasks/{answer['task_id']}/progress"
    return f"{project}/desk/sales/{answer['payment_id']}"


REFUND: Final[Act[Any]] = Act(
    "payment.refund", Verb.MONEY_REFUND, f"{_POINT}/refunds", N_("Refund"), NewRefund,
    shapes.Payout, _refund, tag=_TAG, about=_about_point, watch=True, then=_then,
    typed=household_of, danger=True, proof=True,
    consequence=N_("Money is paid out. What is left may be too little to keep the power on."),
)  # fmt: skip
REVERSE: Final[Act[Any]] = Act(
    "payment.reverse", Verb.MONEY_REFUND, f"{_PAYMENT}/reverse", N_("Reverse"), Why,
    shapes.Payout, _reverse, tag=_TAG, about=_about_payment, watch=True,
    then=_then, danger=True, proof=True,
    consequence=N_("It is undone by a payment the other way; its receipt becomes void."),
)  # fmt: skip
DEPOSIT: Final[Act[Any]] = Act(
    "deposit.take", Verb.CREDIT_ADD, f"{_POINT}/deposits", N_("Take deposit"), NewDeposit,
    shapes.Payout, _take, tag=_TAG, about=_about_point, watch=True, then=_then,
    typed=household_of,
)  # fmt: skip
FEE: Final[Act[Any]] = Act(
    "fee.charge", Verb.CREDIT_ADD, f"{_POINT}/fees", N_("Charge a fee"), NewFee,
    shapes.Payout, _charge, tag=_TAG, about=_about_point, watch=True, then=_then,
    typed=household_of,
)  # fmt: skip
GIVE_BACK: Final[Act[Any]] = Act(
    "deposit.give_back", Verb.MONEY_REFUND, f"{_PAYMENT}/give-back", N_("Return deposit"), Why,
    shapes.Payout, _give_back, tag=_TAG, about=_about_payment, watch=True,
    then=_then, danger=True, proof=True, consequence=N_("The whole deposit is paid out."),
)  # fmt: skip


def undo_of(row: Any, zone: tzinfo, at: datetime) -> Act[Any] | None:
    """The act that undoes a payment, as far as its kind and its day allow one."""
    if row["kind"] == PaymentKind.FEE:
        return REVERSE
    if row["kind"] == PaymentKind.RECHARGE:
        day, today = (one.astimezone(zone).date() for one in (row["created_at"], at))
        return REVERSE if day == today else None
    if row["kind"] in (PaymentKind.OPENING, PaymentKind.OPENING_DEBT):
        return REVERSE if row["of_payment_id"] is None else None
    is_first = row["of_payment_id"] is None
    return GIVE_BACK if row["kind"] in refund.DEPOSITS and is_first else None


ACTS: Final = (REFUND, REVERSE, DEPOSIT, FEE, GIVE_BACK)
