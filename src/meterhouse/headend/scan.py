"""One search of a bus, conversation by conversation, between rounds and commands.

Owns a search task while this process holds the line: what is asked next, what was found, and when
that is written down. Must never know who is waiting for the bus; a pump calls `step` when it has
nothing better to do, so that whoever comes first waits for one conversation and no longer. What is
written down is enough for another process to go on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from meterhouse.drivers.search import WHOLE, Search
from meterhouse.errors import MeterhouseError
from meterhouse.flows import scan as scans
from meterhouse.flows import task
from meterhouse.logs import Log
from meterhouse.meter_models import generic, recognise
from meterhouse.model import Relay
from meterhouse.ports import Clock, FindMeters, Identify, Intent, Outcome, Values
from meterhouse.store.db import Database
from meterhouse.wire.dlt645 import WILDCARD

log = Log(__name__)

LINE_LOST: Final = "line_lost"

Talk: TypeAlias = Callable[[str, str, Intent], Awaitable[Outcome]]
"""One conversation with (address, model) on the bus."""


class Scan:
    """A claimed search of one bus.

    Args:
        claimed: the task; what was last told of it is gone on from.
        protocol: of the bus.
        timezone: of the project; meters know local time alone.
        db: where progress goes.
        clock: the platform's clock.
        speed: seconds of that clock per real second.
    """

    def __init__(
        self, claimed: task.Claimed, protocol: str, timezone: str, db: Database, clock: Clock,
        speed: int,
    ) -> None:  # fmt: skip
        self._claimed = claimed
        self._protocol = protocol
        self._zone = ZoneInfo(timezone)
        self._db = db
        self._clock = clock
        self._model = generic(protocol).name
        given = claimed.input
        before = claimed.result or given.get("resume")
        tries = int(given["tries"])
        if before is None:
            self._search = Search.of_ending(given["ending"], tries)
            self._devices: dict[str, dict[str, Any]] = {}
        else:
            self._search = Search.from_facts(before["search"], tries)
            self._devices = dict(before["devices"])
        self._asks_max = self._search.asks + scans.ASKS_MAX
        self._until = clock() + timedelta(hours=scans.HOURS_MAX) * speed
        self._beat_at = asyncio.get_running_loop().time()

    async def step(self, talk: Talk) -> bool:
        """One conversation further; False when there is nothing left for us to do.

        Raises:
            MeterhouseError: progress could not be written down; it goes with the next.
        """
        if self._is_over():
            await task.end(self._db, self._claimed, self._progress(), self._clock())
            return False
        stranger = next((one for one in self._search.found if one not in self._devices), None)
        if stranger is not None:
            await self._identify(talk, stranger)
        elif (ending := self._search.ending) is not None:
            intent = FindMeters(ending, int(self._claimed.input["patience_ms"]))
            self._search.take(await talk(WILDCARD, self._model, intent))
        return await self._beat()

    async def release(self) -> None:
        """Write down how far it is and leave the rest to whoever has the line next."""
        try:
            await task.tell(self._db, self._claimed, self._progress(), self._clock())
            await task.release(self._db, self._claimed)
        except (MeterhouseError, OSError) as error:
            log.warning("search_left_behind", error=error, task_id=self._claimed.id)

    def _is_over(self) -> bool:
        if len(self._devices) < len(self._search.found):
            return False
        return (
            self._search.ending is None
            or self._search.asks >= self._asks_max
            or self._clock() >= self._until
        )

    async def _identify(self, talk: Talk, address: str) -> None:
        outcome = await talk(address, self._model, Identify())
        if outcome.why != LINE_LOST:
            self._devices[address] = device_facts(
                self._protocol, outcome, self._clock().astimezone(self._zone)
            )

    async def _beat(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now < self._beat_at:
            return True
        self._beat_at = now + task.BEAT_S
        try:
            await task.tell(self._db, self._claimed, self._progress(), self._clock())
        except task.TaskStopped:
            return False
        return True

    def _progress(self) -> task.Progress:
        result = {"search": self._search.to_facts(), "devices": self._devices}
        return task.Progress(self._search.settled, WHOLE, result)


def device_facts(protocol: str, outcome: Outcome, local: datetime) -> dict[str, Any]:
    """What a device said of itself as JSON values, and the models it may be.

    `clock_off_s` is how far its clock is ahead of `local`, the project's time.
    """
    said = outcome.values
    return {
        "why": outcome.why,
        "total_milli": said.total_milli,
        "band_milli": list(said.band_milli or ()),
        "relay": None if said.relay is Relay.UNKNOWN else int(said.relay),
        "phases": said.phases,
        "voltage_dv": list(said.voltage_dv or ()),
        "texts": dict(said.parameters),
        "clock_local": None if said.clock_local is None else said.clock_local.isoformat(),
        "clock_off_s": _off_s(said, local),
        "candidates": [
            {"model": one.model, "confidence": one.confidence.value}
            for one in recognise(protocol, said)
        ],
    }


def _off_s(said: Values, local: datetime) -> int | None:
    if said.clock_local is None:
        return None
    return round((said.clock_local - local.replace(tzinfo=None)).total_seconds())
