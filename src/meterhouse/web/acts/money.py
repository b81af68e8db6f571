"""Selling: money taken at the desk, at a room or by another system, for what a point delivers."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import BadInput
from meterhouse.flows import desk, monitor, recharge, sale
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.sale import Wish
from meterhouse.model import Commodity
from meterhouse.units import Minor, from_decimal, to_decimal
from meterhouse.web import labels, paperwords
from meterhouse.web.acts.frame import REASON_CHARS_MAX, Act, Ask, Choices, Doing, Form
from meterhouse.web.acts.typed import EXAMPLE, Number, energy_milli
from meterhouse.web.api import schemas, shapes
from meterhouse.web.formats import ABSENT, Formats
from meterhouse.words import N_

CHANNELS: Final = paperwords.PAID_BY

AmountText = Annotated[str, StringConstraints(max_length=15)]


class AmountUnusable(BadInput):
    """Enter an amount from {low} to {high} with at most {decimals} decimals."""

    code = "amount_unusable"


class OfHousehold(Form):
    """What is done to whoever pays for a point: the household that it was shown for, and no other.

    Between a form that is open, or a task that waits, and its doing somebody else may have moved
    in. A program that leaves it out means whoever pays by then.
    """

    agreement_id: Annotated[Number | None, EXAMPLE, Ask(N_("Household"), kind="hidden")] = None
    """Id of the agreement it is meant for; refused once another household pays for the point."""


async def household_of(doing: Doing) -> Mapping[str, Any]:
    """Who pays for the point of the address, as its form keeps it."""
    point_id = doing.ids["point_id"]
    found = await desk.payers(doing.db, doing.project_id, [point_id])
    return {"agreement_id": found[point_id]} if point_id in found else {}


async def _households_of(doing: Doing, point_ids: Sequence[int]) -> Mapping[int, Mapping[str, Any]]:
    found = await desk.payers(doing.db, doing.project_id, point_ids)
    return {point_id: {"agreement_id": agreement_id} for point_id, agreement_id in found.items()}


class NewCredit(OfHousehold):
    """Money taken at the desk or by the caller's own system."""

    amount: Annotated[AmountText | None, Ask(N_("Amount"), kind="money")] = Field(
        default=None, examples=["100.00"], json_schema_extra={"format": "decimal"}
    )
    """Decimal string in the project's currency, above zero; left out where it is sold by energy."""
    energy: Annotated[AmountText | None, Ask(N_("Or energy"))] = Field(
        default=None, examples=["120"], json_schema_extra={"format": "decimal"}
    )
    """Energy or volume in billing units instead of an amount, where a unit has one price."""
    channel: Annotated[
        str, StringConstraints(pattern=r"^[a-z_]{1,20}$"),
        Ask(N_("Paid by"), kind="choice", words=CHANNELS),
    ] = Field(default="cash", examples=["cash", "card"])  # fmt: skip
    """How it was paid."""
    tender: Annotated[AmountText | None, Ask(N_("Cash received"), kind="money")] = Field(
        default=None, examples=["100.00"], json_schema_extra={"format": "decimal"}
    )
    """The cash handed over, at least the amount; empty: exactly so. Only for cash."""
    reason: Annotated[
        str, StringConstraints(max_length=REASON_CHARS_MAX), Ask(N_("Note"))
    ] = Field(default="", examples=["counter 2"])  # fmt: skip
    """A note."""


class SameCredit(Form):
    """The same amount for every household chosen."""

    amount: Annotated[AmountText, Ask(N_("Amount for each"), kind="money")] = Field(
        min_length=1, examples=["100.00"], json_schema_extra={"format": "decimal"}
    )
    """Decimal string in the project's currency, above zero; every household gets it."""
    channel: Annotated[
        str, StringConstraints(pattern=r"^[a-z_]{1,20}$"),
        Ask(N_("Paid by"), kind="choice", words=CHANNELS),
    ] = Field(default="transfer", examples=["transfer"])  # fmt: skip
    """How it was paid."""
    reason: Annotated[
        str, StringConstraints(max_length=REASON_CHARS_MAX), Ask(N_("Note"))
    ] = Field(default="", examples=["March subsidy"])  # fmt: skip
    """A note."""


def read_amount_minor(text: str, fmt: Formats, field: str = "amount") -> Minor:
    """What was typed as money, as whole coins. Raises `AmountUnusable`."""
    exponent = fmt.currency_exponent
    try:
        amount_minor = from_decimal(text, exponent)
    except BadInput:
        amount_minor = 0
    if not 1 <= amount_minor <= recharge.PAYMENT_MINOR_MAX:
        low, high = fmt.money(1), fmt.money(recharge.PAYMENT_MINOR_MAX)
        error = AmountUnusable(low=low, high=high, decimals=exponent)
        error.field = field
        raise error
    return Minor(amount_minor)


def _wish(doing: Doing, form: NewCredit) -> Wish:
    """What was typed, as exact values. Raises `AmountUnusable`, `EnergyUnusable`."""
    _, fmt = doing.here
    doer = doing.doer
    by_energy = form.energy and not form.amount
    # Both typed is left to the flow, which refuses it.
    return Wish(
        None if by_energy else read_amount_minor(form.amount or "", fmt),
        energy_milli(form.energy, "energy") if form.energy else None,
        form.channel,
        read_amount_minor(form.tender, fmt, "tender")
        if form.tender and form.channel == sale.CASH
        else None,
        f"{doer.via}:{doer.actor_id}:{doer.key}",
        form.reason,
        form.agreement_id,
    )


async def _add(doing: Doing, form: NewCredit) -> Done:
    """Recharge a point's household, by money or by energy; the same key recharges once."""
    scope, _ = doing.here
    doer, point_id = doing.doer, doing.ids["point_id"]
    wish = _wish(doing, form)
    done = await sale.sell(doing.db, doing.project_id, point_id, wish, doer.actor_id, doer.at)
    shape = schemas.Credit(
        payment_id=done.payment_id,
        amount=shapes.money(done.amount_minor, scope),
        available=shapes.money(done.available_minor, scope),
        change=shapes.money(done.change_minor, scope),
    )
    after = {"payment_id": done.payment_id, "amount_minor": done.amount_minor}
    if done.energy_milli is not None:
        after["energy_milli"] = done.energy_milli
    return Done(f"point:{point_id}", shape.model_dump(mode="json"), after=after, reason=form.reason)


async def _about(doing: Doing) -> Choices:
    now = await monitor.point(doing.db, doing.project_id, point_id=doing.ids["point_id"])
    _, fmt = doing.here
    return (
        (N_("Room"), f"{now.building} {now.room}"),
        (N_("Customer"), labels.customer_of(now, doing.words)),
        (N_("Available"), fmt.money(now.available_minor)),
    )


async def _names(doing: Doing, point_ids: Sequence[int]) -> Sequence[str]:
    return await desk.names(doing.db, doing.project_id, point_ids)


async def _facts(doing: Doing) -> Mapping[str, Any]:
    """The price of a unit where there is one, and what is sold."""
    _, fmt = doing.here
    priced = await desk.price(doing.db, doing.project_id, doing.ids["point_id"], doing.doer.at)
    unit = labels.UNIT[Commodity(priced.commodity)]
    return {"price_micro": priced.price_micro, "unit": unit, "price": price_text(priced, fmt)}


def price_text(priced: desk.Priced, fmt: Formats) -> str:
    """The price of a unit as people write it: `¥0.60/kWh`; empty where there is no single one."""
    if priced.price_micro is None:
        return ""
    whole, _, decimals = to_decimal(priced.price_micro, 6).partition(".")
    kept = decimals[: fmt.currency_exponent] + decimals[fmt.currency_exponent :].rstrip("0")
    return f"{fmt.currency_symbol}{whole}.{kept}/{labels.UNIT[Commodity(priced.commodity)]}"


async def _preview(doing: Doing, form: NewCredit) -> Choices:
    """What it would buy, what is given back, and what the household then has."""
    _, fmt = doing.here
    if not form.amount and not form.energy:
        return ()
    point_id = doing.ids["point_id"]
    wish = _wish(doing, form)
    told = await sale.quote(doing.db, doing.project_id, point_id, wish, doing.doer.at)
    priced = await desk.price(doing.db, doing.project_id, point_id, doing.doer.at)
    unit = labels.UNIT[Commodity(priced.commodity)]
    bought = ABSENT
    if told.energy_milli is not None:
        bought = f"{'' if told.is_exact else '≈ '}{fmt.energy(told.energy_milli)} {unit}"
    lines = [(N_("To pay"), fmt.money(told.amount_minor)), (N_("Buys"), bought)]
    if told.change_minor is not None:
        lines.append((N_("Change due"), fmt.money(told.change_minor)))
    return (*lines, (N_("Available afterwards"), fmt.money(told.after_minor)))


ADD: Final = Act(
    "credit.add",
    Verb.CREDIT_ADD,
    "/projects/{project_id}/points/{point_id}/credits",
    N_("Recharge"),
    NewCredit,
    schemas.Credit,
    _add,
    tag="money",
    about=_about,
    typed=household_of,
    each=_households_of,
    preview=_preview,
    look="sale.html",
    facts=_facts,
    bulk=_names,
    many=SameCredit,
    watch=True,
    then=lambda doing, answer: f"/projects/{doing.project_id}/desk/sales/{answer['payment_id']}",
)

ACTS: Final = (ADD,)
