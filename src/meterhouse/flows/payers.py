"""Whose an interval is: who paid for its point when it began, and who kept the money then.

Owns the one rule of it. The present row of a point answers for whatever began since; only what
began before is looked up, so that a round in order asks nothing. Must never know what it costs.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from meterhouse.store import payers
from meterhouse.store.db import Connection
from meterhouse.store.payers import Time

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Whose:
    """Of m intervals the account that pays, and since when it did under that keeper."""

    account_id: Ints
    since_us: Ints


async def whose(
    connection: Connection, project_id: int, columns: Mapping[str, Ints], row: Ints,
    start_us: Ints, which: Flags,
) -> Whose:  # fmt: skip
    """Whose intervals are that began at these instants.

    Args:
        connection: the caller's transaction.
        project_id: the project.
        columns: of n points, as `store.points.load` gives them.
        row: the point's place of each interval.
        start_us: when each began.
        which: those that are asked for; of others the present payer is answered.
    """
    found = Whose(columns["account_id"][row], columns["payer_at"][row])
    early = np.flatnonzero(which & (start_us < found.since_us))
    if not len(early):
        return found
    point_ids = columns["point_id"][row[early]]
    known = await payers.history(connection, project_id, np.unique(point_ids).tolist())
    for place, point_id in zip(early.tolist(), point_ids.tolist(), strict=True):
        # Nobody may ever have been said to pay for it.
        if point_id in known:
            time = time_at(known[point_id], int(start_us[place]))
            found.account_id[place], found.since_us[place] = time.account_id, time.since_us
    return found


def time_at(times: Sequence[Time], at_us: int) -> Time:
    """The time that an instant lies in; the first one reaches back for ever."""
    return times[max(bisect_right(times, at_us, key=lambda one: one.since_us) - 1, 0)]
