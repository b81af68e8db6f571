"""A person decides about a doubtful reading; its money is posted at once, and stays decided."""

from datetime import timedelta

import asyncpg
import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import close, doubt, explain
from meterhouse.flows.doubt import Decision
from meterhouse.model import Quality
from meterhouse.rating.decided import Decided
from meterhouse.rating.delta import Verdict
from meterhouse.store import proofs
from premises import FLAT

HALF_HOUR = timedelta(minutes=30)
PRICE_NANO = 600_000
BY_BANDS = FLAT | {
    "name": "By the meter's bands",
    "versions": [
        {
            "effective_from": "2020-01-01T00:00:00+08:00", "band_source": "meter",
            "bands": ["sharp", "peak", "flat", "valley"],
            "prices_micro": {"sharp": [900_000], "peak": [800_000], "flat": [600_000],
                             "valley": [300_000]},
        }
    ],
}  # fmt: skip


@pytest.fixture
async def site(new_site):
    """A site of each test's own, whose household has money enough."""
    made = await new_site(rooms=1)
    await made.pay(100_000)
    return made


async def tell(site, *totals_milli):
    """One reading each half hour."""
    for total_milli in totals_milli:
        await site.say(total_milli)
        site.clock.step(minutes=30)


async def decide(site, decided, nth=0, **more):
    """Decide about the nth doubt of the site, oldest first."""
    rows = await site.rows("select id from doubt order by read_at")
    said = Decision(decided, "looked at the display", **more)
    key = (site.db, site.tariffs, site.project_id, rows[nth]["id"])
    return await doubt.decide(*key, said, None, site.clock())


async def billed(site):
    """Energy and quality of the intervals in force, by time."""
    rows = await site.rows(
        """select * from (select distinct on (ended_at) * from charge
           order by ended_at, version desc) c where started_at < ended_at"""
    )
    return [(row["energy_milli"], Quality(row["quality"]).name) for row in rows]


async def holds(address):
    return [proof.says for proof in await proofs.prove(address) if not proof.holds]


async def test_an_accepted_jump_is_billed_whole_and_the_alarm_closes(site, address):
    await tell(site, 0, 1_000, 90_000, 91_000)
    assert await site.alarms() == [("reading_doubtful", f"point:{site.points[0]}")]
    assert await billed(site) == [(1_000, "GOOD")]
    done = await decide(site, Decided.ACCEPT)
    # 89,000 of the jump, and the 1,000 that followed from it.
    assert done.difference_nano == 90_000 * PRICE_NANO
    assert await billed(site) == [(1_000, "GOOD"), (89_000, "EDITED"), (1_000, "GOOD")]
    assert await site.alarms() == []
    assert (await site.state())["suspect_count"] == 0
    assert await holds(address) == []


async def test_another_track_bills_nothing_between_the_two_and_all_that_follows(site, address):
    await tell(site, 50_000, 51_000, 0, 1_000, 3_000, 6_000)
    await decide(site, Decided.BEGIN)
    found = [(1_000, "GOOD"), (0, "EDITED"), (1_000, "GOOD"), (2_000, "GOOD"), (3_000, "GOOD")]
    assert await billed(site) == found
    assert await site.alarms() == []
    assert await holds(address) == []
    await tell(site, 7_000)
    assert (await billed(site))[-1] == (1_000, "GOOD")


async def test_between_two_tracks_is_billed_what_the_person_says(site, address):
    await tell(site, 50_000, 0, 1_000)
    done = await decide(site, Decided.BEGIN, used_milli=2_500)
    assert done.difference_nano == 3_500 * PRICE_NANO
    assert await billed(site) == [(2_500, "EDITED"), (1_000, "GOOD")]
    assert await holds(address) == []


async def test_a_corrected_register_is_billed_as_it_should_read(site, address):
    await tell(site, 0, 1_000, 900_000, 3_000)
    await decide(site, Decided.CORRECT, registers_milli=(2_200, -1, -1, -1, -1))
    assert await billed(site) == [(1_000, "GOOD"), (1_200, "EDITED"), (800, "GOOD")]
    assert await holds(address) == []
    # The reading itself stays what it was.
    assert await site.rows("select 1 from reading where total_milli = 900000")


async def test_a_discarded_reading_is_as_if_it_had_never_been_read(site, address):
    await tell(site, 0, 1_000, 60_000, 61_000)
    await decide(site, Decided.DISCARD, nth=0)
    assert await site.alarms() == [("reading_doubtful", f"point:{site.points[0]}")]
    await decide(site, Decided.DISCARD, nth=1)
    assert await site.alarms() == []
    await tell(site, 4_000)
    assert await billed(site) == [(1_000, "GOOD"), (3_000, "APPORTIONED")]
    assert await holds(address) == []


async def test_the_last_decision_of_an_instant_holds(site, address):
    await tell(site, 0, 1_000, 90_000)
    await decide(site, Decided.ACCEPT)
    done = await decide(site, Decided.DISCARD)
    assert done.number == 2
    assert done.difference_nano == -89_000 * PRICE_NANO
    assert await billed(site) == [(1_000, "GOOD")]
    assert await holds(address) == []


async def test_a_register_that_fell_is_not_accepted_and_nothing_is_written(site):
    await tell(site, 50_000, 0)
    with pytest.raises(doubt.StillDoubtful):
        await decide(site, Decided.ACCEPT)
    assert await site.rows("select 1 from decision") == []


async def test_one_instant_told_in_two_ways_needs_the_right_registers(site, address):
    await tell(site, 0, 1_000)
    at = site.clock()
    await site.read((site.meters[0], at, 2_000), (site.meters[0], at, 2_600))
    with pytest.raises(doubt.StillDoubtful):
        await decide(site, Decided.ACCEPT)
    await decide(site, Decided.CORRECT, registers_milli=(2_600, -1, -1, -1, -1))
    assert await billed(site) == [(1_000, "GOOD"), (1_600, "EDITED")]
    assert await site.alarms() == []
    assert await holds(address) == []


async def test_energy_between_tracks_needs_a_tariff_that_bills_by_the_total(new_site):
    site = await new_site(rooms=1, tariff=BY_BANDS)
    bands = (250, 250, 250, 250)
    await site.read((site.meters[0], site.clock(), 1_000, 1, bands))
    site.clock.step(minutes=30)
    await site.read((site.meters[0], site.clock(), 0, 1, (0, 0, 0, 0)))
    with pytest.raises(doubt.UsedUnfit):
        await decide(site, Decided.BEGIN, used_milli=1)
    await decide(site, Decided.BEGIN)
    assert await billed(site) == [(0, "EDITED")]


async def test_a_late_reading_is_judged_with_what_was_decided(site, address):
    await tell(site, 0, 1_000, 90_000, 91_000)
    await decide(site, Decided.ACCEPT)
    await site.read((site.meters[0], site.clock() - 2.5 * HALF_HOUR, 1_400))
    found = [(1_000, "GOOD"), (400, "GOOD"), (88_600, "EDITED"), (1_000, "GOOD")]
    assert await billed(site) == found
    assert await holds(address) == []


async def test_a_decision_is_told_where_its_money_is_explained(site):
    await tell(site, 0, 1_000, 90_000)
    await decide(site, Decided.ACCEPT)
    await close.book_day(site.db, site.project_id, site.clock())
    row = await site.row("select id from transfer where kind = 'booking'")
    told = await explain.explain_transfer(site.db, site.tariffs, site.project_id, row["id"])
    (first, second) = told.booking.intervals
    assert told.booking.is_exact
    assert first.decisions == []
    (said,) = second.decisions
    assert (said.decided, said.reason) == (Decided.ACCEPT, "looked at the display")


async def test_a_meter_that_left_is_decided_about_no_more(site):
    await tell(site, 50_000, 0)
    await site.rows(
        "update meter set removed_at = $1 where id = $2 returning 1", site.clock(), site.meters[0]
    )
    with pytest.raises(doubt.ReadingPast):
        await decide(site, Decided.BEGIN)


async def test_what_was_decided_is_never_changed(site):
    await tell(site, 50_000, 0)
    await decide(site, Decided.BEGIN)
    for statement in ("update decision set reason = 'another'", "delete from decision"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await site.rows(statement)


async def test_what_was_never_doubted_is_not_found(site):
    key = (site.db, site.tariffs, site.project_id, 4_711)
    with pytest.raises(NotFound):
        await doubt.decide(*key, Decision(Decided.ACCEPT, "why"), None, site.clock())


async def test_a_spurious_zero_between_good_readings_waits_for_nobody(site):
    await tell(site, 5_000, 0, 6_000)
    (row,) = await site.rows("select * from doubt")
    assert row["verdict"] == Verdict.ZERO
    async with site.db.transaction([site.project_id]) as connection:
        assert not await doubt.doubts.waiting_points(connection, site.project_id, site.points)
