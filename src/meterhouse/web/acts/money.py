"""Acts on money at the desk."""

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import BadInput
from meterhouse.flows import monitor, recharge
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.units import Minor, from_decimal
from meterhouse.web import labels
from meterhouse.web.acts.frame import REASON_CHARS_MAX, Act, Ask, Choices, Doing, Form
from meterhouse.web.api import schemas, shapes
from meterhouse.web.formats import Formats
from meterhouse.words import N_

CHANNELS: Final = {
    "cash": N_("Cash"),
    "card": N_("Card"),
    "transfer": N_("Bank transfer"),
}


class AmountUnusable(BadInput):
    """Enter an amount from {low} to {high} with at most {decimals} decimals."""

    code = "amount_unusable"


class NewCredit(Form):
    """Money taken at the desk or by the caller's own system."""

    amount: Annotated[
        str, StringConstraints(min_length=1, max_length=15), Ask(N_("Amount"), kind="money")
    ] = Field(examples=["100.00"], json_schema_extra={"format": "decimal"})
    """Decimal string in the project's currency, above zero."""
    channel: Annotated[
        str, StringConstraints(pattern=r"^[a-z_]{1,20}$"),
        Ask(N_("Paid by"), kind="choice", words=CHANNELS),
    ] = Field(default="cash", examples=["cash", "card"])  # fmt: skip
    """How it was paid."""
    reason: Annotated[
        str, StringConstraints(max_length=REASON_CHARS_MAX), Ask(N_("Note"))
    ] = Field(default="", examples=["counter 2"])  # fmt: skip
    """A note."""


def read_amount_minor(text: str, fmt: Formats) -> Minor:
    """What was typed as money, as whole coins. Raises `AmountUnusable`."""
    exponent = fmt.currency_exponent
    try:
        amount_minor = from_decimal(text, exponent)
    except BadInput:
        amount_minor = 0
    if not 1 <= amount_minor <= recharge.PAYMENT_MINOR_MAX:
        low, high = fmt.money(1), fmt.money(recharge.PAYMENT_MINOR_MAX)
        error = AmountUnusable(low=low, high=high, decimals=exponent)
        error.field = "amount"
        raise error
    return Minor(amount_minor)


async def _add(doing: Doing, form: NewCredit) -> Done:
    """Pay money into the purse a point draws on; the same key pays once."""
    scope, fmt = doing.here
    doer, point_id = doing.doer, doing.ids["point_id"]
    amount_minor = read_amount_minor(form.amount, fmt)
    done = await recharge.add_credit(
        doing.db, doing.project_id, point_id, amount_minor, form.channel,
        f"{doer.via}:{doer.actor_id}:{doer.key}", form.reason, doer.actor_id, doer.at,
    )  # fmt: skip
    shape = schemas.Credit(
        payment_id=done.payment_id,
        amount=shapes.money(amount_minor, scope),
        available=shapes.money(done.available_minor, scope),
    )
    return Done(
        f"point:{point_id}",
        shape.model_dump(mode="json"),
        after={"payment_id": done.payment_id, "amount_minor": amount_minor},
        reason=form.reason,
    )


async def _about(doing: Doing) -> Choices:
    now = await monitor.point(doing.db, doing.project_id, point_id=doing.ids["point_id"])
    _, fmt = doing.here
    return (
        (N_("Room"), f"{now.building} {now.room}"),
        (N_("Customer"), labels.customer_of(now, doing.words)),
        (N_("Available"), fmt.money(now.available_minor)),
    )


def _told(doing: Doing, answer: Any) -> Choices:
    _, fmt = doing.here
    available_minor = from_decimal(answer["available"]["amount"], fmt.currency_exponent)
    added_minor = from_decimal(answer["amount"]["amount"], fmt.currency_exponent)
    return (
        (N_("Added"), fmt.money(added_minor)),
        (N_("Available now"), fmt.money(available_minor)),
        (N_("Payment"), str(answer["payment_id"])),
    )


ADD: Final = Act(
    "credit.add",
    Verb.CREDIT_ADD,
    "/projects/{project_id}/points/{point_id}/credits",
    N_("Add credit"),
    NewCredit,
    schemas.Credit,
    _add,
    needs_key=True,
    tag="money",
    about=_about,
    told=_told,
)

ACTS: Final = (ADD,)
