"""Which tariff was in force at a point when something was used, whenever its reading arrives.

Owns the way from the tariffs of a point, one after the other, to what the kernel is given for an
interval: nearly always the one tariff the point has now, for as many persons as live there now; for
an interval that began before, the tariffs and persons of its time. Also where blocks stand after a
charge, and a small cache of laid-out tariffs, because a published version never changes. Must never
judge a reading.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meterhouse.rating.arrays import AT_US_MAX
from meterhouse.rating.blocks import PERSONS_MAX
from meterhouse.rating.kernel import METER_BANDS, Intervals, rate_intervals
from meterhouse.rating.live import live
from meterhouse.rating.tariff import BandSource, Scheme, parse
from meterhouse.rating.timeline import Timeline, compile_timeline, follow, pack, without
from meterhouse.store import catalog
from meterhouse.store.db import Connection
from meterhouse.units import EPOCH, to_us

Ints = NDArray[np.int64]
DAY_US = 86_400_000_000
CACHE_MAX = 256
NONE_YET = -1
"""Stands in a run where a point had no tariff."""

Laid = tuple[str, Scheme]
"""A scheme with the text that tells one edition from another."""
Schemes = Mapping[int, Laid]
"""Schemes by their tariff's id."""
History = Sequence[tuple[datetime, int | None, int]]
"""Since when a point had which tariff (None where it had none) and persons, the first one first."""
Given = tuple[datetime, int]
"""Since when points shall have had a tariff, in place of whatever they had since then."""
Run = tuple[tuple[int, int, int], ...]
"""Tariffs that followed each other: since when (µs; 0 for one alone), which, for how many.

`NONE_YET` stands where there was none.
"""


class Tariffs:
    """Laid-out tariffs by project, kept while their versions stay the same."""

    def __init__(self) -> None:
        self._schemes: OrderedDict[str, Scheme] = OrderedDict()
        self._timelines: OrderedDict[tuple[str, int, str, int, int], Timeline] = OrderedDict()

    async def load(
        self, connection: Connection, project_id: int, tariff_ids: Sequence[int],
        edition: int | None = None,
    ) -> dict[int, Laid]:  # fmt: skip
        """The schemes of tariffs, as they run along with readings.

        `edition`: as they were when the project had seen so many corrections; None: as they are.
        """
        bodies = await catalog.tariff_bodies(connection, project_id, tariff_ids, edition)
        return {tariff_id: self.laid(versions) for tariff_id, versions in bodies.items()}

    def laid(self, bodies: Sequence[Mapping[str, Any]]) -> Laid:
        """One scheme of its versions' bodies, a version each. Raises `TariffInvalid`."""
        whole = {**bodies[0], "versions": [one["versions"][0] for one in bodies]}
        text = json.dumps(whole, sort_keys=True)
        scheme = self._schemes.get(text)
        if scheme is None:
            scheme = self._schemes[text] = live(parse(whole))
            _trim(self._schemes)
        return text, scheme

    def lay_out(
        self, schemes: Schemes, run: Run, timezone: str, from_us: int, to_us: int
    ) -> Timeline:
        """The tariffs of a run over whole days around a span."""
        first, last = max(from_us // DAY_US * DAY_US, 1), (to_us // DAY_US + 1) * DAY_US
        timelines = [
            without(first, last) if tariff_id == NONE_YET
            else self._timeline(*schemes[tariff_id], persons, timezone, first, last)
            for _, tariff_id, persons in run
        ]  # fmt: skip
        if len(run) == 1:
            return timelines[0]
        return follow(timelines, [since_us for since_us, _, _ in run])

    def _timeline(
        self, text: str, scheme: Scheme, persons: int, timezone: str, from_us: int, to_us: int
    ) -> Timeline:
        persons = scheme.alike(persons)
        key = (text, persons, timezone, from_us, to_us)
        timeline = self._timelines.get(key)
        if timeline is None:
            timeline = compile_timeline(scheme.of_household(persons), timezone, from_us, to_us)
            self._timelines[key] = timeline
            _trim(self._timelines)
        return timeline


def _trim(cache: OrderedDict[Any, Any]) -> None:
    while len(cache) > CACHE_MAX:
        cache.popitem(last=False)


def named(histories: Iterable[History]) -> set[int]:
    """The tariffs that these points ever had."""
    return {tariff_id for one in histories for _, tariff_id, _ in one if tariff_id is not None}


def as_given(history: History, given: Given) -> History:
    """What a history becomes when a tariff is given since a past instant; persons stay."""
    since, tariff_id = given
    before = [one for one in history if one[0] < since]
    then = next((one[2] for one in reversed(history) if one[0] <= since), 1)
    after: list[tuple[datetime, int | None, int]] = [(since, tariff_id, then)]
    for at, _, persons in history:
        if at > since and persons != after[-1][2]:
            after.append((at, tariff_id, persons))
    return [*before, *after]


def run_of(history: History, schemes: Schemes, start_us: int, end_us: int) -> Run | None:
    """The tariffs in force within [start, end); None where no price can be told.

    So where there was none at all; where there was none for a part, that part is free. One that
    was given before its first version is in force prices nothing until then.
    """
    had = [(0, NONE_YET, 1)]
    had += [(to_us(since), one or NONE_YET, persons) for since, one, persons in history]
    ends_us = [*(since_us for since_us, *_ in had), max(end_us, had[-1][0]) + 1]
    run: list[tuple[int, int, int]] = []
    for (since_us, until_us), (_, tariff_id, persons) in zip(pairwise(ends_us), had, strict=True):
        if until_us <= max(start_us, since_us) or since_us >= end_us:
            continue
        if tariff_id != NONE_YET:
            begins_us = to_us(schemes[tariff_id][1].versions[0].effective_from)
            if begins_us > max(since_us, start_us):
                return None
        run.append((since_us, tariff_id, persons))
    if all(tariff_id == NONE_YET for _, tariff_id, _ in run):
        return None
    return tuple(run) if len(run) > 1 else alone(*run[0][1:])


def last_of(run: Run) -> int:
    """The tariff that priced the end of what a run prices."""
    return next(tariff_id for _, tariff_id, _ in reversed(run) if tariff_id != NONE_YET)


def is_by_meter(scheme: Scheme) -> bool:
    """Whether the meter decides the band in any version."""
    return any(version.band_source is BandSource.METER for version in scheme.versions)


def band_sources(scheme: Scheme) -> list[tuple[datetime | None, BandSource]]:
    """Who decides the band: None, since ever, and each instant from which on it is another."""
    found: list[tuple[datetime | None, BandSource]] = []
    for version in scheme.versions:
        if not found or found[-1][1] is not version.band_source:
            found.append((version.effective_from if found else None, version.band_source))
    return found


def bands_until(scheme: Scheme, at_us: Ints) -> Ints:
    """Up to when, at these instants at the latest, a scheme bills by the meter's own bands."""
    begins_us = np.array([to_us(one.effective_from) for one in scheme.versions])
    by_meter = np.array([one.band_source is BandSource.METER for one in scheme.versions])
    # Of each version the last one up to it that is by the meter, −1 where there is none.
    last = np.maximum.accumulate(np.where(by_meter, np.arange(len(by_meter)), -1))
    version = np.searchsorted(begins_us, at_us) - 1
    found = np.where(version >= 0, last[version], -1)
    ends_us = np.append(begins_us[1:], AT_US_MAX)
    return np.where(found >= 0, np.minimum(ends_us[found], at_us), 0)


def bands_until_of(history: History, schemes: Schemes, at_us: int) -> int:
    """The same of the tariffs that a point had one after the other."""
    for since, tariff_id, _ in reversed(history):
        since_us = to_us(since)
        if since_us >= at_us:
            continue
        if tariff_id is not None:
            until_us = int(bands_until(schemes[tariff_id][1], np.array([at_us]))[0])
            if until_us > since_us:
                return until_us
        at_us = since_us
    return 0


def alone(tariff_id: int, persons: int = 1) -> Run:
    """The run of one tariff for so many persons, the same since whenever they were there."""
    return ((0, tariff_id, persons),)


def places_of(
    tariff_id: Ints, persons: Ints, schemes: Schemes, place_of: dict[Run, int]
) -> Ints:  # fmt: skip
    """Whose place each has of the runs of one tariff; -1 without one.

    Households for whom a tariff is the same have one run: hardly more than there are tariffs.

    Args:
        tariff_id, persons: int64[m]; 0 for no tariff.
        schemes: of the tariffs.
        place_of: the runs so far; new ones are added.
    """
    keys, which = np.unique(tariff_id * (PERSONS_MAX + 1) + persons, return_inverse=True)
    found = np.full(len(keys), -1, dtype=np.int64)
    for place, key in enumerate(keys.tolist()):
        one, count = divmod(key, PERSONS_MAX + 1)
        if one:
            run = alone(one, schemes[one][1].alike(count))
            found[place] = place_of.setdefault(run, len(place_of))
    return found[which]


def runs_of(
    point_id: Ints, start_us: Ints, end_us: Ints, tariff_id: Ints,
    before: Mapping[int, History], schemes: Schemes,
) -> tuple[list[Run], Ints]:  # fmt: skip
    """The runs that price intervals of before, and whose place each has; -1 for none.

    Args:
        point_id: int64[m], ascending.
        start_us, end_us: int64[m].
        tariff_id: int64[m], by which each was priced; where a point has had several, `before` says.
        before: by point, where anything is known of it.
        schemes: of all these tariffs.
    """
    tariff_id, persons, across = tariff_id.copy(), np.ones(len(tariff_id), np.int64), list[int]()
    for one, history in before.items():
        first, last = np.searchsorted(point_id, [one, one + 1]).tolist()
        since_us = np.array([to_us(since) for since, *_ in history])
        begun = np.searchsorted(since_us, start_us[first:last], side="right")
        persons[first:last] = np.array([1, *(count for *_, count in history)])[begun]
        if len(history) > 1 or history[0][0] > EPOCH:
            tariff_id[first:last] = np.array([0, *(had or 0 for _, had, _ in history)])[begun]
            # Only an interval across the change from one to another is of both.
            ended = np.searchsorted(since_us, end_us[first:last], side="left")
            across += (first + np.flatnonzero(begun != ended)).tolist()
    place_of: dict[Run, int] = {}
    run = places_of(tariff_id, persons, schemes, place_of)
    for place in across:
        history = before[int(point_id[place])]
        found = run_of(history, schemes, int(start_us[place]), int(end_us[place]))
        run[place] = -1 if found is None else place_of.setdefault(found, len(place_of))
    return list(place_of), run


async def blocks_after(
    connection: Connection, tariffs: Tariffs, project: Any, charge: Any
) -> tuple[Ints, Ints]:
    """Energy used in the blocks' period, and when it began, where a charge ended."""
    blocks = (
        np.array([charge["block_milli"]], dtype=np.int64),
        np.array([to_us(charge["block_period_at"])], dtype=np.int64),
    )
    point_id, start_us, end_us = (
        charge["point_id"], to_us(charge["started_at"]), to_us(charge["ended_at"]),
    )  # fmt: skip
    before = await catalog.tariffs_before(connection, project["id"], [point_id])
    schemes = await tariffs.load(connection, project["id"], sorted(named(before.values())))
    run = run_of(before[point_id], schemes, start_us, end_us) if before else None
    if run is None:
        return blocks
    timeline = tariffs.lay_out(schemes, run, project["timezone"], start_us, end_us)
    # Which band it was used in moves no block.
    bands = np.zeros((1, METER_BANDS), dtype=np.int64)
    bands[0, 0] = charge["energy_milli"]
    zero = np.zeros(1, dtype=np.int64)
    interval = Intervals(
        zero, zero, np.array([start_us]), np.array([end_us]), bands[:, 0].copy(), bands
    )
    rated = await asyncio.to_thread(rate_intervals, pack([timeline]), interval, *blocks)
    return rated.block_milli, rated.block_period_us
