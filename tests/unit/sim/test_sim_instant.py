"""Town time and device clocks: drift and setting, in whole milliseconds."""

from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.sim.dice import Dice, mix
from meterhouse.sim.instant import DAY_MS, HOUR_MS, DeviceClock, town_ms, wall_ms_of, wall_of


def test_town_time_counts_from_2020_in_utc():
    assert town_ms(datetime(2020, 1, 1, tzinfo=UTC)) == 0
    assert town_ms(datetime(2020, 1, 2, 1, tzinfo=UTC)) == DAY_MS + HOUR_MS
    assert town_ms(datetime(2019, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)) == -1


def test_wall_time_there_and_back():
    wall = datetime(2026, 2, 28, 23, 59, 59)
    assert wall_of(wall_ms_of(wall)) == wall


@pytest.mark.parametrize("drift_ppm", [-100_000, -7, 0, 3, 100_000])
def test_a_clock_reaches_what_it_shows_and_not_before(drift_ppm):
    clock = DeviceClock(1_000, 50_000, drift_ppm)
    for shown_ms in (50_000, 50_001, 77_777, 90 * DAY_MS, -DAY_MS):
        at_ms = clock.reaches_ms(shown_ms)
        assert clock.shown_ms(at_ms) >= shown_ms > clock.shown_ms(at_ms - 1)


def test_a_fast_clock_gains():
    clock = DeviceClock(0, 0, 10)
    assert (
        clock.shown_ms(10 * DAY_MS) - 10 * DAY_MS == timedelta(seconds=8.64).total_seconds() * 1e3
    )


def test_setting_a_clock_starts_its_drift_anew():
    clock = DeviceClock(0, 0, 1000)
    clock.set(DAY_MS, 500)
    assert clock.shown_ms(DAY_MS) == 500
    assert clock.shown_ms(DAY_MS + 1000) == 1501


def test_dice_are_the_same_everywhere():
    # Fixed for ever: another sequence would be another town for everybody's seed.
    assert mix(0, 0) == 0xE220A8397B1DCDAF  # first output of the published SplitMix64 from seed 0
    assert [Dice(7).below(100), Dice(7, 1).below(100)] == [
        Dice(7).below(100),
        Dice(7, 1).below(100),
    ]


def test_dice_stay_in_range_and_reach_its_ends():
    dice = Dice(3)
    rolls = [dice.between(-2, 2) for _ in range(300)]
    assert set(rolls) == {-2, -1, 0, 1, 2}
    assert not any(Dice(1).chance(0) for _ in range(50))
    always = Dice(1)
    assert all(always.chance(1000) for _ in range(50))
