"""Reports on A4 from texts: statements of accounts, signed checklists, lists with totals.

Owns how columns and rows become a `Table`, with every text made fit for paper. Must never know
what is reported.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from meterhouse.paper.sheet import Row, Side, Table, plain


class Column(NamedTuple):
    """A column: its head, its part of the whole width, and whether figures stand in it."""

    head: str
    width: int = 1
    is_figure: bool = False


def statement(
    language: str, title: str, facts: Iterable[Row], columns: Sequence[Column],
    rows: Iterable[Sequence[str]], *, page: str, totals: Sequence[str] = (),
    notes: Iterable[str] = (), is_wide: bool = False,
) -> Table:  # fmt: skip
    """A report for `press.setter.report`.

    Args:
        language: BCP 47 tag of its words.
        title: what it is, as in 对账单.
        facts: whom and which span it is about.
        columns: heads, widths and sides.
        rows: one text a column.
        page: the foot of each page, with `{page}` and `{pages}`.
        totals: one text a column below the last row, or none.
        notes: lines below the table.
        is_wide: whether the sheet lies on its side.
    """
    return Table(
        language=language,
        title=plain(title),
        facts=tuple(Row(plain(one.label), plain(one.text), one.is_wide) for one in facts),
        columns=tuple(plain(one.head) for one in columns),
        sides=tuple(Side.END if one.is_figure else Side.START for one in columns),
        widths=tuple(one.width for one in columns),
        rows=[tuple(plain(cell) for cell in row) for row in rows],
        totals=tuple(plain(cell) for cell in totals),
        notes=tuple(plain(note) for note in notes),
        page=plain(page),
        is_wide=is_wide,
    )
