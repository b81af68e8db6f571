"""Unfolds a seed into a town: who lives where, what they draw, which meter counts it.

Owns names, sizes and the odds of a town. Must never make a meter; it writes a `TownSpec` that
`town` builds and that a database can be filled from. The same seed gives the same town.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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

_SURNAMES = "王李张刘陈杨黄赵周吴徐孙朱马胡郭林何高罗郑梁谢宋唐许邓韩冯曹彭曾肖田董潘袁蔡蒋余"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰文建国志红海燕春梅晓东雪峰云飞欣怡子涵"
_SHOP_FIRST = ("顺意", "好邻居", "东升", "福满", "春和", "鑫源", "百味", "老街", "万家", "晨光")
_SHOP_LAST = ("便利店", "超市", "餐馆", "药房", "水果店", "理发店", "面馆", "五金店", "茶铺", "书店")
_FIRM_FIRST = ("恒远", "中科", "华信", "天一", "博雅", "启明", "海纳", "云帆", "同创", "立信")
_FIRM_LAST = ("科技", "贸易", "设计", "物流", "咨询", "传媒", "教育", "软件")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind of building is like; `share` is of a hundred meters."""

    name: str
    share: int
    rooms_a_floor: int
    area_dm2: tuple[int, int]
    loads: tuple[tuple[LoadClass, int, int], ...]


_KINDS = {
    "flats": _Kind(
        "{n}号住宅楼",
        65,
        6,
        (5000, 14000),
        ((LoadClass.HOUSEHOLD, 120, 450), (LoadClass.H0, 1500, 4500)),
    ),
    "shops": _Kind(
        "{n}号商业楼",
        15,
        10,
        (2500, 30000),
        ((LoadClass.G4, 6000, 30000), (LoadClass.G0, 5000, 25000)),
    ),
    "offices": _Kind(
        "{n}号写字楼", 20, 8, (6000, 40000), ((LoadClass.G1, 5000, 40000), (LoadClass.G0, 5000, 20000))
    ),
}
FLOORS_MAX = 30


def plan_town(
    seed: int,
    meters: int,
    gateways: int,
    *,
    single_phase_model: str = "ddsy1352-nk",
    three_phase_model: str = "dtsy1352-nk",
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
        share = max(1, meters * traits.share // 100) if kind != "offices" else left
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
        floors.append(FloorSpec(f"{floor}层", tuple(rooms)))
    public = _plan_meter(dice, ((LoadClass.G0, 3000, 9000),), models[1], seed, len(specs))
    specs.append(public)
    hall = RoomSpec("公共区域", "public", dice.between(20000, 90000), "", public.address)
    if floors:
        floors[0] = FloorSpec(floors[0].name, (*floors[0].rooms, hall))
    else:
        floors.append(FloorSpec("1层", (hall,)))
    return BuildingSpec(traits.name.format(n=number), kind, tuple(floors))


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
    if kind == "shops":
        return dice.pick(_SHOP_FIRST) + dice.pick(_SHOP_LAST)
    if kind == "offices":
        return dice.pick(_FIRM_FIRST) + dice.pick(_FIRM_LAST) + "有限公司"
    given = "".join(dice.pick(_GIVEN) for _ in range(dice.between(1, 2)))
    return dice.pick(_SURNAMES) + given
