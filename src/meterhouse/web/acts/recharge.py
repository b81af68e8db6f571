"""Acts on a meter's own purse, and on money that is on its way into it or out of it.

Owns the fields and the words before each button. Must never know when money may return.
"""

from typing import Annotated, Any, Final

from pydantic import Field as Described
from pydantic import StringConstraints

from meterhouse.flows import monitor, recharge, refund, transit
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.transit import Verdict
from meterhouse.model import RechargeState
from meterhouse.units import Minor
from meterhouse.web import labels
from meterhouse.web.acts.bulk import wait_for_second
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, ReasonText, Why
from meterhouse.web.acts.money import read_amount_minor
from meterhouse.web.api import recharges as shapes
from meterhouse.web.formats import ABSENT
from meterhouse.words import N_

_VERDICTS: Final = {
    Verdict.LOOK.value: N_("Read the meter again, and go on"),
    Verdict.APPLIED.value: N_("The money is in the meter"),
    Verdict.RETURNED.value: N_("The money is not in the meter and shall not be"),
}


class Decision(Form):
    """What somebody has found out about a halted recharge."""

    verdict: Annotated[
        str, StringConstraints(pattern="^(look|applied|returned)$"),
        Ask(N_("What is so"), kind="choice", words=_VERDICTS),
    ] = Described(examples=["look"])  # fmt: skip
    """`applied`: the meter has it; `returned`: it goes back once that is safe; `look`: go on."""
    reason: ReasonText
    """What was seen, and by whom."""


async def _shape(doing: Doing, recharge_id: int) -> shapes.Recharge:
    scope, _ = doing.here
    row, _ = await monitor.recharge(doing.db, doing.project_id, recharge_id)
    return shapes.recharge(row, scope)


async def _decide(doing: Doing, form: Decision) -> Done:
    """Decide about a halted recharge, after somebody has looked at the meter."""
    recharge_id = doing.ids["recharge_id"]
    state = await transit.decide(
        doing.db, doing.project_id, recharge_id, Verdict(form.verdict), form.reason,
        doing.doer.actor_id, doing.doer.at,
    )  # fmt: skip
    answer = await _shape(doing, recharge_id)
    return Done(
        f"recharge:{recharge_id}", answer.model_dump(mode="json"),
        before={"state": RechargeState.HALTED}, after={"state": state}, reason=form.reason,
    )  # fmt: skip


async def _cancel(doing: Doing, form: Why) -> Done:
    """Call a recharge back; it is not sent again, and returns once it can no longer arrive."""
    recharge_id = doing.ids["recharge_id"]
    before = await _shape(doing, recharge_id)
    await transit.cancel(
        doing.db, doing.project_id, recharge_id, form.reason, doing.doer.actor_id, doing.doer.at
    )
    answer = await _shape(doing, recharge_id)
    return Done(
        f"recharge:{recharge_id}", answer.model_dump(mode="json"),
        before={"state": before.state}, after={"state": answer.state}, reason=form.reason,
    )  # fmt: skip


async def _about(doing: Doing) -> Choices:
    row, _ = await monitor.recharge(doing.db, doing.project_id, doing.ids["recharge_id"])
    _, fmt = doing.here
    return (
        (N_("Room"), f"{row['building']} {row['room']}"),
        (N_("Meter"), row["address"]),
        (N_("Amount"), fmt.money(row["amount_minor"])),
        (N_("State"), labels.label(doing.words, RechargeState(row["state"]))),
    )


DECIDE: Final = Act(
    "recharge.decide",
    Verb.RECHARGE_DECIDE,
    "/projects/{project_id}/recharges/{recharge_id}/decide",
    N_("Decide"),
    Decision,
    shapes.Recharge,
    _decide,
    consequence=N_(
        "The platform could not explain what the meter said, and has stopped. Go to the meter, "
        "read its balance and its counter, and say what is so. Money that was told to be in the "
        "meter does not come back by itself."
    ),
    danger=True,
    tag="money",
    about=_about,
    then=lambda doing, _: f"/projects/{doing.project_id}/recharges/{doing.ids['recharge_id']}",
)
CANCEL: Final = Act(
    "recharge.cancel",
    Verb.RECHARGE_DECIDE,
    "/projects/{project_id}/recharges/{recharge_id}/cancel",
    N_("Call back"),
    Why,
    shapes.Recharge,
    _cancel,
    consequence=N_(
        "The money is not sent again. If the meter has not taken it, it returns to the purse once "
        "no copy can arrive any more, which takes some ten minutes; if it has, it stays there."
    ),
    tag="money",
    about=_about,
    then=lambda doing, _: f"/projects/{doing.project_id}/recharges/{doing.ids['recharge_id']}",
)


class TakenBack(Form):
    """Money to be taken out of a meter's purse."""

    amount: Annotated[
        str, StringConstraints(max_length=15),
        Ask(N_("Amount"), kind="money", hint=N_("Empty: all that is in the meter")),
    ] = Described(default="", examples=["12.50"])  # fmt: skip
    """Decimal string in the project's currency, above zero; empty: whatever is in it by then."""
    reason: ReasonText
    """Why; kept in the audit."""


class SentOn(Form):
    """Money that lies in a household's purse, to be sent into its meter."""

    amount: Annotated[
        str, StringConstraints(max_length=15),
        Ask(N_("Amount"), kind="money", hint=N_("Empty: all that is in the purse")),
    ] = Described(default="", examples=["12.50"])  # fmt: skip
    """Decimal string in the project's currency, above zero; empty: all that may be spent."""
    reason: ReasonText
    """Why; kept in the audit."""


async def _ordered(doing: Doing, recharge_id: int, reason: str) -> Done:
    shape = shapes.Ordered(recharge=await _shape(doing, recharge_id), task_id=None)
    after = {"recharge_id": recharge_id, "point_id": doing.ids["point_id"]}
    return Done(
        f"recharge:{recharge_id}", shape.model_dump(mode="json"), after=after, reason=reason
    )


async def _take_back(doing: Doing, form: TakenBack) -> Done:
    """Take money out of a meter's purse; it is in the household's once the meter has deducted it.

    Above the project's limit for money paid out it waits for a second person.
    """
    _, fmt = doing.here
    point_id = doing.ids["point_id"]
    amount_minor = read_amount_minor(form.amount, fmt) if form.amount.strip() else None
    asked_minor = amount_minor
    if asked_minor is None:
        held_minor = await recharge.held_minor(doing.db, doing.project_id, point_id)
        asked_minor = Minor(held_minor)
    if doing.second_id is None and await refund.needs_second(
        doing.db, doing.project_id, asked_minor
    ):
        task_id = await wait_for_second(TAKE_BACK, doing, form, form.reason)
        answer = shapes.Ordered(recharge=None, task_id=task_id).model_dump(mode="json")
        after = {"task_id": task_id, "amount_minor": asked_minor, "waits": True}
        return Done(f"task:{task_id}", answer, after=after, reason=form.reason)
    made = await recharge.take_back(
        doing.db, doing.project_id, point_id, amount_minor, doing.doer.actor_id, doing.doer.at
    )
    return await _ordered(doing, made, form.reason)


async def _send(doing: Doing, form: SentOn) -> Done:
    """Send money that lies in a household's purse into the meter that keeps its money."""
    _, fmt = doing.here
    amount_minor = read_amount_minor(form.amount, fmt) if form.amount.strip() else None
    made = await recharge.send(
        doing.db, doing.project_id, doing.ids["point_id"], amount_minor, doing.doer.actor_id,
        doing.doer.at,
    )  # fmt: skip
    return await _ordered(doing, made, form.reason)


async def _open(doing: Doing, form: Why) -> Done:
    """Open an account in a meter that takes no money before; what is in it stays in it."""
    made = await recharge.open_wallet(
        doing.db, doing.project_id, doing.ids["point_id"], doing.doer.actor_id, doing.doer.at
    )
    return await _ordered(doing, made, form.reason)


async def _about_purse(doing: Doing) -> Choices:
    now = await monitor.point(doing.db, doing.project_id, point_id=doing.ids["point_id"])
    _, fmt = doing.here
    told = [
        (N_("Room"), f"{now.building} {now.room}"),
        (N_("Customer"), labels.customer_of(now, doing.words)),
        (N_("Meter"), now.address or ABSENT),
    ]
    purse = now.meter_id and await recharge.purse_of(doing.db, doing.project_id, now.meter_id)
    if purse:
        told.append((N_("In the purse"), fmt.money(purse["spare_minor"])))
        told.append((N_("Held in the meter"), fmt.money(purse["net_minor"] or 0)))
        told.append((N_("Last heard"), fmt.instant(purse["read_at"])))
    return told


def _ordered_page(doing: Doing, answer: Any) -> str:
    project = f"/projects/{doing.project_id}"
    if answer["task_id"]:
        return f"{project}/tasks/{answer['task_id']}"
    return f"{project}/recharges/{answer['recharge']['id']}"


TAKE_BACK: Final[Act[Any]] = Act(
    "purse.take_back",
    Verb.MONEY_REFUND,
    "/projects/{project_id}/points/{point_id}/take-back",
    N_("Take back from the meter"),
    TakenBack,
    shapes.Ordered,
    _take_back,
    consequence=N_(
        "The meter gives the money back to the household's purse, and may cut the power off. "
        "Nothing is paid out by this. Disconnect first where all of it is to come back: a meter "
        "that goes on deducting refuses what it no longer has."
    ),
    danger=True,
    proof=True,
    tag="money",
    about=_about_purse,
    then=_ordered_page,
)
SEND: Final[Act[Any]] = Act(
    "purse.send",
    Verb.CREDIT_ADD,
    "/projects/{project_id}/points/{point_id}/send-credit",
    N_("Send to the meter"),
    SentOn,
    shapes.Ordered,
    _send,
    consequence=N_(
        "Money that lies in the household's purse, as opening credit or what came back, sets out "
        "for the meter. No cash changes hands."
    ),
    tag="money",
    about=_about_purse,
    then=_ordered_page,
)
OPEN: Final[Act[Any]] = Act(
    "purse.open",
    Verb.ACCOUNT_OPEN,
    "/projects/{project_id}/points/{point_id}/open-meter",
    N_("Open in the meter"),
    Why,
    shapes.Ordered,
    _open,
    consequence=N_(
        "The meter is opened for this point: its counter of purchases begins anew, and what is in "
        "it stays in it. Money can be sold for it once the meter has been read back."
    ),
    tag="money",
    about=_about_purse,
    then=_ordered_page,
)

ACTS: Final = (DECIDE, CANCEL, SEND, TAKE_BACK, OPEN)
