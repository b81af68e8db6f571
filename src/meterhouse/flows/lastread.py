"""The last registers of meters before money is settled: read by wire just before, or by hand.

Owns what counts as just before, and that a doubtful figure never settles anything. Must never know
what is settled. Works inside its caller's transaction; a figure by hand goes the way of every
reading, so that what it adds is judged, rated and kept like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from meterhouse.errors import BadInput, MeterhouseError
from meterhouse.flows import reading
from meterhouse.flows.prices import Tariffs
from meterhouse.store import exchanges
from meterhouse.store.db import Connection
from meterhouse.units import to_us

FRESH: Final = timedelta(minutes=15)
"""A reading by wire that is older than this is read again before it settles anything."""
BY_HAND: Final = 3
"""The source of a reading that a person took from the display."""

Registers = tuple[int, int, int, int, int]
"""Total, then 尖峰平谷, in thousandths as the meter shows them; −1: not read."""


class LastReadingMissing(MeterhouseError):
    """Meter {address} has no reading of the last 15 minutes; read it, or type what it shows."""

    code = "last_reading_missing"
    http_status = 409


class LastReadingDoubtful(BadInput):
    """What is typed for meter {address} does not go with its readings before; look again."""

    code = "last_reading_doubtful"
    field = "registers"


class MeterElsewhere(BadInput):
    """Meter {address} is none of those that are settled."""

    code = "meter_elsewhere"
    field = "registers"


@dataclass(frozen=True, slots=True)
class LastRead:
    """The registers a point ended with, and where they come from: `wire` or `hand`."""

    point_id: int
    meter_id: int
    address: str
    milli: Registers
    source: str
    read_at: datetime

    def plain(self) -> dict[str, Any]:
        """As it is kept with a settlement."""
        return {
            "point_id": self.point_id, "meter_id": self.meter_id, "address": self.address,
            "milli": list(self.milli), "source": self.source, "read_at": self.read_at.isoformat(),
        }  # fmt: skip


async def take(
    connection: Connection, project: Any, rows: Sequence[Any], by_hand: Mapping[str, Registers],
    at: datetime,
) -> list[LastRead]:  # fmt: skip
    """The last registers of metered points, those by hand stored as readings of this instant.

    Args:
        connection: the caller's transaction, which keeps other readings away.
        project: the project's row.
        rows: points with `id`, `meter_id`, `address` and what `point_state` knows of them.
        by_hand: by the meter's address.
        at: the present instant.

    Raises:
        LastReadingMissing: a meter was neither read of late nor by hand.
        LastReadingDoubtful: what was typed cannot be.
        MeterElsewhere: what was typed is of another meter.
    """
    meters = {row["address"]: row for row in rows if row["meter_id"] is not None}
    typed = {address.zfill(12): milli for address, milli in by_hand.items()}
    for address in typed:
        if address not in meters:
            raise MeterElsewhere(address=address)
    found = []
    for address, row in meters.items():
        facts = (row["id"], row["meter_id"], address)
        if address in typed:
            done = await _store(connection, project, row["meter_id"], typed[address], at)
            if done.fresh != 1 or done.doubtful:
                raise LastReadingDoubtful(address=address)
            found.append(LastRead(*facts, typed[address], "hand", at))
        elif row["good_at"] == row["read_at"] and row["good_at"] >= at - FRESH:
            total, *bands = (row[f"good_{index}_milli"] for index in range(5))
            milli = (total, bands[0], bands[1], bands[2], bands[3])
            found.append(LastRead(*facts, milli, "wire", row["good_at"]))
        else:
            raise LastReadingMissing(address=address)
    return found


async def begin(
    connection: Connection, project: Any, meter_id: int, milli: Registers, since: datetime,
    at: datetime,
) -> None:  # fmt: skip
    """What a meter shows as it begins to serve its point: nothing before it is billed.

    It counts from `since` on, where another ended; what it read on a bench until now is laid aside.
    """
    await _store(connection, project, meter_id, milli, since)
    await exchanges.begin_serving(connection, project["id"], meter_id, at)


async def _store(
    connection: Connection, project: Any, meter_id: int, milli: Registers, at: datetime
) -> reading.Ingested:
    def column(figure: int) -> Any:
        return np.array([figure], dtype=np.int64)

    batch = reading.Batch(
        column(meter_id), column(to_us(at)), np.array([milli], dtype=np.int64), column(0),
        column(-1), column(-1), column(-1), column(BY_HAND),
    )  # fmt: skip
    return await reading.take(connection, Tariffs(), project, batch, at)
