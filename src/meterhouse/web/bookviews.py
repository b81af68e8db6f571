"""The lists of finance: every order, every transfer, every closed day.

Owns their columns, filters and sums; `views` counts them among all lists.
"""

from typing import Final

from meterhouse.flows import drift, orders
from meterhouse.flows.access import Verb
from meterhouse.flows.monitor import Wanted
from meterhouse.flows.orders import Direction
from meterhouse.model import AccountKind, PaymentKind, RechargeState
from meterhouse.store.db import Database
from meterhouse.web import moneywords, rechargewords
from meterhouse.web.acts import day
from meterhouse.web.cells import BUILDING, FROM, ROOM, TO, cell, masked_name
from meterhouse.web.formats import Formats
from meterhouse.web.listview import ListView
from meterhouse.web.moneywords import Proved
from meterhouse.web.paperwords import WAYS
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
            Column("direction", N_("In or out"), cell("direction", Direction), Kind.STATE,
                   optional=True),
            BUILDING,
            ROOM,
            Column("customer", N_("Customer"), masked_name, Kind.WORD),
            Column("channel", N_("Paid by"), lambda row: WAYS.get(row["channel"],
                   row["channel"]), Kind.WORD, sortable=True),
            Column("cashier", N_("Cashier"), cell("actor")),
            Column("receipt", N_("Receipt"), cell("receipt"), link=lambda row:
                   None if row["receipt_id"] is None else f"receipts/{row['receipt_id']}"),
            Column("recharge", N_("Meter recharge"), cell("recharge_state", RechargeState),
                   Kind.STATE, colour=lambda row: "" if row["recharge_state"] is None else
                   rechargewords.RECHARGE_CLASS[RechargeState(row["recharge_state"])]),
            Column("reason", N_("Note"), cell("reason"), optional=True),
        ),
        (
            Filter("kind", N_("Kind"),
                   {kind.value: word for kind, word in moneywords.PAYMENT_KIND.items()}),
            Filter("channel", N_("Paid by"), WAYS),
            Filter("person", N_("Cashier"), hint=N_("Part of a name")),
            Filter("block", N_("Building"), hint=N_("Part of a name")),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="created_at",
        descending=True,
        empty=N_("No orders yet."),
        empty_hint=N_("What is recharged, paid back or moved at the desk appears here."),
    ),
    N_("Orders"),
    Verb.MONEY_READ,
    totals=order_totals,
)  # fmt: skip

JOURNAL: Final = ListView(
    Table(
        "journal",
        (
            Column("id", N_("Transfer"), cell("id"),
                   link=lambda row: f"transfers/{row['id']}/explain"),
            Column("created_at", N_("When"), cell("created_at"), Kind.INSTANT, sortable=True),
            Column("kind", N_("What for"), moneywords.why_row, Kind.WORD, sortable=True),
            Column("debit", N_("Account debited"), cell("debit_kind", AccountKind), Kind.STATE),
            Column("credit", N_("Account credited"), cell("credit_kind", AccountKind), Kind.STATE),
            Column("amount", N_("Amount"), cell("amount_minor"), Kind.MONEY, sortable=True),
            BUILDING,
            ROOM,
            Column("order", N_("Order"), cell("payment_id"), link=lambda row:
                   None if row["payment_id"] is None else f"orders/{row['payment_id']}"),
            Column("actor", N_("By"), cell("actor"), optional=True),
            Column("reason", N_("Note"), cell("reason"), optional=True),
        ),
        (
            Filter("account", N_("Account"),
                   {kind.value: word for kind, word in moneywords.ACCOUNT_KIND.items()}),
            Filter("kind", N_("What for"), moneywords.TRANSFER_KIND),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="created_at",
        descending=True,
        empty=N_("Nothing was booked yet."),
        empty_hint=N_("Every transfer between two accounts appears here."),
    ),
    N_("Journal"),
    Verb.BOOKS_READ,
    links=((N_("Trial balance"), "trial"),),
)  # fmt: skip

DAYS: Final = ListView(
    Table(
        "days",
        (
            Column("day", N_("Day"), lambda row: row["day"].isoformat(), sortable=True,
                   link=lambda row: f"days/{row['id']}"),
            Column("proved", N_("Proofs"), lambda row: Proved.HOLDS if row["is_proved"]
                   else Proved.FAILED, Kind.STATE,
                   colour=lambda row: "ok" if row["is_proved"] else "owe"),
            Column("orders", N_("Orders"), cell("order_count"), Kind.COUNT),
            Column("in", N_("Money in"), cell("in_minor"), Kind.MONEY, sortable=True),
            Column("out", N_("Money out"), cell("out_minor"), Kind.MONEY, sortable=True),
            Column("booked", N_("Sales booked"), cell("booked_minor"), Kind.MONEY, sortable=True),
            Column("until_at", N_("Day ends at"), cell("until_at"), Kind.INSTANT, optional=True),
            Column("closed_at", N_("Books closed at"), cell("closed_at"), Kind.INSTANT),
            Column("actor", N_("By"), lambda row: row["actor"] or N_("Automatic"), Kind.WORD),
        ),
        (
            Filter("proved", N_("Proofs"), {"true": N_("All hold"), "false": N_("Some failed")}),
            FROM,
            TO,
        ),
        sort="day",
        descending=True,
        empty=N_("No day was closed yet."),
        empty_hint=N_("The platform closes each day by itself after midnight."),
    ),
    N_("Closed days"),
    Verb.BOOKS_READ,
    (day.CLOSE, day.PROVE),
)  # fmt: skip


_DEDUCTED: Final = N_("Deducted by the meter")
_RATED: Final = N_("Rated by the platform")
_DIFFERENCE: Final = N_("Difference")


async def drift_totals(
    db: Database, project_id: int, wanted: Wanted, fmt: Formats
) -> list[tuple[str, str]]:
    """What all rows that match add up to."""
    found = await drift.sums(db, project_id, wanted)
    return [
        (_DEDUCTED, fmt.money(found.deducted_minor)),
        (_RATED, fmt.money(found.rated_minor)),
        (_DIFFERENCE, fmt.money(found.difference_minor)),
    ]


DRIFT: Final = ListView(
    Table(
        "drift",
        (
            BUILDING,
            ROOM,
            Column("meter", N_("Meter"), cell("address"),
                   link=lambda row: f"meters/{row['meter_id']}"),
            Column("since_at", N_("From"), cell("since_at"), Kind.INSTANT),
            Column("until_at", N_("To"), cell("until_at"), Kind.INSTANT, sortable=True),
            Column("deducted", _DEDUCTED, cell("deducted_minor"), Kind.MONEY),
            Column("rated", _RATED, cell("rated_minor"), Kind.MONEY),
            Column("difference", _DIFFERENCE, cell("difference_minor"), Kind.MONEY, sortable=True),
        ),
        (
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="until_at",
        descending=True,
        empty=N_("Nothing was compared yet."),
        empty_hint=N_("Where the meter keeps the money, each closed day compares what it deducted "
                      "with what the platform rated."),
    ),
    N_("Meter drift"),
    Verb.BOOKS_READ,
    totals=drift_totals,
)  # fmt: skip

LISTS: Final = (ORDERS, JOURNAL, DAYS, DRIFT)
