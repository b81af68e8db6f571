"""What a list is beyond its table: a heading, the verb that opens it, what can be done to rows.

Owns the shape, and the lists by name for those who must not know them (`views` fills `KNOWN`):
an act on lists is declared before the lists are, for lists name acts.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from meterhouse.flows.access import Verb
from meterhouse.web.tables import Table


@dataclass(frozen=True, slots=True)
class RowAct:
    """An act that can be done to a row; `when` says to which rows. Its name is as in `acts`."""

    name: str
    when: Callable[[Any], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class ListView:
    """A list with its heading, the verb that opens it, and what can be done from it.

    `acts` (of `web.acts`) open as dialogs; `pages` are acts with a page of their own, such as an
    import; `links` are further pages, as (title, address). `row_acts` stand in a menu at each row's
    end; those that can be done to many (`Act.bulk`) also in the bar that opens when rows are
    ticked. The rows then have an `id`. `totals` adds up all rows that match, as (message id, text).
    """

    table: Table
    heading: str
    verb: Verb
    acts: tuple[Any, ...] = ()
    pages: tuple[Any, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    row_acts: tuple[RowAct, ...] = ()
    totals: Callable[[Any, int, Any, Any], Awaitable[Sequence[tuple[str, str]]]] | None = None


KNOWN: Final[dict[str, ListView]] = {}
