"""A site set up by its flows: places, gateways, meters, tariffs, households, projects."""

from dataclasses import replace
from datetime import timedelta

import pytest

from meterhouse.errors import NotFound
from meterhouse.flows import device, onboard, place, project, tariff
from meterhouse.flows.choice import ChoiceGone
from meterhouse.flows.device import GatewayFacts
from meterhouse.flows.naming import Pattern, unfold
from meterhouse.flows.project import Identity
from meterhouse.flows.reading import OpeningUnfit
from meterhouse.model import Commodity, Keeper
from meterhouse.rating.fields import TariffInvalid
from meterhouse.store.devices import AddressTaken, PointMetered, RegistrationTaken
from meterhouse.store.places import PlaceNotEmpty
from meterhouse.store.projects import Payee, PayeeThere
from premises import MODEL, MORNING

GATEWAY = GatewayFacts("Roof", "NEW-1", "dial_in", None, "dlt645-2007")
BLOCKS = {"blocks": {"period": "month", "limits_milli": [1000]}, "prices_micro": {"flat": [1, 2]}}


async def test_a_pattern_grows_once_and_names_what_is_taken(site):
    pattern = Pattern(2, 1, "B{building}", 2, 1, "{floor}F", 3, 1, "{floor}{room:02}")
    made = await place.grow(site.db, site.project_id, unfold(pattern))
    assert (len(made.building_ids), made.floor_count, made.room_count) == (2, 4, 12)
    now = await place.look(site.db, site.project_id, made.building_ids[1])
    assert [row["name"] for row in now.beneath if row["kind"] == "room"][:3] == [
        "101",
        "102",
        "103",
    ]
    with pytest.raises(place.NamesTaken) as told:
        await place.grow(site.db, site.project_id, unfold(replace(pattern, building_first=2)))
    assert "B2" in told.value.message()
    assert "B3" not in told.value.message()
    counts = {row["name"]: row for row in await place.buildings(site.db, site.project_id)}
    assert set(counts) == {"A", "B1", "B2"}
    assert (counts["B1"]["room_count"], counts["A"]["meter_count"]) == (6, 3)
    more = unfold(Pattern(floor_count=1, floor_first=3))[0].floors
    await place.grow_floors(site.db, site.project_id, made.building_ids[0], more)
    with pytest.raises(place.NamesTaken):
        await place.grow_floors(site.db, site.project_id, made.building_ids[0], more)
    with pytest.raises(place.PlaceUnfit):
        await place.grow_floors(site.db, site.project_id, site.floor_id, more)


async def test_a_place_knows_its_building_wherever_it_is_moved(site):
    db, number = site.db, site.project_id
    pattern = Pattern(2, 1, "T{building}", 1, 1, "{floor}F", 2, 1, "{floor}{room:02}")
    one, other = (await place.grow(db, number, unfold(pattern))).building_ids
    now = await place.look(db, number, one)
    (floor,) = [row for row in now.beneath if row["kind"] == "floor"]
    await place.edit(db, number, floor["id"], 1, "2F", None, other)
    async with db.transaction([number]) as connection:
        rows = await connection.fetch(
            "select kind, building_id from place where building_id = any($1) order by 1, 2",
            [one, other],
        )
    assert [tuple(row) for row in rows] == [
        ("building", one), ("building", other), *[("floor", other)] * 2, *[("room", other)] * 4,
    ]  # fmt: skip


async def test_an_opening_register_is_where_billing_begins(site):
    db, number, at = site.db, site.project_id, site.clock()
    shed = await place.add(db, number, site.floor_id, "area", "Workshop", None)
    keeper, gateway_id = Keeper.PLATFORM, site.gateway_id

    async def point_of(commodity=Commodity.ELECTRICITY):
        return await device.add_point(db, number, shed, commodity, site.tariff_id, keeper, at)

    async def used_milli(point_id):
        async with db.transaction([number]) as connection:
            return await connection.fetchval(
                "select sum(energy_milli) from charge where point_id = $1", point_id
            )

    first = await point_of()
    added = await device.add_meter(db, number, gateway_id, first, MODEL, "901", 1, at, 5_000_000)
    hung = await device.add_meter(db, number, gateway_id, None, MODEL, "902", 1, at)
    second = await point_of()
    await device.hang_meter(db, number, hung, second, at, 0)
    later = site.clock.step(minutes=30)
    await site.read((added, later, 5_010_000), (hung, later, 2_000))
    assert (await used_milli(first), await used_milli(second)) == (10_000, 2_000)
    third = await point_of()
    for point_id, opening_milli in ((None, 1), (third, 10**12), (third, -1)):
        with pytest.raises(OpeningUnfit):
            await device.add_meter(
                db, number, gateway_id, point_id, MODEL, "903", 1, later, opening_milli
            )


async def test_a_place_is_moved_and_the_second_of_two_editors_is_told(site):
    db, number = site.db, site.project_id
    shed = await place.add(db, number, site.floor_id, "area", "Shed", 1250)
    building = await place.add(db, number, None, "building", "C", None)
    await place.edit(db, number, shed, 1, "Hall", 1300, building)
    now = await place.look(db, number, shed)
    assert [one["name"] for one in now.path] == ["C", "Hall"]
    assert (now.row["area_dm2"], now.row["version"]) == (1300, 2)
    with pytest.raises(place.ChangedMeanwhile):
        await place.edit(db, number, shed, 1, "Old idea", None, building)
    with pytest.raises(place.PlaceUnfit):
        await place.edit(db, number, shed, 2, "Hall", None, None)
    with pytest.raises(place.NamesTaken):
        await place.add(db, number, building, "area", "Hall", None)


async def test_only_an_empty_place_is_removed(site):
    with pytest.raises(PlaceNotEmpty):
        await place.remove(site.db, site.project_id, site.floor_id)
    with pytest.raises(PlaceNotEmpty):
        await place.remove(site.db, site.project_id, site.rooms[0].place_id)
    made = await place.add(site.db, site.project_id, site.floor_id, "room", "199", None)
    await place.remove(site.db, site.project_id, made)
    with pytest.raises(NotFound):
        await place.look(site.db, site.project_id, made)


async def test_a_gateway_comes_changes_and_goes(site):
    db, number = site.db, site.project_id
    made = await device.add_gateway(db, number, GATEWAY)
    with pytest.raises(RegistrationTaken):
        await device.add_gateway(db, number, GATEWAY)
    out = replace(GATEWAY, direction="dial_out", address="10.0.0.7:4001")
    with pytest.raises(device.AddressMissing):
        await device.edit_gateway(db, number, made, 1, replace(out, address="10.0.0.7"))
    await device.edit_gateway(db, number, made, 1, out)
    with pytest.raises(place.ChangedMeanwhile):
        await device.edit_gateway(db, number, made, 1, GATEWAY)
    with pytest.raises(device.GatewayInUse):
        await device.remove_gateway(db, number, site.gateway_id, site.clock())
    await device.remove_gateway(db, number, made, site.clock())
    with pytest.raises(NotFound):
        await device.gateway(db, number, made)
    again = await device.add_gateway(db, number, GATEWAY)
    assert again != made


async def test_a_meter_waits_hangs_and_leaves_only_by_removal(site):
    db, number, at = site.db, site.project_id, site.clock()
    (meter_id,) = await onboard.add_meters(db, number, site.gateway_id, [("77", MODEL)], at)
    assert (await device.meter(db, number, meter_id))["address"] == "000000000077"
    with pytest.raises(PointMetered):
        await device.hang_meter(db, number, meter_id, site.points[0], at)
    place_id = await place.add(db, number, site.floor_id, "room", "201", None)
    point_id = await device.add_point(
        db, number, place_id, Commodity.ELECTRICITY, site.tariff_id, Keeper.PLATFORM, at
    )
    await device.hang_meter(db, number, meter_id, point_id, at)
    with pytest.raises(device.MeterPlaced):
        await device.hang_meter(db, number, meter_id, site.points[1], at)
    await site.read((meter_id, site.clock.step(minutes=1), 5_000))
    await site.read((meter_id, site.clock.step(minutes=30), 6_000))
    await device.remove_meter(db, number, meter_id, site.clock.step(minutes=1))
    next_id = await device.add_meter(
        db, number, site.gateway_id, point_id, MODEL, "78", 1, site.clock()
    )
    state = await site.row("select * from point_state where point_id = $1", point_id)
    assert (state["meter_id"], state["good_0_milli"]) == (next_id, 0)
    assert state["rated_nano"] == 1_000 * 600_000
    inside = await device.furnished(db, number, place_id)
    assert [row["address"] for row in inside.meters] == ["000000000078", "000000000077"]
    with pytest.raises(PointMetered):
        await device.remove_point(db, number, point_id)


async def test_an_address_is_its_lines_only(site):
    for address in ("000000000001", "1"):
        with pytest.raises(AddressTaken):
            await device.add_meter(
                site.db, site.project_id, site.gateway_id, None, MODEL, address, 1, site.clock()
            )


async def test_a_further_version_never_begins_before_the_last(site):
    db, number, at = site.db, site.project_id, site.clock()
    begins = at + timedelta(days=1)

    async def publish(effective_from):
        part = BLOCKS | {"effective_from": effective_from.isoformat()}
        return await tariff.publish_version(db, number, site.tariff_id, part, None, at)

    with pytest.raises(tariff.VersionTooEarly):
        await publish(at - timedelta(seconds=1))
    assert await publish(begins) == 2
    with pytest.raises(tariff.VersionTooEarly):
        await publish(begins)
    now = await tariff.look(db, number, site.tariff_id)
    assert [len(one.prices_micro[0]) for one in now.scheme.versions] == [1, 2]


async def test_a_tariff_is_given_to_a_building_at_once(new_site):
    site = await new_site()
    made = await onboard.publish_tariff(
        site.db, site.project_id,
        {"name": "B", "commodity": "electricity", "currency": "CNY", "versions": [
            BLOCKS | {"effective_from": "2020-01-01T00:00:00+08:00"}]},
        None, site.clock(),
    )  # fmt: skip
    elsewhere = await place.add(site.db, site.project_id, None, "building", "Z", None)
    with pytest.raises(tariff.NoPointThere):
        await tariff.assign(site.db, site.project_id, made, elsewhere, MORNING)
    assert await tariff.assign(site.db, site.project_id, made, None, MORNING) == 3
    rows = await site.rows("select distinct tariff_id from point")
    assert [row["tariff_id"] for row in rows] == [made]


async def test_currency_and_time_zone_are_fixed_once_money_has_moved(new_site):
    site = await new_site(rooms=1)
    new = Identity("Site", "Europe/Berlin", "EUR", 2, 900)
    await project.edit(site.db, site.project_id, 1, new)
    assert {row["unit"] for row in await site.rows("select unit from account")} == {"EUR"}
    await site.pay(100)
    with pytest.raises(project.CurrencyFixed):
        await project.edit(site.db, site.project_id, 2, replace(new, currency="CNY"))
    with pytest.raises(project.TimezoneFixed):
        await project.edit(site.db, site.project_id, 2, replace(new, timezone="Asia/Shanghai"))
    with pytest.raises(project.TimezoneUnknown):
        await project.edit(site.db, site.project_id, 2, replace(new, timezone="Mars/Base"))
    await project.edit(site.db, site.project_id, 2, replace(new, name="Other"))
    with pytest.raises(place.ChangedMeanwhile):
        await project.edit(site.db, site.project_id, 2, new)


@pytest.mark.parametrize("name", project.TEMPLATES)
async def test_a_template_is_a_policy_that_a_project_can_keep(site, name):
    row = (await project.look(site.db, site.project_id)).row
    await project.set_policy(site.db, site.project_id, row["version"], project.template(name))
    now = await project.look(site.db, site.project_id)
    assert now.policy == project.TEMPLATES[name]


async def test_calendar_and_payees_are_kept(site):
    db, number = site.db, site.project_id
    assert await project.put_days(db, number, project.fixed_holidays(2027, "Holiday")) == 5
    first = (await project.calendar(db, number))[0]["day"]
    await project.put_days(db, number, [(first, "workday", "")])
    assert [row["kind"] for row in await project.calendar(db, number)][:2] == ["workday", "holiday"]
    await project.remove_day(db, number, first)
    with pytest.raises(ChoiceGone):
        await project.remove_day(db, number, first)
    made = await project.add_payee(db, number, Payee("water", "Waterworks", "", "", ""))
    with pytest.raises(PayeeThere):
        await project.add_payee(db, number, Payee("water", "Others", "", "", ""))
    with pytest.raises(project.ClassUnknown):
        await project.add_payee(db, number, Payee("air", "Nobody", "", "", ""))
    changed = Payee("", "Waterworks", "1900000109", "", "W-2026")
    await project.edit_payee(db, number, made, 1, changed)
    with pytest.raises(place.ChangedMeanwhile):
        await project.edit_payee(db, number, made, 1, changed)


async def test_the_checklist_is_what_stands(new_site):
    site = await new_site(rooms=2)

    async def steps():
        now = await project.standing(site.db, site.project_id)
        return {one.name: (one.done, one.missing) for one in project.steps(now)}

    assert await steps() == {
        "rooms": (True, 0), "gateways": (False, 1), "meters": (True, 0), "price": (True, 0),
        "people": (True, 0), "reading": (False, 2),
    }  # fmt: skip
    await site.say(0)
    await onboard.add_meters(
        site.db, site.project_id, site.gateway_id, [("9", MODEL)], site.clock()
    )
    found = await steps()
    assert (found["meters"], found["reading"]) == ((False, 1), (False, 1))


async def test_a_tariff_that_cannot_run_along_is_refused_whole(site):
    shared = {"blocks": {"counted": "household"}, "prices_micro": {"flat": [1]}}
    body = {
        "name": "Shared blocks", "commodity": "electricity", "currency": "CNY",
        "versions": [shared | {"effective_from": "2026-01-01T00:00:00+08:00"}],
    }  # fmt: skip
    before = await tariff.names(site.db, site.project_id)
    with pytest.raises(TariffInvalid, match=r"blocks\.counted"):
        await onboard.publish_tariff(site.db, site.project_id, body, None, MORNING)
    assert await tariff.names(site.db, site.project_id) == before
    later = shared | {"effective_from": "2030-01-01T00:00:00+08:00"}
    with pytest.raises(TariffInvalid, match=r"blocks\.counted"):
        await tariff.publish_version(
            site.db, site.project_id, before[0]["id"], later, None, MORNING
        )  # fmt: skip
    assert len((await tariff.look(site.db, site.project_id, before[0]["id"])).scheme.versions) == 1
