"""What follows from the balance: warnings, notices, a disconnect, and what stands against it."""

from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.errors import Conflict
from meterhouse.flows import alarm, command, reading
from meterhouse.model import CommandKind, Override, Relay
from meterhouse.store import monitor
from meterhouse.store.db import maintenance
from premises import HASTY, MORNING

# 10,000 Wh cost 6.00.
FIRST_MILLI = 100_000


async def spend(site, minor, room=0, relay=Relay.CLOSED):
    """Half an hour in which a household spends this much (a multiple of 6)."""
    state = await site.state(room)
    total_milli = (state["good_0_milli"] or FIRST_MILLI) + minor * 10_000 // 600
    site.clock.step(minutes=30)
    return await site.say(total_milli, room, relay)


async def begin(site, minor):
    """A first reading and an opening credit."""
    await site.pay(minor)
    await site.say(FIRST_MILLI)


async def test_warnings_rise_step_by_step_and_each_tells_the_household_once(new_site):
    site = await new_site(email="tenant@example.org")
    await begin(site, 3_600)
    levels = []
    for spent in (600, 1_500, 0, 1_200, 600):
        await spend(site, spent)
        levels.append((await site.state())["warning_level"])
    assert levels == [1, 2, 2, 3, 4]
    notices = await site.rows(
        """select channel, customer_id, subject, text from notice
           where key not like 'received:%' order by id"""
    )
    assert [one["channel"] for one in notices] == ["console", "email"] * 4
    assert len({one["customer_id"] for one in notices}) == 1
    assert not any("Household" in one["subject"] + one["text"] for one in notices)
    assert len({one["subject"] for one in notices}) == 2
    assert await site.alarms() == [("credit_out", f"point:{site.points[0]}")]
    assert await site.alarms(is_open=False) == [("credit_low", f"point:{site.points[0]}")]


async def test_paying_clears_warnings_and_a_later_fall_warns_again(site):
    await begin(site, 600)
    await spend(site, 300)
    assert await site.alarms() == [("credit_low", f"point:{site.points[0]}")]
    await site.pay(3_000)
    assert await site.alarms() == []
    assert (await site.state())["warning_level"] == 0
    await spend(site, 600)
    assert await site.alarms() == [("credit_low", f"point:{site.points[0]}")]


async def test_who_runs_out_is_cut_off_in_the_same_transaction(site):
    await begin(site, 600)
    assert (await spend(site, 600)).commands == 0
    assert (await spend(site, 6)).commands == 1
    (one,) = await site.commands()
    assert (one["kind"], one["reason"], one["state"]) == ("disconnect", "arrears", "queued")
    assert one["expires_at"] == site.clock() + timedelta(seconds=300)


async def test_a_waiting_disconnect_is_not_asked_twice(site):
    await begin(site, 60)
    assert (await spend(site, 600)).commands == 1
    assert (await spend(site, 600)).commands == 0
    assert len(await site.commands()) == 1


async def test_one_whole_coin_more_than_nothing_keeps_the_power_on(site):
    await begin(site, 600)
    # 9,999 Wh cost 5.9994: the last coin is begun, and nothing is owed yet.
    site.clock.step(minutes=30)
    assert (await site.say(FIRST_MILLI + 9_999)).commands == 0
    assert (await site.say(FIRST_MILLI + 9_999, room=1)).commands == 0


@pytest.mark.parametrize("floor_minor", [-1_000, None], ids=["overdraft", "postpaid"])
async def test_the_floor_decides_what_prepaid_means(new_site, floor_minor):
    site = await new_site(floor_minor=floor_minor)
    await begin(site, 6)
    assert (await spend(site, 906)).commands == 0
    await spend(site, 60)
    commands = (await spend(site, 60)).commands
    assert commands == (0 if floor_minor is None else 1)


async def test_a_relay_that_is_open_or_unknown_is_not_switched_off(site):
    await begin(site, 6)
    assert (await spend(site, 600, relay=Relay.OPEN)).commands == 0
    site.clock.step(minutes=30)
    assert (await site.say(FIRST_MILLI, room=1, relay=Relay.UNKNOWN)).commands == 0


async def test_a_household_is_cut_off_only_a_while_after_it_was_told(new_site):
    site = await new_site(policy={"notice_age_s": 3_600}, email="tenant@example.org")
    await begin(site, 6)
    assert (await spend(site, 60)).commands == 0
    # That the payment has come is told as well.
    assert await site.deliver() == 6
    # Queued is not told: the hour begins when the message was taken.
    assert (await spend(site, 6)).commands == 0
    assert (await spend(site, 6)).commands == 1


async def test_without_a_channel_nobody_is_cut_off_unless_the_project_says_so(new_site):
    site = await new_site(policy={"disconnect_without_channel": False})
    await begin(site, 6)
    for _ in range(3):
        assert (await spend(site, 60)).commands == 0


@pytest.mark.parametrize(
    ("begun_at", "commands"),
    [
        (datetime(2026, 3, 4, 14, 0, tzinfo=UTC), 0),
        (datetime(2026, 3, 4, 22, 0, tzinfo=UTC), 0),
        (datetime(2026, 3, 4, 22, 30, tzinfo=UTC), 1),
        (datetime(2026, 3, 7, 2, 0, tzinfo=UTC), 0),
    ],
    ids=["evening", "before seven", "seven", "Saturday"],
)
async def test_quiet_hours_are_the_projects_own(new_site, clock, begun_at, commands):
    clock.at = begun_at
    site = await new_site()
    await begin(site, 6)
    assert (await spend(site, 60)).commands == commands


async def test_a_great_debt_ends_the_quiet_early(new_site, clock):
    clock.at = datetime(2026, 3, 7, 2, 0, tzinfo=UTC)
    site = await new_site(policy=HASTY | {"quiet_debt_minor": 120})
    await begin(site, 6)
    assert (await spend(site, 60)).commands == 0
    assert (await spend(site, 66)).commands == 1


async def test_a_frozen_project_cuts_nobody_off(site, address):
    async with maintenance(address) as connection:
        await connection.execute("update project set frozen = true")
    await begin(site, 6)
    assert (await spend(site, 60)).commands == 0


async def test_keep_power_stands_above_the_balance(site):
    await begin(site, 6)
    await command.request(
        site.db, site.project_id, site.meters[:1], CommandKind.KEEP_POWER_ON, "guest", None,
        site.clock(),
    )  # fmt: skip
    assert (await spend(site, 600)).commands == 0


async def test_a_meter_that_reports_keep_power_is_left_alone(site):
    await begin(site, 6)
    async with site.db.transaction([site.project_id]) as connection:
        await monitor.set_relay(
            connection, site.project_id, site.points[0], Relay.CLOSED, True, site.clock()
        )
    assert (await spend(site, 600)).commands == 0


async def test_old_news_cuts_nobody_off(site):
    await begin(site, 6)
    at = site.clock.step(minutes=30)
    site.clock.step(hours=3)
    done = await site.read((site.meters[0], at, FIRST_MILLI + 10_000))
    assert (done.fresh, done.commands) == (1, 0)


async def test_forced_off_is_kept_off_whatever_the_balance(site):
    await begin(site, 60_000)
    async with site.db.transaction([site.project_id]) as connection:
        await monitor.set_override(connection, site.project_id, site.points[0], Override.OFF)
    assert (await spend(site, 6)).commands == 1
    (one,) = await site.commands()
    assert (one["kind"], one["reason"]) == ("disconnect", "person")


async def test_a_sweep_that_would_cut_off_unusually_many_stops_and_asks(new_site):
    site = await new_site(rooms=4, policy=HASTY | {"sweep_count_max": 2, "sweep_percent_max": 0})
    await site.read(*((meter_id, MORNING, FIRST_MILLI) for meter_id in site.meters))
    at = site.clock.step(minutes=30)
    done = await site.read(*((one, at, FIRST_MILLI + 1_000) for one in site.meters[:3]))
    assert done.commands == 0
    assert ("sweep_stopped", f"project:{site.project_id}") in await site.alarms()
    # It stays stopped until somebody who may has released it; to close alarms is not enough.
    at = site.clock.step(hours=1)
    assert (await site.read((site.meters[0], at, FIRST_MILLI + 2_000))).commands == 0
    (alarm_id,) = [
        row["id"]
        for row in await site.rows(
            "select id from alarm where kind = 'sweep_stopped' and closed_at is null"
        )
    ]
    with pytest.raises(Conflict):
        await alarm.close(site.db, site.project_id, alarm_id, at)
    assert (await site.read((site.meters[0], site.clock(), FIRST_MILLI + 2_500))).commands == 0
    await alarm.release(site.db, site.project_id, alarm_id, at)
    at = site.clock.step(minutes=30)
    assert (await site.read((site.meters[0], at, FIRST_MILLI + 3_000))).commands == 1


async def test_a_sweep_is_counted_over_the_batches_it_comes_in(new_site):
    site = await new_site(rooms=4, policy=HASTY | {"sweep_count_max": 2, "sweep_percent_max": 0})
    for room in range(4):
        await site.say(FIRST_MILLI, room)
    site.clock.step(minutes=30)
    asked = [(await site.say(FIRST_MILLI + 1_000, room)).commands for room in range(4)]
    assert asked == [1, 1, 0, 0]
    assert ("sweep_stopped", f"project:{site.project_id}") in await site.alarms()


async def test_two_halves_of_a_round_side_by_side_are_one_sweep(new_site, monkeypatch):
    monkeypatch.setattr(reading, "ALONE_MAX", 1)
    monkeypatch.setattr(monitor, "LOCK_BITS", 0)
    site = await new_site(rooms=5, policy=HASTY | {"sweep_count_max": 3, "sweep_percent_max": 0})
    await site.read(*((meter_id, MORNING, FIRST_MILLI) for meter_id in site.meters))
    at = site.clock.step(minutes=30)
    done = await site.read(*((one, at, FIRST_MILLI + 1_000) for one in site.meters))
    # Two and three meters: either half alone may be done, both together may not.
    assert done.commands in (2, 3)
    assert ("sweep_stopped", f"project:{site.project_id}") in await site.alarms()


async def test_a_late_correction_counts_at_the_next_reading(site):
    await begin(site, 600)
    await spend(site, 660)
    (one,) = await site.commands()
    assert one["kind"] == "disconnect"
    # The reading that spent it all is contradicted: the energy waits, the money is there again.
    await site.read((site.meters[0], site.clock(), FIRST_MILLI + 11_010))
    assert await command.claim(site.db, site.project_id, site.gateway_id, site.clock()) is None
    assert [one["why"] for one in await site.commands()] == ["credit_back"]
