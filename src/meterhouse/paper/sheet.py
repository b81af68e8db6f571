"""What one piece of paper says, already in the reader's words: a receipt, or a table of rows.

Owns the shapes that PDF and tickets are made from, and which characters may stand on paper. Must
never know what the words mean. Texts that people typed pass `plain` on their way in: a name can
neither steer a printer nor turn the line it stands in around.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

TEXT_CHARS_MAX: Final = 120
TABLE_ROWS_MAX: Final = 20_000

# Control, format (joins, turns of direction), private use, surrogates, not assigned, line ends.
_NOT_PRINTED: Final = ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp")


class Paper(StrEnum):
    """What a receipt is printed on; the first three as PDF, tickets as bytes for their printer."""

    A5 = "a5"
    CONTINUOUS = "continuous"
    ROLL = "roll"
    TICKET_58 = "ticket_58"
    TICKET_80 = "ticket_80"


TICKET_COLUMNS: Final = {Paper.TICKET_58: 32, Paper.TICKET_80: 48}
"""Characters in a line of a ticket; a Chinese one takes two."""


@dataclass(frozen=True, slots=True)
class Row:
    """A label and what stands behind it; a wide one takes its line alone."""

    label: str
    text: str
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A receipt, top to bottom.

    Attributes:
        language: BCP 47 tag of its words.
        title: what it is, as in 收据.
        payee: who received the money; empty where nobody is named.
        mark: what sets it apart from the first print, as in 副本 2; empty on that.
        void: the word for one that does not count any more; empty while it does.
        number: its label in the series, with the word for it.
        rows: whom, where, what and how.
        total: the amount in figures.
        capitals: the amount in capitals; empty where they are not used.
        signs: who stands for it, as in the cashier.
        footer: what the project lets stand below.
    """

    language: str
    title: str
    payee: str
    mark: str
    void: str
    number: Row
    rows: tuple[Row, ...]
    total: Row
    capitals: Row
    signs: tuple[Row, ...]
    footer: str


class Side(StrEnum):
    """Where the texts of a column stand."""

    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True)
class Table:
    """A report on A4: a heading, a table with its head on every page, totals, numbered pages.

    Attributes:
        language: BCP 47 tag of its words.
        title: what it is, as in 对账单.
        facts: whom and which span it is about.
        columns: heads of the columns.
        sides: where each column's texts stand.
        widths: how wide each column is, as parts of the whole.
        rows: the texts, one per column.
        totals: what stands below the last row, one per column; empty for none.
        notes: below the table, each in its own line.
        page: what stands at the foot of each page, with `{page}` and `{pages}`.
        is_wide: whether the sheet lies on its side.
    """

    language: str
    title: str
    facts: tuple[Row, ...]
    columns: tuple[str, ...]
    sides: tuple[Side, ...]
    widths: tuple[int, ...]
    rows: Sequence[tuple[str, ...]]
    totals: tuple[str, ...]
    notes: tuple[str, ...]
    page: str
    is_wide: bool = False


def plain(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """A text of one line without anything that is not printed, cut to a length.

    Runs of white space are one blank; what was cut ends with an ellipsis.
    """
    kept = "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char) not in _NOT_PRINTED
    )
    line = " ".join(kept.split())
    return line if len(line) <= chars_max else f"{line[: chars_max - 1]}…"
