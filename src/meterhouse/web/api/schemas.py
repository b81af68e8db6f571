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
    RoomState,
)

Item = TypeVar("Item")

Id = Annotated[int, Field(ge=1, examples=[12])]
DECIMAL = r"^-?\d+(\.\d+)?$"


class Shape(BaseModel):
    """What all shapes share: unknown fields are refused, docstrings are descriptions."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


Decimals = Annotated[str, Field(pattern=DECIMAL, json_schema_extra={"format": "decimal"})]


class Money(Shape):
    """An amount of money."""

    amount: Decimals = Field(examples=["43.33", "-0.37"])
    """Decimal string in the currency's unit, with all its decimals."""
    currency: str = Field(min_length=3, max_length=3, examples=["CNY"])
    """ISO 4217 code."""


class Quantity(Shape):
    """An amount of energy, volume or power."""

    amount: Decimals = Field(examples=["3741.000"])
    """Decimal string with three decimals."""
    unit: str = Field(examples=["kWh", "m³", "kW"])
    """The unit the amount is in."""


class Project(Shape):
    """A project the key reaches."""

    id: Id
    """Id of the project."""
    name: str
    """Its name."""
    timezone: str = Field(examples=["Asia/Shanghai"])
    """IANA zone that decides its days."""
    currency: str = Field(examples=["CNY"])
    """ISO 4217 code of its books."""
    verbs: list[str] = Field(examples=[["room.read", "meter.switch"]])
    """What the key may do there."""


class Room(Shape):
    """A room as on the monitor; of several points the worst state and the electricity's money."""

    id: Id
    """Id of the room."""
    name: str = Field(examples=["A302"])
    """Its number or name."""
    floor: str
    """The floor's name, empty where there is none."""
    building_id: Id
    """Id of the building."""
    building: str
    """The building's name."""
    customer: str | None
    """Who pays, null while the room is vacant."""
    state: RoomState
    """The monitor's colour, as a word."""
    relay: str = Field(examples=["closed", "open", "armed", "unknown"])
    """The relay as the meter reported it."""
    override: Override
    """What a person laid over the automatic decision."""
    available: Money | None
    """What may still be spent; null where nobody keeps money."""


class Rooms(Shape):
    """The rooms, and the version they were read at."""

    version: int = Field(ge=0)
    """Give it as `since` to learn what changed."""
    items: list[Room]
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
    tariff: str | None
    """Name of the tariff."""
    meter_id: Id | None
    """Id of the meter in service."""
    address: str | None
    """The meter's address on its line."""
    model: str | None
    """The meter's model."""
    gateway_id: Id | None
    """Id of the gateway that leads to it."""
    read_at: datetime | None
    """When the meter was last read."""
    registers: list[Quantity]
    """Total, then sharp, peak, flat, valley as the meter shows them; empty before a reading."""
    power: Quantity | None
    """Power at the last reading."""
    relay: str = Field(examples=["closed"])
    """The relay as the meter reported it."""
    days: list["Day"]
    """The last days by the project's calendar, today last."""


class Day(Shape):
    """What a point used on one local day."""

    day: date
    """The day in the project's time zone."""
    energy: Quantity
    """What was used."""
    cost: Money
    """What it cost, to a billionth of the currency's unit; not rounded."""


class RoomDetail(Shape):
    """A room with its points."""

    id: Id
    """Id of the room."""
    name: str
    """Its number or name."""
    floor: str
    """The floor's name."""
    building: str
    """The building's name."""
    customer: str | None
    """Who pays."""
    points: list[Point]
    """Its points."""


class Page(Shape, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    """The rows of this page."""
    total: int = Field(ge=0)
    """How many rows match in all."""
    page: int = Field(ge=1)
    """This page."""
    page_size: int = Field(ge=1, le=200)
    """Rows a page."""


class Meter(Shape):
    """A meter in service."""

    id: Id
    """Id of the meter."""
    address: str = Field(examples=["000000000026"])
    """Its address on the line."""
    model: str = Field(examples=["DDSY1352-NK"])
    """Its model."""
    multiplier: int = Field(ge=1)
    """Transformer ratio between register and energy."""
    room_id: Id | None
    """Id of the room."""
    room: str | None
    """The room's name."""
    gateway_id: Id | None
    """Id of the gateway."""
    online: bool
    """Whether it answers."""
    read_at: datetime | None
    """When it was last read."""
    total: Quantity | None
    """Its total register at the last reading."""
    power: Quantity | None
    """Power at the last reading."""
    relay: str = Field(examples=["closed"])
    """Its relay as reported."""


class Gateway(Shape):
    """A gateway."""

    id: Id
    """Id of the gateway."""
    name: str
    """Its name."""
    registration: str
    """The text it names itself with."""
    direction: str = Field(examples=["dial_in", "dial_out"])
    """Who calls whom."""
    online: bool
    """Whether it is connected."""
    peer: str
    """Address it is connected from."""
    seen_at: datetime | None
    """When it was last heard."""
    meter_count: int = Field(ge=0)
    """Meters behind it."""
    offline_count: int = Field(ge=0)
    """Of these, how many do not answer."""


class Reading(Shape):
    """Register values of a meter at an instant."""

    read_at: datetime
    """When the meter said so."""
    received_at: datetime
    """When it arrived here."""
    total: Quantity
    """The total register."""
    bands: list[Quantity | None] = Field(min_length=4, max_length=4)
    """Sharp, peak, flat, valley; null where not reported."""
    power: Quantity | None
    """Power, where reported."""
    relay: str = Field(examples=["closed"])
    """The relay."""


class Alarm(Shape):
    """A condition that opened and may have closed."""

    id: Id
    """Id of the alarm."""
    kind: AlarmKind
    """What it is."""
    subject: str = Field(examples=["meter:12"])
    """What it is about."""
    room_id: Id | None
    """Id of the room, where it concerns one."""
    room: str | None
    """The room's name."""
    level: int = Field(ge=0, le=4, examples=[2])
    """Warning level of a credit alarm, 1 to 3, 4 when owing; else 0."""
    why: str = Field(examples=["", "jump"])
    """What it adds to its kind, as a stable code; often empty."""
    opened_at: datetime
    """When it opened."""
    closed_at: datetime | None
    """When it closed; null while it is open."""


class Notice(Shape):
    """A message to a customer or to staff."""

    id: Id
    """Id of the notice."""
    channel: str = Field(examples=["console", "email"])
    """How it is sent."""
    room: str | None
    """The room it is about."""
    subject: str
    """Its subject."""
    text: str
    """Its text."""
    state: str = Field(examples=["queued", "sent", "failed"])
    """How far it has come."""
    created_at: datetime
    """When it was written."""
    sent_at: datetime | None
    """When it was sent."""


class Personal(Shape):
    """Who a customer is, unmasked."""

    name: str | None = Field(examples=["Zhang San"])
    """Name; null when not asked for or not known."""
    phone: str | None = Field(examples=["13812345678"])
    """Phone; null when not asked for or not known."""
    email: str | None = Field(examples=["zhang@example.org"])
    """E-mail; null when not asked for or not known."""
    id_number: str | None = Field(examples=[None])
    """Identity number; null when not asked for or not known."""
    is_erased: bool
    """Whether it was erased; then nothing is known any more."""


class AuditEntry(Shape):
    """One thing that was done."""

    id: Id
    """Id of the entry; grows with time within a project."""
    at: datetime
    """When it was done."""
    actor_id: int | None
    """Id of the person or API client; null for the command line and the platform itself."""
    actor: str
    """Their name, empty where there is none."""
    via: Via
    """Through what it was done."""
    act: str = Field(examples=["meter.disconnect"])
    """What was done, as a stable word."""
    verb: str = Field(examples=["meter.switch"])
    """The verb that allowed it."""
    object: str = Field(examples=["meter:12"])
    """What it was done to."""
    before: dict[str, Any] | None = Field(examples=[{"open": True}])
    """The facts that changed, as they were."""
    after: dict[str, Any] | None = Field(examples=[{"open": False}])
    """The same facts afterwards."""
    reason: str
    """Why, in the person's words."""
    request_id: str
    """The request it came with, as in the log."""
    is_sealed: bool
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
    why: str = Field(examples=["", "silence"])
    """Why it ended so, as a stable code; empty when done."""
    cause: Reason
    """What caused it: a person or a rule."""
    reason: str
    """What the person said."""
    created_at: datetime
    """When it was asked."""
    ended_at: datetime | None
    """When it ended; null while it lives."""


class SavedFilter(Shape):
    """What a list shows, under a name of one's own."""

    id: Id
    """Id of the filter."""
    list: str = Field(examples=["meters"])
    """The list."""
    name: str
    """What it is called."""
    query: str = Field(examples=["?online=false&sort=room"])
    """The query of the list's address."""


class TaskRow(Shape):
    """What came of one row of a task that does one thing to many."""

    id: Id
    """Id of what it was done to."""
    outcome: Literal["done", "refused", "failed"]
    """`refused` rows were not touched; `why` says what stood against it."""
    why: str = Field(examples=["", "not_found"])
    """Code of the error, empty when done."""
    command_id: Id | None
    """The command that was asked for, where it was one; ask for it until it has ended."""


class Task(Shape):
    """A long task: begun once, carried out in the background, watched from anywhere."""

    id: Id
    """Id of the task."""
    kind: str = Field(examples=["bulk"])
    """What sort of work it is."""
    title: str = Field(examples=["Disconnect"])
    """What it does, in English."""
    state: Literal["waiting", "queued", "running", "done", "failed", "cancelled"]
    """How far it has come; `waiting` for the approval of a second person."""
    done_count: int = Field(ge=0, examples=[40])
    """How many have been dealt with."""
    total_count: int = Field(ge=0, examples=[120])
    """Of how many; 0 while that is not known."""
    why: str = Field(examples=["", "not_allowed"])
    """Why it failed, as a stable code; else empty."""
    created_at: datetime
    """When it was asked for."""
    ended_at: datetime | None
    """When it ended; null while it lives."""


class TaskDetail(Task):
    """A task with what came of it."""

    rows: list[TaskRow]
    """For work done to many: each row dealt with so far, in order of their ids."""


class Credit(Shape):
    """What a payment led to."""

    payment_id: Id
    """Id of the payment."""
    amount: Money
    """What was paid."""
    available: Money
    """What may be spent now."""
