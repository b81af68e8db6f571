"""A report is columns over rows that a flow has computed: the same as a table and as a file.

Owns both from one declaration. Must never know a particular report, nor filter a row: what is
shown is what the flow answered.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from fastapi import Request
from starlette.responses import FileResponse

from meterhouse.web.exports import Sheet, export
from meterhouse.web.formats import Formats
from meterhouse.web.tables import Column, Kind, cell_text

_YEARS: Final = (1990, 2098)


@dataclass(frozen=True, slots=True)
class Report:
    """Rows under a heading (a message id); `name` is that of its file; `unit` of its energy."""

    name: str
    heading: str
    columns: Sequence[Column]
    rows: Sequence[Any]
    unit: str = ""

    def titles(self, fmt: Formats) -> dict[str, str]:
        """Headings by column; money names its currency and energy its unit."""
        units = {Kind.MONEY: fmt.currency_symbol, Kind.ENERGY: self.unit}
        return {
            one.key: f"{fmt.words(one.title)} ({units[one.kind]})"
            if units.get(one.kind) else fmt.words(one.title)
            for one in self.columns
        }  # fmt: skip

    def cell(self, column: Column, row: Any, fmt: Formats) -> str:
        """A cell as the reader sees it."""
        return cell_text(column, row, fmt)

    async def file(self, request: Request, fmt: Formats) -> FileResponse:
        """All of it as XLSX or CSV."""

        async def chunks() -> AsyncIterator[Sequence[Any]]:
            yield self.rows

        kind = "csv" if request.query_params.get("kind") == "csv" else "xlsx"
        sheet = Sheet(fmt.words(self.heading), self.columns, fmt)
        return await export(sheet, kind, chunks(), self.name)


def days_of(request: Request, first: date, last: date) -> tuple[date, date]:
    """The days an address asks for by `from` and `to`, both of them in; else those given."""
    days = []
    for name, instead in (("from", first), ("to", last)):
        try:
            day = date.fromisoformat(request.query_params.get(name, ""))
        except ValueError:
            day = instead
        days.append(day if _YEARS[0] <= day.year <= _YEARS[1] else instead)
    return days[0], days[1]


def midnight(day: date, fmt: Formats) -> datetime:
    """The instant at which a local day of the project begins."""
    return datetime.combine(day, datetime.min.time(), fmt.timezone)


def span_of(days: tuple[date, date], fmt: Formats) -> tuple[datetime, datetime]:
    """The instants at which a span of local days begins and ends."""
    first, last = days
    return midnight(first, fmt), midnight(last + timedelta(days=1), fmt)
