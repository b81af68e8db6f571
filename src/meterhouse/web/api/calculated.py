"""A bill in `/api/v1`, line by line: of the calculator, and of a period that was billed.

Owns the shape of what `rating.told` tells of a bill. Must never know where a bill comes from.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from meterhouse.rating.blocks import BLOCKS_MAX
from meterhouse.web.api.schemas import Decimals, Shape

LINES_MAX: Final = 100_000
_DAYS_MAX: Final = 400
LocalAt = Annotated[str, Field(max_length=40, examples=["2026-02-01T00:00:00+08:00"])]


class CalculatedLine(Shape):
    """A line of a bill."""

    kind: Literal["energy", "free", "surcharge", "standing", "demand", "minimum", "tax"] = Field(
        examples=["energy"]
    )
    """What for."""
    since: LocalAt
    """Since when the version is in force that it follows."""
    name: str | None = Field(default=None, max_length=40, examples=["peak"])
    """The band or the surcharge."""
    block: int | None = Field(default=None, ge=1, le=BLOCKS_MAX, examples=[1])
    """The block, counted from 1."""
    quantity: Decimals | None = Field(default=None, examples=["100.000"])
    """Energy, days, periods or kW."""
    price: Decimals | None = Field(default=None, examples=["0.600000"])
    """Of one of them."""
    first_day: int | None = Field(default=None, ge=0, le=_DAYS_MAX, examples=[0])
    """How many days of the period are before the part; the amount is the share up to the part's
    end less that up to its beginning, both rounded down."""
    days: int | None = Field(default=None, ge=0, le=_DAYS_MAX, examples=[28])
    """The part of the period, in days."""
    of_days: int | None = Field(default=None, ge=1, le=_DAYS_MAX, examples=[31])
    """How many days the period has."""
    exact: Decimals = Field(examples=["60.000000000"])
    """The amount, unrounded."""
    amount: Decimals = Field(examples=["60.00"])
    """The amount, rounded half up to the smallest coin."""


class CalculatedBill(Shape):
    """A billing period, or what of it was served."""

    from_: LocalAt = Field(alias="from")
    """When what was served of it begins."""
    to: LocalAt
    """When it ends."""
    period_from: LocalAt
    """When the whole period begins."""
    period_to: LocalAt
    """When it ends."""
    energy: Decimals = Field(examples=["310.000"])
    """Billed energy, free energy included."""
    lines: list[CalculatedLine] = Field(max_length=LINES_MAX)
    """Its lines."""
    net: Decimals = Field(examples=["101.77"])
    """Without tax."""
    tax: Decimals = Field(examples=["13.23"])
    """The tax."""
    total: Decimals = Field(examples=["115.00"])
    """Both together."""
    rounding: Decimals = Field(examples=["0.000000000"])
    """What rounding the lines added."""
