"""Silence: estimated by the days before, taken back by what is read, never cutting anybody off."""

from datetime import timedelta

import pytest

from meterhouse.flows import close, command, estimate, explain, monitor
from meterhouse.model import Quality, Relay
from meterhouse.store import proofs
from meterhouse.store.lists import Wanted
from premises import FLAT, HASTY, HOMES

PRICE_NANO = 600_000
ESTIMATES = HASTY | {"estimate_after_h": 6}


@pytest.fixture
async def site(new_site):
    """A point that uses 0.1 kWh each half hour for eight days, and then says nothing."""
    made = await new_site(rooms=1, policy=ESTIMATES)
    await made.pay(100_000)
    await live(made, days=8)
    return made


async def live(site, days, used_milli=100, room=0):
    """Half hours of steady use, told in one batch at their end."""
    begun, count = site.clock(), days * 48
    rows = [
        (site.meters[room], begun + timedelta(minutes=30) * n, 10_000 + used_milli * n)
        for n in range(count + 1)
    ]
    site.clock.at = rows[-1][1]
    await site.read(*rows)


async def tend(site):
    return await estimate.tend(site.db, site.tariffs, site.project_id, site.clock())


async def charged(site):
    """The intervals in force after the silence began: energy and quality."""
    rows = await site.rows(
        """select * from (select distinct on (ended_at) * from charge where point_id = $1
           order by ended_at, version desc) c where started_at < ended_at
           and ended_at > $2 order by ended_at""",
        site.points[0], site.clock.at - timedelta(days=3),
    )  # fmt: skip
    return [(row["energy_milli"], Quality(row["quality"])) for row in rows]


async def holds(address):
    return [proof.says for proof in await proofs.prove(address) if not proof.holds]


async def test_silence_is_estimated_by_the_same_hours_of_the_days_before(site, address):
    before = (await site.state())["accrued_nano"]
    site.clock.step(hours=5)
    assert await tend(site) == 0
    site.clock.step(hours=1)
    assert await tend(site) == 1
    # Six hours of 0.2 kWh.
    assert (await charged(site))[-1] == (1_200, Quality.ESTIMATED)
    state = await site.state()
    assert state["accrued_nano"] - before == state["estimated_nano"] == 1_200 * PRICE_NANO
    # The chain of readings knows nothing of it.
    assert state["good_0_milli"] == 10_000 + 100 * 8 * 48
    assert await site.rows("select 1 from reading where source > 3") == []
    (row,) = await site.rows("select * from estimate")
    assert (row["rule"], row["total_milli"]) == ("same_hours_7_days", state["good_0_milli"] + 1_200)
    assert await holds(address) == []


async def test_an_estimate_goes_on_where_the_last_one_ended(site, address):
    site.clock.step(hours=6)
    await tend(site)
    site.clock.step(minutes=30)
    assert await tend(site) == 0
    site.clock.step(minutes=90)
    assert await tend(site) == 1
    found = await charged(site)
    assert found[-2:] == [(1_200, Quality.ESTIMATED), (400, Quality.ESTIMATED)]
    assert await holds(address) == []


async def test_the_true_reading_takes_the_estimate_back_and_posts_the_difference(site, address):
    before = await site.state()
    site.clock.step(hours=6)
    await tend(site)
    await close.book_day(site.db, site.project_id, site.clock())
    site.clock.step(hours=1)
    await site.say(before["good_0_milli"] + 900)
    after = await site.state()
    assert after["rated_nano"] - before["rated_nano"] == 900 * PRICE_NANO
    assert after["estimated_nano"] == 0
    assert (await charged(site))[-1] == (900, Quality.APPORTIONED)
    assert await holds(address) == []


async def test_a_late_reading_from_the_silence_does_so_too(site, address):
    before, silent_at = await site.state(), site.clock()
    site.clock.step(hours=6)
    await tend(site)
    await site.read((site.meters[0], silent_at + timedelta(hours=2), before["good_0_milli"] + 50))
    assert (await charged(site))[-1] == (50, Quality.APPORTIONED)
    assert (await site.state())["estimated_nano"] == 0
    site.clock.step(hours=2)
    # Silent for six hours again: estimated anew, from the reading that came.
    assert await tend(site) == 1
    assert (await charged(site))[-1] == (1_200, Quality.ESTIMATED)
    assert await holds(address) == []


async def test_a_reading_of_the_very_instant_that_was_estimated_is_charged(site, address):
    silent_at, before = site.clock(), await site.state()
    site.clock.step(hours=6)
    await tend(site)
    estimated_at = site.clock()
    await site.read((site.meters[0], silent_at + timedelta(hours=1), before["good_0_milli"] + 200))
    await site.read((site.meters[0], estimated_at, before["good_0_milli"] + 1_000))
    assert (await charged(site))[-1] == (800, Quality.APPORTIONED)
    assert await holds(address) == []


async def test_a_doubtful_reading_ends_no_silence_for_long(site, address):
    site.clock.step(hours=6)
    await tend(site)
    site.clock.step(minutes=5)
    await site.say(0)
    assert (await site.state())["estimated_nano"] == 0
    assert await tend(site) == 1
    assert (await site.state())["estimated_nano"] > 0
    assert await holds(address) == []


async def listed(site):
    """What the list of estimates says, point by point."""
    found = await monitor.listing(site.db, site.project_id, "estimates", Wanted())
    return [
        (row["state"], row["energy_milli"], row["estimated_nano"], row["rule"], row["why"])
        for row in found.rows
    ]


async def test_the_list_says_what_stands_on_estimates_until_something_is_read(site):
    assert await listed(site) == []
    silent_at = site.clock()
    for hours in (6, 2):
        site.clock.step(hours=hours)
        await tend(site)
    running = ("running", 1_600, 1_600 * PRICE_NANO, "same_hours_7_days", None)
    assert await listed(site) == [running]
    found = await monitor.listing(site.db, site.project_id, "estimates", Wanted())
    (row,) = found.rows
    assert (row["good_at"], row["ended_at"]) == (silent_at, site.clock())
    # A coin is a hundredth: 1.6 kWh at 0.60 are 0.96.
    assert row["amount_minor"] == 96
    await site.say((await site.state())["good_0_milli"] + 900)
    assert await listed(site) == []


async def test_who_cannot_be_estimated_stands_in_the_list_with_the_reason(new_site):
    site = await new_site(rooms=1, policy=ESTIMATES)
    subject = ("estimate_missing", f"point:{site.points[0]}")
    await site.say(1_000)
    site.clock.step(hours=6)
    assert await tend(site) == 0
    assert await listed(site) == [("missing", 0, 0, None, "days_unknown")]
    assert subject in await site.alarms()
    site.clock.step(minutes=30)
    await site.say(2_000)
    assert await listed(site) == []
    await tend(site)
    assert subject not in await site.alarms()


async def test_after_a_month_it_is_estimated_no_further_and_says_so(site):
    site.clock.step(hours=6)
    await tend(site)
    site.clock.step(days=31)
    assert await tend(site) == 0
    (told,) = await listed(site)
    assert told == ("ended", 1_200, 1_200 * PRICE_NANO, "same_hours_7_days", "silent_too_long")


async def test_a_day_says_what_of_it_is_estimated(site):
    site.clock.step(hours=6)
    await tend(site)
    now = await monitor.room(
        site.db, site.project_id, site.rooms[0].place_id, "Asia/Shanghai", site.clock()
    )
    days = now.days[site.points[0]]
    assert [day.estimated_milli for day in days][-1] == 1_200
    assert not any(day.estimated_milli for day in days[:-1])


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


async def live_by_bands(site, days):
    """Half hours of 0.1 kWh: peak from eight to twenty hours of UTC, else valley."""
    rows, bands = [], [2_500, 2_500, 2_500, 2_500]
    for n in range(days * 48 + 1):
        read_at = site.clock() + timedelta(minutes=30) * n
        if n:
            bands[1 if 8 < (read_at.hour * 60 + read_at.minute) / 60 <= 20 else 3] += 100
        rows.append((site.meters[0], read_at, sum(bands), Relay.CLOSED, tuple(bands)))
    site.clock.at = rows[-1][1]
    await site.read(*rows)


async def test_where_the_meter_has_the_bands_each_is_estimated_by_its_own_days(new_site, address):
    site = await new_site(rooms=1, policy=ESTIMATES, tariff=BY_BANDS)
    await site.pay(100_000)
    await live_by_bands(site, days=8)
    before, silent_at = await site.state(), site.clock()
    # From two to eight in the morning of UTC it is valley alone, and from eight to ten peak.
    site.clock.step(hours=6)
    assert await tend(site) == 1
    site.clock.step(hours=2)
    assert await tend(site) == 1
    assert [
        row["rule"] for row in await site.rows("select rule from estimate order by read_at")
    ] == ["same_hours_7_days 0 0 0 1200", "same_hours_7_days 0 400 0 0"]
    rated = 1_200 * 300_000 + 400 * 800_000
    state = await site.state()
    assert state["estimated_nano"] == rated
    assert state["accrued_nano"] - before["accrued_nano"] == rated
    assert await listed(site) == [("running", 1_600, rated, "same_hours_7_days", None)]
    # It is explained to the last Nano, band by band.
    await close.book_day(site.db, site.project_id, site.clock())
    row = await site.row("select max(id) as id from transfer where kind = 'booking'")
    told = await explain.explain_transfer(site.db, site.tariffs, site.project_id, row["id"])
    assert told.booking.is_exact
    first, second = told.booking.intervals[-2:]
    assert [(line.band, line.energy_milli) for line in first.lines] == [("valley", 1_200)]
    assert [(line.band, line.energy_milli) for line in second.lines] == [("peak", 400)]
    assert await holds(address) == []
    # What the meter then says of its bands counts, and the estimate is taken back.
    bands = tuple(before[f"good_{band}_milli"] + (900 if band == 4 else 0) for band in range(1, 5))
    site.clock.step(hours=1)
    await site.read((site.meters[0], site.clock(), sum(bands), Relay.CLOSED, bands))
    after = await site.state()
    assert after["estimated_nano"] == 0
    assert after["rated_nano"] - before["rated_nano"] == 900 * 300_000
    assert after["good_at"] - silent_at == timedelta(hours=9)
    assert await holds(address) == []


async def test_without_bands_in_the_days_before_it_says_that_too_little_is_known(new_site):
    site = await new_site(rooms=1, policy=ESTIMATES, tariff=BY_BANDS)
    bands = (250, 250, 250, 250)
    await site.read((site.meters[0], site.clock(), 1_000, Relay.CLOSED, bands))
    site.clock.step(hours=6)
    assert await tend(site) == 0
    assert await listed(site) == [("missing", 0, 0, None, "days_unknown")]


async def test_an_open_relay_uses_nothing_and_a_month_is_enough(site):
    site.clock.step(days=32)
    assert await tend(site) == 0
    await live(site, days=8)
    await site.say((await site.state())["good_0_milli"], relay=Relay.OPEN)
    site.clock.step(hours=12)
    assert await tend(site) == 0


async def test_nothing_is_estimated_unless_the_project_says_so(new_site):
    site = await new_site(rooms=1)
    await live(site, days=8)
    site.clock.step(hours=48)
    assert await tend(site) == 0


async def test_estimates_fill_blocks_as_readings_do(new_site, address):
    site = await new_site(rooms=1, policy=ESTIMATES, tariff=HOMES)
    await site.pay(100_000)
    await live(site, days=8, used_milli=500)
    for hours in (6, 2):
        site.clock.step(hours=hours)
        await tend(site)
    rows = await site.rows(
        """select block_milli, energy_milli from charge where quality = 2 order by ended_at"""
    )
    assert rows[1]["block_milli"] == rows[0]["block_milli"] + rows[0]["energy_milli"]
    assert await holds(address) == []


async def test_estimated_energy_warns_and_never_cuts_off(new_site):
    site = await new_site(rooms=1, policy=ESTIMATES)
    # 38.4 kWh of eight days are 23.04, and a coin more.
    await site.pay(2_305)
    await live(site, days=8)
    await site.deliver()
    site.clock.step(hours=6)
    await tend(site)
    # A reading that tells the relay alone is fresh; only the estimate makes the household owe.
    assert ("credit_out", f"point:{site.points[0]}") in await site.alarms()
    assert [one["kind"] for one in await site.commands()] == []


async def test_estimates_of_one_point_do_not_cut_off_another_of_the_household(new_site):
    site = await new_site(rooms=2, policy=ESTIMATES)
    await site.pay(2_305)
    await site.rows(
        "update point set account_id = (select account_id from point where id = $1) where id = $2"
        " returning 1", site.points[0], site.points[1],
    )  # fmt: skip
    await live(site, days=8)
    site.clock.step(hours=6)
    await tend(site)
    # The other point speaks, and is on: the household owes by the estimate alone.
    await site.say(0, room=1)
    site.clock.step(minutes=30)
    await site.say(0, room=1)
    assert await site.commands() == []
    # What is measured cuts off, estimate or not.
    site.clock.step(minutes=30)
    await site.say(2_000, room=1)
    assert [one["kind"] for one in await site.commands()] == ["disconnect"]
    # It is paid but for the estimate: what is about to be sent is not sent.
    site.clock.step(minutes=1)
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute(
            """update account set credit_minor = credit_minor + 130
               where id = (select account_id from point where id = $1)""", site.points[0],
        )  # fmt: skip
    await command.claim(site.db, site.project_id, site.gateway_id, site.clock())
    (stopped,) = await site.commands()
    assert (stopped["state"], stopped["why"]) == ("withdrawn", "estimated")


async def test_a_register_that_stands_still_while_its_meter_answers_is_told_of(new_site):
    site = await new_site(rooms=1, policy=HASTY | {"stuck_after_h": 24})
    await site.pay(100_000)
    await live(site, days=2)
    stands_at = (await site.state())["good_0_milli"]
    subject = ("meter_stuck", f"meter:{site.meters[0]}")
    for hours in range(1, 26):
        site.clock.step(hours=1)
        await site.say(stands_at)
        await tend(site)
        assert (subject in await site.alarms()) == (hours >= 24), hours
    site.clock.step(hours=1)
    await site.say(stands_at + 10)
    await tend(site)
    assert subject not in await site.alarms()


async def test_a_register_that_never_moved_or_is_switched_off_stands_still_rightly(new_site):
    site = await new_site(rooms=2, policy=HASTY | {"stuck_after_h": 1})
    for hours in range(6):
        await site.say(5_000, room=0)
        await site.say(1_000 + min(hours, 2) * 10, room=1, relay=Relay.OPEN)
        site.clock.step(minutes=30)
    await tend(site)
    assert not [one for one in await site.alarms() if one[0] == "meter_stuck"]
