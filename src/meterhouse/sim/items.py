"""What a simulated meter answers to each data identifier of DL/T 645-2007 and -1997.

Owns the tables from identifier to bytes, the parameters a meter is born with, and what writing one
changes. Must never know frames, passwords or time beyond what the meter shows. Bytes are laid out
here by hand from the standard's tables and not by the codec's item formats: a mistake in those
would cancel itself out if both ends of the line shared it.

Unsettled against the standard and therefore only this meter's habit: that a block fills the phases
a meter lacks with FF, and the layout of the purchase records' times.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

from meterhouse.model import Relay
from meterhouse.sim.instant import DAY_MS, wall_ms_of, wall_of
from meterhouse.sim.meter import FREEZES_KEPT, SimMeter
from meterhouse.sim.tables import LIMITS, SLOTS_MAX, TABLES_MAX, Part, Slots, Tables
from meterhouse.wire.dlt645 import encode_address

Reader: TypeAlias = Callable[[SimMeter], bytes | None]
"""The bytes of one item, or None when this meter does not have it."""

Writer: TypeAlias = Callable[[SimMeter, bytes], bool]
"""Takes what is written; False when the bytes cannot be meant."""

_WH_PER_DIGIT = 10
_SET_2 = {Part.SLOTS: 1 << 0, Part.ZONES: 1 << 5, Part.PRICES: 1 << 10, Part.LIMITS: 1 << 11}
_AMOUNT_PREPAID = 2 << 8
_ACCOUNTS_UNOPENED = 3 << 14


def bcd(number: int, size: int) -> bytes:
    """A number as BCD, low byte first, cut to the digits that fit."""
    digits = 2 * size
    return bytes.fromhex(f"{number % 10**digits:0{digits}d}")[::-1]


def from_bcd(data: bytes) -> int | None:
    """The number of BCD bytes, low byte first; None when a nibble is no digit."""
    digits = data[::-1].hex()
    return int(digits) if digits.isdecimal() else None


def stamp(wall_ms: int, layout: str) -> bytes:
    """A wall time in a `strftime` layout of digit pairs, low byte first."""
    return bytes.fromhex(wall_of(wall_ms).strftime(layout))[::-1]


def energy_block(registers_wh: tuple[int, ...]) -> bytes:
    """Total and bands as XXXXXX.XX kWh each, truncated as a register shows them."""
    total, sharp, peak, flat, valley = registers_wh
    return bytes.fromhex(
        f"{valley // 10:08d}{flat // 10:08d}{peak // 10:08d}{sharp // 10:08d}{total // 10:08d}"
    )[::-1]


def status_word_3(meter: SimMeter) -> int:
    """Relay, command, prepaid kind and keep-power; armed is "open, commanded to close"."""
    model = meter.model
    word = _AMOUNT_PREPAID if meter.spec.keeps_purse else _ACCOUNTS_UNOPENED
    for part in meter.sets.swapped:
        word |= _SET_2[part]
    if meter.relay is not Relay.CLOSED:
        word |= 1 << model.relay_bit
    if meter.relay is Relay.OPEN:
        word |= 1 << model.relay_command_bit
    if meter.keep_power:
        word |= 1 << model.keep_power_bit
    return word


def _register(index: int) -> Reader:
    return lambda meter: bcd(meter.registers_wh()[index] // _WH_PER_DIGIT, 4)


def _phase(index: int, read: Callable[[SimMeter], tuple[int, ...]], size: int) -> Reader:
    def reader(meter: SimMeter) -> bytes | None:
        values = read(meter)
        return bcd(values[index], size) if index < len(values) else None

    return reader


def _text(said: str, size: int) -> bytes:
    """The first characters of a text, the last one first on the wire."""
    return said[:size].encode("ascii").ljust(size, b"\0")[::-1]


def _block(read: Callable[[SimMeter], tuple[int, ...]], size: int, width: int) -> Reader:
    def reader(meter: SimMeter) -> bytes:
        raw = b"".join(bcd(each, size) for each in read(meter))
        return raw.ljust(size * width, b"\xff")

    return reader


def _voltages(meter: SimMeter) -> tuple[int, ...]:
    return meter.live().voltage_dv


def _currents(meter: SimMeter) -> tuple[int, ...]:
    return meter.live().current_ma


def _volts(meter: SimMeter) -> tuple[int, ...]:
    return tuple(voltage_dv // 10 for voltage_dv in _voltages(meter))


def _hundredths_of_ampere(meter: SimMeter) -> tuple[int, ...]:
    return tuple(current_ma // 10 for current_ma in _currents(meter))


def _powers(meter: SimMeter) -> tuple[int, ...]:
    """Total, then each phase, in 0.1 W."""
    phases = tuple(power_mw // 100 for power_mw in meter.live().power_mw)
    return (sum(phases), *phases)


def _factors(meter: SimMeter) -> tuple[int, ...]:
    return (meter.live().power_factor_permille,) * (1 + meter.model.phases)


def _credit(meter: SimMeter) -> bytes:
    return bcd(max(meter.credit_minor, 0), 4)


def _overdraft(meter: SimMeter) -> bytes:
    return bcd(max(-meter.credit_minor, 0), 4)


def _event(read: Callable[[SimMeter], int | None], size: int = 6) -> Reader:
    """A time YYMMDDhhmm[ss], all zeros for never."""

    def reader(meter: SimMeter) -> bytes:
        shown_ms = read(meter)
        return bytes(6)[:size] if shown_ms is None else stamp(shown_ms, "%y%m%d%H%M%S")[-size:]

    return reader


def _frozen_at(back: int) -> Reader:
    def reader(meter: SimMeter) -> bytes | None:
        if back > len(meter.freezes):
            return None
        return stamp(meter.freezes[-back][0], "%y%m%d%H%M")

    return reader


def _frozen_block(back: int) -> Reader:
    def reader(meter: SimMeter) -> bytes | None:
        return energy_block(meter.freezes[-back][1]) if back <= len(meter.freezes) else None

    return reader


def _words(meter: SimMeter) -> bytes:
    return bytes(4) + status_word_3(meter).to_bytes(2, "little") + bytes(8)


def _word(index: int) -> Reader:
    return lambda meter: _words(meter)[2 * index : 2 * index + 2]


def _slot_table(slots: Slots) -> bytes:
    """Rows hhmmNN, each low byte first."""
    return b"".join(
        bytes([band]) + bcd(minute % 60, 1) + bcd(minute // 60, 1) for minute, band in slots
    )


def _zone_table(tables: Tables) -> bytes:
    """Rows MMDDNN, each low byte first."""
    return b"".join(
        bcd(table, 1) + bcd(day, 1) + bcd(month, 1) for month, day, table in tables.zones
    )


def _of_sets(at: int, standby_at: int, read: Callable[[Tables], bytes]) -> dict[int, Reader]:
    """The same of the set in force and of the standby set."""
    return {
        at: lambda meter: read(meter.sets.now),
        standby_at: lambda meter: read(meter.sets.standby),
    }


def _day_table(place: int) -> Callable[[Tables], bytes]:
    return lambda tables: _slot_table(tables.slots[place])


def _figure(name: str, place: int, scale: int) -> Callable[[Tables], bytes]:
    return lambda tables: bcd(getattr(tables, name)[place] // scale, 4)


def _sets() -> dict[int, Reader]:
    """Both sets: zones, day tables, prices of tariffs, limits and prices of blocks."""
    table = _of_sets(0x04010000, 0x04020000, _zone_table)
    for n in range(TABLES_MAX):
        table |= _of_sets(0x04010001 + n, 0x04020001 + n, _day_table(n))
    for n in range(4):
        table |= _of_sets(0x04050101 + n, 0x04050201 + n, _figure("price_micro", n, 100))
    for n in range(LIMITS):
        table |= _of_sets(0x04060001 + n, 0x04060201 + n, _figure("limit_wh", n, 10))
    for n in range(LIMITS + 1):
        table |= _of_sets(0x04060101 + n, 0x04060301 + n, _figure("block_micro", n, 100))
    return table


def _date(meter: SimMeter) -> bytes:
    return stamp(meter.shown_ms, "%y%m%d0%w")


def _time(meter: SimMeter) -> bytes:
    return stamp(meter.shown_ms, "%H%M%S")


def _purchase(index: int) -> Reader:
    """Amount of the last purchase, credit before it, credit after it."""
    return lambda meter: bcd((meter.last_purchase or (0, 0, 0, 0))[index], 4)


def _table_2007() -> dict[int, Reader]:
    table: dict[int, Reader] = {
        0x0001FF00: lambda meter: energy_block(meter.registers_wh()),
        0x0000FF00: lambda meter: energy_block(meter.registers_wh()),
        0x0002FF00: lambda _: bytes(20),
        0x00000000: _register(0),
        0x00020000: lambda _: bytes(4),
        0x00900200: _credit,
        0x00900201: _overdraft,
        0x0201FF00: _block(_voltages, 2, 3),
        0x0202FF00: _block(_currents, 3, 3),
        0x0203FF00: _block(_powers, 3, 4),
        0x0206FF00: _block(_factors, 2, 4),
        0x02800002: lambda _: bcd(5000, 2),
        0x03330101: _event(lambda meter: meter.last_purchase and meter.last_purchase[0], 5),
        0x03330201: lambda meter: bcd(meter.purchase_count, 2),
        0x03330301: _purchase(1),
        0x03330401: _purchase(2),
        0x03330501: _purchase(3),
        0x03330601: lambda meter: bcd(meter.purchased_minor, 4),
        0x04000101: _date,
        0x04000102: _time,
        0x0400010C: lambda meter: _time(meter) + _date(meter),
        0x04000401: lambda meter: encode_address(meter.spec.address),
        0x04000402: lambda meter: encode_address(meter.spec.address),
        0x0400040B: lambda meter: _text(meter.model.name, 10),
        0x04800003: lambda _: _text("simulated", 32),
        0x040005FF: _words,
        0x1D000101: _event(lambda meter: meter.tripped_ms),
        0x1E000101: _event(lambda meter: meter.closed_ms),
        **_sets(),
    }
    for band in range(5):
        table[0x00010000 + (band << 8)] = _register(band)
    for phase in range(3):
        step = (phase + 1) << 8
        table[0x02010000 + step] = _phase(phase, _voltages, 2)
        table[0x02020000 + step] = _phase(phase, _currents, 3)
    for index in range(4):
        table[0x02030000 + (index << 8)] = _phase(index, _powers, 3)
        table[0x02060000 + (index << 8)] = _phase(index, _factors, 2)
    for index in range(7):
        table[0x04000501 + index] = _word(index)
    for back in range(1, FREEZES_KEPT + 1):
        table[0x05060000 + back] = _frozen_at(back)
        table[0x05060100 + back] = _frozen_block(back)
    return table


def _table_1997() -> dict[int, Reader]:
    table: dict[int, Reader] = {
        0x901F: lambda meter: energy_block(meter.registers_wh()),
        0x9020: lambda _: bytes(4),
        0xC010: _date,
        0xC011: _time,
        0xC020: lambda meter: bytes([status_word_3(meter) & 0xFF]),
        0xC032: lambda meter: encode_address(meter.spec.address),
    }
    for band in range(5):
        table[0x9010 + band] = _register(band)
    for phase in range(3):
        table[0xB611 + phase] = _phase(phase, _volts, 2)
        table[0xB621 + phase] = _phase(phase, _hundredths_of_ampere, 2)
    for index in range(4):
        table[0xB630 + index] = _phase(index, _powers, 3)
    return table


ITEMS_2007: Mapping[int, Reader] = _table_2007()
ITEMS_1997: Mapping[int, Reader] = _table_1997()

PARAMETERS: Mapping[int, bytes] = {
    0x04000103: bcd(60, 1),
    0x04000106: bcd(0, 5),
    0x04000107: bcd(0, 5),
    0x04000108: bcd(0, 5),
    0x04000109: bcd(0, 5),
    0x04000104: bcd(1, 1),
    0x04000201: bcd(1, 1),
    0x04000202: bcd(1, 1),
    0x04000203: bcd(SLOTS_MAX, 1),
    0x04000204: bcd(4, 1),
    0x04000306: bcd(1, 3),
    0x04000307: bcd(1, 3),
    0x0400040E: bcd(0, 6),
    0x04000B01: bcd(100, 2),
    0x04000E01: bcd(0, 3),
    0x04000F01: bcd(0, 4),
    0x04000F02: bcd(0, 4),
    0x04001001: bcd(2000, 4),
    0x04001002: bcd(1000, 4),
    0x04001003: bcd(0, 4),
    0x04001004: bcd(99_999_999, 4),
    0x04001005: bcd(0, 4),
    0x04001401: bcd(0, 2),
    0x04001402: bcd(0, 2),
}
"""Parameters a meter keeps without acting on them, but for what switches its standby sets."""

_SWITCHES: Mapping[int, Part] = {
    0x04000106: Part.ZONES,
    0x04000107: Part.SLOTS,
    0x04000108: Part.PRICES,
    0x04000109: Part.LIMITS,
}
_OVERDRAFT = 0x04001003
_SETTLEMENT = 0x04000B01


def write_item(meter: SimMeter, di: int, data: bytes) -> bool:
    """Write a parameter of the 2007 edition; False when its bytes cannot be meant.

    Raises:
        KeyError: the meter has no such parameter.
    """
    if di in _WRITERS:
        return _WRITERS[di](meter, data)
    number = from_bcd(data)
    if len(data) != len(PARAMETERS[di]) or number is None:
        return False
    if di in _SWITCHES:
        switch_ms = _wall_ms(data[::-1].hex() + "00")
        if switch_ms is None:
            return False
        meter.sets.switch_at(_SWITCHES[di], switch_ms)
        meter.set_anew()
    elif di == _OVERDRAFT:
        meter.overdraft_minor = number
    elif di == _SETTLEMENT:
        meter.settlement_day, meter.settlement_hour = divmod(number, 100)
        meter.set_anew()
    meter.parameters = {**meter.parameters, di: data}
    return True


def set_wall(meter: SimMeter, digits: str) -> bool:
    """Set the clock to YYMMDDhhmmss; False when that is no instant."""
    wall_ms = _wall_ms(digits)
    if wall_ms is None:
        return False
    meter.set_clock(wall_ms)
    return True


def _wall_ms(digits: str) -> int | None:
    try:
        return wall_ms_of(datetime.strptime("20" + digits, "%Y%m%d%H%M%S"))  # noqa: DTZ007
    except ValueError:
        return None


def _write_date(meter: SimMeter, data: bytes) -> bool:
    time = wall_of(meter.shown_ms).strftime("%H%M%S")
    return len(data) == 4 and set_wall(meter, data[:0:-1].hex() + time)


def _write_time(meter: SimMeter, data: bytes) -> bool:
    date = wall_of(meter.shown_ms // DAY_MS * DAY_MS).strftime("%y%m%d")
    return len(data) == 3 and set_wall(meter, date + data[::-1].hex())


def _write_date_time(meter: SimMeter, data: bytes) -> bool:
    return len(data) == 7 and set_wall(meter, data[:3:-1].hex() + data[2::-1].hex())


def _rows(data: bytes) -> list[tuple[int, int, int]] | None:
    """Rows of three BCD bytes, each low byte first; None when they are none, or too many."""
    rows = [data[at : at + 3][::-1].hex() for at in range(0, len(data), 3)]
    if not 1 <= len(rows) <= SLOTS_MAX or len(data) % 3 or not all(map(str.isdecimal, rows)):
        return None
    return [(int(row[:2]), int(row[2:4]), int(row[4:])) for row in rows]


def _write_slots(place: int) -> Writer:
    def writer(meter: SimMeter, data: bytes) -> bool:
        rows = _rows(data)
        if rows is None or any(h > 23 or m > 59 or not 1 <= band <= 4 for h, m, band in rows):
            return False
        slots = tuple((hour * 60 + minute, band) for hour, minute, band in rows)
        if tuple(sorted(slots)) != slots:
            return False
        standby = meter.sets.standby
        meter.sets.standby = replace(standby, slots=_put(standby.slots, place, slots))
        return True

    return writer


def _write_zones(meter: SimMeter, data: bytes) -> bool:
    rows = _rows(data)
    if rows is None or any(
        not (1 <= month <= 12 and 1 <= day <= 31 and 1 <= table <= TABLES_MAX)
        for month, day, table in rows
    ):
        return False
    meter.sets.standby = replace(meter.sets.standby, zones=tuple(rows))
    return True


def _write_number(name: str, place: int, scale: int, *, is_standby: bool = True) -> Writer:
    """A price or limit of a set, four bytes."""

    def writer(meter: SimMeter, data: bytes) -> bool:
        number = from_bcd(data)
        if len(data) != 4 or number is None:
            return False
        tables = meter.sets.standby if is_standby else meter.sets.now
        changed = replace(tables, **{name: _put(getattr(tables, name), place, number * scale)})
        if is_standby:
            meter.sets.standby = changed
        else:
            meter.sets.now = changed
        return True

    return writer


def _put(whole: tuple[Any, ...], place: int, item: Any) -> tuple[Any, ...]:
    return (*whole[:place], item, *whole[place + 1 :])


_WRITERS: Mapping[int, Writer] = {
    0x04000101: _write_date,
    0x04000102: _write_time,
    0x0400010C: _write_date_time,
    0x04020000: _write_zones,
    **{0x04020001 + n: _write_slots(n) for n in range(TABLES_MAX)},
    **{0x04050101 + n: _write_number("price_micro", n, 100, is_standby=False) for n in range(4)},
    **{0x04050201 + n: _write_number("price_micro", n, 100) for n in range(4)},
    **{0x04060201 + n: _write_number("limit_wh", n, 10) for n in range(LIMITS)},
    **{0x04060301 + n: _write_number("block_micro", n, 100) for n in range(LIMITS + 1)},
}
