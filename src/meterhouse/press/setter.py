"""Values of `paper` to PDF: one compiler per template, kept warm.

Owns the compilers and the limits of what is set. Blocks for some milliseconds (a long table for
seconds), without holding the interpreter: whoever serves others calls it in a thread.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal, TypeAlias

import typst

from meterhouse.errors import OutOfRange
from meterhouse.paper.sheet import TABLE_ROWS_MAX, Paper, Row, Sheet, Table
from meterhouse.press.fonts import chinese_family, installed

TEMPLATES: Final = Path(__file__).parent / "templates"
PICTURE_DPI: Final = 144

Format: TypeAlias = Literal["pdf", "png", "svg"]


class _Compiler:
    """One template, ready; set by one thread at a time."""

    def __init__(self, template: str) -> None:
        self._lock = Lock()
        # Packages are looked for in a folder that is not there: nothing is fetched from anywhere.
        self._compiler = typst.Compiler(
            TEMPLATES / template,
            root=TEMPLATES,
            font_paths=installed(),
            package_path=TEMPLATES / "packages",
            package_cache_path=TEMPLATES / "packages",
        )

    def pages(self, data: dict[str, Any], form: Format, at: datetime | None) -> list[bytes]:
        with self._lock:
            made = self._compiler.compile(
                format=form,
                ppi=PICTURE_DPI,
                sys_inputs={"data": json.dumps(data, ensure_ascii=False)},
                timestamp=None if at is None else at.astimezone(UTC),
            )
        assert made is not None
        return made if isinstance(made, list) else [made]


@cache
def _compiler(template: str) -> _Compiler:
    return _Compiler(template)


def warm() -> None:
    """Find the fonts and set one receipt, so that the first cashier does not wait for it.

    Raises:
        ChineseFontMissing: there is none; receipts will be refused.
    """
    row = Row("0", "0")
    sheet = Sheet("zh-Hans", "0", "", "", "", row, (row,), row, row, (), "")
    receipt(sheet, Paper.A5)


def receipt(sheet: Sheet, paper: Paper, form: Format = "pdf", at: datetime | None = None) -> bytes:
    """A receipt on one page; `at` is what the document says of when it was made.

    Raises:
        ChineseFontMissing: no installed font has Chinese characters.
    """
    data = {**asdict(sheet), **_setting(sheet.language), "paper": paper.value}
    return _compiler("receipt.typ").pages(data, form, at)[0]


def table(report: Table, form: Format = "pdf", at: datetime | None = None) -> list[bytes]:
    """A report on A4: one PDF, or a picture for each page.

    Raises:
        ChineseFontMissing: no installed font has Chinese characters.
        OutOfRange: more rows than one document takes, or none of its columns.
    """
    if len(report.rows) > TABLE_ROWS_MAX:
        raise OutOfRange("rows", len(report.rows), 0, TABLE_ROWS_MAX)
    widths = {len(report.columns), len(report.sides), len(report.widths), *map(len, report.rows)}
    if len(widths) != 1 or len(report.totals) not in (0, len(report.columns)):
        raise OutOfRange("columns", max(widths), len(report.columns), len(report.columns))
    data = {**asdict(report), **_setting(report.language)}
    return _compiler("table.typ").pages(data, form, at)


def _setting(language: str) -> dict[str, Any]:
    return {"fonts": [chinese_family()], "lang": language.partition("-")[0]}
