"""What every group of operations stands on.

Owns the way from a method to the client that carries its call out. Must never know an operation.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from meterhouse_sdk._calls import Call
from meterhouse_sdk._paging import AsyncDo, AsyncRows, Do, Rows

Answer = TypeVar("Answer")


class Group:
    """Operations that block."""

    def __init__(self, do: Do) -> None:
        self.__do = do

    def _do(self, call: Call, read: Callable[[Any], Answer]) -> Answer:
        return self.__do(call, read)

    def _rows(self, call: Call, read_row: Callable[[Any], Answer]) -> Rows[Answer]:
        return Rows(call, read_row, self.__do)


class AsyncGroup:
    """Operations that are awaited."""

    def __init__(self, do: AsyncDo) -> None:
        self.__do = do

    async def _do(self, call: Call, read: Callable[[Any], Answer]) -> Answer:
        return await self.__do(call, read)

    def _rows(self, call: Call, read_row: Callable[[Any], Answer]) -> AsyncRows[Answer]:
        return AsyncRows(call, read_row, self.__do)
