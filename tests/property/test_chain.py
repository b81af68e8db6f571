"""The judgement of readings: against the oracle, in any chunks, in any order, losing nothing."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from meterhouse.model import Quality
from meterhouse.rating.decided import Decided, Decisions
from meterhouse.rating.delta import ChainState, Limits, Verdict, in_order, judge
from oracle.chain_oracle import Meter, judge_chain

STEP_US = 1_800_000_000
METERS = [
    Meter(modulus=100_000, max_power_w=13_200),
    Meter(modulus=100_000, max_power_w=13_200, multiplier=40, by_bands=(0, 10**15)),
    Meter(modulus=100_000, max_power_w=13_200, by_bands=(0, 7 * STEP_US + 1)),
    Meter(modulus=100_000, max_power_w=13_200, by_bands=(5 * STEP_US, 9 * STEP_US)),
    Meter(modulus=10**8, max_power_w=66_000, multiplier=2_000),
]


@st.composite
def chains(draw):
    """A meter's life in half-hour steps: use, spurious zeros, resets, jumps, gaps, copies."""
    meter = draw(st.sampled_from(METERS))
    registers = [0, *(draw(st.integers(0, meter.modulus - 1)) for _ in range(4))]
    registers[0] = sum(registers[1:]) % meter.modulus
    at_us, readings = STEP_US, []
    for _ in range(draw(st.integers(1, 14))):
        at_us += STEP_US * draw(st.sampled_from([1, 1, 1, 3, 40]))
        event = draw(st.sampled_from(
            ["use"] * 6 + ["zero", "reset", "jump", "no bands", "odd bands", "no total", "twice"]
        ))  # fmt: skip
        used, band = draw(st.integers(0, 6_000)), draw(st.integers(1, 4))
        if event == "reset":
            registers = [0] * 5
        registers[0] = (registers[0] + used) % meter.modulus
        registers[band] = (registers[band] + used) % meter.modulus
        shown = list(registers)
        if event == "zero":
            shown = [0] * 5
        elif event == "jump":
            shown[0] = (shown[0] + meter.modulus // 2) % meter.modulus
        elif event == "no bands":
            shown[1:] = [-1] * 4
        elif event == "odd bands":
            shown[band] = draw(st.integers(0, 2 * meter.modulus))
        elif event == "no total":
            shown[0] = draw(st.sampled_from([-1, meter.modulus]))
        readings.append((at_us, tuple(shown)))
        if event == "twice":
            shown[draw(st.integers(0, 4))] += draw(st.integers(0, 1))
            readings.append((at_us, tuple(shown)))
    return meter, readings


def bands_until_us(meter, at_us):
    """Up to when the meter's own bands price, as the judgement is told."""
    since, until = meter.by_bands or (at_us, at_us)
    return min(until, at_us) if since < at_us else 0


def limits(meters, row, at_us):
    told = [bands_until_us(meters[one], at) for one, at in zip(row, at_us.tolist(), strict=True)]
    return Limits(
        modulus_milli=np.array([meter.modulus for meter in meters]),
        max_power_w=np.array([meter.max_power_w for meter in meters]),
        multiplier=np.array([meter.multiplier for meter in meters]),
        bands_until_us=np.array(told, np.int64),
        gap_us=2 * STEP_US,
    )


def judge_sorted(state, meter, readings):
    row, at_us = np.zeros(len(readings), np.int64), np.array([at for at, _ in readings], np.int64)
    milli = np.array([registers for _, registers in readings], np.int64).reshape(-1, 5)
    order = in_order(row, at_us)
    judged = judge(state, limits([meter], row, at_us[order]), row, at_us[order], milli[order])
    return judged, [readings[place] for place in order]


def same_state(one, other):
    return all((left == right).all() for left, right in zip(one, other, strict=True))


@settings(max_examples=150, deadline=None)
@given(chains(), st.randoms())
def test_any_order_of_arrival_is_judged_as_the_oracle_judges_the_set(chain, random):
    meter, readings = chain
    shuffled = readings + random.choices(readings, k=3)
    random.shuffle(shuffled)
    judged, ordered = judge_sorted(ChainState.empty(1), meter, shuffled)
    verdicts, billed = judge_chain(meter, shuffled)
    seen = set()
    for reading, code in zip(ordered, judged.verdict, strict=True):
        again = reading in seen and verdicts[reading] not in ("CONFLICT", "UNUSABLE")
        assert Verdict(code).name == ("DUPLICATE" if again else verdicts[reading])
        seen.add(reading)
    mask = judged.billable
    assert billed == list(
        zip(
            judged.start_us[mask].tolist(),
            judged.end_us[mask].tolist(),
            (judged.energy_milli[mask] // meter.multiplier).tolist(),
            strict=True,
        )
    )


@settings(max_examples=150, deadline=None)
@given(chains(), st.data())
def test_what_people_decide_is_judged_as_the_oracle_judges_it(chain, data):
    meter, readings = chain
    readings = sorted(dict(readings).items())
    said, milli = {}, [list(registers) for _, registers in readings]
    given = Decisions.none(len(readings))
    for place, (at_us, _) in enumerate(readings):
        decided = data.draw(st.sampled_from([*[Decided.NOTHING] * 3, *Decided]))
        given.decided[place] = decided
        if decided is Decided.BEGIN:
            used = data.draw(st.sampled_from([0, 700]))
            given.used_milli[place] = used * meter.multiplier
            said[at_us] = ("begin", used)
        elif decided is Decided.CORRECT:
            milli[place] = list(readings[data.draw(st.integers(0, len(readings) - 1))][1])
            said[at_us] = ("correct", tuple(milli[place]))
        elif decided is not Decided.NOTHING:
            said[at_us] = (decided.name.lower(),)
    row, at = np.zeros(len(readings), np.int64), np.array([one[0] for one in readings], np.int64)
    judged = judge(
        ChainState.empty(1), limits([meter], row, at), row, at,
        np.array(milli, np.int64).reshape(-1, 5), given,
    )  # fmt: skip
    mask = judged.billable
    energy = (judged.energy_milli[mask] // meter.multiplier).tolist()
    spans = (judged.start_us[mask].tolist(), judged.end_us[mask].tolist(), energy)
    assert judge_chain(meter, readings, said)[1] == list(zip(*spans, strict=True))


@settings(max_examples=100, deadline=None)
@given(chains())
def test_energy_is_neither_invented_nor_lost(chain):
    meter, readings = chain
    judged, ordered = judge_sorted(ChainState.empty(1), meter, readings)
    begins = [place for place, code in enumerate(judged.verdict) if code == Verdict.FIRST]
    if not begins:
        assert not judged.energy_milli.any()
        return
    rollovers = int((judged.verdict == Verdict.ROLLOVER).sum())
    first, last = ordered[begins[0]][1][0], int(judged.state.good_milli[0, 0])
    billed = (last - first + meter.modulus * rollovers) * meter.multiplier
    assert judged.energy_milli.sum() == billed
    assert (judged.energy_milli[~judged.billable] == 0).all()
    assert (judged.quality[judged.billable] != Quality.DOUBTFUL).all()
    known = judged.band_energy_milli.min(1) >= 0
    apart = judged.band_energy_milli[known].sum(1) - judged.energy_milli[known]
    assert (np.abs(apart) <= 50 * meter.multiplier).all()
    by_bands = [
        meter.needs_bands(*span) for span in zip(judged.start_us, judged.end_us, strict=True)
    ]
    assert known[judged.billable & np.array(by_bands, np.bool_)].all()


@settings(max_examples=100, deadline=None)
@given(chains(), st.sets(st.integers(1, 13)))
def test_batches_cut_between_instants_change_nothing(chain, cuts):
    meter, readings = chain
    whole, ordered = judge_sorted(ChainState.empty(1), meter, readings)
    instants = sorted({at for at, _ in ordered})
    state, verdicts, energy = ChainState.empty(1), [], []
    for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), len(instants)], strict=True):
        batch = [reading for reading in ordered if reading[0] in instants[low:high]]
        if batch:
            judged, _ = judge_sorted(state, meter, batch)
            state = judged.state
            verdicts += judged.verdict.tolist()
            energy += judged.energy_milli.tolist()
    assert verdicts == whole.verdict.tolist()
    assert energy == whole.energy_milli.tolist()
    assert same_state(state, whole.state)


@settings(max_examples=60, deadline=None)
@given(st.lists(chains(), min_size=1, max_size=4))
def test_chains_do_not_touch_each_other(many):
    rows = np.concatenate([np.full(len(chain), place) for place, (_, chain) in enumerate(many)])
    readings = [reading for _, chain in many for reading in chain]
    at_us = np.array([at for at, _ in readings])
    milli = np.array([registers for _, registers in readings])
    together = judge(
        ChainState.empty(len(many)), limits([meter for meter, _ in many], rows, at_us), rows,
        at_us, milli,
    )  # fmt: skip
    for place, (meter, chain) in enumerate(many):
        alone, _ = judge_sorted(ChainState.empty(1), meter, chain)
        assert together.verdict[rows == place].tolist() == alone.verdict.tolist()
        assert together.energy_milli[rows == place].tolist() == alone.energy_milli.tolist()


@settings(max_examples=60, deadline=None)
@given(chains())
def test_replaying_what_was_judged_bills_nothing(chain):
    meter, readings = chain
    judged, _ = judge_sorted(ChainState.empty(1), meter, readings)
    again, _ = judge_sorted(judged.state, meter, readings)
    assert not again.billable.any()
    assert same_state(again.state, judged.state)
