"""A client for the API of meterhouse, the remote prepaid utility platform.

`Client` blocks, `AsyncClient` is awaited; both have the same operations. What they answer stands in
`meterhouse_sdk.shapes`, what can go wrong in `meterhouse_sdk.errors`.
"""

from meterhouse_sdk import errors, operations, shapes
from meterhouse_sdk._client import AsyncClient, Client
from meterhouse_sdk._paging import AsyncRows, Page, Rows

__all__ = [
    "AsyncClient",
    "AsyncRows",
    "Client",
    "Page",
    "Rows",
    "errors",
    "operations",
    "shapes",
]
