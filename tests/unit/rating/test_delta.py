"""Named lives of a meter, and what is billed of each."""

import numpy as np
import pytest

from meterhouse.errors import OutOfRange
from meterhouse.model import Quality
from meterhouse.rating.arrays import ArraysDisagree, OutOfOrder
from meterhouse.rating.decided import Decided, Decisions
from meterhouse.rating.delta import (
    ChainState,
    Limits,
    Verdict,
    in_order,
    judge,
)

HALF_HOUR_US = 1_800_000_000


def limits(chains=1, multiplier=1, bands_until_us=0, of=1):
    """Of so many meters, for so many readings."""
    return Limits(
        modulus_milli=np.full(chains, 100_000_000),
        max_power_w=np.full(chains, 13_200),
        multiplier=np.full(chains, multiplier),
        bands_until_us=np.full(of, bands_until_us),
        gap_us=2 * HALF_HOUR_US,
    )


def decisions(place, decided, used_milli=0, of=1):
    """One reading of so many was decided about."""
    made = Decisions.none(of)
    made.decided[place], made.used_milli[place] = decided, used_milli
    return made


def read(*totals_wh, steps=None, state=None, decided=None, **kind):
    """Judge readings of one meter, half an hour apart unless `steps` says which half hours."""
    steps = steps or list(range(1, len(totals_wh) + 1))
    milli = np.full((len(totals_wh), 5), -1, np.int64)
    milli[:, 0] = totals_wh
    at_us = np.array(steps, np.int64) * HALF_HOUR_US
    state = state or ChainState.empty(1)
    row = np.zeros(len(totals_wh), np.int64)
    return judge(state, limits(**kind, of=len(row)), row, at_us, milli, decided)


def names(judged):
    return [Verdict(code).name for code in judged.verdict]


def test_readings_become_intervals():
    judged = read(5_000, 5_600, 5_600, multiplier=30)
    assert names(judged) == ["FIRST", "GOOD", "GOOD"]
    assert judged.energy_milli.tolist() == [0, 18_000, 0]
    assert judged.billable.tolist() == [False, True, True]
    assert judged.start_us.tolist() == [HALF_HOUR_US, HALF_HOUR_US, 2 * HALF_HOUR_US]
    assert (judged.band_energy_milli == -1).all()


def test_a_register_rolls_over_at_100000_kwh():
    judged = read(99_999_000, 2_500)
    assert names(judged) == ["FIRST", "ROLLOVER"]
    assert judged.energy_milli.tolist() == [0, 3_500]


def test_one_zero_between_good_readings_bills_the_whole_span_once():
    judged = read(5_000_000, 0, 5_001_000)
    assert names(judged) == ["FIRST", "ZERO", "GOOD"]
    assert judged.energy_milli.tolist() == [0, 0, 1_000]
    assert judged.start_us[2] == HALF_HOUR_US
    assert judged.quality.tolist() == [Quality.GOOD, Quality.DOUBTFUL, Quality.GOOD]


def test_a_reset_meter_waits_for_a_person_however_long():
    judged = read(5_000, 0, 1_000, 4_000, 6_000, 7_000)
    # From 6,000 on it would follow from 5,000 too; two tracks are not guessed between.
    assert names(judged) == [
        "FIRST",
        "ZERO",
        *["OTHER_TRACK"] * 0,
        "DECREASE",
        *["OTHER_TRACK"] * 3,
    ]
    assert not judged.energy_milli.any()


def test_a_track_that_a_person_says_begins_bills_all_that_follows_and_nothing_between():
    begins = decisions(2, Decided.BEGIN, of=6)
    judged = read(5_000, 5_400, 0, 1_000, 4_000, 6_000, decided=begins)
    assert names(judged) == ["FIRST", "GOOD", "BEGUN", *["GOOD"] * 3]
    assert judged.energy_milli.tolist() == [0, 400, 0, 1_000, 3_000, 2_000]
    # The gap is an interval of its own, so that nobody wonders where it went.
    assert (judged.start_us[2], judged.billable[2]) == (2 * HALF_HOUR_US, True)
    assert judged.quality[2] == Quality.EDITED


def test_between_two_tracks_is_billed_what_the_person_says():
    begins = decisions(1, Decided.BEGIN, used_milli=700, of=3)
    judged = read(5_000, 0, 1_000, decided=begins)
    assert judged.energy_milli.tolist() == [0, 700, 1_000]


def test_an_accepted_register_bills_forward_only_also_beyond_the_limit():
    judged = read(0, 50_000, 51_000, decided=decisions(1, Decided.ACCEPT, of=3))
    assert judged.energy_milli.tolist() == [0, 50_000, 1_000]
    assert judged.quality.tolist() == [Quality.GOOD, Quality.EDITED, Quality.GOOD]
    fell = read(50_000, 40_000, decided=decisions(1, Decided.ACCEPT, of=2))
    assert names(fell) == ["FIRST", "DECREASE"]
    assert not fell.billable.any()


def test_what_is_accepted_though_nothing_spoke_against_it_stays_good():
    judged = read(0, 1_000, decided=decisions(1, Decided.ACCEPT, of=2))
    assert judged.quality.tolist() == [Quality.GOOD, Quality.GOOD]


def test_a_discarded_reading_is_as_if_never_read():
    judged = read(0, 5_000, 6_000, decided=decisions(1, Decided.DISCARD, of=3))
    assert names(judged) == ["FIRST", "DISCARDED", "GOOD"]
    assert judged.energy_milli.tolist() == [0, 0, 6_000]
    without = read(0, 6_000, steps=[1, 3])
    assert judged.state.good_milli.tolist() == without.state.good_milli.tolist()


def test_a_corrected_reading_is_edited_even_where_it_is_plausible():
    judged = read(0, 1_000, 2_000, decided=decisions(1, Decided.CORRECT, of=3))
    assert judged.quality.tolist() == [Quality.GOOD, Quality.EDITED, Quality.GOOD]


def test_a_jump_beyond_what_the_meter_carries_is_not_billed():
    # 13.2 kW for half an hour is 6,600 Wh; with 2 % and one display step 6,742 Wh.
    assert names(read(0, 6_742)) == ["FIRST", "GOOD"]
    judged = read(0, 6_743, 7_000)
    assert names(judged) == ["FIRST", "JUMP", "GOOD"]
    assert judged.energy_milli.tolist() == [0, 0, 7_000]


def test_an_interval_too_large_to_rate_is_a_jump():
    judged = read(0, 6_000, multiplier=200_000)
    assert names(judged) == ["FIRST", "JUMP"]


def test_silence_makes_the_interval_apportioned_and_loses_nothing():
    judged = read(0, 500, 6_500, steps=[1, 2, 14])
    assert judged.energy_milli.tolist() == [0, 500, 6_000]
    assert judged.quality.tolist() == [Quality.GOOD, Quality.GOOD, Quality.APPORTIONED]


def test_the_same_instant_twice():
    judged = read(0, 500, 500, 900, steps=[1, 2, 2, 3])
    assert names(judged) == ["FIRST", "GOOD", "DUPLICATE", "GOOD"]
    assert judged.energy_milli.sum() == 900
    judged = read(0, 500, 501, 900, steps=[1, 2, 2, 3])
    assert names(judged) == ["FIRST", "CONFLICT", "CONFLICT", "GOOD"]
    assert judged.energy_milli.tolist() == [0, 0, 0, 900]


def test_a_contradiction_that_arrives_later_asks_for_the_chain():
    state = read(0, 500).state
    assert names(read(500, steps=[2], state=state)) == ["DUPLICATE"]
    assert names(read(501, steps=[2], state=state)) == ["CONFLICT"]
    assert names(read(200, steps=[1], state=state)) == ["LATE"]


def test_a_third_copy_of_a_contradicted_instant_is_no_better():
    state = read(0, 500, 501, steps=[1, 2, 2]).state
    assert names(read(500, steps=[2], state=state)) == ["CONFLICT"]


def test_a_reading_between_the_good_one_and_the_suspect_is_late():
    state = read(5_000, 0, steps=[1, 4]).state
    assert names(read(5_100, steps=[3], state=state)) == ["LATE"]


def test_a_total_that_is_missing_or_beyond_the_register_is_set_aside():
    judged = read(-1, 100_000_000, 700, 800)
    assert names(judged) == ["UNUSABLE", "UNUSABLE", "FIRST", "GOOD"]


def bands(*rows, until=None, decided=None):
    """Readings half an hour apart; up to which one, from 1 on, the meter's own bands price."""
    at_us = np.arange(1, len(rows) + 1) * HALF_HOUR_US
    last_us = HALF_HOUR_US * (len(rows) if until is None else until)
    priced = limits(of=len(rows))._replace(bands_until_us=np.minimum(at_us, int(last_us)))
    return judge(
        ChainState.empty(1), priced, np.zeros(len(rows), np.int64), at_us, np.array(rows), decided
    )


def test_band_registers_come_along_when_they_add_up():
    judged = bands([100, 10, 20, 30, 40], [1_100, 210, 320, 330, 240])
    assert judged.band_energy_milli[1].tolist() == [200, 300, 300, 200]


def test_bands_that_do_not_add_up_bill_by_the_total_or_not_at_all():
    rows = ([100, 10, 20, 30, 40], [1_100, 210, 320, 330, 1_240], [1_200, 210, 320, 330, 340])
    by_total = bands(*rows, until=0)
    assert names(by_total)[1] == "BAND_MISMATCH"
    assert by_total.energy_milli.tolist()[:2] == [0, 1_000]
    assert by_total.band_energy_milli[1].tolist() == [-1] * 4
    by_bands = bands(*rows)
    assert names(by_bands) == ["FIRST", "BAND_MISMATCH", "GOOD"]
    assert by_bands.energy_milli.tolist() == [0, 0, 1_100]
    assert by_bands.quality[1] == Quality.DOUBTFUL


def test_bands_are_needed_from_the_reading_on_that_is_billed_by_them():
    rows = np.array([[0, -1, -1, -1, -1], [100, 25, 25, 25, 25], [200, 50, 50, 50, 50]])
    at_us = np.arange(1, 4) * HALF_HOUR_US
    since = limits(of=3)._replace(bands_until_us=np.array([0, 0, at_us[2]]))
    judged = judge(ChainState.empty(1), since, np.zeros(3, np.int64), at_us, rows)
    assert names(judged) == ["FIRST", "GOOD", "GOOD"]
    assert judged.band_energy_milli[2].tolist() == [25, 25, 25, 25]


KNOWN, TOTAL = [100, 25, 25, 25, 25], [300, -1, -1, -1, -1]


@pytest.mark.parametrize("until", [1.5, 2, 2.1])
def test_a_span_that_reaches_back_into_the_meters_bands_waits_for_a_reading_with_bands(until):
    after = [500, 125, 125, 125, 125], [700, -1, -1, -1, -1]
    judged = bands(KNOWN, TOTAL, *after, until=until)
    assert names(judged) == ["FIRST", "UNUSABLE", "GOOD", "GOOD"]
    assert judged.energy_milli.tolist() == [0, 0, 400, 200]
    assert judged.band_energy_milli[2].tolist() == [100] * 4


def test_where_the_meters_bands_ended_before_the_span_the_total_is_enough():
    assert names(bands(KNOWN, TOTAL, until=1)) == ["FIRST", "GOOD"]
    # Nothing before it counts: neither for a first reading, nor where a track begins.
    assert names(bands(TOTAL, [400, -1, -1, -1, -1], until=0.5)) == ["FIRST", "GOOD"]
    begun = decisions(1, Decided.BEGIN, of=2)
    assert names(bands(KNOWN, TOTAL, until=1.5, decided=begun)) == ["FIRST", "BEGUN"]


def test_what_falls_out_of_step_is_not_billed_by_its_total_across_the_meters_bands():
    torn = bands(KNOWN, [400, 75, 75, 75, 25], [500, 125, 125, 125, 125], until=1.5)
    assert names(torn) == ["FIRST", "BAND_MISMATCH", "GOOD"]
    accepted = bands(KNOWN, [400, 75, 75, 75, 25], until=1.5, decided=decisions(1, 1, of=2))
    assert names(accepted) == ["FIRST", "BAND_MISMATCH"]


def test_no_total_is_spread_over_bands_that_nobody_read_before_them():
    since = limits(of=2)._replace(bands_until_us=np.array([0, 2 * HALF_HOUR_US]))
    at_us = np.arange(1, 3) * HALF_HOUR_US
    rows = np.array([[0, -1, -1, -1, -1], [100, 25, 25, 25, 25]])
    judged = judge(ChainState.empty(1), since, np.zeros(2, np.int64), at_us, rows)
    assert names(judged) == ["FIRST", "BAND_MISMATCH"]
    assert judged.quality[1] == Quality.DOUBTFUL


def test_a_batch_out_of_order_is_put_in_order_by_the_helper():
    row = np.array([1, 0, 1, 0])
    at_us = np.array([2, 2, 1, 1]) * HALF_HOUR_US
    milli = np.full((4, 5), -1)
    milli[:, 0] = [300, 700, 0, 500]
    with pytest.raises(OutOfOrder):
        judge(ChainState.empty(2), limits(2, of=4), row, at_us, milli)
    order = in_order(row, at_us)
    judged = judge(ChainState.empty(2), limits(2, of=4), row[order], at_us[order], milli[order])
    assert judged.energy_milli.tolist() == [0, 200, 0, 300]


def test_no_readings_are_no_verdicts():
    judged = judge(
        ChainState.empty(3), limits(3, of=0), np.zeros(0, np.int64), np.zeros(0, np.int64),
        np.zeros((0, 5), np.int64),
    )  # fmt: skip
    assert len(judged.verdict) == 0


def test_what_is_beyond_bounds_is_refused_at_the_door():
    with pytest.raises(OutOfRange):
        read(10**16)
    with pytest.raises(OutOfRange):
        read(5, steps=[-1])
    with pytest.raises(ArraysDisagree):
        judge(ChainState.empty(1), limits(2), np.array([0]), np.array([1]), np.zeros((1, 5), int))
