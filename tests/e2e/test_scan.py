"""Searching a gateway's bus over real sockets, beside rounds and commands."""

from dataclasses import replace
from functools import partial

import pytest

import townhall
from meterhouse.drivers.dlt645 import driver as dlt645_driver
from meterhouse.flows import scan, task
from meterhouse.flows.scan import Wish
from meterhouse.headend.service import HeadEnd, HeadEndSettings
from meterhouse.model import CommandKind
from meterhouse.sim.answers import StrangeFace
from meterhouse.sim.faults import Fault
from meterhouse.sim.spec import MeterSpec
from meterhouse.sim.town import face_of
from townhall import HOST, SPEED, eventually, hasty_model, open_hall

# Loopback answers at once; what is silent is silent for good.
WISH = Wish(patience_ms=100, tries=1)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(dlt645_driver, "load", hasty_model)
    monkeypatch.setattr(scan, "PATIENCE_MS_MIN", 5)
    monkeypatch.setattr(task, "BEAT_S", 0)
    # Twenty heartbeats a second would be noise in every second answer.
    monkeypatch.setattr(townhall, "HABITS", replace(townhall.HABITS, heartbeat_s=60.0))


@pytest.fixture
def hall(db, clock):
    return partial(open_hall, db, clock)


async def start(town, wish=WISH):
    site = town.site
    return await scan.start(site.db, site.project_id, site.gateway_id, wish, None, site.clock())


async def row_of(town, number):
    return await task.get(town.site.db, town.site.project_id, number)


async def ended(town, number):
    async def over():
        row = await row_of(town, number)
        return row if row["ended_at"] is not None else None

    return await eventually(over, f"the end of task {number}")


async def devices(town, number):
    found = await scan.found(town.site.db, town.site.project_id, await row_of(town, number))
    return {one.address: one for one in found}


async def test_a_bus_is_searched_and_every_meter_told_with_register_clock_and_models(hall):
    async with hall(meters=3) as town:
        # One that the project does not know, and one that nobody knows.
        bus = next(iter(town.town.gateways.values())).bus
        stranger = face_of(MeterSpec("000000000099", "DTSY1352-NK"), town.town.now_ms(), 0)
        strange = face_of(MeterSpec("000000000098", "DTSY1352-NK"), town.town.now_ms(), 0)
        bus._faces[stranger.address] = stranger
        bus._faces[strange.address] = StrangeFace(strange.meter)
        number = await start(town, Wish(patience_ms=20, tries=1))
        row = await ended(town, number)
        assert (row["state"], row["why"]) == ("done", "")
        assert row["done_count"] == row["total_count"] > 0
        found = await devices(town, number)
        assert set(found) == {*town.addresses, "000000000099", "000000000098"}
        for room, address in enumerate(town.addresses):
            one = found[address]
            assert (one.known, one.meter_id) == ("here", town.site.meters[room])
            assert one.facts["total_milli"] == town.shown(room)[0]
            assert abs(one.facts["clock_off_s"]) <= 25
            assert one.facts["candidates"][0]["confidence"] == "likely"
        assert found["000000000099"].known == "new"
        assert found["000000000099"].facts["clock_off_s"] == -8 * 3600
        assert found["000000000098"].facts["candidates"] == []
        assert row["result"]["search"]["left"] == []


async def test_a_command_waits_for_one_conversation_and_no_longer(hall):
    async with hall(meters=3) as town:
        await town.read_at_present()
        number = await start(town)
        await eventually(lambda: _asked(town, number, 3), "a search under way")
        asked = (await row_of(town, number))["result"]["search"]["asks"]
        done = await town.order(CommandKind.READ, 1)
        assert done["state"] == "confirmed"
        row = await row_of(town, number)
        assert row["state"] == "running"
        # The tasks's own notes lag by at most the question that was on the wire.
        assert row["result"]["search"]["asks"] <= asked + 8
        assert await task.cancel(town.site.db, town.site.project_id, number, town.site.clock())


async def _asked(town, number, count):
    result = (await row_of(town, number))["result"]
    return result is not None and result["search"]["asks"] >= count


async def test_a_search_survives_a_new_head_end_and_goes_on(hall):
    async with hall(meters=4) as town:
        number = await start(town, Wish(patience_ms=30, tries=1))
        await eventually(lambda: _asked(town, number, 5), "a search under way")
        port = town.head.port
        await town.head.stop()
        row = await row_of(town, number)
        assert row["state"] == "queued"
        asked = row["result"]["search"]["asks"]
        head = HeadEnd(town.site.db, town.site.clock, HeadEndSettings(HOST, port, SPEED, "rs485"))
        await head.start()
        try:
            row = await ended(town, number)
        finally:
            await head.stop()
        assert (row["state"], row["claim_count"]) == ("done", 2)
        assert asked <= row["result"]["search"]["asks"] <= 110
        assert set(await devices(town, number)) == set(town.addresses)
        town.head = head


async def test_a_cancelled_search_stops_and_can_be_gone_on_with(hall):
    async with hall(meters=3) as town:
        number = await start(town, Wish(patience_ms=30, tries=1))
        await eventually(lambda: _asked(town, number, 5), "a search under way")
        with pytest.raises(task.TaskUnderWay):
            await start(town)
        assert await task.cancel(town.site.db, town.site.project_id, number, town.site.clock())
        assert (await row_of(town, number))["state"] == "cancelled"
        again = await start(town, Wish(patience_ms=10, tries=1, resume_task_id=number))
        row = await ended(town, again)
        assert row["state"] == "done"
        assert set(await devices(town, again)) == set(town.addresses)
        with pytest.raises(scan.NothingLeft):
            await start(town, Wish(resume_task_id=again))


async def test_meters_out_of_step_and_lost_answers_are_found_all_the_same(hall):
    async with hall(meters=3) as town:
        await town.read_at_present()
        town.faults().switch_on(Fault.OUT_OF_STEP, where=town.addresses[1])
        town.faults().switch_on(Fault.LOST_FRAME, where=town.addresses[2], times=1)
        number = await start(town, Wish(patience_ms=20, tries=2))
        await ended(town, number)
        assert set(await devices(town, number)) == set(town.addresses)
        assert town.faults().counts[Fault.OUT_OF_STEP] >= 1
        assert town.faults().counts[Fault.LOST_FRAME] == 1
