"""What is used costs the tariff of its time, whenever its reading arrives."""

from datetime import timedelta

import pytest

from meterhouse.flows import device, onboard, tariff
from meterhouse.flows.intervals import intervals_of
from meterhouse.model import Keeper
from meterhouse.store import catalog, explain
from premises import HOMES, MODEL


def flat(name, price_micro, effective_from="2020-01-01T00:00:00+08:00"):
    version = {"effective_from": effective_from, "prices_micro": {"flat": price_micro}}
    return {
        "name": name, "commodity": "electricity", "currency": "CNY", "versions": [version],
    }  # fmt: skip


CHEAP, DEAR = flat("Cheap", 500_000), flat("Dear", 1_000_000)
# It was 10:00 in Shanghai.
COMING = flat("Coming", 2_000_000, "2026-03-04T11:30:00+08:00")


async def give(site, body):
    """All points get a new tariff now."""
    at = site.clock()
    made = await onboard.publish_tariff(site.db, site.project_id, body, None, at)
    await tariff.assign(site.db, site.project_id, made, None, at)
    return made


async def accrued(site):
    return (await site.state())["accrued_nano"]


async def explained(site, point_id=None):
    async with site.db.transaction([site.project_id]) as connection:
        project = await catalog.get_project(connection, site.project_id)
        since = site.clock() - timedelta(days=1)
        rows = await explain.charges_between(
            connection, site.project_id, point_id or site.points[0], since, site.clock()
        )
        return await intervals_of(connection, site.tariffs, project, rows)


@pytest.fixture
async def changed(new_site):
    """A household that used 1 kWh in an hour, in the middle of which the price doubled."""
    site = await new_site(rooms=1, tariff=CHEAP)
    await site.say(0)
    site.clock.step(minutes=30)
    await give(site, DEAR)
    site.clock.step(minutes=30)
    await site.say(1_000)
    return site


async def test_the_hour_of_a_change_is_divided_by_time(changed):
    assert await accrued(changed) == 500 * 500_000 + 500 * 1_000_000
    (one,) = await explained(changed)
    assert (one.tariff, one.is_exact) == ("Cheap → Dear", True)
    assert [(line.energy_milli, line.price_micro) for line in one.lines] == [
        (500, 500_000), (500, 1_000_000),
    ]  # fmt: skip


async def test_a_late_reading_of_before_costs_the_price_of_before(changed):
    # 900 Wh until ten minutes before the change; 100 in the forty minutes around it.
    await changed.read((changed.meters[0], changed.clock() - timedelta(minutes=40), 900))
    assert await accrued(changed) == 925 * 500_000 + 75 * 1_000_000
    first, second = await explained(changed)
    assert (first.tariff, second.tariff) == ("Cheap", "Cheap → Dear")
    assert first.is_exact
    assert second.is_exact
    charged = await changed.rows(
        """select distinct on (ended_at) t.name from charge c join tariff t on t.id = c.tariff_id
           order by ended_at, c.version desc"""
    )
    assert [row["name"] for row in charged] == ["Cheap", "Dear"]


async def test_the_next_hour_costs_the_new_price_alone(changed):
    before = await accrued(changed)
    changed.clock.step(hours=1)
    await changed.say(3_000)
    assert await accrued(changed) == before + 2_000 * 1_000_000


async def bare_point(site):
    """A further point of a room, without a tariff and without a meter."""
    return await device.add_point(
        site.db, site.project_id, site.rooms[0].place_id, "electricity", None, Keeper.PLATFORM,
        site.clock(),
    )  # fmt: skip


async def hang(site, point_id):
    """A meter for it, now."""
    key = site.db, site.project_id, site.gateway_id, point_id, MODEL, "000000008888", 1
    return await device.add_meter(*key, site.clock())


async def rated(site, point_id):
    row = await site.row("select rated_nano from point_state where point_id = $1", point_id)
    return row["rated_nano"]


@pytest.mark.parametrize("late", [False, True])
async def test_a_first_tariff_prices_what_is_used_from_then_on_whatever_has_been_read(
    new_site, late
):
    site = await new_site(rooms=1)
    point_id = await bare_point(site)
    meter_id = await hang(site, point_id)
    site.clock.step(minutes=30)
    began = site.clock()
    before = (meter_id, began + timedelta(minutes=30), 5_000)
    await site.read((meter_id, began, 0))
    site.clock.step(minutes=30)
    if not late:
        await site.read(before)
    site.clock.step(minutes=15)
    await give(site, DEAR)
    if late:
        await site.read(before)
    site.clock.step(minutes=15)
    await site.read((meter_id, site.clock(), 7_000))
    assert await rated(site, point_id) == 1_000 * 1_000_000
    await give(site, CHEAP)
    site.clock.step(minutes=30)
    await site.read((meter_id, site.clock(), 8_000))
    assert await rated(site, point_id) == 1_000 * 1_000_000 + 1_000 * 500_000


async def test_what_was_used_without_a_tariff_is_told_as_such(new_site):
    site = await new_site(rooms=1)
    point_id = await bare_point(site)
    meter_id = await hang(site, point_id)
    site.clock.step(minutes=30)
    await site.read((meter_id, site.clock(), 0))
    site.clock.step(minutes=10)
    await give(site, DEAR)
    site.clock.step(minutes=20)
    await site.read((meter_id, site.clock(), 3_000))
    (one,) = await explained(site, point_id)
    assert (one.tariff, one.is_exact, one.amount_nano) == ("Dear", True, 2_000 * 1_000_000)
    assert [(line.energy_milli, line.is_unpriced) for line in one.lines] == [
        (1_000, True), (2_000, False),
    ]  # fmt: skip


async def test_a_first_tariff_given_with_the_meter_prices_its_first_interval(new_site):
    site = await new_site(rooms=1)
    point_id = await bare_point(site)
    meter_id = await hang(site, point_id)
    await give(site, DEAR)
    # Stored by the gateway before anybody told us of the meter.
    await site.read((meter_id, site.clock() - timedelta(minutes=5), 0))
    site.clock.step(minutes=7)
    await site.read((meter_id, site.clock(), 1_000))
    assert await rated(site, point_id) == 1_000 * 1_000_000


async def test_blocks_stay_where_they_are_while_there_is_no_tariff(new_site):
    site = await new_site(rooms=1, tariff=HOMES)
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(15_000)
    site.clock.step(minutes=10)
    row = await device.point(site.db, site.project_id, site.points[0])
    key = site.db, site.project_id, site.points[0]
    await device.edit_point(*key, row["version"], None, Keeper.PLATFORM, site.clock())
    site.clock.step(minutes=10)
    await tariff.assign(site.db, site.project_id, site.tariff_id, None, site.clock())
    site.clock.step(minutes=10)
    await site.say(24_000)
    assert (await site.state())["block_milli"] == 21_000
    assert await accrued(site) == 20_000 * 620_000 + 1_000 * 670_000


async def test_a_tariff_that_is_not_in_force_yet_is_not_given(new_site):
    site = await new_site(rooms=1, tariff=CHEAP)
    with pytest.raises(tariff.TariffNotYet):
        await give(site, COMING)
    made = (await tariff.names(site.db, site.project_id))[1]["id"]
    row = await device.point(site.db, site.project_id, site.points[0])
    key = site.db, site.project_id, site.points[0], row["version"]
    with pytest.raises(tariff.TariffNotYet):
        await device.edit_point(*key, made, Keeper.PLATFORM, site.clock())
    now = await device.point(site.db, site.project_id, site.points[0])
    assert (now["tariff_id"], now["version"]) == (site.tariff_id, row["version"])
