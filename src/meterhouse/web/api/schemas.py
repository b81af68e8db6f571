"""The shapes of `/api/v1`: every field with its meaning, unit and range.

Owns what other software may rely on. Must never know a row's column names outside the functions
that translate them here. Money and energy are decimal strings with their unit, because a binary
fraction cannot hold a fen; instants are RFC 3339 in UTC.
"""

from datetime import date, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from meterhouse.flows.act import Via
from meterhouse.model import (
    AlarmKind,
    CommandKind,
    CommandState,
    Commodity,
    Keeper,
    Override,
    Reason,
    Relay,
    RoomState,
)

Item = TypeVar("Item")

DECIMAL = r"^-?\d{1,19}(\.\d{1,9})?$"
ID_MAX = 2**63 - 1
COUNT_MAX = 2**31 - 1

Id = Annotated[int, Field(ge=1, le=ID_MAX, examples=[12])]
Version: Any = Field(ge=1, le=COUNT_MAX, examples=[3])
At = Annotated[datetime, Field(examples=["2026-11-21T03:00:24.336060Z"])]
RelayState = Annotated[
    str, Field(json_schema_extra={"enum": [relay.name.lower() for relay in Relay]})
]


def text(*examples: str, most: int = 500) -> Any:
    """A text of so many characters at most."""
    return Field(max_length=most, examples=list(examples))


class Shape(BaseModel):
    """What all shapes share: unknown fields are refused, docstrings are descriptions."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


Decimals = Annotated[str, Field(pattern=DECIMAL, json_schema_extra={"format": "decimal"})]


class Money(Shape):
    """An amount of money."""

    amount: Decimals = Field(examples=["43.33", "-0.37"])
    """Decimal string in the currency's unit, with all its decimals."""
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["CNY"])
    """ISO 4217 code."""


class Quantity(Shape):
    """An amount of energy, volume or power."""

    amount: Decimals = Field(examples=["3741.000"])
    """Decimal string with three decimals."""
    unit: str = Field(json_schema_extra={"enum": ["kWh", "m³", "kW"]})
    """The unit the amount is in."""


class Project(Shape):
    """A project the key reaches."""

    id: Id
    """Id of the project."""
    name: str = text("Anrui Town")
    """Its name."""
    timezone: str = text("Asia/Shanghai", most=60)
    """IANA zone that decides its days."""
    currency: str = Field(pattern="^[A-Z]{3}$", examples=["CNY"])
    """ISO 4217 code of its books."""
    verbs: list[Annotated[str, Field(max_length=60)]] = Field(
        max_length=500, examples=[["room.read", "meter.switch"]]
    )
    """What the key may do there."""


class Room(Shape):
    """A room as on the monitor; of several points the worst state and the electricity's money."""

    id: Id
    """Id of the room."""
    name: str = text("A302")
    """Its number or name."""
    floor: str = text("3F", "")
    """The floor's name, empty where there is none."""
    building_id: Id
    """Id of the building."""
    building: str = text("A")
    """The building's name."""
    customer: str | None = text("Li N**")
    """Who pays, null while the room is vacant."""
    state: RoomState
    """The monitor's colour, as a word."""
    relay: RelayState
    """The relay as the meter reported it."""
    override: Override
    """What a person laid over the automatic decision."""
    available: Money | None
    """What may still be spent; null where nobody keeps money."""


class Rooms(Shape):
    """The rooms that changed, and the version they were read at."""

    version: int = Field(ge=0, le=ID_MAX, examples=[266])
    """Give it as `since` to learn what changed."""
    items: list[Room] = Field(max_length=COUNT_MAX)
    """Rooms by building, floor and number."""


class Point(Shape):
    """A point of a room: one commodity, its meter and its money."""

    id: Id
    """Id of the point."""
    commodity: Commodity
    """What it delivers."""
    keeper: Keeper
    """Who keeps its money."""
    override: Override
    """What a person laid over the automatic decision."""
    state: RoomState
    """Its state, as on the monitor."""
    available: Money | None
    """What may still be spent."""
    tariff: str | None = text("Homes")
    """Name of the tariff."""
    meter_id: Id | None
    """Id of the meter in service."""
    address: str | None = text("000000000026")
    """The meter's address on its line."""
    model: str | None = text("DDSY1352-NK")
    """The meter's model."""
    gateway_id: Id | None
    """Id of the gateway that leads to it."""
    read_at: At | None
    """When the meter was last read."""
    registers: list[Quantity] = Field(max_length=5)
    """Total, then sharp, peak, flat, valley as the meter shows them; empty before a reading."""
    power: Quantity | None
    """Power at the last reading."""
    relay: RelayState
    """The relay as the meter reported it."""
    days: list["Day"] = Field(max_length=400)
    """The last days by the project's calendar, today last."""


class Day(Shape):
    """What a point used on one local day."""

    day: date = Field(examples=["2026-11-21"])
    """The day in the project's time zone."""
    energy: Quantity
    """What was used."""
    estimated: Quantity
    """What of it is estimated: the next reading takes it back."""
    cost: Money
    """What it cost, to a billionth of the currency's unit; not rounded."""


class RoomDetail(Shape):
    """A room with its points."""

    id: Id
    """Id of the room."""
    name: str = text("A302")
    """Its number or name."""
    floor: str = text("3F", "")
    """The floor's name."""
    building: str = text("A")
    """The building's name."""
    customer: str | None = text("Li N**")
    """Who pays."""
    points: list[Point] = Field(max_length=COUNT_MAX)
    """Its points."""


class Page(Shape, Generic[Item]):
    """One page of a list."""

    # Pages of each shape are made by the program: no source holds docstrings of theirs, and to look
    # for them in vain takes a tenth of a second each.
    model_config = ConfigDict(use_attribute_docstrings=False)

    items: list[Item] = Field(max_length=200, description="The rows of this page.")
    next_cursor: str | None = Field(
        max_length=1000, examples=["WzEsIjA0ZjJlNWM3Il0", None],
        description="Give it as `cursor` for the next page; null on the last.",
    )  # fmt: skip
    total: int | None = Field(
        ge=0, le=10_000, examples=[203, None],
        description="How many rows match, up to 10,000; null unless `count` was asked for.",
    )  # fmt: skip
    total_is_more: bool = Field(
        examples=[False], description="Whether more match than `total` says."
    )


class RoomPage(Page[Room]):
    """One page of rooms, and the version it was read at."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    version: int = Field(ge=0, le=ID_MAX, examples=[266])
    """Give that of the first page as `since` to learn what changed."""


class Meter(Shape):
    """A meter in service."""

    id: Id
    """Id of the meter."""
    address: str = text("000000000026")
    """Its address on the line."""
    model: str = text("DDSY1352-NK")
    """Its model."""
    multiplier: int = Field(ge=1, le=100_000, examples=[1])
    """Transformer ratio between register and energy."""
    room_id: Id | None
    """Id of the room."""
    room: str | None = text("A302")
    """The room's name."""
    gateway_id: Id | None
    """Id of the gateway."""
    online: bool = Field(examples=[True])
    """Whether it answers."""
    read_at: At | None
    """When it was last read."""
    total: Quantity | None
    """Its total register at the last reading."""
    power: Quantity | None
    """Power at the last reading."""
    relay: RelayState
    """Its relay as reported."""


class Gateway(Shape):
    """A gateway."""

    id: Id
    """Id of the gateway."""
    name: str = text("GW-1")
    """Its name."""
    registration: str = text("A100F7")
    """The text it names itself with."""
    direction: Literal["dial_in", "dial_out"]
    """Who calls whom."""
    online: bool = Field(examples=[True])
    """Whether it is connected."""
    peer: str = text("10.0.0.7:40112", "")
    """Address it is connected from."""
    seen_at: At | None
    """When it was last heard."""
    meter_count: int = Field(ge=0, le=COUNT_MAX, examples=[32])
    """Meters behind it."""
    offline_count: int = Field(ge=0, le=COUNT_MAX, examples=[0])
    """Of these, how many do not answer."""


class Reading(Shape):
    """Register values of a meter at an instant."""

    id: Id
    """Its number among the readings of its meter."""
    read_at: At
    """When the meter said so."""
    received_at: At
    """When it arrived here."""
    total: Quantity
    """The total register."""
    bands: list[Quantity | None] = Field(
        min_length=4,
        max_length=4,
        examples=[[None, {"amount": "882.880", "unit": "kWh"}, None, None]],
    )
    """Sharp, peak, flat, valley; null where not reported."""
    power: Quantity | None
    """Power, where reported."""
    relay: RelayState
    """The relay."""
    quality: Literal["good", "apportioned", "estimated", "doubtful", "edited"]
    """How it stands: `doubtful` is not billed yet, `edited` was decided by a person."""


class Alarm(Shape):
    """A condition that opened and may have closed."""

    id: Id
    """Id of the alarm."""
    kind: AlarmKind
    """What it is."""
    subject: str = text("meter:12")
    """What it is about."""
    room_id: Id | None
    """Id of the room, where it concerns one."""
    room: str | None = text("A302")
    """The room's name."""
    level: int = Field(ge=0, le=4, examples=[2])
    """Warning level of a credit alarm, 1 to 3, 4 when owing; else 0."""
    why: str = text("", "jump")
    """What it adds to its kind, as a stable code; often empty."""
    opened_at: At
    """When it opened."""
    closed_at: At | None
    """When it closed; null while it is open."""


class Notice(Shape):
    """A message to a customer or to staff."""

    id: Id
    """Id of the notice."""
    channel: str = text("console", "email", most=40)
    """How it is sent."""
    room: str | None = text("A302")
    """The room it is about."""
    subject: str = text("Credit is low")
    """Its subject."""
    text: str = text("Room A302: ¥14.20 left.", most=20_000)
    """Its text."""
    state: Literal["queued", "sent", "failed"]
    """How far it has come."""
    created_at: At
    """When it was written."""
    sent_at: At | None
    """When it was sent."""


class Personal(Shape):
    """Who a customer is, unmasked."""

    name: str | None = text("Zhang San")
    """Name; null when not asked for or not known."""
    phone: str | None = text("13812345678")
    """Phone; null when not asked for or not known."""
    email: str | None = text("zhang@example.org")
    """E-mail; null when not asked for or not known."""
    id_number: str | None = text("110101199003070000")
    """Identity number; null when not asked for or not known."""
    is_erased: bool = Field(examples=[False])
    """Whether it was erased; then nothing is known any more."""


class AuditEntry(Shape):
    """One thing that was done."""

    id: Id
    """Id of the entry; grows with time within a project."""
    at: At
    """When it was done."""
    actor_id: Id | None
    """Id of the person or API client; null for the command line and the platform itself."""
    actor: str = text("Li Na", "")
    """Their name, empty where there is none."""
    via: Via
    """Through what it was done."""
    act: str = text("meter.disconnect")
    """What was done, as a stable word."""
    verb: str = text("meter.switch")
    """The verb that allowed it."""
    object: str = text("meter:12")
    """What it was done to."""
    before: dict[str, Any] | None = Field(examples=[{"open": True}])
    """The facts that changed, as they were."""
    after: dict[str, Any] | None = Field(examples=[{"open": False}])
    """The same facts afterwards."""
    reason: str = text("repair of the wiring", "", most=2_000)
    """Why, in the person's words."""
    request_id: str = text("1176f77fd3d6eb3d", "")
    """The request it came with, as in the log."""
    is_sealed: bool = Field(examples=[True])
    """Whether it is under a seal; that takes a few seconds."""


class Command(Shape):
    """One intent to one meter."""

    id: Id
    """Id of the command."""
    meter_id: Id
    """The meter."""
    kind: CommandKind
    """What is asked."""
    state: CommandState
    """How far it has come; `confirmed` means that the effect was read back."""
    why: str = text("", "silence")
    """Why it ended so, as a stable code; empty when done."""
    cause: Reason
    """What caused it: a person or a rule."""
    reason: str = text("repair of the wiring")
    """What the person said."""
    created_at: At
    """When it was asked."""
    ended_at: At | None
    """When it ended; null while it lives."""


class Credit(Shape):
    """What a payment led to."""

    payment_id: Id
    """Id of the payment."""
    amount: Money
    """What was paid."""
    available: Money
    """What may be spent now."""
    change: Money
    """What is given back of the cash handed over."""
