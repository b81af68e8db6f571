"""The drivers' conformance kit: any driver against a simulated meter, by hand, under every fault.

Owns the plain loop that carries a conversation (no event loop, no clock) and the rules every driver
must keep. Must never import a driver; it is handed one. The rules are the house's axioms: what is
reported done is true in the meter, what is reported not done has truly not happened, everything
else is unknown; a conversation ends; no frame of another meter and no damaged byte becomes a value;
one lost frame does not lose a reading. A fault that did not strike is itself a finding.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from meterhouse.model import Relay
from meterhouse.ports import (
    Action,
    Control,
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
from meterhouse.sim.instant import HOUR_MS, MINUTE_MS, wall_ms_of, wall_of
from meterhouse.sim.line import ASKS_MAX, START_MS, Endless, Line, run_conversation
from meterhouse.sim.meter import NOMINAL_DV, VOLTAGE_SPREAD_DV, SimMeter
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of

ABSENT_ASKS_MAX = 8
"""How often a meter that is not there may be asked for."""

_OFFSET_MS = 8 * HOUR_MS
_ADDRESS, _NEIGHBOUR, _ABSENT = "240000000001", "240000000099", "240000000077"
_WRONG_PASSWORD = "999999"  # noqa: S105

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


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which a driver broke a rule."""

    fault: Fault | None
    intent: str
    what: str


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
        parameters: names of writable parameters, with a text to write that is not theirs yet.
        actions: what this model's relay can be asked to do.
        seed: of the meter and of every fault.
    """
    exam = _Exam(driver, model, seed)
    exam.plain_intents()
    exam.absent_meter()
    for name, text in (parameters or {}).items():
        exam.parameter(name, text)
    for action in actions:
        exam.action(action)
    if {Action.KEEP_POWER_ON, Action.DISCONNECT} <= set(actions):
        exam.keep_power()
    for fault in _METER_FAULTS:
        exam.fault(fault, actions)
    return exam.findings


class _Trial:
    """A fresh meter with a neighbour on its bus, a line to them, and perhaps a fault."""

    def __init__(self, model: str, seed: int, *, alone: bool = False) -> None:
        spec = MeterSpec(
            address=_ADDRESS,
            model=model,
            load_class="steady",
            scale_permille=1_200_000,
            seed=seed,
            start_wh=(1_234_560, 2_345_670, 3_456_780, 4_567_890),
        )
        face = face_of(spec, START_MS, _OFFSET_MS)
        neighbour = face_of(MeterSpec(_NEIGHBOUR, model), START_MS, _OFFSET_MS)
        self.meter: SimMeter = face.meter
        self.faults = Faults(seed)
        faces = [face] if alone else [face, neighbour]
        self.line = Line(Bus(faces, faults=self.faults, seed=seed))

    def control(self, action: Action) -> Control:
        """The order for an action, with the meter put where the action has something to do."""
        if action in (Action.CONNECT, Action.ALLOW_CONNECT):
            self.meter.trip()
        self.meter.set_keep_power(action is Action.KEEP_POWER_OFF)
        return Control(action, wall_of(self.meter.shown_ms) + timedelta(minutes=5))


class _Exam:
    """One driver's answers to every question, and what was wrong with them."""

    def __init__(self, driver: Driver, model: str, seed: int) -> None:
        self._driver = driver
        self._model = model
        self._seed = seed
        self.findings: list[Finding] = []

    def _trial(self, *, alone: bool = False) -> _Trial:
        return _Trial(self._model, self._seed, alone=alone)

    def _note(self, fault: Fault | None, intent: Intent | str, what: str) -> None:
        self.findings.append(Finding(fault, _called(intent), what))

    def _run(
        self,
        trial: _Trial,
        intent: Intent,
        fault: Fault | None = None,
        *,
        address: str = _ADDRESS,
        password: str = "000000",  # noqa: S107
    ) -> Outcome | None:
        """How the conversation ended; None, with a finding, when it broke."""
        meter = MeterRef(address, self._model, password)
        try:
            outcome = run_conversation(self._driver, meter, intent, trial.line)
        except Endless:
            self._note(fault, intent, f"asked more than {ASKS_MAX} times")
            return None
        except Exception as error:
            self._note(fault, intent, f"raised {error!r}")
            return None
        trial.meter.advance(trial.line.now_ms)
        return outcome

    # ---- without faults

    def plain_intents(self) -> None:
        an_hour_ahead = SetClock(wall_of(START_MS + _OFFSET_MS + HOUR_MS))
        for intent in (ReadRound(), ReadLive(), ReadAddress(), an_hour_ahead):
            trial = self._trial(alone=isinstance(intent, ReadAddress))
            outcome = self._run(trial, intent)
            if outcome is not None and outcome.why != "unsupported":
                self._must_be_done(trial, intent, outcome)

    def absent_meter(self) -> None:
        """A meter that is not there is unknown, has no values, and costs few asks."""
        trial = self._trial()
        outcome = self._run(trial, ReadRound(), address=_ABSENT)
        if outcome is None:
            return
        if outcome.effect is not Effect.UNKNOWN or outcome.values.total_milli is not None:
            self._note(None, ReadRound(), f"an absent meter ended {outcome.effect}")
        if trial.line.asks > ABSENT_ASKS_MAX:
            self._note(None, ReadRound(), f"an absent meter cost {trial.line.asks} asks")

    def parameter(self, name: str, text: str) -> None:
        trial = self._trial()
        write = WriteParameter(name, text)
        refused = self._run(trial, write, password=_WRONG_PASSWORD)
        if refused is not None and refused.why != "wrong_password":
            self._note(None, name, f"a wrong password ended {refused.effect} ({refused.why})")
        written = self._run(trial, write)
        if written is not None and written.effect is not Effect.DONE:
            self._note(None, name, f"writing ended {written.effect} ({written.why})")
        read = self._run(trial, ReadParameter(name))
        if read is not None and read.values.parameters.get(name) != text:
            self._note(None, name, f"wrote {text!r}, read {dict(read.values.parameters)!r}")

    def action(self, action: Action) -> None:
        trial = self._trial()
        order = trial.control(action)
        outcome = self._run(trial, order)
        if outcome is not None:
            self._must_be_done(trial, order, outcome)

    def keep_power(self) -> None:
        """Keep-power forbids a disconnect, and the driver must say so or nothing."""
        trial = self._trial()
        order = trial.control(Action.DISCONNECT)
        trial.meter.set_keep_power(True)
        outcome = self._run(trial, order)
        if outcome is not None and outcome.effect is Effect.DONE:
            self._note(None, order, "done although keep-power forbids it")

    def _must_be_done(self, trial: _Trial, intent: Intent, outcome: Outcome) -> None:
        if outcome.effect is not Effect.DONE:
            self._note(None, intent, f"ended {outcome.effect} ({outcome.why})")
        for what in _untrue(trial.meter, intent, outcome):
            self._note(None, intent, what)

    # ---- with faults

    def fault(self, fault: Fault, actions: Sequence[Action]) -> None:
        reads = () if fault is Fault.STUCK_RELAY else (ReadRound(), ReadLive())
        orders = () if fault is Fault.ZERO_READING else actions
        for times in (1, None):
            for intent in (*reads, *orders):
                trial = self._trial()
                order = trial.control(intent) if isinstance(intent, Action) else intent
                trial.faults.switch_on(fault, where=_ADDRESS, times=times)
                outcome = self._run(trial, order, fault)
                if outcome is not None:
                    self._judge_fault(trial, fault, times, order, outcome)

    def _judge_fault(
        self, trial: _Trial, fault: Fault, times: int | None, intent: Intent, outcome: Outcome
    ) -> None:
        if not trial.faults.counts[fault]:
            self._note(fault, intent, "the fault did not happen")
        for what in _untrue(trial.meter, intent, outcome, zeroed=fault is Fault.ZERO_READING):
            self._note(fault, intent, what)
        if isinstance(intent, Control):
            return
        if fault in _LINE_FAULTS and times == 1 and outcome.effect is not Effect.DONE:
            self._note(fault, intent, f"once was enough to lose the reading: {outcome.why}")
        if fault is Fault.SILENCE and times is None and outcome.effect is not Effect.UNKNOWN:
            self._note(fault, intent, f"silence throughout ended {outcome.effect}")


def _called(intent: Intent | str) -> str:
    if isinstance(intent, Control):
        return str(intent.action)
    return intent if isinstance(intent, str) else type(intent).__name__


# ---- truth


def _untrue(
    meter: SimMeter, intent: Intent, outcome: Outcome, *, zeroed: bool = False
) -> Iterator[str]:
    """What the outcome claims and the meter denies."""
    done = outcome.effect is Effect.DONE
    if isinstance(intent, Control):
        true = _in_effect(meter, intent.action)
        if done and not true:
            yield "reported done, but the meter is not so"
        if outcome.effect is Effect.NOT_DONE and true:
            yield "reported not done, but the meter is so"
        return
    if isinstance(intent, SetClock):
        error_ms = abs(meter.shown_ms - wall_ms_of(intent.local_time))
        if done and error_ms > MINUTE_MS:
            yield f"reported done, but the clock is {error_ms} ms off"
        return
    said = outcome.values
    if said.address not in (None, _ADDRESS):
        yield f"read the address {said.address}"
    if said.relay not in (Relay.UNKNOWN, meter.relay):
        yield f"read a relay {said.relay.name}"
    if not zeroed:
        yield from _untrue_registers(meter, outcome)
    yield from _untrue_voltages(meter, outcome)
    if isinstance(intent, ReadRound | ReadLive) and done:
        if said.total_milli is None:
            yield "done without registers"
        if meter.model.status_word and said.relay is Relay.UNKNOWN:
            yield "done without the relay's state"


def _untrue_voltages(meter: SimMeter, outcome: Outcome) -> Iterator[str]:
    """Voltages change by the minute, so only their number and their size can be judged."""
    said = outcome.values.voltage_dv
    if said is None:
        return
    near = all(abs(phase_dv - NOMINAL_DV) <= 2 * VOLTAGE_SPREAD_DV for phase_dv in said)
    if len(said) != meter.model.phases or not near:
        yield f"read voltages {said}"


def _untrue_registers(meter: SimMeter, outcome: Outcome) -> Iterator[str]:
    """Registers may be as old as the conversation, and are cut to 10 Wh on the wire."""
    total_wh, *bands_wh = meter.registers_wh()
    said = outcome.values
    # A steady 1.2 kW counts 20 Wh a minute; a conversation stays below a minute and a half.
    margin_wh = 40
    if said.total_milli is not None and not 0 <= total_wh - said.total_milli < margin_wh:
        yield f"read a total of {said.total_milli}, shown is {total_wh}"
    if said.band_milli is not None and not all(
        0 <= shown - read < margin_wh for shown, read in zip(bands_wh, said.band_milli, strict=True)
    ):
        yield f"read bands {said.band_milli}, shown are {bands_wh}"


def _in_effect(meter: SimMeter, action: Action) -> bool:
    """Whether the meter is as the action wants it; an armed relay waits for the button."""
    if action is Action.DISCONNECT:
        return meter.relay is not Relay.CLOSED
    if action is Action.ALLOW_CONNECT:
        return meter.relay is not Relay.OPEN
    if action is Action.CONNECT:
        return meter.relay is Relay.CLOSED
    return meter.keep_power is (action is Action.KEEP_POWER_ON)
