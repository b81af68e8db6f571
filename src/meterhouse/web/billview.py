"""The list of period bills (账期账单): those in force, what each says and what it adds.

Owns its columns and filters. Must never know how a bill is made.
"""

from typing import Final

from meterhouse.flows.access import Verb
from meterhouse.web.cells import BUILDING, FROM, ROOM, TO, cell, masked_name
from meterhouse.web.listview import ListView
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_

BILLS: Final = ListView(
    Table(
        "bills",
        (
            Column("id", N_("Bill"), cell("id"), link=lambda row: f"bills/{row['id']}"),
            BUILDING,
            ROOM,
            Column("customer", N_("Customer"), masked_name, Kind.WORD),
            Column("tariff", N_("Tariff"), cell("tariff"),
                   link=lambda row: f"tariffs/{row['tariff_id']}"),
            Column("period", N_("Period begins"), cell("period_from_at"), Kind.INSTANT,
                   sortable=True),
            Column("period_to", N_("Period ends"), cell("period_to_at"), Kind.INSTANT,
                   optional=True),
            Column("from_at", N_("Used from"), cell("from_at"), Kind.INSTANT, optional=True),
            Column("to_at", N_("Used until"), cell("to_at"), Kind.INSTANT, optional=True),
            Column("energy", N_("Energy"), cell("energy_milli"), Kind.ENERGY, sortable=True),
            Column("charged", N_("Charged while it ran"), cell("charged_minor"), Kind.MONEY,
                   sortable=True),
            Column("total", N_("The bill"), cell("total_minor"), Kind.MONEY, sortable=True),
            Column("difference", N_("Difference"), cell("difference_minor"), Kind.MONEY,
                   sortable=True),
            Column("version", N_("Version"), cell("version"), Kind.COUNT, optional=True),
            Column("made_at", N_("Made"), cell("made_at"), Kind.INSTANT, optional=True),
        ),
        (
            Filter("agreement", N_("Account"), hint=N_("Its number")),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="period",
        descending=True,
        empty=N_("No period was billed yet."),
        empty_hint=N_("Where a tariff has a minimum, power, losses, added tax or carried energy, "
                      "a bill appears when a billing period has ended and its energy is read."),
    ),
    N_("Bills"),
    Verb.MONEY_READ,
)  # fmt: skip
