"""Readings become charges and accruals in one transaction; what cannot be billed is kept."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from meterhouse.errors import OutOfRange
from meterhouse.flows import reading
from meterhouse.model import Keeper, Relay
from meterhouse.rating.delta import Verdict
from premises import FLAT, HASTY, HOMES, MORNING, batch_of

HALF_HOUR = timedelta(minutes=30)


async def tell(site, *totals_milli):
    """One reading each half hour; answers what became of the last one."""
    for total_milli in totals_milli:
        done = await site.say(total_milli)
        site.clock.step(minutes=30)
    return done


async def charges(site):
    return await site.rows("select * from charge order by ended_at, version")


async def test_a_reading_is_charged_from_the_one_before(site, clock):
    await site.say(1_000)
    clock.step(minutes=30)
    done = await site.say(3_000)
    assert (done.fresh, done.doubtful) == (1, 0)
    state = await site.state()
    assert (state["accrued_nano"], state["rated_nano"]) == (2_000 * 600_000,) * 2
    (charge,) = await charges(site)
    assert (charge["started_at"], charge["ended_at"]) == (MORNING, clock())
    assert (charge["energy_milli"], charge["verdict"]) == (2_000, Verdict.GOOD)


async def test_the_first_reading_begins_a_chain_and_bills_nothing(site):
    done = await site.say(987_650)
    assert (done.fresh, done.doubtful) == (1, 0)
    assert await charges(site) == []
    state = await site.state()
    assert (state["good_at"], state["good_0_milli"]) == (MORNING, 987_650)


async def test_the_multiplier_applies_once(new_site):
    site = await new_site(multiplier=40)
    await tell(site, 0, 100)
    (charge,) = await charges(site)
    assert charge["energy_milli"] == 4_000


async def test_a_replayed_batch_changes_nothing(site, clock):
    rows = [(site.meters[0], MORNING - HALF_HOUR * n, 9_000 - 1_000 * n) for n in range(4)]
    first = await site.read(*rows)
    before = await site.state(), await charges(site)
    again = await site.read(*reversed(rows))
    assert (first.fresh, again.fresh, again.late, again.repeated) == (4, 0, 0, 4)
    assert (await site.state(), await charges(site)) == before


async def test_a_late_reading_splits_a_billed_interval_and_posts_the_difference(site, clock):
    await tell(site, 0, 8_000)
    done = await site.read((site.meters[0], MORNING + timedelta(minutes=10), 3_000))
    assert (done.late, done.fresh) == (1, 0)
    kept = await charges(site)
    assert [(one["energy_milli"], one["version"]) for one in kept] == [
        (3_000, 1), (8_000, 1), (5_000, 2),
    ]  # fmt: skip
    assert (await site.state())["rated_nano"] == 8_000 * 600_000


async def test_a_late_correction_after_booking_goes_back_the_other_way(site, clock):
    await tell(site, 0, 8_000)
    await site.pay(1_000)
    assert (await site.row("select count(*) from transfer where kind = 'booking'"))["count"] == 1
    await site.read((site.meters[0], MORNING + HALF_HOUR, 8_010))
    # Two readings of one instant differ: neither bills, and what was booked is owed back.
    state = await site.state()
    assert (state["rated_nano"], state["accrued_nano"]) == (0, -8_000 * 600_000)


async def test_two_readings_of_one_instant_in_one_batch_bill_neither(site, clock):
    await site.say(0)
    at = clock.step(minutes=30)
    meter_id = site.meters[0]
    done = await site.read((meter_id, at, 1_000), (meter_id, at, 1_010))
    assert (done.fresh, done.conflicting) == (1, 1)
    assert await charges(site) == []
    assert ("reading_doubtful", f"point:{site.points[0]}") in await site.alarms()
    state = await site.state()
    assert (state["read_at"], state["good_at"]) == (at, MORNING)
    aside = await site.row("select * from reading_aside")
    assert (aside["why"], aside["registers_milli"][0]) == ("conflict", 1_010)
    clock.step(minutes=30)
    await site.say(2_000)
    assert [one["energy_milli"] for one in await charges(site)] == [2_000]


async def test_what_no_meter_in_service_said_is_kept_and_alarmed(site):
    done = await site.read((999_999, MORNING, 5), (site.meters[0], MORNING, 5))
    assert (done.unplaced, done.fresh) == (1, 1)
    aside = await site.row("select * from reading_aside")
    assert (aside["meter_id"], aside["why"], aside["registers_milli"]) == (
        999_999, "meter", [5, -1, -1, -1, -1],
    )  # fmt: skip
    assert ("reading_unplaced", "meter:999999") in await site.alarms()


@pytest.mark.parametrize(
    "read_at", [MORNING + timedelta(minutes=6), datetime(1999, 12, 31, 23, tzinfo=UTC)]
)
async def test_an_impossible_instant_is_kept_aside_and_stops_nothing(site, read_at):
    done = await site.read((site.meters[0], read_at, 5), (site.meters[1], MORNING, 7))
    assert (done.unplaced, done.fresh) == (1, 1)
    aside = await site.row("select * from reading_aside")
    assert (aside["read_at"], aside["why"]) == (read_at, "instant")
    assert (await site.state(0))["good_at"] < MORNING


async def test_a_clock_that_is_a_little_ahead_is_believed(site):
    done = await site.read((site.meters[0], MORNING + timedelta(minutes=5), 5))
    assert (done.unplaced, done.fresh) == (0, 1)


async def test_a_register_that_passes_its_end_adds_one_modulus(site):
    await tell(site, 999_999_000, 500)
    (charge,) = await charges(site)
    assert (charge["energy_milli"], charge["verdict"]) == (1_500, Verdict.ROLLOVER)


@pytest.mark.parametrize(
    ("totals_milli", "billed_milli", "suspects"),
    [
        ((50_000, 0, 52_000), [2_000], 0),
        ((50_000, 0, 20, 40), [], 3),
        ((50_000, 900_000, 52_000), [2_000], 0),
        ((50_000, 51_000, 3_000, 52_000), [1_000, 1_000], 0),
    ],
    ids=["one zero", "a reset", "one jump", "one decrease"],
)
async def test_doubtful_energy_is_not_billed_and_waits(site, totals_milli, billed_milli, suspects):
    await tell(site, *totals_milli)
    assert [one["energy_milli"] for one in await charges(site)] == billed_milli
    assert (await site.state())["suspect_count"] == suspects
    doubt = ("reading_doubtful", f"point:{site.points[0]}")
    assert (doubt in await site.alarms()) == (suspects > 0)
    assert (doubt in await site.alarms(is_open=False)) == (suspects == 0)


async def test_a_late_reading_that_explains_a_doubt_closes_its_alarm(site, clock):
    await tell(site, 900_000, 50_000)
    doubt = ("reading_doubtful", f"point:{site.points[0]}")
    assert doubt in await site.alarms()
    # It was the first reading that was wrong.
    await site.read((site.meters[0], MORNING - HALF_HOUR, 49_000))
    assert [one["energy_milli"] for one in await charges(site)] == [1_000]
    assert doubt not in await site.alarms()


async def test_a_late_reading_that_brings_a_doubt_opens_an_alarm(site):
    await tell(site, 50_000)
    await site.read((site.meters[0], MORNING - HALF_HOUR, 900_000))
    assert (await site.state())["suspect_count"] == 1
    assert ("reading_doubtful", f"point:{site.points[0]}") in await site.alarms()


async def test_energy_without_a_price_is_kept_alarmed_and_free(new_site):
    later = FLAT | {
        "versions": [FLAT["versions"][0] | {"effective_from": "2030-01-01T00:00:00+08:00"}]
    }
    site = await new_site(tariff=later)
    done = await tell(site, 0, 4_000)
    assert done.doubtful == 1
    (charge,) = await charges(site)
    assert (charge["energy_milli"], charge["amount_nano"]) == (4_000, 0)
    alarm = await site.row("select facts, subject from alarm where kind = 'reading_doubtful'")
    assert alarm["subject"] == f"point:{site.points[0]}"
    assert "unpriced" in alarm["facts"]


async def test_blocks_begin_again_with_the_month_of_the_projects_own_clock(new_site, clock):
    # Midnight in Shanghai is 16:00 UTC; the interval around it is split in half.
    clock.at = datetime(2026, 3, 31, 15, 30, tzinfo=UTC)
    site = await new_site(tariff=HOMES)
    await site.say(0)
    clock.step(hours=1)
    await site.say(10_000)
    state = await site.state()
    assert state["block_period_at"] == datetime(2026, 3, 31, 16, tzinfo=UTC)
    assert state["block_milli"] == 5_000
    assert state["rated_nano"] == 10_000 * 320_000


async def test_an_interval_crosses_bands_and_blocks_exactly(new_site, clock):
    clock.at = datetime(2026, 3, 4, 13, 30, tzinfo=UTC)
    site = await new_site(tariff=HOMES)
    await site.say(0)
    clock.step(hours=1)
    await site.say(30_000)
    # Until ten in the evening 15 kWh at the peak price; then 5 in the first block, 10 above it.
    rated = 15_000 * 620_000 + 5_000 * 320_000 + 10_000 * 370_000
    assert (await site.state())["rated_nano"] == rated


async def test_a_week_begins_in_a_partition_of_its_own(site, clock):
    monday = datetime(2026, 3, 9, tzinfo=UTC)
    instants = [monday - timedelta(microseconds=1), monday, monday + timedelta(minutes=1)]
    clock.at = instants[-1]
    await site.read(*((site.meters[0], at, 10 * n) for n, at in enumerate(instants)))
    parts = await site.rows("select tableoid::regclass::text as part from reading order by read_at")
    assert [one["part"] for one in parts] == [
        "reading_2026w10", "reading_2026w11", "reading_2026w11",
    ]  # fmt: skip
    assert [one["ended_at"] for one in await charges(site)] == instants[1:]


@pytest.mark.parametrize("keeper", [Keeper.METER, Keeper.EXTERNAL, Keeper.NONE])
async def test_where_others_keep_the_money_nothing_is_warned_or_switched(new_site, keeper):
    site = await new_site(keeper=keeper, policy=HASTY | {"quiet_weekdays": []})
    done = await tell(site, 0, 20_000)
    assert done.commands == 0
    assert (await site.state())["warning_level"] == 0
    assert await site.alarms() == []


async def test_vacancy_falls_to_the_house_and_is_never_cut_off(new_site):
    site = await new_site(is_let=False)
    done = await tell(site, 0, 20_000)
    assert done.commands == 0
    payer = await site.row(
        """select g.kind from charge c join account a on a.id = c.account_id
           join agreement g on g.id = a.agreement_id"""
    )
    assert payer["kind"] == "house"


async def test_what_the_meter_did_not_say_leaves_what_is_known(site, clock):
    await site.say(0, relay=Relay.OPEN)
    clock.step(minutes=30)
    await site.say(0, relay=Relay.UNKNOWN)
    assert (await site.state())["relay"] == Relay.OPEN


async def test_a_chunk_has_a_limit(site):
    big = batch_of([(site.meters[0], MORNING, 1)])
    big = big.take(np.zeros(reading.CHUNK_MAX + 1, dtype=np.int64))
    with pytest.raises(OutOfRange):
        await reading.ingest(site.db, site.tariffs, site.project_id, big, MORNING)


async def test_who_is_about_to_run_out_is_named_for_more_frequent_reading(site, clock):
    await site.pay(100)
    await site.pay(1_000, room=1)
    for room in (0, 1):
        await site.say(0, room)
    clock.step(minutes=30)
    assert (await site.say(900)).soon == (site.meters[0],)
    assert (await site.say(900, room=1)).soon == ()


async def test_every_ingest_moves_the_pulse(site):
    before = await site.row("select seq from pulse")
    await site.say(1)
    assert (await site.row("select seq from pulse"))["seq"] == before["seq"] + 1


async def test_an_empty_batch_is_no_work(site):
    assert await site.read() == reading.Ingested()
