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
        Entry("B611", "voltage", "voltage, phase A", Number(2, 0, "V")),
        Entry("B612", "voltage", "voltage, phase B", Number(2, 0, "V")),
        Entry("B613", "voltage", "voltage, phase C", Number(2, 0, "V")),
        Entry("B621", "current", "current, phase A", Number(2, 2, "A")),
        Entry("B622", "current", "current, phase B", Number(2, 2, "A")),
        Entry("B623", "current", "current, phase C", Number(2, 2, "A")),
        Entry("B630", "active_power", "active power, total", Number(3, 4, "kW")),
        Entry("B631", "active_power", "active power, phase A", Number(3, 4, "kW")),
        Entry("B632", "active_power", "active power, phase B", Number(3, 4, "kW")),
        Entry("B633", "active_power", "active power, phase C", Number(3, 4, "kW")),
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
