"""Buckets of tokens: bursts pass, floods do not, and the memory has a bound."""

from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.web.limits import Buckets, Limits, TooManyRequests

AT = datetime(2026, 11, 21, 4, 0, tzinfo=UTC)


def after(seconds):
    return AT + timedelta(seconds=seconds)


def test_a_burst_of_a_minute_passes_and_no_more():
    buckets = Buckets(60)
    assert [buckets.take("a", AT).left for _ in range(60)] == list(range(59, -1, -1))
    with pytest.raises(TooManyRequests) as refused:
        buckets.take("a", AT)
    assert refused.value.facts == {"wait_s": 1}
    assert buckets.take("b", AT).left == 59


def test_tokens_come_back_evenly_and_never_beyond_the_brim():
    buckets = Buckets(6)
    for _ in range(6):
        buckets.take("a", AT)
    with pytest.raises(TooManyRequests) as refused:
        buckets.take("a", after(4))
    assert refused.value.facts == {"wait_s": 6}
    assert buckets.take("a", after(10)).left == 0
    assert buckets.take("a", after(10_000)).left == 5


def test_a_clock_that_steps_back_gives_nothing():
    buckets = Buckets(2)
    buckets.take("a", AT)
    assert buckets.take("a", after(-3600)).left == 0


def test_headers_say_when_all_of_it_is_there_again():
    assert Buckets(60).take("a", AT).headers() == {
        "RateLimit-Limit": "60", "RateLimit-Remaining": "59", "RateLimit-Reset": "1",
    }  # fmt: skip


def test_memory_has_a_bound_and_forgets_who_asked_longest_ago():
    buckets = Buckets(2, buckets_max=3)
    for who in "abca":
        buckets.take(who, AT)
    buckets.take("d", AT)
    assert buckets.take("b", AT).left == 1
    with pytest.raises(TooManyRequests):
        buckets.take("a", AT)


def test_each_kind_has_buckets_of_its_own():
    limits = Limits(2, 1, 1, 1)
    assert limits.client(7, AT, changes=True).most == 1
    assert limits.client(7, AT, changes=False).left == 0
    for ask in (limits.stranger, limits.sign_in):
        ask("10.0.0.7", AT)
        with pytest.raises(TooManyRequests):
            ask("10.0.0.7", AT)
