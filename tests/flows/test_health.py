"""Whether a house is ready, and what a machine that watches it is told."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
from prometheus_client.parser import text_string_to_metric_families

from meterhouse import __version__
from meterhouse.flows import command, health
from meterhouse.flows.health import Readiness, Unfit
from meterhouse.model import AlarmKind, CommandKind
from meterhouse.store import queue
from meterhouse.store.db import Database
from meterhouse.store.migrate import head_revision
from meterhouse.vitals import Signs, create_vitals, scrape
from meterhouse.worker import Worker


async def test_a_house_is_ready_once_its_database_answers_at_todays_schema(db):
    readiness = Readiness(db, head_revision())
    assert readiness.unfit is Unfit.STARTING
    await readiness.look()
    assert readiness.unfit is None
    readiness.stop()
    assert readiness.unfit is Unfit.STOPPING


async def test_another_schema_is_not_ready(db):
    readiness = Readiness(db, "9999")
    await readiness.look()
    assert readiness.unfit is Unfit.SCHEMA


async def test_a_database_that_goes_is_seen_and_so_is_its_return(db, monkeypatch):
    readiness = Readiness(db, head_revision())
    await readiness.look()
    address = db.address
    await db.close()
    await readiness.look()
    assert readiness.unfit is Unfit.DATABASE
    await db.open()
    db.address = replace(address, host="/nowhere")
    await readiness.look()
    assert readiness.unfit is Unfit.DATABASE
    db.address = address
    await readiness.look()
    assert readiness.unfit is None


async def test_a_pool_without_a_free_connection_is_not_ready_after_a_short_time(db, monkeypatch):
    monkeypatch.setattr(health, "ANSWER_S", 0.05)
    readiness = Readiness(db, head_revision())
    async with asyncio.TaskGroup() as group:
        done = asyncio.Event()
        taken = [asyncio.Event() for _ in range(4)]

        async def hold(mine):
            async with db.transaction(()):
                mine.set()
                await done.wait()

        for one in taken:
            group.create_task(hold(one))
        await asyncio.gather(*(one.wait() for one in taken))
        assert db.connections == (4, 0, 4)
        await readiness.look()
        done.set()
    assert readiness.unfit is Unfit.DATABASE


def figures(text):
    """Every sample: {name{label=word}: figure}."""
    return {
        sample.name + "".join(f" {word}" for word in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_scrape_tells_how_the_installation_stands(db, new_site, clock):
    site = await new_site(email="somebody@house.example")
    await new_site(name="other")
    alarm = queue.NewAlarm(AlarmKind.GATEWAY_FLOOD, "gateway:1")
    notice = queue.NewNotice("email", None, "Hello", "Hello", "one")
    async with db.transaction([site.project_id]) as connection:
        await queue.open_alarms(connection, site.project_id, [alarm], clock())
        await queue.insert_notices(
            connection, site.project_id, [notice], clock() + timedelta(hours=1)
        )  # fmt: skip
    worker = Worker(db, clock, 1, {})
    worker.start()
    readiness = Readiness(db, head_revision())
    await readiness.look()
    signs = Signs(readiness, {"web": db}, worker.ages_s, lambda: (2, 17))
    transport = httpx.ASGITransport(app=create_vitals(db, signs))
    async with httpx.AsyncClient(transport=transport, base_url="http://house") as collector:
        answer = await collector.get("/metrics")
        assert (await collector.get("/health/ready")).json() == {"status": "ready"}
        assert (await collector.get("/health/live")).json() == {"status": "live"}
        readiness.stop()
        assert (await collector.get("/health/ready")).status_code == 503
    await worker.stop()
    assert answer.headers["content-type"].startswith("text/plain; version=")
    told = figures(answer.text)
    assert told["meterhouse_ready"] == 1
    assert told["meterhouse_alarms_open gateway_flood"] == 1
    assert told["meterhouse_gateways offline"] == 2
    assert told["meterhouse_gateways online"] == 0
    assert told["meterhouse_notices_waiting"] == 1
    assert told["meterhouse_headend_lines"] == 2
    assert told["meterhouse_headend_readings_waiting"] == 17
    assert told["meterhouse_database_connections web limit"] == 4
    assert told[f"meterhouse_build_info {__version__}"] == 1
    for loop in ("tend", "silence", "outbox", "day"):
        assert told[f"meterhouse_worker_loop_age_seconds {loop}"] < 60
    assert "somebody" not in answer.text


async def test_a_scrape_survives_a_database_that_is_away(address):
    away = Database(address)
    told = figures((await scrape(away, Signs(Readiness(away, head_revision())))).decode())
    assert told["meterhouse_ready"] == 0
    assert "meterhouse_notices_waiting" not in told


async def test_commands_are_counted_by_the_state_they_end_in(new_site, clock):
    site = await new_site()
    before = await ended(site)
    where = [site.meters[0]]
    await command.request(
        site.db, site.project_id, where, CommandKind.READ, "", None, clock()
    )  # fmt: skip
    clock.step(days=1)
    await command.tend(site.db, site.project_id, clock())
    assert await ended(site) == before + 1


async def ended(site):
    text = (await scrape(site.db, Signs(Readiness(site.db, head_revision())))).decode()
    return figures(text).get("meterhouse_commands_ended_total expired", 0)
