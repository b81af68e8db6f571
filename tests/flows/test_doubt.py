"""A person decides about a doubtful reading; its money is posted at once, and stays decided."""

from datetime import timedelta

import asyncpg
import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import close, day, device, doubt, explain
from meterhouse.flows.doubt import Decision, OfMeter
from meterhouse.model import Keeper, Quality
from meterhouse.rating.decided import Decided
from meterhouse.rating.delta import Verdict
from meterhouse.store import proofs
from meterhouse.units import to_us
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


async def named(site, nth):
    """The nth reading of the site's meter, as its own list names it."""
    rows = await site.rows("select read_at from reading order by read_at")
    return OfMeter(site.meters[0], to_us(rows[nth]["read_at"]))


async def decide_of(site, nth, decided, **more):
    """Decide about the nth reading, doubtful or not."""
    said = Decision(decided, "the slip says 1.3", **more)
    key = (site.db, site.tariffs, site.project_id, await named(site, nth))
    return await doubt.decide(*key, said, None, site.clock())


async def test_a_good_reading_that_is_wrong_is_corrected(site, address):
    await tell(site, 0, 1_000, 3_100, 4_000)
    assert await site.alarms() == []
    done = await decide_of(site, 2, Decided.CORRECT, registers_milli=(1_300, -1, -1, -1, -1))
    assert await billed(site) == [(1_000, "GOOD"), (300, "EDITED"), (2_700, "GOOD")]
    assert done.difference_nano == 0
    (payer,) = done.weight.payers
    # Both intervals change, and the household owes for the same energy as before.
    assert (payer.before_milli, payer.after_milli) == (3_000, 3_000)
    assert payer.is_present
    assert await holds(address) == []
    now = await doubt.look(site.db, site.project_id, await named(site, 2))
    assert (now.quality, now.row["total_milli"]) == (Quality.EDITED, 3_100)
    assert [one["reason"] for one in now.history] == ["the slip says 1.3"]
    # A reading that comes late is judged with it.
    await site.read((site.meters[0], site.clock() - 2.5 * HALF_HOUR, 1_200))
    assert (await billed(site))[1:] == [(200, "GOOD"), (100, "EDITED"), (2_700, "GOOD")]


async def test_the_last_reading_discarded_gives_its_energy_back(site, address):
    await tell(site, 0, 1_000, 3_000)
    done = await decide_of(site, 2, Decided.DISCARD)
    assert done.difference_nano == -2_000 * PRICE_NANO
    (payer,) = done.weight.payers
    assert (payer.before_milli, payer.after_milli) == (2_000, 0)
    assert (payer.before_nano, payer.after_nano) == (2_000 * PRICE_NANO, 0)
    assert await holds(address) == []
    # Accepted again it is as it was read, and says that somebody looked at it.
    await decide_of(site, 2, Decided.ACCEPT)
    assert await billed(site) == [(1_000, "GOOD"), (2_000, "GOOD")]
    now = await doubt.look(site.db, site.project_id, await named(site, 2))
    assert (now.quality, now.before_milli) == (Quality.EDITED, 1_000)
    assert await holds(address) == []


async def test_a_correction_beyond_what_follows_says_what_becomes_doubtful(site, address):
    await tell(site, 0, 1_000, 2_000)
    done = await decide_of(site, 1, Decided.CORRECT, registers_milli=(2_500, -1, -1, -1, -1))
    assert done.weight.doubted_count == 1
    assert await site.alarms() == [("reading_doubtful", f"point:{site.points[0]}")]
    assert await billed(site) == [(2_500, "EDITED")]
    # Taken back, nothing waits.
    done = await decide_of(site, 1, Decided.ACCEPT)
    assert await billed(site) == [(1_000, "GOOD"), (1_000, "GOOD")]
    assert await site.alarms() == []
    assert await holds(address) == []


async def test_a_decision_about_a_closed_day_names_it_and_lets_it_stand(site, address):
    await tell(site, 0, 1_000, 3_000)
    site.clock.step(days=1)
    await day.close_days(site.db, site.project_id, None, None, site.clock())
    kept = await site.rows("select day, totals from day_close order by day")
    done = await decide_of(site, 2, Decided.CORRECT, registers_milli=(2_000, -1, -1, -1, -1))
    count, first, last = done.weight.closed_days
    assert (count, first) == (1, last)
    assert await site.rows("select day, totals from day_close order by day") == kept
    assert await holds(address) == []


async def test_where_the_meter_keeps_the_money_nothing_is_booked_and_it_says_so(new_site, address):
    site = await new_site(rooms=1, keeper=Keeper.METER)
    await tell(site, 0, 1_000, 3_000)
    done = await decide_of(site, 2, Decided.DISCARD)
    assert (done.is_kept, done.difference_nano) == (False, -2_000 * PRICE_NANO)
    assert (await site.state())["accrued_nano"] == 0
    assert await holds(address) == []


async def test_a_decision_about_a_time_the_platform_kept_is_booked_to_it(new_site, address):
    site = await new_site(rooms=1)
    await tell(site, 0, 1_000, 3_000)
    point = await device.point(site.db, site.project_id, site.points[0])
    await device.edit_point(
        site.db, site.project_id, site.points[0], point["version"], point["tariff_id"],
        Keeper.EXTERNAL, site.clock(),
    )  # fmt: skip
    for total_milli in (3_000, 9_000):
        site.clock.step(minutes=30)
        await site.say(total_milli)
    done = await decide_of(site, 4, Decided.CORRECT, registers_milli=(8_000, -1, -1, -1, -1))
    assert (done.is_kept, done.difference_nano) == (False, -1_000 * PRICE_NANO)
    # The interval of the change began under the platform; what follows it did not.
    for nth in (2, 3):
        done = await decide_of(site, nth, Decided.CORRECT, registers_milli=(2_000, -1, -1, -1, -1))
        assert (done.is_kept, done.difference_nano) == (True, 0)
    moved = await site.row(
        "select sum(amount_minor)::int8 as coins from transfer where booking < 0"
    )
    assert moved["coins"] == 1_000 * PRICE_NANO // 10_000_000
    assert await holds(address) == []


async def test_what_is_no_reading_is_not_found(site):
    await tell(site, 0)
    for reading_id in (1, 2**63 - 1):
        with pytest.raises(NotFound):
            await doubt.look(site.db, site.project_id, OfMeter(site.meters[0], reading_id))


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
