"""A household whose meter keeps its money is warned by what the meter holds, and never cut off."""

from datetime import timedelta

import pytest

from meterhouse.flows import react, transit
from meterhouse.store.db import maintenance
from street import build_street

LOW, OUT = ["credit_low"], ["credit_out"]


@pytest.fixture
async def street(db, clock):
    """Two households with 40.00 in their meters; they are warned at 30, 15 and 3."""
    made = await build_street(db, clock, rooms=2, credit_minor=4_000, purchase_count=6)
    async with maintenance(db.address) as connection:
        await connection.execute("update customer set language = 'en'")
    for room in range(2):
        await made.read(room)
    return made


async def holds(street, net_minor, room=0, ago=timedelta(), count=6):
    """Half an hour later a meter says what it holds, read so long before."""
    at = street.site.clock.step(minutes=30) - ago
    credit, overdraft = max(net_minor, 0), max(-net_minor, 0)
    await street.hear((street.site.meters[room], 0, count, credit, overdraft), at)
    return (await street.site.state(room))["warning_level"]


async def told(street):
    """What households were told of their credit, oldest first."""
    return await street.site.rows("select * from notice where key like 'credit%' order by id")


async def alarms(street, room=0):
    point = f"point:{street.site.points[room]}"
    return [kind for kind, subject in await street.site.alarms() if subject == point]


async def test_each_level_is_told_once_and_nobody_is_cut_off(street):
    site = street.site
    levels = [await holds(street, net) for net in (3_100, 2_900, 2_800, 1_500, 100, 100, 0, 0)]
    assert levels == [0, 1, 1, 2, 3, 3, 4, 4]
    notices = await told(street)
    assert [one["text"] for one in notices] == [
        "The meter of room 101 holds 29.00 CNY. Please top up.",
        "The meter of room 101 holds 15.00 CNY. Please top up.",
        "The meter of room 101 holds 1.00 CNY. Please top up.",
        "The credit in the meter of room 101 is used up: 0.00 CNY. The meter switches the supply"
        " off by itself unless you top up.",
    ]
    assert {one["channel"] for one in notices} == {"console"}
    assert not any(one["tells_cutoff"] for one in notices)
    assert (await alarms(street), await alarms(street, 1)) == (OUT, [])
    assert await site.commands() == []
    # A round that says nothing of its purse, or a payment elsewhere, moves no level.
    site.clock.step(minutes=30)
    await site.say(0)
    async with site.db.transaction([site.project_id]) as connection:
        project = await connection.fetchrow("select * from project")
        await react.look_again(connection, project, site.meters, site.clock())
    assert (await site.state())["warning_level"] == 4
    assert (await alarms(street), len(await told(street))) == (OUT, 4)


async def test_a_recharge_clears_it_once_it_is_in_the_meter_and_a_later_fall_warns_again(db, clock):
    street = await build_street(db, clock, credit_minor=100, purchase_count=6)
    await street.read()
    assert (await street.site.state())["warning_level"] == 3
    await street.pay(5_000)
    assert await alarms(street) == LOW
    assert await street.run()
    assert ((await street.site.state())["warning_level"], await alarms(street)) == (0, [])
    assert await holds(street, 2_000, count=7) == 1
    assert len(await told(street)) == 2


async def test_while_money_is_on_its_way_nothing_is_told(street):
    recharge_id = await street.pay(5_000)
    assert await holds(street, 50) == 0
    site = street.site
    await transit.cancel(site.db, site.project_id, recharge_id, "a slip", None, site.clock())
    assert await told(street) == []
    # It went back to the purse, so what the meter holds is all there is.
    assert await holds(street, 50) == 3
    assert len(await told(street)) == 1


async def test_what_is_known_since_long_is_told_with_its_instant(street):
    site = street.site
    site.clock.step(hours=8)
    assert await holds(street, 200, ago=timedelta(hours=6)) == 3
    (one,) = await told(street)
    assert one["text"] == (
        "The meter of room 101 held 2.00 CNY when it was last read, at 2026-03-04 12:30."
        " Please top up."
    )
    assert await holds(street, -10, ago=timedelta(hours=2)) == 4
    assert (await told(street))[1]["text"] == (
        "The credit in the meter of room 101 was used up when it was last read, at"
        " 2026-03-04 17:00: -0.10 CNY. The meter switches the supply off by itself unless you"
        " top up."
    )


async def test_an_overdraft_is_held_by_the_meter_too(street, db):
    async with maintenance(db.address) as connection:
        await connection.execute("update account set floor_minor = -1000 where kind = 'purse'")
    assert [await holds(street, net) for net in (-500, -999, -1_000)] == [3, 3, 4]


async def test_without_a_household_or_a_floor_nobody_is_warned(db, clock):
    vacant = await build_street(db, clock, credit_minor=4_000, purchase_count=6, is_let=False)
    await vacant.read()
    assert await holds(vacant, 0) == 0
    assert await told(vacant) == []
