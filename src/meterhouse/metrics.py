"""Counters of this process: what happened here since it started.

Owns names, labels and help of everything that is counted while it happens; whoever does it calls
one function. Must never know a row, a text or an identity: a label is a word from a closed set, so
that nobody outside can make a new series. What is true of the whole installation (open alarms,
waiting notices) is asked of the database when somebody looks; see `vitals`.
"""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from meterhouse import __version__

# Else each counter has a second series that says when it began; the library leaves it untyped.
disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

_requests = Counter(
    "meterhouse_requests",
    "HTTP requests answered, by route template and class of status",
    ("method", "route", "status"),
    registry=REGISTRY,
)
_request_seconds = Histogram(
    "meterhouse_request_seconds",
    "Seconds from a request's first byte here to its answer's last",
    ("method", "route"),
    buckets=_SECONDS,
    registry=REGISTRY,
)
in_flight = Gauge(
    "meterhouse_requests_in_flight", "HTTP requests being answered now", registry=REGISTRY
)
_readings = Counter(
    "meterhouse_readings",
    "Readings taken into the books, by what became of each",
    ("outcome",),
    registry=REGISTRY,
)
_commands = Counter(
    "meterhouse_commands_ended",
    "Commands that reached a final state",
    ("state",),
    registry=REGISTRY,
)
Info("meterhouse_build", "The version that runs", registry=REGISTRY).info({"version": __version__})


def method_word(method: str) -> str:
    """A request's method as a label: one of those in use, else `other`."""
    return method if method in _METHODS else "other"


def answered(method: str, route: str, status: int, duration_s: float) -> None:
    """A request has had its answer."""
    word = method_word(method)
    _requests.labels(word, route, f"{status // 100}xx").inc()
    _request_seconds.labels(word, route).observe(duration_s)


def ingested(outcome: str, count: int) -> None:
    """So many readings were `fresh`, `late`, `repeated`, `conflicting` or `unplaced`."""
    if count:
        _readings.labels(outcome).inc(count)


def commands_ended(state: str, count: int = 1) -> None:
    """Commands ended in this state. A transaction that is rolled back is counted all the same."""
    if count:
        _commands.labels(state).inc(count)
