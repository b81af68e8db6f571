"""Data identifiers of DL/T 645-2007: four bytes DI3 DI2 DI1 DI0, sent low byte first.

Owns the table alone. Rows behind the mark "unsettled" rest on general knowledge of the field and
wait to be checked against the purchased standard or a real meter; a meter model decides whether
it asks for them.
"""

from meterhouse.wire.dlt645.layout import (
    Digits,
    Many,
    Number,
    Pairs,
    Raw,
    Row,
    Stamp,
    Text,
    Word,
)
from meterhouse.wire.dlt645.table import Entry, Table

ENERGY = Number(4, 2, "kWh")
ENERGY_SIGNED = Number(4, 2, "kWh", signed=True)
REACTIVE = Number(4, 2, "kvarh", signed=True)
AMOUNT = Number(4, 2, "CNY")
PRICE = Number(4, 4, "CNY/kWh")
VOLTAGE = Number(2, 1, "V")
CURRENT = Number(3, 3, "A", signed=True)
POWER = Number(3, 4, "kW", signed=True)
KVAR = Number(3, 4, "kvar", signed=True)
KVA = Number(3, 4, "kVA", signed=True)
POWER_FACTOR = Number(2, 3, "", signed=True)
COUNT = Number(2)
COUNT_1 = Number(1)
MINUTES = Number(2, 0, "min")
STATUS = Word(2)
MINUTE_STAMP = Stamp("YYMMDDhhmm")
SECOND_STAMP = Stamp("YYMMDDhhmmss")
DEMAND = Row((("demand", POWER), ("time", MINUTE_STAMP)))
DAILY_FREEZE = Many(ENERGY, ("total",), "tariff")

# Frames 2007-020 to 023 were captured from a meter that pushes this block by itself; there
# U · I · PF agrees with P. The unit of the two credits is unsettled.
VENDOR_BLOCK = Row(
    (
        ("balance", AMOUNT),
        ("overdraft", AMOUNT),
        *((f"voltage phase {phase}", VOLTAGE) for phase in "ABC"),
        *((f"current phase {phase}", CURRENT) for phase in "ABC"),
        *((f"power {of}", POWER) for of in ("total", "phase A", "phase B", "phase C")),
        *(
            (f"power factor {of}", POWER_FACTOR)
            for of in ("total", "phase A", "phase B", "phase C")
        ),
        ("energy total", ENERGY),
        *((f"energy tariff {index}", ENERGY) for index in range(1, 5)),
        ("status word", STATUS),
    )
)

_ENERGIES = (
    Entry("0000ttss", "combined_active", "combined active energy", ENERGY_SIGNED),
    Entry("0001ttss", "forward_active", "forward active energy", ENERGY),
    Entry("0002ttss", "reverse_active", "reverse active energy", ENERGY),
    Entry("0003ttss", "combined_reactive_1", "combined reactive energy 1", REACTIVE),
    Entry("0004ttss", "combined_reactive_2", "combined reactive energy 2", REACTIVE),
    Entry("0005ttss", "reactive_quadrant_1", "reactive energy, quadrant 1", REACTIVE),
    Entry("0006ttss", "reactive_quadrant_2", "reactive energy, quadrant 2", REACTIVE),
    Entry("0007ttss", "reactive_quadrant_3", "reactive energy, quadrant 3", REACTIVE),
    Entry("0008ttss", "reactive_quadrant_4", "reactive energy, quadrant 4", REACTIVE),
    Entry("00900100", "remaining_energy", "remaining energy", ENERGY),
    Entry("00900101", "overdraft_energy", "overdraft energy", ENERGY),
    Entry("00900200", "remaining_amount", "remaining amount", AMOUNT),
    Entry("00900201", "overdraft_amount", "overdraft amount", AMOUNT),
    # Unsettled: the registers of single phases, and the layout of the demand blocks.
    Entry("0015ttss", "forward_active_a", "forward active energy of phase A", ENERGY),
    Entry("0016ttss", "reverse_active_a", "reverse active energy of phase A", ENERGY),
    Entry("0029ttss", "forward_active_b", "forward active energy of phase B", ENERGY),
    Entry("002Attss", "reverse_active_b", "reverse active energy of phase B", ENERGY),
    Entry("003Dttss", "forward_active_c", "forward active energy of phase C", ENERGY),
    Entry("003Ettss", "reverse_active_c", "reverse active energy of phase C", ENERGY),
    Entry("0101ttss", "forward_demand", "forward active maximum demand", DEMAND),
    Entry("0102ttss", "reverse_demand", "reverse active maximum demand", DEMAND),
)

_PURCHASES = (
    # Unsettled: the two times and the amounts after a purchase.
    Entry("033201nn", "energy_purchase_time", "time of energy purchase", MINUTE_STAMP),
    Entry("033202nn", "energy_purchase_count", "purchase count after energy purchase", COUNT),
    Entry("033203nn", "energy_purchased", "purchased energy", ENERGY),
    Entry("033204nn", "energy_before_purchase", "remaining energy before purchase", ENERGY),
    Entry("033205nn", "energy_after_purchase", "remaining energy after purchase", ENERGY),
    Entry("033206nn", "energy_purchased_total", "cumulative purchased energy", ENERGY),
    Entry("033301nn", "amount_purchase_time", "time of amount purchase", MINUTE_STAMP),
    Entry("033302nn", "amount_purchase_count", "purchase count after amount purchase", COUNT),
    Entry("033303nn", "amount_purchased", "purchased amount", AMOUNT),
    Entry("033304nn", "amount_before_purchase", "remaining amount before purchase", AMOUNT),
    Entry("033305nn", "amount_after_purchase", "remaining amount after purchase", AMOUNT),
    Entry("033306nn", "amount_purchased_total", "cumulative purchased amount", AMOUNT),
)

_INSTANTANEOUS = (
    Entry("0201pp00", "voltage", "voltage", VOLTAGE),
    Entry("0202pp00", "current", "current", CURRENT),
    Entry("0203qq00", "active_power", "active power", POWER),
    Entry("0204qq00", "reactive_power", "reactive power", KVAR),
    Entry("0205qq00", "apparent_power", "apparent power", KVA),
    Entry("0206qq00", "power_factor", "power factor", POWER_FACTOR),
    # Unsettled: phase angles, and the four powers of one minute and of the demand period.
    Entry("0207pp00", "phase_angle", "phase angle", Number(2, 1, "°")),
    Entry("02800003", "minute_power", "active power, mean of one minute", POWER),
    Entry("02800004", "active_demand", "present active demand", POWER),
    Entry("02800005", "reactive_demand", "present reactive demand", KVAR),
    Entry("02800006", "apparent_demand", "present apparent demand", KVA),
    Entry("02800001", "neutral_current", "neutral current", Number(3, 3, "A")),
    Entry("02800002", "frequency", "frequency", Number(2, 2, "Hz")),
    Entry("02800007", "temperature", "internal temperature", Number(2, 1, "°C", signed=True)),
    Entry("02800008", "clock_battery", "clock battery voltage", Number(2, 2, "V")),
    Entry("02800009", "reading_battery", "reading battery voltage", Number(2, 2, "V")),
    Entry("0280000A", "battery_time", "battery run time", Number(4, 0, "min")),
    Entry("0280000B", "ladder_price", "current ladder price", PRICE),
    Entry("02800020", "price_in_force", "current price in force", PRICE),
    Entry("028011FF", "vendor_block", "vendor block of present values", VENDOR_BLOCK),
)

_CLOCK_AND_COUNTS = (
    Entry("04000101", "clock_date", "date and weekday", Stamp("YYMMDDWW")),
    Entry("04000102", "clock_time", "time of day", Stamp("hhmmss")),
    Entry("04000103", "demand_period", "demand period", Number(1, 0, "min")),
    Entry("04000104", "demand_slide", "demand slide", Number(1, 0, "min")),
    Entry("04000106", "zones_switch", "switch time of the zone tables", MINUTE_STAMP),
    Entry("04000107", "slots_switch", "switch time of the slot tables", MINUTE_STAMP),
    Entry("04000108", "tariffs_switch", "switch time of the tariff sets", MINUTE_STAMP),
    Entry("04000109", "ladders_switch", "switch time of the ladder sets", MINUTE_STAMP),
    Entry("0400010C", "clock", "date and time", Stamp("YYMMDDWWhhmmss")),
    Entry("04000201", "zone_count", "number of zones", COUNT_1),
    Entry("04000202", "slot_table_count", "number of slot tables", COUNT_1),
    Entry("04000203", "slot_count", "number of slots a day", COUNT_1),
    Entry("04000204", "tariff_count", "number of tariffs", COUNT_1),
    Entry("04000205", "holiday_count", "number of holidays", COUNT),
    Entry("04000206", "harmonic_count", "number of harmonics", COUNT_1),
    Entry("04000207", "ladder_count", "number of ladders", COUNT_1),
    Entry("04000306", "current_ratio", "current transformer ratio", Number(3)),
    Entry("04000307", "voltage_ratio", "voltage transformer ratio", Number(3)),
    Entry("04000401", "address", "communication address", Digits(6)),
    Entry("04000402", "meter_number", "meter number", Digits(6)),
    # Unsettled: the texts a meter says of itself, here and under 0480; few captures show them.
    Entry("04000403", "asset_text", "asset number", Text(32)),
    Entry("0400040B", "type_text", "type of meter", Text(10)),
    Entry("0400040D", "protocol_text", "version of the protocol", Text(16)),
    Entry("04800001", "software_text", "maker's version of the software", Text(32)),
    Entry("04800002", "hardware_text", "maker's version of the hardware", Text(32)),
    Entry("04800003", "maker_text", "maker's number", Text(32)),
    Entry("04000409", "meter_constant", "active meter constant", Number(3, 0, "imp/kWh")),
    Entry("0400040E", "customer_number", "customer number", Digits(6)),
    Entry("04000503", "status_word_3", "status word 3", STATUS),
    Entry("040005FF", "status_words", "status words", Many(STATUS, (), "status word")),
    Entry("040005nn", "status_word", "status word", STATUS),
)

_LIMITS = (
    Entry("04000Bnn", "settlement_day", "settlement day and hour", Pairs("DDhh")),
    Entry("04000E01", "power_limit", "forward active power limit", Number(3, 4, "kW")),
    Entry("04000E02", "reverse_power_limit", "reverse active power limit", Number(3, 4, "kW")),
    Entry("04000F01", "alarm_energy_1", "alarm energy 1", ENERGY),
    Entry("04000F02", "alarm_energy_2", "alarm energy 2", ENERGY),
    Entry("04000F03", "hoarding_energy", "hoarding limit, energy", ENERGY),
    Entry("04000F04", "overdraft_energy_limit", "overdraft limit, energy", ENERGY),
    Entry("04001001", "alarm_amount_1", "alarm amount 1", AMOUNT),
    Entry("04001002", "alarm_amount_2", "alarm amount 2", AMOUNT),
    Entry("04001003", "overdraft_amount_limit", "overdraft limit, amount", AMOUNT),
    Entry("04001004", "hoarding_amount", "hoarding limit, amount", AMOUNT),
    # Unsettled: whether every meter has it.
    Entry("04001005", "close_permit_amount", "amount that permits closing", AMOUNT),
    Entry("04001401", "trip_delay", "trip delay", MINUTES),
    Entry("04001402", "close_delay", "close delay", MINUTES),
    Entry("04090B01", "overload_power", "overload event power", Number(3, 4, "kW")),
)

_TIME_OF_USE = (
    Entry("04010000", "zones_1", "zone table, set 1", Many(Pairs("MMDDNN"), (), "zone")),
    Entry("040100nn", "slots_1", "slots of set 1, table", Many(Pairs("hhmmNN"), (), "slot")),
    Entry("04020000", "zones_2", "zone table, set 2", Many(Pairs("MMDDNN"), (), "zone")),
    Entry("040200nn", "slots_2", "slots of set 2, table", Many(Pairs("hhmmNN"), (), "slot")),
    Entry("040300nn", "holiday", "holiday", Pairs("YYMMDDNN")),
    Entry("040501nn", "tariff_price_1", "price of current set, tariff", PRICE),
    Entry("040502nn", "tariff_price_2", "price of standby set, tariff", PRICE),
    Entry("040600nn", "ladder_1", "ladder of set 1", ENERGY),
    Entry("040601nn", "ladder_price_1", "ladder price of set 1", PRICE),
    Entry("040602nn", "ladder_2", "ladder of set 2", ENERGY),
    Entry("040603nn", "ladder_price_2", "ladder price of set 2", PRICE),
)

_RECORDS = (
    Entry("050600nn", "daily_freeze_time", "time of daily freeze", MINUTE_STAMP),
    Entry(
        "050601nn", "daily_freeze_forward", "forward active energy of daily freeze", DAILY_FREEZE
    ),
    Entry(
        "050602nn", "daily_freeze_reverse", "reverse active energy of daily freeze", DAILY_FREEZE
    ),
    Entry("1D0001nn", "trip_time", "time of trip", SECOND_STAMP),
    Entry("1E0001nn", "close_time", "time of close", SECOND_STAMP),
)

_VENDOR = (
    Entry("04600101", "reporting_interval", "reporting interval (vendor)", Raw()),
    Entry("070104FF", "vendor_parameters", "parameter block (vendor)", Raw()),
    Entry("80808080", "vendor_heartbeat", "heart-beat (vendor)", Raw()),
)

TABLE = Table(
    8,
    _ENERGIES
    + _PURCHASES
    + _INSTANTANEOUS
    + _CLOCK_AND_COUNTS
    + _LIMITS
    + _TIME_OF_USE
    + _RECORDS
    + _VENDOR,
)
