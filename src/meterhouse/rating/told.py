"""A bill as data: what the command line prints, and whoever else hands a bill on.

Owns names and forms of these fields. Must never compute: quantities, prices and amounts are decimal
strings of the exact integers, instants are local ISO times with their offset.
"""

from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

from meterhouse.rating.bill import Bill, Billed, BillLine, Kind
from meterhouse.rating.load import Load
from meterhouse.rating.periods import zone_of
from meterhouse.rating.tariff import Scheme, Version
from meterhouse.units import from_us, to_decimal

_MILLI, _MICRO, _NANO = 3, 6, 9


def told(
    billed: Billed, timezone: str, currency_exponent: int, explained: Load | None = None
) -> dict[str, Any]:
    """The bills and their sum; with the load, also each day and each interval with its lines."""
    zone = zone_of(timezone)
    scheme = billed.scheme
    bills = [told_bill(each, billed.scheme, zone, currency_exponent) for each in billed.bills]
    said: dict[str, Any] = {
        "scheme": scheme.name,
        "currency": scheme.currency,
        "timezone": timezone,
        "bills": bills,
        "energy": to_decimal(sum(each.energy_milli for each in billed.bills), _MILLI),
        "total": to_decimal(sum(each.total_minor for each in billed.bills), currency_exponent),
    }
    if explained is not None:
        said["days"] = list(_days(billed, zone))
        said["intervals"] = list(_intervals(billed, explained, zone))
    return said


def _at(instant_us: int, zone: ZoneInfo) -> str:
    return from_us(instant_us).astimezone(zone).isoformat()


def _since(version: Version, zone: ZoneInfo) -> str:
    return version.effective_from.astimezone(zone).isoformat()


def told_bill(bill: Bill, scheme: Scheme, zone: ZoneInfo, exponent: int) -> dict[str, Any]:
    """One bill, line by line, of the scheme it was made by."""
    return {
        "from": _at(bill.from_us, zone),
        "to": _at(bill.to_us, zone),
        "period_from": _at(bill.period_from_us, zone),
        "period_to": _at(bill.period_to_us, zone),
        "energy": to_decimal(bill.energy_milli, _MILLI),
        "lines": [_line(line, scheme, zone, exponent) for line in bill.lines],
        "net": to_decimal(bill.net_minor, exponent),
        "tax": to_decimal(bill.tax_minor, exponent),
        "total": to_decimal(bill.total_minor, exponent),
        "rounding": to_decimal(bill.rounding_nano, _NANO),
    }


def _line(line: BillLine, scheme: Scheme, zone: ZoneInfo, exponent: int) -> dict[str, Any]:
    """What is not of this kind of line is left out."""
    version = scheme.versions[line.version]
    said: dict[str, Any] = {"kind": line.kind.value, "since": _since(version, zone)}
    if line.name:
        said["name"] = line.name
    if line.block >= 0:
        said["block"] = line.block + 1
    if line.kind not in (Kind.MINIMUM, Kind.TAX):
        said["quantity"] = to_decimal(line.quantity_milli, _MILLI)
        said["price"] = to_decimal(line.price_micro, _MICRO)
    if (line.days, line.of_days) != (1, 1):
        said |= {"first_day": line.first_day, "days": line.days, "of_days": line.of_days}
    exact = to_decimal(line.amount_nano, _NANO)
    return said | {"exact": exact, "amount": to_decimal(line.amount_minor, exponent)}


def _days(billed: Billed, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    columns = (billed.day_start_us, billed.day_milli, billed.day_nano)
    for start_us, energy_milli, amount_nano in zip(*(c.tolist() for c in columns), strict=True):
        yield {
            "from": _at(start_us, zone),
            "energy": to_decimal(energy_milli, _MILLI),
            "exact": to_decimal(amount_nano, _NANO),
        }


def _intervals(billed: Billed, load: Load, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    timeline = billed.timeline
    lines: dict[int, list[dict[str, Any]]] = {}
    for place, section, band, block, energy_milli, price_micro, first_us, after_us in (
        billed.lines.tolist()
    ):  # fmt: skip
        version = timeline.sections[section].rates
        lines.setdefault(place, []).append({
            "from": _at(first_us, zone),
            "to": _at(after_us, zone),
            "since": _since(version, zone),
            "band": version.bands[band],
            "block": block + 1,
            "energy": to_decimal(energy_milli, _MILLI),
            "price": to_decimal(price_micro, _MICRO),
            "exact": to_decimal(energy_milli * price_micro, _NANO),
        })  # fmt: skip
    columns = (
        load.start_us, load.end_us, load.energy_milli, billed.billed_milli, billed.free_milli,
        billed.interval_nano,
    )  # fmt: skip
    for place, (start_us, end_us, measured, due, free, amount_nano) in enumerate(
        zip(*(column.tolist() for column in columns), strict=True)
    ):
        yield {
            "from": _at(start_us, zone),
            "to": _at(end_us, zone),
            "measured": to_decimal(measured, _MILLI),
            "energy": to_decimal(due, _MILLI),
            "free": to_decimal(free, _MILLI),
            "exact": to_decimal(amount_nano, _NANO),
            "lines": lines.get(place, []),
        }
