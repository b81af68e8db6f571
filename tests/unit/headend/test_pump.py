"""What a pump does next: commands, then meters that are due soon, then the round."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.flows.command import Claimed
from meterhouse.flows.gateway import RosterGateway, RosterMeter
from meterhouse.headend import pump as pump_module
from meterhouse.headend.pump import SOON, Bench, Pump
from meterhouse.model import CommandKind, Reason
from meterhouse.ports import Action, Control, Effect, Outcome, ReadLive, ReadRound, Values
from meterhouse.store.db import DatabaseUnreachable

NOON = datetime(2026, 3, 4, 4, tzinfo=UTC)
INTERVAL_S = 1800
HEARD = Outcome(Effect.DONE, Values(total_milli=10))
SILENT = Outcome(Effect.UNKNOWN, why="silence")


class FakeLine:
    """Answers every talk at once; lost after `talks_max` of them."""

    def __init__(self, clock):
        self.clock = clock
        self.talks = []
        self.talks_max = 0
        self.silent = set()
        self.after = lambda address: None

    @property
    def is_open(self):
        return len(self.talks) < self.talks_max

    def talk(self, conversation):
        address, intent = conversation
        self.talks.append((address, type(intent)))
        self.clock.at += timedelta(seconds=1)
        self.after(address)
        done = asyncio.get_running_loop().create_future()
        done.set_result(SILENT if address in self.silent else HEARD)
        return done


class FakeDriver:
    def __init__(self):
        self.intents = []

    def converse(self, meter, intent):
        self.intents.append(intent)
        return meter.address, intent


class Present:
    """A clock that runs on by half a minute whenever nothing is to be done."""

    def __init__(self):
        self.at = NOON

    def __call__(self):
        return self.at


class FakeCollector:
    def __init__(self):
        self.samples = []

    async def put(self, project_id, sample):
        self.samples.append((project_id, sample.meter_id, sample.values.total_milli))


class Desk:
    """Stands for the command flow: what is queued, claimed and finished."""

    def __init__(self):
        self.queued, self.finished, self.failing = [], [], []
        self.looks = 0
        self.due_at = None

    async def claim(self, db, project_id, gateway_id, at):
        self.looks += 1
        if self.failing:
            raise self.failing.pop()
        return self.queued.pop(0) if self.queued else None

    async def next_due(self, db, project_id, gateway_id):
        return self.due_at

    async def nothing(self, *_):
        return None

    async def claim_task(self, db, project_id, kinds, gateway_id, at, orphan):
        return None

    async def finish(self, db, claimed, outcome, at):
        self.finished.append((claimed.id, outcome.effect))


class Rig:
    def __init__(self, meters, monkeypatch):
        self.clock = Present()
        self.line = FakeLine(self.clock)
        self.collector = FakeCollector()
        self.desk = Desk()
        self.sent = []
        monkeypatch.setattr(pump_module.commands, "claim", self.desk.claim)
        monkeypatch.setattr(pump_module.commands, "finish", self.desk.finish)
        monkeypatch.setattr(pump_module.commands, "next_due", self.desk.next_due)
        monkeypatch.setattr(pump_module.task, "claim", self.desk.claim_task)
        for verb in ("resume", "claim", "due_at"):
            monkeypatch.setattr(pump_module.transit, verb, self.desk.nothing)
        monkeypatch.setattr(Pump, "_rest", self._rest)
        roster = tuple(RosterMeter(n, 100 + n, "M", f"m{n}") for n in range(1, meters + 1))
        gateway = RosterGateway(1, 9, "GW", "dial_in", None, "p", INTERVAL_S, roster)
        bench = Bench(None, self.clock, 1, self.collector, self.sent.append)
        self.driver = FakeDriver()
        self.pump = Pump(gateway, self.line, self.driver, bench)

    async def _rest(self, now):
        self.clock.at += timedelta(seconds=30)

    async def run(self, talks):
        """Work until so many talks are over; answers whom they were with."""
        self.line.talks_max = talks
        await self.pump.run()
        return [address for address, _ in self.line.talks]


@pytest.fixture
def rig(monkeypatch):
    return Rig(3, monkeypatch)


def claimed(number, kind=CommandKind.READ, meter_id=2):
    return Claimed(
        1, number, meter_id, 100 + meter_id, kind, Reason.PERSON, f"m{meter_id}", "M",
        NOON + timedelta(minutes=5), "Asia/Shanghai",
    )  # fmt: skip


async def test_a_round_reads_every_meter_in_order_and_the_next_waits_its_time(rig):
    assert await rig.run(6) == ["m1", "m2", "m3", "m1", "m2", "m3"]
    assert rig.clock.at >= NOON + timedelta(seconds=INTERVAL_S)
    assert rig.clock.at < NOON + timedelta(seconds=INTERVAL_S + 60)
    assert rig.collector.samples == [(1, n, 10) for n in (1, 2, 3, 1, 2, 3)]
    assert rig.pump.readings == 6
    assert {intent for _, intent in rig.line.talks} == {ReadRound}


async def test_commands_come_first_even_in_the_middle_of_a_round(rig):
    def queue_one(address):
        if address == "m1" and not rig.desk.finished:
            rig.desk.queued.append(claimed(1, meter_id=3))
            rig.pump.wake()

    rig.line.after = queue_one
    assert await rig.run(4) == ["m1", "m3", "m2", "m3"]
    assert rig.line.talks[1] == ("m3", ReadLive)
    assert rig.desk.finished == [(1, Effect.DONE)]


async def test_a_read_command_is_a_reading_too(rig):
    rig.desk.queued = [claimed(1)]
    await rig.run(1)
    assert rig.collector.samples == [(1, 2, 10)]


async def test_a_switching_command_says_until_when_in_the_meters_own_time(rig):
    rig.desk.queued = [claimed(1, CommandKind.DISCONNECT), claimed(2, CommandKind.CONNECT)]
    await rig.run(2)
    until = datetime(2026, 3, 4, 12, 5)
    assert rig.driver.intents == [
        Control(Action.DISCONNECT, until), Control(Action.CONNECT, until),
    ]  # fmt: skip
    assert [one.id for one in rig.sent] == [1, 2]
    assert rig.collector.samples == []


async def test_an_outcome_in_doubt_is_handed_back_as_such(rig):
    rig.line.silent = {"m2"}
    rig.desk.queued = [claimed(1, CommandKind.DISCONNECT)]
    await rig.run(1)
    assert rig.desk.finished == [(1, Effect.UNKNOWN)]


async def test_meters_about_to_run_out_are_read_between_two_rounds(rig):
    await rig.run(3)
    rig.pump.read_soon(2)
    rig.pump.read_soon(2)
    asked_at = rig.clock.at
    assert (await rig.run(4))[3:] == ["m2"]
    assert SOON <= rig.clock.at - asked_at < SOON + timedelta(seconds=60)
    assert (await rig.run(7))[4:] == ["m1", "m2", "m3"]


async def test_a_soon_meter_that_is_due_goes_before_the_rest_of_the_round(rig):
    await rig.run(3)
    rig.pump.read_soon(3)
    rig.clock.at = NOON + timedelta(seconds=INTERVAL_S)
    assert (await rig.run(7))[3:] == ["m3", "m1", "m2", "m3"]


async def test_a_meter_of_another_gateway_is_not_read_soon(rig):
    await rig.run(3)
    rig.pump.read_soon(77)
    assert (await rig.run(6))[3:] == ["m1", "m2", "m3"]


async def test_a_silent_meter_is_asked_less_and_less_often_and_last(rig):
    rig.line.silent = {"m1"}
    rounds = 33
    asked = []
    for number in range(1, rounds + 1):
        before = len(rig.line.talks)
        rig.clock.at = NOON + timedelta(seconds=INTERVAL_S * (number - 1))
        await rig.run(before + 2)
        if rig.pump._round:
            await rig.run(before + 3)
        mine = [address for address, _ in rig.line.talks[before:]]
        assert mine[:2] == (["m1", "m2"] if number == 1 else ["m2", "m3"])
        if "m1" in mine:
            asked.append(number)
    assert asked == [1, 2, 4, 8, 16, 24, 32]


async def test_a_meter_that_answers_again_is_asked_in_every_round_again(rig):
    rig.line.silent = {"m1"}
    await rig.run(3)
    await rig.run(6)
    rig.line.silent = set()
    rig.clock.at = NOON + timedelta(seconds=3 * INTERVAL_S)
    assert (await rig.run(8))[6:] == ["m2", "m3"]
    talks = await rig.run(11)
    assert talks[8:] == ["m2", "m3", "m1"]
    assert (await rig.run(14))[11:] == ["m1", "m2", "m3"]


async def test_a_platform_that_slept_through_rounds_begins_one_and_not_all(rig):
    await rig.run(3)
    rig.clock.at = NOON + timedelta(seconds=10 * INTERVAL_S + 5)
    await rig.run(6)
    before_at = rig.clock.at
    await rig.run(7)
    assert rig.clock.at - before_at > timedelta(seconds=INTERVAL_S - 60)


async def test_meters_that_were_added_are_read_in_the_next_round(rig):
    await rig.run(3)
    rig.pump.gateway = replace(
        rig.pump.gateway, meters=(*rig.pump.gateway.meters, RosterMeter(4, 104, "M", "m4"))
    )
    assert (await rig.run(7))[3:] == ["m1", "m2", "m3", "m4"]


async def test_every_round_looks_for_commands_nobody_woke_it_for(rig):
    await rig.run(3)
    looks = rig.desk.looks
    rig.desk.queued = [claimed(1, meter_id=1)]
    talks = await rig.run(7)
    assert rig.desk.looks > looks
    assert talks[3:] == ["m1", "m1", "m2", "m3"]
    assert rig.desk.finished == [(1, Effect.DONE)]


async def test_a_database_that_is_away_does_not_end_the_pump(rig):
    rig.desk.failing = [DatabaseUnreachable(why="gone")]
    assert await rig.run(3) == ["m1", "m2", "m3"]


async def test_what_the_database_could_not_do_is_tried_again_within_seconds(rig):
    # At the start and as the round begins.
    rig.desk.failing = [DatabaseUnreachable(why="gone") for _ in range(2)]
    rig.desk.queued = [claimed(1)]
    assert await rig.run(4) == ["m1", "m2", "m3", "m2"]
    assert rig.desk.finished == [(1, Effect.DONE)]
    assert rig.clock.at < NOON + timedelta(minutes=1)


async def test_a_recharge_that_was_claimed_when_the_database_went_is_taken_up_again(
    rig, monkeypatch
):
    """Its claim lasts ten minutes, in which nobody else would look at it."""
    resumed, going = [], [DatabaseUnreachable(why="gone")]

    async def resume(db, project_id, gateway_id, at):
        resumed.append(at)

    async def claim(db, project_id, gateway_id, at):
        if going:
            raise going.pop()

    monkeypatch.setattr(pump_module.transit, "resume", resume)
    monkeypatch.setattr(pump_module.transit, "claim", claim)
    assert await rig.run(6) == ["m1", "m2", "m3", "m1", "m2", "m3"]
    assert len(resumed) == 2


async def test_a_wake_up_is_never_lost_however_late_it_comes(monkeypatch):
    """Woken at the very instant at which its rest is over, it still looks for commands."""
    rig = Rig(1, monkeypatch)
    monkeypatch.undo()
    pump = rig.pump
    pump._has_commands = False
    resting = asyncio.create_task(pump._rest(pump._next_round_at - timedelta(milliseconds=1)))
    await asyncio.sleep(0)
    while not resting.cancelling():  # noqa: ASYNC110  # there is no event for it
        await asyncio.sleep(0)
    pump.wake()
    await resting
    assert pump._has_commands


async def test_a_command_that_has_to_wait_is_looked_for_when_its_time_has_come(rig, monkeypatch):
    rig.desk.due_at = NOON + timedelta(seconds=100)
    looked_at = []

    async def claim(db, project_id, gateway_id, at):
        looked_at.append(at)
        if at >= rig.desk.due_at:
            rig.desk.due_at = None
            return claimed(5)
        return None

    monkeypatch.setattr(pump_module.commands, "claim", claim)
    assert await rig.run(4) == ["m1", "m2", "m3", "m2"]
    # At the start, as the round begins, and then when it is due.
    assert looked_at[:2] == [NOON, NOON]
    assert timedelta(seconds=100) <= looked_at[2] - NOON < timedelta(seconds=130)
