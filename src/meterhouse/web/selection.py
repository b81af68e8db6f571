"""From what a list's address says to what a flow is asked: which rows, in which order.

Owns the types of filters: a day becomes the project's midnight, text a pattern, a word a truth,
a number an id.
Must never know a particular list. Pages, files, tasks and bulk acts all select by it, so they
cannot disagree about which rows are meant.
"""

import re
from datetime import date, datetime, timedelta
from typing import Any, Final

from meterhouse.flows import monitor
from meterhouse.flows.monitor import Wanted
from meterhouse.web.formats import Formats
from meterhouse.web.tables import ListState

_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_TRUTHS: Final = {"true": True, "false": False}


def wanted(state: ListState, fmt: Formats, **fixed: Any) -> Wanted:
    """A list's state as the flow's question: dates become instants, text becomes a pattern.

    `fixed` are filters the page itself sets; a reader cannot take them away.
    """
    typed: dict[str, Any] = {}
    for key, text in state.filters.items():
        match key:
            case "from":
                typed[key] = _midnight(text, fmt, 0)
            case "to":
                typed[key] = _midnight(text, fmt, 1)
            case "text" | "person" | "object" | "block":
                typed[key] = monitor.contains(text)
            case "open" | "online" | "let" | "proved" | "void":
                typed[key] = _TRUTHS.get(text)
            case "agreement":
                typed[key] = int(text) if _NUMBER.fullmatch(text) else None
            case _:
                typed[key] = text or None
    return Wanted(typed | fixed, state.sort, state.descending, state.page_size, state.offset)


def _midnight(text: str, fmt: Formats, days_later: int) -> datetime | None:
    """The project's midnight that begins a day, or ends it; None for what is no day."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days_later)
    except (ValueError, OverflowError):
        return None
    return datetime.combine(day, datetime.min.time(), fmt.timezone)
