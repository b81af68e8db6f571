"""The waiting room between buses and the database: bounded, in order, nothing dropped."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.flows.reading import Ingested
from meterhouse.headend import collector as collector_module
from meterhouse.headend.collector import Collector, Sample, to_batch
from meterhouse.model import Relay
from meterhouse.ports import Values
from meterhouse.store.db import DatabaseBusy, DatabaseUnreachable
from meterhouse.units import to_us

NOON = datetime(2026, 3, 4, 4, tzinfo=UTC)


class Books:
    """Takes batches as the reading flow would; fails as often as it is told to."""

    def __init__(self):
        self.batches = []
        self.failing = []
        self.tried = 0
        self.aside = []
        self.poison = None
        self.is_stuck = None
        self.is_open = asyncio.Event()
        self.is_open.set()

    async def ingest(self, project_id, batch):
        self.tried += 1
        await self.is_open.wait()
        if project_id == self.is_stuck:
            raise DatabaseBusy(why="locked")
        if self.poison in batch.meter_id.tolist():
            raise ZeroDivisionError
        if self.failing:
            raise self.failing.pop(0)
        self.batches.append((project_id, batch.meter_id.tolist()))
        return Ingested(fresh=len(batch.meter_id))

    async def keep(self, project_id, batch):
        self.aside.append((project_id, batch.meter_id.tolist()))

    def meters(self, project_id=1):
        return [one for project, meters in self.batches if project == project_id for one in meters]


@pytest.fixture
async def books():
    return Books()


@pytest.fixture
async def told():
    return []


@pytest.fixture
async def collector(books, told, monkeypatch):
    monkeypatch.setattr(collector_module, "GATHER_S", 0)
    monkeypatch.setattr(collector_module, "RETRY_S", 0)
    return Collector(
        books.ingest, lambda project_id, done: told.append((project_id, done.fresh)), books.keep
    )


def sample(meter_id, **values):
    return Sample(meter_id, NOON + timedelta(seconds=meter_id), Values(**values))


async def turns(count=50):
    """Let every task that can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_what_a_meter_did_not_say_is_minus_one():
    batch = to_batch([sample(7, total_milli=10)])
    assert batch.meter_id.tolist() == [7]
    assert batch.read_at_us.tolist() == [to_us(NOON + timedelta(seconds=7))]
    assert batch.milli.tolist() == [[10, -1, -1, -1, -1]]
    for name in ("keep_power", "power_w", "credit_minor"):
        assert getattr(batch, name).tolist() == [-1]
    assert batch.relay.tolist() == [Relay.UNKNOWN]
    assert batch.source.tolist() == [0]


def test_everything_a_meter_said_has_its_column():
    said = sample(
        7, total_milli=100, band_milli=(1, 2, 3, 4), relay=Relay.OPEN, keep_power=False,
        power_w=0, credit_minor=55,
    )  # fmt: skip
    batch = to_batch([said, sample(8, total_milli=1, band_milli=(5, 6), keep_power=True)])
    assert batch.milli.tolist() == [[100, 1, 2, 3, 4], [1, 5, 6, -1, -1]]
    assert batch.relay.tolist() == [Relay.OPEN, Relay.UNKNOWN]
    assert batch.keep_power.tolist() == [0, 1]
    assert batch.power_w.tolist() == [0, -1]
    assert batch.credit_minor.tolist() == [55, -1]


async def test_samples_are_gathered_by_project_and_keep_their_order(collector, books, told):
    for meter_id in range(10):
        await collector.put(1 + meter_id % 2, sample(meter_id))
    await collector.flush()
    assert sorted(books.batches) == [(1, [0, 2, 4, 6, 8]), (2, [1, 3, 5, 7, 9])]
    assert sorted(told) == [(1, 5), (2, 5)]
    assert collector.waiting == 0


async def test_a_long_queue_is_committed_in_chunks(collector, books, monkeypatch):
    monkeypatch.setattr(collector_module, "CHUNK_MAX", 4)
    for meter_id in range(10):
        await collector.put(1, sample(meter_id))
    await collector.flush()
    assert [len(meters) for _, meters in books.batches] == [4, 4, 2]
    assert books.meters() == list(range(10))


async def test_running_commits_what_comes_as_it_comes(collector, books):
    running = asyncio.create_task(collector.run())
    for meter_id in range(3):
        await collector.put(1, sample(meter_id))
        await turns()
    assert books.batches == [(1, [0]), (1, [1]), (1, [2])]
    running.cancel()


@pytest.mark.parametrize(
    "error", [DatabaseUnreachable(why="gone"), ConnectionResetError(), ZeroDivisionError()]
)
async def test_a_batch_that_was_not_committed_is_tried_again_as_it_was(
    collector, books, told, error
):
    books.failing = [error, error]
    running = asyncio.create_task(collector.run())
    await collector.put(1, sample(1))
    await turns()
    await collector.put(1, sample(2))
    await turns()
    assert books.tried >= 3
    assert books.meters() == [1, 2]
    assert sum(fresh for _, fresh in told) == 2
    assert collector.waiting == 0
    running.cancel()


async def test_a_full_room_makes_the_buses_wait_and_never_overflows(collector, books, monkeypatch):
    monkeypatch.setattr(collector_module, "WAITING_MAX", 5)
    monkeypatch.setattr(collector_module, "CHUNK_MAX", 2)
    highest = 0

    async def bring(meter_id):
        nonlocal highest
        await collector.put(1, sample(meter_id))
        highest = max(highest, collector.waiting)

    books.is_open.clear()
    running = asyncio.create_task(collector.run())
    buses = [asyncio.create_task(bring(meter_id)) for meter_id in range(100)]
    await turns()
    assert sum(bus.done() for bus in buses) == collector.waiting == 5
    books.is_open.set()
    await asyncio.gather(*buses)
    while collector.waiting:
        await turns()
    assert highest == 5
    assert books.meters() == list(range(100))
    running.cancel()


async def test_what_was_under_way_when_the_house_stopped_is_committed_after_all(collector, books):
    books.is_open.clear()
    running = asyncio.create_task(collector.run())
    await collector.put(1, sample(1))
    await turns()
    assert books.tried == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    books.is_open.set()
    await collector.flush()
    assert books.meters() == [1]
    assert collector.waiting == 0


async def test_one_reading_that_is_refused_for_good_is_laid_aside_and_the_rest_goes_on(
    collector, books, told
):
    books.poison = 6
    for meter_id in range(10):
        await collector.put(1, sample(meter_id))
    await collector.flush()
    assert books.aside == [(1, [6])]
    assert sorted(books.meters()) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert told == [(1, 9)]


async def test_a_project_that_cannot_be_stored_keeps_no_other_waiting(
    collector, books, monkeypatch
):
    monkeypatch.setattr(collector_module, "PROJECT_WAITING_MAX", 3)
    books.is_stuck = 1
    running = asyncio.create_task(collector.run())
    stuck = [asyncio.create_task(collector.put(1, sample(one))) for one in range(5)]
    await turns()
    for meter_id in range(5):
        await collector.put(2, sample(meter_id))
        await turns()
    assert books.meters(2) == list(range(5))
    assert sum(bus.done() for bus in stuck) == 3
    books.is_stuck = None
    await asyncio.gather(*stuck)
    while collector.waiting:
        await turns()
    assert books.meters(1) == list(range(5))
    running.cancel()


async def test_stopping_ends_even_when_nothing_can_be_stored(collector, books):
    books.is_stuck = 1
    await collector.put(1, sample(1))
    await collector.flush(within_s=0.01)
    assert collector.waiting == 1
