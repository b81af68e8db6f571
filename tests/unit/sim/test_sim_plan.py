"""Unfolding a seed: the same seed gives the same town, and every size fits."""

import json
from collections import Counter

import pytest

from meterhouse.errors import OutOfRange
from meterhouse.sim.plan import FLOORS_MAX, plan_town
from meterhouse.sim.spec import TownSpec


@pytest.mark.parametrize(("meters", "gateways"), [(3, 1), (3, 3), (7, 2), (200, 6), (2_000, 40)])
def test_every_meter_has_one_room_and_one_gateway(meters, gateways):
    town = plan_town(11, meters, gateways)
    addresses = [meter.address for meter in town.meters]
    assert len(set(addresses)) == meters
    rooms = [
        room for building in town.buildings for floor in building.floors for room in floor.rooms
    ]
    assert sorted(room.meter for room in rooms) == addresses
    assert [address for gateway in town.gateways for address in gateway.meters] == addresses
    assert len({gateway.registration for gateway in town.gateways}) == gateways
    assert min(len(gateway.meters) for gateway in town.gateways) >= 1


def test_a_demo_town():
    town = plan_town(2026, 200, 6)
    assert [building.kind for building in town.buildings] == ["flats", "shops", "offices"]
    assert len({building.name for building in town.buildings}) == 3
    for building in town.buildings:
        assert len(building.floors) <= FLOORS_MAX
        rooms = [room for floor in building.floors for room in floor.rooms]
        public = [room for room in rooms if room.kind == "public"]
        assert len(public) == 1
        assert public[0].customer == ""
        named = [room for room in rooms if room.kind == "room"]
        assert all(room.customer and room.area_dm2 > 0 for room in named)
        assert len({room.name for room in named}) == len(named)
    models = Counter(meter.model for meter in town.meters)
    assert models == {"DDSY1352-NK": 129, "DTSY1352-NK": 71}


def test_the_same_seed_plans_the_same_town():
    assert plan_town(5, 120, 4) == plan_town(5, 120, 4)
    assert plan_town(5, 120, 4) != plan_town(6, 120, 4)


def test_a_town_survives_json():
    town = plan_town(5, 120, 4)
    text = town.to_json()
    assert TownSpec.from_json(text) == town
    assert json.loads(text)["seed"] == 5


@pytest.mark.parametrize(("meters", "gateways"), [(2, 1), (1_000_001, 1), (10, 0), (10, 11)])
def test_impossible_towns_are_refused(meters, gateways):
    with pytest.raises(OutOfRange):
        plan_town(1, meters, gateways)
