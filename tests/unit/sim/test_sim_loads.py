"""Load shapes: cumulative energy is exact, monotone, and agrees with the published figures."""

from datetime import datetime

import pytest

from meterhouse.errors import OutOfRange
from meterhouse.sim.instant import DAY_MS, HOUR_MS, wall_ms_of
from meterhouse.sim.loads import (
    CALENDAR_DAYS,
    NJ_PER_WH,
    SLOT_MS,
    Load,
    LoadClass,
    shape_of,
)

UJ_PER_WH = NJ_PER_WH // 1000


def year_wh(load_class, year):
    shape = shape_of(load_class)
    start_ms = wall_ms_of(datetime(year, 1, 1))
    end_ms = wall_ms_of(datetime(year + 1, 1, 1))
    return (shape.energy_uj(end_ms) - shape.energy_uj(start_ms)) // UJ_PER_WH


@pytest.mark.parametrize("load_class", [LoadClass.H0, LoadClass.G0, LoadClass.G1, LoadClass.G4])
def test_a_standard_profile_is_normed_to_about_1000_kwh_a_year(load_class):
    # The profiles are normed with their holidays; without them commerce is a few percent above.
    assert 980_000 < year_wh(load_class, 2026) < 1_060_000


def test_the_household_has_its_nine_measured_days_in_turn():
    shape = shape_of(LoadClass.HOUSEHOLD)
    days_wh = [
        (shape.energy_uj((day + 1) * DAY_MS) - shape.energy_uj(day * DAY_MS)) // UJ_PER_WH
        for day in range(18)
    ]
    assert days_wh[:9] == days_wh[9:]
    # 2006-12-17, the sum of its 48 half hours in the data file.
    assert days_wh[0] == 56_505
    assert len(set(days_wh[:9])) == 9


def test_steady_is_one_watt():
    shape = shape_of(LoadClass.STEADY)
    assert shape.energy_uj(HOUR_MS) == UJ_PER_WH
    assert shape.power_mw(12_345) == 1000


def test_energy_is_the_sum_of_power_over_every_slot():
    shape = shape_of(LoadClass.G4)
    start_ms = wall_ms_of(datetime(2026, 3, 20))
    slots = range(start_ms, start_ms + 3 * DAY_MS, SLOT_MS)
    summed_uj = sum(shape.power_mw(slot_ms) * SLOT_MS for slot_ms in slots)
    assert shape.energy_uj(start_ms + 3 * DAY_MS) - shape.energy_uj(start_ms) == summed_uj


def test_seasons_and_sundays_differ():
    shape = shape_of(LoadClass.G1)
    noon = [datetime(2026, 1, 14, 12), datetime(2026, 7, 15, 12), datetime(2026, 1, 18, 12)]
    assert len({shape.power_mw(wall_ms_of(wall)) for wall in noon}) == 3


def test_the_calendar_ends():
    shape = shape_of(LoadClass.STEADY)
    assert shape.energy_uj(CALENDAR_DAYS * DAY_MS - 1) > 0
    for outside_ms in (-1, CALENDAR_DAYS * DAY_MS):
        with pytest.raises(OutOfRange):
            shape.energy_uj(outside_ms)
        with pytest.raises(OutOfRange):
            shape.power_mw(outside_ms)


def test_a_load_is_scaled_and_shifted():
    shape = shape_of(LoadClass.H0)
    load = Load(shape, scale_permille=2500, shift_ms=HOUR_MS)
    assert load.energy_nj(DAY_MS) == shape.energy_uj(DAY_MS + HOUR_MS) * 2500
    assert load.power_mw(DAY_MS) == shape.power_mw(DAY_MS + HOUR_MS) * 5 // 2


def test_the_instant_an_energy_is_reached_is_the_first_one():
    load = Load(shape_of(LoadClass.HOUSEHOLD), 300)
    wanted_nj = load.energy_nj(0) + 1234 * NJ_PER_WH
    reached_ms = load.reaches_ms(wanted_nj, 0, 30 * DAY_MS)
    assert load.energy_nj(reached_ms - 1) < wanted_nj <= load.energy_nj(reached_ms)
