"""A site, and a calendar, from a spreadsheet.

Owns the columns. What a row means and what is wrong with it beside what stands is the flow's.
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import MeterhouseError, RowFault, RowsRefused
from meterhouse.flows import onboard, project
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.flows.sheet import SiteRow
from meterhouse.model import Commodity
from meterhouse.web import labels
from meterhouse.web.acts import typed
from meterhouse.web.acts.frame import Ask, Doing, Form, Name
from meterhouse.web.acts.install import MODELS
from meterhouse.web.acts.sheets import Sheet
from meterhouse.words import N_

Optional = StringConstraints(max_length=60)


class SiteLine(Form):
    """A room, and as far as said its meter, its price and its household."""

    building: Annotated[Name, Ask(N_("Building"))] = Field(examples=["1"])
    """The building; made if it is not there."""
    floor: Annotated[str, Optional, Ask(N_("Floor"))] = Field(default="", examples=["1F"])
    """The floor; made if it is not there. Empty: the room lies in the building itself."""
    room: Annotated[Name, Ask(N_("Room"))] = Field(examples=["101"])
    """The room; made if it is not there."""
    area: Annotated[str, Optional, Ask(N_("Area"), unit=N_("m²"))] = Field(
        default="", examples=["86.50"]
    )
    """Area in m², at most two decimals."""
    commodity: Annotated[
        Commodity,
        Ask(N_("Commodity"), kind="choice",
            words={one.value: word for one, word in labels.COMMODITY.items()}),
    ] = Field(default=Commodity.ELECTRICITY, examples=["electricity"])  # fmt: skip
    """What is delivered."""
    gateway: Annotated[str, Optional, Ask(N_("Gateway"), hint=N_("Its name or registration"))] = (
        Field(default="", examples=["MHGW00000001"])
    )
    """Name or registration of the meter's gateway; needed with a meter."""
    model: Annotated[
        str, Optional, Ask(N_("Model"), kind="choice", words=MODELS, hint=N_("Of the meter"))
    ] = Field(default="", examples=["DDSY1352-NK"])
    """Model of the meter; needed with a meter."""
    address: Annotated[
        str, StringConstraints(pattern=r"^\d{0,12}$"),
        Ask(N_("Meter address"), hint=N_("Up to 12 digits; empty: no meter")),
    ] = Field(default="", examples=["000000000012"])  # fmt: skip
    """Address of the meter; empty: no meter."""
    multiplier: Annotated[int, Field(ge=1, le=100_000), Ask(N_("Multiplier"))] = Field(
        default=1, examples=[1]
    )
    """What its registers are multiplied by."""
    tariff: Annotated[
        str, Optional, Ask(N_("Tariff"), hint=N_("Name of a tariff of this project"))
    ] = Field(default="", examples=["Flat"])
    """Name of the tariff."""
    customer: Annotated[
        str, Optional, Ask(N_("Customer"), hint=N_("Pays from now on; empty: nobody has moved in"))
    ] = Field(default="", examples=["Wang Jing"])
    """Name of the household; it pays from now on."""
    phone: Annotated[str, Optional, Ask(N_("Phone"))] = Field(default="", examples=["13800000000"])
    """Their phone."""
    email: Annotated[str, StringConstraints(max_length=120), Ask(N_("E-mail"))] = Field(
        default="", examples=["wang@example.org"]
    )
    """Their e-mail, for notices."""


class DayLine(Form):
    """A special day."""

    day: Annotated[date, Ask(N_("Day"))] = Field(examples=["2026-10-01"])
    """The day."""
    kind: Annotated[
        str, StringConstraints(pattern="^(holiday|workday|special)$"),
        Ask(N_("Kind"), kind="choice", words=labels.DAY_KIND),
    ] = Field(examples=["holiday"])  # fmt: skip
    """holiday, workday (a make-up day) or special."""
    name: Annotated[str, Optional, Ask(N_("Name of the day"))] = Field(
        default="", examples=["National Day"]
    )
    """What it is called."""


async def _take_site(doing: Doing, rows: Sequence[SiteLine]) -> Done:
    """Take rooms, meters, tariffs and households over from a sheet; all rows or none."""
    faults: list[RowFault] = []
    site: list[SiteRow] = []
    for number, row in enumerate(rows):
        facts = row.model_dump(exclude={"area"})
        try:
            site.append(SiteRow(**facts, area_dm2=typed.area_dm2(row.area)))
        except MeterhouseError as error:
            faults.append(RowFault(number, "area", error))
    if faults:
        raise RowsRefused(faults)
    taken = await onboard.import_rows(doing.db, doing.project_id, site, doing.doer.at)
    after = {
        "rooms": taken.rooms, "points": taken.points, "meters": taken.meters,
        "households": taken.households,
    }  # fmt: skip
    return Done(f"project:{doing.project_id}", {"count": len(rows)}, after=after)


async def _take_days(doing: Doing, rows: Sequence[DayLine]) -> Done:
    """Enter special days from a sheet; a day already there is overwritten."""
    days = {row.day: (row.day, row.kind, row.name) for row in rows}
    count = await project.put_days(doing.db, doing.project_id, list(days.values()))
    return Done(f"project:{doing.project_id}", {"count": count}, after={"count": count})


SITE: Final[Sheet[Any]] = Sheet(
    "site.import", Verb.DEVICE_EDIT, "/projects/{project_id}/meters",
    N_("Import rooms and meters"), SiteLine, _take_site, tag="devices",
    hint=N_(
        "One row a meter: its room, price and household. Buildings, floors and rooms that are "
        "not there yet are made; gateways and tariffs must be there."
    ),
)  # fmt: skip
DAYS: Final[Sheet[Any]] = Sheet(
    "calendar.import", Verb.PROJECT_EDIT, "/projects/{project_id}/calendar",
    N_("Import calendar"), DayLine, _take_days, tag="projects",
)  # fmt: skip

SHEETS: Final = (SITE, DAYS)
