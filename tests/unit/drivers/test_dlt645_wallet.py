"""Money in meters, wire and conversation: captured bytes, both families, refusals, half-deeds."""

import json

import pytest

from meterhouse.drivers import driver_for
from meterhouse.ports import (
    Effect,
    MeterRef,
    OpenWallet,
    ReadParameter,
    ReadRound,
    ReadWallet,
    Recharge,
    SendOrder,
    TakeBack,
)
from meterhouse.sim.bus import Bus
from meterhouse.sim.esam import FakeSecurityModule
from meterhouse.sim.faults import Fault
from meterhouse.sim.line import START_MS, Line, run_conversation
from meterhouse.sim.purse import NOBODY
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of
from meterhouse.wire.dlt645 import Frame
from tidy import ROOT

FRAMES = {
    one["id"]: one["hex"]
    for one in json.loads((ROOT / "tests" / "golden" / "dlt645.json").read_text())["frames"]
}
ORDER, ESAM = "DLT645-2007-ORDER", "DLT645-2007-ESAM"
ADDRESS = "260305510012"
NUMBER = "1240826202124138"


class Bench:
    """A driver, a meter with ten yuan in its purse, and a line between them."""

    def __init__(self, model=ORDER, security=None, **spec):
        self.driver = driver_for("dlt645-2007", "tcp", security)
        self.ref = MeterRef(ADDRESS, model, operator="11223344")
        facts = {"keeps_purse": True, "credit_minor": 1_000, "purchase_count": 6, **spec}
        self.face = face_of(MeterSpec(ADDRESS, model, **facts), START_MS, 0)
        self.meter = self.face.meter
        self.line = Line(Bus([self.face]))
        self.customer = "0" * 12

    def do(self, intent):
        return run_conversation(self.driver, self.ref, intent, self.line)

    def pay(self, minor=500, number=7, order_number="7"):
        made = self.do(Recharge(minor, number, order_number, self.customer))
        assert made.effect is Effect.DONE, made.why
        return self.do(SendOrder(made.values.frame))

    @property
    def holds(self):
        return (self.meter.purchase_count, self.meter.credit_minor)


def sealed(**spec):
    bench = Bench(ESAM, FakeSecurityModule(), **spec)
    bench.customer = bench.face.purse.customer = "000000000007"
    return bench


def test_a_recharge_is_the_captured_one_byte_for_byte():
    made = Bench().do(Recharge(10_000, 7, NUMBER))
    assert made.values.frame.hex() == FRAMES["2007-031"]
    assert made.asks == 0


def test_a_refund_differs_from_a_recharge_in_its_identifier_alone():
    bench = Bench()
    (paid,) = bench.driver.decoder().feed(bench.do(Recharge(10_000, 7, NUMBER)).values.frame)
    (back,) = bench.driver.decoder().feed(bench.do(TakeBack(10_000, 7, NUMBER)).values.frame)
    assert isinstance(back, Frame)
    assert (back.control, len(back.data)) == (0x03, 0x22)
    assert (paid.data[:4].hex(), back.data[:4].hex()) == ("ff020107", "ff080107")
    assert back.data[4:] == paid.data[4:]


def test_the_parameter_block_is_asked_for_as_captured():
    bench = Bench()
    asked = next(bench.driver.converse(bench.ref, ReadParameter("vendor_block"))).frame
    assert asked.hex().removeprefix("fe" * 4) == FRAMES["2007-029"]


def test_a_purse_says_counter_credit_sum_and_limit():
    said = Bench().do(ReadWallet()).values
    assert (said.purchase_count, said.credit_minor, said.overdraft_minor) == (6, 1_000, 0)
    assert (said.purchased_minor, said.hoarding_minor) == (1_000, 99_999_999)


def test_a_round_brings_the_purse_along():
    said = Bench().do(ReadRound()).values
    assert (said.total_milli, said.purchase_count, said.credit_minor) == (0, 6, 1_000)


@pytest.mark.parametrize("bench", [Bench, sealed])
def test_an_order_is_taken_once_and_read_back(bench):
    bench = bench()
    done = bench.pay()
    assert (done.effect, done.values.purchase_count, done.values.credit_minor) == (
        Effect.DONE, 7, 1_500,
    )  # fmt: skip
    assert bench.holds == (7, 1_500)


def test_the_same_bytes_again_are_refused_and_change_nothing():
    bench = Bench()
    frame = bench.do(Recharge(500, 7, "7")).values.frame
    assert bench.do(SendOrder(frame)).effect is Effect.DONE
    again = bench.do(SendOrder(frame))
    assert (again.effect, again.why) == (Effect.UNKNOWN, "count_refused")
    assert again.values.purchase_count == 7
    assert bench.holds == (7, 1_500)


def test_money_is_taken_back_and_never_below_zero():
    bench = Bench()
    order = bench.do(TakeBack(400, 7, "7")).values.frame
    assert bench.do(SendOrder(order)).effect is Effect.DONE
    assert bench.holds == (7, 600)
    order = bench.do(TakeBack(700, 8, "8")).values.frame
    assert bench.do(SendOrder(order)).why == "hoarding_refused"
    assert bench.holds == (7, 600)


def test_the_hoarding_limit_is_checked_last_and_named():
    bench = sealed()
    assert bench.pay(99_999_999).why == "hoarding_refused"
    assert bench.pay(99_999_999, number=9).why == "count_refused"
    assert bench.pay(500, number=6).why == "repeated"
    assert bench.holds == (6, 1_000)


def test_a_sealed_meter_wants_its_customer_and_is_opened_first():
    bench = sealed()
    bench.face.purse.customer = NOBODY
    assert bench.do(ReadWallet()).values.customer_number == NOBODY
    assert bench.pay().why == "not_opened"
    made = bench.do(OpenWallet(0, 1, "1", "000000000042"))
    assert bench.do(SendOrder(made.values.frame)).effect is Effect.DONE
    assert bench.holds == (1, 1_000)
    assert bench.do(ReadWallet()).values.customer_number == "000000000042"
    assert bench.pay(number=2).why == "customer_refused"
    made = bench.do(Recharge(500, 2, "2", "000000000042"))
    assert bench.do(SendOrder(made.values.frame)).effect is Effect.DONE
    assert bench.holds == (2, 1_500)


def test_a_seal_of_another_session_is_refused():
    bench = sealed()
    old = bench.do(Recharge(500, 7, "7")).values.frame
    bench.line.now_ms += 1_000
    bench.do(Recharge(500, 7, "7"))
    assert bench.do(SendOrder(old)).why == "seal_refused"
    bench.line.now_ms += 600_000
    assert bench.do(SendOrder(old)).why == "authentication_refused"
    assert bench.holds == (6, 1_000)


@pytest.mark.parametrize(
    ("bench", "intent", "why"),
    [
        (Bench(ESAM), Recharge(1, 7, "7"), "no_security_module"),
        (Bench(), OpenWallet(0, 1, "1"), "unsupported"),
        (sealed(), TakeBack(1, 7, "7"), "unsupported"),
        (Bench("DLT645-2007"), Recharge(1, 7, "7"), "unsupported"),
        (Bench("DLT645-2007"), ReadWallet(), "unsupported"),
        (Bench(), Recharge(1, 7, "order 7"), "item_unfit"),
        (Bench(), Recharge(2**32, 7, "7"), "item_unfit"),
    ],
)
def test_an_order_that_cannot_be_made_sends_nothing(bench, intent, why):
    done = bench.do(intent)
    assert (done.effect, done.why, done.values.frame) == (Effect.NOT_DONE, why, None)
    assert bench.holds[0] == 6


@pytest.mark.parametrize(
    ("fault", "why", "is_taken"),
    [
        (Fault.SILENCE, "silence", False),
        (Fault.LOST_FRAME, "silence", True),
        (Fault.REFUSAL, "refused", False),
        (Fault.LYING_REFUSAL, "refused", True),
    ],
)
def test_silence_and_refusals_prove_nothing(fault, why, is_taken):
    bench = Bench()
    frame = bench.do(Recharge(500, 7, "7")).values.frame
    bench.line.bus.faults.switch_on(fault, times=1)
    done = bench.do(SendOrder(frame))
    assert bench.line.bus.faults.counts[fault] == 1
    assert (done.effect, done.why) == (Effect.UNKNOWN, why)
    assert bench.holds == ((7, 1_500) if is_taken else (6, 1_000))
    assert done.values.purchase_count in (None, bench.holds[0])


@pytest.mark.parametrize(
    ("fault", "why"), [(Fault.POWER_CUT, "silence"), (Fault.HALF_APPLIED, "refused")]
)
def test_what_cuts_in_leaves_the_money_without_its_number(fault, why):
    bench = Bench()
    frame = bench.do(Recharge(500, 7, "7")).values.frame
    bench.line.bus.faults.switch_on(fault, times=1)
    assert bench.do(SendOrder(frame)).why == why
    assert bench.line.bus.faults.counts[fault] == 1
    assert bench.holds == (6, 1_500)
    assert bench.do(ReadWallet()).values.purchased_minor == 1_500


def test_a_copy_may_come_late_and_find_its_order_taken():
    bench = Bench()
    frame = bench.do(Recharge(500, 7, "7")).values.frame
    bench.line.bus.faults.switch_on(Fault.LATE_COPY, times=1)
    bench.do(SendOrder(frame))
    bench.line.now_ms += 300_000
    bench.do(ReadWallet())
    assert bench.line.bus.faults.counts[Fault.LATE_COPY] == 1
    assert bench.holds == (7, 1_500)


def test_a_purse_that_changes_while_it_is_read_is_not_believed():
    bench = Bench()
    carry = bench.line.carry

    def meddle(ask, decoder):
        bench.meter.purchase_count += 1
        return carry(ask, decoder)

    bench.line.carry = meddle
    done = bench.do(ReadWallet())
    assert (done.effect, done.why) == (Effect.NOT_DONE, "torn")


def test_a_meter_deducts_by_its_own_tariff_and_goes_off_by_itself():
    bench = Bench(load_class="steady", scale_permille=10**6, price_micro=(10**6,) * 4)
    bench.line.now_ms += 5 * 3_600_000
    said = bench.do(ReadWallet()).values
    assert said.credit_minor == 1_000 - 500
    bench.line.now_ms += 20 * 3_600_000
    bench.do(ReadWallet())
    assert (bench.meter.credit_minor, bench.meter.relay.name) == (0, "OPEN")
    bench.pay()
    assert bench.meter.relay.name == "ARMED"
