"""A chart is a declaration: labels, axes, series; and the same as a table for who cannot see it.

Owns the shape of a chart and what the browser is told of it. Must never know what is charted.
Points are decimal text, made on the server from integers: the browser scales bars by them and
never adds them up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from meterhouse.words import Words


class Draw(StrEnum):
    """How a series is drawn; what is stacked stands on the series before it."""

    BAR = "bar"
    LINE = "line"
    STACK = "stack"


@dataclass(frozen=True, slots=True)
class Series:
    """One figure over all labels. `title` is a message id; `axis` 0 is on the left, 1 on the right.

    `texts` are the points as people read them, where that differs from the decimal. `colour`
    belongs to what is drawn, as in `#fa8c16`; without it the chart chooses one.
    """

    title: str
    points: Sequence[str]
    draw: Draw = Draw.BAR
    axis: int = 0
    texts: Sequence[str] = ()
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart.

    Attributes:
        title: what it shows; a message id.
        over: heading of the labels, as in `Day`; a message id.
        labels: along the bottom.
        units: of the left axis, and of the right one where there is one.
        series: what is drawn.
        is_near: whether an axis may begin above zero, where differences are looked at and not
            amounts.
    """

    title: str
    over: str
    labels: Sequence[str]
    units: Sequence[str]
    series: Sequence[Series]
    is_near: bool = False

    def facts(self, words: Words) -> dict[str, Any]:
        """What the browser needs to draw it."""
        return {
            "labels": list(self.labels),
            "units": list(self.units),
            "near": self.is_near,
            "series": [
                {"name": words(one.title), "draw": one.draw, "axis": one.axis,
                 "points": list(one.points), **({"colour": one.colour} if one.colour else {})}
                for one in self.series
            ],
        }  # fmt: skip

    def head(self, words: Words) -> list[str]:
        """Headings of the table beside it, each with its unit."""
        series = (f"{words(one.title)} ({self.units[one.axis]})" for one in self.series)
        return [words(self.over), *series]

    def rows(self) -> list[tuple[str, ...]]:
        """Rows of the table beside it."""
        columns = [one.texts or one.points for one in self.series]
        return list(zip(self.labels, *columns, strict=True))
