"""A meter's checklist: it fills itself from what is read back, and a person signs it for ever."""

from datetime import timedelta

import pytest
from asyncpg import RestrictViolationError

from meterhouse.control.commission import Item, Verdict
from meterhouse.errors import NotFound
from meterhouse.flows import access, checklist, command, commission, gateway
from meterhouse.model import CommandKind, Override, Relay
from meterhouse.ports import Effect, Outcome, Values
from meterhouse.store.monitor import set_override

SILENCE = Outcome(Effect.UNKNOWN, why="silence")


@pytest.fixture
async def engineer(db, site):
    """Somebody who signs."""
    return await access.add_person(
        db, "engineer", "Engineer", "correct horse battery", "field_engineer", "project",
        site.project_id, site.clock(),
    )  # fmt: skip


def local(clock, off_s=0):
    """What a right meter's clock shows in Shanghai."""
    return (clock() + timedelta(hours=8, seconds=off_s)).replace(tzinfo=None)


def live(clock, total_milli=100_000, relay=Relay.CLOSED, off_s=0):
    values = Values(total_milli=total_milli, relay=relay, clock_local=local(clock, off_s))
    return Outcome(Effect.DONE, values)


async def start(site, expected_milli=None, room=0):
    return await commission.start(
        site.db, site.project_id, site.meters[room], expected_milli, None, site.clock()
    )


async def claim(site):
    return await command.claim(site.db, site.project_id, site.gateway_id, site.clock())


async def answer(site, outcome, kind=None):
    """The next command is carried out and ends like this."""
    claimed = await claim(site)
    assert claimed is not None, "no command waits"
    assert kind in (None, claimed.kind)
    await command.finish(site.db, claimed, outcome, site.clock())


async def read_twice(site, clock, first=100_000, second=100_000, off_s=0):
    await answer(site, live(clock, first, off_s=off_s))
    assert await claim(site) is None
    clock.step(seconds=61)
    await answer(site, live(clock, second, off_s=off_s))


async def states(site, number):
    checked = await commission.get(site.db, site.project_id, number)
    return {item: (one["state"], one["why"]) for item, one in checked.items.items()}


async def test_a_good_meter_passes_line_by_line_and_is_signed(site, clock, engineer):
    number = await start(site, expected_milli=100_000)
    before = await states(site, number)
    assert before[Item.ANSWERS] == before[Item.REGISTER] == (Verdict.WAITING, "")
    assert before[Item.RELAY] == before[Item.STATE] == (Verdict.OPEN, "")
    await read_twice(site, clock, 100_020, 100_040)
    after = await states(site, number)
    assert {after[item] for item in (Item.ANSWERS, Item.CLOCK, Item.REGISTER)} == {
        (Verdict.PASSED, "")
    }
    await commission.try_relay(site.db, site.project_id, number, engineer, clock())
    await answer(site, moved(Relay.OPEN), CommandKind.DISCONNECT)
    await answer(site, moved(Relay.CLOSED), CommandKind.CONNECT)
    with pytest.raises(commission.ChecklistUnsettled):
        await commission.sign(site.db, site.project_id, number, "", engineer, clock())
    await online(site)
    await commission.say_state(site.db, site.project_id, number, Relay.CLOSED, engineer, clock())
    await commission.sign(site.db, site.project_id, number, "", engineer, clock())
    assert {one for one, _ in (await states(site, number)).values()} == {Verdict.PASSED}
    checked = await commission.get(site.db, site.project_id, number)
    assert (checked.row["signed_by"], checked.row["signed_at"]) == (engineer, clock())
    assert (await site.state())["relay"] == Relay.CLOSED


def moved(relay):
    return Outcome(Effect.DONE, Values(relay=relay))


async def online(site):
    await gateway.come(site.db, site.project_id, site.gateway_id, "peer", site.clock())


async def test_a_signed_checklist_is_never_changed_and_a_new_one_may_follow(site, clock, engineer):
    number = await start(site)
    for item in Item:
        await commission.leave_out(
            site.db, site.project_id, number, item, "not today", engineer, clock()
        )
    await commission.sign(site.db, site.project_id, number, "", engineer, clock())
    for deed in (
        commission.try_relay(site.db, site.project_id, number, engineer, clock()),
        commission.sign(site.db, site.project_id, number, "", engineer, clock()),
        commission.ask_again(site.db, site.project_id, number, clock()),
    ):
        with pytest.raises(commission.ChecklistSigned):
            await deed
    with pytest.raises(RestrictViolationError):
        async with site.db.transaction([site.project_id]) as connection:
            await connection.execute("update commissioning set note = 'better'")
    again = await start(site)
    assert again > number
    (latest,) = await commission.reports(site.db, site.project_id, site.meters[:1])
    assert latest.row["id"] == again


async def test_a_meter_with_an_open_checklist_takes_no_second_one(site):
    await start(site)
    with pytest.raises(commission.ChecklistOpen):
        await start(site)
    assert await start(site, room=1)


async def test_a_wrong_clock_fails_and_its_fault_needs_a_note(site, clock, engineer):
    number = await start(site)
    await read_twice(site, clock, off_s=3 * 3600)
    checked = await commission.get(site.db, site.project_id, number)
    assert (await states(site, number))[Item.CLOCK] == (Verdict.FAILED, "clock_off")
    assert checked.items[Item.CLOCK]["facts"]["clock_off_s"] == 3 * 3600
    for item in (Item.RELAY, Item.STATE):
        await commission.leave_out(
            site.db, site.project_id, number, item, "vacant", engineer, clock()
        )
    with pytest.raises(commission.FaultsUnexplained):
        await commission.sign(site.db, site.project_id, number, " ", engineer, clock())
    await commission.sign(site.db, site.project_id, number, "will be set", engineer, clock())
    checked = await commission.get(site.db, site.project_id, number)
    assert checked.row["note"] == "will be set"
    assert checked.has_faults


@pytest.mark.parametrize(
    ("expected", "first", "second", "why"),
    [
        (None, 100_000, 99_990, "register_falls"),
        (None, 100_000, 900_000, "register_jumps"),
        (None, 100_000, 100_900, ""),
        (50_000, 100_000, None, "register_not_as_expected"),
        (101_000, 100_000, 100_000, ""),
        (None, 10**9, None, "register_too_large"),
        (None, -10, None, "register_negative"),
    ],
)
async def test_a_register_must_be_what_this_meter_can_have_counted(
    site, clock, expected, first, second, why
):
    number = await start(site, expected)
    await answer(site, live(clock, first))
    if second is not None:
        clock.step(seconds=61)
        await answer(site, live(clock, second))
    verdict = Verdict.FAILED if why else Verdict.PASSED
    assert (await states(site, number))[Item.REGISTER] == (verdict, why)


async def test_silence_fails_what_it_should_have_answered_and_is_asked_again(site, clock):
    number = await start(site)
    await answer(site, SILENCE)
    failed = await states(site, number)
    assert failed[Item.ANSWERS] == failed[Item.CLOCK] == failed[Item.REGISTER] == (
        Verdict.FAILED, "silence",
    )  # fmt: skip
    await commission.ask_again(site.db, site.project_id, number, clock())
    await read_twice(site, clock)
    passed = await states(site, number)
    assert {passed[item][0] for item in (Item.ANSWERS, Item.CLOCK, Item.REGISTER)} == {"passed"}


async def test_silence_in_the_middle_fails_the_second_register_alone(site, clock):
    number = await start(site)
    await answer(site, live(clock))
    clock.step(seconds=61)
    await answer(site, SILENCE)
    now = await states(site, number)
    assert (now[Item.ANSWERS][0], now[Item.CLOCK][0]) == ("passed", "passed")
    assert now[Item.REGISTER] == (Verdict.FAILED, "silence")


async def test_a_command_nobody_carried_out_settles_its_items_too(site, clock):
    number = await start(site)
    clock.step(minutes=10)
    await command.tend(site.db, site.project_id, clock())
    assert await checklist.tend(site.db, site.project_id, clock()) == 1
    assert (await states(site, number))[Item.ANSWERS] == (Verdict.FAILED, "expired")
    assert await checklist.tend(site.db, site.project_id, clock()) == 0


async def begin_relay(site, clock, relay=Relay.CLOSED):
    number = await start(site)
    await answer(site, live(clock, relay=relay))
    await commission.try_relay(site.db, site.project_id, number, None, clock())
    return number


async def test_a_relay_that_lies_fails_and_is_put_back(site, clock):
    """It says that it obeyed, and the read-back shows that it did not."""
    number = await begin_relay(site, clock)
    stuck = Outcome(Effect.NOT_DONE, Values(relay=Relay.CLOSED), "relay_unchanged")
    await answer(site, stuck, CommandKind.DISCONNECT)
    assert (await states(site, number))[Item.RELAY][0] == Verdict.WAITING
    await answer(site, moved(Relay.CLOSED), CommandKind.CONNECT)
    assert (await states(site, number))[Item.RELAY] == (Verdict.FAILED, "relay_unchanged")


async def test_silence_while_switching_still_brings_power_back(site, clock):
    number = await begin_relay(site, clock)
    await answer(site, SILENCE, CommandKind.DISCONNECT)
    await answer(site, moved(Relay.CLOSED), CommandKind.CONNECT)
    assert (await states(site, number))[Item.RELAY] == (Verdict.FAILED, "silence")


async def test_a_relay_that_was_open_ends_open(site, clock):
    number = await begin_relay(site, clock, Relay.OPEN)
    await answer(site, moved(Relay.CLOSED), CommandKind.CONNECT)
    await answer(site, moved(Relay.OPEN), CommandKind.DISCONNECT)
    assert (await states(site, number))[Item.RELAY] == (Verdict.PASSED, "")


async def test_a_disconnect_that_was_never_sent_is_not_taken_back(site, clock):
    number = await begin_relay(site, clock)
    clock.step(minutes=10)
    await command.tend(site.db, site.project_id, clock())
    await checklist.tend(site.db, site.project_id, clock())
    assert (await states(site, number))[Item.RELAY] == (Verdict.FAILED, "expired")
    kinds = [one["kind"] for one in await site.commands()]
    assert "connect" not in kinds


async def test_a_relay_is_not_tried_unread_forced_or_twice(site, clock, engineer):
    number = await start(site)
    deed = (site.db, site.project_id, number, engineer, clock())
    with pytest.raises(commission.RelayNotToBeTried):
        await commission.try_relay(*deed)
    await answer(site, live(clock))
    for override in (Override.ON, Override.OFF):
        await lay(site, override)
        with pytest.raises(commission.RelayNotToBeTried):
            await commission.try_relay(*deed)
    await lay(site, Override.NONE)
    await commission.try_relay(*deed)
    with pytest.raises(commission.RelayNotToBeTried):
        await commission.try_relay(*deed)
    with pytest.raises(commission.RelayNotToBeTried):
        await commission.leave_out(
            site.db, site.project_id, number, Item.RELAY, "why", engineer, clock()
        )


async def lay(site, override):
    async with site.db.transaction([site.project_id]) as connection:
        await set_override(connection, site.project_id, site.points[0], override)


async def test_one_person_cannot_switch_off_a_house_by_trying_relays(new_site, clock):
    site = await new_site(rooms=3, policy={"sweep_count_max": 1, "sweep_percent_max": 0})
    for room in range(2):
        number = await start(site, room=room)
        await answer(site, live(clock))
        if room == 0:
            await commission.try_relay(site.db, site.project_id, number, None, clock())
            await answer(site, moved(Relay.OPEN))
            await answer(site, moved(Relay.CLOSED))
            continue
        with pytest.raises(command.SecondPersonNeeded):
            await commission.try_relay(site.db, site.project_id, number, None, clock())


@pytest.mark.parametrize(
    ("seen", "is_online", "why"),
    [
        (Relay.CLOSED, True, ""),
        (Relay.OPEN, True, "shown_otherwise"),
        (Relay.CLOSED, False, "shown_offline"),
    ],
)
async def test_what_a_person_sees_must_be_what_is_shown(
    site, clock, engineer, seen, is_online, why
):
    number = await start(site)
    await answer(site, live(clock))
    if is_online:
        await online(site)
    await commission.say_state(site.db, site.project_id, number, seen, engineer, clock())
    assert (await states(site, number))[Item.STATE][1] == why


async def test_a_meter_without_a_relay_has_none_to_try(site, clock):
    async with site.db.transaction([site.project_id]) as connection:
        await connection.execute(
            "update meter set model = 'DLT645-1997' where id = $1", site.meters[0]
        )
    number = await start(site)
    assert (await states(site, number))[Item.RELAY] == (Verdict.SKIPPED, "no_relay")


async def test_another_projects_checklist_does_not_exist(site, new_site, clock):
    number = await start(site)
    other = await new_site(name="other")
    with pytest.raises(NotFound):
        await commission.get(other.db, other.project_id, number)
    with pytest.raises(NotFound):
        await commission.start(other.db, other.project_id, site.meters[0], None, None, clock())
    assert await commission.reports(other.db, other.project_id, site.meters) == []


async def test_a_building_is_reported_meter_by_meter(site, clock):
    for room in range(2):
        await start(site, room=room)
    building = await site.row("select id from place where kind = 'building'")
    told = await commission.reports(site.db, site.project_id, building_id=building["id"])
    assert [one.row["room"] for one in told] == ["101", "102"]
