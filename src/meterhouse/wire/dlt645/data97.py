"""Data identifiers of DL/T 645-1997: two bytes DI1 DI0, sent low byte first.

Owns the table alone. The quantities carry the same words as those of the 2007 edition, so a
driver collects both alike. Rows behind the mark "unsettled" rest on general knowledge or on one
public project and wait for the standard's text.
"""

from meterhouse.wire.dlt645.data07 import AMOUNT, COUNT, ENERGY
from meterhouse.wire.dlt645.layout import Digits, Many, Number, Pairs, Stamp, Word
from meterhouse.wire.dlt645.table import Entry, Table

REACTIVE = Number(4, 2, "kvarh")
BANDS = ("total", "tariff 1", "tariff 2", "tariff 3", "tariff 4")
PHASES = ("total", "phase A", "phase B", "phase C")
WITHOUT_TOTAL = frozenset({"voltage", "current"})


def _register(head: str, quantity: str, meaning: str, layout: Number) -> tuple[Entry, ...]:
    """Total, four tariffs and the block of one energy register; `head` is its first three digits.

    A block ends with AA on some meters, which is less than a register long and therefore left.
    """
    single = tuple(
        Entry(f"{head}{index}", quantity, f"{meaning}, {name}", layout)
        for index, name in enumerate(BANDS)
    )
    return (
        *single,
        Entry(f"{head}F", quantity, f"{meaning}, block", Many(layout, BANDS, "tariff")),
    )


def _phases(head: str, quantity: str, meaning: str, layout: Number) -> tuple[Entry, ...]:
    """Total (of what has one), phases A to C and the block of one present value."""
    first = 1 if quantity in WITHOUT_TOTAL else 0
    single = tuple(
        Entry(f"{head}{index}", quantity, f"{meaning}, {PHASES[index]}", layout)
        for index in range(first, len(PHASES))
    )
    block = Many(layout, PHASES[first:], "phase")
    return (*single, Entry(f"{head}F", quantity, f"{meaning}, block", block))


TABLE = Table(
    4,
    (
        *_register("901", "forward_active", "forward active energy", ENERGY),
        *_register("902", "reverse_active", "reverse active energy", ENERGY),
        *_register("911", "forward_reactive", "forward reactive energy", REACTIVE),
        *_register("912", "reverse_reactive", "reverse reactive energy", REACTIVE),
        *_register("941", "forward_active_month_1", "forward active energy, last month", ENERGY),
        *_register("942", "reverse_active_month_1", "reverse active energy, last month", ENERGY),
        # Unsettled: the month before the last stands at 9A by general knowledge.
        *_register("9A1", "forward_active_month_2", "forward active energy, 2 months ago", ENERGY),
        *_phases("B61", "voltage", "voltage", Number(2, 0, "V")),
        *_phases("B62", "current", "current", Number(2, 2, "A")),
        *_phases("B63", "active_power", "active power", Number(3, 4, "kW")),
        # Unsettled: reactive power and power factor.
        *_phases("B64", "reactive_power", "reactive power", Number(2, 2, "kvar")),
        *_phases("B65", "power_factor", "power factor", Number(2, 3)),
        Entry("C010", "clock_date", "date and weekday", Stamp("YYMMDDWW")),
        Entry("C011", "clock_time", "time of day", Stamp("hhmmss")),
        Entry("C020", "meter_state", "meter state", Word(1)),
        Entry("C032", "meter_number", "meter number", Digits(6)),
        # Unsettled: day and hour, as the settlement day of the later edition has them.
        Entry("C117", "settlement_day", "automatic reading day and hour", Pairs("DDhh")),
        # Unsettled: the prepaid identifiers below follow what field code maps to the 2007 edition.
        Entry("D113", "status_word_3", "status word 3", Word(2)),
        Entry("D140", "energy_purchase_count", "purchase count after energy purchase", COUNT),
        Entry("D141", "remaining_amount", "remaining amount", AMOUNT),
        Entry("D142", "amount_purchased_total", "cumulative purchased amount", AMOUNT),
        Entry("D143", "remaining_energy", "remaining energy", ENERGY),
        Entry("D144", "overdraft_energy", "overdraft energy", ENERGY),
    ),
)
