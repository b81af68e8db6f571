"""What meters that keep the money deducted, against what the platform rated beside them.

Owns when the two are compared (with each closed day) and when somebody is told. Must never move
money: the meter's word is what was earned, and the platform's rating is only its shadow. A
difference has a reason that a person finds: another price in the meter, a register that was not
read, a clock that is wrong.
"""

from datetime import date, datetime
from typing import Any, Final, NamedTuple

from meterhouse.control import policy as policies
from meterhouse.model import AlarmKind
from meterhouse.store import drift, queue
from meterhouse.store.db import Connection, Database
from meterhouse.store.lists import Wanted
from meterhouse.units import nano_per_minor

DAYS: Final = 30
"""Over so many days a difference is added up before it is held against the limit."""


class Sums(NamedTuple):
    """What meters deducted, what the platform rated, and the difference, row by row in coins."""

    deducted_minor: int = 0
    rated_minor: int = 0
    difference_minor: int = 0


async def write_day(
    connection: Connection, project: Any, policy: policies.Policy, day: date, until_at: datetime,
    at: datetime,
) -> None:  # fmt: skip
    """Note a day's differences inside its close; too large a one is an alarm until it is not."""
    project_id, size = project["id"], nano_per_minor(project["currency_exponent"])
    await drift.write_day(connection, project_id, day, until_at)
    limit_nano = policy.drift_max_minor * size
    alarms, well = [], []
    for row in await drift.lately(connection, project_id, day, DAYS):
        difference_nano = row["deducted_minor"] * size - row["rated_nano"]
        subject = f"point:{row['point_id']}"
        if not limit_nano or abs(difference_nano) <= limit_nano:
            well.append(subject)
            continue
        facts = {
            "why": "meter_deducts_more" if difference_nano > 0 else "meter_deducts_less",
            "deducted_minor": row["deducted_minor"], "rated_minor": row["rated_nano"] // size,
            "since": row["since_at"].isoformat(),
        }  # fmt: skip
        alarms.append(
            queue.NewAlarm(
                AlarmKind.METER_DRIFT, subject, point_id=row["point_id"],
                meter_id=row["meter_id"], gateway_id=row["gateway_id"], facts=facts,
            )
        )  # fmt: skip
    await queue.open_alarms(connection, project_id, alarms, at)
    await queue.close_alarms(connection, project_id, AlarmKind.METER_DRIFT, well, at)


async def sums(db: Database, project_id: int, wanted: Wanted) -> Sums:
    """What the rows that match add up to; order and page of `wanted` count for nothing."""
    async with db.transaction([project_id]) as connection:
        rows = await drift.sums(connection, project_id, wanted, db.building_ids)
    names = Sums._fields
    return Sums(*(rows[0][name] for name in names)) if rows else Sums()
