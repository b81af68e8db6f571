"""What a simulated meter answers to each data identifier of DL/T 645-2007 and -1997.

Owns the tables from identifier to bytes, the parameters a meter is born with, and what writing one
changes. Must never know frames, passwords or time beyond what the meter shows. Bytes are laid out
here by hand from the standard's tables and not by the codec's item formats: a mistake in those
would cancel itself out if both ends of the line shared it.

Unsettled against the standard and therefore only this meter's habit: that a block fills the phases
a meter lacks with FF, and the layout of the purchase records' times.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

from meterhouse.model import Relay
from meterhouse.sim.instant import DAY_MS, wall_ms_of, wall_of
from meterhouse.sim.meter import FREEZES_KEPT, SLOTS_MAX, SimMeter, Slots
from meterhouse.wire.dlt645 import encode_address

Reader: TypeAlias = Callable[[SimMeter], bytes | None]
"""The bytes of one item, or None when this meter does not have it."""

_WH_PER_DIGIT = 10
_SET_2 = 1 << 0
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
    if meter.slots_set_2:
        word |= _SET_2
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


def _price(band: int) -> Reader:
    return lambda meter: bcd(meter.price_micro[band] // 100, 4)


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
        0x04010001: lambda meter: _slot_table(meter.slots),
        0x04020001: lambda meter: _slot_table(meter.standby_slots),
        0x1D000101: _event(lambda meter: meter.tripped_ms),
        0x1E000101: _event(lambda meter: meter.closed_ms),
    }
    for band in range(5):
        table[0x00010000 + (band << 8)] = _register(band)
    for band in range(4):
        table[0x04050101 + band] = _price(band)
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
    0x04010000: bcd(10101, 3),
    0x04020000: bcd(10101, 3),
}
"""Parameters a meter keeps without acting on them, but for the switch of its slot tables."""

_SLOTS_SWITCH = 0x04000107
_ZONES = frozenset({0x04010000, 0x04020000})


def write_item(meter: SimMeter, di: int, data: bytes) -> bool:
    """Write a parameter of the 2007 edition; False when its bytes cannot be meant.

    Raises:
        KeyError: the meter has no such parameter.
    """
    if di in _WRITERS:
        return _WRITERS[di](meter, data)
    if not _fits(di, data) or from_bcd(data) is None:
        return False
    if di == _SLOTS_SWITCH:
        switch_ms = _wall_ms(data[::-1].hex() + "00")
        if switch_ms is None:
            return False
        meter.switch_slots_at(switch_ms)
    meter.parameters = {**meter.parameters, di: data}
    return True


def _fits(di: int, data: bytes) -> bool:
    if di in _ZONES:
        return 0 < len(data) <= SLOTS_MAX * 3 and len(data) % 3 == 0
    return len(data) == len(PARAMETERS[di])


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


def _write_standby_slots(meter: SimMeter, data: bytes) -> bool:
    rows = [data[at : at + 3] for at in range(0, len(data), 3)]
    if not 1 <= len(rows) <= SLOTS_MAX or len(rows[-1]) != 3:
        return False
    slots = []
    for band, minute_raw, hour_raw in rows:
        minute, hour = from_bcd(bytes([minute_raw])), from_bcd(bytes([hour_raw]))
        if minute is None or hour is None or minute > 59 or hour > 23 or not 1 <= band <= 4:
            return False
        slots.append((hour * 60 + minute, band))
    if sorted(slots) != slots:
        return False
    meter.standby_slots = tuple(slots)
    return True


def _write_price(band: int) -> Callable[[SimMeter, bytes], bool]:
    def writer(meter: SimMeter, data: bytes) -> bool:
        price = from_bcd(data)
        if len(data) != 4 or price is None:
            return False
        meter.price_micro[band] = price * 100
        return True

    return writer


_WRITERS: Mapping[int, Callable[[SimMeter, bytes], bool]] = {
    0x04000101: _write_date,
    0x04000102: _write_time,
    0x0400010C: _write_date_time,
    0x04020001: _write_standby_slots,
    **{0x04050101 + band: _write_price(band) for band in range(4)},
}
