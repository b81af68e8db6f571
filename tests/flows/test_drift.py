"""What a meter deducted beside what the platform rated: a row a day, an alarm beyond the limit."""

from datetime import timedelta

import pytest

from meterhouse.flows import day, drift, monitor
from meterhouse.flows.monitor import Wanted
from meterhouse.store import proofs
from street import build_street


async def build(db, clock, price_micro):
    street = await build_street(
        db, clock, credit_minor=100_000, purchase_count=6, price_micro=price_micro
    )
    await street.read()
    await close(street)
    return street


async def close(street):
    """The day ends, and is closed; a reading opened it and another ends it."""
    site = street.site
    await day.close_days(site.db, site.project_id, None, None, site.clock())


async def live_a_day(street, *, reads=4):
    for _ in range(reads):
        street.site.clock.step(hours=24 // reads)
        await street.read()
    await close(street)


async def rows_of(street):
    site = street.site
    found = await monitor.listing(site.db, site.project_id, "drift", Wanted(sort="until_at"))
    return [
        (row["deducted_minor"], row["rated_minor"], row["difference_minor"]) for row in found.rows
    ]


@pytest.fixture(autouse=True)
async def proven(address):
    yield
    assert [proof.says for proof in await proofs.prove(address) if not proof.holds] == []


async def test_a_meter_that_charges_the_tariffs_price_differs_by_a_coin_at_most(db, clock):
    street = await build(db, clock, 600_000)
    assert await rows_of(street) == []
    for _ in range(3):
        await live_a_day(street)
    # Half a kilowatt at 0.60 for a day.
    for deducted, rated, difference in await rows_of(street):
        assert (deducted, rated) == (pytest.approx(720, abs=2), pytest.approx(720, abs=2))
        assert abs(difference) <= 1
    assert len(await rows_of(street)) == 3
    assert await street.site.alarms() == []


async def test_another_price_in_the_meter_is_an_alarm_until_it_is_not(db, clock):
    street = await build(db, clock, 650_000)
    subject = f"point:{street.site.points[0]}"
    for days in range(1, 10):
        await live_a_day(street, reads=2)
        # Sixty fen a day more; five yuan are the limit.
        assert (("meter_drift", subject) in await street.site.alarms()) == (days * 60 > 500)
    found = await drift.sums(street.site.db, street.site.project_id, Wanted())
    assert (found.deducted_minor, found.rated_minor) == (9 * 780, 9 * 720)
    await street.site.rows(
        """update project set policy = policy || '{"drift_max_minor": 0}' returning id"""
    )
    await live_a_day(street, reads=2)
    assert ("meter_drift", subject) not in await street.site.alarms()


async def test_what_arrives_late_falls_into_the_day_that_learns_of_it(db, clock):
    street = await build(db, clock, 600_000)
    clock.step(hours=10)
    early, early_at = street.sample(0), clock()
    clock.step(hours=14)
    await close(street)
    await street.hear(early, early_at)
    await street.read()
    clock.step(days=1)
    await street.read()
    await close(street)
    rows = await rows_of(street)
    assert [row[0] for row in rows] == [0, pytest.approx(1_440, abs=2)]
    assert sum(row[2] for row in rows) <= 2


async def test_a_span_is_filtered_by_its_end(db, clock):
    street = await build(db, clock, 600_000)
    for _ in range(3):
        await live_a_day(street, reads=1)
    site = street.site
    since = site.clock() - timedelta(days=1)
    wanted = Wanted({"from": since}, "until_at")
    found = await monitor.listing(site.db, site.project_id, "drift", wanted)
    assert found.row_count == 1
    sums = await drift.sums(site.db, site.project_id, wanted)
    assert sums.deducted_minor == found.rows[0]["deducted_minor"]
