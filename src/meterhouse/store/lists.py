"""Lists of anything, a page at a time: by number for people, by position for programs.

Owns how a list's declaration becomes SQL: filters, order, the rows after a position, a count that
stops. Must never know what is listed (`reports` declares that). Pages by position ask for what
comes after the last row seen, so they cost the same everywhere in the list and lose or repeat no
row while others are added.

A column that may be null is paged in two pieces, rows that have it and then rows that have not:
each piece has one comparison, and one index serves it in both directions.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import asyncpg

from meterhouse.errors import BadInput
from meterhouse.store.db import Connection

EXPORT_CHUNK_ROWS: Final = 2_000
# Beyond this nobody needs the figure, and counting would cost more than the page.
COUNT_MAX_ROWS: Final = 10_000


class PositionUnfit(BadInput):
    """This is no place in this list."""

    code = "position_unfit"


Position = Sequence[Any]
"""Where a row stands in an order: its value there (None where it has none), then its key."""


@dataclass(frozen=True, slots=True)
class ListQuery:
    """A list: a SELECT named `q` of one project ($1), and all it can be filtered and sorted by.

    Attributes:
        source: the SELECT. Its outer joins add no rows, so that those nobody asks for cost nothing;
            more than eleven tables would be joined in the order written, not in the best one.
        filters: key to a condition in which `{}` stands for the given value; or to one condition
            for each value there is.
        orders: key to a column of `q`, or to several where one has few different values: then
            a filter by it in the order of time, and sorting by it, are one index.
        key: the columns of `q` that name one row.
        first: the order where none is asked for, a leading `-` for descending.
        solid: the orders whose (first) column is never null; the others never are.
        point: where `q` names a row's point, by which it lies in a building; whoever sees only some
            buildings sees no row that lies in none.
        buildings: where `q` names the buildings of a row that is of several; whoever sees only some
            sees it if these are among them, whatever its point.
        is_whole: see `within`.
    """

    source: str
    filters: Mapping[str, str | Mapping[Any, str]]
    orders: Mapping[str, str]
    key: Sequence[str] = ("id",)
    first: str = "-id"
    solid: frozenset[str] = frozenset()
    point: str = "q.point_id"
    buildings: str = ""
    is_whole: bool = False

    def within(self, building_ids: Collection[int] | None) -> "ListQuery":
        """The list for whoever sees these buildings, or the whole project (None).

        Two statements rather than one with an *or*, of which the planner knows nothing: of somebody
        who sees all no row is asked where it lies, and for somebody who sees one building its rows
        are found first. Which buildings it shows the transaction says, so that a list which was
        never asked for within anything shows nothing where the transaction names none.
        """
        return replace(self, is_whole=building_ids is None)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a list, in which order; filters whose value is None are left out."""

    filters: Mapping[str, Any] = field(default_factory=dict)
    sort: str = ""
    descending: bool = False
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a list: its rows, how many there are in all, and whether there are yet more."""

    rows: list[asyncpg.Record]
    row_count: int
    is_more: bool = False


async def fetch_list(
    connection: Connection, query: ListQuery, project_id: int, wanted: Wanted
) -> Listing:
    """One page of a list by its number."""
    row_count = await count_list(connection, query, project_id, wanted)
    first, *rest = _pieces(query, project_id, wanted, None)
    rows = await first.fetch(connection, wanted.limit, wanted.offset)
    for piece in rest if len(rows) < wanted.limit else ():
        before = 0 if rows else wanted.offset - await first.count(connection, wanted.offset)
        rows += await piece.fetch(connection, wanted.limit - len(rows), before)
    return Listing(rows, min(row_count, COUNT_MAX_ROWS), row_count > COUNT_MAX_ROWS)


async def fetch_after(
    connection: Connection, query: ListQuery, project_id: int, wanted: Wanted,
    after: Position | None,
) -> list[asyncpg.Record]:  # fmt: skip
    """The rows that follow a position, or the first of them; `wanted.offset` counts for nothing.

    Raises:
        PositionUnfit: the position's values are not of the columns' types.
    """
    rows: list[asyncpg.Record] = []
    if after is not None and len(after) != len(_columns(query, wanted)):
        raise PositionUnfit
    try:
        for piece in _pieces(query, project_id, wanted, after):
            if len(rows) < wanted.limit:
                rows += await piece.fetch(connection, wanted.limit - len(rows), 0)
    except (asyncpg.DataError, ValueError) as error:
        if after is None:
            raise
        raise PositionUnfit from error
    return rows


async def count_list(
    connection: Connection, query: ListQuery, project_id: int, wanted: Wanted
) -> int:
    """How many rows match; `COUNT_MAX_ROWS` + 1 stands for more than that."""
    conditions, arguments = _filtered(query, project_id, wanted)
    every = _Piece(query, conditions, arguments, "")
    return await every.count(connection, COUNT_MAX_ROWS + 1)


async def group_list(
    connection: Connection, query: ListQuery, project_id: int, wanted: Wanted, columns: str,
    by: str,
) -> list[asyncpg.Record]:  # fmt: skip
    """Sums over all rows that match, a row a group; columns of `q`, written by the store alone."""
    conditions, arguments = _filtered(query, project_id, wanted)
    return await connection.fetch(
        f"""select {columns} from ({query.source}) q where {" and ".join(conditions) or "true"}
            group by {by} order by {by}""",
        *arguments,
    )


async def stream_list(
    connection: Connection, query: ListQuery, project_id: int, wanted: Wanted, row_max: int
) -> AsyncIterator[list[asyncpg.Record]]:
    """The whole list in chunks, as one snapshot, at most `row_max` rows."""
    left = row_max
    for piece in _pieces(query, project_id, wanted, None):
        cursor = await connection.cursor(piece.sql(left, 0), *piece.arguments)
        while rows := await cursor.fetch(EXPORT_CHUNK_ROWS):
            left -= len(rows)
            yield rows


def position(query: ListQuery, wanted: Wanted, row: asyncpg.Record) -> Position:
    """Where a row stands in the order asked for."""
    return [row[column] for column in _columns(query, wanted)]


def contains(text: str) -> str | None:
    """A pattern for `ilike` that finds this text anywhere; None for no text."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%" if text else None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a list that one comparison cuts and one order sorts."""

    query: ListQuery
    conditions: Sequence[str]
    arguments: Sequence[Any]
    order: str

    def sql(self, limit: int, offset: int) -> str:
        """The rows: their keys are found first, and only these rows are joined and made whole.

        Found once: of tables nobody has counted yet, a planner would find them anew for each row.
        """
        key = ", ".join(self.query.key)
        named = ", ".join(f"q.{name}" for name in self.query.key)
        return f"""with k as materialized ({self.keys(limit, offset, named)})
            select q.* from k join ({self.query.source}) q using ({key}) {self.order}"""

    def keys(self, limit: int, offset: int, columns: str) -> str:
        where = f"where {' and '.join(self.conditions)}" if self.conditions else ""
        rows = f"limit {int(limit)} offset {int(offset)}"
        return f"select {columns} from ({self.query.source}) q {where} {self.order} {rows}"

    async def fetch(self, connection: Connection, limit: int, offset: int) -> list[asyncpg.Record]:
        return await connection.fetch(self.sql(limit, offset), *self.arguments)

    async def count(self, connection: Connection, row_max: int) -> int:
        uncut = _Piece(self.query, self.conditions, self.arguments, "")
        counted = f"select count(*) from ({uncut.keys(row_max, 0, 'true')}) c"
        found: int = await connection.fetchval(counted, *self.arguments)
        return found


def _pieces(
    query: ListQuery, project_id: int, wanted: Wanted, after: Position | None
) -> list[_Piece]:
    """The rows that have what the list is sorted by, then those that have not."""
    sort, descending = _order(query, wanted)
    columns = [f"q.{name}" for name in _columns(query, wanted)]
    conditions, arguments = _filtered(query, project_id, wanted)
    sign, way = ("<", " desc") if descending else (">", "")
    pieces = []
    if after is None or after[0] is not None:
        mine, given = list(conditions), list(arguments)
        if sort not in query.solid:
            mine.append(f"{columns[0]} is not null")
        if after is not None:
            numbers = [f"${len(given) + n}" for n in range(1, len(columns) + 1)]
            given += after
            # The second comparison follows from the first; it is one that any index can use, also
            # where the value and the key stand in different tables.
            mine.append(f"({', '.join(columns)}) {sign} ({', '.join(numbers)})")
            mine.append(f"{columns[0]} {sign}= {numbers[0]}")
        pieces.append(_Piece(query, mine, given, _order_by(columns, way)))
        after = None
    if sort not in query.solid:
        mine, given = [*conditions, f"{columns[0]} is null"], list(arguments)
        if after is not None:
            numbers = [f"${len(given) + n}" for n in range(1, len(columns))]
            given += after[1:]
            mine.append(f"({', '.join(columns[1:])}) {sign} ({', '.join(numbers)})")
        pieces.append(_Piece(query, mine, given, _order_by(columns[1:], way)))
    return pieces


def _order(query: ListQuery, wanted: Wanted) -> tuple[str, bool]:
    if wanted.sort:
        return wanted.sort, wanted.descending
    return query.first.removeprefix("-"), query.first.startswith("-")


def _columns(query: ListQuery, wanted: Wanted) -> list[str]:
    """The columns a list is sorted by, then its key; each once."""
    sort, _ = _order(query, wanted)
    return list(dict.fromkeys((*query.orders[sort].split(", "), *query.key)))


def _order_by(columns: Sequence[str], way: str) -> str:
    return "order by " + ", ".join(column + way for column in columns)


def _filtered(query: ListQuery, project_id: int, wanted: Wanted) -> tuple[list[str], list[Any]]:
    in_sight = f"{query.point} in (select seen_points($1))"
    if query.buildings:
        in_sight = f"{query.buildings} <@ (select building_ids())"
    conditions = [] if query.is_whole else [in_sight]
    arguments: list[Any] = [project_id]
    for key, given in wanted.filters.items():
        if given is None:
            continue
        condition = query.filters[key]
        if not isinstance(condition, str):
            conditions.append(condition[given])
            continue
        arguments.append(given)
        conditions.append(condition.format(f"${len(arguments)}"))
    return conditions, arguments
