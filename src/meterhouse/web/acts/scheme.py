"""Acts on whole schemes: a tariff published from one, or a further version of a tariff.

Owns the scheme as the contract says it, field by field; the same names as in a scheme file. Must
never know how it is typed at the console (`web.schemes`) nor rated. The bounds here are what a
program can rely on; whether the whole holds together, and can run, is for `rating` to say.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from meterhouse.flows import onboard, tariff
from meterhouse.flows.access import Verb
from meterhouse.flows.act import Done
from meterhouse.model import Commodity
from meterhouse.rating.blocks import BLOCKS_MAX, PERSONS_MAX
from meterhouse.rating.charges import AMOUNT_MICRO_MAX, MULTIPLIER_MAX, SURCHARGES_MAX
from meterhouse.rating.fields import NAME_MAX, TariffInvalid
from meterhouse.rating.source import LANGUAGE, LANGUAGES_MAX, TEXT_MAX
from meterhouse.rating.tariff import BANDS_MAX, SEASONS_MAX
from meterhouse.units import (
    INTERVAL_MILLI_MAX,
    MICRO_PER_UNIT,
    PRICE_MICRO_MAX,
    REGISTER_MILLI_MAX,
)
from meterhouse.web import labels
from meterhouse.web.acts.frame import Act, Ask, Choices, Doing, Form
from meterhouse.web.api import setup as shapes
from meterhouse.words import N_

_TAG: Final = "tariffs"
_ALL: Final = "/projects/{project_id}/tariffs"
_ONE: Final = f"{_ALL}/{{tariff_id}}"
VERSIONS_AT_ONCE_MAX: Final = 100

Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
MonthDay = Annotated[str, StringConstraints(pattern=r"^\d\d-\d\d$")]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\d$")]
Clock = Annotated[str, StringConstraints(pattern=r"^\d\d:\d\d$")]
Kind = Literal["workday", "weekend", "holiday", "makeup_workday"]
PriceMicro = Annotated[int, Field(ge=-PRICE_MICRO_MAX, le=PRICE_MICRO_MAX)]
Limits = Annotated[
    list[Annotated[int, Field(ge=0, le=REGISTER_MILLI_MAX)]], Field(max_length=BLOCKS_MAX)
]

_Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX)]
Language = Annotated[str, StringConstraints(pattern=LANGUAGE)]
Said = _Text | Annotated[dict[Language, _Text], Field(min_length=1, max_length=LANGUAGES_MAX)]


class BillingFields(Form):
    """When bills are cut, by the project's wall clock."""

    anchor_day: int = Field(default=1, ge=1, le=28, examples=[1])
    """Day of each month on which a bill is cut."""
    anchor_hour: int = Field(default=0, ge=0, le=23, examples=[0])
    """Hour of that day."""
    proration: Literal["days", "whole", "full_only"] = Field(default="days", examples=["days"])
    """What of a charge by the period is owed for a part of it."""


class SourceFields(Form):
    """The document that published the prices."""

    title: Said = Field(examples=["Residential price table"])
    """What it is called; a text, or one by language."""
    issuer: Said = Field(examples=["Price bureau"])
    """Who issued it; a text, or one by language."""
    issued_on: Day | None = Field(default=None, examples=["2026-01-01"])
    """Its date, where known."""
    as_of: Day = Field(examples=["2026-01-01"])
    """The day of which the figures are known to hold."""
    note: Said | Literal[""] = Field(default="", examples=[{"en": "Large households left out."}])
    """What it leaves out; a text, or one by language."""


class SeasonFields(Form):
    """A span of every year and its day tables."""

    name: Identifier = Field(examples=["summer"])
    """What it is called."""
    first: MonthDay = Field(examples=["07-01"])
    """Its first day, as MM-DD."""
    last: MonthDay = Field(examples=["09-30"])
    """Its last day."""
    tables: dict[Kind, Identifier] = Field(max_length=4, examples=[{"workday": "every_day"}])
    """The day table of each kind of day; at least of a workday."""


class PersonsFields(Form):
    """What larger households have in addition to each limit."""

    persons: int = Field(ge=1, le=PERSONS_MAX, examples=[5])
    """From so many persons on."""
    add_milli: Limits = Field(examples=[[100000]])
    """Thousandths of a unit added to each limit."""


class BlocksFields(Form):
    """How use counts toward a higher price."""

    period: Literal["none", "month", "year", "season"] = Field(default="none", examples=["month"])
    """When they begin again."""
    fill: Literal["chronological", "pro_rata"] = Field(
        default="chronological", examples=["chronological"]
    )
    """How an interval that meets several bands and blocks fills them."""
    limits_milli: Limits = Field(default=[], examples=[[200000]])
    """Where each block but the last ends, in thousandths of a unit, ascending."""
    seasonal: dict[Identifier, Limits] = Field(
        default={}, max_length=SEASONS_MAX, examples=[{"year": [260000]}]
    )
    """Other limits in a season, by its name."""
    persons: list[PersonsFields] = Field(
        default=[], max_length=PERSONS_MAX, examples=[[{"persons": 5, "add_milli": [100000]}]]
    )
    """Additions for large households, ascending."""
    counted: Literal["meter", "household"] = Field(default="meter", examples=["meter"])
    """Whose use fills them."""


class SurchargeFields(Form):
    """A price on every unit that is not free."""

    name: Identifier = Field(examples=["funds"])
    """What it is called."""
    price_micro: PriceMicro = Field(examples=[20000])
    """Millionths of the currency a unit; below zero a rebate."""


class StandingFields(Form):
    """A charge for being connected."""

    per: Literal["day", "period"] = Field(examples=["period"])
    """What it is for."""
    amount_micro: int = Field(ge=1, le=AMOUNT_MICRO_MAX, examples=[5000000])
    """Millionths of the currency."""


class AllowanceFields(Form):
    """Free energy."""

    grant: Literal["once", "period"] = Field(examples=["period"])
    """When it is given."""
    energy_milli: int = Field(ge=1, le=INTERVAL_MILLI_MAX, examples=[30000])
    """Thousandths of a unit."""
    carries: bool = Field(default=False, examples=[False])
    """Whether what is left goes into the next period."""
    per_person: bool = Field(default=False, examples=[False])
    """Whether it is given as often as the household has persons."""


class DemandFields(Form):
    """A price for power."""

    by: Literal["capacity", "maximum"] = Field(examples=["maximum"])
    """Whether contracted or measured power is charged."""
    price_micro: int = Field(ge=1, le=PRICE_MICRO_MAX, examples=[38000000])
    """Millionths of the currency a kW and period."""


class TaxFields(Form):
    """A tax that is shown; one that is added is made exact by the bill of the ended period."""

    rate_micro: int = Field(ge=1, le=MICRO_PER_UNIT, examples=[130000])
    """Its rate in millionths."""
    included: bool = Field(default=True, examples=[True])
    """Whether prices contain it."""


class VersionFields(Form):
    """A version of a scheme, as in a scheme file."""

    effective_from: Annotated[str, Ask(N_("In force from"))] = Field(
        min_length=10, max_length=40, examples=["2027-01-01T00:00:00+08:00"]
    )
    """An instant with its offset."""
    band_source: Annotated[Literal["platform", "meter"], Ask(N_("Who decides the band"))] = Field(
        default="platform", examples=["platform"]
    )
    """Who decides the band: the day tables, or the meter's registers."""
    bands: Annotated[list[Identifier], Ask(N_("Bands"))] = Field(
        default=[], max_length=BANDS_MAX, examples=[["flat"]]
    )
    """Names of the bands; may be left out for one."""
    day_tables: Annotated[dict[Identifier, dict[Clock, Identifier]], Ask(N_("Day tables"))] = Field(
        default={}, max_length=64, examples=[{"every_day": {"00:00": "flat"}}]
    )
    """By name, which band holds from which wall-clock minute."""
    seasons: Annotated[list[SeasonFields], Ask(N_("Seasons of the year"))] = Field(
        default=[], max_length=SEASONS_MAX,
        examples=[[{"name": "year", "first": "01-01", "last": "12-31",
                    "tables": {"workday": "every_day"}}]],
    )  # fmt: skip
    """Which day table holds when; every day of the year lies in one."""
    weekend: Annotated[list[Annotated[int, Field(ge=1, le=7)]], Ask(N_("Weekend"))] = Field(
        default=[6, 7], max_length=7, examples=[[6, 7]]
    )
    """Weekdays that are weekend, from 1 (Monday) to 7."""
    special_days: Annotated[dict[Day, Kind], Ask(N_("Special days"))] = Field(
        default={}, max_length=5_000, examples=[{"2027-10-01": "holiday"}]
    )
    """Dates with their kind of day."""
    blocks: Annotated[BlocksFields | None, Ask(N_("Blocks"))] = None
    """How use counts toward a higher price."""
    prices_micro: Annotated[
        dict[Identifier, PriceMicro | Annotated[list[PriceMicro], Field(max_length=BLOCKS_MAX)]],
        Ask(N_("Prices")),
    ] = Field(max_length=BANDS_MAX, examples=[{"flat": 600000}])
    """By band one price, or one a block, in millionths of the currency a unit."""
    adders_micro: Annotated[list[PriceMicro], Ask(N_("Added in each block"))] = Field(
        default=[], max_length=BLOCKS_MAX, examples=[[0]]
    )
    """What is added to each band's price, block by block."""
    surcharges: Annotated[list[SurchargeFields], Ask(N_("Surcharges"))] = Field(
        default=[], max_length=SURCHARGES_MAX, examples=[[{"name": "funds", "price_micro": 20000}]]
    )
    """Prices on every unit that is not free."""
    standing: Annotated[StandingFields | None, Ask(N_("Standing charge"))] = None
    """A charge for being connected; as energy is used it falls due day by day."""
    minimum_micro: Annotated[int, Ask(N_("Minimum"))] = Field(
        default=0, ge=0, le=AMOUNT_MICRO_MAX, examples=[0]
    )
    """What a billing period costs at least; charged by its bill, when it has ended."""
    allowance: Annotated[AllowanceFields | None, Ask(N_("Free energy"))] = None
    """Free energy."""
    demand: Annotated[DemandFields | None, Ask(N_("Power charge"))] = None
    """A price for power; by the maximum charged by the bill of an ended period, by capacity on
    calculated bills alone."""
    multiplier: Annotated[int, Ask(N_("Multiplier"))] = Field(
        default=1, ge=1, le=MULTIPLIER_MAX, examples=[1]
    )
    """Billed units per measured one; on calculated bills alone."""
    loss_micro: Annotated[int, Ask(N_("Losses"))] = Field(
        default=0, ge=0, le=MICRO_PER_UNIT, examples=[0]
    )
    """Losses billed on top, in millionths: a part of the prices while energy is used, made exact by
    the bill of the ended period."""
    tax: Annotated[TaxFields | None, Ask(N_("Tax"))] = None
    """A tax that is shown."""


class SchemeFields(Form):
    """A scheme, as in a scheme file; what is left out has the default that changes nothing."""

    name: Annotated[str, Ask(N_("Tariff name"))] = Field(
        min_length=1, max_length=NAME_MAX, examples=["Homes by the hour"]
    )
    """What it is called."""
    commodity: Annotated[
        Commodity,
        Ask(N_("Commodity"), kind="choice",
            words={one.value: word for one, word in labels.COMMODITY.items()}),
    ] = Field(examples=["electricity"])  # fmt: skip
    """What it prices."""
    currency: Annotated[str, Ask(N_("Currency"))] = Field(pattern=r"^[A-Z]{3}$", examples=["CNY"])
    """ISO 4217 code; the project's."""
    billing: Annotated[BillingFields | None, Ask(N_("Billing month"))] = None
    """When bills are cut; without it months are calendar months."""
    source: Annotated[SourceFields | None, Ask(N_("Source"))] = None
    """The document that published the prices."""
    versions: Annotated[list[VersionFields], Ask(N_("Versions"))] = Field(
        min_length=1, max_length=VERSIONS_AT_ONCE_MAX,
        examples=[[{"effective_from": "2027-01-01T00:00:00+08:00",
                    "prices_micro": {"flat": 600000}}]],
    )  # fmt: skip
    """Ascending by `effective_from`, each in force until the next."""


def body_of(form: Form) -> dict[str, Any]:
    """The scheme, or the version, as a file says it: what was named, and nothing else."""
    return form.model_dump(mode="json", exclude_unset=True, exclude_none=True)


async def _add(doing: Doing, form: SchemeFields) -> Done:
    """Publish a tariff from a scheme."""
    scope, _ = doing.here
    if form.currency != scope.currency:
        mend = N_("give {currency}, the project's currency")
        raise TariffInvalid("$.currency", mend, currency=scope.currency)
    body = body_of(form)
    made = await onboard.publish_tariff(
        doing.db, doing.project_id, body, doing.doer.actor_id, doing.doer.at
    )
    return Done(f"tariff:{made}", {"id": made}, after={"name": form.name, "body": body})


async def _publish(doing: Doing, form: VersionFields) -> Done:
    """Publish a further version of a tariff, with all that a scheme can say."""
    tariff_id, part = doing.ids["tariff_id"], body_of(form)
    number = await tariff.publish_version(
        doing.db, doing.project_id, tariff_id, part, doing.doer.actor_id, doing.doer.at
    )
    after = {"version": number, "effective_from": form.effective_from, "body": part}
    return Done(f"tariff:{tariff_id}", {"id": tariff_id}, after=after)


async def _about(doing: Doing) -> Choices:
    now = await tariff.look(doing.db, doing.project_id, doing.ids["tariff_id"])
    return ((N_("Tariff"), now.row["name"]), (N_("Points"), str(now.point_count)))


ADD: Final = Act(
    "tariff.add_scheme", Verb.TARIFF_EDIT, f"{_ALL}/scheme", N_("New tariff in the editor"),
    SchemeFields, shapes.Made, _add, tag=_TAG,
)  # fmt: skip
PUBLISH: Final = Act(
    "tariff.publish_scheme", Verb.TARIFF_EDIT, f"{_ONE}/versions/scheme",
    N_("Further version in the editor"), VersionFields, shapes.Made, _publish, tag=_TAG,
    about=_about, proof=True,
    consequence=N_(
        "What is used from that instant on costs the new price. What was published before "
        "stays as it is."
    ),
)  # fmt: skip
DRAWN: Final[tuple[Act[Any], ...]] = (ADD, PUBLISH)
"""Acts whose page at the console is the scheme editor."""
