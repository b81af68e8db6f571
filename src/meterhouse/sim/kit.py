"""The drivers' conformance kit: any driver against a simulated meter, by hand, under every fault.

Owns the plain loop that carries a conversation (no event loop, no clock) and the rules every driver
must keep. Must never import a driver; it is handed one. The rules are the house's axioms: what is
reported done is true in the meter, what is reported not done has truly not happened, everything
else is unknown; a conversation ends; no frame of another meter and no damaged byte becomes a value;
one lost frame does not lose a reading. A fault that did not strike is itself a finding.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from meterhouse.model import Relay
from meterhouse.ports import (
    Action,
    Ask,
    Control,
    Decoder,
    Driver,
    Effect,
    Intent,
    MeterRef,
    Outcome,
    ReadAddress,
    ReadLive,
    ReadParameter,
    ReadRound,
    SetClock,
    WriteParameter,
)
from meterhouse.sim.bus import Bus
from meterhouse.sim.faults import Fault, Faults
from meterhouse.sim.instant import DAY_MS, HOUR_MS, MINUTE_MS, wall_ms_of, wall_of
from meterhouse.sim.meter import NOMINAL_DV, VOLTAGE_SPREAD_DV, SimMeter
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of
from meterhouse.wire import dlt645

ASKS_MAX = 64
"""A conversation that asks more often than this is taken to be endless."""

START_MS = 2_300 * DAY_MS + 4 * HOUR_MS
"""Noon of a day on the meter's wall, away from every edge of a day."""

_OFFSET_MS = 8 * HOUR_MS
_ADDRESS = "240000000001"


class Line:
    """A serial line with a bus at its end and a time of its own.

    Args:
        bus: who answers.
        now_ms: town time at the start; listening moves it on.
    """

    def __init__(self, bus: Bus, now_ms: int = START_MS) -> None:
        self.bus = bus
        self.now_ms = now_ms
        self.asks = 0
        self._requests = dlt645.Decoder()
        self._arriving: deque[tuple[int, bytes]] = deque()
        self._heard: deque[Any] = deque()
        self._deadline_ms = now_ms

    def carry(self, ask: Ask, decoder: Decoder) -> Any | None:
        """Send what is asked and listen: a frame, or None when the time is over."""
        self.asks += 1
        until_ms = self.now_ms + ask.timeout_ms
        if ask.frame:
            self._deadline_ms = until_ms
            for request in self._requests.feed(ask.frame):
                if isinstance(request, dlt645.Frame):
                    self._send(request)
        until_ms = min(until_ms, self._deadline_ms)
        while not self._heard and self._arriving and self._arriving[0][0] <= until_ms:
            arrives_ms, data = self._arriving.popleft()
            self.now_ms = max(self.now_ms, arrives_ms)
            self._heard.extend(
                found for found in decoder.feed(data) if not isinstance(found, dlt645.FrameError)
            )
        if self._heard:
            return self._heard.popleft()
        self.now_ms = max(self.now_ms, until_ms)
        return None

    def _send(self, request: dlt645.Frame) -> None:
        reply = self.bus.exchange(request, self.now_ms)
        if reply is not None:
            self._arriving.append((self.now_ms + reply.delay_ms, reply.data))


class Endless(Exception):
    """A conversation asked more than `ASKS_MAX` times; the kit turns it into a finding."""


def run_conversation(driver: Driver, meter: MeterRef, intent: Intent, line: Line) -> Outcome:
    """Carry one intent out over a line and return how it ended.

    Raises:
        Endless: the conversation asked more than `ASKS_MAX` times.
    """
    decoder = driver.decoder()
    conversation = driver.converse(meter, intent)
    line.asks = 0
    try:
        ask = next(conversation)
        while line.asks < ASKS_MAX:
            ask = conversation.send(line.carry(ask, decoder))
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    raise Endless


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which a driver broke a rule."""

    fault: Fault | None
    intent: str
    what: str


class _Bench:
    """A fresh meter, its line and its driver for one trial."""

    def __init__(self, driver: Driver, model: str, seed: int, *, alone: bool = False) -> None:
        spec = MeterSpec(
            address=_ADDRESS,
            model=model,
            load_class="steady",
            scale_permille=1_200_000,
            seed=seed,
            start_wh=(1_234_560, 2_345_670, 3_456_780, 4_567_890),
        )
        neighbour = MeterSpec(address="240000000099", model=model)
        face = face_of(spec, START_MS, _OFFSET_MS)
        self.meter: SimMeter = face.meter
        self.faults = Faults(seed)
        faces = [face] if alone else [face, face_of(neighbour, START_MS, _OFFSET_MS)]
        bus = Bus(faces, faults=self.faults, seed=seed)
        self.line = Line(bus)
        self.ref = MeterRef(address=spec.address, model=model, password=spec.password)
        self._driver = driver

    def run(self, intent: Intent) -> Outcome:
        outcome = run_conversation(self._driver, self.ref, intent, self.line)
        self.meter.advance(self.line.now_ms)
        return outcome

    def control(self, action: Action) -> Control:
        self.meter.advance(self.line.now_ms)
        return Control(action, wall_of(self.meter.shown_ms) + timedelta(minutes=5))


def check_driver(
    driver: Driver,
    model: str,
    *,
    parameters: Mapping[str, str] | None = None,
    actions: Sequence[Action] = tuple(Action),
    seed: int = 1,
) -> list[Finding]:
    """Hold a driver against a simulated meter of one model; no finding means it conforms.

    Args:
        driver: the driver.
        model: name of a meter model the driver speaks to.
        parameters: names of parameters with a text to write to each.
        actions: what this model's relay can be asked to do.
        seed: of the meter and of every fault.
    """
    return [
        *_check_plain(driver, model, seed),
        *_check_parameters(driver, model, parameters or {}, seed),
        *_check_relay(driver, model, actions, seed),
        *_check_faults(driver, model, actions, seed),
    ]


# ---- without faults


def _check_plain(driver: Driver, model: str, seed: int) -> Iterator[Finding]:
    an_hour_ahead = SetClock(wall_of(START_MS + _OFFSET_MS + HOUR_MS))
    for intent in (ReadRound(), ReadLive(), ReadAddress(), an_hour_ahead):
        bench = _Bench(driver, model, seed, alone=isinstance(intent, ReadAddress))
        name = type(intent).__name__
        try:
            outcome = bench.run(intent)
        except Exception as error:
            yield Finding(None, name, f"raised {error!r}")
            continue
        if outcome.why == "unsupported":
            continue
        if outcome.effect is not Effect.DONE:
            yield Finding(None, name, f"ended {outcome.effect} ({outcome.why})")
        yield from _untrue(bench, None, intent, outcome)
    yield from _check_nobody(driver, model, seed)


def _check_nobody(driver: Driver, model: str, seed: int) -> Iterator[Finding]:
    """A meter that is not there is unknown, has no values, and costs few asks."""
    bench = _Bench(driver, model, seed)
    bench.ref = MeterRef(address="240000000077", model=model)
    outcome = bench.run(ReadRound())
    if outcome.effect is not Effect.UNKNOWN or outcome.values.total_milli is not None:
        yield Finding(None, "ReadRound", f"an absent meter ended {outcome.effect}")
    if bench.line.asks > 8:
        yield Finding(None, "ReadRound", f"an absent meter cost {bench.line.asks} asks")


def _check_parameters(
    driver: Driver, model: str, parameters: Mapping[str, str], seed: int
) -> Iterator[Finding]:
    for name, text in parameters.items():
        bench = _Bench(driver, model, seed)
        written = bench.run(WriteParameter(name, text))
        read = bench.run(ReadParameter(name))
        if written.effect is not Effect.DONE or read.effect is not Effect.DONE:
            yield Finding(None, name, f"write {written.effect}, read {read.effect} ({read.why})")
        elif read.values.parameters.get(name) != text:
            yield Finding(None, name, f"wrote {text!r}, read {read.values.parameters!r}")
        bench.ref = MeterRef(address=_ADDRESS, model=model, password="999999")  # noqa: S106
        refused = bench.run(WriteParameter(name, text))
        if refused.why != "wrong_password":
            yield Finding(None, name, f"a wrong password ended {refused.effect} ({refused.why})")


def _check_relay(
    driver: Driver, model: str, actions: Sequence[Action], seed: int
) -> Iterator[Finding]:
    for action in actions:
        bench = _Bench(driver, model, seed)
        if action in (Action.CONNECT, Action.ALLOW_CONNECT):
            bench.meter.trip()
        outcome = bench.run(bench.control(action))
        if outcome.effect is not Effect.DONE:
            yield Finding(None, action, f"ended {outcome.effect} ({outcome.why})")
        yield from _untrue(bench, None, bench.control(action), outcome)
    if {Action.KEEP_POWER_ON, Action.DISCONNECT} <= set(actions):
        bench = _Bench(driver, model, seed)
        bench.meter.set_keep_power(True)
        outcome = bench.run(bench.control(Action.DISCONNECT))
        if outcome.effect is Effect.DONE:
            yield Finding(None, Action.DISCONNECT, "done although keep-power forbids it")


# ---- with faults

_LINE_FAULTS = (
    Fault.SILENCE,
    Fault.LOST_FRAME,
    Fault.GARBAGE,
    Fault.CORRUPT_CHECKSUM,
    Fault.DOUBLED_FRAME,
    Fault.OTHER_METER,
    Fault.RESTART,
)
"""What a single retry, or patience, gets a reading through."""

_METER_FAULTS = (
    *_LINE_FAULTS,
    Fault.SLOW_ANSWER,
    Fault.ZERO_READING,
    Fault.REFUSAL,
    Fault.LYING_REFUSAL,
    Fault.STUCK_RELAY,
    Fault.ROLLOVER,
    Fault.RESTART_CLOCK_LOST,
    Fault.WRONG_CLOCK,
)


def _check_faults(
    driver: Driver, model: str, actions: Sequence[Action], seed: int
) -> Iterator[Finding]:
    intents: tuple[ReadRound | ReadLive | Action, ...] = (ReadRound(), ReadLive(), *actions)
    for fault in _METER_FAULTS:
        for times in (1, None):
            for intent in intents:
                if fault is Fault.STUCK_RELAY and not isinstance(intent, Action):
                    continue
                if fault is Fault.ZERO_READING and isinstance(intent, Action):
                    continue
                yield from _try_fault(_Bench(driver, model, seed), fault, times, intent)


def _try_fault(
    bench: _Bench, fault: Fault, times: int | None, intent: ReadRound | ReadLive | Action
) -> Iterator[Finding]:
    name = str(intent) if isinstance(intent, Action) else type(intent).__name__
    if intent in (Action.CONNECT, Action.ALLOW_CONNECT):
        bench.meter.trip()
    asked = bench.control(intent) if isinstance(intent, Action) else intent
    bench.faults.switch_on(fault, where=_ADDRESS, times=times)
    try:
        outcome = bench.run(asked)
    except Endless:
        yield Finding(fault, name, f"asked more than {ASKS_MAX} times")
        return
    except Exception as error:
        yield Finding(fault, name, f"raised {error!r}")
        return
    if not bench.faults.counts[fault]:
        yield Finding(fault, name, "the fault did not happen")
    yield from _untrue(bench, fault, asked, outcome)
    recovers = fault in _LINE_FAULTS and times == 1 and not isinstance(intent, Action)
    if recovers and outcome.effect is not Effect.DONE:
        yield Finding(fault, name, f"one {fault} lost the reading: {outcome.why}")
    silent = fault is Fault.SILENCE and times is None and not isinstance(intent, Action)
    if silent and outcome.effect is not Effect.UNKNOWN:
        yield Finding(fault, name, f"silence throughout ended {outcome.effect}")


# ---- truth


def _untrue(
    bench: _Bench, fault: Fault | None, intent: Intent, outcome: Outcome
) -> Iterator[Finding]:
    """What the outcome claims and the meter denies."""
    meter = bench.meter
    if isinstance(intent, Control):
        true = _in_effect(meter, intent.action)
        if outcome.effect is Effect.DONE and not true:
            yield Finding(fault, intent.action, "reported done, but the meter is not so")
        if outcome.effect is Effect.NOT_DONE and true:
            yield Finding(fault, intent.action, "reported not done, but the meter is so")
        return
    name = type(intent).__name__
    values = outcome.values
    if isinstance(intent, SetClock):
        error_ms = abs(meter.shown_ms - wall_ms_of(intent.local_time))
        if outcome.effect is Effect.DONE and error_ms > MINUTE_MS:
            yield Finding(fault, name, f"reported done, but the clock is {error_ms} ms off")
        return
    if values.address is not None and values.address != _ADDRESS:
        yield Finding(fault, name, f"read the address {values.address}")
    if fault is not Fault.ZERO_READING:
        yield from _untrue_registers(meter, fault, name, outcome)
    if values.relay is not Relay.UNKNOWN and values.relay is not meter.relay:
        yield Finding(fault, name, f"read a relay {values.relay.name}")
    yield from _untrue_voltages(meter, fault, name, outcome)
    registers_due = outcome.effect is Effect.DONE and not isinstance(intent, ReadAddress)
    if registers_due and values.total_milli is None:
        yield Finding(fault, name, "done without registers")
    if registers_due and meter.model.status_word and values.relay is Relay.UNKNOWN:
        yield Finding(fault, name, "done without the relay's state")


def _untrue_voltages(
    meter: SimMeter, fault: Fault | None, name: str, outcome: Outcome
) -> Iterator[Finding]:
    """Voltages change by the minute, so only their number and their size can be judged."""
    said = outcome.values.voltage_dv
    if said is None:
        return
    near = all(abs(phase_dv - NOMINAL_DV) <= 2 * VOLTAGE_SPREAD_DV for phase_dv in said)
    if len(said) != meter.model.phases or not near:
        yield Finding(fault, name, f"read voltages {said}")


def _untrue_registers(
    meter: SimMeter, fault: Fault | None, name: str, outcome: Outcome
) -> Iterator[Finding]:
    """Registers may be as old as the conversation, and are cut to 10 Wh on the wire."""
    total_wh, *bands_wh = meter.registers_wh()
    said = outcome.values
    # A steady 1.2 kW counts 20 Wh a minute; a conversation stays well below a minute and a half.
    margin_wh = 40
    if said.total_milli is not None and not 0 <= total_wh - said.total_milli < margin_wh:
        yield Finding(fault, name, f"read a total of {said.total_milli}, shown is {total_wh}")
    if said.band_milli is not None and not all(
        0 <= shown - read < margin_wh for shown, read in zip(bands_wh, said.band_milli, strict=True)
    ):
        yield Finding(fault, name, f"read bands {said.band_milli}, shown are {bands_wh}")


def _in_effect(meter: SimMeter, action: Action) -> bool:
    """Whether the meter is as the action wants it; an armed relay waits for the button."""
    if action is Action.DISCONNECT:
        return meter.relay is not Relay.CLOSED
    if action is Action.ALLOW_CONNECT:
        return meter.relay is not Relay.OPEN
    if action is Action.CONNECT:
        return meter.relay is Relay.CLOSED
    return meter.keep_power is (action is Action.KEEP_POWER_ON)
