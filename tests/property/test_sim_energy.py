"""Energy is conserved by the simulated meter, whoever asks it when, and whatever the relay does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from meterhouse.meter_models import load
from meterhouse.model import Relay
from meterhouse.sim.instant import DAY_MS, HOUR_MS
from meterhouse.sim.loads import NJ_PER_WH, Load, LoadClass, shape_of
from meterhouse.sim.meter import SimMeter
from meterhouse.sim.spec import MeterSpec

MODEL = load("DTSY1352-NK")
START_MS = 2_000 * DAY_MS

specs = st.builds(
    MeterSpec,
    address=st.just("240000000001"),
    model=st.just(MODEL.name),
    load_class=st.sampled_from([each.value for each in LoadClass]),
    scale_permille=st.integers(0, 2_000_000),
    shift_ms=st.integers(-DAY_MS, 9 * DAY_MS),
    start_wh=st.tuples(*[st.integers(0, MODEL.modulus_milli - 1)] * 4),
    drift_ppm=st.integers(-100_000, 100_000),
    clock_error_ms=st.integers(-5 * DAY_MS, 5 * DAY_MS),
)
waits_ms = st.lists(st.integers(0, 3 * DAY_MS), min_size=1, max_size=8)
STEPS = ("trip", "close", "permit_close", "press_button", "wait")


def load_of(spec):
    return Load(shape_of(LoadClass(spec.load_class)), spec.scale_permille, spec.shift_ms)


@settings(max_examples=150, deadline=None)
@given(specs, waits_ms)
def test_registers_rise_by_the_integral_of_the_load(spec, waits_ms):
    meter = SimMeter(spec, MODEL, START_MS, 8 * HOUR_MS)
    customer = load_of(spec)
    now_ms = START_MS
    for wait_ms in waits_ms:
        before_nj, before_ms = meter.counted_nj(), now_ms
        now_ms += wait_ms
        meter.advance(now_ms)
        drawn_nj = customer.energy_nj(now_ms + 8 * HOUR_MS) - customer.energy_nj(
            before_ms + 8 * HOUR_MS
        )
        assert meter.counted_nj() - before_nj == drawn_nj
    total_wh, *bands_wh = meter.registers_wh()
    assert total_wh == meter.counted_nj() // NJ_PER_WH % MODEL.modulus_milli
    # Each band drops a part of a Wh on the display; a rollover drops whole moduli.
    assert 0 <= (total_wh - sum(bands_wh)) % MODEL.modulus_milli <= 3


@settings(max_examples=100, deadline=None)
@given(specs, st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, DAY_MS)), max_size=10))
def test_only_a_closed_relay_counts(spec, steps):
    meter = SimMeter(spec, MODEL, START_MS, 0)
    customer = load_of(spec)
    now_ms, expected_nj = START_MS, meter.counted_nj()
    for action, wait_ms in steps:
        if action != "wait":
            getattr(meter, action)()
        if meter.relay is Relay.CLOSED:
            expected_nj += customer.energy_nj(now_ms + wait_ms) - customer.energy_nj(now_ms)
        now_ms += wait_ms
        meter.advance(now_ms)
        assert meter.counted_nj() == expected_nj


@settings(max_examples=100, deadline=None)
@given(specs, st.integers(1, 20 * DAY_MS), st.lists(st.integers(0, 20 * DAY_MS), max_size=6))
def test_who_asks_when_leaves_no_trace(spec, end_ms, visits_ms):
    asked = SimMeter(spec, MODEL, START_MS, 0)
    left = SimMeter(spec, MODEL, START_MS, 0)
    for visit_ms in sorted(min(visit_ms, end_ms) for visit_ms in visits_ms):
        asked.advance(START_MS + visit_ms)
    asked.advance(START_MS + end_ms)
    left.advance(START_MS + end_ms)
    assert asked.registers_wh() == left.registers_wh()
    assert list(asked.freezes) == list(left.freezes)


@settings(max_examples=100, deadline=None)
@given(
    specs,
    st.integers(0, 10_000),
    st.tuples(*[st.integers(0, 2_000_000)] * 4),
    st.lists(st.integers(0, 5 * DAY_MS), min_size=1, max_size=6),
)
def test_the_purse_pays_exactly_what_was_counted(spec, credit_minor, price_micro, visits_ms):
    facts = {
        **{name: getattr(spec, name) for name in MeterSpec.__dataclass_fields__},
        "keeps_purse": True,
        "credit_minor": credit_minor,
        "price_micro": price_micro,
        "start_wh": (0, 0, 0, 0),
    }
    meter = SimMeter(MeterSpec(**facts), MODEL, START_MS, 0)
    for visit_ms in sorted(visits_ms):
        meter.advance(START_MS + visit_ms)
    _, *bands_wh = meter.registers_wh()
    spent_nano = sum(wh * price for wh, price in zip(bands_wh, price_micro, strict=True))
    assert meter.credit_nano == credit_minor * 10**7 - spent_nano
    if meter.relay is Relay.OPEN:
        assert meter.credit_nano <= 0
        assert meter.credit_nano > -max(price_micro) - 1
