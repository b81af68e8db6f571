"""Searching a gateway's bus for meters: begun here, carried out by whoever holds the line.

Owns what a search is asked and how its findings are told to a person: which of them the project
has already, and which are new. Must never know how a bus is searched. Nothing is said of other
projects: an address that is somebody else's looks new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from meterhouse.errors import MeterhouseError, NotFound, OutOfRange, Unreadable
from meterhouse.flows import task
from meterhouse.store import catalog
from meterhouse.store.db import Database
from meterhouse.store.tasks import NewTask
from meterhouse.words import N_

KIND: Final = "bus_scan"
PATIENCE_MS: Final = {"rs485": 600, "tcp": 2_000, "lora": 8_000}
PATIENCE_MS_MIN, PATIENCE_MS_MAX = 100, 30_000
TRIES: Final = 2
TRIES_MAX: Final = 5
ASKS_MAX: Final = 20_000
HOURS_MAX: Final = 12
ENDING_DIGITS_MAX: Final = 12


class NothingLeft(MeterhouseError):
    """That search left nothing to go on with; begin a new one."""

    code = "nothing_left"
    http_status = 409


@dataclass(frozen=True, slots=True)
class Wish:
    """How a bus is to be searched.

    Attributes:
        ending: only addresses with these last digits, an even number of them; empty for all.
        patience_ms: how long a question is listened to.
        tries: how often silence is asked again before it is believed.
        resume_task_id: go on where this search was stopped; the ending is then that one's.
    """

    ending: str = ""
    patience_ms: int = PATIENCE_MS["tcp"]
    tries: int = TRIES
    resume_task_id: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A device a search has met.

    Attributes:
        known: `here` on this gateway, `project` on another of this project, else `new`.
        meter_id: the meter it is known as.
        facts: what it said: registers in Wh, clock and how far that is off in seconds, relay,
            phases, texts, and the models it may be with how sure that is.
    """

    address: str
    known: str
    meter_id: int | None
    facts: Mapping[str, Any]


async def start(
    db: Database, project_id: int, gateway_id: int, wish: Wish, actor_id: int | None, at: datetime
) -> int:
    """Begin to search a gateway's bus; one search at a time. Answers the task.

    Raises:
        NotFound: the gateway, or the search to go on with, does not exist.
        OutOfRange, Unreadable: the wish cannot be meant.
        NothingLeft: the search to go on with had come to its end.
        TaskUnderWay: this bus is being searched.
    """
    _check(wish)
    gateway = await gateway_of(db, project_id, gateway_id)
    given: dict[str, Any] = {
        "ending": wish.ending, "patience_ms": wish.patience_ms, "tries": wish.tries,
    }  # fmt: skip
    if wish.resume_task_id is not None:
        given |= await _left_of(db, project_id, gateway_id, wish.resume_task_id)
    new = NewTask(KIND, gateway["name"], given, gateway_id)
    return await task.start(db, project_id, new, actor_id, at, alone=True)


async def gateway_of(db: Database, project_id: int, gateway_id: int) -> Any:
    """A gateway's row. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        gateway = await catalog.get_gateway(connection, project_id, gateway_id)
    if gateway is None:
        raise NotFound(N_("Gateway"), gateway_id)
    return gateway


def _check(wish: Wish) -> None:
    ending = wish.ending
    if ending and not (ending.isascii() and ending.isdecimal()):
        raise Unreadable(what=N_("Ending"), text=ending, wanted="digits")
    if len(ending) % 2 or len(ending) > ENDING_DIGITS_MAX:
        raise Unreadable(what=N_("Ending"), text=ending, wanted="2, 4, 6, 8, 10 or 12 digits")
    if not PATIENCE_MS_MIN <= wish.patience_ms <= PATIENCE_MS_MAX:
        raise OutOfRange("patience_ms", wish.patience_ms, PATIENCE_MS_MIN, PATIENCE_MS_MAX)
    if not 1 <= wish.tries <= TRIES_MAX:
        raise OutOfRange("tries", wish.tries, 1, TRIES_MAX)


async def _left_of(
    db: Database, project_id: int, gateway_id: int, task_id: int
) -> Mapping[str, Any]:
    before = await task.get(db, project_id, task_id)
    if before["kind"] != KIND or before["gateway_id"] != gateway_id:
        raise NotFound(N_("Task"), task_id)
    result = before["result"] or {}
    if before["ended_at"] is None or not result.get("search", {}).get("left"):
        raise NothingLeft
    return {"ending": before["input"]["ending"], "resume": result}


async def found(db: Database, project_id: int, row: Mapping[str, Any]) -> Sequence[Found]:
    """The devices a search's row (`task.get`) tells of, by address, and what the project knows."""
    devices: Mapping[str, Any] = (row["result"] or {}).get("devices", {})
    async with db.transaction([project_id]) as connection:
        known = await catalog.meters_of_addresses(connection, project_id, list(devices))
    here = {one["address"]: one["id"] for one in known if one["gateway_id"] == row["gateway_id"]}
    elsewhere = {one["address"]: one["id"] for one in known}
    return [
        Found(
            address,
            "here" if address in here else "project" if address in elsewhere else "new",
            here.get(address, elsewhere.get(address)),
            devices[address],
        )
        for address in sorted(devices)
    ]
