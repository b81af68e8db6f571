"""Charged intervals cut where periods and tariffs end: nothing is lost, nothing counts twice."""

from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meterhouse.rating.explained import explain_interval
from meterhouse.rating.live import live
from meterhouse.rating.load import Load
from meterhouse.rating.stretches import (
    WINDOW_US,
    Charged,
    Span,
    for_persons,
    highest_w,
    spans,
    stretches,
)
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import compile_timeline
from meterhouse.units import to_us

ZONE = "Asia/Shanghai"
HOUR_US = 3_600_000_000
SCHEME = parse({
    "name": "x", "commodity": "electricity", "currency": "CNY",
    "billing": {"anchor_day": 5, "anchor_hour": 9}, "versions": [
        {"effective_from": "2020-01-01T00:00:00+08:00", "minimum_micro": 5_000_000,
         "bands": ["peak", "valley"],
         "day_tables": {"day": {"00:00": "valley", "08:30": "peak", "22:30": "valley"}},
         "prices_micro": {"peak": 600_001, "valley": 300_001},
         "standing": {"per": "day", "amount_micro": 700_000}},
        {"effective_from": "2026-06-01T00:00:00+08:00", "prices_micro": {"flat": 1}}]})  # fmt: skip


def at_us(text):
    return to_us(datetime.fromisoformat(f"{text}+08:00"))


def charged(*rows):
    """(start, end, Milli, Nano, account) of each interval."""
    start, end, energy, nano, account = (
        np.array(column, np.int64) for column in zip(*rows, strict=True)
    )
    zero = np.zeros(len(rows), np.int64)
    return Charged(start, end, energy, nano, account, account * 100, zero, zero)


def untold(place):
    raise AssertionError(f"nobody had to ask for the lines of {place}")


def test_spans_end_with_periods_and_tariffs_and_leave_no_gap():
    history = [(at_us("2026-01-20T00:00"), 1), (at_us("2026-02-10T12:00"), 2),
               (at_us("2026-02-20T00:00"), None)]  # fmt: skip
    found = spans(history, {1: SCHEME}, ZONE, at_us("2026-01-10T00:00"), at_us("2026-03-01T00:00"))
    told = [(span.from_us, span.to_us, span.tariff_id, span.period_from_us) for span in found]
    assert told == [
        (at_us("2026-01-10T00:00"), at_us("2026-01-20T00:00"), 0, 0),
        (at_us("2026-01-20T00:00"), at_us("2026-02-05T09:00"), 1, at_us("2026-01-05T09:00")),
        (at_us("2026-02-05T09:00"), at_us("2026-02-10T12:00"), 1, at_us("2026-02-05T09:00")),
        (at_us("2026-02-10T12:00"), at_us("2026-02-20T00:00"), 0, at_us("2026-02-10T12:00")),
        (at_us("2026-02-20T00:00"), at_us("2026-03-01T00:00"), 0, at_us("2026-02-20T00:00")),
    ]


def test_a_period_in_which_nothing_waits_for_its_end_is_not_billed():
    found = spans(
        [(at_us("2026-05-01T00:00"), 1)], {1: SCHEME}, ZONE,
        at_us("2026-05-01T00:00"), at_us("2026-07-20T00:00"),
    )  # fmt: skip
    # The version with the minimum ends within the period that begins on 5 May.
    assert [span.tariff_id for span in found] == [1, 1, 0, 0]


def test_whoever_pays_has_a_stretch_of_their_own():
    all_spans = [Span(0, 10 * HOUR_US, 7, 0, 10 * HOUR_US)]
    used = charged(*((h * HOUR_US, (h + 1) * HOUR_US, h, h * 10, 1 + (h > 3)) for h in range(8)))
    one, other = stretches(used, all_spans, untold)
    assert (one.account_id, one.charged_nano, one.load.energy_milli.tolist()) == (
        1, 60, [0, 1, 2, 3],
    )  # fmt: skip
    assert (other.account_id, other.from_us, other.to_us) == (2, 4 * HOUR_US, 8 * HOUR_US)


def test_an_amount_is_divided_by_the_lines_that_made_it():
    edge = at_us("2026-02-05T09:00")
    history = [(at_us("2026-01-01T00:00"), 1)]
    start, end = at_us("2026-02-05T08:00"), at_us("2026-02-06T08:00")
    found = spans(history, {1: SCHEME}, ZONE, at_us("2026-01-05T09:00"), end + 40 * 24 * HOUR_US)
    timeline = compile_timeline(live(SCHEME), ZONE, start, end)
    lines = explain_interval(timeline, start, end, 24_000)
    nano = sum(line.amount_nano for line in lines)
    one, other = stretches(charged((start, end, 24_000, nano, 1)), found, lambda _: lines)
    # Half an hour of the valley, half of the peak; the day begins with the period.
    assert one.charged_nano == 500 * 300_001 + 500 * 600_001
    assert one.load.end_us.tolist() == [edge] == other.load.start_us.tolist()
    assert other.charged_nano == nano - one.charged_nano
    assert [int(each.load.energy_milli[0]) for each in (one, other)] == [1_000, 23_000]


def test_what_no_line_tells_stays_where_the_interval_began():
    all_spans = [Span(0, HOUR_US, 7, 0, HOUR_US), Span(HOUR_US, 9 * HOUR_US, 7, HOUR_US, 9)]
    one, other = stretches(charged((0, 2 * HOUR_US, 10, 99, 1)), all_spans, lambda _: ())
    assert (one.charged_nano, other.charged_nano) == (99, 0)


@given(
    edges=st.sets(st.integers(1, 99), max_size=6),
    ends=st.sets(st.integers(1, 99), min_size=1, max_size=9),
    energy=st.lists(st.integers(0, 9_999), min_size=10, max_size=10),
)
def test_however_it_is_cut_nothing_is_lost(edges, ends, energy):
    cuts = [0, *sorted(edges), 100]
    all_spans = [Span(low * HOUR_US, high * HOUR_US, 7, low, high) for low, high in pairwise(cuts)]
    times = [0, *sorted(ends)]
    rows = [
        (low * HOUR_US, high * HOUR_US, milli, milli * 31, 1)
        for low, high, milli in zip(times, times[1:], energy, strict=False)
    ]
    found = stretches(charged(*rows), all_spans, lambda _: ())
    assert sum(one.charged_nano for one in found) == sum(row[3] for row in rows)
    assert sum(int(one.load.energy_milli.sum()) for one in found) == sum(row[2] for row in rows)
    for one in found:
        assert one.span.from_us <= one.from_us < one.to_us <= one.span.to_us
    pieces = [
        span for one in found for span in zip(one.load.start_us, one.load.end_us, strict=True)
    ]
    assert all(before[1] == after[0] for before, after in pairwise(pieces))


@pytest.mark.parametrize("parts", [1, 2, 3, 60, 900])
def test_demand_does_not_depend_on_how_often_one_reads(parts):
    quarter = WINDOW_US
    edges = np.linspace(0, quarter, parts + 1).astype(np.int64) + 5 * quarter
    energy = np.diff(np.linspace(0, 1_800, parts + 1).astype(np.int64))
    load = Load(edges[:-1], edges[1:], energy)
    assert highest_w(load) == 7_200


def test_demand_is_of_whole_quarters_by_the_clock():
    # 600 Wh at once, a minute before a quarter ends, then nothing for a day.
    start = 7 * WINDOW_US - 60_000_000
    load = Load(
        np.array([start, start + 60_000_000]), np.array([start + 60_000_000, start + 10**11]),
        np.array([600, 0]),
    )  # fmt: skip
    assert highest_w(load) == 2_400


def test_another_number_of_persons_is_a_version_of_the_scheme():
    version = {
        "effective_from": "2020-01-01T00:00:00+08:00", "prices_micro": {"flat": [1, 2]},
        "blocks": {"limits_milli": [10], "persons": [{"persons": 3, "add_milli": [5]}]},
        "allowance": {"grant": "period", "energy_milli": 7, "per_person": True},
    }  # fmt: skip
    plain = {"effective_from": "2026-06-01T00:00:00+08:00", "prices_micro": {"flat": 3}}
    scheme = parse({"name": "x", "commodity": "electricity", "currency": "CNY",
                    "versions": [version, plain]})  # fmt: skip
    begin, change, late = (at_us(f"2026-{day}T00:00") for day in ("02-01", "03-01", "07-01"))
    found = for_persons(scheme, [(begin, 1), (change, 4), (late, 2)])
    told = [
        (to_us(one.effective_from), one.blocks.limits_milli,
         one.charges.allowance and one.charges.allowance.energy_milli)
        for one in found.versions
    ]  # fmt: skip
    # The first number holds before it was said, too; where nothing counts persons nothing changes.
    assert told == [
        (at_us("2020-01-01T00:00"), (10,), 7), (change, (15,), 28),
        (at_us("2026-06-01T00:00"), (), None),
    ]  # fmt: skip
