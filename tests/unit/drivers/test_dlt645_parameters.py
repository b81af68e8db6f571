"""A set of prices on its way into a meter: proven before it is armed, harmless in every doubt."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from meterhouse.drivers import driver_for
from meterhouse.ports import Effect, MeterRef, ReadParameters, WriteSet
from meterhouse.sim.bus import Bus, Reply
from meterhouse.sim.faults import Fault
from meterhouse.sim.instant import MINUTE_MS, wall_of
from meterhouse.sim.line import START_MS, Line, run_conversation
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.tables import Part
from meterhouse.sim.town import face_of
from meterhouse.wire.dlt645 import Frame, encode
from meterhouse.wire.dlt645.frame import WRITE

MODEL, ADDRESS = "DLT645-2007-ORDER", "260305510012"
OLD = 500_000
PRICES = tuple((f"standby_price_{n}", f"0.{n}600") for n in range(1, 5))
NEW = (160_000, 260_000, 360_000, 460_000)


class Watched(Bus):
    """A bus on which a test may stand between: `step` sees each request, and may answer it."""

    def __init__(self, face):
        super().__init__([face])
        self.face, self.step, self.writes = face, None, 0

    def exchange(self, request, at_ms):
        self.writes += request.control == WRITE
        answers = self.step(request) if self.step else None
        if answers is None:
            return super().exchange(request, at_ms)
        self.face.meter.advance(at_ms)
        return Reply(b"".join(encode(frame) for frame in answers)) if answers else None


class Bench:
    """A driver, a meter that charges 0.50, and a line between them."""

    def __init__(self, model=MODEL, **spec):
        self.driver = driver_for("dlt645-2007")
        self.ref = MeterRef(ADDRESS, model)
        facts = {"keeps_purse": True, "price_micro": (OLD,) * 4, **spec}
        self.face = face_of(MeterSpec(ADDRESS, model, **facts), START_MS, 0)
        self.meter = self.face.meter
        self.bus = Watched(self.face)
        self.line = Line(self.bus)
        self.faults = self.bus.faults

    def befall(self, fault, at_write=1):
        """Let a fault strike one write alone."""

        def step(request):
            if request.control == WRITE and self.bus.writes == at_write:
                self.faults.switch_on(fault, times=1)

        self.bus.step = step

    @property
    def now(self):
        self.meter.advance(self.line.now_ms)
        return wall_of(self.meter.shown_ms)

    def do(self, intent):
        return run_conversation(self.driver, self.ref, intent, self.line)

    def send(self, prices=PRICES, after=60, off=0, **more):
        switch_at = (self.now + timedelta(minutes=after)).replace(second=0, microsecond=0)
        ought = self.now + timedelta(minutes=off)
        self.last = WriteSet(prices, ("tariffs_switch",), switch_at, ought, **more)
        return self.do(self.last)

    def charges_after(self, minutes):
        self.meter.advance(self.line.now_ms + minutes * MINUTE_MS)
        return self.meter.sets.now.price_micro


@pytest.fixture
def bench():
    return Bench()


def test_a_set_is_written_read_back_and_comes_into_force_at_its_time(bench):
    outcome = bench.send()
    assert (outcome.effect, outcome.why) == (Effect.DONE, "")
    said = outcome.values.parameters
    assert [said[name] for name, _ in PRICES] == [text for _, text in PRICES]
    assert datetime.fromisoformat(said["tariffs_switch"]) > bench.now
    assert bench.charges_after(30) == (OLD,) * 4
    assert bench.charges_after(65) == NEW
    assert bench.meter.sets.standby.price_micro == (OLD,) * 4


def test_the_same_set_again_writes_nothing(bench):
    bench.send(after=60)
    assert bench.bus.writes == 5
    assert bench.do(bench.last).effect is Effect.DONE
    assert bench.bus.writes == 5


def test_only_what_differs_is_written(bench):
    bench.send(prices=(*PRICES[:3], ("standby_price_4", "0.5000")))
    assert bench.bus.writes == 4


def test_a_half_written_price_is_read_back_and_stops_everything(bench):
    bench.befall(Fault.HALF_WRITTEN)
    outcome = bench.send(prices=(("standby_price_1", "12.3456"),))
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "refused")
    assert outcome.values.parameters["standby_price_1"] == "0.3456"
    assert bench.meter.sets.next_ms is None


def test_a_price_that_disturbs_its_neighbour_is_not_armed(bench):
    def step(request):
        if request.control == WRITE and request.data[:4].hex() == "03020504":
            tables = bench.meter.sets.standby
            bench.meter.sets.standby = replace(tables, price_micro=(1, *tables.price_micro[1:]))

    bench.bus.step = step
    outcome = bench.send()
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "value_unchanged")
    assert bench.meter.sets.next_ms is None


@pytest.mark.parametrize("fault", [Fault.LYING_REFUSAL, Fault.LOST_FRAME])
@pytest.mark.parametrize("at_write", [1, 4, 5])
def test_what_was_taken_in_spite_of_the_reply_counts(bench, fault, at_write):
    bench.befall(fault, at_write)
    assert bench.send().effect is Effect.DONE
    assert bench.faults.counts[fault] == 1
    assert bench.charges_after(65) == NEW


@pytest.mark.parametrize(
    ("fault", "effect", "why"),
    [(Fault.REFUSAL, Effect.NOT_DONE, "refused"), (Fault.SILENCE, Effect.UNKNOWN, "silence")],
)
@pytest.mark.parametrize("at_write", [1, 4, 5])
def test_what_was_not_taken_ends_it(bench, fault, effect, why, at_write):
    bench.befall(fault, at_write)
    outcome = bench.send()
    assert (outcome.effect, outcome.why) == (effect, why)
    assert bench.charges_after(65) == (OLD,) * 4


def test_an_earlier_set_is_disarmed_before_another_is_begun(bench):
    bench.send(after=30)
    seen = []

    def step(request):
        if request.control == WRITE and request.data[:4].hex() == "01020504":
            seen.append(wall_of(bench.meter.sets.next_ms).year)

    bench.bus.step = step
    assert bench.send(prices=(("standby_price_1", "0.9000"),), after=90).effect is Effect.DONE
    assert seen == [2099]
    assert bench.charges_after(60) == (OLD,) * 4
    assert bench.charges_after(95)[0] == 900_000


@pytest.mark.parametrize("heard", range(18))
def test_a_line_that_dies_at_any_step_brings_nothing_half_into_force(heard):
    bench = Bench()
    assert bench.send(prices=(("standby_price_1", "0.7000"),), after=240).effect is Effect.DONE
    left = [heard]

    def step(_):
        left[0] -= 1
        return [] if left[0] < 0 else None

    bench.bus.step = step
    outcome = bench.send()
    assert (outcome.effect, outcome.why) == (Effect.UNKNOWN, "silence")
    bench.bus.step = None
    # Whatever was begun, the set in force is the old one, or (nothing touched) the one before.
    assert bench.charges_after(120) == (OLD,) * 4
    assert bench.charges_after(300) in ((OLD,) * 4, (700_000, OLD, OLD, OLD))
    assert bench.send().effect is Effect.DONE
    assert bench.charges_after(365) == NEW


def test_a_meter_whose_clock_is_wrong_is_given_no_time(bench):
    outcome = bench.send(off=6)
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "clock_wrong")
    assert bench.meter.sets.standby.price_micro == (OLD,) * 4


def test_what_must_hold_beforehand_is_asked_first(bench):
    outcome = bench.send(expects=(("settlement_day", "15:00"),))
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "not_as_expected")
    assert outcome.values.parameters == {"settlement_day": "01:00"}
    assert bench.send(expects=(("settlement_day", "01:00"),)).effect is Effect.DONE


def test_one_switch_that_is_not_taken_takes_the_others_back(bench):
    prices = (*PRICES, ("standby_limit_1", "210.00"))

    def step(request):
        if request.control == WRITE and request.data[:4].hex() == "09010004":
            return [Frame(ADDRESS, 0xD4, b"\x01")]
        return None

    bench.bus.step = step
    switch_at = (bench.now + timedelta(hours=1)).replace(second=0, microsecond=0)
    outcome = bench.do(WriteSet(prices, ("tariffs_switch", "limits_switch"), switch_at, bench.now))
    assert (outcome.effect, outcome.why) == (Effect.NOT_DONE, "refused")
    assert outcome.values.parameters["tariffs_switch"].startswith("2099-12-31")
    assert bench.charges_after(90) == (OLD,) * 4
    assert Part.PRICES not in bench.meter.sets.swapped


def test_a_set_without_switches_holds_at_once(bench):
    items = (("alarm_amount_1", "25.00"), ("alarm_amount_2", "5.00"), ("overdraft_limit", "3.00"))
    outcome = bench.do(WriteSet(items))
    assert (outcome.effect, outcome.values.parameters) == (Effect.DONE, dict(items))
    assert bench.meter.overdraft_minor == 300
    names = tuple(name for name, _ in items)
    assert bench.do(ReadParameters(names)).values.parameters == dict(items)


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ((("colour", "1"),), "unsupported"),
        ((("price_1", "0.5000"),), "unsupported"),
        ((("standby_price_1", "lots"),), "unreadable"),
        ((("standby_price_1", "0.12345"),), "unreadable"),
    ],
)
def test_what_the_model_cannot_take_is_refused_before_the_first_byte(bench, items, why):
    outcome = bench.do(WriteSet(items))
    assert (outcome.effect, outcome.why, outcome.asks) == (Effect.NOT_DONE, why, 0)


def test_reading_what_nobody_named_or_nobody_has_says_so(bench):
    assert bench.do(ReadParameters(("colour",))).why == "unsupported"
    bench.faults.switch_on(Fault.SILENCE)
    outcome = bench.do(ReadParameters(("price_1",)))
    assert (outcome.effect, outcome.why) == (Effect.UNKNOWN, "silence")
