"""Is this house fit to be sent people and gateways, and how does the whole installation stand?

Owns the three reasons for which a process is not ready, in the order in which they are looked at,
and the few counts over all projects that machines watch. Must never know who asks. Readiness is
looked at by a clock and only read by whoever asks, so that asking often costs nothing.
"""

import asyncio
from enum import StrEnum

from meterhouse.errors import MeterhouseError
from meterhouse.store import vitals
from meterhouse.store.db import Database
from meterhouse.store.migrate import revision

ANSWER_S = 2
# Asking for the schema takes a connection of its own; it changes once in months.
SCHEMA_EVERY = 15


class Unfit(StrEnum):
    """Why a process should be sent nothing now."""

    STARTING = "starting"
    STOPPING = "stopping"
    DATABASE = "database"
    SCHEMA = "schema"


class Readiness:
    """Whether this process is ready: `unfit` is None then."""

    def __init__(self, db: Database, wanted: str) -> None:
        self._db = db
        self._wanted = wanted
        self._looks = 0
        self._found: Unfit | None = Unfit.STARTING
        self._is_stopping = False

    @property
    def unfit(self) -> Unfit | None:
        """The first reason that was found at the last look."""
        return Unfit.STOPPING if self._is_stopping else self._found

    def stop(self) -> None:
        """From here on nothing more should be sent to this process."""
        self._is_stopping = True

    async def look(self) -> None:
        """Ask the database, and now and then for its schema."""
        try:
            async with asyncio.timeout(ANSWER_S):
                async with self._db.transaction(()):
                    pass  # the transaction itself has asked
                if self._found is not None or self._looks % SCHEMA_EVERY == 0:
                    found = await revision(self._db.address)
                    self._found = None if found == self._wanted else Unfit.SCHEMA
        except (MeterhouseError, OSError, TimeoutError):
            self._found = Unfit.DATABASE
        self._looks += 1


async def standing(db: Database) -> vitals.Standing:
    """Open alarms, gateways and waiting notices over all projects; for the watching machine."""
    project_ids = await db.project_ids()
    async with db.transaction(project_ids) as connection:
        return await vitals.standing(connection, project_ids)
