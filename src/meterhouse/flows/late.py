"""A reading that comes late: its chain is judged and rated again, and the difference is posted.

Owns the law that any order of arrival leads to the same balance. Nothing is edited: a charge that
changes gets a further version, a charge that is no more gets a version of zero, and the sum of the
differences goes into the accrual. Nor does it matter why a chain is looked at again: a late
reading, a reading in conflict, or a person's decision. What somebody else paid for at the time is
never the present payer's: it goes the way of `past`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.control.decide import KeeperCode
from meterhouse.flows import past, payers
from meterhouse.flows.past import Difference, Owner
from meterhouse.flows.prices import Tariffs, blocks_after
from meterhouse.flows.rate import Chain, charge_rows, rate_chain
from meterhouse.model import Quality
from meterhouse.rating.decided import Decisions
from meterhouse.rating.delta import ChainState, Verdict
from meterhouse.store import bills, doubts, estimates, points, readings
from meterhouse.store.copyfmt import TIMESTAMP
from meterhouse.store.db import Connection
from meterhouse.units import from_us, to_us

Ints = NDArray[np.int64]
FIRST_US = 1
COMPARED = (
    "started_at", "energy_milli", "amount_nano", "block_milli", "block_period_at", "verdict",
    "quality",
)  # fmt: skip


async def rerate(
    connection: Connection, tariffs: Tariffs, project: Any, columns: dict[str, Ints], row: int,
    from_at_us: int, at: datetime,
) -> int:  # fmt: skip
    """Judge and rate one chain again from an instant on, and post the difference.

    Args:
        connection: the caller's transaction.
        tariffs: the cache of this process.
        project: the project's row.
        columns: state of points; this row's chain, blocks and accrual are brought up to date.
        row: which point.
        from_at_us: the earliest instant, not after the last one judged, at which something is new
            or no more.
        at: the present instant.

    Returns:
        The difference in Nano, for whomever.
    """
    given_back_nano = await drop_estimates(connection, project, columns, row, at)
    one, key = _one(connection, project, columns, row)
    anchor = await readings.charge_before(*key, from_at_us)
    since_us = FIRST_US if anchor is None else to_us(anchor["started_at"])
    chain = await readings.load_chain(connection, project["id"], key[3], key[4], since_us)
    until_us = int(one["read_at"][0])
    torn_at_us = chain["read_at"][(chain["torn"] > 0) & (chain["read_at"] <= until_us)]
    known = (chain["torn"] == 0) & (chain["read_at"] <= until_us)
    chain = {name: values[known] for name, values in chain.items()}
    state, blocks = _start(anchor, chain["read_at"], chain["milli"])
    if anchor is None and len(chain["read_at"]):
        # The blocks are the point's: a meter goes on where the one before it ended.
        first_us = int(chain["read_at"][0])
        before = await readings.charge_of_meter_before(*key, first_us)
        if before is not None:
            blocks = await blocks_after(connection, tariffs, project, before)
    if anchor is not None:
        chain = {name: values[1:] for name, values in chain.items()}
    zero = np.zeros(len(chain["read_at"]), dtype=np.int64)
    rated = await rate_chain(
        connection, tariffs, project, one, state, blocks,
        (zero, chain["read_at"], chain["milli"]),
        Decisions(chain["decided"], chain["used_milli"]),
    )  # fmt: skip
    await _note_doubts(connection, project["id"], one, (since_us, until_us), rated, torn_at_us, at)
    stood = await readings.load_charges(*key, since_us)
    difference = await _post(connection, project["id"], one, rated, stood, until_us)
    await bills.touch(connection, project["id"], [key[2]], [from_us(since_us)])
    accrued_nano = await _accrue(connection, project, one, difference, at)
    await _set_chain(connection, project["id"], columns, row, rated, accrued_nano)
    return difference.whole_nano + given_back_nano


async def drop_estimates(
    connection: Connection, project: Any, columns: dict[str, Ints], row: int, at: datetime
) -> int:
    """Take back what was estimated since the last good reading of a point, for something is known.

    The next round of estimates begins anew, should the silence go on.

    Returns:
        The difference in Nano, for whomever; zero or below.
    """
    if columns["estimated_at"][row] <= columns["good_at"][row]:
        return 0
    one, key = _one(connection, project, columns, row)
    stood = [
        charge for charge in await readings.load_charges(*key, int(one["good_at"][0]))
        if charge["quality"] == Quality.ESTIMATED and charge["started_at"] < charge["ended_at"]
    ]  # fmt: skip
    if not stood:
        return 0
    charges = _taken_back(stood, int(one["booking"][0]))
    since_us = await _since(connection, project["id"], one, stood)
    added: dict[Owner, int] = defaultdict(int)
    _take(added, stood, since_us)
    difference = await _divide(connection, project["id"], one, added)
    past.number(charges, since_us, difference.shares)
    await readings.insert_charges(connection, project["id"], charges)
    columns["accrued_nano"][row] += await _accrue(connection, project, one, difference, at)
    await estimates.none_stands(connection, project["id"], key[2])
    return difference.whole_nano


def _one(
    connection: Connection, project: Any, columns: Mapping[str, Ints], row: int
) -> tuple[dict[str, Ints], tuple[Connection, int, int, int, int]]:
    """One point's columns, and the key of its chain."""
    one = {name: values[row : row + 1] for name, values in columns.items()}
    names = ("point_id", "meter_id", "register_epoch")
    point_id, meter_id, register_epoch = (int(one[name][0]) for name in names)
    return one, (connection, project["id"], point_id, meter_id, register_epoch)


async def _accrue(
    connection: Connection, project: Any, one: Mapping[str, Ints], difference: Difference,
    at: datetime,
) -> int:  # fmt: skip
    """Let a difference reach who owes it; answers what of it accrues here now."""
    point_id = int(one["point_id"][0])
    is_kept = one["keeper"][0] == KeeperCode.PLATFORM
    accrued_nano = difference.present_nano if is_kept else 0
    await readings.add_accrual(
        connection, project["id"], point_id, accrued_nano, difference.whole_nano
    )
    await past.book(connection, project, point_id, difference.shares, at, is_kept=bool(is_kept))
    return accrued_nano


async def _since(
    connection: Connection, project_id: int, one: Mapping[str, Ints], charges: Sequence[Any]
) -> Ints:
    """In whose time charges of a point began: since when who paid then did."""
    start_us = np.array([to_us(charge["started_at"]) for charge in charges], dtype=np.int64)
    row, all_ = np.zeros(len(charges), dtype=np.int64), np.ones(len(charges), dtype=np.bool_)
    return (await payers.whose(connection, project_id, one, row, start_us, all_)).since_us


async def _divide(
    connection: Connection, project_id: int, one: Mapping[str, Ints], added: Mapping[Owner, int]
) -> Difference:
    key = project_id, int(one["point_id"][0]), int(one["payer_at"][0])
    return await past.divide(connection, *key, added)


def _take(added: dict[Owner, int], charges: Sequence[Any], since_us: Ints) -> None:
    """Take charges that stood back from those who were charged."""
    for charge, since in zip(charges, since_us.tolist(), strict=True):
        added[since, charge["account_id"]] -= int(charge["amount_nano"])


async def _note_doubts(
    connection: Connection, project_id: int, one: Mapping[str, Ints], span_us: tuple[int, int],
    chain: Chain, torn_at_us: Ints, at: datetime,
) -> None:  # fmt: skip
    """Note what this judgement doubts, and that it doubts nothing else in its span."""
    chain_id = int(one["meter_id"][0]), int(one["register_epoch"][0])
    point_id, judged = int(one["point_id"][0]), chain.judged
    odd = judged.quality == Quality.DOUBTFUL
    found = dict(zip(judged.end_us[odd].tolist(), judged.verdict[odd].tolist(), strict=True))
    found |= dict.fromkeys(torn_at_us.tolist(), int(Verdict.CONFLICT))
    rows = [(point_id, *chain_id, from_us(at_us), verdict) for at_us, verdict in found.items()]
    since, until = (from_us(at_us) for at_us in span_us)
    await doubts.settle(
        connection, project_id, *chain_id, since, until, [from_us(at_us) for at_us in found]
    )
    await doubts.note(connection, project_id, rows, at)


def _start(anchor: Any, read_at_us: Ints, milli: Ints) -> tuple[ChainState, tuple[Ints, Ints]]:
    """The chain's state where the last untouched charge began, or before its first reading."""
    empty = ChainState.empty(1)
    if anchor is None:
        return empty, (np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    at_us = read_at_us[:1].copy()
    state = ChainState(
        at_us, at_us.copy(), milli[:1].copy(), empty.suspect_at_us, empty.suspect_milli,
        empty.suspect_count,
    )  # fmt: skip
    period_us = np.array([to_us(anchor["block_period_at"])], dtype=np.int64)
    return state, (np.array([anchor["block_milli"]], dtype=np.int64), period_us)


async def _post(
    connection: Connection, project_id: int, one: Mapping[str, Ints], chain: Chain,
    stood: list[Any], until_us: int,
) -> Difference:  # fmt: skip
    """Store the charges that differ from those that stood; answers what they add."""
    old = {to_us(row["ended_at"]): row for row in stood if to_us(row["ended_at"]) <= until_us}
    bills = chain.judged.billable
    row_of = np.zeros(len(bills), dtype=np.int64)
    version = np.array(
        [old[at]["version"] + 1 if at in old else 1 for at in chain.judged.end_us.tolist()],
        dtype=np.int64,
    )
    rows = charge_rows(project_id, one, chain, row_of, bills, version[bills])
    same = np.array(
        [_same(rows, i, old.get(at)) for i, at in enumerate(rows["ended_at"].tolist())],
        dtype=np.bool_,
    )
    changed = {name: values[~same] for name, values in rows.items()}
    gone = set(old) - set(rows["ended_at"].tolist())
    gone = {at for at in gone if old[at]["started_at"] < old[at]["ended_at"]}
    changed_us = chain.whose.since_us[bills][~same]
    lost = [old[at] for at in sorted(gone)]
    replaced, passed_on = await _replaced(connection, project_id, one, old, changed, changed_us)
    lost += passed_on
    taken_back = _taken_back(lost, int(one["booking"][0]))
    lost_us = await _since(connection, project_id, one, lost)
    added: dict[Owner, int] = defaultdict(int)
    for i, since_us in enumerate(changed_us.tolist()):
        added[since_us, int(changed["account_id"][i])] += int(changed["amount_nano"][i])
    _take(added, replaced, await _since(connection, project_id, one, replaced))
    _take(added, lost, lost_us)
    difference = await _divide(connection, project_id, one, added)
    for charges, since in ((changed, changed_us), (taken_back, lost_us)):
        past.number(charges, since, difference.shares)
        if len(charges["ended_at"]):
            await readings.insert_charges(connection, project_id, charges)
    return difference


async def _replaced(
    connection: Connection, project_id: int, one: Mapping[str, Ints], old: Mapping[int, Any],
    changed: dict[str, Ints], since_us: Ints,
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """The charges that changed ones stand in place of, and those whose energy is another's now.

    The latter are taken back from whose they were by a version of their own, so that what each of
    the two was charged is explained by itself.
    """
    places = [
        i for i, at in enumerate(changed["ended_at"].tolist())
        if at in old and old[at]["started_at"] < old[at]["ended_at"]
    ]  # fmt: skip
    before = [old[int(changed["ended_at"][i])] for i in places]
    was_us = await _since(connection, project_id, one, before)
    stay, go = [], []
    for i, charge, was in zip(places, before, was_us.tolist(), strict=True):
        if (was, charge["account_id"]) == (since_us[i], changed["account_id"][i]):
            stay.append(charge)
        else:
            go.append(charge)
            changed["version"][i] += 1
    return stay, go


def _same(rows: Mapping[str, Ints], i: int, old: Any) -> bool:
    if old is None:
        return False
    return all(
        int(rows[name][i]) == (to_us(old[name]) if name.endswith("_at") else old[name])
        for name in COMPARED
    )


def _taken_back(old: list[Any], booking: int) -> dict[str, Ints]:
    """A further version of charges that says: nothing, from its end to its end."""
    rows = {
        name: np.array(
            [to_us(row[name]) if kind == TIMESTAMP else row[name] for row in old],
            dtype=np.int64,
        )
        for name, kind in readings.CHARGE
    }
    rows["version"] += 1
    rows["booking"][:] = booking
    rows["started_at"] = rows["ended_at"].copy()
    for name in ("energy_milli", "amount_nano"):
        rows[name][:] = 0
    return rows


async def _set_chain(
    connection: Connection, project_id: int, columns: dict[str, Ints], row: int, chain: Chain,
    difference_nano: int,
) -> None:  # fmt: skip
    """Bring the chain's end, in memory and in its row, to where the new judgement left it."""
    after, rated = chain.judged.state, chain.rated
    columns["good_at"][row] = after.good_at_us[0]
    columns["suspect_at"][row] = after.suspect_at_us[0]
    columns["suspect_count"][row] = after.suspect_count[0]
    columns["block_milli"][row] = rated.block_milli[0]
    columns["block_period_at"][row] = rated.block_period_us[0]
    columns["accrued_nano"][row] += difference_nano
    for index in range(5):
        columns[points.REGISTERS[index]][row] = after.good_milli[0, index]
        columns[points.SUSPECTS[index]][row] = after.suspect_milli[0, index]
    await readings.set_chain(
        connection, project_id, {name: int(values[row]) for name, values in columns.items()}
    )
