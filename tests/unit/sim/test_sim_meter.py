"""The simulated meter against figures worked out by hand: energy, relay, purse, clock."""

from dataclasses import replace
from datetime import datetime

import pytest

from meterhouse.meter_models import load
from meterhouse.model import Relay
from meterhouse.sim.instant import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, wall_ms_of
from meterhouse.sim.loads import NJ_PER_WH
from meterhouse.sim.meter import CLOCK_LOST_MS, NANO_PER_MINOR, SimMeter
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.tables import Part

# The town's wall is UTC here, so midnight is midnight; a steady kilowatt counts 1 Wh in 3.6 s.
MIDNIGHT_MS = wall_ms_of(datetime(2026, 3, 2))


def make(model="DDSY1352-NK", start_ms=MIDNIGHT_MS, **facts):
    facts = {"load_class": "steady", "scale_permille": 1_000_000, **facts}
    return SimMeter(MeterSpec("240000000001", model, **facts), load(model), start_ms, 0)


def test_a_day_of_one_kilowatt_falls_into_its_bands():
    meter = make()
    meter.advance(MIDNIGHT_MS + DAY_MS)
    # Sharp 19–21; peak 10–15, 18–19, 21–22:30; flat 7–10, 15–18, 22:30–23; valley 23–7.
    assert meter.registers_wh() == (24_000, 2_000, 7_500, 6_500, 8_000)


def test_asking_more_often_changes_nothing():
    asked, left = make(), make()
    for minute in range(0, 24 * 60, 7):
        asked.advance(MIDNIGHT_MS + minute * MINUTE_MS)
    for meter in (asked, left):
        meter.advance(MIDNIGHT_MS + DAY_MS)
    assert asked.registers_wh() == left.registers_wh()
    assert asked.counted_nj() == left.counted_nj()


def test_time_does_not_run_backwards():
    meter = make()
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    meter.advance(MIDNIGHT_MS)
    assert meter.now_ms == MIDNIGHT_MS + HOUR_MS
    assert meter.registers_wh()[0] == 1000


def test_a_wrong_clock_books_into_the_wrong_band():
    meter = make(clock_error_ms=12 * HOUR_MS)
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    assert meter.registers_wh() == (1000, 0, 1000, 0, 0)


def test_setting_the_clock_moves_the_next_edge():
    meter = make()
    meter.set_clock(MIDNIGHT_MS + 6 * HOUR_MS + 30 * MINUTE_MS)
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    assert meter.registers_wh() == (1000, 0, 0, 500, 500)


def test_midnight_freezes_the_registers():
    meter = make(start_ms=MIDNIGHT_MS + HOUR_MS)
    meter.advance(MIDNIGHT_MS + 2 * DAY_MS + HOUR_MS)
    first, second = meter.freezes
    assert first == (MIDNIGHT_MS + DAY_MS, (23_000, 2_000, 7_500, 6_500, 7_000))
    assert second[0] == MIDNIGHT_MS + 2 * DAY_MS
    assert second[1][0] == 47_000


def test_only_so_many_freezes_are_kept():
    meter = make()
    meter.advance(MIDNIGHT_MS + 70 * DAY_MS)
    assert len(meter.freezes) == 62
    assert meter.freezes[-1][0] == MIDNIGHT_MS + 70 * DAY_MS


def test_the_standby_table_comes_into_force_at_its_instant():
    meter = make()
    meter.sets.standby = replace(meter.sets.standby, slots=(((0, 1),),))
    meter.sets.switch_at(Part.SLOTS, MIDNIGHT_MS + 90 * MINUTE_MS)
    meter.set_anew()
    meter.advance(MIDNIGHT_MS + 2 * HOUR_MS)
    assert meter.registers_wh() == (2000, 500, 0, 0, 1500)
    assert meter.slots == ((0, 1),)
    assert meter.sets.swapped == {Part.SLOTS}


def test_registers_roll_over_at_the_models_modulus():
    modulus_wh = load("DDSY1352-NK").modulus_milli
    meter = make(start_wh=(0, 0, 0, modulus_wh - 400))
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    assert meter.registers_wh() == (600, 0, 0, 0, 600)
    assert meter.counted_nj() == (modulus_wh + 600) * NJ_PER_WH


def test_winding_to_the_rollover_leaves_a_few_wh():
    meter = make(start_wh=(10, 20, 30, 40))
    meter.wind_to_rollover()
    modulus_wh = meter.model.modulus_milli
    assert meter.registers_wh() == (modulus_wh - 4, *[modulus_wh - 1] * 4)
    meter.advance(MIDNIGHT_MS + 36 * SECOND_MS)
    assert meter.registers_wh()[0] == 6


# ---- relay


def test_an_open_relay_consumes_nothing():
    meter = make()
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    assert meter.trip()
    meter.advance(MIDNIGHT_MS + 5 * HOUR_MS)
    assert meter.registers_wh()[0] == 1000
    assert set(meter.live().current_ma) == {0}
    assert meter.live().voltage_dv[0] > 2000
    meter.close()
    meter.advance(MIDNIGHT_MS + 6 * HOUR_MS)
    assert meter.registers_wh()[0] == 2000
    assert meter.tripped_ms == MIDNIGHT_MS + HOUR_MS
    assert meter.closed_ms == MIDNIGHT_MS + 5 * HOUR_MS


def test_a_permitted_close_waits_for_the_button():
    meter = make()
    meter.trip()
    assert not meter.press_button()
    meter.permit_close()
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    assert meter.relay is Relay.ARMED
    assert meter.registers_wh()[0] == 0
    assert meter.press_button()
    assert meter.relay is Relay.CLOSED


def test_somebody_presses_the_button_after_a_while():
    meter = make(presses_after_ms=10 * MINUTE_MS)
    meter.trip()
    meter.permit_close()
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    assert meter.relay is Relay.CLOSED
    assert meter.closed_ms == MIDNIGHT_MS + 10 * MINUTE_MS
    assert meter.registers_wh()[0] == 833


def test_a_trip_disarms_the_button():
    meter = make(presses_after_ms=10 * MINUTE_MS)
    meter.trip()
    meter.permit_close()
    meter.trip()
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    assert meter.relay is Relay.OPEN


def test_permitting_a_closed_relay_does_nothing():
    meter = make()
    meter.permit_close()
    assert meter.relay is Relay.CLOSED


def test_keep_power_refuses_a_trip_and_closes():
    meter = make()
    meter.trip()
    meter.set_keep_power(True)
    assert meter.relay is Relay.CLOSED
    assert not meter.trip()
    meter.set_keep_power(False)
    assert meter.trip()


# ---- purse


def purse(**facts):
    return make(keeps_purse=True, price_micro=(1_000_000, 800_000, 600_000, 300_000), **facts)


def test_the_purse_pays_each_wh_at_its_band():
    meter = purse(credit_minor=10_000)
    meter.advance(MIDNIGHT_MS + DAY_MS)
    spent_nano = 2_000 * 1_000_000 + 7_500 * 800_000 + 6_500 * 600_000 + 8_000 * 300_000
    assert meter.credit_nano == 10_000 * NANO_PER_MINOR - spent_nano
    assert meter.credit_minor == 10_000 - spent_nano // NANO_PER_MINOR


def test_the_relay_opens_when_the_last_coin_is_spent():
    meter = purse(credit_minor=60)
    meter.advance(MIDNIGHT_MS + DAY_MS)
    # 0.60 buys 2 kWh of valley energy.
    assert meter.registers_wh()[0] == 2_000
    assert meter.credit_nano == 0
    assert meter.tripped_ms == MIDNIGHT_MS + 2 * HOUR_MS


@pytest.mark.parametrize("price_micro", [300_000, 333_333, 700_001])
def test_when_it_trips_does_not_depend_on_who_asks(price_micro):
    facts = {"keeps_purse": True, "credit_minor": 77, "price_micro": (price_micro,) * 4}
    asked, left = make(**facts), make(**facts)
    for minute in range(0, 24 * 60, 11):
        asked.advance(MIDNIGHT_MS + minute * MINUTE_MS)
    left.advance(MIDNIGHT_MS + DAY_MS)
    asked.advance(MIDNIGHT_MS + DAY_MS)
    assert (asked.tripped_ms, asked.credit_nano) == (left.tripped_ms, left.credit_nano)
    # At most the last Wh is on the house.
    assert -price_micro < asked.credit_nano <= 0


def test_keep_power_lets_the_purse_go_into_debt():
    meter = purse(credit_minor=30)
    meter.set_keep_power(True)
    meter.advance(MIDNIGHT_MS + 2 * HOUR_MS)
    assert meter.credit_minor == -30
    meter.set_keep_power(False)
    meter.advance(MIDNIGHT_MS + 3 * HOUR_MS)
    assert meter.tripped_ms == MIDNIGHT_MS + 2 * HOUR_MS


def test_free_energy_never_trips_while_there_is_credit():
    meter = make(keeps_purse=True, credit_minor=1)
    meter.advance(MIDNIGHT_MS + DAY_MS)
    assert meter.relay is Relay.CLOSED
    assert meter.registers_wh()[0] == 24_000


def test_a_purchase_needs_the_next_number():
    meter = purse(credit_minor=0, purchase_count=4)
    meter.advance(MIDNIGHT_MS + 1)
    assert meter.relay is Relay.OPEN
    assert not meter.buy(500, 4)
    assert not meter.buy(500, 6)
    assert meter.credit_minor == 0
    assert meter.buy(500, 5)
    assert (meter.credit_minor, meter.purchase_count, meter.purchased_minor) == (500, 5, 500)
    assert meter.last_purchase == (MIDNIGHT_MS + 1, 500, 0, 500)
    assert meter.relay is Relay.ARMED


# ---- what it shows


@pytest.mark.parametrize("model", ["DDSY1352-NK", "DTSY1352-NK"])
def test_voltage_current_and_power_agree(model):
    meter = make(model=model, load_class="h0", scale_permille=9000, seed=42)
    for hour in range(1, 48):
        meter.advance(MIDNIGHT_MS + hour * HOUR_MS)
        live = meter.live()
        assert len(live.voltage_dv) == len(live.current_ma) == meter.model.phases
        for voltage_dv, current_ma, power_mw in zip(
            live.voltage_dv, live.current_ma, live.power_mw, strict=True
        ):
            assert 2140 <= voltage_dv <= 2260
            carried_mw = voltage_dv * current_ma * live.power_factor_permille // 10_000
            assert 0 <= power_mw - carried_mw <= 300


def test_a_restart_keeps_everything_but_perhaps_the_clock():
    meter = purse(credit_minor=5000)
    meter.advance(MIDNIGHT_MS + HOUR_MS)
    before = (meter.registers_wh(), meter.credit_nano, meter.relay)
    meter.restart(clock_lost=False)
    assert meter.shown_ms == MIDNIGHT_MS + HOUR_MS
    meter.restart(clock_lost=True)
    assert meter.shown_ms == CLOCK_LOST_MS == wall_ms_of(datetime(2000, 1, 1))
    assert (meter.registers_wh(), meter.credit_nano, meter.relay) == before


def test_blocks_add_to_the_price_from_their_limit_on_and_begin_again_with_the_month():
    meter = make("DLT645-2007-ORDER", keeps_purse=True, credit_minor=100_000,
                 price_micro=(500_000,) * 4)  # fmt: skip
    meter.sets.now = replace(
        meter.sets.now, limit_wh=(10_000, 14_000, 999_999_990), block_micro=(0, 50_000, 300_000, 0)
    )
    meter.advance(MIDNIGHT_MS + 16 * HOUR_MS)
    # 10 kWh at 0.50, 4 kWh at 0.55, 2 kWh at 0.80.
    assert meter.credit_minor == 100_000 - 500 - 220 - 160
    first_of_april_ms = wall_ms_of(datetime(2026, 4, 1))
    meter.advance(first_of_april_ms)
    before = meter.credit_nano
    meter.advance(first_of_april_ms + HOUR_MS)
    assert before - meter.credit_nano == 50 * NANO_PER_MINOR


def test_the_relay_opens_where_the_overdraft_ends():
    meter = make("DLT645-2007-ORDER", keeps_purse=True, credit_minor=100,
                 price_micro=(1_000_000,) * 4)  # fmt: skip
    meter.overdraft_minor = 200
    meter.advance(MIDNIGHT_MS + 2 * HOUR_MS)
    assert (meter.credit_minor, meter.relay) == (-100, Relay.CLOSED)
    meter.advance(MIDNIGHT_MS + 4 * HOUR_MS)
    assert (meter.credit_minor, meter.relay) == (-200, Relay.OPEN)


def test_a_season_has_its_own_day_table():
    meter = make()
    everything_sharp = ((0, 1),)
    meter.sets.now = replace(
        meter.sets.now, zones=((3, 3, 2), (11, 1, 1)),
        slots=(((0, 4),), everything_sharp, *meter.sets.now.slots[2:]),
    )  # fmt: skip
    meter.set_anew()
    meter.advance(MIDNIGHT_MS + 2 * DAY_MS)
    # On the 2nd the zone of last November still holds; the next begins on the 3rd.
    assert meter.registers_wh() == (48_000, 24_000, 0, 0, 24_000)
