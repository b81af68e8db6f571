"""The act of giving one meter for another.

Owns how it is asked for. Must never know a frame.
"""

from typing import Annotated, Any, Final

from pydantic import Field

from meterhouse.flows import device, exchange
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.exchange import Exchange
from meterhouse.web.acts import typed
from meterhouse.web.acts.bulk import wait_for_second
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, ReasonText
from meterhouse.web.acts.install import Address, GatewayChoice, Model, Multiplier, about_meter
from meterhouse.web.acts.typed import Short
from meterhouse.web.api import agreements as shapes
from meterhouse.words import N_


class ExchangeForm(Form):
    """What comes for a meter that goes."""

    closing: Annotated[
        str, Short,
        Ask(N_("The old meter shows"), half=True,
            hint=N_("Empty: as last read by wire, at most 15 minutes ago")),
    ] = Field(default="", examples=["1234.56"])  # fmt: skip
    """The old meter's closing registers by hand: total, and if known four bands."""
    credit: Annotated[
        str, Short, Ask(N_("The old meter still held"), kind="money", half=True,
                        hint=N_("Only where the meter keeps the money")),
    ] = Field(default="", examples=["43.20"])  # fmt: skip
    """What an old meter that keeps money still held, decimal."""
    model: Model
    """Model of the new meter."""
    address: Address
    """Address of the new meter; one that waits on the line under it is taken."""
    gateway_id: GatewayChoice = None
    """Id of the gateway on whose line the new meter hangs; none: the old one's."""
    multiplier: Multiplier = 1
    """What the new meter's registers are multiplied by."""
    opening: Annotated[
        str, Short,
        Ask(N_("The new meter shows"), hint=N_("Total, and if known four bands")),
    ] = Field(default="0", examples=["0.00"])  # fmt: skip
    """The new meter's opening registers: total, and if known four bands."""
    reason: ReasonText
    """Why; also why a register was read by hand."""


async def _exchange(doing: Doing, form: ExchangeForm) -> Done:
    """Give a meter for another: readings, blocks and money of its point go on without a break.

    It waits for a second person where what is typed of the old meter's money is far, by more than
    one person may pay out alone, from what it should hold.
    """
    meter_id, doer = doing.ids["meter_id"], doing.doer
    scope, _ = doing.here
    old = await device.meter(doing.db, doing.project_id, meter_id)
    closing = typed.figures(form.closing, "closing") if form.closing.strip() else None
    credit_minor = None
    if form.credit.strip():
        credit_minor = typed.money_minor(form.credit, scope.currency_exponent, "credit")
        if credit_minor < 0:
            raise typed.beside(typed.MoneyUnusable(decimals=scope.currency_exponent), "credit")
    new = Exchange(
        form.model, form.address, form.gateway_id, form.multiplier,
        typed.figures(form.opening, "opening"), form.reason,
        {} if closing is None else {old["address"]: closing}, credit_minor,
    )  # fmt: skip
    try:
        done = await exchange.exchange(
            doing.db, doing.project_id, meter_id, new, doer.actor_id, doer.at, doing.second_id
        )
    except exchange.CreditNeedsSecond:
        if doing.second_id is not None:
            raise
        return await _wait(doing, form, credit_minor)
    answer = shapes.Exchanged(
        id=done.exchange_id, meter_id=done.meter_id,
        closing=shapes.LastRegister.model_validate(done.closing.plain()), task_id=None,
    )  # fmt: skip
    after = {
        "new_meter_id": done.meter_id, "address": form.address, "multiplier": form.multiplier,
        "closing_milli": list(done.closing.milli), "opening_milli": list(new.opening_milli),
        "moved_minor": done.moved_minor, "credit_minor": credit_minor,
    }  # fmt: skip
    before = {"address": old["address"], "multiplier": old["multiplier"]}
    return Done(f"meter:{meter_id}", answer.model_dump(mode="json"), before, after, form.reason)


async def _wait(doing: Doing, form: ExchangeForm, credit_minor: int | None) -> Done:
    """What is said of the old meter's money is far from what is known: somebody else agrees."""
    task_id = await wait_for_second(EXCHANGE, doing, form, form.reason)
    answer = shapes.Exchanged(id=None, meter_id=None, closing=None, task_id=task_id)
    after = {"task_id": task_id, "credit_minor": credit_minor, "waits": True}
    return Done(f"task:{task_id}", answer.model_dump(mode="json"), after=after, reason=form.reason)


async def _typed(doing: Doing) -> dict[str, Any]:
    old = await device.meter(doing.db, doing.project_id, doing.ids["meter_id"])
    return {
        "model": old["model"], "gateway_id": old["gateway_id"] or "",
        "multiplier": old["multiplier"],
    }  # fmt: skip


async def _about(doing: Doing) -> Choices:
    _, fmt = doing.here
    found = list(await about_meter(doing))
    last = await exchange.last_of(doing.db, doing.project_id, doing.ids["meter_id"])
    if last is not None:
        text = f"{fmt.instant(last[0])} · {fmt.energy(last[1])}"
        found.append((N_("Last read"), text))
    return found


def _page(doing: Doing, answer: Any) -> str:
    project = f"/projects/{doing.project_id}"
    if answer["task_id"]:
        return f"{project}/tasks/{answer['task_id']}"
    return f"{project}/meters/{answer['meter_id']}"


EXCHANGE: Final[Act[Any]] = Act(
    "meter.exchange", Verb.METER_EXCHANGE, "/projects/{project_id}/meters/{meter_id}/exchange",
    N_("Exchange meter"), ExchangeForm, shapes.Exchanged, _exchange, tag="devices", about=_about,
    typed=_typed, then=_page, danger=True,
    consequence=N_(
        "The old meter is read no more. Its energy until the closing register is charged, the "
        "blocks go on, and the new meter counts from its opening register."
    ),
)  # fmt: skip

ACTS: Final = (EXCHANGE,)
