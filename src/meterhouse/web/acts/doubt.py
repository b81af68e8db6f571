"""Acts on a doubtful reading: accept it, let a track begin, correct it, discard it.

Owns the fields and the words before each button. Must never know what a decision bills.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field as Described
from pydantic import StringConstraints

from meterhouse.flows import doubt
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.doubt import Decision
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Commodity
from meterhouse.rating.decided import Decided
from meterhouse.units import to_decimal
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, ReasonText, Why
from meterhouse.web.acts.typed import Short, energy_milli, figures
from meterhouse.web.api import doubts as shapes
from meterhouse.web.doubtwords import DoubtName
from meterhouse.web.formats import ABSENT
from meterhouse.words import N_

_ADDRESS: Final = "/projects/{project_id}/doubts/{doubt_id}"


class Begin(Form):
    """Another track of registers begins with a reading."""

    used: Annotated[
        str, StringConstraints(max_length=15),
        Ask(N_("Used between the two tracks"), hint=N_("Empty: nothing is billed between them")),
    ] = Described(default="", examples=["12.5"])  # fmt: skip
    """Energy or volume in billing units that was used between the tracks; empty: nothing."""
    reason: ReasonText
    """Why, and who looked at the meter."""


class Correct(Form):
    """What a meter should have shown."""

    registers: Annotated[
        str, Short, Ask(N_("It should read"), hint=N_("Total, and if known four bands"))
    ] = Described(examples=["1234.56"])  # fmt: skip
    """The registers as they should read: total, and if known four bands."""
    reason: ReasonText
    """Why, and how it is known."""


async def _decide(doing: Doing, said: Decision) -> Done:
    doubt_id, doer = doing.ids["doubt_id"], doing.doer
    done = await doubt.decide(
        doing.db, Tariffs(), doing.project_id, doubt_id, said, doer.actor_id, doer.at
    )
    scope, _ = doing.here
    answer = shapes.decided(doubt_id, said, done, scope)
    after: dict[str, Any] = {"decided": said.decided.name.lower(), "number": done.number}
    if said.registers_milli is not None:
        after["registers_milli"] = list(said.registers_milli)
    if said.used_milli:
        after["used"] = to_decimal(said.used_milli, 3)
    return Done(
        f"doubt:{doubt_id}", answer.model_dump(mode="json"), after=after, reason=said.reason
    )


async def _accept(doing: Doing, form: Why) -> Done:
    """Accept a doubtful reading: bill all since the last good one."""
    return await _decide(doing, Decision(Decided.ACCEPT, form.reason))


async def _begin(doing: Doing, form: Begin) -> Done:
    """Let another track begin with a reading; between the tracks only what is said is billed."""
    used_milli = energy_milli(form.used, "used") if form.used.strip() else 0
    return await _decide(doing, Decision(Decided.BEGIN, form.reason, None, used_milli))


async def _correct(doing: Doing, form: Correct) -> Done:
    """Say what a meter should have shown; the reading itself stays as it came."""
    said = figures(form.registers, "registers")
    return await _decide(doing, Decision(Decided.CORRECT, form.reason, said))


async def _discard(doing: Doing, form: Why) -> Done:
    """Discard a doubtful reading, as if it had never been read."""
    return await _decide(doing, Decision(Decided.DISCARD, form.reason))


async def _about(doing: Doing) -> Choices:
    now = await doubt.look(doing.db, doing.project_id, doing.ids["doubt_id"])
    row, (_, fmt) = now.row, doing.here
    said, unit = row["total_milli"], labels.UNIT[Commodity(row["commodity"])]
    return (
        (N_("Room"), f"{row['building']} {row['room']}"),
        (N_("Meter"), row["address"]),
        (N_("Read"), fmt.instant(row["read_at"])),
        (N_("Doubt"), labels.label(doing.words, DoubtName(row["why"]))),
        (N_("Says"), ABSENT if said is None or said < 0 else f"{to_decimal(said, 3)} {unit}"),
        (N_("Last good"), f"{to_decimal(row['good_0_milli'], 3)} {unit}"),
    )


async def _names(doing: Doing, doubt_ids: Sequence[int]) -> list[str]:
    rows = await doubt.names(doing.db, doing.project_id, doubt_ids)
    _, fmt = doing.here
    return [f"{row['building']} {row['room']} {fmt.instant(row['read_at'])}" for row in rows]


def _page(doing: Doing, _: Any) -> str:
    return f"/projects/{doing.project_id}/doubts/{doing.ids['doubt_id']}"


ACCEPT: Final = Act(
    "doubt.accept",
    Verb.READING_DECIDE,
    f"{_ADDRESS}/accept",
    N_("Accept"),
    Why,
    shapes.DecisionMade,
    _accept,
    consequence=N_(
        "The register is right: all that was used since the last good reading is billed at once, "
        "also beyond what the meter should be able to carry."
    ),
    proof=True,
    tag="readings",
    about=_about,
    then=_page,
    bulk=_names,
)
BEGIN: Final = Act(
    "doubt.begin",
    Verb.READING_DECIDE,
    f"{_ADDRESS}/begin",
    N_("Begin a new track"),
    Begin,
    shapes.DecisionMade,
    _begin,
    consequence=N_(
        "The meter counts anew from this reading. Nothing is billed between its last good reading "
        "and this one but what is typed here; all that follows is billed."
    ),
    proof=True,
    tag="readings",
    about=_about,
    then=_page,
)
CORRECT: Final = Act(
    "doubt.correct",
    Verb.READING_DECIDE,
    f"{_ADDRESS}/correct",
    N_("Correct"),
    Correct,
    shapes.DecisionMade,
    _correct,
    consequence=N_(
        "The reading is billed as it should have read; what came from the meter is kept beside it."
    ),
    proof=True,
    tag="readings",
    about=_about,
    then=_page,
)
DISCARD: Final = Act(
    "doubt.discard",
    Verb.READING_DECIDE,
    f"{_ADDRESS}/discard",
    N_("Discard"),
    Why,
    shapes.DecisionMade,
    _discard,
    consequence=N_(
        "The reading counts as never read. The next good one bills everything since the last."
    ),
    proof=True,
    tag="readings",
    about=_about,
    then=_page,
    bulk=_names,
)

ACTS: Final = (ACCEPT, BEGIN, CORRECT, DISCARD)
