"""Values of `paper` to PDF: one compiler per template, kept warm.

Owns the compilers and the limits of what is set. Blocks for some milliseconds (a long table for
seconds), without holding the interpreter: whoever serves others calls it in a thread.
"""

import json
from collections.abc import Sequence
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
                # typst refuses a time finer than a second, and a clock's is.
                timestamp=None if at is None else at.astimezone(UTC).replace(microsecond=0),
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


def report(
    tables: Sequence[Table], form: Format = "pdf", at: datetime | None = None
) -> list[bytes]:
    """Tables on A4, each from a new page on: one PDF, or a picture for each page.

    The first says in which language, how the sheet lies, and what stands at the foot.

    Raises:
        ChineseFontMissing: no installed font has Chinese characters.
        OutOfRange: no table, more rows than one document takes, or a row of other columns.
    """
    rows = sum(len(one.rows) for one in tables)
    if not tables or rows > TABLE_ROWS_MAX:
        raise OutOfRange("rows", rows, 1, TABLE_ROWS_MAX)
    for one in tables:
        wanted = len(one.columns)
        lengths = {len(one.sides), len(one.widths), len(one.totals) or wanted, *map(len, one.rows)}
        if lengths != {wanted}:
            raise OutOfRange("columns", max(lengths), wanted, wanted)
    data = {"tables": [asdict(one) for one in tables], **_setting(tables[0].language)}
    return _compiler("table.typ").pages(data, form, at)


def _setting(language: str) -> dict[str, Any]:
    return {"fonts": [chinese_family()], "lang": language.partition("-")[0]}
