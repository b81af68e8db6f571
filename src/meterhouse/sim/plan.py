"""Unfolds a seed into a town: who lives where, what they draw, which meter counts it.

Owns names, sizes and the odds of a town. Must never make a meter; it writes a `TownSpec` that
`town` builds and that a database can be filled from. The same seed gives the same town.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from meterhouse.errors import OutOfRange
from meterhouse.sim.dice import Dice, mix
from meterhouse.sim.instant import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from meterhouse.sim.loads import LoadClass
from meterhouse.sim.spec import (
    BuildingSpec,
    FloorSpec,
    GatewaySpec,
    MeterSpec,
    RoomSpec,
    TownSpec,
)

METERS_MAX = 1_000_000
SHANGHAI_OFFSET_MS = 8 * HOUR_MS


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind of building is like.

    Attributes:
        percent: its share of the town's meters.
        rooms_a_floor: how wide it is.
        area_dm2: smallest and largest room.
        loads: classes of customers, with the least and the most of their scale in thousandths.
    """

    percent: int
    rooms_a_floor: int
    area_dm2: tuple[int, int]
    loads: tuple[tuple[LoadClass, int, int], ...]


_HOMES = ((LoadClass.HOUSEHOLD, 120, 450), (LoadClass.H0, 1500, 4500))
_SHOPS = ((LoadClass.G4, 6000, 30000), (LoadClass.G0, 5000, 25000))
_OFFICES = ((LoadClass.G1, 5000, 40000), (LoadClass.G0, 5000, 20000))
_PUBLIC = ((LoadClass.G0, 3000, 9000),)
_KINDS = {
    "flats": _Kind(65, 6, (5000, 14000), _HOMES),
    "shops": _Kind(15, 10, (2500, 30000), _SHOPS),
    "offices": _Kind(20, 8, (6000, 40000), _OFFICES),
}
FLOORS_MAX = 30


def plan_town(
    seed: int,
    meters: int,
    gateways: int,
    *,
    single_phase_model: str = "DDSY1352-NK",
    three_phase_model: str = "DTSY1352-NK",
) -> TownSpec:
    """Unfold a seed into a town.

    Args:
        seed: any integer.
        meters: how many, 3 to 1,000,000; each room has one, the last of a building is its public
            area's.
        gateways: how many share them, contiguously, so that a gateway serves neighbours.
        single_phase_model: the model in flats.
        three_phase_model: the model in shops, offices and public areas.
    """
    if not 3 <= meters <= METERS_MAX:
        raise OutOfRange("meters", meters, 3, METERS_MAX)
    if not 1 <= gateways <= meters:
        raise OutOfRange("gateways", gateways, 1, meters)
    models = (single_phase_model, three_phase_model)
    specs: list[MeterSpec] = []
    buildings: list[BuildingSpec] = []
    for kind, size in _building_sizes(meters):
        number = len(buildings) + 1
        buildings.append(_plan_building(seed, kind, number, size, models, specs))
    return TownSpec(
        seed=seed,
        utc_offset_ms=SHANGHAI_OFFSET_MS,
        buildings=tuple(buildings),
        gateways=tuple(_plan_gateways(specs, gateways)),
        meters=tuple(specs),
    )


def _building_sizes(meters: int) -> Iterator[tuple[str, int]]:
    """Kind and number of meters of each building; every kind appears, none grows too tall."""
    left = meters
    for kind, traits in _KINDS.items():
        share = max(1, meters * traits.percent // 100) if kind != "offices" else left
        left -= share
        tallest = FLOORS_MAX * traits.rooms_a_floor + 1
        count = -(-share // tallest)
        for n in range(count):
            yield kind, (share * (n + 1)) // count - share * n // count


def _plan_building(
    seed: int,
    kind: str,
    number: int,
    size: int,
    models: tuple[str, str],
    specs: list[MeterSpec],
) -> BuildingSpec:
    """One building; its meters are appended to `specs`."""
    traits = _KINDS[kind]
    names = _names()
    dice = Dice(seed, number)
    floors: list[FloorSpec] = []
    rooms_left = size - 1
    while rooms_left > 0:
        here = min(traits.rooms_a_floor, rooms_left)
        rooms_left -= here
        floor = len(floors) + 1
        rooms = []
        for door in range(1, here + 1):
            meter = _plan_meter(dice, traits.loads, models[kind != "flats"], seed, len(specs))
            specs.append(meter)
            area_dm2 = dice.between(*traits.area_dm2)
            name = f"{floor}{door:02d}"
            rooms.append(RoomSpec(name, "room", area_dm2, _customer(dice, kind), meter.address))
        floors.append(FloorSpec(names["floor"].format(n=floor), tuple(rooms)))
    public = _plan_meter(dice, _PUBLIC, models[1], seed, len(specs))
    specs.append(public)
    hall = RoomSpec(names["public_area"], "public", dice.between(20000, 90000), "", public.address)
    if floors:
        floors[0] = FloorSpec(floors[0].name, (*floors[0].rooms, hall))
    else:
        floors.append(FloorSpec(names["floor"].format(n=1), (hall,)))
    return BuildingSpec(names["buildings"][kind].format(n=number), kind, tuple(floors))


def _plan_meter(
    dice: Dice,
    loads: Sequence[tuple[LoadClass, int, int]],
    model: str,
    seed: int,
    index: int,
) -> MeterSpec:
    load_class, low, high = dice.pick(loads)
    # Measured days are few: customers start on different ones, and each a little off the hour.
    days = dice.below(9) if load_class is LoadClass.HOUSEHOLD else 0
    shift_ms = days * DAY_MS + dice.between(-90, 90) * MINUTE_MS
    registers_wh = [dice.below(4_000_000) for _ in range(4)]
    return MeterSpec(
        address=f"{24 * 10**10 + index + 1:012d}",
        model=model,
        load_class=load_class.value,
        scale_permille=dice.between(low, high),
        shift_ms=shift_ms,
        seed=mix(seed, index),
        start_wh=(registers_wh[0], registers_wh[1], registers_wh[2], registers_wh[3]),
        drift_ppm=dice.between(-8, 8),
        clock_error_ms=dice.between(-20 * SECOND_MS, 20 * SECOND_MS),
        presses_after_ms=dice.between(1, 15) * MINUTE_MS,
    )


def _plan_gateways(specs: Sequence[MeterSpec], gateways: int) -> Iterator[GatewaySpec]:
    for n in range(gateways):
        members = specs[len(specs) * n // gateways : len(specs) * (n + 1) // gateways]
        yield GatewaySpec(f"MHGW{n + 1:08d}", tuple(each.address for each in members))


def _customer(dice: Dice, kind: str) -> str:
    names = _names()
    if kind in names:
        return f"{dice.pick(names[kind]['first'])}{dice.pick(names[kind]['last'])}"
    people = names["people"]
    given = [dice.pick(people["given"]) for _ in range(dice.between(1, 2))]
    return "".join([dice.pick(people["surnames"]), *given])


@cache
def _names() -> dict[str, Any]:
    return tomllib.loads((files("meterhouse.sim") / "data" / "names.toml").read_text("utf-8"))
