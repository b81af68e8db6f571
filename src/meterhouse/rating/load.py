"""A load: how much was used in which stretch of time, read from lines of text.

Owns the table's form and every way it can be wrong, each named by row and column. Must never know a
price. The header names the columns `start` and `energy_wh`, in any order; rows are numbered as a
text editor numbers lines, the header being row 1. A row lasts until the next one begins, the last
one as long as the one before it; an optional column `end` says it instead.

`start` is local ISO time by the wall clock of a time zone (`2026-01-01T00:30`), or an instant with
its offset. An hour that the clocks skip cannot be written. Of an hour that they show twice, the
first is meant, unless the row before already begins at or after it: then it is the second. So the
rows of such a day are written as the wall clock shows them, in order.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from meterhouse import units
from meterhouse.errors import BadInput
from meterhouse.rating.arrays import AT_US_MAX, Ints
from meterhouse.rating.periods import zone_of
from meterhouse.units import INTERVAL_MILLI_MAX

ROWS_MAX = 2_000_000
COLUMNS = ("start", "energy_wh")


class LoadColumns(BadInput):
    """Row 1 of the load must name the columns start and energy_wh, and at most end beside them."""

    code = "load_columns"


class LoadTooShort(BadInput):
    """The load has {rows} rows; two are needed to know how long one lasts, or a column end."""

    code = "load_too_short"


class LoadTooLong(BadInput):
    """The load has more than {rows} rows."""

    code = "load_too_long"


class LoadCells(BadInput):
    """Row {row} of the load has {cells} cells; the header has {columns}."""

    code = "load_cells"


class LoadNoCsv(BadInput):
    """Row {row} of the load is no CSV: {why}."""

    code = "load_no_csv"


class LoadTime(BadInput):
    """Row {row}, column {column}: {text!r} is no time as 2026-01-01T00:30, of 1971 to 2099."""

    code = "load_time"


class LoadTimeSkipped(BadInput):
    """Row {row}, column {column}: the clocks of {timezone} skip {text}."""

    code = "load_time_skipped"


class LoadOrder(BadInput):
    """Row {row}, column {column}: {text} does not come after what stands before it."""

    code = "load_order"


class LoadEnergy(BadInput):
    """Row {row}, column {column}: {text!r} is no whole number of Wh from 0 to {most}."""

    code = "load_energy"


class Load(NamedTuple):
    """m stretches of time in order, none overlapping, and what was used in each.

    Attributes:
        start_us, end_us: int64[m], µs of UTC.
        energy_milli: int64[m], as measured.
    """

    start_us: Ints
    end_us: Ints
    energy_milli: Ints


def read_load(lines: Iterable[str], timezone: str) -> Load:
    """The load that the lines of a CSV file say.

    Raises:
        LoadColumns, LoadCells, LoadTime, LoadTimeSkipped, LoadOrder, LoadEnergy, LoadTooShort,
        LoadTooLong, LoadNoCsv: the first thing wrong.
        Unreadable: no such time zone.
    """
    zone = zone_of(timezone)
    rows = _rows(lines)
    columns = [name.strip().lstrip("\ufeff").lower() for name in next(rows, (1, []))[1]]
    if not set(COLUMNS) <= set(columns) <= {*COLUMNS, "end"} or len(set(columns)) < len(columns):
        raise LoadColumns
    has_ends = "end" in columns
    starts: list[int] = []
    ends: list[int] = []
    energies: list[int] = []
    for row, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(columns):
            raise LoadCells(row=row, cells=len(cells), columns=len(columns))
        if len(starts) >= ROWS_MAX:
            raise LoadTooLong(rows=ROWS_MAX)
        said = dict(zip(columns, cells, strict=True))
        after_us = starts[-1] if starts else 0
        start_us = _at(said["start"], zone, row, "start", after_us)
        if ends and start_us < ends[-1]:
            raise LoadOrder(row=row, column="start", text=said["start"].strip())
        starts.append(start_us)
        if has_ends:
            ends.append(_at(said["end"], zone, row, "end", start_us))
        energies.append(_energy_milli(said["energy_wh"], row))
    return Load(
        np.array(starts, np.int64),
        np.array(ends if has_ends else _ends(starts), np.int64),
        np.array(energies, np.int64),
    )


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """The cells of every row, and its number."""
    rows = csv.reader(lines)
    try:
        for cells in rows:
            yield rows.line_num, cells
    except csv.Error as error:
        raise LoadNoCsv(row=rows.line_num, why=str(error)) from None


def _ends(starts: Sequence[int]) -> list[int]:
    if len(starts) < 2:
        raise LoadTooShort(rows=len(starts))
    return [*starts[1:], 2 * starts[-1] - starts[-2]]


def _at(text: str, zone: ZoneInfo, row: int, column: str, after_us: int) -> int:
    """The instant that a cell names; it comes after another one."""
    said = text.strip()
    try:
        local = datetime.fromisoformat(said)
    except ValueError:
        raise LoadTime(row=row, column=column, text=said) from None
    if not 1970 < local.year < 2100:
        raise LoadTime(row=row, column=column, text=said)
    if local.tzinfo is None:
        at_us = units.to_us(local.replace(tzinfo=zone))
        shown = units.from_us(at_us).astimezone(zone).replace(tzinfo=None, fold=0)
        if shown != local:
            raise LoadTimeSkipped(row=row, column=column, text=said, timezone=zone.key)
        if at_us <= after_us:
            at_us = units.to_us(local.replace(tzinfo=zone, fold=1))
    else:
        at_us = units.to_us(local.astimezone(UTC))
    if not after_us < at_us <= AT_US_MAX:
        raise LoadOrder(row=row, column=column, text=said)
    return at_us


def _energy_milli(text: str, row: int) -> int:
    said = text.strip()
    if not (said.isascii() and said.isdigit() and len(said) <= 10) or (
        int(said) > INTERVAL_MILLI_MAX
    ):
        raise LoadEnergy(row=row, column="energy_wh", text=said, most=INTERVAL_MILLI_MAX)
    return int(said)
