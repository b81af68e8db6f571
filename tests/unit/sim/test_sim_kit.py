"""The kit must find what is wrong with a driver; each bad driver here has one known vice."""

import pytest

from meterhouse.drivers import driver_for
from meterhouse.meter_models import load, names
from meterhouse.ports import (
    Action,
    Ask,
    Control,
    Effect,
    MeterRef,
    Outcome,
    ReadLive,
    ReadRound,
    Values,
)
from meterhouse.sim.bus import Bus, LineTiming
from meterhouse.sim.faults import Fault
from meterhouse.sim.kit import check_driver
from meterhouse.sim.line import START_MS, Endless, Line, run_conversation
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of
from meterhouse.wire.dlt645 import (
    Authority,
    Decoder,
    Frame,
    RemoteControl,
    encode,
    encode_control,
    validity,
)

MODEL = "DDSY1352-NK"


def found(driver, actions=(Action.DISCONNECT,)):
    return {
        (finding.fault, finding.intent) for finding in check_driver(driver, MODEL, actions=actions)
    }


TEXTS = {
    "power_limit": "12.3450",
    "trip_delay": "15",
    "settlement_day": "28:23",
    "alarm_amount_1": "12.34",
    "alarm_amount_2": "5.60",
    "standby_zones": "01:01:01 07:01:02",
    "standby_slots_1": "00:00:04 08:30:01 22:00:04",
    "zones_switch": "2030-01-01 00:00:00",
    "slots_switch": "2030-01-01 00:30:00",
    "tariffs_switch": "2030-01-01 00:00:00",
    "limits_switch": "2030-01-01 00:00:00",
    "overdraft_limit": "3.00",
    **{f"standby_limit_{limit}": f"{limit}20.00" for limit in range(1, 4)},
    **{f"standby_block_price_{block}": f"0.0{block}00" for block in range(1, 5)},
    **{f"standby_price_{tariff}": f"0.{tariff}500" for tariff in range(1, 5)},
}


@pytest.mark.parametrize("name", names())
def test_the_house_drivers_conform(name):
    model = load(name)
    actions = [Action(action) for action in model.control_codes]
    parameters = {
        name: TEXTS[name] for name, parameter in model.parameters.items() if parameter.writable
    }
    assert parameters
    assert (
        check_driver(driver_for(model.protocol), name, actions=actions, parameters=parameters) == []
    )


class Naive:
    """Reads once, believes whatever frame comes, and takes an acknowledgement for an effect."""

    protocol = "dlt645-2007"

    def decoder(self):
        return Decoder()

    def converse(self, meter, intent):
        if isinstance(intent, Control):
            order = RemoteControl(
                Authority(2, meter.password), 0x1A, validity(intent.valid_until_local)
            )
            answer = yield Ask(encode(Frame(meter.address, 0x1C, encode_control(order))), 1000)
            return self.ended(Values(), answer, effect_of=lambda frame: not frame.abnormal)
        block = yield Ask(encode(Frame(meter.address, 0x11, bytes.fromhex("00ff0100"))), 1000)
        if block is None or len(block.data) < 8:
            return Outcome(Effect.UNKNOWN, why="silence")
        total_milli = int(block.data[7:3:-1].hex()) * 10
        return self.ended(Values(total_milli=total_milli), block, lambda frame: True)

    def ended(self, values, answer, effect_of):
        if answer is None:
            return Outcome(Effect.UNKNOWN, values, "silence")
        return Outcome(Effect.DONE if effect_of(answer) else Effect.NOT_DONE, values)


def test_a_naive_driver_is_found_out():
    findings = found(Naive())
    assert (Fault.STUCK_RELAY, "disconnect") in findings
    assert (Fault.LYING_REFUSAL, "disconnect") in findings
    assert (Fault.SILENCE, "ReadRound") in findings
    assert (None, "ReadRound") in findings  # done without the relay's state


class Hasty(Naive):
    """Calls silence a proof that nothing happened."""

    def ended(self, values, answer, effect_of):
        if answer is None:
            return Outcome(Effect.NOT_DONE, values, "silence")
        return super().ended(values, answer, effect_of)


def test_silence_taken_for_proof_is_found_out():
    assert (Fault.LOST_FRAME, "disconnect") in found(Hasty())
    assert (Fault.LOST_FRAME, "disconnect") not in found(Naive())


class Inventive(Naive):
    """Doubles what it reads."""

    def ended(self, values, answer, effect_of):
        if values.total_milli is not None:
            values = Values(total_milli=values.total_milli * 2)
        return super().ended(values, answer, effect_of)


def test_invented_values_are_found_out():
    whats = [finding.what for finding in check_driver(Inventive(), MODEL, actions=())]
    assert any(what.startswith("read a total of") for what in whats)


class Endlessly(Naive):
    """Never gives up."""

    def converse(self, meter, intent):
        while True:
            yield Ask(encode(Frame(meter.address, 0x11, bytes.fromhex("00ff0100"))), 1000)


def test_an_endless_conversation_is_found_out():
    whats = {finding.what for finding in check_driver(Endlessly(), MODEL, actions=())}
    assert "asked more than 64 times" in whats
    with pytest.raises(Endless):
        run_conversation(Endlessly(), MeterRef("240000000001", MODEL), ReadRound(), line())


class Fragile(Naive):
    """Breaks at an error reply."""

    def converse(self, meter, intent):
        answer = yield Ask(encode(Frame(meter.address, 0x11, bytes.fromhex("00ff0100"))), 1000)
        raise ValueError(answer)


def test_an_exception_is_found_out():
    whats = [finding.what for finding in check_driver(Fragile(), MODEL, actions=())]
    assert whats
    assert all(what.startswith("raised ValueError") for what in whats)


def line(timing=None):
    face = face_of(MeterSpec("240000000001", MODEL, scale_permille=1000), START_MS, 0)
    return Line(Bus([face], timing=timing))


def test_a_line_keeps_the_time_its_bytes_take():
    slow = line(LineTiming(baud=1200, pause_ms=100))
    outcome = run_conversation(
        driver_for("dlt645-2007"), MeterRef("240000000001", MODEL), ReadLive(), slow
    )
    assert outcome.effect is Effect.DONE
    asks = len(load(MODEL).live)
    assert slow.now_ms - START_MS > asks * 300
    quick = line()
    run_conversation(driver_for("dlt645-2007"), MeterRef("240000000001", MODEL), ReadLive(), quick)
    assert quick.now_ms == START_MS
