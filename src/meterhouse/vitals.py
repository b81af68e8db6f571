"""The house's signs of life for machines: metrics and health, on a port of their own.

Owns what a scrape gathers and the small server that answers it. Must never be reachable from
outside: it asks for no key, and so it listens where nobody but the collector comes. A database
that is away leaves its figures out and never breaks a scrape.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from meterhouse.errors import MeterhouseError
from meterhouse.flows import health
from meterhouse.flows.health import Readiness
from meterhouse.metrics import REGISTRY
from meterhouse.store.db import Database
from meterhouse.store.vitals import Standing

ANSWER_S: Final = 5


@dataclass(slots=True)
class Signs:
    """Where the figures come from, as far as this process has it.

    Attributes:
        readiness: whether this process is ready.
        pools: connections by the part of the house that uses them.
        loop_ages_s: seconds since each loop of the worker came round.
        headend: lines, and readings that wait to be committed.
    """

    readiness: Readiness
    pools: dict[str, Database] = field(default_factory=dict)
    loop_ages_s: Callable[[], Mapping[str, float]] = dict
    headend: Callable[[], tuple[int, int]] | None = None


def create_vitals(db: Database, signs: Signs) -> Starlette:
    """`/metrics`, `/health/live` and `/health/ready`; none of them asks who is there."""

    async def live(_: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_: Request) -> Response:
        unfit = signs.readiness.unfit
        facts = {"status": "ready"} if unfit is None else {"status": "not ready", "failed": unfit}
        return JSONResponse(facts, 200 if unfit is None else 503)

    async def metrics(_: Request) -> Response:
        return Response(await scrape(db, signs), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/health/live", live),
            Route("/health/ready", ready),
        ]
    )


async def scrape(db: Database, signs: Signs) -> bytes:
    """Everything in Prometheus' text form: what was counted here, and how things stand now."""
    standing: Standing | None = None
    try:
        async with asyncio.timeout(ANSWER_S):
            standing = await health.standing(db)
    except (MeterhouseError, OSError, TimeoutError):
        pass
    now = CollectorRegistry()
    now.register(_Now(signs, standing))
    return generate_latest(REGISTRY) + generate_latest(now)


class _Now(Collector):
    """The figures of this instant, as the library asks for them."""

    def __init__(self, signs: Signs, standing: Standing | None) -> None:
        self._signs = signs
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        """Every family once."""
        return figures(self._signs, self._standing)


def figures(signs: Signs, standing: Standing | None) -> Iterable[Metric]:
    """How things stand now; what cannot be known, or is not in this process, is left out."""
    ready = int(signs.readiness.unfit is None)
    yield _gauge("meterhouse_ready", "1 if this process is ready", ready)
    yield _connections(signs.pools)
    ages = signs.loop_ages_s()
    if ages:
        yield _by(
            "meterhouse_worker_loop_age_seconds",
            "Seconds since a loop of the worker came round", "loop", ages,
        )  # fmt: skip
    if signs.headend is not None:
        lines, waiting = signs.headend()
        yield _gauge("meterhouse_headend_lines", "Gateways on the line here", lines)
        yield _gauge("meterhouse_headend_readings_waiting", "Readings not committed yet", waiting)
    if standing is not None:
        yield from _standing(standing)


def _connections(pools: Mapping[str, Database]) -> Metric:
    family = GaugeMetricFamily(
        "meterhouse_database_connections",
        "Connections to the database, and how many there may be",
        labels=("part", "state"),
    )
    for part, pool in pools.items():
        for state, count in zip(("busy", "idle", "limit"), pool.connections, strict=True):
            family.add_metric((part, state), count)
    return family


def _standing(standing: Standing) -> Iterable[Metric]:
    yield _by("meterhouse_alarms_open", "Open alarms of all projects", "kind", standing.alarms_open)
    yield _by(
        "meterhouse_gateways", "Gateways of all projects", "state",
        {"online": standing.gateways_online, "offline": standing.gateways_offline},
    )  # fmt: skip
    yield _gauge("meterhouse_notices_waiting", "Notices in the outbox", standing.notices_waiting)


def _gauge(name: str, says: str, figure: float) -> Metric:
    return GaugeMetricFamily(name, says, value=figure)


def _by(name: str, says: str, label: str, figures: Mapping[str, Any]) -> Metric:
    family = GaugeMetricFamily(name, says, labels=(label,))
    for word, figure in figures.items():
        family.add_metric((word,), figure)
    return family
