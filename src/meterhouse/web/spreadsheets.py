"""Spreadsheets that people fill in: a file becomes lines of text, a form becomes a template.

Owns the two file formats in this direction, and their limits. Must never know a column's meaning.
Every cell becomes the text a person sees in it: a number that the file holds as a binary fraction
is written with the fifteen digits a spreadsheet shows, so that 12.34 is 12.34 and money never
passes through a fraction of two. Formulas are not evaluated; what they last showed counts.
"""

import csv
import io
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

import openpyxl
import xlsxwriter

from meterhouse.errors import BadInput

LINES_MAX: Final = 5_000
COLUMNS_MAX: Final = 60
CELL_CHARS_MAX: Final = 2_000
UNPACKED_BYTES_MAX: Final = 40_000_000
PARTS_MAX: Final = 200

_ZIP_START: Final = b"PK\x03\x04"
_ENCODINGS: Final = ("utf-8-sig", "gb18030")
_DELIMITERS: Final = (",", ";", "\t")
_CELL_WIDTH_CHARS: Final = 20


class SheetUnreadable(BadInput):
    """This file is neither an XLSX workbook nor a CSV table."""

    code = "sheet_unreadable"


class SheetTooLong(BadInput):
    """The file has more than {lines} rows; split it."""

    code = "sheet_too_long"

    def __init__(self) -> None:
        super().__init__(lines=LINES_MAX)


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a file: its number as the spreadsheet counts, and the text of its cells."""

    number: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class TemplateColumn:
    """What the template says of a column; `choices` are offered as a drop-down list."""

    title: str
    is_needed: bool
    about: str
    example: str
    choices: Sequence[str] = ()


def read_lines(content: bytes) -> list[Line]:
    """The lines of a file that hold anything, the headings first.

    Raises:
        SheetUnreadable: the bytes are no such file, or unpack to more than is sane.
        SheetTooLong: more than `LINES_MAX` lines below the headings.
    """
    rows = _xlsx_rows(content) if content.startswith(_ZIP_START) else _csv_rows(content)
    lines: list[Line] = []
    for number, cells in enumerate(rows, 1):
        # A sheet may claim a million empty rows; they end here, not in memory.
        if len(lines) > LINES_MAX or number > 4 * LINES_MAX:
            raise SheetTooLong
        if any(cells):
            lines.append(Line(number, cells))
    if not lines:
        raise SheetUnreadable
    return lines


def cell_text(cell: Any) -> str:
    """What a person sees in a cell, as text."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return f"{Decimal(f'{cell:.15g}'):f}"
    if isinstance(cell, datetime):
        is_day = cell.time() == time(0)
        return cell.date().isoformat() if is_day else f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell).replace("\0", "").strip()[: CELL_CHARS_MAX + 1]


def write_csv_template(columns: Sequence[TemplateColumn]) -> bytes:
    """The headings alone, as a table of text; its mark lets a spreadsheet read Chinese in it."""
    content = io.StringIO(newline="")
    csv.writer(content).writerow(_heading(column) for column in columns)
    return content.getvalue().encode("utf-8-sig")


def write_template(columns: Sequence[TemplateColumn], words: Mapping[str, str]) -> bytes:
    """A workbook to fill in: one sheet with the headings, one that explains them.

    `words` names the two sheets and the explanation's headings: `rows`, `about`, `column`,
    `needed`, `hint`, `example`, `yes`.
    """
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True}) as book:
        bold, text = book.add_format({"bold": True}), book.add_format({"num_format": "@"})
        sheet = book.add_worksheet(words["rows"])
        sheet.freeze_panes(1, 0)
        for index, column in enumerate(columns):
            # Text keeps a meter address's leading zeros, which a number would lose.
            sheet.set_column(index, index, _CELL_WIDTH_CHARS, text)
            sheet.write_string(0, index, _heading(column), bold)
            if column.choices and len(",".join(column.choices)) <= 255:
                offer = {"validate": "list", "source": list(column.choices)}
                sheet.data_validation(1, index, LINES_MAX, index, offer)
        about = book.add_worksheet(words["about"])
        about.set_column(0, 3, 2 * _CELL_WIDTH_CHARS)
        heads = [words[key] for key in ("column", "needed", "hint", "example")]
        about.write_row(0, 0, heads, bold)
        for number, column in enumerate(columns, 1):
            needed = words["yes"] if column.is_needed else ""
            for index, said in enumerate((column.title, needed, column.about, column.example)):
                about.write_string(number, index, said)
    return content.getvalue()


def _heading(column: TemplateColumn) -> str:
    return f"{column.title}{' *' if column.is_needed else ''}"


def _xlsx_rows(content: bytes) -> Iterator[tuple[str, ...]]:
    """The first sheet's rows."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
        unpacked = sum(part.file_size for part in parts)
        if len(parts) > PARTS_MAX or unpacked > UNPACKED_BYTES_MAX:
            raise SheetUnreadable
        with warnings.catch_warnings():
            # Whatever decoration the reader does not know is no concern of ours.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()
            for row in sheet.iter_rows(max_col=COLUMNS_MAX, values_only=True):
                yield tuple(cell_text(cell) for cell in row)
    except BadInput:
        raise
    except Exception as error:  # a file is any bytes, and the reader fails in many ways
        raise SheetUnreadable from error


def _delimiter(text: str) -> str:
    """What parts the cells: where a comma is a decimal sign, spreadsheets write a semicolon."""
    head = text.partition("\n")[0]
    return max(_DELIMITERS, key=head.count)


def _csv_rows(content: bytes) -> Iterable[tuple[str, ...]]:
    for encoding in _ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        try:
            parted = csv.reader(
                io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True
            )
            rows = list(parted)
        except csv.Error as error:
            raise SheetUnreadable from error
        return [tuple(cell_text(cell) for cell in row[:COLUMNS_MAX]) for row in rows]
    raise SheetUnreadable
