"""A scheme replayed on what it charged charges the same: nobody gains, nobody loses.

Meters live some hours around a month's end, with all the oddities of the field; what they say comes
in any order, people decide about some of it, and what nobody says is estimated. The scheme that
charged them is then tried out on spans of any beginning and end, on the real store: for every
household and month of each, what would be charged is what was, to the last Nano, and spans that
follow each other add up to the whole.

`METERHOUSE_SOAK=1` lets it run for as long as a long coffee takes.
"""

import os
from copy import deepcopy
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterhouse.flows import estimate, replay
from meterhouse.flows.prices import Tariffs
from premises import HASTY, MORNING, Clock, Site, build_site
from property.test_any_order import (
    BY_METER,
    HOMES,
    INSTANTS,
    START,
    STEP,
    TARIFFS,
    Said,
    Told,
    chains,
    decided_by,
    decisions,
    told_to,
)

SOAK = os.environ.get("METERHOUSE_SOAK") == "1"
EXAMPLES = 1_000 if SOAK else 20
END = START + STEP * (INSTANTS + 3)
BEGIN = START - timedelta(days=40)


def changed(body: dict[str, Any], **version: Any) -> dict[str, Any]:
    """A scheme whose every version has something else."""
    made = deepcopy(body)
    made["versions"] = [one | version for one in made["versions"]]
    return made


DAILY = {"per": "day", "amount_micro": 1_234_567}
SCHEMES = TARIFFS | {
    "all at once": changed(HOMES, blocks=HOMES["versions"][0]["blocks"] | {"fill": "pro_rata"}),
    "for ever": changed(HOMES, blocks={"period": "none", "limits_milli": [20_000, 40_000]}),
    "by the year, from nine": changed(
        HOMES, blocks={"period": "year", "limits_milli": [20_000, 40_000]}, standing=DAILY,
    ) | {"billing": {"anchor_day": 1, "anchor_hour": 9, "proration": "days"}},
    "by meter, stood": changed(BY_METER, standing=DAILY),
}  # fmt: skip


@st.composite
def stories(draw: st.DrawFn) -> tuple[str, list[list[Told]], list[Said], list[datetime]]:
    """A scheme, what two meters say in batches of any order, decisions, and where spans meet."""
    told = [one for room in range(2) for one in draw(chains(room))]
    arrived = draw(st.permutations(told))
    cut = draw(st.integers(0, len(arrived)))
    minutes = int((END - BEGIN) / timedelta(minutes=1))
    near = int((START - BEGIN) / timedelta(minutes=1))
    ends = draw(st.sets(st.integers(near - 90, minutes), min_size=1, max_size=4))
    midnight = int((START + timedelta(hours=3) - BEGIN) / timedelta(minutes=1))
    ends |= {draw(st.sampled_from([midnight, 0])), draw(st.integers(1, near))}
    edges = [BEGIN + timedelta(minutes=one) for one in sorted(ends)]
    scheme = draw(st.sampled_from(sorted(SCHEMES)))
    # Nobody may say energy of no band where it is priced by bands.
    said = [one for one in draw(decisions(told))
            if not (one[2].used_milli and scheme.startswith("by meter"))]  # fmt: skip
    return scheme, [arrived[:cut], arrived[cut:]], said, edges


async def nobody(_done: int, _total: int) -> None:
    """Nobody watches."""


async def replayed(site: Site, body: dict[str, Any], since: datetime, until: datetime) -> Any:
    """What of a span was charged, and what its own scheme would charge."""
    tariffs = Tariffs()
    question = replay.Question(np.array(site.points), since, until, replay.scheme_of(tariffs, body))
    return await replay.replay(site.db, tariffs, site.project_id, question, nobody)


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(story=stories())
async def test_the_scheme_that_charged_shows_no_difference_over_any_span(db, story):
    scheme, batches, said, edges = story
    body, policy = SCHEMES[scheme], HASTY | {"estimate_after_h": 1}
    site = await build_site(
        db, Clock(MORNING), rooms=2, tariff=body, name="replayed", policy=policy
    )
    site.clock.at = END
    for batch in batches:
        await told_to(site, batch)
    await decided_by(site, said)
    await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())
    whole = await replayed(site, body, BEGIN, END)
    parts = [await replayed(site, body, *span) for span in pairwise([BEGIN, *edges, END])
             if span[0] < span[1]]  # fmt: skip
    for found in (whole, *parts):
        assert found.rows["would_nano"].tolist() == found.rows["charged_nano"].tolist()
    for name in ("interval_count", "energy_milli", "charged_nano"):
        told = [sum(found.rows[name].tolist()) for found in (whole, *parts)]
        assert told[0] == sum(told[1:]), name
    # Only of what was never measured the meter's bands are not known.
    (unmeasured,) = await site.rows(
        """select count(*) as count from (select distinct on (point_id, ended_at) * from charge
               order by point_id, ended_at, version desc) c
           where started_at < ended_at and (quality = 2 or verdict = 12)"""
    )
    assert whole.unrated_count <= unmeasured["count"] * ("by meter" in scheme)
    rated = await site.row("select sum(rated_nano)::int8 as nano from point_state")
    assert sum(whole.rows["charged_nano"].tolist()) == rated["nano"]
