"""Acts on a reading, doubtful or not: accept it, let a track begin, correct it, discard it.

Owns the fields, the words before each button, and how what a decision costs is told beforehand.
Must never know what a decision bills: the preview is the decision itself, taken back.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import Field as Described
from pydantic import StringConstraints

from meterhouse.errors import MeterhouseError
from meterhouse.flows import doubt
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done, rehearse
from meterhouse.flows.doubt import Decision, OfMeter, Outcome, Which
from meterhouse.flows.prices import Tariffs
from meterhouse.model import Commodity
from meterhouse.rating.decided import Decided
from meterhouse.store.db import Database
from meterhouse.units import from_us, to_decimal
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, ReasonText, Why
from meterhouse.web.acts.typed import Short, energy_milli, figures
from meterhouse.web.api import doubts as shapes
from meterhouse.web.cells import masked_name
from meterhouse.web.doubtwords import DoubtName
from meterhouse.web.formats import ABSENT, fine_amount, grouped
from meterhouse.words import N_

_ADDRESS: Final = "/projects/{project_id}/doubts/{doubt_id}"
_READING: Final = "/projects/{project_id}/meters/{meter_id}/readings/{reading_id}"


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


def _which(doing: Doing) -> Which:
    if "doubt_id" in doing.ids:
        return doing.ids["doubt_id"]
    return OfMeter(doing.ids["meter_id"], doing.ids["reading_id"])


async def _made(doing: Doing, said: Decision) -> Outcome:
    doer = doing.doer
    return await doubt.decide(
        doing.db, Tariffs(), doing.project_id, _which(doing), said, doer.actor_id, doer.at
    )


async def _decide(doing: Doing, said: Decision) -> Done:
    return _done(doing, said, await _made(doing, said))


def _done(doing: Doing, said: Decision, done: Outcome) -> Done:
    which, (scope, _) = _which(doing), doing.here
    after: dict[str, Any] = {"decided": said.decided.name.lower(), "number": done.number}
    if isinstance(which, OfMeter):
        subject, decided_id = f"meter:{which.meter_id}", which.reading_id
        after["read_at"] = from_us(which.reading_id).isoformat()
    else:
        subject, decided_id = f"doubt:{which}", which
    if said.registers_milli is not None:
        after["registers_milli"] = list(said.registers_milli)
    if said.used_milli:
        after["used"] = to_decimal(said.used_milli, 3)
    answer = shapes.decided(decided_id, said, done, scope)
    return Done(subject, answer.model_dump(mode="json"), after=after, reason=said.reason)


def _acceptance(form: Why) -> Decision:
    return Decision(Decided.ACCEPT, form.reason)


def _beginning(form: Begin) -> Decision:
    used_milli = energy_milli(form.used, "used") if form.used.strip() else 0
    return Decision(Decided.BEGIN, form.reason, None, used_milli)


def _correction(form: Correct) -> Decision:
    return Decision(Decided.CORRECT, form.reason, figures(form.registers, "registers"))


def _disposal(form: Why) -> Decision:
    return Decision(Decided.DISCARD, form.reason)


async def _accept(doing: Doing, form: Why) -> Done:
    """Accept a reading: bill all since the last good one."""
    return await _decide(doing, _acceptance(form))


async def _begin(doing: Doing, form: Begin) -> Done:
    """Let another track begin with a reading; between the tracks only what is said is billed."""
    return await _decide(doing, _beginning(form))


async def _correct(doing: Doing, form: Correct) -> Done:
    """Say what a meter should have shown; the reading itself stays as it came."""
    return await _decide(doing, _correction(form))


async def _discard(doing: Doing, form: Why) -> Done:
    """Discard a reading, as if it had never been read."""
    return await _decide(doing, _disposal(form))


def _preview(says: Callable[[Any], Decision]) -> Callable[[Doing, Any], Awaitable[Choices]]:
    """What a decision would do: it is done, and all of it is taken back."""

    async def preview(doing: Doing, form: Any) -> Choices:
        said, made = says(form), []

        async def work(db: Database) -> Done:
            made.append(await _made(doing.within(db), said))
            return _done(doing, said, made[0])

        try:
            await rehearse(doing.db, [doing.project_id], work)
        except MeterhouseError as error:
            if error.http_status >= 500:
                raise
            return ((N_("Not possible"), doing.words.error(error)),)
        return _lines(doing, made[0])

    return preview


def _lines(doing: Doing, made: Outcome) -> Choices:
    """Whom a decision costs how much, and what else it touches, a line each."""
    words, (_, fmt) = doing.words, doing.here
    weight, unit = made.weight, labels.UNIT[made.commodity]
    if weight.since is None:
        lines = [(N_("Energy and money"), words(N_("Nothing changes.")))]
    else:
        span = f"{fmt.instant(weight.since)} – {fmt.instant(weight.until)}"
        lines = [(N_("Charged anew"), span)]
    for one in weight.payers:
        name = masked_name({"customer": one.customer, "is_erased": one.is_erased})
        change_nano = one.after_nano - one.before_nano
        change = f"{'+' if change_nano > 0 else ''}{fine_amount(change_nano)}"
        amounts = f"{fine_amount(one.before_nano)} → {fine_amount(one.after_nano)} {fmt.currency}"
        energies = f"{grouped(one.before_milli, 3)} → {grouped(one.after_milli, 3)} {unit}"
        lines.append((N_("Pays now") if one.is_present else N_("Paid then"), words(name)))
        lines.append((N_("Energy"), energies))
        lines.append((N_("Money"), f"{amounts} ({change})" if change_nano else amounts))
    if weight.estimated_milli or weight.estimated_nano:
        energy = f"{grouped(weight.estimated_milli, 3)} {unit}"
        amount = f"{fine_amount(weight.estimated_nano)} {fmt.currency}"
        lines.append((N_("Estimates taken back"), f"{energy} · {amount}"))
    if weight.payers and not made.is_kept:
        lines.append((N_("Booked"), words(N_("Nothing: the money of this point is not kept here"))))
    count, first, last = weight.closed_days
    if count:
        days = str(first) if first == last else f"{first} – {last}"
        stay = N_("{days}: stays closed as it is; the difference is booked from now on")
        lines.append((N_("Closed days"), words(stay, days=days)))
    if weight.doubted_count:
        lines.append((N_("Readings that become doubtful"), fmt.number(weight.doubted_count)))
    return lines


async def _about(doing: Doing) -> Choices:
    now = await doubt.look(doing.db, doing.project_id, _which(doing))
    row, (_, fmt) = now.row, doing.here
    said, unit = row["total_milli"], labels.UNIT[Commodity(row["commodity"])]
    why = row["why"] if row["is_doubtful"] else None
    before_milli = now.before_milli
    return (
        (N_("Room"), f"{row['building']} {row['room']}"),
        (N_("Meter"), row["address"]),
        (N_("Read"), fmt.instant(row["read_at"])),
        *(((N_("Doubt"), labels.label(doing.words, DoubtName(why))),) if why else ()),
        (N_("Says"), ABSENT if said is None or said < 0 else f"{to_decimal(said, 3)} {unit}"),
        (N_("Reading before"),
         ABSENT if before_milli is None else f"{to_decimal(before_milli, 3)} {unit}"),
    )  # fmt: skip


async def _names(doing: Doing, doubt_ids: Sequence[int]) -> list[str]:
    rows = await doubt.names(doing.db, doing.project_id, doubt_ids)
    _, fmt = doing.here
    return [f"{row['building']} {row['room']} {fmt.instant(row['read_at'])}" for row in rows]


def _page(doing: Doing, _: Any) -> str:
    which, project = _which(doing), f"/projects/{doing.project_id}"
    if isinstance(which, OfMeter):
        return f"{project}/meters/{which.meter_id}/readings/{which.reading_id}"
    return f"{project}/doubts/{which}"


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
    preview=_preview(_acceptance),
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
    preview=_preview(_beginning),
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
    preview=_preview(_correction),
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
    preview=_preview(_disposal),
    bulk=_names,
)


def _of_any(act: Act[Any]) -> Act[Any]:
    """The same about any stored reading, doubtful or not, one at a time."""
    name = f"reading.{act.slug}"
    return replace(act, name=name, address=f"{_READING}/{act.slug}", bulk=None)


DOUBTED: Final[tuple[Act[Any], ...]] = (ACCEPT, BEGIN, CORRECT, DISCARD)
READ: Final[tuple[Act[Any], ...]] = tuple(_of_any(act) for act in DOUBTED)
ACTS: Final = (*DOUBTED, *READ)
