"""The lists of the desk: cashiers' shifts.

Owns their columns, filters and order, as `views` does for the others. Must never know a request.
"""

from typing import Final

from meterhouse.flows.access import Verb
from meterhouse.web.acts import shift
from meterhouse.web.cells import FROM, TO, cell
from meterhouse.web.listview import ListView
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_

SHIFTS: Final = ListView(
    Table(
        "shifts",
        (
            Column("opened_at", N_("Opened"), cell("opened_at"), Kind.INSTANT, sortable=True,
                   link=lambda row: f"shifts/{row['id']}"),
            Column("cashier", N_("Cashier"), cell("cashier")),
            Column("closed_at", N_("Closed"), cell("closed_at"), Kind.INSTANT, sortable=True),
            Column("float", N_("Float"), cell("float_minor"), Kind.MONEY),
            Column("expected", N_("Expected"), cell("expected_minor"), Kind.MONEY),
            Column("counted", N_("Counted"), cell("counted_minor"), Kind.MONEY),
            Column("difference", N_("Difference"), cell("difference_minor"), Kind.MONEY,
                   sortable=True),
            Column("note", N_("Note"), cell("note")),
        ),
        (
            Filter("state", N_("State"), {"open": N_("Open"), "closed": N_("Closed")}),
            FROM,
            TO,
        ),
        sort="opened_at",
        descending=True,
        empty=N_("No shifts yet."),
        empty_hint=N_("A cashier opens a shift at the desk, with the change in the drawer."),
    ),
    N_("Shifts"),
    Verb.MONEY_READ,
    (shift.OPEN,),
)  # fmt: skip

LISTS: Final = (SHIFTS,)
