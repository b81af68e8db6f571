"""The shapes of setting up a site: places, devices, tariffs, rules, households.

Owns what other software may rely on when it sets a site up or looks at how it is set up. Must never
know a row's column names. What two may edit carries its `version`, which a change sends back.
"""

from datetime import date, datetime

from pydantic import Field

from meterhouse.model import Commodity, Keeper
from meterhouse.web.api.schemas import DECIMAL, Id, Money, Shape

Count = Field(ge=0, examples=[120])
Area = Field(default=None, pattern=DECIMAL, examples=["86.50"])
Version = Field(ge=1, examples=[3])


class Made(Shape):
    """What was made or changed."""

    id: Id
    """Its id."""


class Counted(Shape):
    """How many were made or changed."""

    count: int = Count
    """How many."""


class Grown(Shape):
    """What a pattern made."""

    building_ids: list[Id]
    """Ids of the buildings."""
    floor_count: int = Count
    """Floors made."""
    room_count: int = Count
    """Rooms made."""


class Group(Shape):
    """A group of projects."""

    id: Id
    """Id of the group."""
    name: str
    """Its name."""


class Building(Shape):
    """A building and what it counts."""

    id: Id
    """Id of the place."""
    name: str
    """Its name."""
    version: int = Version
    """Version to send with a change."""
    floor_count: int = Count
    """Floors in it."""
    room_count: int = Count
    """Rooms in it."""
    area_count: int = Count
    """Public areas in it."""
    meter_count: int = Count
    """Meters in service in it."""
    area: str | None = Area
    """Sum of the known areas in m²."""


class Place(Shape):
    """A place beneath another."""

    id: Id
    """Id of the place."""
    parent_id: Id | None
    """What it lies in."""
    kind: str = Field(examples=["room"])
    """building, floor, room or area."""
    name: str
    """Its name."""
    version: int = Version
    """Version to send with a change."""
    area: str | None = Area
    """Area in m²."""


class SetupPoint(Shape):
    """A point of a place as it is set up."""

    id: Id
    """Id of the point."""
    commodity: Commodity
    """What is delivered."""
    keeper: Keeper
    """Who keeps the money."""
    tariff_id: Id | None
    """Its tariff."""
    meter_id: Id | None
    """The meter in service."""
    agreement_id: Id | None
    """Who pays now."""
    customer_id: Id | None
    """The customer of that agreement; none: the house."""
    version: int = Version
    """Version to send with a change."""


class MeterSpan(Shape):
    """A meter at a place for a span of time."""

    id: Id
    """Id of the meter."""
    address: str
    """Its address."""
    model: str
    """Its model."""
    installed_at: datetime
    """Since when."""
    removed_at: datetime | None
    """Until when; none: in service."""


class PlaceDetail(Place):
    """A place, what lies beneath it, its points and its meters' history."""

    path: list[str]
    """Names from the top down to it."""
    places: list[Place]
    """Everything beneath it, level by level."""
    points: list[SetupPoint]
    """Its points."""
    meters: list[MeterSpan]
    """Every meter that hung or hangs here, newest first."""


class GatewayDetail(Shape):
    """A gateway in use."""

    id: Id
    """Id of the gateway."""
    name: str
    """Its name."""
    registration: str
    """The text it registers with."""
    direction: str = Field(examples=["dial_in"])
    """dial_in: it calls us; dial_out: we call it."""
    address: str | None
    """host:port of one that we call."""
    protocol: str = Field(examples=["dlt645-2007"])
    """What its line speaks."""
    version: int = Version
    """Version to send with a change."""
    online: bool
    """Whether it has a line now."""
    meter_ids: list[Id]
    """Meters on its line."""


class MeterDetail(Shape):
    """A meter, in service or removed."""

    id: Id
    """Id of the meter."""
    address: str
    """Its address."""
    model: str
    """Its model."""
    multiplier: int
    """What its registers are multiplied by."""
    gateway_id: Id | None
    """The line it is on."""
    point_id: Id | None
    """The point it hangs at."""
    place_id: Id | None
    """The place of that point."""
    installed_at: datetime
    """Since when."""
    removed_at: datetime | None
    """Until when; none: in service."""
    version: int = Version
    """Version to send with a change."""


class TariffItem(Shape):
    """A tariff of the list."""

    id: Id
    """Id of the tariff."""
    name: str
    """Its name."""
    commodity: Commodity
    """What it prices."""
    effective_from: datetime
    """Since when its latest published version is in force, or will be."""
    version_count: int = Count
    """Published versions."""
    point_count: int = Count
    """Points rated by it."""


class TariffDetail(Shape):
    """A tariff with its whole scheme."""

    id: Id
    """Id of the tariff."""
    name: str
    """Its name."""
    commodity: Commodity
    """What it prices."""
    point_count: int = Count
    """Points rated by it."""
    scheme: dict[str, object]
    """The scheme with all published versions, oldest first."""


class CustomerItem(Shape):
    """A customer of the list; who it is comes masked."""

    id: Id
    """Id of the customer."""
    name: str | None
    """Masked name; none when erased."""
    phone: str | None
    """Masked phone."""
    email: str | None
    """Masked e-mail."""
    language: str = Field(examples=["zh-Hans"])
    """The language of notices."""
    room_count: int = Count
    """Places they pay for now."""


class AgreementSpan(Shape):
    """An agreement of a customer."""

    id: Id
    """Id of the agreement."""
    places: str
    """The places it pays or paid for."""
    valid_from: datetime
    """Since when."""
    valid_to: datetime | None
    """Until when; none: in force."""
    balance: Money
    """What is in its purse, without what has accrued."""


class CustomerDetail(Shape):
    """A customer, masked, with their agreements."""

    id: Id
    """Id of the customer."""
    name: str | None
    """Masked name; none when erased."""
    phone: str | None
    """Masked phone."""
    email: str | None
    """Masked e-mail."""
    language: str = Field(examples=["zh-Hans"])
    """The language of notices."""
    version: int = Version
    """Version to send with a change."""
    agreements: list[AgreementSpan]
    """Their agreements, newest first."""


class Day(Shape):
    """A special day of the calendar."""

    day: date
    """The day."""
    kind: str = Field(examples=["holiday"])
    """holiday, workday (made up for) or special."""
    name: str
    """What it is called."""


class Payee(Shape):
    """Who receives the money of a charge class."""

    id: Id
    """Id of the payee."""
    charge_class: str = Field(examples=["electricity"])
    """electricity, water, heat, cooling or fee."""
    name: str
    """Who it is."""
    merchant: str
    """Merchant account at the payment provider."""
    tax_id: str
    """Tax identity."""
    series: str
    """What their documents' numbers begin with."""
    version: int = Version
    """Version to send with a change."""


class Step(Shape):
    """A step of setting a site up."""

    name: str = Field(examples=["gateways"])
    """Stable name of the step."""
    done: bool
    """Whether nothing is missing."""
    have: int = Count
    """How many there are."""
    missing: int = Count
    """How many are missing, where that can be counted."""


class ProjectDetail(Shape):
    """What a project is, its rules, and how far it is set up."""

    id: Id
    """Id of the project."""
    group_id: Id
    """Its group."""
    name: str
    """Its name."""
    timezone: str = Field(examples=["Asia/Shanghai"])
    """The zone that decides days, months and bands."""
    currency: str = Field(examples=["CNY"])
    """ISO 4217 code."""
    currency_exponent: int = Field(ge=0, le=4, examples=[2])
    """Decimals of the currency."""
    reading_interval_s: int = Field(ge=60, le=86_400, examples=[1800])
    """Seconds between rounds of reading."""
    frozen: bool
    """Whether nothing is disconnected at all."""
    policy: dict[str, object]
    """The rules in force, by name."""
    version: int = Version
    """Version to send with a change."""
    has_moved_money: bool
    """Whether the currency is fixed for ever."""
    steps: list[Step]
    """The set-up checklist."""
