"""The head end over real sockets: a simulated town on one side, the books on the other."""

import asyncio
from datetime import timedelta
from functools import partial
from itertools import pairwise

import pytest

from meterhouse.drivers.dlt645 import driver as dlt645_driver
from meterhouse.flows import gateway as gateways
from meterhouse.flows import onboard
from meterhouse.headend import line as line_module
from meterhouse.headend import service
from meterhouse.model import CommandKind, Relay
from meterhouse.sim import bus as sim_bus
from meterhouse.sim.faults import Fault
from meterhouse.store.proofs import prove
from townhall import HOST, INTERVAL, add_gateway, eventually, hasty_model, open_hall


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Loopback answers at once, so silence may be believed soon; and dialled again soon."""
    monkeypatch.setattr(dlt645_driver, "load", hasty_model)
    monkeypatch.setattr(sim_bus, "SLOW_MS", 300)
    monkeypatch.setattr(service, "SEEN_S", 0.05)
    monkeypatch.setattr(service, "DIAL_FIRST_S", 0.02)


@pytest.fixture
def hall(db, clock):
    """Opens a town with its books and head end: `async with hall(meters=3) as town`."""
    return partial(open_hall, db, clock)


@pytest.fixture(autouse=True)
async def proven(address):
    """Whatever happened on the wire, the books hold together afterwards."""
    yield
    assert [proof.says for proof in await prove(address) if not proof.holds] == []


# ---- reading


@pytest.mark.parametrize("dial_out", [False, True], ids=["dial_in", "dial_out"])
async def test_rounds_bring_the_registers_into_the_books(hall, dial_out):
    async with hall(meters=9, gateways=3, dial_out=dial_out) as town:
        for _ in range(3):
            for room in range(9):
                assert await town.read_at_present(room) == town.shown(room)
            town.site.clock.at += INTERVAL
        online = await town.site.rows("select * from gateway_state where online")
        assert len(online) == town.head.online == 3
        charged = await town.site.row("select sum(rated_nano) as nano from point_state")
        assert charged["nano"] > 0


async def test_read_now_reads_now(hall):
    async with hall() as town:
        await town.read_at_present(1)
        town.site.clock.step(minutes=7)
        ended = await town.order(CommandKind.READ, 1)
        assert (ended["state"], ended["why"]) == ("confirmed", "")
        assert await town.read_at_present(1) == town.shown(1)
        (row,) = (await town.stored(1))[1:]
        assert row["power_w"] == sum(mw // 100 for mw in town.meter(1).live().power_mw) // 10
        assert len(await town.stored(0)) == 1


async def test_what_was_read_is_in_the_books_when_the_head_end_has_stopped(hall):
    async with hall(meters=6, gateways=2) as town:
        await eventually(lambda: town.head.readings == 6)
    for room in range(6):
        assert len(await town.stored(room)) == 1
    assert await town.site.rows("select * from gateway_state where online") == []


# ---- switching


async def test_disconnect_and_connect_are_confirmed_by_the_meter_itself(hall):
    async with hall() as town:
        await town.read_at_present()
        ended = await town.order(CommandKind.DISCONNECT)
        assert (ended["state"], ended["why"]) == ("confirmed", "")
        assert town.meter().relay is Relay.OPEN
        assert await town.relay() is Relay.OPEN
        assert town.meter(1).relay is Relay.CLOSED
        ended = await town.order(CommandKind.CONNECT)
        assert (ended["state"], ended["why"]) == ("confirmed", "")
        assert town.meter().relay is Relay.CLOSED
        assert await town.relay() is Relay.CLOSED


async def test_allowed_to_close_waits_for_somebody_to_press_the_button(hall):
    async with hall() as town:
        await town.order(CommandKind.DISCONNECT)
        ended = await town.order(CommandKind.ALLOW_CONNECT)
        assert ended["state"] == "confirmed"
        assert await town.relay() is Relay.ARMED
        await town.round(0)
        assert town.meter().relay is Relay.CLOSED
        await eventually(lambda: _is(town.relay(), Relay.CLOSED), "a closed relay in the books")


async def _is(awaited, wanted):
    return await awaited is wanted


async def test_keep_power_set_at_the_meter_refuses_a_disconnect(hall):
    async with hall() as town:
        town.meter().set_keep_power(True)
        ended = await town.order(CommandKind.DISCONNECT)
        assert (ended["state"], ended["why"]) == ("refused", "keep_power")
        assert town.meter().relay is Relay.CLOSED
        assert ("command_failed", f"meter:{town.site.meters[0]}") in await town.site.alarms()


async def test_keep_power_ordered_from_here_holds_until_it_is_taken_back(hall):
    async with hall() as town:
        assert (await town.order(CommandKind.KEEP_POWER_ON))["state"] == "confirmed"
        assert town.meter().keep_power
        assert (await town.order(CommandKind.DISCONNECT))["why"] == "keep_power"
        assert town.meter().relay is Relay.CLOSED
        assert (await town.order(CommandKind.KEEP_POWER_OFF))["state"] == "confirmed"
        assert (await town.order(CommandKind.DISCONNECT))["state"] == "confirmed"
        assert await town.site.alarms() == []
        assert town.meter().relay is Relay.OPEN


# ---- faults while reading; a fault that did not strike proves nothing


def struck(town, fault, at_least=1):
    assert town.faults().counts[fault] >= at_least


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (Fault.SILENCE, 1),
        (Fault.GARBAGE, None),
        (Fault.CORRUPT_CHECKSUM, 1),
        (Fault.LOST_FRAME, 1),
        (Fault.DOUBLED_FRAME, None),
        (Fault.OTHER_METER, 1),
        (Fault.SLOW_ANSWER, 1),
        (Fault.RESTART, 1),
        (Fault.RESTART_CLOCK_LOST, 1),
        (Fault.WRONG_CLOCK, 1),
    ],
)
async def test_a_passing_fault_costs_no_reading_and_spoils_none(hall, fault, times):
    async with hall() as town:
        await town.read_at_present(2)
        where = town.addresses[0]
        town.faults().switch_on(fault, where=where, times=times)
        for _ in range(2):
            await town.round(0, 1, 2)
            for room in range(3):
                assert await town.read_at_present(room) == town.shown(room)
        struck(town, fault, times or 4)
        assert await town.site.alarms() == []
        assert len(await town.stored()) == 3


@pytest.mark.parametrize(
    "fault", [Fault.SILENCE, Fault.CORRUPT_CHECKSUM, Fault.OTHER_METER, Fault.REFUSAL]
)
async def test_a_lasting_fault_costs_its_own_meter_alone(hall, fault):
    async with hall() as town:
        await town.read_at_present(2)
        town.faults().switch_on(fault, where=town.addresses[0])
        for _ in range(2):
            await town.round(1, 2)
        await eventually(lambda: town.faults().counts[fault] >= 2)
        assert len(await town.stored(0)) == 1
        assert [len(await town.stored(room)) for room in (1, 2)] == [3, 3]
        assert await town.read_at_present(1) == town.shown(1)
        town.faults().all_off()
        await eventually(partial(_read_again, town))


async def _read_again(town):
    """Rounds go by until the first meter's turn comes."""
    await town.round(1, 2)
    return len(await town.stored(0)) > 1


async def test_a_register_that_reads_zero_once_is_not_billed_and_heals(hall):
    async with hall() as town:
        before_wh = (await town.read_at_present())[0]
        subject = ("reading_doubtful", f"point:{town.site.points[0]}")
        town.faults().switch_on(Fault.ZERO_READING, where=town.addresses[0], times=1)
        await town.round(0)
        struck(town, Fault.ZERO_READING)
        assert await town.read_at_present() == (0, 0, 0, 0, 0)
        assert subject in await town.site.alarms()
        assert (await town.site.state())["rated_nano"] == 0
        await town.round(0)
        state = await town.site.state()
        assert state["good_0_milli"] == town.shown()[0]
        assert state["rated_nano"] == (town.shown()[0] - before_wh) * 600_000
        assert state["rated_nano"] > 0
        assert subject not in await town.site.alarms()


async def test_a_register_that_rolls_over_is_billed_through(hall):
    async with hall() as town:
        # Struck before anything was read, so that the meter is an old one and not a jumping one.
        town.faults().switch_on(Fault.ROLLOVER, where=town.addresses[0], times=1)
        before_wh = (await town.read_at_present())[0]
        struck(town, Fault.ROLLOVER)
        modulus_wh = town.meter().model.modulus_milli
        assert before_wh > modulus_wh - 1000
        for _ in range(8):
            await town.round(0)
        now_wh = (await town.read_at_present())[0]
        assert now_wh == town.shown()[0] < before_wh
        state = await town.site.state()
        assert state["rated_nano"] == (now_wh + modulus_wh - before_wh) * 600_000
        assert await town.site.alarms() == []


# ---- faults while switching


@pytest.mark.parametrize(
    ("kind", "fault", "times", "state", "why", "relay"),
    [
        (CommandKind.CONNECT, Fault.LOST_FRAME, 1, "confirmed", "", Relay.CLOSED),
        (CommandKind.CONNECT, Fault.LYING_REFUSAL, 1, "confirmed", "", Relay.CLOSED),
        (CommandKind.CONNECT, Fault.CORRUPT_CHECKSUM, 1, "confirmed", "", Relay.CLOSED),
        (CommandKind.CONNECT, Fault.OTHER_METER, 1, "confirmed", "", Relay.CLOSED),
        (CommandKind.CONNECT, Fault.DOUBLED_FRAME, None, "confirmed", "", Relay.CLOSED),
        (CommandKind.CONNECT, Fault.GARBAGE, None, "confirmed", "", Relay.CLOSED),
        (CommandKind.CONNECT, Fault.SLOW_ANSWER, 1, "confirmed", "", Relay.CLOSED),
        (CommandKind.CONNECT, Fault.REFUSAL, 1, "refused", "refused", Relay.OPEN),
        (CommandKind.CONNECT, Fault.WRONG_CLOCK, 1, "refused", "refused", Relay.OPEN),
        (CommandKind.CONNECT, Fault.SILENCE, 1, "unknown", "silence", Relay.OPEN),
        (CommandKind.CONNECT, Fault.SILENCE, None, "unknown", "silence", Relay.OPEN),
        (CommandKind.CONNECT, Fault.RESTART, 1, "unknown", "silence", Relay.OPEN),
        (CommandKind.CONNECT, Fault.STUCK_RELAY, None, "refused", "relay_unchanged", Relay.OPEN),
        (CommandKind.DISCONNECT, Fault.STUCK_RELAY, None, "refused", "relay_unchanged",
         Relay.CLOSED),
        (CommandKind.DISCONNECT, Fault.SILENCE, None, "refused", "silence", Relay.CLOSED),
        (CommandKind.DISCONNECT, Fault.LYING_REFUSAL, None, "refused", "refused", Relay.CLOSED),
    ],
)  # fmt: skip
async def test_a_command_says_what_the_relay_does(hall, kind, fault, times, state, why, relay):
    async with hall() as town:
        await town.read_at_present(2)
        if kind is CommandKind.CONNECT:
            town.meter().trip()
        town.faults().switch_on(fault, where=town.addresses[0], times=times)
        ended = await town.order(kind)
        struck(town, fault)
        assert (ended["state"], ended["why"]) == (state, why)
        assert town.meter().relay is relay
        failed = ("command_failed", f"meter:{town.site.meters[0]}") in await town.site.alarms()
        assert failed == (state != "confirmed")
        if state == "confirmed":
            assert await town.relay() is relay
        # Whatever was in doubt: the next reading says how it is.
        town.faults().all_off()
        await town.round(0)
        await eventually(lambda: _is(town.relay(), town.meter().relay), "the relay as it is")


# ---- gateways that misbehave


async def test_a_gateway_that_comes_twice_keeps_its_newest_line(hall):
    async with hall() as town:
        await town.read_at_present(2)
        (number,) = town.gateways.values()
        town.faults().switch_on(Fault.GATEWAY_TWICE, times=1)
        alarm = ("gateway_twice", f"gateway:{number}")
        await eventually(lambda: _holds(alarm, town))
        struck(town, Fault.GATEWAY_TWICE)
        for _ in range(3):
            await town.round(0, 1, 2)
            assert await town.read_at_present() == town.shown()
        assert town.head.online == 1
        assert len(await town.site.rows("select * from gateway_state where online")) == 1


async def _holds(alarm, town):
    return alarm in await town.site.alarms()


@pytest.mark.parametrize("dial_out", [False, True], ids=["dial_in", "dial_out"])
async def test_a_gateway_that_floods_is_hung_up_on_and_may_come_back(hall, dial_out):
    async with hall(dial_out=dial_out) as town:
        await town.read_at_present(2)
        (number,) = town.gateways.values()
        town.faults().switch_on(Fault.GATEWAY_FLOOD, times=1)
        alarm = ("gateway_flood", f"gateway:{number}")
        await eventually(lambda: _holds(alarm, town))
        struck(town, Fault.GATEWAY_FLOOD)
        await eventually(lambda: town.head.online == 1)
        await town.round(0, 1, 2)
        assert await town.read_at_present() == town.shown()


async def test_a_silent_gateway_slows_nobody_else(hall):
    async with hall(meters=6, gateways=2) as town:
        await town.read_at_present(0)
        await town.read_at_present(5)
        town.faults(0).switch_on(Fault.GATEWAY_SILENT)
        for _ in range(5):
            await town.round(3, 4, 5)
        await eventually(lambda: town.faults(0).counts[Fault.GATEWAY_SILENT])
        counts = [len(await town.stored(room)) for room in range(6)]
        assert counts == [1, 1, 1, 6, 6, 6]
        assert town.head.online == 2


async def test_an_unknown_gateway_is_refused_and_kept_as_a_stranger_until_it_is_known(hall):
    async with hall(meters=6, gateways=2, known=1) as town:
        await town.read_at_present(0)
        unknown = town.town.spec.gateways[1]
        site = town.site
        query = "select * from stranger where registration = $1 and tries >= 2"
        await eventually(lambda: site.rows(query, unknown.registration))
        assert town.head.online == 1
        assert await site.alarms() == []
        number = await add_gateway(site.db, site.project_id, unknown)
        room = onboard.NewRoom(
            site.floor_id, "new", 9, None, site.tariff_id, town.meter(3).spec.model,
            unknown.meters[0], number, site.clock(),
        )  # fmt: skip
        site.rooms += await onboard.add_rooms(site.db, site.project_id, [room])
        await town.head.reload()
        await eventually(lambda: town.head.online == 2)
        assert await town.read_at_present(3) == town.shown(3)


async def test_a_line_without_a_name_is_refused_when_its_time_is_over(hall, monkeypatch):
    monkeypatch.setattr(line_module, "REGISTRATION_TIMEOUT_S", 0.05)
    async with hall() as town:
        reader, writer = await asyncio.open_connection(HOST, town.head.port)
        assert await reader.read() == b""
        writer.close()
        await eventually(lambda: town.site.rows("select * from stranger where registration = ''"))


async def test_nameless_lines_are_bounded_and_harm_nobody(hall, monkeypatch):
    monkeypatch.setattr(service, "NAMELESS_MAX", 3)
    async with hall() as town:
        await town.read_at_present(0)
        pairs = [await asyncio.open_connection(HOST, town.head.port) for _ in range(4)]
        assert await pairs[3][0].read() == b""
        await town.round(0, 1, 2)
        for _, writer in pairs:
            writer.close()


# ---- offline


async def test_a_meter_that_falls_silent_is_reported_with_when_it_was_last_heard(hall):
    async with hall() as town:
        last_at = town.site.clock()
        await town.read_at_present(2)
        town.faults().switch_on(Fault.SILENCE, where=town.addresses[0])
        alarm = ("meter_offline", f"meter:{town.site.meters[0]}")
        for _ in range(gateways.OFFLINE_ROUNDS):
            await town.round(1, 2)
            await gateways.watch_silence(town.site.db, town.site.project_id, town.site.clock())
            assert await town.site.alarms() == []
        await town.round(1, 2)
        await gateways.watch_silence(town.site.db, town.site.project_id, town.site.clock())
        assert await town.site.alarms() == [alarm]
        opened = await town.site.row("select facts from alarm where closed_at is null")
        assert last_at.isoformat() in opened["facts"]
        struck(town, Fault.SILENCE)
        town.faults().all_off()
        await eventually(partial(_read_again, town))
        await gateways.watch_silence(town.site.db, town.site.project_id, town.site.clock())
        assert await town.site.alarms() == []
        assert alarm in await town.site.alarms(is_open=False)


async def test_a_gateway_that_stays_away_is_reported_until_it_is_back(hall):
    async with hall(meters=6, gateways=2) as town:
        await town.read_at_present(5)
        (gateway, other) = town.gateways
        number, site = town.gateways[gateway], town.site
        registration = town.town.gateways[gateway].registration
        town.town.gateways[gateway].registration = b"SOMEBODY ELSE\r\n"
        await eventually(lambda: town.head.online == 2)
        town.faults().switch_on(Fault.GATEWAY_FLOOD, times=1)
        gone = "select * from gateway_state where gateway_id = $1 and not online"
        (row,) = await eventually(lambda: site.rows(gone, number))
        assert row["seen_at"] == site.clock()
        site.clock.at += gateways.GATEWAY_GRACE
        await gateways.watch_silence(site.db, site.project_id, site.clock())
        alarm = ("gateway_offline", f"gateway:{number}")
        assert alarm not in await site.alarms()
        site.clock.at += timedelta(seconds=1)
        await gateways.watch_silence(site.db, site.project_id, site.clock())
        assert alarm in await site.alarms()
        assert ("gateway_offline", f"gateway:{town.gateways[other]}") not in await site.alarms()
        town.town.gateways[gateway].registration = registration
        await eventually(lambda: town.head.online == 2)
        await eventually(lambda: _is(_holds(alarm, town), False))


async def test_who_goes_while_it_is_written_down_as_seen_does_not_stay_online(hall, monkeypatch):
    see, written = gateways.see, []
    gone = "select * from gateway_state where gateway_id = $1 and not online"
    async with hall() as town:
        await town.read_at_present(1)
        (gateway,), (number,) = town.gateways, town.gateways.values()

        async def see_too_late(db, online, heard, at):
            if not written:
                town.town.gateways[gateway].registration = b"SOMEBODY ELSE\r\n"
                town.faults().switch_on(Fault.GATEWAY_FLOOD, times=1)
                await eventually(lambda: town.site.rows(gone, number))
            await see(db, online, heard, at)
            written.append([gateway_id for _, gateway_id in online])

        monkeypatch.setattr(gateways, "see", see_too_late)
        await eventually(lambda: written)
        assert written[0] == [number]
        await eventually(lambda: town.site.rows(gone, number))


async def test_who_was_online_in_an_earlier_life_is_not_in_this_one(hall, db, clock):
    async with hall() as town:
        await town.read_at_present(2)
        site = town.site
    (number,) = town.gateways.values()
    await gateways.come(db, site.project_id, number, "192.0.2.1:1", clock())
    clock.at += timedelta(hours=1)
    again = service.HeadEnd(db, clock, service.HeadEndSettings(port=0))
    await again.start()
    await gateways.watch_silence(db, site.project_id, clock())
    assert await site.rows("select * from gateway_state where online") == []
    assert ("gateway_offline", f"gateway:{number}") in await site.alarms()
    await again.stop()


async def test_a_gateway_that_hangs_up_at_once_is_dialled_less_and_less_often(hall, monkeypatch):
    monkeypatch.setattr(service, "DIAL_MAX_S", 0.08)
    dialled_s = []

    def hang_up(_reader, writer):
        dialled_s.append(asyncio.get_running_loop().time())
        writer.transport.abort()

    async with hall() as town, await asyncio.start_server(hang_up, HOST, 0) as server:
        at = f"{HOST}:{server.sockets[0].getsockname()[1]}"
        await onboard.add_gateway(
            town.site.db, town.site.project_id, "GW", "GW", "dial_out", at
        )  # fmt: skip
        await town.head.reload()
        await eventually(lambda: len(dialled_s) >= 5)
        waited_s = [after - before for before, after in pairwise(dialled_s)]
        assert all(one >= wait_s for one, wait_s in zip(waited_s, (0.02, 0.04, 0.08), strict=False))


# ---- the whole story


async def test_a_household_runs_out_is_cut_off_pays_and_is_back(hall):
    async with hall(credit_minor=1) as town:
        site, room = town.site, 0
        before_wh = (await town.read_at_present(room))[0]
        assert (await site.state(room))["warning_level"] == 3
        while (await site.state(room))["warning_level"] < 4:
            await town.round(room)
        used_wh = town.shown(room)[0] - before_wh
        assert used_wh * 600_000 > 10_000_000
        await eventually(lambda: town.meter(room).relay is Relay.OPEN)
        (row,) = [one for one in await site.commands() if one["meter_id"] == site.meters[room]]
        assert (row["kind"], row["reason"]) == ("disconnect", "arrears")
        assert (await town.ended(row["id"]))["state"] == "confirmed"
        assert await town.relay(room) is Relay.OPEN
        told = await site.rows("select * from notice where point_id = $1", site.points[room])
        received, *warned = told
        assert received["key"].startswith("received:")
        assert [one["key"].split(":")[2] for one in warned] == ["3", "4"]
        assert all(one["text"] for one in told)
        assert ("credit_out", f"point:{site.points[room]}") in await site.alarms()
        shown = town.shown(room)
        await town.round(room)
        assert town.shown(room) == shown, "nothing flows through an open relay"
        paid = await site.pay(10_000, room, "back again")
        assert paid.commands == 1
        await eventually(lambda: town.meter(room).relay is Relay.CLOSED)
        await eventually(lambda: _is(town.relay(room), Relay.CLOSED), "a closed relay")
        assert ("credit_out", f"point:{site.points[room]}") not in await site.alarms()
        await town.round(room)
        assert town.shown(room) != shown
