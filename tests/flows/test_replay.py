"""Charged time rated again under any scheme, beside what was charged, the books untouched."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from meterhouse.flows import doubt, replay
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.replay import NothingToReplay, ReplaySpanUnusable
from meterhouse.rating.decided import Decided
from meterhouse.rating.fields import TariffInvalid
from meterhouse.units import to_us
from premises import FLAT, HOMES
from replayed import made_replay

HALF_HOUR = timedelta(minutes=30)
# The last day of March in Shanghai, and the first of April.
START = datetime(2026, 3, 31, 4, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 31, 16, 0, tzinfo=UTC)
COUNT = 40


@pytest.fixture
async def used(new_site):
    """Two households that used energy over the end of a month, by blocks and bands."""
    site = await new_site(rooms=2, tariff=HOMES)
    site.clock.at = START
    for step in range(COUNT):
        # A reading comes some minutes before each half hour, so that edges lie inside intervals.
        await site.say(step * 1_700, room=0)
        await site.say(step * 300 + step * step, room=1)
        site.clock.step(minutes=30)
    return site


async def silent(_done, _total):
    """Nobody watches."""


def priced(prices_micro, *, limits=(), begins="2026-01-01T00:00:00+08:00", base=FLAT):
    body = deepcopy(base)
    version = {"effective_from": begins, "prices_micro": {"flat": list(prices_micro)}}
    if limits:
        version["blocks"] = {"period": "month", "limits_milli": list(limits)}
    return body | {"versions": [version]}


async def replayed(site, body, since, until, point_ids=None):
    tariffs = Tariffs()
    question = replay.Question(
        np.array(sorted(point_ids or site.points)), since, until, replay.scheme_of(tariffs, body)
    )
    return await replay.replay(site.db, tariffs, site.project_id, question, silent)


async def books(site):
    return await site.rows("select * from point_state order by point_id"), await site.rows(
        "select * from charge order by point_id, ended_at, version"
    )


async def test_the_scheme_that_charged_would_charge_the_same_and_nothing_moves(used):
    before = await books(used)
    found = await replayed(used, HOMES, START - HALF_HOUR, used.clock())
    rows = replay.by_household(found)
    assert rows["charged_nano"].tolist() == rows["would_nano"].tolist()
    charged = await used.rows("select rated_nano from point_state order by point_id")
    assert rows["would_nano"].tolist() == [row["rated_nano"] for row in charged]
    assert rows["energy_milli"].tolist() == [39 * 1_700, 39 * 300 + 39 * 39]
    assert (found.months, found.unrated_count) == (["2026-03", "2026-04"], 0)
    assert await books(used) == before


async def test_a_later_correction_of_a_charge_counts_by_its_latest_version(used):
    late = START + 5 * HALF_HOUR - timedelta(minutes=7)
    await used.read((used.meters[0], late, 5 * 1_700 - 100))
    again = await used.row("select count(*) as count from charge where version > 1")
    assert again["count"] > 0
    found = await replayed(used, HOMES, START - HALF_HOUR, used.clock())
    rows = replay.by_household(found)
    assert rows["energy_milli"][0] == 39 * 1_700
    assert rows["charged_nano"].tolist() == rows["would_nano"].tolist()


async def test_another_scheme_shows_who_pays_more_and_who_less(used):
    found = await replayed(used, priced([500_000]), START - HALF_HOUR, used.clock())
    rows = replay.by_household(found)
    assert rows["would_nano"].tolist() == [one * 500_000 for one in rows["energy_milli"].tolist()]
    sums = replay.told(found, rows, 2)
    assert sums["winners"] + sums["losers"] + sums["unchanged"] == 2 == sum(sums["shares"])
    assert sums["charged_nano"] + sums["winners_nano"] + sums["losers_nano"] == sums["would_nano"]
    assert [one["energy_milli"] for one in sums["months"]] != [0, 0]
    for name in ("energy_milli", "charged_nano", "would_nano"):
        assert sum(one[name] for one in sums["months"]) == sums[name]


async def test_a_charge_counts_whole_in_the_span_in_which_it_ends(used):
    since, until = START + timedelta(minutes=40), START + timedelta(minutes=130)
    found = await replayed(used, priced([600_000]), since, until, used.points[:1])
    rows = replay.by_household(found)
    # Of [0:30, 1:00) to [2:00, 2:30) the first begins before it, and the last ends after it.
    assert (rows["energy_milli"].tolist(), rows["interval_count"].tolist()) == ([3 * 1_700], [3])
    assert rows["charged_nano"].tolist() == [row["amount_nano"] for row in await used.rows(
        """select sum(amount_nano)::int8 as amount_nano from charge
           where point_id = $1 and ended_at > $2 and ended_at <= $3""",
        used.points[0], since, until,
    )]  # fmt: skip
    parts = [
        await replayed(used, HOMES, *ends) for ends in ((START, MIDNIGHT), (MIDNIGHT, used.clock()))
    ]
    whole = await replayed(used, HOMES, START, used.clock())
    for name in ("energy_milli", "charged_nano", "would_nano"):
        together = sum(sum(one.rows[name].tolist()) for one in parts)
        assert together == sum(whole.rows[name].tolist()), name


async def test_a_charge_that_was_taken_back_counts_in_no_span(used):
    ends = [row["ended_at"] for row in await used.rows(
        "select ended_at from charge where point_id = $1 order by ended_at", used.points[0]
    )]  # fmt: skip
    discarded = doubt.OfMeter(used.meters[0], to_us(ends[4]))
    said = doubt.Decision(Decided.DISCARD, "a slip")
    key = used.db, used.tariffs, used.project_id
    await doubt.decide(*key, discarded, said, None, used.clock())
    # It ends where the span does, and so does what took it back.
    found = await replayed(used, HOMES, START - HALF_HOUR, ends[4], used.points[:1])
    assert sum(found.rows["interval_count"].tolist()) == 4
    assert found.rows["charged_nano"].tolist() == found.rows["would_nano"].tolist()


async def test_standing_charges_are_no_gain_at_the_ends_of_a_span(new_site):
    body = deepcopy(FLAT)
    body["versions"][0]["standing"] = {"per": "day", "amount_micro": 1_000_000}
    site = await new_site(rooms=1, tariff=body)
    site.clock.at = START
    await site.say(0)
    site.clock.step(days=10)
    await site.say(0)
    for days in (5, 10):
        # Ten days in one interval, nothing used, a yuan a day; it ends in the one span alone.
        until = START + timedelta(days=days)
        found = await replayed(site, body, until - timedelta(days=5), until)
        charged = [10 * 10**9] if days == 10 else []
        assert found.rows["charged_nano"].tolist() == charged
        assert found.rows["would_nano"].tolist() == charged


async def test_blocks_are_as_full_at_the_spans_start_as_the_scheme_had_filled_them(used):
    # By midnight room 0 has used 24 × 1.7 = 40.8 kWh of its month: past 20, and past 40.
    body = priced([100_000, 1_000_000], limits=[20_000])
    since = MIDNIGHT - 2 * HALF_HOUR
    found = await replayed(used, body, since, MIDNIGHT, used.points[:1])
    assert found.rows["would_nano"].tolist() == [2 * 1_700 * 1_000_000]
    after = await replayed(used, body, MIDNIGHT, MIDNIGHT + HALF_HOUR, used.points[:1])
    assert after.rows["would_nano"].tolist() == [1_700 * 100_000]


async def test_a_price_still_to_come_is_tried_out_on_the_past(used):
    body = priced([900_000], begins="2030-01-01T00:00:00+08:00")
    found = await replayed(used, body, START, used.clock())
    rows = replay.by_household(found)
    assert rows["would_nano"].tolist() == [one * 900_000 for one in rows["energy_milli"].tolist()]


async def test_few_charges_at_a_time_come_to_the_same(used, monkeypatch):
    whole = await replayed(used, HOMES, START, used.clock())
    monkeypatch.setattr(replay, "CHUNK_ROWS", 1)
    pieces = await replayed(used, HOMES, START, used.clock())
    for name, column in whole.rows.items():
        assert pieces.rows[name].tolist() == column.tolist()


async def test_a_replay_is_kept_under_its_tasks_number(used):
    tariffs = Tariffs()
    nothing = {"place_id": None, "tariff_id": None, "point_ids": None}
    asked, count = await replay.asked_of(
        used.db, tariffs, used.project_id, nothing | {"tariff_id": used.tariff_id},
        (START, used.clock()), priced([500_000]),
    )  # fmt: skip
    assert count == 2
    made = await made_replay(used.db, used.project_id, asked, used.clock())
    row = await replay.get(used.db, used.project_id, made)
    assert (row["found"]["households"], row["corrects"], row["is_made"]) == (2, False, False)
    kept = await used.row("select count(*) as count from replay_row where replay_id = $1", made)
    assert kept["count"] == 2
    with pytest.raises(NothingToReplay):
        await replay.asked_of(
            used.db, tariffs, used.project_id, nothing | {"point_ids": [10**9]},
            (START, used.clock()), priced([500_000]),
        )  # fmt: skip
    with pytest.raises(TariffInvalid):
        await replay.asked_of(
            used.db, tariffs, used.project_id, nothing, (START, used.clock()), {"name": "N"}
        )


def test_a_span_lies_in_the_past_and_has_an_end():
    now = datetime(2026, 4, 1, tzinfo=UTC)
    replay.check_span(now - timedelta(days=1), now, now)
    for since, until in (
        (now, now), (now - timedelta(days=1), now + HALF_HOUR),
        (now - timedelta(days=2_000), now),
    ):  # fmt: skip
        with pytest.raises(ReplaySpanUnusable):
            replay.check_span(since, until, now)
