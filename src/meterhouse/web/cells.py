"""What columns of many lists share: how a cell is read, the span's filters, building and room.

Owns these small declarations. Must never know a list.
"""

from collections.abc import Callable
from typing import Any, Final

from meterhouse.web.formats import ABSENT
from meterhouse.web.tables import Column, Filter
from meterhouse.words import N_


def cell(key: str, kind: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
    """Reads one column of a row, through an enum where one is named."""

    def read(row: Any) -> Any:
        raw = row[key]
        return raw if raw is None or kind is None else kind(raw)

    return read


def room_link(row: Any) -> str | None:
    """The room a row belongs to, as seen from a list page."""
    return None if row["room_id"] is None else f"rooms/{row['room_id']}"


def masked_name(row: Any) -> str:
    """A customer's masked name, or that it was erased."""
    return N_("Erased") if row["is_erased"] else row["customer"] or ABSENT


# A browser writes a date field in its own language; plain text is the same for every reader.
FROM: Final = Filter("from", N_("From"), hint=N_("YYYY-MM-DD"), is_day=True)
TO: Final = Filter("to", N_("To"), hint=N_("YYYY-MM-DD"), is_day=True)
BUILDING: Final = Column("building", N_("Building"), cell("building"))
ROOM: Final = Column("room", N_("Room"), cell("room"), sortable=True, link=room_link)
