"""Long tasks: claimed once, watched from anywhere, taken over when their worker dies."""

import asyncio
from datetime import timedelta

import pytest

from meterhouse.errors import NotFound, OutOfRange, Unreadable
from meterhouse.flows import scan, task
from meterhouse.flows.task import Progress, TaskStopped
from meterhouse.store.db import DatabaseUnreachable
from meterhouse.store.tasks import NewTask
from meterhouse.worker import Worker

NEW = NewTask("count", "Counting", {"to": 3})


async def start(site, new=NEW, **choices):
    return await task.start(site.db, site.project_id, new, None, site.clock(), **choices)


async def claim(site, kinds=("count",), gateway_id=None):
    return await task.claim(site.db, site.project_id, kinds, gateway_id, site.clock())


async def row_of(site, number):
    return await task.get(site.db, site.project_id, number)


async def run(site, works):
    return await task.run_next(site.db, site.project_id, works, site.clock)


async def count(db, claimed, tell):
    """Count on from what was counted before."""
    done = (claimed.result or {"at": 0})["at"]
    while done < claimed.input["to"]:
        done += 1
        await tell(Progress(done, claimed.input["to"], {"at": done}))
    return Progress(done, claimed.input["to"], {"at": done})


async def test_a_task_is_carried_out_once_and_its_progress_stays(site):
    number = await start(site)
    assert (await row_of(site, number))["state"] == "queued"
    assert await run(site, {"count": count})
    row = await row_of(site, number)
    assert (row["state"], row["done_count"], row["total_count"]) == ("done", 3, 3)
    assert (row["result"], row["ended_at"]) == ({"at": 3}, site.clock())
    assert not await run(site, {"count": count})
    (listed,) = await task.latest(site.db, site.project_id, "count")
    assert listed["id"] == number


async def test_two_workers_never_take_the_same_task(site):
    await start(site)
    await start(site)
    claimed = await asyncio.gather(*(claim(site) for _ in range(4)))
    assert len({one.id for one in claimed if one is not None}) == 2
    assert claimed.count(None) == 2


async def test_a_kind_nobody_knows_and_a_gateways_task_are_left_alone(site):
    await start(site, NewTask("other", "Other", {}))
    await start(site, NewTask("count", "At a gateway", {}, site.gateway_id))
    assert await claim(site) is None
    assert (await claim(site, gateway_id=site.gateway_id)).gateway_id == site.gateway_id


async def test_a_dead_workers_task_is_taken_over_and_its_late_words_do_not_count(site, clock):
    number = await start(site)
    first = await claim(site)
    await task.tell(site.db, first, Progress(1, 3, {"at": 1}), clock())
    clock.step(seconds=30)
    assert await claim(site) is None
    clock.at += task.ORPHAN
    second = await claim(site)
    assert (second.id, second.result, second.claim_count) == (number, {"at": 1}, 2)
    with pytest.raises(TaskStopped):
        await task.tell(site.db, first, Progress(2, 3, {"at": 99}), clock())
    assert not await task.end(site.db, first, Progress(3, 3, {"at": 99}), clock())
    assert await task.end(site.db, second, Progress(3, 3), clock())
    assert (await row_of(site, number))["result"] == {"at": 1}


async def test_a_cancelled_task_stops_at_its_next_beat(site):
    number = await start(site)
    steps = []

    async def slow(db, claimed, tell):
        steps.append(1)
        assert await task.cancel(site.db, site.project_id, number, site.clock())
        await tell(Progress(1, 3))
        steps.append(2)

    assert await run(site, {"count": slow})
    row = await row_of(site, number)
    assert (row["state"], steps) == ("cancelled", [1])
    assert not await task.cancel(site.db, site.project_id, number, site.clock())
    with pytest.raises(NotFound):
        await task.cancel(site.db, site.project_id, number + 1, site.clock())


@pytest.mark.parametrize(
    ("error", "why"), [(NotFound("x", 1), "not_found"), (ZeroDivisionError(), "defect")]
)
async def test_a_task_that_fails_says_why(site, error, why):
    number = await start(site)

    async def fail(db, claimed, tell):
        await tell(Progress(1, 3, {"at": 1}))
        raise error

    assert await run(site, {"count": fail})
    row = await row_of(site, number)
    assert (row["state"], row["why"], row["result"]) == ("failed", why, {"at": 1})


async def test_a_task_whose_database_is_away_is_left_for_later(site, clock):
    number = await start(site)

    async def lose(db, claimed, tell):
        raise DatabaseUnreachable(why="gone")

    with pytest.raises(DatabaseUnreachable):
        await run(site, {"count": lose})
    assert (await row_of(site, number))["state"] == "running"
    clock.at += task.ORPHAN + timedelta(seconds=1)
    assert await run(site, {"count": count})
    assert (await row_of(site, number))["state"] == "done"


async def test_a_worker_that_is_stopped_gives_its_task_back(site):
    number = await start(site)
    working = asyncio.Event()

    async def wait(db, claimed, tell):
        working.set()
        await asyncio.Event().wait()

    worker = Worker(site.db, site.clock, 1, {}, {"count": wait})
    worker.start()
    async with asyncio.timeout(10):
        await working.wait()
    await worker.stop()
    assert (await row_of(site, number))["state"] == "queued"


async def test_one_alone_refuses_a_second_until_it_has_ended(site):
    number = await start(site, alone=True)
    with pytest.raises(task.TaskUnderWay):
        await start(site, alone=True)
    await task.cancel(site.db, site.project_id, number, site.clock())
    assert await start(site, alone=True) > number


async def test_another_project_sees_no_task(site, new_site):
    other = await new_site(name="other")
    number = await start(site)
    with pytest.raises(NotFound):
        await row_of(other, number)
    assert await task.latest(other.db, other.project_id) == []


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (scan.Wish(ending="5"), Unreadable),
        (scan.Wish(ending="0x"), Unreadable),
        (scan.Wish(ending="0" * 14), Unreadable),
        (scan.Wish(patience_ms=1), OutOfRange),
        (scan.Wish(tries=0), OutOfRange),
        (scan.Wish(resume_task_id=77), NotFound),
    ],
)
async def test_a_search_that_cannot_be_meant_is_refused(site, wish, error):
    with pytest.raises(error):
        await scan.start(site.db, site.project_id, site.gateway_id, wish, None, site.clock())


async def test_a_search_of_an_unknown_gateway_is_refused(site):
    with pytest.raises(NotFound):
        await scan.start(
            site.db, site.project_id, site.gateway_id + 1, scan.Wish(), None, site.clock()
        )
