"""Commissioning over real sockets: a meter that answers, lies, is silent, has a wrong clock."""

from functools import partial

import pytest

from meterhouse.control.commission import Item
from meterhouse.drivers.dlt645 import driver as dlt645_driver
from meterhouse.flows import commission
from meterhouse.model import Relay
from meterhouse.sim.faults import Fault
from townhall import eventually, hasty_model, open_hall


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(dlt645_driver, "load", hasty_model)


@pytest.fixture
def hall(db, clock):
    return partial(open_hall, db, clock)


async def start(town):
    site = town.site
    return await commission.start(
        site.db, site.project_id, site.meters[0], town.shown()[0], None, site.clock()
    )


async def item(town, number, which):
    checked = await commission.get(town.site.db, town.site.project_id, number)
    return checked.items[which]


async def settled(town, number, which):
    """An item's state and why, once it waits no more."""

    async def look():
        one = await item(town, number, which)
        return one if one["state"] != "waiting" else None

    one = await eventually(look, f"{which} to be settled")
    return one["state"], one["why"]


async def second_register(town, number):
    """A minute later the register is read again."""

    async def asked():
        return len((await item(town, number, Item.REGISTER))["command_ids"]) == 2

    await eventually(asked, "the second reading to be asked for")
    town.site.clock.step(seconds=61)
    return await settled(town, number, Item.REGISTER)


async def try_relay(town, number):
    site = town.site
    await commission.try_relay(site.db, site.project_id, number, None, site.clock())
    return await settled(town, number, Item.RELAY)


async def test_a_good_meter_passes_and_has_power_again(hall):
    async with hall() as town:
        await town.read_at_present()
        number = await start(town)
        assert await settled(town, number, Item.ANSWERS) == ("passed", "")
        assert await settled(town, number, Item.CLOCK) == ("passed", "")
        assert await second_register(town, number) == ("passed", "")
        assert await try_relay(town, number) == ("passed", "")
        assert town.meter().relay is Relay.CLOSED
        site = town.site
        await commission.say_state(
            site.db, site.project_id, number, Relay.CLOSED, None, site.clock()
        )
        assert await settled(town, number, Item.STATE) == ("passed", "")


async def test_a_relay_that_acknowledges_and_does_not_move_fails(hall):
    async with hall() as town:
        await town.read_at_present()
        number = await start(town)
        await settled(town, number, Item.ANSWERS)
        town.faults().switch_on(Fault.STUCK_RELAY, where=town.addresses[0])
        assert await try_relay(town, number) == ("failed", "relay_unchanged")
        assert town.faults().counts[Fault.STUCK_RELAY] == 2
        assert town.meter().relay is Relay.CLOSED


async def test_a_wrong_clock_fails(hall):
    async with hall() as town:
        await town.read_at_present()
        town.faults().switch_on(Fault.WRONG_CLOCK, where=town.addresses[0], times=1)
        number = await start(town)
        assert await settled(town, number, Item.CLOCK) == ("failed", "clock_off")
        assert town.faults().counts[Fault.WRONG_CLOCK] == 1


async def test_silence_in_the_middle_fails_what_was_asked_then(hall):
    async with hall() as town:
        await town.read_at_present()
        number = await start(town)
        assert await settled(town, number, Item.ANSWERS) == ("passed", "")
        town.faults().switch_on(Fault.SILENCE, where=town.addresses[0])
        assert await second_register(town, number) == ("failed", "silence")
        assert town.faults().counts[Fault.SILENCE] >= 3
