"""Rating against the oracle, on random schemes, zones, loads and batches."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from meterhouse.rating.explained import explain_interval
from meterhouse.rating.kernel import (
    Intervals,
    RatingOutcome,
    rate_intervals,
)
from meterhouse.rating.matrix import rate_matrix
from meterhouse.rating.tariff import dump, parse
from meterhouse.rating.timeline import compile_timeline, follow, pack
from meterhouse.units import to_us
from oracle.rating_oracle import Position, RatingOracle

# Around these instants clocks change, months and years begin, or a day's midnight does not exist.
MOMENTS = [
    ("Asia/Shanghai", "2026-01-31T16:00:00+00:00"),
    ("Asia/Shanghai", "2025-12-31T16:00:00+00:00"),
    ("Asia/Shanghai", "2026-09-30T16:00:00+00:00"),
    ("Europe/Berlin", "2026-03-29T01:00:00+00:00"),
    ("Europe/Berlin", "2026-10-25T01:00:00+00:00"),
    ("America/New_York", "2026-11-01T06:00:00+00:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30:00+00:00"),
    ("America/Asuncion", "2017-10-01T04:00:00+00:00"),
    ("Asia/Kathmandu", "2026-02-28T18:15:00+00:00"),
]
HALF_DAY_S = 43_200
BANDS = ["sharp", "peak", "flat", "valley", "deep_valley"]
prices = st.integers(0, 3_000_000)
# Mostly whole minutes up to half a day, so that long intervals and straddled edges are common.
spans_us = st.builds(
    lambda minutes, more_us: minutes * 60_000_000 + more_us,
    st.sampled_from([15, 30, 60, 97, 180, 360, 555, 720]),
    st.one_of(st.just(0), st.integers(1, 59_999_999)),
)


@st.composite
def day_tables(draw, bands, name):
    minutes = draw(st.sets(st.integers(1, 1439), max_size=6)) | {0, *draw(st.sets(
        st.sampled_from([510, 690, 1050, 1350]), max_size=4))}  # fmt: skip
    return {
        name: {f"{m // 60:02}:{m % 60:02}": draw(st.sampled_from(bands)) for m in sorted(minutes)}
    }


@st.composite
def versions(draw, effective_from):
    source = draw(st.sampled_from(["platform", "platform", "meter"]))
    bands = BANDS[:4] if source == "meter" else draw(st.permutations(BANDS))
    bands = bands if source == "meter" else bands[: draw(st.integers(1, 5))]
    limits = sorted(draw(st.sets(st.integers(1, 60_000), max_size=3)))
    return {
        "effective_from": effective_from.isoformat(),
        "band_source": source,
        "bands": bands,
        "day_tables": {
            **draw(day_tables(bands, "one")),
            **draw(day_tables(bands, "two")),
        },
        "seasons": [
            {
                "name": "warm",
                "first": "04-01",
                "last": "09-30",
                "tables": {"workday": "one", "weekend": "two"},
            },
            {
                "name": "cold",
                "first": "10-01",
                "last": "03-31",
                "tables": {"workday": "two", "holiday": "one"},
            },
        ],
        "weekend": draw(st.sampled_from([[6, 7], [7], []])),
        "special_days": {"2026-10-01": "holiday", "2026-02-01": "makeup_workday"},
        "blocks": {
            "period": draw(st.sampled_from(["none", "month", "year"])),
            "fill": draw(st.sampled_from(["chronological", "pro_rata"])),
            "limits_milli": limits,
        },
        "prices_micro": {
            band: draw(st.one_of(prices, st.lists(prices, min_size=len(limits) + 1,
                                                  max_size=len(limits) + 1)))
            for band in bands
        },
        "adders_micro": draw(st.lists(st.integers(0, 500_000), min_size=len(limits) + 1,
                                      max_size=len(limits) + 1)),
    }  # fmt: skip


@st.composite
def cases(draw):
    """A scheme, a zone, and intervals that follow each other around a moment."""
    zone, moment = draw(st.sampled_from(MOMENTS))
    moment = datetime.fromisoformat(moment)
    begins = [moment - timedelta(days=400)]
    if draw(st.booleans()):
        begins.append(moment + timedelta(seconds=draw(st.integers(-HALF_DAY_S, HALF_DAY_S))))
    scheme = {
        "name": "random",
        "commodity": "electricity",
        "currency": "CNY",
        "versions": [draw(versions(at.astimezone(UTC))) for at in begins],
    }
    edges = [to_us(moment) - draw(spans_us)]
    for _ in range(draw(st.integers(1, 4))):
        edges.append(edges[-1] + draw(spans_us))
    loads = []
    for _ in edges[1:]:
        bands = [draw(st.integers(0, 30_000)) for _ in range(4)]
        loads.append((sum(bands) + draw(st.integers(0, 50)), bands))
    return scheme, zone, edges, loads


def rate(case, chunks=None, timeline=None):
    """Rate the case in one call, or in the given chunks with the state carried over."""
    scheme, zone, edges, loads = case
    timeline = timeline or compile_timeline(parse(scheme), zone, edges[0], edges[-1])
    block_milli, period_us = np.zeros(1, np.int64), np.zeros(1, np.int64)
    amounts, outcomes = [], []
    for first, last in chunks or [(0, len(loads))]:
        count = last - first
        zeros = np.zeros(count, np.int64)
        rated = rate_intervals(
            pack([timeline]),
            Intervals(
                zeros, zeros,
                np.array(edges[first:last]), np.array(edges[first + 1 : last + 1]),
                np.array([energy for energy, _ in loads[first:last]]),
                np.array([bands for _, bands in loads[first:last]]),
            ),
            block_milli, period_us,
        )  # fmt: skip
        assert (rated.outcome == RatingOutcome.RATED).all()
        amounts += rated.amount_nano.tolist()
        outcomes += zip(rated.before_milli.tolist(), rated.before_period_us.tolist(), strict=True)
        block_milli, period_us = rated.block_milli, rated.block_period_us
    return amounts, outcomes, (int(block_milli[0]), int(period_us[0])), timeline


@settings(max_examples=120, deadline=None)
@given(cases())
def test_the_kernel_agrees_with_the_oracle_to_the_last_nano(case):
    scheme, zone, edges, loads = case
    amounts, befores, end, timeline = rate(case)
    oracle, position = RatingOracle(scheme, zone), Position()
    for place, (energy, bands) in enumerate(loads):
        span = (edges[place], edges[place + 1])
        expected = oracle.rate(*span, energy, bands, position)
        assert amounts[place] == expected * 10**9
        lines = explain_interval(timeline, *span, energy, tuple(bands), *befores[place])
        assert sum(line.amount_nano for line in lines) == amounts[place]
    assert end == (position.used_milli, position.period_us)


@settings(max_examples=60, deadline=None)
@given(cases(), st.data())
def test_a_household_that_grows_or_shrinks_is_rated_as_the_oracle_says(case, data):
    scheme, zone, edges, loads = case
    for version in scheme["versions"]:
        count = len(version["blocks"]["limits_milli"])
        version["blocks"]["persons"] = [
            {"persons": least, "add_milli": [data.draw(st.integers(0, 9_000))] * count}
            for least in (2, 4)
        ]
    within = st.integers(edges[0] + 1, edges[-1] - 1)
    numbers = st.integers(1, 5)
    instants = sorted(data.draw(st.sets(within, min_size=1, max_size=2)))
    first, later = data.draw(numbers), tuple((at, data.draw(numbers)) for at in instants)
    plan = parse(scheme)
    timelines = [
        compile_timeline(plan.of_household(number), zone, edges[0], edges[-1])
        for number in (first, *(number for _, number in later))
    ]
    amounts, _, end, _ = rate(case, timeline=follow(timelines, [0, *instants]))
    oracle, position = RatingOracle(scheme, zone, first, later=later), Position()
    for place, (energy, bands) in enumerate(loads):
        expected = oracle.rate(edges[place], edges[place + 1], energy, bands, position)
        assert amounts[place] == expected * 10**9
    assert end == (position.used_milli, position.period_us)
    if all(plan.alike(number) == plan.alike(first) for _, number in later):
        assert amounts == rate(case, timeline=timelines[0])[0]


@settings(max_examples=60, deadline=None)
@given(cases())
def test_one_interval_at_a_time_costs_what_a_batch_costs(case):
    together = rate(case)
    apart = rate(case, [(place, place + 1) for place in range(len(case[3]))])
    assert apart[:3] == together[:3]


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(1, 20_000))
def test_using_more_never_costs_less(case, more_milli):
    scheme, zone, edges, loads = case
    for version in scheme["versions"]:
        version["adders_micro"] = sorted(version["adders_micro"])
        for band, price in version["prices_micro"].items():
            version["prices_micro"][band] = price if isinstance(price, int) else sorted(price)
        version["blocks"]["fill"] = "chronological"
    energy, bands = loads[0]
    more = [(energy + more_milli, [bands[0] + more_milli, *bands[1:]]), *loads[1:]]
    before, *_, timeline = rate(case)
    after = rate((scheme, zone, edges, more))[0]
    # Rule 1 may move a Milli across each edge inside the interval, and nothing else.
    inside = ((timeline.edge_us > edges[0]) & (timeline.edge_us < edges[1])).sum()
    moved_nano = int(inside) * int(pack([timeline]).price_micro.max())
    assert sum(after) >= sum(before) - moved_nano


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_scheme_survives_its_json_form(case):
    scheme = parse(case[0])
    assert parse(dump(scheme)) == scheme


@settings(max_examples=60, deadline=None)
@given(
    slots=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 5_000)), min_size=1, max_size=150
    ),
    limits=st.lists(st.integers(1, 90_000), max_size=3, unique=True).map(sorted),
    table=st.lists(prices, min_size=16, max_size=16),
    used=st.integers(0, 50_000),
)  # fmt: skip
def test_the_dense_kernel_is_the_marginal_sum(slots, limits, table, used):
    price_micro = np.array(table).reshape(4, 4)[:, : len(limits) + 1]
    bands, energies = (np.array(column) for column in zip(*slots, strict=True))
    amount = rate_matrix(
        energies[np.newaxis], bands, price_micro, np.array(limits, np.int64), np.array([used])
    )
    expected = 0
    for band, energy in slots:
        for block, (low, high) in enumerate(
            zip([0, *limits], [*limits, 10**15], strict=True)
        ):  # fmt: skip
            overlap = max(0, min(high, used + energy) - max(low, used))
            expected += overlap * int(price_micro[band, block])
        used += energy
    assert amount.tolist() == [expected]
