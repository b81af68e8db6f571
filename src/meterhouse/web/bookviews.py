"""The lists of finance: every order.

Owns their columns, filters and sums; `views` counts them among all lists.
"""

from typing import Final

from meterhouse.flows import orders
from meterhouse.flows.access import Verb
from meterhouse.flows.monitor import Wanted
from meterhouse.flows.orders import Direction
from meterhouse.model import PaymentKind, RechargeState
from meterhouse.store.db import Database
from meterhouse.web import moneywords
from meterhouse.web.acts.money import CHANNELS
from meterhouse.web.cells import BUILDING, FROM, ROOM, TO, cell, masked_name
from meterhouse.web.formats import Formats
from meterhouse.web.listview import ListView
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_


async def order_totals(
    db: Database, project_id: int, wanted: Wanted, fmt: Formats
) -> list[tuple[str, str]]:
    """What all orders that match add up to."""
    found = await orders.sums(db, project_id, wanted)
    return [
        (N_("Orders"), fmt.number(found.count)),
        (moneywords.DIRECTION[Direction.IN], fmt.money(found.of(Direction.IN))),
        (moneywords.DIRECTION[Direction.OUT], fmt.money(found.of(Direction.OUT))),
        (N_("In less out"), fmt.money(found.net_minor)),
        (moneywords.DIRECTION[Direction.WITHIN], fmt.money(found.of(Direction.WITHIN))),
    ]


ORDERS: Final = ListView(
    Table(
        "orders",
        (
            Column("id", N_("Order"), cell("id"), link=lambda row: f"orders/{row['id']}"),
            Column("created_at", N_("When"), cell("created_at"), Kind.INSTANT, sortable=True),
            Column("kind", N_("Kind"), cell("kind", PaymentKind), Kind.STATE, sortable=True),
            Column("amount", N_("Amount"), cell("signed_minor"), Kind.MONEY, sortable=True),
            Column("direction", N_("Direction"), cell("direction", Direction), Kind.STATE,
                   optional=True),
            BUILDING,
            ROOM,
            Column("customer", N_("Customer"), masked_name, Kind.WORD),
            Column("channel", N_("Paid by"), lambda row: CHANNELS.get(row["channel"],
                   row["channel"]), Kind.WORD, sortable=True),
            Column("cashier", N_("Cashier"), cell("actor")),
            Column("receipt", N_("Receipt"), cell("receipt")),
            Column("recharge", N_("In the meter"), cell("recharge_state", RechargeState),
                   Kind.STATE, colour=lambda row: "" if row["recharge_state"] is None else
                   moneywords.RECHARGE_CLASS[RechargeState(row["recharge_state"])]),
            Column("reason", N_("Note"), cell("reason"), optional=True),
        ),
        (
            Filter("kind", N_("Kind"),
                   {kind.value: word for kind, word in moneywords.PAYMENT_KIND.items()}),
            Filter("channel", N_("Paid by"), CHANNELS),
            Filter("person", N_("Cashier"), hint=N_("Part of a name")),
            Filter("block", N_("Building"), hint=N_("Part of a name")),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="created_at",
        descending=True,
        empty=N_("No orders yet."),
        empty_hint=N_("What is sold, paid back or moved at the desk appears here."),
    ),
    N_("Orders"),
    Verb.MONEY_READ,
    totals=order_totals,
)  # fmt: skip

LISTS: Final = (ORDERS,)
