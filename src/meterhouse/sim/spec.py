"""A town as plain data: what a seed is unfolded into, and what a database can be filled from.

Owns the shapes of a town's parts and their JSON. Must never know bytes, physics or time. Everything
is an integer, a string or a tuple of these, so that a spec written today rebuilds the same town on
any machine.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MeterSpec:
    """One meter as it left the factory and was hung on its bus.

    Attributes:
        address: twelve digits, unique in the town.
        model: name of a meter model.
        load_class: a `LoadClass` value.
        scale_permille: the customer's use against the class, in thousandths.
        shift_ms: how much earlier than the class the customer lives.
        seed: what the meter's voltage, power factor and phase split are rolled from.
        start_wh: what the four band registers show at the start, in Wh.
        drift_ppm: how many millionths the clock runs too fast.
        clock_error_ms: how far ahead the clock is at the start.
        keeps_purse: True when the meter itself deducts money and trips (表内计费).
        credit_minor: money in the meter at the start, in 0.01 of the currency.
        purchase_count: how many purchases it has taken (充值次数).
        price_micro: price per kWh in each band, in millionths of the currency.
        presses_after_ms: how long after an allowed close somebody presses the button, or None.
        password: six digits.
    """

    address: str
    model: str
    load_class: str = "household"
    scale_permille: int = 300
    shift_ms: int = 0
    seed: int = 0
    start_wh: tuple[int, int, int, int] = (0, 0, 0, 0)
    drift_ppm: int = 0
    clock_error_ms: int = 0
    keeps_purse: bool = False
    credit_minor: int = 0
    purchase_count: int = 0
    price_micro: tuple[int, int, int, int] = (0, 0, 0, 0)
    presses_after_ms: int | None = None
    password: str = "000000"  # noqa: S105  # the factory default of the field


@dataclass(frozen=True, slots=True)
class RoomSpec:
    """A room or public area, who lives there, and its meter."""

    name: str
    kind: str
    area_dm2: int
    customer: str
    meter: str


@dataclass(frozen=True, slots=True)
class FloorSpec:
    """One floor of a building."""

    name: str
    rooms: tuple[RoomSpec, ...]


@dataclass(frozen=True, slots=True)
class BuildingSpec:
    """One building; `kind` is flats, shops or offices."""

    name: str
    kind: str
    floors: tuple[FloorSpec, ...]


@dataclass(frozen=True, slots=True)
class GatewaySpec:
    """One transparent gateway: the text it registers with, and the addresses on its bus."""

    registration: str
    meters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TownSpec:
    """A whole town. `utc_offset_ms` is what its wall clocks add to UTC."""

    seed: int
    utc_offset_ms: int
    buildings: tuple[BuildingSpec, ...]
    gateways: tuple[GatewaySpec, ...]
    meters: tuple[MeterSpec, ...]

    def to_json(self) -> str:
        """The town as JSON text."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "TownSpec":
        """The town that `to_json` wrote."""
        data = json.loads(text)
        return cls(
            seed=data["seed"],
            utc_offset_ms=data["utc_offset_ms"],
            buildings=tuple(_building(each) for each in data["buildings"]),
            gateways=tuple(
                GatewaySpec(each["registration"], tuple(each["meters"]))
                for each in data["gateways"]
            ),
            meters=tuple(
                MeterSpec(**{name: _tupled(value) for name, value in each.items()})
                for each in data["meters"]
            ),
        )


def _building(data: dict[str, Any]) -> BuildingSpec:
    floors = tuple(
        FloorSpec(floor["name"], tuple(RoomSpec(**room) for room in floor["rooms"]))
        for floor in data["floors"]
    )
    return BuildingSpec(data["name"], data["kind"], floors)


def _tupled(field: Any) -> Any:
    return tuple(field) if isinstance(field, list) else field
