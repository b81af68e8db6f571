"""The queue of doubtful readings that wait for a person, and the points that stand on estimates.

Owns their columns and filters; `views` counts them among all lists.
"""

from typing import Any, Final

from meterhouse.flows.access import Verb
from meterhouse.web.cells import BUILDING, FROM, ROOM, TO, cell
from meterhouse.web.doubtwords import (
    DOUBT,
    ESTIMATE,
    ESTIMATE_CLASS,
    RULE,
    UNESTIMATED,
    DoubtName,
    EstimateState,
)
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
    links=((N_("Estimates"), "estimates"),),
    row_acts=tuple(RowAct(f"doubt.{deed}") for deed in ("accept", "begin", "correct", "discard")),
)  # fmt: skip


def taken_back(row: Any) -> str:
    """What takes an estimate back, where there is one."""
    return "" if row["ended_at"] is None else N_("The next reading after this one")


ESTIMATES: Final = ListView(
    Table(
        "estimates",
        (
            BUILDING,
            ROOM,
            Column("state", N_("State"), cell("state", EstimateState), Kind.STATE,
                   colour=lambda row: ESTIMATE_CLASS[EstimateState(row["state"])]),
            Column("since", N_("Last good reading"), cell("good_at"), Kind.INSTANT,
                   sortable=True),
            Column("until", N_("Estimated until"), cell("ended_at"), Kind.INSTANT, sortable=True),
            Column("energy", N_("Estimated energy"), cell("energy_milli"), Kind.ENERGY,
                   sortable=True),
            Column("amount", N_("Estimated money"), cell("amount_minor"), Kind.MONEY,
                   sortable=True),
            Column("rule", N_("Rule"), lambda row: RULE.get(row["rule"], row["rule"]), Kind.WORD),
            Column("why", N_("Why not"), lambda row: UNESTIMATED.get(row["why"], row["why"]),
                   Kind.WORD),
            Column("meter", N_("Meter"), cell("address"),
                   link=lambda row: f"meters/{row['meter_id']}"),
            Column("back", N_("Taken back by"), taken_back, Kind.WORD, optional=True),
        ),
        (
            Filter("state", N_("State"), {name.value: word for name, word in ESTIMATE.items()}),
            Filter("block", N_("Building"), hint=N_("Part of a name")),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
            FROM,
            TO,
        ),
        sort="since",
        empty=N_("Nothing is estimated."),
        empty_hint=N_("Where the project estimates silent points, they appear here until the next "
                      "reading takes the estimates back and charges what was used."),
    ),
    N_("Estimates"),
    Verb.ALARM_READ,
    links=((N_("Doubtful readings"), "doubts"),),
)  # fmt: skip
