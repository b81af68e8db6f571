"""The calculator as an operation: a scheme and a load in, bills out; nothing is kept.

Owns the shapes. What it answers is what `meterhouse rate` prints, field by field, for both are
made by `flows.calculator`. Must never change anything: it posts only because a load is too long
for an address.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from meterhouse.errors import BadInput
from meterhouse.flows import calculator, library, tariff
from meterhouse.flows.access import Verb
from meterhouse.flows.calculator import ROWS_AT_ONCE_MAX, calculate, csv_of
from meterhouse.rating.bill import Household
from meterhouse.rating.blocks import BLOCKS_MAX, PERSONS_MAX
from meterhouse.rating.tariff import Scheme, parse
from meterhouse.units import INTERVAL_MILLI_MAX
from meterhouse.web.access import database_of
from meterhouse.web.acts.frame import Form
from meterhouse.web.acts.scheme import SchemeFields, body_of
from meterhouse.web.acts.typed import Number
from meterhouse.web.api.calculated import LINES_MAX, CalculatedBill, LocalAt
from meterhouse.web.api.schemas import Decimals, Shape
from meterhouse.web.api.v1 import KEYED, NumberedRoute, ProjectId, may

router = APIRouter(**KEYED, route_class=NumberedRoute)

CAPACITY_W_MAX: Final = 1_000_000_000
LocalText = Annotated[
    str, Field(pattern=r"^[0-9T:.+Z -]{10,40}$", examples=["2026-02-05T21:30"])
]  # fmt: skip


class SchemeUnchosen(BadInput):
    """Name one scheme: a tariff of the project, a published one, or a scheme itself."""

    code = "scheme_unchosen"


class LoadRow(Form):
    """What was used from one instant on."""

    start: LocalText
    """Local ISO time of the project, or with an offset."""
    end: LocalText | None = None
    """Until when; without it until the next row, the last as long as the one before it."""
    energy_wh: int = Field(ge=0, le=INTERVAL_MILLI_MAX, examples=[160000])
    """Thousandths of a unit: Wh, litres."""


class Calculation(Form):
    """Whose load is to be rated, and by what; exactly one of the three schemes is named."""

    tariff_id: Number | None = Field(default=None, examples=[12])
    """Id of a tariff of the project."""
    published: str | None = Field(
        default=None, max_length=100, examples=["zhejiang-residential-tou"]
    )
    """Name of a published scheme."""
    scheme: SchemeFields | None = None
    """A scheme itself."""
    rows: list[LoadRow] = Field(min_length=1, max_length=ROWS_AT_ONCE_MAX)
    """The load, in the order of time; all rows have an end, or none."""
    persons: int = Field(default=1, ge=1, le=PERSONS_MAX, examples=[1])
    """How many live there."""
    capacity_w: int = Field(default=0, ge=0, le=CAPACITY_W_MAX, examples=[0])
    """Contracted capacity in W or VA."""
    explain: bool = Field(default=False, examples=[False])
    """Whether every day and every interval is answered, too."""


class CalculatedDay(Shape):
    """A billing day."""

    from_: LocalAt = Field(alias="from")
    """When it begins."""
    energy: Decimals = Field(examples=["310.000"])
    """Billed energy."""
    exact: Decimals = Field(examples=["95.000000000"])
    """The charge of energy and surcharges, unrounded."""


class CalculatedPart(Shape):
    """A part of an interval, in one band and one block."""

    from_: LocalAt = Field(alias="from")
    """When it begins."""
    to: LocalAt
    """When it ends."""
    since: LocalAt
    """Since when the version is in force that it follows."""
    band: str = Field(max_length=40, examples=["peak"])
    """The band."""
    block: int = Field(ge=1, le=BLOCKS_MAX, examples=[1])
    """The block, counted from 1."""
    energy: Decimals = Field(examples=["100.000"])
    """Its energy."""
    price: Decimals = Field(examples=["0.600000"])
    """Price of a unit."""
    exact: Decimals = Field(examples=["60.000000000"])
    """The amount, unrounded."""


class CalculatedInterval(Shape):
    """An interval of the load."""

    from_: LocalAt = Field(alias="from")
    """When it begins."""
    to: LocalAt
    """When it ends."""
    measured: Decimals = Field(examples=["160.000"])
    """Energy as measured."""
    energy: Decimals = Field(examples=["160.000"])
    """Energy as billed."""
    free: Decimals = Field(examples=["60.000"])
    """What of it is free."""
    exact: Decimals = Field(examples=["62.000000000"])
    """The charge of energy and surcharges, unrounded."""
    lines: list[CalculatedPart] = Field(max_length=LINES_MAX)
    """Its parts."""


class Calculated(Shape):
    """What a load costs: what `meterhouse rate` prints."""

    scheme: str = Field(max_length=100, examples=["Dormitory"])
    """Name of the scheme."""
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["CNY"])
    """ISO 4217 code."""
    timezone: str = Field(max_length=60, examples=["Asia/Shanghai"])
    """Whose wall clock holds."""
    bills: list[CalculatedBill] = Field(max_length=LINES_MAX)
    """One per billing period touched."""
    energy: Decimals = Field(examples=["310.000"])
    """Of all bills."""
    total: Decimals = Field(examples=["115.00"])
    """Of all bills."""
    days: list[CalculatedDay] | None = Field(default=None, max_length=LINES_MAX)
    """Every day, where that was asked."""
    intervals: list[CalculatedInterval] | None = Field(default=None, max_length=ROWS_AT_ONCE_MAX)
    """Every interval, where that was asked."""


@router.post(
    "/projects/{project_id}/calculate", dependencies=may(Verb.TARIFF_READ), tags=["tariffs"],
    response_model=Calculated, name="calculate",
)  # fmt: skip
async def calculate_bills(request: Request, project_id: ProjectId, body: Calculation) -> Response:
    """What a load costs by a scheme: bills, line by line. Nothing is kept."""
    scheme = await _scheme(request, project_id, body)
    scope = request.state.scope
    lines = csv_of([row.model_dump() for row in body.rows])
    done = await run_in_threadpool(
        calculate, scheme, lines, scope.timezone, Household(body.persons, body.capacity_w),
        scope.currency_exponent, explain=body.explain, limits=calculator.AT_ONCE,
    )  # fmt: skip
    return JSONResponse(done.told)


async def _scheme(request: Request, project_id: int, body: Calculation) -> Scheme:
    """The one scheme that is named. Raises `SchemeUnchosen`, `NotFound`, `TariffInvalid`."""
    named = (body.tariff_id, body.published, body.scheme)
    if sum(one is not None for one in named) != 1:
        raise SchemeUnchosen
    if body.scheme is not None:
        return parse(body_of(body.scheme))
    if body.published is not None:
        return library.scheme(body.published)
    assert body.tariff_id is not None
    return (await tariff.look(database_of(request), project_id, body.tariff_id)).scheme
