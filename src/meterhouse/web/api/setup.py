"""The shapes of setting up a site: places, devices, tariffs, rules, households.

Owns what other software may rely on when it sets a site up or looks at how it is set up. Must never
know a row's column names. What two may edit carries its `version`, which a change sends back.
"""

from datetime import date
from typing import Annotated, Any

from pydantic import Field

from meterhouse.model import Commodity, Keeper
from meterhouse.web.api.schemas import COUNT_MAX, DECIMAL, At, Id, Money, Shape, Version

Count = Field(ge=0, le=COUNT_MAX, examples=[120])
Area = Field(default=None, pattern=DECIMAL, examples=["86.50"])


def _text(*examples: str, most: int = 200) -> Any:
    return Field(max_length=most, examples=list(examples))


def _many(most: int = 100_000) -> Any:
    return Field(max_length=most)


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

    building_ids: list[Id] = Field(max_length=500, examples=[[12, 13]])
    """Ids of the buildings."""
    floor_count: int = Count
    """Floors made."""
    room_count: int = Count
    """Rooms made."""


class Group(Shape):
    """A group of projects."""

    id: Id
    """Id of the group."""
    name: str = _text("Riverside")
    """Its name."""


class Building(Shape):
    """A building and what it counts."""

    id: Id
    """Id of the place."""
    name: str = _text("Riverside")
    """Its name."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""
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
    kind: str = _text("room", most=60)
    """building, floor, room or area."""
    name: str = _text("Riverside")
    """Its name."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""
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
    """Its version, which `If-Match` names in a change."""


class PointDetail(Shape):
    """A point as it is set up."""

    id: Id
    """Id of the point."""
    place_id: Id
    """The place it is in."""
    commodity: Commodity
    """What is delivered."""
    keeper: Keeper
    """Who keeps the money."""
    tariff_id: Id | None
    """Its tariff."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""


class MeterSpan(Shape):
    """A meter at a place for a span of time."""

    id: Id
    """Id of the meter."""
    address: str = _text("000000000012")
    """Its address."""
    model: str = _text("DDSY1352-NK")
    """Its model."""
    installed_at: At
    """Since when."""
    removed_at: At | None
    """Until when; none: in service."""


class PlaceDetail(Place):
    """A place, what lies beneath it, its points and its meters' history."""

    path: list[Annotated[str, Field(max_length=60)]] = Field(
        max_length=3, examples=[["1", "1F", "101"]]
    )
    """Names from the top down to it."""
    places: list[Place] = _many()
    """Everything beneath it, level by level."""
    points: list[SetupPoint] = _many(100)
    """Its points."""
    meters: list[MeterSpan] = _many(1_000)
    """Every meter that hung or hangs here, newest first."""


class GatewayDetail(Shape):
    """A gateway in use."""

    id: Id
    """Id of the gateway."""
    name: str = _text("Riverside")
    """Its name."""
    registration: str = _text("MHGW00000001")
    """The text it registers with."""
    direction: str = _text("dial_in", most=60)
    """dial_in: it calls us; dial_out: we call it."""
    address: str | None = _text("000000000012")
    """host:port of one that we call."""
    protocol: str = _text("dlt645-2007", most=60)
    """What its line speaks."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""
    online: bool = Field(examples=[True])
    """Whether it has a line now."""
    meter_ids: list[Id] = Field(max_length=10_000, examples=[[12, 13]])
    """Meters on its line."""


class MeterDetail(Shape):
    """A meter, in service or removed."""

    id: Id
    """Id of the meter."""
    address: str = _text("000000000012")
    """Its address."""
    model: str = _text("DDSY1352-NK")
    """Its model."""
    multiplier: int = Field(ge=1, le=100_000, examples=[1])
    """What its registers are multiplied by."""
    gateway_id: Id | None
    """The line it is on."""
    point_id: Id | None
    """The point it hangs at."""
    place_id: Id | None
    """The place of that point."""
    installed_at: At
    """Since when."""
    removed_at: At | None
    """Until when; none: in service."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""


class TariffItem(Shape):
    """A tariff of the list."""

    id: Id
    """Id of the tariff."""
    name: str = _text("Riverside")
    """Its name."""
    commodity: Commodity
    """What it prices."""
    effective_from: At
    """Since when its latest published version is in force, or will be."""
    version_count: int = Count
    """Published versions."""
    point_count: int = Count
    """Points rated by it."""


class TariffDetail(Shape):
    """A tariff with its whole scheme."""

    id: Id
    """Id of the tariff."""
    name: str = _text("Riverside")
    """Its name."""
    commodity: Commodity
    """What it prices."""
    point_count: int = Count
    """Points rated by it."""
    scheme: dict[str, Any] = Field(examples=[{"name": "Homes", "currency": "CNY"}])
    """The scheme with all published versions, oldest first."""


class CustomerItem(Shape):
    """A customer of the list; who it is comes masked."""

    id: Id
    """Id of the customer."""
    name: str | None = _text("Riverside")
    """Masked name; none when erased."""
    phone: str | None = _text("138****0000")
    """Masked phone."""
    email: str | None = _text("w***@example.org")
    """Masked e-mail."""
    language: str = _text("zh-Hans", most=60)
    """The language of notices."""
    room_count: int = Count
    """Places they pay for now."""


class AgreementSpan(Shape):
    """An agreement of a customer."""

    id: Id
    """Id of the agreement."""
    places: str = _text("1 101", most=10_000)
    """The places it pays or paid for."""
    valid_from: At
    """Since when."""
    valid_to: At | None
    """Until when; none: in force."""
    balance: Money
    """What is in its purse, without what has accrued."""


class OpeningItem(Shape):
    """An account made ready, to be opened with one click."""

    id: Id
    """Id of the opening."""
    place_id: Id
    """The place it is for."""
    room: str = _text("101")
    """Name of the place."""
    customer_id: Id
    """Who will pay."""
    state: str = Field(
        pattern="^(prepared|opened|withdrawn)$", max_length=20, examples=["prepared"]
    )
    """prepared, opened or withdrawn."""
    purse: str = Field(pattern="^(apart|together)$", max_length=20, examples=["apart"])
    """Whether all commodities draw one purse, or each its own."""
    opening_credit: Money
    """What it will begin with, brought along."""
    opening_debt: Money
    """What it will begin with, owed from before."""
    deposit: Money
    """The deposit that is paid when it is opened."""
    opening_deposit: Money
    """A deposit that was taken before these books began."""
    overdraft: Money
    """How far below zero it may fall."""
    agreement_id: Id | None
    """The agreement it has become."""
    created_at: At
    """When it was prepared."""
    ended_at: At | None
    """When it was opened or withdrawn."""


class CustomerDetail(Shape):
    """A customer, masked, with their agreements."""

    id: Id
    """Id of the customer."""
    name: str | None = _text("Riverside")
    """Masked name; none when erased."""
    phone: str | None = _text("138****0000")
    """Masked phone."""
    email: str | None = _text("w***@example.org")
    """Masked e-mail."""
    language: str = _text("zh-Hans", most=60)
    """The language of notices."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""
    agreements: list[AgreementSpan] = _many(10_000)
    """Their agreements, newest first."""


class SpecialDay(Shape):
    """A special day of the calendar."""

    day: date = Field(examples=["2026-10-01"])
    """The day."""
    kind: str = _text("holiday", most=60)
    """holiday, workday (made up for) or special."""
    name: str = _text("Riverside")
    """What it is called."""


class Payee(Shape):
    """Who receives the money of a charge class."""

    id: Id
    """Id of the payee."""
    charge_class: str = _text("electricity", most=60)
    """electricity, water, heat, cooling or fee."""
    name: str = _text("Riverside")
    """Who it is."""
    merchant: str = _text("1900000109")
    """Merchant account at the payment provider."""
    tax_id: str = _text("91310000000000000X")
    """Tax identity."""
    series: str = _text("E-2026")
    """What their documents' numbers begin with."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""


class Step(Shape):
    """A step of setting a site up."""

    name: str = _text("gateways", most=60)
    """Stable name of the step."""
    done: bool = Field(examples=[True])
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
    name: str = _text("Riverside")
    """Its name."""
    timezone: str = _text("Asia/Shanghai", most=60)
    """The zone that decides days, months and bands."""
    currency: str = _text("CNY", most=60)
    """ISO 4217 code."""
    currency_exponent: int = Field(ge=0, le=4, examples=[2])
    """Decimals of the currency."""
    reading_interval_s: int = Field(ge=60, le=86_400, examples=[1800])
    """Seconds between rounds of reading."""
    frozen: bool = Field(examples=[False])
    """Whether nothing is disconnected at all."""
    policy: dict[str, Any] = Field(examples=[{"notice_age_s": 1800}])
    """The rules in force, by name."""
    version: int = Version
    """Its version, which `If-Match` names in a change."""
    has_moved_money: bool = Field(examples=[True])
    """Whether the currency is fixed for ever."""
    steps: list[Step] = _many(10)
    """The set-up checklist."""
