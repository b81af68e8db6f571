"""A command's life: asked, guarded, sent, proven; and never forgotten."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import command
from meterhouse.model import CommandKind, CommandState, Relay
from meterhouse.ports import Effect, Outcome, Values
from meterhouse.store.db import maintenance
from meterhouse.worker import Worker
from premises import HASTY

DONE = Outcome(Effect.DONE, Values(relay=Relay.OPEN))
SILENCE = Outcome(Effect.UNKNOWN, why="silence")


async def ask(site, kind, *rooms):
    meters = [site.meters[room] for room in rooms or (0,)]
    return await command.request(
        site.db, site.project_id, meters, kind, "because", None, site.clock()
    )


async def claim(site, **choices):
    return await command.claim(site.db, site.project_id, site.gateway_id, site.clock(), **choices)


async def run_out(site):
    """A household whose credit is gone, with the disconnect queued."""
    await site.say(0)
    site.clock.step(minutes=30)
    assert (await site.say(1_000)).commands == 1


async def last(site):
    return (await site.commands())[-1]


async def test_a_command_is_sent_then_confirmed_and_its_relay_is_noted(site, clock):
    await ask(site, CommandKind.DISCONNECT)
    claimed = await claim(site)
    assert (claimed.kind, claimed.meter_id) == (CommandKind.DISCONNECT, site.meters[0])
    assert (await last(site))["state"] == "sent"
    assert await claim(site) is None
    clock.step(seconds=20)
    assert await command.finish(site.db, claimed, DONE, clock()) is CommandState.CONFIRMED
    one = await last(site)
    assert (one["state"], one["ended_at"]) == ("confirmed", clock())
    assert (await site.state())["relay"] == Relay.OPEN


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome(Effect.NOT_DONE, why="wrong_password"), "refused"),
        (SILENCE, "unknown"),
    ],
)
async def test_what_did_not_happen_is_alarmed_until_a_command_succeeds(site, outcome, state):
    await ask(site, CommandKind.DISCONNECT)
    await command.finish(site.db, await claim(site), outcome, site.clock())
    one = (await site.commands())[0]
    assert (one["state"], one["why"]) == (state, outcome.why)
    failed = ("command_failed", f"meter:{site.meters[0]}")
    assert failed in await site.alarms()
    await ask(site, CommandKind.CONNECT)
    await command.finish(
        site.db, await claim(site), Outcome(Effect.DONE, Values(relay=Relay.CLOSED)), site.clock()
    )
    assert failed not in await site.alarms()


async def test_a_refusal_still_tells_the_relay_when_it_was_read_back(site):
    await site.say(0, relay=Relay.CLOSED)
    await ask(site, CommandKind.DISCONNECT)
    outcome = Outcome(Effect.NOT_DONE, Values(relay=Relay.CLOSED, keep_power=True), "keep_power")
    await command.finish(site.db, await claim(site), outcome, site.clock())
    state = await site.state()
    assert (state["relay"], state["keep_power"]) == (Relay.CLOSED, 1)


async def test_a_failed_reading_is_no_alarm(site):
    await ask(site, CommandKind.READ)
    await command.finish(site.db, await claim(site), SILENCE, site.clock())
    assert await site.alarms() == []


async def test_a_sender_thought_dead_may_still_say_what_came_of_it_and_nobody_else(site, clock):
    await ask(site, CommandKind.DISCONNECT)
    claimed = await claim(site)
    clock.step(minutes=11)
    assert await command.tend(site.db, site.project_id, clock()) == 1
    assert (await site.commands())[0]["state"] == "unknown"
    await command.finish(site.db, claimed, DONE, clock())
    before = (await site.commands())[0]
    assert before["state"] == "confirmed"
    await command.finish(site.db, claimed, Outcome(Effect.NOT_DONE, why="late"), clock())
    assert (await site.commands())[0] == before


async def test_a_dead_senders_command_is_unknown_and_looked_at_again(site, clock):
    await ask(site, CommandKind.DISCONNECT)
    await claim(site)
    clock.step(minutes=10)
    assert await command.tend(site.db, site.project_id, clock()) == 0
    clock.step(seconds=1)
    assert await command.tend(site.db, site.project_id, clock()) == 1
    lost, look = await site.commands()
    assert (lost["state"], lost["why"]) == ("unknown", "interrupted")
    assert (look["kind"], look["state"], look["meter_id"]) == ("read", "queued", lost["meter_id"])
    assert ("command_failed", f"meter:{site.meters[0]}") in await site.alarms()


async def test_a_command_that_was_not_sent_in_time_expires(site, clock):
    await ask(site, CommandKind.CONNECT)
    clock.step(seconds=299)
    assert await command.tend(site.db, site.project_id, clock()) == 0
    clock.step(seconds=1)
    assert await claim(site) is None
    assert [(one["state"], one["why"]) for one in await site.commands()] == [("expired", "expired")]
    await ask(site, CommandKind.CONNECT)
    clock.step(minutes=5)
    assert await command.tend(site.db, site.project_id, clock()) == 1
    assert (await last(site))["state"] == "expired"
    assert ("command_failed", f"meter:{site.meters[0]}") in await site.alarms()


async def test_a_gateway_that_is_off_the_line_gets_nothing_sent(site):
    await ask(site, CommandKind.CONNECT)
    assert await claim(site, is_live=False) is None
    assert (await last(site))["why"] == "gateway_offline"


async def test_generations_count_up_per_meter(site):
    await ask(site, CommandKind.READ, 0, 1)
    await ask(site, CommandKind.CONNECT, 0)
    found = await site.commands()
    assert [(one["meter_id"], one["generation"]) for one in found] == [
        (site.meters[0], 1), (site.meters[1], 1), (site.meters[0], 2),
    ]  # fmt: skip


async def test_a_batch_for_a_stranger_asks_nobody(site):
    with pytest.raises(NotFound):
        await command.request(
            site.db, site.project_id, [site.meters[0], 10**9], CommandKind.READ, "", None,
            site.clock(),
        )  # fmt: skip
    assert await site.commands() == []


@pytest.mark.parametrize(
    ("kind", "override"),
    [
        (CommandKind.DISCONNECT, "off"), (CommandKind.KEEP_POWER_ON, "on"),
        (CommandKind.CONNECT, "none"), (CommandKind.ALLOW_CONNECT, "none"),
        (CommandKind.KEEP_POWER_OFF, "none"),
    ],
)  # fmt: skip
async def test_a_persons_command_is_laid_over_the_automatic_decision(site, kind, override):
    await ask(site, CommandKind.KEEP_POWER_ON)
    await ask(site, kind)
    await ask(site, CommandKind.READ)
    row = await site.row("select override from point where id = $1", site.points[0])
    assert row["override"] == override


async def test_a_connect_withdraws_a_waiting_disconnect_and_never_the_reverse(site):
    await ask(site, CommandKind.DISCONNECT)
    await ask(site, CommandKind.CONNECT)
    await ask(site, CommandKind.DISCONNECT)
    found = [(one["kind"], one["state"]) for one in await site.commands()]
    assert found == [("disconnect", "withdrawn"), ("connect", "queued"), ("disconnect", "queued")]
    assert (await claim(site)).kind is CommandKind.CONNECT
    assert (await claim(site)).kind is CommandKind.DISCONNECT


async def test_money_that_came_in_between_stops_an_arrears_disconnect(site):
    await run_out(site)
    await site.pay(10_000)
    assert await claim(site) is None
    assert [(one["state"], one["why"]) for one in await site.commands()] == [
        ("withdrawn", "credit_back")
    ]


async def test_quiet_hours_that_began_in_between_stop_it(new_site, clock):
    clock.at = datetime(2026, 3, 4, 13, 28, tzinfo=UTC)
    site = await new_site()
    await run_out(site)
    clock.step(minutes=3)
    assert await claim(site) is None
    assert (await last(site))["why"] == "quiet"


async def test_a_persons_disconnect_knows_no_quiet_hour_and_no_credit(new_site, clock):
    clock.at = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
    site = await new_site()
    await site.pay(10_000)
    await ask(site, CommandKind.DISCONNECT)
    assert (await claim(site)).kind is CommandKind.DISCONNECT


async def test_keep_power_that_came_in_between_withdraws_it(site):
    await run_out(site)
    await ask(site, CommandKind.KEEP_POWER_ON)
    first, _ = await site.commands()
    assert (first["kind"], first["state"], first["why"]) == (
        "disconnect", "withdrawn", "superseded",
    )  # fmt: skip


async def test_a_reading_that_grew_old_stops_it(new_site, clock):
    site = await new_site(policy=HASTY | {"reading_age_max_s": 60})
    await run_out(site)
    clock.step(seconds=61)
    assert await claim(site) is None
    assert (await last(site))["why"] == "stale_reading"


async def test_what_is_forbidden_does_not_hold_up_what_is_not(site):
    await run_out(site)
    await site.pay(10_000)
    await ask(site, CommandKind.READ, 1)
    claimed = await claim(site)
    assert (claimed.kind, claimed.meter_id) == (CommandKind.READ, site.meters[1])


async def test_a_removed_meter_is_not_commanded(site, address):
    await ask(site, CommandKind.CONNECT)
    async with maintenance(address) as connection:
        await connection.execute("update meter set removed_at = $1", site.clock())
    assert await claim(site) is None
    assert (await last(site))["why"] == "meter_removed"


async def test_two_senders_never_take_the_same_command(site):
    await ask(site, CommandKind.READ, 0, 1, 2)
    claimed = await asyncio.gather(*(claim(site) for _ in range(3)))
    taken = [one.id for one in claimed if one is not None]
    assert len(taken) == len(set(taken))
    rest = [await claim(site) for _ in range(4 - len(taken))]
    assert rest[-1] is None
    assert len(taken) + len(rest) - 1 == 3


async def test_a_claim_tells_the_sender_when_the_frame_must_be_dead(site, clock):
    await ask(site, CommandKind.DISCONNECT)
    claimed = await claim(site)
    assert claimed.expires_at == clock() + timedelta(minutes=5)
    assert claimed.timezone == "Asia/Shanghai"


async def test_on_a_fast_clock_a_meter_has_as_long_as_on_a_slow_one(site, clock):
    await ask(site, CommandKind.DISCONNECT)
    claimed = await claim(site)
    clock.step(minutes=119)
    await Worker(site.db, clock, 60, {})._tend(site.project_id, clock())
    await command.finish(site.db, claimed, DONE, clock())
    assert [one["state"] for one in await site.commands()] == ["confirmed"]
