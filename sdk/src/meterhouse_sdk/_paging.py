"""Lists that are fetched while they are walked.

Owns how one page leads to the next. Must never know what a row is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from meterhouse_sdk._calls import Call

Row = TypeVar("Row")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of a list.

    Attributes:
        items: the rows.
        next_cursor: where the next page begins; None on the last.
        total: how many rows match, where they were counted.
        total_is_more: whether more match than `total` says.
    """

    items: tuple[Row, ...]
    next_cursor: str | None
    total: int | None
    total_is_more: bool

    @classmethod
    def read(cls, told: Mapping[str, Any], read_row: Callable[[Any], Row]) -> "Page[Row]":
        """From the API's JSON."""
        return cls(
            tuple(read_row(one) for one in told["items"]),
            told["next_cursor"],
            told.get("total"),
            told.get("total_is_more", False),
        )


class Do(Protocol):
    """Does a call."""

    def __call__(self, call: Call, read: Callable[[Any], Answer], /) -> Answer:
        """Its answer as `read` makes it."""


class AsyncDo(Protocol):
    """Does a call without blocking."""

    def __call__(self, call: Call, read: Callable[[Any], Answer], /) -> Awaitable[Answer]:
        """Its answer as `read` makes it."""


@dataclass(frozen=True, slots=True)
class _Pages(Generic[Row]):
    _call: Call
    _read_row: Callable[[Any], Row]

    def _at(self, cursor: str) -> Call:
        return replace(self._call, query={**self._call.query, "cursor": cursor or None})

    def _read(self, told: Any) -> Page[Row]:
        return Page.read(told, self._read_row)


@dataclass(frozen=True, slots=True)
class Rows(_Pages[Row]):
    """A list's rows: walk them with `for`, page after page, or ask for one page."""

    _do: Do

    def page(self, cursor: str = "") -> Page[Row]:
        """The page that begins at `cursor`, the first when it is empty."""
        return self._do(self._at(cursor), self._read)

    def __iter__(self) -> Iterator[Row]:
        cursor: str | None = ""
        while cursor is not None:
            page = self.page(cursor)
            yield from page.items
            cursor = page.next_cursor


@dataclass(frozen=True, slots=True)
class AsyncRows(_Pages[Row]):
    """A list's rows: walk them with `async for`, page after page, or ask for one page."""

    _do: AsyncDo

    async def page(self, cursor: str = "") -> Page[Row]:
        """The page that begins at `cursor`, the first when it is empty."""
        return await self._do(self._at(cursor), self._read)

    async def __aiter__(self) -> AsyncIterator[Row]:
        cursor: str | None = ""
        while cursor is not None:
            page = await self.page(cursor)
            for row in page.items:
                yield row
            cursor = page.next_cursor
