"""One replay: what it comes to, who would pay more and who less, and the way to a correction.

Owns the page and its file. Must never know how charges are rated again.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import replay
from meterhouse.flows.access import Verb
from meterhouse.rating.tariff import parse
from meterhouse.units import to_decimal
from meterhouse.web import labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts import replay as acts
from meterhouse.web.charts import Chart, Draw, Series
from meterhouse.web.console.lists import export_list, list_facts, load_page
from meterhouse.web.formats import Formats
from meterhouse.web.pages import formats_of, render
from meterhouse.web.replayview import ROWS
from meterhouse.web.schemes.changes import Stretch, stretches
from meterhouse.words import N_

router = APIRouter(dependencies=[Depends(Permission(Verb.TARIFF_REPLAY))])

_ONE: Final = "/projects/{project_id}/replays/{replay_id:int}"


@router.get(_ONE)
async def replay_page(request: Request, project_id: int, replay_id: int) -> Response:
    """A replay with its sums, charts and households."""
    row = await replay.get(database_of(request), project_id, replay_id)
    fmt, found = formats_of(request), row["found"]
    page = await load_page(request, project_id, ROWS, fmt, replay=replay_id)
    commodity = row["asked"]["scheme"].get("commodity", "")
    facts = {
        "replay": row,
        "found": found,
        "figures": acts.figures(found, fmt),
        "months": _months(found, fmt),
        "spread": _spread(found, fmt),
        "correct": acts.CORRECT,
        "partial": acts.partial(row),
        "again": acts.TRY,
        "stretches": _stretches(row, fmt),
        "ids": {"project_id": project_id, "replay_id": replay_id},
        **list_facts(
            page, fmt, str(replay_id), request.state.scope.verbs, labels.UNIT.get(commodity, "")
        ),
        "heading": fmt.words(ROWS.heading),
    }
    return render(request, "replay.html", facts)


@router.get(f"{_ONE}/export")
async def replay_file(request: Request, project_id: int, replay_id: int) -> Response:
    """Its households as the page filters and sorts them."""
    await replay.get(database_of(request), project_id, replay_id)
    return await export_list(request, project_id, ROWS, formats_of(request), replay=replay_id)


def _stretches(row: Mapping[str, Any], fmt: Formats) -> Sequence[Stretch]:
    """What a correction changes of the tariff as it stood; older replays did not keep that."""
    asked = row["asked"]
    if not row["corrects"] or not asked.get("was"):
        return ()
    was, will = (parse(asked[name]) for name in ("was", "scheme"))
    return stretches(was, will, row["since_at"], fmt.words)


def _months(found: Mapping[str, Any], fmt: Formats) -> Chart:
    months = found["months"]
    size = 10 ** (9 - fmt.currency_exponent)
    series = []
    for title, name in (
        (N_("Was charged"), "charged_nano"),
        (N_("Would be charged"), "would_nano"),
    ):
        points = [(one[name] + size // 2) // size for one in months]
        series.append(
            Series(title, [to_decimal(one, fmt.currency_exponent) for one in points], Draw.BAR,
                   texts=[fmt.amount(one) for one in points])
        )  # fmt: skip
    return Chart(
        N_("By month"), N_("Month"), [one["month"] for one in months], [fmt.currency_symbol], series
    )


def _spread(found: Mapping[str, Any], fmt: Formats) -> Chart:
    """How many households lie how far from what they were charged."""
    edges = replay.EDGES_PERCENT
    *counts, same = found["shares"]
    ends = [_percent(edge) for edge in edges]
    names = [f"< {ends[0]}"]
    names += [f"{low} … {high}" for low, high in pairwise(ends)]
    names.append(f"≥ {ends[-1]}")
    # Those who pay the same stand between less and more.
    middle = edges.index(0) + 1
    names.insert(middle, fmt.words(N_("the same")))
    counts.insert(middle, same)
    points = [str(one) for one in counts]
    return Chart(
        N_("Differences"), N_("Difference of what was charged"), names, [""],
        [Series(N_("Households"), points, Draw.BAR, texts=[fmt.number(one) for one in counts])],
    )  # fmt: skip


def _percent(edge: int) -> str:
    sign = {True: "−", False: "+"}[edge < 0] if edge else ""
    return f"{sign}{abs(edge)} %"
