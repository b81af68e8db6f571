"""Setting up a site: groups, projects, places, households, tariffs, gateways and meters.

Owns what belongs together when a site is made: a project begins with its books and a house
agreement, a household with its purse. Everything of one call is in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import available_timezones

from meterhouse.control import policy as policies
from meterhouse.errors import Unreadable
from meterhouse.flows import opening, sheet, wallet
from meterhouse.flows.sheet import SiteRow, Taken
from meterhouse.ledger.chart import HOUSE_ACCOUNTS
from meterhouse.model import Commodity, Keeper
from meterhouse.rating import tariff as tariffs
from meterhouse.rating.live import live
from meterhouse.store import catalog, devices, ledger, places
from meterhouse.store.db import Database
from meterhouse.store.personal import Facts
from meterhouse.store.places import NewPlace


@dataclass(frozen=True, slots=True)
class NewProject:
    """What a project needs to begin."""

    name: str
    group_id: int
    timezone: str = "Asia/Shanghai"
    currency: str = "CNY"
    currency_exponent: int = 2
    reading_interval_s: int = 1800
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewRoom:
    """A room with its one point, its meter and, unless it is vacant, its household.

    `floor_id` is the place above; `opened_at` the instant from which the household pays.
    """

    floor_id: int
    name: str
    sort: int
    area_dm2: int | None
    tariff_id: int
    model: str
    address: str
    gateway_id: int
    opened_at: datetime
    customer_name: str | None = None
    phone: str | None = None
    email: str | None = None
    commodity: Commodity = Commodity.ELECTRICITY
    keeper: Keeper = Keeper.PLATFORM
    multiplier: int = 1
    floor_minor: int | None = 0


@dataclass(frozen=True, slots=True)
class Room:
    """What was made of a `NewRoom`."""

    place_id: int
    point_id: int
    meter_id: int
    agreement_id: int | None


async def open_group(db: Database, name: str) -> int:
    """A new group of projects."""
    async with db.transaction(()) as connection:
        return await catalog.insert_group(connection, name)


async def open_project(db: Database, new: NewProject, at: datetime) -> int:
    """A project with its house accounts and the house agreement that vacancy falls to."""
    policies.parse(new.policy)
    if new.timezone not in available_timezones():
        raise Unreadable("time zone", new.timezone, "a name such as Asia/Shanghai")
    async with db.transaction(()) as connection:
        project_id = await catalog.insert_project(
            connection, new.group_id, new.name, new.currency, new.currency_exponent,
            new.timezone, new.reading_interval_s, new.policy, at,
        )  # fmt: skip
        for kind in HOUSE_ACCOUNTS:
            await ledger.open_account(connection, project_id, kind, new.currency, floor_minor=None)
        await catalog.insert_agreement(connection, project_id, None, at)
        return project_id


async def add_place(
    db: Database, project_id: int, parent_id: int | None, kind: str, name: str, sort: int = 0
) -> int:
    """A building, floor or public area."""
    async with db.transaction([project_id]) as connection:
        return await catalog.insert_place(connection, project_id, parent_id, kind, name, sort, None)


async def publish_tariff(
    db: Database, project_id: int, body: Mapping[str, Any], actor_id: int | None, at: datetime
) -> int:
    """A tariff from its scheme; each version is kept as it was published, for ever.

    Raises:
        MeterhouseError: the scheme does not hold together, or cannot be charged while energy
            flows (`tariff_invalid`).
    """
    scheme = live(tariffs.parse(dict(body)))
    header = {key: value for key, value in body.items() if key != "versions"}
    async with db.transaction([project_id]) as connection:
        return await catalog.insert_tariff(
            connection, project_id, scheme.name, scheme.commodity,
            [
                (version.effective_from, header | {"versions": [part]})
                for version, part in zip(scheme.versions, body["versions"], strict=True)
            ],
            actor_id, at,
        )  # fmt: skip


async def add_gateway(
    db: Database, project_id: int, name: str, registration: str, direction: str = "dial_in",
    address: str | None = None, protocol: str = "dlt645-2007",
) -> int:  # fmt: skip
    """A gateway that dials in with its registration text, or that we dial at its address."""
    async with db.transaction([project_id]) as connection:
        return await catalog.insert_gateway(
            connection, project_id, name, registration, direction, address, protocol
        )


async def add_rooms(db: Database, project_id: int, rooms: Sequence[NewRoom]) -> list[Room]:
    """Rooms with points, meters and households; all or none.

    Raises:
        NotFound: a room names a meter model that there is not.
        AddressUnusable: an address is not what the model's protocol prints.
        Conflict: a line has one of the addresses already.
    """
    async with db.transaction([project_id]) as connection:
        project = await catalog.get_project(connection, project_id)
        if any(one.keeper == Keeper.METER for one in rooms):
            wallet.check_unit(project)
        house_id = await catalog.house_agreement(connection, project_id)
        place_ids = await places.insert_places(
            connection, project_id,
            [NewPlace(one.floor_id, "room", one.name, one.sort, one.area_dm2) for one in rooms],
        )  # fmt: skip
        point_ids = await devices.insert_points(
            connection, project_id,
            [
                devices.NewPoint(place_id, one.commodity, one.tariff_id, one.keeper)
                for place_id, one in zip(place_ids, rooms, strict=True)
            ],
        )  # fmt: skip
        meters = [
            opening.meter_of(one.model, one.address, one.gateway_id, one.multiplier, point_id)
            for point_id, one in zip(point_ids, rooms, strict=True)
        ]
        meter_ids = await devices.insert_meters(
            connection, project_id, meters, [one.opened_at for one in rooms]
        )
        let = [place for place, one in enumerate(rooms) if one.customer_name is not None]
        agreement_ids = await opening.admit(
            connection, project_id, [_household(rooms[place]) for place in let]
        )
        payer = dict(zip(let, agreement_ids, strict=True))
        await opening.attach(
            connection, project_id, project["currency"],
            [
                opening.Opening(
                    point_id, one.commodity, payer.get(place, house_id), one.opened_at,
                    one.floor_minor if place in payer else None,
                )
                for place, (point_id, one) in enumerate(zip(point_ids, rooms, strict=True))
            ],
        )  # fmt: skip
    return [
        Room(place_id, point_id, meter_id, payer.get(place))
        for place, (place_id, point_id, meter_id) in enumerate(
            zip(place_ids, point_ids, meter_ids, strict=True)
        )
    ]


def _household(new: NewRoom) -> opening.Household:
    facts = Facts(new.customer_name, new.phone, new.email)
    return opening.Household(facts, new.opened_at, new.floor_minor)


async def import_rows(
    db: Database, project_id: int, rows: Sequence[SiteRow], actor_id: int | None, at: datetime
) -> Taken:
    """A site from a sheet: rooms, meters, tariffs, households; all rows or none.

    Raises:
        RowsRefused: with every fault of every row.
    """
    return await sheet.take(db, project_id, rows, actor_id, at)


async def add_meters(
    db: Database, project_id: int, gateway_id: int, found: Sequence[tuple[str, str]], at: datetime
) -> list[int]:
    """Meters found on a gateway's line, as (address, model); they hang at no point yet.

    Raises:
        NotFound: there is no such gateway or model.
        AddressUnusable: an address is not what the model's protocol prints.
        Conflict: the line has one of the addresses already.
    """
    async with db.transaction([project_id]) as connection:
        await devices.get_gateway(connection, project_id, gateway_id)
        meters = [opening.meter_of(model, address, gateway_id, 1) for address, model in found]
        return await devices.insert_meters(connection, project_id, meters, [at] * len(meters))
