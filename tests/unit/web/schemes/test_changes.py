"""What a correction changes, stretch by stretch."""

from datetime import UTC, datetime

from meterhouse.rating.tariff import parse
from meterhouse.web.formats import ABSENT
from meterhouse.web.schemes.changes import stretches
from meterhouse.words import words

EN = words("en")


def scheme(*versions):
    """A scheme of one price: (day of March, price in millionths)."""
    return parse({
        "name": "Flat", "commodity": "electricity", "currency": "CNY",
        "versions": [
            {"effective_from": f"2026-03-{day:02}T00:00:00+00:00", "prices_micro": {"flat": price}}
            for day, price in versions
        ],
    })  # fmt: skip


def told(before, after, day):
    since = datetime(2026, 3, day, tzinfo=UTC)
    return [
        (one.begins.day, one.ends and one.ends.day, [(each.now, each.then) for each in one.changes])
        for one in stretches(before, after, since, EN)
    ]


def test_a_version_is_corrected_from_when_it_was_wrong_until_the_next():
    before = scheme((1, 500_000), (20, 700_000))
    assert told(before, scheme((1, 600_000), (20, 700_000)), 10) == [
        (10, 20, [("0.50", "0.60")]), (20, None, []),
    ]  # fmt: skip


def test_stretches_that_change_alike_are_one():
    before = scheme((1, 500_000), (20, 500_000))
    assert told(before, scheme((1, 600_000), (20, 600_000)), 10) == [
        (10, None, [("0.50", "0.60")])
    ]  # fmt: skip


def test_a_price_that_began_on_a_wrong_day_is_moved():
    before = scheme((1, 500_000), (20, 700_000))
    assert told(before, scheme((1, 500_000), (12, 700_000)), 12) == [
        (12, 20, [("0.50", "0.70")]), (20, None, []),
    ]  # fmt: skip


def test_before_the_first_version_there_was_nothing():
    (first, rest) = told(scheme((10, 500_000)), scheme((10, 500_000)), 5)
    assert first[:2] == (5, 10)
    assert (ABSENT, "0.50") in first[2]
    assert rest == (10, None, [])
