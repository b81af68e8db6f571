"""Acts that rate past time again: try a scheme out, look at a correction, and make it.

Owns how they are asked for. A replay is a task whose number is the replay's. A correction, of
prices or of the tariff that points should have had, rests on a replay of exactly itself, is asked
for by one person and agreed to by another, and its sweep is a task that cannot be stopped, because
what was charged has to follow what was published.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import BadInput
from meterhouse.flows import backdate, correct, place, replay, tariff, task
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.backdate import Selection
from meterhouse.flows.prices import Tariffs
from meterhouse.store.tasks import NewTask
from meterhouse.web.acts import typed
from meterhouse.web.acts.bulk import wait_for_second
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form, NoFields, Why
from meterhouse.web.acts.typed import EXAMPLE, Number
from meterhouse.web.api import work
from meterhouse.web.formats import Formats
from meterhouse.words import N_

KIND: Final = "replay"
CORRECTION_KIND: Final = "correction"
_TAG: Final = "tariffs"
_ALL: Final = "/projects/{project_id}/replays"
_TARIFF: Final = "/projects/{project_id}/tariffs/{tariff_id}"
_SCHEME_CHARS: Final = 100_000
_ROOMS_CHARS: Final = 10_000
_EXAMPLE: Final = (
    '{"name": "Shops", "commodity": "electricity", "currency": "CNY", "versions":'
    ' [{"effective_from": "2026-01-01T00:00:00+08:00", "prices_micro": {"flat": 620000}}]}'
)
SchemeText = Annotated[
    str, StringConstraints(max_length=_SCHEME_CHARS),
    Ask(N_("Scheme"), kind="area", hint=N_("A scheme file's content (JSON)")),
]  # fmt: skip
Instant = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class SchemeUnreadable(BadInput):
    """Give a scheme as JSON, or choose a tariff."""

    code = "scheme_unreadable"
    field = "scheme"


async def _buildings(doing: Doing) -> Choices:
    rows = await place.buildings(doing.db, doing.project_id)
    return [(str(row["id"]), row["name"]) for row in rows]


async def _tariffs(doing: Doing) -> Choices:
    rows = await tariff.names(doing.db, doing.project_id)
    return [(str(row["id"]), row["name"]) for row in rows]


class NewReplay(Form):
    """Which charges to rate again, and by what."""

    since: Annotated[
        Instant, Ask(N_("Used from"), hint=N_("YYYY-MM-DD HH:MM"), half=True)
    ] = Field(examples=["2026-01-01 00:00"])  # fmt: skip
    """The span's beginning; the project's own time, or RFC 3339."""
    until: Annotated[
        str, StringConstraints(max_length=40),
        Ask(N_("Used until"), hint=N_("YYYY-MM-DD HH:MM; empty: now"), half=True),
    ] = Field(default="", examples=["2026-02-01 00:00"])  # fmt: skip
    """The span's end; empty: now. At most 1100 days after its beginning."""
    by_tariff_id: Annotated[
        Number | None, EXAMPLE,
        Ask(N_("Rated by the tariff"), kind="choice", choices=_tariffs,
            hint=N_("Or give a scheme below")),
    ] = None  # fmt: skip
    """Id of the tariff whose versions in force rate the span; none: `scheme` does."""
    scheme: SchemeText = Field(default="", examples=[_EXAMPLE])
    """A scheme file's content; used where no tariff is named. What is known only when a billing
    period has ended is in no figure of a replay."""
    place_id: Annotated[
        Number | None, EXAMPLE,
        Ask(N_("Building"), kind="choice", hint=N_("Empty: the whole project"),
            choices=_buildings, half=True),
    ] = None  # fmt: skip
    """Id of a building, or of a room, whose points are rated; none: the whole project's."""
    tariff_id: Annotated[
        Number | None, EXAMPLE,
        Ask(N_("Only points that now have the tariff"), kind="choice", choices=_tariffs,
            half=True),
    ] = None  # fmt: skip
    """Id of the tariff whose points are rated; none: whatever they have."""
    point_ids: Annotated[list[Number], Ask(N_("Points"), kind="ids")] = Field(
        default_factory=list, max_length=1_000, examples=[[12, 13]]
    )
    """Ids of the points that are rated; none: all of the place and the tariff."""


class NewCorrection(Form):
    """What a tariff should have been from a past instant on."""

    since: Annotated[
        Instant, Ask(N_("Wrong since"), hint=N_("YYYY-MM-DD HH:MM"))
    ] = Field(examples=["2026-10-31 00:00"])  # fmt: skip
    """From when on the corrected versions hold; the project's own time, or RFC 3339."""
    scheme: SchemeText = Field(min_length=1, examples=[_EXAMPLE])
    """The tariff as it should be. Of its versions those in force at that instant or later count."""


class PastAssignment(Form):
    """Which points should have had a tariff, since when."""

    since: Annotated[
        Instant, Ask(N_("Should have had it since"), hint=N_("YYYY-MM-DD HH:MM"))
    ] = Field(examples=["2026-10-31 00:00"])  # fmt: skip
    """Since when they should have had it; the project's own time, or RFC 3339."""
    place_id: Annotated[
        Number | None, EXAMPLE,
        Ask(N_("Building"), kind="choice", hint=N_("Empty: the whole project"),
            choices=_buildings, half=True),
    ] = None  # fmt: skip
    """Id of a building, or of a room, whose points are meant; none: the whole project's."""
    now_tariff_id: Annotated[
        Number | None, EXAMPLE,
        Ask(N_("Only points that now have the tariff"), kind="choice", choices=_tariffs,
            half=True),
    ] = None  # fmt: skip
    """Id of the tariff whose points are meant; none: whatever they have."""
    rooms: Annotated[
        str, StringConstraints(max_length=_ROOMS_CHARS),
        Ask(N_("Only these rooms"), kind="area",
            hint=N_("As 302 or A 302, a line each; empty: all of them")),
    ] = Field(default="", examples=[""])  # fmt: skip
    """Names of rooms, a line each, with or without their building's; none: all of them."""
    point_ids: Annotated[list[Number], Ask(N_("Points"), kind="ids")] = Field(
        default_factory=list, max_length=1_000, examples=[[12, 13]]
    )
    """Ids of the points that are meant; none: all of the place, the tariff and the rooms."""


def _scheme(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise SchemeUnreadable from None
    if not isinstance(body, dict):
        raise SchemeUnreadable
    return body


async def _start(doing: Doing, form: NewReplay) -> Done:
    """Rate charges of the past again under a scheme: answers the task; nothing is charged.

    What is known only when a billing period has ended (a minimum, power, losses and added tax to
    the coin, free energy carried over) is left out; `is_partial` says where that matters.
    """
    _, fmt = doing.here
    at = doing.doer.at
    since = typed.instant(form.since, fmt, at, "since")
    until = typed.instant(form.until, fmt, at, "until")
    replay.check_span(since, until, at)
    if form.by_tariff_id is not None:
        body = await correct.present(doing.db, doing.project_id, form.by_tariff_id)
    else:
        body = _scheme(form.scheme)
    selection = {
        "place_id": form.place_id, "tariff_id": form.tariff_id,
        "point_ids": sorted(set(form.point_ids)) or None,
    }  # fmt: skip
    asked, count = await replay.asked_of(
        doing.db, Tariffs(), doing.project_id, selection, (since, until), body
    )
    return await _begun(doing, START, KIND, asked, count)


async def _try(doing: Doing, form: NewCorrection) -> Done:
    """Show what a correction of a tariff would do: answers the task; nothing is changed.

    Of intervals alone: bills of ended periods are made anew once the correction is made.
    """
    _, fmt = doing.here
    at = doing.doer.at
    asked, count = await replay.asked_of_correction(
        doing.db, Tariffs(), doing.project_id, doing.ids["tariff_id"],
        typed.instant(form.since, fmt, at, "since"), _scheme(form.scheme), at,
    )  # fmt: skip
    return await _begun(doing, TRY, KIND, asked, count)


async def _try_assignment(doing: Doing, form: PastAssignment) -> Done:
    """Show what giving a tariff since a past instant would do: answers the task."""
    _, fmt = doing.here
    at = doing.doer.at
    rooms = list(dict.fromkeys(one.strip() for one in form.rooms.splitlines() if one.strip()))
    selection = Selection(form.place_id, form.now_tariff_id, sorted(set(form.point_ids)), rooms)
    asked, count = await replay.asked_of_assignment(
        doing.db, Tariffs(), doing.project_id, doing.ids["tariff_id"],
        typed.instant(form.since, fmt, at, "since"), selection, at,
    )  # fmt: skip
    return await _begun(doing, ASSIGN_SINCE, KIND, asked, count)


async def _correct(doing: Doing, form: Why) -> Done:
    """Publish the correction that a replay showed, once a second person agrees."""
    replay_id = doing.ids["replay_id"]
    row = await correct.check(doing.db, doing.project_id, replay_id)
    begin = correct.begin if backdate.gives_of(row) is None else backdate.begin
    subject = f"tariff:{row['tariff_id']}"
    if doing.second_id in (None, doing.doer.actor_id):
        task_id = await wait_for_second(CORRECT, doing, form, form.reason)
        after = {"replay_id": replay_id, "task_id": task_id, "waits": True}
    else:
        asked = await begin(
            doing.db, Tariffs(), doing.project_id, replay_id, form.reason,
            doing.doer.actor_id, doing.second_id, doing.doer.at,
        )  # fmt: skip
        task_id = await _queue(doing, CORRECT, CORRECTION_KIND, asked | {"reason": form.reason},
                               asked["total"])  # fmt: skip
        after = {"replay_id": replay_id, "task_id": task_id, "edition": asked["edition"]}
    return Done(subject, await _told(doing, task_id), after=after, reason=form.reason)


async def _resweep(doing: Doing, _: NoFields) -> Done:
    """Rate again what a tariff's corrections concern; what follows them already stays."""
    asked = await correct.last(doing.db, doing.project_id, doing.ids["tariff_id"])
    return await _begun(doing, RESWEEP, CORRECTION_KIND, asked, asked["total"])


async def _begun(
    doing: Doing, act: Act[Any], kind: str, asked: Mapping[str, Any], count: int
) -> Done:
    task_id = await _queue(doing, act, kind, asked, count)
    after = {"task_id": task_id, "count": count}
    tariff_id = doing.ids.get("tariff_id")
    if tariff_id is None:
        return Done(f"task:{task_id}", await _told(doing, task_id), after=after)
    return Done(f"tariff:{tariff_id}", await _told(doing, task_id), after=after)


async def _queue(
    doing: Doing, act: Act[Any], kind: str, asked: Mapping[str, Any], count: int
) -> int:
    given = dict(asked) | {
        "act": act.name, "verb": act.verb, "via": doing.doer.via,
        "language": doing.words.language, "must_end": kind == CORRECTION_KIND,
    }  # fmt: skip
    new = NewTask(kind, act.title, given, total_count=count)
    return await task.start(doing.db, doing.project_id, new, doing.doer.actor_id, doing.doer.at)


async def _told(doing: Doing, task_id: int) -> dict[str, Any]:
    row = await task.get(doing.db, doing.project_id, task_id)
    return work.task(row).model_dump(mode="json")


async def _about_tariff(doing: Doing) -> Choices:
    now = await tariff.look(doing.db, doing.project_id, doing.ids["tariff_id"])
    return ((N_("Tariff"), now.row["name"]), (N_("Points"), str(now.point_count)))


async def _about_given(doing: Doing) -> Choices:
    now = await tariff.look(doing.db, doing.project_id, doing.ids["tariff_id"])
    return ((N_("Tariff given"), now.row["name"]),)


async def _about_replay(doing: Doing) -> Choices:
    """What the correction does, as its replay found it; the second person decides by it."""
    row = await replay.get(doing.db, doing.project_id, doing.ids["replay_id"])
    _, fmt = doing.here
    found, gives = row["found"], row["asked"].get("gives")
    given = () if gives is None else ((N_("Points"), fmt.number(len(gives["point_ids"]))),)
    return (
        (N_("Tariff") if gives is None else N_("Tariff given"), row["asked"]["name"]),
        *given,
        (N_("Wrong since"), fmt.instant(row["since_at"])),
        (N_("Households"), fmt.number(found["households"])),
        *((title, text) for title, text, _ in figures(found, fmt)),
        (N_("Replay"), str(row["id"])),
        *(((N_("Not in these figures"), doing.words(partial(row))),) if row["is_partial"] else ()),
    )


def partial(row: Mapping[str, Any]) -> str:
    """What the figures of a replay leave out where billing periods are billed, as a message id."""
    if row["corrects"]:
        return N_(
            "These figures are of intervals alone. A minimum, power, losses to the coin, added tax"
            " and free energy carried over are known only when a billing period has ended: once the"
            " correction is made, its bills are made anew and their differences are posted as well."
        )
    return N_(
        "These figures are of intervals alone, on both sides. A minimum, power, losses to the coin,"
        " added tax and free energy carried over are known only when a billing period has ended;"
        " its bill is in no figure here. The calculator tells such bills."
    )


def figures(found: Mapping[str, Any], fmt: Formats) -> list[tuple[str, str, str]]:
    """(title, text, note) of what a reader of a replay looks for first."""
    added_nano = found["would_nano"] - found["charged_nano"]
    return [
        (N_("Was charged"), nano_money(found["charged_nano"], fmt), ""),
        (N_("Would be charged"), nano_money(found["would_nano"], fmt), ""),
        (N_("Difference"), nano_money(added_nano, fmt), ""),
        (N_("Pay more"), fmt.number(found["losers"]), nano_money(found["losers_nano"], fmt)),
        (N_("Pay less"), fmt.number(found["winners"]), nano_money(found["winners_nano"], fmt)),
        (N_("Pay the same"), fmt.number(found["unchanged"]), ""),
    ]


def nano_money(nano: int, fmt: Formats) -> str:
    """An exact amount to the coin, half a coin up."""
    size = 10 ** (9 - fmt.currency_exponent)
    return fmt.money((nano + size // 2) // size)


def _watch(doing: Doing, answer: Any) -> str:
    return f"/projects/{doing.project_id}/tasks/{answer['id']}/progress"


START: Final = Act(
    "replay.start", Verb.TARIFF_REPLAY, f"{_ALL}/start", N_("Replay prices"), NewReplay, work.Task,
    _start, tag=_TAG, then=_watch, watch=True,
    consequence=N_("Nothing is charged or changed; the result is kept, to be looked at."),
)  # fmt: skip
TRY: Final = Act(
    "replay.correction", Verb.TARIFF_REPLAY, f"{_TARIFF}/correction", N_("Correct a past price"),
    NewCorrection, work.Task, _try, tag=_TAG,
    consequence=N_(
        "Shows who would pay more and who less; nothing is charged yet. The correction is then"
        " made from that page, by two people."
    ),
)  # fmt: skip
ASSIGN_SINCE: Final = Act(
    "replay.assignment", Verb.TARIFF_REPLAY, f"{_TARIFF}/assignment",
    N_("Assign since a past instant"), PastAssignment, work.Task, _try_assignment, tag=_TAG,
    about=_about_given, then=_watch, watch=True,
    consequence=N_(
        "Shows who would pay more and who less; nothing is charged yet. It is then made from that"
        " page, by two people. What these points were given since then gives way."
    ),
)  # fmt: skip
CORRECT: Final = Act(
    "tariff.correct", Verb.TARIFF_CORRECT, f"{_ALL}/{{replay_id}}/correct",
    N_("Make this correction"), Why, work.Task, _correct, tag=_TAG, danger=True, proof=True,
    about=_about_replay, then=_watch, watch=True,
    consequence=N_(
        "It waits until somebody else with the same right approves it. Then every household is"
        " charged or given the difference today; closed days stay as they are."
    ),
)  # fmt: skip
RESWEEP: Final = Act(
    "tariff.resweep", Verb.TARIFF_CORRECT, f"{_TARIFF}/resweep", N_("Rate again as corrected"),
    NoFields, work.Task, _resweep, tag=_TAG, about=_about_tariff, then=_watch, watch=True,
    proof=True,
    consequence=N_(
        "For a correction that did not come to its end. What has been charged as corrected stays."
    ),
)  # fmt: skip

ACTS: Final[tuple[Act[Any], ...]] = (START, ASSIGN_SINCE, CORRECT, RESWEEP)
DRAWN: Final[tuple[Act[Any], ...]] = (TRY,)
"""Acts whose page at the console is the scheme editor."""
