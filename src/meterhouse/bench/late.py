"""Rounds in which a tenth of the readings come late, against clean rounds of the same site.

Owns the rounds and the stopwatch. In a clean round every meter says what it shows. In a late one a
tenth of the meters is not heard, and as many readings of two rounds ago arrive, of meters that were
not heard then and have been read since: their chains are judged and rated again, and the
differences are posted. Both kinds bring the same number of readings; clean ones are lived through
before and after, because a machine is not equally fast all the time.
"""

import gc
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from meterhouse.bench.ingest import Town
from meterhouse.bench.site import Site, monday, open_site, straight_links
from meterhouse.config import Settings
from meterhouse.flows import reading
from meterhouse.flows.prices import Tariffs
from meterhouse.store import proofs

METERS = 100_000
WARM_ROUNDS, ROUNDS = 2, 4
TENTH = 10
AFTER_ROUNDS = 2
"""How many rounds later a reading arrives that was not heard in its own."""
WANTED_TIMES = 2.0


async def figures(settings: Settings) -> list[dict[str, Any]]:
    """The seconds of a round with a tenth late, against those of a clean one; the books proven."""
    async with open_site(settings, "late", straight_links(METERS), monday()) as site:
        life = _Life(site)
        clean_s = [await life.round(is_late=False) for _ in range(WARM_ROUNDS + ROUNDS)]
        late_s = [await life.round(is_late=True) for _ in range(AFTER_ROUNDS + ROUNDS)]
        clean_s += [await life.round(is_late=False) for _ in range(ROUNDS)]
        for proof in await proofs.prove(site.address):
            assert proof.holds, proof.says
    clean = median(clean_s[WARM_ROUNDS:])
    late = median(late_s[AFTER_ROUNDS:])
    return [
        {"name": "late.round", "value": round(1e3 * late), "unit": "ms, a tenth late",
         "reference": round(1e3 * clean), "ratio": round(late / clean, 2)},
        {"name": "late.wanted", "value": round(late / clean, 2), "unit": "× a clean round",
         "reference": WANTED_TIMES, "ratio": round(late / clean / WANTED_TIMES, 2)},
    ]  # fmt: skip


class _Life:
    """A site that lives on, round by round; what is not heard is kept until it arrives."""

    def __init__(self, site: Site) -> None:
        self._site, self._town, self._tariffs = site, Town(site, METERS), Tariffs()
        self._number = 0
        self._unheard: dict[int, reading.Batch] = {}

    async def round(self, *, is_late: bool) -> float:
        """Half an hour passes and a chunk arrives; how many seconds that took."""
        self._number += 1
        self._town.live()
        said = self._town.batch(0, self._number)
        overdue = None
        if is_late:
            overdue = self._unheard.pop(self._number - AFTER_ROUNDS, None)
            silent = np.arange(METERS) % TENTH == self._number % TENTH
            self._unheard[self._number] = said.take(silent)
            said = said.take(~silent)
        late = 0
        if overdue is not None:
            late = len(overdue.meter_id)
            said = _both(said, overdue)
        gc.collect()
        begin = perf_counter()
        done = await reading.ingest(
            self._site.db, self._tariffs, self._site.project_id, said,
            self._town.at(self._number),
        )  # fmt: skip
        taken_s = perf_counter() - begin
        assert (done.late, done.doubtful) == (late, 0), done
        assert done.fresh == len(said.meter_id) - late, done
        return taken_s


def _both(one: reading.Batch, other: reading.Batch) -> reading.Batch:
    """The readings of two batches, none of which has a purse."""
    names = [name for name in one.__dataclass_fields__ if name != "purse"]
    return reading.Batch(
        *(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names)
    )
