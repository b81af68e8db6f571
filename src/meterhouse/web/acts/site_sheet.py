"""A site, and a calendar, from a spreadsheet.

Owns the columns. What a row means and what is wrong with it beside what stands is the flow's.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from meterhouse.errors import MeterhouseError, RowFault, RowsRefused
from meterhouse.flows import households, onboard, project
from meterhouse.flows.access import Verb
from meterhouse.flows.account import Terms
from meterhouse.flows.act import Done
from meterhouse.flows.households import HouseholdRow
from meterhouse.flows.opening import Purse
from meterhouse.flows.sheet import SiteRow
from meterhouse.model import Commodity
from meterhouse.web import labels
from meterhouse.web.access import NotAllowed
from meterhouse.web.acts import typed
from meterhouse.web.acts.account import Persons, PurseChoice, beyond
from meterhouse.web.acts.customer import Language
from meterhouse.web.acts.frame import Ask, Doing, Form, Name
from meterhouse.web.acts.install import MODELS
from meterhouse.web.acts.sheets import Sheet
from meterhouse.words import N_

Optional = StringConstraints(max_length=60)


class TermsLine(Form):
    """On what terms a household of a row pays, and what it begins with."""

    persons: Persons = 1
    """How many live there; limits and free energy may depend on it."""
    purse: PurseChoice = Purse.APART
    """together: all commodities draw one purse; apart: each draws its own, then a common one."""
    overdraft: Annotated[str, Optional, Ask(N_("Overdraft"), kind="money")] = Field(
        default="", examples=["0.00"]
    )
    """How far below zero it may fall; empty: not at all."""
    opening_credit: Annotated[
        str,
        Optional,
        Ask(N_("Opening credit"), kind="money", hint=N_("Brought along; no cash moves")),
    ] = Field(default="", examples=["56.70"])
    """What it had before these books began; no cash moves for it."""
    opening_debt: Annotated[
        str,
        Optional,
        Ask(N_("Opening debt"), kind="money", hint=N_("Owed from before; no cash moves")),
    ] = Field(default="", examples=["0.00"])
    """What it owed before these books began; not beside opening credit."""
    deposit: Annotated[
        str, Optional, Ask(N_("Deposit"), kind="money", hint=N_("Kept apart, paid at the opening"))
    ] = Field(default="", examples=["200.00"])
    """A deposit that is paid now in cash."""
    opening_deposit: Annotated[
        str,
        Optional,
        Ask(N_("Deposit from before"), kind="money", hint=N_("Held already; no cash moves")),
    ] = Field(default="", examples=["300.00"])
    """A deposit that was taken before these books began."""
    warning_1: Annotated[str, Optional, Ask(N_("Warning 1 at"), kind="money")] = Field(
        default="30", examples=["30.00"]
    )
    """The household is warned first when this is left."""
    warning_2: Annotated[str, Optional, Ask(N_("Warning 2 at"), kind="money")] = Field(
        default="15", examples=["15.00"]
    )
    """And again, lower."""
    warning_3: Annotated[str, Optional, Ask(N_("Warning 3 at"), kind="money")] = Field(
        default="5", examples=["5.00"]
    )
    """And for the last time, lower still."""


_MONEY: Final = tuple(TermsLine.model_fields)[2:]
_WARNINGS: Final = ("warning_1", "warning_2", "warning_3")


class SiteLine(TermsLine):
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


class HouseholdLine(TermsLine):
    """Who moves into a room that stands, and on what terms."""

    building: Annotated[Name, Ask(N_("Building"))] = Field(examples=["1"])
    """The building."""
    floor: Annotated[str, Optional, Ask(N_("Floor"))] = Field(default="", examples=["1F"])
    """The floor; empty: the room lies in the building itself."""
    room: Annotated[Name, Ask(N_("Room"))] = Field(examples=["101"])
    """The room; nobody but the house pays for it."""
    customer: Annotated[Name, Ask(N_("Customer"))] = Field(examples=["Wang Jing"])
    """Name of the household."""
    phone: Annotated[str, Optional, Ask(N_("Phone"))] = Field(default="", examples=["13800000000"])
    """Their phone."""
    email: Annotated[str, StringConstraints(max_length=120), Ask(N_("E-mail"))] = Field(
        default="", examples=["wang@example.org"]
    )
    """Their e-mail, for notices."""
    language: Language = "zh-Hans"
    """The language of notices."""


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


def _terms(doing: Doing, row: TermsLine) -> tuple[Terms, list[tuple[str, MeterhouseError]]]:
    """A row's terms as exact values, and what of them cannot be read or given, by column."""
    scope, _ = doing.here
    faults: list[tuple[str, MeterhouseError]] = []
    money: dict[str, int] = {}
    for name in _MONEY:
        try:
            text = getattr(row, name) or "0"
            money[name] = typed.money_minor(text, scope.currency_exponent, name)
            if money[name] < 0 and name not in _WARNINGS:
                raise typed.MoneyUnusable(decimals=scope.currency_exponent)
        except MeterhouseError as error:
            faults.append((name, error))
            money[name] = 0
    first, second, third = (money[name] for name in _WARNINGS)
    terms = Terms(
        -money["overdraft"], (first, second, third), row.purse, money["opening_credit"],
        money["deposit"], debt_minor=money["opening_debt"], held_minor=money["opening_deposit"],
        persons=row.persons,
    )  # fmt: skip
    return terms, faults + beyond(doing, terms)


def _brought(taken: Iterable[Terms]) -> dict[str, int]:
    """What rows brought along from before, as the audit tells it."""
    given = list(taken)
    return {
        "opening_minor": sum(terms.credit_minor for terms in given),
        "debt_minor": sum(terms.debt_minor for terms in given),
        "held_minor": sum(terms.held_minor for terms in given),
    }


async def _take_site(doing: Doing, rows: Sequence[SiteLine]) -> Done:
    """Take rooms, meters, tariffs and households over from a sheet; all rows or none."""
    faults: list[RowFault] = []
    site: list[SiteRow] = []
    scope, _ = doing.here
    may_open = scope.covers(Verb.ACCOUNT_OPEN, None)
    for number, row in enumerate(rows):
        facts = row.model_dump(exclude={"area", *TermsLine.model_fields})
        terms, wrong = _terms(doing, row)
        faults += [RowFault(number, *one) for one in wrong]
        if row.customer and not may_open:
            faults.append(RowFault(number, "customer", NotAllowed(Verb.ACCOUNT_OPEN)))
        try:
            site.append(SiteRow(**facts, terms=terms, area_dm2=typed.area_dm2(row.area)))
        except MeterhouseError as error:
            faults.append(RowFault(number, "area", error))
    if faults:
        raise RowsRefused(faults)
    doer = doing.doer
    taken = await onboard.import_rows(doing.db, doing.project_id, site, doer.actor_id, doer.at)
    after = {
        "rooms": taken.rooms, "points": taken.points, "meters": taken.meters,
        "households": taken.households,
    } | _brought(one.terms for one in site if one.customer)  # fmt: skip
    return Done(f"project:{doing.project_id}", {"count": len(rows)}, after=after)


async def _take_households(doing: Doing, rows: Sequence[HouseholdLine]) -> Done:
    """Open accounts for rooms that stand from a sheet; all rows or none."""
    return await _households(doing, rows, is_prepared=False)


async def _prepare_households(doing: Doing, rows: Sequence[HouseholdLine]) -> Done:
    """Prepare accounts for rooms that stand from a sheet; all rows or none."""
    return await _households(doing, rows, is_prepared=True)


async def _households(doing: Doing, rows: Sequence[HouseholdLine], *, is_prepared: bool) -> Done:
    faults: list[RowFault] = []
    taken: list[HouseholdRow] = []
    for number, row in enumerate(rows):
        terms, wrong = _terms(doing, row)
        faults += [RowFault(number, *one) for one in wrong]
        facts = row.model_dump(exclude={*TermsLine.model_fields})
        taken.append(HouseholdRow(**facts, terms=terms))
    if faults:
        raise RowsRefused(faults)
    doer = doing.doer
    count = await households.take(
        doing.db, doing.project_id, taken, doer.actor_id, doer.at, is_prepared=is_prepared
    )
    after = {"count": count} | _brought(one.terms for one in taken)
    return Done(f"project:{doing.project_id}", {"count": count}, after=after)


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
        "not there yet are made; gateways and tariffs must be there. A row that names a customer "
        "opens an account, so it takes the right to do that."
    ),
)  # fmt: skip
DAYS: Final[Sheet[Any]] = Sheet(
    "calendar.import", Verb.PROJECT_EDIT, "/projects/{project_id}/calendar",
    N_("Import calendar"), DayLine, _take_days, tag="projects",
)  # fmt: skip

HOUSEHOLDS: Final[Sheet[Any]] = Sheet(
    "household.import", Verb.ACCOUNT_OPEN, "/projects/{project_id}/customers",
    N_("Import households"), HouseholdLine, _take_households, tag="accounts",
    hint=N_("One row a room that stands and is vacant. Its household pays from now on."),
)  # fmt: skip
OPENINGS: Final[Sheet[Any]] = Sheet(
    "opening.import", Verb.ACCOUNT_OPEN, "/projects/{project_id}/openings",
    N_("Import prepared accounts"), HouseholdLine, _prepare_households, tag="accounts",
    hint=N_("One row a room that stands and is vacant. Nothing changes until it is opened."),
)  # fmt: skip

SHEETS: Final = (SITE, DAYS, HOUSEHOLDS, OPENINGS)
