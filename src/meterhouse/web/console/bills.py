"""One period bill: its lines, what was charged while energy flowed, and what it adds.

Owns the page. Must never know how a bill is made.
"""

from collections import defaultdict
from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from meterhouse.flows import billed
from meterhouse.flows.access import Verb
from meterhouse.model import Commodity
from meterhouse.rating.bill import Bill, Kind
from meterhouse.rating.tariff import Scheme
from meterhouse.units import nano_per_minor, to_decimal
from meterhouse.web.access import Permission, database_of
from meterhouse.web.charts import Chart, Draw, Series
from meterhouse.web.formats import Formats, fine_amount, grouped
from meterhouse.web.labels import UNIT
from meterhouse.web.pages import formats_of, render
from meterhouse.web.schemes import names, trying
from meterhouse.words import N_

router = APIRouter(dependencies=[Depends(Permission(Verb.MONEY_READ))])

_PARTS_MIN: Final = 2


@router.get("/projects/{project_id}/bills/{bill_id:int}")
async def bill_page(request: Request, project_id: int, bill_id: int) -> Response:
    """A bill with its lines, and which other versions of it there are."""
    tariffs = request.app.state.tariffs
    now = await billed.look(database_of(request), tariffs, project_id, bill_id)
    kept, fmt = now.kept, formats_of(request)
    unit = UNIT[Commodity(kept.row["commodity"])]
    facts = {
        "row": kept.row,
        "lines": trying.told(kept.bill, kept.scheme, fmt),
        "total": fmt.money(kept.bill.total_minor),
        "total_nano": kept.bill.total_minor * nano_per_minor(fmt.currency_exponent),
        "versions": now.versions,
        "transfer_ids": now.transfer_ids,
        "chart": _composition(kept.bill, kept.scheme, fmt),
        "fine": fine_amount,
        "energy": f"{grouped(kept.row['energy_milli'], 3)} {unit}",
    }
    return render(request, "bill.html", facts)


def _composition(bill: Bill, scheme: Scheme, fmt: Formats) -> Chart | None:
    """What the bill is made of, by kind; none where all of it is of one kind.

    Tax that prices contain is in the other parts already.
    """
    parts: dict[Kind, int] = defaultdict(int)
    for line in bill.lines:
        tax = scheme.versions[line.version].charges.tax
        if line.kind is not Kind.TAX or (tax and not tax.included):
            parts[line.kind] += line.amount_minor
    found = {kind: amount for kind, amount in parts.items() if amount}
    if len(found) < _PARTS_MIN:
        return None
    return Chart(
        N_("What the bill is made of"), N_("Item"), [fmt.words(names.LINE[one]) for one in found],
        [fmt.currency_symbol],
        [Series(N_("Amount"), [to_decimal(one, fmt.currency_exponent) for one in found.values()],
                Draw.BAR, texts=[fmt.amount(one) for one in found.values()])],
    )  # fmt: skip
