"""One reading, doubtful or not: the verdict in words, the registers around it, what was decided.

Owns both pages, that of a doubt and that of any stored reading. Must never know what a decision
bills.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import doubt
from meterhouse.flows.access import Verb
from meterhouse.model import Commodity
from meterhouse.rating.decided import Decided
from meterhouse.units import to_decimal, to_us
from meterhouse.web import doubtwords, labels
from meterhouse.web.access import Permission, database_of
from meterhouse.web.acts.doubt import DOUBTED, READ
from meterhouse.web.acts.frame import Act
from meterhouse.web.charts import Chart, Draw, Series
from meterhouse.web.doubtwords import DecidedName, DoubtName
from meterhouse.web.formats import Formats, fine_amount, grouped
from meterhouse.web.pages import formats_of, render
from meterhouse.words import N_

router = APIRouter()
SHOWN: Final = 12
DECIDED_COLOUR: Final = "#fa8c16"


@router.get(
    "/projects/{project_id}/doubts/{doubt_id:int}",
    dependencies=[Depends(Permission(Verb.ALARM_READ))],
)
async def doubt_page(request: Request, project_id: int, doubt_id: int) -> Response:
    """A doubtful reading with the registers around it."""
    now = await doubt.look(database_of(request), project_id, doubt_id)
    return _page(request, now, DOUBTED, {"project_id": project_id, "doubt_id": doubt_id})


@router.get(
    "/projects/{project_id}/meters/{meter_id:int}/readings/{reading_id:int}",
    dependencies=[Depends(Permission(Verb.ROOM_READ))],
)
async def reading_page(
    request: Request, project_id: int, meter_id: int, reading_id: int
) -> Response:
    """Any stored reading with the registers around it."""
    which = doubt.OfMeter(meter_id, reading_id)
    now = await doubt.look(database_of(request), project_id, which)
    return _page(request, now, READ, {"project_id": project_id, **which._asdict()})


def _page(
    request: Request, now: doubt.Doubt, deeds: Sequence[Act[Any]], ids: Mapping[str, int]
) -> Response:
    row, fmt = now.row, formats_of(request)
    unit = labels.UNIT[Commodity(row["commodity"])]
    may = Verb.READING_DECIDE in request.state.scope.verbs_in(row["building_id"])
    place = next((i for i, one in enumerate(now.around) if one["read_at"] == row["read_at"]), 0)
    why = (
        DoubtName(row["why"]) if row["why"] and ("doubt_id" in ids or row["is_doubtful"]) else None
    )
    facts = {
        "row": row,
        "why": why,
        "advice": doubtwords.ADVICE[why] if why else "",
        "here": now.around[place] if now.around else None,
        "history": now.history,
        "decided_name": lambda said: DecidedName(Decided(said).name.lower()),
        "deeds": deeds if may and row["is_serving"] else (),
        "may_decide": may,
        "ids": ids,
        "unit": unit,
        "chart": _chart(now.around, unit, fmt),
        "near": now.around[max(place - SHOWN, 0) : place + SHOWN + 1],
        "state_of": doubt.quality_of,
        "state_class": doubtwords.QUALITY_CLASS,
        "exact_energy": lambda milli: grouped(milli, 3),
        "fine": fine_amount,
        "reading_address": lambda at: (
            f"/projects/{ids['project_id']}/meters/{row['meter_id']}/readings/{to_us(at)}"
        ),
    }
    return render(request, "doubt.html", facts)


def _chart(around: Sequence[Any], unit: str, fmt: Formats) -> Chart:
    """The total register over time as the meter said it, and as people corrected it."""
    said = [one for one in around if one["total_milli"] >= 0]
    series = [Series(N_("Total"), [to_decimal(one["total_milli"], 3) for one in said], Draw.LINE)]
    if any(one["registers_milli"] for one in said):
        counts = [(one["registers_milli"] or [one["total_milli"]])[0] for one in said]
        series.append(
            Series(
                N_("As decided"),
                [to_decimal(milli, 3) for milli in counts],
                Draw.LINE,
                colour=DECIDED_COLOUR,
            )
        )
    return Chart(
        N_("The register around it"), N_("Read"), [fmt.instant(one["read_at"]) for one in said],
        (unit,), tuple(series), is_near=True,
    )  # fmt: skip
