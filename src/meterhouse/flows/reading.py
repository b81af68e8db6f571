"""River 1: readings arrive, and in one transaction they are stored, rated, accrued and decided.

Owns the order of that transaction. Everything is set-based: a chunk of up to `CHUNK_MAX` readings
of one project is loaded, judged, rated and stored as columns. A replay is harmless: a reading that
is there already changes nothing; one that comes late is put where it belongs in time, its chain is
judged and rated again, and the difference is posted. What cannot be billed is kept and alarmed.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.control.decide import KeeperCode
from meterhouse.errors import BadInput, OutOfRange
from meterhouse.flows import late, latecomers, past, react, wallet
from meterhouse.flows.past import Share
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.rate import Chain, chain_state, charge_rows, rate_chain
from meterhouse.ledger.book import available_minor
from meterhouse.model import AlarmKind, Quality, Relay
from meterhouse.rating.delta import Verdict
from meterhouse.store import bills, catalog, doubts, estimates, monitor, points, queue, readings
from meterhouse.store.columns import distinct, find
from meterhouse.store.db import Connection, Database
from meterhouse.units import from_us, nano_per_minor, to_us

Ints = NDArray[np.int64]
CHUNK_MAX = 100_000
# A batch of more readings is worth two transactions.
ALONE_MAX = 20_000
FUTURE_MAX = timedelta(minutes=5)
OLDEST = "2000-01-01T00:00:00+00:00"
SOURCE_BY_HAND = 3


class OpeningUnfit(BadInput):
    """An opening register needs a room to bill, and must be one that the meter can show."""

    code = "opening_unfit"
    field = "opening"


@dataclass(frozen=True, slots=True)
class Batch:
    """m readings of one project, in any order. Arrays of shape (m,), `milli` (m, 5).

    `milli` is total, then 尖峰平谷, as the meter shows them (−1: not reported); `relay` a
    `model.Relay`; `keep_power`, `power_w`, `credit_minor` are −1 where the meter did not say;
    `source` is 0 live, 1 the gateway's store, 2 the meter's freeze, 3 a person at the meter.
    `purse`, of shape (m, 3), is counter, credit and overdraft as the meter said them together (−1:
    not said); None where no meter of the batch keeps one.
    """

    meter_id: Ints
    read_at_us: Ints
    milli: Ints
    relay: Ints
    keep_power: Ints
    power_w: Ints
    credit_minor: Ints
    source: Ints
    purse: Ints | None = None

    def take(self, which: Any) -> "Batch":
        """The readings of a mask or an index."""
        taken: Any = [
            None if column is None else column[which]
            for column in (getattr(self, name) for name in self.__dataclass_fields__)
        ]
        return Batch(*taken)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a batch; the counts add up to its length but for `commands`.

    `soon`: meters whose household is forecast to run out before the next round.
    """

    fresh: int = 0
    late: int = 0
    repeated: int = 0
    conflicting: int = 0
    unplaced: int = 0
    doubtful: int = 0
    commands: int = 0
    soon: tuple[int, ...] = field(default=())

    def __add__(self, other: "Ingested") -> "Ingested":
        return Ingested(
            *(getattr(self, one.name) + getattr(other, one.name) for one in fields(self))
        )


async def ingest(
    db: Database, tariffs: Tariffs, project_id: int, batch: Batch, at: datetime
) -> Ingested:
    """Store, judge, rate, accrue and decide one chunk. Committed when it returns.

    A large chunk goes in two transactions side by side, a half of the meters each, so that two
    cores of the database work on it. If one fails it raises, and the other may be committed: the
    same chunk again is harmless.

    Raises:
        OutOfRange: more than `CHUNK_MAX` readings.
    """
    if len(batch.meter_id) > CHUNK_MAX:
        raise OutOfRange("readings in a chunk", len(batch.meter_id), 0, CHUNK_MAX)
    done = await asyncio.gather(
        *(_commit(db, tariffs, project_id, part, at) for part in _halves(batch)),
        return_exceptions=True,
    )
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return sum((one for one in done if isinstance(one, Ingested)), Ingested())


async def note_opening(
    db: Database, project_id: int, meter_id: int, opening_milli: int, at: datetime
) -> None:
    """What a meter's total register shows as it is put in, read by a person: billed from there on.

    Raises:
        OpeningUnfit: it cannot be billed from, as where the tariff needs the meter's own bands.
    """
    unsaid = np.full(1, -1, dtype=np.int64)
    milli = np.full((1, 5), -1, dtype=np.int64)
    milli[0, 0] = opening_milli
    batch = Batch(
        np.array([meter_id]), np.array([to_us(at)]), milli, np.array([int(Relay.UNKNOWN)]), unsaid,
        unsaid, unsaid, np.array([SOURCE_BY_HAND]),
    )  # fmt: skip
    done = await ingest(db, Tariffs(), project_id, batch, at)
    if done.fresh != 1 or done.doubtful:
        raise OpeningUnfit


async def set_aside(db: Database, project_id: int, batch: Batch, why: str, at: datetime) -> None:
    """Keep readings that the flow refuses for a reason of their own, so that the rest goes on."""
    async with db.transaction([project_id]) as connection:
        await _lay_aside(connection, project_id, batch, np.full(len(batch.meter_id), why), at)
        await readings.bump(connection, project_id)


def _halves(batch: Batch) -> list[Batch]:
    """The batch, or where it is large its lower and upper meters, cut between two locks."""
    if len(batch.meter_id) <= ALONE_MAX:
        return [batch]
    cut = int(np.median(batch.meter_id)) >> monitor.LOCK_BITS << monitor.LOCK_BITS
    low = batch.meter_id < cut
    return [batch.take(which) for which in (low, ~low) if which.any()]


async def _commit(
    db: Database, tariffs: Tariffs, project_id: int, batch: Batch, at: datetime
) -> Ingested:
    async with db.transaction([project_id]) as connection:
        await monitor.lock_meters(connection, project_id, batch.meter_id)
        project = await catalog.get_project(connection, project_id)
        done = await take(connection, tariffs, project, batch, at)
        await readings.bump(connection, project_id)
        return done


async def take(
    connection: Connection, tariffs: Tariffs, project: Any, batch: Batch, at: datetime
) -> Ingested:
    """`ingest` inside its caller's transaction, which has locked these meters or the project."""
    columns = await points.load(connection, project["id"], distinct(batch.meter_id))
    row, placed = find(columns["meter_id"], batch.meter_id)
    now_us = to_us(at)
    sane = (batch.read_at_us <= now_us + int(FUTURE_MAX.total_seconds()) * 1_000_000) & (
        batch.read_at_us >= to_us(datetime.fromisoformat(OLDEST))
    )
    # What a meter stored before it came here is none of its point's.
    here = batch.read_at_us >= columns["serves_at"][row] if len(columns["serves_at"]) else placed
    usable = placed & sane & here
    unplaced = len(row) - int(usable.sum())
    if unplaced:
        whys = np.where(placed, np.where(sane, "before", "instant"), "meter")[~usable]
        await _lay_aside(connection, project["id"], batch.take(~usable), whys, at)
        batch, row = batch.take(usable), row[usable]
    order = np.lexsort((batch.read_at_us, row))
    batch, row = batch.take(order), row[order]
    newer = batch.read_at_us > columns["read_at"][row]
    again = (np.diff(row, prepend=-1) == 0) & (np.diff(batch.read_at_us, prepend=0) == 0)
    torn = newer & _torn(again, batch.milli)
    fresh = newer & ~again
    stored = reading_rows(project["id"], columns, batch, row, at)
    news = {name: values[fresh] for name, values in stored.items()}
    await readings.insert_fresh(connection, "reading", readings.READING, news)
    done = Ingested(unplaced=unplaced, fresh=int(fresh.sum()))
    if not fresh.all():
        olds = {name: values[~fresh] for name, values in stored.items()}
        done = await _put_late(connection, tariffs, project, columns, olds, row[~fresh], done, at)
    await readings.note_read(
        connection, project["id"], columns["point_id"][row[torn]], batch.read_at_us[torn]
    )
    await _end_silence(connection, project, columns, row[fresh], at)
    sound = fresh & ~torn
    commands, doubtful, soon = await _move(
        connection, tariffs, project, columns, batch.take(sound), row[sound], at
    )
    return replace(done, commands=commands, doubtful=doubtful, soon=soon)


async def _end_silence(
    connection: Connection, project: Any, columns: dict[str, Ints], row: Ints, at: datetime
) -> None:
    """Drop what was estimated for points that speak again, before they are judged."""
    spoke = np.unique(row)
    for one in spoke[columns["estimated_at"][spoke] > columns["good_at"][spoke]].tolist():
        await late.drop_estimates(connection, project, columns, one, at)


def _torn(again: NDArray[np.bool_], milli: Ints) -> NDArray[np.bool_]:
    """Which readings share their instant with one that shows other registers: none of them bills.

    `again` marks the readings of the same meter and instant as the one before.
    """
    if not again.any():
        return again
    group = np.cumsum(~again) - 1
    differs = (milli != milli[~again][group]).any(axis=1)
    return np.isin(group, group[differs])


def reading_rows(
    project_id: int, columns: Mapping[str, Ints], batch: Batch, row: Ints, at: datetime
) -> dict[str, Ints]:
    """A batch as the store's columns; `row` is the place of each reading's meter in `columns`."""
    count = len(row)
    return {
        "project_id": np.full(count, project_id),
        "meter_id": batch.meter_id,
        "register_epoch": columns["register_epoch"][row],
        "read_at": batch.read_at_us,
        "received_at": np.full(count, to_us(at)),
        "total_milli": batch.milli[:, 0],
        **{name: batch.milli[:, 1 + i] for i, name in enumerate(readings.BANDS)},
        "power_w": batch.power_w,
        "credit_minor": batch.credit_minor,
        "relay": batch.relay,
        "source": batch.source,
    }


async def _lay_aside(
    connection: Connection, project_id: int, batch: Batch, whys: NDArray[np.str_], at: datetime
) -> None:
    """Keep what cannot be placed, and say so aloud: `instant` or `meter` unknown, or `refused`."""
    for i in range(len(batch.meter_id)):
        key = (project_id, int(batch.meter_id[i]), 0, from_us(batch.read_at_us[i]), at)
        await readings.lay_aside(connection, project_id, key, batch.milli[i].tolist(), whys[i])
    alarms = [
        queue.NewAlarm(AlarmKind.READING_UNPLACED, f"meter:{meter_id}", facts={"why": str(why)})
        for meter_id, why in sorted(set(zip(batch.meter_id.tolist(), whys.tolist(), strict=True)))
    ]
    await queue.open_alarms(connection, project_id, alarms, at)


async def _put_late(
    connection: Connection, tariffs: Tariffs, project: Any, columns: dict[str, Ints],
    olds: Mapping[str, Ints], row: Ints, done: Ingested, at: datetime,
) -> Ingested:  # fmt: skip
    """Store readings that came again or late; judge and rate the chains they belong to anew."""
    new, conflict = await readings.insert_staged(connection, project["id"], olds)
    changed = new | conflict
    if conflict.any():
        noted = [
            (
                int(columns["point_id"][row[i]]), int(olds["meter_id"][i]),
                int(olds["register_epoch"][i]), from_us(int(olds["read_at"][i])),
                int(Verdict.CONFLICT),
            )
            for i in np.flatnonzero(conflict)
        ]  # fmt: skip
        await doubts.note(connection, project["id"], noted, at)
    judged = changed & (olds["read_at"] <= columns["read_at"][row])
    doubted = _waits(columns)
    rows, first = np.unique(row[judged], return_index=True)  # sorted by row, then by instant
    from_at_us = olds["read_at"][judged][first]
    key = connection, tariffs, project, columns
    left = await latecomers.rerate(*key, rows, from_at_us)
    for one, since_us in zip(left.tolist(), from_at_us[np.isin(rows, left)].tolist(), strict=True):
        await late.rerate(*key, one, since_us, at)
    doubts_now = _waits(columns)
    explained = [f"point:{point_id}" for point_id in columns["point_id"][doubted & ~doubts_now]]
    await queue.close_alarms(connection, project["id"], AlarmKind.READING_DOUBTFUL, explained, at)
    whys = dict.fromkeys(np.flatnonzero(doubts_now & ~doubted).tolist(), "late")
    whys |= dict.fromkeys(np.unique(row[conflict]).tolist(), "conflict")
    await _open_doubts(connection, project["id"], columns, whys, at)
    return replace(
        done,
        late=int(new.sum()),
        conflicting=int(conflict.sum()),
        repeated=len(row) - int(changed.sum()),
    )


async def _move(
    connection: Connection, tariffs: Tariffs, project: Any, columns: dict[str, Ints],
    batch: Batch, row: Ints, at: datetime,
) -> tuple[int, int, tuple[int, ...]]:  # fmt: skip
    """Move the chains of fresh readings on, and react to what is available now."""
    project_id = project["id"]
    state = chain_state(columns)
    chain = await rate_chain(
        connection, tariffs, project, columns, state,
        (columns["block_milli"], columns["block_period_at"]), (row, batch.read_at_us, batch.milli),
    )  # fmt: skip
    before = await past.of_former(connection, project_id, columns, chain, row)
    await _store_charges(connection, project_id, columns, chain, row, before)
    touched = distinct(row)
    last = np.searchsorted(row, touched, side="right") - 1
    amount_nano = np.zeros(len(columns["point_id"]), dtype=np.int64)
    np.add.at(amount_nano, row, chain.rated.amount_nano)
    # Who keeps no money with the platform is rated beside it (a shadow), and accrues nothing here.
    kept = columns["keeper"] == KeeperCode.PLATFORM
    accrual_nano = np.where(kept, amount_nano, 0)
    for one, shares in before.items():
        accrual_nano[one] -= sum(share.nano for share in shares) if kept[one] else 0
    now = _said_last(columns, touched, batch.take(last))
    columns["accrued_nano"] = columns["accrued_nano"] + accrual_nano
    shared = await readings.shared_accruals(connection, project_id, now["account_id"])
    available = _available(now, columns, touched, accrual_nano, shared, project)
    level = react.levels(now, available)
    after = chain.judged.state
    await readings.update_round(
        connection, project_id,
        {
            "point_id": now["point_id"], "read_at": now["read_at"],
            "good_at": after.good_at_us[touched],
            **{
                name: after.good_milli[touched, i]
                for i, name in enumerate(points.REGISTERS)
            },
            "block_milli": chain.rated.block_milli[touched],
            "block_period_at": chain.rated.block_period_us[touched],
            "amount_nano": amount_nano[touched], "accrual_nano": accrual_nano[touched],
            "relay": now["relay"], "relay_at": now["relay_at"],
            "keep_power": now["keep_power"], "power_w": batch.power_w[last],
            "credit_minor": batch.credit_minor[last], "warning_level": level,
        },
    )  # fmt: skip
    for one, shares in before.items():
        point_id = int(columns["point_id"][one])
        await past.book(connection, project, point_id, shares, at, is_kept=bool(kept[one]))
        # Whoever left was billed without it.
        await bills.touch(connection, project_id, [point_id], [from_us(int(state.good_at_us[one]))])
    doubtful = await _note_doubts(connection, project_id, columns, state, chain, row, at)
    commands = await react.react(connection, react.Setting.of(project), now, available, level, at)
    if batch.purse is not None:
        said = batch.take(last)
        await wallet.hear(connection, project, said.meter_id, said.read_at_us, said.purse, at)
    soon = _soon(now, available, chain, last, project)
    return commands, doubtful, soon


def _said_last(columns: Mapping[str, Ints], touched: Ints, last: Batch) -> dict[str, Ints]:
    """The touched points' columns with what each meter said last of its relay.

    A read-back may have overtaken a sample on its way here; the older word is not believed.
    """
    now = dict(columns)
    if len(touched) < len(columns["point_id"]):
        now = {name: values[touched] for name, values in columns.items()}
    newer = last.read_at_us >= now["relay_at"]
    told = newer & (last.relay != Relay.UNKNOWN)
    now["relay"] = np.where(told, last.relay, now["relay"])
    now["relay_at"] = np.where(told, last.read_at_us, now["relay_at"])
    now["keep_power"] = np.where(newer & (last.keep_power >= 0), last.keep_power, now["keep_power"])
    now["read_at"] = last.read_at_us
    return now


def _available(
    now: Mapping[str, Ints], columns: Mapping[str, Ints], touched: Ints, accrual_nano: Ints,
    shared: Mapping[int, int], project: Any,
) -> Ints:  # fmt: skip
    """Available credit after this round; accounts of several points count all their accruals."""
    accrued_nano = columns["accrued_nano"][touched]
    if shared:
        account_of = columns["account_id"]
        for account_id, before_nano in shared.items():
            mine = account_of[touched] == account_id
            if mine.any():
                accrued_nano[mine] = before_nano + accrual_nano[account_of == account_id].sum()
    return available_minor(
        now["balance_minor"], now["pending_debit_minor"], accrued_nano,
        project["currency_exponent"],
    )  # fmt: skip


async def _store_charges(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], chain: Chain, row: Ints,
    before: Mapping[int, tuple[Share, ...]],
) -> None:  # fmt: skip
    bills = chain.judged.billable
    if not bills.any():
        return
    mine, ended_us = row[bills], chain.judged.end_us[bills]
    version = np.ones(len(mine), dtype=np.int64)
    # Of an instant that was estimated once there is a charge already, taken back since.
    again = np.flatnonzero(ended_us <= columns["estimated_at"][mine])
    if len(again):
        keys = [(int(columns["point_id"][mine[i]]), from_us(int(ended_us[i]))) for i in again]
        known = await estimates.versions(connection, project_id, keys)
        version[again] = [known.get(key, 0) + 1 for key in keys]
    rows = charge_rows(project_id, columns, chain, row, bills, version)
    for one, shares in before.items():
        # None of another point's charges is part of these shares.
        past.number(rows, np.where(mine == one, chain.whose.since_us[bills], -1), shares)
    await readings.insert_charges(connection, project_id, rows)


async def _note_doubts(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], before: Any,
    chain: Chain, row: Ints, at: datetime,
) -> int:  # fmt: skip
    """Keep suspect tracks, and open or close the alarm that asks a person to look."""
    after = chain.judged.state
    moved = np.flatnonzero(
        (after.suspect_count != before.suspect_count)
        | (after.suspect_at_us != before.suspect_at_us)
    )
    await readings.update_suspects(
        connection, project_id,
        {
            "point_id": columns["point_id"][moved],
            "suspect_at": after.suspect_at_us[moved],
            **{name: after.suspect_milli[moved, i] for i, name in enumerate(points.SUSPECTS)},
            "suspect_count": after.suspect_count[moved],
        },
    )  # fmt: skip
    doubtful = chain.judged.quality == Quality.DOUBTFUL
    if doubtful.any():
        noted = [
            (
                int(columns["point_id"][row[i]]), int(columns["meter_id"][row[i]]),
                int(columns["register_epoch"][row[i]]), from_us(int(chain.judged.end_us[i])),
                int(chain.judged.verdict[i]),
            )
            for i in np.flatnonzero(doubtful)
        ]  # fmt: skip
        await doubts.note(connection, project_id, noted, at)
    waits = doubtful & (chain.judged.end_us > after.good_at_us[row])
    whys = {
        int(row[i]): "unpriced" if chain.unpriced[i] else Verdict(chain.judged.verdict[i]).name
        for i in np.flatnonzero(waits | chain.unpriced)
    }
    await _open_doubts(connection, project_id, columns, whys, at)
    waited = (before.suspect_count > 0) | (before.good_at_us < before.seen_at_us)
    cleared = np.flatnonzero(waited & (after.good_at_us > before.good_at_us))
    mended = [f"point:{columns['point_id'][one]}" for one in cleared if int(one) not in whys]
    await queue.close_alarms(connection, project_id, AlarmKind.READING_DOUBTFUL, mended, at)
    return int((doubtful | chain.unpriced).sum())


def _waits(columns: Mapping[str, Ints]) -> NDArray[np.bool_]:
    """Of which points the last reading is not good, so that something waits."""
    return (columns["suspect_count"] > 0) | (columns["good_at"] < columns["read_at"])


async def _open_doubts(
    connection: Connection, project_id: int, columns: Mapping[str, Ints],
    whys: Mapping[int, str], at: datetime,
) -> None:  # fmt: skip
    """Ask a person to look at these rows; nobody looks where nobody pays."""
    alarms = [
        queue.NewAlarm(
            AlarmKind.READING_DOUBTFUL, f"point:{columns['point_id'][one]}",
            point_id=int(columns["point_id"][one]), meter_id=int(columns["meter_id"][one]),
            facts={"why": why.lower()},
        )
        for one, why in whys.items()
        if columns["keeper"][one] != KeeperCode.NONE
    ]  # fmt: skip
    await queue.open_alarms(connection, project_id, alarms, at)


def _soon(
    now: Mapping[str, Ints], available: Ints, chain: Chain, last: Ints, project: Any
) -> tuple[int, ...]:
    """Meters whose household runs out before the next round at the pace of its last interval."""
    span_us = chain.judged.end_us[last] - chain.judged.start_us[last]
    interval_us = project["reading_interval_s"] * 1_000_000
    pace_minor = chain.rated.amount_nano[last] // nano_per_minor(project["currency_exponent"]) + 1
    next_minor = pace_minor * np.maximum(interval_us // np.maximum(span_us, 1), 1)
    watched = (now["keeper"] == KeeperCode.PLATFORM) & (now["relay"] == Relay.CLOSED)
    watched &= span_us > 0  # a first reading tells no pace
    left_minor = available - now["floor_minor"]
    near = watched & (left_minor >= 0) & (left_minor < next_minor)
    return tuple(now["meter_id"][near].tolist())
