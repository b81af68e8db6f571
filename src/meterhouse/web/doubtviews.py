"""The queue of doubtful readings that wait for a person.

Owns its columns and filters; `views` counts it among all lists.
"""

from typing import Final

from meterhouse.flows.access import Verb
from meterhouse.web.cells import BUILDING, FROM, ROOM, TO, cell
from meterhouse.web.doubtwords import DOUBT, DoubtName
from meterhouse.web.listview import ListView, RowAct
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_

DOUBTS: Final = ListView(
    Table(
        "doubts",
        (
            Column("read_at", N_("Read"), cell("read_at"), Kind.INSTANT, sortable=True,
                   link=lambda row: f"doubts/{row['id']}"),
            Column("why", N_("Doubt"), cell("why", DoubtName), Kind.STATE, sortable=True,
                   colour=lambda _: "w2"),
            BUILDING,
            ROOM,
            Column("meter", N_("Meter"), cell("address"),
                   link=lambda row: f"meters/{row['meter_id']}"),
            Column("total", N_("Says"), cell("total_milli"), Kind.ENERGY),
            Column("good", N_("Last good"), cell("good_0_milli"), Kind.ENERGY),
            Column("good_at", N_("Last good reading"), cell("good_at"), Kind.INSTANT),
            Column("noted_at", N_("Noted"), cell("noted_at"), Kind.INSTANT, optional=True),
        ),
        (
            Filter("why", N_("Doubt"), {name.value: word for name, word in DOUBT.items()}),
            Filter("block", N_("Building"), hint=N_("Part of a name")),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="read_at",
        empty=N_("No reading waits for a decision."),
        empty_hint=N_("What does not follow from the readings before is not billed; it appears "
                      "here until the next good reading explains it, or somebody decides."),
    ),
    N_("Doubtful readings"),
    Verb.ALARM_READ,
    row_acts=tuple(RowAct(f"doubt.{deed}") for deed in ("accept", "begin", "correct", "discard")),
)  # fmt: skip
