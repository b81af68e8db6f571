"""Readings, bookings and corrected prices in any order: the same money, on the real store.

A set of readings is told twice: once in order under the prices as they stand in the end, and once
permuted, repeated and cut into batches, with bookings, corrections of the price and their sweeps in
between, some of them killed on the way. What the books then say must be the same to the last Nano.
"""

import os
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meterhouse.flows import close, correct
from meterhouse.store import catalog, corrections, proofs
from meterhouse.store.corrections import NewCorrection
from premises import MORNING, Clock, Site, build_site
from property.test_any_order import (
    INSTANTS,
    START,
    STEP,
    TARIFFS,
    Told,
    books_of,
    chains,
    differ,
    told_to,
)

SOAK = os.environ.get("METERHOUSE_SOAK") == "1"
EXAMPLES = 2_000 if SOAK else 25

Corrected = tuple[datetime, int, tuple[int, ...]]
"""From when on, by how much dearer (in millionths), and which blocks."""


class Killed(Exception):
    """Somebody pulled the plug."""


@st.composite
def stories(draw: st.DrawFn) -> tuple[str, list[Told], list[Any]]:
    """A tariff, readings of one or two meters, and what happens in which order."""
    tariff = draw(st.sampled_from(sorted(TARIFFS)))
    told = [one for room in range(draw(st.integers(1, 2))) for one in draw(chains(room))]
    arrived = draw(st.permutations(told))
    if told:
        arrived = arrived + draw(st.lists(st.sampled_from(told), max_size=3))
    cuts = sorted(draw(st.lists(st.integers(0, len(arrived)), max_size=4)))
    events: list[Any] = [arrived[a:b] for a, b in pairwise([0, *cuts, len(arrived)])]
    for _ in range(draw(st.integers(1, 3))):
        minutes = draw(st.integers(-60, int(STEP.total_seconds() // 60) * INSTANTS - 1))
        limits = draw(st.sampled_from([(), (9_000,), (4_000, 30_000)]))
        corrected = (START + timedelta(minutes=minutes), draw(st.integers(-250_000, 900_000)),
                     limits)  # fmt: skip
        events.insert(draw(st.integers(0, len(events))), corrected)
    for _ in range(draw(st.integers(0, 3))):
        events.insert(draw(st.integers(0, len(events))), draw(st.sampled_from(["sweep", "kill"])))
    return tariff, told, events


def corrected_version(body: dict[str, Any], corrected: Corrected) -> dict[str, Any]:
    """The last version of a scheme with other prices and blocks, from an instant on."""
    since, dearer_micro, limits = corrected
    last = body["versions"][-1]
    prices = {band: [rows[0] + dearer_micro * step // 2 + 1 for step in range(1, len(limits) + 2)]
              for band, rows in last["prices_micro"].items()}  # fmt: skip
    blocks = {"period": "month", "limits_milli": list(limits)}
    return last | {"effective_from": since.isoformat(), "prices_micro": prices, "blocks": blocks}


def finally_(body: dict[str, Any], corrections_made: list[Corrected]) -> dict[str, Any]:
    """The scheme as all corrections leave it, the later ones in place of the earlier."""
    for one in corrections_made:
        kept = [v for v in body["versions"] if datetime.fromisoformat(v["effective_from"]) < one[0]]
        body = body | {"versions": [*kept, corrected_version(body, one)]}
    return body


async def publish(site: Site, body: dict[str, Any], corrected: Corrected) -> dict[str, Any]:
    """A correction is published; what its sweep is asked."""
    async with site.db.transaction([site.project_id]) as connection:
        project = await catalog.get_project(connection, site.project_id)
        wanted = body | {"versions": [corrected_version(body, corrected)]}
        planned = await correct.plan(
            connection, site.tariffs, project, site.tariff_id, corrected[0], wanted, site.clock()
        )
        new = NewCorrection(
            corrected[0], planned.versions, planned.version_count, "wrong", None, None, 1
        )
        await corrections.publish(connection, site.project_id, site.tariff_id, new, site.clock())
    return {
        "tariff_id": site.tariff_id, "since": corrected[0].isoformat(),
        "commodity": "electricity", "total": len(site.points),
    }  # fmt: skip


async def sweep(site: Site, asked: dict[str, Any], *, killed: bool = False) -> None:
    """The sweep of a correction, from its beginning; killed after its first transaction, or not."""

    async def tell(_: Any) -> None:
        if killed:
            raise Killed

    try:
        await correct.sweep(site.db, site.tariffs, site.project_id, asked, None, site.clock, tell)
    except Killed:
        return


@pytest.fixture
async def books(address, db, monkeypatch):
    """The database of all stories; at the end the proofs must hold over all of them."""
    monkeypatch.setattr(correct, "POINTS_AT_ONCE", 1)
    yield db
    assert [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(story=stories())
async def test_corrected_prices_in_any_order_lead_to_the_same_money(books, story):
    tariff, told, events = story
    clock = Clock(START + STEP * INSTANTS)
    rooms = 1 + max((one[0] for one in told), default=0)
    made = [one for one in events if isinstance(one, tuple)]
    in_order, at_will = [
        await build_site(books, Clock(MORNING), rooms=rooms, tariff=body, name=name)
        for name, body in (
            ("in order", finally_(TARIFFS[tariff], made)), ("at will", TARIFFS[tariff]),
        )
    ]  # fmt: skip
    in_order.clock = at_will.clock = clock
    for one in sorted(told, key=lambda one: one[1]):
        await told_to(in_order, [one])
    body, asked = TARIFFS[tariff], []
    for event in events:
        if isinstance(event, tuple):
            asked.append(await publish(at_will, body, event))
            body = finally_(body, [event])
        elif isinstance(event, list):
            await told_to(at_will, event)
        elif asked:
            await sweep(at_will, asked[-1], killed=event == "kill")
        await close.book_day(books, at_will.project_id, clock())
    for one in asked:
        await sweep(at_will, one)
    straight, crooked = await books_of(in_order), await books_of(at_will)
    assert [differ(*pair) for pair in zip(straight, crooked, strict=True)] == [{}] * len(straight)
