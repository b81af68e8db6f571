"""Charged intervals as they are explained: each with its readings, rated once more.

Owns how a charge becomes an interval that can be told, by the kernel that rated it, and says so
where the two disagree. Must never know which transfer an interval is told for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from meterhouse.flows.rate import Laid, Tariffs
from meterhouse.model import Quality
from meterhouse.rating.delta import REGISTERS, ChainState, Limits, Verdict, judge
from meterhouse.rating.kernel import Line, explain_interval
from meterhouse.rating.tariff import BandSource, Scheme
from meterhouse.store import corrections, explain
from meterhouse.store.db import Connection
from meterhouse.store.readings import BANDS
from meterhouse.units import to_us

_DAY_US: Final = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Register:
    """One register reading: the total as the meter shows it, before the multiplier."""

    read_at: datetime
    received_at: datetime
    total_milli: int
    source: int


@dataclass(frozen=True, slots=True)
class Correction:
    """Why a price was another before: since when it is corrected, why, and when that was said."""

    since: datetime
    reason: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Interval:
    """One charged interval as it went into a booking.

    Attributes:
        started_at, ended_at: equal where an earlier charge was taken back altogether.
        energy_milli: multiplied.
        amount_nano: what it costs.
        replaced_nano: what had been charged for it before a late or corrected reading; 0 at first.
        opening, closing: the readings it lies between; None where they are kept no more.
        lines: version, band, block and price of each part; empty where they cannot be told.
        block_milli: how much of the block period was used when it began.
        is_exact: whether the lines add up to the amount.
        correction: where a corrected price alone made it another amount than before.
    """

    started_at: datetime
    ended_at: datetime
    energy_milli: int
    amount_nano: int
    replaced_nano: int
    address: str
    multiplier: int
    is_rollover: bool
    quality: Quality
    tariff: str
    opening: Register | None
    closing: Register | None
    lines: Sequence[Line]
    has_blocks: bool
    block_milli: int
    is_exact: bool
    correction: Correction | None = None

    @property
    def added_nano(self) -> int:
        """What it added to the booking: its amount less what was charged for it before."""
        return self.amount_nano - self.replaced_nano


async def intervals_of(
    connection: Connection, tariffs: Tariffs, project: Any, charges: Sequence[Any]
) -> list[Interval]:
    """Each charge with the readings it lies between, rated once more."""
    keys = {
        (one["meter_id"], one["register_epoch"], one[at])
        for one in charges for at in ("started_at", "ended_at")
    }  # fmt: skip
    read = await explain.readings_at(connection, project["id"], sorted(keys))
    editions = sorted({(one["tariff_id"], one["edition"]) for one in charges})
    laid = {one: await tariffs.load_edition(connection, project["id"], *one) for one in editions}
    told = await corrections.of_editions(connection, project["id"], editions)
    return [_interval(tariffs, laid, told, project, one, read) for one in charges]


def _interval(
    tariffs: Tariffs, schemes: Mapping[tuple[int, int], Laid],
    told: Mapping[tuple[int, int], Any], project: Any, row: Any, read: Any,
) -> Interval:  # fmt: skip
    edition = (row["tariff_id"], row["edition"])
    laid = schemes[edition]
    epoch = (row["meter_id"], row["register_epoch"])
    opening, closing = (read.get((*epoch, row[at])) for at in ("started_at", "ended_at"))
    lines: list[Line] = []
    if row["started_at"] < row["ended_at"] and opening is not None and closing is not None:
        lines = _lines(tariffs, laid, project, row, (opening, closing))
    versions = laid.scheme.versions
    return Interval(
        started_at=row["started_at"], ended_at=row["ended_at"], energy_milli=row["energy_milli"],
        amount_nano=row["amount_nano"], replaced_nano=row["replaced_nano"],
        address=row["address"], multiplier=row["multiplier"],
        is_rollover=row["verdict"] == Verdict.ROLLOVER, quality=Quality(row["quality"]),
        tariff=row["tariff"], opening=_register(opening), closing=_register(closing), lines=lines,
        has_blocks=bool(lines and versions[lines[-1].version].blocks.limits_milli),
        block_milli=row["block_milli"],
        is_exact=sum(line.amount_nano for line in lines) == row["amount_nano"],
        correction=_correction(told.get(edition)) if row["is_repriced"] else None,
    )  # fmt: skip


def _correction(row: Any) -> Correction | None:
    if row is None:
        return None
    return Correction(row["corrects_from"], row["reason"], row["published_at"])


def _register(row: Any) -> Register | None:
    if row is None:
        return None
    return Register(row["read_at"], row["received_at"], row["total_milli"], row["source"])


def _lines(
    tariffs: Tariffs, laid: Laid, project: Any, row: Any, pair: tuple[Any, Any]
) -> list[Line]:
    """The interval rated once more, from where its blocks stood when it began."""
    start_us, end_us = to_us(row["started_at"]), to_us(row["ended_at"])
    timeline = tariffs.timeline(laid, project["timezone"], start_us, end_us)
    return explain_interval(
        timeline, start_us, end_us, row["energy_milli"], _bands(laid.scheme, row, pair),
        row["block_milli"], to_us(row["block_period_at"]),
    )  # fmt: skip


def _bands(scheme: Scheme, row: Any, pair: tuple[Any, Any]) -> tuple[int, int, int, int]:
    """The interval's energy by the meter's own bands, as the judge of readings finds it."""
    if all(version.band_source is not BandSource.METER for version in scheme.versions):
        return (-1, -1, -1, -1)
    (at_us, next_us), milli = zip(
        *((to_us(one["read_at"]), [one["total_milli"], *(one[name] for name in BANDS)])
          for one in pair), strict=True,
    )  # fmt: skip
    good = np.array([milli[0]], np.int64).reshape(1, REGISTERS)
    at = np.array([at_us], np.int64)
    empty = ChainState.empty(1)
    state = ChainState(
        at, at.copy(), good, empty.suspect_at_us, empty.suspect_milli, empty.suspect_count
    )
    one = [
        np.array([row[name]], np.int64) for name in ("modulus_milli", "max_power_w", "multiplier")
    ]
    limits = Limits(one[0], one[1], one[2], np.array([True]), _DAY_US)
    judged = judge(
        state, limits, np.zeros(1, np.int64), np.array([next_us], np.int64),
        np.array([milli[1]], np.int64).reshape(1, REGISTERS),
    )  # fmt: skip
    first, second, third, fourth = judged.band_energy_milli[0].tolist()
    return first, second, third, fourth
