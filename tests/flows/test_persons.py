"""Limits and free energy follow how many live there, since when they do."""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest

from flows.test_prices import explained, flat
from meterhouse.errors import NotFound
from meterhouse.flows import account, customer, device, persons, replay, settle, tariff
from meterhouse.flows.account import AccountEnded, Terms
from meterhouse.flows.intervals import Held
from meterhouse.flows.prices import Tariffs
from meterhouse.flows.settle import Balance, Leaving
from meterhouse.model import Keeper
from meterhouse.rating.bill import Household, bill
from meterhouse.rating.load import Load
from meterhouse.rating.tariff import parse
from meterhouse.store.personal import Facts
from meterhouse.units import to_us

HALF, WHOLE = 500_000, 1_000_000
BASE = flat("Homes", [HALF, WHOLE])
BY_PERSONS = BASE | {
    "versions": [
        BASE["versions"][0]
        | {"blocks": {"period": "month", "limits_milli": [10_000],
                      "persons": [{"persons": 3, "add_milli": [6_000]}]}}
    ],
}  # fmt: skip
# Edges at whole hours, as the readings below.
STUDENTS = BY_PERSONS | {
    "name": "Students",
    "billing": {"anchor_day": 20, "anchor_hour": 12, "proration": "whole"},
    "versions": [
        BY_PERSONS["versions"][0]
        | {"bands": ["peak", "valley"],
           "day_tables": {"day": {"00:00": "valley", "08:00": "peak", "22:00": "valley"}},
           "blocks": {"period": "month", "limits_milli": [60_000],
                      "persons": [{"persons": 3, "add_milli": [20_001]}]},
           "prices_micro": {"peak": [600_007, 900_001], "valley": [300_011, 400_009]},
           "surcharges": [{"name": "funds", "price_micro": 20_003}],
           "allowance": {"grant": "period", "energy_milli": 7_000, "per_person": True}}
    ],
}  # fmt: skip


async def rated_nano(site):
    return (await site.state())["rated_nano"]


async def change(site, number, room=0):
    return await persons.change(
        site.db, site.project_id, site.rooms[room].agreement_id, number, site.clock()
    )


async def known(site, room=0):
    """How many the point has, and since when it had how many."""
    point_id = site.points[room]
    row = await site.row("select persons from point where id = $1", point_id)
    rows = await site.rows(
        "select from_at, persons from point_persons where point_id = $1 order by 1", point_id
    )
    return row["persons"], [(one["from_at"], one["persons"]) for one in rows]


@pytest.fixture
async def grown(new_site):
    """A household of one that used 8 kWh; then 10 in an hour, in the middle of which it was 4."""
    site = await new_site(rooms=1, tariff=BY_PERSONS)
    await site.say(0)
    site.clock.step(hours=1)
    await site.say(8_000)
    site.clock.step(minutes=30)
    assert await change(site, 4) == 1
    site.clock.step(minutes=30)
    await site.say(18_000)
    return site


async def test_what_was_used_stays_used_and_the_limits_are_others_from_then_on(grown):
    # 2 kWh were left of the first block and 3 went beyond; then 3 are left of the larger one.
    before = 8_000 * HALF + 2_000 * HALF + 3_000 * WHOLE
    assert await rated_nano(grown) == before + 3_000 * HALF + 2_000 * WHOLE
    first, second = await explained(grown)
    assert (first.held, second.held) == (
        [Held(1, (10_000,))], [Held(1, (10_000,)), Held(4, (16_000,))],
    )  # fmt: skip
    assert (second.tariff, second.is_exact) == ("Homes", True)
    assert [(line.energy_milli, line.price_micro) for line in second.lines] == [
        (2_000, HALF), (3_000, WHOLE), (3_000, HALF), (2_000, WHOLE),
    ]  # fmt: skip


async def test_a_late_reading_of_before_counts_who_lived_there_then(grown):
    # Ten minutes after eleven; of the fifty around the change twenty lie before it.
    await grown.read((grown.meters[0], grown.clock() - timedelta(minutes=50), 8_500))
    before = 8_500 * HALF + 1_500 * HALF + 2_300 * WHOLE
    assert await rated_nano(grown) == before + 3_700 * HALF + 2_000 * WHOLE
    assert all(one.is_exact for one in await explained(grown))


async def test_whoever_counts_for_nothing_changes_nothing(new_site):
    sites = [await new_site(rooms=1, tariff=BY_PERSONS, name=name) for name in ("a", "b")]
    for site in sites:
        site.clock = type(site.clock)(sites[0].clock())
        await site.say(0)
        site.clock.step(minutes=7)
    # Of two there is said what is said of one.
    await change(sites[1], 2)
    for site in sites:
        site.clock.step(minutes=23)
        await site.say(11_003)
    assert await rated_nano(sites[0]) == await rated_nano(sites[1])
    (one,) = await explained(sites[1])
    assert [(line.energy_milli, line.block) for line in one.lines] == [(10_000, 0), (1_003, 1)]


async def test_a_month_of_a_household_costs_what_its_bill_says(new_site):
    site = await new_site(rooms=1, tariff=STUDENTS)
    await change(site, 3)
    edges = [site.clock() + timedelta(hours=2 * step) for step in range(12 * 31)]
    used = np.array([(step * 37) % 900 for step in range(len(edges) - 1)], np.int64)
    totals = [0, *np.cumsum(used).tolist()]
    site.clock.at = edges[-1]
    for part in (range(0, len(edges), 2), range(1, len(edges), 2)):
        await site.read(*((site.meters[0], edges[place], totals[place]) for place in part))
    spans = np.array([(to_us(a), to_us(b)) for a, b in pairwise(edges)], np.int64)
    load = Load(spans[:, 0].copy(), spans[:, 1].copy(), used)
    for number, is_theirs in ((3, True), (2, False), (1, False)):
        billed = bill(parse(STUDENTS), "Asia/Shanghai", load, Household(number))
        same = int(billed.interval_nano.sum()) == await rated_nano(site)
        assert same == is_theirs


async def test_a_scheme_is_tried_out_for_as_many_as_lived_there(grown):
    site, tariffs = grown, Tariffs()
    question = replay.Question(
        np.array(site.points), site.clock() - timedelta(days=1), site.clock(),
        replay.scheme_of(tariffs, BY_PERSONS),
    )  # fmt: skip

    async def silent(_done, _total):
        """Nobody watches."""

    found = await replay.replay(site.db, tariffs, site.project_id, question, silent)
    assert found.rows["would_nano"].tolist() == [await rated_nano(site)]


async def test_who_comes_next_is_one_unless_they_say_otherwise(new_site):
    site = await new_site(rooms=1, tariff=BY_PERSONS)
    await change(site, 4)
    began = site.clock()
    await site.say(0)
    site.clock.step(minutes=1)
    comes = await customer.add(site.db, site.project_id, Facts("Next"), "en")
    key = site.db, site.project_id
    moved = await settle.move_tenants(
        *key, site.rooms[0].agreement_id, comes, Terms(persons=5), Balance.PAY_OUT,
        Leaving("they moved"), None, site.clock(),
    )  # fmt: skip
    second = site.clock()
    assert await known(site) == (5, [(began, 4), (second, 5)])
    await site.say(0)
    site.clock.step(minutes=1)
    await settle.close(*key, moved.next_id, Leaving("they moved"), None, site.clock())
    vacant = site.clock()
    assert await known(site) == (1, [(began, 4), (second, 5), (vacant, 1)])
    with pytest.raises(AccountEnded):
        await persons.change(*key, moved.next_id, 3, site.clock())
    site.clock.step(minutes=1)
    place_id = site.rooms[0].place_id
    opened = await account.prepare(*key, place_id, comes, Terms(persons=3), None, site.clock())
    assert (await known(site))[0] == 1
    await account.open_prepared(*key, opened, None, site.clock())
    assert await known(site) == (
        3, [(began, 4), (second, 5), (vacant, 1), (site.clock(), 3)],
    )  # fmt: skip


async def test_every_point_of_a_household_counts_all_of_it(new_site):
    site = await new_site(rooms=2, tariff=BY_PERSONS)
    key = site.db, site.project_id
    await site.say(0, room=1)
    site.clock.step(minutes=1)
    agreement_ids = [room.agreement_id for room in site.rooms]
    await settle.close(*key, agreement_ids[1], Leaving("they moved"), None, site.clock())
    await change(site, 4)
    site.clock.step(minutes=1)
    await account.join(*key, agreement_ids[0], site.rooms[1].place_id, None, site.clock())
    assert await known(site, room=1) == (4, [(site.clock(), 4)])
    site.clock.step(minutes=1)
    await change(site, 2)
    assert [(await known(site, room))[0] for room in (0, 1)] == [2, 2]
    # Said again it is nothing new.
    site.clock.step(minutes=1)
    assert await change(site, 2) == 2
    assert len((await known(site))[1]) == 2


async def test_a_first_tariff_counts_who_has_come_before_it_was_given(new_site):
    site = await new_site(rooms=1, tariff=BY_PERSONS)
    row = await device.point(site.db, site.project_id, site.points[0])
    key = site.db, site.project_id, site.points[0], row["version"]
    await device.edit_point(*key, None, Keeper.PLATFORM, site.clock())
    await site.say(0)
    site.clock.step(minutes=20)
    await change(site, 4)
    site.clock.step(minutes=20)
    await tariff.assign(site.db, site.project_id, site.tariff_id, None, site.clock())
    site.clock.step(minutes=20)
    await site.say(51_000)
    # Two thirds of the hour at no price, the rest by sixteen.
    assert await rated_nano(site) == 16_000 * HALF + 1_000 * WHOLE
    (one,) = await explained(site)
    assert [(held.persons, held.limits_milli) for held in one.held] == [(4, (16_000,))]


async def test_nobody_counts_in_a_household_that_is_not_there(new_site):
    site = await new_site(rooms=1)
    with pytest.raises(NotFound):
        await persons.change(site.db, site.project_id, 10**9, 2, site.clock())
