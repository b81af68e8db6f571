"""One doubtful reading: the verdict in words, the registers around it, and what was decided.

Owns the page. Must never know what a decision bills.
"""

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import doubt
from meterhouse.flows.access import Verb
from meterhouse.model import Commodity, Quality
from meterhouse.rating.decided import Decided
from meterhouse.units import to_decimal
from meterhouse.web import doubtwords, labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts.doubt import ACTS
from meterhouse.web.charts import Chart, Draw, Series
from meterhouse.web.doubtwords import DecidedName, DoubtName
from meterhouse.web.formats import Formats, grouped
from meterhouse.web.pages import formats_of, render
from meterhouse.words import N_

router = APIRouter(dependencies=[Depends(Permission(Verb.ALARM_READ))])
SHOWN: Final = 12


@router.get("/projects/{project_id}/doubts/{doubt_id:int}")
async def doubt_page(request: Request, project_id: int, doubt_id: int) -> Response:
    """A doubtful reading with the registers around it."""
    now = await doubt.look(database_of(request), project_id, doubt_id)
    row, fmt = now.row, formats_of(request)
    unit = labels.UNIT[Commodity(row["commodity"])]
    may = Verb.READING_DECIDE in request.state.scope.verbs_in(row["building_id"])
    place = next((i for i, one in enumerate(now.around) if one["read_at"] == row["read_at"]), 0)
    facts = {
        "row": row,
        "why": DoubtName(row["why"]),
        "advice": doubtwords.ADVICE[DoubtName(row["why"])],
        "history": now.history,
        "decided_name": lambda said: DecidedName(Decided(said).name.lower()),
        "deeds": ACTS if may and row["is_serving"] else (),
        "ids": {"project_id": project_id, "doubt_id": doubt_id},
        "unit": unit,
        "chart": _chart(now.around, unit, fmt),
        "near": now.around[max(place - SHOWN, 0) : place + SHOWN + 1],
        "state_of": _state_of,
        "state_class": doubtwords.QUALITY_CLASS,
        "exact_energy": lambda milli: grouped(milli, 3),
    }
    return render(request, "doubt.html", facts)


def _state_of(row: Any) -> Quality:
    """How a reading stands, as the list of readings says it."""
    if row["is_doubtful"]:
        return Quality.DOUBTFUL
    if row["decided"] is not None:
        return Quality.EDITED
    return Quality(row["quality"] or 0)


def _chart(around: Sequence[Any], unit: str, fmt: Formats) -> Chart:
    """The total register over time, as the meter said it."""
    said = [one for one in around if one["total_milli"] >= 0]
    return Chart(
        N_("The register around it"), N_("Read"), [fmt.instant(one["read_at"]) for one in said],
        (unit,),
        (Series(N_("Total"), [to_decimal(one["total_milli"], 3) for one in said], Draw.LINE),),
    )  # fmt: skip
