"""The lists of replays, and of the households of one.

Owns their columns. Must never know how charges are rated again.
"""

from typing import Any, Final

from meterhouse.flows.access import Verb
from meterhouse.web.acts import replay
from meterhouse.web.cells import BUILDING, FROM, TO, cell, masked_name
from meterhouse.web.listview import ListView
from meterhouse.web.tables import Column, Filter, Kind, Table
from meterhouse.words import N_

_CHARGED: Final = N_("Was charged")
_WOULD: Final = N_("Would be charged")
_DIFFERENCE: Final = N_("Difference")


def _what(row: Any) -> str:
    if row["gives"]:
        return N_("Of a tariff given since the past")
    return N_("Of a correction") if row["corrects"] else N_("Trial")


def _room_link(row: Any) -> str | None:
    """The room, as seen from a replay's page."""
    return None if row["room_id"] is None else f"../rooms/{row['room_id']}"


REPLAYS: Final = ListView(
    Table(
        "replays",
        (
            Column("scheme", N_("Scheme"), cell("scheme"), link=lambda row: f"replays/{row['id']}"),
            Column("corrects", N_("Kind"), _what, Kind.WORD),
            Column("since_at", N_("From"), cell("since_at"), Kind.INSTANT),
            Column("until_at", N_("To"), cell("until_at"), Kind.INSTANT),
            Column("households", N_("Households"), cell("households"), Kind.COUNT),
            Column("charged", _CHARGED, cell("charged_minor"), Kind.MONEY, optional=True),
            Column("would", _WOULD, cell("would_minor"), Kind.MONEY, optional=True),
            Column("difference", _DIFFERENCE, cell("difference_minor"), Kind.MONEY, sortable=True),
            Column("losers", N_("Pay more"), cell("losers"), Kind.COUNT),
            Column("winners", N_("Pay less"), cell("winners"), Kind.COUNT),
            Column("made_at", N_("Made"), cell("made_at"), Kind.INSTANT, sortable=True),
            Column("actor", N_("By"), cell("actor")),
        ),
        (Filter("text", N_("Search"), hint=N_("Name of the scheme")), FROM, TO),
        sort="made_at",
        descending=True,
        empty=N_("Nothing was rated again yet."),
        empty_hint=N_("Try other prices on energy that was used already; nothing is charged."),
    ),
    N_("Replays"),
    Verb.TARIFF_REPLAY,
    (replay.START,),
)  # fmt: skip
ROWS: Final = ListView(
    Table(
        "replay_rows",
        (
            BUILDING,
            Column("room", N_("Room"), cell("room"), sortable=True, link=_room_link),
            Column("customer", N_("Customer"), masked_name, Kind.WORD),
            Column("energy", N_("Energy"), cell("energy_milli"), Kind.ENERGY, sortable=True),
            Column("intervals", N_("Intervals"), cell("interval_count"), Kind.COUNT,
                   optional=True),
            Column("charged", _CHARGED, cell("charged_minor"), Kind.MONEY, sortable=True),
            Column("would", _WOULD, cell("would_minor"), Kind.MONEY, sortable=True),
            Column("difference", _DIFFERENCE, cell("difference_minor"), Kind.MONEY, sortable=True),
        ),
        (
            Filter("change", N_("More or less"), {"more": N_("Pay more"), "less": N_("Pay less"),
                                            "same": N_("Pay the same")}),
            Filter("text", N_("Search"), hint=N_("Room or meter")),
        ),
        sort="difference",
        descending=True,
        empty=N_("No household used anything in this span."),
        empty_hint=N_("Choose another span or other points."),
    ),
    N_("Households"),
    Verb.TARIFF_REPLAY,
)  # fmt: skip
