"""After every answer the relay table is asked again, and no more than that."""

import pytest

from meterhouse.flows import command, outbox
from meterhouse.model import CommandKind, Relay
from meterhouse.notifiers import ConsoleNotifier
from meterhouse.ports import Effect, Outcome, Values

DONE = Outcome(Effect.DONE, Values(relay=Relay.OPEN))


async def ask(site, kind, *rooms):
    meters = [site.meters[room] for room in rooms or (0,)]
    return await command.request(
        site.db, site.project_id, meters, kind, "because", None, site.clock()
    )


async def claim(site):
    return await command.claim(site.db, site.project_id, site.gateway_id, site.clock())


async def run_out(site):
    """A household whose credit is gone, with the disconnect queued."""
    await site.say(0)
    site.clock.step(minutes=30)
    assert (await site.say(1_000)).commands == 1


async def last(site):
    return (await site.commands())[-1]


async def test_a_payment_that_arrives_while_the_disconnect_is_on_the_wire_brings_power_back(site):
    await run_out(site)
    claimed = await claim(site)
    assert claimed.kind is CommandKind.DISCONNECT
    await site.pay(5_000)
    assert [row["kind"] for row in await site.commands()] == ["disconnect"]
    await command.finish(site.db, claimed, DONE, site.clock())
    back = await last(site)
    assert (back["kind"], back["reason"], back["state"]) == ("connect", "credit", "queued")


async def test_a_stuck_relay_is_not_asked_again_at_once(site):
    await run_out(site)
    claimed = await claim(site)
    stuck = Outcome(Effect.NOT_DONE, Values(relay=Relay.CLOSED), "relay_unchanged")
    await command.finish(site.db, claimed, stuck, site.clock())
    assert [row["state"] for row in await site.commands()] == ["refused"]


async def test_credit_never_takes_back_what_a_person_ordered(site, clock):
    await site.say(0)
    await ask(site, CommandKind.DISCONNECT)
    await command.finish(site.db, await claim(site), DONE, clock())
    await site.pay(5_000)
    clock.step(minutes=30)
    await site.say(0, relay=Relay.OPEN)
    assert [row["kind"] for row in await site.commands()] == ["disconnect"]


async def test_one_person_switches_off_few_at_a_time_even_one_by_one(new_site):
    site = await new_site(rooms=4, policy={"sweep_count_max": 2, "sweep_percent_max": 0})
    await ask(site, CommandKind.DISCONNECT, 0)
    await ask(site, CommandKind.DISCONNECT, 1)
    await ask(site, CommandKind.DISCONNECT, 1)
    with pytest.raises(command.SecondPersonNeeded):
        await ask(site, CommandKind.DISCONNECT, 2)


class Post:
    """A mail channel that takes what it is given, or refuses all of it."""

    channel = "email"

    def __init__(self, refuses=False):
        self.refuses = refuses
        self.taken = []

    async def send(self, notice):
        if self.refuses:
            raise ValueError(notice.id)
        self.taken.append(notice)


async def tell(site, post):
    """Let the outbox do its round."""
    channels = {"console": ConsoleNotifier(), "email": post}
    await outbox.deliver(site.db, channels, site.project_id, site.clock())


async def test_nobody_is_cut_off_on_a_notice_that_no_channel_has_taken(new_site):
    site = await new_site(policy={"notice_age_s": 1_800}, email="tenant@example.org")
    await site.pay(100)
    total_milli = 0
    commands = []
    posts = [Post(refuses=True), Post(refuses=True), Post(), Post(), Post()]
    for post in posts:
        total_milli += 2_000
        site.clock.step(minutes=30)
        commands.append((await site.say(total_milli)).commands)
        await tell(site, post)
    assert posts[2].taken
    assert commands == [0, 0, 0, 1, 0]
