"""A list is a declaration: columns, filters, order; the frame does the rest.

Owns what a list page is made of and how its address spells what is shown (filter, sort, page,
columns). Must never know a particular list, nor how rows are fetched: a page turns `ListState`
into arguments of a flow. Export writes exactly what the same state selects.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from meterhouse.units import to_decimal
from meterhouse.web.formats import ABSENT, Formats
from meterhouse.web.labels import label

PAGE_SIZES: Final = (20, 50, 100, 200)
DEFAULT_PAGE_SIZE: Final = 50
PAGE_MAX: Final = 10_000
FILTER_MAX_CHARS: Final = 100


class Kind(StrEnum):
    """How a column's cells are written and aligned."""

    TEXT = "text"
    COUNT = "count"
    MONEY = "money"
    ENERGY = "energy"
    POWER = "power"
    FIGURE = "figure"
    INSTANT = "instant"
    STATE = "state"
    WORD = "word"
    TOLD = "told"


_RIGHT_ALIGNED: Final = {Kind.COUNT, Kind.MONEY, Kind.ENERGY, Kind.POWER, Kind.FIGURE}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: where its cell comes from, how it looks, whether it sorts or hides.

    `title` is a message id. `read` gives the raw cell of a row: an integer in the unit of the
    kind, an aware instant, an enum, or text (a `FIGURE` is written already); for what is told from
    several facts, what tells it to a reader's `Formats`.
    """

    key: str
    title: str
    read: Callable[[Any], Any]
    kind: Kind = Kind.TEXT
    sortable: bool = False
    optional: bool = False
    link: Callable[[Any], str | None] | None = None
    colour: Callable[[Any], str] | None = None

    @property
    def is_right(self) -> bool:
        """Figures line up on the right."""
        return self.kind in _RIGHT_ALIGNED

    @property
    def look(self) -> str:
        """The class of its cells: figures on the right, an instant on one line."""
        return "r" if self.is_right else "at" if self.kind is Kind.INSTANT else ""


@dataclass(frozen=True, slots=True)
class Filter:
    """One field of the filter row; with `choices` a drop-down, else a text field.

    `is_day` makes the field as short as a date is.
    """

    key: str
    title: str
    choices: Mapping[str, str] | None = None
    hint: str = ""
    is_day: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A list page: its columns, filters, first order, and what it says when it is empty."""

    name: str
    columns: Sequence[Column]
    filters: Sequence[Filter] = ()
    sort: str = ""
    descending: bool = False
    empty: str = ""
    empty_hint: str = ""

    def column(self, key: str) -> Column | None:
        """The column of that key."""
        return next((column for column in self.columns if column.key == key), None)


@dataclass(frozen=True, slots=True)
class ListState:
    """What a reader wants to see of a table; always within the table's limits."""

    table: Table
    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    descending: bool = False
    page: int = 1
    page_size: int = DEFAULT_PAGE_SIZE
    hidden: frozenset[str] = frozenset()

    @property
    def columns(self) -> list[Column]:
        """The columns shown."""
        return [column for column in self.table.columns if column.key not in self.hidden]

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.page - 1) * self.page_size

    @property
    def is_filtered(self) -> bool:
        """Whether any filter is set."""
        return any(self.filters.values())

    def at(self, **changes: Any) -> "ListState":
        """The same state with something changed."""
        return replace(self, **changes)

    def sorted_by(self, key: str) -> "ListState":
        """The state a click on a heading leads to: this column, or the other direction."""
        descending = not self.descending if key == self.sort else False
        return replace(self, sort=key, descending=descending, page=1)

    def query(self) -> str:
        """The state as a query string, without what is the table's own default."""
        pairs = [(key, text) for key, text in self.filters.items() if text]
        if (self.sort, self.descending) != (self.table.sort, self.table.descending):
            pairs.append(("sort", ("-" if self.descending else "") + self.sort))
        if self.page != 1:
            pairs.append(("page", str(self.page)))
        if self.page_size != DEFAULT_PAGE_SIZE:
            pairs.append(("size", str(self.page_size)))
        pairs += [("hide", key) for key in sorted(self.hidden - _hidden_at_first(self.table))]
        pairs += [("show", key) for key in sorted(_hidden_at_first(self.table) - self.hidden)]
        return "?" + urlencode(pairs)


def _hidden_at_first(table: Table) -> frozenset[str]:
    return frozenset(column.key for column in table.columns if column.optional)


def list_state(table: Table, query: QueryParams) -> ListState:
    """The state an address asks for; whatever it asks beyond the limits falls to the default."""
    wanted = query.get("sort", "")
    column = table.column(wanted.removeprefix("-"))
    sorts = column is not None and column.sortable
    known = {column.key for column in table.columns}
    # A form of check boxes names what is shown; a link names only what differs from the default.
    if "columns" in query:
        hidden = frozenset(known - set(query.getlist("columns")))
    else:
        hidden = _hidden_at_first(table) | (known & set(query.getlist("hide")))
        hidden -= set(query.getlist("show"))
    if hidden >= known:
        hidden = _hidden_at_first(table)
    size = query.get("size", "")
    return ListState(
        table=table,
        filters={f.key: _filter_text(f, query.get(f.key, "")) for f in table.filters},
        sort=wanted.removeprefix("-") if sorts else table.sort,
        descending=wanted.startswith("-") if sorts else table.descending,
        page=_number(query.get("page", ""), 1, PAGE_MAX),
        page_size=int(size) if size in {str(n) for n in PAGE_SIZES} else DEFAULT_PAGE_SIZE,
        hidden=frozenset(hidden),
    )


def _filter_text(declared: Filter, text: str) -> str:
    text = text.strip()[:FILTER_MAX_CHARS]
    return "" if declared.choices is not None and text not in declared.choices else text


def _number(text: str, low: int, high: int) -> int:
    return min(max(int(text), low), high) if text.isdecimal() and len(text) < 9 else low


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of rows, how many there are in all, and whether counting stopped before the end."""

    state: ListState
    rows: Sequence[Any]
    row_count: int
    is_more: bool = False

    @property
    def page_count(self) -> int:
        """Pages there are; at least one."""
        return max(1, -(-self.row_count // self.state.page_size))

    @property
    def page_numbers(self) -> list[int]:
        """Pages to offer: the first, the last, and those around this one; 0 stands for a gap."""
        here, last = self.state.page, self.page_count
        near = sorted({1, last, *range(max(1, here - 2), min(last, here + 2) + 1)})
        numbers: list[int] = []
        for number in near:
            if numbers and number - numbers[-1] > 1:
                numbers.append(0)
            numbers.append(number)
        return numbers


class Cell(NamedTuple):
    """A cell ready to be shown; `title` is its column's heading, in place."""

    title: str
    look: str
    text: str
    target: str | None
    colour: str | None


def cells_of(
    columns: Sequence[Column], titles: Mapping[str, str], row: Any, fmt: Formats,
    opens: Callable[[str], bool],
) -> list[Cell]:  # fmt: skip
    """The cells of a row in these columns; `titles` by column, links as far as the reader may."""
    cells = []
    for column in columns:
        text = cell_text(column, row, fmt)
        there = column.link(row) if column.link else None
        # What is not there has no state to be coloured by.
        colour = column.colour(row) if column.colour and text != ABSENT else None
        target = there if there and opens(there) else None
        cells.append(Cell(titles[column.key], column.look, text, target, colour))
    return cells


def cell_text(column: Column, row: Any, fmt: Formats) -> str:
    """A cell as the reader sees it."""
    raw = column.read(row)
    if raw is None or raw == "":
        return ABSENT
    if isinstance(raw, Enum):
        return label(fmt.words, raw)
    match column.kind:
        case Kind.COUNT:
            return fmt.number(raw)
        case Kind.MONEY:
            return fmt.amount(raw)
        case Kind.ENERGY:
            return fmt.energy(raw)
        case Kind.POWER:
            return to_decimal(raw, 3)
        case Kind.INSTANT:
            return fmt.instant(raw)
        case Kind.WORD:
            return fmt.words(raw)
        case Kind.TOLD:
            told: str = raw(fmt)
            return told or ABSENT
        case _:
            return str(raw)
