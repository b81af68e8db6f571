"""Acts on money that is on its way into a meter.

Owns the fields and the words before each button. Must never know when money may return.
"""

from typing import Annotated, Final

from pydantic import Field as Described
from pydantic import StringConstraints

from meterhouse.flows import monitor, transit
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.transit import Verdict
from meterhouse.model import RechargeState
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, ReasonText
from meterhouse.web.api import recharges as shapes
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


class CallBack(Form):
    """Why a recharge is called back."""

    reason: ReasonText
    """Why."""


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


async def _cancel(doing: Doing, form: CallBack) -> Done:
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
    needs_key=True,
    tag="money",
    about=_about,
    then=lambda doing, _: f"/projects/{doing.project_id}/recharges/{doing.ids['recharge_id']}",
)
CANCEL: Final = Act(
    "recharge.cancel",
    Verb.RECHARGE_DECIDE,
    "/projects/{project_id}/recharges/{recharge_id}/cancel",
    N_("Call back"),
    CallBack,
    shapes.Recharge,
    _cancel,
    consequence=N_(
        "The money is not sent again. If the meter has not taken it, it returns to the purse once "
        "no copy can arrive any more, which takes some ten minutes; if it has, it stays there."
    ),
    needs_key=True,
    tag="money",
    about=_about,
    then=lambda doing, _: f"/projects/{doing.project_id}/recharges/{doing.ids['recharge_id']}",
)

ACTS: Final = (DECIDE, CANCEL)
