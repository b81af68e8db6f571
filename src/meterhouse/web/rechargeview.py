"""The list of money sent to meters: its columns, filters and what can be done to a row.

Owns the declaration. Must never know a request.
"""

from typing import Any, Final

from meterhouse.flows.access import Verb
from meterhouse.model import RechargeState
from meterhouse.web.cells import BUILDING, FROM, ROOM, TO, cell
from meterhouse.web.listview import ListView, RowAct
from meterhouse.web.rechargewords import (
    HALTED_BY,
    RECHARGE_CLASS,
    RECHARGE_KIND,
    RECHARGE_STATE,
)
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_


def recharged(row: Any) -> int:
    """What a recharge brings to the meter; below zero where it takes money back."""
    amount_minor: int = row["amount_minor"]
    return -amount_minor if row["kind"] == "take_back" else amount_minor


RECHARGES: Final = ListView(
    Table(
        "recharges",
        (
            Column("created_at", N_("Paid"), cell("created_at"), Kind.INSTANT, sortable=True,
                   link=lambda row: f"recharges/{row['id']}"),
            BUILDING,
            ROOM,
            Column("address", N_("Meter"), cell("address")),
            Column("kind", N_("What"), lambda row: RECHARGE_KIND[row["kind"]], Kind.WORD),
            Column("amount", N_("Amount"), recharged, Kind.MONEY, sortable=True),
            Column("number", N_("Purchase number"), cell("number"), Kind.COUNT),
            Column("state", N_("State"), cell("state", RechargeState), Kind.STATE, sortable=True,
                   colour=lambda row: RECHARGE_CLASS[RechargeState(row["state"])]),
            Column("why", N_("Why"), lambda row: HALTED_BY.get(row["why"], ""), Kind.WORD),
            Column("sends", N_("Times sent"), cell("send_count"), Kind.COUNT, optional=True),
            Column("applied_at", N_("In the meter at"), cell("applied_at"), Kind.INSTANT,
                   sortable=True),
            Column("actor", N_("By"), cell("actor"), optional=True),
        ),
        (
            Filter("state", N_("State"),
                   {s.value: word for s, word in RECHARGE_STATE.items()}),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="created_at",
        descending=True,
        empty=N_("No money was sent to meters yet."),
        empty_hint=N_("Where the meter keeps the money, each payment travels to it from here."),
    ),
    N_("Meter recharges"),
    Verb.MONEY_READ,
    row_acts=(
        RowAct("recharge.decide", lambda row: row["state"] == "halted"),
        RowAct("recharge.cancel", lambda row: row["state"] in ("reserved", "sent", "unknown")),
    ),
)  # fmt: skip
