"""Silence: what a point will have used is estimated, and a register that stands still is told.

Owns when something is estimated, that a point which cannot be says why by an alarm, and that an
estimate is a charge on top of the chain of readings and never part of it: a reading is judged
against the last true one, and `late` takes every estimate back as soon as anything is known.
Estimated energy warns a household; it never cuts one off. Must never know the rule itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from meterhouse.control import policy as policies
from meterhouse.flows import react
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.rate import Chain, charge_rows, rate_chain
from meterhouse.model import AlarmKind, Quality
from meterhouse.rating.delta import BAND_TOLERANCE_MILLI, ChainState, Verdict
from meterhouse.rating.estimate import DAY_US, DAYS, Used, estimate, estimate_bands, told
from meterhouse.store import catalog, estimates, explain, monitor, points, queue, readings
from meterhouse.store.columns import find
from meterhouse.store.db import Connection, Database
from meterhouse.units import EPOCH, from_us, to_us

Ints = NDArray[np.int64]
_NAMED: Final = ("point_id", "meter_id", "gateway_id")
STEP: Final = timedelta(hours=1)
"""An estimate goes on by at least as much."""
LONGEST: Final = timedelta(days=31)
"""Whoever is silent for longer is estimated no further; somebody has to go there."""
POINTS_MAX: Final = 500
TOO_LONG_MAX: Final = 10_000
"""At most so many points are told of that have been silent for too long."""


async def tend(db: Database, tariffs: Tariffs, project_id: int, at: datetime) -> int:
    """One round: estimate for the silent, tell of registers that stand still; answers how many."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        policy = policies.read(project["policy"])
        await _tell_stuck(connection, project, policy, at)
    after_id: int | None = 0 if policy.estimate_after_h else None
    whole = 0
    refused: list[queue.NewAlarm] = []
    while after_id is not None:
        count, why, after_id = await _estimate_some(db, tariffs, project_id, policy, after_id, at)
        whole += count
        refused += why
    async with db.transaction([project_id]) as connection:
        if policy.estimate_after_h:
            span = (EPOCH, at - LONGEST, TOO_LONG_MAX)
            rows = await estimates.too_long(connection, project_id, *span)
            refused += [_refusal(row, "silent_too_long") for row in rows]
        await _keep_open(connection, project_id, AlarmKind.ESTIMATE_MISSING, refused, at)
    return whole


async def _estimate_some(
    db: Database, tariffs: Tariffs, project_id: int, policy: policies.Policy, after_id: int,
    at: datetime,
) -> tuple[int, list[queue.NewAlarm], int | None]:  # fmt: skip
    """Estimate for a few of the silent, by meter: how many, who cannot be, where to go on."""
    after = timedelta(hours=policy.estimate_after_h)
    span = (after_id, at - LONGEST, at - after, at - STEP)
    async with db.transaction([project_id]) as connection:
        silent = await estimates.silent(connection, project_id, *span, POINTS_MAX)
        if not silent:
            return 0, [], None
        meter_ids = np.array([row["meter_id"] for row in silent], dtype=np.int64)
        await monitor.lock_meters(connection, project_id, meter_ids)
        # Somebody may have spoken before the lock was ours.
        silent = await estimates.silent(connection, project_id, *span, POINTS_MAX)
        project = await catalog.get_project(connection, project_id)
        held = [row for row in silent if row["meter_id"] in set(meter_ids.tolist())]
        done, refused = await _estimate(connection, tariffs, project, held, at)
        if done:
            await react.look_again(connection, project, done, at)
            await readings.bump(connection, project_id)
        last_id = int(meter_ids[-1]) if len(meter_ids) == POINTS_MAX else None
        return len(done), refused, last_id


async def _estimate(
    connection: Connection, tariffs: Tariffs, project: Any, silent: Sequence[Any], at: datetime
) -> tuple[list[int], list[queue.NewAlarm]]:
    """Estimate for these points up to now; answers the meters done, and the points refused."""
    if not silent:
        return [], []
    loaded = await points.load(
        connection, project["id"], np.array([row["meter_id"] for row in silent], dtype=np.int64)
    )
    place, _ = find(loaded["meter_id"], np.array([row["meter_id"] for row in silent]))
    columns = {name: values[place] for name, values in loaded.items()}
    from_us, register, blocks = _where_they_stand(columns, silent)
    before = await _before(connection, project["id"], columns)
    energy = _energies(columns, before, from_us, to_us(at))
    moved = np.array([-1 if milli is None else milli for milli in energy], dtype=np.int64)
    row = np.flatnonzero(moved >= 0)
    moved = np.maximum(moved, 0) // columns["multiplier"]
    registers = np.full((len(silent), 5), -1, dtype=np.int64)
    registers[:, 0] = (register + moved) % columns["modulus_milli"]
    chain = await rate_chain(
        connection, tariffs, project, columns, _standing(from_us, register), blocks,
        (row, np.full(len(row), to_us(at)), registers[row]),
    )  # fmt: skip
    done = [await _kept(connection, project["id"], columns, chain, row, at)]
    unpriced = row[chain.unpriced].tolist()
    # Where the tariff bills by the meter's own bands, a total alone is no reading.
    by_band = row[chain.judged.verdict == Verdict.UNUSABLE]
    if len(by_band):
        row, registers = await _by_band(
            connection, project["id"], columns, before, by_band, from_us, register, to_us(at)
        )
        chain = await rate_chain(
            connection, tariffs, project, columns, _standing(from_us, register, by_band), blocks,
            (row, np.full(len(row), to_us(at)), registers),
        )  # fmt: skip
        done.append(await _kept(connection, project["id"], columns, chain, row, at))
        unpriced += row[chain.unpriced].tolist()
    whys = dict.fromkeys(range(len(silent)), "days_unknown")
    whys |= dict.fromkeys(unpriced, "price_missing")
    places = [place for some in done for place in some.tolist()]
    for place in places:
        del whys[place]
    refused = [
        _refusal({name: int(columns[name][place]) or None for name in _NAMED}, why)
        for place, why in whys.items()
    ]
    return sorted(int(one) for one in columns["meter_id"][places]), refused


def _where_they_stand(
    columns: Mapping[str, Ints], silent: Sequence[Any]
) -> tuple[Ints, Ints, tuple[Ints, Ints]]:
    """Instant, register and blocks at the end of what is known or was estimated already."""
    last = [row if row["ended_at"] is not None else None for row in silent]

    def pick(name: str, column: str) -> Ints:
        return np.array(
            [
                int(columns[column][i]) if one is None
                else to_us(one[name]) if name.endswith("_at") else int(one[name])
                for i, one in enumerate(last)
            ],
            dtype=np.int64,
        )  # fmt: skip

    blocks = (pick("block_milli", "block_milli"), pick("block_period_at", "block_period_at"))
    return pick("ended_at", "good_at"), pick("total_milli", "good_0_milli"), blocks


def _standing(from_us: Ints, register: Ints, by_band: Ints | None = None) -> ChainState:
    """Chains whose last good reading is where the estimate begins; bands are told from there."""
    empty = ChainState.empty(len(from_us))
    empty.good_milli[:, 0] = register
    if by_band is not None:
        empty.good_milli[by_band, 1:] = 0
    return empty._replace(seen_at_us=from_us, good_at_us=from_us.copy())


async def _before(
    connection: Connection, project_id: int, columns: Mapping[str, Ints]
) -> dict[int, list[Any]]:
    """The measured charges of the days before each silence, by point and time."""
    good_us = columns["good_at"].tolist()
    # An interval that ends within the eighth day before may reach into the seventh.
    since = [from_us(max(one - (DAYS + 1) * DAY_US, 1)) for one in good_us]
    rows = await estimates.used_before(
        connection, project_id, columns["point_id"].tolist(), since,
        [from_us(one) for one in good_us],
    )  # fmt: skip
    of: dict[int, list[Any]] = {}
    for one in rows:
        of.setdefault(one["point_id"], []).append(one)
    return of


def _energies(
    columns: Mapping[str, Ints], before: Mapping[int, Sequence[Any]], from_us_of: Ints,
    until_us: int,
) -> list[int | None]:  # fmt: skip
    """What each point will have used up to an instant; None where nothing can be said."""
    most_w = columns["max_power_w"] * columns["multiplier"]
    return [
        estimate(_used(before.get(point_id, ())), int(columns["good_at"][i]), int(from_us_of[i]),
                 until_us, int(most_w[i]))
        for i, point_id in enumerate(columns["point_id"].tolist())
    ]  # fmt: skip


async def _by_band(
    connection: Connection, project_id: int, columns: Mapping[str, Ints],
    before: Mapping[int, Sequence[Any]], places: Ints, from_us_of: Ints, register: Ints,
    until_us: int,
) -> tuple[Ints, Ints]:  # fmt: skip
    """The places that can be estimated band by band, and their registers at an instant."""
    charges = [one for place in places for one in before.get(columns["point_id"][place], ())]
    keys = {
        (one["meter_id"], one["register_epoch"], one[at])
        for one in charges for at in ("started_at", "ended_at")
    }  # fmt: skip
    read = await explain.readings_at(connection, project_id, sorted(keys))
    row, registers = [], []
    for place in places.tolist():
        modulus, multiplier, most_w, good_us = (
            int(columns[name][place])
            for name in ("modulus_milli", "multiplier", "max_power_w", "good_at")
        )
        used = _used_by_band(
            before.get(int(columns["point_id"][place]), ()), read, modulus, multiplier
        )
        bands = estimate_bands(used, good_us, int(from_us_of[place]), until_us, most_w * multiplier)
        if bands is not None:
            moved = [milli // multiplier for milli in bands]
            row.append(place)
            registers.append([(int(register[place]) + sum(moved)) % modulus, *moved])
    return np.array(row, dtype=np.int64), np.array(registers, dtype=np.int64).reshape(-1, 5)


def _used(rows: Sequence[Any], milli: Sequence[int] | None = None) -> Used:
    columns = (
        [to_us(one["started_at"]) for one in rows], [to_us(one["ended_at"]) for one in rows],
        [one["energy_milli"] for one in rows] if milli is None else milli,
    )  # fmt: skip
    start_us, end_us, energy = (np.array(column, dtype=np.int64) for column in columns)
    return Used(start_us, end_us, energy)


def _used_by_band(
    charges: Sequence[Any], read: Mapping[Any, Any], modulus_milli: int, multiplier: int
) -> list[Used]:
    """What was used band by band, of the intervals whose bands are known and fit the total."""
    rows, bands = [], []
    for one in charges:
        pair = [
            read.get((one["meter_id"], one["register_epoch"], one[at], False))
            for at in ("started_at", "ended_at")
        ]
        opening, closing = (
            [-1] * 4 if side is None else [side[name] for name in readings.BANDS] for side in pair
        )
        if min(*opening, *closing) < 0:
            continue
        moved = [(after - was) % modulus_milli for was, after in zip(opening, closing, strict=True)]
        if abs(sum(moved) - one["energy_milli"] // multiplier) <= BAND_TOLERANCE_MILLI:
            rows.append(one)
            bands.append([milli * multiplier for milli in moved])
    return [_used(rows, [milli[band] for milli in bands]) for band in range(len(readings.BANDS))]


async def _kept(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], chain: Chain, row: Ints,
    at: datetime,
) -> Ints:  # fmt: skip
    """Keep what could be rated; answers the places of these points."""
    chain.judged.quality[:] = Quality.ESTIMATED
    which = chain.judged.billable & ~chain.unpriced
    # Who came during the silence has no days yet by which anything could be estimated.
    which &= chain.whose.since_us == columns["payer_at"][row]
    await _store(connection, project_id, columns, chain, row, which, at)
    return row[which]


async def _store(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], chain: Chain,
    row: Ints, which: NDArray[np.bool_], at: datetime,
) -> None:  # fmt: skip
    """Write the charges, the estimates beside them, and what each point owes by them."""
    if not which.any():
        return
    mine = row[which]
    keys = [(point_id, at) for point_id in columns["point_id"][mine].tolist()]
    known = await estimates.versions(connection, project_id, keys)
    version = np.array([known.get(key, 0) + 1 for key in keys], dtype=np.int64)
    charges = charge_rows(project_id, columns, chain, row, which, version)
    await readings.insert_charges(connection, project_id, charges)
    after, bands = chain.judged.state, chain.judged.band_energy_milli[which]
    rows = [
        (
            int(columns["point_id"][one]), at, int(version[i]), int(columns["meter_id"][one]),
            int(columns["register_epoch"][one]), from_us(int(charges["started_at"][i])),
            int(after.good_milli[one, 0]), int(chain.rated.block_milli[one]),
            from_us(int(chain.rated.block_period_us[one])),
            told(None if bands[i].min() < 0 else bands[i].tolist()),
        )
        for i, one in enumerate(mine.tolist())
    ]  # fmt: skip
    await estimates.insert(connection, project_id, rows, at)
    for i, one in enumerate(mine.tolist()):
        point_id, amount_nano = int(columns["point_id"][one]), int(charges["amount_nano"][i])
        await readings.add_accrual(connection, project_id, point_id, amount_nano, amount_nano)
        await estimates.stands(connection, project_id, point_id, at, amount_nano)


async def _tell_stuck(
    connection: Connection, project: Any, policy: policies.Policy, at: datetime
) -> None:
    """Open and close the alarms of registers that stand still while their meters answer."""
    found: list[Any] = []
    if policy.stuck_after_h:
        answered = at - timedelta(seconds=2 * project["reading_interval_s"])
        moved_before = at - timedelta(hours=policy.stuck_after_h)
        found = await estimates.stuck(connection, project["id"], answered, moved_before)
    alarms = [
        queue.NewAlarm(
            AlarmKind.METER_STUCK, f"meter:{row['meter_id']}", 0, row["point_id"],
            row["meter_id"], row["gateway_id"], {"moved_at": row["moved_at"].isoformat()},
        )
        for row in found
    ]  # fmt: skip
    await _keep_open(connection, project["id"], AlarmKind.METER_STUCK, alarms, at)


def _refusal(row: Any, why: str) -> queue.NewAlarm:
    """That a silent point cannot be estimated (any more)."""
    return queue.NewAlarm(
        AlarmKind.ESTIMATE_MISSING, f"point:{row['point_id']}", 0, row["point_id"],
        row["meter_id"], row["gateway_id"], {"why": why},
    )  # fmt: skip


async def _keep_open(
    connection: Connection, project_id: int, kind: AlarmKind, alarms: Sequence[queue.NewAlarm],
    at: datetime,
) -> None:  # fmt: skip
    """Let of one kind these alarms be open and no others."""
    await queue.open_alarms(connection, project_id, alarms, at)
    still = {alarm.subject for alarm in alarms}
    open_now = await queue.open_subjects(connection, project_id, kind)
    await queue.close_alarms(connection, project_id, kind, sorted(set(open_now) - still), at)
