"""Silence: what a point will have used is estimated, and a register that stands still is told.

Owns when something is estimated, and that an estimate is a charge on top of the chain of readings
and never part of it: a reading is judged against the last true one, and `late` takes every
estimate back as soon as anything is known. Estimated energy warns a household; it never cuts one
off. Must never know the rule itself.
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
from meterhouse.rating.delta import ChainState
from meterhouse.rating.estimate import DAY_US, DAYS, RULE, Used, estimate
from meterhouse.store import catalog, estimates, monitor, points, queue, readings
from meterhouse.store.columns import find
from meterhouse.store.db import Connection, Database
from meterhouse.units import from_us, to_us

Ints = NDArray[np.int64]
STEP: Final = timedelta(hours=1)
"""An estimate goes on by at least as much."""
LONGEST: Final = timedelta(days=31)
"""Whoever is silent for longer is estimated no further; somebody has to go there."""
POINTS_MAX: Final = 500


async def tend(db: Database, tariffs: Tariffs, project_id: int, at: datetime) -> int:
    """One round: estimate for the silent, tell of registers that stand still; answers how many."""
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        policy = policies.read(project["policy"])
        await _tell_stuck(connection, project, policy, at)
    if not policy.estimate_after_h:
        return 0
    after_id: int | None = 0
    whole = 0
    while after_id is not None:
        count, after_id = await _estimate_some(db, tariffs, project_id, policy, after_id, at)
        whole += count
    return whole


async def _estimate_some(
    db: Database, tariffs: Tariffs, project_id: int, policy: policies.Policy, after_id: int,
    at: datetime,
) -> tuple[int, int | None]:  # fmt: skip
    """Estimate for a few of the silent, by meter; answers how many, and where to go on."""
    after = timedelta(hours=policy.estimate_after_h)
    span = (after_id, at - LONGEST, at - after, at - STEP)
    async with db.transaction([project_id]) as connection:
        silent = await estimates.silent(connection, project_id, *span, POINTS_MAX)
        if not silent:
            return 0, None
        meter_ids = np.array([row["meter_id"] for row in silent], dtype=np.int64)
        await monitor.lock_meters(connection, project_id, meter_ids)
        # Somebody may have spoken before the lock was ours.
        silent = await estimates.silent(connection, project_id, *span, POINTS_MAX)
        project = await catalog.get_project(connection, project_id)
        held = [row for row in silent if row["meter_id"] in set(meter_ids.tolist())]
        done = await _estimate(connection, tariffs, project, held, at)
        if done:
            await react.look_again(connection, project, done, at)
            await readings.bump(connection, project_id)
        return len(done), int(meter_ids[-1]) if len(meter_ids) == POINTS_MAX else None


async def _estimate(
    connection: Connection, tariffs: Tariffs, project: Any, silent: Sequence[Any], at: datetime
) -> list[int]:
    """Estimate for these points up to now; answers the meters for which something was said."""
    if not silent:
        return []
    loaded = await points.load(
        connection, project["id"], np.array([row["meter_id"] for row in silent], dtype=np.int64)
    )
    place, _ = find(loaded["meter_id"], np.array([row["meter_id"] for row in silent]))
    columns = {name: values[place] for name, values in loaded.items()}
    from_us, register, blocks = _where_they_stand(columns, silent)
    energy = await _energies(connection, project["id"], columns, from_us, to_us(at))
    moved = np.array([-1 if milli is None else milli for milli in energy], dtype=np.int64)
    row = np.flatnonzero(moved >= 0)
    moved = np.maximum(moved, 0) // columns["multiplier"]
    registers = np.full((len(silent), 5), -1, dtype=np.int64)
    registers[:, 0] = (register + moved) % columns["modulus_milli"]
    chain = await rate_chain(
        connection, tariffs, project, columns, _standing(from_us, register), blocks,
        (row, np.full(len(row), to_us(at)), registers[row]),
    )  # fmt: skip
    chain.judged.quality[:] = Quality.ESTIMATED
    which = chain.judged.billable & ~chain.unpriced
    await _store(connection, project["id"], columns, chain, row, which, at)
    return sorted(int(one) for one in columns["meter_id"][row[which]])


def _where_they_stand(
    columns: Mapping[str, Ints], silent: Sequence[Any]
) -> tuple[Ints, Ints, tuple[Ints, Ints]]:
    """Instant, register and blocks at the end of what is known or was estimated already."""
    told = [row if row["ended_at"] is not None else None for row in silent]

    def pick(name: str, column: str) -> Ints:
        return np.array(
            [
                int(columns[column][i]) if one is None
                else to_us(one[name]) if name.endswith("_at") else int(one[name])
                for i, one in enumerate(told)
            ],
            dtype=np.int64,
        )  # fmt: skip

    blocks = (pick("block_milli", "block_milli"), pick("block_period_at", "block_period_at"))
    return pick("ended_at", "good_at"), pick("total_milli", "good_0_milli"), blocks


def _standing(from_us: Ints, register: Ints) -> ChainState:
    """Chains whose last good reading is where the estimate begins."""
    empty = ChainState.empty(len(from_us))
    empty.good_milli[:, 0] = register
    return empty._replace(seen_at_us=from_us, good_at_us=from_us.copy())


async def _energies(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], from_us_of: Ints,
    until_us: int,
) -> list[int | None]:  # fmt: skip
    """What each point will have used up to an instant; None where nothing can be said."""
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
    most_w = columns["max_power_w"] * columns["multiplier"]
    return [
        estimate(_used(of.get(point_id, ())), good_us[i], int(from_us_of[i]), until_us,
                 int(most_w[i]))
        for i, point_id in enumerate(columns["point_id"].tolist())
    ]  # fmt: skip


def _used(rows: Sequence[Any]) -> Used:
    columns = (
        [to_us(one["started_at"]) for one in rows], [to_us(one["ended_at"]) for one in rows],
        [one["energy_milli"] for one in rows],
    )  # fmt: skip
    start_us, end_us, milli = (np.array(column, dtype=np.int64) for column in columns)
    return Used(start_us, end_us, milli)


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
    await readings.insert_fresh(connection, "charge", readings.CHARGE, charges)
    after = chain.judged.state
    rows = [
        (
            int(columns["point_id"][one]), at, int(version[i]), int(columns["meter_id"][one]),
            int(columns["register_epoch"][one]), from_us(int(charges["started_at"][i])),
            int(after.good_milli[one, 0]), int(chain.rated.block_milli[one]),
            from_us(int(chain.rated.block_period_us[one])),
        )
        for i, one in enumerate(mine.tolist())
    ]  # fmt: skip
    await estimates.insert(connection, project_id, rows, RULE, at)
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
    await queue.open_alarms(connection, project["id"], alarms, at)
    still = {alarm.subject for alarm in alarms}
    open_now = await queue.open_subjects(connection, project["id"], AlarmKind.METER_STUCK)
    await queue.close_alarms(
        connection, project["id"], AlarmKind.METER_STUCK, sorted(set(open_now) - still), at
    )
