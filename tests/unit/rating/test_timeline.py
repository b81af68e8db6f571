"""Where pieces begin and end."""

from datetime import datetime

import numpy as np
import pytest

from meterhouse.errors import OutOfRange, Unreadable
from meterhouse.rating.tariff import parse
from meterhouse.rating.timeline import compile_timeline, follow, pack
from meterhouse.units import from_us, to_us

FLAT = {"effective_from": "2017-01-01T00:00:00Z", "prices_micro": {"flat": 500_000}}


def scheme(*versions):
    return parse(
        {"name": "x", "commodity": "water", "currency": "CNY",
         "versions": [{**FLAT, **version} for version in versions]}
    )  # fmt: skip


def at(text):
    return to_us(datetime.fromisoformat(text))


def test_a_flat_price_is_one_piece_however_long():
    timeline = compile_timeline(
        scheme({}), "Asia/Shanghai", at("2026-01-01T00:00Z"), at("2026-12-31T00:00Z")
    )
    assert len(timeline.band) == 1


def test_months_begin_at_local_midnight():
    timeline = compile_timeline(
        scheme({"blocks": {"period": "month", "limits_milli": [1]}}),
        "Asia/Shanghai", at("2026-01-15T00:00Z"), at("2026-03-15T00:00Z"),
    )  # fmt: skip
    assert [from_us(us).isoformat() for us in timeline.period_start_us] == [
        "2025-12-31T16:00:00+00:00", "2026-01-31T16:00:00+00:00", "2026-02-28T16:00:00+00:00",
    ]  # fmt: skip
    assert timeline.edge_us[1:3].tolist() == timeline.period_start_us[1:].tolist()


def test_a_month_whose_midnight_is_skipped_begins_when_the_clock_is_put_forward():
    # Paraguay put its clocks forward at 00:00 of Sunday, 1 October 2017 (04:00 UTC).
    timeline = compile_timeline(
        scheme({"blocks": {"period": "month", "limits_milli": [1]}}),
        "America/Asuncion", at("2017-09-30T00:00Z"), at("2017-10-02T00:00Z"),
    )  # fmt: skip
    assert timeline.edge_us[1] == timeline.period_start_us[1] == at("2017-10-01T04:00Z")


@pytest.mark.parametrize("begins", ["2026-03-29T01:00Z", "2026-03-28T13:00Z"])
def test_a_clock_change_on_a_probe_or_between_probes_is_found(begins):
    plan = scheme({"bands": ["a", "b"], "day_tables": {"d": {"00:00": "a", "03:00": "b"}},
                   "prices_micro": {"a": 1, "b": 2}})  # fmt: skip
    timeline = compile_timeline(plan, "Europe/Berlin", at(begins), at("2026-03-30T13:00Z"))
    # 02:00 does not exist, so 03:00 summer time follows 01:59 winter time at 01:00 UTC.
    assert at("2026-03-29T01:00Z") in timeline.edge_us.tolist()
    assert at("2026-03-30T01:00Z") in timeline.edge_us.tolist()


def test_nothing_is_laid_out_before_the_first_version():
    timeline = compile_timeline(scheme({}), "UTC", at("2016-12-31T00:00Z"), at("2017-01-02T00:00Z"))
    assert timeline.edge_us.tolist() == [at("2017-01-01T00:00Z"), at("2017-01-02T00:00Z")]
    early = compile_timeline(scheme({}), "UTC", at("2016-12-01T00:00Z"), at("2016-12-02T00:00Z"))
    assert len(early.band) == 0


def test_schemes_are_packed_side_by_side():
    one = scheme({}, {"effective_from": "2026-01-01T00:00:00Z", "prices_micro": {"flat": 7}})
    span = (at("2025-12-31T00:00Z"), at("2026-01-02T00:00Z"))
    packed = pack([compile_timeline(each, "UTC", *span) for each in (one, scheme({}))])
    assert packed.first_piece.tolist() == [0, 2, 3]
    assert packed.version.tolist() == [0, 1, 2]
    assert packed.price_micro[:, 0, 0].tolist() == [500_000, 7, 500_000]
    assert all(array.dtype in (np.int64, np.bool_) for array in packed)


def test_a_span_or_zone_that_makes_no_sense_is_refused():
    with pytest.raises(OutOfRange):
        compile_timeline(scheme({}), "UTC", 5, 5)
    with pytest.raises(Unreadable):
        compile_timeline(scheme({}), "Mars/Olympus", 5, 6)


def test_schemes_that_follow_each_other_lie_as_one_schemes_versions_do():
    later = {"blocks": {"period": "month", "limits_milli": [7]}, "prices_micro": {"flat": [3, 4]}}
    begin_us, change_us, end_us = (at(f"2026-01-{day}T00:00Z") for day in ("10", "20", "30"))
    whole = scheme({}, later | {"effective_from": "2026-01-20T00:00:00+00:00"})
    parts = [
        compile_timeline(scheme(part), "Asia/Shanghai", begin_us, end_us) for part in ({}, later)
    ]
    expected = compile_timeline(whole, "Asia/Shanghai", begin_us, end_us)
    found = follow(parts, [begin_us, change_us])
    for name in ("edge_us", "band", "section", "period_start_us"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
    assert [one.limits_milli for one in found.sections] == [
        one.limits_milli for one in expected.sections
    ]
    packed = pack([found]), pack([expected])
    assert packed[0].price_micro.tolist() == packed[1].price_micro.tolist()
