"""Lists as files: exactly the rows and columns on the screen, as XLSX or CSV.

Owns the two file formats. Must never know which list it writes. Figures are written as numbers
(exact decimals, never through a binary fraction) and instants as local date-times, so that a
spreadsheet can go on calculating; text that a spreadsheet would take for a formula is disarmed.
"""

import csv
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Final

import xlsxwriter
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from meterhouse.web.formats import Formats, exact
from meterhouse.web.labels import label
from meterhouse.web.tables import Column, Kind

MEDIA_TYPES: Final = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv; charset=utf-8",
}

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
_COLUMN_WIDTH_CHARS: Final = 18
_SHEET_NAME_MAX_CHARS: Final = 31


@dataclass(frozen=True, slots=True)
class Sheet:
    """What to write: a heading, the columns shown, and how values look."""

    heading: str
    columns: Sequence[Column]
    fmt: Formats

    @property
    def titles(self) -> list[str]:
        """Headings in the reader's language, money with its currency."""
        words, currency = self.fmt.words, self.fmt.currency
        return [
            f"{words(column.title)} ({currency})" if column.kind is Kind.MONEY
            else words(column.title)
            for column in self.columns
        ]  # fmt: skip


async def export(
    sheet: Sheet, kind: str, chunks: AsyncIterator[Sequence[Any]], file_name: str
) -> FileResponse:
    """The answer that carries a list as a file, which is gone when it has been sent."""
    path = await write_file(sheet, kind, chunks)
    return FileResponse(
        path,
        media_type=MEDIA_TYPES[kind],
        filename=f"{file_name}.{kind}",
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


async def write_file(
    sheet: Sheet, kind: str, chunks: AsyncIterator[Sequence[Any]],
    tell: Callable[[int], Awaitable[None]] | None = None,
) -> Path:  # fmt: skip
    """A file of all rows the chunks bring; whoever makes the chunks sets their limit.

    Rows go to disk as they come, so memory does not grow with the list. `tell` is told how many
    there are so far. The file is the caller's to remove.
    """
    with tempfile.NamedTemporaryFile(suffix=f".{kind}", delete=False) as file:
        path = Path(file.name)
    try:
        writer = _Xlsx(path, sheet) if kind == "xlsx" else _Csv(path, sheet)
        count = 0
        try:
            async for rows in chunks:
                await run_in_threadpool(writer.write, rows)
                count += len(rows)
                if tell is not None:
                    await tell(count)
        finally:
            await run_in_threadpool(writer.close)
    except BaseException:
        await run_in_threadpool(path.unlink, missing_ok=True)
        raise
    return path


class _Csv:
    """CSV with a byte order mark, without which spreadsheets misread Chinese."""

    def __init__(self, path: Path, sheet: Sheet) -> None:
        self._sheet = sheet
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(sheet.titles)

    def write(self, rows: Sequence[Any]) -> None:
        for row in rows:
            cells = (_cell(column, row, self._sheet.fmt) for column in self._sheet.columns)
            self._writer.writerow([_plain(cell) for cell in cells])

    def close(self) -> None:
        self._file.close()


class _Xlsx:
    """XLSX in constant memory: rows are written in order and not kept."""

    def __init__(self, path: Path, sheet: Sheet) -> None:
        self._sheet = sheet
        self._book = xlsxwriter.Workbook(
            str(path), {"constant_memory": True, "strings_to_formulas": False}
        )
        decimals = {
            Kind.MONEY: "#,##0" + ("." + "0" * sheet.fmt.currency_exponent).rstrip("."),
            Kind.ENERGY: "#,##0.000",
            Kind.POWER: "#,##0.000",
            Kind.COUNT: "#,##0",
            Kind.INSTANT: "yyyy-mm-dd hh:mm:ss",
        }
        self._formats = [
            self._book.add_format({"num_format": decimals[column.kind]})
            if column.kind in decimals else None
            for column in sheet.columns
        ]  # fmt: skip
        self._page = self._book.add_worksheet(_sheet_name(sheet.heading))
        self._page.freeze_panes(1, 0)
        self._page.set_column(0, max(len(sheet.columns) - 1, 0), _COLUMN_WIDTH_CHARS)
        self._page.write_row(0, 0, sheet.titles, self._book.add_format({"bold": True}))
        self._next = 1

    def write(self, rows: Sequence[Any]) -> None:
        for row in rows:
            for index, column in enumerate(self._sheet.columns):
                cell = _cell(column, row, self._sheet.fmt)
                if isinstance(cell, datetime):
                    self._page.write_datetime(self._next, index, cell, self._formats[index])
                elif isinstance(cell, Decimal):
                    self._page.write_number(self._next, index, cell, self._formats[index])
                elif cell is not None:
                    self._page.write_string(self._next, index, cell)
            self._next += 1

    def close(self) -> None:
        self._book.close()


def _cell(column: Column, row: Any, fmt: Formats) -> Decimal | datetime | str | None:
    """A cell as a spreadsheet should hold it; instants become the project's wall time."""
    raw = column.read(row)
    if raw is None:
        return None
    if isinstance(raw, Enum):
        return label(fmt.words, raw)
    match column.kind:
        case Kind.MONEY:
            return exact(raw, fmt.currency_exponent)
        case Kind.ENERGY | Kind.POWER:
            return exact(raw, 3)
        case Kind.COUNT:
            return Decimal(raw)
        case Kind.INSTANT:
            at: datetime = raw.astimezone(fmt.timezone)
            return at.replace(tzinfo=None, microsecond=0)
        case Kind.WORD:
            return fmt.words(raw)
        case Kind.TOLD:
            told: str = raw(fmt)
            return told
        case _:
            return str(raw)


def _plain(cell: Decimal | datetime | str | None) -> str:
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    text = "" if cell is None else str(cell)
    return f"'{text}" if isinstance(cell, str) and text.startswith(_FORMULA_STARTS) else text


def _sheet_name(heading: str) -> str:
    kept = "".join(" " if char in "[]:*?/\\'" else char for char in heading)
    return kept[:_SHEET_NAME_MAX_CHARS].strip() or "1"
