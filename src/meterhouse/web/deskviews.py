"""The lists of the desk: cashiers' shifts, and what every household has.

Owns their columns, filters and order, as `views` does for the others. Must never know a request.
"""

from typing import Any, Final

from meterhouse.flows.access import Verb
from meterhouse.model import Commodity, Relay
from meterhouse.web import labels
from meterhouse.web.acts import sale_sheet, shift
from meterhouse.web.cells import BUILDING, FROM, TO, cell, masked_name
from meterhouse.web.listview import ListView, RowAct
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_


def relay(row: Any) -> Relay:
    """What a supply's meter last said of its relay."""
    return Relay(row["relay"] or 0)


SHIFTS: Final = ListView(
    Table(
        "shifts",
        (
            Column("opened_at", N_("Opened at"), cell("opened_at"), Kind.INSTANT, sortable=True,
                   link=lambda row: f"shifts/{row['id']}"),
            Column("cashier", N_("Cashier"), cell("cashier")),
            Column("closed_at", N_("Closed at"), cell("closed_at"), Kind.INSTANT, sortable=True),
            Column("float", N_("Float"), cell("float_minor"), Kind.MONEY),
            Column("expected", N_("Expected"), cell("expected_minor"), Kind.MONEY),
            Column("counted", N_("Counted"), cell("counted_minor"), Kind.MONEY),
            Column("difference", N_("Difference"), cell("difference_minor"), Kind.MONEY,
                   sortable=True),
            Column("note", N_("Note"), cell("note")),
        ),
        (
            Filter("state", N_("State"), {"open": N_("Shift open"), "closed": N_("Shift closed")}),
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

SUPPLIES: Final = ListView(
    Table(
        "supplies",
        (
            BUILDING,
            Column("room", N_("Room"), cell("room"), sortable=True,
                   link=lambda row: f"desk/rooms/{row['room_id']}"),
            Column("commodity", N_("Commodity"), cell("commodity", Commodity), Kind.STATE),
            Column("customer", N_("Customer"), masked_name, Kind.WORD),
            Column("address", N_("Meter"), cell("address"), sortable=True),
            Column("balance", N_("Balance"), cell("balance_minor"), Kind.MONEY, sortable=True),
            Column("relay", N_("Relay"), relay, Kind.STATE,
                   colour=lambda row: labels.RELAY_CLASS[relay(row)]),
        ),
        (
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            Filter("level", N_("State"), {"1": N_("Warned"), "4": N_("Owing")}),
        ),
        sort="building",
        empty=N_("Nobody has an account yet."),
        empty_hint=N_("Open an account for a room; then it is here."),
    ),
    N_("Balances"),
    Verb.MONEY_READ,
    pages=(sale_sheet.RECHARGES.act,),
    row_acts=(RowAct("credit.add"), RowAct("payment.refund"), RowAct("deposit.take"),
              RowAct("fee.charge")),
)  # fmt: skip

LISTS: Final = (SHIFTS, SUPPLIES)
