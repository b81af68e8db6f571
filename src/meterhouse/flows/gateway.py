"""Gateways come and go: what the head end tells the books about the links it holds.

Owns a gateway's online state and the alarms that belong to the link itself. The roster that the
head end works from comes from here too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from meterhouse.model import AlarmKind
from meterhouse.store import catalog, monitor, queue, readings
from meterhouse.store.db import Database

# A meter is offline after this many rounds without a reading, a gateway after this long.
OFFLINE_ROUNDS = 3
GATEWAY_GRACE = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class RosterMeter:
    """One meter behind a gateway: what a pump must know to read it."""

    meter_id: int
    point_id: int
    model: str
    address: str


@dataclass(frozen=True, slots=True)
class RosterGateway:
    """One gateway and the meters on its bus, in the order of their addresses."""

    project_id: int
    id: int
    registration: str
    direction: str
    address: str | None
    protocol: str
    reading_interval_s: int
    meters: tuple[RosterMeter, ...]
    timezone: str = "UTC"


async def load_roster(db: Database) -> list[RosterGateway]:
    """Every gateway of every project with its meters; for the head end alone."""
    project_ids = await db.project_ids()
    async with db.transaction(project_ids) as connection:
        gateways = await catalog.gateways(connection, project_ids)
        meters: dict[int, list[RosterMeter]] = {}
        for row in await catalog.roster(connection, project_ids):
            meter = RosterMeter(row["meter_id"], row["point_id"], row["model"], row["address"])
            meters.setdefault(row["gateway_id"], []).append(meter)
    return [
        RosterGateway(
            row["project_id"], row["id"], row["registration"], row["direction"], row["address"],
            row["protocol"], row["reading_interval_s"], tuple(meters.get(row["id"], ())),
            row["timezone"],
        )
        for row in gateways
    ]  # fmt: skip


async def come(
    db: Database, project_id: int, gateway_id: int, peer: str, at: datetime, *, seals: bool = False
) -> None:
    """A gateway is on the line; `seals`: its head end can seal orders for meters."""
    async with db.transaction([project_id]) as connection:
        await catalog.set_gateway_online(connection, project_id, gateway_id, True, peer, at)
        await catalog.set_gateway_seals(connection, project_id, gateway_id, seals)
        await queue.close_alarms(
            connection, project_id, AlarmKind.GATEWAY_OFFLINE, [f"gateway:{gateway_id}"], at
        )
        await readings.bump(connection, project_id)


async def go(db: Database, project_id: int, gateway_id: int, at: datetime) -> None:
    """A gateway's line is lost."""
    async with db.transaction([project_id]) as connection:
        await catalog.set_gateway_online(connection, project_id, gateway_id, False, "", at)
        await readings.bump(connection, project_id)


async def clear_lines(db: Database, at: datetime) -> None:
    """No gateway is on the line: so a head end begins, whatever its last life left, and ends.

    Where several run, the others say within seconds which lines they hold (`see`).
    """
    project_ids = await db.project_ids()
    async with db.transaction(project_ids) as connection:
        for project_id in await catalog.clear_lines(connection, project_ids, at):
            await readings.bump(connection, project_id)


async def see(
    db: Database, online: Sequence[tuple[int, int]], heard: Sequence[int], at: datetime
) -> None:
    """These gateways (project_id, id) have a line, and those ids have said something lately."""
    async with db.transaction(sorted({project_id for project_id, _ in online})) as connection:
        await catalog.touch_gateways(connection, [one for _, one in online], heard, at)


async def meet_stranger(db: Database, registration: str, peer: str, at: datetime) -> None:
    """Somebody connected who is no gateway of ours; kept for whoever commissions a site."""
    async with db.transaction(()) as connection:
        await catalog.note_stranger(connection, registration, peer, at)


async def alarm(
    db: Database, project_id: int, gateway_id: int, kind: AlarmKind, facts: dict[str, object],
    at: datetime,
) -> None:  # fmt: skip
    """Something is wrong with a link: it came twice, or it floods."""
    async with db.transaction([project_id]) as connection:
        new = queue.NewAlarm(kind, f"gateway:{gateway_id}", gateway_id=gateway_id, facts=facts)
        await queue.open_alarms(connection, project_id, [new], at)
        await readings.bump(connection, project_id)


async def watch_silence(db: Database, project_id: int, at: datetime) -> int:
    """Open and close the offline alarms of a project; answers how many changed."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        quiet = timedelta(seconds=OFFLINE_ROUNDS * project["reading_interval_s"])
        silent = await monitor.silent_meters(connection, project_id, at - quiet, at - quiet)
        gone = await monitor.silent_gateways(connection, project_id, at - GATEWAY_GRACE)
        alarms = [
            queue.NewAlarm(
                AlarmKind.METER_OFFLINE, f"meter:{row['meter_id']}", 0, row["point_id"],
                row["meter_id"], row["gateway_id"], {"seen_at": row["read_at"].isoformat()},
            )
            for row in silent
        ] + [
            queue.NewAlarm(
                AlarmKind.GATEWAY_OFFLINE, f"gateway:{row['gateway_id']}",
                gateway_id=row["gateway_id"], facts={"seen_at": row["seen_at"].isoformat()},
            )
            for row in gone
        ]  # fmt: skip
        await queue.open_alarms(connection, project_id, alarms, at)
        heard = await monitor.heard_meters(connection, project_id, at - quiet)
        back = await monitor.heard_gateways(connection, project_id)
        await queue.close_alarms(connection, project_id, AlarmKind.METER_OFFLINE, heard, at)
        await queue.close_alarms(connection, project_id, AlarmKind.GATEWAY_OFFLINE, back, at)
        changed = len(alarms) + len(heard) + len(back)
        if changed:
            await readings.bump(connection, project_id)
        return changed
