"""River 3: a day is closed (日结): accruals booked, totals written, the books proved.

Owns which days are to be closed, what a closed day holds, and that a proof that fails is an alarm
until it holds again. A closed day is never rewritten: what arrives later lands in the open day.
Booking and adding up take a project's lock only for moments, so payments and readings go on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from meterhouse.control import policy as policies
from meterhouse.errors import BadInput, Conflict, NotFound
from meterhouse.flows import close, drift
from meterhouse.flows.orders import Direction, direction_of
from meterhouse.model import AlarmKind
from meterhouse.store import catalog, days, energies, monitor, queue, readings
from meterhouse.store.days import Mark
from meterhouse.store.db import Connection, Database
from meterhouse.units import EPOCH
from meterhouse.words import N_

SUMS_PROOF: Final = "sums_equal_transfers"
PROOFS: Final = (SUMS_PROOF, *days.PROOFS)
_US: Final = timedelta(microseconds=1)


class DayNotOver(BadInput):
    """{day} is still to come."""

    code = "day_not_over"


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed day.

    Attributes:
        day: by the project's calendar.
        until_at: before this instant.
        totals: what it adds up to: `money`, `booked`, `energy` by their parts, and sums.
        proofs: how many rows contradict each proof.
        closed_at, actor: when, and by whom; empty where the platform did.
    """

    day: date
    until_at: datetime
    totals: Mapping[str, Any]
    proofs: Mapping[str, int]
    closed_at: datetime
    actor: str

    @property
    def is_proved(self) -> bool:
        """Whether every proof held."""
        return not any(self.proofs.values())


async def close_days(
    db: Database, project_id: int, until_day: date | None, actor_id: int | None, at: datetime
) -> list[date]:
    """Close every open day up to one, and say which they were; none where all are closed.

    Args:
        db: the database.
        project_id: the project.
        until_day: the last day to close; today ends at once, and what follows belongs to
            tomorrow. None for yesterday.
        actor_id: who closes, None for the platform.
        at: the present instant.

    Raises:
        DayNotOver: the day is still to come.
    """
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        last = await days.last_day(connection, project_id)
    zone = ZoneInfo(project["timezone"])
    today = at.astimezone(zone).date()
    until_day = until_day or today - timedelta(days=1)
    if until_day > today:
        raise DayNotOver(day=until_day)
    first = until_day if last is None else last["day"] + timedelta(days=1)
    wanted = [first + timedelta(days=n) for n in range((until_day - first).days + 1)]
    if not wanted:
        return []
    # The last one holds all that was used before it ended, so its bookings belong to it.
    await close.book_day(db, project_id, min(_end(wanted[-1], zone), at) - _US)
    return [
        day for day in wanted
        if await _close(db, project_id, day, min(_end(day, zone), at), actor_id, at)
    ]  # fmt: skip


def _end(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), zone)


async def _close(
    db: Database, project_id: int, day: date, until_at: datetime,
    actor_id: int | None, at: datetime,
) -> bool:  # fmt: skip
    async with db.transaction([project_id], monitor.project_lock(project_id)) as connection:
        await energies.hold(connection, project_id)
        last = await days.last_day(connection, project_id)
        before = _mark_of(last)
        if before.until_at >= until_at:
            return False
        # Whoever writes a transfer or a charge holds this lock, so none of before is on its way.
        mark = Mark(
            await days.last_transfer(connection, project_id), until_at,
            await energies.begin(connection, project_id, before.until_at, until_at),
        )  # fmt: skip
    async with db.transaction([project_id]) as connection:
        await days.quick(connection)
        known = json.loads(last["totals"])["accounts"] if last else []
        totals = await _totals(connection, project_id, before, mark, known)
        proofs = await _prove(connection, project_id, mark, totals["accounts"], day)
        # Where somebody else has begun to close meanwhile, it is theirs to write.
        done = await energies.stands(
            connection, project_id, before.until_at, until_at
        ) and await days.insert_day(connection, project_id, day, mark, totals, proofs, actor_id, at)
        if done:
            await _tell(connection, project_id, proofs, at)
            project = await catalog.get_project(connection, project_id)
            policy = policies.read(project["policy"])
            await drift.write_day(connection, project, policy, day, until_at, at)
    return done


def _mark_of(last: Any) -> Mark:
    """How far the last closed day goes; to nowhere where none was closed yet."""
    if last is None:
        return Mark(0, EPOCH)
    return Mark(last["last_transfer_id"], last["until_at"], last["last_difference_id"])


async def _totals(
    connection: Connection, project_id: int, before: Mark, mark: Mark,
    known: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """What a day adds up to, and what all days up to it add up to by kind of account."""
    span = (connection, project_id, before, mark)
    money = [dict(row) for row in await days.money(*span)]
    booked = [dict(row) for row in await days.booked(*span)]
    noted = before.last_difference_id, mark.last_difference_id
    energy = await energies.energy(connection, project_id, before.until_at, mark.until_at, noted)
    accounts = {(one["kind"], one["unit"]): dict(one) for one in known}
    for row in await days.sides(*span):
        one = accounts.setdefault(
            (row["kind"], row["unit"]),
            {"kind": row["kind"], "unit": row["unit"], "debit_minor": 0, "credit_minor": 0},
        )
        one["debit_minor"] += row["debit_minor"]
        one["credit_minor"] += row["credit_minor"]
    return {
        "money": money,
        "booked": booked,
        "energy": [dict(row) for row in energy],
        "accounts": list(accounts.values()),
        "order_count": sum(one["count"] for one in money),
        "in_minor": went(money, Direction.IN),
        "out_minor": went(money, Direction.OUT),
        "booked_minor": sum(one["amount_minor"] for one in booked),
    }


def went(money: Sequence[Mapping[str, Any]], direction: Direction) -> int:
    """What orders brought in this direction, never negative."""
    return sum(
        one["amount_minor"] for one in money
        if direction_of(one["kind"], one["channel"]) is direction
    )  # fmt: skip


async def _prove(
    connection: Connection, project_id: int, mark: Mark, accounts: Sequence[Mapping[str, Any]],
    day: date,
) -> dict[str, int]:  # fmt: skip
    """How many rows contradict each proof; the share of the books is another one each day."""
    share = day.toordinal() % days.SHARES
    proofs = {SUMS_PROOF: await days.sums_differ(connection, project_id, mark, accounts)}
    for proof in days.PROOFS:
        proofs[proof] = await days.contradicting(
            connection, project_id, proof, share, mark.until_at
        )
    return proofs


async def _tell(
    connection: Connection, project_id: int, proofs: Mapping[str, int], at: datetime
) -> None:
    """A proof that fails is an alarm; one that holds again closes it."""
    failed = [
        queue.NewAlarm(AlarmKind.PROOF_FAILED, f"proof:{proof}", facts={"why": proof, "rows": rows})
        for proof, rows in proofs.items() if rows
    ]  # fmt: skip
    await queue.open_alarms(connection, project_id, failed, at)
    held = [f"proof:{proof}" for proof, rows in proofs.items() if not rows]
    await queue.close_alarms(connection, project_id, AlarmKind.PROOF_FAILED, held, at)
    await readings.bump(connection, project_id)


async def prove_again(db: Database, project_id: int, at: datetime) -> Mapping[str, int]:
    """Prove the books as they stand now, of every share, and open or close the alarms.

    Raises:
        Conflict: no day was closed yet, so there is nothing to go on from.
    """
    async with db.transaction([project_id]) as connection:
        await days.quick(connection)
        last = await days.last_day(connection, project_id)
        if last is None:
            raise Conflict(N_("Proof"), N_("no day was closed yet"))
        mark = Mark(last["last_transfer_id"], last["until_at"])
        known = json.loads(last["totals"])["accounts"]
        proofs = {SUMS_PROOF: await days.sums_differ(connection, project_id, mark, known)}
        for proof in days.PROOFS:
            proofs[proof] = 0
            for share in range(days.SHARES):
                rows = await days.contradicting(connection, project_id, proof, share, mark.until_at)
                proofs[proof] = max(proofs[proof], rows)
        await _tell(connection, project_id, proofs, at)
    return proofs


async def closed_day(db: Database, project_id: int, day: date) -> Closed:
    """One closed day. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await days.get_day(connection, project_id, day)
    if row is None:
        raise NotFound(N_("Closed day"), f"{day:%Y%m%d}")
    return Closed(
        row["day"], row["until_at"], json.loads(row["totals"]), json.loads(row["proofs"]),
        row["closed_at"], row["actor"],
    )  # fmt: skip


def day_of(day_id: int) -> date:
    """The day whose number is YYYYMMDD. Raises `NotFound` for what is none."""
    try:
        return date.fromisoformat(f"{day_id:08d}")
    except ValueError:
        raise NotFound(N_("Closed day"), day_id) from None
