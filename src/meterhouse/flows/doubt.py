"""A person decides about a reading: accept it, begin a track, correct it, discard it.

Owns what a decision needs before it is written, and that its money is posted at once: the chain is
judged again with the decision at its instant, and the difference goes the way of a late reading.
Any stored reading can be decided about, for a slip of the hand that lies within all limits is
doubted by a person alone; it is named by its doubt, or by its meter and its number there. Nothing
is edited, neither reading nor decision: the last one of an instant holds. Must never judge by
itself: whether a decision makes a reading good is the judgement's word, and one that does not is
refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from meterhouse.errors import BadInput, MeterhouseError, NotFound
from meterhouse.flows import late, react
from meterhouse.flows.payers import time_at
from meterhouse.flows.prices import Tariffs, bands_until_of, named
from meterhouse.model import AlarmKind, Commodity, Keeper, Quality
from meterhouse.rating.arrays import AT_US_MAX
from meterhouse.rating.decided import Decided
from meterhouse.store import catalog, doubts, monitor, payers, points, queue, readings
from meterhouse.store.db import Connection, Database
from meterhouse.store.doubts import NewDecision
from meterhouse.units import to_us
from meterhouse.words import N_

AROUND: Final = 48
"""So many readings before a doubt are shown, and as many after it."""


class ReadingPast(MeterhouseError):
    """The meter of this reading serves its room no more; nothing can be decided about it."""

    code = "reading_past"
    http_status = 409


class StillDoubtful(MeterhouseError):
    """The reading would stay doubtful: it falls, contradicts itself or says far too much."""

    code = "still_doubtful"
    http_status = 409


class UsedUnfit(BadInput):
    """The tariff bills by the meter's own bands; correct the registers instead."""

    code = "used_unfit"
    field = "used"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person says of a reading.

    Attributes:
        registers_milli: total, then 尖峰平谷, as they should read (−1: not said); for a correction.
        used_milli: multiplied, what was used before the track that begins.
    """

    decided: Decided
    reason: str
    registers_milli: tuple[int, int, int, int, int] | None = None
    used_milli: int = 0


class OfMeter(NamedTuple):
    """A reading named by its meter and its instant there, in µs since 1970 UTC."""

    meter_id: int
    reading_id: int


Which = int | OfMeter
"""A reading: the id of its doubt, or its name at its meter."""


@dataclass(frozen=True, slots=True)
class Charged:
    """What one payer is charged for the intervals that a decision changes, before it and after.

    Attributes:
        agreement_id: None where the account belongs to no household.
        customer: masked; None where there is none.
        is_present: whether it is who pays for the point now.
    """

    agreement_id: int | None
    customer: str | None
    is_erased: bool
    is_present: bool
    before_milli: int = 0
    before_nano: int = 0
    after_milli: int = 0
    after_nano: int = 0


@dataclass(frozen=True, slots=True)
class Weight:
    """What a decision changes beyond the one reading.

    Attributes:
        since, until: the span of the intervals that change; None where none does.
        payers: those who are charged for them, who pays now first.
        closed_days: how many closed days it speaks of, the first and the last of them.
        doubted_count: readings that are doubtful from now on and were not before.
        estimated_milli, estimated_nano: what was estimated and is taken back with it, not among
            what payers were charged; should the silence go on, it is estimated anew.
    """

    since: datetime | None
    until: datetime | None
    payers: tuple[Charged, ...]
    closed_days: tuple[int, date | None, date | None]
    doubted_count: int
    estimated_milli: int = 0
    estimated_nano: int = 0


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """What a decision did: its number among those of its reading, and the difference in Nano."""

    number: int
    difference_nano: int


@dataclass(frozen=True, slots=True)
class Outcome(DecisionMade):
    """A decision with what it weighs; `commodity` names the unit of its energy.

    Unless `is_kept`, the money of that time was kept elsewhere, and its amounts are only counted.
    """

    commodity: Commodity
    is_kept: bool
    weight: Weight


@dataclass(frozen=True, slots=True)
class Doubt:
    """A reading with what was decided about it, and the readings around it."""

    row: Any
    history: Sequence[Any]
    around: Sequence[Any]

    @property
    def quality(self) -> Quality:
        """How it stands, as the list of readings says it."""
        here = next(one for one in self.around if one["read_at"] == self.row["read_at"])
        return quality_of(here)

    @property
    def before_milli(self) -> int | None:
        """What the last reading before it that counts says, as it was corrected."""
        before = [
            one for one in self.around
            if one["read_at"] < self.row["read_at"] and one["decided"] != Decided.DISCARD
            and not one["is_doubtful"] and one["total_milli"] >= 0
        ]  # fmt: skip
        if not before:
            return None
        milli: int = (before[-1]["registers_milli"] or [before[-1]["total_milli"]])[0]
        return milli


def quality_of(row: Any) -> Quality:
    """How a reading among those around another stands."""
    if row["is_doubtful"]:
        return Quality.DOUBTFUL
    if row["decided"] is not None:
        return Quality.EDITED
    return Quality(row["quality"] or 0)


async def look(db: Database, project_id: int, which: Which) -> Doubt:
    """One reading as a person decides about it. Raises `NotFound`."""
    async with db.transaction([project_id]) as connection:
        row = await _found(connection, project_id, which)
        return Doubt(
            row, await doubts.history(connection, project_id, row),
            await doubts.around(connection, project_id, row, AROUND),
        )  # fmt: skip


async def names(db: Database, project_id: int, doubt_ids: Sequence[int]) -> list[Any]:
    """building, room, read_at of each. Raises `NotFound` for one that is not in sight."""
    async with db.transaction([project_id]) as connection:
        found = await doubts.names(connection, project_id, doubt_ids)
    for doubt_id in doubt_ids:
        if doubt_id not in found:
            raise NotFound(N_("Doubtful reading"), doubt_id)
    return [found[doubt_id] for doubt_id in doubt_ids]


async def decide(
    db: Database, tariffs: Tariffs, project_id: int, which: Which, said: Decision,
    actor_id: int | None, at: datetime,
) -> Outcome:  # fmt: skip
    """Decide about one stored reading, doubtful or not, and post what it changes.

    Raises:
        NotFound: no such reading or doubt is in sight.
        ReadingPast: its meter serves the point no more, or in another register epoch.
        UsedUnfit: energy between two tracks is said where the tariff needs the meter's bands.
        StillDoubtful: the decision does not make the reading good.
    """
    async with db.transaction([project_id]) as connection:
        row = await _found(connection, project_id, which)
        await monitor.lock_meters(connection, project_id, np.array([row["meter_id"]]))
        project = await catalog.get_project(connection, project_id)
        columns = await points.load(connection, project_id, np.array([row["meter_id"]]))
        here = np.flatnonzero(columns["meter_id"] == row["meter_id"])
        if not len(here) or columns["register_epoch"][here[0]] != row["register_epoch"]:
            raise ReadingPast
        account_id = int(columns["account_id"][here[0]])
        before = await _standing(connection, project_id, row)
        done = await put(
            connection, tariffs, project, columns, int(here[0]), row["read_at"], said, actor_id, at
        )
        if (await _found(connection, project_id, which))["is_doubtful"]:
            raise StillDoubtful
        after = await _standing(connection, project_id, row)
        if said.used_milli:
            await _check_bands(connection, tariffs, project_id, row, after)
        await _tell(connection, project, row, account_id, after.waiting, at)
        weight = await _weigh(connection, project, account_id, before, after)
        is_kept = await _is_kept(connection, project_id, row, before, after)
    return Outcome(done.number, done.difference_nano, Commodity(row["commodity"]), is_kept, weight)


async def put(
    connection: Connection, tariffs: Tariffs, project: Any, columns: dict[str, Any], row: int,
    read_at: datetime, said: Decision, actor_id: int | None, at: datetime,
) -> DecisionMade:  # fmt: skip
    """Write a decision about any stored reading of a loaded point, and rate its chain anew."""
    key = int(columns["meter_id"][row]), int(columns["register_epoch"][row]), read_at
    new = NewDecision(int(said.decided), said.registers_milli, said.used_milli, said.reason)
    number = await doubts.decide(connection, project["id"], key, new, actor_id, at)
    difference_nano = await late.rerate(
        connection, tariffs, project, columns, row, to_us(read_at), at
    )
    return DecisionMade(number, difference_nano)


async def _found(connection: Connection, project_id: int, which: Which) -> Any:
    if isinstance(which, OfMeter):
        row = None
        if which.reading_id <= AT_US_MAX:
            row = await doubts.get_reading(connection, project_id, *which)
        if row is None:
            raise NotFound(N_("Reading"), which.reading_id)
        return row
    row = await doubts.get_doubt(connection, project_id, which)
    if row is None:
        raise NotFound(N_("Doubtful reading"), which)
    return row


class _Standing(NamedTuple):
    """A point before or after a decision: what it is charged from the reading on, what waits."""

    charges: Sequence[Any]
    waiting: Sequence[Any]


async def _check_bands(
    connection: Connection, tariffs: Tariffs, project_id: int, row: Any, after: _Standing
) -> None:
    """Energy that somebody says is of no band: a span that is priced by bands can have none."""
    ends = {one["ended_at"]: one["started_at"] for one in after.charges}
    if row["read_at"] not in ends:
        return
    key = connection, project_id
    history = (await catalog.tariffs_before(*key, [row["point_id"]])).get(row["point_id"], [])
    schemes = await tariffs.load(*key, sorted(named([history])))
    if bands_until_of(history, schemes, to_us(row["read_at"])) > to_us(ends[row["read_at"]]):
        raise UsedUnfit


async def _standing(connection: Connection, project_id: int, row: Any) -> _Standing:
    # What was estimated since the last good reading is taken back, whichever reading it is about.
    since, point_id = min(row["read_at"], row["good_at"]), row["point_id"]
    return _Standing(
        await doubts.charged(connection, project_id, point_id, since),
        await doubts.waiting(connection, project_id, point_id),
    )


def _differ(before: _Standing, after: _Standing) -> tuple[list[Any], list[Any]]:
    """The charges that are no more, and those that have come."""
    was, now = ({tuple(one.values()): one for one in side.charges} for side in (before, after))
    lost = [one for key, one in was.items() if key not in now]
    return lost, [one for key, one in now.items() if key not in was]


async def _is_kept(
    connection: Connection, project_id: int, row: Any, before: _Standing, after: _Standing
) -> bool:
    """Whether the platform keeps the money of anything that changes; of nothing: of the point."""
    lost, come = _differ(before, after)
    if not lost and not come:
        return bool(row["keeper"] == Keeper.PLATFORM)
    point_id = row["point_id"]
    times = (await payers.history(connection, project_id, [point_id]))[point_id]
    return any(time_at(times, to_us(one["started_at"])).is_kept for one in (*lost, *come))


async def _weigh(
    connection: Connection, project: Any, account_id: int, before: _Standing, after: _Standing
) -> Weight:
    """What differs between the two, payer by payer."""
    lost, come = _differ(before, after)
    guessed = [one for one in lost if one["quality"] == Quality.ESTIMATED]
    gone = [one for one in lost if one["quality"] != Quality.ESTIMATED]
    new_doubts = {one["id"] for one in after.waiting} - {one["id"] for one in before.waiting}
    estimated = [sum(one[name] for one in guessed) for name in ("energy_milli", "amount_nano")]
    if not gone and not come:
        return Weight(None, None, (), (0, None, None), len(new_doubts), *estimated)
    since = min(one["started_at"] for one in (*gone, *come))
    until = max(one["ended_at"] for one in (*gone, *come))
    zone = ZoneInfo(project["timezone"])
    first, last = (at.astimezone(zone).date() for at in (since, until - timedelta(microseconds=1)))
    closed = await doubts.closed_days(connection, project["id"], first, last)
    return Weight(
        since, until, await _payers(connection, project["id"], account_id, gone, come),
        (closed["count"], closed["first"], closed["last"]), len(new_doubts), *estimated,
    )  # fmt: skip


async def _payers(
    connection: Connection, project_id: int, account_id: int, gone: Sequence[Any],
    come: Sequence[Any],
) -> tuple[Charged, ...]:  # fmt: skip
    """Energy and money by who is charged; the accounts of one household are one payer."""
    ids = sorted({one["account_id"] for one in (*gone, *come)})
    known = await doubts.payers(connection, project_id, ids, account_id)
    found: dict[int | None, Charged] = {}
    for side, charges in (("before", gone), ("after", come)):
        for one in charges:
            who = known.get(one["account_id"])
            key = None if who is None else who["agreement_id"]
            payer = found.get(key) or Charged(
                key, None if who is None else who["customer"],
                who is not None and who["is_erased"], who is None or who["is_present"],
            )  # fmt: skip
            milli, nano = f"{side}_milli", f"{side}_nano"
            found[key] = replace(payer, **{
                milli: getattr(payer, milli) + one["energy_milli"],
                nano: getattr(payer, nano) + one["amount_nano"],
            })  # fmt: skip
    return tuple(sorted(found.values(), key=lambda one: not one.is_present))


async def _tell(
    connection: Connection, project: Any, row: Any, account_id: int, waiting: Sequence[Any],
    at: datetime,
) -> None:  # fmt: skip
    """Let the alarm say whether anything waits, and look again at what may be spent."""
    project_id, point_id = project["id"], row["point_id"]
    subject = f"point:{point_id}"
    if waiting:
        alarm = queue.NewAlarm(
            AlarmKind.READING_DOUBTFUL, subject, point_id=point_id, meter_id=row["meter_id"],
            facts={"why": waiting[0]["why"]},
        )  # fmt: skip
        await queue.open_alarms(connection, project_id, [alarm], at)
    else:
        await queue.close_alarms(connection, project_id, AlarmKind.READING_DOUBTFUL, [subject], at)
    meter_ids = {row["meter_id"]}
    if account_id:
        meter_ids |= set(await monitor.meters_of_account(connection, project_id, account_id))
    await react.look_again(connection, project, sorted(meter_ids), at)
    await readings.bump(connection, project_id)
