"""Late readings of many chains at once, where nothing but time is out of order.

Owns the plain case of `late`, set-based: a reading was lost on its way and comes after its
successor, nothing was ever doubtful, decided or estimated, and who pays and who keeps the money now
did so then. Its judgement and its money are those of `late.rerate`, which takes every chain that is
not as plain as that; whether one is, is decided before anything of it is written.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.control.decide import KeeperCode
from meterhouse.flows.late import COMPARED
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.rate import Chain, charge_rows, rate_chain
from meterhouse.model import Quality
from meterhouse.rating.delta import ChainState
from meterhouse.store import bills, latecomers, points, readings
from meterhouse.store.db import Connection
from meterhouse.units import from_us

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
WORTH = 8
"""Fewer chains are as soon done one by one."""
SPAN_US = 2 * 86_400_000_000
"""How far before a late reading the last charge that it leaves untouched is looked for."""
# Two days and a chunk of chains lie side by side in 63 bits.
_INSTANTS = 1 << 43


async def rerate(
    connection: Connection, tariffs: Tariffs, project: Any, columns: dict[str, Ints], rows: Ints,
    from_at_us: Ints,
) -> Ints:  # fmt: skip
    """Judge and rate plain chains again, each from an instant on, and post the differences.

    Args:
        connection: the caller's transaction.
        tariffs: the cache of this process.
        project: the project's row.
        columns: state of points; the rows done are brought up to date.
        rows: which points, ascending.
        from_at_us: of each, the earliest instant at which something is new.

    Returns:
        The rows that are not plain, of which nothing was written.
    """
    until_us = columns["read_at"][rows]
    near = (until_us - from_at_us < SPAN_US) & (columns["suspect_count"][rows] == 0)
    near &= columns["estimated_at"][rows] <= columns["good_at"][rows]
    if int(near.sum()) < WORTH:
        return rows
    rest, rows, from_at_us = rows[~near], rows[near], from_at_us[near]
    one = {name: values[rows] for name, values in columns.items()}
    spans = {
        "place": np.arange(len(rows)),
        **{name: one[name] for name in ("point_id", "meter_id", "register_epoch")},
        "since": from_at_us - SPAN_US, "until": one["read_at"],
    }  # fmt: skip
    await latecomers.set_spans(connection, spans)
    stood = await latecomers.charges(connection, project["id"], spans)
    plain, anchor = _anchors(stood, one, from_at_us)
    plain[await latecomers.odd_places(connection, project["id"])] = False
    if not plain.any():
        return np.sort(np.concatenate([rest, rows]))
    said = await latecomers.readings(connection, project["id"], spans)
    begin_us = np.where(plain, stood["started_at"][anchor], 0)
    first, said = _from(said, begin_us, plain)
    plain &= first >= 0
    state, blocks = _start(said, stood, first, anchor, len(rows))
    follows = plain[said["place"]] & (said["read_at"] > begin_us[said["place"]])
    chain = await rate_chain(
        connection, tariffs, project, one, state, blocks,
        (said["place"][follows], said["read_at"][follows], _registers(said)[follows]),
    )  # fmt: skip
    plain &= _is_sound(chain, said["place"][follows], len(rows))
    kept = plain[stood["place"]] & (stood["ended_at"] > begin_us[stood["place"]])
    stood = {name: values[kept] for name, values in stood.items()}
    changed, added_nano, gone = _changed(
        project["id"], one, chain, said["place"][follows], stood, plain
    )
    if gone.any():
        # A charge would be taken back; that is for `late`, and changes of its chain are too.
        plain &= ~gone
        staying = plain[changed.pop("place")]
        changed = {name: values[staying] for name, values in changed.items()}
    else:
        changed.pop("place")
    if len(changed["ended_at"]):
        await readings.insert_charges(connection, project["id"], changed)
        await bills.touch(
            connection, project["id"], changed["point_id"].tolist(),
            [from_us(at_us) for at_us in changed["started_at"].tolist()],
        )  # fmt: skip
    await _set_chains(connection, project["id"], columns, rows, chain, added_nano, plain)
    return np.sort(np.concatenate([rest, rows[~plain]]))


def _anchors(
    stood: Mapping[str, Ints], one: Mapping[str, Ints], from_at_us: Ints
) -> tuple[Flags, Ints]:
    """Of each place whether it has charges of the present payer alone, and its anchor among them.

    The anchor is the last charge that ended before the instant; from its begin on all is judged.
    """
    count = len(from_at_us)
    place, ends = stood["place"], stood["ended_at"]
    before = (ends < from_at_us[place]) & (stood["started_at"] < ends)
    anchor = np.zeros(count, dtype=np.int64)
    anchor[place[before]] = np.flatnonzero(before)
    plain = np.zeros(count, dtype=np.bool_)
    plain[place[before]] = True
    plain[place[(stood["account_id"] != one["account_id"][place])]] = False
    begun_us = np.zeros(count, dtype=np.int64)
    begun_us[plain] = stood["started_at"][anchor[plain]]
    plain &= begun_us >= one["payer_at"]
    plain[place[stood["started_at"] == ends]] = False
    return plain, anchor


def _from(
    said: Mapping[str, Ints], begin_us: Ints, plain: Flags
) -> tuple[Ints, dict[str, Ints]]:  # fmt: skip
    """The readings from each place's begin on, and where its first one stands; −1: not there."""
    kept = plain[said["place"]] & (said["read_at"] >= begin_us[said["place"]])
    cut = {name: values[kept] for name, values in said.items()}
    first = np.full(len(begin_us), -1, dtype=np.int64)
    at_begin = np.flatnonzero(cut["read_at"] == begin_us[cut["place"]])
    first[cut["place"][at_begin]] = at_begin
    return first, cut


def _registers(said: Mapping[str, Ints]) -> Ints:
    names = ("total_milli", *readings.BANDS)
    return np.stack([said[name] for name in names], axis=1)


def _start(
    said: Mapping[str, Ints], stood: Mapping[str, Ints], first: Ints, anchor: Ints, count: int
) -> tuple[ChainState, tuple[Ints, Ints]]:
    """The chains' state where their anchors began; empty where there is none."""
    state = ChainState.empty(count)
    there = first >= 0
    state.seen_at_us[there] = state.good_at_us[there] = said["read_at"][first[there]]
    state.good_milli[there] = _registers(said)[first[there]]
    block_milli, block_period_us = np.zeros((2, count), dtype=np.int64)
    block_milli[there] = stood["block_milli"][anchor[there]]
    block_period_us[there] = stood["block_period_at"][anchor[there]]
    return state, (block_milli, block_period_us)


def _is_sound(chain: Chain, place: Ints, count: int) -> Flags:
    """Which places were judged without a doubt, and priced."""
    sound = np.ones(count, dtype=np.bool_)
    odd = (chain.judged.quality == Quality.DOUBTFUL) | chain.unpriced | ~chain.judged.billable
    sound[place[odd]] = False
    return sound


def _changed(
    project_id: int, one: Mapping[str, Ints], chain: Chain, place: Ints,
    stood: Mapping[str, Ints], plain: Flags,
) -> tuple[dict[str, Ints], Ints, Flags]:  # fmt: skip
    """The charges that differ from those that stood, with their place; what they add to each.

    Marked is where a charge that stood has no successor.
    """
    bills = plain[place] & chain.judged.billable
    mine = place[bills]
    rows = charge_rows(project_id, one, chain, place, bills, np.ones(len(mine), dtype=np.int64))
    origin_us = stood["ended_at"].min(initial=0) if len(stood["ended_at"]) else 0
    if len(rows["ended_at"]):
        origin_us = min(int(stood["ended_at"].min(initial=2**62)), int(rows["ended_at"].min()))
    was = stood["place"] * _INSTANTS + (stood["ended_at"] - origin_us)
    now = mine * _INSTANTS + (rows["ended_at"] - origin_us)
    found = np.searchsorted(was, now)
    known = np.append(was, -1)[found] == now
    old = np.where(known, found, 0)
    same = known.copy()
    for name in COMPARED:
        same[known] &= rows[name][known] == stood[name][old[known]]
    rows["version"][known] = stood["version"][old[known]] + 1
    added_nano = np.zeros(len(plain), dtype=np.int64)
    np.add.at(added_nano, mine[~same], rows["amount_nano"][~same])
    replaced = known & ~same
    np.subtract.at(added_nano, mine[replaced], stood["amount_nano"][old[replaced]])
    gone = np.zeros(len(plain), dtype=np.bool_)
    lost = np.ones(len(was), dtype=np.bool_)
    lost[old[known]] = False
    gone[stood["place"][lost]] = True
    changed = {name: values[~same] for name, values in rows.items()}
    return changed | {"place": mine[~same]}, added_nano, gone


async def _set_chains(
    connection: Connection, project_id: int, columns: dict[str, Ints], rows: Ints, chain: Chain,
    added_nano: Ints, plain: Flags,
) -> None:  # fmt: skip
    """Bring the chains' ends, in memory and in their rows, to where the judgement left them."""
    if not plain.any():
        return
    mine, after, rated = rows[plain], chain.judged.state, chain.rated
    is_kept = columns["keeper"][mine] == KeeperCode.PLATFORM
    accrued_nano = np.where(is_kept, added_nano[plain], 0)
    ends = {
        "good_at": after.good_at_us[plain],
        **{name: after.good_milli[plain, i] for i, name in enumerate(points.REGISTERS)},
        "block_milli": rated.block_milli[plain],
        "block_period_at": rated.block_period_us[plain],
    }
    for name, values in ends.items():
        columns[name][mine] = values
    columns["accrued_nano"][mine] += accrued_nano
    await latecomers.set_chains(
        connection, project_id,
        {
            "point_id": columns["point_id"][mine], **ends, "accrued_nano": accrued_nano,
            "rated_nano": added_nano[plain],
        },
    )  # fmt: skip
