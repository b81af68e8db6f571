"""Small duties that keep the database ready: partitions ahead of time, a project's time zone."""

from collections.abc import Sequence
from datetime import datetime

from meterhouse.store import catalog, readings
from meterhouse.store.db import Database
from meterhouse.units import to_us


async def ready_partitions(db: Database, instants: Sequence[datetime]) -> None:
    """Make the weekly partitions that hold these instants."""
    async with db.transaction(()) as connection:
        for instant in instants:
            await readings.ready_partition(connection, to_us(instant))


async def timezone_of(db: Database, project_id: int) -> str:
    """The project's time zone."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        return str(project["timezone"])
