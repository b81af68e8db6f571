"""The lists of accounts: those prepared, those open, those closed; and of meters exchanged.

Owns their columns, filters and order, as `views` does for the others. Must never know a request.
"""

from typing import Final

from meterhouse.flows.access import Verb
from meterhouse.flows.opening import Purse
from meterhouse.web.acts import site_sheet
from meterhouse.web.cells import BUILDING, FROM, ROOM, TO, cell, masked_name
from meterhouse.web.lifewords import OPENING_CLASS, OPENING_STATE, ClosingSource, OpeningState
from meterhouse.web.listview import ListView, RowAct
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_

OPENINGS: Final = ListView(
    Table(
        "openings",
        (
            BUILDING,
            Column("room", N_("Room"), cell("room"), sortable=True,
                   link=lambda row: f"places/{row['place_id']}"),
            Column("customer", N_("Customer"), masked_name, Kind.WORD,
                   link=lambda row: f"customers/{row['customer_id']}"),
            Column("state", N_("State"), cell("state", OpeningState), Kind.STATE, sortable=True,
                   colour=lambda row: OPENING_CLASS[OpeningState(row["state"])]),
            Column("purse", N_("Kind of purse"), cell("purse", Purse), Kind.STATE, optional=True),
            Column("credit", N_("Opening credit"), cell("credit_minor"), Kind.MONEY),
            Column("debt", N_("Opening debt"), cell("debt_minor"), Kind.MONEY, optional=True),
            Column("deposit", N_("Deposit held"), cell("deposit_minor"), Kind.MONEY),
            Column("held", N_("Deposit from before"), cell("held_minor"), Kind.MONEY,
                   optional=True),
            Column("overdraft", N_("Overdraft"), cell("overdraft_minor"), Kind.MONEY,
                   optional=True),
            Column("created_at", N_("Prepared at"), cell("created_at"), Kind.INSTANT,
                   sortable=True),
            Column("ended_at", N_("Ended"), cell("ended_at"), Kind.INSTANT, sortable=True),
            Column("actor", N_("By"), cell("actor")),
        ),
        (
            Filter("state", N_("State"),
                   {s.value: word for s, word in OPENING_STATE.items()}),
            Filter("text", N_("Search"), hint=N_("Room or building")),
        ),
        sort="created_at",
        descending=True,
        empty=N_("No prepared accounts."),
        empty_hint=N_("Prepare one at a vacant room, or import a sheet; open it with one click."),
    ),
    N_("Prepared accounts"),
    Verb.CUSTOMER_READ,
    pages=(site_sheet.OPENINGS.act,),
    row_acts=(
        RowAct("opening.open", lambda row: row["state"] == "prepared"),
        RowAct("opening.withdraw", lambda row: row["state"] == "prepared"),
    ),
)  # fmt: skip

AGREEMENTS: Final = ListView(
    Table(
        "agreements",
        (
            Column("rooms", N_("Rooms"), cell("rooms"), link=lambda row: f"agreements/{row['id']}"),
            Column("customer", N_("Customer"), masked_name, Kind.WORD,
                   link=lambda row: f"customers/{row['customer_id']}"),
            Column("number", N_("Number"), cell("id")),
            Column("balance", N_("Booked balance"), cell("balance_minor"), Kind.MONEY,
                   sortable=True),
            Column("deposit", N_("Deposit held"), cell("deposit_minor"), Kind.MONEY, sortable=True),
            Column("since", N_("Since"), cell("valid_from"), Kind.INSTANT, sortable=True),
            Column("until", N_("Until"), cell("valid_to"), Kind.INSTANT, sortable=True),
            Column("refunded", N_("Paid out"), cell("refunded_minor"), Kind.MONEY, optional=True),
        ),
        (
            Filter("open", N_("State"), {"true": N_("In force"), "false": N_("Account closed")}),
            Filter("text", N_("Search"), hint=N_("Room")),
        ),
        sort="since",
        descending=True,
        empty=N_("No accounts yet."),
        empty_hint=N_("Open an account for a room, or import a sheet."),
    ),
    N_("Accounts"),
    Verb.CUSTOMER_READ,
    row_acts=(RowAct("account.close", lambda row: row["valid_to"] is None),),
)  # fmt: skip

EXCHANGES: Final = ListView(
    Table(
        "exchanges",
        (
            Column("exchanged_at", N_("When"), cell("exchanged_at"), Kind.INSTANT, sortable=True),
            BUILDING,
            ROOM,
            Column("address", N_("Old meter"), cell("old_address"), sortable=True,
                   link=lambda row: f"meters/{row['old_meter_id']}"),
            Column("closing", N_("Closing register"), cell("closing_0_milli"), Kind.ENERGY),
            Column("source", N_("Closing read"), cell("closing_source", ClosingSource), Kind.STATE),
            Column("new_address", N_("New meter"), cell("new_address"),
                   link=lambda row: f"meters/{row['new_meter_id']}"),
            Column("opening", N_("Opening register"), cell("opening_0_milli"), Kind.ENERGY),
            Column("moved", N_("Money moved"), cell("moved_minor"), Kind.MONEY, optional=True),
            Column("reason", N_("Reason given"), cell("reason")),
            Column("actor", N_("By"), cell("actor")),
        ),
        (Filter("text", N_("Search"), hint=N_("Room or meter")), FROM, TO),
        sort="exchanged_at",
        descending=True,
        empty=N_("No meter was exchanged yet."),
        empty_hint=N_("Open a meter's page to exchange it."),
    ),
    N_("Meter exchanges"),
    Verb.DEVICE_READ,
)  # fmt: skip

LISTS: Final = (AGREEMENTS, OPENINGS, EXCHANGES)
