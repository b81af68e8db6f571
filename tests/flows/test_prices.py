"""What is used costs the tariff of its time, whenever its reading arrives."""

from datetime import timedelta

import pytest

from meterhouse.flows import device, onboard, tariff
from meterhouse.flows.intervals import intervals_of
from meterhouse.model import Keeper
from meterhouse.store import catalog, explain


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


async def explained(site):
    async with site.db.transaction([site.project_id]) as connection:
        project = await catalog.get_project(connection, site.project_id)
        since = site.clock() - timedelta(days=1)
        rows = await explain.charges_between(
            connection, site.project_id, site.points[0], since, site.clock()
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


async def test_a_first_tariff_prices_what_was_used_since_the_last_reading(new_site):
    site = await new_site(rooms=1, tariff=CHEAP)
    row = await device.point(site.db, site.project_id, site.points[0])
    key = site.db, site.project_id, site.points[0], row["version"]
    await device.edit_point(*key, None, Keeper.PLATFORM, site.clock())
    await site.say(0)
    site.clock.step(minutes=30)
    await site.say(1_000)
    assert await accrued(site) == 0
    site.clock.step(minutes=15)
    await give(site, DEAR)
    site.clock.step(minutes=15)
    await site.say(3_000)
    assert await accrued(site) == 2_000 * 1_000_000


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
